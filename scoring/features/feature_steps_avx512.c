/* Steps where the machine has AVX-512: all windows of a step at a time, or eight events where a step looks at no window;
 * the same operations in the same order and so the same bits.  Deviations whose 128 bits are below 2^106, those of 4,096
 * events of the largest numbers, are taken exactly too; otherwise those of the event go the portable way.
 * What is read behind a step's windows is something else of the view, and is not written: rows are written by masks. */
#if defined __x86_64__
#include <immintrin.h>
#include <math.h>

#include "scoring/features/feature_steps.h"
#include "scoring/features/features.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,bmi2")

/* ---- columns ---- */

struct columns { /* of a step, one or more */
    size_t first;
    __mmask8 all;
    __m512d scale;
};

static inline struct columns columns_of(const struct step *s)
{
    return (struct columns){s->column, (__mmask8)((1u << s->count) - 1), _mm512_set1_pd(s->scale)};
}

static inline __m256 scaled(__m512d x, __m512d scale)
{
    return _mm512_cvtpd_ps(_mm512_mul_pd(x, scale));
}

static inline void put(const struct feature_view *v, const struct columns *to, __m512d x)
{
    _mm256_mask_storeu_ps(v->row + to->first, to->all, scaled(x, to->scale));
}

static inline __m512d only(__mmask8 known, __m512d x)
{
    return _mm512_mask_mov_pd(_mm512_set1_pd((double)NAN), known, x);
}

/* Views from v on: whether there are so many. */
static inline bool are_left(const struct feature_view *v, struct view_group group, size_t n)
{
    return (size_t)((const char *)group.end - (const char *)v) >= n * group.size;
}

/* Of eight pairs: the first of each, the second of each. */
static inline __m512i evens(__m512i pairs, __m512i more)
{
    return _mm512_permutex2var_epi64(pairs, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), more);
}

static inline __m512i odds(__m512i pairs, __m512i more)
{
    return _mm512_permutex2var_epi64(pairs, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), more);
}

/* ---- what windows say ---- */

static inline __m512i words(const struct feature_view *v, size_t at)
{
    return _mm512_loadu_si512(v->counted + at);
}

static inline __m512d counts(const struct feature_view *v, size_t at)
{
    return _mm512_cvtepu32_pd(_mm256_loadu_si256((const __m256i *)(const void *)(v->counted + at)));
}

struct counters { /* of a lane: where the first one's bytes are, and which 16 bits from there on are counters' */
    size_t at;
    __mmask32 parts;
};

static inline struct counters counters_of(const struct step *s)
{
    return (struct counters){s->counters + s->shift / 8, s->counter_mask == UINT16_MAX ? 0x11111111 : 0x33333333};
}

static inline __m512i members(const struct feature_view *v, const struct counters *counters)
{
    return _mm512_maskz_loadu_epi16(counters->parts, v->counted + counters->at);
}

static inline __m512d mean_of(__m512i total, __m512i n)
{
    return _mm512_div_pd(_mm512_cvtepi64_pd(total), _mm512_cvtepi64_pd(n));
}

struct current { /* the current event's own number */
    size_t slot, word;
};

static inline struct current current_of(const struct step *s)
{
    return (struct current){(size_t)s->slot, s->word};
}

static inline bool is_null(const struct feature_view *v, const struct current *current)
{
    return value_is_null(&v->values[current->slot]);
}

static inline __m512d current_number(const struct feature_view *v, const struct current *current)
{
    return _mm512_set1_pd((double)(int64_t)v->record[current->word]);
}

/* ---- a step of windows ---- */

static void run_events(const struct step *s, struct view_group group)
{
    const struct columns to = columns_of(s);
    const size_t at = s->counted;
    EACH_VIEW(v, group)
        put(v, &to, counts(v, at));
}

static void run_lane(const struct step *s, struct view_group group)
{
    const struct columns to = columns_of(s);
    const struct counters counters = counters_of(s);
    EACH_VIEW(v, group)
        put(v, &to, _mm512_cvtepi64_pd(members(v, &counters)));
}

static void run_sum(const struct step *s, struct view_group group)
{
    const struct columns to = columns_of(s);
    const size_t at = s->counted;
    EACH_VIEW(v, group)
        put(v, &to, _mm512_cvtepi64_pd(words(v, at)));
}

