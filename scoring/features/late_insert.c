/* An event that is older than the newest of its entity takes its place among the others: what is behind it moves by
 * one, and so do the cursors, stairs and occurrences that point there; it is counted in the windows that reach it.
 * Cost: the events behind it. */
#include <assert.h>

#include "scoring/features/occurrences.h"
#include "scoring/features/staircase.h"

/* Of the windows (as they end at the newest event), those that hold an event of this time at index `at`; the cursors of
 * the others pass over it. */
static uint64_t windows_reach(const struct feature_program *p, struct entity *e, int64_t time_ms, uint32_t at)
{
    uint32_t *cursors = entity_cursors(p, e);
    uint64_t reach = 0;
    for (uint32_t w = 0; w < p->window_count; w++) {
        uint32_t cursor = cursors[w] - e->first_seq;
        if (cursor < at || (cursor == at && time_ms > e->newest_ms - p->widths_ms[w]))
            reach |= UINT64_C(1) << w;
        else
            cursors[w]++;
    }
    return reach;
}

static void count_in(const struct feature_program *p, struct entity *e, const uint64_t *record, uint64_t reach)
{
    for (uint32_t w = 0; w < p->window_count; w++) {
        if (!(reach >> w & 1))
            continue;
        uint64_t *groups = entity_lanes(p, e) + w;
        for (uint32_t g = 0; g < p->lane_groups; g++)
            groups[g * p->window_count] += lanes_spread(p, record, g) & p->count_masks[g];
        sums_add(p, entity_sums(p, e) + w, record);
        for (uint32_t i = p->wide_first[w]; i < p->wide_first[w + 1]; i++)
            if (record_lane(p, record, p->wides[i].lane))
                wide_add(entity_wides(p, e), &p->wides[i], record_number(record, p->wides[i].number));
    }
}

/* Before anything moves, but for the cursors: whether the event is the latest of its category (its last lane), and
 * which windows get a category more. */
static struct occurrence channel_count_in(struct window_store *store, struct entity *e, uint32_t c, uint64_t *record, uint32_t at,
                                          uint64_t reach)
{
    const struct feature_program *p = store->program;
    int lane = p->channels[c].last_lane;
    struct occurrence latest = occurrence_find(store, e, TABLE_CHANNELS + c, record[p->category_word + (uint32_t)p->channels[c].category]);
    bool last = !latest.found || latest.at < at;
    record_lane_set(p, record, lane, last);
    if (latest.found && last)
        record_lane_set(p, entity_record(p, e, latest.at), lane, false);
    for (uint32_t w = 0; w < p->window_count; w++)
        if (reach >> w & 1)
            lane_counter_add(p, entity_lanes(p, e) + w, lane,
                             !latest.found || latest.at < entity_cursors(p, e)[w] - e->first_seq);
    return latest;
}

static void channel_settle(struct window_store *store, struct entity *e, uint32_t c, const uint64_t *record, uint32_t at, uint64_t reach,
                           struct occurrence *latest)
{
    const struct feature_program *p = store->program;
    const struct channel_def *channel = &p->channels[c];
    occurrence_follow(store, e, latest, at);
    if (record_lane(p, record, channel->last_lane))
        occurrence_set(store, e, TABLE_CHANNELS + c, latest, at);
    uint32_t *counters = channel->same_count ? occurrence_counters(store, e, TABLE_CHANNELS + c, latest->slot) : NULL;
    for (int k = 0; k < channel->same_count; k++)
        counters[k] += (uint32_t)(reach >> p->sames[channel->same_first + k].window & 1);
}

static void places_insert(const struct feature_program *p, struct entity *e, const uint64_t *record, uint32_t at)
{
    for (uint32_t i = 0; i < p->place_count; i++) {
        uint32_t *place = &entity_places(p, e)[i], have = *place - e->first_seq;
        if (have < e->count && have >= at)
            ++*place;
        else if (record_has_place(p, record, i))
            *place = e->first_seq + at;
    }
}

/* A gap that reaches to where the event comes ends behind it, or has it within. */
static void gaps_follow(const struct feature_program *p, struct entity *e, const uint64_t *record, uint32_t at)
{
    for (uint32_t c = 0; c < p->channel_count && p->gap_bits; c++) {
        const uint32_t word_at = p->category_word + (uint32_t)p->channels[c].category;
        const bool in = record_in_channel(p, &p->channels[c], record);
        for (uint32_t i = at; i < e->count; i++) {
            uint64_t *newer = entity_record(p, e, i);
            const uint32_t gap = record_gap(p, c, newer);
            if (gap >= i - at)
                record_gap_set(p, c, newer, in && newer[word_at] == record[word_at] ? i - at : gap + 1);
        }
    }
}

static void records_move(const struct feature_program *p, struct entity *e, const uint64_t *record, uint32_t at)
{
    const size_t size = (size_t)p->record_words * 8;
    for (uint32_t i = e->count; i-- > at;)
        memcpy(entity_record(p, e, i + 1), entity_record(p, e, i), size);
    memcpy(entity_record(p, e, at), record, size);
}

/* Where the newer events are in the tables. */
static void fetch_tables(const struct window_store *store, const struct entity *e, uint32_t at)
{
    for (; at < e->count; at++)
        occurrences_fetch(store, e, entity_record(store->program, e, at));
}

void store_insert(struct window_store *store, struct entity *e, uint64_t *record, uint32_t at)
{
    const struct feature_program *p = store->program;
    struct occurrence latest[FEATURES_MAX];
    if (!entity_layout(p, e)->tag_count)
        fetch_tables(store, e, at);
    uint64_t reach = windows_reach(p, e, record_time(record), at);
    count_in(p, e, record, reach);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], record))
            latest[c] = channel_count_in(store, e, c, record, at, reach);
    occurrences_shift(store, e, at);
    stairs_insert(p, e, record, at);
    places_insert(p, e, record, at);
    gaps_follow(p, e, record, at);
    records_move(p, e, record, at);
    e->count++;
    assert(e->room);
    e->room--;
    store->events++;
    struct occurrence id = occurrence_find(store, e, TABLE_IDS, record[RECORD_ID]);
    occurrence_set(store, e, TABLE_IDS, &id, at);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], record))
            channel_settle(store, e, c, record, at, reach, &latest[c]);
}
