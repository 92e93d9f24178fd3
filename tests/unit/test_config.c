/* weir.yaml: the sample, the defaults, and every way to get it wrong with the exact words that answer it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "consumer/config/config.h"
#include "consumer/config/option.h"
#include "consumer/failpoint.h"
#include "consumer/file.h"

enum { ALL = CONFIG_NEED_INPUT | CONFIG_NEED_MODELS | CONFIG_NEED_KAFKA };

static char scene[] = "/tmp/weir-config-XXXXXX"; /* holds a feature file and secrets */

static void write_file(const char *name, const char *text)
{
    char path[128];
    struct err err;
    snprintf(path, sizeof path, "%s/%s", scene, name);
    if (file_write(path, text, strlen(text), &err) < 0)
        fail_msg("%s", err.msg);
}

static int make_scene(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(scene));
    write_file("features.yaml", "version: 1\nid: id\nentity: card\ntime: at\nlateness: 1m\nfuture_skew: 0s\n"
                                "features:\n  - {name: amount, op: value, field: amount}\n");
    write_file("secret", "hunter2\n");
    write_file("empty", "\n");
    return 0;
}

static int remove_scene(void **state)
{
    (void)state;
    const char *names[] = {"features.yaml", "secret", "empty"};
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", scene, names[i]);
        unlink(path);
    }
    return rmdir(scene);
}

/* The smallest file that every command takes; each part can be left out or replaced. */
#define APP "app_id: fraud\n"
#define KAFKA "kafka: {bootstrap.servers: 'b:9092'}\n"
#define INPUT "input: {topic: t, schemas: {dir: ids}}\n"
#define FEATURES "features: features.yaml\n"
#define MODELS "models: {champion: {id: m, file: m.ubj}}\n"
#define LEAST APP KAFKA INPUT FEATURES MODELS /* 5 lines: what follows is line 6 */

static struct config *parse(const char *text, unsigned needs)
{
    struct config *config = NULL;
    struct err err = {0};
    if (config_parse("weir.yaml", scene, text, strlen(text), needs, &config, &err) < 0)
        fail_msg("%s", err.msg);
    return config;
}

static void assert_refused(const char *text, unsigned needs, const char *message)
{
    struct config *config = NULL;
    struct err err = {0};
    int result = config_parse("weir.yaml", scene, text, strlen(text), needs, &config, &err);
    if (result == 0)
        fail_msg("accepted: %s", text);
    assert_null(config);
    assert_string_equal(err.msg, message);
}

struct bad_file {
    const char *text, *message;
};

static void assert_all_refused(const struct bad_file *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_refused(cases[i].text, ALL, cases[i].message);
}
#define ASSERT_ALL_REFUSED(cases) assert_all_refused(cases, sizeof(cases) / sizeof *(cases))

static void the_least_file_gets_the_defaults(void **state)
{
    (void)state;
    struct config *c = parse(LEAST, ALL);
    char path[128];
    assert_string_equal(c->file, "weir.yaml");
    assert_string_equal(c->app_id, "fraud");
    assert_null(c->instance);
    assert_int_equal(c->delivery, DELIVERY_EXACTLY_ONCE);
    assert_int_equal(c->commit_interval_ms, 100);
    assert_int_equal(c->lanes, 1);
    assert_string_equal(c->input.start, "earliest");
    assert_int_equal(c->input.start_ms, -1);
    snprintf(path, sizeof path, "%s/ids", scene);
    assert_string_equal(c->input.schemas.dir, path);
    assert_null(c->input.schemas.url);
    assert_true(c->input.schemas.register_schemas);
    assert_int_equal(c->input.schemas.timeout_ms, 10000);
    assert_int_equal(c->input.max_record_bytes, 1048576);
    assert_int_equal(c->input.on_gap, GAP_REFUSE);
    assert_null(c->input.reader_schema);
    assert_string_equal(c->input.group_protocol, "classic");
    assert_int_equal(c->validation_count, 0);
    assert_true(c->models.given);
    assert_string_equal(c->models.source, "file");
    assert_string_equal(c->models.champion.id, "m");
    assert_int_equal(c->models.champion.line, 5);
    snprintf(path, sizeof path, "%s/m.ubj", scene);
    assert_string_equal(c->models.champion.file, path);
    assert_int_equal(c->models.shadow_count, 0);
    assert_true(c->models.fallback_score == 0.5 && c->models.decision.review == 0.5 && c->models.decision.decline == 0.9);
    assert_int_equal(c->models.reasons_top, 3);
    assert_true(c->models.reasons_min_score == 0.5);
    assert_int_equal(c->models.shed_lag_ms, 2000);
    assert_false(c->models.has_canary);
    assert_null(c->models.fallback.file);
    assert_true(c->models.breaker.failure_percent == 10 && c->models.breaker.window_ms == 300000);
    assert_true(c->models.breaker.min_calls == 10 && c->models.breaker.recovery_ms == 60000);
    assert_int_equal(c->models.on_range, RANGE_COUNT);
    assert_string_equal(c->outputs.predictions, "predictions");
    assert_string_equal(c->outputs.shadows, "shadow-predictions");
    assert_string_equal(c->outputs.dead_letters, "dead-letters");
    assert_string_equal(c->outputs.monitoring, "monitoring");
    assert_int_equal(c->state.checkpoint_interval_ms, 300000);
    assert_int_equal(c->state.max_entities, 2000000);
    assert_int_equal(c->state.max_events, 50000000);
    assert_int_equal(c->monitor.window_ms, 300000);
    assert_int_equal(c->monitor.segment_count, 0);
    assert_null(c->monitor.value_field);
    assert_int_equal(c->value_slot, -1);
    assert_string_equal(c->http, "127.0.0.1:9464");
    config_destroy(c);
}

