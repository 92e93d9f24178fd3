/* What the cells of a process have in common: where each count lies, what values are binned by, which models there are. */
#include "monitor/sketch_extra.h"
#include "monitor/sketch_shape.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- fingerprint ---- */

static void mix(uint64_t *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        *hash = (*hash ^ bytes[i]) * 0x100000001b3u;
    *hash = (*hash ^ (*hash >> 29)) * 0xbf58476d1ce4e5b9u;
}

static void mix_number(uint64_t *hash, uint64_t n)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(n >> 8 * i);
    mix(hash, bytes, sizeof bytes);
}

static void mix_text(uint64_t *hash, const char *text)
{
    mix(hash, text, strlen(text) + 1);
}

static void mix_column(uint64_t *hash, const struct sketch_column *column)
{
    mix_number(hash, column->bins);
    for (size_t i = 0; i + 1 < column->bins; i++) {
        uint32_t bits;
        memcpy(&bits, &column->edges[i], sizeof bits);
        mix_number(hash, bits);
    }
}

static uint64_t fingerprint_of(const struct sketch_shape *shape)
{
    const struct sketch_shape_options *o = &shape->options;
    uint64_t hash = 0xcbf29ce484222325u;
    mix_number(&hash, sizeof(struct sketch_model_counts));
    const size_t layout[] = {shape->feature_stride, shape->model_stride, shape->models_at, REJECT_REASON_COUNT, LATENCY_BINS,
        EXTRA_NUMBERS, PART_COUNTS, EXTRA_PARTS_MAX, EXPLAINED_MAX};
    for (size_t i = 0; i < sizeof layout / sizeof *layout; i++)
        mix_number(&hash, layout[i]); /* another release counts other things */
    mix_number(&hash, (uint64_t)o->window_ms);
    mix_number(&hash, (uint64_t)o->lateness_ms);
    mix_number(&hash, o->feature_count);
    for (size_t f = 0; f < o->feature_count; f++)
        mix_text(&hash, o->features[f]);
    for (size_t f = 0; f <= o->feature_count; f++)
        mix_column(&hash, &shape->columns[f]);
    mix_number(&hash, o->field_count);
    for (size_t i = 0; i < o->field_count; i++)
        mix_text(&hash, o->fields[i]);
    mix_number(&hash, o->segment_count);
    for (size_t i = 0; i < o->segment_count; i++) {
        mix_number(&hash, o->segments[i].slot);
        mix_number(&hash, o->segments[i].valued);
        mix_number(&hash, shape->segments[i].categories);
        for (size_t k = 0; shape->segments[i].table && k <= shape->segments[i].mask; k++)
            mix_number(&hash, shape->segments[i].table[k].hash);
        if (shape->segments[i].ranks)
            mix(&hash, shape->segments[i].ranks, shape->segments[i].categories - 1);
    }
    return hash;
}

/* ---- columns ---- */

static size_t span_for(size_t bins)
{
    size_t span = 1;
    while (span < bins)
        span *= 2;
    return span;
}

static size_t cut(const struct sketch_shape_options *o, const struct baseline_column *reference, size_t bins, float *edges, int64_t *counts)
{
    return o->equal_width ? baseline_cut_equal(reference, edges, counts) : baseline_cut(reference, bins, edges, counts);
}

/* Coarse edges are fine edges too: a bin lies in the coarse one that begins at the last coarse edge below its end. */
static void unite(const struct sketch_shape_options *o, struct sketch_column *column, const struct baseline_column *reference)
{
    float edges[BASELINE_COARSE];
    int64_t counts[BASELINE_COARSE];
    column->coarse = cut(o, reference, BASELINE_COARSE, edges, counts);
    uint8_t coarse = 0;
    for (size_t i = 0; i < column->bins; i++) {
        while (coarse + 1u < column->coarse && (i + 1 == column->bins || edges[coarse] < column->edges[i]))
            coarse++;
        column->coarse_of[i] = coarse;
    }
}

