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
 * An event's features wait in the cell: as they came until there are enough of them, or somebody asks, to find the bins of
 * a whole column at once (sketch_bins.h); then as bins, a byte a feature, counted column by column when somebody asks for the
 * counts.  A delta carries bins as they are: the events of one transaction and partition are fewer than the bins, and whoever
 * merges it counts them once.
 *
 * Cost: O(1) an event and feature, no allocation once the cells of a window exist.
 * Bounded: sketch_cells_max(shape) cells (and the parts of sketch_extra.h); an event that would need one more is counted as `beyond` of its partition
 * and nowhere else (so it is where memory is short).  A lane that asks sketch_has_room(sketch, n) before a batch of n, and hands on or commits where
 * there is none, never gets there. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/baseline.h"
#include "monitor/cardinality.h"
#include "monitor/sketch_values.h"
#include "monitor/smallest_ranks.h"
#include "scoring/models/decision.h"
#include "scoring/features/features.h"
#include "scoring/reject.h"
#include "scoring/value.h"


enum {
    SCORE_EQUAL_BINS = 20, /* (0.05 i, 0.05 (i+1)]: the published histogram; the first has 0 and what is below too */
    SCORE_LOG_BINS = 321,  /* 16 an octave from 2^-20 to 1, and what is below: quantiles within 6.25 % */
    SKETCH_MODELS_MAX = 64,
    SKETCH_MODELS_SPARE = 8, /* beside those known at the start; one more than all goes to the last, "others" */
    SKETCH_MODEL_ID_MAX = 249,
    SKETCH_SEGMENTS_MAX = 40,
    SKETCH_FALLBACKS_MAX = 8, /* reasons for which a model did not answer */
    LATENCY_BINS = 177,       /* 8 an octave of milliseconds: latency_bin */
    SKETCH_ROWS_MAX = 512,    /* of a cell that wait to be counted */
    APART_BINS = 81           /* |difference| of scores: 4 an octave, likewise from 2^-20: quantiles within 19 % */
};

struct sketch_model {
    const char *id;
    bool shadow; /* false: its scores are served */
};

/* An input field whose values are counted: how many different ones, and, where `valued`, how often each. */
struct sketch_segment {
    size_t slot; /* of the field */
    bool valued;
};

/* What a sketch counts.  All texts and the baseline are borrowed and must outlive every sketch of the shape. */
struct sketch_shape_options {
    int64_t window_ms, lateness_ms;
    size_t feature_count;
    const char *const *features;
    const int64_t *reach_ms; /* by feature: how far back its events lie; 0: it is of the event alone; NULL: all are */
    size_t model_count; /* at the start: champion first; then fallback, shadows: any order */
    const struct sketch_model *models;
    size_t field_count; /* input fields by slot */
    const char *const *fields;
    size_t segment_count;
    const struct sketch_segment *segments;
    const struct baseline *baseline; /* NULL: none; else with these very features */
    size_t bins;                     /* BASELINE_COARSE (0 too) or BASELINE_FINE; of equal width BASELINE_EQUAL */
    bool equal_width;                /* instead of quantiles */
};

/* Immutable after creation but for its models, which can join from any thread: lanes and the aggregator share one. */
struct sketch_shape;
struct sketch_shape *sketch_shape_create(const struct sketch_shape_options *options); /* NULL if memory is short */
void sketch_shape_destroy(struct sketch_shape *shape);
const struct sketch_shape_options *sketch_shape_of(const struct sketch_shape *shape);
/* The baseline's bins of feature f, or of the score (f = feature_count): how many, and its counts; 0 bins: none. */
size_t sketch_shape_bins(const struct sketch_shape *shape, size_t f, const int64_t **expected);
/* The 20 quantile bins that those of feature f (or the score) unite to: how many there are without ties, and the one
 * that each bin is part of. */
