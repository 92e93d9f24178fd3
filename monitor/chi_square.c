#include "monitor/chi_square.h"

#include <assert.h>
#include <float.h>
#include <math.h>

#define PI 3.14159265358979323846

/* ln Gamma(a) - ((a - 1/2) ln a - a + ln sqrt(2 pi)), a >= 10: Stirling's series, Abramowitz and Stegun 6.1.41. */
static double stirling_rest(double a)
{
    double r = 1 / (a * a);
    return (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r * (1.0 / 1188 - r * 691.0 / 360360))))) / a;
}

/* x^a e^-x / Gamma(a).  For large a the three are about e^(a ln a) each, so they are not formed: with u = x/a - 1 it is
 * sqrt(a / 2 pi) exp(-a (u - ln(1 + u)) - rest). */
static double gamma_density(double a, double x)
{
    if (a < 10) {
        int sign;
        return exp(a * log(x) - x - lgamma_r(a, &sign));
    }
    double u = (x - a) / a;
    return sqrt(a / (2 * PI)) * exp(-a * (u - log1p(u)) - stirling_rest(a));
}

/* P(a, x) = density sum x^n / (a (a+1) .. (a+n)) */
static double lower_by_series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (double n = a + 1; term > sum * (DBL_EPSILON / 8); n++)
        sum += term *= x / n;
    return gamma_density(a, x) * sum;
}

/* Q(a, x) = density / (x + 1 - a - 1 (1-a) / (x + 3 - a - 2 (2-a) / (x + 5 - a - ...))) */
static double upper_by_fraction(double a, double x)
{
    const double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (double i = 1;; i++) {
        double numerator = -i * (i - a);
        b += 2;
        d = numerator * d + b;
        c = b + numerator / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= c * d;
        if (fabs(c * d - 1) < DBL_EPSILON || i > 1e7) /* at most a few sqrt(a): the second is for arguments beyond all use */
            return gamma_density(a, x) * h;
    }
}

double gamma_upper(double a, double x)
{
    assert(a > 0 && x >= 0);
    if (x == 0)
        return 1;
    if (isinf(x))
        return 0;
    double q = x < a + 1 ? 1 - lower_by_series(a, x) : upper_by_fraction(a, x);
    return q < 0 ? 0 : q > 1 ? 1 : q;
}

double chi_square_survival(double x, double degrees)
{
    return gamma_upper(degrees / 2, x / 2);
}

static int64_t total(const int64_t *counts, size_t categories)
{
    int64_t sum = 0;
    for (size_t i = 0; i < categories; i++) {
        assert(counts[i] >= 0);
        sum += counts[i];
    }
    return sum;
}

/* Of one category both terms are the same but for the row total: (n M - m N)^2 / (N M (n + m)), n and m its counts; the
 * difference is exact, 128 bits. */
struct chi_square chi_square_test(const int64_t *observed, const int64_t *expected, size_t categories)
{
    int64_t n = total(observed, categories), m = total(expected, categories);
    if (!n || !m)
        return (struct chi_square){NAN, 0, NAN};
    size_t used = 0;
    double sum = 0;
    for (size_t i = 0; i < categories; i++) {
        int64_t both = observed[i] + expected[i];
        if (!both)
            continue;
        double difference = (double)((__int128)observed[i] * m - (__int128)expected[i] * n);
        sum += difference / (double)n * (difference / (double)m) / (double)both;
        used++;
    }
    if (used < 2)
        return (struct chi_square){0, 0, 1};
    return (struct chi_square){sum, used - 1, chi_square_survival(sum, (double)(used - 1))};
}
