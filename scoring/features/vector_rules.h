/* What makes a vector one that a score should be trusted less on: too many missing values, values outside their range. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t vector_missing(const float *row, size_t columns);

/* Adds one to counts[column] of each value below its least or above its greatest (inclusive; a missing one is neither).
 * Returns whether there was one. */
bool vector_outside(const float *row, size_t columns, const float *least, const float *greatest, int64_t *counts);
