#include "monitor/metrics.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const double histogram_bounds[HISTOGRAM_BOUNDS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                   0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

void histogram_observe(struct histogram *histogram, int64_t ns, int64_t times)
{
    int64_t t = ns < 0 ? 0 : ns;
    double seconds = (double)t / 1e9;
    size_t bucket = 0;
    while (bucket < HISTOGRAM_BOUNDS && seconds > histogram_bounds[bucket])
        bucket++;
    histogram->buckets[bucket] += times;
    histogram->sum_ns += (__int128)t * times;
}

double histogram_quantile(const struct histogram *histogram, double q)
{
    int64_t count = 0, before = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += histogram->buckets[i];
    double rank = q * (double)count;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        int64_t n = histogram->buckets[i];
        if (n > 0 && (double)(before + n) >= rank) {
            double low = i ? histogram_bounds[i - 1] : 0;
            return low + (histogram_bounds[i] - low) * (rank - (double)before) / (double)n;
        }
        before += n;
    }
    return count ? histogram_bounds[HISTOGRAM_BOUNDS - 1] : (double)NAN;
}

static void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        into->buckets[i] += from->buckets[i];
    into->sum_ns += from->sum_ns;
}

int metrics_init(struct metrics *metrics, const struct sketch_shape *shape)
{
    const struct sketch_shape_options *o = sketch_shape_of(shape);
    size_t models = sketch_models_max(shape) ? sketch_models_max(shape) : 1;
    *metrics = (struct metrics){.shape = shape};
    metrics->feature_missing = calloc(o->feature_count ? o->feature_count : 1, sizeof(int64_t));
    metrics->decisions = calloc(models * DECISION_COUNT, sizeof(int64_t));
    metrics->invalid = calloc(models, sizeof(int64_t));
    metrics->shed = calloc(models, sizeof(int64_t));
    metrics->score_bins = calloc(models * SCORE_EQUAL_BINS, sizeof(int64_t));
    metrics->score_sums = calloc(models, sizeof(__int128));
    if (metrics->feature_missing && metrics->decisions && metrics->invalid && metrics->shed && metrics->score_bins && metrics->score_sums)
        return 0;
    metrics_finish(metrics);
    return -1;
}

void metrics_finish(struct metrics *metrics)
{
    free(metrics->feature_missing);
    free(metrics->decisions);
    free(metrics->invalid);
    free(metrics->shed);
    free(metrics->score_bins);
    free(metrics->score_sums);
    free(metrics->partitions);
    *metrics = (struct metrics){0};
}

static void add_cell(struct metrics *metrics, const struct sketch_cell *cell)
{
    const struct sketch_shape_options *o = sketch_shape_of(metrics->shape);
    metrics->records += sketch_cell_records(cell);
    metrics->late += cell->late;
    metrics->incomplete += cell->incomplete;
    for (size_t i = 0; i < REJECT_REASON_COUNT; i++)
        metrics->dead_letters[i] += cell->rejects[i];
    for (size_t f = 0; f < o->feature_count; f++)
        metrics->feature_missing[f] += sketch_feature(metrics->shape, cell, f)->missing;
    for (size_t m = 0; m < sketch_models(metrics->shape); m++) {
        const struct sketch_model_counts *counts = sketch_model(metrics->shape, cell, m);
        for (size_t d = 0; d < DECISION_COUNT; d++)
            metrics->decisions[m * DECISION_COUNT + d] += counts->decisions[d];
        for (size_t i = 0; i < SCORE_EQUAL_BINS; i++)
            metrics->score_bins[m * SCORE_EQUAL_BINS + i] += counts->equal[i];
        metrics->invalid[m] += counts->invalid;
        metrics->shed[m] += counts->shed;
        metrics->score_sums[m] += sketch_score_sum(metrics->shape, cell, m);
    }
}

void metrics_add_sketch(struct metrics *metrics, struct sketch *delta)
{
    assert(sketch_shape(delta) == metrics->shape);
    for (size_t i = 0; i < sketch_cell_count(delta); i++)
        add_cell(metrics, sketch_cell_uncounted(delta, i)); /* missing values are there */
    for (size_t i = 0; i < sketch_position_count(delta); i++)
        metrics->beyond += sketch_position(delta, i)->beyond;
}

