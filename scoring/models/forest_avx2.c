/* The path of machines with AVX2: 32 rows a comparison. */
#if defined __x86_64__
#include <immintrin.h>
#include <string.h>

#include "scoring/models/forest_program.h"
#include "scoring/models/forest_walk.h"

#pragma GCC push_options
#pragma GCC target("avx2,popcnt")

enum { LANES = 32, PIECES_ALWAYS = 1 };
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
static inline __attribute__((always_inline)) void descend(const float *cuts, const struct feature_cuts *used, uint32_t levels, const float *x, size_t n,
                                                         uint32_t *ranks)
{
    for (size_t r = 0; r < n; r++) {
        __m256 value = _mm256_set1_ps(x[r]);
        uint32_t rank = 0;
#pragma GCC unroll 3
        for (uint32_t l = 0; l < levels; l++) {
            const float *block = cuts + used->level[l] + CUT_FANOUT * rank;
            int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(block), value, _CMP_LE_OQ));
            int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(block + 8), value, _CMP_LE_OQ));
            rank = CUT_FANOUT * rank + (uint32_t)__builtin_popcount((unsigned)(low | high << 8));
        }
        ranks[r] = rank;
    }
}

static inline void find_ranks(const float *cuts, const struct feature_cuts *used, const float *x, size_t n, uint32_t *ranks)
{
    switch (used->levels) {
    case 1: descend(cuts, used, 1, x, n, ranks); break;
    case 2: descend(cuts, used, 2, x, n, ranks); break;
    case 3: descend(cuts, used, 3, x, n, ranks); break;
    default: descend(cuts, used, used->levels, x, n, ranks);
    }
}

static inline __m256i rank_words(const uint32_t *ranks, uint32_t first_cut)
{
    __m256i rank = _mm256_load_si256((const __m256i *)(const void *)ranks), first = _mm256_set1_epi32((int)first_cut);
    return _mm256_min_epu32(_mm256_sub_epi32(_mm256_max_epu32(rank, first), first), _mm256_set1_epi32(CUTS_PER_COLUMN));
}

/* Packing goes by halves of a register; the permutation puts the words of four back in order. */
static inline void store_ranks(const uint32_t *ranks, uint32_t first_cut, int8_t *to)
{
    for (size_t r = 0; r < GROUP_ROWS; r += 32) {
        __m256i low = _mm256_packus_epi32(rank_words(ranks + r, first_cut), rank_words(ranks + r + 8, first_cut));
        __m256i high = _mm256_packus_epi32(rank_words(ranks + r + 16, first_cut), rank_words(ranks + r + 24, first_cut));
        __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm256_storeu_si256((__m256i *)(void *)(to + r), _mm256_xor_si256(bytes, _mm256_set1_epi8(INT8_MIN)));
    }
}

#include "scoring/models/forest_kernel.h"

const struct forest_engine forest_avx2 = {.rank_block = rank_block, .score_block = score_block, .rank_few = rank_few, .score_few = walk_rows, .few = 8};

#pragma GCC pop_options
#endif
