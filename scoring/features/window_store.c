#include "scoring/features/window_store.h"

#include <assert.h>
#include <string.h>

#include "scoring/features/occurrences.h"
#include "scoring/features/staircase.h"

int window_store_init(struct window_store *store, const struct feature_program *p)
{
    *store = (struct window_store){.program = p};
    for (uint32_t i = 0; i < p->same_count; i++)
        store->same_windows |= UINT64_C(1) << p->sames[i].window;
    store->slow_windows = store->same_windows;
    for (uint32_t i = 0; i < p->wide_count; i++)
        store->slow_windows |= UINT64_C(1) << p->wides[i].window;
    return block_pool_init(&store->blocks, p->layout_count * 2);
}

void window_store_finish(struct window_store *store)
{
    block_pool_finish(&store->blocks);
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

static void leave_slowly(struct window_store *store, struct entity *e, uint32_t window, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    for (uint32_t i = p->wide_first[window]; i < p->wide_first[window + 1]; i++)
        if (record_lane(p, record, p->wides[i].lane))
            wide_take(entity_wides(p, e), &p->wides[i], record_number(record, p->wides[i].number));
    if (store->same_windows >> window & 1)
        sames_update(store, e, window, record);
}

/* The event at a window's cursor leaves it. */
static inline void leave(struct window_store *store, struct entity *e, uint32_t window, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    uint64_t *groups = entity_lanes(p, e) + window;
    for (uint32_t g = 0; g < p->lane_groups; g++)
        groups[g * p->window_count] -= lanes_spread(p, record, g);
    sums_take(p, entity_sums(p, e) + window, record);
    if (store->slow_windows >> window & 1)
        leave_slowly(store, e, window, record);
}

/* Windows that even the newest event so far has left hold nothing any more: nothing needs to be looked at. */
static uint32_t clear_windows(struct window_store *store, struct entity *e, int64_t time_ms, const uint64_t *end, const uint64_t **from,
                              uint32_t *events)
{
    const struct feature_program *p = store->program;
    const uint32_t windows = p->window_count, groups = p->lane_groups, end_seq = e->first_seq + e->count;
    uint32_t *cursors = entity_cursors(p, e), w = 0;
    uint64_t *lanes = entity_lanes(p, e);
    for (; w < windows && e->newest_ms <= time_ms - p->widths_ms[w]; w++) {
        if (store->same_windows >> w & 1)
            break;
        cursors[w] = end_seq;
        events[w] = 0;
        from[w] = end;
        for (uint32_t g = 0; g < groups; g++)
            lanes[g * windows + w] = 0;
        sums_clear(p, entity_sums(p, e) + w);
        for (uint32_t i = p->wide_first[w]; i < p->wide_first[w + 1]; i++)
            wide_clear(entity_wides(p, e), &p->wides[i]);
    }
    return w;
}

uint32_t store_advance(struct window_store *store, struct entity *e, int64_t time_ms, const uint64_t **from, uint32_t *events)
{
    const struct feature_program *p = store->program;
    const struct ring ring = entity_ring(p, e);
    const uint32_t windows = p->window_count, first_seq = e->first_seq, count = e->count;
    uint32_t *cursors = entity_cursors(p, e), cleared = clear_windows(store, e, time_ms, ring_at(&ring, count), from, events);
    for (uint32_t w = cleared; w < windows; w++) {
        uint32_t at = cursors[w] - first_seq;
        const int64_t edge_ms = time_ms - p->widths_ms[w];
        const uint64_t *record = ring_at(&ring, at);
        while (at < count && record_time(record) <= edge_ms) {
            leave(store, e, w, record);
            at++;
            record = ring_next(&ring, record);
        }
        cursors[w] = first_seq + at;
        events[w] = count - at;
        from[w] = record;
    }
    return cleared;
}

/* ---- the oldest events go ---- */

/* Windows that have not moved since then may still hold some of them. */
static void windows_leave(struct window_store *store, struct entity *e, const struct ring *ring, uint32_t n)
{
    const struct feature_program *p = store->program;
    uint32_t *cursors = entity_cursors(p, e);
    for (uint32_t w = p->window_count, at; w-- && (at = cursors[w] - e->first_seq) < n; cursors[w] = e->first_seq + n)
        for (const uint64_t *record = ring_at(ring, at); at < n; at++, record = ring_next(ring, record))
            leave(store, e, w, record);
}

static inline void places_pop(const struct feature_program *p, struct entity *e)
{
    uint32_t *places = entity_places(p, e);
    for (uint32_t i = 0; i < p->place_count; i++)
        if ((int32_t)(places[i] - e->first_seq) < 0)
            places[i] = e->first_seq - 1;
}

void store_forget(struct window_store *store, struct entity *e, uint32_t n)
{
    const struct feature_program *p = store->program;
    stairs_pop(p, e, n);
    occurrences_pop(p, e, n);
    e->first = entity_place(p, e, n);
    if ((e->first_seq ^ (e->first_seq + n)) >> 20) {
        e->aged = true;
        e->room = e->room > 0; /* an event may be on its way that has its place already: the one after it asks */
    }
    e->first_seq += n;
    e->count -= n;
    store->events -= n;
    places_pop(p, e);
}

void store_drop(struct window_store *store, struct entity *e, uint32_t n)
{
    assert(n <= e->count);
    if (!n)
        return;
    const struct ring ring = entity_ring(store->program, e);
    windows_leave(store, e, &ring, n);
    store_forget(store, e, n);
}

void store_trim_some(struct window_store *store, struct entity *e, int64_t horizon_ms)
{
    const struct ring ring = entity_ring(store->program, e);
    uint32_t n = 0;
    for (const uint64_t *record = ring_at(&ring, 0); n < e->count && record_time(record) <= horizon_ms; n++)
        record = ring_next(&ring, record);
    store_drop(store, e, n);
    if (ring.capacity > 2 * e->count + RING_SPARE)
        e->room = e->room > 0; /* mostly empty: the event after the one on its way gives memory back */
}

/* ---- blocks ---- */

static uint8_t room_of(const struct window_store *store, const struct entity *e);

void entity_ring_copy(const struct feature_program *p, const struct entity *e, char *to, const char *from, size_t size)
{
    const uint32_t left = entity_layout(p, e)->capacity - e->first, n = left < e->count ? left : e->count;
    memcpy(to, from + e->first * size, n * size);
    memcpy(to + n * size, from, (e->count - n) * size);
}

static int relay(struct window_store *store, struct entity *e, uint32_t kind)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = &p->layouts[kind];
    char *block = block_take(&store->blocks, kind, layout->size);
    if (!block)
        return -1;
    const bool copied = occurrences_copy(store, e, layout, block);
    if (e->block) {
        entity_ring_copy(p, e, block + layout->records_at, e->block + entity_layout(p, e)->records_at, (size_t)p->record_words * 8);
        stairs_copy(p, e, layout, block);
        block_put(&store->blocks, e->layout, entity_layout(p, e)->size, e->block);
    }
    e->block = block;
    e->layout = (uint16_t)kind;
    e->first = 0;
    if (!copied)
        occurrences_rebuild(store, e);
    e->room = room_of(store, e);
    return 0;
}

