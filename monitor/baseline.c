/* Reference statistics: quantile edges and the counts between them.
 *
 * A column is sorted once; edge k is read off at rank ceil(k n / 240), counts by one walk along the sorted values.
 * Invariant: a value lies in the bin of the first edge that is not below it, so counts between equal edges are 0.
 * Cost: O(n log n) a column, 4 n bytes besides the rows. */
#include "monitor/baseline.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct baseline *baseline_create(size_t count)
{
    struct baseline *baseline = calloc(1, sizeof *baseline);
    if (!baseline)
        return NULL;
    baseline->count = count;
    baseline->features = calloc(count ? count : 1, sizeof *baseline->features);
    if (!baseline->features) {
        baseline_destroy(baseline);
        return NULL;
    }
    return baseline;
}

void baseline_destroy(struct baseline *baseline)
{
    if (!baseline)
        return;
    for (size_t i = 0; baseline->features && i < baseline->count; i++)
        free(baseline->features[i].name);
    free(baseline->features);
    free(baseline->score.name);
    free(baseline->model_id);
    free(baseline);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void column_moments(struct baseline_column *column, const float *sorted, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)sorted[i];
    column->mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = (double)sorted[i] - column->mean;
        squares += d * d;
    }
    column->std = sqrt(squares / (double)n);
    column->min = (double)sorted[0];
    column->max = (double)sorted[n - 1];
}

static void column_bins(struct baseline_column *column, const float *sorted, size_t n)
{
    for (size_t k = 1; k <= BASELINE_EDGES; k++)
        column->edges[k - 1] = sorted[(k * n + BASELINE_FINE - 1) / BASELINE_FINE - 1];
    size_t bin = 0;
    for (size_t i = 0; i < n; i++) {
        while (bin < BASELINE_EDGES && column->edges[bin] < sorted[i])
            bin++;
        column->counts[bin]++;
    }
}

/* `values` has room for n floats and is used up. */
static int column_fill(struct baseline_column *column, const char *name, const float *first, size_t stride, size_t n, float *values)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        float x = first[i * stride];
        if (!isnan(x))
            values[count++] = x > FLT_MAX ? FLT_MAX : x < -FLT_MAX ? -FLT_MAX : x == 0 ? 0 : x; /* one zero */
    }
    column->count = (int64_t)count;
    column->missing = (int64_t)(n - count);
    if (count) {
        qsort(values, count, sizeof *values, compare_floats);
        column_moments(column, values, count);
        column_bins(column, values, count);
    }
    column->name = strdup(name);
    return column->name ? 0 : -1;
}

struct baseline *baseline_create_from_rows(const char *const *names, size_t count, const float *rows, const float *scores,
                                           size_t n, const uint8_t feature_spec_sha256[32], const char *model_id)
{
    struct baseline *baseline = baseline_create(count);
    float *values = calloc(n ? n : 1, sizeof *values);
    int short_of_memory = !baseline || !values;
    for (size_t f = 0; !short_of_memory && f < count; f++)
        short_of_memory = column_fill(&baseline->features[f], names[f], rows + f, count, n, values);
    if (!short_of_memory && scores) {
        baseline->has_score = true;
        short_of_memory = column_fill(&baseline->score, "score", scores, 1, n, values);
    }
    if (!short_of_memory && model_id)
        short_of_memory = !(baseline->model_id = strdup(model_id));
    free(values);
    if (short_of_memory) {
        baseline_destroy(baseline);
        return NULL;
    }
    memcpy(baseline->feature_spec_sha256, feature_spec_sha256, 32);
    return baseline;
}

size_t baseline_cut(const struct baseline_column *column, size_t bins, float *edges, int64_t *counts)
{
    assert(bins == BASELINE_COARSE || bins == BASELINE_FINE);
    size_t step = BASELINE_FINE / bins, b = 0;
    int64_t sum = 0;
    for (size_t i = 0; i < BASELINE_FINE; i++) {
        sum += column->counts[i];
        bool last = i == BASELINE_FINE - 1;
        bool edge = column->count > 0 && (i + 1) % step == 0 && !last && (b == 0 || edges[b - 1] < column->edges[i]);
        if (edge)
            edges[b] = column->edges[i];
        if (edge || last) {
            counts[b++] = sum;
            sum = 0;
        }
    }
    return b;
}
