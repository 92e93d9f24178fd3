/* Decoding: framing, the writer schema's compiled plan, the value.  Plans live in one table a lane, and what a batch
 * points into stays until the next one begins. */
#include "consumer/decoder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/plan.h"
#include "consumer/file.h"

enum { PLANS_MAX = 4096 }; /* writer schemas that one lane keeps compiled */
_Static_assert((int)PLANS_MAX > (int)BATCH_MAX, "a batch never uses all places");

struct plan_entry {
    int32_t schema_id;
    struct decode_plan *plan; /* NULL: the schema cannot be read with this configuration; `why` says it */
    char *why;
    uint64_t batch; /* the latest that used it: values and verdicts of that batch point into it */
};

struct decoder {
    const struct config *config;
    struct registry *registry;
    struct avro_schema *reader;
    struct avro_schema *plain_schema;
    struct decode_plan *plain_plan; /* of container files */
    struct decode_plan *size_plan;  /* of their values that plain_plan does not take, to find the next one */
    struct value *scratch;          /* of a value whose size alone is wanted */
    int plain_timestamp_slot;
    int64_t plain_timestamp_divisor; /* of its unit, to milliseconds */
    struct plan_entry *plans;
    size_t plan_count;
    uint64_t batch_number;
};

static int load_reader_schema(struct decoder *d, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    const char *given = d->config->input.reader_schema_text;
    if (given)
        return avro_schema_create(given, strlen(given), NULL, 0, &d->reader, err);
    if (!d->config->input.reader_schema)
        return 0;
    int result = -1;
    if (file_read(d->config->input.reader_schema, SCHEMA_TEXT_MAX, &text, &size, err) == 0)
        result = avro_schema_create(text, size, NULL, 0, &d->reader, err);
    free(text);
    return result < 0 ? err_prefix(err, "%s: input.reader_schema", d->config->file) : 0;
}

int decoder_create(const struct config *config, struct registry *registry, struct decoder **out, struct err *err)
{
    struct decoder *d = calloc(1, sizeof *d);
    assert(d);
    *d = (struct decoder){.config = config, .registry = registry, .plain_timestamp_slot = FIELD_TIME, .plain_timestamp_divisor = 1};
    d->plans = calloc(PLANS_MAX, sizeof *d->plans);
    d->scratch = calloc(config->fields.count, sizeof *d->scratch);
    assert(d->plans && d->scratch);
    if (load_reader_schema(d, err) < 0) {
        decoder_destroy(d);
        return -1;
    }
    *out = d;
    return 0;
}

static void finish_plan(struct plan_entry *entry)
{
    decode_plan_destroy(entry->plan);
    free(entry->why);
}

void decoder_destroy(struct decoder *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->plan_count; i++)
        finish_plan(&d->plans[i]);
    free(d->plans);
    free(d->scratch);
    decode_plan_destroy(d->plain_plan);
    decode_plan_destroy(d->size_plan);
    avro_schema_destroy(d->plain_schema);
    avro_schema_destroy(d->reader);
    free(d);
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

