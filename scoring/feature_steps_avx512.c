/* Steps where the machine has AVX-512: all windows of a step at a time, or eight events where a step looks at the event
 * alone; the same operations in the same order and so the same bits.  Deviations are taken in 64 bits where that is exact;
 * otherwise those of the event go the portable way.
 * What is read behind a step's windows is something else of the view, and is not written: rows are written by masks. */
#if defined __x86_64__
#include <immintrin.h>
#include <math.h>

#include "scoring/feature_steps.h"
#include "scoring/features.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw")

/* A step in registers: what rows are written with cannot change it. */
struct put {
    size_t column;
    __mmask8 columns;
    __m512d scale;
};

static inline void put(const struct feature_view *v, const struct put *to, __m512d x)
{
    _mm256_mask_storeu_ps(v->row + to->column, to->columns, _mm512_cvtpd_ps(_mm512_mul_pd(x, to->scale)));
}

static inline __m512d only(__mmask8 known, __m512d x)
{
    return _mm512_mask_mov_pd(_mm512_set1_pd((double)NAN), known, x);
}

/* ---- windows ---- */

static inline __m512i words(const struct feature_view *v, size_t at)
{
    return _mm512_loadu_si512(v->counted + at);
}

static inline __m512d of_counts(const struct feature_view *v, size_t at)
{
    return _mm512_cvtepu32_pd(_mm256_loadu_si256((const __m256i *)(const void *)(v->counted + at)));
}

struct counters { /* of a lane: from the first one's bytes on, of each word so many */
    size_t at;
    __mmask32 parts;
};

static inline struct counters counters_of(const struct step *s)
{
    return (struct counters){s->counters + s->shift / 8, s->counter_mask == UINT16_MAX ? 0x11111111 : 0x33333333};
}

static inline __m512i members(const struct feature_view *v, struct counters counters)
{
    return _mm512_maskz_loadu_epi16(counters.parts, v->counted + counters.at);
}

static inline __m512d bests(const struct feature_view *v, size_t at)
{
    const __m512i x = words(v, at);
    return only(_mm512_cmpneq_epi64_mask(x, _mm512_set1_epi64(INT64_MIN)), _mm512_cvtepi64_pd(x));
}

static inline __m512d mean_of(__m512i total, __m512i n)
{
    return _mm512_div_pd(_mm512_cvtepi64_pd(total), _mm512_cvtepi64_pd(n));
}

static inline __m512d means(const struct feature_view *v, size_t at, struct counters counters)
{
    const __m512i n = members(v, counters);
    return only(_mm512_test_epi64_mask(n, n), mean_of(words(v, at), n));
}

static inline bool is_null(const struct feature_view *v, size_t slot)
{
    return value_is_null(&v->values[slot]);
}

static inline __m512d current(const struct feature_view *v, size_t word)
{
    return _mm512_set1_pd((double)(int64_t)v->record[word]);
}

static inline __m512d ratios(const struct feature_view *v, const struct step *s, struct counters counters)
{
    const __m512i n = members(v, counters), total = words(v, s->counted);
    const __mmask8 known = is_null(v, (size_t)s->slot) ? 0 : _mm512_test_epi64_mask(n, n) & _mm512_test_epi64_mask(total, total);
    return only(known, _mm512_div_pd(current(v, s->word), mean_of(total, n)));
}

static inline __m512d sames(const struct feature_view *v, size_t at, size_t slot)
{
    return is_null(v, slot) ? _mm512_set1_pd((double)NAN) : of_counts(v, at);
}

/* ---- deviations ---- */

struct squares { /* of 128 bits each */
    __m512i low, high;
};

static inline struct squares squares(const struct feature_view *v, size_t at)
{
    const __m512i first = words(v, at), second = words(v, at + sizeof first);
    return (struct squares){_mm512_permutex2var_epi64(first, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), second),
                            _mm512_permutex2var_epi64(first, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), second)};
}

/* Whether n * sum(x * x), and so sum(x) * sum(x) too, surely are below 2^63 in all windows. */
static inline bool are_small(const struct squares *squares, __m512i n, __mmask8 in)
{
    const __m512d product = _mm512_mul_pd(_mm512_cvtepu64_pd(squares->low), _mm512_cvtepi64_pd(n));
    return !(_mm512_mask_test_epi64_mask(in, squares->high, squares->high) |
             _mm512_mask_cmp_pd_mask(in, product, _mm512_set1_pd(0x1p62), _CMP_NLT_UQ));
}

static inline __m512d deviations(const struct squares *squares, __m512i total, __m512i n)
{
    const __m512i difference = _mm512_sub_epi64(_mm512_mullo_epi64(n, squares->low), _mm512_mullo_epi64(total, total));
    return _mm512_div_pd(_mm512_sqrt_pd(_mm512_cvtepi64_pd(difference)), _mm512_cvtepi64_pd(n));
}

static inline __m512d zscores(__m512d x, __m512d deviation, __m512i total, __m512i n)
{
    const __m512d distance = _mm512_sub_pd(x, mean_of(total, n));
    return _mm512_maskz_div_pd(_mm512_cmp_pd_mask(deviation, _mm512_setzero_pd(), _CMP_GT_OQ), distance, deviation);
}

/* False: 64 bits may not be enough. */
static inline bool deviations_put(const struct feature_view *v, const struct step *s, struct counters counters, const struct put *to, bool zscore)
{
    const __m512i n = members(v, counters), total = words(v, s->counted);
    const struct squares both = squares(v, s->squares);
    if (!are_small(&both, n, to->columns))
        return false;
    __m512d x = deviations(&both, total, n);
    __mmask8 known = _mm512_test_epi64_mask(n, n);
    if (zscore) {
        x = zscores(current(v, s->word), x, total, n);
        known = is_null(v, (size_t)s->slot) ? 0 : known;
    }
    put(v, to, only(known, x));
    return true;
}

/* ---- steps ---- */

#define EACH_EVENT for (const struct feature_view *v = views; v != end; v = feature_view_after(v, size))

#define PUT(expression)          \
    EACH_EVENT                   \
        put(v, &to, expression); \
    break

#define PUT_DEVIATIONS(zscore)                            \
    EACH_EVENT                                            \
        if (!deviations_put(v, s, counters, &to, zscore)) \
            feature_step_run(s, v, 1);                    \
    break

void feature_steps_run_avx512(const struct step *first, const struct step *last, const struct feature_view *views, size_t n)
{
    const struct feature_view *const end = feature_view_at(views, n);
    const size_t size = views->size;
    for (const struct step *s = first; s < last; s++) {
        const struct put to = {s->column, (__mmask8)((1u << s->count) - 1), _mm512_set1_pd(s->scale)};
        const struct counters counters = counters_of(s);
        const size_t at = s->counted;
        switch (s->kind) {
        case STEP_EVENTS: PUT(of_counts(v, at));
        case STEP_LANE: PUT(_mm512_cvtepi64_pd(members(v, counters)));
        case STEP_SUM: PUT(_mm512_cvtepi64_pd(words(v, at)));
        case STEP_BEST: PUT(bests(v, at));
        case STEP_MEAN: PUT(means(v, at, counters));
        case STEP_STD: PUT_DEVIATIONS(false);
        case STEP_ZSCORE: PUT_DEVIATIONS(true);
        case STEP_RATIO: PUT(ratios(v, s, counters));
        case STEP_SAME: PUT(sames(v, at, (size_t)s->slot));
        default: feature_step_run(s, views, n);
        }
    }
}

#pragma GCC pop_options
#endif
