#include "consumer/observer.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline_file.h"
#include "consumer/deployment.h"
#include "consumer/hash.h"
#include "consumer/log.h"
#include "consumer/pipeline.h"

struct observer {
    pthread_mutex_t lock; /* of aggregate and reports */
    bool alone;
    const char *topic;
    double scoring_budget_seconds;
    const char **features, **fields;
    int64_t *reach_ms; /* by feature */
    struct sketch_model models[4 + SHADOWS_MAX];
    struct sketch_segment segments[SKETCH_SEGMENTS_MAX];
    size_t width_count;
    int64_t widths_ms[AGGREGATE_WIDTHS_MAX];
    size_t series; /* features + model slots */
    double *drift; /* told by the aggregator */
    struct baseline *baseline;
    struct sketch_shape *shape;
    struct aggregate *aggregate;
    struct report_list reports;
};

static size_t name_models(struct observer *o, const struct config *config)
{
    size_t count = 0;
    if (!config->models.given)
        return 0;
    o->models[count++] = (struct sketch_model){config->models.champion.id, false};
    o->models[count++] = (struct sketch_model){"fallback", false};
    if (config->models.has_canary)
        o->models[count++] = (struct sketch_model){config->models.canary.id, false};
    if (config->models.fallback.file)
        o->models[count++] = (struct sketch_model){config->models.fallback.id, false};
    for (size_t i = 0; i < config->models.shadow_count; i++)
        o->models[count++] = (struct sketch_model){config->models.shadows[i].id, true};
    return count;
}

/* The fields of monitor.segments by value, the entity by number alone. */
static size_t name_segments(struct observer *o, const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->monitor.segment_count && count + 1 < SKETCH_SEGMENTS_MAX; i++)
        o->segments[count++] = (struct sketch_segment){(size_t)config->segment_slots[i], true};
    o->segments[count++] = (struct sketch_segment){FIELD_ENTITY, false};
    return count;
}

/* An hour and a day beside monitor.window, where they are whole numbers of it. */
static void choose_widths(struct observer *o, int64_t window_ms)
{
    static const int64_t longer[] = {3600000, 86400000};
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
        if (longer[i] > window_ms && longer[i] % window_ms == 0)
            o->widths_ms[o->width_count++] = longer[i];
}

static int load_baseline(struct observer *o, const struct config *config, struct err *err)
{
    if (!config->monitor.baseline)
        return 0;
    if (baseline_of_config(config, &o->baseline, err) < 0)
        return err_prefix(err, "%s: monitor.baseline", config->file);
    uint8_t spec[32];
    sha256(config->spec->canonical, strlen(config->spec->canonical), spec);
    if (memcmp(spec, o->baseline->feature_spec_sha256, sizeof spec) != 0)
        log_warning("%s: monitor.baseline %s was made with another definition of these features; drift is measured against it all the same", config->file, config->monitor.baseline);
    return 0;
}

int observer_create(const struct config *config, int64_t now_ms, struct observer **out, struct err *err)
{
    struct observer *o = calloc(1, sizeof *o);
    assert(o);
    pthread_mutex_init(&o->lock, NULL);
    o->features = feature_spec_names(config->spec);
    o->fields = calloc(config->fields.count + 1, sizeof *o->fields);
    o->reach_ms = calloc(config->spec->count + 1, sizeof *o->reach_ms);
    assert(o->features && o->fields && o->reach_ms);
    for (size_t f = 0; f < config->spec->count; f++)
        o->reach_ms[f] = feature_reach_ms(config->spec, f);
    for (size_t i = 0; i < config->fields.count; i++)
        o->fields[i] = config->fields.fields[i].name;
    size_t models = name_models(o, config), segments = name_segments(o, config);
    o->alone = true;
    o->topic = config->input.topic;
    o->scoring_budget_seconds = config->models.latency_budget_ms / 1000;
    choose_widths(o, config->monitor.window_ms);
    if (load_baseline(o, config, err) < 0)
        goto fail;
    struct sketch_shape_options shape = {.window_ms = config->monitor.window_ms,
        .lateness_ms = config->spec->lateness_ms,
        .feature_count = config->spec->count,
        .features = o->features,
        .reach_ms = o->reach_ms,
        .model_count = models,
        .models = o->models,
        .field_count = config->fields.count,
        .fields = o->fields,
        .segment_count = segments,
        .segments = o->segments,
        .baseline = o->baseline,
        .bins = config->monitor.bins ? BASELINE_EQUAL : BASELINE_FINE,
        .equal_width = config->monitor.bins};
    o->shape = sketch_shape_create(&shape);
    assert(o->shape);
    o->series = config->spec->count + sketch_models_max(o->shape);
    o->aggregate = observer_aggregate(o, now_ms);
    o->drift = calloc(o->series + 1, sizeof *o->drift);
    assert(o->drift);
    observer_set_drift(o, NULL);
    *out = o;
    return 0;
fail:
    observer_destroy(o);
    return -1;
}

