/* For tests of the monitor: a small stream of made events, a baseline of two features, sketches of them. */
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/sketch.h"
#include "tests/unit/assert_near.h"

enum { SCENE_WINDOW = 60000, SCENE_LATENESS = 10000, SCENE_FEATURES = 2, SCENE_MODELS = 2, SCENE_FIELDS = 3 };
static const char *const scene_features[] = {"amount", "flag"};
static const char *const scene_fields[] = {"id", "amount_minor", "device"};
static const struct sketch_model scene_models[] = {{"champion", false}, {"shadow", true}};

static const struct sketch_segment scene_segments[] = {{2, true}, {0, false}};

static inline uint64_t scene_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 10,000 rows: amount is 0..9999, flag is 1 in every fourth row; scores 0.00005 .. 0.99995 in steps of 0.0001. */
static inline struct baseline *scene_baseline(void)
{
    enum { ROWS = 10000 };
    static float rows[ROWS][SCENE_FEATURES], scores[ROWS];
    for (int i = 0; i < ROWS; i++) {
        rows[i][0] = (float)i;
        rows[i][1] = i % 4 == 3 ? 1 : 0;
        scores[i] = ((float)i + 0.5f) / ROWS;
    }
    struct baseline *baseline = baseline_create_from_rows(scene_features, SCENE_FEATURES, &rows[0][0], scores, ROWS,
                                                          (const uint8_t[32]){7}, "champion");
    assert_non_null(baseline);
    return baseline;
}

static inline struct sketch_shape *scene_shape(const struct baseline *baseline, size_t bins)
{
    struct sketch_shape *shape = sketch_shape_create(&(struct sketch_shape_options){
        .window_ms = SCENE_WINDOW, .lateness_ms = SCENE_LATENESS, .feature_count = SCENE_FEATURES, .features = scene_features, .model_count = SCENE_MODELS,
        .models = scene_models, .field_count = SCENE_FIELDS, .fields = scene_fields, .segment_count = 2, .segments = scene_segments, .baseline = baseline, .bins = bins});
    assert_non_null(shape);
    return shape;
}

/* A sketch that is empty, and what it counts by.  Takes the baseline. */
struct sketch_scene {
    struct baseline *baseline;
    struct sketch_shape *shape;
    struct sketch *sketch;
};

static inline struct sketch_scene *scene_create(struct baseline *baseline)
{
    struct sketch_scene *s = calloc(1, sizeof *s);
    s->baseline = baseline;
    s->shape = scene_shape(baseline, 20);
    s->sketch = sketch_create(s->shape);
    return s;
}

static inline int scene_tear_down(void **state)
{
    struct sketch_scene *s = *state;
    sketch_destroy(s->sketch);
    sketch_shape_destroy(s->shape);
    baseline_destroy(s->baseline);
    free(s);
    return 0;
}

struct scene_event {
    int32_t partition;
    int64_t offset, time_ms, late_ms;
    int32_t schema_id;
    float amount, flag, score;
    bool device; /* the field `device` is not null */
};

static inline void scene_add(struct sketch *sketch, struct scene_event e)
{
    float row[] = {e.amount, e.flag};
    struct value values[] = {{.type = VALUE_INT, .integer = e.offset}, {.type = VALUE_INT}, {.type = e.device ? VALUE_INT : VALUE_NULL}};
    struct sketch_cell *cell = sketch_add(sketch, &(struct sketch_event){.partition = e.partition, .offset = e.offset,
        .time_ms = e.time_ms, .late_ms = e.late_ms, .schema_id = e.schema_id, .window_complete = true, .row = row, .values = values});
    sketch_add_score(sketch, cell, 0, e.score, decide((struct thresholds){0.5, 0.9}, e.score));
}
