/* The bins of a run of values of one column: what a transaction costs monitoring is mostly this.
 *
 * The bin of x is the number of edges below x.  There are two paths with the same results, chosen by the machine: with
 * AVX-512 a value is compared with 16 pivots at once, then with the 16 edges of its block (a column of few edges is done
 * 16 values at once, edge by edge); elsewhere eight binary searches go side by side, without a branch.
 * Cost: about one nanosecond a value there, three here. */
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
    float *edges;  /* span - 1 of them are looked at */
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
column_binning column_bin_avx512;
#endif
column_binning *column_binning_here(void); /* the fastest that this machine has */
/* The terms of a tally's sum. */
__int128 column_fixed_point(float x);

/* The bin of one x, no NaN.  (+infinity is below no edge but the padding.) */
static inline size_t sketch_bin(const struct sketch_column *column, float x)
{
    const float *edges = column->edges;
    size_t bin = 0;
    for (size_t step = column->span / 2; step; step /= 2)
        bin += edges[bin + step - 1] < x ? step : 0;
    return bin;
}