static void given_values_are_taken(void **state)
{
    (void)state;
    struct config *c = parse(APP KAFKA FEATURES
                             "delivery: at_least_once\ncommit_interval_ms: 60000\nlanes: 64\ninstance: w-1\nhttp: '[::1]:0'\n"
                             "input: {topic: NO, start: 2026-01-31T12:00:00Z, max_record_bytes: 64MiB, on_gap: continue, reader_schema: /abs/r.avsc,\n"
                             "  schemas: {url: 'https://r:1/api', user: u, password_file: secret, ca_file: ca.pem, timeout: 1s, register: false}}\n"
                             "models: {champion: {id: 7, file: m}, shadows: [{id: s, file: s.json}, {id: t, file: t.json, sample_percent: 12.5}],\n"
                             "  reasons: {top: 0}, decision: {review: 0.9, decline: 0.9}}\n"
                             "state: {checkpoint_interval: 30s}\n",
                             ALL);
    assert_int_equal(c->delivery, DELIVERY_AT_LEAST_ONCE);
    assert_int_equal(c->commit_interval_ms, 60000);
    assert_int_equal(c->lanes, 64);
    assert_string_equal(c->http, "[::1]:0");
    assert_string_equal(c->input.topic, "NO");
    assert_int_equal(c->input.start_ms, 1769860800000);
    assert_int_equal(c->input.max_record_bytes, 64 << 20);
    assert_int_equal(c->input.on_gap, GAP_CONTINUE);
    assert_string_equal(c->input.reader_schema, "/abs/r.avsc");
    assert_string_equal(c->input.schemas.password, "hunter2");
    assert_false(c->input.schemas.register_schemas);
    assert_string_equal(c->models.champion.id, "7");
    assert_int_equal(c->models.shadow_count, 2);
    assert_string_equal(c->models.shadows[0].id, "s");
    assert_true(c->models.shadows[0].percent == 100 && c->models.shadows[1].percent == 12.5);
    assert_int_equal(c->models.shadows[1].line, 11);
    assert_int_equal(c->models.reasons_top, 0);
    assert_int_equal(c->state.checkpoint_interval_ms, 30000);
    config_destroy(c);
}

static void fields_get_slots_with_the_feature_file_first(void **state)
{
    (void)state;
    struct config *c = parse(LEAST "validation:\n"
                                   "  - {field: mcc, min: 1, max: 9999}\n"
                                   "  - {name: atm, when: {field: channel, in: [ATM, '01']}, field: amount, max: 5e3}\n"
                                   "  - {field: currency, not_in: [NO, true, 1]}\n"
                                   "monitor: {segments: [country, channel], value_field: amount}\n",
                             ALL);
    const char *names[] = {"id", "card", "at", "amount", "mcc", "channel", "currency", "country"};
    assert_int_equal(c->fields.count, 8);
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(c->fields.fields[i].name, names[i]);
    const struct validation_entry *v = c->validation;
    assert_int_equal(c->validation_count, 3);
    assert_null(v[0].name);
    assert_int_equal(v[0].line, 7);
    assert_int_equal(v[0].when.slot, -1);
    assert_int_equal(v[0].bound.slot, 4);
    assert_true(v[0].bound.kind == PREDICATE_RANGE && v[0].bound.has_min && v[0].bound.has_max && v[0].bound.min == 1 && v[0].bound.max == 9999);
    assert_string_equal(v[1].name, "atm");
    assert_int_equal(v[1].when.slot, 5);
    assert_int_equal(v[1].when.kind, PREDICATE_IN);
    assert_int_equal(v[1].when.count, 2);
    assert_false(v[1].when.literals[1].is_integer);
    assert_true(v[1].bound.slot == 3 && !v[1].bound.has_min && v[1].bound.max == 5000);
    assert_int_equal(v[2].bound.kind, PREDICATE_NOT_IN);
    assert_false(v[2].bound.literals[0].is_bool);
    assert_true(v[2].bound.literals[1].is_bool && v[2].bound.literals[2].is_integer);
    assert_int_equal(c->segment_slots[0], 7);
    assert_int_equal(c->segment_slots[1], 5);
    assert_int_equal(c->value_slot, 3);
    config_destroy(c);
}

