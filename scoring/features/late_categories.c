/* The windows of an event that is not the newest end before its place, at `end`.  A category's latest event has the last
 * lane: where it lies before the end, the category is counted with the lanes of the window.  What is left are the
 * categories of the newer events: the latest event of each before the end is looked for.
 *
 * From a newer event the way leads over its gap to the one before of its category, and on until one lies before the end or
 * no window reaches there.  Gaps say less than there is to say if they have few bits, or of events that came late (as far
 * as their longest window); then events are looked at one by one, as many in all as there are in the longest window.  What is
 * still open after that is searched for together, from the end of that window backwards.
 *
 *   invariant  no event between the windows' end and where a search is open is of its category.
 *   cost       the newer events, and a line of memory for each of their categories that has an event before; at most
 *              twice the events of the longest window, and once more for op `same`. */
#include "scoring/features/late_categories.h"

#include <stdlib.h>
#include <string.h>

#include "scoring/features/occurrences.h"

struct search {
    struct feature_view *view;
    const struct entity *entity;
    const struct channel_def *channel;
    struct ring ring;
    uint32_t c, word_at;
    uint32_t low, end; /* events that are looked at */
    uint32_t looks;    /* still to be spent one by one */
    uint32_t open, open_end; /* so many categories are still looked for, from here backwards */
    uint64_t bits[64];       /* where theirs is not set, a category is surely none of them */
};

static inline bool is_of(const struct search *s, const uint64_t *record, uint64_t word)
{
    return record[s->word_at] == word && record_in_channel(s->view->store->program, s->channel, record);
}

/* The latest event of a category before the end. */
static void found(struct search *s, uint64_t word, uint32_t at)
{
    struct feature_view *v = s->view;
    const struct feature_program *p = v->store->program;
    for (uint32_t w = 0; w < p->window_count; w++)
        lane_counter_add(p, v->lanes + w, s->channel->last_lane, at >= v->low[w]);
    if (word == v->record[s->word_at])
        v->latest[s->c] = at;
}

/* ---- what is open ---- */

/* A set of categories, each with a mark, at most half full. */
static int seen_reserve(struct feature_view *v, size_t categories)
{
    v->seen_size = 16;
    while (v->seen_size < categories * 2)
        v->seen_size *= 2;
    if (v->seen_size > v->seen_room) {
        struct seen_category *seen = realloc(v->seen, v->seen_size * sizeof *seen);
        if (!seen)
            return -1;
        v->seen = seen;
        v->seen_room = v->seen_size;
    }
    memset(v->seen, 0, v->seen_size * sizeof *v->seen);
    return 0;
}

static inline uint64_t scattered(uint64_t word)
{
    return word * UINT64_C(0x9e3779b97f4a7c15);
}

/* Where the category is, or would be. */
static struct seen_category *seen_find(const struct feature_view *v, uint64_t word)
{
    size_t i = (size_t)(scattered(word) >> 20) & (v->seen_size - 1);
    while (v->seen[i].word && v->seen[i].word != word)
        i = (i + 1) & (v->seen_size - 1);
    return &v->seen[i];
}

static inline uint32_t category_bit(uint64_t word)
{
    return (uint32_t)(scattered(word) >> 52);
}

/* No event from `at` to the windows' end is of this category. */
static int leave_open(struct search *s, uint64_t word, uint32_t at)
{
    if (!s->open && seen_reserve(s->view, s->entity->count - s->end))
        return -1;
    const uint32_t bit = category_bit(word);
    s->bits[bit >> 6] |= UINT64_C(1) << (bit & 63);
    seen_find(s->view, word)->word = word;
    s->open++;
    s->open_end = at > s->open_end ? at : s->open_end;
    return 0;
}

static bool is_open(const struct search *s, const uint64_t *record)
{
    if (!record_in_channel(s->view->store->program, s->channel, record))
        return false;
    const struct seen_category *seen = seen_find(s->view, record[s->word_at]);
    return seen->word && !seen->met;
}

enum { FETCHED_AHEAD = 32 }; /* records */

/* Of most events two words say enough, without a branch that nobody can foresee: that they are the latest of their category,
 * or of none that is open. */