size_t sketch_shape_coarse(const struct sketch_shape *shape, size_t f, const uint8_t **coarse_of);
/* What decides the meaning of a cell's counts, hashed: deltas of one fingerprint can be added. */
uint64_t sketch_shape_fingerprint(const struct sketch_shape *shape);
/* Models by slot: those known at the start, then whoever came since.  The slot of an id is found or taken here; where
 * none is free it is the last one, whose id is "others".  Slots are never given back. */
size_t sketch_models(const struct sketch_shape *shape); /* slots taken so far */
size_t sketch_models_max(const struct sketch_shape *shape);
size_t sketch_model_slot(const struct sketch_shape *shape, const char *id, bool shadow);
struct sketch_model sketch_model_of(const struct sketch_shape *shape, size_t m);
size_t sketch_cell_bytes(const struct sketch_shape *shape);
size_t sketch_cells_max(const struct sketch_shape *shape); /* at most 4096, and 32 MiB where 16 cells do not need more */

/* The counts of one window (of one partition in a delta, of all in the aggregate). */
struct sketch_cell {
    int32_t partition; /* -1: merged over partitions */
    int64_t window_start_ms;
    int64_t events;     /* scored */
    int64_t late;       /* of them with late_ms > 0 */
    int64_t overdue;    /* of them later than the lateness */
    int64_t incomplete; /* of them with an incomplete window */
    int64_t rejects[REJECT_REASON_COUNT];
    /* Arrays, by the functions below: */
    __int128 *sums;       /* by feature, then by model: fixed point */
    int64_t *counts;      /* features, latencies, fallbacks, rejects by field, segments, entities, contributions, then models */
    int64_t *last_seen_ms; /* by field: the largest event time at which it was not null; TIME_UNKNOWN: never */
    struct cardinality *distinct;   /* by segment */
    struct sketch_values *values;   /* by segment: those that the baseline does not name; then schema ids; then far values */
    struct sketch_extra **extras;   /* by model: sketch_extra.h; NULL: none has any */
    size_t *parts_left;             /* that the sketch may still make; NULL: a cell on its own */
    struct raw_rows *raw;           /* rows that wait for their bins (sketch_rows.c); NULL: none ever did */
    /* Rows whose bins are not yet counted (a delta's): sketch_row_bins. */
    size_t row_count;
    uint8_t *rows;
    /* What has to be looked at and cleared: whether any feature's bins were counted, and the slots that models[0 .. end) have. */
    bool counted;
    size_t models_end;
};

struct sketch_feature_counts {
    int64_t missing, below, above; /* below the baseline's least value, above its greatest: also in the bins */
    int64_t far;                   /* more than SKETCH_FAR_SIGMAS baseline deviations from its mean */
    int64_t bins[];                /* sketch_shape_bins of them; none without a baseline */
};
/* A shadow beside what was served, over the events that it scored. */
struct sketch_comparison {
    int64_t decisions[DECISION_COUNT][DECISION_COUNT]; /* the served one, then its own */
    int64_t apart_sum;                                 /* of |difference|, in units of 2^-APART_SUM_BITS */
    int64_t apart[APART_BINS];
    int64_t served[SCORE_EQUAL_BINS];                  /* the scores served; its own are in `equal` */
};
enum { APART_SUM_BITS = 30 };

struct sketch_model_counts {
    int64_t decisions[DECISION_COUNT];
    int64_t invalid; /* NaN scores: in no bin */
    int64_t shed;    /* shadow scores that were not computed */
    int64_t uncertain; /* in [0.4, 0.6] */
    struct sketch_comparison comparison; /* of a shadow */
    int64_t equal[SCORE_EQUAL_BINS];
    int64_t log[SCORE_LOG_BINS];
    int64_t bins[]; /* of the baseline's score */
};
struct sketch_segment_counts {
    int64_t nulls;
    int64_t categories[]; /* that the baseline names, then one more for all others: sketch_segment_categories */
};
#define SKETCH_FAR_SIGMAS 8
const struct sketch_feature_counts *sketch_feature(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f);
const struct sketch_model_counts *sketch_model(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m);
const struct sketch_segment_counts *sketch_segment_of(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t segment);
size_t sketch_segment_categories(const struct sketch_shape *shape, size_t segment); /* at least 1 */
/* What is kept of some events alone (sketch_sample.c). */
struct sketch_far { /* an event with a value more than SKETCH_FAR_SIGMAS from the baseline's mean */
    int32_t partition;
    int64_t offset;
    double sigmas; /* to three digits */
};
/* Those of feature f in the window's sample, which is of SKETCH_VALUES_MAX far values over all features. */
size_t sketch_far_values(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f, struct sketch_far found[SKETCH_VALUES_MAX]);
struct sketch_contribution { /* to the margin; NaN without events */
    double mean, std;
    int64_t count;
};
struct sketch_contribution sketch_contribution_of(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f);
/* Ages of entities: seconds since the entity's event before (bins of latency_bin, of seconds: within 12.5 %, whole
 * seconds below 8); *fresh: events of entities that had none in the longest window. */
