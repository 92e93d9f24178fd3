#include "consumer/replay/explanation.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/container.h"
#include "consumer/deployment.h"
#include "consumer/hash.h"
#include "consumer/kafka/client.h"
#include "consumer/kafka/offsets.h"
#include "consumer/kafka/topics.h"
#include "consumer/pipeline.h"
#include "consumer/process.h"
#include "consumer/replay/deployments.h"
#include "consumer/progress.h"
#include "consumer/replay/source.h"
#include "consumer/stop.h"

enum { NESTING_MAX = 8 };

struct explanation {
    const struct explanation_options *o;
    struct registry *registry;
    struct deployment *deployment; /* as configured */
    int32_t partitions;            /* of the topic */
    size_t recorded;               /* deployments of the partition */
    struct pipeline *pipeline;
    struct partition_state state;
    bool has_state;
    rd_kafka_t *client;
    int32_t partition;
    int64_t from;             /* where the fold begins */
    int64_t event_time_ms;    /* found by the first look at the record */
    bool accepted;
    float *row;               /* of the record */
    json_t *result;
};

/* Numbers */

/* A float32 by its nine digits. */
static json_t *number(float v)
{
    char text[32];
    if (!isfinite(v))
        return json_null();
    snprintf(text, sizeof text, "%.9g", (double)v);
    return json_real(strtod(text, NULL));
}

static json_t *field_json(const struct value *v)
{
    switch (v->type) {
    case VALUE_INT: return json_integer(v->integer);
    case VALUE_BOOL: return json_boolean(v->integer);
    case VALUE_DOUBLE: return isfinite(v->real) ? json_real(v->real) : json_null();
    case VALUE_TEXT: {
        json_t *text = json_stringn(v->text, v->size);
        return text ? text : json_string("(no text)");
    }
    case VALUE_OTHER: return json_string("(bytes, array, map or record)");
    default: return json_null();
    }
}

static json_t *record_json(const struct explanation *x, const struct value *values)
{
    const struct field_set *fields = &x->o->config->fields;
    json_t *record = json_object();
    for (size_t i = 0; i < fields->count; i++)
        if (values[i].type != VALUE_ABSENT)
            json_object_set_new(record, fields->fields[i].name, field_json(&values[i]));
    return record;
}

/* What comes out of the pipeline for the one record */

static const struct value *values_of(const struct explanation *x)
{
    return pipeline_batch(x->pipeline)->values;
}

static int take_rejected(void *context, const struct record *record, const struct verdict *verdict, struct err *err)
{
    struct explanation *x = context;
    char message[512];
    (void)record;
    (void)err;
    verdict_message(verdict, message, sizeof message);
    json_object_set_new(x->result, "rejected", json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "reason", reject_name(verdict->reason), "stage",
                                                         reject_stage(verdict->reason), "field", verdict->field, "rule", verdict->rule, "message", message));
    if (strcmp(reject_stage(verdict->reason), "decode"))
        json_object_set_new(x->result, "record", record_json(x, values_of(x)));
    return 0;
}

static json_t *features_json(const struct feature_spec *spec, const float *row)
{
    json_t *list = json_array();
    for (size_t i = 0; i < spec->count; i++) {
        char text[1024];
        feature_describe(spec, i, text, sizeof text);
        json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "name", spec->features[i].name, "value", number(row[i]), "definition", text));
    }
    return list;
}

static int take_accepted(void *context, const struct event *event, const float *row, bool window_complete, struct err *err)
{
    struct explanation *x = context;
    const struct feature_spec *spec = x->o->config->spec;
    (void)err;
    x->accepted = true;
    x->event_time_ms = event->time_ms;
    json_object_set_new(x->result, "record", record_json(x, event->values));
    json_object_set_new(x->result, "id", json_stringn(event->id.data, event->id.size));
    json_object_set_new(x->result, "entity", json_stringn(event->entity.data, event->entity.size));
    json_object_set_new(x->result, "event_time", json_integer(event->time_ms));
    json_object_set_new(x->result, "late_ms", json_integer(pipeline_batch(x->pipeline)->outcomes[0].late_ms));
    json_object_set_new(x->result, "window_complete", json_boolean(window_complete));
    json_object_set_new(x->result, "features", features_json(spec, row));
    memcpy(x->row, row, spec->count * sizeof *row);
    return 0;
}

