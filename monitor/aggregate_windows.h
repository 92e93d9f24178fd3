/* One window of the aggregate and how it is written: between aggregate*.c alone. */
#pragma once
#include "monitor/aggregate.h"

struct window_state {
    int64_t start_ms;
    struct sketch_cell *cell; /* merged over partitions */
    bool closed;              /* published, or too late for a first time */
    bool dirty;               /* closed, and merged into since it was published */
    bool changed;             /* since it was saved */
    int revisions;            /* published so far */
    int64_t published_at_ms;  /* the largest T then */
    int64_t saved;
};

/* Windows of one width, by start. */
struct window_list {
    int64_t width_ms;
    size_t count, max;
    struct window_state *of;
    int64_t frontier_ms;  /* every window that ends at or before is closed; INT64_MIN at first */
    int64_t *seen_ms;     /* by field, in windows that were forgotten */
};

/* What is said once, with the next window of the shape's width. */
struct window_losses {
    int64_t beyond, gaps, missed, repeated, unlike;
};

/* What a window's rows are made from. */
struct window_rows {
    const struct sketch_shape *shape;
    const struct sketch_cell *cell;
    int64_t width_ms;
    const char *topic;
    double scoring_budget_seconds;
    int revision;                 /* 0: the first publication */
    const int64_t *last_seen_ms;  /* by field, in this window and those before */
    int64_t first_ms;             /* start of the first window */
    int64_t began_ms;             /* of the log; INT64_MIN: long ago */
    const struct window_losses *losses; /* NULL: of a longer window, which does not say them */
    double *drift; /* where the PSIs go, by feature, then by model; NULL: nowhere */
};
void window_rows_write(const struct window_rows *window, struct report_list *reports);

struct aggregate {
    const struct sketch_shape *shape;
    int64_t window_ms, lateness_ms;
    char *topic;
    double scoring_budget_seconds;
    size_t list_count;
    struct window_list lists[1 + AGGREGATE_WIDTHS_MAX]; /* the shape's width first */
    int64_t largest_ms;            /* T over all partitions, also those given up */
    int64_t first_ms;              /* start of the earliest window ever; INT64_MAX: none */
    int64_t began_ms;              /* T after offset 0 was seen first; INT64_MIN: somebody had read on from there */
    struct window_losses losses;   /* not yet published */
    size_t partition_count, partition_capacity;
    struct aggregate_position {
        struct aggregate_partition at;
        char *subject;             /* <topic>-<partition> */
        int64_t heard_ms;          /* wall time at which its last record was merged; TIME_UNKNOWN: not yet */
        int64_t records_beyond;    /* of other partitions, past its stream time, since its own last one */
        bool spoke;                /* not yet merged */
    } *partitions;                 /* by id */
    int64_t *seen_ms;              /* room for one window's last_seen_ms */
    int64_t *heard_ms;             /* by field: wall time at which a delta last had a value of it */
    int64_t started_ms;
    int64_t records_heard_ms;      /* when a delta last had records; TIME_UNKNOWN: not yet */
    bool stream_clock;
    double *drift;
    int64_t drift_of_ms;           /* the window that `drift` is of */
    struct aggregate_counts counts;
};
/* What is known of the input at `now_ms`: no record since `since_ms`; heard: there was one before. */
void aggregate_silence(const struct aggregate *aggregate, int64_t since_ms, int64_t now_ms, bool heard, struct report_list *reports);
/* Records of the partition were taken; and what was taken is merged now. */
void aggregate_note_records(struct aggregate *aggregate, struct aggregate_position *of, int64_t records);
void aggregate_hear_partitions(struct aggregate *aggregate, int64_t now_ms);
struct report *aggregate_health_row(const char *subject, const char *statistic, double value, int64_t now_ms, struct report_list *reports);
struct aggregate_position *aggregate_position_of(struct aggregate *aggregate, int32_t id);
