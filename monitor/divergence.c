#include "monitor/divergence.h"

#include <assert.h>
#include <math.h>

static double smoothed_total(const int64_t *counts, size_t bins)
{
    double sum = (double)bins;
    for (size_t i = 0; i < bins; i++)
        sum += (double)counts[i];
    return sum;
}

/* The two shares of bin i. */
struct pair {
    double a, b;
};

struct shares {
    const int64_t *observed, *expected;
    double n, m;
};

static struct shares shares_of(const int64_t *observed, const int64_t *expected, size_t bins)
{
    assert(bins > 0);
    return (struct shares){observed, expected, smoothed_total(observed, bins), smoothed_total(expected, bins)};
}

static struct pair pair_at(const struct shares *s, size_t i)
{
    return (struct pair){((double)s->observed[i] + 1) / s->n, ((double)s->expected[i] + 1) / s->m};
}

double divergence_kl(const int64_t *observed, const int64_t *expected, size_t bins)
{
    struct shares shares = shares_of(observed, expected, bins);
    double sum = 0;
    for (size_t i = 0; i < bins; i++) {
        struct pair p = pair_at(&shares, i);
        sum += p.a * log(p.a / p.b);
    }
    return sum > 0 ? sum : 0; /* never below but by rounding */
}

double divergence_js(const int64_t *observed, const int64_t *expected, size_t bins)
{
    struct shares shares = shares_of(observed, expected, bins);
    double sum = 0;
    for (size_t i = 0; i < bins; i++) {
        struct pair p = pair_at(&shares, i);
        double c = (p.a + p.b) / 2;
        sum += p.a * log2(p.a / c) + p.b * log2(p.b / c);
    }
    return sum > 0 ? sum / 2 : 0;
}

double divergence_cohen_w(const int64_t *observed, const int64_t *expected, size_t bins)
{
    struct shares shares = shares_of(observed, expected, bins);
    double sum = 0;
    for (size_t i = 0; i < bins; i++) {
        struct pair p = pair_at(&shares, i);
        sum += (p.a - p.b) * (p.a - p.b) / p.b;
    }
    return sqrt(sum);
}

double divergence_cohen_h(int64_t a, int64_t of_n, int64_t b, int64_t of_m)
{
    assert(a >= 0 && a <= of_n && b >= 0 && b <= of_m);
    if (!of_n || !of_m)
        return NAN;
    return 2 * asin(sqrt((double)a / (double)of_n)) - 2 * asin(sqrt((double)b / (double)of_m));
}
