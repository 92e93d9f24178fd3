/* The layout of a cell's arrays and the edges that it bins by: for the sketch's own files alone. */
#pragma once
#include "monitor/sketch.h"
#include "monitor/sketch_bins.h"

struct category_slot { /* of an open-addressing table over hashes; 0: empty */
    uint64_t hash;
    uint32_t category; /* + 1 */
};

struct segment_shape {
    size_t categories; /* named ones + 1 */
    size_t at;         /* in a cell's counts */
    size_t mask;       /* of table; its size - 1 */
    struct category_slot *table; /* NULL: none is named */
    uint8_t *ranks;              /* of named categories: the most frequent in the baseline is 0 */
};

/* Slots only ever join behind the count, which readers load first. */
struct model_table {
    bool adding;  /* both by the compiler's atomic operations: models join from any thread */
    size_t count;
    struct sketch_model of[];
};

struct sketch_shape {
    struct sketch_shape_options options;
    struct sketch_column *columns; /* by feature, then the score */
    column_binning *bin;
    float *edges, *pivots;
    int64_t *expected;    /* columns x options.bins: the baseline's counts */
    size_t feature_stride, model_stride; /* in counts */
    size_t latencies_at, fallbacks_at, rejects_at, entities_at, contributions_at, models_at;
    size_t counts;        /* of a cell */
    struct segment_shape *segments;
    uint64_t fingerprint;
    size_t models_max;
    struct model_table *models; /* the one thing that still grows */
};

/* Rows as they came, of events that are not all of one batch. */
struct raw_rows {
    size_t count;
    int64_t offsets[BIN_RUN_MAX];
    uint64_t ids[BIN_RUN_MAX]; /* hashes */
    float rows[];              /* BIN_RUN_MAX x features */
};
size_t sketch_raw_bytes(const struct sketch_shape *shape);
/* named: those that the stream has named so far, or NULL. */
void sketch_cell_add_row(const struct sketch_shape *shape, struct sketch_cell *cell, const struct sketch_event *event, struct smallest_ranks *named);
void sketch_cell_bin_rows(const struct sketch_shape *shape, struct sketch_cell *cell, struct smallest_ranks *named); /* then none is raw */
/* Names far values of column f: x[i] is that of raw row i. */
void sketch_name_far(const struct sketch_shape *shape, struct sketch_cell *cell, size_t f, const float *x, struct smallest_ranks *named);
void sketch_cell_add_fields(const struct sketch_shape *shape, struct sketch_cell *cell, const struct value *values, int64_t time_ms);
void sketch_cell_add_segments(const struct sketch_shape *shape, struct sketch_cell *cell, const struct value *values);
void sketch_cell_add_schema(const struct sketch_shape *shape, struct sketch_cell *cell, int32_t schema_id);
void sketch_cell_add_score(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, float score, enum decision decision);
struct sketch_model_counts *sketch_cell_model(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m);
uint64_t sketch_value_hash(const struct value *value);
void sketch_value_spell(struct sketch_value *named, const struct value *value); /* as text */
size_t sketch_category_of(const struct segment_shape *segment, uint64_t hash);  /* the last one: not named */
size_t score_log_bin(float score);
size_t score_equal_bin(float score);
