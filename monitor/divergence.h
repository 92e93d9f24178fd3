/* How far two histograms over the same bins lie apart.
 *
 * All three are over shares with one added to each bin (Laplace), so that an empty bin keeps them finite:
 *
 *   a_i = (n_i + 1) / (N + B),   b_i = (m_i + 1) / (M + B)
 *
 * n_i of N observed, m_i of M expected (the baseline), B bins.  PSI, which is KL both ways, stands in drift.h.
 *
 *   KL(a || b) = sum a_i ln(a_i / b_i), in nats: Kullback and Leibler, On Information and Sufficiency, 1951
 *   JS(a, b)   = KL(a || c) / 2 + KL(b || c) / 2, c = (a + b) / 2, to base 2, so in [0, 1]: Lin, Divergence Measures
 *                Based on the Shannon Entropy, 1991 (the divergence; the distance is its square root)
 *   w(a, b)    = sqrt(sum (a_i - b_i)^2 / b_i): Cohen's effect size, Statistical Power Analysis for the Behavioral
 *                Sciences, 1988, chapter 7: 0.1 small, 0.3 medium, 0.5 large */
#pragma once
#include <stddef.h>
#include <stdint.h>

double divergence_kl(const int64_t *observed, const int64_t *expected, size_t bins);
double divergence_js(const int64_t *observed, const int64_t *expected, size_t bins);
double divergence_cohen_w(const int64_t *observed, const int64_t *expected, size_t bins);
/* Two shares a of N and b of M: h = 2 asin sqrt(a) - 2 asin sqrt(b), unsmoothed; 0.2 small, 0.5 medium, 0.8 large (Cohen
 * 1988, chapter 6).  NaN where N or M is 0. */
double divergence_cohen_h(int64_t a, int64_t of_n, int64_t b, int64_t of_m);
