/* The events that an entity holds, and its windows over them.
 *
 * Events lie in one ring, sorted by (time, offset).  All windows end at the newest event: window w is the suffix of
 * the ring that begins at its cursor, the first event later than newest - width.  With the events move the counters
 * of lanes, the wide accumulators, the staircases and the occurrence tables:
 *
 *   invariant   each counter of window w is what a scan of [cursor, end) would give;
 *               a staircase holds, oldest first, the members that no later member reaches;
 *               a table finds each id held, and for each category held the latest event of it, which alone has the
 *               last lane set.  So the last lanes of a suffix are its different categories.
 *   cost        an event enters each window once and leaves it once: O(windows), however many events there are.
 *
 * An event that is older than the newest is inserted in its place (late_insert.c) at the cost of moving the newer ones.
 * Index i counts from the oldest event, a sequence number is first_seq + i. */
#pragma once
#include "scoring/block_pool.h"
#include "scoring/entity_table.h"
#include "scoring/feature_program.h"

struct window_store {
    const struct feature_program *program;
    struct block_pool blocks;
    uint64_t same_windows; /* bits of the windows that an op `same` looks at */
    uint64_t events;       /* held by all entities */
};

int window_store_init(struct window_store *store, const struct feature_program *program);
void window_store_finish(struct window_store *store);

/* A new entity has no block; gives back that of one which goes. */
void store_release(struct window_store *store, struct entity *entity);
/* Lets go of events that are not later than horizon_ms, the oldest first. */
void store_trim(struct window_store *store, struct entity *entity, int64_t horizon_ms);
void store_drop_oldest(struct window_store *store, struct entity *entity);
/* Gives back memory of a ring that has become too large. */
int store_shrink(struct window_store *store, struct entity *entity);
/* Room for one more event; what points into the block is void after it.  0, or -1 if memory is short. */
int store_reserve(struct window_store *store, struct entity *entity);
/* Whether the entity holds an event of this id. */
bool store_has_id(const struct window_store *store, const struct entity *entity, uint64_t id_hash);

/* A newest event, in three steps: the windows move to its time; its record (from feature_program_load) is written
 * behind the last one; it is counted in. */
void store_advance(struct window_store *store, struct entity *entity, int64_t time_ms);
void store_place(struct window_store *store, struct entity *entity, const uint64_t *record);
void store_count_in(struct window_store *store, struct entity *entity, const uint64_t *record);
/* An event at index `at`, with newer ones behind it; settles its last lanes. */
void store_insert(struct window_store *store, struct entity *entity, uint64_t *record, uint32_t at);

/* The latest event of the record's category in a channel: true and its index. */
bool store_latest(const struct window_store *store, const struct entity *entity, uint32_t channel, const uint64_t *record, uint32_t *at);
/* How many events of the record's category the windows of op `same` hold: the counters of the channel's sames;
 * NULL: none. */
uint32_t *store_sames(const struct window_store *store, const struct entity *entity, uint32_t channel, const uint64_t *record);
/* The best number of a staircase from index `from` on, and where it is; false: no member. */
bool store_best(const struct window_store *store, const struct entity *entity, uint32_t stair, uint32_t from, int64_t *best, uint32_t *at);
/* An event's number (0 if null). */
int64_t store_number(const struct window_store *store, const struct entity *entity, uint32_t at, int number);

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

static inline uint64_t *entity_totals(const struct feature_program *p, const struct entity *e)
{
    return (uint64_t *)(void *)((char *)(uintptr_t)e + p->totals_at);
}

static inline char *entity_wides(const struct feature_program *p, const struct entity *e)
{
    return (char *)(uintptr_t)e + p->wides_at;
}

static inline const struct layout *entity_layout(const struct feature_program *p, const struct entity *e)
{
    return &p->layouts[e->layout];
}

static inline uint64_t *entity_record(const struct feature_program *p, const struct entity *e, uint32_t at)
{
    uint32_t place = e->first + at, capacity = entity_layout(p, e)->capacity;
    if (place >= capacity)
        place -= capacity;
    return (uint64_t *)(void *)e->block + (size_t)place * p->record_words;
}

/* ---- counters ---- */

/* The lanes of one group, spread over a word of counters. */
static inline uint64_t lanes_spread(const struct feature_program *p, const uint64_t *record, uint32_t group)
{
    uint32_t lane = group * p->lanes_a_group;
    uint64_t bits = record[p->lane_word + (lane >> 6)] >> (lane & 63);
    if (p->lane_width == 32)
        return (bits & 1) | (bits & 2) << 31;
    return (bits & 1) | (bits & 2) << 15 | (bits & 4) << 30 | (bits & 8) << 45;
}

static inline uint32_t lane_counter(const struct feature_program *p, const uint64_t *groups, int lane)
{
    uint32_t group = (uint32_t)lane / p->lanes_a_group, shift = (uint32_t)lane % p->lanes_a_group * p->lane_width;
    return (uint32_t)(groups[group] >> shift & ((UINT64_C(1) << p->lane_width) - 1));
}

static inline void lane_counter_add(const struct feature_program *p, uint64_t *groups, int lane, uint64_t n)
{
    groups[(uint32_t)lane / p->lanes_a_group] += n << ((uint32_t)lane % p->lanes_a_group * p->lane_width);
}

/* Adds a number to one of the accumulators. */
static inline void wide_add(char *wides, const struct wide_def *wide, int64_t x)
{
    if (wide->square)
        *(__int128 *)(void *)(wides + wide->offset) += (__int128)x * x;
    else
        *(int64_t *)(void *)(wides + wide->offset) += x;
}

static inline void wide_take(char *wides, const struct wide_def *wide, int64_t x)
{
    if (wide->square)
        *(__int128 *)(void *)(wides + wide->offset) -= (__int128)x * x;
    else
        *(int64_t *)(void *)(wides + wide->offset) -= x;
}
