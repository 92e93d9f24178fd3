/* One pass over the source: each run of records of a partition goes through the pipeline, outputs into files. */
#include "consumer/replay/replay.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "consumer/aggregator/evaluation.h"
#include "consumer/avro/container.h"
#include "consumer/clock.h"
#include "consumer/kafka/topics.h"
#include "consumer/observer.h"
#include "consumer/output.h"
#include "consumer/process.h"
#include "consumer/progress.h"
#include "consumer/replay/deployments.h"
#include "consumer/replay/export.h"
#include "consumer/replay/labels.h"
#include "consumer/replay/source.h"
#include "consumer/stop.h"
#include "schemas/embedded.h"

enum { FILE_PREDICTIONS, FILE_SHADOWS, FILE_DEAD_LETTERS, FILE_REPORTS, FILE_COUNT };

struct replay {
    const struct replay_options *o;
    struct replay_summary *summary;
    struct registry *registry;
    struct deployment *deployment;
    struct pipeline *pipeline;
    struct source *source;
    struct partition_state *states;
    size_t state_count;
    struct observer *observer;
    struct evaluation evaluation;
    struct sketch *sketch;
    struct labels *labels;
    struct export *export;
    struct container_writer *files[FILE_COUNT];
    struct buffer buffer;
    int32_t partition;   /* of the batch at work */
    int timestamps;      /* slot of the record timestamp of a file's events */
};

/* ---- sink ---- */

static bool inside(const struct replay *r, int64_t ms)
{
    return ms >= r->o->from_ms && (ms < r->o->to_ms || r->o->to_ms == INT64_MAX); /* a rejected time may be any */
}

static int write_scored(void *context, enum output output, const struct record *record, struct bytes key, const struct buffer *value, struct err *err)
{
    struct replay *r = context;
    (void)record;
    (void)key;
    if (output == OUTPUT_PREDICTION)
        r->summary->predictions++;
    else
        r->summary->shadows++;
    return container_writer_append(r->files[output == OUTPUT_PREDICTION ? FILE_PREDICTIONS : FILE_SHADOWS], value->data, value->size, err);
}

static int write_rejected(void *context, const struct record *record, const struct verdict *verdict, struct err *err)
{
    struct replay *r = context;
    r->summary->rejects[verdict->reason]++;
    if (r->o->listener)
        return r->o->listener->rejected(r->o->listener->context, r->partition, record, verdict, err);
    if (!r->files[FILE_DEAD_LETTERS])
        return 0;
    r->buffer.size = 0;
    encode_dead_letter(&r->buffer, record, verdict);
    return container_writer_append(r->files[FILE_DEAD_LETTERS], r->buffer.data, r->buffer.size, err);
}

static int take_event(void *context, const struct event *event, const float *row, bool window_complete, struct err *err)
{
    struct replay *r = context;
    bool labelled = false;
    r->summary->events++;
    if (r->o->listener)
        return r->o->listener->accepted(r->o->listener->context, r->partition, event, row, r->labels ? labels_find(r->labels, event->id) : -1, err);
    if (!r->export)
        return 0;
    r->summary->exported++;
    int result = export_add(r->export, event, row, window_complete, &labelled, err);
    r->summary->labelled += labelled;
    return result;
}

static bool wanted(void *context, int64_t time_ms)
{
    return inside(context, time_ms);
}

/* What the aggregate has to say.  judged: alerts look at it as they would have at the time. */
static int write_reports(struct replay *r, bool judged, struct err *err)
{
    int result = 0;
    struct report_list reports = observer_take_all(r->observer);
    if (judged)
        evaluation_feed(&r->evaluation, &reports, 0);
    for (size_t i = 0; i < reports.count && result == 0; i++) {
        r->summary->reports++;
        r->summary->alerts += reports.rows[i].kind == REPORT_ALERT;
        r->buffer.size = 0;
        encode_report(&r->buffer, &reports.rows[i]);
        result = container_writer_append(r->files[FILE_REPORTS], r->buffer.data, r->buffer.size, err);
    }
    evaluation_deliver(&r->evaluation);
    report_list_finish(&reports);
    return result;
}

/* ---- set-up ---- */

