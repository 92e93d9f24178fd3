/* p-values of many tests at once: Benjamini and Hochberg's correction.
 *
 *   adjusted_(i) = min over j >= i of  p_(j) n / j,  at most 1;  p_(1) <= ... <= p_(n)
 *
 * Rejecting where adjusted <= alpha keeps the expected share of false rejections at or below alpha (Benjamini and
 * Hochberg, Controlling the False Discovery Rate, 1995; the adjusted values: Yekutieli and Benjamini 1999).  O(n log n). */
#pragma once
#include <stddef.h>

/* In place.  NaN is no test: it stays, and does not count. */
void false_discovery_adjust(double *p_values, size_t n);
