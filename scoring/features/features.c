/* The fold: events of one partition in, rows out, state in between.
 *
 * A batch runs like a pipeline.  A group ahead of the fold the events' records are made and the index is fetched; while
 * an event is folded, what later ones need: first the entity, then its block (the records at the windows' edges, the
 * tables), each step reading only what the one before has fetched; so memory is waited for while there is work.  What is
 * fetched in vain costs time only.  Each event leaves a view, a copy of what its row is made of; the rows of a group are
 * made in the end, step by step: one dispatch for all events, and by then what the views hold has long been written. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/bytes_hash.h"
#include "scoring/features/feature_steps.h"
#include "scoring/features/newest.h"
#include "scoring/features/occurrences.h"
#include "scoring/features/partition_state.h"
#include "scoring/features/staircase.h"

/* How many events ahead something is fetched: long enough for memory to answer, and not more than the nearest cache holds;
 * and for how many events at once. */
enum { TOGETHER = 2, FOUND_AHEAD = 2, BLOCK_AHEAD = 4, ENTITY_AHEAD = 2 * BLOCK_AHEAD };
static_assert(ENTITY_AHEAD + TOGETHER <= FOLD_GROUP && FOLD_GROUP % TOGETHER == 0, "the group ahead is all that is loaded");
/* Bytes of a block's beginning, staircases and tags, which are gone through in order: of a longer one the rest comes by
 * itself. */
enum { INDEX_FETCHED = 512 };
#define HISTORY_COLD INT64_MAX /* until the next event is accepted */

/* ---- one event ---- */

static uint64_t *record_of(const struct windows *w, size_t i)
{
    return w->records + i % (2 * FOLD_GROUP) * w->program->record_words;
}

static enum reject_reason reject_by_time(const struct feature_spec *spec, const struct event *event)
{
    int64_t latest, earliest;
    if (!__builtin_add_overflow(event->record_ms, spec->future_skew_ms, &latest) && event->time_ms > latest)
        return REJECT_FUTURE;
    if (spec->max_age_ms >= 0 && !__builtin_sub_overflow(event->record_ms, spec->max_age_ms, &earliest) && event->time_ms < earliest)
        return REJECT_STALE;
    return REJECT_NONE;
}

/* Without a visible event an entity is as good as new. */
static inline void entity_refresh(struct windows *w, struct entity *e, int64_t horizon_ms)
{
    if (e->count && e->newest_ms > horizon_ms)
        return;
    store_trim(&w->store, e, horizon_ms);
    e->dropped_ms = w->evicted_ms;
}

/* Whether what is not visible any more has to go at once: where it could be seen.  Windows begin behind it, unless the
 * event is later than the lateness allows. */
static bool must_trim(const struct windows *w, const struct entity *e, const struct feature_outcome *outcome, int64_t time_ms)
{
    return time_ms < e->newest_ms || outcome->late_ms > w->spec->lateness_ms || e->newest_ms <= windows_horizon(w) || w->program->place_count;
}

static struct feature_outcome outcome_of(const struct windows *w, const struct entity *e, int64_t time_ms)
{
    int64_t from_ms = time_ms - w->spec->longest_window_ms, late_ms = w->now_ms - time_ms;
    int64_t dropped_ms = e ? e->dropped_ms : w->evicted_ms;
    bool complete = late_ms <= w->spec->lateness_ms && w->history_ms <= from_ms && dropped_ms <= from_ms;
    return (struct feature_outcome){.reason = REJECT_NONE, .window_complete = complete, .late_ms = late_ms};
}

/* The columns that leave the current event out look at what is still to be changed. */
static void run_before(const struct windows *w, const struct feature_view *v)
{
    if (w->program->before_steps)
        feature_steps_run(w->program, 0, w->program->before_steps, v, 1);
}

/* The oldest event goes before its windows are over. */
static void drop_note(struct windows *w, struct entity *e, int64_t oldest_ms)
{
    if (oldest_ms > e->dropped_ms)
        e->dropped_ms = oldest_ms;
    w->dropped_events++;
}

static int64_t oldest_ms(const struct windows *w, const struct entity *e)
{
    return record_time(entity_record(w->program, e, 0));
}

/* Whether the oldest event has to go for the next one. */
static bool is_full(const struct windows *w, const struct entity *e)
{
    return e->count == w->spec->max_events_per_entity && oldest_ms(w, e) > windows_horizon(w);
}

