#include "monitor/kolmogorov.h"

#include <assert.h>
#include <math.h>

#define PI 3.14159265358979323846

/* Where both series converge in a handful of terms. */
#define SERIES_MEET 0.9

static double survival_of_large(double x)
{
    double sum = 0;
    for (int k = 1; k <= 20; k++) {
        double term = exp(-2.0 * k * k * x * x);
        sum += k % 2 ? term : -term;
        if (term <= 1e-18 * sum)
            break;
    }
    return 2 * sum;
}

static double survival_of_small(double x)
{
    double sum = 0;
    for (int k = 1; k <= 39; k += 2)
        sum += exp(-(double)k * k * PI * PI / (8 * x * x));
    return 1 - sqrt(2 * PI) / x * sum;
}

double kolmogorov_survival(double x)
{
    if (isnan(x))
        return NAN;
    if (x < 0.04) /* 1 to the last bit, long before the terms are too small for a double */
        return 1;
    double p = x < SERIES_MEET ? survival_of_small(x) : survival_of_large(x);
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

static double total(const int64_t *counts, size_t bins)
{
    int64_t sum = 0;
    for (size_t i = 0; i < bins; i++)
        sum += counts[i];
    return (double)sum;
}

struct kolmogorov kolmogorov_test(const int64_t *observed, const int64_t *expected, size_t bins)
{
    double n = total(observed, bins), m = total(expected, bins);
    if (n == 0 || m == 0)
        return (struct kolmogorov){NAN, NAN, NAN};
    struct kolmogorov test = {0};
    int64_t below_n = 0, below_m = 0;
    for (size_t i = 0; i < bins; i++) {
        assert(observed[i] >= 0 && expected[i] >= 0);
        below_n += observed[i];
        below_m += expected[i];
        test.d = fmax(test.d, fabs((double)below_n / n - (double)below_m / m));
        test.error_bound = fmax(test.error_bound, fmin((double)observed[i] / n, (double)expected[i] / m));
    }
    test.p_value = kolmogorov_survival(sqrt(n / (n + m) * m) * test.d);
    return test;
}
