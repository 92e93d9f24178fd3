#include "scoring/features/feature_steps.h"

#include <math.h>

#include "scoring/features/features.h"

/* ---- what a window says: the i-th of a step ---- */

static inline const void *counted(const struct feature_view *v, uint32_t at)
{
    return v->counted + at;
}

static inline uint32_t members(const struct feature_view *v, const struct step *s, uint32_t i)
{
    return (uint32_t)(((const uint64_t *)counted(v, s->counters))[i] >> s->shift) & s->counter_mask;
}

static inline int64_t number(const struct feature_view *v, const struct step *s, uint32_t i)
{
    return ((const int64_t *)counted(v, s->counted))[i];
}

static inline uint32_t count(const struct feature_view *v, const struct step *s, uint32_t i)
{
    return ((const uint32_t *)counted(v, s->counted))[i];
}

static inline double double_of(__int128 x)
{
    return x == (int64_t)x ? (double)(int64_t)x : (double)x;
}

/* Population deviation: sqrt(n * sum(x * x) - sum(x) * sum(x)) / n, exact up to the root while that is below 2^127. */
static inline double deviation(const struct feature_view *v, const struct step *s, uint32_t i, uint32_t n)
{
    const unsigned __int128 squares = ((const unsigned __int128 *)counted(v, s->squares))[i];
    const int64_t total = number(v, s, i);
    const unsigned __int128 difference = n * squares - (unsigned __int128)((__int128)total * total);
    return sqrt(double_of((__int128)difference)) / (double)n;
}

static inline double mean(const struct feature_view *v, const struct step *s, uint32_t i)
{
    uint32_t n = members(v, s, i);
    return n ? (double)number(v, s, i) / (double)n : NAN;
}

static inline double std_of(const struct feature_view *v, const struct step *s, uint32_t i)
{
    uint32_t n = members(v, s, i);
    return n ? deviation(v, s, i, n) : NAN;
}

static inline double current_number(const struct feature_view *v, const struct step *s)
{
    return (double)(int64_t)v->record[s->word];
}

static inline bool current_null(const struct feature_view *v, const struct step *s)
{
    return value_is_null(&v->values[s->slot]);
}

static inline double zscore(const struct feature_view *v, const struct step *s, uint32_t i)
{
    uint32_t n = members(v, s, i);
    if (!n || current_null(v, s))
        return NAN;
    double std = deviation(v, s, i, n);
    return std > 0 ? (current_number(v, s) - mean(v, s, i)) / std : 0;
}

static inline double ratio(const struct feature_view *v, const struct step *s, uint32_t i)
{
    return members(v, s, i) && number(v, s, i) && !current_null(v, s) ? current_number(v, s) / mean(v, s, i) : NAN;
}

static inline double best(const struct feature_view *v, const struct step *s, uint32_t i)
{
    int64_t x = number(v, s, i);
    return x == INT64_MIN ? NAN : (double)x;
}

static inline double same(const struct feature_view *v, const struct step *s, uint32_t i)
{
    return current_null(v, s) ? NAN : (double)count(v, s, i);
}

/* ---- the event itself ---- */

static inline double value(const struct feature_view *v, const struct step *s)
{
    const struct value *x = &v->values[s->slot];
    return x->type == VALUE_INT ? (double)x->integer : value_is_null(x) ? NAN : x->real;
}

static double rounded(const struct feature_view *v, const struct step *s)
{
    return current_null(v, s) ? NAN : (double)llrint(value(v, s) / s->detail->fixed);
}

/* Whole weeks before 1970, more than an offset can go back: so division is of unsigned numbers. */
#define BIAS_HOURS (UINT64_C(5300) * 7 * 24)

static double clock_of(const struct feature_view *v, const struct step *s)
{
    const struct step_detail *detail = s->detail;
    uint64_t hours = ((uint64_t)(v->time_ms + detail->offset_ms) + BIAS_HOURS * 3600000) / 3600000;
    uint64_t x = detail->day ? (hours / 24 + 3) % 7 : hours % 24; /* 1970 began on a Thursday */
    return detail->listed ? (double)(detail->listed >> x & 1) : (double)(int64_t)x;
}

