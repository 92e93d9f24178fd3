/* The families of /metrics, in order.  Names with ml_ are those that dashboards for models in general look for. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "monitor/exposition.h"
#include "monitor/metrics.h"

static void plain(struct text_buffer *text, const char *name, enum exposition_type type, const char *help, int64_t value)
{
    exposition_family(text, name, type, help);
    exposition_sample_integer(text, name, NULL, 0, value);
}

static void counter(struct text_buffer *text, const char *name, const char *help, int64_t value)
{
    plain(text, name, EXPOSITION_COUNTER, help, value);
}

static void gauge(struct text_buffer *text, const char *name, const char *help, int64_t value)
{
    plain(text, name, EXPOSITION_GAUGE, help, value);
}

static void seconds(struct text_buffer *text, const char *name, const char *help, const struct histogram *histogram)
{
    exposition_family(text, name, EXPOSITION_HISTOGRAM, help);
    exposition_histogram(text, name, NULL, 0, histogram_bounds, HISTOGRAM_BOUNDS, histogram->buckets, (double)histogram->sum_ns / 1e9);
}

/* A model that was shadow before it served has two slots. */
static void model_labels(const struct metrics *metrics, size_t m, struct label labels[2])
{
    struct sketch_model model = sketch_model_of(metrics->shape, m);
    labels[0] = (struct label){"model_version", model.id};
    labels[1] = (struct label){"role", model.shadow ? "shadow" : "served"};
}

static int64_t decided(const struct metrics *metrics, size_t m)
{
    int64_t n = 0;
    for (size_t d = 0; d < DECISION_COUNT; d++)
        n += metrics->decisions[m * DECISION_COUNT + d];
    return n;
}

static void expose_flow(const struct metrics *metrics, struct text_buffer *text)
{
    int64_t served = 0;
    for (size_t m = 0; m < sketch_models(metrics->shape); m++)
        served += sketch_model_of(metrics->shape, m).shadow ? 0 : decided(metrics, m);
    counter(text, "weir_records_total", "Input records committed: predictions and dead letters.", metrics->records + metrics->beyond);
    counter(text, "weir_input_bytes_total", "Bytes of values read from the input topic.", metrics->input_bytes);
    counter(text, "weir_predictions_total", "Served predictions committed.", served);
    exposition_family(text, "weir_dead_letters_total", EXPOSITION_COUNTER, "Rejected records committed to the dead-letter topic.");
    for (size_t i = REJECT_NONE + 1; i < REJECT_REASON_COUNT; i++) {
        struct label reason = {"reason", reject_name((enum reject_reason)i)};
        exposition_sample_integer(text, "weir_dead_letters_total", &reason, 1, metrics->dead_letters[i]);
    }
    counter(text, "weir_late_events_total", "Events behind their partition's stream time.", metrics->late);
    counter(text, "weir_incomplete_windows_total", "Events whose windows were not complete.", metrics->incomplete);
    counter(text, "weir_unmonitored_total", "Records that monitoring had no room for.", metrics->beyond);
}

static void expose_shadows(const struct metrics *metrics, struct text_buffer *text)
{
    exposition_family(text, "weir_shadow_predictions_total", EXPOSITION_COUNTER, "Scores of shadow models.");
    for (size_t m = 0; m < sketch_models(metrics->shape); m++)
        for (size_t d = 0; sketch_model_of(metrics->shape, m).shadow && d < DECISION_COUNT; d++) {
            struct label labels[] = {{"model_version", sketch_model_of(metrics->shape, m).id}, {"outcome", decision_name((enum decision)d)}};
            exposition_sample_integer(text, "weir_shadow_predictions_total", labels, 2, metrics->decisions[m * DECISION_COUNT + d]);
        }
    exposition_family(text, "weir_shadow_shed_total", EXPOSITION_COUNTER, "Shadow scores given up to protect serving.");
    for (size_t m = 0; m < sketch_models(metrics->shape); m++)
        if (sketch_model_of(metrics->shape, m).shadow)
            exposition_sample_integer(text, "weir_shadow_shed_total", &(struct label){"model_version", sketch_model_of(metrics->shape, m).id}, 1, metrics->shed[m]);
    exposition_family(text, "weir_invalid_scores_total", EXPOSITION_COUNTER, "Scores that were not a number.");
    for (size_t m = 0; m < sketch_models(metrics->shape); m++) {
        struct label labels[2];
        model_labels(metrics, m, labels);
        exposition_sample_integer(text, "weir_invalid_scores_total", labels, 2, metrics->invalid[m]);
    }
}

