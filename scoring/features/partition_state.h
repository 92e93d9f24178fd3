/* All entities of a partition and what they share: stream time, history, limits.  (struct windows of features.h.) */
#pragma once
#include "scoring/features/feature_view.h"
#include "scoring/features/changes.h"
#include "scoring/features/features.h"
#include "scoring/features/lazy_heap.h"

enum { FOLD_GROUP = 32 };

struct windows {
    const struct feature_spec *spec;
    struct feature_program *program;
    struct window_limits limits, near; /* near: from where on the heaps are built (limits.c) */
    struct entity_table entities;
    struct window_store store;
    struct feature_view *views;            /* FOLD_GROUP of them: the events that are under way in windows_fold */
    uint64_t *records;                     /* of those and the group after them */
    uint64_t hashes[WINDOWS_BATCH_MAX];    /* of the batch's entities, as far as they are fetched */
    struct entity *guesses[WINDOWS_BATCH_MAX]; /* likewise */
    int64_t now_ms;     /* T */
    int64_t horizon_ms; /* windows_horizon */
    int64_t history_ms;
    int64_t evicted_ms; /* newest time ever evicted */
    uint64_t evicted_entities, dropped_events, forgotten_entities;

    struct changes changes;

    uint32_t dissolved;   /* entities whose events are given back */
    uint32_t sweep_at;    /* entity number where the search for idle entities goes on */
    int64_t swept_to_ms;  /* stream time up to which sweeping has been paid for */

    /* While a limit is near or binds: whose last or first event becomes invisible next, and who was seen least recently. */
    bool pressed;
    uint32_t pressed_to; /* entities of lower numbers are in the heaps */
    struct lazy_heap by_newest, by_oldest, by_seen;
};

/* What is not later than this is not visible any more; INT64_MIN before the first event. */
static inline int64_t windows_horizon(const struct windows *w)
{
    return w->horizon_ms;
}

static inline void windows_set_now(struct windows *w, int64_t now_ms)
{
    w->now_ms = now_ms;
    w->horizon_ms = now_ms == TIME_UNKNOWN ? INT64_MIN : now_ms - w->spec->longest_window_ms - w->spec->lateness_ms;
}

/* An entity is about to change. */
static inline void changes_note(struct windows *w, struct entity *e)
{
    if (e->changed != w->changes.now)
        changes_note_new(w, e);
}

/* An entity has just been added. */
static inline void changes_arrived(struct windows *w, struct entity *e, uint64_t hash)
{
    e->changed = w->changes.now & 3u;
    if (w->changes.gone.held)
        changes_arrived_slowly(w, e, hash);
}

void limits_take(struct windows *windows, struct window_limits limits); /* into force, with what follows from them */
int limits_press(struct windows *windows, struct entity *entity); /* limits_keep where one is near */

static inline bool limits_are_near(const struct windows *w)
{
    return w->pressed || w->entities.held > w->near.max_entities || w->store.events > w->near.max_events;
}

/* Limits, after an event of this entity (NULL: of none that is held) was counted in; it may be gone afterwards.  0, or -1 if memory is short. */
static inline int limits_keep(struct windows *w, struct entity *entity)
{
    return limits_are_near(w) ? limits_press(w, entity) : 0;
}

/* An entity has been read back from a checkpoint: the heaps grow, if they will be needed. */
void limits_prepare(struct windows *windows);
/* Forgets idle entities, as many as stream time has moved on. */
void limits_sweep(struct windows *windows, size_t events);
void limits_forget(struct windows *windows, struct entity *entity);