static void fold_newest(struct windows *w, struct feature_view *v, struct entity *e, const struct event *event, const uint64_t *record,
                        struct occurrence *id)
{
#if defined __x86_64__
    if (w->program->fused) {
        const bool full = is_full(w, e);
        if (full)
            drop_note(w, e, oldest_ms(w, e));
        newest_fold_avx512(&w->store, v, e, event->values, record, id, full);
        return;
    }
#endif
    v->empty = store_advance(&w->store, e, event->time_ms, v->from, v->events);
    store_place(&w->store, e, record);
    feature_view_newest(v, e, event->values, record);
    run_before(w, v);
    store_count_in(&w->store, e, record, id);
    feature_view_counted(v, e);
}

static int fold_late(struct windows *w, struct feature_view *v, struct entity *e, const struct event *event, uint64_t *record)
{
    uint32_t at = e->count;
    while (at && record_time(entity_record(w->program, e, at - 1)) > event->time_ms)
        at--;
    if (feature_view_late(v, e, event->values, record, at))
        return -1;
    run_before(w, v);
    feature_view_late_counted(v);
    store_insert(&w->store, e, record, at);
    return 0;
}

static void fold_alone(struct windows *w, struct feature_view *v, const struct event *event, const uint64_t *record)
{
    feature_view_alone(v, event->values, record);
    run_before(w, v);
    feature_view_late_counted(v);
}

static void cap_events(struct windows *w, struct entity *e)
{
    store_trim(&w->store, e, windows_horizon(w));
    while (e->count > w->spec->max_events_per_entity) {
        drop_note(w, e, oldest_ms(w, e));
        store_drop(&w->store, e, 1);
    }
}

static void stream_time_advance(struct windows *w, int64_t time_ms)
{
    if (time_ms > w->now_ms)
        windows_set_now(w, time_ms);
    if (w->history_ms == HISTORY_COLD)
        w->history_ms = w->now_ms;
}

/* An event that is not visible changes nothing but when its entity was last seen. */
static int fold_invisible(struct windows *w, struct feature_view *v, struct entity *e, const struct event *event, const uint64_t *record)
{
    fold_alone(w, v, event, record);
    if (!e)
        return limits_keep(w, NULL);
    e->seen_offset = event->offset;
    if (!e->count)
        limits_forget(w, e);
    return limits_keep(w, NULL);
}

static int fold_visible(struct windows *w, struct feature_view *v, struct entity *e, const struct event *event, uint64_t *record,
                        struct occurrence *id)
{
    if (!e->count || event->time_ms >= e->newest_ms)
        fold_newest(w, v, e, event, record, id);
    else if (fold_late(w, v, e, event, record))
        return -1;
    e->seen_offset = event->offset;
    if (e->count > w->spec->max_events_per_entity)
        cap_events(w, e);
    return limits_keep(w, e);
}

static inline void id_find(const struct windows *w, const struct entity *e, uint64_t id_hash, struct occurrence *id)
{
#if defined __x86_64__
    if (w->program->fused) {
        id_find_avx512(&w->store, e, id_hash, id);
        return;
    }
#endif
    *id = occurrence_find(&w->store, e, TABLE_IDS, id_hash);
}

/* The entity as it is before the event, with room for it, and where its id is, if visible, or would be. */
static inline __attribute__((always_inline)) int entity_open(struct windows *w, struct entity *e, uint64_t id_hash, struct occurrence *id)
{
    const int64_t horizon_ms = windows_horizon(w);
    entity_refresh(w, e, horizon_ms);
    if (store_reserve(&w->store, e, horizon_ms))
        return -1;
    id_find(w, e, id_hash, id);
    if (id->found && record_time(entity_record(w->program, e, id->at)) <= horizon_ms) {
        store_trim(&w->store, e, horizon_ms);
        id_find(w, e, id_hash, id);
    }
    return 0;
}

/* Mostly the one that has been fetched; it may have gone since. */
static struct entity *entity_of(struct windows *w, struct entity *guess, struct bytes key, uint64_t hash)
{
    return guess && guess->held && entity_has_key(guess, key) ? guess : entity_find(&w->entities, key, hash);
}

/* NULL if memory is short. */
static struct entity *entity_new(struct windows *w, const struct event *event, uint64_t hash, uint64_t id_hash, struct occurrence *id)
{
    struct entity *e = entity_add(&w->entities, event->entity, hash);
    if (!e)
        return NULL;
    changes_arrived(w, e, hash);
    e->dropped_ms = w->evicted_ms;
    return entity_open(w, e, id_hash, id) ? NULL : e;
}

