/* The option table of weir.yaml: every key, in the order of the reference page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/alert_options.h"
#include "consumer/config/config.h"
#include "consumer/config/kafka_keys.h"
#include "consumer/config/option.h"
#include "consumer/config/rule.h"
#include "consumer/config/secret.h"

/* --- what is wrong with a text --- */

static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static const char *name_fault(const char *text)
{
    if (text[strspn(text, name_bytes)])
        return "may hold letters, digits, '.', '_' and '-' only";
    return strlen(text) > 200 ? "is longer than 200 bytes" : NULL;
}

static const char *topic_fault(const char *text)
{
    if (!strcmp(text, ".") || !strcmp(text, ".."))
        return "cannot be a topic's name";
    return strlen(text) > 249 ? "is longer than 249 bytes" : text[strspn(text, name_bytes)] ? "may hold letters, digits, '.', '_' and '-' only" : NULL;
}

static const char *url_fault(const char *text)
{
    const char *host = !strncmp(text, "http://", 7) ? text + 7 : !strncmp(text, "https://", 8) ? text + 8 : NULL;
    if (!host || !*host || *host == '/')
        return "must be http://host:port or https://host:port";
    if (memchr(host, '@', strcspn(host, "/?#")))
        return "must not hold a user; set input.schemas.user and password_file";
    return strpbrk(text, " ?#") ? "must not hold a space, '?' or '#'" : NULL;
}

static const char *alert_name_fault(const char *text)
{
    return strlen(text) > 63 ? "is longer than 63 bytes" : name_fault(text);
}

static const char *model_id_fault(const char *text)
{
    return !strcmp(text, "fallback") ? "is the name of the fixed fallback score" : name_fault(text);
}

/* --- keys with a shape of their own --- */

static int read_start(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct config *config = target;
    char *text;
    int64_t ms = -1;
    if (option_read_text(reading, key, node, &text) < 0)
        return -1;
    if (strcmp(text, "earliest") && strcmp(text, "latest") && time_parse(text, &ms) < 0) {
        free(text);
        return reading_fail(reading, node->line, key, "%s is not known; allowed: earliest, latest or an ISO time such as 2026-01-31T12:00:00Z", excerpt_of(node).text);
    }
    config->input.start = text;
    config->input.start_ms = ms;
    return 0;
}

static json_t *show_start(const void *target)
{
    return json_string(((const struct config *)target)->input.start);
}

static int read_http(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct config *config = target;
    char *text;
    if (option_read_text(reading, key, node, &text) < 0)
        return -1;
    if (!strcmp(text, "off")) {
        free(text);
        return 0;
    }
    const char *colon = strrchr(text, ':');
    bool ok = colon && colon > text && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1) && strlen(colon + 1) <= 5 &&
              atoi(colon + 1) <= 65535;
    if (ok && memchr(text, ':', (size_t)(colon - text))) /* more colons: an IPv6 address in brackets */
        ok = text[0] == '[' && colon[-1] == ']' && colon > text + 2;
    if (ok)
        ok = text[strcspn(text, " /@")] == 0;
    if (!ok) {
        free(text);
        return reading_fail(reading, node->line, key, "%s is not an address:port such as 127.0.0.1:9464 or [::1]:9464; off turns it off", excerpt_of(node).text);
    }
    config->http = text;
    return 0;
}

static json_t *show_http(const void *target)
{
    const char *http = ((const struct config *)target)->http;
    return json_string(http ? http : "off");
}

static int set_password(const struct reading *reading, const char *key, const struct yaml_node *node, struct config *config, char *value)
{
    if (config->input.schemas.password) {
        secret_free(value);
        return reading_fail(reading, node->line, key, "password and password_file are both given; keep one");
    }
    config->input.schemas.password = value;
    return 0;
}

static int read_password(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    char *value;
    bool from_outside = false;
    if (node->kind != YAML_IS_SCALAR || !node->size)
        return reading_fail(reading, node->line, key, "must be ${env:NAME}; or set password_file");
    if (secret_expand(reading, key, node, &value, &from_outside) < 0)
        return -1;
    if (!from_outside) {
        secret_free(value);
        return reading_fail(reading, node->line, key, "a secret must not stand here; write ${env:NAME} or set password_file");
    }
    return set_password(reading, key, node, target, value);
}