static void run_best(const struct step *s, struct view_group group)
{
    const struct columns to = columns_of(s);
    const size_t at = s->counted;
    EACH_VIEW(v, group) {
        const __m512i x = words(v, at);
        put(v, &to, only(_mm512_cmpneq_epi64_mask(x, _mm512_set1_epi64(INT64_MIN)), _mm512_cvtepi64_pd(x)));
    }
}

static void run_mean(const struct step *s, struct view_group group)
{
    const struct columns to = columns_of(s);
    const struct counters counters = counters_of(s);
    const size_t at = s->counted;
    EACH_VIEW(v, group) {
        const __m512i n = members(v, &counters);
        put(v, &to, only(_mm512_test_epi64_mask(n, n), mean_of(words(v, at), n)));
    }
}

static void run_ratio(const struct step *s, struct view_group group)
{
    const struct columns to = columns_of(s);
    const struct counters counters = counters_of(s);
    const struct current current = current_of(s);
    const size_t at = s->counted;
    EACH_VIEW(v, group) {
        const __m512i n = members(v, &counters), total = words(v, at);
        const __mmask8 known = _mm512_test_epi64_mask(n, n) & _mm512_test_epi64_mask(total, total);
        const __m512d ratio = _mm512_div_pd(current_number(v, &current), mean_of(total, n));
        put(v, &to, only(is_null(v, &current) ? 0 : known, ratio));
    }
}

static void run_same(const struct step *s, struct view_group group)
{
    const struct columns to = columns_of(s);
    const struct current current = current_of(s);
    const size_t at = s->counted;
    EACH_VIEW(v, group)
        put(v, &to, only(is_null(v, &current) ? 0 : 255, counts(v, at)));
}

/* ---- deviations ---- */

struct deviation_step {
    struct columns to;
    struct counters counters;
    size_t totals, squares;
    struct current current;
};

/* What eight windows hold: of one event, up to four each of two or up to two each of four. */
struct sums {
    __m512i n, total;
    __m512i low, high; /* of the sums of squares, 128 bits each */
    __m512i number;    /* the current one */
    __mmask8 windows;  /* of the step */
    __mmask8 numbers;  /* those whose current number is not null */
};

static inline struct sums sums_of(__m512i n, __m512i total, __m512i squares, __m512i squares_behind)
{
    return (struct sums){.n = n, .total = total, .low = evens(squares, squares_behind), .high = odds(squares, squares_behind)};
}

static inline __attribute__((always_inline)) struct sums sums_of_one(const struct feature_view *v, const struct deviation_step *d)
{
    struct sums sums = sums_of(members(v, &d->counters), words(v, d->totals), words(v, d->squares), words(v, d->squares + sizeof(__m512i)));
    sums.number = _mm512_set1_epi64((int64_t)v->record[d->current.word]);
    sums.windows = d->to.all;
    sums.numbers = is_null(v, &d->current) ? 0 : 255;
    return sums;
}

static inline __m512i beside(__m256i first, __m256i second)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

static inline __m256i four_words(const struct feature_view *v, size_t at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(v->counted + at));
}

static inline __attribute__((always_inline)) struct sums sums_of_two(const struct feature_view *v, const struct feature_view *w, const struct deviation_step *d)
{
    const __m512i counters = beside(four_words(v, d->counters.at), four_words(w, d->counters.at));
    struct sums sums = sums_of(_mm512_maskz_mov_epi16(d->counters.parts, counters), beside(four_words(v, d->totals), four_words(w, d->totals)),
                               words(v, d->squares), words(w, d->squares));
    sums.number = beside(_mm256_set1_epi64x((int64_t)v->record[d->current.word]), _mm256_set1_epi64x((int64_t)w->record[d->current.word]));
    sums.windows = (__mmask8)(d->to.all | d->to.all << 4);
    sums.numbers = (__mmask8)((is_null(v, &d->current) ? 0 : 15) | (is_null(w, &d->current) ? 0 : 15 << 4));
    return sums;
}

static inline __m128i two_words(const struct feature_view *v, size_t at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)(v->counted + at));
}

static inline __m512i side_by_side(__m128i a, __m128i b, __m128i c, __m128i d)
{
    return _mm512_inserti64x2(_mm512_inserti64x2(_mm512_inserti64x2(_mm512_castsi128_si512(a), b, 1), c, 2), d, 3);
}

