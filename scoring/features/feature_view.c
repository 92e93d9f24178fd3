#include "scoring/features/feature_view.h"

#include <stdlib.h>
#include <string.h>

#include "scoring/features/late_categories.h"
#include "scoring/features/staircase.h"

static void find_parts(struct feature_view *v)
{
    const struct counted_layout *at = &v->store->program->counted;
    v->lanes = (uint64_t *)(void *)(v->counted + at->lanes);
    v->sums = (uint64_t *)(void *)(v->counted + at->sums);
    v->best = (int64_t *)(void *)(v->counted + at->best);
    v->wides = v->counted + at->wides;
    v->events = (uint32_t *)(void *)(v->counted + at->events);
    v->sames = (uint32_t *)(void *)(v->counted + at->sames);
}

static int view_init(struct feature_view *v, const struct window_store *store, uint32_t size)
{
    const struct feature_program *p = store->program;
    v->store = store;
    v->size = size;
    find_parts(v);
    v->from = calloc(p->window_count + 1, sizeof(const uint64_t *));
    v->low = calloc(p->window_count + 1, sizeof *v->low);
    v->places = calloc(p->place_count + 1, sizeof *v->places);
    v->latest = calloc(p->channel_count + 1, sizeof *v->latest);
    v->nothing = calloc(p->record_words, sizeof *v->nothing);
    return v->from && v->low && v->places && v->latest && v->nothing ? 0 : -1;
}

struct feature_view *feature_views_create(const struct window_store *store, size_t n)
{
    const uint32_t size = (uint32_t)sizeof(struct feature_view) + store->program->counted.size;
    struct feature_view *views = aligned_alloc(_Alignof(struct feature_view), n * size);
    if (!views)
        return NULL;
    memset(views, 0, n * size);
    views->size = size;
    for (size_t i = 0; i < n; i++)
        if (view_init(feature_view_at(views, i), store, size)) {
            feature_views_destroy(views, n);
            return NULL;
        }
    return views;
}

void feature_views_destroy(struct feature_view *views, size_t n)
{
    for (size_t i = 0; views && i < n; i++) {
        struct feature_view *v = feature_view_at(views, i);
        free(v->from);
        free(v->low);
        free(v->places);
        free(v->latest);
        free(v->nothing);
        free(v->seen);
    }
    free(views);
}

static struct place_before place_of(const struct feature_program *p, uint32_t place, const uint64_t *record)
{
    struct place_before before = {0};
    if (!record)
        return before;
    before.known = true;
    before.time_ms = record_time(record);
    memcpy(before.degrees, &record[p->place_word + 2 * place], sizeof before.degrees);
    return before;
}

/* ---- the newest event ---- */

static void read_bests(struct feature_view *v, const struct entity *e, bool counted)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t s = 0; s < p->stair_count; s++) {
        int64_t *best = v->best + s * p->window_count, own = INT64_MIN;
        if (counted && record_lane(p, v->record, p->stairs[s].lane))
            own = record_number(v->record, p->stairs[s].number);
        for (uint32_t w = 0; w < v->empty; w++)
            best[w] = own;
        stairs_bests(p, e, s, v->empty, best);
    }
}

static void read_sames(struct feature_view *v, const struct entity *e)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t c = 0; c < p->channel_count; c++) {
        const struct channel_def *channel = &p->channels[c];
        if (!channel->same_count)
            continue;
        const uint32_t *counters = store_sames(v->store, e, c, v->record);
        for (int k = 0; k < channel->same_count; k++)
            v->sames[channel->same_first + k] = counters ? counters[k] : 0;
    }
}

/* Word by word, as they have just been written: what is read as a whole would wait for all of them. */
static void copy_words(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 8)
        memcpy((char *)to + i, (const char *)from + i, 8);
}

static void read_windows(struct feature_view *v, const struct entity *e, bool counted)
{
    const struct feature_program *p = v->store->program;
    copy_words(v->lanes, entity_lanes(p, e), (size_t)p->lane_groups * p->window_count * 8);
    copy_words(v->wides, entity_wides(p, e), p->wides_size);
    copy_words(v->sums, entity_sums(p, e), (size_t)p->sum_count * p->window_count * 8);
    read_bests(v, e, counted);
    if (p->same_count)
        read_sames(v, e);
}

void feature_view_places(struct feature_view *v, const struct entity *e)
{
    const struct feature_program *p = v->store->program;
    const uint32_t *places = entity_places(p, e);
    for (uint32_t i = 0; i < p->place_count; i++)
        v->places[i] = place_of(p, i, places[i] - e->first_seq < e->count ? entity_record(p, e, places[i] - e->first_seq) : NULL);
}

