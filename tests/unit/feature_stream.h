/* Hostile streams of events for a random feature file, the same for the same seed.
 *
 * Most are short: a few entities with a few dozen events, each of them near an edge where something can go wrong.  Of a
 * dense file they are long: time moves little by little, so that rings grow to their cap or to a few thousand events. */
#pragma once
#include "random_features.h"

struct sim { /* an event, small enough to print */
    int64_t t, record_ms;
    int card, id;
    bool again; /* the id has been there */
    struct sent fields;
    bool cold;     /* a gap before it */
    bool restored; /* before it the state is written down and read back, */
    uint32_t first_seq; /* with sequence numbers from here on */
};

/* ---- values ---- */

enum categories { CATEGORIES_ONE, CATEGORIES_FEW, CATEGORIES_SOME, CATEGORIES_MANY, CATEGORIES_COME_AGAIN, CATEGORIES_KINDS };

/* Random ones, or such as rise or fall from event to event: so staircases become long. */
enum trend { TREND_NONE, TREND_RISING, TREND_FALLING };

static inline struct value some_number(struct chance *c, enum trend trend, int event)
{
    static const int64_t numbers[] = {0, 1, -1, 2, 5, 7, 100, -100, 12345, (INT64_C(1) << 40) - 1, 1 - (INT64_C(1) << 40), 16777217};
    static const int64_t too_large[] = {INT64_C(1) << 40, -(INT64_C(1) << 40), INT64_C(1) << 53, -(INT64_C(1) << 53) - 1, INT64_MAX, INT64_MIN};
    if (one_in(c, 100))
        return INT(PICK(c, too_large)); /* for windows; not for what reads the event alone */
    if (trend != TREND_NONE && !one_in(c, 50))
        return INT((event + below(c, 2)) * (trend == TREND_RISING ? 1 : -1));
    return one_in(c, 6) ? NIL : one_in(c, 3) ? INT(PICK(c, numbers)) : INT(below(c, 1000) - 200);
}

static inline struct value some_price(struct chance *c)
{
    static const double prices[] = {0, 0.005, 0.015, 0.25, 1.5, -1.5, 99.99, 1e6, 0.1};
    return one_in(c, 8) ? REAL(NAN) : one_in(c, 8) ? INT(below(c, 5)) : REAL(PICK(c, prices));
}

static inline struct value some_text(struct chance *c, int64_t different)
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

static inline struct value some_category(struct chance *c, enum categories kind, int event)
{
    switch (kind) {
    case CATEGORIES_ONE: return TEXT("m0");
    case CATEGORIES_FEW: return some_text(c, 3);
    case CATEGORIES_MANY: return INT(below(c, one_in(c, 2) ? 2000 : 100000));
    case CATEGORIES_COME_AGAIN: return INT((event / 50 + below(c, 3)) % 40);
    default: return some_text(c, 16);
    }
}

static inline struct value some_degrees(struct chance *c, double limit)
{
    if (one_in(c, 4))
        return one_in(c, 2) ? NIL : REAL(limit + 1);
    return one_in(c, 4) ? INT(below(c, 90)) : REAL(limit * ((double)below(c, 2001) / 1000 - 1));
}

/* ---- times ---- */

struct stream {
    int64_t begun, now, cards;
    int first_card;
    enum categories categories;
    enum trend trend;
    int64_t times[64]; /* of late, to hit edges */
    int next_id;
    int64_t late; /* of a dense one: one event in so many */
    int64_t held; /* likewise: how many events the windows should come to hold */
};

/* Times at which something can go wrong: ties, the edges of windows, of the lateness and of visibility. */
static inline int64_t time_at_edges(struct chance *c, const struct file *f, const struct stream *s)
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

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Mostly a little later, so that rings fill up; late ones lie anywhere in them, or at an edge. */
static inline int64_t time_in_order(struct chance *c, const struct file *f, const struct stream *s)
{
    if (one_in(c, 2000))
        return s->now + f->reach_ms * 2;
    if (one_in(c, 1000))
        return time_at_edges(c, f, s);
    if (one_in(c, s->late))
        return one_in(c, 3) ? least(time_at_edges(c, f, s), s->now) : s->now - below(c, 1 + least(f->reach_ms, s->now - s->begun));
    int64_t step = 2 * f->reach_ms / s->held;
    return s->now + (step ? below(c, step + 1) : one_in(c, 1 + s->held / (1 + f->reach_ms)));
}

/* ---- events ---- */

/* Once more: one of a moment ago, of what a long ring may hold, or of all. */
static inline void choose_id(struct chance *c, const struct file *f, struct sim *e, struct stream *s)
{
    e->id = s->next_id++;
    if (!one_in(c, f->dense ? 5 : 12))
        return;
    const int64_t all = e->id + 1, ranges[] = {least(40, all), least(1000, all), all};
    e->id -= (int)below(c, PICK(c, ranges));
    e->again = e->id != s->next_id - 1;
}

/* Mostly so that they come round soon. */
static inline void choose_restoring(struct chance *c, const struct file *f, struct sim *e)
{
    static const uint32_t turns[] = {0, 1u << 20, 1u << 22, 3u << 20, 1u << 31};
    e->cold = one_in(c, f->dense ? 10000 : 500);
    e->restored = one_in(c, f->dense ? 800 : 300);
    e->first_seq = PICK(c, turns) - (uint32_t)below(c, f->dense ? 2000 : 100);
}

