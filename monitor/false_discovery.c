#include "monitor/false_discovery.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static int largest_first(const void *a, const void *b)
{
    double x = **(double *const *)a, y = **(double *const *)b;
    return (x < y) - (x > y);
}

void false_discovery_adjust(double *p_values, size_t n)
{
    double **order = calloc(n + 1, sizeof *order);
    assert(order && "memory is short");
    size_t tests = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(p_values[i]))
            order[tests++] = &p_values[i];
    if (tests)
        qsort(order, tests, sizeof *order, largest_first);
    double least = 1;
    for (size_t i = 0; i < tests; i++) { /* the (tests - i)-th smallest */
        least = fmin(least, *order[i] * (double)tests / (double)(tests - i));
        *order[i] = least;
    }
    free(order);
}