void feature_view_newest(struct feature_view *v, const struct entity *e, const struct value *values, const uint64_t *record)
{
    const struct feature_program *p = v->store->program;
    feature_view_begin(v, e, values, record);
    v->first_ms = v->time_ms;
    if (p->window_count && v->events[p->window_count - 1])
        v->first_ms = record_time(v->from[p->window_count - 1]);
    if (p->before_steps)
        read_windows(v, e, false);
}

void feature_view_counted(struct feature_view *v, const struct entity *e)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t w = 0; w < p->window_count; w++)
        v->events[w]++;
    read_windows(v, e, true);
}

/* ---- an older one ---- */

/* Events [from, to) of the ring are counted in a window, or with sign -1 no longer: counters and sums are modulo 2^64. */
static void count_range(struct feature_view *v, const struct ring *ring, uint32_t w, uint32_t from, uint32_t to, int sign)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t g = 0; g < p->lane_groups; g++) {
        uint64_t lanes = 0;
        for (uint32_t at = from; at < to; at++)
            lanes += lanes_spread(p, ring_at(ring, at), g);
        v->lanes[g * p->window_count + w] += lanes * (uint64_t)sign;
    }
    for (uint32_t i = 0; i < p->sum_count; i++) {
        uint64_t sum = 0;
        for (uint32_t at = from; at < to; at++)
            sum += ring_at(ring, at)[p->sum_words[i]];
        v->sums[i * p->window_count + w] += sum * (uint64_t)sign;
    }
    for (uint32_t i = p->wide_first[w]; i < p->wide_first[w + 1]; i++)
        for (uint32_t at = from; at < to; at++) {
            const uint64_t *record = ring_at(ring, at);
            if (record_lane(p, record, p->wides[i].lane))
                (sign > 0 ? wide_add : wide_take)(v->wides, &p->wides[i], record_number(record, p->wides[i].number));
        }
}

static void clear_window(struct feature_view *v, uint32_t w)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t g = 0; g < p->lane_groups; g++)
        v->lanes[g * p->window_count + w] = 0;
    sums_clear(p, v->sums + w);
    for (uint32_t i = p->wide_first[w]; i < p->wide_first[w + 1]; i++)
        memset(v->wides + p->wides[i].offset, 0, p->wides[i].square ? sizeof(__int128) : sizeof(int64_t));
}

/* The kept window [cursor, count) becomes [low, end): by the difference, or anew where that is less work. */
static void move_window(struct feature_view *v, const struct entity *e, const struct ring *ring, uint32_t w)
{
    const uint32_t cursor = entity_cursors(v->store->program, e)[w] - e->first_seq, low = v->low[w];
    if (cursor > v->end || e->count - v->end + cursor - low > v->end - low) {
        clear_window(v, w);
        count_range(v, ring, w, low, v->end, 1);
        return;
    }
    count_range(v, ring, w, v->end, e->count, -1);
    count_range(v, ring, w, low, cursor, 1);
}

enum { RECORDS_BACK = 2 };

/* Where windows begin, and a line before that. */
static void fetch_lows(const struct feature_program *p, const struct entity *e, const struct ring *ring)
{
    for (uint32_t w = 0; w < p->window_count; w++) {
        const uint32_t cursor = entity_cursors(p, e)[w] - e->first_seq;
        if (cursor)
            __builtin_prefetch(ring_at(ring, cursor - 1));
        if (cursor > RECORDS_BACK)
            __builtin_prefetch(ring_at(ring, cursor - 1 - RECORDS_BACK));
    }
}

static void find_lows(struct feature_view *v, const struct entity *e)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t w = 0; w < p->window_count; w++) {
        uint32_t cursor = entity_cursors(p, e)[w] - e->first_seq, low = cursor < v->end ? cursor : v->end;
        int64_t edge_ms = v->time_ms - p->widths_ms[w];
        while (low && record_time(entity_record(p, e, low - 1)) > edge_ms)
            low--;
        v->low[w] = low;
        v->events[w] = v->end - low;
        v->from[w] = entity_record(p, e, low);
    }
}

/* The first stair is the best of everything to the end; if it is newer than the window, only a scan can tell. */
static void late_bests(struct feature_view *v, const struct entity *e)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t s = 0; s < p->stair_count; s++)
        for (uint32_t w = 0; w < p->window_count; w++) {
            int64_t *best = &v->best[s * p->window_count + w];
            uint32_t at;
            if (stairs_best(p, e, s, v->low[w], best, &at) && at < v->end)
                continue;
            *best = INT64_MIN;
            for (at = v->low[w]; at < v->end; at++) {
                const uint64_t *record = entity_record(p, e, at);
                if (!record_lane(p, record, p->stairs[s].lane))
                    continue;
                int64_t x = record_number(record, p->stairs[s].number);
                if (*best == INT64_MIN || (p->stairs[s].max ? x > *best : x < *best))
                    *best = x;
            }
        }
}

