/* The pipeline: pipeline_process reads as the list of stages; each stage is one function below it.
 *
 * A record that fails a stage keeps its verdict and takes no part in later ones; `record_of` leads from events back to
 * records, so outputs come out in record order, exactly one prediction or one dead letter each. */
#include "consumer/pipeline.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "consumer/avro/plan.h"
#include "consumer/file.h"
#include "consumer/hash.h"
#include "consumer/failpoint.h"
#include "consumer/output.h"
#include "consumer/scorer.h"
#include "consumer/validate.h"

enum { PLANS_MAX = 4096 }; /* writer schemas that one lane keeps compiled */
_Static_assert((int)PLANS_MAX > (int)BATCH_MAX, "a batch never uses all places");

struct plan_entry {
    int32_t schema_id;
    struct decode_plan *plan; /* NULL: the schema cannot be read with this configuration; `why` says it */
    char *why;
    uint64_t batch; /* the latest that used it: values and verdicts of that batch point into it */
};

/* Slots in the sketch of the models that a batch has met. */
enum { MODEL_SLOTS = 32 };
struct model_slots {
    size_t count;
    struct model_slot {
        const struct deployed_model *model; /* NULL: the fixed fallback score */
        bool shadow;
        size_t slot;
    } of[MODEL_SLOTS];
};

struct pipeline {
    const struct config *config;
    struct scorer *scorer;
    bool scores; /* else features only */
    int64_t fallbacks[FALLBACK_REASONS]; /* of the scorer, observed so far */
    struct registry *registry;
    struct avro_schema *reader;
    struct avro_schema *plain_schema;
    struct decode_plan *plain_plan; /* of container files */
    struct decode_plan *size_plan;  /* of their values that plain_plan does not take, to find the next one */
    int plain_timestamp_slot;
    int64_t plain_timestamp_divisor; /* of its unit, to milliseconds */
    struct plan_entry *plans;
    size_t plan_count;
    uint64_t batch_number;
    struct output_context output;
    struct sketch *sketch;
    struct batch batch;
};

static void *must_alloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    assert(p);
    return p;
}

int partition_state_init(struct partition_state *state, const struct config *config, int32_t id)
{
    struct window_limits limits = {(uint64_t)config->state.max_entities, (uint64_t)config->state.max_events};
    *state = (struct partition_state){.id = id, .windows = windows_create(config->spec, limits)};
    if (!state->windows)
        return -1;
    state->serving = serving_create();
    return 0;
}

void partition_state_finish(struct partition_state *state)
{
    windows_destroy(state->windows);
    free(state->growths);
    state->growths = NULL;
    state->growth_count = state->growth_next = 0;
    serving_destroy(state->serving);
    state->windows = NULL;
    state->serving = NULL;
}

void partition_state_grows_at(struct partition_state *state, int64_t offset)
{
    state->growths = realloc(state->growths, (state->growth_count + 1) * sizeof *state->growths);
    assert(state->growths);
    size_t at = state->growth_count++;
    for (; at > state->growth_next && state->growths[at - 1] > offset; at--)
        state->growths[at] = state->growths[at - 1];
    state->growths[at] = offset;
}

void partition_state_pass(struct partition_state *state, int64_t offset)
{
    for (; state->growth_next < state->growth_count && state->growths[state->growth_next] <= offset; state->growth_next++)
        windows_set_history_cold(state->windows);
}

static int load_reader_schema(struct pipeline *p, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    const char *given = p->config->input.reader_schema_text;
    if (given)
        return avro_schema_create(given, strlen(given), NULL, 0, &p->reader, err);
    if (!p->config->input.reader_schema)
        return 0;
    int result = -1;
    if (file_read(p->config->input.reader_schema, SCHEMA_TEXT_MAX, &text, &size, err) == 0)
        result = avro_schema_create(text, size, NULL, 0, &p->reader, err);
    free(text);
    return result < 0 ? err_prefix(err, "%s: input.reader_schema", p->config->file) : 0;
}

