/* One cell of a sketch: how a value gets into its counts, how two are added.
 *
 * Everything is an integer, so addition is exact and the order of events cannot show.  A sum is kept in fixed
 * point: llrint(x * 2^20) for a feature, 2^40 for a score, in 128 bits; a feature beyond 2^60 counts as 2^60 in its
 * mean (and in its own bin all the same).
 *
 * Rows come in blocks of eight: the eight searches of a column have no branch and do not wait for one another. */
#include "monitor/sketch_shape.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8, NUMBER_TEXT = 32 };

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
           o->segment_count * sizeof(struct cardinality) + (o->segment_count + 1) * sizeof(struct sketch_values);
}

size_t sketch_cells_max(const struct sketch_shape *shape)
{
    size_t fit = ((size_t)32 << 20) / sketch_cell_bytes(shape);
    return fit < 16 ? 16 : fit > 4096 ? 4096 : fit;
}

struct sketch_cell *sketch_cell_create(const struct sketch_shape *shape, int32_t partition, int64_t window_start_ms)
{
    const struct sketch_shape_options *o = &shape->options;
    struct sketch_cell *cell = malloc(sketch_cell_bytes(shape));
    if (!cell)
        return NULL;
    *cell = (struct sketch_cell){.partition = partition, .window_start_ms = window_start_ms};
    cell->sums = (void *)((char *)cell + head_bytes());
    cell->counts = (void *)(cell->sums + sums_of(shape));
    cell->last_seen_ms = cell->counts + shape->counts;
    cell->values = (void *)(cell->last_seen_ms + o->field_count);
    cell->distinct = (void *)(cell->values + o->segment_count + 1);
    sketch_cell_clear(shape, cell);
    return cell;
}

void sketch_cell_destroy(struct sketch_cell *cell)
{
    free(cell);
}

void sketch_cell_clear(const struct sketch_shape *shape, struct sketch_cell *cell)
{
    const struct sketch_shape_options *o = &shape->options;
    cell->events = cell->late = cell->overdue = cell->incomplete = 0;
    memset(cell->rejects, 0, sizeof cell->rejects);
    memset(cell->sums, 0, sums_of(shape) * sizeof *cell->sums);
    memset(cell->counts, 0, shape->counts * sizeof *cell->counts);
    for (size_t i = 0; i < o->field_count; i++)
        cell->last_seen_ms[i] = TIME_UNKNOWN;
    memset(cell->distinct, 0, o->segment_count * sizeof *cell->distinct);
    for (size_t i = 0; i <= o->segment_count; i++)
        cell->values[i].count = 0;
}

void sketch_cell_merge(const struct sketch_shape *shape, struct sketch_cell *into, const struct sketch_cell *from)
{
    const struct sketch_shape_options *o = &shape->options;
    into->events += from->events;
    into->late += from->late;
    into->overdue += from->overdue;
    into->incomplete += from->incomplete;
    for (size_t i = 0; i < REJECT_REASON_COUNT; i++)
        into->rejects[i] += from->rejects[i];
    for (size_t i = 0; i < sums_of(shape); i++)
        into->sums[i] += from->sums[i];
    for (size_t i = 0; i < shape->counts; i++)
        into->counts[i] += from->counts[i];
    for (size_t i = 0; i < o->field_count; i++)
        if (from->last_seen_ms[i] > into->last_seen_ms[i])
            into->last_seen_ms[i] = from->last_seen_ms[i];
    for (size_t i = 0; i < o->segment_count; i++)
        cardinality_merge(&into->distinct[i], &from->distinct[i]);
    for (size_t i = 0; i <= o->segment_count; i++)
        sketch_values_merge(&into->values[i], &from->values[i]);
}

/* ---- rows ---- */

static struct sketch_feature_counts *feature_counts(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f)
{
    return (void *)(cell->counts + f * shape->feature_stride);
}

static __int128 fixed_point(float x)
{
    double scaled = (double)x * (double)(1 << FEATURE_SUM_BITS);
    if (fabs(scaled) < 0x1p62) /* fits llrint */
        return llrint(scaled);
    double limit = ldexp(1, 60 + FEATURE_SUM_BITS);
    return (__int128)(scaled > limit ? limit : scaled < -limit ? -limit : scaled); /* whole already: above 2^53 */
}

static void add_value(const struct sketch_shape *shape, struct sketch_cell *cell, size_t f, float value)
{
    struct sketch_feature_counts *counts = feature_counts(shape, cell, f);
    const struct sketch_column *column = &shape->columns[f];
    if (isnan(value)) {
        counts->missing++;
        return;
    }
    float x = value > FLT_MAX ? FLT_MAX : value < -FLT_MAX ? -FLT_MAX : value;
    cell->sums[f] += fixed_point(x);
    if (!column->bins)
        return;
    counts->bins[sketch_bin(column, x)]++;
    counts->below += x < column->least;
    counts->above += x > column->greatest;
    counts->far += x < column->far_below || x > column->far_above;
}

