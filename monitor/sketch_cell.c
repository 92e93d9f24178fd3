/* One cell of a sketch: how a value gets into its counts, how two are added.
 *
 * Everything is an integer, so addition is exact and the order of events cannot show.  A sum is kept in fixed
 * point: llrint(x * 2^20) for a feature, 2^40 for a score, in 128 bits; a feature beyond 2^60 counts as 2^60 in its
 * mean (and in its own bin all the same). */
#include "monitor/segment_text.h"
#include "monitor/sketch_extra.h"
#include "monitor/sketch_shape.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t sums_of(const struct sketch_shape *shape)
{
    return shape->options.feature_count + shape->models_max;
}

static size_t head_bytes(void)
{
    return (sizeof(struct sketch_cell) + 15) / 16 * 16;
}

size_t sketch_cell_bytes(const struct sketch_shape *shape)
{
    const struct sketch_shape_options *o = &shape->options;
    return head_bytes() + sums_of(shape) * sizeof(__int128) + (shape->counts + o->field_count) * sizeof(int64_t) +
           o->segment_count * sizeof(struct cardinality) + (o->segment_count + 2) * sizeof(struct sketch_values);
}

size_t sketch_cells_max(const struct sketch_shape *shape)
{
    size_t rows = shape->options.baseline ? shape->options.feature_count * SKETCH_ROWS_MAX : 0;
    size_t fit = ((size_t)32 << 20) / (sketch_cell_bytes(shape) + sketch_raw_bytes(shape) + rows);
    return fit < 16 ? 16 : fit > 4096 ? 4096 : fit;
}

struct sketch_cell *sketch_cell_create(const struct sketch_shape *shape, int32_t partition, int64_t window_start_ms)
{
    const struct sketch_shape_options *o = &shape->options;
    struct sketch_cell *cell = calloc(1, sketch_cell_bytes(shape));
    if (!cell)
        return NULL;
    *cell = (struct sketch_cell){.partition = partition, .window_start_ms = window_start_ms};
    cell->sums = (void *)((char *)cell + head_bytes());
    cell->counts = (void *)(cell->sums + sums_of(shape));
    cell->last_seen_ms = cell->counts + shape->counts;
    cell->values = (void *)(cell->last_seen_ms + o->field_count);
    cell->distinct = (void *)(cell->values + o->segment_count + 2);
    for (size_t i = 0; i < o->field_count; i++)
        cell->last_seen_ms[i] = TIME_UNKNOWN;
    return cell;
}

void sketch_cell_destroy(const struct sketch_shape *shape, struct sketch_cell *cell)
{
    if (!cell)
        return;
    sketch_extras_clear(shape, cell);
    free(cell->rows);
    free(cell->raw);
    free(cell);
}

static void clear_features(const struct sketch_shape *shape, struct sketch_cell *cell)
{
    size_t head = sizeof(struct sketch_feature_counts) / sizeof(int64_t);
    for (size_t f = 0; f < shape->options.feature_count; f++)
        memset(cell->counts + f * shape->feature_stride, 0, (cell->counted ? shape->feature_stride : head) * sizeof *cell->counts);
    cell->counted = false;
}

void sketch_cell_clear(const struct sketch_shape *shape, struct sketch_cell *cell)
{
    const struct sketch_shape_options *o = &shape->options;
    size_t rest = shape->models_at - shape->latencies_at + cell->models_end * shape->model_stride;
    cell->events = cell->late = cell->overdue = cell->incomplete = 0;
    sketch_extras_clear(shape, cell);
    memset(cell->rejects, 0, sizeof cell->rejects);
    memset(cell->sums, 0, sums_of(shape) * sizeof *cell->sums);
    clear_features(shape, cell);
    memset(cell->counts + shape->latencies_at, 0, rest * sizeof *cell->counts);
    for (size_t i = 0; i < o->field_count; i++)
        cell->last_seen_ms[i] = TIME_UNKNOWN;
    for (size_t i = 0; i < o->segment_count; i++)
        cardinality_clear(&cell->distinct[i]);
    for (size_t i = 0; i < o->segment_count + 2; i++)
        cell->values[i].count = 0;
    cell->row_count = cell->models_end = 0;
    if (cell->raw)
        cell->raw->count = 0;
}

static void add_features(const struct sketch_shape *shape, struct sketch_cell *into, const struct sketch_cell *from)
{
    size_t head = sizeof(struct sketch_feature_counts) / sizeof(int64_t), end = from->counted ? shape->feature_stride : head;
    for (size_t f = 0; f < shape->options.feature_count; f++)
        for (size_t i = f * shape->feature_stride; i < f * shape->feature_stride + end; i++)
            into->counts[i] += from->counts[i];
    into->counted = into->counted || from->counted;
}