static int open_file(struct replay *r, int which, const char *name, const char *schema, struct err *err)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", r->o->output, name) >= sizeof path)
        return err_set(err, "%s: the path is too long", r->o->output);
    return container_writer_open(path, schema, "deflate", NULL, &r->files[which], err);
}

static int open_output(struct replay *r, struct err *err)
{
    if (!r->o->output)
        return 0;
    if (mkdir(r->o->output, 0777) < 0 && errno != EEXIST)
        return err_set(err, "--output %s: cannot make the directory: %s", r->o->output, strerror(errno));
    if (open_file(r, FILE_DEAD_LETTERS, "dead-letters.avro", schema_dead_letter, err) < 0 || open_file(r, FILE_REPORTS, "reports.avro", schema_report, err) < 0)
        return -1;
    if (!r->deployment)
        return 0;
    if (open_file(r, FILE_PREDICTIONS, "predictions.avro", schema_prediction, err) < 0)
        return -1;
    return open_file(r, FILE_SHADOWS, "shadow-predictions.avro", schema_shadow, err);
}

static int open_source(struct replay *r, struct err *err)
{
    const struct replay_options *o = r->o;
    if (!o->input)
        return source_open_topic(o->config, o->config->input.topic, o->config->monitor.window_ms, &r->source, err);
    if (source_open_file(o->input, r->pipeline, &r->source, err) < 0)
        return -1;
    return decoder_set_plain_timestamps(pipeline_decoder(r->pipeline), r->timestamps, err);
}

/* The field of --timestamps, or of the file's metadata, joins those that are read: before plans are made of them. */
static int add_timestamps(struct replay *r, struct err *err)
{
    struct container_reader *file = NULL;
    if (!r->o->input || container_reader_open(r->o->input, &file, err) < 0)
        return r->o->input ? -1 : 0;
    const char *field = r->o->timestamps ? r->o->timestamps : container_reader_meta(file, "weir.timestamps");
    r->timestamps = field ? field_set_add(&r->o->config->fields, field, FIELD_USE_ANY) : FIELD_TIME;
    container_reader_close(file);
    return r->timestamps < 0 ? err_set(err, "too many fields for --timestamps") : 0;
}

static int open_states(struct replay *r, struct err *err)
{
    size_t count = source_partitions(r->source);
    r->states = calloc(count, sizeof *r->states);
    assert(r->states);
    for (; r->state_count < count; r->state_count++) {
        struct partition_state *state = &r->states[r->state_count];
        if (partition_state_init(state, r->o->config, (int32_t)r->state_count) < 0)
            return err_set(err, "memory is short");
        state->next_offset = source_first_offset(r->source, state->id);
        if (state->next_offset > 0)
            windows_set_history_cold(state->windows);
    }
    return 0;
}

/* What is written is reported on too. */
static int watch(struct replay *r, struct err *err)
{
    if (observer_create(r->o->config, 0, &r->observer, err) < 0 || evaluation_init(&r->evaluation, r->o->config, false, err) < 0)
        return -1;
    r->sketch = sketch_create(observer_shape(r->observer));
    assert(r->sketch);
    pipeline_set_sketch(r->pipeline, r->sketch);
    return 0;
}

static int set_up(struct replay *r, struct err *err)
{
    const struct config *config = r->o->config;
    struct registry_options registry = registry_options_of(config);
    if (!r->o->input && registry_create(&registry, &r->registry, err) < 0)
        return -1;
    if (r->o->output && config->models.given && deployment_create(config, &r->deployment, err) < 0)
        return -1;
    if (add_timestamps(r, err) < 0 || pipeline_create(config, r->deployment, r->registry, &r->pipeline, err) < 0 || open_source(r, err) < 0 || open_states(r, err) < 0)
        return -1;
    size_t recorded;
    if (r->deployment && !r->o->input && !r->o->as_configured && deployments_follow(source_client(r->source), config, r->states, r->state_count, &recorded, err) < 0)
        return -1;
    if (r->o->output && watch(r, err) < 0)
        return -1;
    if (r->o->labels && labels_load(config, r->o->labels, &r->labels, err) < 0)
        return -1;
    if (r->o->export_path && export_open(r->o->export_path, config->spec, r->labels, &r->export, err) < 0)
        return -1;
    return open_output(r, err);
}