static void http_can_be_off(void **state)
{
    (void)state;
    struct config *c = parse(LEAST "http: off\n", ALL);
    assert_null(c->http);
    config_destroy(c);
}

static void a_command_needs_only_its_part(void **state)
{
    (void)state;
    struct config *c = parse(APP FEATURES, 0);
    assert_false(c->models.given);
    assert_string_equal(c->input.topic, "transactions");
    assert_string_equal(c->outputs.predictions, "predictions");
    config_destroy(c);
    assert_refused(APP KAFKA FEATURES, CONFIG_NEED_INPUT, "weir.yaml:1: input: missing: What is read.");
    assert_refused(APP KAFKA FEATURES "input: {topic: t}", CONFIG_NEED_INPUT, "weir.yaml:4: input.schemas: missing: Where Avro schemas come from: `url` or `dir`.");
    assert_refused(APP INPUT FEATURES, CONFIG_NEED_MODELS,
                   "weir.yaml:1: models: missing: What scores. Without it only commands that compute features alone work.");
    assert_refused(APP FEATURES "kafka: {client.id: x}", CONFIG_NEED_KAFKA,
                   "weir.yaml:3: kafka.bootstrap.servers: missing: the brokers to start from, as host:port,host:port");
    c = parse(APP FEATURES "kafka: {client.id: x}", 0);
    config_destroy(c);
}

static void unknown_keys_say_what_was_meant(void **state)
{
    (void)state;
    static const struct bad_file cases[] = {
        {LEAST "comit_interval_ms: 5\n",
         "weir.yaml:6: comit_interval_ms: unknown key; did you mean 'commit_interval_ms'? Known here: app_id, instance, kafka, delivery, commit_interval_ms, lanes, "
         "input, validation, features, models, outputs, dead_letters, state, monitor, http, failpoints"},
        {LEAST "outputs:\n  prediction: p\n",
         "weir.yaml:7: outputs.prediction: unknown key; did you mean 'predictions'? Known here: predictions, shadows, dead_letters, monitoring"},
        {LEAST "outputs: {zzz: p}\n", "weir.yaml:6: outputs.zzz: unknown key; known here: predictions, shadows, dead_letters, monitoring"},
        {LEAST "validation: [{field: a, mni: 1}]\n", "weir.yaml:6: validation[0].mni: unknown key; did you mean 'min'? Known here: name, when, field, min, max, in, not_in"},
        {LEAST "validation: [{field: a, min: 1, when: {feild: a}}]\n",
         "weir.yaml:6: validation[0].when.feild: unknown key; did you mean 'field'? Known here: field, in, not_in, min, max"},
        {LEAST "state.max_events: 5\n",
         "weir.yaml:6: state.max_events: unknown key; known here: app_id, instance, kafka, delivery, commit_interval_ms, lanes, input, validation, features, models, outputs, "
         "dead_letters, state, monitor, http, failpoints"},
        {"[]", "weir.yaml:1: a list is not a mapping of keys"},
        {"hello", "weir.yaml:1: 'hello' is not a mapping of keys"},
    };
    ASSERT_ALL_REFUSED(cases);
}

