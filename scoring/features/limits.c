/* How the state stays within its limits without the limits depending on when memory is given back.
 *
 * What counts is visible events, and entities that have one.  As long as all that is held, visible or not, is within the
 * limits, so is what counts.  When it is not, three heaps say what goes: by the time of the newest event and of the oldest,
 * to let go of entities and of events that are no longer visible, and by the last offset seen, to evict.  They are built
 * before they are needed, PRESS_AT_ONCE entities with each event from 15 sixteenths of a limit on: an event adds one entity
 * and one event at most, and there are no more entities than either limit allows, so they are whole in time; a checkpoint
 * that is read back builds them likewise.  (Limits that are lowered build and evict at once, at the first event under
 * them.)  Of what is not visible so much goes at once as has to, and a little more with each event; only when none is left is an entity evicted.
 * So an event makes at most one or two entities go that a running checkpoint has to write first, however far it moves
 * stream time.  Keys only grow, so an entry is looked at again when it comes up: O(log entities) for each event that goes,
 * amortised.  The heaps go when an eighth of both limits is free.
 *
 * Without pressure idle entities are found by a hand that goes round four times in W + L of stream time; it passes over
 * those that a running checkpoint has still to write. */
#include <assert.h>

#include "scoring/features/partition_state.h"

enum { AHEAD_EACH_EVENT = 4, PRESS_AT_ONCE = 32 /* more than 16: see above */ };

void limits_forget(struct windows *w, struct entity *e)
{
    changes_gone(w, e);
    store_release(&w->store, e);
    entity_remove(&w->entities, e);
    w->forgotten_entities++;
}

static int64_t oldest_ms(const struct windows *w, const struct entity *e)
{
    return record_time(entity_record(w->program, e, 0));
}

static bool too_many_entities(const struct windows *w)
{
    return w->entities.held > w->limits.max_entities;
}

static bool too_many_events(const struct windows *w)
{
    return w->store.events > w->limits.max_events;
}

static bool over(const struct windows *w)
{
    return too_many_entities(w) || too_many_events(w);
}

static bool relaxed(const struct windows *w)
{
    return w->entities.held < w->limits.max_entities - w->limits.max_entities / 8 &&
           w->store.events < w->limits.max_events - w->limits.max_events / 8;
}

static int enter(struct windows *w, const struct entity *e)
{
    if (!e->held || !e->count) /* or it is being read back, and has nothing yet */
        return 0;
    return lazy_heap_put(&w->by_newest, e->number, e->newest_ms) || lazy_heap_put(&w->by_oldest, e->number, oldest_ms(w, e)) ||
           lazy_heap_put(&w->by_seen, e->number, e->seen_offset) ? -1 : 0;
}

/* The next so many entities come into the heaps. */
static int press(struct windows *w, uint32_t most)
{
    w->pressed = true;
    for (; most && w->pressed_to < w->entities.ever; w->pressed_to++, most--)
        if (enter(w, entity_at(&w->entities, w->pressed_to)))
            return -1;
    return 0;
}

static bool is_whole(const struct windows *w)
{
    return w->pressed_to == w->entities.ever;
}

static void release(struct windows *w)
{
    w->pressed = false;
    w->pressed_to = 0;
    lazy_heap_finish(&w->by_newest);
    lazy_heap_finish(&w->by_oldest);
    lazy_heap_finish(&w->by_seen);
}

/* The entity that has just changed: new ones come in, and an oldest time may have become earlier. */
static int note(struct windows *w, const struct entity *e)
{
    if (e->newest_ms < lazy_heap_key(&w->by_newest, e->number) && lazy_heap_put(&w->by_newest, e->number, e->newest_ms))
        return -1;
    if (oldest_ms(w, e) < lazy_heap_key(&w->by_oldest, e->number) && lazy_heap_put(&w->by_oldest, e->number, oldest_ms(w, e)))
        return -1;
    if (e->seen_offset < lazy_heap_key(&w->by_seen, e->number) && lazy_heap_put(&w->by_seen, e->number, e->seen_offset))
        return -1;
    return 0;
}

/* Lets go of an entity without a visible event.  1: of one; 0: there is none; -1: memory is short. */
static int forget_hidden(struct windows *w)
{
    int64_t horizon_ms = windows_horizon(w), key;
    uint32_t number;
    while (lazy_heap_peek(&w->by_newest, &key) && key <= horizon_ms) {
        lazy_heap_take(&w->by_newest, &number, &key);
        struct entity *e = entity_at(&w->entities, number);
        if (e->held && e->newest_ms <= horizon_ms) {
            limits_forget(w, e);
            return 1;
        }
        if (e->held && lazy_heap_put(&w->by_newest, number, e->newest_ms))
            return -1;
    }
    return 0;
}

