/* The steps of windows where the machine has AVX-512: eight windows at a time, the same operations in the same order and so
 * the same bits.  What a mask leaves out is neither read nor written. */
#if defined __x86_64__
#include <immintrin.h>
#include <math.h>

#include "scoring/feature_steps.h"
#include "scoring/features.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq")

enum { EIGHT = 8 };

static inline __m512i members(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    __m512i groups = _mm512_maskz_loadu_epi64(in, v->lanes + s->group + i);
    return _mm512_and_si512(_mm512_srl_epi64(groups, _mm_cvtsi32_si128((int)s->shift)), _mm512_set1_epi64((int64_t)v->counter_mask));
}

static inline __m512i sums(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    if (s->sum >= 0)
        return _mm512_maskz_loadu_epi64(in, v->wides + s->sum + i * sizeof(int64_t));
    return _mm512_sub_epi64(_mm512_set1_epi64((int64_t)v->ends[s->number]), _mm512_maskz_loadu_epi64(in, v->starts + s->start + i));
}

static inline __m512d means(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    return _mm512_div_pd(_mm512_cvtepi64_pd(sums(v, s, i, in)), _mm512_cvtepi64_pd(members(v, s, i, in)));
}

static inline __m512d only(__mmask8 known, __m512d x)
{
    return _mm512_mask_mov_pd(_mm512_set1_pd((double)NAN), known, x);
}

static inline __m512d of_counts(const uint32_t *counts, __mmask8 in)
{
    return _mm512_cvtepu32_pd(_mm256_maskz_loadu_epi32(in, counts));
}

static inline __m512d bests(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    __m512i x = _mm512_maskz_loadu_epi64(in, v->best + s->best + i);
    return only(_mm512_cmpneq_epi64_mask(x, _mm512_set1_epi64(INT64_MIN)), _mm512_cvtepi64_pd(x));
}

static inline __m512d known_means(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    __m512i n = members(v, s, i, in);
    return only(_mm512_test_epi64_mask(n, n), means(v, s, i, in));
}

static inline __m512d ratios(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    __m512i n = members(v, s, i, in), total = sums(v, s, i, in);
    if (value_is_null(&v->values[s->slot]))
        return _mm512_set1_pd((double)NAN);
    __m512d x = _mm512_set1_pd((double)(int64_t)v->record[s->word]);
    return only(_mm512_test_epi64_mask(n, n) & _mm512_test_epi64_mask(total, total), _mm512_div_pd(x, means(v, s, i, in)));
}

static inline __m512d sames(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    return value_is_null(&v->values[s->slot]) ? _mm512_set1_pd((double)NAN) : of_counts(v->sames + s->same + i, in);
}

/* An expression of v (the view), s, i (the first of eight windows) and in (which of them there are). */
#define PUT(expression)                                                                                             \
    for (size_t k = 0; k < n; k++)                                                                                  \
        for (uint32_t i = 0; i < count; i += EIGHT) {                                                               \
            const struct feature_view *v = views[k];                                                                \
            const __mmask8 in = (__mmask8)(count - i < EIGHT ? (1u << (count - i)) - 1 : 255u);                     \
            _mm256_mask_storeu_ps(rows[k] + s->column + i, in, _mm512_cvtpd_ps(_mm512_mul_pd((expression), scale))); \
        }                                                                                                           \
    break

void feature_step_windows_avx512(const struct step *s, const struct feature_view *const *views, float *const *rows, size_t n)
{
    const uint32_t count = s->count;
    const __m512d scale = _mm512_set1_pd(s->scale);
    switch (s->kind) {
    case STEP_EVENTS: PUT(of_counts(v->events + s->window + i, in));
    case STEP_LANE: PUT(_mm512_cvtepi64_pd(members(v, s, i, in)));
    case STEP_BEST: PUT(bests(v, s, i, in));
    case STEP_MEAN: PUT(known_means(v, s, i, in));
    case STEP_RATIO: PUT(ratios(v, s, i, in));
    case STEP_SAME: PUT(sames(v, s, i, in));
    default: PUT(_mm512_cvtepi64_pd(sums(v, s, i, in)));
    }
}

#pragma GCC pop_options
#endif