static void wrong_values_say_what_is_allowed(void **state)
{
    (void)state;
    static const struct bad_file cases[] = {
        {LEAST "commit_interval_ms: 5\n", "weir.yaml:6: commit_interval_ms: 5 is out of range 10..60000"},
        {LEAST "commit_interval_ms: 60001\n", "weir.yaml:6: commit_interval_ms: 60001 is out of range 10..60000"},
        {LEAST "commit_interval_ms: 99999999999999999999\n", "weir.yaml:6: commit_interval_ms: '99999999999999999999' is not a whole number"},
        {LEAST "commit_interval_ms: 100ms\n", "weir.yaml:6: commit_interval_ms: '100ms' is not a whole number"},
        {LEAST "commit_interval_ms: '100'\n", "weir.yaml:6: commit_interval_ms: '100' is not a whole number"},
        {LEAST "commit_interval_ms:\n", "weir.yaml:6: commit_interval_ms: has no value; give a whole number or remove the key"},
        {LEAST "commit_interval_ms: [1]\n", "weir.yaml:6: commit_interval_ms: a list is not a whole number"},
        {LEAST "lanes: 0\n", "weir.yaml:6: lanes: 0 is out of range 1..64"},
        {LEAST "lanes: 65\n", "weir.yaml:6: lanes: 65 is out of range 1..64"},
        {LEAST "delivery: exactly\n", "weir.yaml:6: delivery: 'exactly' is not known; allowed: exactly_once or at_least_once"},
        {LEAST "delivery: {}\n", "weir.yaml:6: delivery: a mapping is not exactly_once or at_least_once"},
        {LEAST "state: {checkpoint_interval: 300}\n", "weir.yaml:6: state.checkpoint_interval: '300' is not a duration such as 500ms, 30s, 5m, 24h or 7d"},
        {LEAST "state: {checkpoint_interval: 8d}\n", "weir.yaml:6: state.checkpoint_interval: 8d is out of range 1s..7d"},
        {LEAST "state: {max_entities: 0}\n", "weir.yaml:6: state.max_entities: 0 is out of range 1..1000000000"},
        {LEAST "state: 5\n", "weir.yaml:6: state: '5' is not a mapping of keys"},
        {LEAST "state:\n", "weir.yaml:6: state: has no value; give a mapping of keys or remove the key"},
        {LEAST "instance: true\n", "weir.yaml:6: instance: 'true' is a boolean, not text; quote it if the text is meant"},
        {LEAST "instance: ''\n", "weir.yaml:6: instance: must not be empty; give text or remove the key"},
        {LEAST "instance: a/b\n", "weir.yaml:6: instance: 'a/b' may hold letters, digits, '.', '_' and '-' only"},
        {LEAST "instance: \"a\\nb\"\n", "weir.yaml:6: instance: holds a control character"},
        {LEAST "instance: ${env:HOME}\n", "weir.yaml:6: instance: ${env:...} works under kafka: and in input.schemas.password only"},
        {LEAST "http: 9464\n", "weir.yaml:6: http: '9464' is not an address:port such as 127.0.0.1:9464 or [::1]:9464; off turns it off"},
        {LEAST "http: 127.0.0.1:65536\n", "weir.yaml:6: http: '127.0.0.1:65536' is not an address:port such as 127.0.0.1:9464 or [::1]:9464; off turns it off"},
        {LEAST "http: '::1:80'\n", "weir.yaml:6: http: '::1:80' is not an address:port such as 127.0.0.1:9464 or [::1]:9464; off turns it off"},
        {LEAST "http: false\n", "weir.yaml:6: http: 'false' is a boolean, not text; quote it if the text is meant"},
        {LEAST "outputs: {predictions: 'a b'}\n", "weir.yaml:6: outputs.predictions: 'a b' may hold letters, digits, '.', '_' and '-' only"},
        {LEAST "outputs: {predictions: t}\n", "weir.yaml:6: outputs.predictions: 't' is also the topic of input.topic; topics must differ"},
        {LEAST "outputs: {monitoring: dead-letters}\n", "weir.yaml:6: outputs.monitoring: 'dead-letters' is also the topic of outputs.dead_letters; topics must differ"},
        {LEAST "outputs: {monitoring: fraud-sketches}\n", "weir.yaml:6: outputs.monitoring: 'fraud-sketches' is also the topic of app_id; topics must differ"},
        {LEAST "monitor: {segments: channel}\n", "weir.yaml:6: monitor.segments: 'channel' is not a list"},
        {LEAST "monitor: {segments: [a, b, a]}\n", "weir.yaml:6: monitor.segments[2]: 'a' stands twice"},
        {LEAST "monitor: {segments: [a, {b: c}]}\n", "weir.yaml:6: monitor.segments[1]: a mapping is not text"},
        {LEAST "monitor: {window: 500ms}\n", "weir.yaml:6: monitor.window: 500ms is out of range 1s..1d"},
        {LEAST "validation: {field: a}\n", "weir.yaml:6: validation: a mapping is not a list"},
        {LEAST "validation: [a]\n", "weir.yaml:6: validation[0]: 'a' is not a mapping of keys"},
        {LEAST "validation: [{min: 1}]\n", "weir.yaml:6: validation[0].field: missing: The field that is checked; dots reach into nested records."},
        {LEAST "validation: [{field: a}]\n", "weir.yaml:6: validation[0]: no condition: write one of in: [...], not_in: [...], or min and max"},
        {LEAST "validation: [{field: a, min: 1, in: [1]}]\n", "weir.yaml:6: validation[0]: more than one condition: write one of in: [...], not_in: [...], or min and max"},
        {LEAST "validation: [{field: a, min: 2, max: 1}]\n", "weir.yaml:6: validation[0]: min 2 is greater than max 1"},
        {LEAST "validation: [{field: a, min: x}]\n", "weir.yaml:6: validation[0].min: 'x' is not a number"},
        {LEAST "validation: [{field: a, max: 9007199254740994}]\n", "weir.yaml:6: validation[0].max: '9007199254740994' is out of range -2^53..2^53"},
        {LEAST "validation: [{field: a, in: ATM}]\n", "weir.yaml:6: validation[0].in: 'ATM' is not a list; write [a, b]"},
        {LEAST "validation: [{field: a, in: []}]\n", "weir.yaml:6: validation[0].in: must list 1 to 10000 values"},
        {LEAST "validation: [{field: a, in: [x, y, x]}]\n", "weir.yaml:6: validation[0].in: 'x' stands twice; remove one"},
        {LEAST "validation: [{field: a, in: [x, ~]}]\n", "weir.yaml:6: validation[0].in: entry 1 is not a text, number or boolean"},
        {LEAST "validation: [{field: a, min: 1, when: {in: [1]}}]\n", "weir.yaml:6: validation[0].when: field is missing: the field that decides whether the rule applies"},
        {LEAST "validation: [{field: a, min: 1, when: {field: b}}]\n",
         "weir.yaml:6: validation[0].when: no condition: write one of in: [...], not_in: [...], or min and max"},
        {LEAST "validation: [{field: a, min: 1, when: b}]\n", "weir.yaml:6: validation[0].when: must be a mapping of keys, not 'b'"},
        {KAFKA INPUT FEATURES MODELS,
         "weir.yaml:1: app_id: missing: Name of this pipeline: the consumer group unless `kafka` sets `group.id`, and the first part of the names of transactional ids and "
         "internal topics."},
        {APP KAFKA INPUT MODELS, "weir.yaml:1: features: missing: The feature file."},
        {LEAST "lanes: 1\nlanes: 2\n", "weir.yaml:7: the key 'lanes' stands twice, first on line 6; remove one"},
    };
    ASSERT_ALL_REFUSED(cases);
}

