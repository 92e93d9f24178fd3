/* The pipeline on records in memory: every reject reason, order and suppression, and the bytes of output records. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <avro.h>
#include <cmocka.h>

#include "consumer/file.h"
#include "consumer/output.h"
#include "consumer/pipeline.h"
#include "schemas/embedded.h"

/* ---- scene: a feature file, a configuration and a schema directory ---- */

static const char features[] =
    "version: 1\nid: id\nentity: card\ntime: at\nlateness: 1m\nfuture_skew: 5s\nmax_age: 1h\nfeatures:\n"
    "  - {name: amount, op: value, field: amount}\n  - {name: n, op: count, windows: [1m]}\n";
static const char schema[] =
    "{\"type\": \"record\", \"name\": \"E\", \"fields\": [{\"name\": \"id\", \"type\": [\"null\", \"string\"]}, {\"name\": \"card\", \"type\": [\"string\", \"boolean\"]},"
    "{\"name\": \"at\", \"type\": \"long\"}, {\"name\": \"amount\", \"type\": [\"long\", \"string\"]}, {\"name\": \"mcc\", \"type\": \"int\"}]}";
static const char schema_without_id[] = "{\"type\": \"record\", \"name\": \"E\", \"fields\": [{\"name\": \"card\", \"type\": \"string\"}, {\"name\": \"at\", \"type\": \"long\"}]}";

static const char schema_of_enum_id[] =
    "{\"type\": \"record\", \"name\": \"E\", \"fields\": [{\"name\": \"id\", \"type\": {\"type\": \"enum\", \"name\": \"I\", \"symbols\": [\"a\"]}},"
    "{\"name\": \"card\", \"type\": \"string\"}, {\"name\": \"at\", \"type\": \"long\"}]}";
static const char schema_of_decimals[] =
    "{\"type\": \"record\", \"name\": \"E\", \"fields\": [{\"name\": \"id\", \"type\": \"int\"},"
    "{\"name\": \"card\", \"type\": [\"long\", {\"type\": \"bytes\", \"logicalType\": \"decimal\", \"precision\": 18}]},"
    "{\"name\": \"at\", \"type\": [\"long\", {\"type\": \"fixed\", \"name\": \"D\", \"size\": 8, \"logicalType\": \"decimal\", \"precision\": 18}]}]}";
static const char schema_of_double[] =
    "{\"type\": \"record\", \"name\": \"E\", \"fields\": [{\"name\": \"id\", \"type\": \"int\"}, {\"name\": \"card\", \"type\": \"string\"},"
    "{\"name\": \"at\", \"type\": \"long\"}, {\"name\": \"mcc\", \"type\": \"double\"}]}";

static char directory[] = "/tmp/weir-pipeline-XXXXXX";
static struct config *config;
static struct registry *registry;

static void put_file(const char *name, const char *text)
{
    char path[256];
    struct err err;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(file_write(path, text, strlen(text), &err), 0);
}

static void load_config(const char *schemas)
{
    char text[1024];
    struct err err = {0};
    int n = snprintf(text, sizeof text,
        "app_id: t\nkafka: {bootstrap.servers: none}\nfeatures: features.yaml\n"
        "input: {topic: in, max_record_bytes: 200, schemas: {%s}}\n"
        "validation:\n  - {field: amount, max: 1000}\n  - {name: no_cash, when: {field: mcc, in: [6011]}, field: amount, max: 10}\n"
        "monitor: {segments: [mcc, card], value_field: amount}\n", schemas);
    if (config_parse("weir.yaml", directory, text, (size_t)n, CONFIG_NEED_INPUT, &config, &err) < 0)
        fail_msg("%s", err.msg);
}

static int make_scene(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    put_file("features.yaml", features);
    put_file("1.avsc", schema);
    put_file("2.avsc", schema_without_id);
    put_file("3.avsc", schema_of_enum_id);
    put_file("4.avsc", schema_of_decimals);
    put_file("5.avsc", schema_of_double);
    load_config("dir: .");
    return registry_create(&(struct registry_options){.dir = config->input.schemas.dir, .timeout_ms = 1000}, &registry, NULL);
}

