/* Merges deltas and closes event-time windows into reports.  One thread owns it.
 *
 * Windows.  The shape's own, and longer ones (`widths`): every cell goes to one window of each width, so a longer
 * window is the exact sum of its parts.
 *
 * Offsets.  A delta covers [from, to) of each partition and must begin where the one before ended.  One that begins
 * later is counted as a gap (records not seen) and taken; one that lies wholly in what is known is a repetition (a
 * delivery at least once sends it again) and dropped; one that begins earlier and ends later is taken, and what it
 * repeats is counted.  Where stream time goes on though offsets went back the topic is a new one, and taken as such.
 *
 * Closing.  A window [start, end) closes when every partition with data has T >= end + lateness, or the largest T is
 * >= end + lateness + the shape's window (so idle partitions do not hold it up).  An event that is no later than the
 * lateness lies then at or after the end.  Windows of a width close in order of start; a window that no record fell
 * into is not there.
 *
 * What comes later (a partition behind the others by more than a window, an event beyond the lateness) goes to its
 * closed window, or opens one, and is published as a revision: all rows of the window again, detail
 * {"revision": n}.  The n-th comes when the largest T has moved on 2^(n-1) windows since the last publication, so
 * a lagging partition costs a few rows and not a flood; before the window is forgotten; and at aggregate_flush.
 * Readers keep the highest revision of (kind, window, model, subject, statistic); and of SHADOW rows only those of the highest
 * revision of (window, model), for a value of a segment that others have turned out since is in no row of it.
 *
 * Bounded: aggregate_windows_max windows of the shape's width, open and closed (288, a day of 5 minutes, or what 64 MiB
 * hold, at least 4), and four of each longer one.  One too many forgets the oldest, closing it first if it is open.  A
 * cell older than that is counted as `beyond` and published with the next window.
 *
 * A function of the deltas: neither the order of partitions within it nor where a restart fell shows, once the highest
 * revisions are kept.  What a restart needs is its state (below): scalars, partitions, windows.
 *
 * The rows are listed in aggregate_rows.c. */
#pragma once
#include "monitor/freshness.h"
#include "monitor/report.h"
#include "monitor/sketch.h"

enum { SILENCE_EVENTS_MIN = 100, SILENCE_SECONDS_MAX = 900, SILENT_WINDOWS_TOLD_MAX = 288 };
enum { AGGREGATE_WIDTHS_MAX = 4, AGGREGATE_LONG_WINDOWS_MAX = 4 };

struct aggregate_options {
    const struct sketch_shape *shape; /* borrowed, outlives the aggregate */
    const char *topic;          /* input; copied */
    double scoring_budget_seconds; /* that a vector may take a served model; 0: none */
    size_t width_count;         /* longer windows, at most AGGREGATE_WIDTHS_MAX */
    const int64_t *widths_ms;   /* ascending multiples of the shape's window, longer than it */
    bool stream_clock;          /* a replay: stream time is the clock by which the input is silent */
};

struct aggregate;
struct aggregate *aggregate_create(const struct aggregate_options *options, int64_t now_ms); /* NULL if memory is short */
void aggregate_destroy(struct aggregate *aggregate);
size_t aggregate_windows_max(const struct sketch_shape *shape);
/* Upper bound of its memory with so many longer windows. */
size_t aggregate_bytes_max(const struct sketch_shape *shape, size_t width_count);

/* Merges one committed delta (same shape) and closes what it lets close.  New rows are appended to `reports`. */
void aggregate_merge(struct aggregate *aggregate, struct sketch *delta, int64_t now_ms, struct report_list *reports);
/* For whoever gathers the cells of several deltas before it merges them: takes what one part says of its partition; false:
 * it is a repetition, and its cells are to be left out.  What has been gathered (cells alone, of any partition) is then
 * given to aggregate_merge, at the latest when aggregate_is_due: the parts taken let a window close. */
bool aggregate_take(struct aggregate *aggregate, const struct sketch_position *position);
bool aggregate_is_due(const struct aggregate *aggregate);
/* A part of a delta that cannot be read here (another shape): its offsets and T count, its records as `unlike`. */
void aggregate_pass(struct aggregate *aggregate, const struct sketch_position *position, struct report_list *reports);
/* Publishes every revision that waits, and with `all` every open window as if it were over: the end of a replay. */
void aggregate_flush(struct aggregate *aggregate, bool all, struct report_list *reports);
/* The partition went elsewhere: it holds no window open from now on. */
void aggregate_forget(struct aggregate *aggregate, int32_t partition, struct report_list *reports);