void sketch_cell_merge(const struct sketch_shape *shape, struct sketch_cell *into, const struct sketch_cell *from)
{
    const struct sketch_shape_options *o = &shape->options;
    assert(!from->row_count && (!from->raw || !from->raw->count) && "its rows are counted first");
    if (from->models_end > into->models_end)
        into->models_end = from->models_end;
    into->events += from->events;
    into->late += from->late;
    into->overdue += from->overdue;
    into->incomplete += from->incomplete;
    for (size_t i = 0; i < REJECT_REASON_COUNT; i++)
        into->rejects[i] += from->rejects[i];
    for (size_t i = 0; i < sums_of(shape); i++)
        into->sums[i] += from->sums[i];
    add_features(shape, into, from);
    for (size_t i = shape->latencies_at; i < shape->models_at + from->models_end * shape->model_stride; i++)
        into->counts[i] += from->counts[i];
    for (size_t i = 0; i < o->field_count; i++)
        if (from->last_seen_ms[i] > into->last_seen_ms[i])
            into->last_seen_ms[i] = from->last_seen_ms[i];
    for (size_t i = 0; i < o->segment_count; i++)
        cardinality_merge(&into->distinct[i], &from->distinct[i]);
    for (size_t i = 0; i < o->segment_count + 2; i++)
        sketch_values_merge(&into->values[i], &from->values[i]);
    sketch_extras_merge(shape, into, from);
}

/* ---- fields ---- */

void sketch_cell_add_fields(const struct sketch_shape *shape, struct sketch_cell *cell, const struct value *values, int64_t time_ms)
{
    for (size_t i = 0; i < shape->options.field_count; i++)
        if (time_ms > cell->last_seen_ms[i] && !value_is_null(&values[i]))
            cell->last_seen_ms[i] = time_ms;
}

uint64_t sketch_value_hash(const struct value *value)
{
    int64_t bits;
    switch (value->type) {
    case VALUE_TEXT:
        return cardinality_hash(value->text, value->size);
    case VALUE_DOUBLE:
        memcpy(&bits, &value->real, sizeof bits);
        return cardinality_hash_integer(bits);
    default:
        return cardinality_hash_integer(value->integer);
    }
}

void sketch_value_spell(struct sketch_value *named, const struct value *value)
{
    char small[SEGMENT_SMALL];
    const char *text;
    uint32_t size = segment_text(value, small, &text);
    sketch_value_name(named, text, size);
}

size_t sketch_category_of(const struct segment_shape *segment, uint64_t hash)
{
    for (size_t i = hash & segment->mask; segment->table && segment->table[i].category; i = (i + 1) & segment->mask)
        if (segment->table[i].hash == hash)
            return segment->table[i].category - 1;
    return segment->categories - 1;
}

void sketch_cell_add_segments(const struct sketch_shape *shape, struct sketch_cell *cell, const struct value *values)
{
    for (size_t s = 0; s < shape->options.segment_count; s++) {
        const struct segment_shape *segment = &shape->segments[s];
        const struct value *value = &values[shape->options.segments[s].slot];
        struct sketch_segment_counts *counts = (void *)(cell->counts + segment->at);
        if (value_is_null(value) || value->type == VALUE_OTHER) {
            counts->nulls++;
            continue;
        }
        uint64_t hash = sketch_value_hash(value);
        cardinality_add(&cell->distinct[s], hash);
        if (!shape->options.segments[s].valued)
            continue;
        size_t category = sketch_category_of(segment, hash);
        counts->categories[category]++;
        if (category + 1 < segment->categories)
            continue;
        int fresh;
        struct sketch_value *named = sketch_values_add(&cell->values[s], hash, 1, &fresh);
        if (named && fresh)
            sketch_value_spell(named, value);
    }
}

void sketch_cell_add_schema(const struct sketch_shape *shape, struct sketch_cell *cell, int32_t schema_id)
{
    int fresh;
    struct sketch_value *named = sketch_values_add(&cell->values[shape->options.segment_count], cardinality_hash_integer(schema_id), 1, &fresh);
    if (named && fresh)
        sketch_value_spell(named, &(struct value){.type = VALUE_INT, .integer = schema_id});
}

/* ---- scores ---- */

struct sketch_model_counts *sketch_cell_model(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m)
{
    return (void *)sketch_cell_model_counts(shape, cell, m);
}

int64_t *sketch_cell_model_counts(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m)
{
    assert(m < shape->models_max);
    if (m >= cell->models_end)
        cell->models_end = m + 1;
    return cell->counts + shape->models_at + m * shape->model_stride;
}

void sketch_cell_add_score(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, float score, enum decision decision)
{
    struct sketch_model_counts *counts = sketch_cell_model(shape, cell, m);
    const struct sketch_column *column = &shape->columns[shape->options.feature_count];
    counts->decisions[decision]++;
    if (isnan(score)) {
        counts->invalid++;
        return;
    }
    float bounded = score < 0 ? 0 : score > 1 ? 1 : score;
    cell->sums[shape->options.feature_count + m] += llrint((double)bounded * 0x1p40);
    counts->equal[score_equal_bin(score)]++;
    counts->log[score_log_bin(score)]++;
    counts->uncertain += (double)score >= 0.4 && (double)score <= 0.6;
    if (column->bins)
        counts->bins[sketch_bin(column, score)]++;
}