static void input_and_models_say_what_is_wrong(void **state)
{
    (void)state;
    static const struct bad_file cases[] = {
        {APP KAFKA FEATURES MODELS "input: {topic: t, schemas: {}}\n",
         "weir.yaml:5: input.schemas: missing: url (a schema registry) or dir (a directory of <id>.avsc files)"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, schemas: {url: 'http://r', dir: d}}\n", "weir.yaml:5: input.schemas: url and dir are both given; keep one"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, schemas: {url: 'r:8081'}}\n",
         "weir.yaml:5: input.schemas.url: the value must be http://host:port or https://host:port"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, schemas: {url: 'http://r', user: u}}\n",
         "weir.yaml:5: input.schemas: user needs password_file (or password: ${env:NAME})"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, schemas: {url: 'https://r', cert_file: c}}\n", "weir.yaml:5: input.schemas: cert_file and key_file go together"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, schemas: {dir: d, ca_file: c}}\n", "weir.yaml:5: input.schemas: user, ca_file, cert_file and key_file belong to url"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, schemas: {dir: d, register: yes}}\n", "weir.yaml:5: input.schemas.register: 'yes' is not true or false"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, start: yesterday, schemas: {dir: d}}\n",
         "weir.yaml:5: input.start: 'yesterday' is not known; allowed: earliest, latest or an ISO time such as 2026-01-31T12:00:00Z"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, max_record_bytes: 1MB, schemas: {dir: d}}\n",
         "weir.yaml:5: input.max_record_bytes: '1MB' is not a size such as 4096, 512KiB, 1MiB or 1GiB"},
        {APP KAFKA FEATURES MODELS "input: {topic: t, max_record_bytes: 65MiB, schemas: {dir: d}}\n", "weir.yaml:5: input.max_record_bytes: 65MiB is out of range 1..64MiB"},
        {APP "kafka: {bootstrap.servers: 'b:9092', session.timeout.ms: 6000}\n" FEATURES MODELS "input: {topic: t, group_protocol: consumer, schemas: {dir: d}}\n",
         "weir.yaml:2: kafka.session.timeout.ms: has no place where input.group_protocol is consumer: the broker sets it for its groups; remove it"},
        {APP KAFKA INPUT FEATURES "models: {}\n", "weir.yaml:5: models.champion: missing: The model that serves, as {id: ..., file: ...}."},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a}}\n", "weir.yaml:5: models.champion.file: missing: XGBoost JSON or UBJ file."},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: fallback, file: f}}\n", "weir.yaml:5: models.champion.id: 'fallback' is the name of the fixed fallback score"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, shadows: [{id: a, file: g}]}\n",
         "weir.yaml:5: models.shadows[0].id: 'a' is the id of another model; ids must differ"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, shadows: [{id: b, file: g, sample_percent: 101}]}\n",
         "weir.yaml:5: models.shadows[0].sample_percent: 101 is out of range 0..100"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, decision: {review: 0.91}}\n", "weir.yaml:5: models.decision: review 0.91000000000000003 is above decline 0.90000000000000002"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, fallback: {score: 1.1}}\n", "weir.yaml:5: models.fallback.score: 1.1 is out of range 0..1"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, reasons: {top: 33}}\n", "weir.yaml:5: models.reasons.top: 33 is out of range 0..32"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, canary: {id: b, file: g}}\n", "weir.yaml:5: models.canary.percent: missing: Its share of the entities, with two decimals."},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, canary: {id: b, file: g, percent: 100.01}}\n", "weir.yaml:5: models.canary.percent: 100.01 is out of range 0..100"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, canary: {id: a, file: g, percent: 1}}\n", "weir.yaml:5: models.canary.id: 'a' is the id of another model; ids must differ"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, canary: {id: b, file: g, percent: 1, decision: {review: 0.5, decline: 0.25}}}\n", "weir.yaml:5: models.canary.decision: review 0.5 is above decline 0.25"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, shadows: [{id: b, file: g, decision: {review: 0.5}}]}\n", "weir.yaml:5: models.shadows[0].decision.decline: missing: From here on DECLINE."},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, fallback: {file: g}}\n", "weir.yaml:5: models.fallback: id and file go together"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, fallback: {id: a, file: g}}\n", "weir.yaml:5: models.fallback.id: 'a' is the id of another model; ids must differ"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, breaker: {failure_percent: 0}}\n", "weir.yaml:5: models.breaker.failure_percent: 0 is out of range 0.01..100"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, on_range: drop}\n", "weir.yaml:5: models.on_range: 'drop' is not known; allowed: count or degrade"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, ranges: [{feature: amount}]}\n", "weir.yaml:5: models.ranges[0]: min or max is missing"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, ranges: [{feature: amount, min: 2, max: 1}]}\n", "weir.yaml:5: models.ranges[0]: min 2 is above max 1"},
        {APP KAFKA INPUT FEATURES "models: {champion: {id: a, file: f}, ranges: [{feature: amount, min: 2}, {feature: amount, max: 1}]}\n", "weir.yaml:5: models.ranges[1]: 'amount' has a range already"},
        {APP KAFKA INPUT FEATURES "models: {source: postgres, champion: {id: a, file: f}}\n",
         "weir.yaml:5: models.source: 'postgres' is not available in this version; allowed: file"},
    };
    ASSERT_ALL_REFUSED(cases);
}