static inline struct sim choose_event(struct chance *c, const struct file *f, struct stream *s)
{
    struct sim e = {.t = f->dense ? time_in_order(c, f, s) : time_at_edges(c, f, s), .card = s->first_card + (int)(one_in(c, 2) ? 0 : below(c, s->cards))};
    choose_id(c, f, &e, s);
    if (e.t < 0)
        e.t = 0;
    e.record_ms = e.t + (one_in(c, 10) ? below(c, 60000) - 30000 : 0);
    choose_restoring(c, f, &e);
    e.fields = (struct sent){.amount = some_number(c, s->trend, s->next_id), .price = some_price(c), .merchant = some_category(c, s->categories, s->next_id), .code = NIL,
                             .lat = some_degrees(c, 90), .lon = some_degrees(c, 180), .flag = one_in(c, 3) ? NIL : BOOL(below(c, 2))};
    if (!one_in(c, 5))
        e.fields.code = one_in(c, 2) ? TEXT("00") : TEXT("05");
    if (e.t > s->now && e.record_ms + f->options.future_skew_ms >= e.t)
        s->now = e.t;
    s->times[below(c, 64)] = e.t;
    return e;
}

static inline size_t choose_length(struct chance *c, const struct file *f)
{
    if (f->dense) /* till the cap binds for a while, where that is not for ever */
        return (size_t)(500 + below(c, 1500) + least(f->options.max_events, 5000) * (10 + below(c, 10)) / 10);
    return (size_t)(one_in(c, 20) ? 1500 : 20 + below(c, 380));
}

static inline enum categories choose_stream(struct chance *c, const struct file *f, struct sim *events, size_t count)
{
    static const enum trend trends[] = {TREND_NONE, TREND_NONE, TREND_RISING, TREND_FALLING};
    static const int64_t cards[] = {1, 1, 2, 3, 10, 40}, few_cards[] = {1, 1, 2}, late[] = {3, 8, 30, 1000000}, held[] = {700, 3000, 10000, 10000};
    struct stream s = {.now = 1000000000000 + below(c, 86400000), .cards = f->dense ? PICK(c, few_cards) : PICK(c, cards), .first_card = (int)below(c, 41),
                       .categories = (enum categories)below(c, CATEGORIES_KINDS), .trend = PICK(c, trends), .late = PICK(c, late), .held = PICK(c, held)};
    s.begun = s.now;
    for (size_t i = 0; i < 64; i++)
        s.times[i] = s.now;
    for (size_t i = 0; i < count; i++)
        events[i] = choose_event(c, f, &s);
    return s.categories;
}

/* ---- as the engine takes them ---- */

enum { SIM_TEXT = 48, SIM_CARDS = 41 + 40, SIM_KEYS = 41 /* different sizes of keys: 0 to 40 bytes */ };

/* Of one size each: cards of the same number modulo 41 have names of the same size, one of them has none. */
static inline void sim_key(int card, char *to)
{
    const size_t size = (size_t)card % SIM_KEYS;
    if (card == SIM_KEYS) {
        to[0] = 0;
        return;
    }
    int digits = snprintf(to, SIM_TEXT, "%d", card);
    for (size_t i = (size_t)digits; i < size; i++)
        to[i] = "abcdefgh"[i % 8];
    to[(size_t)digits > size ? (size_t)digits : size] = 0;
}

/* texts: id and entity.  False: the event would have been rejected before. */
static inline bool sim_event(const struct sim *sim, const struct feature_spec *spec, const struct field_set *fields, int64_t offset,
                             struct value *values, char texts[2][SIM_TEXT], struct event *event)
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
    snprintf(texts[0], SIM_TEXT, "%d", sim->id);
    sim_key(sim->card, texts[1]);
    values[FIELD_ID] = TEXT(texts[0]);
    values[FIELD_ENTITY] = TEXT(texts[1]);
    values[FIELD_TIME] = INT(sim->t);
    *event = (struct event){.values = values, .offset = offset, .record_ms = sim->record_ms, .time_ms = sim->t,
                            .id = {texts[0], values[FIELD_ID].size}, .entity = {texts[1], values[FIELD_ENTITY].size}};
    return event_check(spec, fields, values, &slot) == REJECT_NONE;
}

/* ---- in print ---- */

static inline void print_value(const char *name, const struct value *v)
{
    switch (v->type) {
    case VALUE_INT: print_error(" %s=%lld", name, (long long)v->integer); break;
    case VALUE_BOOL: print_error(" %s=%s", name, v->integer ? "true" : "false"); break;
    case VALUE_DOUBLE: print_error(" %s=%.17g", name, v->real); break;
    case VALUE_TEXT: print_error(" %s='%s'", name, v->text); break;
    default: break;
    }
}

static inline void print_sim(const struct sim *e)
{
    print_error("  t=%lld record=%+lld card=%d id=%d%s", (long long)e->t, (long long)(e->record_ms - e->t), e->card, e->id, e->cold ? " (cold)" : "");
    print_value("amount", &e->fields.amount);
    print_value("price", &e->fields.price);
    print_value("merchant", &e->fields.merchant);
    print_value("code", &e->fields.code);
    print_value("lat", &e->fields.lat);
    print_value("lon", &e->fields.lon);
    print_value("flag", &e->fields.flag);
    if (e->restored)
        print_error(" (restored, numbers from %u on)", e->first_seq);
    print_error("\n");
}