static void expose_work(const struct metrics *metrics, struct text_buffer *text)
{
    counter(text, "weir_commits_total", "Transactions committed.", metrics->commits);
    counter(text, "weir_aborts_total", "Transactions aborted.", metrics->aborts);
    static const char *const answers[WRITE_ERROR_COUNT] = {"retried", "aborted", "rejoined", "renewed"};
    exposition_family(text, "weir_write_errors_total", EXPOSITION_COUNTER, "Errors while outputs and offsets were written, by what was done: call again, abort and send again, wait for the group, make the producer anew.");
    for (int i = 0; i < WRITE_ERROR_COUNT; i++)
        exposition_sample_integer(text, "weir_write_errors_total", &(struct label){"answer", answers[i]}, 1, metrics->write_errors[i]);
    counter(text, "weir_rebalances_total", "Assignments taken or given up.", metrics->rebalances);
    counter(text, "weir_members_renewed_total", "Consumers made anew after the group had shut them out.", metrics->renewed_members);
    counter(text, "weir_forced_rejoins_total", "Rebalances asked for because partitions had no owner.", metrics->forced_rejoins);
    counter(text, "weir_checkpoints_total", "Checkpoints completed.", metrics->checkpoints);
    counter(text, "weir_checkpoint_bytes_total", "Written to the state's changelog.", metrics->checkpoint_bytes);
    seconds(text, "weir_checkpoint_seconds", "From a checkpoint's beginning to its marker.", &metrics->checkpoint_seconds);
    seconds(text, "weir_commit_seconds", "Time a commit takes.", &metrics->commit_seconds);
    seconds(text, "weir_end_to_end_latency_seconds", "From the record's timestamp to the commit of what became of it.", &metrics->end_to_end_seconds);
    static const char *const stages[STAGE_COUNT] = {"decode", "features", "score", "emit", "observe"};
    exposition_family(text, "weir_stage_cpu_seconds_total", EXPOSITION_COUNTER, "CPU time of the lanes by stage; the rest of the process's is the broker's protocol.");
    for (int i = 0; i < STAGE_COUNT; i++)
        exposition_sample(text, "weir_stage_cpu_seconds_total", &(struct label){"stage", stages[i]}, 1, (double)metrics->stage_ns[i] / 1e9);
    gauge(text, "weir_entities", "Entities held in memory.", metrics->entities);
    gauge(text, "weir_retained_events", "Events held in memory.", metrics->retained_events);
    gauge(text, "weir_state_bytes", "Bytes that the windows take.", metrics->state_bytes);
}

static int compare_partitions(const void *a, const void *b)
{
    int32_t x = ((const struct partition_health *)a)->partition, y = ((const struct partition_health *)b)->partition;
    return (x > y) - (x < y);
}

