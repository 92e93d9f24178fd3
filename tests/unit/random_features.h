/* Random feature files, the same for the same seed. */
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
    bool dense;       /* for long streams whose entities hold many events */
};

static inline void choose_windows(struct chance *c, struct file *f)
{
    static const char *const widths[] = {"1ms", "2ms", "10ms", "1s", "5s", "10s", "30s", "1m", "5m", "1h", "1d"};
    static const char *const long_ones[] = {"10s", "1m", "5m", "1h", "1d"};
    f->pool_count = one_in(c, 3) ? 6 : 1 + (size_t)below(c, 6);
    for (size_t i = 0; i < f->pool_count; i++)
        snprintf(f->pool[i], sizeof f->pool[i], "%s", f->dense && one_in(c, 2) ? PICK(c, long_ones) : PICK(c, widths));
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

static inline void choose_limits(struct chance *c, struct file *f)
{
    static const int64_t latenesses[] = {0, 0, 1, 1000, 10000, 60000}, events[] = {1, 2, 3, 5, 8, 9, 20, 100, 4096, 4096, 4096, 70000},
                         many[] = {30, 64, 100, 500, 511, 512, 513, 700, 1000, 2000, 5000, 70000};
    static const uint64_t few[] = {1, 2, 3, 5, 10, 50};
    f->options = (struct file_options){.lateness_ms = PICK(c, latenesses), .future_skew_ms = one_in(c, 4) ? 5000 : 100000000,
                                       .max_age_ms = one_in(c, 4) ? 20000 : 0, .max_events = f->dense ? PICK(c, many) : PICK(c, events)};
    f->limits = (struct window_limits){one_in(c, 3) ? PICK(c, few) : 1000000, 1000000};
    if (one_in(c, f->dense ? 6 : 3))
        f->limits.max_events = PICK(c, few) * (f->dense ? 100 : 3);
}

/* Different ones of many: what fills the tables. */
static inline void choose_distinct(struct chance *c, struct file *f, size_t i)
{
    f->entries[i] = (struct entry){.name = f->entries[i].name, .op = OP_DISTINCT, .field = one_in(c, 2) ? "merchant" : "amount"};
    list_windows(c, f, i);
}

static inline void choose_file(struct chance *c, struct file *f, bool dense)
{
    memset(f, 0, sizeof *f);
    f->dense = dense;
    choose_limits(c, f);
    choose_windows(c, f);
    f->plain = one_in(c, 2);
    f->count = 1 + (size_t)below(c, !dense && one_in(c, 3) ? ENTRIES_MAX : 6);
    for (size_t i = 0; i < f->count; i++)
        choose_entry(c, f, i);
    if (dense && one_in(c, 2))
        choose_distinct(c, f, 0);
    settle_reach(f);
}

/* ---- in print ---- */

static inline void print_file(const struct file *f)
{
    print_error("lateness %lld, max_events %lld, max_age %lld, future_skew %lld, limits %llu entities %llu events\n", (long long)f->options.lateness_ms,
                (long long)f->options.max_events, (long long)f->options.max_age_ms, (long long)f->options.future_skew_ms,
                (unsigned long long)f->limits.max_entities, (unsigned long long)f->limits.max_events);
    for (size_t i = 0; i < f->count; i++) {
        const struct entry *e = &f->entries[i];
        print_error("  %s: %s %s [%s]%s", e->name, feature_op_name(e->op), e->field ? e->field : "", e->windows ? e->windows : "",
                    e->exclude_current ? " without current" : "");
        if (e->where)
            print_error(" where %s in [%s] not_in [%s] %s..%s", e->where, e->in ? e->in : "", e->not_in ? e->not_in : "", e->min ? e->min : "",
                        e->max ? e->max : "");
        print_error(" scale %g fixed %g\n", e->scale, e->fixed);
    }
}

/* ---- settings of a run ---- */

static inline uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}
