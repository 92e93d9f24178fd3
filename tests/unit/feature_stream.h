/* Random feature files and hostile streams of events, the same for the same seed. */
#pragma once
#include "feature_scene.h"

/* ---- chance ---- */

struct chance {
    uint64_t state;
};

static inline uint64_t next(struct chance *c)
{
    uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline int64_t below(struct chance *c, int64_t n)
{
    return (int64_t)(next(c) % (uint64_t)n);
}

static inline bool one_in(struct chance *c, int64_t n)
{
    return below(c, n) == 0;
}

#define PICK(c, array) ((array)[below((c), (int64_t)(sizeof(array) / sizeof *(array)))])

/* ---- feature files ---- */

enum { ENTRIES_MAX = 30 };

struct file {
    struct entry entries[ENTRIES_MAX];
    char windows[ENTRIES_MAX][80];
    size_t count;
    struct file_options options;
    struct window_limits limits;
    char pool[6][12]; /* of windows */
    size_t pool_count;
    int64_t reach_ms; /* W + L */
    bool plain;       /* nothing that keeps a newest event from being taken with all its windows at a time (newest.h) */
};

static inline void choose_windows(struct chance *c, struct file *f)
{
    static const char *const widths[] = {"1ms", "2ms", "10ms", "1s", "5s", "10s", "30s", "1m", "5m", "1h", "1d"};
    f->pool_count = one_in(c, 3) ? 6 : 1 + (size_t)below(c, 6);
    for (size_t i = 0; i < f->pool_count; i++)
        snprintf(f->pool[i], sizeof f->pool[i], "%s", PICK(c, widths));
}

static inline void list_windows(struct chance *c, struct file *f, size_t entry)
{
    char *to = f->windows[entry];
    const bool all = one_in(c, 3);
    for (size_t i = 0; i < f->pool_count; i++) {
        bool known = false;
        for (size_t k = 0; k < i; k++)
            known |= !strcmp(f->pool[k], f->pool[i]);
        if (!known && (!i || all || one_in(c, 2)))
            to += sprintf(to, "%s ", f->pool[i]);
    }
    f->entries[entry].windows = f->windows[entry];
}

static inline void choose_field(struct chance *c, struct entry *e)
{
    static const char *const categories[] = {"merchant", "code", "flag", "amount"};
    bool category = e->op == OP_DISTINCT || e->op == OP_SAME || e->op == OP_EQUALS || e->op == OP_IN || e->op == OP_CODE;
    if (e->op == OP_COUNT && one_in(c, 2))
        return;
    e->field = category || e->op == OP_COUNT ? PICK(c, categories) : "amount";
    if (e->op == OP_VALUE && one_in(c, 2)) {
        e->field = "price";
    } else if (e->op >= OP_SUM && e->op <= OP_SAME && one_in(c, 4)) {
        e->field = "price";
        e->fixed = one_in(c, 2) ? 0.01 : 0.5;
    }
}

static inline void choose_where(struct chance *c, struct entry *e)
{
    switch (below(c, 6)) {
    case 0: e->where = "code", e->not_in = "'00'"; break;
    case 1: e->where = "code", e->in = "05 '00'"; break;
    case 2: e->where = "amount", e->min = "0"; break;
    case 3: e->where = "amount", e->min = "-5", e->max = "100"; break;
    case 4: e->where = "price", e->max = "1.5"; break;
    default: e->where = "merchant", e->in = "m0 m1 m2 7 m3 m4 m5 m6 m7 m8 m9 m10 8 true"; break;
    }
}

static inline void choose_entry(struct chance *c, struct file *f, size_t i)
{
    static const char *const names[ENTRIES_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o",
                                                   "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z", "A", "B", "C", "D"};
    static const double scales[] = {0, 0, 0.01, -3, 1e-9};
    struct entry *e = &f->entries[i];
    *e = (struct entry){.name = names[i], .op = one_in(c, 3) ? (enum feature_op)below(c, OP_COUNT_OF_OPS) : OP_COUNT + (enum feature_op)below(c, 10),
                        .scale = PICK(c, scales)};
    if (f->plain && e->op == OP_SAME)
        e->op = OP_DISTINCT;
    if (e->op != OP_HOUR_OF_DAY && e->op != OP_DAY_OF_WEEK && e->op < OP_SINCE_LAST)
        choose_field(c, e);
    if (e->op == OP_EQUALS || e->op == OP_IN || e->op == OP_CODE)
        e->values = one_in(c, 2) ? "m0 00 '05' 7 true" : "a b c d e f g h i j k m0 m1 00 7 1.5 false 8";
    if (e->op == OP_HOUR_OF_DAY || e->op == OP_DAY_OF_WEEK) {
        e->values = one_in(c, 2) ? "0 3 5" : NULL;
        e->offset_ms = below(c, 3) * 5000000 - 5000000;
    }
    if (e->op == OP_SPEED_KMH)
        e->lat = "lat", e->lon = "lon";
    if (!feature_op_windowed(e->op))
        return;
    list_windows(c, f, i);
    e->exclude_current = !f->plain && one_in(c, 4);
    if (one_in(c, 3))
        choose_where(c, e);
}

static inline void choose_file(struct chance *c, struct file *f)
{
    static const int64_t latenesses[] = {0, 0, 1, 1000, 10000, 60000}, events[] = {1, 2, 3, 5, 8, 9, 20, 100, 4096, 4096, 4096, 70000};
    static const uint64_t few[] = {1, 2, 3, 5, 10, 50};
    memset(f, 0, sizeof *f);
    f->options = (struct file_options){.lateness_ms = PICK(c, latenesses), .future_skew_ms = one_in(c, 4) ? 5000 : 100000000,
                                       .max_age_ms = one_in(c, 4) ? 20000 : 0, .max_events = PICK(c, events)};
    f->limits = (struct window_limits){one_in(c, 3) ? PICK(c, few) : 1000000, one_in(c, 3) ? PICK(c, few) * 3 : 1000000};
    choose_windows(c, f);
    f->plain = one_in(c, 2);
    f->count = 1 + (size_t)below(c, one_in(c, 3) ? ENTRIES_MAX : 6);
    for (size_t i = 0; i < f->count; i++)
        choose_entry(c, f, i);
}

static inline void settle_reach(struct file *f)
{
    int64_t longest = 0;
    for (size_t i = 0; i < f->count; i++)
        for (size_t w = 0; f->entries[i].windows && w < f->pool_count; w++) {
            char word[16];
            snprintf(word, sizeof word, "%s ", f->pool[w]);
            int64_t width = scene_duration_ms(f->pool[w]);
            if (strstr(f->entries[i].windows, word) && width > longest)
                longest = width;
        }
    f->reach_ms = longest + f->options.lateness_ms;
}

/* ---- streams ---- */

struct sim { /* an event, small enough to print */
    int64_t t, record_ms;
    int card, id;
    struct sent fields;
    bool cold; /* a gap before it */
};

static inline struct value some_number(struct chance *c)
{
    static const int64_t numbers[] = {0, 1, -1, 2, 5, 7, 100, -100, 12345, (INT64_C(1) << 40) - 1, 1 - (INT64_C(1) << 40), 16777217};
    return one_in(c, 6) ? NIL : one_in(c, 3) ? INT(PICK(c, numbers)) : INT(below(c, 1000) - 200);
}

static inline struct value some_price(struct chance *c)
{
    static const double prices[] = {0, 0.005, 0.015, 0.25, 1.5, -1.5, 99.99, 1e6, 0.1};
    return one_in(c, 8) ? REAL(NAN) : one_in(c, 8) ? INT(below(c, 5)) : REAL(PICK(c, prices));
}

static inline struct value some_category(struct chance *c, int64_t different)
{
    static const char *const texts[] = {"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10", "m11", "m12",
                                        "", "a long text of more than sixteen bytes", "a long text of more than sixteen bytez"};
    const char *text = texts[below(c, different)];
    switch (below(c, 12)) {
    case 0: return NIL;
    case 1: return INT(below(c, 10));
    case 2: return BOOL(below(c, 2));
    default: return TEXT(text);
    }
}

static inline struct value some_degrees(struct chance *c, double limit)
{
    if (one_in(c, 4))
        return one_in(c, 2) ? NIL : REAL(limit + 1);
    return one_in(c, 4) ? INT(below(c, 90)) : REAL(limit * ((double)below(c, 2001) / 1000 - 1));
}

struct stream {
    int64_t now, cards, different, nulls;
    int64_t times[64]; /* of late, to hit edges */
    int next_id;
};

/* Times at which something can go wrong: ties, the edges of windows, of the lateness and of visibility. */
static inline int64_t choose_time(struct chance *c, const struct file *f, struct stream *s)
{
    int64_t width = scene_duration_ms(f->pool[below(c, (int64_t)f->pool_count)]), lateness = f->options.lateness_ms;
    switch (below(c, 24)) {
    case 0: return s->now - below(c, lateness + 1);
    case 1: return s->now - lateness - below(c, 3) + 1;
    case 2: return s->now - f->reach_ms + below(c, 4) - 1;
    case 3: return s->now - below(c, 2 * f->reach_ms + 10);
    case 4: return PICK(c, s->times) + width + below(c, 3) - 1;
    case 5: return PICK(c, s->times) + f->reach_ms + below(c, 3) - 1;
    case 6: return PICK(c, s->times);
    case 7: return PICK(c, s->times) - width + below(c, 3) - 1;
    case 8: return one_in(c, 8) ? s->now + f->reach_ms * 2 : s->now + width;
    case 9: return s->now + below(c, width + 1);
    case 10:
    case 11: return s->now;
    case 12: return s->now - below(c, 20);
    default: return s->now + below(c, 1 + width / 8);
    }
}

static inline struct sim choose_event(struct chance *c, const struct file *f, struct stream *s)
{
    struct sim e = {.t = choose_time(c, f, s), .card = (int)(one_in(c, 2) ? 0 : below(c, s->cards)), .id = s->next_id++};
    if (e.t < 0)
        e.t = 0;
    if (one_in(c, 12))
        e.id -= (int)below(c, 40);
    e.record_ms = e.t + (one_in(c, 10) ? below(c, 60000) - 30000 : 0);
    e.cold = one_in(c, 500);
    e.fields = (struct sent){.amount = some_number(c), .price = some_price(c), .merchant = some_category(c, s->different), .code = NIL,
                             .lat = some_degrees(c, 90), .lon = some_degrees(c, 180), .flag = one_in(c, 3) ? NIL : BOOL(below(c, 2))};
    if (!one_in(c, 5))
        e.fields.code = one_in(c, 2) ? TEXT("00") : TEXT("05");
    if (e.t > s->now && e.record_ms + f->options.future_skew_ms >= e.t)
        s->now = e.t;
    s->times[below(c, 64)] = e.t;
    return e;
}

static inline void choose_stream(struct chance *c, const struct file *f, struct sim *events, size_t count)
{
    static const int64_t cards[] = {1, 1, 2, 3, 10, 40};
    struct stream s = {.now = 1000000000000 + below(c, 86400000), .cards = PICK(c, cards), .different = one_in(c, 2) ? 3 : 16};
    for (size_t i = 0; i < 64; i++)
        s.times[i] = s.now;
    for (size_t i = 0; i < count; i++)
        events[i] = choose_event(c, f, &s);
}

/* As the engine takes it; texts: id and entity.  False: the event would have been rejected before. */
static inline bool sim_event(const struct sim *sim, const struct feature_spec *spec, const struct field_set *fields, int64_t offset,
                             struct value *values, char texts[2][40], struct event *event)
{
    const struct {
        const char *name;
        struct value value;
    } given[] = {{"amount", sim->fields.amount}, {"price", sim->fields.price}, {"merchant", sim->fields.merchant}, {"code", sim->fields.code},
                 {"lat", sim->fields.lat}, {"lon", sim->fields.lon}, {"flag", sim->fields.flag}};
    int slot;
    memset(values, 0, fields->count * sizeof *values);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if ((slot = field_set_find(fields, given[i].name)) >= 0)
            values[slot] = given[i].value;
    snprintf(texts[0], sizeof texts[0], "%d", sim->id);
    snprintf(texts[1], sizeof texts[1], sim->card % 3 ? "card%d" : "card-with-a-long-name-%d", sim->card);
    values[FIELD_ID] = TEXT(texts[0]);
    values[FIELD_ENTITY] = TEXT(texts[1]);
    values[FIELD_TIME] = INT(sim->t);
    *event = (struct event){.values = values, .offset = offset, .record_ms = sim->record_ms, .time_ms = sim->t,
                            .id = {texts[0], values[FIELD_ID].size}, .entity = {texts[1], values[FIELD_ENTITY].size}};
    return event_check(spec, fields, values, &slot) == REJECT_NONE;
}

/* ---- the run ---- */

static inline uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}