/* The head of a prediction or shadow record (schemas/prediction.avsc), as the pipeline has just written it. */
struct written {
    const uint8_t *at, *end;
};

static int64_t take_long(struct written *w)
{
    uint64_t v = 0;
    for (unsigned shift = 0; w->at < w->end && shift < 64; shift += 7) {
        uint8_t byte = *w->at++;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            break;
    }
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static struct bytes take_text(struct written *w)
{
    int64_t size = take_long(w);
    assert(size >= 0 && size <= w->end - w->at);
    struct bytes text = {w->at, (uint32_t)size};
    w->at += size;
    return text;
}

static float take_float(struct written *w)
{
    float v;
    assert(w->end - w->at >= (ptrdiff_t)sizeof v);
    memcpy(&v, w->at, sizeof v);
    w->at += sizeof v;
    return v;
}

static json_t *served_json(struct written w)
{
    static const char *const confidences[] = {"NORMAL", "DEGRADED", "NONE"}, *const roles[] = {"CHAMPION", "CANARY", "FALLBACK"};
    take_text(&w);
    take_text(&w);
    take_long(&w);
    float score = take_float(&w), margin = take_float(&w);
    int64_t decision = take_long(&w), confidence = take_long(&w), role = take_long(&w);
    struct bytes model = take_text(&w);
    assert(decision >= 0 && decision < 3 && confidence >= 0 && confidence < 3 && role >= 0 && role < 3);
    return json_pack("{s:s, s:s%, s:o, s:o, s:s, s:s}", "role", roles[role], "model", model.data, (size_t)model.size, "score", number(score), "margin",
                     number(margin), "decision", decision_name((enum decision)decision), "confidence", confidences[confidence]);
}

static int take_scored(void *context, enum output output, const struct record *record, struct bytes key, const struct buffer *value, struct err *err)
{
    struct explanation *x = context;
    (void)record;
    (void)key;
    (void)err;
    if (output == OUTPUT_PREDICTION)
        json_object_set_new(x->result, "served", served_json((struct written){value->data, (const uint8_t *)value->data + value->size}));
    return 0;
}

/* The record's own fields, beside those that the configuration names */

static void collect_fields(struct field_set *fields, const struct avro_type_node *node, const char *path, int depth)
{
    for (size_t i = 0; node->type == AVRO_T_UNION && i < node->count; i++)
        if (node->branches[i]->type != AVRO_T_NULL) {
            node = node->branches[i];
            break;
        }
    if (node->type != AVRO_T_RECORD || depth == NESTING_MAX) {
        if (*path && field_set_find(fields, path) < 0)
            field_set_add(fields, path, FIELD_USE_ANY);
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        char longer[512];
        if ((size_t)snprintf(longer, sizeof longer, "%s%s%s", path, *path ? "." : "", node->fields[i].name) < sizeof longer)
            collect_fields(fields, node->fields[i].type, longer, depth + 1);
    }
}

/* Opening */

static int open_pipeline(struct explanation *x, const struct deployment *deployment, struct err *err)
{
    pipeline_destroy(x->pipeline);
    x->pipeline = NULL;
    return pipeline_create(x->o->config, deployment, x->registry, &x->pipeline, err);
}

static int open_state(struct explanation *x, struct err *err)
{
    if (x->has_state)
        partition_state_finish(&x->state);
    x->has_state = partition_state_init(&x->state, x->o->config, x->partition) == 0;
    if (!x->has_state)
        return err_set(err, "memory is short");
    x->state.next_offset = x->from;
    x->state.suppress_below = x->o->offset;
    return 0;
}

static int set_up_file(struct explanation *x, int *timestamps, struct err *err)
{
    const struct explanation_options *o = x->o;
    struct container_reader *file;
    struct avro_schema *schema = NULL;
    if (container_reader_open(o->input, &file, err) < 0)
        return -1;
    const char *text = container_reader_schema(file);
    int status = avro_schema_create(text, strlen(text), NULL, 0, &schema, err);
    if (status == 0) {
        collect_fields(&o->config->fields, avro_schema_root(schema), "", 0);
        const char *field = o->timestamps ? o->timestamps : container_reader_meta(file, "weir.timestamps");
        *timestamps = field ? field_set_add(&o->config->fields, field, FIELD_USE_ANY) : FIELD_TIME;
        if (*timestamps < 0)
            status = err_set(err, "too many fields for --timestamps");
    } else {
        err_prefix(err, "%s: schema", o->input);
    }
    avro_schema_destroy(schema);
    container_reader_close(file);
    return status;
}

static int missing(const struct explanation *x, struct err *err)
{
    if (x->o->input)
        return err_set(err, "%s: there is no value %" PRId64, x->o->input, x->o->offset);
    return err_set(err, "partition %d of %s: offset %" PRId64 " holds no record (the mark of a transaction, or one that was aborted or compacted away)",
                   x->partition, x->o->config->input.topic, x->o->offset);
}

/* Takes the next run of records before `end` into the batch: how many, 0: none are left. */
static int next_run(struct explanation *x, struct source *source, int64_t end, struct err *err)
{
    struct batch *batch = pipeline_batch(x->pipeline);
    int64_t left = end - x->state.next_offset;
    if (left <= 0)
        return 0;
    int n = source_next(source, batch->records, left < BATCH_MAX ? (size_t)left : BATCH_MAX, err);
    batch->count = n > 0 ? (size_t)n : 0;
    return n;
}

static int process(struct explanation *x, const struct sink *sink, struct err *err)
{
    size_t n = pipeline_batch(x->pipeline)->count;
    return pipeline_process(x->pipeline, &x->state, sink, err) == (int)n ? 0 : -1;
}

/* The record alone, by itself: its fields become known, and its event time if it has one. */
static int look_at_record(struct explanation *x, struct err *err)
{
    const struct explanation_options *o = x->o;
    struct sink sink = {.context = x, .scored = take_scored, .rejected = take_rejected, .accepted = take_accepted, .max_bytes = {SIZE_MAX, SIZE_MAX, SIZE_MAX}};
    struct source *source = NULL;
    struct record record;
    const struct avro_schema *schema;
    if (source_open_range(o->config, o->config->input.topic, x->partition, o->offset, o->offset + 1, &source, err) < 0)
        return -1;
    int n = source_next(source, &record, 1, err), status = n < 0 ? -1 : 0;
    if (n == 0)
        status = missing(x, err);
    if (status == 0) {
        const uint8_t *data = record.value;
        if (data && record.value_size >= 5 && data[0] == 0) {
            int32_t id = (int32_t)((uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4]);
            json_object_set_new(x->result, "schema_id", json_integer(id));
            if (registry_schema(x->registry, id, &schema, err) == REGISTRY_FOUND)
                collect_fields(&o->config->fields, avro_schema_root(schema), "", 0);
        }
        json_object_set_new(x->result, "timestamp", json_integer(record.timestamp_ms));
        x->event_time_ms = record.timestamp_ms;
        x->from = o->offset;
        status = open_pipeline(x, NULL, err) < 0 || open_state(x, err) < 0 ? -1 : 0;
    }
    if (status == 0) {
        pipeline_batch(x->pipeline)->records[0] = record;
        pipeline_batch(x->pipeline)->count = 1;
        status = process(x, &sink, err);
        if (x->event_time_ms > record.timestamp_ms)
            x->event_time_ms = record.timestamp_ms;
    }
    source_close(source);
    return status;
}

/* Where the fold begins, and what history its windows have. */
static int find_beginning(struct explanation *x, bool *cold, int64_t *history_start, struct err *err)
{
    const struct explanation_options *o = x->o;
    const struct feature_spec *spec = o->config->spec;
    const char *topic = o->config->input.topic;
    struct committed committed;
    int64_t first, end;
    int64_t reach = x->event_time_ms - spec->longest_window_ms - spec->lateness_ms - 2 * spec->future_skew_ms;
    if (offsets_bounds(x->client, o->stop, topic, x->partition, &first, &end, err) < 0 ||
        offsets_at_time(x->client, o->stop, topic, x->partition, reach < 0 ? 0 : reach, &x->from, err) < 0 ||
        offsets_committed(x->client, o->stop, topic, &x->partition, 1, &committed, err) < 0)
        return -1;
    x->from = x->from > o->offset ? o->offset : x->from < first ? first : x->from;
    const struct offset_metadata *m = &committed.metadata;
    bool known = committed.has_metadata && m->first_offset <= o->offset && m->first_offset >= first;
    *history_start = TIME_UNKNOWN;
    *cold = !known && x->from == first && first > 0;
    if (known && x->from <= m->first_offset) {
        x->from = m->first_offset;
        *cold = m->first_offset > 0;
    } else if (known) {
        *history_start = m->history_start;
    }
    return 0;
}

static int set_up_topic(struct explanation *x, struct err *err)
{
    const struct explanation_options *o = x->o;
    struct registry_options registry = registry_options_of(o->config);
    int64_t first, end;
    if (registry_create(&registry, &x->registry, err) < 0 || kafka_plain_consumer(o->config, &x->client, err) < 0 ||
        topic_partitions(cluster_of_command(x->client), o->config->input.topic, &x->partitions, err) < 0)
        return -1;
    if (x->partition < 0 && x->partitions > 1)
        return err_set(err, "%s has %d partitions: which one? PARTITION:OFFSET", o->config->input.topic, x->partitions);
    x->partition = x->partition < 0 ? 0 : x->partition;
    json_object_set_new(x->result, "partition", json_integer(x->partition));
    if (x->partition >= x->partitions)
        return err_set(err, "%s has %d partitions, 0 to %d", o->config->input.topic, x->partitions, x->partitions - 1);
    if (offsets_bounds(x->client, o->stop, o->config->input.topic, x->partition, &first, &end, err) < 0)
        return -1;
    if (o->offset < first || o->offset >= end)
        return err_set(err, "partition %d of %s holds the offsets %" PRId64 " to %" PRId64, x->partition, o->config->input.topic, first, end - 1);
    return look_at_record(x, err);
}

/* The pass */

static int fold(struct explanation *x, struct source *source, struct err *err)
{
    struct sink sink = {.context = x, .scored = take_scored, .rejected = take_rejected, .accepted = take_accepted, .max_bytes = {SIZE_MAX, SIZE_MAX, SIZE_MAX}};
    struct progress progress = {0};
    int n;
    if (!x->o->quiet)
        progress_start(&progress, "fold (records)", x->o->offset - x->from);
    while ((n = next_run(x, source, x->o->offset, err)) > 0) {
        /* a gap may have taken the run past the record in question */
        struct batch *batch = pipeline_batch(x->pipeline);
        if (stop_is_set(x->o->stop))
            return err_set(err, "stopped");
        while (batch->count && batch->records[batch->count - 1].offset >= x->o->offset)
            batch->count--;
        if (batch->count < (size_t)n) {
            struct record record = batch->records[batch->count];
            if (batch->count && process(x, &sink, err) < 0)
                return -1;
            batch->records[0] = record;
            batch->count = 1;
            break;
        }
        if (process(x, &sink, err) < 0)
            return -1;
        progress_update(&progress, x->state.next_offset - x->from);
    }
    if (!x->o->quiet)
        progress_end(&progress);
    if (n == 0)
        n = next_run(x, source, x->o->offset + 1, err);
    if (n < 0)
        return -1;
    struct batch *batch = pipeline_batch(x->pipeline);
    if (batch->count != 1 || batch->records[0].offset != x->o->offset)
        return missing(x, err);
    int status = process(x, &sink, err);
    json_object_set_new(x->result, "timestamp", json_integer(batch->records[0].timestamp_ms));
    return status;
}

static int pass(struct explanation *x, int timestamps, struct err *err)
{
    const struct explanation_options *o = x->o;
    struct source *source = NULL;
    bool cold = false;
    int64_t history_start = TIME_UNKNOWN;
    if (!o->input && find_beginning(x, &cold, &history_start, err) < 0)
        return -1;
    if (o->config->models.given && deployment_create(o->config, &x->deployment, err) < 0)
        return -1;
    if (open_pipeline(x, x->deployment, err) < 0 || open_state(x, err) < 0)
        return -1;
    if (x->deployment && !o->input && !o->as_configured &&
        deployments_follow_one(x->client, o->config, &x->state, (size_t)x->partitions, &x->recorded, err) < 0)
        return -1;
    if (cold)
        windows_set_history_cold(x->state.windows);
    else if (history_start != TIME_UNKNOWN)
        windows_set_history_start(x->state.windows, history_start);
    json_object_set_new(x->result, "folded_from", json_integer(x->from));
    int status = o->input ? source_open_file(o->input, x->pipeline, &source, err)
                          : source_open_range(o->config, o->config->input.topic, x->partition, x->from, o->offset + 1, &source, err);
    if (status == 0 && o->input)
        status = decoder_set_plain_timestamps(pipeline_decoder(x->pipeline), timestamps, err);
    if (status == 0)
        status = fold(x, source, err);
    source_close(source);
    return status;
}

/* Which deployment */

static void tell_deployment(struct explanation *x)
{
    const struct explanation_options *o = x->o;
    int64_t since = serving_since(x->state.serving);
    json_t *told = json_object();
    json_object_set_new(x->result, "deployment", told);
    json_object_set_new(told, "source", json_string(x->recorded ? "recorded" : "configured"));
    json_object_set_new(told, "since", x->recorded ? json_integer(since) : json_null());
    const char *note = o->input ? "a file has no record of who served it: these are the configured models"
                     : o->as_configured ? "as asked for, by the configured models"
                     : !x->recorded ? "the changelog has no deployment of this partition: these are the configured models"
                     : since > o->offset ? "the record is older than the first recorded deployment: these are that one's models"
                                         : "in force at this offset, as the changelog has it";
    json_object_set_new(told, "note", json_string(note));
}

/* Models */

struct ranked {
    size_t column;
    float contribution;
};

static int by_size(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    float p = fabsf(x->contribution), q = fabsf(y->contribution);
    return p != q ? (p > q ? -1 : 1) : x->column < y->column ? -1 : 1;
}

static json_t *contributions_json(const struct feature_spec *spec, const float *row, const float *contributions)
{
    json_t *list = json_array();
    struct ranked *ranked = calloc(spec->count + 1, sizeof *ranked);
    assert(ranked);
    for (size_t i = 0; i < spec->count; i++)
        ranked[i] = (struct ranked){i, contributions[i]};
    qsort(ranked, spec->count, sizeof *ranked, by_size);
    for (size_t i = 0; i < spec->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "feature", spec->features[ranked[i].column].name, "value", number(row[ranked[i].column]),
                                              "contribution", number(ranked[i].contribution)));
    free(ranked);
    return list;
}

