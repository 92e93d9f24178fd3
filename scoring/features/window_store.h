/* The events that an entity holds, and its windows over them.
 *
 * Events lie in one ring, sorted by (time, offset).  All windows end at the newest event: window w is the suffix of
 * the ring that begins at its cursor, the first event later than newest - width.  With the events move the counters
 * of lanes, the sums, the wide accumulators, the staircases and the occurrence tables:
 *
 *   invariant   each counter of window w is what a scan of [cursor, end) would give;
 *               a staircase holds, oldest first, the members that no later member reaches;
 *               a table finds each id held, and for each category held the latest event of it, which alone has the
 *               last lane set.  So the last lanes of a suffix are its different categories.
 *   cost        an event enters each window once and leaves it once: O(windows), however many events there are.
 *
 * Events that nobody sees any more stay until room is needed, an eighth of those held and a few: windows begin behind them.
 * They go all at once, at the cost of a look at each.
 *
 * An event that is older than the newest is inserted in its place (late_insert.c) at the cost of moving the newer ones.
 * Index i counts from the oldest event, a sequence number is first_seq + i. */
#pragma once
#include "scoring/features/block_pool.h"
#include "scoring/features/entity_table.h"
#include "scoring/features/feature_program.h"

enum { SEQ_BITS = 22 }; /* what tables and staircases keep of a sequence number: more than an entity may hold */
#define SEQ_MASK ((1u << SEQ_BITS) - 1)

struct window_store {
    const struct feature_program *program;
    struct block_pool blocks;
    uint64_t same_windows; /* bits of the windows that an op `same` looks at */
    uint64_t slow_windows; /* bits of those, and of the ones with wide accumulators */
    uint64_t events;       /* held by all entities */
};

int window_store_init(struct window_store *store, const struct feature_program *program);
void window_store_finish(struct window_store *store);

/* A new entity has no block; gives back that of one which goes. */
void store_release(struct window_store *store, struct entity *entity);
/* Gives back what would not go with the store; the entity is not looked at any more. */
void store_dissolve(struct window_store *store, struct entity *entity);
/* Lets go of events that are not later than horizon_ms (store_trim, below), of the `n` oldest. */
void store_trim_some(struct window_store *store, struct entity *entity, int64_t horizon_ms);
void store_drop(struct window_store *store, struct entity *entity, uint32_t n);
/* Of store_drop, what comes when the windows have left them. */
void store_forget(struct window_store *store, struct entity *entity, uint32_t n);
/* Gives back memory of a ring that has become too large. */
int store_shrink(struct window_store *store, struct entity *entity);
/* Room for one more event (store_reserve, below), by letting go of those not later than horizon_ms first; what points into
 * the block is void after it.  0, or -1 if memory is short. */
int store_make_room(struct window_store *store, struct entity *entity, int64_t horizon_ms);

/* A newest event, in three steps: the windows move to its time, and tell how many events each holds and which record is
 * its first (the place behind the last one if it is empty; returns how many of the shortest windows surely are); the
 * event's record (from feature_program_load) is written
 * to that place; it is counted in. */
uint32_t store_advance(struct window_store *store, struct entity *entity, int64_t time_ms, const uint64_t **from, uint32_t *events);
void store_place(struct window_store *store, struct entity *entity, const uint64_t *record);
struct occurrence;
/* id: where the id's table will have it (occurrence_find since store_reserve). */
void store_count_in(struct window_store *store, struct entity *entity, const uint64_t *record, const struct occurrence *id);
/* An event at index `at`, with newer ones behind it; settles its last lanes. */
void store_insert(struct window_store *store, struct entity *entity, uint64_t *record, uint32_t at);

/* How many events of the record's category the windows of op `same` hold: the counters of the channel's sames;
 * NULL: none. */
uint32_t *store_sames(const struct window_store *store, const struct entity *entity, uint32_t channel, const uint64_t *record);

/* ---- where an entity's parts lie ---- */

static inline uint32_t *entity_cursors(const struct feature_program *p, const struct entity *e)
{
    return (uint32_t *)(void *)((char *)(uintptr_t)e + p->cursors_at);
}

static inline uint32_t *entity_places(const struct feature_program *p, const struct entity *e)
{
    return (uint32_t *)(void *)((char *)(uintptr_t)e + p->place_at);
}

static inline uint64_t *entity_lanes(const struct feature_program *p, const struct entity *e)
{
    return (uint64_t *)(void *)((char *)(uintptr_t)e + p->lanes_at);
}

static inline uint64_t *entity_sums(const struct feature_program *p, const struct entity *e)
{
    return (uint64_t *)(void *)((char *)(uintptr_t)e + p->sums_at);
}

static inline char *entity_wides(const struct feature_program *p, const struct entity *e)
{
    return (char *)(uintptr_t)e + p->wides_at;
}

static inline const struct layout *entity_layout(const struct feature_program *p, const struct entity *e)
{
    return &p->layouts[e->layout];
}

