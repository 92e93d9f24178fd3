/* The bins of a run where the machine has AVX2: eight edges at a time, and eight values for all else.  Eight values of which
 * one is missing, large or outside the baseline's range go the portable way. */
#if defined __x86_64__
#include <assert.h>
#include <immintrin.h>

#include "monitor/sketch_bins.h"

#pragma GCC push_options
#pragma GCC target("avx2,popcnt")

enum { LANES = 8 };

static inline uint32_t below(const float *edges, __m256 x)
{
    int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(edges), x, _CMP_LT_OQ));
    int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(edges + LANES), x, _CMP_LT_OQ));
    return (uint32_t)__builtin_popcount((unsigned)(low | high << LANES));
}

static inline uint8_t bin_of(const struct sketch_column *column, float value)
{
    __m256 x = _mm256_set1_ps(value);
    uint32_t block = column->span > PIVOTS ? PIVOTS * below(column->pivots, x) : 0;
    return (uint8_t)(block + below(column->edges + block, x));
}

static inline __m256 within(__m256 x, float least, float greatest)
{
    return _mm256_and_ps(_mm256_cmp_ps(x, _mm256_set1_ps(least), _CMP_GE_OQ), _mm256_cmp_ps(x, _mm256_set1_ps(greatest), _CMP_LE_OQ));
}

/* The nearest integers, ties to even, of |x| < 2^51: adding 1.5 * 2^52 leaves them in the lower mantissa bits. */
static inline __m256i terms(__m128 x)
{
    __m256d scaled = _mm256_mul_pd(_mm256_cvtps_pd(x), _mm256_set1_pd((double)(1 << FEATURE_SUM_BITS)));
    return _mm256_sub_epi64(_mm256_castpd_si256(_mm256_add_pd(scaled, _mm256_set1_pd(0x1.8p52))), _mm256_set1_epi64x(0x4338000000000000));
}

void column_bin_avx2(const struct sketch_column *column, const float *values, size_t n, uint8_t *bins, struct column_tally *tally)
{
    _Alignas(32) int64_t of[4];
    __m256i sums = _mm256_setzero_si256();
    size_t i = 0;
    assert(n <= BIN_RUN_MAX);
    for (; column->bins && i + LANES <= n; i += LANES) {
        __m256 x = _mm256_loadu_ps(values + i);
        __m256 usual = _mm256_and_ps(_mm256_and_ps(within(x, column->least, column->greatest), within(x, column->far_below, column->far_above)),
                                     within(x, -0x1.fffffep29f, 0x1.fffffep29f)); /* below 2^30 */
        if (_mm256_movemask_ps(usual) != 0xff) {
            column_bin_portable(column, values + i, LANES, bins + i, tally);
            continue;
        }
        sums = _mm256_add_epi64(sums, _mm256_add_epi64(terms(_mm256_castps256_ps128(x)), terms(_mm256_extractf128_ps(x, 1))));
#pragma GCC unroll 8
        for (size_t k = i; k < i + LANES; k++)
            bins[k] = bin_of(column, values[k]);
    }
    column_bin_portable(column, values + i, n - i, bins + i, tally);
    _mm256_store_si256((__m256i *)(void *)of, sums);
    tally->sum += of[0] + of[1] + of[2] + of[3];
}

#pragma GCC pop_options
#endif