static int trim(struct windows *w, struct entity *e, int64_t horizon_ms)
{
    changes_capture_due(w, e);
    store_trim(&w->store, e, horizon_ms);
    if (!e->count)
        limits_forget(w, e);
    else if (store_shrink(&w->store, e) || lazy_heap_put(&w->by_oldest, e->number, oldest_ms(w, e)))
        return -1;
    return 1;
}

/* Lets go of the events of an entity that are not visible.  As above. */
static int trim_hidden(struct windows *w)
{
    int64_t horizon_ms = windows_horizon(w), key;
    uint32_t number;
    while (lazy_heap_peek(&w->by_oldest, &key) && key <= horizon_ms) {
        lazy_heap_take(&w->by_oldest, &number, &key);
        struct entity *e = entity_at(&w->entities, number);
        if (e->held && oldest_ms(w, e) <= horizon_ms)
            return trim(w, e, horizon_ms);
        if (e->held && lazy_heap_put(&w->by_oldest, number, oldest_ms(w, e)))
            return -1;
    }
    return 0;
}

static void evict(struct windows *w, struct entity *e)
{
    if (e->newest_ms > w->evicted_ms)
        w->evicted_ms = e->newest_ms;
    changes_gone(w, e);
    store_release(&w->store, e);
    entity_remove(&w->entities, e);
    w->evicted_entities++;
}

static int evict_least_recent(struct windows *w)
{
    uint32_t number;
    int64_t key;
    for (;;) {
        bool any = lazy_heap_take(&w->by_seen, &number, &key);
        assert(any);
        struct entity *e = entity_at(&w->entities, number);
        if (e->held && e->seen_offset == key) {
            evict(w, e);
            return 1;
        }
        if (e->held && lazy_heap_put(&w->by_seen, number, e->seen_offset))
            return -1;
    }
}

/* What has to go. */
static int keep_under(struct windows *w)
{
    while (over(w)) {
        int gone = too_many_entities(w) ? forget_hidden(w) : 0;
        if (!gone && too_many_events(w))
            gone = trim_hidden(w);
        if (!gone)
            gone = evict_least_recent(w);
        if (gone < 0)
            return -1;
    }
    return 0;
}

/* What may go: not while a checkpoint runs, which would have to write it first. */
static int go_ahead(struct windows *w)
{
    int gone = 1;
    for (int i = 0; i < AHEAD_EACH_EVENT && gone > 0 && !w->changes.running; i++) {
        gone = forget_hidden(w);
        if (!gone)
            gone = trim_hidden(w);
    }
    return gone < 0 ? -1 : 0;
}

int limits_press(struct windows *w, struct entity *e)
{
    if (e && e->number < w->pressed_to && note(w, e))
        return -1;
    if (press(w, over(w) ? UINT32_MAX : PRESS_AT_ONCE) || keep_under(w) || (is_whole(w) && go_ahead(w)))
        return -1;
    if (relaxed(w))
        release(w);
    return 0;
}

void limits_prepare(struct windows *w)
{
    if (limits_are_near(w))
        press(w, PRESS_AT_ONCE); /* where memory is short now, a later step goes on */
}

void limits_take(struct windows *w, struct window_limits limits)
{
    w->limits = limits;
    w->near = (struct window_limits){limits.max_entities - limits.max_entities / 16, limits.max_events - limits.max_events / 16};
}

int windows_set_limits(struct windows *w, struct window_limits limits)
{
    limits_take(w, limits);
    return limits_keep(w, NULL);
}

void limits_sweep(struct windows *w, size_t events)
{
    int64_t reach_ms = w->spec->longest_window_ms + w->spec->lateness_ms, horizon_ms = windows_horizon(w);
    if (w->now_ms == TIME_UNKNOWN || !w->entities.ever)
        return;
    double turns = 4.0 * (double)(w->now_ms - w->swept_to_ms) / (double)(reach_ms + 1);
    double due = turns < 1 ? turns * w->entities.ever : w->entities.ever;
    if (due < 1)
        return;
    double most = 64.0 * (double)events;
    uint32_t steps = (uint32_t)(due < most ? due : most);
    w->swept_to_ms = w->now_ms - (int64_t)((due - steps) / w->entities.ever / 4 * (double)(reach_ms + 1));
    for (uint32_t i = 0; i < steps; i++) {
        w->sweep_at = w->sweep_at + 1 < w->entities.ever ? w->sweep_at + 1 : 0;
        struct entity *e = entity_at(&w->entities, w->sweep_at);
        if (e->held && e->newest_ms <= horizon_ms && !changes_are_due(&w->changes, e))
            limits_forget(w, e);
    }
}