static double listed(const struct feature_view *v, const struct step *s)
{
    return current_null(v, s) ? NAN : literal_list_find(&s->detail->list, &v->values[s->slot]) >= 0;
}

static double code(const struct feature_view *v, const struct step *s)
{
    int found = current_null(v, s) ? -1 : literal_list_find(&s->detail->list, &v->values[s->slot]);
    return found < 0 ? NAN : (double)found;
}

static double haversine_km(double lat1, double lon1, double lat2, double lon2)
{
    const double radians = M_PI / 180;
    double dlat = sin((lat2 - lat1) * radians / 2), dlon = sin((lon2 - lon1) * radians / 2);
    double a = dlat * dlat + cos(lat1 * radians) * cos(lat2 * radians) * dlon * dlon;
    return 2 * 6371.0088 * asin(sqrt(fmin(1, a)));
}

static double speed(const struct feature_view *v, const struct step *s)
{
    const struct feature_program *p = v->store->program;
    const struct place_before *before = &v->places[s->place];
    if (!before->known || !record_has_place(p, v->record, s->place))
        return NAN;
    double to[2];
    memcpy(to, &v->record[p->place_word + 2 * s->place], sizeof to);
    int64_t ms = v->time_ms - before->time_ms;
    return haversine_km(before->degrees[0], before->degrees[1], to[0], to[1]) / ((double)(ms < 1000 ? 1000 : ms) / 3600000.0);
}

static double since(int64_t time_ms, int64_t from_ms)
{
    return from_ms == TIME_UNKNOWN ? NAN : (double)(time_ms - from_ms) / 1000.0;
}

/* ---- steps ---- */

/* A missing value is NAN itself, whose bits neither scale nor rounding change. */
#define PUT(expression)                                 \
    EACH_VIEW(v, group)                                 \
        v->row[column] = (float)((expression) * scale); \
    break

/* Column i of a window each. */
#define PUT_WINDOWS(expression)                                 \
    EACH_VIEW(v, group)                                         \
        for (uint32_t i = 0; i < columns; i++)                  \
            v->row[column + i] = (float)((expression) * scale); \
    break

void feature_step_run(const struct step *s, struct view_group group)
{
    const size_t column = s->column;
    const uint32_t columns = s->count;
    const double scale = s->scale;
    switch (s->kind) {
    case STEP_VALUE: PUT(value(v, s));
    case STEP_ROUNDED: PUT(rounded(v, s));
    case STEP_LISTED: PUT(listed(v, s));
    case STEP_CODE: PUT(code(v, s));
    case STEP_CLOCK: PUT(clock_of(v, s));
    case STEP_SINCE_LAST: PUT(since(v->time_ms, v->last_ms));
    case STEP_SINCE_FIRST: PUT(since(v->time_ms, v->first_ms));
    case STEP_SPEED: PUT(speed(v, s));
    case STEP_EVENTS: PUT_WINDOWS((double)count(v, s, i));
    case STEP_LANE: PUT_WINDOWS((double)members(v, s, i));
    case STEP_SUM: PUT_WINDOWS((double)number(v, s, i));
    case STEP_BEST: PUT_WINDOWS(best(v, s, i));
    case STEP_MEAN: PUT_WINDOWS(mean(v, s, i));
    case STEP_STD: PUT_WINDOWS(std_of(v, s, i));
    case STEP_ZSCORE: PUT_WINDOWS(zscore(v, s, i));
    case STEP_RATIO: PUT_WINDOWS(ratio(v, s, i));
    case STEP_SAME: PUT_WINDOWS(same(v, s, i));
    }
}

void feature_steps_run(const struct feature_program *p, uint32_t first, uint32_t end, const struct feature_view *views, size_t n)
{
    const struct view_group group = {views, feature_view_at(views, n), views->size};
#if defined __x86_64__
    if (p->vectors) {
        feature_steps_run_avx512(p->steps + first, p->steps + end, group);
        return;
    }
#endif
    for (const struct step *s = p->steps + first; s < p->steps + end; s++)
        feature_step_run(s, group);
}