/* Whether the event's entity is on the canary's side, or in a shadow's sample. */
static bool has_part(const struct explanation *x, const char *salt, const struct deployed_model *m)
{
    const json_t *entity = json_object_get(x->result, "entity");
    return m->below >= 10000 || entity_bucket(salt, (struct bytes){json_string_value(entity), (uint32_t)json_string_length(entity)}) < m->below;
}

static int add_model(struct explanation *x, const char *role, const struct deployed_model *m, bool sampled, json_t *list, struct err *err)
{
    const struct feature_spec *spec = x->o->config->spec;
    float margin, score, *contributions = calloc(spec->count + 1, sizeof *contributions);
    char hex[65];
    assert(contributions);
    int status = model_score(m->model, x->row, 1, &margin, &score, err) < 0 || model_contributions(m->model, x->row, 1, contributions, err) < 0
                     ? err_prefix(err, "model %s", m->id)
                     : 0;
    if (status == 0) {
        sha256_hex(m->sha256, hex);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:b, s:o, s:o}", "role", role, "id", m->id, "sha256", hex, "engine",
                                              model_engine(m->model), "score", number(score), "margin", number(margin), "decision",
                                              decision_name(decide(m->thresholds, score)), "sampled", sampled, "bias", number(contributions[spec->count]),
                                              "contributions", contributions_json(spec, x->row, contributions)));
    }
    free(contributions);
    return status;
}

