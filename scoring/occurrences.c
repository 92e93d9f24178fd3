#include "scoring/occurrences.h"

#include <assert.h>
#include <string.h>

enum { SLOTS_LOOKED_AT = 16 }; /* for what is fetched in advance */

/* Of eight places the one that has the tag and the word; UINT32_MAX: none. */
static uint32_t right_place(const struct feature_program *p, const uint16_t *tags, uint32_t from, uint16_t tag, const uint64_t *words, uint64_t word)
{
    for (uint32_t place = from; place < from + 8; place++)
        if (tags[place] == tag && words[(size_t)place * p->record_words] == word)
            return place;
    return UINT32_MAX;
}

struct occurrence occurrence_of_tag(const struct window_store *store, const struct entity *e, uint32_t table, uint64_t word, uint64_t hash)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const uint16_t *tags = (const uint16_t *)(const void *)occurrence_table(e, layout, table), tag = occurrence_tag(hash);
    const tag_vector *vectors = (const tag_vector *)(const void *)tags, wanted = tag - (tag_vector){0};
    const uint64_t *words = (const uint64_t *)(const void *)(e->block + layout->records_at) + occurrence_word_at(p, table);
    for (uint32_t i = 0; i < layout->tag_count / 8; i++) {
        uint32_t place = tag_equal_any(vectors[i] == wanted) ? right_place(p, tags, i * 8, tag, words, word) : UINT32_MAX;
        if (place == UINT32_MAX)
            continue;
        uint32_t at = place >= e->first ? place - e->first : place + layout->capacity - e->first;
        return (struct occurrence){.found = true, .at = at, .slot = place, .hash = hash};
    }
    return (struct occurrence){.hash = hash};
}

void occurrence_move_counters(struct window_store *store, struct entity *e, uint32_t table, const struct occurrence *found, uint32_t slot)
{
    size_t size = store->program->same_slot_words * sizeof(uint32_t);
    uint32_t *to = occurrence_counters(store, e, table, slot);
    if (!found->found)
        memset(to, 0, size);
    else if (found->slot != slot)
        memcpy(to, occurrence_counters(store, e, table, found->slot), size);
}

/* ---- anew ---- */

static void rebuild_counters(struct window_store *store, struct entity *e, uint32_t table)
{
    const struct feature_program *p = store->program;
    const struct channel_def *channel = &p->channels[table - TABLE_CHANNELS];
    const uint32_t *cursors = entity_cursors(p, e);
    for (uint32_t at = 0; channel->same_count && at < e->count; at++) {
        const uint64_t *record = entity_record(p, e, at);
        if (!record_in_channel(p, channel, record))
            continue;
        struct occurrence latest = occurrence_find(store, e, table, record[occurrence_word_at(p, table)]);
        assert(latest.found);
        uint32_t *counters = occurrence_counters(store, e, table, latest.slot);
        for (int k = 0; k < channel->same_count; k++)
            counters[k] += e->first_seq + at - cursors[p->sames[channel->same_first + k].window] < e->count;
    }
}

static void rebuild_table(struct window_store *store, struct entity *e, uint32_t table)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const uint32_t word_at = occurrence_word_at(p, table);
    uint16_t *tags = (uint16_t *)(void *)occurrence_table(e, layout, table);
    uint32_t *slots = (uint32_t *)(void *)tags, used = 0;
    memset(tags, 0, table == TABLE_IDS ? layout->ids_size : layout->channel_size);
    for (uint32_t at = 0; at < e->count; at++) {
        const uint64_t *record = entity_record(p, e, at);
        if (table != TABLE_IDS && !record_lane(p, record, p->channels[table - TABLE_CHANNELS].last_lane))
            continue;
        uint64_t hash = occurrence_hash(table, record[word_at]);
        if (layout->tag_count) {
            tags[entity_place(p, e, at)] = occurrence_tag(hash);
            continue;
        }
        uint32_t i = occurrence_home(layout, hash);
        while (slots[i])
            i = i + 1 == layout->slot_count ? 0 : i + 1;
        slots[i] = occurrence_slot_word(hash, e->first_seq + at);
        used++;
    }
    if (!layout->tag_count)
        slots[layout->slot_count] = used;
    if (table != TABLE_IDS)
        rebuild_counters(store, e, table);
}

void occurrences_rebuild(struct window_store *store, struct entity *e)
{
    e->aged = false;
    for (uint32_t table = 0; table < TABLE_CHANNELS + store->program->channel_count; table++)
        rebuild_table(store, e, table);
}

/* ---- a new block ---- */

/* Of tags to tags, with the counters beside them. */
static void copy_tags(const struct window_store *store, const struct entity *e, uint32_t table, const struct layout *layout, char *block)
{
    const struct feature_program *p = store->program;
    char *to = block_table(block, layout, table);
    const char *from = occurrence_table(e, entity_layout(p, e), table);
    memset(to + e->count * sizeof(uint16_t), 0, (layout->tag_count - e->count) * sizeof(uint16_t));
    entity_ring_copy(p, e, to, from, sizeof(uint16_t));
    if (table != TABLE_IDS && p->same_slot_words)
        entity_ring_copy(p, e, to + layout->ids_size, from + entity_layout(p, e)->ids_size, p->same_slot_words * sizeof(uint32_t));
}

