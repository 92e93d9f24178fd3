/* Merges the lanes' deltas and closes event-time windows into reports.  One thread owns it.
 *
 * Closing.  A window [start, end) closes when every partition with data has T >= end + lateness, or the largest T is
 * >= end + lateness + window (so idle partitions do not hold it up).  An event that is no later than the lateness
 * lies then at or after the end.  Windows close in order of start; a window that no record fell into is not there.
 *
 * What comes later (a partition behind the others by more than a window, an event beyond the lateness) goes to its
 * closed window, or opens one, and is published as a revision: all rows of the window again, detail
 * {"revision": n}.  The n-th comes when the largest T has moved on 2^(n-1) windows since the last publication, so
 * a lagging partition costs a few rows and not a flood; before the window is forgotten; and at aggregate_flush.
 * Readers keep the highest revision of (kind, window, model, subject, statistic).
 *
 * Bounded: aggregate_windows_max windows, open and closed (288, a day of 5 minutes, or what 64 MiB hold, at least 4).
 * One too many forgets the oldest, closing it first if it is open.  A delta's cell older than that is counted
 * as `beyond` and published with the next window.
 *
 * Rows of a window, in this order.  Each of them every time, but for a statistic over no values (psi of a feature
 * that was always missing), which is not evaluated:
 *   DRIFT       each feature in order: psi, out_of_range_share (both with a baseline), missing_rate, mean;
 *               subject the feature
 *   DRIFT       each model in order: psi, subject `score` (with a baseline that has scores)
 *   PREDICTION  each model in order: count, mean, p50, p95, p99, share_approve, share_review, share_decline,
 *               positive_share (not APPROVE: the score is at or over the review threshold), invalid, shed;
 *               subject `score`
 *   FRESHNESS   each field in order: age_seconds: from its last value to the window's end, in event time (of a field
 *               never seen from the start of the first window)
 *   QUALITY     records, late, incomplete_windows, rejects, rejects_<reason> each, beyond; subject the input topic;
 *               value is the number, count the records of the window
 * Severity: psi by drift.h; missing_rate by the PSI of {missing, there} against the baseline's, both in its detail.
 * Where nothing could be judged (fewer than DRIFT_SAMPLES_MIN values in the window or the baseline) severity is OK and
 * the detail says {"judged": false, ...}; so it is with the score psi of any model but the baseline's own, since
 * another model may well have another distribution. */
#pragma once
#include "monitor/freshness.h"
#include "monitor/report.h"
#include "monitor/sketch.h"

struct aggregate_options {
    const struct sketch_shape *shape; /* borrowed, outlives the aggregate */
    int64_t lateness_ms;
    const char *topic; /* input; copied */
};

struct aggregate;
struct aggregate *aggregate_create(const struct aggregate_options *options, int64_t now_ms); /* NULL if memory is short */
void aggregate_destroy(struct aggregate *aggregate);
size_t aggregate_windows_max(const struct sketch_shape *shape);

/* Merges one committed delta (same shape) and closes what it lets close.  New rows are appended to `reports`. */
void aggregate_merge(struct aggregate *aggregate, struct sketch *delta, int64_t now_ms, struct report_list *reports);
/* Publishes every revision that waits, and with `all` every open window as if it were over: the end of a replay. */
void aggregate_flush(struct aggregate *aggregate, bool all, struct report_list *reports);
/* The partition went elsewhere: it holds no window open from now on. */
void aggregate_forget(struct aggregate *aggregate, int32_t partition, struct report_list *reports);

/* Rows of health, on the wall clock, whenever the shell wants them (not in a replay): per partition
 * stream_lag_seconds and consumer_lag_records (subject <topic>-<partition>, as Kafka writes it), per field
 * wall_age_seconds.  window_start = window_end = now.  Unknown ones are left out. */
void aggregate_health(struct aggregate *aggregate, const struct partition_health *partitions, size_t count, int64_t now_ms,
                      struct report_list *reports);

/* The newest closed window's PSI by feature, then by model (NaN: none), for the metrics.  Owned by the aggregate. */
const double *aggregate_drift(const struct aggregate *aggregate);

struct aggregate_counts {
    uint64_t deltas, windows_closed, revisions;
    uint64_t beyond;       /* events and rejects too old or too many for any window */
    uint64_t offset_gaps;  /* ranges that began after the partition's last one ended: records not seen, unless the
                            * lane leaves out sketch_cover (transaction markers take offsets too) */
    uint64_t overlaps;     /* ranges that began before it: records counted twice */
};
struct aggregate_counts aggregate_count(const struct aggregate *aggregate);
