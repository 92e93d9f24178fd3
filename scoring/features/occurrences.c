#include "scoring/features/occurrences.h"

#include <assert.h>
#include <string.h>

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

void slots_mark(const struct entity *e, const struct layout *layout, uint32_t *slots, uint64_t hash, uint32_t slot, uint32_t at)
{
    const uint32_t passed = 1u << occurrence_passed_bit(hash);
    for (uint32_t line = occurrence_home(layout, hash); line != slot - slot % WORDS_A_LINE; line = line_behind(layout, line)) {
        uint32_t *mark = &slots[line + LINE_MARK], marked_at = (*mark - e->first_seq) & SEQ_MASK;
        const bool lapsed = marked_at > e->count; /* one that is on its way has the index `count` */
        const uint32_t newest_at = lapsed || marked_at < at ? at : marked_at;
        *mark = (lapsed ? 0 : *mark & ~SEQ_MASK) | passed | ((e->first_seq + newest_at) & SEQ_MASK);
    }
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

/* Words of a line that are equal, as bits. */
static uint32_t words_equal(const uint32_t *line, uint32_t word)
{
    typedef uint32_t words __attribute__((vector_size(16), may_alias));
    const words wanted = word - (words){0};
    words bits = {0}, bits_of = {1, 2, 4, 8};
    for (uint32_t i = 0; i < WORDS_A_LINE; i += 4, bits_of <<= 4)
        bits |= (words)(*(const words *)(const void *)(line + i) == wanted) & bits_of;
    return bits[0] | bits[1] | bits[2] | bits[3];
}

/* The nearest slot from the home on that has this word; there is one. */
static uint32_t slot_with(const struct layout *layout, const uint32_t *slots, uint64_t hash, uint32_t word)
{
    uint32_t line = occurrence_home(layout, hash), equal;
    while (!(equal = words_equal(slots + line, word) & ALL_SLOTS))
        line = line_behind(layout, line);
    return line + (uint32_t)__builtin_ctz(equal);
}

/* What no event held has: it is the number of the one that went last. */
static uint32_t word_of_none(const struct entity *e)
{
    return (e->first_seq - 1) & SEQ_MASK;
}

static void clear_table(const struct layout *layout, char *table, size_t size, uint32_t none)
{
    memset(table, 0, size);
    for (uint32_t i = 0; i < layout->line_count * WORDS_A_LINE; i++)
        ((uint32_t *)(void *)table)[i] = none;
}

static void rebuild_table(struct window_store *store, struct entity *e, uint32_t table)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const uint32_t word_at = occurrence_word_at(p, table), none = word_of_none(e);
    char *start = occurrence_table(e, layout, table);
    clear_table(layout, start, table == TABLE_IDS ? layout->ids_size : layout->channel_size, none);
    for (uint32_t at = 0; at < e->count; at++) {
        const uint64_t *record = entity_record(p, e, at);
        if (table != TABLE_IDS && !record_lane(p, record, p->channels[table - TABLE_CHANNELS].last_lane))
            continue;
        struct occurrence new = {.hash = occurrence_hash(table, record[word_at])};
        if (!layout->tag_count)
            new.slot = slot_with(layout, (const uint32_t *)(const void *)start, new.hash, none);
        (void)occurrence_write(e, layout, start, &new, entity_place(p, e, at), at);
    }
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

static bool copies(const struct entity *e, const struct layout *from, const struct layout *to)
{
    return to->tag_count ? from->tag_count > 0 : from->line_count == to->line_count && !e->aged;
}

/* Slots say nothing of places: a table of the same size is the same. */
bool occurrences_copy(const struct window_store *store, const struct entity *e, const struct layout *layout, char *block)
{
    const struct layout *from = entity_layout(store->program, e);
    if (!e->block || !copies(e, from, layout))
        return false;
    if (!layout->tag_count) {
        memcpy(block + layout->index_at, e->block + from->index_at, layout->ids_size + store->program->channel_count * layout->channel_size);
        return true;
    }
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
    const uint64_t hash = occurrence_hash(table, record[occurrence_word_at(p, table)]);
    uint32_t *slots = (uint32_t *)(void *)occurrence_table(e, layout, table);
    slots_write(e, layout, slots, hash, slot_with(layout, slots, hash, occurrence_slot_word(hash, e->first_seq + at)), at + 1);
}

/* One by one. */
static void shift_few(const struct feature_program *p, struct entity *e, uint32_t from_at)
{
    for (uint32_t at = e->count; at-- > from_at;) {
        const uint64_t *record = entity_record(p, e, at);
        shift_slot(p, e, TABLE_IDS, at, record);
        for (uint32_t c = 0; c < p->channel_count; c++)
            if (record_lane(p, record, p->channels[c].last_lane))
                shift_slot(p, e, TABLE_CHANNELS + c, at, record);
    }
}

/* A table from end to end: of slots and marks alike the number is one more. */
static void shift_many(const struct layout *layout, const struct entity *e, uint32_t *slots, uint32_t from_at)
{
    const uint32_t from = e->first_seq + from_at, moved = e->count - from_at;
    for (uint32_t i = 0; i < layout->line_count * WORDS_A_LINE; i++) {
        const uint32_t seq = slots[i] + (((slots[i] - from) & SEQ_MASK) < moved);
        slots[i] = (slots[i] & ~SEQ_MASK) | (seq & SEQ_MASK);
    }
}

enum { WORDS_FOR_ONE = 16 }; /* take as long from end to end as one event that is searched for */

static void shift_slots(const struct feature_program *p, struct entity *e, uint32_t from_at)
{
    const struct layout *layout = entity_layout(p, e);
    if ((e->count - from_at) * WORDS_FOR_ONE < layout->line_count * WORDS_A_LINE) {
        shift_few(p, e, from_at);
        return;
    }
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++)
        shift_many(layout, e, (uint32_t *)(void *)occurrence_table(e, layout, table), from_at);
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

/* ---- what is fetched ahead ---- */

void occurrences_fetch(const struct window_store *store, const struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++) {
        const uint32_t *slots = (const uint32_t *)(const void *)occurrence_table(e, layout, table);
        __builtin_prefetch(&slots[occurrence_home(layout, occurrence_hash(table, record[occurrence_word_at(p, table)]))]);
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
        const uint32_t home = occurrence_home(layout, hash);
        const struct slot_line line = slots_compare(slots + home, e, hash);
        for (uint32_t equal = line.equal; equal; equal &= equal - 1)
            __builtin_prefetch(ring_at(&ring, (slots[home + (uint32_t)__builtin_ctz(equal)] - e->first_seq) & SEQ_MASK));
        if (line.on)
            __builtin_prefetch(&slots[line_behind(layout, home)]);
    }
}
