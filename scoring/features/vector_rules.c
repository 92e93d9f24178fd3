#include "scoring/features/vector_rules.h"

size_t vector_missing(const float *row, size_t columns)
{
    unsigned missing = 0;
    for (size_t i = 0; i < columns; i++)
        missing += row[i] != row[i];
    return missing;
}

bool vector_outside(const float *row, size_t columns, const float *least, const float *greatest, int64_t *counts)
{
    unsigned outside = 0;
    for (size_t i = 0; i < columns; i++)
        outside += (row[i] < least[i]) | (row[i] > greatest[i]);
    if (!outside)
        return false;
    for (size_t i = 0; i < columns; i++)
        counts[i] += row[i] < least[i] || row[i] > greatest[i];
    return true;
}
