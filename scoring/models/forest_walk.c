#include "scoring/models/forest_walk.h"

/* WALK_ROWS rows from the root to their leaves. */
static inline void walk_together(const struct forest *f, const struct walk_tree *tree, const int8_t *x, size_t column_stride, size_t row_stride,
                                 uint32_t at[WALK_ROWS])
{
    for (size_t i = 0; i < WALK_ROWS; i++)
        at[i] = tree->root;
    for (uint32_t d = 0; d < tree->depth; d++)
#pragma GCC unroll 8
        for (size_t i = 0; i < WALK_ROWS; i++)
            at[i] = walk_step(&f->walk_nodes[at[i]], x + i * row_stride, column_stride);
}

static float walk_row(const struct forest *f, const int8_t *x, float sum)
{
    size_t t = 0;
    for (; t + WALK_ROWS <= f->tree_count; t += WALK_ROWS) {
        const struct walk_tree *trees = f->walks + t;
        uint32_t at[WALK_ROWS], depth = 0;
        for (size_t i = 0; i < WALK_ROWS; i++) {
            at[i] = trees[i].root;
            depth = trees[i].depth > depth ? trees[i].depth : depth;
        }
        for (uint32_t d = 0; d < depth; d++)
#pragma GCC unroll 8
            for (size_t i = 0; i < WALK_ROWS; i++)
                at[i] = walk_step(&f->walk_nodes[at[i]], x, 1);
        for (size_t i = 0; i < WALK_ROWS; i++)
            sum += f->walk_values[at[i]];
    }
    for (; t < f->tree_count; t++) {
        uint32_t at = f->walks[t].root;
        for (uint32_t d = 0; d < f->walks[t].depth; d++)
            at = walk_step(&f->walk_nodes[at], x, 1);
        sum += f->walk_values[at];
    }
    return sum;
}

/* From half of WALK_ROWS on a tree is for all rows at once, else a row for all trees. */
void walk_rows(const struct forest *f, const int8_t *columns, size_t n, float *sums)
{
    size_t r = 0;
    for (; r + WALK_ROWS / 2 < n; r += WALK_ROWS)
        for (size_t t = 0; t < f->tree_count; t++) {
            uint32_t at[WALK_ROWS];
            walk_together(f, &f->walks[t], columns + r * f->row_stride, 1, f->row_stride, at);
            for (size_t i = 0; i < WALK_ROWS && r + i < n; i++)
                sums[r + i] += f->walk_values[at[i]];
        }
    for (; r < n; r++)
        sums[r] = walk_row(f, columns + r * f->row_stride, sums[r]);
}
