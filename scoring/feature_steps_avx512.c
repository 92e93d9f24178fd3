/* The steps of windows where the machine has AVX-512: eight windows at a time, the same operations in the same order and so
 * the same bits.  Deviations are taken in 64 bits where that is exact; otherwise those of the event go the portable way.
 * What a mask leaves out is neither read nor written. */
#if defined __x86_64__
#include <immintrin.h>
#include <math.h>

#include "scoring/feature_steps.h"
#include "scoring/features.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,bmi2")

enum { EIGHT = 8 };

static inline __mmask8 windows_in(uint32_t count, uint32_t from)
{
    return (__mmask8)(count - from < EIGHT ? (1u << (count - from)) - 1 : 255u);
}

static inline __m512i members(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    __m512i groups = _mm512_maskz_loadu_epi64(in, v->lanes + s->group + i);
    return _mm512_and_si512(_mm512_srl_epi64(groups, _mm_cvtsi32_si128((int)s->shift)), _mm512_set1_epi64((int64_t)v->store->program->counter_mask));
}

static inline __m512i sums(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    if (s->sum >= 0)
        return _mm512_maskz_loadu_epi64(in, v->wides + s->sum + i * sizeof(int64_t));
    return _mm512_maskz_loadu_epi64(in, v->sums + s->plain + i);
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

/* ---- deviations ---- */

struct squares { /* of 128 bits each */
    __m512i low, high;
};

static inline struct squares squares(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in)
{
    const char *from = v->wides + s->square + i * sizeof(__int128);
    const uint32_t halves = _pdep_u32(in, 0x5555) * 3;
    const __m512i first = _mm512_maskz_loadu_epi64((__mmask8)halves, from), second = _mm512_maskz_loadu_epi64((__mmask8)(halves >> 8), from + 64);
    return (struct squares){_mm512_permutex2var_epi64(first, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), second),
                            _mm512_permutex2var_epi64(first, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), second)};
}

/* Whether n * sum(x * x), and so sum(x) * sum(x) too, surely are below 2^63 in all windows. */
static inline bool are_small(const struct squares *squares, __m512i n)
{
    const __m512d product = _mm512_mul_pd(_mm512_cvtepu64_pd(squares->low), _mm512_cvtepi64_pd(n));
    return !(_mm512_test_epi64_mask(squares->high, squares->high) | _mm512_cmp_pd_mask(product, _mm512_set1_pd(0x1p62), _CMP_NLT_UQ));
}

static inline __m512d deviations(const struct squares *squares, __m512i total, __m512i n)
{
    const __m512i difference = _mm512_sub_epi64(_mm512_mullo_epi64(n, squares->low), _mm512_mullo_epi64(total, total));
    return _mm512_div_pd(_mm512_sqrt_pd(_mm512_cvtepi64_pd(difference)), _mm512_cvtepi64_pd(n));
}

static inline __m512d zscores(const struct feature_view *v, const struct step *s, __m512d deviation, __m512i total, __m512i n)
{
    const __m512d distance = _mm512_sub_pd(_mm512_set1_pd((double)(int64_t)v->record[s->word]), _mm512_div_pd(_mm512_cvtepi64_pd(total), _mm512_cvtepi64_pd(n)));
    return _mm512_maskz_div_pd(_mm512_cmp_pd_mask(deviation, _mm512_setzero_pd(), _CMP_GT_OQ), distance, deviation);
}

/* Eight windows of a deviation; false: 64 bits may not be enough. */
static inline bool deviations_put(const struct feature_view *v, const struct step *s, uint32_t i, __mmask8 in, __m512d scale)
{
    const __m512i n = members(v, s, i, in), total = sums(v, s, i, in);
    const struct squares both = squares(v, s, i, in);
    if (!are_small(&both, n))
        return false;
    __m512d x = deviations(&both, total, n);
    __mmask8 known = _mm512_test_epi64_mask(n, n);
    if (s->kind == STEP_ZSCORE) {
        x = zscores(v, s, x, total, n);
        known = value_is_null(&v->values[s->slot]) ? 0 : known;
    }
    _mm256_mask_storeu_ps(v->row + s->column + i, in, _mm512_cvtpd_ps(_mm512_mul_pd(only(known, x), scale)));
    return true;
}

static void run_deviations(const struct step *s, const struct feature_view *views, size_t n)
{
    const __m512d scale = _mm512_set1_pd(s->scale);
    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < s->count; i += EIGHT)
            if (!deviations_put(feature_view_at(views, k), s, i, windows_in(s->count, i), scale)) {
                feature_step_windows(s, feature_view_at(views, k), 1);
                break;
            }
}

/* ---- steps ---- */

/* An expression of v (the view), s, i (the first of eight windows) and in (which of them there are). */
#define PUT(expression)                                                                                             \
    for (uint32_t i = 0; i < step->count; i += EIGHT) {                                                             \
        const __mmask8 in = windows_in(step->count, i);                                                             \
        for (size_t k = 0; k < n; k++) {                                                                            \
            const struct feature_view *v = feature_view_at(views, k);                                               \
            _mm256_mask_storeu_ps(v->row + s->column + i, in, _mm512_cvtpd_ps(_mm512_mul_pd((expression), scale))); \
        }                                                                                                           \
    }                                                                                                               \
    break

void feature_step_windows_avx512(const struct step *step, const struct feature_view *views, size_t n)
{
    const struct step own = *step, *s = &own; /* which stores surely do not change */
    const __m512d scale = _mm512_set1_pd(s->scale);
    switch (s->kind) {
    case STEP_EVENTS: PUT(of_counts(v->events + s->window + i, in));
    case STEP_LANE: PUT(_mm512_cvtepi64_pd(members(v, s, i, in)));
    case STEP_BEST: PUT(bests(v, s, i, in));
    case STEP_MEAN: PUT(known_means(v, s, i, in));
    case STEP_RATIO: PUT(ratios(v, s, i, in));
    case STEP_SAME: PUT(sames(v, s, i, in));
    case STEP_STD:
    case STEP_ZSCORE: run_deviations(s, views, n); break;
    default: PUT(_mm512_cvtepi64_pd(sums(v, s, i, in)));
    }
}

#pragma GCC pop_options
#endif
