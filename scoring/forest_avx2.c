/* The path of machines with AVX2: 32 rows a comparison. */
#if defined __x86_64__
#include <immintrin.h>

#include "scoring/forest_program.h"
#include "scoring/forest_walk.h"

#pragma GCC push_options
#pragma GCC target("avx2,popcnt")

enum { LANES = 32 };
typedef __m256i lanes;

static inline lanes lanes_splat(uint8_t byte)
{
    return _mm256_set1_epi8((char)byte);
}

/* All bits set where the row goes left. */
static inline lanes goes_left(const struct block_node *node, const int8_t *x)
{
    lanes value = _mm256_loadu_si256((const __m256i *)(const void *)(x + node->column_offset));
    return _mm256_cmpgt_epi8(_mm256_set1_epi32((int)node->threshold), value);
}

static inline lanes lanes_pair(const struct block_node *node, const int8_t *x, int k)
{
    return _mm256_add_epi8(lanes_splat((uint8_t)(2 * k + 1)), goes_left(node, x));
}

static inline lanes lanes_join(const struct block_node *node, const int8_t *x, lanes left, lanes right)
{
    return _mm256_blendv_epi8(right, left, goes_left(node, x));
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_epi8(a, b);
}

static inline void add_leaves(float *sums, lanes numbers, const float *leaves, unsigned depth)
{
    (void)depth;
    _Alignas(LANES) uint8_t at[LANES];
    _mm256_store_si256((__m256i *)(void *)at, numbers);
    for (size_t i = 0; i < LANES; i += 8) {
        __m256i index = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(at + i)));
        _mm256_storeu_ps(sums + i, _mm256_add_ps(_mm256_loadu_ps(sums + i), _mm256_i32gather_ps(leaves, index, 4)));
    }
}

/* Down the search tree: the cuts at or below x in a block of 16 say which block is next. */
static inline void find_ranks(const float *cuts, const struct feature_cuts *used, const float *x, size_t n, uint32_t *ranks)
{
    for (size_t r = 0; r < n; r++) {
        __m256 value = _mm256_set1_ps(x[r]);
        uint32_t rank = 0;
        for (uint32_t l = 0; l < used->levels; l++) {
            const float *block = cuts + used->level[l] + CUT_FANOUT * rank;
            int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(block), value, _CMP_LE_OQ));
            int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(block + 8), value, _CMP_LE_OQ));
            rank = CUT_FANOUT * rank + (uint32_t)__builtin_popcount((unsigned)(low | high << 8));
        }
        ranks[r] = rank;
    }
}

#include "scoring/forest_kernel.h"

const struct forest_engine forest_avx2 = {.rank = rank_rows, .score_block = score_block, .score_few = walk_rows, .few = 8};

#pragma GCC pop_options
#endif
