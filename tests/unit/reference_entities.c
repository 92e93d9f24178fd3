/* The reference's entities: each keeps its events sorted by (time, offset), in a list that is shifted for each newcomer.
 *
 * Invariant: an entity holds at least its visible events (time > T - W - L), never more than max_events_per_entity,
 * and is forgotten without effect when none is left.  Limits count visible events and the entities that have one:
 * what is no longer visible is swept out before anything is evicted, so eviction is a function of the log alone. */
#include "reference_state.h"

#include <stdlib.h>

#include "scoring/features/bytes_hash.h"

/* ---- entities ---- */

uint64_t reference_hash(struct bytes key)
{
    return hash_bytes(key.data, key.size, 0);
}

struct reference_entity *reference_find(const struct reference *w, struct bytes key)
{
    const uint64_t hash = reference_hash(key);
    for (struct reference_entity *e = w->buckets[hash & (w->bucket_count - 1)]; e; e = e->next)
        if (e->hash == hash && bytes_equal(e->key, e->key_size, key.data, key.size))
            return e;
    return NULL;
}

static int buckets_grow(struct reference *w)
{
    size_t count = w->bucket_count * 2;
    struct reference_entity **buckets = calloc(count, sizeof(struct reference_entity *));
    if (!buckets)
        return -1;
    for (size_t i = 0; i < w->bucket_count; i++)
        for (struct reference_entity *e = w->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (count - 1)];
            buckets[e->hash & (count - 1)] = e;
        }
    free(w->buckets);
    w->buckets = buckets;
    w->bucket_count = count;
    return 0;
}

static void order_unlink(struct reference *w, struct reference_entity *e)
{
    *(e->older ? &e->older->newer : &w->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &w->newest) = e->older;
}

static void order_append(struct reference *w, struct reference_entity *e)
{
    e->older = w->newest;
    e->newer = NULL;
    *(w->newest ? &w->newest->newer : &w->oldest) = e;
    w->newest = e;
}

struct reference_entity *reference_add(struct reference *w, struct bytes key)
{
    if (w->counts.entities >= w->bucket_count && buckets_grow(w))
        return NULL;
    struct reference_entity *e = calloc(1, sizeof *e + key.size);
    if (!e)
        return NULL;
    e->hash = reference_hash(key);
    e->dropped_ms = w->evicted_ms;
    e->key_size = key.size;
    if (key.size)
        memcpy(e->key, key.data, key.size);
    struct reference_entity **bucket = &w->buckets[e->hash & (w->bucket_count - 1)];
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

void reference_remove(struct reference *w, struct reference_entity *e)
{
    struct reference_entity **link = &w->buckets[e->hash & (w->bucket_count - 1)];
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

void reference_see(struct reference *w, struct reference_entity *e, int64_t offset)
{
    e->seen_offset = offset;
    if (PLANT == PLANT_EVICT_FIRST_SEEN)
        return;
    order_unlink(w, e);
    order_append(w, e);
}

/* ---- events of an entity ---- */

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

int reference_insert(struct reference *w, struct reference_entity *e, const struct event *event)
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

static void entity_drop_front(struct reference *w, struct reference_entity *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kept_free(w, e->events[i]);
    e->count -= n;
    memmove(e->events, e->events + n, e->count * sizeof(struct kept *));
}

void reference_trim(struct reference *w, struct reference_entity *e)
{
    size_t n = 0;
    while (n < e->count && !reference_shows(w, e->events[n]->time_ms))
        n++;
    if (n)
        entity_drop_front(w, e, n);
}

void reference_cap(struct reference *w, struct reference_entity *e)
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
    for (struct reference_entity *e = w->oldest, *next; e; e = next) {
        next = e->newer;
        reference_trim(w, e);
        if (!e->count) {
            reference_remove(w, e);
            w->counts.forgotten_entities++;
        }
    }
    w->swept_ms = w->now_ms;
}

static bool over_limits(const struct reference *w)
{
    return w->counts.entities > w->limits.max_entities || w->counts.events > w->limits.max_events;
}

void reference_keep_limits(struct reference *w)
{
    int64_t reach_ms = w->spec->longest_window_ms + w->spec->lateness_ms;
    if (over_limits(w) || w->now_ms - w->swept_ms > reach_ms)
        sweep(w);
    while (over_limits(w)) {
        struct reference_entity *e = w->oldest;
        int64_t newest_ms = e->events[e->count - 1]->time_ms;
        if (newest_ms > w->evicted_ms)
            w->evicted_ms = newest_ms;
        reference_remove(w, e);
        w->counts.evicted_entities++;
        if (PLANT == PLANT_NEIGHBOUR_EVICTED && w->oldest && w->oldest != w->newest)
            reference_remove(w, w->oldest);
    }
}
