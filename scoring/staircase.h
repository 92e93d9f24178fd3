/* The staircase of a minimum or maximum: of the members held, oldest first, those that no later one reaches.  So the
 * best of any suffix is its first stair.  A stair is {number, 22 bits of the event's sequence number} in one word; for
 * minima the number is negated.  Stairs lie in a ring of the block: a few places, the whole capacity once they have
 * not been enough. */
#pragma once
#include "scoring/window_store.h"

struct stair_state { /* in the entity */
    uint32_t first, count;
};

/* The most stairs that one of them has. */
uint32_t stairs_most(const struct feature_program *program, const struct entity *entity);
/* The best number from index `from` on, and where it is; false: no member. */
bool stairs_best(const struct feature_program *program, const struct entity *entity, uint32_t stair, uint32_t from, int64_t *best, uint32_t *at);
/* The best number of each window of the entity from window `first` on; INT64_MIN: no member. */
void stairs_bests(const struct feature_program *program, const struct entity *entity, uint32_t stair, uint32_t first, int64_t *best);
/* Event `at`, the newest, is counted in. */
void stairs_push(const struct feature_program *program, struct entity *entity, const uint64_t *record, uint32_t at);
/* Event `at` with newer ones behind it, whose stairs still have their old numbers. */
void stairs_insert(const struct feature_program *program, struct entity *entity, const uint64_t *record, uint32_t at);
/* The oldest event goes. */
void stairs_pop(const struct feature_program *program, struct entity *entity);
/* Copies all stairs to a new block (of which entity->layout is not yet the layout). */
void stairs_copy(const struct feature_program *program, struct entity *entity, const struct layout *layout, char *block);
/* Reads the memory of the oldest and the newest stairs, for its own sake. */
void stairs_touch(const struct feature_program *program, const struct entity *entity);