static inline __attribute__((always_inline)) struct sums sums_of_four(const struct feature_view *v, size_t size, const struct deviation_step *d)
{
    const struct feature_view *const four[] = {v, feature_view_after(v, size), feature_view_after(v, 2 * size), feature_view_after(v, 3 * size)};
#define FOUR(of) side_by_side(of(0), of(1), of(2), of(3))
#define COUNTERS(i) two_words(four[i], d->counters.at)
#define TOTALS(i) two_words(four[i], d->totals)
#define NUMBER(i) _mm_set1_epi64x((int64_t)four[i]->record[d->current.word])
#define KNOWN(i) ((is_null(four[i], &d->current) ? 0 : 3) << 2 * (i))
    struct sums sums = sums_of(_mm512_maskz_mov_epi16(d->counters.parts, FOUR(COUNTERS)), FOUR(TOTALS),
                               beside(four_words(four[0], d->squares), four_words(four[1], d->squares)),
                               beside(four_words(four[2], d->squares), four_words(four[3], d->squares)));
    sums.number = FOUR(NUMBER);
    sums.windows = (__mmask8)(d->to.all * 0x55);
    sums.numbers = (__mmask8)(KNOWN(0) | KNOWN(1) | KNOWN(2) | KNOWN(3));
#undef FOUR
#undef COUNTERS
#undef TOTALS
#undef NUMBER
#undef KNOWN
    return sums;
}

/* n * sum(x * x) - sum(x) * sum(x), of 128 bits, each rounded once.  Doubles know it to within 2^56 while it is below
 * 2^106, its lowest 64 bits are the difference of products modulo 2^64: together they say it exactly. */
struct differences {
    __m512d known; /* in doubles */
    __m512d reach; /* no less than what is subtracted, and what from */
};

static inline struct differences differences_of(const struct sums *sums)
{
    const __m512d squares = _mm512_fmadd_pd(_mm512_cvtepi64_pd(sums->high), _mm512_set1_pd(0x1p64), _mm512_cvtepu64_pd(sums->low));
    const __m512d product = _mm512_mul_pd(_mm512_cvtepi64_pd(sums->n), squares), total = _mm512_cvtepi64_pd(sums->total);
    return (struct differences){_mm512_fnmadd_pd(total, total, product), _mm512_fmadd_pd(total, total, product)};
}

/* Whether they are known so well in all windows of the step. */
static inline bool are_known(const struct sums *sums, const struct differences *differences)
{
    return !_mm512_mask_cmp_pd_mask(sums->windows, differences->reach, _mm512_set1_pd(0x1p106), _CMP_NLT_UQ);
}

/* high * 2^64 + low, low of any sign, becomes a multiple of 2^53 and the rest: both are doubles, so their sum is rounded once. */
static inline __m512d rounded(const struct sums *sums, const struct differences *differences)
{
    const __m512i low = _mm512_sub_epi64(_mm512_mullo_epi64(sums->n, sums->low), _mm512_mullo_epi64(sums->total, sums->total));
    const __m512d rest = _mm512_sub_pd(differences->known, _mm512_cvtepi64_pd(low));
    const __m512i high = _mm512_cvtpd_epi64(_mm512_mul_pd(rest, _mm512_set1_pd(0x1p-64)));
    const __m512i multiple = _mm512_add_epi64(_mm512_slli_epi64(high, 64 - 53), _mm512_srai_epi64(low, 53));
    const __m512i remainder = _mm512_and_si512(low, _mm512_set1_epi64((INT64_C(1) << 53) - 1));
    return _mm512_fmadd_pd(_mm512_cvtepi64_pd(multiple), _mm512_set1_pd(0x1p53), _mm512_cvtepi64_pd(remainder));
}

static inline __m512d deviations(const struct sums *sums, const struct differences *differences)
{
    return _mm512_div_pd(_mm512_sqrt_pd(rounded(sums, differences)), _mm512_cvtepi64_pd(sums->n));
}

static inline __m512d stds(const struct sums *sums, const struct differences *differences)
{
    return only(_mm512_test_epi64_mask(sums->n, sums->n), deviations(sums, differences));
}

static inline __m512d zscores(const struct sums *sums, const struct differences *differences)
{
    const __m512d deviation = deviations(sums, differences), distance = _mm512_sub_pd(_mm512_cvtepi64_pd(sums->number), mean_of(sums->total, sums->n));
    const __m512d score = _mm512_maskz_div_pd(_mm512_cmp_pd_mask(deviation, _mm512_setzero_pd(), _CMP_GT_OQ), distance, deviation);
    return only(_mm512_mask_test_epi64_mask(sums->numbers, sums->n, sums->n), score);
}

