/* The path of any machine: 16 rows a comparison by the compiler's own vectors. */
#include <string.h>

#include "scoring/forest_program.h"
#include "scoring/forest_walk.h"

enum { LANES = 16 };
typedef uint8_t lanes __attribute__((vector_size(LANES)));
typedef int8_t rank_lanes __attribute__((vector_size(LANES)));
typedef uint32_t words __attribute__((vector_size(LANES)));

static inline lanes lanes_splat(uint8_t byte)
{
    return (lanes){0} + byte;
}

/* All bits set where the row goes left. */
static inline lanes goes_left(const struct block_node *node, const int8_t *x)
{
    rank_lanes value, threshold = (rank_lanes)((words){0} + node->threshold);
    memcpy(&value, x + node->column_offset, sizeof value);
    return (lanes)(value < threshold);
}

static inline lanes lanes_pair(const struct block_node *node, const int8_t *x, int k)
{
    return lanes_splat((uint8_t)(2 * k + 1)) + goes_left(node, x);
}

static inline lanes lanes_join(const struct block_node *node, const int8_t *x, lanes left, lanes right)
{
    return right ^ ((left ^ right) & goes_left(node, x));
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return a + b;
}

static inline void add_leaves(float *sums, lanes numbers, const float *leaves, unsigned depth)
{
    (void)depth;
    uint8_t at[LANES];
    memcpy(at, &numbers, sizeof at);
    for (size_t i = 0; i < LANES; i++)
        sums[i] += leaves[at[i]];
}

/* Halving without branches: all rows take each step together. */
static inline void find_ranks(const float *cuts, const struct feature_cuts *used, const float *x, size_t n, uint32_t *ranks)
{
    const float *all = cuts + used->level[used->levels - 1];
    for (size_t r = 0; r < n; r++)
        ranks[r] = 0;
    for (uint32_t left = used->count; left > 1; left -= left / 2)
        for (size_t r = 0; r < n; r++)
            ranks[r] += (left / 2) * (uint32_t)(all[ranks[r] + left / 2 - 1] <= x[r]);
    for (size_t r = 0; r < n; r++)
        ranks[r] += all[ranks[r]] <= x[r];
}

#include "scoring/forest_kernel.h"

const struct forest_engine forest_portable = {.rank = rank_rows, .score_block = score_block, .score_few = walk_rows, .few = 8};