const int64_t *sketch_entity_ages(const struct sketch_shape *shape, const struct sketch_cell *cell, int64_t *fresh);
const int64_t *sketch_latencies(const struct sketch_shape *shape, const struct sketch_cell *cell);      /* LATENCY_BINS */
const int64_t *sketch_fallbacks(const struct sketch_shape *shape, const struct sketch_cell *cell);      /* SKETCH_FALLBACKS_MAX */
const int64_t *sketch_field_rejects(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t field); /* by reason */
/* Means over what is there; NaN where nothing is.  A value counts to within 2^-21 (feature, up to 2^60) or 2^-41 (score,
 * held to [0, 1]). */
double sketch_feature_mean(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f);
double sketch_score_mean(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m);
/* The q-quantile (0 < q < 1) of a model's scores, linear within its logarithmic bin; NaN without scores. */
double sketch_score_quantile(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m, double q);
/* The q-quantile of |difference| to the served scores, linear within its bin; NaN without any. */
double sketch_apart_quantile(const struct sketch_comparison *comparison, double q);
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
/* The far values that the stream has named so far, for sketches that take turns; NULL (as at first): nobody remembers. */
void sketch_remember_named(struct sketch *sketch, struct smallest_ranks *named);
bool sketch_has_room(const struct sketch *sketch, size_t events); /* even if every one opens a window; of very many: half of all cells */

/* One scored event. */
struct sketch_event {
    int32_t partition;
    int64_t offset, time_ms, late_ms;
    bool window_complete;
    const float *row;           /* feature_count, copied; NULL: not looked at */
    uint64_t id_hash;           /* cardinality_hash of its id: which far values are named hangs on it */
    int32_t schema_id;          /* of its writer; -1: none */
    const struct value *values; /* by slot, field_count; NULL: not looked at */
};
/* Folds it and advances the partition's position (T = time_ms + late_ms).  Returns its cell, to which the scores of
 * the same event go (NULL: beyond; then they are not counted either).  The cell lives until reset. */
struct sketch_cell *sketch_add(struct sketch *sketch, const struct sketch_event *event);
/* The entity's event before (feature_outcome), of each event. */
void sketch_add_entity(struct sketch *sketch, struct sketch_cell *cell, int64_t time_ms, int64_t before_ms);
/* Contributions of an event that is in the sample, feature_count of them. */
void sketch_add_contributions(struct sketch *sketch, struct sketch_cell *cell, const float *contributions);
/* A score of model m for the event whose cell this is (NULL is taken and does nothing). */
void sketch_add_score(struct sketch *sketch, struct sketch_cell *cell, size_t m, float score, enum decision decision);
/* And how the shadow m compares with what was served; its score is in [0, 1].  By segment: sketch_extra.h. */
void sketch_add_comparison(struct sketch *sketch, struct sketch_cell *cell, size_t m, float score, enum decision decision, float served, enum decision served_decision);
void sketch_add_shed(struct sketch *sketch, struct sketch_cell *cell, size_t m);
/* A model did not answer; reason: of the chain (enum fallback_reason). */
void sketch_add_fallbacks(struct sketch *sketch, struct sketch_cell *cell, size_t reason, int64_t times);
/* A dead letter.  time_ms: see above; held to the years 1970..9999.  field: its slot, or -1. */
void sketch_add_reject(struct sketch *sketch, int32_t partition, int64_t offset, int64_t time_ms, enum reject_reason reason, int field);
/* How many events of the partition became visible how long after their records' timestamps (latency_bin).  Counted in the
 * window of the stream time; health of the process, no function of the log. */
