/* What monitoring keeps of scored events: exact, mergeable counts per partition and tumbling event-time window.
 *
 * A sketch is a table of cells, one per (partition, window), beside the position of each partition.  A lane folds
 * into its own sketch while a transaction is open (the delta), hands it on when the transaction is known
 * committed, and takes an empty one; nothing is shared.  Merging adds integers (and takes maxima of times), so the
 * parts in any order and split give exactly the whole: sums too are integers, of values in fixed point.
 *
 * The window of an event is the one of its event time: [start, start + window_ms), start a multiple of window_ms.
 * A rejected record has no trustworthy time: the lane passes the partition's stream time T, and before the first
 * accepted event the record's timestamp.
 *
 * Cost: O(1) an event and feature (five comparisons for 20 bins), no allocation once the cells of a window exist.
 * Bounded: sketch_cells_max(shape) cells; an event that would need one more is counted as `beyond` of its partition
 * and nowhere else (so it is where memory is short).  A lane that asks sketch_has_room(sketch, n) before a batch of n, and hands on or commits where
 * there is none, never gets there. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/baseline.h"
#include "scoring/decision.h"
#include "scoring/features.h"
#include "scoring/reject.h"
#include "scoring/value.h"

enum {
    SCORE_EQUAL_BINS = 20, /* (0.05 i, 0.05 (i+1)]: the published histogram; the first has 0 and what is below too */
    SCORE_LOG_BINS = 321,  /* 16 an octave from 2^-20 to 1, and what is below: quantiles within 6.25 % */
    SKETCH_MODELS_MAX = 64
};

struct sketch_model {
    const char *id;
    bool shadow; /* false: its scores are served */
};

/* What a sketch counts.  All texts and the baseline are borrowed and must outlive every sketch of the shape. */
struct sketch_shape_options {
    int64_t window_ms;
    size_t feature_count;
    const char *const *features;
    size_t model_count; /* champion first; then fallback, shadows: any order; at most SKETCH_MODELS_MAX */
    const struct sketch_model *models;
    size_t field_count; /* input fields by slot */
    const char *const *fields;
    const struct baseline *baseline; /* NULL: none; else with these very features */
    size_t bins;                     /* BASELINE_COARSE (0 too) or BASELINE_FINE */
};

/* Immutable after creation: lanes and the aggregator share one. */
struct sketch_shape;
struct sketch_shape *sketch_shape_create(const struct sketch_shape_options *options); /* NULL if memory is short */
void sketch_shape_destroy(struct sketch_shape *shape);
const struct sketch_shape_options *sketch_shape_of(const struct sketch_shape *shape);
/* The baseline's bins of feature f, or of the score (f = feature_count): how many, and its counts; 0 bins: none. */
size_t sketch_shape_bins(const struct sketch_shape *shape, size_t f, const int64_t **expected);
size_t sketch_cell_bytes(const struct sketch_shape *shape);
size_t sketch_cells_max(const struct sketch_shape *shape); /* at most 4096, and 32 MiB where 16 cells do not need more */

/* The counts of one window (of one partition in a delta, of all in the aggregate). */
struct sketch_cell {
    int32_t partition; /* -1: merged over partitions */
    int64_t window_start_ms;
    int64_t events;     /* scored */
    int64_t late;       /* of them with late_ms > 0 */
    int64_t incomplete; /* of them with an incomplete window */
    int64_t rejects[REJECT_REASON_COUNT];
    /* Arrays, by the functions below: */
    __int128 *sums;       /* by feature, then by model: fixed point */
    int64_t *counts;      /* features, then models */
    int64_t *last_seen_ms; /* by field: the largest event time at which it was not null; TIME_UNKNOWN: never */
};

struct sketch_feature_counts {
    int64_t missing, below, above; /* below the baseline's least value, above its greatest: also in the bins */
    int64_t bins[];                /* sketch_shape_bins of them; none without a baseline */
};
struct sketch_model_counts {
    int64_t decisions[DECISION_COUNT];
    int64_t invalid; /* NaN scores: in no bin */
    int64_t shed;    /* shadow scores that were not computed */
    int64_t equal[SCORE_EQUAL_BINS];
    int64_t log[SCORE_LOG_BINS];
    int64_t bins[]; /* of the baseline's score */
};
const struct sketch_feature_counts *sketch_feature(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f);
const struct sketch_model_counts *sketch_model(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m);
/* Means over what is there; NaN where nothing is.  A value counts to within 2^-21 (feature, up to 2^60) or 2^-41 (score,
 * held to [0, 1]). */
