#include "scoring/window_store.h"

#include <assert.h>
#include <string.h>

#include "scoring/occurrences.h"
#include "scoring/staircase.h"

int window_store_init(struct window_store *store, const struct feature_program *p)
{
    *store = (struct window_store){.program = p};
    for (uint32_t i = 0; i < p->same_count; i++)
        store->same_windows |= UINT64_C(1) << p->sames[i].window;
    return block_pool_init(&store->blocks, p->layout_count * 2);
}

void window_store_finish(struct window_store *store)
{
    block_pool_finish(&store->blocks);
}

int64_t store_number(const struct window_store *store, const struct entity *e, uint32_t at, int number)
{
    const struct feature_program *p = store->program;
    uint32_t word = RECORD_NUMBERS + (uint32_t)number;
    uint64_t after = at + 1 < e->count ? entity_record(p, e, at + 1)[word] : entity_totals(p, e)[number];
    return (int64_t)(after - entity_record(p, e, at)[word]);
}

/* ---- what an event adds to a window, and takes with it ---- */

static void sames_update(const struct window_store *store, struct entity *e, uint32_t window, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    for (uint32_t c = 0; c < p->channel_count; c++) {
        const struct channel_def *channel = &p->channels[c];
        if (!channel->same_count || !record_in_channel(p, channel, record))
            continue;
        uint32_t *counters = store_sames(store, e, c, record);
        for (int k = 0; k < channel->same_count; k++)
            counters[k] -= p->sames[channel->same_first + k].window == (int)window;
    }
}

/* The event at a window's cursor leaves it. */
static void leave(struct window_store *store, struct entity *e, uint32_t window, uint32_t at)
{
    const struct feature_program *p = store->program;
    const uint64_t *record = entity_record(p, e, at);
    uint64_t *groups = entity_lanes(p, e) + window * p->lane_groups;
    for (uint32_t g = 0; g < p->lane_groups; g++)
        groups[g] -= lanes_spread(p, record, g);
    for (uint32_t i = p->wide_first[window]; i < p->wide_first[window + 1]; i++)
        if (record_lane(p, record, p->wides[i].lane))
            wide_take(entity_wides(p, e), &p->wides[i], store_number(store, e, at, p->wides[i].number));
    if (store->same_windows >> window & 1)
        sames_update(store, e, window, record);
}

void store_advance(struct window_store *store, struct entity *e, int64_t time_ms)
{
    const struct feature_program *p = store->program;
    uint32_t *cursors = entity_cursors(p, e);
    for (uint32_t w = 0; w < p->window_count; w++) {
        uint32_t at = cursors[w] - e->first_seq;
        int64_t edge_ms = time_ms - p->widths_ms[w];
        for (; at < e->count && record_time(entity_record(p, e, at)) <= edge_ms; at++)
            leave(store, e, w, at);
        cursors[w] = e->first_seq + at;
    }
}

/* ---- the oldest event goes ---- */

static void places_pop(const struct feature_program *p, struct entity *e)
{
    uint32_t *places = entity_places(p, e);
    for (uint32_t i = 0; i < p->place_count; i++)
        if ((int32_t)(places[i] - e->first_seq) < 0)
            places[i] = e->first_seq - 1;
}

void store_drop_oldest(struct window_store *store, struct entity *e)
{
    const struct feature_program *p = store->program;
    uint32_t *cursors = entity_cursors(p, e);
    assert(e->count);
    for (uint32_t w = p->window_count; w-- && cursors[w] == e->first_seq;) {
        leave(store, e, w, 0);
        cursors[w]++;
    }
    stairs_pop(p, e);
    e->first = e->first + 1 == entity_layout(p, e)->capacity ? 0 : e->first + 1;
    e->first_seq++;
    e->count--;
    store->events--;
    places_pop(p, e);
    if (!(e->first_seq & 0xfffff))
        occurrences_rebuild(store, e);
}

void store_trim(struct window_store *store, struct entity *e, int64_t horizon_ms)
{
    while (e->count && record_time(entity_record(store->program, e, 0)) <= horizon_ms)
        store_drop_oldest(store, e);
}

/* ---- blocks ---- */

static int relay(struct window_store *store, struct entity *e, uint32_t kind)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = &p->layouts[kind];
    char *block = block_take(&store->blocks, kind, layout->size);
    if (!block)
        return -1;
    if (e->block) {
        for (uint32_t i = 0; i < e->count; i++)
            memcpy(block + (size_t)i * p->record_words * 8, entity_record(p, e, i), (size_t)p->record_words * 8);
        stairs_copy(p, e, layout, block);
        block_put(&store->blocks, e->layout, entity_layout(p, e)->size, e->block);
    }
    e->block = block;
    e->layout = (uint16_t)kind;
    e->first = 0;
    occurrences_rebuild(store, e);
    return 0;
}

static bool tables_full(const struct feature_program *p, const struct entity *e)
{
    const uint32_t *used = (const uint32_t *)(const void *)((const char *)e + p->used_at);
    uint32_t slots = entity_layout(p, e)->index_slots;
    for (uint32_t table = 0; slots && table < TABLE_CHANNELS + p->channel_count; table++)
        if ((used[table] + 1) * 8 > slots * 7)
            return true;
    return false;
}