static void late_places(struct feature_view *v, const struct entity *e)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t i = 0; i < p->place_count; i++) {
        uint32_t at = v->end;
        while (at && !record_has_place(p, entity_record(p, e, at - 1), i))
            at--;
        v->places[i] = place_of(p, i, at ? entity_record(p, e, at - 1) : NULL);
    }
}

int feature_view_late(struct feature_view *v, const struct entity *e, const struct value *values, uint64_t *record, uint32_t at)
{
    const struct feature_program *p = v->store->program;
    const struct ring ring = entity_ring(p, e);
    feature_view_of(v, values, record);
    v->end = at;
    v->last_ms = at ? record_time(entity_record(p, e, at - 1)) : TIME_UNKNOWN;
    memcpy(v->lanes, entity_lanes(p, e), (size_t)p->window_count * p->lane_groups * sizeof *v->lanes);
    memcpy(v->wides, entity_wides(p, e), p->wides_size);
    memcpy(v->sums, entity_sums(p, e), (size_t)p->window_count * p->sum_count * sizeof *v->sums);
    fetch_lows(p, e, &ring);
    find_lows(v, e);
    v->first_ms = p->window_count && v->events[p->window_count - 1] ? record_time(v->from[p->window_count - 1]) : v->time_ms;
    for (uint32_t w = 0; w < p->window_count; w++)
        move_window(v, e, &ring, w);
    late_bests(v, e);
    late_places(v, e);
    memset(v->sames, 0, p->same_count * sizeof *v->sames);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (late_channel(v, e, c, record))
            return -1;
    return 0;
}

/* ---- the current event counts in a copy ---- */

static void count_window(struct feature_view *v, uint32_t w)
{
    const struct feature_program *p = v->store->program;
    v->events[w]++;
    uint64_t *groups = v->lanes + w;
    for (uint32_t g = 0; g < p->lane_groups; g++)
        groups[g * p->window_count] += lanes_spread(p, v->record, g) & p->count_masks[g];
    sums_add(p, v->sums + w, v->record);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], v->record))
            lane_counter_add(p, groups, p->channels[c].last_lane, v->latest[c] == UINT32_MAX || v->latest[c] < v->low[w]);
    for (uint32_t i = p->wide_first[w]; i < p->wide_first[w + 1]; i++)
        if (record_lane(p, v->record, p->wides[i].lane))
            wide_add(v->wides, &p->wides[i], record_number(v->record, p->wides[i].number));
}

static void count_bests(struct feature_view *v)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t s = 0; s < p->stair_count; s++) {
        if (!record_lane(p, v->record, p->stairs[s].lane))
            continue;
        int64_t x = record_number(v->record, p->stairs[s].number);
        for (uint32_t w = 0; w < p->window_count; w++) {
            int64_t *best = &v->best[s * p->window_count + w];
            if (*best == INT64_MIN || (p->stairs[s].max ? x > *best : x < *best))
                *best = x;
        }
    }
}

void feature_view_late_counted(struct feature_view *v)
{
    const struct feature_program *p = v->store->program;
    for (uint32_t w = 0; w < p->window_count; w++)
        count_window(v, w);
    count_bests(v);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], v->record))
            for (int k = 0; k < p->channels[c].same_count; k++)
                v->sames[p->channels[c].same_first + k]++;
}

void feature_view_alone(struct feature_view *v, const struct value *values, const uint64_t *record)
{
    const struct feature_program *p = v->store->program;
    feature_view_of(v, values, record);
    v->end = 0;
    v->last_ms = TIME_UNKNOWN;
    v->first_ms = v->time_ms;
    memset(v->lanes, 0, (size_t)p->window_count * p->lane_groups * sizeof *v->lanes);
    memset(v->wides, 0, p->wides_size);
    memset(v->events, 0, p->window_count * sizeof *v->events);
    memset(v->low, 0, p->window_count * sizeof *v->low);
    memset(v->sames, 0, p->same_count * sizeof *v->sames);
    for (uint32_t w = 0; w < p->window_count; w++)
        v->from[w] = v->nothing;
    memset(v->sums, 0, (size_t)p->window_count * p->sum_count * sizeof *v->sums);
    for (uint32_t i = 0; i < p->stair_count * p->window_count; i++)
        v->best[i] = INT64_MIN;
    for (uint32_t i = 0; i < p->place_count; i++)
        v->places[i] = place_of(p, i, NULL);
    for (uint32_t c = 0; c < p->channel_count; c++)
        v->latest[c] = UINT32_MAX;
}