static inline void put_two(const struct feature_view *v, const struct feature_view *w, const struct columns *to, __m512d x)
{
    const __m256 both = scaled(x, to->scale);
    _mm_mask_storeu_ps(v->row + to->first, to->all, _mm256_castps256_ps128(both));
    _mm_mask_storeu_ps(w->row + to->first, to->all, _mm256_extractf128_ps(both, 1));
}

static inline void put_four(const struct feature_view *v, size_t size, const struct columns *to, __m512d x)
{
    const __m256 all = scaled(x, to->scale);
    const __m128 two = _mm256_castps256_ps128(all), more = _mm256_extractf128_ps(all, 1);
    _mm_mask_storeu_ps(v->row + to->first, to->all, two);
    _mm_mask_storeu_ps(feature_view_after(v, size)->row + to->first, to->all, _mm_movehl_ps(two, two));
    _mm_mask_storeu_ps(feature_view_after(v, 2 * size)->row + to->first, to->all, more);
    _mm_mask_storeu_ps(feature_view_after(v, 3 * size)->row + to->first, to->all, _mm_movehl_ps(more, more));
}

/* Up to the first view whose sums are too large for that: that one, or the end. */
static inline __attribute__((always_inline)) const struct feature_view *
deviations_put(const struct step *s, const struct feature_view *v, struct view_group group, __m512d (*of)(const struct sums *, const struct differences *))
{
    const struct deviation_step d = {columns_of(s), counters_of(s), s->counted, s->squares, current_of(s)};
    for (; s->count <= 2 && are_left(v, group, 4); v = feature_view_after(v, 4 * group.size)) {
        const struct sums sums = sums_of_four(v, group.size, &d);
        const struct differences differences = differences_of(&sums);
        if (!are_known(&sums, &differences))
            break;
        put_four(v, group.size, &d.to, of(&sums, &differences));
    }
    for (; s->count <= 4 && are_left(v, group, 2); v = feature_view_after(v, 2 * group.size)) {
        const struct feature_view *w = feature_view_after(v, group.size);
        const struct sums sums = sums_of_two(v, w, &d);
        const struct differences differences = differences_of(&sums);
        if (!are_known(&sums, &differences))
            break;
        put_two(v, w, &d.to, of(&sums, &differences));
    }
    for (; v != group.end; v = feature_view_after(v, group.size)) {
        const struct sums sums = sums_of_one(v, &d);
        const struct differences differences = differences_of(&sums);
        if (!are_known(&sums, &differences))
            break;
        put(v, &d.to, of(&sums, &differences));
    }
    return v;
}

static const struct feature_view *stds_put(const struct step *s, const struct feature_view *v, struct view_group group)
{
    return deviations_put(s, v, group, stds);
}

static const struct feature_view *zscores_put(const struct step *s, const struct feature_view *v, struct view_group group)
{
    return deviations_put(s, v, group, zscores);
}

/* The portable way. */
static void run_alone(const struct step *s, const struct feature_view *v)
{
    const struct view_group one = {v, feature_view_at(v, 1), v->size};
    feature_step_run(s, one);
}

/* ---- eight events at a time ---- */

enum { EIGHT = 8 };

#define VIEW(i) feature_view_after(v, (i) * size)
#define OF_EIGHT(member)                                                                                                    \
    _mm512_setr_epi64(VIEW(0)->member, VIEW(1)->member, VIEW(2)->member, VIEW(3)->member, VIEW(4)->member, VIEW(5)->member, \
                      VIEW(6)->member, VIEW(7)->member)

static inline void put_eight(const struct feature_view *v, size_t size, size_t column, __m256 x)
{
    float columns[EIGHT];
    _mm256_storeu_ps(columns, x);
#pragma GCC unroll 8
    for (size_t i = 0; i < EIGHT; i++)
        VIEW(i)->row[column] = columns[i];
}

/* ---- their values ---- */

struct eight_values {
    __m512i types, sizes;
    __m512i words; /* numbers, and where texts are */
};

static inline __m512i four_values(const struct value *a, const struct value *b, const struct value *c, const struct value *d)
{
#define VALUE(x) _mm_loadu_si128((const __m128i *)(const void *)(x))
    return side_by_side(VALUE(a), VALUE(b), VALUE(c), VALUE(d));
#undef VALUE
}

