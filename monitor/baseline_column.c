/* One column's statistics.
 *
 * The values are sorted once; edge k is read off at rank ceil(k n / 240), the bins are then counted value by value, with the
 * hour of each.  Invariant: a value lies in the bin of the first edge that is not below it, so counts between equal
 * edges are 0.  Cost: O(n log n). */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/baseline_parts.h"

int baseline_hours_init(struct baseline_hours *hours, size_t bins)
{
    hours->bins = bins;
    hours->counts = calloc(BASELINE_HOURS * bins, sizeof *hours->counts);
    return hours->counts ? 0 : -1;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void moments(struct baseline_column *column, const float *sorted, size_t n)
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

static void quantiles(struct baseline_column *column, const float *sorted, size_t n)
{
    for (size_t k = 1; k <= BASELINE_EDGES; k++)
        column->edges[k - 1] = sorted[(k * n + BASELINE_FINE - 1) / BASELINE_FINE - 1];
}

/* The number of edges below x. */
static size_t bin_of(const float *edges, size_t count, float x)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (edges[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static float held(float x) /* an infinity is the largest float, and there is one zero */
{
    return x > FLT_MAX ? FLT_MAX : x < -FLT_MAX ? -FLT_MAX : x == 0 ? 0 : x;
}

static void count_values(struct baseline_column *column, const struct column_values *from)
{
    float equal[BASELINE_EQUAL - 1];
    baseline_equal_edges(column, equal);
    for (size_t i = 0; i < from->n; i++) {
        size_t hour = column->hours.counts ? from->hours[i] : 0;
        if (isnan(from->values[i])) {
            if (column->hours.counts)
                column->missing_hours.counts[hour]++;
            continue;
        }
        float x = held(from->values[i]);
        size_t fine = bin_of(column->edges, BASELINE_EDGES, x), wide = bin_of(equal, BASELINE_EQUAL - 1, x);
        column->counts[fine]++;
        column->equal[wide]++;
        if (column->hours.counts) {
            column->hours.counts[hour * BASELINE_FINE + fine]++;
            column->equal_hours.counts[hour * BASELINE_EQUAL + wide]++;
        }
    }
}

int baseline_column_fill(struct baseline_column *column, const char *name, const struct column_values *from)
{
    size_t count = 0;
    for (size_t i = 0; i < from->n; i++)
        if (!isnan(from->values[i]))
            from->room[count++] = held(from->values[i]);
    column->count = (int64_t)count;
    column->missing = (int64_t)(from->n - count);
    if (count) {
        qsort(from->room, count, sizeof *from->room, compare_floats);
        moments(column, from->room, count);
        quantiles(column, from->room, count);
    }
    if (from->hours && (baseline_hours_init(&column->hours, BASELINE_FINE) < 0 || baseline_hours_init(&column->equal_hours, BASELINE_EQUAL) < 0 ||
                        baseline_hours_init(&column->missing_hours, 1) < 0))
        return -1;
    count_values(column, from);
    column->name = strdup(name);
    return column->name ? 0 : -1;
}
