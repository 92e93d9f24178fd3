/* The occurrence tables in an entity's block: from an id, or a category of a channel, to the event that has it.
 *
 * Short rings have tags: a column of 16 bits of the hash for each place of the ring, 0 where there is no event, or
 * one that is not the latest of its category.  To find is to compare the column from its beginning, a vector
 * of tags or several at a time (newest.h takes 64); up to TAGS_MAX events that is less than the missed branches and lines of a hash table.
 *
 * Long rings have slots: open addressing over {10 bits of the hash, 22 bits of the event's sequence number}; 0 is empty.
 * A table is a number of whole cache lines, each of which can be compared at once.
 * A slot whose event is no longer held is dead: it is passed over, and taken again by the next newcomer on its way.
 * The tables are built anew from the ring when four fifths are not empty, and every 2^20 events, so that no dead slot
 * comes to life when sequence numbers have gone round.
 *
 * Each match is verified against the record itself.  Beside each place or slot of a channel there are the counters of
 * its ops `same`; they belong to the latest event of the category and move with that. */
#pragma once
#include <assert.h>

#include "scoring/bytes_hash.h"
#include "scoring/window_store.h"

enum { TABLE_IDS = 0, TABLE_CHANNELS = 1 };

struct occurrence {
    bool found;
    uint32_t at;   /* index of the event */
    uint32_t slot; /* place in the ring; in long rings the slot, also the one where it would go */
    uint64_t hash;
};

static inline uint32_t occurrence_word_at(const struct feature_program *p, uint32_t table)
{
    return table == TABLE_IDS ? (uint32_t)RECORD_ID : p->category_word + (uint32_t)p->channels[table - TABLE_CHANNELS].category;
}

static inline uint64_t occurrence_hash(uint32_t table, uint64_t word)
{
    return table == TABLE_IDS ? word : hash_mix(word ^ HASH_P1, HASH_P2);
}

static inline char *block_table(char *block, const struct layout *layout, uint32_t table)
{
    return block + (table == TABLE_IDS ? layout->index_at : layout->channels_at + (table - TABLE_CHANNELS) * layout->channel_size);
}

static inline char *occurrence_table(const struct entity *e, const struct layout *layout, uint32_t table)
{
    return block_table(e->block, layout, table);
}

/* ---- tags ---- */

typedef uint16_t tag_vector __attribute__((vector_size(16), may_alias));

typedef int16_t tag_equal __attribute__((vector_size(16)));

static inline bool tag_equal_any(tag_equal equal)
{
    typedef uint64_t halves __attribute__((vector_size(16)));
    halves both = (halves)equal;
    return both[0] | both[1];
}

static inline uint16_t occurrence_tag(uint64_t hash)
{
    uint16_t tag = (uint16_t)(hash >> 48);
    return (uint16_t)(tag + !tag);
}

static inline bool tags_have(const uint16_t *tags, uint32_t count, uint16_t tag)
{
    const tag_vector *vectors = (const tag_vector *)(const void *)tags, wanted = tag - (tag_vector){0};
    tag_equal any = vectors[0] == wanted;
    for (uint32_t i = 1; i < count / 8; i++)
        any |= vectors[i] == wanted;
    return tag_equal_any(any);
}

/* The places of this tag, and which of them is right. */
struct occurrence occurrence_of_tag(const struct window_store *store, const struct entity *entity, uint32_t table, uint64_t word, uint64_t hash);

/* ---- slots ---- */

static inline uint32_t occurrence_home(const struct layout *layout, uint64_t hash)
{
    return (uint32_t)((hash >> 32) * layout->slot_count >> 32);
}

static inline uint32_t occurrence_slot_word(uint64_t hash, uint32_t seq)
{
    return ((uint32_t)hash | 1u) << SEQ_BITS | (seq & SEQ_MASK);
}

static inline struct occurrence occurrence_of_slot(const struct window_store *store, const struct entity *e, uint32_t table, uint64_t word,
                                                   uint64_t hash)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const struct ring ring = entity_ring(p, e);
    const uint32_t word_at = occurrence_word_at(p, table), end = layout->slot_count, first_seq = e->first_seq, count = e->count;
    const uint32_t *slots = (const uint32_t *)(const void *)occurrence_table(e, layout, table);
    const uint32_t tag = occurrence_slot_word(hash, 0) >> SEQ_BITS;
    uint32_t dead = UINT32_MAX, i = occurrence_home(layout, hash);
    for (uint32_t slot; (slot = slots[i]) != 0; i = i + 1 == end ? 0 : i + 1) {
        uint32_t at = (slot - first_seq) & SEQ_MASK;
        if (at >= count)
            dead = dead == UINT32_MAX ? i : dead;
        else if (slot >> SEQ_BITS == tag && ring_at(&ring, at)[word_at] == word)
            return (struct occurrence){.found = true, .at = at, .slot = i, .hash = hash};
    }
    return (struct occurrence){.slot = dead == UINT32_MAX ? i : dead, .hash = hash};
}