static void expose_partitions(const struct partition_health *partitions, size_t count, int64_t now_ms, struct text_buffer *text)
{
    char number[16];
    struct label partition = {"partition", number};
    exposition_family(text, "weir_stream_time_lag_seconds", EXPOSITION_GAUGE, "Wall clock minus the stream time of a partition.");
    for (size_t i = 0; i < count; i++) {
        double lag = freshness_stream_lag_seconds(now_ms, partitions[i].stream_time_ms);
        snprintf(number, sizeof number, "%d", partitions[i].partition);
        if (!isnan(lag))
            exposition_sample(text, "weir_stream_time_lag_seconds", &partition, 1, lag);
    }
    exposition_family(text, "weir_checkpoint_age_seconds", EXPOSITION_GAUGE, "Since the latest checkpoint of a partition was closed.");
    for (size_t i = 0; i < count; i++) {
        snprintf(number, sizeof number, "%d", partitions[i].partition);
        if (partitions[i].checkpoint_ms)
            exposition_sample(text, "weir_checkpoint_age_seconds", &partition, 1, (double)(now_ms - partitions[i].checkpoint_ms) / 1000);
    }
    exposition_family(text, "weir_consumer_lag_records", EXPOSITION_GAUGE, "Records of a partition not yet processed.");
    for (size_t i = 0; i < count; i++) {
        int64_t lag = freshness_consumer_lag(partitions[i].end_offset, partitions[i].position);
        snprintf(number, sizeof number, "%d", partitions[i].partition);
        if (lag >= 0)
            exposition_sample_integer(text, "weir_consumer_lag_records", &partition, 1, lag);
    }
}

static void expose_partitions_in_order(const struct metrics *metrics, int64_t now_ms, struct text_buffer *text)
{
    struct partition_health *sorted = calloc(metrics->partition_count + 1, sizeof *sorted);
    assert(sorted && "memory is short");
    for (size_t i = 0; i < metrics->partition_count; i++)
        sorted[i] = metrics->partitions[i];
    qsort(sorted, metrics->partition_count, sizeof *sorted, compare_partitions);
    expose_partitions(sorted, metrics->partition_count, now_ms, text);
    free(sorted);
}

static void expose_score_values(const struct metrics *metrics, struct text_buffer *text)
{
    double bounds[SCORE_EQUAL_BINS];
    for (size_t i = 0; i < SCORE_EQUAL_BINS; i++)
        bounds[i] = (double)(i + 1) / SCORE_EQUAL_BINS;
    exposition_family(text, "ml_prediction_value", EXPOSITION_HISTOGRAM, "Scores, of served and shadow models.");
    for (size_t m = 0; m < sketch_models(metrics->shape); m++) {
        int64_t buckets[SCORE_EQUAL_BINS + 1] = {0};
        for (size_t i = 0; i < SCORE_EQUAL_BINS; i++)
            buckets[i] = metrics->score_bins[m * SCORE_EQUAL_BINS + i];
        struct label labels[2];
        model_labels(metrics, m, labels);
        exposition_histogram(text, "ml_prediction_value", labels, 2, bounds, SCORE_EQUAL_BINS,
                             buckets, ldexp((double)metrics->score_sums[m], -SCORE_SUM_BITS));
    }
}

/* How sure a model is of what it says: the larger of the score and 1 - score.  The bins of the scores folded at 0.5, so a
 * score on a bin's upper end below 0.5 counts one bin too high, and the sum is that of the bins' middles. */
static void expose_confidence(const struct metrics *metrics, struct text_buffer *text)
{
    enum { HALF = SCORE_EQUAL_BINS / 2 };
    double bounds[HALF];
    for (int i = 0; i < HALF; i++)
        bounds[i] = 0.5 + (double)(i + 1) / SCORE_EQUAL_BINS;
    exposition_family(text, "ml_model_confidence", EXPOSITION_HISTOGRAM, "The larger of score and 1 - score, from bins of the score.");
    for (size_t m = 0; m < sketch_models(metrics->shape); m++) {
        const int64_t *bins = metrics->score_bins + m * SCORE_EQUAL_BINS;
        int64_t buckets[HALF + 1] = {0};
        double sum = 0;
        for (int i = 0; i < HALF; i++) {
            buckets[i] = bins[HALF + i] + bins[HALF - 1 - i];
            sum += (double)buckets[i] * (bounds[i] - 0.5 / SCORE_EQUAL_BINS);
        }
        struct label labels[2];
        model_labels(metrics, m, labels);
        exposition_histogram(text, "ml_model_confidence", labels, 2, bounds, HALF, buckets, sum);
    }
}