/* Rows of health, on the wall clock, whenever the shell wants them (not in a replay).  window_start = window_end = now.
 * Unknown ones are left out. */
/* Per partition stream_lag_seconds and consumer_lag_records, subject <topic>-<partition>, as Kafka writes it. */
void aggregate_partition_health(struct aggregate *aggregate, const struct partition_health *partitions, size_t count, int64_t now_ms, struct report_list *reports);
/* silence_seconds of the input topic: since a delta last had a record.  CRITICAL from a window on if the baseline expects
 * SILENCE_EVENTS_MIN events in that time (by chance none of them: e^-100; at a quarter of the usual traffic e^-25), without
 * a baseline WARNING from SILENCE_SECONDS_MAX on.  Unjudged where the baseline expects fewer, and before the first record.  With
 * stream_clock it is a row of each window that stream time passes.  Then, on the wall clock alone, of each of several
 * partitions with data, subject <topic>-<partition>: CRITICAL where the others go on without it (aggregate_silence.c). */
void aggregate_input_health(struct aggregate *aggregate, int64_t now_ms, struct report_list *reports);
/* Per field wall_age_seconds: since a delta last had a value of it. */
void aggregate_field_health(struct aggregate *aggregate, int64_t now_ms, struct report_list *reports);

/* The newest closed window's PSI by feature, then by model slot (NaN: none), for the metrics.  Owned by the aggregate. */
const double *aggregate_drift(const struct aggregate *aggregate);

struct aggregate_counts {
    uint64_t deltas, windows_closed, revisions;
    uint64_t beyond;      /* events and rejects too old or too many for any window */
    uint64_t offset_gaps; /* ranges that began after the partition's last one ended */
    uint64_t missed;      /* records in those gaps */
    uint64_t repeated;    /* records that were known already */
    uint64_t unlike;      /* records of deltas of another shape */
};
struct aggregate_counts aggregate_count(const struct aggregate *aggregate);

/* ---- state, for whoever keeps it over a restart ---- */

struct aggregate_mark { /* scalars; times TIME_UNKNOWN or INT64_MIN where there is none */
    int64_t closed_until_ms; /* every window of the shape that ends at or before is closed */
    int64_t largest_ms, first_ms, drift_of_ms;
    int64_t beyond, gaps, missed, repeated, unlike; /* not yet published */
    int64_t began_ms;        /* the log's first events lie at or before; INT64_MIN: long ago */
};
struct aggregate_mark aggregate_mark(const struct aggregate *aggregate);
void aggregate_set_mark(struct aggregate *aggregate, const struct aggregate_mark *mark);

struct aggregate_partition { /* where the deltas stand */
    int32_t id;
    bool here;     /* has data and was not given up */
    int64_t to;    /* offset after the last delta; -1: unknown */
    int64_t stream_time_ms;
};
size_t aggregate_partitions(const struct aggregate *aggregate);
struct aggregate_partition aggregate_partition_at(const struct aggregate *aggregate, size_t i);
void aggregate_set_partition(struct aggregate *aggregate, const struct aggregate_partition *partition);

/* When fields were last seen before the windows that are held; by width (the shape's first) and field. */
const int64_t *aggregate_seen(const struct aggregate *aggregate, size_t width);
void aggregate_set_seen(struct aggregate *aggregate, size_t width, const int64_t *seen_ms);

struct aggregate_window {
    int64_t start_ms, width_ms;
    bool closed, dirty;      /* dirty: closed, and merged into since it was published */
    int revisions;
    int64_t published_at_ms;
    bool changed;            /* since aggregate_set_saved, and for all that was never saved */
    int64_t saved;           /* what that was told; -1: never */
};
size_t aggregate_windows(const struct aggregate *aggregate);
struct aggregate_window aggregate_window_at(const struct aggregate *aggregate, size_t i, const struct sketch_cell **cell);
void aggregate_set_saved(struct aggregate *aggregate, size_t i, int64_t saved); /* -1: it is to be saved again */
/* Puts a window back (counts as saved); its empty cell is the caller's to fill.  NULL: a width that is not kept, or no room. */
struct sketch_cell *aggregate_put_window(struct aggregate *aggregate, const struct aggregate_window *window);