/* Of an event, in the ring. */
static inline uint32_t entity_place(const struct feature_program *p, const struct entity *e, uint32_t at)
{
    uint32_t place = e->first + at, capacity = entity_layout(p, e)->capacity;
    return place - (place >= capacity ? capacity : 0);
}

static inline uint64_t *entity_record(const struct feature_program *p, const struct entity *e, uint32_t at)
{
    return (uint64_t *)(void *)(e->block + entity_layout(p, e)->records_at) + (size_t)entity_place(p, e, at) * p->record_words;
}

struct ring { /* an entity's events, for loops */
    uint64_t *records;
    uint32_t first, capacity, words;
};

static inline struct ring entity_ring(const struct feature_program *p, const struct entity *e)
{
    const struct layout *layout = entity_layout(p, e);
    return (struct ring){(uint64_t *)(void *)(e->block + layout->records_at), e->first, layout->capacity, p->record_words};
}

static inline uint64_t *ring_at(const struct ring *ring, uint32_t at)
{
    uint64_t place = ring->first + at, over;
    const bool below = __builtin_sub_overflow(place, (uint64_t)ring->capacity, &over); /* the comparison is the subtraction */
    return ring->records + (below ? place : over) * ring->words;
}

/* The record behind one, or the first of the ring's memory. */
static inline const uint64_t *ring_next(const struct ring *ring, const uint64_t *record)
{
    const uint64_t *next = record + ring->words;
    return next == ring->records + (size_t)ring->capacity * ring->words ? ring->records : next;
}

/* Copies what has `size` bytes for each place of the ring, from the oldest event on. */
void entity_ring_copy(const struct feature_program *program, const struct entity *entity, char *to, const char *from, size_t size);

static inline void store_trim(struct window_store *store, struct entity *e, int64_t horizon_ms)
{
    if (e->count && record_time(entity_record(store->program, e, 0)) <= horizon_ms)
        store_trim_some(store, e, horizon_ms);
}

static inline int store_reserve(struct window_store *store, struct entity *e, int64_t horizon_ms)
{
    return e->room ? 0 : store_make_room(store, e, horizon_ms);
}

/* ---- counters: for each group of lanes a word a window ---- */

/* The lanes of one group, spread over a word of counters. */
static inline uint64_t lanes_spread(const struct feature_program *p, const uint64_t *record, uint32_t group)
{
    uint32_t lane = group * p->lanes_a_group;
    return (record[p->lane_word + (lane >> 6)] >> (lane & 63) & p->group_bits) * p->spread_factor & p->spread_mask;
}

/* groups: those of one window, the first group's word. */
static inline void lane_counter_add(const struct feature_program *p, uint64_t *groups, int lane, uint64_t n)
{
    groups[(uint32_t)lane / p->lanes_a_group * p->window_count] += n << ((uint32_t)lane % p->lanes_a_group * p->lane_width);
}

/* ---- sums: of each number a word a window, modulo 2^64 ---- */

/* sums: those of one window, the first number's word. */
static inline void sums_add(const struct feature_program *p, uint64_t *sums, const uint64_t *record)
{
    for (uint32_t i = 0; i < p->sum_count; i++)
        sums[i * p->window_count] += record[p->sum_words[i]];
}

static inline void sums_take(const struct feature_program *p, uint64_t *sums, const uint64_t *record)
{
    for (uint32_t i = 0; i < p->sum_count; i++)
        sums[i * p->window_count] -= record[p->sum_words[i]];
}

static inline void sums_clear(const struct feature_program *p, uint64_t *sums)
{
    for (uint32_t i = 0; i < p->sum_count; i++)
        sums[i * p->window_count] = 0;
}

/* ---- accumulators of single windows ---- */

/* Adds a number to one of the accumulators; modulo 2^64, squares modulo 2^128. */
static inline void wide_add(char *wides, const struct wide_def *wide, int64_t x)
{
    if (wide->square)
        *(unsigned __int128 *)(void *)(wides + wide->offset) += (unsigned __int128)((__int128)x * x);
    else
        *(uint64_t *)(void *)(wides + wide->offset) += (uint64_t)x;
}

static inline void wide_take(char *wides, const struct wide_def *wide, int64_t x)
{
    if (wide->square)
        *(unsigned __int128 *)(void *)(wides + wide->offset) -= (unsigned __int128)((__int128)x * x);
    else
        *(uint64_t *)(void *)(wides + wide->offset) -= (uint64_t)x;
}

static inline void wide_copy(char *to, const char *from, const struct wide_def *wide)
{
    if (wide->square)
        *(__int128 *)(void *)(to + wide->offset) = *(const __int128 *)(const void *)(from + wide->offset);
    else
        *(int64_t *)(void *)(to + wide->offset) = *(const int64_t *)(const void *)(from + wide->offset);
}

static inline void wide_clear(char *wides, const struct wide_def *wide)
{
    if (wide->square)
        *(__int128 *)(void *)(wides + wide->offset) = 0;
    else
        *(int64_t *)(void *)(wides + wide->offset) = 0;
}
