/* The occurrence tables in an entity's block: from an id, or a category of a channel, to the event that has it.
 *
 * Short rings have tags: a column of 16 bits of the hash for each place of the ring, 0 where there is no event, or
 * one that is not the latest of its category.  To find is to compare the column from its beginning, a vector of tags or
 * several at a time (newest.h takes 64).  A tag takes 2 bytes of a place, slots take 6: up to TAGS_MAX events that is worth
 * the lines that are compared.
 *
 * Long rings have slots: a table is a row of lines of the cache, each of 15 slots and a mark.  A slot is {10 bits of the
 * hash, 22 bits of the event's sequence number}; one whose event is not held is free, so it empties by itself.  The home
 * of an id or a category is a line, which is compared at once.  A newcomer takes the first free slot there; where there is
 * none, that of the nearest line behind (the first one follows the last) that has one.  Each line that it passed is marked
 * with its sequence number and, among ten bits, the one that a tenth of all hashes share with its own.  A search goes on
 * behind a line only while the event of its mark is held, and if the mark has its bit.
 *
 *   invariant   no event held that has passed a line is newer than the line's mark, and the mark has its bit.  The oldest
 *               events go first: when that of the mark is gone, so are all that passed before it.  So marks lapse as
 *               slots do; neither is cleared or counted.  One slot is free always: there are more than places in the ring.
 *   cost        a search reads its home line, and a line more for each on its way that is marked, at most all.  While n
 *               events come a mark lapses that is not set again, n being how many are held; they set n * d marks, d being
 *               how many lines one passes on average.  So at most n * d of the lines are marked at a time, however long
 *               the stream: marks do not add up.  By simulation of a ring that stays as it is, with fresh hashes:
 *                   slots for one held    4/3    3/2    5/3
 *                   d                     .17    .06    .03
 *                   lines a search reads  1.54   1.14   1.06
 *
 * The tables are built anew from the ring every 2^20 events, so that no slot and no mark comes to life when sequence
 * numbers have gone round.
 *
 * Each match is verified against the record itself.  Beside each place or slot of a channel there are the counters of
 * its ops `same`; they belong to the latest event of the category and move with that. */
#pragma once
#include <assert.h>

#include "scoring/features/bytes_hash.h"
#include "scoring/features/window_store.h"

enum { TABLE_IDS = 0, TABLE_CHANNELS = 1 };