static void cut_column(struct sketch_shape *shape, size_t c, const struct baseline_column *reference)
{
    float edges[BASELINE_FINE];
    struct sketch_column *column = &shape->columns[c];
    column->bins = cut(&shape->options, reference, shape->options.bins, edges, shape->expected + c * shape->options.bins);
    column->span = span_for(column->bins);
    memcpy(column->edges, edges, (column->bins - 1) * sizeof *edges);
    for (size_t i = 0; i < span_for(shape->options.bins) / PIVOTS; i++)
        column->pivots[i] = column->edges[(i + 1) * PIVOTS - 1];
    unite(&shape->options, column, reference);
}

static void set_range(struct sketch_column *column, const struct baseline_column *reference)
{
    if (reference->count == 0)
        return;
    column->least = (float)reference->min;
    column->greatest = (float)reference->max;
    if (reference->std > 0) {
        column->far_below = (float)(reference->mean - SKETCH_FAR_SIGMAS * reference->std);
        column->far_above = (float)(reference->mean + SKETCH_FAR_SIGMAS * reference->std);
    }
}

static void cut_baseline(struct sketch_shape *shape, const struct baseline *baseline)
{
    for (size_t f = 0; f < baseline->count; f++) {
        cut_column(shape, f, &baseline->features[f]);
        set_range(&shape->columns[f], &baseline->features[f]);
    }
    if (baseline->has_score)
        cut_column(shape, baseline->count, &baseline->score);
}

static bool make_columns(struct sketch_shape *shape)
{
    size_t columns = shape->options.feature_count + 1, bins = shape->options.bins, room = span_for(bins);
    assert(room % PIVOTS == 0 && room <= PIVOTS * PIVOTS);
    shape->bin = column_binning_here(0);
    shape->columns = calloc(columns, sizeof *shape->columns);
    shape->edges = aligned_alloc(64, columns * room * sizeof *shape->edges);
    shape->pivots = aligned_alloc(64, columns * PIVOTS * sizeof *shape->pivots);
    shape->expected = calloc(columns * bins, sizeof *shape->expected);
    if (!shape->columns || !shape->edges || !shape->pivots || !shape->expected)
        return false;
    for (size_t i = 0; i < columns * room; i++)
        shape->edges[i] = INFINITY;
    for (size_t i = 0; i < columns * PIVOTS; i++)
        shape->pivots[i] = INFINITY;
    for (size_t c = 0; c < columns; c++)
        shape->columns[c] = (struct sketch_column){.span = 1, .edges = shape->edges + c * room, .pivots = shape->pivots + c * PIVOTS, .least = -INFINITY, .greatest = INFINITY,
            .far_below = -INFINITY, .far_above = INFINITY};
    if (shape->options.baseline)
        cut_baseline(shape, shape->options.baseline);
    return true;
}

/* ---- segments ---- */

static void put_category(struct segment_shape *segment, uint64_t hash, size_t category)
{
    size_t i = hash & segment->mask;
    while (segment->table[i].category && segment->table[i].hash != hash)
        i = (i + 1) & segment->mask;
    segment->table[i] = (struct category_slot){hash, (uint32_t)category + 1};
}

/* The integer that a name spells, as a decimal without anything to spare. */
static bool spells_integer(const char *name, int64_t *value)
{
    char *end;
    size_t size = strlen(name);
    if (size == 0 || size > 18 || (name[0] != '-' && (name[0] < '0' || name[0] > '9')) || (name[0] == '0' && size > 1) || !strcmp(name, "-"))
        return false;
    *value = strtoll(name, &end, 10);
    return *end == 0;
}

static bool rank_categories(struct segment_shape *segment, const struct baseline_categories *categories)
{
    segment->ranks = calloc(categories->count + 1, sizeof *segment->ranks);
    for (size_t i = 0; segment->ranks && i < categories->count; i++)
        for (size_t k = 0; k < categories->count; k++) {
            int64_t mine = categories->named[i].count, other = categories->named[k].count;
            segment->ranks[i] = (uint8_t)(segment->ranks[i] + (other > mine || (other == mine && k < i)));
        }
    return segment->ranks;
}

