/* Going down trees node by node, several side by side so that the waits for memory overlap. */
#pragma once
#include "scoring/forest_program.h"

/* One tree too large for a program, for the rows of a block. */
void walk_block(const struct forest *f, const struct walk_tree *tree, const int8_t *columns, size_t n, float *sums);
/* All trees for a row whose columns lie side by side. */
void walk_rows(const struct forest *f, const int8_t *columns, size_t n, float *sums);
