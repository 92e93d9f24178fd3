/* An open-addressing table of ids; their bytes lie one after the other in one buffer. */
#include "consumer/replay/labels.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/avro/container.h"
#include "consumer/avro/plan.h"
#include "consumer/process.h"
#include "consumer/replay/source.h"

enum { LABEL_SLOT_LABEL = 3 };

struct label {
    size_t at; /* of the id's bytes */
    uint32_t size;
    int32_t label; /* -1: the place is free */
    int64_t reported_ms;
};

struct labels {
    struct label *table;
    size_t room, count; /* room: a power of two */
    struct buffer ids;
};

static uint64_t hash_bytes(const void *data, size_t size)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static struct label *place_of(const struct labels *l, struct bytes id)
{
    for (size_t i = hash_bytes(id.data, id.size) & (l->room - 1);; i = (i + 1) & (l->room - 1)) {
        struct label *p = &l->table[i];
        if (p->label < 0 || (p->size == id.size && !memcmp(l->ids.data + p->at, id.data, id.size)))
            return p;
    }
}

static void make_room(struct labels *l, size_t room)
{
    struct label *old = l->table;
    size_t old_room = l->room;
    l->table = malloc(room * sizeof *l->table);
    assert(l->table);
    l->room = room;
    for (size_t i = 0; i < room; i++)
        l->table[i].label = -1;
    for (size_t i = 0; i < old_room; i++)
        if (old[i].label >= 0)
            *place_of(l, (struct bytes){l->ids.data + old[i].at, old[i].size}) = old[i];
    free(old);
}

static void add(struct labels *l, struct bytes id, int32_t label, int64_t reported_ms)
{
    if (l->count * 2 >= l->room)
        make_room(l, l->room * 2);
    struct label *p = place_of(l, id);
    if (p->label < 0) {
        *p = (struct label){.at = l->ids.size, .size = id.size, .label = label, .reported_ms = reported_ms};
        put_bytes_raw(&l->ids, id.data, id.size);
        l->count++;
    } else if (reported_ms >= p->reported_ms) {
        p->label = label;
        p->reported_ms = reported_ms;
    }
}

static int add_value(struct labels *l, const struct value *values, struct err *err)
{
    const struct value *id = &values[FIELD_ID], *label = &values[LABEL_SLOT_LABEL], *reported = &values[FIELD_TIME];
    if (id->type != VALUE_TEXT || label->type != VALUE_INT || (label->integer != 0 && label->integer != 1))
        return err_set(err, "a label needs a string transaction_id and a label of 0 or 1");
    add(l, (struct bytes){id->text, id->size}, (int32_t)label->integer, reported->type == VALUE_INT ? reported->integer : 0);
    return 0;
}

static void label_fields(struct field_set *fields)
{
    field_set_init(fields);
    field_set_add(fields, "transaction_id", FIELD_USE_KEY);
    field_set_add(fields, "entity", FIELD_USE_ANY);
    field_set_add(fields, "reported_time", FIELD_USE_TIME);
    int slot = field_set_add(fields, "label", FIELD_USE_INTEGER);
    assert(slot == LABEL_SLOT_LABEL);
}

static int add_block(struct labels *l, const struct decode_plan *plan, const uint8_t *data, size_t size, uint64_t count, struct err *err)
{
    struct value values[LABEL_SLOT_LABEL + 1];
    struct decode_fault fault;
    for (; count; count--) {
        size_t used = 0;
        if (decode_value(plan, data, size, values, &used, &fault) < 0)
            return err_set(err, "%s", fault.what);
        if (add_value(l, values, err) < 0)
            return -1;
        data += used;
        size -= used;
    }
    return size ? err_set(err, "bytes are left after the last value of a block") : 0;
}

