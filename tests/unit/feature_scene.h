/* For tests of features: events as values by field name, rows read by feature name. */
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "feature_file.h"
#include "scoring/features/features.h"

/* ---- events ---- */

#define INT(x) ((struct value){.type = VALUE_INT, .integer = (x)})
#define REAL(x) ((struct value){.type = VALUE_DOUBLE, .real = (x)})
#define TEXT(x) ((struct value){.type = VALUE_TEXT, .size = (uint32_t)strlen(x), .text = (x)})
#define BOOL(x) ((struct value){.type = VALUE_BOOL, .integer = (x)})
#define NIL ((struct value){.type = VALUE_NULL})
#define OTHER ((struct value){.type = VALUE_OTHER})

struct sent { /* fields that are not given are absent */
    int64_t t;
    const char *card, *id; /* default "c" and one that is new */
    int64_t record_ms;     /* default t */
    struct value amount, price, merchant, code, lat, lon, flag;
};

struct scene {
    struct field_set fields;
    struct feature_spec *spec;
    struct windows *windows;
    int64_t offset;
    struct value values[FIELD_SLOTS_MAX];
    float row[FEATURES_MAX];
    struct feature_outcome outcome;
};

static const struct window_limits no_limits = {1000000, 100000000};

static inline void scene_open_limited(struct scene *s, struct file_options options, struct window_limits limits,
                                      const struct entry *entries, size_t count)
{
    struct err err = {0};
    memset(s, 0, sizeof *s);
    field_set_init(&s->fields);
    struct feature_spec_source source = scene_source(options, entries, count);
    if (feature_spec_create(&source, &s->fields, &s->spec, &err))
        fail_msg("%s", err.msg);
    s->windows = windows_create(s->spec, limits);
    assert_non_null(s->windows);
}

#define SCENE_OPEN(s, options, ...)                                       \
    scene_open_limited((s), (options), no_limits, (const struct entry[]){__VA_ARGS__}, \
                       sizeof((const struct entry[]){__VA_ARGS__}) / sizeof(struct entry))
static const struct file_options plain_file = {0}, late_10s = {.lateness_ms = 10000};

static inline void scene_close(struct scene *s)
{
    windows_destroy(s->windows);
    feature_spec_destroy(s->spec);
    field_set_finish(&s->fields);
}

static inline void scene_set(struct scene *s, const char *name, struct value value)
{
    int slot = field_set_find(&s->fields, name);
    if (slot >= 0)
        s->values[slot] = value;
}

static inline void scene_fill(struct scene *s, const struct sent *sent)
{
    memset(s->values, 0, sizeof s->values);
    scene_set(s, "amount", sent->amount);
    scene_set(s, "price", sent->price);
    scene_set(s, "merchant", sent->merchant);
    scene_set(s, "code", sent->code);
    scene_set(s, "lat", sent->lat);
    scene_set(s, "lon", sent->lon);
    scene_set(s, "flag", sent->flag);
}

/* Sends one event; the outcome and the row are the scene's until the next one. */
static inline enum reject_reason scene_send(struct scene *s, struct sent sent)
{
    char id[32];
    snprintf(id, sizeof id, "id-%lld", (long long)s->offset);
    const char *card = sent.card ? sent.card : "c";
    scene_fill(s, &sent);
    s->values[FIELD_ID] = sent.id ? TEXT(sent.id) : TEXT(id);
    s->values[FIELD_ENTITY] = TEXT(card);
    s->values[FIELD_TIME] = INT(sent.t);
    int slot;
    enum reject_reason reason = event_check(s->spec, &s->fields, s->values, &slot);
    if (reason != REJECT_NONE)
        return reason;
    struct event event = {.values = s->values, .offset = s->offset++, .record_ms = sent.record_ms ? sent.record_ms : sent.t,
                          .time_ms = sent.t, .id = {s->values[FIELD_ID].text, s->values[FIELD_ID].size},
                          .entity = {card, (uint32_t)strlen(card)}};
    assert_int_equal(windows_fold(s->windows, &event, 1, s->row, &s->outcome), 0);
    return s->outcome.reason;
}

static inline float scene_feature_value(const struct scene *s, const char *name)
{
    for (size_t i = 0; i < s->spec->count; i++)
        if (!strcmp(s->spec->features[i].name, name))
            return s->row[i];
    fail_msg("no feature %s", name);
    return NAN;
}

#define SEND(s, ...) assert_int_equal(scene_send((s), (struct sent){__VA_ARGS__}), REJECT_NONE)
#define REFUSED(s, why, ...) assert_int_equal(scene_send((s), (struct sent){__VA_ARGS__}), (why))

/* Bit for bit; NAN stands for missing. */
#define EXPECT(s, name, wanted)                                                                \
    do {                                                                                       \
        float got_ = scene_feature_value((s), (name)), wanted_ = (float)(wanted);              \
        if (isnan(wanted_) ? !isnan(got_) : memcmp(&got_, &wanted_, sizeof got_) != 0)         \
            fail_msg("line %d: %s is %.9g, not %.9g", __LINE__, (name), (double)got_, (double)wanted_); \
    } while (0)
