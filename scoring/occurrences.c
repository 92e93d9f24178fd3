#include "scoring/occurrences.h"

#include <assert.h>
#include <string.h>

#include "scoring/bytes_hash.h"

#define SEQ_MASK ((1u << OCCURRENCE_SEQ_BITS) - 1)

static uint32_t record_word_of(const struct feature_program *p, uint32_t table)
{
    return table == TABLE_IDS ? (uint32_t)RECORD_ID : p->category_word + (uint32_t)p->channels[table - TABLE_CHANNELS].category;
}

static uint64_t hash_of(uint32_t table, uint64_t word)
{
    return table == TABLE_IDS ? word : hash_mix(word ^ HASH_P1, HASH_P2);
}

static uint32_t *slots_of(const struct feature_program *p, const struct entity *e, uint32_t table)
{
    const struct layout *layout = entity_layout(p, e);
    size_t before = table == TABLE_IDS ? 0 : 1 + (size_t)(table - TABLE_CHANNELS) * (1 + p->same_slot_words);
    return (uint32_t *)(void *)(e->block + layout->index_at) + before * layout->index_slots;
}

static uint32_t *used_of(const struct feature_program *p, struct entity *e, uint32_t table)
{
    return (uint32_t *)(void *)((char *)e + p->used_at) + table;
}

static uint32_t home_of(const struct layout *layout, uint64_t hash)
{
    return (uint32_t)((hash >> 32) * layout->index_slots >> 32);
}

static uint32_t slot_word(uint64_t hash, uint32_t seq)
{
    uint32_t tag = (uint32_t)hash & 1023;
    return (tag + !tag) << OCCURRENCE_SEQ_BITS | (seq & SEQ_MASK);
}

uint32_t *occurrence_counters(const struct window_store *store, const struct entity *e, uint32_t table, uint32_t slot)
{
    const struct feature_program *p = store->program;
    return slots_of(p, e, table) + entity_layout(p, e)->index_slots + (size_t)slot * p->same_slot_words;
}

static bool is_member(const struct feature_program *p, uint32_t table, const uint64_t *record)
{
    return table == TABLE_IDS || record_in_channel(p, &p->channels[table - TABLE_CHANNELS], record);
}

static struct occurrence search_ring(const struct feature_program *p, const struct entity *e, uint32_t table, uint64_t word)
{
    uint32_t word_at = record_word_of(p, table);
    for (uint32_t at = e->count; at--;) {
        const uint64_t *record = entity_record(p, e, at);
        if (record[word_at] == word && is_member(p, table, record))
            return (struct occurrence){.found = true, .at = at};
    }
    return (struct occurrence){0};
}

struct occurrence occurrence_find(const struct window_store *store, const struct entity *e, uint32_t table, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    if (!e->count && !e->block)
        return (struct occurrence){0};
    const struct layout *layout = entity_layout(p, e);
    uint32_t word_at = record_word_of(p, table);
    uint64_t word = record[word_at];
    if (!layout->index_slots)
        return search_ring(p, e, table, word);
    uint64_t hash = hash_of(table, word);
    const uint32_t *slots = slots_of(p, e, table);
    uint32_t tag = slot_word(hash, 0), dead = UINT32_MAX, i = home_of(layout, hash);
    for (; slots[i]; i = i + 1 == layout->index_slots ? 0 : i + 1) {
        uint32_t at = (slots[i] - e->first_seq) & SEQ_MASK;
        if (at >= e->count)
            dead = dead == UINT32_MAX ? i : dead;
        else if ((slots[i] & ~SEQ_MASK) == tag && entity_record(p, e, at)[word_at] == word)
            return (struct occurrence){.found = true, .slot = i, .at = at};
    }
    return (struct occurrence){.slot = dead == UINT32_MAX ? i : dead};
}