/* Every model of the deployment, whether or not this event is its. */
static int add_models(struct explanation *x, struct err *err)
{
    const struct deployment *d = serving_deployment(x->state.serving);
    if (!d)
        return 0;
    tell_deployment(x);
    json_t *list = json_array();
    json_object_set_new(x->result, "models", list);
    if (add_model(x, "CHAMPION", &d->champion, true, list, err) < 0 ||
        (d->canary.id && add_model(x, "CANARY", &d->canary, has_part(x, d->settings.salt, &d->canary), list, err) < 0))
        return -1;
    for (size_t i = 0; i < d->shadow_count; i++)
        if (add_model(x, "SHADOW", &d->shadows[i], has_part(x, d->shadows[i].id, &d->shadows[i]), list, err) < 0)
            return -1;
    return d->fallback.id ? add_model(x, "FALLBACK", &d->fallback, true, list, err) : 0;
}

/* All of it */

static void finish(struct explanation *x)
{
    if (x->has_state)
        partition_state_finish(&x->state);
    pipeline_destroy(x->pipeline);
    deployment_release(x->deployment);
    registry_destroy(x->registry);
    if (x->client) {
        rd_kafka_consumer_close(x->client);
        rd_kafka_destroy(x->client);
    }
    free(x->row);
}

static int make(struct explanation *x, struct err *err)
{
    int timestamps = FIELD_TIME;
    if ((x->o->input ? set_up_file(x, &timestamps, err) : set_up_topic(x, err)) < 0)
        return -1;
    x->accepted = false; /* what the first look found is found again, by whole windows */
    static const char *const found[] = {"rejected", "id", "entity", "event_time", "late_ms", "window_complete", "features"};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        json_object_del(x->result, found[i]);
    if (pass(x, timestamps, err) < 0)
        return -1;
    if (!json_object_get(x->result, "rejected"))
        json_object_set_new(x->result, "rejected", json_null());
    return x->accepted ? add_models(x, err) : 0;
}

int explanation_make(const struct explanation_options *options, json_t **out, struct err *err)
{
    struct explanation x = {.o = options, .partition = options->input ? 0 : options->partition};
    x.row = calloc(options->config->spec->count + 1, sizeof *x.row);
    x.result = json_pack("{s:i, s:I, s:n, s:i, s:n, s:n}", "partition", x.partition, "offset", (json_int_t)options->offset, "timestamp", "schema_id", 0,
                         "record", "served");
    assert(x.row && x.result);
    int status = make(&x, err);
    finish(&x);
    if (status < 0)
        json_decref(x.result);
    else
        *out = x.result;
    return status;
}