int pipeline_create(const struct config *config, const struct deployment *deployment, struct registry *registry, struct pipeline **out, struct err *err)
{
    struct pipeline *p = must_alloc(1, sizeof *p);
    p->config = config;
    p->scorer = scorer_create(config);
    p->scores = deployment != NULL;
    scorer_set_deployment(p->scorer, deployment);
    p->registry = registry;
    p->plain_timestamp_slot = FIELD_TIME;
    p->plain_timestamp_divisor = 1;
    p->output.config = config;
    sha256(config->spec->canonical, strlen(config->spec->canonical), p->output.feature_spec_sha256);
    size_t columns = config->spec->count, shadows = deployment ? SHADOWS_MAX : 0;
    struct batch *b = &p->batch;
    b->values = must_alloc(BATCH_MAX * config->fields.count, sizeof *b->values);
    b->rows = must_alloc(BATCH_MAX * columns, sizeof *b->rows);
    b->contributions = must_alloc(BATCH_MAX * (columns + 1), sizeof *b->contributions);
    b->explained_rows = must_alloc(BATCH_MAX * columns, sizeof *b->explained_rows);
    b->shadow_margins = must_alloc(shadows * BATCH_MAX, sizeof *b->shadow_margins);
    b->shadow_scores = must_alloc(shadows * BATCH_MAX, sizeof *b->shadow_scores);
    b->shadow_sampled = must_alloc(shadows * BATCH_MAX, sizeof *b->shadow_sampled);
    b->shadow_shed = must_alloc(shadows * BATCH_MAX, sizeof *b->shadow_shed);
    p->plans = must_alloc(PLANS_MAX, sizeof *p->plans);
    if (load_reader_schema(p, err) < 0) {
        pipeline_destroy(p);
        return -1;
    }
    *out = p;
    return 0;
}

static void finish_plan(struct plan_entry *entry)
{
    decode_plan_destroy(entry->plan);
    free(entry->why);
}

void pipeline_destroy(struct pipeline *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->plan_count; i++)
        finish_plan(&p->plans[i]);
    free(p->plans);
    decode_plan_destroy(p->plain_plan);
    decode_plan_destroy(p->size_plan);
    avro_schema_destroy(p->plain_schema);
    avro_schema_destroy(p->reader);
    scorer_destroy(p->scorer);
    struct batch *b = &p->batch;
    free(b->values);
    free(b->rows);
    free(b->contributions);
    free(b->explained_rows);
    free(b->shadow_margins);
    free(b->shadow_scores);
    free(b->shadow_sampled);
    free(b->shadow_shed);
    buffer_finish(&b->prediction);
    for (size_t i = 0; i < SHADOWS_MAX; i++)
        buffer_finish(&b->shadow[i]);
    free(p);
}

/* Strings and items may be as long and as many as a record can hold. */
static struct decode_limits limits_of(const struct config *config)
{
    struct decode_limits limits = decode_limits_default;
    size_t record = (size_t)config->input.max_record_bytes;
    limits.string_bytes = record > limits.string_bytes ? record : limits.string_bytes;
    limits.block_items = record > limits.block_items ? record : limits.block_items;
    return limits;
}

int pipeline_set_plain_schema(struct pipeline *p, const char *schema_text, struct err *err)
{
    struct field_set none = {0};
    struct decode_limits sizes = {.string_bytes = SIZE_MAX, .block_items = UINT64_MAX, .depth = decode_limits_default.depth, .sizes_only = true};
    if (avro_schema_create(schema_text, strlen(schema_text), NULL, 0, &p->plain_schema, err) < 0 ||
        decode_plan_create(p->plain_schema, NULL, &none, sizes, &p->size_plan, err) < 0)
        return -1;
    return decode_plan_create(p->plain_schema, p->reader, &p->config->fields, limits_of(p->config), &p->plain_plan, err);
}