/* A field may come as a number or as text, by its writer's schema: a name that spells a number stands for both. */
static bool name_categories(struct segment_shape *segment, const struct baseline_categories *categories)
{
    size_t slots = 16;
    while (slots < 8 * categories->count)
        slots *= 2;
    segment->mask = slots - 1;
    segment->categories = categories->count + 1;
    segment->table = calloc(slots, sizeof *segment->table);
    if (!segment->table)
        return false;
    for (size_t i = 0; i < categories->count; i++) {
        const char *name = categories->named[i].name;
        int64_t number;
        put_category(segment, cardinality_hash(name, strlen(name)), i);
        if (spells_integer(name, &number))
            put_category(segment, cardinality_hash_integer(number), i);
    }
    return rank_categories(segment, categories);
}

static void segment_finish(struct segment_shape *segment)
{
    free(segment->table);
    free(segment->ranks);
}

static bool make_segments(struct sketch_shape *shape)
{
    const struct sketch_shape_options *o = &shape->options;
    shape->segments = calloc(o->segment_count + 1, sizeof *shape->segments);
    if (!shape->segments)
        return false;
    for (size_t i = 0; i < o->segment_count; i++) {
        shape->segments[i].categories = 1;
        const struct baseline_segment *reference =
            o->baseline && o->segments[i].valued ? baseline_segment_find(o->baseline, o->fields[o->segments[i].slot]) : NULL;
        if (reference && !name_categories(&shape->segments[i], &reference->categories))
            return false;
    }
    return true;
}

/* ---- models ---- */

static bool make_models(struct sketch_shape *shape)
{
    size_t known = shape->options.model_count;
    shape->models_max = known ? known + SKETCH_MODELS_SPARE : 0;
    if (shape->models_max > SKETCH_MODELS_MAX)
        shape->models_max = SKETCH_MODELS_MAX;
    shape->models = calloc(1, sizeof *shape->models + (shape->models_max + 1) * sizeof *shape->models->of);
    if (!shape->models)
        return false;
    for (size_t i = 0; i < known; i++)
        sketch_model_slot(shape, shape->options.models[i].id, shape->options.models[i].shadow);
    return true;
}

size_t sketch_models(const struct sketch_shape *shape)
{
    return __atomic_load_n(&shape->models->count, __ATOMIC_ACQUIRE);
}

size_t sketch_models_max(const struct sketch_shape *shape)
{
    return shape->models_max;
}

struct sketch_model sketch_model_of(const struct sketch_shape *shape, size_t m)
{
    assert(m < sketch_models(shape));
    return shape->models->of[m];
}

static size_t find_model(const struct sketch_shape *shape, const char *id, bool shadow)
{
    size_t n = sketch_models(shape), i = 0;
    while (i < n && (shape->models->of[i].shadow != shadow || strcmp(shape->models->of[i].id, id) != 0))
        i++;
    return i;
}

size_t sketch_model_slot(const struct sketch_shape *shape, const char *id, bool shadow)
{
    assert(shape->models_max > 0);
    size_t i = find_model(shape, id, shadow);
    if (i < sketch_models(shape))
        return i;
    while (__atomic_test_and_set(&shape->models->adding, __ATOMIC_ACQUIRE))
        ;
    i = find_model(shape, id, shadow);
    if (i == sketch_models(shape) && i < shape->models_max) {
        bool last = i + 1 == shape->models_max && i >= shape->options.model_count;
        char *copy = strdup(last ? "others" : id);
        assert(copy && "memory is short");
        shape->models->of[i] = (struct sketch_model){copy, shadow};
        __atomic_store_n(&shape->models->count, i + 1, __ATOMIC_RELEASE);
    } else if (i == shape->models_max) {
        i--;
    }
    __atomic_clear(&shape->models->adding, __ATOMIC_RELEASE);
    return i;
}

/* ---- the whole ---- */