static int fold_one(struct windows *w, struct feature_view *v, const struct event *event, size_t i, struct feature_outcome *outcome)
{
    const uint64_t hash = w->hashes[i];
    uint64_t *record = record_of(w, i);
    assert(event->time_ms >= 0 && event->time_ms < INT64_C(1) << (64 - TIME_SHIFT));
    const enum reject_reason reason = reject_by_time(w->spec, event);
    if (reason != REJECT_NONE) {
        *outcome = (struct feature_outcome){.reason = reason};
        return 0;
    }
    struct occurrence id = {0};
    struct entity *e = entity_of(w, w->guesses[i], event->entity, hash);
    if (e)
        changes_note(w, e);
    if (e && entity_open(w, e, record[RECORD_ID], &id))
        return -1;
    if (id.found) {
        *outcome = (struct feature_outcome){.reason = REJECT_DUPLICATE};
        return 0;
    }
    stream_time_advance(w, event->time_ms);
    *outcome = outcome_of(w, e, event->time_ms);
    if (e && must_trim(w, e, outcome, event->time_ms))
        store_trim(&w->store, e, windows_horizon(w));
    if (event->time_ms <= windows_horizon(w))
        return fold_invisible(w, v, e, event, record);
    if (!e && !(e = entity_new(w, event, hash, record[RECORD_ID], &id)))
        return -1;
    return fold_visible(w, v, e, event, record, &id);
}

/* ---- what is fetched ahead ---- */

