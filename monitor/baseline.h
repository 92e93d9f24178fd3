/* Reference statistics of a model's features and scores: what drift is measured against.
 *
 * A column's edges are its quantiles k/240, k = 1..239, each a value of the data: the ceil(k n / 240)-th smallest.
 * They cut the line into 240 fine bins (-inf, e1], (e1, e2] ... (e239, +inf); every 12th edge cuts it into 20
 * coarse bins, which are exact unions of 12 fine ones.
 *
 * Ties: a value that repeats makes neighbouring edges equal.  A bin between equal edges holds no value at all, so
 * it is no bin: baseline_cut leaves it out, and B in the statistics is the number of bins that are left (a column of
 * zeros and ones has 3: up to 0, up to 1, beyond).
 *
 * NaN is missing: counted, never binned.  An infinity (a double beyond float32) counts as the largest finite float
 * of its sign. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BASELINE_FINE = 240, BASELINE_COARSE = 20, BASELINE_EDGES = BASELINE_FINE - 1 };

struct baseline_column {
    char *name;      /* owned; "score" for the score */
    int64_t count;   /* values that are there: the sum of counts */
    int64_t missing;
    double min, max, mean, std;   /* population std; all 0 if count is 0 */
    float edges[BASELINE_EDGES];  /* ascending, ties repeated; all 0 if count is 0 */
    int64_t counts[BASELINE_FINE];
};

struct baseline {
    uint8_t feature_spec_sha256[32];
    char *model_id; /* whose scores; NULL: none */
    size_t count;   /* feature columns */
    struct baseline_column *features;
    bool has_score;
    struct baseline_column score;
};

/* From n rows (row-major, n x count) and their scores (NULL: none).  Texts are copied.  NULL if memory is short. */
struct baseline *baseline_create_from_rows(const char *const *names, size_t count, const float *rows, const float *scores,
                                           size_t n, const uint8_t feature_spec_sha256[32], const char *model_id);
/* An empty one with room for `count` columns, for whoever fills it (the file). */
struct baseline *baseline_create(size_t count);
void baseline_destroy(struct baseline *baseline);

/* A column in `bins` (20 or 240) bins without the empty ones that ties leave: edges[0..B-2] strictly ascending,
 * counts[0..B-1].  Returns B, at least 1.  Both arrays have room for `bins`. */
size_t baseline_cut(const struct baseline_column *column, size_t bins, float *edges, int64_t *counts);
