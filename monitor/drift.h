/* Drift of binned values: the population stability index.
 *
 *   PSI = sum over bins (a_i - b_i) ln(a_i / b_i),   a_i = (n_i + 1) / (N + B),   b_i = (m_i + 1) / (M + B)
 *
 * n_i of N observed, m_i of M expected (the baseline), B bins.  It is the symmetrised Kullback-Leibler divergence
 * (Jeffreys 1946); the name and the limits 0.1 and 0.2 are credit scoring's (Siddiqi, Credit Risk Scorecards, 2006;
 * Yurdakul, Statistical Properties of Population Stability Index, 2018).  The +1 a bin (Laplace) keeps empty bins
 * finite.
 *
 * Without any drift PSI (Yurdakul, there) is about (1/N + 1/M) times a chi-square of B - 1 degrees of freedom: at 20 bins its mean is
 * 19/N and its deviation 6.2/N.  Below DRIFT_SAMPLES_MIN values on either side the limit of 0.1 would be crossed by
 * chance, so such a value is published but not judged; at 500 against a large baseline 0.1 is five deviations above the
 * mean. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum severity { SEVERITY_OK, SEVERITY_WARNING, SEVERITY_CRITICAL };
enum { DRIFT_SAMPLES_MIN = 500 };
#define DRIFT_PSI_WARNING 0.1
#define DRIFT_PSI_CRITICAL 0.2

double drift_psi(const int64_t *observed, const int64_t *expected, size_t bins);
/* Its mean where nothing has drifted: (bins - 1) (1/n + 1/m).  What is judged is the rest, so that a window of the night
 * with 700 events is held to the same drift as one of the day with 70,000. */
double drift_psi_by_chance(int64_t n, int64_t m, size_t bins);
