/* Kolmogorov and Smirnov's two-sample test, from binned counts.
 *
 *   D = max over the edges e of |F_n(e) - F_m(e)|
 *
 * F are the two empirical distribution functions, of which a histogram tells the values at its edges and no others.
 * Between two edges F_n - F_m cannot rise by more than the bin's share of n, nor fall by more than that of m, so the
 * D of the values themselves lies in [D, D + error_bound]:
 *
 *   error_bound = max over the bins of min(n_i / N, m_i / M)
 *
 * which is at most 1/240 (+ 1/M) for 240 quantile bins of a baseline without ties.  Where a value repeats the bin holds
 * more and the bound is wider; D is exact all the same where every value of both lies on an edge.
 *
 * p = Q(sqrt(N M / (N + M)) D),  Q(x) = 2 sum (-1)^(k-1) exp(-2 k^2 x^2)  for large x,
 *                                     = 1 - sqrt(2 pi) / x  sum exp(-(2k-1)^2 pi^2 / (8 x^2))  for small x
 *
 * the limit distribution (Kolmogorov 1933; Smirnov, Table for Estimating the Goodness of Fit of Empirical
 * Distributions, 1948; both series: Marsaglia, Tsang and Wang, Evaluating Kolmogorov's Distribution, 2003).  With
 * D too small rather than too large, and with ties, p errs to the side of no drift. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct kolmogorov {
    double d, error_bound;
    double p_value;
};
/* All NaN where either side is empty. */
struct kolmogorov kolmogorov_test(const int64_t *observed, const int64_t *expected, size_t bins);
/* P(K > x) of the limit distribution. */
double kolmogorov_survival(double x);
