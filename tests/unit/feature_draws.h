/* What the streams of the property test come upon, counted: whether they go where an engine could be wrong. */
#pragma once
#include "feature_stream.h"
#include "reference_state.h"

#define DRAWS(_)                                                                                      \
    _(EVENTS_ACCEPTED, "accepted")                                                                    \
    _(EVENTS_FUSED, "  by vectors of windows")                                                        \
    _(EVENTS_PORTABLE, "  without vectors")                                                           \
    _(RING_FEW, "  into rings of up to 8")                                                            \
    _(RING_SHORT, "  of 9 to 30")                                                                     \
    _(RING_MIDDLE, "  of 31 to 512")                                                                  \
    _(RING_LONG, "  of 513 to 2,000")                                                                 \
    _(RING_LONGEST, "  of more")                                                                      \
    _(AT_CAP, "  at the cap, the oldest goes")                                                        \
    _(AT_CAP_LONG, "    of more than 512")                                                            \
    _(LATE, "late for their entity")                                                                  \
    _(LATE_NEAR, "  by up to 8 events")                                                               \
    _(LATE_FAR, "  by 9 to 512")                                                                      \
    _(LATE_FARTHEST, "  by more")                                                                     \
    _(LATE_DROPPED, "  and are themselves what the cap drops")                                        \
    _(LATE_INVISIBLE, "  by more than can be seen")                                                   \
    _(LATE_NEW, "  whose category has no other")                                                      \
    _(LATE_OLDER, "  an older one")                                                                   \
    _(LATE_NEWER, "  a newer one")                                                                    \
    _(LATE_BOTH, "  both")                                                                            \
    _(CATEGORIES_1, "into rings of more than 30: of one category")                                    \
    _(CATEGORIES_3, "  of a few")                                                                     \
    _(CATEGORIES_16, "  of some")                                                                     \
    _(CATEGORIES_DIFFERENT, "  mostly different")                                                     \
    _(CATEGORIES_RETURN, "  that come again after they have left")                                    \
    _(DUPLICATES, "duplicates")                                                                       \
    _(DUPLICATES_LONG, "  in rings of more than 512")                                                 \
    _(ID_OF_HIDDEN, "ids once more: of an event not visible any more")                                \
    _(ID_OF_DROPPED, "  of one that the cap dropped or that was evicted")                             \
    _(SAME_CHANNELS, "with `same` over several channels")                                             \
    _(DEVIATIONS_1, "with std and zscore over one window")                                            \
    _(DEVIATIONS_2, "  over two")                                                                     \
    _(DEVIATIONS_5, "  over five and more")                                                           \
    _(TOO_LARGE, "with a number that is too large (rejected)")                                        \
    _(ENTITIES_NEW, "entities that come")                                                             \
    _(ENTITIES_AGAIN, "  that come again")                                                            \
    _(KEYS_EMPTY, "events of an entity without a name")                                               \
    _(KEYS_INLINE, "  with one of 1 to 24 bytes")                                                     \
    _(KEYS_LONG, "  of 25 to 40 bytes")                                                               \
    _(EVICTED_BY_ENTITIES, "evicted for too many entities")                                           \
    _(EVICTED_BY_EVENTS, "  for too many events")                                                     \
    _(RESTORED, "partitions restored")                                                                \
    _(RESTORED_LONG, "  with more than 512 events")                                                   \
    _(TURNS, "turns of sequence numbers: of 2^20")                                                    \
    _(TURNS_LONG, "  with more than 512 events in the ring")                                          \
    _(TURNS_ALL, "  of 2^22, and 2^32")                                                               \
    _(ROWS, "rows compared")

#define DRAW_NAME(name, text) DRAW_##name,
enum draw { DRAWS(DRAW_NAME) DRAWS_COUNT };
#undef DRAW_NAME