static void fetch(const void *memory)
{
    __builtin_prefetch(memory);
    __asm__ volatile(""); /* an effect: without one GCC leaves out calls of what only prefetches */
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void fetch_lines(const char *from, size_t size)
{
    const char *end = from + size;
    if (!((size - 1) & CACHE_LINE)) { /* an odd number of them */
        fetch(from);
        from += CACHE_LINE;
    }
    for (; from < end; from += 2 * CACHE_LINE) {
        fetch(from);
        fetch(from + CACHE_LINE);
    }
}

static void fetch_home(const struct windows *w, uint64_t hash)
{
    fetch(index_home(index_part_of(&w->entities.index, hash), hash));
}

static void fetch_entities(struct windows *w, size_t from, size_t end)
{
    for (size_t i = from; i < end; i++) {
        struct entity *e = entity_guess(&w->entities, w->hashes[i]);
        if (e)
            fetch_lines((const char *)e, w->program->entity_size);
        w->guesses[i] = e;
    }
}

/* Windows' first records, each with the line behind it: a window steps on a few records, seldom farther. */
static void fetch_edges(const struct feature_program *p, const struct entity *e, const struct ring *ring)
{
    const uint32_t *cursor = entity_cursors(p, e), *end = cursor + p->window_count, first_seq = e->first_seq;
    for (; cursor < end; cursor++) {
        const uint64_t *record = ring_at(ring, *cursor - first_seq);
        fetch(record);
        fetch(record + CACHE_LINE / sizeof *record);
    }
}

/* One that has gone has none. */
static bool has_block(const struct entity *e)
{
    return e && e->block;
}

/* A block's beginning, two lines at a time; of a shorter one the last two over and over, which costs less than an end that
 * nobody can foresee, or than lines of somebody else's. */
static void fetch_index(const char *block, size_t size)
{
    const size_t last = (size - 1) & ~(size_t)(2 * CACHE_LINE - 1);
#pragma GCC unroll 4
    for (size_t at = 0; at < INDEX_FETCHED; at += 2 * CACHE_LINE) {
        fetch(block + least(at, last));
        fetch(block + least(at, last) + CACHE_LINE);
    }
}

/* The record is the event's own: it says where its searches begin. */
static void fetch_block(const struct windows *w, const struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = w->program;
    const struct layout *layout = entity_layout(p, e);
    const struct ring ring = entity_ring(p, e);
    fetch(ring_at(&ring, e->count));
    if (!e->room)
        fetch(ring_at(&ring, 0));
    fetch_edges(p, e, &ring);
    if (layout->tag_count) {
        fetch_index(e->block, layout->records_at);
    } else {
        stairs_fetch(p, e);
        occurrences_fetch(&w->store, e, record);
    }
}

static void fetch_blocks(const struct windows *w, size_t from, size_t end)
{
    for (size_t i = from; i < end; i++)
        if (has_block(w->guesses[i]))
            fetch_block(w, w->guesses[i], record_of(w, i));
}

static void fetch_found(const struct windows *w, const struct entity *e, const uint64_t *record)
{
#if defined __x86_64__
    if (w->program->fused) {
        occurrences_fetch_found_avx512(&w->store, e, record);
        return;
    }
#endif
    occurrences_fetch_found(&w->store, e, record);
}

static void fetch_founds(const struct windows *w, size_t from, size_t end)
{
    for (size_t i = from; i < end; i++)
        if (has_block(w->guesses[i]) && !entity_layout(w->program, w->guesses[i])->tag_count)
            fetch_found(w, w->guesses[i], record_of(w, i));
}

/* What later events need, a step of each.  What comes from memory that the machine has to look up in its page tables first
 * is asked for in one go, before the work: it waits for all look-ups together, not for one after the other. */
static void fetch_ahead(struct windows *w, size_t i, size_t n)
{
    fetch_entities(w, i + ENTITY_AHEAD, least(i + ENTITY_AHEAD + TOGETHER, n));
    fetch_blocks(w, i + BLOCK_AHEAD, least(i + BLOCK_AHEAD + TOGETHER, n));
    fetch_founds(w, i + FOUND_AHEAD, least(i + FOUND_AHEAD + TOGETHER, n));
}

/* As if others had gone before. */
static void fetch_first(struct windows *w, size_t n)
{
    fetch_entities(w, 0, least(ENTITY_AHEAD, n));
    fetch_blocks(w, 0, least(BLOCK_AHEAD, n));
}

/* ---- a group ---- */

/* All that its events say of themselves, and where the index may know their entities. */
static void load_group(struct windows *w, const struct event *events, size_t from, size_t n)
{
    const size_t end = from + FOLD_GROUP < n ? from + FOLD_GROUP : n;
    for (size_t i = from; i < end; i++) {
        w->hashes[i] = entity_hash(&w->entities, events[i].entity);
        fetch_home(w, w->hashes[i]);
    }
    if (from < end)
        feature_program_load(w->program, &events[from], end - from, record_of(w, from));
}

static int fold_group(struct windows *w, const struct event *events, size_t from, size_t n, float *rows, struct feature_outcome *outcomes)
{
    size_t accepted = 0;
    load_group(w, events, from + FOLD_GROUP, n);
    for (size_t i = from; i < from + FOLD_GROUP && i < n; i++) {
        struct feature_view *view = feature_view_at(w->views, accepted);
        view->row = rows + i * w->spec->count;
        if (i % TOGETHER == 0)
            fetch_ahead(w, i, n);
        if (fold_one(w, view, &events[i], i, &outcomes[i]))
            return -1;
        outcomes[i].before_ms = outcomes[i].reason == REJECT_NONE ? view->last_ms : TIME_UNKNOWN;
        accepted += outcomes[i].reason == REJECT_NONE;
    }
    feature_steps_run(w->program, w->program->before_steps, w->program->step_count, w->views, accepted);
    return 0;
}

int windows_fold(struct windows *w, const struct event *events, size_t n, float *rows, struct feature_outcome *outcomes)
{
    assert(n <= WINDOWS_BATCH_MAX);
    load_group(w, events, 0, n);
    fetch_first(w, n);
    for (size_t i = 0; i < n; i += FOLD_GROUP)
        if (fold_group(w, events, i, n, rows, outcomes))
            return -1;
    limits_sweep(w, n);
    return w->changes.failed ? -1 : 0;
}

/* ---- the state ---- */

struct windows *windows_create(const struct feature_spec *spec, struct window_limits limits)
{
    struct windows *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct windows){.spec = spec, .history_ms = TIME_UNKNOWN, .evicted_ms = TIME_UNKNOWN};
    windows_set_now(w, TIME_UNKNOWN);
    limits_take(w, limits);
    w->program = feature_program_create(spec, sizeof(struct entity));
    const struct feature_program *p = w->program;
    if (!p || changes_init(w) || entity_table_init(&w->entities, p->entity_size, p->entity_seed) || window_store_init(&w->store, p) ||
        !(w->views = feature_views_create(&w->store, FOLD_GROUP)) ||
        !(w->records = calloc(2 * FOLD_GROUP * (size_t)p->record_words, sizeof *w->records))) {
        windows_destroy(w);
        return NULL;
    }
    return w;
}

bool windows_dissolve(struct windows *w, size_t work)
{
    for (; work && w->dissolved < w->entities.ever; w->dissolved++, work--)
        store_dissolve(&w->store, entity_at(&w->entities, w->dissolved));
    block_pool_dissolve(&w->store.blocks, &work);
    entity_table_dissolve(&w->changes.gone, &work);
    entity_table_dissolve(&w->entities, &work);
    return work > 0;
}

void windows_destroy(struct windows *w)
{
    if (!w)
        return;
    windows_dissolve(w, SIZE_MAX);
    lazy_heap_finish(&w->by_newest);
    lazy_heap_finish(&w->by_oldest);
    lazy_heap_finish(&w->by_seen);
    changes_finish(w);
    feature_views_destroy(w->views, FOLD_GROUP);
    window_store_finish(&w->store);
    entity_table_finish(&w->entities);
    feature_program_destroy(w->program);
    free(w->records);
    free(w);
}

