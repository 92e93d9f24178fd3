/* One cell of a sketch: which counts it has, how a value gets into them, what can be read off.
 *
 * Everything is an integer, so addition is exact and the order of events cannot show.  A sum is kept in fixed
 * point: llrint(x * 2^20) for a feature, 2^40 for a score, in 128 bits; a feature beyond 2^60 counts as 2^60 in its
 * mean (and in its own bin all the same). */
#include "monitor/sketch_shape.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Shape */

static void cut_column(struct sketch_shape *shape, size_t column, const struct baseline_column *reference)
{
    float edges[BASELINE_FINE];
    size_t bins = baseline_cut(reference, shape->options.bins, edges, shape->expected + column * shape->options.bins);
    memcpy(shape->edges + column * shape->span, edges, (bins - 1) * sizeof *edges);
    shape->bin_counts[column] = bins;
}

static void cut_baseline(struct sketch_shape *shape, const struct baseline *baseline)
{
    for (size_t f = 0; f < baseline->count; f++) {
        cut_column(shape, f, &baseline->features[f]);
        bool any = baseline->features[f].count > 0;
        shape->least[f] = any ? (float)baseline->features[f].min : -INFINITY;
        shape->greatest[f] = any ? (float)baseline->features[f].max : INFINITY;
    }
    if (baseline->has_score)
        cut_column(shape, baseline->count, &baseline->score);
}

struct sketch_shape *sketch_shape_create(const struct sketch_shape_options *options)
{
    assert(options->window_ms > 0 && options->model_count <= SKETCH_MODELS_MAX);
    assert(!options->baseline || options->baseline->count == options->feature_count);
    assert(options->bins == 0 || options->bins == BASELINE_COARSE || options->bins == BASELINE_FINE);
    struct sketch_shape *shape = calloc(1, sizeof *shape);
    if (!shape)
        return NULL;
    shape->options = *options;
    size_t bins = shape->options.bins = options->bins ? options->bins : BASELINE_COARSE;
    size_t columns = options->feature_count + 1;
    shape->span = bins == BASELINE_COARSE ? 32 : 256;
    size_t kept = options->baseline ? bins : 0;
    shape->feature_stride = sizeof(struct sketch_feature_counts) / sizeof(int64_t) + kept;
    shape->model_stride = sizeof(struct sketch_model_counts) / sizeof(int64_t) + kept;
    shape->counts = options->feature_count * shape->feature_stride + options->model_count * shape->model_stride;
    shape->edges = calloc(columns * shape->span, sizeof *shape->edges);
    shape->bin_counts = calloc(columns, sizeof *shape->bin_counts);
    shape->expected = calloc(columns * bins, sizeof *shape->expected);
    shape->least = calloc(columns, sizeof *shape->least);
    shape->greatest = calloc(columns, sizeof *shape->greatest);
    if (!shape->edges || !shape->bin_counts || !shape->expected || !shape->least || !shape->greatest) {
        sketch_shape_destroy(shape);
        return NULL;
    }
    for (size_t i = 0; i < columns * shape->span; i++)
        shape->edges[i] = INFINITY;
    if (options->baseline)
        cut_baseline(shape, options->baseline);
    return shape;
}

void sketch_shape_destroy(struct sketch_shape *shape)
{
    if (!shape)
        return;
    free(shape->edges);
    free(shape->bin_counts);
    free(shape->expected);
    free(shape->least);
    free(shape->greatest);
    free(shape);
}

const struct sketch_shape_options *sketch_shape_of(const struct sketch_shape *shape)
{
    return &shape->options;
}

size_t sketch_shape_bins(const struct sketch_shape *shape, size_t f, const int64_t **expected)
{
    assert(f <= shape->options.feature_count);
    if (expected)
        *expected = shape->expected + f * shape->options.bins;
    return shape->bin_counts[f];
}

static size_t sums_of(const struct sketch_shape *shape)
{
    return shape->options.feature_count + shape->options.model_count;
}

