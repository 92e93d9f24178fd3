/* A baseline with everything in it: 40,000 events of three weeks, with the hours' rhythm, codes, segments, labels. */
#pragma once
#include "monitor/baseline_builder.h"
#include "monitor/cardinality.h"
#include "tests/unit/monitor_scene.h"

enum { FULL_EVENTS = 40000, FULL_FEATURES = 3, FULL_SEGMENTS = 2 };
static const int64_t full_start_ms = 1767571200000; /* Monday, 2026-01-05 00:00 UTC */
static const char *const full_features[] = {"amount", "channel", "is_night"};
static const char *const full_segments[] = {"country", "device"};
static const char *const full_channels[] = {"POS", "ECOM", "ATM"}, *const full_bits[] = {"0", "1"};
static const char *const full_countries[] = {"DE", "FR", "NO", "US"};

static inline struct baseline_builder_options full_options(void)
{
    static const uint8_t hash[32] = {7};
    static const struct baseline_codes codes[FULL_FEATURES] = {{0, NULL}, {3, full_channels}, {2, full_bits}};
    static const bool parts[FULL_SEGMENTS] = {true, false};
    static const char *const distincts[] = {"card"};
    return (struct baseline_builder_options){.feature_spec_sha256 = hash, .model_id = "champion", .feature_count = FULL_FEATURES,
        .features = full_features, .codes = codes, .segment_count = FULL_SEGMENTS, .segments = full_segments, .parts = parts,
        .distinct_count = 1, .distincts = distincts, .window_count = 1, .windows_ms = {3600000}, .timed = true};
}

struct full_event {
    int64_t time_ms;
    float row[FULL_FEATURES], score;
    int label;
    uint64_t id, card;
    const char *country, *device; /* NULL: null */
};

/* Event i of them, evenly over three weeks.  Amounts are 3 times as large by night (0..6 h), every tenth is missing; cards
 * are 1000 in turn. */
static inline struct full_event full_event(int i)
{
    uint64_t state = (uint64_t)i;
    uint64_t random = scene_random(&state);
    struct full_event e = {.time_ms = full_start_ms + (int64_t)i * (21 * 86400000LL / FULL_EVENTS), .id = random, .card = (uint64_t)i % 1000};
    bool night = (e.time_ms / 3600000) % 24 < 6;
    e.row[0] = random % 10 == 0 ? NAN : (float)(random >> 8 & 1023) * (night ? 3 : 1);
    e.row[1] = random % 7 == 0 ? NAN : (float)(random >> 20 & 3) > 2 ? 1 : (float)(random >> 20 & 3);
    e.row[2] = night;
    e.score = (float)(random >> 40) / 0x1p24f;
    e.label = random % 5 ? (double)(random >> 13 & 255) / 256 < (double)e.score : BUILDER_UNKNOWN_LABEL;
    e.country = i % 50 == 0 ? NULL : i % 1000 == 7 ? "NO" : full_countries[(random >> 30 & 3) == 2 ? 0 : random >> 30 & 3];
    return e;
}

static inline void full_add(struct baseline_builder *b, const struct full_event *e)
{
    struct bytes texts[FULL_SEGMENTS] = {{e->country, e->country ? (uint32_t)strlen(e->country) : 0}, {e->device, e->device ? (uint32_t)strlen(e->device) : 0}};
    uint64_t card = cardinality_hash_integer((int64_t)e->card);
    assert_int_equal(baseline_builder_add(b, &(struct baseline_event){.time_ms = e->time_ms, .id_hash = e->id, .row = e->row, .label = e->label,
        .segments = texts, .distinct_hashes = &card}), 0);
}

static inline void full_score(struct baseline_builder *b, float (*score_of)(uint64_t id, const float *row))
{
    for (size_t i = 0; i < baseline_builder_rows(b); i++) {
        float score = score_of(baseline_builder_id(b, i), baseline_builder_row(b, i));
        baseline_builder_score(b, i, score, decide((struct thresholds){0.5, 0.9}, score));
    }
}

static inline float full_score_of(uint64_t id, const float *row)
{
    (void)row;
    return (float)(id >> 40) / 0x1p24f;
}

static inline struct baseline *full_baseline(void)
{
    struct baseline_builder_options options = full_options();
    struct baseline_builder *b = baseline_builder_create(&options);
    assert_non_null(b);
    for (int i = 0; i < FULL_EVENTS; i++) {
        struct full_event e = full_event(i);
        full_add(b, &e);
    }
    for (int i = 0; i < 30; i++)
        assert_int_equal(baseline_builder_reject(b, i % 3 ? "range" : "not_avro", i % 3 ? "amount_minor" : NULL), 0);
    full_score(b, full_score_of);
    struct baseline *baseline = baseline_builder_finish(b);
    baseline_builder_destroy(b);
    assert_non_null(baseline);
    baseline_set_gains(baseline, (const double[]){6, 3, 3});
    baseline_set_contributions(baseline, (const float[]){0.5f, -1, 0, 9, 1.5f, -2, 0, 9}, 2);
    return baseline;
}