int decoder_set_plain_schema(struct decoder *d, const char *schema_text, struct err *err)
{
    struct field_set none = {0};
    struct decode_limits sizes = {.string_bytes = SIZE_MAX, .block_items = UINT64_MAX, .depth = decode_limits_default.depth, .sizes_only = true};
    if (avro_schema_create(schema_text, strlen(schema_text), NULL, 0, &d->plain_schema, err) < 0 ||
        decode_plan_create(d->plain_schema, NULL, &none, sizes, &d->size_plan, err) < 0)
        return -1;
    return decode_plan_create(d->plain_schema, d->reader, &d->config->fields, limits_of(d->config), &d->plain_plan, err);
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

int decoder_set_plain_timestamps(struct decoder *d, int slot, struct err *err)
{
    d->plain_timestamp_slot = slot;
    d->plain_timestamp_divisor = 1;
    if (slot == FIELD_TIME)
        return 0; /* comes in milliseconds */
    const char *name = d->config->fields.fields[slot].name;
    const struct avro_type_node *node = find_field(avro_schema_root(d->reader ? d->reader : d->plain_schema), name);
    if (!node)
        return err_set(err, "timestamps: the schema has no field %s", name);
    if (node->type != AVRO_T_INT && node->type != AVRO_T_LONG)
        return err_set(err, "timestamps: field %s is no int or long", name);
    d->plain_timestamp_divisor = node->logical == AVRO_L_TIMESTAMP_MICROS ? 1000 : node->logical == AVRO_L_TIMESTAMP_NANOS ? 1000000 : 1;
    return 0;
}

size_t decoder_plain_size(struct decoder *d, const void *data, size_t size, struct err *err)
{
    struct decode_fault fault;
    size_t consumed = 0;
    if (decode_value(d->plain_plan, data, size, d->scratch, &consumed, &fault) == 0 ||
        decode_value(d->size_plan, data, size, NULL, &consumed, &fault) == 0)
        return consumed;
    err_set(err, "%s%s%s", fault.what, fault.field ? " in field " : "", fault.field ? fault.field : "");
    return SIZE_MAX;
}

/* Room for one more plan; when all is taken, in the place of one that this batch does not use (it has fewer records
 * than there are places). */
static struct plan_entry *free_entry(struct decoder *d)
{
    if (d->plan_count < PLANS_MAX)
        return &d->plans[d->plan_count++];
    size_t i = PLANS_MAX - 1;
    while (d->plans[i].batch == d->batch_number)
        i--;
    finish_plan(&d->plans[i]);
    return &d->plans[i];
}

/* The compiled plan of a writer schema, from the lane's own table or by asking the registry.  Ids are few and never
 * change, so a short scan with the latest hit in front beats a hash. */
static enum registry_answer find_plan(struct decoder *d, int32_t id, const struct plan_entry **out, struct err *err)
{
    for (size_t i = 0; i < d->plan_count; i++)
        if (d->plans[i].schema_id == id) {
            struct plan_entry hit = d->plans[i];
            d->plans[i] = d->plans[0];
            d->plans[0] = hit;
            d->plans[0].batch = d->batch_number;
            *out = &d->plans[0];
            return REGISTRY_FOUND;
        }
    const struct avro_schema *schema = NULL;
    enum registry_answer answer = registry_schema(d->registry, id, &schema, err);
    if (answer != REGISTRY_FOUND)
        return answer;
    struct plan_entry *entry = free_entry(d);
    *entry = (struct plan_entry){.schema_id = id, .batch = d->batch_number};
    struct err refused;
    if (decode_plan_create(schema, d->reader, &d->config->fields, limits_of(d->config), &entry->plan, &refused) < 0)
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
static int64_t plain_timestamp(const struct decoder *d, const struct value *values)
{
    const struct value *timestamp = &values[d->plain_timestamp_slot], *time = &values[FIELD_TIME];
    if (timestamp->type == VALUE_INT)
        return timestamp->integer / d->plain_timestamp_divisor - (timestamp->integer % d->plain_timestamp_divisor < 0);
    return time->type == VALUE_INT ? time->integer : 0;
}

bool decoder_read(struct decoder *d, struct record *record, struct value *values, int32_t *schema_id, struct verdict *verdict, struct err *err)
{
    const uint8_t *data = record->value;
    *schema_id = 0;
    *verdict = (struct verdict){0};
    if (!data) {
        *verdict = (struct verdict){.reason = REJECT_NOT_AVRO, .what = "the value is null"};
        return true;
    }
    if (record->value_size > (size_t)d->config->input.max_record_bytes) {
        *verdict = (struct verdict){.reason = REJECT_TOO_LARGE, .what = "the value is longer than input.max_record_bytes"};
        return true;
    }
    if (d->plain_plan) {
        *verdict = decode_with(&(struct plan_entry){.plan = d->plain_plan}, data, record->value_size, values);
        if (!verdict->reason)
            record->timestamp_ms = plain_timestamp(d, values);
        return true;
    }
    if (record->value_size < 5 || data[0] != 0) {
        *verdict = (struct verdict){.reason = REJECT_NOT_AVRO, .what = record->value_size < 5 ? "the value is shorter than its header" : "the magic byte is not 0"};
        return true;
    }
    *schema_id = (int32_t)((uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4]);
    const struct plan_entry *plan = NULL;
    switch (find_plan(d, *schema_id, &plan, err)) {
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

void decoder_next_batch(struct decoder *d)
{
    d->batch_number++;
}
