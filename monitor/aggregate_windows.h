/* One window of the aggregate and how it is written: between aggregate.c and aggregate_rows.c alone. */
#pragma once
#include "monitor/aggregate.h"

struct window_state {
    int64_t start_ms;
    struct sketch_cell *cell; /* merged over partitions */
    bool closed;              /* published, or too late for a first time */
    bool dirty;               /* closed, and merged into since it was published */
    int revisions;            /* published so far */
    int64_t published_at_ms;  /* the largest T then */
};

/* What a window's rows are made from. */
struct window_rows {
    const struct sketch_shape *shape;
    const struct sketch_cell *cell;
    const char *topic;
    int revision;                 /* 0: the first publication */
    const int64_t *last_seen_ms;  /* by field, in this window and those before */
    int64_t first_ms;             /* start of the first window */
    int64_t beyond;
    double *drift; /* where the PSIs go, by feature, then by model; NULL: nowhere */
};
void window_rows_write(const struct window_rows *window, struct report_list *reports);