static int read_password_file(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    char *value;
    return secret_file(reading, key, node, &value) < 0 ? -1 : set_password(reading, key, node, target, value);
}

static json_t *show_password(const void *target)
{
    return ((const struct config *)target)->input.schemas.password ? json_string("(secret)") : NULL;
}

static int read_when(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct validation_entry *entry = target;
    if (options_check_keys(reading, "validation[].when", key, node) < 0)
        return -1;
    const struct yaml_node *field = yaml_find(node, "field");
    if (!field)
        return reading_fail(reading, node->line, key, "field is missing: the field that decides whether the rule applies");
    return option_read_text(reading, key, field, &entry->when_field) < 0 ? -1 : predicate_read(reading, key, node, &entry->when);
}

static int check_validation(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct validation_entry *entry = target;
    if (!entry->when_field)
        entry->when.slot = -1;
    return predicate_read(reading, key, node, &entry->bound);
}

static json_t *show_validation(const void *target)
{
    const struct validation_entry *entry = target;
    json_t *shown = json_object();
    if (entry->name)
        json_object_set_new(shown, "name", json_string(entry->name));
    if (entry->when_field) {
        json_t *when = json_pack("{s:s}", "field", entry->when_field);
        json_object_set_new(shown, "when", predicate_show(&entry->when, when));
    }
    json_object_set_new(shown, "field", json_string(entry->field));
    return predicate_show(&entry->bound, shown);
}

/* --- the table --- */

#define AT(member) .at = offsetof(struct config, member)
#define IN(type, member) .at = offsetof(struct type, member)
#define LIST(member, member_count, type) AT(member), .count_at = offsetof(struct config, member_count), .entry_size = sizeof(struct type)
#define DURATION_S 1000.0
#define DURATION_DAY 86400000.0

_Static_assert(offsetof(struct validation_entry, line) == 0 && offsetof(struct model_entry, line) == 0 && offsetof(struct alert_entry, line) == 0 &&
               offsetof(struct silence_entry, line) == 0 && offsetof(struct webhook_entry, line) == 0, "records begin with their line");

