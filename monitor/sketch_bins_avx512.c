/* The bins of a run where the machine has AVX-512: sixteen values, or sixteen edges, at a time. */
#if defined __x86_64__
#include <assert.h>
#include <float.h>
#include <immintrin.h>
#include <math.h>

#include "monitor/sketch_bins.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,popcnt")

enum { LANES = 16, FEW = 16 /* a span up to which edges are taken one by one */ };

static inline int64_t count(__mmask16 mask)
{
    return __builtin_popcount((unsigned)mask);
}

/* All values against each edge in turn: fewer than FEW. */
static inline void bins_by_edge(const struct sketch_column *column, __m512 x, uint8_t *bins, __mmask16 here)
{
    __m512i of = _mm512_setzero_si512(), one = _mm512_set1_epi32(1);
    for (size_t e = 0; e + 1 < column->bins; e++)
        of = _mm512_mask_add_epi32(of, _mm512_cmp_ps_mask(_mm512_set1_ps(column->edges[e]), x, _CMP_LT_OQ), of, one);
    _mm_mask_storeu_epi8(bins, here, _mm512_cvtepi32_epi8(of));
}

static inline uint8_t bin_of(const float *edges, __m512 pivots, float x)
{
    __m512 value = _mm512_set1_ps(x);
    int64_t block = count(_mm512_cmp_ps_mask(pivots, value, _CMP_LT_OQ)) * PIVOTS;
    return (uint8_t)(block + count(_mm512_cmp_ps_mask(_mm512_load_ps(edges + block), value, _CMP_LT_OQ)));
}

/* Each value against all pivots, then against the edges of its block.  The last pivot is +infinity, and below no value. */
static inline void bins_by_value(const struct sketch_column *column, __m512 x, uint8_t *bins, size_t n)
{
    _Alignas(64) float of[LANES];
    const float *edges = column->edges;
    __m512 pivots = _mm512_load_ps(column->pivots);
    _mm512_store_ps(of, x);
    if (n >= LANES)
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES; i++)
            bins[i] = bin_of(edges, pivots, of[i]);
    else
        for (size_t i = 0; i < n; i++)
            bins[i] = bin_of(edges, pivots, of[i]);
}

/* Their values in fixed point, in pairs; exact where |x| < 2^30. */
static inline __m512i small_terms(__m512 x)
{
    const __m512d scale = _mm512_set1_pd((double)(1 << FEATURE_SUM_BITS));
    __m512i low = _mm512_cvtpd_epi64(_mm512_mul_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(x)), scale));
    __m512i high = _mm512_cvtpd_epi64(_mm512_mul_pd(_mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)), scale));
    return _mm512_add_epi64(low, high);
}

static __int128 large_sum(__m512 x)
{
    float of[LANES];
    __int128 sum = 0;
    _mm512_storeu_ps(of, x);
    for (int i = 0; i < LANES; i++)
        sum += column_fixed_point(of[i]);
    return sum;
}

static inline __mmask16 below(__mmask16 there, __m512 x, float limit)
{
    return _mm512_mask_cmp_ps_mask(there, x, _mm512_set1_ps(limit), _CMP_LT_OQ);
}

static inline __mmask16 above(__mmask16 there, __m512 x, float limit)
{
    return _mm512_mask_cmp_ps_mask(there, x, _mm512_set1_ps(limit), _CMP_GT_OQ);
}

/* Rare, so looked for at once and counted apart. */
static inline void count_outside(const struct sketch_column *column, __mmask16 there, __m512 x, struct column_tally *tally)
{
    __mmask16 low = below(there, x, column->least), high = above(there, x, column->greatest);
    __mmask16 far = (__mmask16)(below(there, x, column->far_below) | above(there, x, column->far_above));
    if (!(low | high | far))
        return;
    tally->below += count(low);
    tally->above += count(high);
    tally->far += count(far);
}

void column_bin_avx512(const struct sketch_column *column, const float *values, size_t n, uint8_t *bins, struct column_tally *tally)
{
    __m512i sums = _mm512_setzero_si512();
    assert(n <= BIN_RUN_MAX);
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 here = (__mmask16)(n - i < LANES ? (1u << (n - i)) - 1 : 0xffffu);
        __m512 x = _mm512_maskz_loadu_ps(here, values + i);
        __mmask16 there = _mm512_mask_cmp_ps_mask(here, x, x, _CMP_ORD_Q);
        x = _mm512_min_ps(_mm512_max_ps(_mm512_maskz_mov_ps(there, x), _mm512_set1_ps(-FLT_MAX)), _mm512_set1_ps(FLT_MAX)); /* what is missing is 0 */
        if (_mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(0x1p30f), _CMP_LT_OQ) == 0xffff)
            sums = _mm512_add_epi64(sums, small_terms(x));
        else
            tally->sum += large_sum(x);
        tally->missing += count((__mmask16)(here & ~there));
        count_outside(column, there, x, tally);
        if (column->span <= FEW)
            bins_by_edge(column, x, bins + i, here);
        else
            bins_by_value(column, x, bins + i, n - i);
        _mm_mask_storeu_epi8(bins + i, (__mmask16)(column->bins ? here & ~there : here), _mm_set1_epi8((char)BIN_NONE));
    }
    tally->sum += _mm512_reduce_add_epi64(sums);
}

#pragma GCC pop_options
#endif
