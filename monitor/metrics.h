/* The counters of a process, for Prometheus.
 *
 * Each lane owns one struct metrics and adds to it without a lock.  At every commit it copies it, under a mutex of its
 * own, into a second one that is its published face:
 *
 *     metrics_add_sketch(&lane->metrics, delta);
 *     lock(lane->mutex); metrics_copy(&lane->published, &lane->metrics); unlock(lane->mutex);
 *
 * The HTTP thread sums the published ones (lock each, metrics_merge into a fresh total) and exposes the total.  The
 * lock is held for a copy of a few kilobytes some ten times a second, so nobody waits, and no reader sees half a
 * commit: what was aborted is never counted. */
#pragma once
#include "monitor/freshness.h"
#include "monitor/sketch.h"
#include "monitor/text_buffer.h"

enum { HISTOGRAM_BOUNDS = 16 };
extern const double histogram_bounds[HISTOGRAM_BOUNDS]; /* seconds: 0.5 ms to 60 s */

struct histogram {
    int64_t buckets[HISTOGRAM_BOUNDS + 1];
    __int128 sum_ns; /* a history that is caught up with is years behind */
};
void histogram_observe(struct histogram *histogram, int64_t ns, int64_t times);
/* Linear within its bucket; NaN if empty, the last bound beyond it. */
double histogram_quantile(const struct histogram *histogram, double q);

/* Where a lane's CPU time goes. */
enum work_stage { STAGE_DECODE, STAGE_FEATURES, STAGE_SCORE, STAGE_EMIT, STAGE_OBSERVE, STAGE_COUNT };

/* What was done about an error while outputs and offsets were written. */
enum write_error { WRITE_ERROR_RETRIED, WRITE_ERROR_ABORTED, WRITE_ERROR_REJOINED, WRITE_ERROR_RENEWED, WRITE_ERROR_COUNT };

struct metrics {
    const struct sketch_shape *shape;
    /* Counters, by metrics_add_sketch from committed deltas: */
    int64_t records, late, incomplete; /* records: events and dead letters */
    int64_t beyond;                    /* beside these: what the sketch had no cell for, in no count below */
    int64_t dead_letters[REJECT_REASON_COUNT];
    int64_t *feature_missing;                 /* by feature */
    int64_t *decisions;                       /* by model x DECISION_COUNT */
    int64_t *invalid, *shed;                  /* by model */
    int64_t *score_bins;                      /* by model x SCORE_EQUAL_BINS */
    __int128 *score_sums;                     /* by model, fixed point as in the sketch */
    /* Counters and gauges that the lane sets itself: */
    int64_t input_bytes, commits, aborts, rebalances, renewed_members, forced_rejoins, checkpoints, checkpoint_bytes;
    int64_t write_errors[WRITE_ERROR_COUNT];
    int64_t entities, retained_events, state_bytes; /* gauges: summed over lanes */
    int64_t stage_ns[STAGE_COUNT]; /* CPU time */
    struct histogram commit_seconds, checkpoint_seconds;
    struct histogram latency_seconds, end_to_end_seconds; /* of a record until it is committed: since it was taken up, since its timestamp */
    size_t partition_count, partition_capacity;
    struct partition_health *partitions; /* gauges; the lane replaces them: metrics_set_partition */
};

int metrics_init(struct metrics *metrics, const struct sketch_shape *shape); /* -1 if memory is short */
void metrics_finish(struct metrics *metrics);
void metrics_add_sketch(struct metrics *metrics, struct sketch *delta);
void metrics_set_partition(struct metrics *metrics, struct partition_health partition); /* adds or replaces */
void metrics_drop_partition(struct metrics *metrics, int32_t partition);
void metrics_copy(struct metrics *to, const struct metrics *from);     /* same shape */
void metrics_merge(struct metrics *into, const struct metrics *from);  /* same shape; partitions side by side */

/* What belongs to the process and not to a lane. */
struct process_metrics {
    const char *version;
    double cpu_seconds, start_time_seconds;
    int64_t resident_bytes, virtual_bytes, open_fds, max_fds; /* -1: unknown, left out */
    bool ready;
    const double *drift; /* by feature, then by model: aggregate_drift; NULL: none */
    int64_t now_ms;      /* stream lag is computed when it is asked for, so a lane that hangs shows */
};
/* Every family, each time, in one fixed order (metrics_expose.c lists them). */
void metrics_expose(const struct metrics *metrics, const struct process_metrics *process, struct text_buffer *text);
