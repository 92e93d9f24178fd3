/* The layout of a cell's arrays and the edges that it bins by: for sketch_cell.c and sketch.c alone. */
#pragma once
#include "monitor/sketch.h"

struct sketch_shape {
    struct sketch_shape_options options;
    size_t span;          /* edges a column: a power of two, padded with +infinity, so that the search has no branch */
    float *edges;         /* columns x span; the last column is the score */
    size_t *bin_counts;   /* by column; 0: no bins */
    int64_t *expected;    /* columns x options.bins: the baseline's counts */
    float *least, *greatest; /* by feature: the baseline's range */
    size_t feature_stride, model_stride; /* in counts */
    size_t counts;        /* of a cell */
};

/* The bin of x, no NaN, in a column: the number of edges below x.  (+infinity is below no edge but the padding.) */
static inline size_t sketch_bin(const struct sketch_shape *shape, size_t column, float x)
{
    const float *edges = shape->edges + column * shape->span;
    size_t bin = 0;
    for (size_t step = shape->span / 2; step; step /= 2)
        bin += edges[bin + step - 1] < x ? step : 0;
    return bin;
}

void sketch_cell_clear(const struct sketch_shape *shape, struct sketch_cell *cell); /* all but partition and window */
void sketch_cell_add_row(const struct sketch_shape *shape, struct sketch_cell *cell, const float *row);
void sketch_cell_add_fields(const struct sketch_shape *shape, struct sketch_cell *cell, const struct value *values, int64_t time_ms);
void sketch_cell_add_score(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, float score, enum decision decision);
struct sketch_model_counts *sketch_cell_model(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m);
