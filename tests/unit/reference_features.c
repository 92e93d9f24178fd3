/* The reference: windows by their definition, slow and obvious.  Each entity keeps its events sorted by (time, offset), and every feature of an
 * event is computed by going through them.
 *
 * Invariant: an entity holds at least its visible events (time > T - W - L), never more than max_events_per_entity,
 * and is forgotten without effect when none is left.  Limits count visible events and the entities that have one:
 * what is no longer visible is swept out before anything is evicted, so eviction is a function of the log alone.
 * Cost of an event: features x events of the entity.
 *
 * Compiled with -DPLANT=1 to 5 it has a fault that the property test must find. */
#include "reference_features.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/bytes_hash.h"

#ifndef PLANT
#define PLANT 0
#endif
enum { PLANT_CLOSED_EDGE = 1, PLANT_TIE_ORDER, PLANT_LATE_NOT_COUNTED, PLANT_EVICT_FIRST_SEEN, PLANT_FLOAT_SUM };

struct kept { /* an event, with its own copies of text */
    int64_t time_ms, offset;
    uint32_t id_size;
    char *id, *text;
    struct value *values;
};

struct entity {
    struct entity *next; /* of its bucket */
    struct entity *older, *newer; /* by last seen offset */
    uint64_t hash;
    int64_t seen_offset;
    int64_t dropped_ms; /* newest time ever dropped; TIME_UNKNOWN: none */
    size_t count, room;
    struct kept **events;
    uint32_t key_size;
    char key[];
};

struct reference {
    const struct feature_spec *spec;
    struct window_limits limits;
    int slots;      /* values kept of an event */
    bool *kept_slot;
    int64_t now_ms; /* T */
    int64_t history_ms;
    int64_t evicted_ms; /* newest time ever evicted */
    int64_t swept_ms;
    size_t bucket_count;
    struct entity **buckets;
    struct entity *oldest, *newest;
    const struct kept **visible;
    size_t visible_room;
    struct window_counts counts;
};

#define HISTORY_COLD INT64_MAX /* until the next event is accepted */

/* ---- entities ---- */

static bool bytes_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a_size == b_size && (!a_size || !memcmp(a, b, a_size));
}

static struct entity *entity_find(const struct reference *w, struct bytes key, uint64_t hash)
{
    for (struct entity *e = w->buckets[hash & (w->bucket_count - 1)]; e; e = e->next)
        if (e->hash == hash && bytes_equal(e->key, e->key_size, key.data, key.size))
            return e;
    return NULL;
}

static int buckets_grow(struct reference *w)
{
    size_t count = w->bucket_count * 2;
    struct entity **buckets = calloc(count, sizeof(struct entity *));
    if (!buckets)
        return -1;
    for (size_t i = 0; i < w->bucket_count; i++)
        for (struct entity *e = w->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (count - 1)];
            buckets[e->hash & (count - 1)] = e;
        }
    free(w->buckets);
    w->buckets = buckets;
    w->bucket_count = count;
    return 0;
}

static void order_unlink(struct reference *w, struct entity *e)
{
    *(e->older ? &e->older->newer : &w->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &w->newest) = e->older;
}

static void order_append(struct reference *w, struct entity *e)
{
    e->older = w->newest;
    e->newer = NULL;
    *(w->newest ? &w->newest->newer : &w->oldest) = e;
    w->newest = e;
}

static struct entity *entity_add(struct reference *w, struct bytes key, uint64_t hash)
{
    if (w->counts.entities >= w->bucket_count && buckets_grow(w))
        return NULL;
    struct entity *e = calloc(1, sizeof *e + key.size);
    if (!e)
        return NULL;
    e->hash = hash;
    e->dropped_ms = w->evicted_ms;
    e->key_size = key.size;
    if (key.size)
        memcpy(e->key, key.data, key.size);
    struct entity **bucket = &w->buckets[hash & (w->bucket_count - 1)];
    e->next = *bucket;
    *bucket = e;
    order_append(w, e);
    w->counts.entities++;
    w->counts.bytes += sizeof *e + key.size;
    return e;
}

static size_t kept_bytes(const struct reference *w)
{
    return sizeof(struct kept) + (size_t)w->slots * sizeof(struct value);
}

static void kept_free(struct reference *w, struct kept *k)
{
    w->counts.events--;
    w->counts.bytes -= kept_bytes(w);
    free(k->id);
    free(k->text);
    free(k->values);
    free(k);
}

static void entity_remove(struct reference *w, struct entity *e)
{
    struct entity **link = &w->buckets[e->hash & (w->bucket_count - 1)];
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
    order_unlink(w, e);
    for (size_t i = 0; i < e->count; i++)
        kept_free(w, e->events[i]);
    w->counts.entities--;
    w->counts.bytes -= sizeof *e + e->key_size;
    free(e->events);
    free(e);
}