static const struct config_option rows[] = {
    {"app_id", OPTION_TEXT, AT(app_id), .required = true, .fault = name_fault,
     .meaning = "Name of this pipeline: the consumer group unless `kafka` sets `group.id`, and the first part of the names of transactional ids and internal topics."},
    {"instance", OPTION_TEXT, AT(instance), .fault = name_fault,
     .meaning = "Name of this process, part of its transactional ids. Without it kafka's `client.id`, else the host name and the first free slot of a lock file. A second live process of that name is refused."},
    {"kafka", OPTION_READ, .read = kafka_keys_read, .show = kafka_keys_show, .needed_by = CONFIG_NEED_KAFKA,
     .shape = "mapping of librdkafka's keys; `bootstrap.servers` is required",
     .meaning = "Passed to librdkafka as it is. Refused is what weir must own: `isolation.level`, `enable.auto.commit`, `enable.auto.offset.store`, `auto.offset.reset`, `transactional.id`, `enable.idempotence`, `acks`, `group.protocol`, `group.instance.id`, `partition.assignment.strategy`, `transaction.timeout.ms`, `message.timeout.ms`, `enable.partition.eof`; `plugin.library.paths`; and time-outs that do not fit: `session.timeout.ms` below 20000, `heartbeat.interval.ms` above a third of it, `max.poll.interval.ms` below it. Values may hold `${env:NAME}` and `${file:PATH}`; secrets (`sasl.password` and the like) must."},
    {"delivery", OPTION_CHOICE, AT(delivery), .preset = "exactly_once", .choices = "exactly_once|at_least_once",
     .meaning = "`exactly_once`: one transaction carries outputs, state and offsets. `at_least_once`: idempotent producer, offsets committed after delivery."},
    {"commit_interval_ms", OPTION_INT64, AT(commit_interval_ms), .preset = "100", .min = 10, .max = 60000,
     .meaning = "How long a transaction collects. Below 50 the broker's fixed costs dominate."},
    {"lanes", OPTION_INT, AT(lanes), .preset = "1", .min = 1, .max = 64,
     .meaning = "Worker threads, each with its own consumer, producer and partitions."},

    {"input", OPTION_SECTION, .needed_by = CONFIG_NEED_INPUT, .meaning = "What is read."},
    {"input.topic", OPTION_TEXT, AT(input.topic), .preset = "transactions", .fault = topic_fault, .meaning = "The topic of events."},
    {"input.start", OPTION_READ, .preset = "earliest", .read = read_start, .show = show_start, .shape = "`earliest`, `latest` or an ISO time",
     .meaning = "Where to begin; only where the group has no offset. Resolved to offsets once. Partitions that appear later start at 0."},
    {"input.schemas", OPTION_SECTION, .needed_by = CONFIG_NEED_INPUT, .meaning = "Where Avro schemas come from: `url` or `dir`."},
    {"input.schemas.url", OPTION_TEXT, AT(input.schemas.url), .quiet = true, .fault = url_fault, .meaning = "A Confluent-compatible schema registry, such as `http://127.0.0.1:8081`."},
    {"input.schemas.dir", OPTION_PATH, AT(input.schemas.dir), .meaning = "A directory of `<id>.avsc` files."},
    {"input.schemas.user", OPTION_TEXT, AT(input.schemas.user), .meaning = "User of the registry (basic authentication)."},
    {"input.schemas.password", OPTION_READ, .read = read_password, .show = show_password, .shape = "`${env:NAME}`", .meaning = "Its password, from the environment."},
    {"input.schemas.password_file", OPTION_READ, .read = read_password_file, .shape = "path", .meaning = "Its password, from a file."},
    {"input.schemas.ca_file", OPTION_PATH, AT(input.schemas.ca_file), .meaning = "PEM file of the authority that signed the registry's certificate."},
    {"input.schemas.cert_file", OPTION_PATH, AT(input.schemas.cert_file), .meaning = "PEM file of the client's certificate; together with `key_file`."},
    {"input.schemas.key_file", OPTION_PATH, AT(input.schemas.key_file), .meaning = "PEM file of the client's key."},
    {"input.schemas.timeout", OPTION_DURATION, AT(input.schemas.timeout_ms), .preset = "10s", .min = 100, .max = 300 * DURATION_S, .meaning = "Time-out of one request."},
    {"input.schemas.register", OPTION_BOOL, AT(input.schemas.register_schemas), .preset = "true", .meaning = "Whether output schemas are registered under `<topic>-value`; `false`: they are only looked up."},
    {"input.max_record_bytes", OPTION_SIZE, AT(input.max_record_bytes), .preset = "1MiB", .min = 1, .max = 64 << 20, .meaning = "Larger records become dead letters (`too_large`)."},
    {"input.on_gap", OPTION_CHOICE, AT(input.on_gap), .preset = "refuse", .choices = "refuse|continue",
     .meaning = "When records that are needed are gone from the log: refuse to start, or continue with `window_complete` false."},
    {"input.reader_schema", OPTION_PATH, AT(input.reader_schema), .meaning = "An Avro schema file: events are resolved to it (aliases, defaults). Without it each is read with its writer's schema."},
    {"input.group_protocol", OPTION_WORD, AT(input.group_protocol), .preset = "classic", .choices = "classic|consumer",
     .meaning = "The rebalance protocol. `classic`: cooperative-sticky, static members named after instance and lane, so a restart moves no partitions. `consumer` (KIP-848): the broker assigns, members are not static; `session.timeout.ms`, `heartbeat.interval.ms` and `group.protocol.type` under `kafka` are refused, for there they are the broker's (`group.consumer.session.timeout.ms`)."},

    {"validation", OPTION_RECORDS, LIST(validation, validation_count, validation_entry), .read = check_validation, .show = show_validation,
     .meaning = "Rules in order; the first that an event breaks makes it a dead letter. A null field passes."},
    {"validation[].name", OPTION_TEXT, IN(validation_entry, name), .fault = name_fault, .meaning = "Makes the reason `rule` with this name; without it the reason is `range`."},
    {"validation[].when", OPTION_READ, .read = read_when, .shape = "mapping", .meaning = "The rule applies only to events that meet this; a null field does not."},
    {"validation[].when.field", OPTION_READ, .shape = "text", .meaning = "The field that decides."},
    {"validation[].when.in", OPTION_READ, .shape = "list of values", .meaning = "It is one of these,"},
    {"validation[].when.not_in", OPTION_READ, .shape = "list of values", .meaning = "or none of these,"},
    {"validation[].when.min", OPTION_READ, .shape = "number", .meaning = "or at least this"},
    {"validation[].when.max", OPTION_READ, .shape = "number", .meaning = "and at most this."},
    {"validation[].field", OPTION_TEXT, IN(validation_entry, field), .required = true, .meaning = "The field that is checked; dots reach into nested records."},
    {"validation[].min", OPTION_READ, .shape = "number", .meaning = "Least value allowed."},
    {"validation[].max", OPTION_READ, .shape = "number", .meaning = "Greatest value allowed."},
    {"validation[].in", OPTION_READ, .shape = "list of values", .meaning = "Instead of a range: the values allowed,"},
    {"validation[].not_in", OPTION_READ, .shape = "list of values", .meaning = "or those not allowed."},

    {"features", OPTION_PATH, AT(features), .required = true, .meaning = "The feature file."},

    {"models", OPTION_SECTION, .has_at = offsetof(struct config, models.given), .needed_by = CONFIG_NEED_MODELS, .meaning = "What scores. Without it only commands that compute features alone work."},
    {"models.source", OPTION_WORD, AT(models.source), .preset = "file", .choices = "file", .later = "postgres", .meaning = "Where the deployment is written down: here."},
    {"models.champion", OPTION_SECTION, .line_at = offsetof(struct config, models.champion.line), .required = true, .meaning = "The model that serves, as {id: ..., file: ...}."},
    {"models.champion.id", OPTION_TEXT, AT(models.champion.id), .required = true, .fault = model_id_fault, .meaning = "Its name in predictions and reports."},
    {"models.champion.file", OPTION_PATH, AT(models.champion.file), .required = true, .meaning = "XGBoost JSON or UBJ file."},
    {"models.canary", OPTION_SECTION, .has_at = offsetof(struct config, models.has_canary), .line_at = offsetof(struct config, models.canary.line),
     .meaning = "A model that serves a share of the entities in the champion's place, always the same ones: those whose first 8 bytes of SHA-256(salt, 0x00, entity), modulo 10,000, are below 100 x `percent`."},
    {"models.canary.id", OPTION_TEXT, AT(models.canary.id), .required = true, .fault = model_id_fault, .meaning = "Its name."},
    {"models.canary.file", OPTION_PATH, AT(models.canary.file), .required = true, .meaning = "XGBoost JSON or UBJ file."},
    {"models.canary.percent", OPTION_REAL, AT(models.canary.percent), .required = true, .min = 0, .max = 100, .meaning = "Its share of the entities, with two decimals."},
    {"models.canary.salt", OPTION_TEXT, AT(models.canary_salt), .meaning = "Another salt chooses other entities; the default is the canary's id."},
    {"models.canary.decision", OPTION_SECTION, .has_at = offsetof(struct config, models.canary.has_decision), .meaning = "Its own thresholds; without them `models.decision`."},
    {"models.canary.decision.review", OPTION_REAL, AT(models.canary.decision.review), .required = true, .min = 0, .max = 1, .meaning = "From here on REVIEW."},
    {"models.canary.decision.decline", OPTION_REAL, AT(models.canary.decision.decline), .required = true, .min = 0, .max = 1, .meaning = "From here on DECLINE."},
    {"models.shadows", OPTION_RECORDS, LIST(models.shadows, models.shadow_count, model_entry), .most = 16, .meaning = "Models that score the same vectors after serving, for comparison alone."},
    {"models.shadows[].id", OPTION_TEXT, IN(model_entry, id), .required = true, .fault = model_id_fault, .meaning = "Its name."},
    {"models.shadows[].file", OPTION_PATH, IN(model_entry, file), .required = true, .meaning = "XGBoost JSON or UBJ file."},
    {"models.shadows[].sample_percent", OPTION_REAL, IN(model_entry, percent), .preset = "100", .min = 0, .max = 100, .meaning = "Share of entities that it scores."},
    {"models.shadows[].decision", OPTION_SECTION, .has_at = offsetof(struct model_entry, has_decision), .meaning = "Its own thresholds; without them `models.decision`."},
    {"models.shadows[].decision.review", OPTION_REAL, IN(model_entry, decision.review), .required = true, .min = 0, .max = 1, .meaning = "From here on REVIEW."},
    {"models.shadows[].decision.decline", OPTION_REAL, IN(model_entry, decision.decline), .required = true, .min = 0, .max = 1, .meaning = "From here on DECLINE."},
    {"models.fallback", OPTION_SECTION, .line_at = offsetof(struct config, models.fallback.line),
     .meaning = "What answers where the champion does not: its score is not a number in [0, 1], or its breaker is open. A model if `file` is given, else the champion before this one; then the fixed score."},
    {"models.fallback.id", OPTION_TEXT, AT(models.fallback.id), .fault = model_id_fault, .meaning = "Name of the fallback model; goes with `file`."},
    {"models.fallback.file", OPTION_PATH, AT(models.fallback.file), .meaning = "XGBoost JSON or UBJ file."},
    {"models.fallback.score", OPTION_REAL, AT(models.fallback_score), .preset = "0.5", .min = 0, .max = 1, .meaning = "The fixed score."},
    {"models.breaker", OPTION_SECTION, .meaning = "When a model is not asked any more, in a partition and on its stream time; only scores that are not numbers in [0, 1] count as failures."},
    {"models.breaker.failure_percent", OPTION_REAL, AT(models.breaker.failure_percent), .preset = "10", .min = 0.01, .max = 100, .meaning = "It opens where this share of the calls failed,"},
    {"models.breaker.window", OPTION_DURATION, AT(models.breaker.window_ms), .preset = "5m", .min = DURATION_S, .max = DURATION_DAY, .meaning = "over this time,"},
    {"models.breaker.min_calls", OPTION_INT64, AT(models.breaker.min_calls), .preset = "10", .min = 1, .max = 1e9, .meaning = "of at least so many calls."},
    {"models.breaker.recovery", OPTION_DURATION, AT(models.breaker.recovery_ms), .preset = "60s", .min = DURATION_S, .max = DURATION_DAY, .meaning = "So much later the model is asked once more, and its answer closes the breaker or opens it again."},
    {"models.max_missing_features", OPTION_INT64, AT(models.max_missing_features), .preset = "65535", .min = 0, .max = 65535, .meaning = "A vector with more missing values than this is served with confidence DEGRADED. The default is never."},
    {"models.on_range", OPTION_CHOICE, AT(models.on_range), .preset = "count", .choices = "count|degrade",
     .meaning = "What is done about a feature outside its range (that of `models.ranges`, else of the values in `monitor.baseline`): count it by name, or also serve with confidence DEGRADED."},
    {"models.ranges", OPTION_RECORDS, LIST(models.ranges, models.range_count, range_entry), .most = 1000, .meaning = "Ranges of features, in place of the baseline's."},
    {"models.ranges[].feature", OPTION_TEXT, IN(range_entry, feature), .required = true, .meaning = "Name of the column, as `weir check --features` lists it."},
    {"models.ranges[].min", OPTION_REAL, IN(range_entry, min), .has_at = offsetof(struct range_entry, has_min), .meaning = "Least value (as a float32); without it any."},
    {"models.ranges[].max", OPTION_REAL, IN(range_entry, max), .has_at = offsetof(struct range_entry, has_max), .meaning = "Greatest value; without it any."},
    {"models.decision", OPTION_SECTION, .meaning = "Thresholds on the score; review must not be above decline."},
    {"models.decision.review", OPTION_REAL, AT(models.decision.review), .preset = "0.5", .min = 0, .max = 1, .meaning = "From here on REVIEW."},
    {"models.decision.decline", OPTION_REAL, AT(models.decision.decline), .preset = "0.9", .min = 0, .max = 1, .meaning = "From here on DECLINE."},
    {"models.reasons", OPTION_SECTION, .meaning = "Contributions of features to a score (exact TreeSHAP)."},
    {"models.reasons.top", OPTION_INT, AT(models.reasons_top), .preset = "3", .min = 0, .max = 32, .meaning = "How many; 0 turns them off."},
    {"models.reasons.min_score", OPTION_REAL, AT(models.reasons_min_score), .preset = "0.5", .min = 0, .max = 1, .meaning = "Only for scores of at least this."},
    {"models.shed_lag_ms", OPTION_INT64, AT(models.shed_lag_ms), .preset = "2000", .min = 1, .max = 86400000, .meaning = "A lane that lags by more than this skips shadow scoring (and counts it)."},
    {"models.latency_budget_ms", OPTION_REAL, AT(models.latency_budget_ms), .preset = "5", .min = 0.001, .max = 10,
     .meaning = "Scoring that takes longer for a vector, by the 99 % quantile of a window, raises an alert. It changes no score. Read at the start."},
    {"models.cache_dir", OPTION_PATH, AT(models.cache_dir), .meaning = "Directory that keeps a copy of each model file that was in force, named by its SHA-256. A model that a recorded deployment names is looked for among the configured files, then here."},
    {"models.dsn_file", OPTION_LATER, .meaning = NULL},
    {"models.golden", OPTION_CHOICE, AT(models.golden), .preset = "if_present", .choices = "if_present|required|off",
     .meaning = "Golden rows, the vectors and scores in `<model file>.golden.csv` that `weir train` writes beside each model: compared bit for bit at each load. `required`: a model without them is refused."},
    {"models.on_difference", OPTION_CHOICE, AT(models.on_difference), .preset = "refuse", .choices = "refuse|library",
     .meaning = "When the compiled forest does not give the bits of XGBoost's C API, or of the golden rows: refuse the model, or serve it through the C API. Golden rows that the C API too misses are refused in any case."},

    {"outputs", OPTION_SECTION, .meaning = "Names of the output topics; none may be the input."},
    {"outputs.predictions", OPTION_TEXT, AT(outputs.predictions), .preset = "predictions", .fault = topic_fault, .meaning = "One record per scored event."},
    {"outputs.shadows", OPTION_TEXT, AT(outputs.shadows), .preset = "shadow-predictions", .fault = topic_fault, .meaning = "One record per event and shadow model."},
    {"outputs.dead_letters", OPTION_TEXT, AT(outputs.dead_letters), .preset = "dead-letters", .fault = topic_fault, .meaning = "Rejected records with their reason."},
    {"outputs.monitoring", OPTION_TEXT, AT(outputs.monitoring), .preset = "monitoring", .fault = topic_fault, .meaning = "Reports."},

    {"dead_letters", OPTION_SECTION, .meaning = "Form of dead letters."},
    {"dead_letters.payload", OPTION_WORD, .at = OPTION_NOWHERE, .preset = "raw", .choices = "raw", .meaning = "The original key, value and headers."},

    {"state", OPTION_SECTION, .meaning = "Limits of one partition's state. `weir check` prints the bytes that they allow at worst."},
    {"state.checkpoint_interval", OPTION_DURATION, AT(state.checkpoint_interval_ms), .preset = "5m", .min = DURATION_S, .max = 7 * DURATION_DAY, .meaning = "Time between checkpoints of a partition's state in the changelog topic."},
    {"state.max_entities", OPTION_INT64, AT(state.max_entities), .preset = "2000000", .min = 1, .max = 1e9, .meaning = "Entities held; the least recently seen is evicted."},
    {"state.max_events", OPTION_INT64, AT(state.max_events), .preset = "50000000", .min = 1, .max = 1e10, .meaning = "Events held."},

    {"monitor", OPTION_SECTION, .meaning = "What the monitoring topic reports."},
    {"monitor.window", OPTION_DURATION, AT(monitor.window_ms), .preset = "5m", .min = DURATION_S, .max = DURATION_DAY, .meaning = "Length of a report's window, event time."},
    {"monitor.baseline", OPTION_PATH, AT(monitor.baseline), .meaning = "Reference statistics to compare with: the file that `weir baseline` or `weir train` wrote (some 0.1 MB a feature, at most 256 MiB)."},
    {"monitor.bins", OPTION_CHOICE, AT(monitor.bins), .preset = "quantile", .choices = "quantile|equal",
     .meaning = "Bins of drift: 20 that hold a twentieth of the baseline's values each (KS: 240), or 20 of equal width between its least and largest value (KS too)."},
    {"monitor.segments", OPTION_TEXTS, AT(monitor.segments), .count_at = offsetof(struct config, monitor.segment_count), .most = 32,
     .meaning = "Fields whose values split the reports; they stand as text in each prediction."},
    {"monitor.contribution_percent", OPTION_REAL, AT(monitor.contribution_percent), .preset = "1", .min = 0, .max = 100, .meaning = "Share of the events, by transaction id, whose features' contributions to the score are compared with the baseline's: a TreeSHAP each."},
    {"monitor.value_field", OPTION_TEXT, AT(monitor.value_field), .meaning = "Field of the amount at stake, in minor units; it stands in each prediction."},
    {"monitor.label_topic", OPTION_TEXT, AT(monitor.label_topic), .fault = topic_fault,
     .meaning = "Topic of labels (`schemas/label.avsc`). With it the predictions are judged: reports of kind QUALITY and CALIBRATION by model and segment, champion against each shadow. One process of the group does it."},
    {"monitor.label_horizon", OPTION_DURATION, AT(monitor.label_horizon_ms), .preset = "30d", .min = DURATION_S, .max = 366 * DURATION_DAY,
     .meaning = "How long after its event a label counts; so long a prediction waits for it. The predictions topic must keep as much, and a window more."},
    {"monitor.label_window", OPTION_DURATION, AT(monitor.label_window_ms), .preset = "24h", .min = DURATION_S, .max = 31 * DURATION_DAY,
     .meaning = "Length of the windows that labels are judged in, by the time that they were reported."},
    {"monitor.alerts", OPTION_RECORDS, LIST(monitor.alerts, monitor.alert_count, alert_entry), .has_at = offsetof(struct config, monitor.alerts_given), .most = 200, .read = alert_check, .show = alert_show,
     .meaning = "Rules over the reports; without this key a set of sensible ones. A rule is broken by a row of the monitoring topic that it matches, and fires after `windows` of them running."},
    {"monitor.alerts[].name", OPTION_TEXT, IN(alert_entry, name), .required = true, .fault = alert_name_fault, .meaning = "Its name."},
    {"monitor.alerts[].kind", OPTION_CHOICE, IN(alert_entry, kind), .preset = "ANY", .choices = "ANY|DRIFT|PREDICTION|FRESHNESS|LATENCY|QUALITY|CALIBRATION|SHADOW", .meaning = "Rows of this kind."},
    {"monitor.alerts[].subject", OPTION_TEXT, IN(alert_entry, subject), .meaning = "Rows of this subject (feature, segment or topic); `*` at the end stands for any rest."},
    {"monitor.alerts[].statistic", OPTION_TEXT, IN(alert_entry, statistic), .meaning = "Rows of this statistic, likewise."},
    {"monitor.alerts[].window", OPTION_DURATION, IN(alert_entry, window_ms), .max = 366 * DURATION_DAY, .meaning = "Rows over windows of this length."},
    {"monitor.alerts[].threshold", OPTION_READ, .read = alert_read_threshold, .shape = "number", .meaning = "Broken at or above it. Without it the row's own severity decides."},
    {"monitor.alerts[].clear", OPTION_READ, .read = alert_read_clear, .shape = "number", .meaning = "Over only below it (hysteresis); without it below the threshold."},
    {"monitor.alerts[].below", OPTION_BOOL, IN(alert_entry, below), .preset = "false", .meaning = "Broken at or below the threshold instead."},
    {"monitor.alerts[].windows", OPTION_INT, IN(alert_entry, windows), .preset = "2", .min = 1, .max = 1000, .meaning = "So many windows running until it fires, and until it is over."},
    {"monitor.alerts[].min_count", OPTION_INT64, IN(alert_entry, min_count), .preset = "0", .min = 0, .max = 1e9, .meaning = "Rows over fewer values (events, labels) say nothing; below the minimum sample of the statistic itself nothing is judged anyway."},
    {"monitor.alerts[].min_importance", OPTION_REAL, IN(alert_entry, min_importance), .preset = "0", .min = 0, .max = 1, .meaning = "Features whose share of the model's gain is below it are left out."},
    {"monitor.alerts[].severity", OPTION_CHOICE, IN(alert_entry, severity), .preset = "WARNING", .choices = "WARNING|CRITICAL", .meaning = "Of the alert; without a threshold the least severity of a row that breaks it."},
    {"monitor.alerts[].repeat", OPTION_DURATION, IN(alert_entry, repeat_ms), .preset = "24h", .max = 366 * DURATION_DAY, .meaning = "Told again while it goes on."},
    {"monitor.alerts[].playbook", OPTION_CHOICE, IN(alert_entry, playbook), .preset = "prediction-shift", .choices = "prediction-shift|accuracy|latency|input", .meaning = "Page whose first step the alert quotes."},
    {"monitor.silences", OPTION_RECORDS, LIST(monitor.silences, monitor.silence_count, silence_entry), .most = 200, .show = silence_show, .meaning = "Alerts that are followed and reported, but not sent to webhooks."},
    {"monitor.silences[].alert", OPTION_TEXT, IN(silence_entry, alert), .meaning = "Of this name; `*` at the end stands for any rest."},
    {"monitor.silences[].subject", OPTION_TEXT, IN(silence_entry, subject), .meaning = "Of this subject, likewise."},
    {"monitor.silences[].until", OPTION_READ, .required = true, .read = silence_read_until, .shape = "ISO time", .meaning = "For windows that end by then."},
    {"monitor.webhooks", OPTION_RECORDS, LIST(monitor.webhooks, monitor.webhook_count, webhook_entry), .most = 8, .read = webhook_check, .show = webhook_show,
     .meaning = "Where alerts are sent. Each receiver has a queue and a thread of its own: one that hangs holds up nobody."},
    {"monitor.webhooks[].url", OPTION_READ, .read = webhook_read_url, .shape = "text, may hold `${env:NAME}`", .meaning = "http or https; never logged."},
    {"monitor.webhooks[].url_file", OPTION_READ, .read = webhook_read_url_file, .shape = "path", .meaning = "The same from a file."},
    {"monitor.webhooks[].format", OPTION_CHOICE, IN(webhook_entry, format), .preset = "json", .choices = "json|slack|pagerduty", .meaning = "Body: weir's own JSON, Slack's incoming webhook (and what is compatible), or PagerDuty Events v2."},
    {"monitor.webhooks[].routing_key", OPTION_READ, .read = webhook_read_routing_key, .shape = "text, may hold `${env:NAME}`", .meaning = "Of PagerDuty."},
    {"monitor.webhooks[].routing_key_file", OPTION_READ, .read = webhook_read_routing_key_file, .shape = "path", .meaning = "The same from a file."},
    {"monitor.webhooks[].severity", OPTION_CHOICE, IN(webhook_entry, least_severity), .preset = "WARNING", .choices = "WARNING|CRITICAL", .meaning = "Alerts of at least this severity."},
    {"monitor.webhooks[].timeout", OPTION_DURATION, IN(webhook_entry, timeout_ms), .preset = "10s", .min = 100, .max = 60 * DURATION_S, .meaning = "Of one attempt."},

    {"http", OPTION_READ, .preset = "127.0.0.1:9464", .read = read_http, .show = show_http, .shape = "`address:port` or `off`",
     .meaning = "Metrics, health and status. Port 0 takes a free one and logs it; a taken port is an error at start; `off` turns it off."},

    {"failpoints", OPTION_TEXTS, AT(failpoints), .count_at = offsetof(struct config, failpoint_count), .most = 100,
     .meaning = "For tests of weir itself: where the worker is to die, wait or fail, as `before_commit:kill@3`; `weir run --failpoints` lists the places. Refused by a build without them."},
};

const struct option_table config_options = {rows, sizeof rows / sizeof *rows};