static void expose_models(const struct metrics *metrics, struct text_buffer *text)
{
    const struct sketch_shape_options *o = sketch_shape_of(metrics->shape);
    exposition_family(text, "ml_predictions_total", EXPOSITION_COUNTER, "Served predictions by model and decision.");
    for (size_t m = 0; m < sketch_models(metrics->shape); m++)
        for (size_t d = 0; !sketch_model_of(metrics->shape, m).shadow && d < DECISION_COUNT; d++) {
            struct label labels[] = {{"model_version", sketch_model_of(metrics->shape, m).id}, {"outcome", decision_name((enum decision)d)}};
            exposition_sample_integer(text, "ml_predictions_total", labels, 2, metrics->decisions[m * DECISION_COUNT + d]);
        }
    seconds(text, "ml_prediction_latency_seconds", "From the record's being taken up to its prediction's commit.", &metrics->latency_seconds);
    expose_score_values(metrics, text);
    expose_confidence(metrics, text);
    exposition_family(text, "ml_feature_missing_total", EXPOSITION_COUNTER, "Events in which a feature was missing.");
    for (size_t f = 0; f < o->feature_count; f++)
        exposition_sample_integer(text, "ml_feature_missing_total", &(struct label){"feature", o->features[f]}, 1, metrics->feature_missing[f]);
}

static void expose_drift(const struct metrics *metrics, const double *drift, struct text_buffer *text)
{
    const struct sketch_shape_options *o = sketch_shape_of(metrics->shape);
    exposition_family(text, "ml_drift_score", EXPOSITION_GAUGE, "Population stability index of the last closed window.");
    for (size_t f = 0; drift && f < o->feature_count; f++)
        if (!isnan(drift[f]))
            exposition_sample(text, "ml_drift_score", &(struct label){"feature_name", o->features[f]}, 1, drift[f]);
    exposition_family(text, "weir_score_drift", EXPOSITION_GAUGE, "Population stability index of a model's scores, last closed window.");
    for (size_t m = 0; drift && m < sketch_models(metrics->shape); m++)
        if (!isnan(drift[o->feature_count + m])) {
            struct label labels[2];
            model_labels(metrics, m, labels);
            exposition_sample(text, "weir_score_drift", labels, 2, drift[o->feature_count + m]);
        }
}

static void known_gauge(struct text_buffer *text, const char *name, const char *help, int64_t value)
{
    if (value >= 0)
        gauge(text, name, help, value);
}

static void expose_process(const struct process_metrics *process, struct text_buffer *text)
{
    exposition_family(text, "weir_build_info", EXPOSITION_GAUGE, "The version, as a label; always 1.");
    exposition_sample_integer(text, "weir_build_info", &(struct label){"version", process->version}, 1, 1);
    gauge(text, "weir_ready", "1 when the process does its work.", process->ready);
    exposition_family(text, "process_cpu_seconds_total", EXPOSITION_COUNTER, "User and system time of the process.");
    exposition_sample(text, "process_cpu_seconds_total", NULL, 0, process->cpu_seconds);
    exposition_family(text, "process_start_time_seconds", EXPOSITION_GAUGE, "Start of the process since the epoch.");
    exposition_sample(text, "process_start_time_seconds", NULL, 0, process->start_time_seconds);
    known_gauge(text, "process_resident_memory_bytes", "Memory in use.", process->resident_bytes);
    known_gauge(text, "process_virtual_memory_bytes", "Address space in use.", process->virtual_bytes);
    known_gauge(text, "process_open_fds", "Open file descriptors.", process->open_fds);
    known_gauge(text, "process_max_fds", "File descriptors allowed.", process->max_fds);
}

void metrics_expose(const struct metrics *metrics, const struct process_metrics *process, struct text_buffer *text)
{
    expose_flow(metrics, text);
    expose_shadows(metrics, text);
    expose_work(metrics, text);
    expose_partitions_in_order(metrics, process->now_ms, text);
    expose_models(metrics, text);
    expose_drift(metrics, process->drift, text);
    expose_process(process, text);
}