void observer_destroy(struct observer *o)
{
    if (!o)
        return;
    report_list_finish(&o->reports);
    aggregate_destroy(o->aggregate);
    sketch_shape_destroy(o->shape);
    baseline_destroy(o->baseline);
    free(o->drift);
    free(o->features);
    free(o->reach_ms);
    free(o->fields);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

const struct sketch_shape *observer_shape(const struct observer *o)
{
    return o->shape;
}

void observer_share(struct observer *o)
{
    o->alone = false;
}

size_t observer_widths(const struct observer *o)
{
    return o->width_count;
}

struct aggregate *observer_aggregate(const struct observer *o, int64_t now_ms)
{
    struct aggregate_options options = {.shape = o->shape, .topic = o->topic, .width_count = o->width_count, .widths_ms = o->widths_ms, .stream_clock = now_ms == 0,
        .scoring_budget_seconds = now_ms == 0 ? 0 : o->scoring_budget_seconds}; /* what a replay tells is of the data */
    struct aggregate *aggregate = aggregate_create(&options, now_ms);
    assert(aggregate);
    return aggregate;
}

void observer_merge(struct observer *o, struct sketch *delta, int64_t now_ms)
{
    if (!o->alone)
        return;
    pthread_mutex_lock(&o->lock);
    aggregate_merge(o->aggregate, delta, now_ms, &o->reports);
    pthread_mutex_unlock(&o->lock);
}

void observer_forget(struct observer *o, int32_t partition)
{
    if (!o->alone)
        return;
    pthread_mutex_lock(&o->lock);
    aggregate_forget(o->aggregate, partition, &o->reports);
    pthread_mutex_unlock(&o->lock);
}

void observer_health(struct observer *o, const struct partition_health *partitions, size_t count, int64_t now_ms)
{
    pthread_mutex_lock(&o->lock);
    aggregate_partition_health(o->aggregate, partitions, count, now_ms, &o->reports);
    if (o->alone)
        aggregate_field_health(o->aggregate, now_ms, &o->reports);
    pthread_mutex_unlock(&o->lock);
}

void observer_flush(struct observer *o, bool all)
{
    pthread_mutex_lock(&o->lock);
    aggregate_flush(o->aggregate, all, &o->reports);
    pthread_mutex_unlock(&o->lock);
}

struct report_list observer_take_all(struct observer *o)
{
    pthread_mutex_lock(&o->lock);
    struct report_list taken = o->reports;
    o->reports = (struct report_list){0};
    pthread_mutex_unlock(&o->lock);
    return taken;
}

void observer_take(struct observer *o, void (*each)(void *context, const struct report *report), void *context)
{
    struct report_list taken = observer_take_all(o);
    for (size_t i = 0; i < taken.count; i++)
        each(context, &taken.rows[i]);
    report_list_finish(&taken);
}

void observer_drift(struct observer *o, double *drift)
{
    pthread_mutex_lock(&o->lock);
    memcpy(drift, o->alone ? aggregate_drift(o->aggregate) : o->drift, o->series * sizeof *drift);
    pthread_mutex_unlock(&o->lock);
}

void observer_set_drift(struct observer *o, const double *drift)
{
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; i < o->series; i++)
        o->drift[i] = drift ? drift[i] : (double)NAN;
    pthread_mutex_unlock(&o->lock);
}