static void what_later_versions_bring_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const keys[] = {"models.dsn_file: f"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char text[400], message[160];
        const char *dot = strchr(keys[i], '.'), *colon = strchr(keys[i], ':');
        bool of_models = !strncmp(keys[i], "models", 6);
        snprintf(text, sizeof text, APP KAFKA INPUT FEATURES "%.*s: {%s%s}\n", (int)(dot - keys[i]), keys[i], of_models ? "champion: {id: a, file: f}, " : "", dot + 1);
        snprintf(message, sizeof message, "weir.yaml:5: %.*s: not available in this version; remove it", (int)(colon - keys[i]), keys[i]);
        assert_refused(text, ALL & ~(unsigned)CONFIG_NEED_MODELS, message);
    }
}

static void kafka_keys_that_weir_owns_are_refused(void **state)
{
    (void)state;
    static const struct bad_file cases[] = {
        {APP "kafka:\n  bootstrap.servers: b\n  plugin.library.paths: /x\n", "weir.yaml:4: kafka.plugin.library.paths: not allowed: weir loads no foreign code; remove it"},
        {APP "kafka: {isolation.level: read_uncommitted}", "weir.yaml:2: kafka.isolation.level: not allowed: weir reads committed records only; remove it"},
        {APP "kafka: {enable.auto.commit: true}", "weir.yaml:2: kafka.enable.auto.commit: not allowed: offsets are committed with the outputs; remove it"},
        {APP "kafka: {enable.auto.offset.store: true}", "weir.yaml:2: kafka.enable.auto.offset.store: not allowed: offsets are committed with the outputs; remove it"},
        {APP "kafka: {auto.offset.reset: latest}",
         "weir.yaml:2: kafka.auto.offset.reset: not allowed: set input.start, which holds only where the group has no offset; a gap is input.on_gap; remove it"},
        {APP "kafka: {transactional.id: x}", "weir.yaml:2: kafka.transactional.id: not allowed: it is made of app_id and instance; remove it"},
        {APP "kafka: {enable.idempotence: false}", "weir.yaml:2: kafka.enable.idempotence: not allowed: it is always on; remove it"},
        {APP "kafka: {delivery.timeout.ms: 1000}", "weir.yaml:2: kafka.delivery.timeout.ms: not allowed: an output is never given up; remove it"},
        {APP "kafka: {transaction.timeout.ms: 60000}", "weir.yaml:2: kafka.transaction.timeout.ms: not allowed: it is always 10000: a dead worker must not hold readers back for longer; remove it"},
        {APP "kafka: {acks: 1}", "weir.yaml:2: kafka.acks: not allowed: it is always all; remove it"},
        {APP "kafka: {request.required.acks: 1}", "weir.yaml:2: kafka.request.required.acks: not allowed: acks is always all; remove it"},
        {APP "kafka: {group.protocol: consumer}", "weir.yaml:2: kafka.group.protocol: not allowed: set input.group_protocol; remove it"},
        {APP "kafka: {bootstrap: {servers: b}}",
         "weir.yaml:2: kafka.bootstrap: must be one text, number or boolean; a key with dots is written on one line, as bootstrap.servers: ..."},
        {APP "kafka: {linger.ms: soon}", "weir.yaml:2: kafka.linger.ms: Invalid value for configuration property \"queue.buffering.max.ms\""},
        {APP "kafka: [b:9092]", "weir.yaml:2: kafka: must be a mapping of librdkafka's keys, not a list"},
    };
    ASSERT_ALL_REFUSED(cases);
    struct config *config = NULL;
    struct err err = {0};
    const char *text = APP FEATURES "kafka: {bootstrap.server: b}";
    assert_int_equal(config_parse("weir.yaml", scene, text, strlen(text), 0, &config, &err), -1);
    assert_non_null(strstr(err.msg, "weir.yaml:3: kafka.bootstrap.server: unknown to librdkafka"));
    assert_non_null(strstr(err.msg, "did you mean 'bootstrap.servers'?"));
}