size_t sketch_cell_bytes(const struct sketch_shape *shape)
{
    return sizeof(struct sketch_cell) + sums_of(shape) * sizeof(__int128) +
           (shape->counts + shape->options.field_count) * sizeof(int64_t) + 16;
}

size_t sketch_cells_max(const struct sketch_shape *shape)
{
    size_t fit = ((size_t)32 << 20) / sketch_cell_bytes(shape);
    return fit < 16 ? 16 : fit > 4096 ? 4096 : fit;
}

/* Cells */

struct sketch_cell *sketch_cell_create(const struct sketch_shape *shape, int32_t partition, int64_t window_start_ms)
{
    size_t head = (sizeof(struct sketch_cell) + 15) / 16 * 16;
    struct sketch_cell *cell = malloc(sketch_cell_bytes(shape));
    if (!cell)
        return NULL;
    *cell = (struct sketch_cell){.partition = partition, .window_start_ms = window_start_ms};
    cell->sums = (void *)((char *)cell + head);
    cell->counts = (void *)(cell->sums + sums_of(shape));
    cell->last_seen_ms = cell->counts + shape->counts;
    sketch_cell_clear(shape, cell);
    return cell;
}

void sketch_cell_destroy(struct sketch_cell *cell)
{
    free(cell);
}

void sketch_cell_clear(const struct sketch_shape *shape, struct sketch_cell *cell)
{
    cell->events = cell->late = cell->incomplete = 0;
    memset(cell->rejects, 0, sizeof cell->rejects);
    memset(cell->sums, 0, sums_of(shape) * sizeof *cell->sums);
    memset(cell->counts, 0, shape->counts * sizeof *cell->counts);
    for (size_t i = 0; i < shape->options.field_count; i++)
        cell->last_seen_ms[i] = TIME_UNKNOWN;
}

void sketch_cell_merge(const struct sketch_shape *shape, struct sketch_cell *into, const struct sketch_cell *from)
{
    into->events += from->events;
    into->late += from->late;
    into->incomplete += from->incomplete;
    for (size_t i = 0; i < REJECT_REASON_COUNT; i++)
        into->rejects[i] += from->rejects[i];
    for (size_t i = 0; i < sums_of(shape); i++)
        into->sums[i] += from->sums[i];
    for (size_t i = 0; i < shape->counts; i++)
        into->counts[i] += from->counts[i];
    for (size_t i = 0; i < shape->options.field_count; i++)
        if (from->last_seen_ms[i] > into->last_seen_ms[i])
            into->last_seen_ms[i] = from->last_seen_ms[i];
}

static struct sketch_feature_counts *feature_counts(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f)
{
    return (void *)(cell->counts + f * shape->feature_stride);
}

struct sketch_model_counts *sketch_cell_model(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m)
{
    assert(m < shape->options.model_count);
    return (void *)(cell->counts + shape->options.feature_count * shape->feature_stride + m * shape->model_stride);
}

/* What goes in */

static __int128 fixed_point(float x)
{
    double scaled = (double)x * (double)(1 << FEATURE_SUM_BITS);
    if (fabs(scaled) < 0x1p62) /* fits llrint */
        return llrint(scaled);
    double limit = ldexp(1, 60 + FEATURE_SUM_BITS);
    return (__int128)(scaled > limit ? limit : scaled < -limit ? -limit : scaled); /* whole already: above 2^53 */
}

void sketch_cell_add_row(const struct sketch_shape *shape, struct sketch_cell *cell, const float *row)
{
    for (size_t f = 0; f < shape->options.feature_count; f++) {
        struct sketch_feature_counts *counts = feature_counts(shape, cell, f);
        float x = row[f];
        if (isnan(x)) {
            counts->missing++;
            continue;
        }
        x = x > FLT_MAX ? FLT_MAX : x < -FLT_MAX ? -FLT_MAX : x;
        cell->sums[f] += fixed_point(x);
        if (shape->bin_counts[f]) {
            counts->bins[sketch_bin(shape, f, x)]++;
            counts->below += x < shape->least[f];
            counts->above += x > shape->greatest[f];
        }
    }
}

