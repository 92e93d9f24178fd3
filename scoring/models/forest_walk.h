/* Going down trees node by node, several side by side so that the waits for memory overlap. */
#pragma once
#include "scoring/models/forest_program.h"

/* The node below; a leaf leads back to itself. */
static inline __attribute__((always_inline)) uint32_t walk_step(const struct walk_node *node, const int8_t *x, size_t column_stride)
{
    return node->left + !(x[node->column * column_stride] < node->threshold);
}

/* All trees for a row whose columns lie side by side. */
void walk_rows(const struct forest *f, const int8_t *columns, size_t n, float *sums);