/* Builds with failpoints, which tests use, take 6 s. */
#define SESSION_MIN (FAILPOINTS_BUILT ? "6000" : "20000")

static void time_outs_of_the_group_that_do_not_fit_are_refused(void **state)
{
    (void)state;
#define WITH(keys) APP "kafka: {bootstrap.servers: 'b:9092', " keys "}\n" FEATURES MODELS INPUT
    char below[400];
    snprintf(below, sizeof below, "weir.yaml:2: kafka.session.timeout.ms: 5999 is below %s: others would be given a dead worker's partitions before its transaction has ended (10000 ms, and up to 10000 until the broker looks); remove it", SESSION_MIN);
    const struct bad_file cases[] = {
        {WITH("session.timeout.ms: 5999"), below},
        {WITH("heartbeat.interval.ms: 6667"), "weir.yaml:2: kafka.heartbeat.interval.ms: 6667 is more than a third of session.timeout.ms (20000): one lost heartbeat could cost the membership; remove it"},
        {WITH("session.timeout.ms: 45000, heartbeat.interval.ms: 15001"), "weir.yaml:2: kafka.heartbeat.interval.ms: 15001 is more than a third of session.timeout.ms (45000): one lost heartbeat could cost the membership; remove it"},
        {WITH("max.poll.interval.ms: 19999"), "weir.yaml:2: kafka.max.poll.interval.ms: 19999 is below the session time-out (20000): a worker that waits for a slow broker would be thrown out of its group; remove it"},
        {WITH("session.timeout.ms: 45000, max.poll.interval.ms: 44999"), "weir.yaml:2: kafka.max.poll.interval.ms: 44999 is below the session time-out (45000): a worker that waits for a slow broker would be thrown out of its group; remove it"},
        {APP "kafka: {bootstrap.servers: 'b:9092', max.poll.interval.ms: 19999}\n" FEATURES MODELS "input: {topic: t, group_protocol: consumer, schemas: {dir: d}}\n",
         "weir.yaml:2: kafka.max.poll.interval.ms: 19999 is below the session time-out (20000): a worker that waits for a slow broker would be thrown out of its group; remove it"},
    };
    ASSERT_ALL_REFUSED(cases);
    config_destroy(parse(WITH("session.timeout.ms: 20000, heartbeat.interval.ms: 6666, max.poll.interval.ms: 20000"), ALL));
    if (!FAILPOINTS_BUILT)
        assert_refused(WITH("session.timeout.ms: 19999"), ALL, "weir.yaml:2: kafka.session.timeout.ms: 19999 is below 20000: others would be given a dead worker's partitions before its transaction has ended (10000 ms, and up to 10000 until the broker looks); remove it");
#undef WITH
}