/* The first layout from `kind` on, of the same capacity, that has room for so many stairs. */
static uint32_t with_stairs(const struct feature_program *p, uint32_t kind, uint32_t stairs)
{
    return kind < p->layout_count && stairs > p->layouts[kind].stairs_most ? kind + p->layout_count : kind;
}

static int first_block(struct window_store *store, struct entity *e)
{
    for (uint32_t i = 0; i < store->program->place_count; i++)
        entity_places(store->program, e)[i] = e->first_seq - 1;
    return relay(store, e, 0);
}

/* The least of what the ring and the staircases take, and of what may come before the oldest are looked at. */
static uint8_t room_of(const struct window_store *store, const struct entity *e)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    uint32_t room = layout->capacity - e->count, stairs = layout->stairs_most - stairs_most(p, e);
    room = p->stair_count && stairs < room ? stairs : room;
    room = e->count / 8 + 4 < room ? e->count / 8 + 4 : room;
    return room < UINT8_MAX ? (uint8_t)room : UINT8_MAX;
}

/* A ring that is full gets the next larger one; one with an eighth more than it needs and RING_SPARE places, a smaller one; each
 * with room for some more: so what swings about its mean stays where it is.  Staircases begin small again. */
static uint32_t fitting_kind(const struct feature_program *p, const struct entity *e)
{
    const uint32_t capacity = entity_layout(p, e)->capacity, count = e->count, last = p->layout_count - 1;
    uint32_t kind = 0;
    if (count < capacity && capacity <= count + count / 8 + RING_SPARE)
        return e->layout;
    while (kind < last && p->layouts[kind].capacity < count + count / 32 + 1)
        kind++;
    return kind;
}