/* ---- events of an entity ---- */

static bool is_visible(const struct reference *w, int64_t time_ms)
{
    return w->now_ms != TIME_UNKNOWN && time_ms > w->now_ms - w->spec->longest_window_ms - w->spec->lateness_ms;
}

static struct kept *kept_create(const struct reference *w, const struct event *event)
{
    struct kept *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    size_t text_size = 1;
    for (int i = 0; i < w->slots; i++)
        if (w->kept_slot[i] && event->values[i].type == VALUE_TEXT)
            text_size += event->values[i].size;
    k->id = malloc((size_t)event->id.size + 1);
    k->text = malloc(text_size);
    k->values = calloc((size_t)w->slots + 1, sizeof *k->values);
    if (!k->id || !k->text || !k->values) {
        free(k->id);
        free(k->text);
        free(k->values);
        free(k);
        return NULL;
    }
    k->time_ms = event->time_ms;
    k->offset = event->offset;
    k->id_size = event->id.size;
    if (event->id.size)
        memcpy(k->id, event->id.data, event->id.size);
    char *text = k->text;
    for (int i = 0; i < w->slots; i++) {
        if (!w->kept_slot[i])
            continue;
        k->values[i] = event->values[i];
        if (k->values[i].type != VALUE_TEXT)
            continue;
        if (k->values[i].size)
            memcpy(text, event->values[i].text, event->values[i].size);
        k->values[i].text = text;
        text += event->values[i].size;
    }
    return k;
}

static int entity_insert(struct reference *w, struct entity *e, const struct event *event)
{
    if (e->count == e->room) {
        size_t room = e->room ? e->room * 2 : 4;
        struct kept **events = realloc(e->events, room * sizeof(struct kept *));
        if (!events)
            return -1;
        e->events = events;
        e->room = room;
    }
    if (PLANT == PLANT_LATE_NOT_COUNTED && e->count && event->time_ms < e->events[e->count - 1]->time_ms)
        return 0;
    struct kept *k = kept_create(w, event);
    if (!k)
        return -1;
    size_t at = e->count;
    while (at && e->events[at - 1]->time_ms > event->time_ms - (PLANT == PLANT_TIE_ORDER))
        at--;
    memmove(&e->events[at + 1], &e->events[at], (e->count - at) * sizeof(struct kept *));
    e->events[at] = k;
    e->count++;
    w->counts.events++;
    w->counts.bytes += kept_bytes(w);
    return 0;
}

static void entity_drop_front(struct reference *w, struct entity *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kept_free(w, e->events[i]);
    e->count -= n;
    memmove(e->events, e->events + n, e->count * sizeof(struct kept *));
}

/* Lets go of what is no longer visible. */
static void entity_trim(struct reference *w, struct entity *e)
{
    size_t n = 0;
    while (n < e->count && !is_visible(w, e->events[n]->time_ms))
        n++;
    if (n)
        entity_drop_front(w, e, n);
}

/* Keeps the newest max_events_per_entity. */
static void entity_cap(struct reference *w, struct entity *e)
{
    size_t most = (size_t)w->spec->max_events_per_entity;
    if (e->count <= most)
        return;
    size_t n = e->count - most;
    if (e->events[n - 1]->time_ms > e->dropped_ms)
        e->dropped_ms = e->events[n - 1]->time_ms;
    w->counts.dropped_events += n;
    entity_drop_front(w, e, n);
}

/* ---- limits ---- */

static void sweep(struct reference *w)
{
    for (struct entity *e = w->oldest, *next; e; e = next) {
        next = e->newer;
        entity_trim(w, e);
        if (!e->count) {
            entity_remove(w, e);
            w->counts.forgotten_entities++;
        }
    }
    w->swept_ms = w->now_ms;
}

static bool over_limits(const struct reference *w)
{
    return w->counts.entities > w->limits.max_entities || w->counts.events > w->limits.max_events;
}

static void keep_limits(struct reference *w)
{
    int64_t reach_ms = w->spec->longest_window_ms + w->spec->lateness_ms;
    if (over_limits(w) || w->now_ms - w->swept_ms > reach_ms)
        sweep(w);
    while (over_limits(w)) {
        struct entity *e = w->oldest;
        int64_t newest_ms = e->events[e->count - 1]->time_ms;
        if (newest_ms > w->evicted_ms)
            w->evicted_ms = newest_ms;
        entity_remove(w, e);
        w->counts.evicted_entities++;
    }
}

/* ---- features of one event ---- */

