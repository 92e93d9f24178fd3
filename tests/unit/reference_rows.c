/* The reference's rows: each feature of an event by its definition, by going through the visible events of its entity.
 * Cost of an event: features x events of the entity. */
#include "reference_state.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct view { /* the visible events up to the current one, which is the last */
    const struct reference *w;
    const struct reference_entity *entity;
    const struct kept *const *events;
    size_t count;
    const struct kept *current;
};

/* The number that a windowed op reads; false for null. */
static bool number_of(const struct feature *f, const struct kept *k, int64_t *x)
{
    const struct value *v = &k->values[f->slot];
    if (value_is_null(v))
        return false;
    if (!f->has_fixed)
        *x = v->integer;
    else
        *x = llrint((v->type == VALUE_INT ? (double)v->integer : v->real) / f->fixed);
    return true;
}

/* What a category is: two are the same if nothing differs. */
struct category {
    uint32_t type;
    int64_t number;
    struct bytes text;
};

static bool category_of(const struct feature *f, const struct kept *k, struct category *c)
{
    const struct value *v = &k->values[f->slot];
    if (value_is_null(v))
        return false;
    *c = (struct category){.type = f->has_fixed ? VALUE_INT : v->type};
    if (f->has_fixed)
        return number_of(f, k, &c->number);
    if (v->type == VALUE_TEXT)
        c->text = (struct bytes){v->text, v->size};
    else
        c->number = v->integer;
    return true;
}

static int category_order(const void *a, const void *b)
{
    const struct category *x = a, *y = b;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    if (x->text.size != y->text.size)
        return x->text.size < y->text.size ? -1 : 1;
    return x->text.size ? memcmp(x->text.data, y->text.data, x->text.size) : 0;
}

static bool in_window(const struct view *view, const struct feature *f, const struct kept *k)
{
    const struct feature_spec *spec = view->w->spec;
    bool current = k == view->current;
    if (current ? f->exclude_current : k->time_ms <= view->current->time_ms - spec->windows[f->window].ms - (PLANT == PLANT_CLOSED_EDGE))
        return false;
    if (PLANT == PLANT_CAP_FORGETS_WINDOW && k == view->events[0] && view->count > PLANTED_RING && (size_t)f->window + 1 == spec->window_count &&
        view->entity->count == (size_t)spec->max_events_per_entity)
        return false;
    return f->where < 0 || predicate_holds(spec->filters[f->where], k->values);
}

struct sums {
    int64_t n, s, min, max;
    __int128 q;
};

static struct sums sums_over(const struct view *view, const struct feature *f)
{
    struct sums sums = {.min = INT64_MAX, .max = INT64_MIN};
    for (size_t i = 0; i < view->count; i++) {
        int64_t x;
        if (!in_window(view, f, view->events[i]) || !number_of(f, view->events[i], &x))
            continue;
        sums.n++;
        sums.s = PLANT == PLANT_FLOAT_SUM ? (int64_t)((float)sums.s + (float)x) : sums.s + x;
        sums.q += (__int128)x * x;
        sums.min = x < sums.min ? x : sums.min;
        sums.max = x > sums.max ? x : sums.max;
    }
    return sums;
}

static double mean_of(const struct sums *a)
{
    return a->n ? (double)a->s / (double)a->n : NAN;
}

static double std_of(const struct sums *a)
{
    return a->n ? sqrt((double)(a->n * a->q - (__int128)a->s * a->s)) / (double)a->n : NAN;
}

static double zscore_of(const struct view *view, const struct feature *f)
{
    struct sums sums = sums_over(view, f);
    int64_t x;
    if (!number_of(f, view->current, &x) || !sums.n)
        return NAN;
    double std = std_of(&sums);
    return std > 0 ? ((double)x - mean_of(&sums)) / std : 0;
}

