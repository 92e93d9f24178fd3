#include "consumer/labels/records.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/plan.h"
#include "monitor/label_join.h"
#include "scoring/field_set.h"

enum { PLANS = 8 /* of a topic; a ninth writer's schema takes the oldest one's place */, SLOTS_MAX = 10 };
enum { TIME_MOST_DAYS = 2932897 /* 9999-12-31 */ };

struct plans {
    struct field_set fields;
    struct {
        int32_t schema_id;
        struct decode_plan *plan;
    } of[PLANS];
    size_t next;
};

struct record_reader {
    struct registry *registry;
    int64_t future_skew_ms;
    struct plans plans[JUDGED_KIND_COUNT];
};

/* Slots behind id, entity and time. */
enum { LABEL_SLOT = 3 };
enum { MODEL_SLOT = 3, SCORE_SLOT, SEGMENTS_SLOT, VALUE_SLOT, SHADOW_SLOT = VALUE_SLOT, SHADOW_SCORE_SLOT };

static const char *const field_names[JUDGED_KIND_COUNT][SLOTS_MAX] = {
    [JUDGED_PREDICTION] = {"transaction_id", "entity", "event_time", "model_id", "score", "segments", "value"},
    [JUDGED_SHADOW] = {"transaction_id", "entity", "event_time", "served_model_id", "served_score", "segments", "model_id", "score"},
    [JUDGED_LABEL] = {"transaction_id", "entity", "reported_time", "label"},
};

struct record_reader *record_reader_create(struct registry *registry, int64_t future_skew_ms)
{
    struct record_reader *r = calloc(1, sizeof *r);
    assert(r);
    r->registry = registry;
    r->future_skew_ms = future_skew_ms;
    for (int kind = 0; kind < JUDGED_KIND_COUNT; kind++) {
        field_set_init(&r->plans[kind].fields);
        for (int i = 0; field_names[kind][i]; i++)
            field_set_add(&r->plans[kind].fields, field_names[kind][i], i == FIELD_TIME ? FIELD_USE_TIME : FIELD_USE_ANY);
    }
    return r;
}

void record_reader_destroy(struct record_reader *r)
{
    if (!r)
        return;
    for (int kind = 0; kind < JUDGED_KIND_COUNT; kind++) {
        for (int i = 0; i < PLANS; i++)
            decode_plan_destroy(r->plans[kind].of[i].plan);
        field_set_finish(&r->plans[kind].fields);
    }
    free(r);
}

static enum record_answer find_plan(struct record_reader *r, struct plans *plans, int32_t id, const struct decode_plan **out)
{
    const struct avro_schema *schema;
    struct decode_plan *plan;
    for (int i = 0; i < PLANS; i++)
        if (plans->of[i].plan && plans->of[i].schema_id == id) {
            *out = plans->of[i].plan;
            return RECORD_READ;
        }
    enum registry_answer answer = registry_schema(r->registry, id, &schema, NULL);
    if (answer != REGISTRY_FOUND)
        return answer == REGISTRY_AWAY ? RECORD_AWAY : RECORD_BAD;
    if (decode_plan_create(schema, NULL, &plans->fields, decode_limits_default, &plan, NULL) < 0)
        return RECORD_BAD;
    size_t slot = plans->next++ % PLANS;
    decode_plan_destroy(plans->of[slot].plan);
    plans->of[slot].schema_id = id;
    plans->of[slot].plan = plan;
    *out = plan;
    return RECORD_READ;
}

/* ---- from values to a record ---- */

static bool score_of(const struct value *v, float *score)
{
    *score = (float)v->real;
    return v->type == VALUE_DOUBLE && *score >= 0 && *score <= 1;
}

static bool model_of(const struct value *v, struct bytes *model)
{
    *model = (struct bytes){v->text, v->size};
    return v->type == VALUE_TEXT && v->size && v->size <= MODEL_ID_MAX && !memchr(v->text, 0, v->size);
}

static const char *take_label(const struct record_reader *r, const struct value *values, const rd_kafka_message_t *message, struct judged_record *out)
{
    rd_kafka_timestamp_type_t type;
    int64_t written_ms = rd_kafka_message_timestamp(message, &type);
    const struct value *label = &values[LABEL_SLOT];
    if (label->type != VALUE_INT || (label->integer != 0 && label->integer != 1))
        return "the label is neither 0 nor 1";
    if (written_ms >= 0 && out->time_ms > written_ms + r->future_skew_ms)
        return "it was reported after it was written";
    out->label = (int)label->integer;
    return NULL;
}

static const char *take_served(const struct value *values, struct judged_record *out)
{
    const struct value *segments = &values[SEGMENTS_SLOT];
    if (!score_of(&values[SCORE_SLOT], &out->score) || !model_of(&values[MODEL_SLOT], &out->model))
        return "no score or no model";
    out->segments = segments->type == VALUE_OTHER ? (struct bytes){segments->text, segments->size} : (struct bytes){0};
    return NULL;
}

static const char *take(const struct record_reader *r, const struct value *values, const rd_kafka_message_t *message, struct judged_record *out)
{
    const struct value *id = &values[FIELD_ID], *time = &values[FIELD_TIME];
    if (id->type != VALUE_TEXT)
        return "no transaction_id";
    if (time->type != VALUE_INT || time->integer < 0 || time->integer >= TIME_MOST_DAYS * INT64_C(86400000))
        return "no time between 1970 and 9999";
    out->id_hash = label_join_hash(id->text, id->size);
    out->time_ms = time->integer;
    out->value = LABEL_VALUE_NONE;
    if (out->kind == JUDGED_LABEL)
        return take_label(r, values, message, out);
    if (out->kind == JUDGED_PREDICTION && values[VALUE_SLOT].type == VALUE_INT)
        out->value = values[VALUE_SLOT].integer;
    if (out->kind == JUDGED_SHADOW && (!model_of(&values[SHADOW_SLOT], &out->shadow) || !score_of(&values[SHADOW_SCORE_SLOT], &out->shadow_score)))
        return "no shadow, or no score of it";
    return take_served(values, out);
}

enum record_answer record_read(struct record_reader *r, enum judged_kind kind, const rd_kafka_message_t *message, struct judged_record *out, const char **why)
{
    const uint8_t *data = message->payload;
    const struct decode_plan *plan = NULL;
    struct value values[SLOTS_MAX];
    struct decode_fault fault;
    *out = (struct judged_record){.kind = kind};
    *why = "not in the Confluent wire format";
    if (!data || message->len < 5 || data[0])
        return RECORD_BAD;
    enum record_answer answer = find_plan(r, &r->plans[kind], (int32_t)((uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4]), &plan);
    *why = "its schema is unknown";
    if (answer != RECORD_READ)
        return answer;
    *why = "it does not decode";
    if (decode_value(plan, data + 5, message->len - 5, values, NULL, &fault) < 0)
        return RECORD_BAD;
    *why = take(r, values, message, out);
    return *why ? RECORD_BAD : RECORD_READ;
}