void sketch_add_latencies(struct sketch *sketch, int32_t partition, int64_t stream_time_ms, const int64_t bins[LATENCY_BINS]);
/* The offsets [from, to) that the delta covers in a partition, and T: what the lane commits.  Widens what events and
 * rejects have said themselves (they know of no records that only the log has: transaction markers). */
void sketch_cover(struct sketch *sketch, int32_t partition, int64_t from, int64_t to, int64_t stream_time_ms);
void sketch_add_beyond(struct sketch *sketch, int32_t partition, int64_t records); /* found no cell elsewhere */
/* Forgets what belongs to a partition (it was lost before the commit). */
void sketch_drop(struct sketch *sketch, int32_t partition);

/* Adds `from` (same shape).  Cells that do not fit go to their partition's `beyond`, in order of (window, partition). */
void sketch_merge(struct sketch *into, struct sketch *from);

/* In order of (window, partition), and of partition. */
size_t sketch_cell_count(const struct sketch *sketch);
const struct sketch_cell *sketch_cell(struct sketch *sketch, size_t i); /* all counted; puts them in order when it has to */
struct sketch_cell *sketch_cell_uncounted(struct sketch *sketch, size_t i); /* the same, but rows may wait in it */
size_t sketch_position_count(const struct sketch *sketch);
const struct sketch_position *sketch_position(struct sketch *sketch, size_t i);

/* The cell of a window, made if need be, for whoever reads deltas; NULL: no room. */
struct sketch_cell *sketch_cell_open(struct sketch *sketch, int32_t partition, int64_t window_start_ms);

/* A cell on its own, for whoever keeps windows: the aggregate. */
struct sketch_cell *sketch_cell_create(const struct sketch_shape *shape, int32_t partition, int64_t window_start_ms);
void sketch_cell_destroy(const struct sketch_shape *shape, struct sketch_cell *cell);
void sketch_cell_merge(const struct sketch_shape *shape, struct sketch_cell *into, const struct sketch_cell *from);
void sketch_cell_clear(const struct sketch_shape *shape, struct sketch_cell *cell); /* all but partition and window */
/* Rows that wait, for whoever writes a cell and reads it again.  The bins of feature f in the rows that wait: row_count
 * bytes, each a bin or BIN_NONE (255: missing). */
const uint8_t *sketch_row_bins(const struct sketch_cell *cell, size_t f);
void sketch_cell_count_rows(const struct sketch_shape *shape, struct sketch_cell *cell); /* then none waits */
/* The same n rows, feature by feature as they were written; their missing values are counted already.  Whether they can be
 * of this shape is for the caller to ask before. */
bool sketch_bins_fit(const struct sketch_shape *shape, const uint8_t *bins, size_t n);
void sketch_cell_add_bins(const struct sketch_shape *shape, struct sketch_cell *cell, const uint8_t *bins, size_t n);
/* The counts of model m, to be added to.  And where the bins of feature f lie in cell->counts: [from, to). */
int64_t *sketch_cell_model_counts(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m);
void sketch_bins_range(const struct sketch_shape *shape, size_t f, size_t *from, size_t *to);
/* Where a model's counts begin in cell->counts, and how many there are; models begin where the head ends. */
size_t sketch_head_counts(const struct sketch_shape *shape);
size_t sketch_model_counts_size(const struct sketch_shape *shape);
size_t sketch_contribution_counts(const struct sketch_shape *shape);
/* Quantile of a latency histogram in milliseconds, linear within its bin; NaN if it is empty. */
double latency_quantile(const int64_t *bins, double q);
size_t latency_bin(int64_t ms);