struct draws {
    uint64_t counts[DRAWS_COUNT];
    /* of the stream that runs: */
    bool known[SIM_CARDS];      /* cards that have come */
    uint32_t firsts[SIM_CARDS]; /* their first sequence numbers */
    const struct sim *events;
    bool *accepted; /* of them, by index, which is their id the first time */
};

static inline void draw_begin(struct draws *d, const struct sim *events, size_t count)
{
    memset(d->known, 0, sizeof d->known);
    memset(d->firsts, 0, sizeof d->firsts);
    d->events = events;
    d->accepted = calloc(count + 1, sizeof *d->accepted);
    assert_non_null(d->accepted);
}

static inline void draw_end(struct draws *d)
{
    free(d->accepted);
    d->accepted = NULL;
}

static inline void draw_if(struct draws *d, enum draw what, bool is_so)
{
    d->counts[what] += is_so;
}

/* ---- of an event, before the reference takes it ---- */

static inline void draw_ring(struct draws *d, enum categories kind, uint64_t held)
{
    draw_if(d, DRAW_RING_FEW, held <= 8);
    draw_if(d, DRAW_RING_SHORT, held > 8 && held <= 30);
    draw_if(d, DRAW_RING_MIDDLE, held > 30 && held <= 512);
    draw_if(d, DRAW_RING_LONG, held > 512 && held <= 2000);
    draw_if(d, DRAW_RING_LONGEST, held > 2000);
    if (held > 30)
        d->counts[DRAW_CATEGORIES_1 + (int)kind]++;
}

static inline bool same_category(const struct value *a, const struct value *b)
{
    if (value_is_null(a) || a->type != b->type)
        return false;
    return a->type == VALUE_TEXT ? bytes_equal(a->text, a->size, b->text, b->size) : a->integer == b->integer;
}

/* slot: of the categories, if the reference keeps them. */
static inline void draw_late(struct draws *d, const struct reference *w, const struct reference_entity *e, const struct event *event, int slot)
{
    size_t newer = 0, cap = (size_t)w->spec->max_events_per_entity;
    bool has_older = false, has_newer = false;
    while (newer < e->count && e->events[e->count - 1 - newer]->time_ms > event->time_ms)
        newer++;
    if (!newer)
        return;
    d->counts[DRAW_LATE]++;
    draw_if(d, DRAW_LATE_NEAR, newer <= 8);
    draw_if(d, DRAW_LATE_FAR, newer > 8 && newer <= 512);
    draw_if(d, DRAW_LATE_FARTHEST, newer > 512);
    draw_if(d, DRAW_LATE_INVISIBLE, !reference_shows(w, event->time_ms));
    draw_if(d, DRAW_LATE_DROPPED, newer == cap && reference_shows(w, event->time_ms));
    if (slot < 0 || slot >= w->slots || !w->kept_slot[slot] || value_is_null(&event->values[slot]))
        return;
    for (size_t i = 0; i < e->count; i++)
        if (same_category(&event->values[slot], &e->events[i]->values[slot]))
            *(i < e->count - newer ? &has_older : &has_newer) = true;
    d->counts[has_newer ? (has_older ? DRAW_LATE_BOTH : DRAW_LATE_NEWER) : has_older ? DRAW_LATE_OLDER : DRAW_LATE_NEW]++;
}

static inline void draw_entity(struct draws *d, const struct reference_entity *e, const struct sim *sim, const struct event *event)
{
    draw_if(d, DRAW_ENTITIES_NEW, !e && !d->known[sim->card]);
    draw_if(d, DRAW_ENTITIES_AGAIN, !e && d->known[sim->card]);
    d->known[sim->card] = true;
    draw_if(d, DRAW_KEYS_EMPTY, !event->entity.size);
    draw_if(d, DRAW_KEYS_INLINE, event->entity.size && event->entity.size <= 24);
    draw_if(d, DRAW_KEYS_LONG, event->entity.size > 24);
}

/* ---- after the reference has taken it ---- */

