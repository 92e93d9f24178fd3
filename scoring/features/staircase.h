/* The staircase of a minimum or maximum: of the members held, oldest first, those that no later one reaches.  So the
 * best of any suffix is its first stair.  A stair is {number, 22 bits of the event's sequence number} in one word; for
 * minima the number is negated.  Stairs lie in a row in the block and move on in it; at its end they go back to the
 * beginning.  Rows are of a few places, of a quarter more than the capacity once those have not been enough: so to go back
 * costs four words a stair at most. */
#pragma once
#include "scoring/features/window_store.h"

struct stair_state { /* in the entity */
    uint32_t first, count;
};

static inline struct stair_state *stair_state_of(const struct feature_program *p, const struct entity *e, uint32_t stair)
{
    return (struct stair_state *)(void *)((char *)(uintptr_t)e + p->stair_state_at) + stair;
}

static inline uint64_t *stair_slots_of(const struct feature_program *p, const struct entity *e, uint32_t stair)
{
    return (uint64_t *)(void *)e->block + (size_t)stair * entity_layout(p, e)->stair_slots;
}

static inline uint64_t stair_word(int64_t number, uint32_t seq)
{
    return (uint64_t)number << SEQ_BITS | (seq & SEQ_MASK);
}

/* Of a record from feature_program_load: larger is better. */
static inline int64_t stair_signed(const struct feature_program *p, uint32_t stair, const uint64_t *record)
{
    int64_t x = record_number(record, p->stairs[stair].number);
    return p->stairs[stair].max ? x : -x;
}

/* The most stairs that one of them has. */
uint32_t stairs_most(const struct feature_program *program, const struct entity *entity);
/* The best number from index `from` on, and where it is; false: no member. */
bool stairs_best(const struct feature_program *program, const struct entity *entity, uint32_t stair, uint32_t from, int64_t *best, uint32_t *at);
/* The best number of each window of the entity from window `first` on; INT64_MIN: no member. */
void stairs_bests(const struct feature_program *program, const struct entity *entity, uint32_t stair, uint32_t first, int64_t *best);
/* Event `at`, the newest, is counted in. */
void stairs_push(const struct feature_program *program, struct entity *entity, const uint64_t *record, uint32_t at);
void stairs_move_back(const struct feature_program *program, struct entity *entity, uint32_t stair);

/* One place behind the last stair; stairs_most of the layout are more than there are. */
static inline void stair_make_room(const struct feature_program *p, struct entity *e, uint32_t s)
{
    const struct stair_state *state = stair_state_of(p, e, s);
    if (state->first + state->count == entity_layout(p, e)->stair_slots)
        stairs_move_back(p, e, s);
}

/* In one staircase. */
void stair_push(const struct feature_program *program, struct entity *entity, uint32_t stair, const uint64_t *record, uint32_t at);
/* Event `at` with newer ones behind it, whose stairs still have their old numbers. */
void stairs_insert(const struct feature_program *program, struct entity *entity, const uint64_t *record, uint32_t at);
/* The n oldest events go. */
void stairs_pop(const struct feature_program *program, struct entity *entity, uint32_t n);
/* Copies all stairs to a new block (of which entity->layout is not yet the layout). */
void stairs_copy(const struct feature_program *program, struct entity *entity, const struct layout *layout, char *block);
/* Fetches the memory of the oldest and the newest stairs. */
void stairs_fetch(const struct feature_program *program, const struct entity *entity);