struct occurrence {
    bool found;
    uint32_t at;   /* index of the event */
    uint32_t slot; /* place in the ring; in long rings the slot (its word in the table), also the one where it would go */
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

enum { LINE_MARK = SLOTS_A_LINE, ALL_SLOTS = (1 << SLOTS_A_LINE) - 1 };

/* Of a line: bits of slots, `on` where a search goes on behind it. */
struct slot_line {
    uint32_t free, equal; /* equal: of events held that have these bits of the hash */
    bool on;
};

/* A line's first word. */
static inline uint32_t occurrence_home(const struct layout *layout, uint64_t hash)
{
    return (uint32_t)((hash >> 32) * layout->line_count >> 32) * WORDS_A_LINE;
}

static inline uint32_t line_behind(const struct layout *layout, uint32_t line)
{
    return line + WORDS_A_LINE == layout->line_count * WORDS_A_LINE ? 0 : line + WORDS_A_LINE;
}

static inline uint32_t occurrence_slot_word(uint64_t hash, uint32_t seq)
{
    return (uint32_t)hash << SEQ_BITS | (seq & SEQ_MASK);
}

/* The bit of a mark that says whether such a one has passed; a tenth of all have the same. */
static inline uint32_t occurrence_passed_bit(uint64_t hash)
{
    enum { TAG_BITS = 32 - SEQ_BITS };
    return SEQ_BITS + (((uint32_t)hash & ((1u << TAG_BITS) - 1)) * TAG_BITS >> TAG_BITS);
}

/* held, equal: bits of words. */
static inline struct slot_line slot_line_of(uint32_t held, uint32_t equal, uint32_t mark, uint64_t hash)
{
    return (struct slot_line){~held & ALL_SLOTS, held & equal & ALL_SLOTS, (held >> LINE_MARK) & (mark >> occurrence_passed_bit(hash)) & 1};
}

/* Four words at a time.  A sequence number's distance from the first is compared in a word's upper bits, with the highest
 * turned over: machines that compare signed numbers alone are common. */
static inline struct slot_line slots_compare(const uint32_t *line, const struct entity *e, uint64_t hash)
{
    typedef uint32_t words __attribute__((vector_size(16), may_alias));
    typedef int32_t numbers __attribute__((vector_size(16)));
    const uint32_t top = UINT32_C(1) << 31, shift = 32 - SEQ_BITS;
    const words none = {0}, from = none + ((e->first_seq << shift) ^ top), tag = none + (occurrence_slot_word(hash, 0) >> SEQ_BITS);
    const numbers end = (numbers)(none + ((e->count << shift) ^ top));
    words bits = none, held_bits = {1, 2, 4, 8};
    for (uint32_t i = 0; i < WORDS_A_LINE; i += 4, held_bits <<= 4) {
        const words word = *(const words *)(const void *)(line + i);
        const numbers held = (numbers)((word << shift) - from) < end, equal = word >> SEQ_BITS == tag;
        bits |= ((words)held & held_bits) | ((words)equal & held_bits << WORDS_A_LINE);
    }
    const uint32_t all = bits[0] | bits[1] | bits[2] | bits[3];
    return slot_line_of(all & UINT16_MAX, all >> WORDS_A_LINE, line[LINE_MARK], hash);
}

static inline struct occurrence occurrence_of_slot(const struct window_store *store, const struct entity *e, uint32_t table, uint64_t word,
                                                   uint64_t hash)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const struct ring ring = entity_ring(p, e);
    const uint32_t word_at = occurrence_word_at(p, table), home = occurrence_home(layout, hash);
    const uint32_t *slots = (const uint32_t *)(const void *)occurrence_table(e, layout, table);
    uint32_t line = home, free = UINT32_MAX;
    for (bool on = true; on || free == UINT32_MAX;) {
        const struct slot_line compared = slots_compare(slots + line, e, hash);
        for (uint32_t equal = compared.equal; equal; equal &= equal - 1) {
            const uint32_t slot = line + (uint32_t)__builtin_ctz(equal), at = (slots[slot] - e->first_seq) & SEQ_MASK;
            if (ring_at(&ring, at)[word_at] == word)
                return (struct occurrence){.found = true, .at = at, .slot = slot, .hash = hash};
        }
        if (free == UINT32_MAX && compared.free)
            free = line + (uint32_t)__builtin_ctz(compared.free);
        line = line_behind(layout, line);
        on = compared.on && line != home;
    }
    return (struct occurrence){.slot = free, .hash = hash};
}

/* The event `at` has passed the lines from its home to the one of its slot. */
void slots_mark(const struct entity *entity, const struct layout *layout, uint32_t *slots, uint64_t hash, uint32_t slot, uint32_t at);

static inline void slots_write(const struct entity *e, const struct layout *layout, uint32_t *slots, uint64_t hash, uint32_t slot, uint32_t at)
{
    slots[slot] = occurrence_slot_word(hash, e->first_seq + at);
    if (occurrence_home(layout, hash) != slot - slot % WORDS_A_LINE)
        slots_mark(e, layout, slots, hash, slot, at);
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

/* For the event `at`, whose place is known.  Gives the slot. */
static inline uint32_t occurrence_write(const struct entity *e, const struct layout *layout, char *table, const struct occurrence *found, uint32_t place,
                                        uint32_t at)
{
    if (layout->tag_count) {
        uint16_t *tags = (uint16_t *)(void *)table;
        if (found->found)
            tags[found->slot] = 0;
        tags[place] = occurrence_tag(found->hash);
        return place;
    }
    slots_write(e, layout, (uint32_t *)(void *)table, found->hash, found->slot, at);
    return found->slot;
}

/* What occurrence_find just gave is from now on the event `at`; found->slot becomes that event's. */
static inline void occurrence_set(struct window_store *store, struct entity *e, uint32_t table, struct occurrence *found, uint32_t at)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const uint32_t slot = occurrence_write(e, layout, occurrence_table(e, layout, table), found, entity_place(p, e, at), at);
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
    (void)occurrence_write(e, layout, occurrence_table(e, layout, TABLE_IDS), id, place, e->count);
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
/* Of a ring with slots: fetches the lines where the searches for a record begin, and later where they go on and the events
 * they will find. */
void occurrences_fetch(const struct window_store *store, const struct entity *entity, const uint64_t *record);
void occurrences_fetch_found(const struct window_store *store, const struct entity *entity, const uint64_t *record);