static double ratio_of(const struct view *view, const struct feature *f)
{
    struct sums sums = sums_over(view, f);
    int64_t x;
    if (!number_of(f, view->current, &x) || !sums.n || !sums.s)
        return NAN;
    return (double)x / mean_of(&sums);
}

static double count_of(const struct view *view, const struct feature *f)
{
    double n = 0;
    for (size_t i = 0; i < view->count; i++)
        if (in_window(view, f, view->events[i]) && (f->slot < 0 || !value_is_null(&view->events[i]->values[f->slot])))
            n++;
    return n;
}

/* Sorted, each one that differs from the one before is another one. */
static double distinct_of(const struct view *view, const struct feature *f)
{
    struct category *all = calloc(view->count, sizeof *all);
    assert(all);
    size_t count = 0, different = 0;
    for (size_t i = 0; i < view->count; i++)
        count += in_window(view, f, view->events[i]) && category_of(f, view->events[i], &all[count]);
    qsort(all, count, sizeof *all, category_order);
    for (size_t i = 0; i < count; i++)
        different += !i || category_order(&all[i - 1], &all[i]) != 0;
    free(all);
    if (PLANT == PLANT_CATEGORY_LOST && view->count > PLANTED_RING && different > PLANTED_RING / 8)
        different--;
    return (double)different;
}

static double same_of(const struct view *view, const struct feature *f)
{
    struct category own, other;
    if (!category_of(f, view->current, &own))
        return NAN;
    double n = 0;
    for (size_t i = 0; i < view->count; i++)
        n += in_window(view, f, view->events[i]) && category_of(f, view->events[i], &other) && !category_order(&own, &other);
    return n;
}

static double since_last_of(const struct view *view)
{
    const int64_t before_ms = reference_before(view->w, view->entity, view->current->time_ms);
    return before_ms == TIME_UNKNOWN ? NAN : (double)(view->current->time_ms - before_ms) / 1000.0;
}

static double since_first_of(const struct view *view)
{
    int64_t now_ms = view->current->time_ms;
    size_t i = 0;
    while (view->events[i] != view->current && view->events[i]->time_ms <= now_ms - view->w->spec->longest_window_ms)
        i++;
    return (double)(now_ms - view->events[i]->time_ms) / 1000.0;
}

static bool coordinate(const struct value *v, double limit, double *degrees)
{
    if (v->type != VALUE_INT && v->type != VALUE_DOUBLE)
        return false;
    *degrees = v->type == VALUE_INT ? (double)v->integer : v->real;
    return *degrees >= -limit && *degrees <= limit;
}

static bool place_of(const struct feature *f, const struct kept *k, double *lat, double *lon)
{
    return coordinate(&k->values[f->lat], 90, lat) && coordinate(&k->values[f->lon], 180, lon);
}

static double haversine_km(double lat1, double lon1, double lat2, double lon2)
{
    const double radians = M_PI / 180;
    double dlat = sin((lat2 - lat1) * radians / 2), dlon = sin((lon2 - lon1) * radians / 2);
    double a = dlat * dlat + cos(lat1 * radians) * cos(lat2 * radians) * dlon * dlon;
    return 2 * 6371.0088 * asin(sqrt(fmin(1, a)));
}