static void lay_out(struct sketch_shape *shape)
{
    const struct sketch_shape_options *o = &shape->options;
    size_t kept = o->baseline ? o->bins : 0;
    shape->feature_stride = sizeof(struct sketch_feature_counts) / sizeof(int64_t) + kept;
    shape->model_stride = sizeof(struct sketch_model_counts) / sizeof(int64_t) + kept;
    shape->latencies_at = o->feature_count * shape->feature_stride; /* what lies from here to the models is cleared, merged, written and read as one */
    shape->fallbacks_at = shape->latencies_at + LATENCY_BINS;
    shape->rejects_at = shape->fallbacks_at + SKETCH_FALLBACKS_MAX;
    size_t at = shape->rejects_at + o->field_count * REJECT_REASON_COUNT;
    for (size_t i = 0; i < o->segment_count; i++) {
        shape->segments[i].at = at;
        at += sizeof(struct sketch_segment_counts) / sizeof(int64_t) + shape->segments[i].categories;
    }
    shape->entities_at = at;
    shape->contributions_at = at + 1 + LATENCY_BINS;
    at = shape->contributions_at + sketch_contribution_counts(shape);
    shape->models_at = at;
    shape->counts = at + shape->models_max * shape->model_stride;
}

struct sketch_shape *sketch_shape_create(const struct sketch_shape_options *options)
{
    assert(options->window_ms > 0 && options->model_count <= SKETCH_MODELS_MAX && options->segment_count <= SKETCH_SEGMENTS_MAX);
    assert(!options->baseline || options->baseline->count == options->feature_count);
    assert(options->bins == 0 || options->bins == BASELINE_COARSE || options->bins == BASELINE_FINE);
    assert(!options->equal_width || options->bins == BASELINE_EQUAL);
    struct sketch_shape *shape = calloc(1, sizeof *shape);
    if (!shape)
        return NULL;
    shape->options = *options;
    shape->options.bins = options->bins ? options->bins : BASELINE_COARSE;
    if (!make_columns(shape) || !make_segments(shape) || !make_models(shape)) {
        sketch_shape_destroy(shape);
        return NULL;
    }
    lay_out(shape);
    shape->fingerprint = fingerprint_of(shape);
    return shape;
}

void sketch_shape_destroy(struct sketch_shape *shape)
{
    if (!shape)
        return;
    for (size_t i = 0; shape->segments && i < shape->options.segment_count; i++)
        segment_finish(&shape->segments[i]);
    for (size_t i = 0; shape->models && i < sketch_models(shape); i++)
        free((char *)(uintptr_t)shape->models->of[i].id);
    free(shape->segments);
    free(shape->models);
    free(shape->columns);
    free(shape->edges);
    free(shape->pivots);
    free(shape->expected);
    free(shape);
}

const struct sketch_shape_options *sketch_shape_of(const struct sketch_shape *shape)
{
    return &shape->options;
}

uint64_t sketch_shape_fingerprint(const struct sketch_shape *shape)
{
    return shape->fingerprint;
}

size_t sketch_shape_bins(const struct sketch_shape *shape, size_t f, const int64_t **expected)
{
    assert(f <= shape->options.feature_count);
    if (expected)
        *expected = shape->expected + f * shape->options.bins;
    return shape->columns[f].bins;
}

size_t sketch_shape_coarse(const struct sketch_shape *shape, size_t f, const uint8_t **coarse_of)
{
    assert(f <= shape->options.feature_count);
    *coarse_of = shape->columns[f].coarse_of;
    return shape->columns[f].coarse;
}

size_t sketch_head_counts(const struct sketch_shape *shape)
{
    return shape->models_at;
}

size_t sketch_model_counts_size(const struct sketch_shape *shape)
{
    return shape->model_stride;
}

void sketch_bins_range(const struct sketch_shape *shape, size_t f, size_t *from, size_t *to)
{
    assert(f < shape->options.feature_count);
    *to = (f + 1) * shape->feature_stride;
    *from = *to - shape->feature_stride + sizeof(struct sketch_feature_counts) / sizeof(int64_t);
}

size_t sketch_segment_categories(const struct sketch_shape *shape, size_t segment)
{
    assert(segment < shape->options.segment_count);
    return shape->segments[segment].categories;
}