static inline struct eight_values values_of_eight(const struct feature_view *v, size_t size, size_t slot)
{
    const __m512i first = four_values(&VIEW(0)->values[slot], &VIEW(1)->values[slot], &VIEW(2)->values[slot], &VIEW(3)->values[slot]);
    const __m512i second = four_values(&VIEW(4)->values[slot], &VIEW(5)->values[slot], &VIEW(6)->values[slot], &VIEW(7)->values[slot]);
    const __m512i kinds = evens(first, second);
    return (struct eight_values){_mm512_and_si512(kinds, _mm512_set1_epi64(UINT32_MAX)), _mm512_srli_epi64(kinds, 32), odds(first, second)};
}

static inline __mmask8 are_of(const struct eight_values *x, uint32_t type)
{
    return _mm512_cmpeq_epi64_mask(x->types, _mm512_set1_epi64(type));
}

static inline __m512d numbers(const struct eight_values *x)
{
    const __m512d reals = _mm512_castsi512_pd(x->words);
    const __mmask8 none = _mm512_cmple_epu64_mask(x->types, _mm512_set1_epi64(VALUE_NULL)) | _mm512_mask_cmp_pd_mask(are_of(x, VALUE_DOUBLE), reals, reals, _CMP_UNORD_Q);
    return only((__mmask8)~none, _mm512_mask_cvtepi64_pd(reals, are_of(x, VALUE_INT), x->words));
}

static const struct feature_view *values_put(const struct step *s, const struct feature_view *v, struct view_group group)
{
    const __m512d scale = _mm512_set1_pd(s->scale);
    const size_t size = group.size, slot = (size_t)s->slot, column = s->column;
    for (; are_left(v, group, EIGHT); v = VIEW(EIGHT)) {
        const struct eight_values x = values_of_eight(v, size, slot);
        put_eight(v, size, column, scaled(numbers(&x), scale));
    }
    return v;
}

/* ---- their texts ---- */

/* As literal_pack, of texts of at most 8 bytes; 0 where there is none. */
static inline __m512i pack_eight(const struct eight_values *x, __mmask8 there)
{
    static const char none;
    const char *texts[EIGHT];
    uint64_t bytes[EIGHT];
    _mm512_storeu_si512(texts, _mm512_mask_mov_epi64(_mm512_set1_epi64((int64_t)(uintptr_t)&none), there, x->words));
    _mm512_storeu_si512(bytes, _mm512_maskz_sub_epi64(there, _mm512_sllv_epi64(_mm512_set1_epi64(1), x->sizes), _mm512_set1_epi64(1)));
#define PACKED(i) _mm_cvtsi128_si64(_mm_maskz_loadu_epi8((__mmask16)bytes[i], texts[i]))
    return _mm512_setr_epi64(PACKED(0), PACKED(1), PACKED(2), PACKED(3), PACKED(4), PACKED(5), PACKED(6), PACKED(7));
#undef PACKED
}

static inline __m256 text_columns(const struct step_detail *detail, __m512i packed, __m512i sizes, __mmask8 there)
{
    __m256 x = _mm256_mask_mov_ps(_mm256_set1_ps(NAN), there, _mm256_set1_ps(detail->other_text));
    for (const struct text_column *text = detail->texts; text < detail->texts + detail->text_count; text++) {
        const __mmask8 equal = _mm512_mask_cmpeq_epi64_mask(there, packed, _mm512_set1_epi64((int64_t)text->packed));
        x = _mm256_mask_mov_ps(x, _mm512_mask_cmpeq_epi64_mask(equal, sizes, _mm512_set1_epi64((int64_t)text->size)), _mm256_set1_ps(text->column));
    }
    return x;
}

/* Short lists: every text of at most 8 bytes beside every literal.  What is neither such a text nor null goes alone. */
static const struct feature_view *texts_put(const struct step *s, const struct feature_view *v, struct view_group group)
{
    const size_t size = group.size, slot = (size_t)s->slot, column = s->column;
    for (; are_left(v, group, EIGHT); v = VIEW(EIGHT)) {
        const struct eight_values x = values_of_eight(v, size, slot);
        const __mmask8 texts = _mm512_mask_cmple_epu64_mask(are_of(&x, VALUE_TEXT), x.sizes, _mm512_set1_epi64(8));
        put_eight(v, size, column, text_columns(s->detail, pack_eight(&x, texts), x.sizes, texts));
        uint32_t others = _mm512_mask_cmpgt_epu64_mask((__mmask8)~texts, x.types, _mm512_set1_epi64(VALUE_NULL));
        for (; others; others &= others - 1)
            run_alone(s, VIEW((size_t)__builtin_ctz(others)));
    }
    return v;
}

/* ---- their times ---- */

