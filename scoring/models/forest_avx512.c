/* The path of machines with AVX-512 (BW, VL, VBMI): 64 rows a comparison; for a few rows all splits of a tree. */
#if defined __x86_64__
#include <immintrin.h>
#include <string.h>

#include "scoring/models/forest_program.h"
#include "scoring/models/forest_walk.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512dq,popcnt,bmi2")

enum { LANES = 64, PIECES_ALWAYS = 1 };
typedef __m512i lanes;

static inline lanes lanes_splat(uint8_t byte)
{
    return _mm512_set1_epi8((char)byte);
}

/* A bit set where the row goes right. */
static inline __mmask64 goes_right(const struct block_node *node, const int8_t *x)
{
    lanes value = _mm512_loadu_si512(x + node->column_offset);
    return _mm512_cmpge_epi8_mask(value, _mm512_set1_epi32((int)node->threshold));
}

static inline lanes lanes_pair(const struct block_node *node, const int8_t *x, int k)
{
    lanes left = lanes_splat((uint8_t)(2 * k));
    return _mm512_mask_add_epi8(left, goes_right(node, x), left, lanes_splat(1));
}

static inline lanes lanes_join(const struct block_node *node, const int8_t *x, lanes left, lanes right)
{
    return _mm512_mask_mov_epi8(left, goes_right(node, x), right);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_epi8(a, b);
}

/* Tables of up to 64 leaves lie in registers. */
static inline __attribute__((always_inline)) __m512 leaves_at(__m512i index, const float *leaves, unsigned depth)
{
    if (depth > 6)
        return _mm512_i32gather_ps(index, leaves, 4);
    __m512 first = _mm512_loadu_ps(leaves);
    if (depth <= 4)
        return _mm512_permutexvar_ps(index, first);
    first = _mm512_permutex2var_ps(first, index, _mm512_loadu_ps(leaves + 16));
    if (depth == 5)
        return first;
    __m512 second = _mm512_permutex2var_ps(_mm512_loadu_ps(leaves + 32), index, _mm512_loadu_ps(leaves + 48));
    return _mm512_mask_mov_ps(first, _mm512_test_epi32_mask(index, _mm512_set1_epi32(32)), second);
}

static inline __attribute__((always_inline)) void add_leaves(float *sums, lanes numbers, const float *leaves, unsigned depth)
{
    const __m128i quarter[4] = {_mm512_castsi512_si128(numbers), _mm512_extracti32x4_epi32(numbers, 1), _mm512_extracti32x4_epi32(numbers, 2),
                                _mm512_extracti32x4_epi32(numbers, 3)};
    for (size_t i = 0; i < 4; i++) {
        __m512 leaf = leaves_at(_mm512_cvtepu8_epi32(quarter[i]), leaves, depth);
        _mm512_storeu_ps(sums + 16 * i, _mm512_add_ps(_mm512_loadu_ps(sums + 16 * i), leaf));
    }
}

/* Down the search tree: the cuts at or below x in a block of 16 say which block is next. */
static inline __attribute__((always_inline)) void descend(const float *cuts, const struct feature_cuts *used, uint32_t levels, const float *x, size_t n,
                                                         uint32_t *ranks)
{
    for (size_t r = 0; r < n; r++) {
        __m512 value = _mm512_set1_ps(x[r]);
        uint32_t rank = 0;
#pragma GCC unroll 3
        for (uint32_t l = 0; l < levels; l++) {
            __m512 block = _mm512_loadu_ps(cuts + used->level[l] + CUT_FANOUT * rank);
            rank = CUT_FANOUT * rank + (uint32_t)__builtin_popcount(_mm512_cmp_ps_mask(block, value, _CMP_LE_OQ));
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

static inline void store_ranks(const uint32_t *ranks, uint32_t first_cut, int8_t *to)
{
    __m512i first = _mm512_set1_epi32((int)first_cut);
    for (size_t r = 0; r < GROUP_ROWS; r += 16) {
        __m512i within = _mm512_sub_epi32(_mm512_max_epu32(_mm512_load_si512(ranks + r), first), first);
        __m128i bytes = _mm512_cvtepi32_epi8(_mm512_min_epu32(within, _mm512_set1_epi32(CUTS_PER_COLUMN)));
        _mm_storeu_si128((__m128i *)(void *)(to + r), _mm_xor_si128(bytes, _mm_set1_epi8(INT8_MIN)));
    }
}

#include "scoring/models/forest_kernel.h"

/* A tree's 63 columns looked up in a row of up to 64, 128 or 256. */
static inline __attribute__((always_inline)) __m512i look_up(const int8_t *row, __m512i column, unsigned registers)
{
    __m512i first = _mm512_load_si512(row);
    if (registers == 1)
        return _mm512_permutexvar_epi8(column, first);
    first = _mm512_permutex2var_epi8(first, column, _mm512_load_si512(row + 64));
    if (registers == 2)
        return first;
    __m512i second = _mm512_permutex2var_epi8(_mm512_load_si512(row + 128), column, _mm512_load_si512(row + 192));
    return _mm512_mask_mov_epi8(first, _mm512_movepi8_mask(column), second);
}

static inline __attribute__((always_inline)) void score_masks(const struct forest *f, const int8_t *x, size_t n, float *sums, unsigned depth,
                                                              unsigned registers)
{
    for (size_t t = 0; t < f->tree_count; t++) {
        const struct mask_tree *tree = &f->masks[t];
        __m512i column = _mm512_load_si512(tree->column), threshold = _mm512_load_si512(tree->threshold);
        for (size_t r = 0; r < n; r++) {
            uint64_t right = _mm512_cmpge_epi8_mask(look_up(x + r * f->row_stride, column, registers), threshold), at = 1;
            for (unsigned d = 0; d < depth; d++)
                at = 2 * at + (right >> at & 1);
            sums[r] += tree->leaf[at - (1u << depth)];
        }
    }
}

static inline __attribute__((always_inline)) void score_masks_of(const struct forest *f, const int8_t *x, size_t n, float *sums, unsigned registers)
{
    if (f->mask_depth == 6)
        score_masks(f, x, n, sums, 6, registers);
    else if (f->mask_depth == 4)
        score_masks(f, x, n, sums, 4, registers);
    else
        score_masks(f, x, n, sums, f->mask_depth, registers);
}

static void score_few(const struct forest *f, const int8_t *x, size_t n, float *sums)
{
    if (!f->masks)
        walk_rows(f, x, n, sums);
    else if (f->column_count <= 64)
        score_masks_of(f, x, n, sums, 1);
    else if (f->column_count <= 128)
        score_masks_of(f, x, n, sums, 2);
    else
        score_masks_of(f, x, n, sums, 4);
}

/* Where a tree is several pieces, half a register is cheaper than twice the stack. */
static void score_wide_or_narrow(const struct forest *f, const int8_t *x, size_t n, float *sums)
{
    (f->mask_depth > PIECE_DEPTH_MAX && n <= LANES / 2 ? forest_avx2.score_block : score_block)(f, x, n, sums);
}

const struct forest_engine forest_avx512 = {.rank_block = rank_block, .score_block = score_wide_or_narrow, .rank_few = rank_few, .score_few = score_few, .few = 8};

#pragma GCC pop_options
#endif
