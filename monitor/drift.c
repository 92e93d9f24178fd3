#include "monitor/drift.h"

#include <assert.h>
#include <math.h>

static int64_t total(const int64_t *counts, size_t bins)
{
    int64_t sum = 0;
    for (size_t i = 0; i < bins; i++)
        sum += counts[i];
    return sum;
}

double drift_psi(const int64_t *observed, const int64_t *expected, size_t bins)
{
    assert(bins > 0);
    double n = (double)total(observed, bins) + (double)bins;
    double m = (double)total(expected, bins) + (double)bins;
    double psi = 0;
    for (size_t i = 0; i < bins; i++) {
        double a = ((double)observed[i] + 1) / n;
        double b = ((double)expected[i] + 1) / m;
        psi += (a - b) * log(a / b);
    }
    return psi;
}

double drift_psi_by_chance(int64_t n, int64_t m, size_t bins)
{
    assert(n > 0 && m > 0 && bins > 0);
    return (double)(bins - 1) * (1 / (double)n + 1 / (double)m);
}