struct view { /* the visible events up to the current one, which is the last */
    const struct reference *w;
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

static bool same_value(const struct feature *f, const struct kept *a, const struct kept *b)
{
    const struct value *x = &a->values[f->slot], *y = &b->values[f->slot];
    if (f->has_fixed) {
        int64_t m, n;
        return number_of(f, a, &m) && number_of(f, b, &n) && m == n;
    }
    if (value_is_null(x) || value_is_null(y) || x->type != y->type)
        return false;
    if (x->type == VALUE_TEXT)
        return bytes_equal(x->text, x->size, y->text, y->size);
    return x->integer == y->integer;
}

static bool in_window(const struct view *view, const struct feature *f, const struct kept *k)
{
    const struct feature_spec *spec = view->w->spec;
    bool current = k == view->current;
    if (current ? f->exclude_current : k->time_ms <= view->current->time_ms - spec->windows[f->window].ms - (PLANT == PLANT_CLOSED_EDGE))
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

static double distinct_of(const struct view *view, const struct feature *f)
{
    double n = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct kept *k = view->events[i];
        bool first = in_window(view, f, k) && !value_is_null(&k->values[f->slot]);
        for (size_t j = 0; first && j < i; j++)
            first = !(in_window(view, f, view->events[j]) && same_value(f, k, view->events[j]));
        n += first;
    }
    return n;
}

static double same_of(const struct view *view, const struct feature *f)
{
    if (value_is_null(&view->current->values[f->slot]))
        return NAN;
    double n = 0;
    for (size_t i = 0; i < view->count; i++)
        n += in_window(view, f, view->events[i]) && same_value(f, view->current, view->events[i]);
    return n;
}

static double since_last_of(const struct view *view)
{
    if (view->count < 2)
        return NAN;
    return (double)(view->current->time_ms - view->events[view->count - 2]->time_ms) / 1000.0;
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

/* ---- one event ---- */

static enum reject_reason reject_of(const struct reference *w, const struct entity *e, const struct event *event)
{
    int64_t latest, earliest;
    if (!__builtin_add_overflow(event->record_ms, w->spec->future_skew_ms, &latest) && event->time_ms > latest)
        return REJECT_FUTURE;
    if (w->spec->max_age_ms >= 0 && !__builtin_sub_overflow(event->record_ms, w->spec->max_age_ms, &earliest) &&
        event->time_ms < earliest)
        return REJECT_STALE;
    for (size_t i = 0; e && i < e->count; i++)
        if (is_visible(w, e->events[i]->time_ms) &&
            bytes_equal(e->events[i]->id, e->events[i]->id_size, event->id.data, event->id.size))
            return REJECT_DUPLICATE;
    return REJECT_NONE;
}

static bool is_complete(const struct reference *w, const struct entity *e, int64_t time_ms)
{
    int64_t from_ms = time_ms - w->spec->longest_window_ms;
    return w->now_ms - time_ms <= w->spec->lateness_ms && w->history_ms <= from_ms && e->dropped_ms <= from_ms;
}

static int view_open(struct reference *w, const struct entity *e, const struct kept *current, struct view *view)
{
    if (w->visible_room < e->count + 1) {
        size_t room = e->count * 2 + 16;
        const struct kept **visible = realloc(w->visible, room * sizeof(const struct kept *));
        if (!visible)
            return -1;
        w->visible = visible;
        w->visible_room = room;
    }
    *view = (struct view){.w = w, .events = w->visible, .current = current};
    for (size_t i = 0; i < e->count && e->events[i]->time_ms <= current->time_ms; i++)
        if (is_visible(w, e->events[i]->time_ms))
            w->visible[view->count++] = e->events[i];
    w->visible[view->count++] = current;
    return 0;
}

static int row_compute(struct reference *w, const struct entity *e, const struct event *event, float *row)
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

static int fold_one(struct reference *w, const struct event *event, float *row, struct feature_outcome *outcome)
{
    assert(event->time_ms >= 0);
    uint64_t hash = hash_bytes(event->entity.data, event->entity.size, 0);
    struct entity *e = entity_find(w, event->entity, hash);
    *outcome = (struct feature_outcome){.reason = reject_of(w, e, event)};
    if (outcome->reason != REJECT_NONE)
        return 0;
    if (e && !is_visible(w, e->events[e->count - 1]->time_ms)) {
        entity_remove(w, e);
        w->counts.forgotten_entities++;
        e = NULL;
    }
    if (!e && !(e = entity_add(w, event->entity, hash)))
        return -1;
    if (event->time_ms > w->now_ms)
        w->now_ms = event->time_ms;
    if (w->history_ms == HISTORY_COLD)
        w->history_ms = w->now_ms;
    outcome->late_ms = w->now_ms - event->time_ms;
    outcome->window_complete = is_complete(w, e, event->time_ms);
    if (row_compute(w, e, event, row) || entity_insert(w, e, event))
        return -1;
    if (PLANT != PLANT_EVICT_FIRST_SEEN) {
        order_unlink(w, e);
        order_append(w, e);
    }
    e->seen_offset = event->offset;
    entity_trim(w, e);
    entity_cap(w, e);
    if (!e->count)
        entity_remove(w, e);
    keep_limits(w);
    return 0;
}

/* ---- the interface ---- */

int reference_fold(struct reference *w, const struct event *events, size_t n, float *rows, struct feature_outcome *outcomes)
{
    assert(n <= WINDOWS_BATCH_MAX);
    for (size_t i = 0; i < n; i++)
        if (fold_one(w, &events[i], &rows[i * w->spec->count], &outcomes[i]))
            return -1;
    return 0;
}

static void mark_slot(struct reference *w, int slot)
{
    if (slot < 0)
        return;
    w->kept_slot[slot] = true;
    if (slot >= w->slots)
        w->slots = slot + 1;
}

struct reference *reference_create(const struct feature_spec *spec, struct window_limits limits)
{
    struct reference *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct reference){.spec = spec, .limits = limits, .now_ms = TIME_UNKNOWN, .history_ms = TIME_UNKNOWN,
                          .evicted_ms = TIME_UNKNOWN, .bucket_count = 1024};
    w->buckets = calloc(w->bucket_count, sizeof(struct entity *));
    w->kept_slot = calloc(FIELD_SLOTS_MAX, sizeof *w->kept_slot);
    if (!w->buckets || !w->kept_slot) {
        reference_destroy(w);
        return NULL;
    }
    for (size_t i = 0; i < spec->count; i++) {
        mark_slot(w, spec->features[i].slot);
        mark_slot(w, spec->features[i].lat);
        mark_slot(w, spec->features[i].lon);
        if (spec->features[i].where >= 0)
            mark_slot(w, spec->filters[spec->features[i].where]->slot);
    }
    return w;
}

void reference_destroy(struct reference *w)
{
    if (!w)
        return;
    while (w->oldest)
        entity_remove(w, w->oldest);
    free(w->buckets);
    free(w->kept_slot);
    free(w->visible);
    free(w);
}

void reference_set_history_start(struct reference *w, int64_t event_time_ms)
{
    w->history_ms = event_time_ms;
}

void reference_set_history_cold(struct reference *w)
{
    w->history_ms = HISTORY_COLD;
}

int64_t reference_history_start(const struct reference *w)
{
    return w->history_ms;
}

int64_t reference_stream_time(const struct reference *w)
{
    return w->now_ms;
}

struct window_counts reference_count(const struct reference *w)
{
    return w->counts;
}

/* ---- digest: what is visible or may still matter, entity by entity, added up so that order does not matter ---- */

static uint64_t value_digest(const struct value *v, uint64_t h)
{
    if (value_is_null(v))
        return hash_integer(VALUE_NULL, h);
    h = hash_integer(v->type, h);
    return v->type == VALUE_TEXT ? hash_bytes(v->text, v->size, h) : hash_integer((uint64_t)v->integer, h);
}

static int64_t mark_digest(const struct reference *w, int64_t time_ms)
{
    return time_ms != TIME_UNKNOWN && (time_ms == HISTORY_COLD || is_visible(w, time_ms)) ? time_ms : TIME_UNKNOWN;
}

static uint64_t entity_digest(const struct reference *w, const struct entity *e)
{
    uint64_t h = hash_bytes(e->key, e->key_size, 1);
    h = hash_integer((uint64_t)e->seen_offset, h);
    h = hash_integer((uint64_t)mark_digest(w, e->dropped_ms), h);
    bool any = false;
    for (size_t i = 0; i < e->count; i++) {
        const struct kept *k = e->events[i];
        if (!is_visible(w, k->time_ms))
            continue;
        any = true;
        h = hash_integer((uint64_t)k->time_ms, h);
        h = hash_integer((uint64_t)k->offset, h);
        h = hash_bytes(k->id, k->id_size, h);
        for (int s = 0; s < w->slots; s++)
            if (w->kept_slot[s])
                h = value_digest(&k->values[s], h);
    }
    return any ? h : 0;
}

uint64_t reference_digest(const struct reference *w)
{
    uint64_t sum = 0;
    for (const struct entity *e = w->oldest; e; e = e->newer)
        sum += entity_digest(w, e);
    sum = hash_integer((uint64_t)w->now_ms, sum);
    sum = hash_integer((uint64_t)mark_digest(w, w->history_ms), sum);
    return hash_integer((uint64_t)mark_digest(w, w->evicted_ms), sum);
}