static void search_together(struct search *s)
{
    const struct feature_program *p = s->view->store->program;
    const uint32_t lane_at = p->lane_word + ((uint32_t)s->channel->last_lane >> 6), lane = (uint32_t)s->channel->last_lane & 63;
    for (uint32_t at = s->open_end; s->open && at-- > s->low;) {
        const uint64_t *record = ring_at(&s->ring, at), word = record[s->word_at];
        const uint32_t bit = category_bit(word);
        __builtin_prefetch(record - (ptrdiff_t)FETCHED_AHEAD * s->ring.words);
        if (!(s->bits[bit >> 6] >> (bit & 63) & ~(record[lane_at] >> lane) & 1) || !is_open(s, record))
            continue;
        seen_find(s->view, word)->met = true;
        s->open--;
        found(s, word, at);
    }
}

/* ---- one by one ---- */

/* From a newer event. */
static int search_back(struct search *s, uint32_t at)
{
    const struct feature_program *p = s->view->store->program;
    const uint64_t *record = ring_at(&s->ring, at), word = record[s->word_at];
    uint32_t gap = record_gap(p, s->c, record);
    while (at > s->low + gap) {
        if (!s->looks)
            return leave_open(s, word, at - gap < s->end ? at - gap : s->end);
        at -= gap + 1;
        record = ring_at(&s->ring, at);
        gap = 0;
        if (!is_of(s, record, word)) {
            s->looks--;
        } else if (at >= s->end) {
            gap = record_gap(p, s->c, record);
        } else {
            found(s, word, at);
            return 0;
        }
    }
    return 0;
}

/* Each category of the newer events has one there that is its latest. */
static inline bool is_latest(const struct search *s, uint32_t at)
{
    return record_lane(s->view->store->program, ring_at(&s->ring, at), s->channel->last_lane);
}

static void fetch_before(const struct search *s)
{
    const struct feature_program *p = s->view->store->program;
    for (uint32_t at = s->end; at < s->entity->count; at++) {
        const uint32_t gap = record_gap(p, s->c, ring_at(&s->ring, at));
        if (is_latest(s, at) && at > s->low + gap)
            __builtin_prefetch(ring_at(&s->ring, at - gap - 1));
    }
}

static int search_all(struct search *s)
{
    fetch_before(s);
    for (uint32_t at = s->end; at < s->entity->count; at++)
        if (is_latest(s, at) && search_back(s, at))
            return -1;
    search_together(s);
    return 0;
}

/* ---- the current event's own ---- */

static void find_own(struct search *s)
{
    struct feature_view *v = s->view;
    const struct occurrence latest = occurrence_find(v->store, s->entity, TABLE_CHANNELS + s->c, v->record[s->word_at]);
    v->latest[s->c] = latest.found && latest.at < s->end ? latest.at : UINT32_MAX;
}

/* How often the current event's category is in the windows of op `same`. */
static void count_sames(const struct search *s)
{
    struct feature_view *v = s->view;
    const struct feature_program *p = v->store->program;
    for (uint32_t at = s->low; at < s->end && s->channel->same_count; at++) {
        if (!is_of(s, ring_at(&s->ring, at), v->record[s->word_at]))
            continue;
        for (int k = s->channel->same_first; k < s->channel->same_first + s->channel->same_count; k++)
            v->sames[k] += at >= v->low[p->sames[k].window];
    }
}

int late_channel(struct feature_view *v, const struct entity *e, uint32_t c, uint64_t *record)
{
    const struct feature_program *p = v->store->program;
    const struct channel_def *channel = &p->channels[c];
    struct search s = {.view = v, .entity = e, .channel = channel, .ring = entity_ring(p, e), .c = c, .end = v->end};
    s.word_at = p->category_word + (uint32_t)channel->category;
    s.low = p->window_count ? v->low[p->window_count - 1] : v->end;
    s.looks = p->gap_bits ? s.end - s.low : 0;
    find_own(&s);
    count_sames(&s);
    if (search_all(&s))
        return -1;
    if (record_in_channel(p, channel, record))
        record_gap_set(p, c, record, s.end - (v->latest[c] == UINT32_MAX ? s.low : v->latest[c] + 1));
    return 0;
}
