/* The occurrence tables in an entity's block: from an id, or a category of a channel, to the event that has it.
 *
 * Open addressing over 32-bit slots of {10 bits of the hash, 22 bits of the event's sequence number}; 0 is empty.
 * A slot whose event is no longer held is dead: it is passed over, and taken again by the next newcomer on its way.
 * A table is built anew from the ring when seven eighths are not empty, and every 2^20 events, so that no dead slot
 * comes to life when sequence numbers have gone round.  Each match is verified against the record itself.
 * Short rings have no tables; they are searched. */
#pragma once
#include "scoring/window_store.h"

enum { TABLE_IDS = 0, TABLE_CHANNELS = 1 };
#define OCCURRENCE_SEQ_BITS 22

struct occurrence {
    bool found;
    uint32_t slot; /* of the table, where there is one: where it was found, or where it would go */
    uint32_t at;   /* index of the event */
};

/* table: TABLE_IDS or TABLE_CHANNELS + channel; the record says what is looked for. */
struct occurrence occurrence_find(const struct window_store *store, const struct entity *entity, uint32_t table, const uint64_t *record);
/* From what occurrence_find just gave: now it is the event `at`, of which `record` is the record. */
void occurrence_set(struct window_store *store, struct entity *entity, uint32_t table, struct occurrence occurrence, uint32_t at,
                    const uint64_t *record);
/* Counters of the ops `same` beside a slot. */
uint32_t *occurrence_counters(const struct window_store *store, const struct entity *entity, uint32_t table, uint32_t slot);
/* Builds all tables from the ring and the cursors. */
void occurrences_rebuild(struct window_store *store, struct entity *entity);
/* The event that was number `from` has become number `from` + 1. */
void occurrences_shift(struct window_store *store, struct entity *entity, uint32_t from, const uint64_t *record);
/* The cache line where the search for this begins. */
const void *occurrence_line(const struct window_store *store, const struct entity *entity, uint32_t table, const uint64_t *record);
