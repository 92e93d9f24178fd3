/* What can be read off a cell: counts, means, quantiles; and the histograms of scores and latencies behind them. */
#include "monitor/sketch_shape.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- bins of a score ---- */

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

size_t score_log_bin(float score)
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

size_t score_equal_bin(float score)
{
    if (score <= 0)
        return 0;
    if (score >= 1)
        return SCORE_EQUAL_BINS - 1;
    double scaled = (double)score * SCORE_EQUAL_BINS;
    size_t whole = (size_t)scaled;
    return whole - ((double)whole == scaled); /* the ceiling, less one */
}

/* ---- bins of a latency: whole milliseconds to 8, then 8 an octave; the last is 2^24 ms (4.7 hours) and beyond ---- */

enum { EXACT = 8, OCTAVE = 8 };

size_t latency_bin(int64_t ms)
{
    if (ms < EXACT)
        return ms < 0 ? 0 : (size_t)ms;
    int octave = 63 - __builtin_clzll((unsigned long long)ms); /* 3 and more */
    size_t bin = EXACT + (size_t)(octave - 3) * OCTAVE + ((size_t)(ms >> (octave - 3)) & (OCTAVE - 1));
    return bin < LATENCY_BINS ? bin : LATENCY_BINS - 1;
}

static double latency_least(size_t bin)
{
    if (bin < EXACT)
        return (double)bin;
    size_t octave = (bin - EXACT) / OCTAVE, step = (bin - EXACT) % OCTAVE;
    return ldexp((double)(OCTAVE + step), (int)octave);
}

double latency_quantile(const int64_t *bins, double q)
{
    int64_t n = 0, before = 0;
    for (size_t i = 0; i < LATENCY_BINS; i++)
        n += bins[i];
    double rank = q * (double)n;
    for (size_t i = 0; i < LATENCY_BINS; i++) {
        if (bins[i] > 0 && (double)(before + bins[i]) >= rank) {
            double least = latency_least(i);
            return i == LATENCY_BINS - 1 ? least : least + (latency_least(i + 1) - least) * (rank - (double)before) / (double)bins[i];
        }
        before += bins[i];
    }
    return NAN;
}

/* ---- counts ---- */

const struct sketch_feature_counts *sketch_feature(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f)
{
    assert(f < shape->options.feature_count);
    return (const void *)(cell->counts + f * shape->feature_stride);
}

const struct sketch_model_counts *sketch_model(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m)
{
    assert(m < shape->models_max);
    return (const void *)(cell->counts + shape->models_at + m * shape->model_stride);
}

const struct sketch_segment_counts *sketch_segment_of(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t segment)
{
    assert(segment < shape->options.segment_count);
    return (const void *)(cell->counts + shape->segments[segment].at);
}

const int64_t *sketch_latencies(const struct sketch_shape *shape, const struct sketch_cell *cell)
{
    return cell->counts + shape->latencies_at;
}

const int64_t *sketch_fallbacks(const struct sketch_shape *shape, const struct sketch_cell *cell)
{
    return cell->counts + shape->fallbacks_at;
}

const int64_t *sketch_field_rejects(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t field)
{
    assert(field < shape->options.field_count);
    return cell->counts + shape->rejects_at + field * REJECT_REASON_COUNT;
}

int64_t sketch_cell_records(const struct sketch_cell *cell)
{
    int64_t n = cell->events;
    for (size_t i = 0; i < REJECT_REASON_COUNT; i++)
        n += cell->rejects[i];
    return n;
}

/* ---- means and quantiles ---- */

__int128 sketch_score_sum(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m)
{
    assert(m < shape->models_max);
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

double sketch_apart_quantile(const struct sketch_comparison *comparison, double q)
{
    int64_t n = 0, before = 0;
    for (size_t i = 0; i < APART_BINS; i++)
        n += comparison->apart[i];
    double rank = q * (double)n;
    for (size_t i = 0; i < APART_BINS; i++) {
        int64_t here = comparison->apart[i];
        if (here > 0 && (double)(before + here) >= rank) {
            double least = i ? log_bin_least(4 * i - 3) : 0, next = i == APART_BINS - 1 ? 1 : log_bin_least(4 * i + 1);
            return least + (next - least) * (rank - (double)before) / (double)here;
        }
        before += here;
    }
    return NAN;
}