void windows_set_history_start(struct windows *w, int64_t event_time_ms)
{
    w->history_ms = event_time_ms;
}

void windows_set_history_cold(struct windows *w)
{
    w->history_ms = HISTORY_COLD;
}

int64_t windows_history_start(const struct windows *w)
{
    return w->history_ms;
}

int64_t windows_stream_time(const struct windows *w)
{
    return w->now_ms;
}

struct window_counts windows_count(const struct windows *w)
{
    uint64_t heaps = lazy_heap_bytes(&w->by_newest) + lazy_heap_bytes(&w->by_oldest) + lazy_heap_bytes(&w->by_seen);
    uint64_t bytes = entity_table_bytes(&w->entities) + block_pool_bytes(&w->store.blocks) + heaps + changes_bytes(&w->changes);
    return (struct window_counts){.entities = w->entities.held, .events = w->store.events, .bytes = bytes,
                                  .evicted_entities = w->evicted_entities, .dropped_events = w->dropped_events,
                                  .forgotten_entities = w->forgotten_entities};
}

/* ---- digest: what is visible or may still matter, entity by entity, added up so that order does not matter ---- */

static int64_t mark_that_matters(const struct windows *w, int64_t time_ms)
{
    return time_ms != TIME_UNKNOWN && (time_ms == HISTORY_COLD || time_ms > windows_horizon(w)) ? time_ms : TIME_UNKNOWN;
}

static uint64_t event_digest(const struct windows *w, const struct entity *e, uint32_t at, uint64_t h)
{
    const struct feature_program *p = w->program;
    const uint64_t *record = entity_record(p, e, at);
    h = hash_integer((uint64_t)record_time(record), h);
    h = hash_integer(record[RECORD_ID], h);
    for (uint32_t i = 0; i < p->number_count; i++)
        h = hash_integer(record[RECORD_NUMBERS + i], h);
    for (uint32_t i = p->category_word; i < p->place_word + 2 * p->place_count; i++)
        h = hash_integer(record[i], h);
    for (uint32_t lane = 0; lane < p->count_lanes; lane++)
        h = hash_integer(record_lane(p, record, (int)lane), h);
    return h;
}

static uint64_t entity_digest(const struct windows *w, const struct entity *e)
{
    uint64_t h = hash_bytes(entity_key(e), e->key_size, 1);
    bool any = false;
    h = hash_integer((uint64_t)e->seen_offset, h);
    h = hash_integer((uint64_t)mark_that_matters(w, e->dropped_ms), h);
    for (uint32_t at = 0; at < e->count; at++) {
        if (record_time(entity_record(w->program, e, at)) <= windows_horizon(w))
            continue;
        any = true;
        h = event_digest(w, e, at, h);
    }
    return any ? h : 0;
}

uint64_t windows_digest(const struct windows *w)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->entities.ever; i++)
        if (entity_at(&w->entities, i)->held)
            sum += entity_digest(w, entity_at(&w->entities, i));
    sum = hash_integer((uint64_t)w->now_ms, sum);
    sum = hash_integer((uint64_t)mark_that_matters(w, w->history_ms), sum);
    return hash_integer((uint64_t)mark_that_matters(w, w->evicted_ms), sum);
}

uint64_t windows_worst_case_bytes(const struct feature_spec *spec, struct window_limits limits)
{
    struct feature_program *p = feature_program_create(spec, sizeof(struct entity));
    if (!p)
        return UINT64_MAX;
    uint32_t spare = p->layout_count;
    while (spare + 1 < p->layout_count * 2 && p->layouts[spare].capacity < RING_SPARE)
        spare++;
    double event = 0, entity = (double)p->layouts[spare].size;
    for (uint32_t i = p->layout_count; i < p->layout_count * 2; i++) {
        double each = (double)p->layouts[i].size / p->layouts[i].capacity;
        event = each > event ? each : event;
    }
    double gone = (double)entity_table_worst_bytes(sizeof(struct entity), limits.max_entities * 2); /* changes.h */
    double heaps = (double)limits.max_entities * 3 * (2 * sizeof(struct lazy_entry) + 1.5 * sizeof(int64_t)); /* limits.c */
    double bytes = gone + heaps + (double)entity_table_worst_bytes(p->entity_size, limits.max_entities) + (double)limits.max_entities * entity +
                   (double)limits.max_events * event * 8 / 3 + (4 << 20);
    feature_program_destroy(p);
    return bytes < 0x1p63 ? (uint64_t)bytes : UINT64_MAX;
}
