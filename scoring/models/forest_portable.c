/* The path of any machine: 16 rows a comparison by the compiler's own vectors. */
#include <string.h>

#if defined __SSE2__
#include <immintrin.h>
#endif

#include "scoring/models/forest_program.h"
#include "scoring/models/forest_walk.h"

/* Two registers, so that a threshold is spread once for both. */
enum { HALF = 16, LANES = 2 * HALF, PIECES_ALWAYS = 0, FEW = 8, QUARTER = 4 };
_Static_assert(CUT_FANOUT == 4 * QUARTER, "a block of cuts is four registers");
typedef uint8_t numbers __attribute__((vector_size(HALF)));
typedef int8_t rank_lanes __attribute__((vector_size(HALF)));
typedef uint32_t words __attribute__((vector_size(HALF)));
typedef float quarter __attribute__((vector_size(HALF)));
typedef int32_t quarter_mask __attribute__((vector_size(HALF)));
typedef struct {
    numbers low, high;
} lanes;

static inline lanes lanes_splat(uint8_t byte)
{
    return (lanes){(numbers){0} + byte, (numbers){0} + byte};
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return (lanes){a.low + b.low, a.high + b.high};
}

/* All bits set where the row goes left. */
static inline numbers goes_left(const struct block_node *node, const int8_t *x)
{
    rank_lanes value, threshold = (rank_lanes)((words){0} + node->threshold);
    memcpy(&value, x + node->column_offset, sizeof value);
    return (numbers)(value < threshold);
}

static inline numbers larger(numbers a, numbers b)
{
#if defined __SSE2__
    return (numbers)_mm_max_epu8((__m128i)a, (__m128i)b);
#else
    return b ^ ((a ^ b) & (numbers)(a > b));
#endif
}

static inline lanes lanes_pair(const struct block_node *node, const int8_t *x, int k)
{
    numbers right = (numbers){0} + (uint8_t)(2 * k + 1);
    return (lanes){right + goes_left(node, x), right + goes_left(node, x + HALF)};
}

/* A leaf on the right has the larger number. */
static inline lanes lanes_join(const struct block_node *node, const int8_t *x, lanes left, lanes right)
{
    return (lanes){larger(left.low, right.low & ~goes_left(node, x)), larger(left.high, right.high & ~goes_left(node, x + HALF))};
}

static inline void add_leaves(float *sums, lanes leaf_numbers, const float *leaves, unsigned depth)
{
    (void)depth;
    uint8_t at[LANES];
    memcpy(at, &leaf_numbers, sizeof at);
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++)
        sums[i] += leaves[at[i]];
}

/* How many of the 16 are at or below x; a NaN is not. */
static inline uint32_t count_below(const float *block, float x)
{
    quarter part[CUT_FANOUT / QUARTER], value = (quarter){0} + x;
    memcpy(part, block, sizeof part);
    quarter_mask below = (part[0] <= value) + (part[1] <= value) + (part[2] <= value) + (part[3] <= value);
    return (uint32_t) - (below[0] + below[1] + below[2] + below[3]);
}

/* Down the search tree, a row after the other: each step looks at 16 cuts at once. */
static inline void descend(const float *cuts, const struct feature_cuts *used, const float *x, size_t n, uint32_t *ranks)
{
    for (size_t r = 0; r < n; r++) {
        uint32_t rank = 0;
        for (uint32_t l = 0; l < used->levels; l++)
            rank = CUT_FANOUT * rank + count_below(cuts + used->level[l] + CUT_FANOUT * rank, x[r]);
        ranks[r] = rank;
    }
}

/* Halving without branches: all rows take each step together. */
static inline void halve(const float *cuts, const struct feature_cuts *used, const float *x, size_t n, uint32_t *ranks)
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

static inline void find_ranks(const float *cuts, const struct feature_cuts *used, const float *x, size_t n, uint32_t *ranks)
{
    if (n <= FEW)
        descend(cuts, used, x, n, ranks);
    else
        halve(cuts, used, x, n, ranks);
}

static inline void store_ranks(const uint32_t *ranks, uint32_t first_cut, int8_t *to)
{
    for (size_t r = 0; r < GROUP_ROWS; r++)
        to[r] = rank_byte(ranks[r], first_cut);
}

#include "scoring/models/forest_kernel.h"

const struct forest_engine forest_portable = {.rank_block = rank_block, .score_block = score_block, .rank_few = rank_few, .score_few = walk_rows, .few = FEW};