static void append_partition(struct metrics *metrics, struct partition_health partition)
{
    if (metrics->partition_count == metrics->partition_capacity) {
        metrics->partition_capacity = 2 * metrics->partition_capacity + 8;
        metrics->partitions = reallocarray(metrics->partitions, metrics->partition_capacity, sizeof *metrics->partitions);
        assert(metrics->partitions && "memory is short");
    }
    metrics->partitions[metrics->partition_count++] = partition;
}

void metrics_set_partition(struct metrics *metrics, struct partition_health partition)
{
    for (size_t i = 0; i < metrics->partition_count; i++)
        if (metrics->partitions[i].partition == partition.partition) {
            metrics->partitions[i] = partition;
            return;
        }
    append_partition(metrics, partition);
}

void metrics_drop_partition(struct metrics *metrics, int32_t partition)
{
    for (size_t i = 0; i < metrics->partition_count; i++)
        if (metrics->partitions[i].partition == partition) {
            metrics->partitions[i] = metrics->partitions[--metrics->partition_count];
            return;
        }
}

static void add_integers(int64_t *into, const int64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        into[i] += from[i];
}

void metrics_merge(struct metrics *into, const struct metrics *from)
{
    assert(into->shape == from->shape);
    const struct sketch_shape_options *o = sketch_shape_of(into->shape);
    into->records += from->records;
    into->late += from->late;
    into->incomplete += from->incomplete;
    into->beyond += from->beyond;
    add_integers(into->dead_letters, from->dead_letters, REJECT_REASON_COUNT);
    add_integers(into->feature_missing, from->feature_missing, o->feature_count);
    size_t models = sketch_models_max(into->shape);
    add_integers(into->decisions, from->decisions, models * DECISION_COUNT);
    add_integers(into->invalid, from->invalid, models);
    add_integers(into->shed, from->shed, models);
    add_integers(into->score_bins, from->score_bins, models * SCORE_EQUAL_BINS);
    for (size_t m = 0; m < models; m++)
        into->score_sums[m] += from->score_sums[m];
    into->input_bytes += from->input_bytes;
    into->commits += from->commits;
    into->aborts += from->aborts;
    add_integers(into->stage_ns, from->stage_ns, STAGE_COUNT);
    add_integers(into->write_errors, from->write_errors, WRITE_ERROR_COUNT);
    into->rebalances += from->rebalances;
    into->renewed_members += from->renewed_members;
    into->forced_rejoins += from->forced_rejoins;
    into->checkpoints += from->checkpoints;
    into->checkpoint_bytes += from->checkpoint_bytes;
    into->entities += from->entities;
    into->retained_events += from->retained_events;
    into->state_bytes += from->state_bytes;
    histogram_merge(&into->commit_seconds, &from->commit_seconds);
    histogram_merge(&into->latency_seconds, &from->latency_seconds);
    histogram_merge(&into->end_to_end_seconds, &from->end_to_end_seconds);
    histogram_merge(&into->checkpoint_seconds, &from->checkpoint_seconds);
    for (size_t i = 0; i < from->partition_count; i++)
        append_partition(into, from->partitions[i]);
}

/* To zero, keeping what is allocated. */
static void metrics_clear(struct metrics *metrics)
{
    const struct sketch_shape_options *o = sketch_shape_of(metrics->shape);
    struct metrics kept = {.shape = metrics->shape, .feature_missing = metrics->feature_missing, .decisions = metrics->decisions,
                           .invalid = metrics->invalid, .shed = metrics->shed, .score_bins = metrics->score_bins,
                           .score_sums = metrics->score_sums, .partitions = metrics->partitions,
                           .partition_capacity = metrics->partition_capacity};
    *metrics = kept;
    memset(metrics->feature_missing, 0, o->feature_count * sizeof(int64_t));
    size_t models = sketch_models_max(metrics->shape);
    memset(metrics->decisions, 0, models * DECISION_COUNT * sizeof(int64_t));
    memset(metrics->invalid, 0, models * sizeof(int64_t));
    memset(metrics->shed, 0, models * sizeof(int64_t));
    memset(metrics->score_bins, 0, models * SCORE_EQUAL_BINS * sizeof(int64_t));
    memset(metrics->score_sums, 0, models * sizeof(__int128));
}

void metrics_copy(struct metrics *to, const struct metrics *from)
{
    metrics_clear(to);
    metrics_merge(to, from);
}