static int remove_scene(void **state)
{
    (void)state;
    static const char *const names[] = {"features.yaml", "1.avsc", "2.avsc", "3.avsc", "4.avsc", "5.avsc"};
    char path[256];
    registry_destroy(registry);
    config_destroy(config);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

/* ---- a sink that writes down what it gets ---- */

struct seen {
    char text[4096];
};

static void note(struct seen *seen, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct seen *seen, const char *format, ...)
{
    size_t n = strlen(seen->text);
    va_list args;
    va_start(args, format);
    vsnprintf(seen->text + n, sizeof seen->text - n, format, args);
    va_end(args);
}

static int note_accepted(void *context, const struct event *event, const float *row, bool complete, struct err *err)
{
    (void)err;
    note(context, "%.*s n=%g%s;", (int)event->id.size, (const char *)event->id.data, (double)row[1], complete ? "" : " incomplete");
    return 0;
}

static int note_rejected(void *context, const struct record *record, const struct verdict *verdict, struct err *err)
{
    char message[256];
    (void)record;
    (void)err;
    verdict_message(verdict, message, sizeof message);
    note(context, "%s;", message);
    return 0;
}

static struct sink sink_of(struct seen *seen)
{
    seen->text[0] = 0;
    return (struct sink){.context = seen, .accepted = note_accepted, .rejected = note_rejected};
}

/* ---- records ---- */

enum { AT = 1700000000 };

/* Confluent framing, then id, card, at, amount and mcc as the schema wants them. */
static struct buffer event_of(const char *id, int64_t at_s, int64_t amount, int mcc)
{
    struct buffer b = {0};
    put_bytes_raw(&b, "\0\0\0\0\1", 5);
    put_long(&b, id != NULL);
    if (id)
        put_string(&b, id);
    put_long(&b, 0);
    put_string(&b, "c1");
    put_long(&b, at_s * 1000);
    put_long(&b, 0);
    put_long(&b, amount);
    put_long(&b, mcc);
    return b;
}

static void add_record(struct pipeline *p, const void *value, size_t size, int64_t timestamp_s)
{
    struct batch *b = pipeline_batch(p);
    b->records[b->count] = (struct record){.partition = 3, .offset = (int64_t)b->count, .timestamp_ms = timestamp_s * 1000, .value = value, .value_size = size};
    b->count++;
}

/* A pipeline at the beginning of a partition. */
struct run {
    struct pipeline *pipeline;
    struct partition_state partition;
    struct seen seen;
    struct sink sink;
    struct err err;
};

static void run_begin(struct run *r, struct registry *schemas)
{
    *r = (struct run){0};
    r->sink = sink_of(&r->seen);
    assert_int_equal(pipeline_create(config, NULL, schemas, &r->pipeline, &r->err), 0);
    assert_int_equal(partition_state_init(&r->partition, config, 3), 0);
}

static int run_process(struct run *r)
{
    return pipeline_process(r->pipeline, &r->partition, &r->sink, &r->err);
}

static void run_end(struct run *r)
{
    partition_state_finish(&r->partition);
    pipeline_destroy(r->pipeline);
}

static const char *outcome_of(const void *value, size_t size, int64_t timestamp_s, struct seen *seen)
{
    struct run r;
    run_begin(&r, registry);
    add_record(r.pipeline, value, size, timestamp_s);
    assert_int_equal(run_process(&r), 1);
    run_end(&r);
    *seen = r.seen;
    return seen->text;
}

static void framing_is_checked_first(void **state)
{
    (void)state;
    struct seen seen;
    char large[201] = {0};
    assert_string_equal(outcome_of(NULL, 0, AT, &seen), "not_avro: the value is null;");
    assert_string_equal(outcome_of("\0\0\0", 3, AT, &seen), "not_avro: the value is shorter than its header;");
    assert_string_equal(outcome_of("\1\0\0\0\1", 5, AT, &seen), "not_avro: the magic byte is not 0;");
    assert_string_equal(outcome_of("\0\0\0\0\x63", 5, AT, &seen), "unknown_schema: the schema registry has no Avro schema of this id;");
    assert_string_equal(outcome_of(large, sizeof large, AT, &seen), "too_large: the value is longer than input.max_record_bytes;");
}

static void values_are_decoded_whole(void **state)
{
    (void)state;
    struct seen seen;
    struct buffer b = event_of("e", AT, 5, 1);
    assert_non_null(strstr(outcome_of(b.data, b.size - 1, AT, &seen), "decode_error: field mcc"));
    put_bytes_raw(&b, "x", 1);
    assert_non_null(strstr(outcome_of(b.data, b.size, AT, &seen), "trailing_bytes"));
    buffer_finish(&b);
}

static void each_check_gives_its_reason_and_field(void **state)
{
    (void)state;
    struct seen seen;
    static const struct {
        const char *id;
        int64_t at, amount;
        int mcc;
        int64_t timestamp;
        const char *outcome;
    } cases[] = {
        {"e", AT, 5, 1, AT, "e n=1;"},
        {NULL, AT, 5, 1, AT, "null_field: field id;"},
        {"e", -1, 5, 1, AT, "range: field at;"},
        {"e", AT, (int64_t)1 << 40, 1, AT, "range: field amount;"},
        {"e", AT, 1001, 1, AT, "range: field amount;"},
        {"e", AT, 11, 6011, AT, "rule: field amount: rule no_cash;"},
        {"e", AT, 10, 6011, AT, "e n=1;"},
        {"e", AT, 5, 1, AT - 6, "future: field at;"},
        {"e", AT, 5, 1, AT - 5, "e n=1;"},
        {"e", AT, 5, 1, AT + 3601, "stale: field at;"},
        {"e", AT, 5, 1, AT + 3600, "e n=1;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = event_of(cases[i].id, cases[i].at, cases[i].amount, cases[i].mcc);
        assert_string_equal(outcome_of(b.data, b.size, cases[i].timestamp, &seen), cases[i].outcome);
        buffer_finish(&b);
    }
}

static void a_type_that_a_use_does_not_take_is_named(void **state)
{
    (void)state;
    struct seen seen;
    struct buffer b = {0};
    put_bytes_raw(&b, "\0\0\0\0\1", 5);
    put_long(&b, 1);
    put_string(&b, "e");
    put_long(&b, 1);
    put_bool(&b, true); /* card */
    put_long(&b, (int64_t)AT * 1000);
    put_long(&b, 0);
    put_long(&b, 1);
    put_long(&b, 1);
    assert_string_equal(outcome_of(b.data, b.size, AT, &seen), "type: field card;");
    buffer_finish(&b);
    static const uint8_t no_id[] = {0, 0, 0, 0, 2, 2, 'c', 2};
    assert_string_equal(outcome_of(no_id, sizeof no_id, AT, &seen), "missing_field: field id;");
}

/* To features an enum's symbol is text and a decimal a number; an id, an entity and a time are strings or integers themselves. */
static void an_enum_or_a_decimal_is_no_id_entity_or_time(void **state)
{
    (void)state;
    struct seen seen;
    static const uint8_t enum_id[] = {0, 0, 0, 0, 3, 0, 2, 'c', 2};
    static const uint8_t decimal_card[] = {0, 0, 0, 0, 4, 2, 2, 2, 5, 0, 2}, decimal_at[] = {0, 0, 0, 0, 4, 2, 0, 10, 2, 0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t integers[] = {0, 0, 0, 0, 4, 2, 0, 10, 0, 2};
    assert_string_equal(outcome_of(enum_id, sizeof enum_id, 0, &seen), "type: field id;");
    assert_string_equal(outcome_of(decimal_card, sizeof decimal_card, 0, &seen), "type: field card;");
    assert_string_equal(outcome_of(decimal_at, sizeof decimal_at, 0, &seen), "type: field at;");
    assert_string_equal(outcome_of(integers, sizeof integers, 0, &seen), "1 n=1;");
}

static void an_infinity_that_only_an_entry_reads_is_out_of_range_too(void **state)
{
    (void)state;
    struct seen seen;
    static const struct {
        double mcc;
        const char *outcome;
    } cases[] = {{6011, "1 n=1;"}, {(double)NAN, "1 n=1;"}, {(double)INFINITY, "range: field mcc;"}, {-(double)INFINITY, "range: field mcc;"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t value[5 + 4 + sizeof(double)] = {0, 0, 0, 0, 5, 2, 2, 'c', 2};
        memcpy(value + 9, &cases[i].mcc, sizeof(double));
        assert_string_equal(outcome_of(value, sizeof value, 0, &seen), cases[i].outcome);
    }
}

/* ---- batches ---- */

static void outcomes_come_in_record_order(void **state)
{
    (void)state;
    struct run r;
    struct buffer a = event_of("a", AT, 1, 1), b = event_of("b", AT + 1, 1, 1);
    run_begin(&r, registry);
    add_record(r.pipeline, NULL, 0, AT);
    add_record(r.pipeline, a.data, a.size, AT);
    add_record(r.pipeline, a.data, a.size, AT);
    add_record(r.pipeline, b.data, b.size, AT + 1);
    assert_int_equal(run_process(&r), 4);
    assert_string_equal(r.seen.text, "not_avro: the value is null;a n=1;duplicate: field id;b n=2;");
    assert_int_equal(r.partition.next_offset, 4);
    run_end(&r);
    buffer_finish(&a);
    buffer_finish(&b);
}

static void suppressed_records_change_state_and_nothing_else(void **state)
{
    (void)state;
    struct run r;
    struct buffer a = event_of("a", AT, 1, 1), b = event_of("b", AT + 1, 1, 1);
    run_begin(&r, registry);
    r.partition.suppress_below = 1;
    add_record(r.pipeline, a.data, a.size, AT);
    assert_int_equal(run_process(&r), 1);
    assert_string_equal(r.seen.text, "");
    pipeline_batch(r.pipeline)->count = 0;
    add_record(r.pipeline, b.data, b.size, AT + 1);
    pipeline_batch(r.pipeline)->records[0].offset = 1;
    assert_int_equal(run_process(&r), 1);
    assert_string_equal(r.seen.text, "b n=2;");
    run_end(&r);
    buffer_finish(&a);
    buffer_finish(&b);
}

static void a_registry_that_is_away_ends_the_batch_before_the_record(void **state)
{
    (void)state;
    struct run r;
    struct registry *away;
    struct buffer a = event_of("a", AT, 1, 1);
    assert_int_equal(registry_create(&(struct registry_options){.url = "http://127.0.0.1:1", .timeout_ms = 1000}, &away, NULL), 0);
    run_begin(&r, away);
    add_record(r.pipeline, NULL, 0, AT);
    add_record(r.pipeline, a.data, a.size, AT);
    assert_int_equal(run_process(&r), 1);
    assert_string_equal(r.seen.text, "not_avro: the value is null;");
    assert_int_equal(r.partition.next_offset, 1);
    assert_true(r.err.msg[0] != 0);
    run_end(&r);
    registry_destroy(away);
    buffer_finish(&a);
}

/* ---- output bytes, read by Avro C ---- */

static char *json_of(const char *schema_text, const struct buffer *b)
{
    avro_schema_t parsed;
    avro_value_t value;
    char *json = NULL;
    assert_int_equal(avro_schema_from_json_length(schema_text, strlen(schema_text), &parsed), 0);
    avro_value_iface_t *iface = avro_generic_class_from_schema(parsed);
    assert_int_equal(avro_generic_value_new(iface, &value), 0);
    avro_reader_t reader = avro_reader_memory((const char *)b->data, (int64_t)b->size);
    assert_int_equal(avro_value_read(reader, &value), 0);
    assert_int_equal(avro_value_to_json(&value, 1, &json), 0);
    avro_reader_free(reader);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(parsed);
    return json;
}

static void expect_json(const char *schema_text, const struct buffer *b, const char *expected)
{
    char *json = json_of(schema_text, b);
    assert_string_equal(json, expected);
    free(json);
}

#define HASH(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c

static void records_read_back_in_another_implementation(void **state)
{
    (void)state;
    struct err err = {0};
    struct pipeline *p;
    assert_int_equal(pipeline_create(config, NULL, registry, &p, &err), 0);
    struct batch *batch = pipeline_batch(p);
    struct value values[8] = {{.type = VALUE_TEXT, .size = 1, .text = "e"}, {.type = VALUE_TEXT, .size = 2, .text = "c1"}, {.type = VALUE_INT, .integer = 5}};
    values[field_set_find(&config->fields, "amount")] = (struct value){.type = VALUE_INT, .integer = 42};
    values[field_set_find(&config->fields, "mcc")] = (struct value){.type = VALUE_INT, .integer = 5411};
    struct deployment deployment = {.champion = {.id = "m1"}, .shadow_count = 1, .shadows = {{.id = "m2", .thresholds = {0.5, 0.9}}}, .settings = {.reasons_top = 1}};
    struct output_context context = {config, {0}};
    memset(deployment.champion.sha256, 'h', 32);
    memset(deployment.shadows[0].sha256, 's', 32);
    memset(context.feature_spec_sha256, 'f', 32);
    float contributions[] = {0.25f, -0.5f, 1.0f};
    float *kept = batch->contributions;
    batch->records[0] = (struct record){.partition = 7, .offset = 99};
    batch->schema_ids[0] = 11;
    batch->events[0] = (struct event){.values = values, .time_ms = 5, .id = {"e", 1}, .entity = {"c1", 2}};
    batch->outcomes[0] = (struct feature_outcome){.window_complete = true, .late_ms = 3};
    batch->rows[0] = 42;
    batch->rows[1] = 2;
    batch->served[0] = (struct served){0.75f, 1.5f, DECISION_REVIEW, CONFIDENCE_NORMAL, ROLE_CHAMPION, CHAIN_CHAMPION};
    batch->answered[0] = &deployment.champion;
    batch->deployments[0] = &deployment;
    batch->explained[0] = 0;
    batch->contributions = contributions;
    float shadow_margin = -1, shadow_score = 0.25f;
    float *kept_margins = batch->shadow_margins, *kept_scores = batch->shadow_scores;
    batch->shadow_margins = &shadow_margin;
    batch->shadow_scores = &shadow_score;

    struct buffer b = {0};
    encode_prediction(&b, &context, batch, 0);
    expect_json(schema_prediction, &b,
        "{\"transaction_id\": \"e\", \"entity\": \"c1\", \"event_time\": 5, \"score\": 0.75, \"margin\": 1.5, \"decision\": \"REVIEW\", \"confidence\": \"NORMAL\", \"role\": \"CHAMPION\", "
        "\"model_id\": \"m1\", \"model_sha256\": \"" HASH("h") "\", \"feature_spec_sha256\": \"" HASH("f") "\", \"features\": [42.0, 2.0], \"window_complete\": true, \"late_ms\": 3, "
        "\"reasons\": [{\"feature\": \"n_1m\", \"contribution\": -0.5}], \"value\": {\"long\": 42}, \"segments\": {\"mcc\": \"5411\", \"card\": \"c1\"}, \"partition\": 7, \"offset\": 99, \"schema_id\": 11}");
    b.size = 0;
    encode_shadow(&b, &context, batch, 0, 0);
    expect_json(schema_shadow, &b,
        "{\"transaction_id\": \"e\", \"entity\": \"c1\", \"event_time\": 5, \"model_id\": \"m2\", \"model_sha256\": \"" HASH("s") "\", \"score\": 0.25, \"margin\": -1.0, \"decision\": \"APPROVE\", "
        "\"served_model_id\": \"m1\", \"served_score\": 0.75, \"served_decision\": \"REVIEW\", \"segments\": {\"mcc\": \"5411\", \"card\": \"c1\"}, \"window_complete\": true, \"partition\": 7, \"offset\": 99}");
    b.size = 0;
    encode_dead_letter(&b, &(struct record){.partition = 1, .offset = 2, .value = "v", .value_size = 1}, &(struct verdict){.reason = REJECT_RULE, .field = "amount", .rule = "no_cash"});
    expect_json(schema_dead_letter, &b,
        "{\"partition\": 1, \"offset\": 2, \"reason\": \"rule\", \"field\": {\"string\": \"amount\"}, \"message\": \"rule: field amount: rule no_cash\", \"key\": null, \"value\": {\"bytes\": \"v\"}}");
    buffer_finish(&b);
    batch->contributions = kept;
    batch->shadow_margins = kept_margins;
    batch->shadow_scores = kept_scores;
    pipeline_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framing_is_checked_first),
        cmocka_unit_test(values_are_decoded_whole),
        cmocka_unit_test(each_check_gives_its_reason_and_field),
        cmocka_unit_test(a_type_that_a_use_does_not_take_is_named),
        cmocka_unit_test(an_enum_or_a_decimal_is_no_id_entity_or_time),
        cmocka_unit_test(an_infinity_that_only_an_entry_reads_is_out_of_range_too),
        cmocka_unit_test(outcomes_come_in_record_order),
        cmocka_unit_test(suppressed_records_change_state_and_nothing_else),
        cmocka_unit_test(a_registry_that_is_away_ends_the_batch_before_the_record),
        cmocka_unit_test(records_read_back_in_another_implementation),
    };
    return cmocka_run_group_tests_name("pipeline", tests, make_scene, remove_scene);
}