struct draw_before {
    struct window_counts counts;
    uint64_t held; /* by the entity */
    bool at_entities; /* one entity more is too many, and this would be one */
};

static inline struct draw_before draw_before_event(struct draws *d, const struct reference *w, const struct sim *sim, const struct event *event, int slot)
{
    const struct reference_entity *e = reference_find(w, event->entity);
    draw_entity(d, e, sim, event);
    if (e)
        draw_late(d, w, e, event, slot);
    return (struct draw_before){w->counts, e ? e->count : 0, !e && w->counts.entities >= w->limits.max_entities};
}

/* at: index of the event. */
static inline void draw_after_event(struct draws *d, const struct reference *w, size_t at, enum categories kind, const struct draw_before *before,
                                    enum reject_reason reason)
{
    const struct sim *sim = &d->events[at], *first = &d->events[sim->id];
    const uint64_t evicted = w->counts.evicted_entities - before->counts.evicted_entities;
    const bool dropped = w->counts.dropped_events > before->counts.dropped_events;
    draw_if(d, DRAW_DUPLICATES, reason == REJECT_DUPLICATE);
    draw_if(d, DRAW_DUPLICATES_LONG, reason == REJECT_DUPLICATE && before->held > 512);
    d->counts[before->at_entities ? DRAW_EVICTED_BY_ENTITIES : DRAW_EVICTED_BY_EVENTS] += evicted;
    if (reason != REJECT_NONE)
        return;
    d->counts[DRAW_EVENTS_ACCEPTED]++;
    draw_ring(d, kind, before->held);
    draw_if(d, DRAW_AT_CAP, dropped);
    draw_if(d, DRAW_AT_CAP_LONG, dropped && before->held > 512);
    if (sim->again && d->accepted[sim->id] && first->card == sim->card)
        d->counts[reference_shows(w, first->t) ? DRAW_ID_OF_DROPPED : DRAW_ID_OF_HIDDEN]++;
    d->accepted[at] = true;
}

/* ---- of the engine's entities, after a batch ---- */

static inline void draw_turn(struct draws *d, int card, uint32_t first_seq, uint32_t held)
{
    const uint32_t before = d->firsts[card], turned = before ^ first_seq;
    d->firsts[card] = first_seq;
    if (first_seq - before > 5000) /* another beginning */
        return;
    draw_if(d, DRAW_TURNS, turned >> 20);
    draw_if(d, DRAW_TURNS_LONG, turned >> 20 && held > 512);
    draw_if(d, DRAW_TURNS_ALL, turned >> 22);
}

/* ---- of a feature file, for each event that is folded with it ---- */

static inline size_t words_in(const char *list)
{
    char words[64][64];
    return scene_split(list, words);
}

static inline void draw_file(struct draws *d, const struct file *f, uint64_t events)
{
    size_t channels = 0, deviations = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct entry *e = &f->entries[i];
        const size_t windows = e->windows ? words_in(e->windows) : 0;
        channels += e->op == OP_SAME;
        if ((e->op == OP_STD || e->op == OP_ZSCORE) && windows > deviations)
            deviations = windows;
    }
    d->counts[DRAW_SAME_CHANNELS] += channels > 1 ? events : 0;
    d->counts[DRAW_DEVIATIONS_1] += deviations == 1 ? events : 0;
    d->counts[DRAW_DEVIATIONS_2] += deviations == 2 ? events : 0;
    d->counts[DRAW_DEVIATIONS_5] += deviations >= 5 ? events : 0;
}

/* ---- the table ---- */

static inline void print_draws(const struct draws *d, uint64_t events)
{
#define DRAW_TEXT(name, text) text,
    static const char *const texts[] = {DRAWS(DRAW_TEXT)};
#undef DRAW_TEXT
    print_message("# of 100,000 events:\n");
    for (size_t i = 0; i < DRAWS_COUNT; i++)
        print_message("#   %-56s %9.1f\n", texts[i], (double)d->counts[i] * 100000 / (double)events);
}
