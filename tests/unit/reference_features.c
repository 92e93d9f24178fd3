/* The reference: windows by their definition, slow and obvious.  This is its fold of one event and its interface;
 * reference_entities.c has what is held, reference_rows.c what is made of it.
 *
 * Compiled with -DPLANT=1 to 10 it has a fault that the property test must find. */
#include "reference_state.h"

#include <assert.h>
#include <stdlib.h>

#define HISTORY_COLD INT64_MAX /* until the next event is accepted */

/* ---- one event ---- */

static enum reject_reason reject_of(const struct reference *w, const struct reference_entity *e, const struct event *event)
{
    int64_t latest, earliest;
    if (!__builtin_add_overflow(event->record_ms, w->spec->future_skew_ms, &latest) && event->time_ms > latest)
        return REJECT_FUTURE;
    if (w->spec->max_age_ms >= 0 && !__builtin_sub_overflow(event->record_ms, w->spec->max_age_ms, &earliest) &&
        event->time_ms < earliest)
        return REJECT_STALE;
    for (size_t i = 0; e && i < e->count; i++)
        if (reference_shows(w, e->events[i]->time_ms) && !(PLANT == PLANT_ID_NOT_FOUND && e->count > PLANTED_RING && i % 16 == 0) &&
            bytes_equal(e->events[i]->id, e->events[i]->id_size, event->id.data, event->id.size))
            return REJECT_DUPLICATE;
    return REJECT_NONE;
}

static bool is_complete(const struct reference *w, const struct reference_entity *e, int64_t time_ms)
{
    int64_t from_ms = time_ms - w->spec->longest_window_ms;
    return w->now_ms - time_ms <= w->spec->lateness_ms && w->history_ms <= from_ms && e->dropped_ms <= from_ms;
}

int64_t reference_before(const struct reference *w, const struct reference_entity *e, int64_t time_ms)
{
    int64_t before_ms = TIME_UNKNOWN;
    for (size_t i = 0; i < e->count && e->events[i]->time_ms <= time_ms; i++)
        if (reference_shows(w, e->events[i]->time_ms))
            before_ms = e->events[i]->time_ms;
    return before_ms;
}

static int fold_one(struct reference *w, const struct event *event, float *row, struct feature_outcome *outcome)
{
    assert(event->time_ms >= 0);
    struct reference_entity *e = reference_find(w, event->entity);
    *outcome = (struct feature_outcome){.reason = reject_of(w, e, event)};
    if (outcome->reason != REJECT_NONE)
        return 0;
    if (e && !reference_shows(w, e->events[e->count - 1]->time_ms)) {
        reference_remove(w, e);
        w->counts.forgotten_entities++;
        e = NULL;
    }
    if (!e && !(e = reference_add(w, event->entity)))
        return -1;
    if (event->time_ms > w->now_ms)
        w->now_ms = event->time_ms;
    if (w->history_ms == HISTORY_COLD)
        w->history_ms = w->now_ms;
    outcome->late_ms = w->now_ms - event->time_ms;
    outcome->window_complete = is_complete(w, e, event->time_ms);
    outcome->before_ms = reference_before(w, e, event->time_ms);
    if ((reference_has_row(w, event->offset) && reference_row(w, e, event, row)) || reference_insert(w, e, event))
        return -1;
    reference_see(w, e, event->offset);
    reference_trim(w, e);
    reference_cap(w, e);
    if (!e->count)
        reference_remove(w, e);
    reference_keep_limits(w);
    return 0;
}

/* ---- the interface ---- */

void reference_rows_every(struct reference *w, int64_t offsets)
{
    w->row_every = offsets;
}

bool reference_has_row(const struct reference *w, int64_t offset)
{
    return offset % w->row_every == 0;
}

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
                          .evicted_ms = TIME_UNKNOWN, .bucket_count = 1024, .row_every = 1};
    w->buckets = calloc(w->bucket_count, sizeof(struct reference_entity *));
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
        reference_remove(w, w->oldest);
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