/* Of whole numbers below 2^50: a half more leaves the quotient farther from the next whole number than rounding goes. */
static inline __m512d quotient(__m512d x, double by)
{
    const __m512d beside = _mm512_add_pd(x, _mm512_set1_pd(0.5));
    return _mm512_roundscale_pd(_mm512_mul_pd(beside, _mm512_set1_pd(1 / by)), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

static inline __m512d remainder_of(__m512d x, double by)
{
    return _mm512_sub_pd(x, _mm512_mul_pd(quotient(x, by), _mm512_set1_pd(by)));
}

static inline __m512d clocks(__m512i local_ms, bool day)
{
    const __m512d hours = quotient(_mm512_cvtepi64_pd(local_ms), 3600000);
    return day ? remainder_of(_mm512_add_pd(quotient(hours, 24), _mm512_set1_pd(3)), 7) : remainder_of(hours, 24); /* 1970 began on a Thursday */
}

static inline __m512d bits(__m512i from, __m512d x)
{
    return _mm512_cvtepi64_pd(_mm512_and_si512(_mm512_srlv_epi64(from, _mm512_cvtpd_epi64(x)), _mm512_set1_epi64(1)));
}

static const struct feature_view *clocks_put(const struct step *s, const struct feature_view *v, struct view_group group)
{
    const __m512d scale = _mm512_set1_pd(s->scale);
    const bool day = s->detail->day, listed = s->detail->listed;
    const __m512i offset_ms = _mm512_set1_epi64(s->detail->offset_ms), list = _mm512_set1_epi64(s->detail->listed);
    const size_t size = group.size, column = s->column;
    for (; are_left(v, group, EIGHT); v = VIEW(EIGHT)) {
        const __m512d x = clocks(_mm512_add_epi64(OF_EIGHT(time_ms), offset_ms), day);
        put_eight(v, size, column, scaled(listed ? bits(list, x) : x, scale));
    }
    return v;
}

static inline __m512d ages(__m512i time_ms, __m512i from_ms)
{
    const __m512d seconds = _mm512_div_pd(_mm512_cvtepi64_pd(_mm512_sub_epi64(time_ms, from_ms)), _mm512_set1_pd(1000));
    return only(_mm512_cmpneq_epi64_mask(from_ms, _mm512_set1_epi64(TIME_UNKNOWN)), seconds);
}

static const struct feature_view *ages_put(const struct step *s, const struct feature_view *v, struct view_group group)
{
    const __m512d scale = _mm512_set1_pd(s->scale);
    const bool of_last = s->kind == STEP_SINCE_LAST;
    const size_t size = group.size, column = s->column;
    for (; are_left(v, group, EIGHT); v = VIEW(EIGHT)) {
        const __m512i from_ms = of_last ? OF_EIGHT(last_ms) : OF_EIGHT(first_ms);
        put_eight(v, size, column, scaled(ages(OF_EIGHT(time_ms), from_ms), scale));
    }
    return v;
}

/* ---- steps ---- */

/* The view that `put` stops at goes the portable way. */
#define PUT(put)                                                                                                                     \
    {                                                                                                                                \
        for (const struct feature_view *v = group.first; (v = put(s, v, group)) != group.end; v = feature_view_after(v, group.size)) \
            run_alone(s, v);                                                                                                         \
        break;                                                                                                                       \
    }

void feature_steps_run_avx512(const struct step *first, const struct step *end, struct view_group group)
{
    for (const struct step *s = first; s < end; s++)
        switch (s->kind) {
        case STEP_VALUE: PUT(values_put)
        case STEP_LISTED:
        case STEP_CODE:
            if (literal_list_is_short(&s->detail->list))
                PUT(texts_put)
            feature_step_run(s, group);
            break;
        case STEP_CLOCK: PUT(clocks_put)
        case STEP_SINCE_LAST:
        case STEP_SINCE_FIRST: PUT(ages_put)
        case STEP_EVENTS: run_events(s, group); break;
        case STEP_LANE: run_lane(s, group); break;
        case STEP_SUM: run_sum(s, group); break;
        case STEP_BEST: run_best(s, group); break;
        case STEP_MEAN: run_mean(s, group); break;
        case STEP_STD: PUT(stds_put)
        case STEP_ZSCORE: PUT(zscores_put)
        case STEP_RATIO: run_ratio(s, group); break;
        case STEP_SAME: run_same(s, group); break;
        default: feature_step_run(s, group);
        }
}

#pragma GCC pop_options
#endif