static int load_file(struct labels *l, const struct field_set *fields, const char *path, struct err *err)
{
    struct container_reader *reader = NULL;
    struct avro_schema *schema = NULL;
    struct decode_plan *plan = NULL;
    int result = container_reader_open(path, &reader, err);
    if (result < 0)
        return -1;
    const char *text = container_reader_schema(reader);
    if (avro_schema_create(text, strlen(text), NULL, 0, &schema, err) < 0 || decode_plan_create(schema, NULL, fields, decode_limits_default, &plan, err) < 0)
        result = -1;
    const uint8_t *data;
    size_t size;
    uint64_t count;
    int more = 0;
    while (result == 0 && (more = container_reader_block(reader, &data, &size, &count, err)) == 1)
        result = add_block(l, plan, data, size, count, err);
    if (result < 0 || more < 0)
        result = err_prefix(err, "%s", path);
    decode_plan_destroy(plan);
    avro_schema_destroy(schema);
    container_reader_close(reader);
    return result;
}

/* The plan of the writer schema that the last label had. */
struct latest_plan {
    int32_t schema_id;
    struct decode_plan *plan;
};

static int find_plan(struct latest_plan *latest, int32_t id, struct registry *registry, const struct field_set *fields, struct err *err)
{
    const struct avro_schema *schema;
    if (latest->plan && latest->schema_id == id)
        return 0;
    decode_plan_destroy(latest->plan);
    *latest = (struct latest_plan){.schema_id = id};
    if (registry_schema(registry, id, &schema, err) != REGISTRY_FOUND)
        return -1;
    return decode_plan_create(schema, NULL, fields, decode_limits_default, &latest->plan, err);
}

static int add_record(struct labels *l, struct registry *registry, struct latest_plan *latest, const struct field_set *fields, const struct record *r, struct err *err)
{
    const uint8_t *data = r->value;
    struct value values[LABEL_SLOT_LABEL + 1];
    struct decode_fault fault;
    if (!data || r->value_size < 5 || data[0])
        return err_set(err, "a label is not in the Confluent wire format");
    int32_t id = (int32_t)((uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4]);
    if (find_plan(latest, id, registry, fields, err) < 0)
        return -1;
    return decode_value(latest->plan, data + 5, r->value_size - 5, values, NULL, &fault) < 0 ? err_set(err, "%s", fault.what) : add_value(l, values, err);
}

static int load_topic(struct labels *l, const struct field_set *fields, const struct config *config, const char *topic, struct err *err)
{
    struct registry_options options = registry_options_of(config);
    struct registry *registry = NULL;
    struct source *source = NULL;
    struct latest_plan latest = {0};
    struct record *records = calloc(BATCH_MAX, sizeof *records);
    assert(records);
    int n = 0, result = -1;
    if (registry_create(&options, &registry, err) == 0 && source_open_topic(config, topic, 3600000, &source, err) == 0) {
        result = 0;
        while (result == 0 && (n = source_next(source, records, BATCH_MAX, err)) > 0)
            for (int i = 0; result == 0 && i < n; i++)
                result = add_record(l, registry, &latest, fields, &records[i], err);
        result = result < 0 || n < 0 ? err_prefix(err, "labels topic %s", topic) : 0;
    }
    decode_plan_destroy(latest.plan);
    source_close(source);
    registry_destroy(registry);
    free(records);
    return result;
}

int labels_load(const struct config *config, const char *path_or_topic, struct labels **out, struct err *err)
{
    struct labels *l = calloc(1, sizeof *l);
    struct field_set fields;
    assert(l);
    make_room(l, 1 << 16);
    label_fields(&fields);
    int result = access(path_or_topic, F_OK) == 0 ? load_file(l, &fields, path_or_topic, err) : load_topic(l, &fields, config, path_or_topic, err);
    field_set_finish(&fields);
    if (result < 0) {
        labels_destroy(l);
        return -1;
    }
    *out = l;
    return 0;
}

void labels_destroy(struct labels *l)
{
    if (!l)
        return;
    free(l->table);
    buffer_finish(&l->ids);
    free(l);
}

size_t labels_count(const struct labels *l)
{
    return l->count;
}

int labels_find(const struct labels *l, struct bytes id)
{
    return place_of(l, id)->label;
}