/* ---- both ---- */

/* table: TABLE_IDS or TABLE_CHANNELS + channel; word: the id hash or the category. */
static inline struct occurrence occurrence_find(const struct window_store *store, const struct entity *e, uint32_t table, uint64_t word)
{
    const struct layout *layout = entity_layout(store->program, e);
    const uint64_t hash = occurrence_hash(table, word);
    if (!layout->tag_count)
        return occurrence_of_slot(store, e, table, word, hash);
    const uint16_t *tags = (const uint16_t *)(const void *)occurrence_table(e, layout, table);
    if (tags_have(tags, layout->tag_count, occurrence_tag(hash)))
        return occurrence_of_tag(store, e, table, word, hash);
    return (struct occurrence){.hash = hash};
}

/* Of a channel, for what was found or set. */
static inline uint32_t *occurrence_counters(const struct window_store *store, const struct entity *e, uint32_t table, uint32_t slot)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    char *counters = occurrence_table(e, layout, table) + layout->ids_size; /* a channel's tags or slots take as much as the ids' */
    return (uint32_t *)(void *)counters + (size_t)slot * p->same_slot_words;
}

void occurrence_move_counters(struct window_store *store, struct entity *entity, uint32_t table, const struct occurrence *found, uint32_t slot);

/* Gives the slot. */
static inline uint32_t occurrence_write(const struct layout *layout, char *table, const struct occurrence *found, uint32_t place, uint32_t seq)
{
    if (layout->tag_count) {
        uint16_t *tags = (uint16_t *)(void *)table;
        if (found->found)
            tags[found->slot] = 0;
        tags[place] = occurrence_tag(found->hash);
        return place;
    }
    uint32_t *slots = (uint32_t *)(void *)table;
    slots[layout->slot_count] += !slots[found->slot];
    slots[found->slot] = occurrence_slot_word(found->hash, seq);
    return found->slot;
}

/* What occurrence_find just gave is from now on the event `at`; found->slot becomes that event's. */
static inline void occurrence_set(struct window_store *store, struct entity *e, uint32_t table, struct occurrence *found, uint32_t at)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const uint32_t slot = occurrence_write(layout, occurrence_table(e, layout, table), found, entity_place(p, e, at), e->first_seq + at);
    if (table != TABLE_IDS && p->same_slot_words)
        occurrence_move_counters(store, e, table, found, slot);
    found->slot = slot;
}

/* The last part of counting a newest event in: where places are, the id, the ring's end.  `place`: its own in the ring. */
static inline void store_settle(struct window_store *store, struct entity *e, const struct layout *layout, const uint64_t *record,
                                const struct occurrence *id, uint32_t place)
{
    const struct feature_program *p = store->program;
    const uint32_t seq = e->first_seq + e->count;
    for (uint32_t i = 0; i < p->place_count; i++)
        if (record_has_place(p, record, i))
            entity_places(p, e)[i] = seq;
    (void)occurrence_write(layout, occurrence_table(e, layout, TABLE_IDS), id, place, seq);
    assert(e->room);
    e->room--;
    e->newest_ms = record_time(record);
    e->count++;
    store->events++;
}

/* The n oldest events go. */
static inline void occurrences_pop(const struct feature_program *p, struct entity *e, uint32_t n)
{
    const struct layout *layout = entity_layout(p, e);
    if (!layout->tag_count)
        return;
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++) {
        uint16_t *tags = (uint16_t *)(void *)occurrence_table(e, layout, table);
        for (uint32_t at = 0, place = e->first; at < n; at++, place = place + 1 == layout->capacity ? 0 : place + 1)
            tags[place] = 0;
    }
}

/* Builds all tables from the ring and the cursors. */
void occurrences_rebuild(struct window_store *store, struct entity *entity);
/* Copies all tables to a new block, where the oldest event comes first; false: they must be built anew.  (entity->layout is
 * not yet that of the block.) */
bool occurrences_copy(const struct window_store *store, const struct entity *entity, const struct layout *layout, char *block);
/* Events from index `at` on make room for one, from the newest; before the records themselves move. */
void occurrences_shift(struct window_store *store, struct entity *entity, uint32_t at);
/* What was found before that shift. */
void occurrence_follow(const struct window_store *store, const struct entity *entity, struct occurrence *found, uint32_t at);
/* Of a ring with slots: fetches the memory where the searches for a record begin, and later the events they will find. */
void occurrences_fetch(const struct window_store *store, const struct entity *entity, const uint64_t *record);
void occurrences_fetch_found(const struct window_store *store, const struct entity *entity, const uint64_t *record);
/* How many more events surely fit into all tables. */
uint32_t occurrences_room(const struct window_store *store, const struct entity *entity);