static void secrets_come_from_outside_and_are_never_printed(void **state)
{
    (void)state;
    setenv("WEIR_TEST_PASSWORD", "swordfish", 1);
    struct config *c = parse(APP FEATURES "kafka: {bootstrap.servers: b, sasl.password: '${env:WEIR_TEST_PASSWORD}', sasl.username: 'u-${file:secret}'}\n"
                                          "input: {topic: t, schemas: {url: 'http://r', user: u, password: '${env:WEIR_TEST_PASSWORD}'}}\n",
                             CONFIG_NEED_INPUT | CONFIG_NEED_KAFKA);
    assert_string_equal(c->kafka[1].value, "swordfish");
    assert_string_equal(c->kafka[1].shown, "${env:WEIR_TEST_PASSWORD}");
    assert_string_equal(c->kafka[2].value, "u-hunter2");
    assert_string_equal(c->input.schemas.password, "swordfish");
    json_t *shown = options_show(&config_options, c);
    char *text = json_dumps(shown, 0);
    assert_null(strstr(text, "swordfish"));
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "\"password\": \"(secret)\""));
    assert_non_null(strstr(text, "\"sasl.password\": \"${env:WEIR_TEST_PASSWORD}\""));
    free(text);
    json_decref(shown);
    config_destroy(c);

    static const struct bad_file cases[] = {
        {APP "kafka: {sasl.password: swordfish}", "weir.yaml:2: kafka.sasl.password: a secret must not stand here; write ${env:NAME} or ${file:PATH}"},
        {APP "kafka: {sasl.password: '${env:WEIR_TEST_UNSET}'}", "weir.yaml:2: kafka.sasl.password: the environment variable WEIR_TEST_UNSET is not set"},
        {APP "kafka: {sasl.password: '${env:}'}", "weir.yaml:2: kafka.sasl.password: write ${env:NAME} or ${file:PATH}"},
        {APP "kafka: {linger.ms: '${env:WEIR_TEST_PASSWORD}'}", "weir.yaml:2: kafka.linger.ms: librdkafka refuses the value"},
        {APP "input: {schemas: {password: swordfish}}", "weir.yaml:2: input.schemas.password: a secret must not stand here; write ${env:NAME} or set password_file"},
        {APP "input: {schemas: {url: 'http://u:swordfish@r'}}",
         "weir.yaml:2: input.schemas.url: the value must not hold a user; set input.schemas.user and password_file"},
        {APP "input: {schemas: {password: '${env:WEIR_TEST_PASSWORD}', password_file: secret}}",
         "weir.yaml:2: input.schemas.password_file: password and password_file are both given; keep one"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].text, 0, cases[i].message);
    char message[256];
    snprintf(message, sizeof message, "weir.yaml:2: input.schemas.password_file: %s/empty is empty", scene);
    assert_refused(APP "input: {schemas: {password_file: empty}}", 0, message);
}

static void feature_file_faults_name_that_file(void **state)
{
    (void)state;
    char message[256];
    snprintf(message, sizeof message, "%s/none.yaml: cannot open: No such file or directory", scene);
    assert_refused(APP "features: none.yaml\n", 0, message);
}

/* --- the pages that must keep up with the table --- */

static char *read_source(const char *name)
{
    const char *root = getenv("WEIR_SOURCE");
    char path[512], *text;
    size_t size;
    struct err err;
    snprintf(path, sizeof path, "%s/%s", root ? root : ".", name);
    if (file_read(path, 1 << 20, &text, &size, &err) < 0)
        fail_msg("%s (WEIR_SOURCE names the source tree)", err.msg);
    return text;
}

static void the_reference_page_equals_the_table(void **state)
{
    (void)state;
    char *page = read_source("consumer/config/REFERENCE.md"), *made;
    config_reference(&made);
    if (strcmp(page, made))
        fail_msg("consumer/config/REFERENCE.md is not what the option table says; regenerate it: weir check --reference > consumer/config/REFERENCE.md");
    free(page);
    free(made);
}

static void the_sample_is_good_and_names_every_key(void **state)
{
    (void)state;
    const char *root = getenv("WEIR_SOURCE");
    char path[512];
    struct config *config;
    struct err err;
    snprintf(path, sizeof path, "%s/deploy/examples/weir.yaml", root ? root : ".");
    if (config_load(path, ALL, &config, &err) < 0)
        fail_msg("%s", err.msg);
    config_destroy(config);

    const struct {
        const struct option_table *table;
        const char *file;
    } samples[] = {{&config_options, "deploy/examples/weir.yaml"}, {&feature_options, "deploy/examples/features.yaml"}};
    for (size_t s = 0; s < 2; s++) {
        char *text = read_source(samples[s].file);
        for (size_t i = 0; i < samples[s].table->count; i++) {
            const struct config_option *option = &samples[s].table->rows[i];
            char key[64];
            snprintf(key, sizeof key, "%s:", option_leaf(option));
            if (option->kind != OPTION_LATER && !strstr(text, key))
                fail_msg("%s does not show the key %s", samples[s].file, option->key);
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_file_gets_the_defaults),
        cmocka_unit_test(given_values_are_taken),
        cmocka_unit_test(fields_get_slots_with_the_feature_file_first),
        cmocka_unit_test(http_can_be_off),
        cmocka_unit_test(a_command_needs_only_its_part),
        cmocka_unit_test(unknown_keys_say_what_was_meant),
        cmocka_unit_test(wrong_values_say_what_is_allowed),
        cmocka_unit_test(input_and_models_say_what_is_wrong),
        cmocka_unit_test(what_later_versions_bring_is_refused_by_name),
        cmocka_unit_test(kafka_keys_that_weir_owns_are_refused),
        cmocka_unit_test(time_outs_of_the_group_that_do_not_fit_are_refused),
        cmocka_unit_test(secrets_come_from_outside_and_are_never_printed),
        cmocka_unit_test(feature_file_faults_name_that_file),
        cmocka_unit_test(the_reference_page_equals_the_table),
        cmocka_unit_test(the_sample_is_good_and_names_every_key),
    };
    return cmocka_run_group_tests(tests, make_scene, remove_scene);
}
