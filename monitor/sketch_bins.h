/* The bins of a run of values of one column: what a transaction costs monitoring is mostly this.
 *
 * The bin of x is the number of edges below x: a value is compared with 16 pivots, then with the 16 edges of its block,
 * without a branch.  There are three paths with the same results, chosen by the machine: with AVX-512 sixteen edges are one
 * comparison (and a column of few edges is done 16 values at once, edge by edge), with AVX2 eight, elsewhere four.
 * Cost: one to two nanoseconds a value, without them four. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/sketch.h"

enum {
    BIN_RUN_MAX = 64,  /* values at once: their sum fits 64 bits */
    BIN_NONE = 255,    /* a missing value; or the column has no bins */
    PIVOTS = 16
};
_Static_assert((int)BASELINE_FINE <= (int)BIN_NONE, "a bin is a byte");

/* Edges of a column, padded with +infinity to a power of two, and to whole blocks of PIVOTS. */
struct sketch_column {
    size_t span;   /* a power of two; 1: no edge */
    float *edges;  /* this and pivots: on a boundary of 64 bytes */
    float *pivots; /* the last of each block of 16 edges */
    size_t bins;   /* 0: no bins */
    size_t coarse; /* bins of the 20, without ties */
    uint8_t coarse_of[BASELINE_FINE];
    float least, greatest;     /* the baseline's range */
    float far_below, far_above;
};

struct column_tally { /* of a run */
    int64_t missing, below, above, far;
    __int128 sum; /* fixed point, see sketch_cell.c */
};

typedef void column_binning(const struct sketch_column *column, const float *x, size_t n, uint8_t *bins, struct column_tally *tally);
column_binning column_bin_portable;
#if defined __x86_64__
column_binning column_bin_avx2, column_bin_avx512;
#endif
/* Those that this machine has, the fastest first; NULL: no more. */
column_binning *column_binning_here(size_t i);
/* The terms of a tally's sum. */
__int128 column_fixed_point(float x);

typedef float column_four __attribute__((vector_size(16))); /* the compiler's own: on every machine */
typedef int32_t column_four_int __attribute__((vector_size(16)));

/* How many of 16 edges are below x. */
static inline uint32_t edges_below(const float *edges, float x)
{
    const column_four *of = (const column_four *)(const void *)edges;
    column_four value = {x, x, x, x};
    column_four_int n = (of[0] < value) + (of[1] < value) + (of[2] < value) + (of[3] < value);
    return (uint32_t)-(n[0] + n[1] + n[2] + n[3]);
}

/* The bin of one x, no NaN.  (+infinity is below no edge but the padding, and the last pivot is padding.) */
static inline size_t sketch_bin(const struct sketch_column *column, float x)
{
    uint32_t block = column->span > PIVOTS ? PIVOTS * edges_below(column->pivots, x) : 0;
    return block + edges_below(column->edges + block, x);
}