/* ---- the pass ---- */

static int merge_sketch(struct replay *r, struct err *err)
{
    if (!r->sketch)
        return 0;
    pipeline_settle_sketch(r->pipeline);
    observer_merge(r->observer, r->sketch, 0);
    sketch_reset(r->sketch);
    return write_reports(r, true, err);
}

/* What a topic would not take is a dead letter here too; files take everything. */
static void limit_outputs(const struct replay *r, struct sink *sink)
{
    rd_kafka_t *client = source_client(r->source);
    if (!client || !r->deployment)
        return;
    sink->max_bytes[OUTPUT_PREDICTION] = topic_room(cluster_of_command(client), r->o->config->outputs.predictions);
    sink->max_bytes[OUTPUT_SHADOW] = topic_room(cluster_of_command(client), r->o->config->outputs.shadows);
}

static int pass(struct replay *r, struct err *err)
{
    struct sink sink = {.context = r, .scored = write_scored, .rejected = write_rejected, .accepted = take_event, .wanted = r->o->listener ? NULL : wanted,
        .max_bytes = {SIZE_MAX, SIZE_MAX, SIZE_MAX}};
    limit_outputs(r, &sink);
    struct batch *batch = pipeline_batch(r->pipeline);
    struct progress progress = {0};
    int64_t done, total, unmerged = 0;
    source_progress(r->source, &done, &total);
    if (!r->o->quiet)
        progress_start(&progress, "replay", total);
    int n, result = 0;
    while (result == 0 && (n = source_next(r->source, batch->records, BATCH_MAX, err)) != 0) {
        if (n < 0 || stop_is_set(r->o->stop)) {
            result = n < 0 ? -1 : err_set(err, "stopped; no output file has been completed");
            break;
        }
        batch->count = (size_t)n;
        r->partition = batch->records[0].partition;
        r->summary->records += n;
        int processed = pipeline_process(r->pipeline, &r->states[batch->records[0].partition], &sink, err);
        result = processed == n ? 0 : -1; /* fewer: the registry is away, and a replay does not wait */
        unmerged += n;
        if (result == 0 && r->sketch && (unmerged >= 16 * BATCH_MAX || !sketch_has_room(r->sketch, BATCH_MAX))) {
            result = merge_sketch(r, err);
            unmerged = 0;
        }
        source_progress(r->source, &done, &total);
        progress_update(&progress, done);
    }
    progress_end(&progress);
    if (result == 0 && (result = merge_sketch(r, err)) == 0 && r->sketch) {
        observer_flush(r->observer, true); /* windows that the end has cut off: no alert would have seen them yet */
        result = write_reports(r, false, err);
    }
    return result;
}

static int finish(struct replay *r, int result, struct err *err)
{
    for (int i = 0; i < FILE_COUNT; i++) {
        if (r->files[i] && result == 0)
            result = container_writer_close(r->files[i], err);
        else if (r->files[i])
            container_writer_abandon(r->files[i]);
    }
    if (r->export && result == 0)
        result = export_close(r->export, err);
    else if (r->export)
        export_abandon(r->export);
    labels_destroy(r->labels);
    sketch_destroy(r->sketch);
    evaluation_finish(&r->evaluation);
    observer_destroy(r->observer);
    for (size_t i = 0; i < r->state_count; i++)
        partition_state_finish(&r->states[i]);
    free(r->states);
    source_close(r->source);
    pipeline_destroy(r->pipeline);
    deployment_release(r->deployment);
    registry_destroy(r->registry);
    buffer_finish(&r->buffer);
    return result;
}

int replay_run(const struct replay_options *options, struct replay_summary *summary, struct err *err)
{
    struct replay r = {.o = options, .summary = summary};
    *summary = (struct replay_summary){0};
    int result = set_up(&r, err);
    int64_t wall = clock_monotonic_ns(), cpu = clock_cpu_ns();
    if (result == 0)
        result = pass(&r, err);
    summary->seconds = (double)(clock_monotonic_ns() - wall) / 1e9;
    summary->cpu_seconds = (double)(clock_cpu_ns() - cpu) / 1e9;
    return finish(&r, result, err);
}