/* The nearest integer, ties to even, of |x| < 2^51: adding 1.5 * 2^52 leaves it in the lower mantissa bits. */
static int64_t nearest(double x)
{
    double shifted = x + 0x1.8p52;
    int64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits - 0x4338000000000000;
}

/* Eight values that are there and small enough that their sum fits 64 bits. */
static void add_block(const struct sketch_shape *shape, struct sketch_cell *cell, size_t f, const float x[BLOCK])
{
    struct sketch_feature_counts *counts = feature_counts(shape, cell, f);
    const struct sketch_column *column = &shape->columns[f];
    const float *edges = column->edges;
    uint32_t bin[BLOCK] = {0};
    int64_t sum = 0, outside = 0;
#pragma GCC unroll 8
    for (int i = 0; i < BLOCK; i++)
        sum += nearest((double)x[i] * (double)(1 << FEATURE_SUM_BITS));
    cell->sums[f] += sum;
    if (!column->bins)
        return;
    for (uint32_t step = (uint32_t)column->span / 2; step; step /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < BLOCK; i++)
            bin[i] += step & -(uint32_t)(edges[bin[i] + step - 1] < x[i]); /* a mask: a jump would be mispredicted */
#pragma GCC unroll 8
    for (int i = 0; i < BLOCK; i++)
        counts->bins[bin[i]]++;
#pragma GCC unroll 8
    for (int i = 0; i < BLOCK; i++)
        outside += (x[i] < column->least) | (x[i] > column->greatest) | (x[i] < column->far_below) | (x[i] > column->far_above);
    for (int i = 0; outside && i < BLOCK; i++) {
        counts->below += x[i] < column->least;
        counts->above += x[i] > column->greatest;
        counts->far += x[i] < column->far_below || x[i] > column->far_above;
    }
}

static void add_rows_block(const struct sketch_shape *shape, struct sketch_cell *cell, const float *const *rows)
{
    for (size_t f = 0; f < shape->options.feature_count; f++) {
        float x[BLOCK];
        int small = 0;
#pragma GCC unroll 8
        for (int i = 0; i < BLOCK; i++) {
            x[i] = rows[i][f];
            small += fabsf(x[i]) < 0x1p30f; /* no NaN is */
        }
        if (small == BLOCK)
            add_block(shape, cell, f, x);
        else
            for (int i = 0; i < BLOCK; i++)
                add_value(shape, cell, f, x[i]);
    }
}

void sketch_cell_add_rows(const struct sketch_shape *shape, struct sketch_cell *cell, const float *const *rows, size_t n)
{
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        add_rows_block(shape, cell, rows + i);
    for (; i < n; i++)
        for (size_t f = 0; f < shape->options.feature_count; f++)
            add_value(shape, cell, f, rows[i][f]);
}

/* ---- fields ---- */

void sketch_cell_add_fields(const struct sketch_shape *shape, struct sketch_cell *cell, const struct value *values, int64_t time_ms)
{
    for (size_t i = 0; i < shape->options.field_count; i++)
        if (time_ms > cell->last_seen_ms[i] && !value_is_null(&values[i]))
            cell->last_seen_ms[i] = time_ms;
}

static uint64_t hash_of(const struct value *value)
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

static void name_value(struct sketch_value *named, const struct value *value)
{
    char text[NUMBER_TEXT];
    if (value->type == VALUE_TEXT)
        sketch_value_name(named, value->text, value->size);
    else if (value->type == VALUE_DOUBLE)
        sketch_value_name(named, text, (size_t)snprintf(text, sizeof text, "%.17g", value->real));
    else if (value->type == VALUE_BOOL)
        sketch_value_name(named, value->integer ? "true" : "false", value->integer ? 4 : 5);
    else
        sketch_value_name(named, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value->integer));
}

static size_t category_of(const struct segment_shape *segment, uint64_t hash)
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
        uint64_t hash = hash_of(value);
        cardinality_add(&cell->distinct[s], hash);
        if (!shape->options.segments[s].valued)
            continue;
        size_t category = category_of(segment, hash);
        counts->categories[category]++;
        if (category + 1 < segment->categories)
            continue;
        int fresh;
        struct sketch_value *named = sketch_values_add(&cell->values[s], hash, 1, &fresh);
        if (named && fresh)
            name_value(named, value);
    }
}

void sketch_cell_add_schema(const struct sketch_shape *shape, struct sketch_cell *cell, int32_t schema_id)
{
    int fresh;
    struct sketch_value *named = sketch_values_add(&cell->values[shape->options.segment_count], cardinality_hash_integer(schema_id), 1, &fresh);
    if (named && fresh)
        name_value(named, &(struct value){.type = VALUE_INT, .integer = schema_id});
}

/* ---- scores ---- */

struct sketch_model_counts *sketch_cell_model(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m)
{
    assert(m < shape->models_max);
    return (void *)(cell->counts + shape->models_at + m * shape->model_stride);
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