/* The type of a dotted field, through unions with null; NULL if there is none. */
static const struct avro_type_node *find_field(const struct avro_type_node *node, const char *name)
{
    for (size_t i = 0; node->type == AVRO_T_UNION && i < node->count; i++)
        if (node->branches[i]->type != AVRO_T_NULL) {
            node = node->branches[i];
            break;
        }
    if (!*name || node->type != AVRO_T_RECORD)
        return *name ? NULL : node;
    size_t size = strcspn(name, ".");
    for (size_t i = 0; i < node->count; i++)
        if (strlen(node->fields[i].name) == size && !memcmp(node->fields[i].name, name, size))
            return find_field(node->fields[i].type, name + size + (name[size] == '.'));
    return NULL;
}

int pipeline_set_plain_timestamps(struct pipeline *p, int slot, struct err *err)
{
    p->plain_timestamp_slot = slot;
    p->plain_timestamp_divisor = 1;
    if (slot == FIELD_TIME)
        return 0; /* comes in milliseconds */
    const char *name = p->config->fields.fields[slot].name;
    const struct avro_type_node *node = find_field(avro_schema_root(p->reader ? p->reader : p->plain_schema), name);
    if (!node)
        return err_set(err, "timestamps: the schema has no field %s", name);
    p->plain_timestamp_divisor = node->logical == AVRO_L_TIMESTAMP_MICROS ? 1000 : node->logical == AVRO_L_TIMESTAMP_NANOS ? 1000000 : 1;
    return 0;
}

size_t pipeline_plain_size(struct pipeline *p, const void *data, size_t size, struct err *err)
{
    struct decode_fault fault;
    size_t consumed = 0;
    if (decode_value(p->plain_plan, data, size, p->batch.values, &consumed, &fault) == 0 ||
        decode_value(p->size_plan, data, size, NULL, &consumed, &fault) == 0)
        return consumed;
    err_set(err, "%s%s%s", fault.what, fault.field ? " in field " : "", fault.field ? fault.field : "");
    return SIZE_MAX;
}

void pipeline_set_sketch(struct pipeline *p, struct sketch *sketch)
{
    p->sketch = sketch;
}

struct batch *pipeline_batch(struct pipeline *p)
{
    return &p->batch;
}

/* ---- decode ---- */

/* Room for one more plan; when all is taken, in the place of one that this batch does not use (it has fewer records
 * than there are places). */
static struct plan_entry *free_entry(struct pipeline *p)
{
    if (p->plan_count < PLANS_MAX)
        return &p->plans[p->plan_count++];
    size_t i = PLANS_MAX - 1;
    while (p->plans[i].batch == p->batch_number)
        i--;
    finish_plan(&p->plans[i]);
    return &p->plans[i];
}

/* The compiled plan of a writer schema, from the lane's own table or by asking the registry.  Ids are few and never
 * change, so a short scan with the latest hit in front beats a hash. */
static enum registry_answer find_plan(struct pipeline *p, int32_t id, const struct plan_entry **out, struct err *err)
{
    for (size_t i = 0; i < p->plan_count; i++)
        if (p->plans[i].schema_id == id) {
            struct plan_entry hit = p->plans[i];
            p->plans[i] = p->plans[0];
            p->plans[0] = hit;
            p->plans[0].batch = p->batch_number;
            *out = &p->plans[0];
            return REGISTRY_FOUND;
        }
    const struct avro_schema *schema = NULL;
    enum registry_answer answer = registry_schema(p->registry, id, &schema, err);
    if (answer != REGISTRY_FOUND)
        return answer;
    struct plan_entry *entry = free_entry(p);
    *entry = (struct plan_entry){.schema_id = id, .batch = p->batch_number};
    struct err refused;
    if (decode_plan_create(schema, p->reader, &p->config->fields, limits_of(p->config), &entry->plan, &refused) < 0)
        entry->why = strdup(refused.msg);
    *out = entry;
    return REGISTRY_FOUND;
}

