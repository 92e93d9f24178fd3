/* What the reference holds, for its own files and for who wants to look at what a stream did to it. */
#pragma once
#include "reference_features.h"

#include <string.h>

#ifndef PLANT
#define PLANT 0
#endif
enum { PLANT_CLOSED_EDGE = 1, PLANT_TIE_ORDER, PLANT_LATE_NOT_COUNTED, PLANT_EVICT_FIRST_SEEN, PLANT_FLOAT_SUM,
       /* What a fault in the engine's indexes would look like: */
       PLANT_ID_NOT_FOUND, PLANT_CATEGORY_LOST, PLANT_CAP_FORGETS_WINDOW, PLANT_NEIGHBOUR_EVICTED, PLANT_LATE_SEES_NEWER };
enum { PLANTED_RING = 512 }; /* they show in longer rings alone */

struct kept { /* an event, with its own copies of text */
    int64_t time_ms, offset;
    uint32_t id_size;
    char *id, *text;
    struct value *values;
};

struct reference_entity {
    struct reference_entity *next; /* of its bucket */
    struct reference_entity *older, *newer; /* by last seen offset */
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
    int64_t row_every; /* offsets */
    int slots;      /* values kept of an event */
    bool *kept_slot;
    int64_t now_ms; /* T */
    int64_t history_ms;
    int64_t evicted_ms; /* newest time ever evicted */
    int64_t swept_ms;
    size_t bucket_count;
    struct reference_entity **buckets;
    struct reference_entity *oldest, *newest;
    const struct kept **visible;
    size_t visible_room;
    struct window_counts counts;
};

static inline bool bytes_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a_size == b_size && (!a_size || !memcmp(a, b, a_size));
}

/* An event of this time may still be seen. */
static inline bool reference_shows(const struct reference *w, int64_t time_ms)
{
    return w->now_ms != TIME_UNKNOWN && time_ms > w->now_ms - w->spec->longest_window_ms - w->spec->lateness_ms;
}

/* ---- entities and their events (reference_entities.c); 0, or -1 or NULL if memory is short ---- */

uint64_t reference_hash(struct bytes key);
struct reference_entity *reference_find(const struct reference *reference, struct bytes key); /* NULL: none */
struct reference_entity *reference_add(struct reference *reference, struct bytes key);
void reference_remove(struct reference *reference, struct reference_entity *entity);
/* It is the one most recently seen. */
void reference_see(struct reference *reference, struct reference_entity *entity, int64_t offset);
int reference_insert(struct reference *reference, struct reference_entity *entity, const struct event *event);
/* Lets go of what is no longer visible. */
void reference_trim(struct reference *reference, struct reference_entity *entity);
/* Keeps the newest max_events_per_entity. */
void reference_cap(struct reference *reference, struct reference_entity *entity);
void reference_keep_limits(struct reference *reference);

/* Time of the latest visible event of an entity that is not later than this; TIME_UNKNOWN: there is none. */
int64_t reference_before(const struct reference *reference, const struct reference_entity *entity, int64_t time_ms);

/* ---- features (reference_rows.c) ---- */

/* The row of an event that is not yet among those of its entity.  0, or -1 if memory is short. */
int reference_row(struct reference *reference, const struct reference_entity *entity, const struct event *event, float *row);