void sketch_cell_add_fields(const struct sketch_shape *shape, struct sketch_cell *cell, const struct value *values, int64_t time_ms)
{
    for (size_t i = 0; i < shape->options.field_count; i++)
        if (time_ms > cell->last_seen_ms[i] && !value_is_null(&values[i]))
            cell->last_seen_ms[i] = time_ms;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A float's exponent and upper four mantissa bits, counted from 2^-20: 16 bins an octave, [least, next). */
enum { LOG_SHIFT = 19 };
static const float log_least = 0x1p-20f;

static size_t log_bin(float score)
{
    if (score < log_least)
        return 0;
    if (score >= 1)
        return SCORE_LOG_BINS - 1;
    return 1 + (bits_of(score) >> LOG_SHIFT) - (bits_of(log_least) >> LOG_SHIFT);
}

static double log_bin_least(size_t bin)
{
    return bin == 0 ? 0 : (double)float_of(bits_of(log_least) + ((uint32_t)(bin - 1) << LOG_SHIFT));
}

static size_t equal_bin(float score)
{
    if (score <= 0)
        return 0;
    if (score >= 1)
        return SCORE_EQUAL_BINS - 1;
    return (size_t)ceil((double)score * SCORE_EQUAL_BINS) - 1;
}

void sketch_cell_add_score(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, float score, enum decision decision)
{
    struct sketch_model_counts *counts = sketch_cell_model(shape, cell, m);
    counts->decisions[decision]++;
    if (isnan(score)) {
        counts->invalid++;
        return;
    }
    float bounded = score < 0 ? 0 : score > 1 ? 1 : score;
    cell->sums[shape->options.feature_count + m] += llrint((double)bounded * 0x1p40);
    counts->equal[equal_bin(score)]++;
    counts->log[log_bin(score)]++;
    if (shape->bin_counts[shape->options.feature_count])
        counts->bins[sketch_bin(shape, shape->options.feature_count, score)]++;
}

/* What can be read off */

const struct sketch_feature_counts *sketch_feature(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f)
{
    assert(f < shape->options.feature_count);
    return feature_counts(shape, cell, f);
}

const struct sketch_model_counts *sketch_model(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m)
{
    assert(m < shape->options.model_count);
    return (const void *)(cell->counts + shape->options.feature_count * shape->feature_stride + m * shape->model_stride);
}

__int128 sketch_score_sum(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m)
{
    assert(m < shape->options.model_count);
    return cell->sums[shape->options.feature_count + m];
}

double sketch_feature_mean(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f)
{
    int64_t n = cell->events - sketch_feature(shape, cell, f)->missing;
    return n > 0 ? ldexp((double)cell->sums[f], -FEATURE_SUM_BITS) / (double)n : NAN;
}

int64_t sketch_score_count(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m)
{
    const struct sketch_model_counts *counts = sketch_model(shape, cell, m);
    int64_t n = 0;
    for (size_t i = 0; i < SCORE_EQUAL_BINS; i++)
        n += counts->equal[i];
    return n;
}

double sketch_score_mean(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m)
{
    int64_t n = sketch_score_count(shape, cell, m);
    return n > 0 ? ldexp((double)sketch_score_sum(shape, cell, m), -SCORE_SUM_BITS) / (double)n : NAN;
}

double sketch_score_quantile(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m, double q)
{
    const struct sketch_model_counts *counts = sketch_model(shape, cell, m);
    double rank = q * (double)sketch_score_count(shape, cell, m);
    int64_t before = 0;
    for (size_t i = 0; i < SCORE_LOG_BINS; i++) {
        if (counts->log[i] > 0 && (double)(before + counts->log[i]) >= rank) {
            double least = log_bin_least(i), next = i == SCORE_LOG_BINS - 1 ? 1 : log_bin_least(i + 1);
            return least + (next - least) * (rank - (double)before) / (double)counts->log[i];
        }
        before += counts->log[i];
    }
    return NAN;
}