static struct verdict decode_with(const struct plan_entry *plan, const uint8_t *data, size_t size, struct value *values)
{
    struct decode_fault fault;
    if (!plan->plan)
        return (struct verdict){.reason = REJECT_DECODE_ERROR, .what = plan->why};
    if (decode_value(plan->plan, data, size, values, NULL, &fault) < 0)
        return (struct verdict){.reason = fault.reason, .field = fault.field, .what = fault.what};
    return (struct verdict){0};
}

/* The field that is the record timestamp, else the event time; 0 where neither is there. */
static int64_t plain_timestamp(const struct pipeline *p, const struct value *values)
{
    const struct value *timestamp = &values[p->plain_timestamp_slot], *time = &values[FIELD_TIME];
    if (timestamp->type == VALUE_INT)
        return timestamp->integer / p->plain_timestamp_divisor - (timestamp->integer % p->plain_timestamp_divisor < 0);
    return time->type == VALUE_INT ? time->integer : 0;
}

/* One record: framing, plan, value.  Returns false where the registry is away. */
static bool decode_record(struct pipeline *p, struct record *record, struct value *values, int32_t *schema_id, struct verdict *verdict, struct err *err)
{
    const uint8_t *data = record->value;
    *schema_id = 0;
    *verdict = (struct verdict){0};
    if (!data) {
        *verdict = (struct verdict){.reason = REJECT_NOT_AVRO, .what = "the value is null"};
        return true;
    }
    if (record->value_size > (size_t)p->config->input.max_record_bytes) {
        *verdict = (struct verdict){.reason = REJECT_TOO_LARGE, .what = "the value is longer than input.max_record_bytes"};
        return true;
    }
    if (p->plain_plan) {
        *verdict = decode_with(&(struct plan_entry){.plan = p->plain_plan}, data, record->value_size, values);
        if (!verdict->reason)
            record->timestamp_ms = plain_timestamp(p, values);
        return true;
    }
    if (record->value_size < 5 || data[0] != 0) {
        *verdict = (struct verdict){.reason = REJECT_NOT_AVRO, .what = record->value_size < 5 ? "the value is shorter than its header" : "the magic byte is not 0"};
        return true;
    }
    *schema_id = (int32_t)((uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4]);
    const struct plan_entry *plan = NULL;
    switch (find_plan(p, *schema_id, &plan, err)) {
    case REGISTRY_AWAY:
        return false;
    case REGISTRY_UNKNOWN:
        *verdict = (struct verdict){.reason = REJECT_UNKNOWN_SCHEMA, .what = "the schema registry has no Avro schema of this id"};
        return true;
    case REGISTRY_FOUND:
        break;
    }
    *verdict = decode_with(plan, data + 5, record->value_size - 5, values);
    return true;
}

/* Decodes and validates every record; cuts the batch at the first one whose schema cannot be asked for. */
static void decode(struct pipeline *p, struct err *err)
{
    struct batch *b = &p->batch;
    b->event_count = 0;
    p->batch_number++;
    for (size_t i = 0; i < b->count; i++) {
        struct value *values = b->values + i * p->config->fields.count;
        if (!decode_record(p, &b->records[i], values, &b->schema_ids[i], &b->verdicts[i], err)) {
            b->count = i;
            return;
        }
        if (b->verdicts[i].reason)
            continue;
        b->verdicts[i] = validate(p->config, &b->records[i], values, b->texts[i], &b->events[b->event_count]);
        if (!b->verdicts[i].reason)
            b->record_of[b->event_count++] = (uint16_t)i;
    }
}

/* ---- features ---- */

static struct verdict rejected_by_windows(const struct pipeline *p, enum reject_reason reason)
{
    const struct field_set *fields = &p->config->fields;
    int slot = reason == REJECT_DUPLICATE ? FIELD_ID : FIELD_TIME;
    return (struct verdict){.reason = reason, .field = fields->fields[slot].name};
}