static double speed_of(const struct view *view, const struct feature *f)
{
    double lat1, lon1, lat2, lon2;
    if (!place_of(f, view->current, &lat2, &lon2))
        return NAN;
    for (size_t i = view->count - 1; i--;) {
        if (!place_of(f, view->events[i], &lat1, &lon1))
            continue;
        int64_t ms = view->current->time_ms - view->events[i]->time_ms;
        return haversine_km(lat1, lon1, lat2, lon2) / ((double)(ms < 1000 ? 1000 : ms) / 3600000.0);
    }
    return NAN;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static double clock_of(const struct feature *f, int64_t time_ms)
{
    int64_t hours = floor_div(time_ms + f->offset_ms, 3600000), days = floor_div(hours, 24);
    int64_t x = f->op == OP_HOUR_OF_DAY ? hours - days * 24 : days + 3 - floor_div(days + 3, 7) * 7;
    if (!f->value_count)
        return (double)x;
    for (size_t i = 0; i < f->value_count; i++)
        if (f->values[i].integer == x)
            return 1;
    return 0;
}

static double value_of(const struct feature *f, const struct kept *k)
{
    const struct value *v = &k->values[f->slot];
    int64_t x;
    if (value_is_null(v))
        return NAN;
    if (v->type == VALUE_DOUBLE && !f->has_fixed)
        return v->real;
    return number_of(f, k, &x) ? (double)x : NAN;
}

static double listed_of(const struct feature *f, const struct kept *k)
{
    const struct value *v = &k->values[f->slot];
    if (value_is_null(v))
        return NAN;
    for (size_t i = 0; i < f->value_count; i++)
        if (literal_matches(&f->values[i], v))
            return f->op == OP_CODE ? (double)i : 1;
    return f->op == OP_CODE ? NAN : 0;
}

static double feature_of(const struct view *view, const struct feature *f)
{
    struct sums sums;
    switch (f->op) {
    case OP_VALUE: return value_of(f, view->current);
    case OP_EQUALS:
    case OP_IN:
    case OP_CODE: return listed_of(f, view->current);
    case OP_HOUR_OF_DAY:
    case OP_DAY_OF_WEEK: return clock_of(f, view->current->time_ms);
    case OP_COUNT: return count_of(view, f);
    case OP_SUM: return (double)sums_over(view, f).s;
    case OP_MIN: sums = sums_over(view, f); return sums.n ? (double)sums.min : NAN;
    case OP_MAX: sums = sums_over(view, f); return sums.n ? (double)sums.max : NAN;
    case OP_MEAN: sums = sums_over(view, f); return mean_of(&sums);
    case OP_STD: sums = sums_over(view, f); return std_of(&sums);
    case OP_ZSCORE: return zscore_of(view, f);
    case OP_RATIO: return ratio_of(view, f);
    case OP_DISTINCT: return distinct_of(view, f);
    case OP_SAME: return same_of(view, f);
    case OP_SINCE_LAST: return since_last_of(view);
    case OP_SINCE_FIRST: return since_first_of(view);
    case OP_SPEED_KMH: return speed_of(view, f);
    case OP_COUNT_OF_OPS: break;
    }
    return NAN;
}

/* ---- the row ---- */

static int view_open(struct reference *w, const struct reference_entity *e, const struct kept *current, struct view *view)
{
    if (w->visible_room < e->count + 1) {
        size_t room = e->count * 2 + 16;
        const struct kept **visible = realloc(w->visible, room * sizeof(const struct kept *));
        if (!visible)
            return -1;
        w->visible = visible;
        w->visible_room = room;
    }
    *view = (struct view){.w = w, .entity = e, .events = w->visible, .current = current};
    size_t end = 0;
    while (end < e->count && e->events[end]->time_ms <= current->time_ms)
        end++;
    if (PLANT == PLANT_LATE_SEES_NEWER && e->count - end > PLANTED_RING)
        end++;
    for (size_t i = 0; i < end; i++)
        if (reference_shows(w, e->events[i]->time_ms))
            w->visible[view->count++] = e->events[i];
    w->visible[view->count++] = current;
    return 0;
}

int reference_row(struct reference *w, const struct reference_entity *e, const struct event *event, float *row)
{
    struct kept current = {.time_ms = event->time_ms, .offset = event->offset, .values = (struct value *)event->values};
    struct view view;
    if (view_open(w, e, &current, &view))
        return -1;
    for (size_t i = 0; i < w->spec->count; i++) {
        const struct feature *f = &w->spec->features[i];
        double x = feature_of(&view, f);
        if (f->has_scale)
            x *= f->scale;
        row[i] = isnan(x) ? NAN : (float)x;
    }
    return 0;
}