int store_make_room(struct window_store *store, struct entity *e, int64_t horizon_ms)
{
    const struct feature_program *p = store->program;
    if (!e->block)
        return first_block(store, e);
    store_trim(store, e, horizon_ms);
    uint32_t kind = fitting_kind(p, e);
    if (p->stair_count)
        kind = with_stairs(p, kind, stairs_most(p, e) + 1);
    if (kind != e->layout)
        return relay(store, e, kind);
    if (e->aged)
        occurrences_rebuild(store, e);
    e->room = room_of(store, e);
    return 0;
}

int store_shrink(struct window_store *store, struct entity *e)
{
    const struct feature_program *p = store->program;
    const uint32_t kind = e->block ? fitting_kind(p, e) : e->layout;
    return kind < e->layout % p->layout_count ? relay(store, e, with_stairs(p, kind, stairs_most(p, e) + 1)) : 0;
}

void store_release(struct window_store *store, struct entity *e)
{
    store->events -= e->count;
    if (e->block)
        block_put(&store->blocks, e->layout, entity_layout(store->program, e)->size, e->block);
    e->block = NULL;
    e->count = 0;
}

void store_dissolve(struct window_store *store, struct entity *e)
{
    if (e->held && e->block && block_stands_alone(entity_layout(store->program, e)->size))
        store_release(store, e);
}

/* ---- a newest event ---- */

uint32_t *store_sames(const struct window_store *store, const struct entity *e, uint32_t channel, const uint64_t *record)
{
    uint64_t word = record[occurrence_word_at(store->program, TABLE_CHANNELS + channel)];
    struct occurrence latest = occurrence_find(store, e, TABLE_CHANNELS + channel, word);
    return latest.found ? occurrence_counters(store, e, TABLE_CHANNELS + channel, latest.slot) : NULL;
}

void store_place(struct window_store *store, struct entity *e, const uint64_t *record)
{
    const uint32_t words = store->program->record_words;
    uint64_t *to = entity_record(store->program, e, e->count);
    for (uint32_t i = 0; i < words; i++)
        to[i] = record[i];
}

/* The event becomes the latest of its category: the one before it is it no longer, and where that is out of a window
 * the window has one category more. */
static void channel_count_in(struct window_store *store, struct entity *e, uint32_t c, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    const struct channel_def *channel = &p->channels[c];
    const uint32_t windows = p->window_count, first_seq = e->first_seq, *cursors = entity_cursors(p, e);
    const uint32_t shift = (uint32_t)channel->last_lane % p->lanes_a_group * p->lane_width;
    uint64_t *groups = entity_lanes(p, e) + (uint32_t)channel->last_lane / p->lanes_a_group * windows;
    struct occurrence latest = occurrence_find(store, e, TABLE_CHANNELS + c, record[p->category_word + (uint32_t)channel->category]);
    if (latest.found)
        record_lane_set(p, entity_record(p, e, latest.at), channel->last_lane, false);
    const int64_t latest_at = latest.found ? (int64_t)latest.at : -1;
    for (uint32_t w = 0; w < windows; w++)
        groups[w] += (uint64_t)(latest_at < (int64_t)(cursors[w] - first_seq)) << shift;
    record_gap_set(p, c, entity_record(p, e, e->count), (uint32_t)(e->count - 1 - latest_at));
    occurrence_set(store, e, TABLE_CHANNELS + c, &latest, e->count);
    if (!channel->same_count)
        return;
    uint32_t *counters = occurrence_counters(store, e, TABLE_CHANNELS + c, latest.slot);
    for (int k = 0; k < channel->same_count; k++)
        counters[k]++;
}

static inline void lanes_count_in(const struct feature_program *p, struct entity *e, const uint64_t *record)
{
    const uint32_t windows = p->window_count;
    for (uint32_t g = 0; g < p->lane_groups; g++) {
        uint64_t added = lanes_spread(p, record, g) & p->count_masks[g], *groups = entity_lanes(p, e) + g * windows;
        for (uint32_t w = 0; w < windows; w++)
            groups[w] += added;
    }
}

void store_count_in(struct window_store *store, struct entity *e, const uint64_t *record, const struct occurrence *id)
{
    const struct feature_program *p = store->program;
    lanes_count_in(p, e, record);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], record))
            channel_count_in(store, e, c, record);
    for (uint32_t i = 0; i < p->wide_count; i++)
        if (record_lane(p, record, p->wides[i].lane))
            wide_add(entity_wides(p, e), &p->wides[i], record_number(record, p->wides[i].number));
    for (uint32_t w = 0; w < p->window_count; w++)
        sums_add(p, entity_sums(p, e) + w, record);
    stairs_push(p, e, record, e->count);
    store_settle(store, e, entity_layout(p, e), record, id, entity_place(p, e, e->count));
}
