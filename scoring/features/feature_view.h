/* What the steps of a row read: for each window where it begins and what its counters say.
 *
 * For an event that is the newest of its entity the windows are copies of those that the entity keeps.  An older one looks at
 * windows that end earlier: copies from which the newer events are taken and to which those are
 * added that have left since; the categories of the newer events are looked for on their own (late_categories.c).
 * Cost: O(windows) for the newest, for others the events that are newer and those that have left. */
#pragma once
#include "scoring/features/features.h"
#include "scoring/features/window_store.h"

struct place_before {
    bool known;
    int64_t time_ms;
    double degrees[2]; /* latitude, longitude */
};

struct feature_view {
    float *row; /* that the steps fill */
    const struct value *values;
    const uint64_t *record; /* of the current event, with the numbers themselves */
    int64_t time_ms;
    int64_t last_ms;  /* of the event before; TIME_UNKNOWN: none */
    int64_t first_ms; /* of the first event of the longest window */

    const struct window_store *store;
    uint32_t size;            /* of this view, in bytes: to the next one */
    uint32_t empty;           /* so many of the shortest windows held nothing before the current event */
    const uint64_t **from;    /* of each window the first record (the record at its end if it is empty) */
    struct place_before *places; /* of each place the latest event before that has it */

    /* Where the parts of `counted` are. */
    uint64_t *lanes;  /* counters: of each group the windows */
    uint64_t *sums;   /* of each sum the windows */
    int64_t *best;    /* of each stair and window; INT64_MIN: none */
    char *wides;
    uint32_t *events; /* of each window */
    uint32_t *sames;  /* of each op `same` */

    /* What an event that is not the newest needs. */
    uint32_t *low; /* index of each window's first event */
    uint32_t end;  /* index after the windows' last event */
    uint32_t *latest;  /* of each channel the index of the latest event of the current one's category; UINT32_MAX: none */
    uint64_t *nothing; /* a record of zeros */
    struct seen_category {
        uint64_t word; /* 0: none */
        bool met;
    } *seen; /* categories that are looked for, and whether they have been found */
    size_t seen_size, seen_room;

    /* What the windows say, as the program lays it out (struct counted_layout); steps find it from the view alone. */
    _Alignas(64) char counted[];
};

/* `n` views side by side; NULL if memory is short. */
struct feature_view *feature_views_create(const struct window_store *store, size_t n);
void feature_views_destroy(struct feature_view *views, size_t n);

static inline const struct feature_view *feature_view_after(const struct feature_view *view, size_t size)
{
    return (const struct feature_view *)(const void *)((const char *)view + size);
}

static inline struct feature_view *feature_view_at(const struct feature_view *views, size_t i)
{
    return (struct feature_view *)(uintptr_t)feature_view_after(views, i * views->size);
}

static inline void feature_view_of(struct feature_view *v, const struct value *values, const uint64_t *record)
{
    v->values = values;
    v->record = record;
    v->time_ms = record_time(record);
}

void feature_view_places(struct feature_view *view, const struct entity *entity);

/* A newest event: what does not depend on windows. */
static inline void feature_view_begin(struct feature_view *v, const struct entity *e, const struct value *values, const uint64_t *record)
{
    feature_view_of(v, values, record);
    v->last_ms = e->count ? e->newest_ms : TIME_UNKNOWN;
    if (v->store->program->place_count)
        feature_view_places(v, e);
}

/* The windows without the current event, which is the newest: store_advance (into from and events) and store_place are
 * done. */
void feature_view_newest(struct feature_view *view, const struct entity *entity, const struct value *values, const uint64_t *record);
/* With it: store_count_in is done.  From now on the view stands alone, whatever becomes of the entity; the record and
 * the values stay the caller's. */
void feature_view_counted(struct feature_view *view, const struct entity *entity);

/* The windows without the current event, which belongs at index `at` and gets its gaps; 0, or -1 if memory is short. */
int feature_view_late(struct feature_view *view, const struct entity *entity, const struct value *values, uint64_t *record, uint32_t at);
/* With it. */
void feature_view_late_counted(struct feature_view *view);
/* The current event alone: it is not visible, not even to itself but for its own window. */
void feature_view_alone(struct feature_view *view, const struct value *values, const uint64_t *record);