double sketch_feature_mean(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f);
double sketch_score_mean(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m);
/* The q-quantile (0 < q < 1) of a model's scores, linear within its logarithmic bin; NaN without scores. */
double sketch_score_quantile(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m, double q);
int64_t sketch_score_count(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m); /* valid scores */
int64_t sketch_cell_records(const struct sketch_cell *cell);                                          /* events and rejects */
/* The sum of a model's scores, as the cell has it: 2^-SCORE_SUM_BITS is one. */
enum { FEATURE_SUM_BITS = 20, SCORE_SUM_BITS = 40 };
__int128 sketch_score_sum(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m);

/* Where a delta stands in one partition. */
struct sketch_position {
    int32_t partition;
    int64_t from, to;       /* offsets [from, to) that it covers */
    int64_t stream_time_ms; /* T after them; TIME_UNKNOWN: no event accepted yet */
    int64_t beyond;         /* events and rejects that found no cell */
};

struct sketch;
struct sketch *sketch_create(const struct sketch_shape *shape); /* NULL if memory is short */
void sketch_destroy(struct sketch *sketch);
void sketch_reset(struct sketch *sketch); /* empty again; its memory is kept */
const struct sketch_shape *sketch_shape(const struct sketch *sketch);
bool sketch_has_room(const struct sketch *sketch, size_t events); /* even if every one opens a window */

/* One scored event. */
struct sketch_event {
    int32_t partition;
    int64_t offset, time_ms, late_ms;
    bool window_complete;
    const float *row;           /* feature_count */
    const struct value *values; /* by slot, field_count; NULL: not looked at */
};
/* Folds it and advances the partition's position (T = time_ms + late_ms).  Returns its cell, to which the scores of
 * the same event go (NULL: beyond; then they are not counted either).  The cell lives until reset. */
struct sketch_cell *sketch_add(struct sketch *sketch, const struct sketch_event *event);
/* A score of model m for the event whose cell this is (NULL is taken and does nothing). */
void sketch_add_score(struct sketch *sketch, struct sketch_cell *cell, size_t m, float score, enum decision decision);
void sketch_add_shed(struct sketch *sketch, struct sketch_cell *cell, size_t m);
/* A dead letter.  time_ms: see above; held to the years 1970..9999. */
void sketch_add_reject(struct sketch *sketch, int32_t partition, int64_t offset, int64_t time_ms, enum reject_reason reason);
/* The offsets [from, to) that the delta covers in a partition, and T: what the lane commits.  Widens what events and
 * rejects have said themselves (they know of no records that only the log has: transaction markers). */
void sketch_cover(struct sketch *sketch, int32_t partition, int64_t from, int64_t to, int64_t stream_time_ms);
/* Forgets what belongs to a partition (it was lost before the commit). */
void sketch_drop(struct sketch *sketch, int32_t partition);

/* Adds `from` (same shape).  Cells that do not fit go to their partition's `beyond`, in order of (window, partition). */
void sketch_merge(struct sketch *into, struct sketch *from);

/* In order of (window, partition), and of partition. */
size_t sketch_cell_count(const struct sketch *sketch);
const struct sketch_cell *sketch_cell(struct sketch *sketch, size_t i); /* puts them in order when it has to */
size_t sketch_position_count(const struct sketch *sketch);
const struct sketch_position *sketch_position(struct sketch *sketch, size_t i);

/* A cell on its own, for whoever keeps windows: the aggregate. */
struct sketch_cell *sketch_cell_create(const struct sketch_shape *shape, int32_t partition, int64_t window_start_ms);
void sketch_cell_destroy(struct sketch_cell *cell);
void sketch_cell_merge(const struct sketch_shape *shape, struct sketch_cell *into, const struct sketch_cell *from);