static int fold(struct pipeline *p, struct partition_state *state)
{
    struct batch *b = &p->batch;
    size_t columns = p->config->spec->count;
    for (size_t first = 0, end; first < b->event_count; first = end) {
        partition_state_pass(state, b->events[first].offset);
        int64_t border = state->growth_next < state->growth_count ? state->growths[state->growth_next] : INT64_MAX;
        for (end = first + 1; end < b->event_count && b->events[end].offset < border;)
            end++;
        if (windows_fold(state->windows, b->events + first, end - first, b->rows + first * columns, b->outcomes + first) < 0)
            return -1;
    }
    return 0;
}

/* Folds the events into the windows, then packs events, outcomes and rows so that only accepted ones are left. */
static int compute_features(struct pipeline *p, struct partition_state *state, struct err *err)
{
    struct batch *b = &p->batch;
    size_t columns = p->config->spec->count, kept = 0;
    if (fold(p, state) < 0)
        return err_set(err, "memory is short for the windows of partition %d", state->id);
    for (size_t e = 0; e < b->event_count; e++) {
        if (b->outcomes[e].reason) {
            b->verdicts[b->record_of[e]] = rejected_by_windows(p, b->outcomes[e].reason);
            continue;
        }
        if (kept != e) {
            b->events[kept] = b->events[e];
            b->outcomes[kept] = b->outcomes[e];
            b->record_of[kept] = b->record_of[e];
            memcpy(b->rows + kept * columns, b->rows + e * columns, columns * sizeof *b->rows);
        }
        kept++;
    }
    b->event_count = kept;
    return 0;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void advance(struct partition_state *state, const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        state->verdict_hash = mix(state->verdict_hash ^ mix((uint64_t)b->records[i].offset * 31 + b->verdicts[i].reason));
    if (b->count)
        state->next_offset = b->records[b->count - 1].offset + 1;
}

/* ---- emit ---- */

/* Encodes all outputs of an event; true if the prediction fits its topic.  A shadow record that does not fit is shed. */
static bool encode_outputs(struct pipeline *p, const struct sink *sink, size_t e)
{
    struct batch *b = &p->batch;
    size_t key = b->events[e].entity.size;
    b->prediction.size = 0;
    encode_prediction(&b->prediction, &p->output, b, e);
    for (size_t s = 0; s < b->deployments[e]->shadow_count; s++) {
        size_t at = s * BATCH_MAX + e;
        b->shadow[s].size = 0;
        if (!b->shadow_sampled[at] || b->shadow_shed[at])
            continue;
        encode_shadow(&b->shadow[s], &p->output, b, e, s);
        b->shadow_shed[at] = key + b->shadow[s].size > sink->max_bytes[OUTPUT_SHADOW];
    }
    return key + b->prediction.size <= sink->max_bytes[OUTPUT_PREDICTION];
}

static int emit_event(struct pipeline *p, const struct sink *sink, size_t e, struct err *err)
{
    struct batch *b = &p->batch;
    size_t r = b->record_of[e];
    if (sink->accepted && sink->accepted(sink->context, &b->events[e], b->rows + e * p->config->spec->count, b->outcomes[e].window_complete, err) < 0)
        return -1;
    if (!p->scores)
        return 0;
    if (!encode_outputs(p, sink, e)) {
        b->verdicts[r] = (struct verdict){.reason = REJECT_OUTPUT_TOO_LARGE, .what = "the prediction is longer than its topic's max.message.bytes"};
        return sink->rejected(sink->context, &b->records[r], &b->verdicts[r], err);
    }
    if (sink->scored(sink->context, OUTPUT_PREDICTION, &b->records[r], b->events[e].entity, &b->prediction, err) < 0)
        return -1;
    for (size_t s = 0; s < b->deployments[e]->shadow_count; s++)
        if (b->shadow[s].size && !b->shadow_shed[s * BATCH_MAX + e] && sink->scored(sink->context, OUTPUT_SHADOW, &b->records[r], b->events[e].entity, &b->shadow[s], err) < 0)
            return -1;
    return 0;
}

/* The event time of a record as far as it can be known: its own if it was decoded, else its timestamp. */
static int64_t time_of(const struct pipeline *p, size_t i)
{
    const struct batch *b = &p->batch;
    const struct value *time = &b->values[i * p->config->fields.count + FIELD_TIME];
    bool decoded = strcmp(reject_stage(b->verdicts[i].reason), "decode") != 0;
    return decoded && time->type == VALUE_INT ? time->integer : b->records[i].timestamp_ms;
}

/* Hands every output to the sink, in record order. */
static int emit(struct pipeline *p, const struct sink *sink, struct err *err)
{
    struct batch *b = &p->batch;
    size_t e = 0;
    for (size_t i = 0; i < b->count; i++) {
        bool is_event = e < b->event_count && b->record_of[e] == i;
        size_t event = e;
        e += is_event;
        if (sink->wanted && !sink->wanted(sink->context, time_of(p, i)))
            continue;
        int result = is_event ? emit_event(p, sink, event, err) : sink->rejected(sink->context, &b->records[i], &b->verdicts[i], err);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* ---- observe ---- */

/* Events of one cell that follow each other: their rows are added together. */
struct cell_run {
    struct sketch_cell *cell;
    size_t count;
    const float *rows[BATCH_MAX];
};

static void end_run(struct pipeline *p, struct cell_run *run)
{
    sketch_add_rows(p->sketch, run->cell, run->rows, run->count);
    run->count = 0;
}

/* Its slot in the sketch, remembered for the models of a batch. */
static size_t slot_of_model(struct pipeline *p, struct model_slots *known, const struct deployed_model *model, bool shadow)
{
    for (size_t i = 0; i < known->count; i++)
        if (known->of[i].model == model && known->of[i].shadow == shadow)
            return known->of[i].slot;
    size_t slot = sketch_model_slot(sketch_shape(p->sketch), model ? model->id : "fallback", shadow);
    if (known->count < MODEL_SLOTS)
        known->of[known->count++] = (struct model_slot){model, shadow, slot};
    return slot;
}

static void observe_shadow(struct pipeline *p, struct sketch_cell *cell, struct model_slots *known, size_t e, size_t shadow)
{
    const struct batch *b = &p->batch;
    const struct deployed_model *model = &b->deployments[e]->shadows[shadow];
    size_t at = shadow * BATCH_MAX + e;
    if (b->shadow_shed[at])
        sketch_add_shed(p->sketch, cell, slot_of_model(p, known, model, true));
    if (!b->shadow_sampled[at] || b->shadow_shed[at])
        return;
    size_t slot = slot_of_model(p, known, model, true);
    enum decision decision = decide(model->thresholds, b->shadow_scores[at]);
    sketch_add_score(p->sketch, cell, slot, b->shadow_scores[at], decision);
    sketch_add_comparison(p->sketch, cell, slot, b->shadow_scores[at], decision, b->served[e].score, b->served[e].decision);
}

static void observe_event(struct pipeline *p, const struct partition_state *state, struct model_slots *known, struct cell_run *run, size_t e)
{
    struct batch *b = &p->batch;
    struct sketch_event seen = {.partition = state->id,
        .offset = b->events[e].offset,
        .time_ms = b->events[e].time_ms,
        .late_ms = b->outcomes[e].late_ms,
        .window_complete = b->outcomes[e].window_complete,
        .schema_id = b->schema_ids[b->record_of[e]],
        .values = b->events[e].values};
    struct sketch_cell *cell = sketch_add(p->sketch, &seen);
    if (cell != run->cell)
        end_run(p, run);
    run->cell = cell;
    run->rows[run->count++] = b->rows + e * p->config->spec->count;
    if (!p->scores)
        return;
    sketch_add_score(p->sketch, cell, slot_of_model(p, known, b->answered[e], false), b->served[e].score, b->served[e].decision);
    for (size_t s = 0; s < b->deployments[e]->shadow_count; s++)
        observe_shadow(p, cell, known, e, s);
}

/* Those of the batch count in its last event's window. */
static void observe_fallbacks(struct pipeline *p, struct sketch_cell *cell)
{
    const int64_t *fallbacks = scorer_counts(p->scorer)->fallbacks;
    for (size_t i = 0; i < FALLBACK_REASONS; i++) {
        if (fallbacks[i] != p->fallbacks[i])
            sketch_add_fallbacks(p->sketch, cell, i, fallbacks[i] - p->fallbacks[i]);
        p->fallbacks[i] = fallbacks[i];
    }
}

static int slot_of_field(const struct pipeline *p, const char *field)
{
    const struct field_set *fields = &p->config->fields;
    for (size_t i = 0; field && i < fields->count; i++)
        if (!strcmp(fields->fields[i].name, field))
            return (int)i;
    return -1;
}

static void observe_reject(struct pipeline *p, const struct partition_state *state, int64_t stream_time, size_t i)
{
    const struct record *record = &p->batch.records[i];
    const struct verdict *verdict = &p->batch.verdicts[i];
    int64_t time_ms = stream_time == TIME_UNKNOWN ? record->timestamp_ms : stream_time;
    sketch_add_reject(p->sketch, state->id, record->offset, time_ms, verdict->reason, slot_of_field(p, verdict->field));
}

/* Folds what came of the batch into the lane's sketch, in record order.  `from` and stream_time: the
 * partition's next offset and T before the batch. */
static void observe(struct pipeline *p, const struct partition_state *state, int64_t from, int64_t stream_time, const struct sink *sink)
{
    struct batch *b = &p->batch;
    struct model_slots known = {.count = 0};
    struct cell_run run = {.cell = NULL};
    if (!p->sketch || !b->count)
        return;
    size_t e = 0;
    for (size_t i = 0; i < b->count; i++) {
        bool is_event = e < b->event_count && b->record_of[e] == i;
        if (sink->wanted && !sink->wanted(sink->context, time_of(p, i)))
            ;
        else if (b->verdicts[i].reason)
            observe_reject(p, state, stream_time, i);
        else
            observe_event(p, state, &known, &run, e);
        if (is_event)
            stream_time = b->events[e].time_ms + b->outcomes[e].late_ms;
        e += is_event;
    }
    end_run(p, &run);
    if (p->scores)
        observe_fallbacks(p, run.cell);
    sketch_cover(p->sketch, state->id, from, state->next_offset, stream_time);
}

/* ---- all stages ---- */

int pipeline_process(struct pipeline *p, struct partition_state *state, const struct sink *sink, struct err *err)
{
    struct batch *b = &p->batch;
    bool suppressed = b->count && b->records[0].offset < state->suppress_below;
    assert(!suppressed || b->records[b->count - 1].offset < state->suppress_below);
    int64_t from = state->next_offset, stream_time = windows_stream_time(state->windows);
    decode(p, err);
    FAILPOINT(after_decode);
    if (compute_features(p, state, err) < 0)
        return -1;
    FAILPOINT(after_features);
    advance(state, b);
    int result = scorer_score(p->scorer, b, state, suppressed, sink, err);
    FAILPOINT(after_score);
    if (result == 0 && !suppressed && (result = emit(p, sink, err)) == 0)
        observe(p, state, from, stream_time, sink);
    scorer_settle(p->scorer, state);
    return result < 0 ? -1 : (int)b->count;
}

struct scorer *pipeline_scorer(struct pipeline *p)
{
    return p->scorer;
}

void verdict_message(const struct verdict *verdict, char *text, size_t size)
{
    int n = snprintf(text, size, "%s", reject_name(verdict->reason));
    struct { const char *before, *value; } parts[] = {{": field ", verdict->field}, {": rule ", verdict->rule}, {": ", verdict->what}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].value && n >= 0 && (size_t)n < size)
            n += snprintf(text + n, size - (size_t)n, "%s%s", parts[i].before, parts[i].value);
}