bool occurrences_copy(const struct window_store *store, const struct entity *e, const struct layout *layout, char *block)
{
    if (!layout->tag_count || !e->block || !entity_layout(store->program, e)->tag_count)
        return false;
    for (uint32_t table = 0; table < TABLE_CHANNELS + store->program->channel_count; table++)
        copy_tags(store, e, table, layout, block);
    return true;
}

/* ---- an insertion ---- */

static void shift_tags(struct window_store *store, struct entity *e, uint32_t table, uint32_t from_at)
{
    const struct feature_program *p = store->program;
    uint16_t *tags = (uint16_t *)(void *)occurrence_table(e, entity_layout(p, e), table);
    size_t counters = table == TABLE_IDS ? 0 : p->same_slot_words * sizeof(uint32_t);
    uint32_t to = entity_place(p, e, e->count);
    for (uint32_t at = e->count; at-- > from_at;) {
        uint32_t from = entity_place(p, e, at);
        tags[to] = tags[from];
        if (counters && tags[to])
            memcpy(occurrence_counters(store, e, table, to), occurrence_counters(store, e, table, from), counters);
        to = from;
    }
    tags[to] = 0;
}

static void shift_slot(const struct feature_program *p, struct entity *e, uint32_t table, uint32_t at, const uint64_t *record)
{
    const struct layout *layout = entity_layout(p, e);
    uint64_t hash = occurrence_hash(table, record[occurrence_word_at(p, table)]);
    uint32_t *slots = (uint32_t *)(void *)occurrence_table(e, layout, table);
    uint32_t word = occurrence_slot_word(hash, e->first_seq + at), i = occurrence_home(layout, hash);
    while (slots[i] != word) {
        assert(slots[i]);
        i = i + 1 == layout->slot_count ? 0 : i + 1;
    }
    slots[i] = occurrence_slot_word(hash, e->first_seq + at + 1);
}

static void shift_slots(const struct feature_program *p, struct entity *e, uint32_t from_at)
{
    for (uint32_t at = e->count; at-- > from_at;) {
        const uint64_t *record = entity_record(p, e, at);
        shift_slot(p, e, TABLE_IDS, at, record);
        for (uint32_t c = 0; c < p->channel_count; c++)
            if (record_lane(p, record, p->channels[c].last_lane))
                shift_slot(p, e, TABLE_CHANNELS + c, at, record);
    }
}

void occurrences_shift(struct window_store *store, struct entity *e, uint32_t at)
{
    const struct feature_program *p = store->program;
    if (!entity_layout(p, e)->tag_count) {
        shift_slots(p, e, at);
        return;
    }
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++)
        shift_tags(store, e, table, at);
}

void occurrence_follow(const struct window_store *store, const struct entity *e, struct occurrence *found, uint32_t at)
{
    const struct feature_program *p = store->program;
    if (!found->found || found->at < at)
        return;
    found->at++;
    if (entity_layout(p, e)->tag_count)
        found->slot = entity_place(p, e, found->at);
}

/* ---- the rest ---- */

/* Where a search begins, the line behind that, and the count of slots that are not empty. */
void occurrences_fetch(const struct window_store *store, const struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++) {
        const uint32_t *slots = (const uint32_t *)(const void *)occurrence_table(e, layout, table);
        const uint32_t home = occurrence_home(layout, occurrence_hash(table, record[occurrence_word_at(p, table)]));
        __builtin_prefetch(&slots[home]);
        __builtin_prefetch(&slots[home + SLOTS_A_LINE]);
        __builtin_prefetch(&slots[layout->slot_count]);
    }
}

void occurrences_fetch_found(const struct window_store *store, const struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const struct ring ring = entity_ring(p, e);
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++) {
        const uint32_t *slots = (const uint32_t *)(const void *)occurrence_table(e, layout, table);
        const uint64_t hash = occurrence_hash(table, record[occurrence_word_at(p, table)]);
        uint32_t i = occurrence_home(layout, hash);
        for (uint32_t looked_at = 0; looked_at < SLOTS_LOOKED_AT && slots[i]; looked_at++, i = i + 1 == layout->slot_count ? 0 : i + 1) {
            const uint32_t at = (slots[i] - e->first_seq) & SEQ_MASK;
            if (at < e->count && slots[i] == occurrence_slot_word(hash, slots[i]))
                __builtin_prefetch(ring_at(&ring, at));
        }
    }
}

uint32_t occurrences_room(const struct window_store *store, const struct entity *e)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    uint32_t most = 0, full = layout->slot_count - layout->slot_count / 5 - 1;
    if (layout->tag_count)
        return UINT32_MAX;
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++) {
        uint32_t used = ((const uint32_t *)(const void *)occurrence_table(e, layout, table))[layout->slot_count];
        most = used > most ? used : most;
    }
    return most < full ? full - most : 0;
}