/* The first layout from `kind` on, of the same capacity, that has room for so many stairs. */
static uint32_t with_stairs(const struct feature_program *p, uint32_t kind, uint32_t stairs)
{
    return kind < p->layout_count && stairs > p->layouts[kind].stair_slots ? kind + p->layout_count : kind;
}

static int first_block(struct window_store *store, struct entity *e)
{
    for (uint32_t i = 0; i < store->program->place_count; i++)
        entity_places(store->program, e)[i] = e->first_seq - 1;
    return relay(store, e, 0);
}

int store_reserve(struct window_store *store, struct entity *e)
{
    const struct feature_program *p = store->program;
    if (!e->block)
        return first_block(store, e);
    uint32_t kind = e->layout;
    if (e->count == p->layouts[kind].capacity)
        kind++;
    if (p->stair_count)
        kind = with_stairs(p, kind, stairs_most(p, e) + 1);
    if (kind != e->layout)
        return relay(store, e, kind);
    if (tables_full(p, e))
        occurrences_rebuild(store, e);
    return 0;
}

int store_shrink(struct window_store *store, struct entity *e)
{
    const struct feature_program *p = store->program;
    if (!e->block || e->layout % p->layout_count < 4 || e->count * 8 > entity_layout(p, e)->capacity * 3)
        return 0;
    uint32_t kind = 0;
    while (p->layouts[kind].capacity < e->count + e->count / 4 + 2)
        kind++;
    return relay(store, e, with_stairs(p, kind, stairs_most(p, e) + 1));
}

void store_release(struct window_store *store, struct entity *e)
{
    store->events -= e->count;
    if (e->block)
        block_put(&store->blocks, e->layout, entity_layout(store->program, e)->size, e->block);
    e->block = NULL;
    e->count = 0;
}

/* ---- a newest event ---- */

bool store_has_id(const struct window_store *store, const struct entity *e, uint64_t id_hash)
{
    uint64_t record[2] = {0, id_hash};
    return occurrence_find(store, e, TABLE_IDS, record).found;
}

bool store_latest(const struct window_store *store, const struct entity *e, uint32_t channel, const uint64_t *record, uint32_t *at)
{
    struct occurrence latest = occurrence_find(store, e, TABLE_CHANNELS + channel, record);
    *at = latest.at;
    return latest.found;
}

uint32_t *store_sames(const struct window_store *store, const struct entity *e, uint32_t channel, const uint64_t *record)
{
    struct occurrence latest = occurrence_find(store, e, TABLE_CHANNELS + channel, record);
    return latest.found ? occurrence_counters(store, e, TABLE_CHANNELS + channel, latest.slot) : NULL;
}

void store_place(struct window_store *store, struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    uint64_t *to = entity_record(p, e, e->count);
    memcpy(to, record, (size_t)p->record_words * 8);
    if (p->number_count)
        memcpy(to + RECORD_NUMBERS, entity_totals(p, e), (size_t)p->number_count * 8);
}

/* The event becomes the latest of its category: the one before it is it no longer, and where that is out of a window
 * the window has one category more. */
static void channel_count_in(struct window_store *store, struct entity *e, uint32_t c, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    const struct channel_def *channel = &p->channels[c];
    const uint32_t *cursors = entity_cursors(p, e);
    uint64_t *groups = entity_lanes(p, e);
    struct occurrence latest = occurrence_find(store, e, TABLE_CHANNELS + c, record);
    if (latest.found)
        record_lane_set(p, entity_record(p, e, latest.at), channel->last_lane, false);
    for (uint32_t w = 0; w < p->window_count; w++, groups += p->lane_groups)
        lane_counter_add(p, groups, channel->last_lane, !latest.found || latest.at < cursors[w] - e->first_seq);
    occurrence_set(store, e, TABLE_CHANNELS + c, latest, e->count, record);
    if (!channel->same_count)
        return;
    uint32_t *counters = occurrence_counters(store, e, TABLE_CHANNELS + c, latest.slot);
    for (int k = 0; k < channel->same_count; k++)
        counters[k]++;
}

static void lanes_count_in(const struct feature_program *p, struct entity *e, const uint64_t *record)
{
    uint64_t *groups = entity_lanes(p, e);
    for (uint32_t g = 0; g < p->lane_groups; g++) {
        uint64_t added = lanes_spread(p, record, g) & p->count_masks[g];
        for (uint32_t w = 0; w < p->window_count; w++)
            groups[w * p->lane_groups + g] += added;
    }
}

void store_count_in(struct window_store *store, struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    lanes_count_in(p, e, record);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], record))
            channel_count_in(store, e, c, record);
    for (uint32_t i = 0; i < p->wide_count; i++)
        if (record_lane(p, record, p->wides[i].lane))
            wide_add(entity_wides(p, e), &p->wides[i], (int64_t)record[RECORD_NUMBERS + (uint32_t)p->wides[i].number]);
    for (uint32_t i = 0; i < p->place_count; i++)
        if (record_has_place(p, record, i))
            entity_places(p, e)[i] = e->first_seq + e->count;
    for (uint32_t i = 0; i < p->number_count; i++)
        entity_totals(p, e)[i] += record[RECORD_NUMBERS + i];
    stairs_push(p, e, record, e->count);
    occurrence_set(store, e, TABLE_IDS, occurrence_find(store, e, TABLE_IDS, record), e->count, record);
    e->newest_ms = record_time(record);
    e->count++;
    store->events++;
}
