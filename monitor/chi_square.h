/* Pearson's chi-square of homogeneity: are two rows of category counts drawn from one distribution?
 *
 *   X2 = sum over both rows and the categories of (count - e)^2 / e,   e = row total x category total / N + M
 *
 * (Pearson 1900; Cramer, Mathematical Methods of Statistics, 1946, section 30.6).  The baseline is a sample too, so it
 * is a row of the table and not a given distribution.  Categories that neither row has are left out; the degrees of
 * freedom are those that are left, less one.  No continuity correction.
 *
 *   p = Q(df / 2, X2 / 2),  the regularised upper incomplete gamma function: its series below a + 1, its continued
 * fraction above (Abramowitz and Stegun 6.5.29 and 6.5.31; Lentz's method as in Press et al., Numerical Recipes,
 * 6.2).  Where both are slow (a large, x near a) the sum has O(sqrt(a)) terms. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct chi_square {
    double value;
    size_t degrees; /* of freedom; 0: nothing to compare, then value is 0 and p 1 */
    double p_value;
};
/* All NaN where either row is empty. */
struct chi_square chi_square_test(const int64_t *observed, const int64_t *expected, size_t categories);
/* P(X2 > x) with that many degrees of freedom (at least 1). */
double chi_square_survival(double x, double degrees);
/* Q(a, x), a > 0, x >= 0. */
double gamma_upper(double a, double x);