void occurrence_set(struct window_store *store, struct entity *e, uint32_t table, struct occurrence occurrence, uint32_t at,
                    const uint64_t *record)
{
    const struct feature_program *p = store->program;
    if (!entity_layout(p, e)->index_slots)
        return;
    uint32_t *slot = slots_of(p, e, table) + occurrence.slot;
    if (!occurrence.found) {
        *used_of(p, e, table) += !*slot;
        if (table != TABLE_IDS && p->same_slot_words)
            memset(occurrence_counters(store, e, table, occurrence.slot), 0, p->same_slot_words * sizeof(uint32_t));
    }
    *slot = slot_word(hash_of(table, record[record_word_of(p, table)]), e->first_seq + at);
}

static void rebuild_counters(struct window_store *store, struct entity *e, uint32_t channel)
{
    const struct feature_program *p = store->program;
    const struct channel_def *def = &p->channels[channel];
    const uint32_t *cursors = entity_cursors(p, e);
    for (uint32_t at = 0; def->same_count && at < e->count; at++) {
        const uint64_t *record = entity_record(p, e, at);
        if (!record_in_channel(p, def, record))
            continue;
        struct occurrence latest = occurrence_find(store, e, TABLE_CHANNELS + channel, record);
        assert(latest.found);
        uint32_t *counters = occurrence_counters(store, e, TABLE_CHANNELS + channel, latest.slot);
        for (int k = 0; k < def->same_count; k++)
            counters[k] += e->first_seq + at - cursors[p->sames[def->same_first + k].window] < e->count;
    }
}

static void rebuild_table(struct window_store *store, struct entity *e, uint32_t table)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    uint32_t *slots = slots_of(p, e, table), word_at = record_word_of(p, table), used = 0;
    memset(slots, 0, (size_t)layout->index_slots * (table == TABLE_IDS ? 1 : 1 + p->same_slot_words) * sizeof *slots);
    for (uint32_t at = 0; at < e->count; at++) {
        const uint64_t *record = entity_record(p, e, at);
        if (table != TABLE_IDS && !record_lane(p, record, p->channels[table - TABLE_CHANNELS].last_lane))
            continue;
        uint64_t hash = hash_of(table, record[word_at]);
        uint32_t i = home_of(layout, hash);
        while (slots[i])
            i = i + 1 == layout->index_slots ? 0 : i + 1;
        slots[i] = slot_word(hash, e->first_seq + at);
        used++;
    }
    *used_of(p, e, table) = used;
    if (table != TABLE_IDS)
        rebuild_counters(store, e, table - TABLE_CHANNELS);
}

void occurrences_rebuild(struct window_store *store, struct entity *e)
{
    if (!entity_layout(store->program, e)->index_slots)
        return;
    for (uint32_t table = 0; table < TABLE_CHANNELS + store->program->channel_count; table++)
        rebuild_table(store, e, table);
}

static void shift_one(const struct feature_program *p, struct entity *e, uint32_t table, uint32_t from, const uint64_t *record)
{
    const struct layout *layout = entity_layout(p, e);
    uint64_t hash = hash_of(table, record[record_word_of(p, table)]);
    uint32_t *slots = slots_of(p, e, table), word = slot_word(hash, e->first_seq + from), i = home_of(layout, hash);
    while (slots[i] != word) {
        assert(slots[i]);
        i = i + 1 == layout->index_slots ? 0 : i + 1;
    }
    slots[i] = slot_word(hash, e->first_seq + from + 1);
}

void occurrences_shift(struct window_store *store, struct entity *e, uint32_t from, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    if (!entity_layout(p, e)->index_slots)
        return;
    shift_one(p, e, TABLE_IDS, from, record);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_lane(p, record, p->channels[c].last_lane))
            shift_one(p, e, TABLE_CHANNELS + c, from, record);
}

const void *occurrence_line(const struct window_store *store, const struct entity *e, uint32_t table, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    return slots_of(p, e, table) + home_of(layout, hash_of(table, record[record_word_of(p, table)]));
}
