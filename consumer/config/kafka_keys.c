#include "consumer/config/kafka_keys.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/config.h"
#include "consumer/config/secret.h"
#include "consumer/failpoint.h"

enum { KAFKA_KEYS_MAX = 300, KAFKA_NAMES_MAX = 400 };

static const struct {
    const char *name, *why;
} owned[] = {
    {"plugin.library.paths", "weir loads no foreign code"},
    {"isolation.level", "weir reads committed records only"},
    {"enable.auto.commit", "offsets are committed with the outputs"},
    {"auto.commit.enable", "offsets are committed with the outputs"},
    {"enable.auto.offset.store", "offsets are committed with the outputs"},
    {"auto.offset.reset", "set input.start, which holds only where the group has no offset; a gap is input.on_gap"},
    {"transactional.id", "it is made of app_id and instance"},
    {"enable.idempotence", "it is always on"},
    {"acks", "it is always all"},
    {"request.required.acks", "acks is always all"},
    {"group.protocol", "set input.group_protocol"},
    {"group.instance.id", "it is made of instance and lane"},
    {"partition.assignment.strategy", "it is always cooperative-sticky"},
    {"transaction.timeout.ms", "it is always 10000: a dead worker must not hold readers back for longer"},
    {"message.timeout.ms", "an output is never given up"},
    {"delivery.timeout.ms", "an output is never given up"},
    {"enable.partition.eof", "weir knows where a log ends"},
    {"offset.store.method", "offsets are committed with the outputs"},
};

static const char *const secrets[] = {
    "sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password", "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase", "sasl.oauthbearer.assertion.private.key.pem",
};

static bool is_secret(const char *name)
{
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (!strcmp(name, secrets[i]))
            return true;
    return false;
}

static int refuse_owned(const struct reading *reading, const char *key, const struct yaml_node *name)
{
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        if (!strcmp(name->text, owned[i].name))
            return reading_fail(reading, name->line, key, "not allowed: %s; remove it", owned[i].why);
    return 0;
}

/* The names that stand first in the lines of librdkafka's manual ("name | C/P | ..."); they point into it. */
static size_t manual_names(char *manual, const char **names, size_t most)
{
    size_t count = 0;
    char *rest;
    for (char *line = strtok_r(manual, "\n", &rest); line && count < most; line = strtok_r(NULL, "\n", &rest)) {
        size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789._");
        if (n && line[n] == ' ') {
            line[n] = 0;
            names[count++] = line;
        }
    }
    return count;
}

static int unknown_property(const struct reading *reading, const char *key, const struct yaml_node *name)
{
    const char *names[KAFKA_NAMES_MAX], *nearest = NULL;
    char *manual = NULL;
    size_t size;
    FILE *f = open_memstream(&manual, &size);
    if (f) {
        rd_kafka_conf_properties_show(f);
        if (!fclose(f))
            nearest = nearest_name(name->text, names, manual_names(manual, names, KAFKA_NAMES_MAX));
    }
    reading_fail(reading, name->line, key, "unknown to librdkafka %s%s%s%s", rd_kafka_version_str(), nearest ? "; did you mean '" : "",
                 nearest ? nearest : "; its CONFIGURATION.md lists the keys", nearest ? "'?" : "");
    free(manual);
    return -1;
}

/* librdkafka's own check of name and value.  Its message may quote the value, so a secret's is not shown. */
static int check_property(const struct reading *reading, const char *key, const struct yaml_node *name, const char *value, bool hide, rd_kafka_conf_t *conf)
{
    char why[512];
    rd_kafka_conf_res_t answer = rd_kafka_conf_set(conf, name->text, value, why, sizeof why);
    if (answer == RD_KAFKA_CONF_UNKNOWN)
        return unknown_property(reading, key, name);
    if (answer != RD_KAFKA_CONF_OK)
        return reading_fail(reading, name->line, key, "%s", hide ? "librdkafka refuses the value" : why);
    return 0;
}

static int read_property(const struct reading *reading, const struct yaml_pair *pair, struct kafka_property *property, rd_kafka_conf_t *conf)
{
    char key[256];
    snprintf(key, sizeof key, "kafka.%.100s", pair->key->text);
    property->line = pair->key->line;
    if (refuse_owned(reading, key, pair->key) < 0)
        return -1;
    if (pair->value->kind != YAML_IS_SCALAR || yaml_is_null(pair->value))
        return reading_fail(reading, pair->value->line, key, "must be one text, number or boolean; a key with dots is written on one line, as bootstrap.servers: ...");
    bool from_outside = false;
    if (secret_expand(reading, key, pair->value, &property->value, &from_outside) < 0)
        return -1;
    bool secret = is_secret(pair->key->text);
    if (secret && !from_outside)
        return reading_fail(reading, pair->value->line, key, "a secret must not stand here; write ${env:NAME} or ${file:PATH}");
    if (!(property->name = strdup(pair->key->text)))
        return err_set(reading->err, "%s: no memory", reading->file);
    bool may_hold_one = !strcmp(property->name, "sasl.oauthbearer.config");
    property->shown = strdup(from_outside ? pair->value->text : may_hold_one ? "(secret)" : property->value);
    if (!property->shown)
        return err_set(reading->err, "%s: no memory", reading->file);
    return check_property(reading, key, pair->key, property->value, from_outside || may_hold_one, conf);
}

int kafka_keys_read(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct config *config = target;
    if (node->kind != YAML_IS_MAPPING)
        return reading_fail(reading, node->line, key, "must be a mapping of librdkafka's keys, not %s", excerpt_of(node).text);
    if (node->count > KAFKA_KEYS_MAX)
        return reading_fail(reading, node->line, key, "%zu keys, more than %d", node->count, KAFKA_KEYS_MAX);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    config->kafka = calloc(node->count + 1, sizeof *config->kafka);
    int result = conf && config->kafka ? 0 : err_set(reading->err, "%s: no memory", reading->file);
    bool brokers = false;
    for (size_t i = 0; i < node->count && !result; i++) {
        config->kafka_count = i + 1;
        result = read_property(reading, &node->pairs[i], &config->kafka[i], conf);
        const char *name = node->pairs[i].key->text;
        brokers = brokers || !strcmp(name, "bootstrap.servers") || !strcmp(name, "metadata.broker.list");
    }
    if (!result && !brokers && (reading->needs & CONFIG_NEED_KAFKA))
        result = reading_fail(reading, node->line, "kafka.bootstrap.servers", "missing: the brokers to start from, as host:port,host:port");
    if (conf)
        rd_kafka_conf_destroy(conf);
    return result;
}

/* ---- time-outs that must fit each other ---- */

/* A member is given up once what it had open has been: its transaction ends after 10 s, and the broker looks for such
 * every 10 s.  Tests cannot wait for so long. */
enum { SESSION_MS_PRESET = 20000, SESSION_MS_MIN = FAILPOINTS_BUILT ? 6000 : 20000, HEARTBEAT_MS_PRESET = 1000 };

/* NULL: not set.  Of two with the same name librdkafka takes the later one. */
static const struct kafka_property *find(const struct config *config, const char *name)
{
    const struct kafka_property *found = NULL;
    for (size_t i = 0; i < config->kafka_count; i++)
        if (!strcmp(config->kafka[i].name, name))
            found = &config->kafka[i];
    return found;
}

static long number(const struct kafka_property *property, long preset)
{
    return property ? strtol(property->value, NULL, 10) : preset; /* librdkafka has taken it for a number */
}

static int check_classic(const struct reading *reading, const struct config *config)
{
    const struct kafka_property *session = find(config, "session.timeout.ms"), *heartbeat = find(config, "heartbeat.interval.ms");
    long session_ms = number(session, SESSION_MS_PRESET), heartbeat_ms = number(heartbeat, HEARTBEAT_MS_PRESET);
    if (session_ms < SESSION_MS_MIN)
        return reading_fail(reading, session->line, "kafka.session.timeout.ms", "%ld is below %d: others would be given a dead worker's partitions before its transaction has ended (10000 ms, and up to 10000 until the broker looks); remove it",
                            session_ms, SESSION_MS_MIN);
    if (heartbeat_ms > session_ms / 3)
        return reading_fail(reading, heartbeat ? heartbeat->line : session->line, "kafka.heartbeat.interval.ms", "%ld is more than a third of session.timeout.ms (%ld): one lost heartbeat could cost the membership; remove it",
                            heartbeat_ms, session_ms);
    return 0;
}

/* What the other protocol leaves to the broker is refused by librdkafka at start; here by name and line. */
static int check_consumer_protocol(const struct reading *reading, const struct config *config)
{
    static const char *const refused[] = {"session.timeout.ms", "heartbeat.interval.ms", "group.protocol.type"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct kafka_property *property = find(config, refused[i]);
        char key[64];
        snprintf(key, sizeof key, "kafka.%s", refused[i]);
        if (property)
            return reading_fail(reading, property->line, key, "has no place where input.group_protocol is consumer: the broker sets it for its groups; remove it");
    }
    return 0;
}

int kafka_keys_check(const struct reading *reading, const struct config *config)
{
    bool classic = strcmp(config->input.group_protocol, "consumer") != 0;
    if (classic ? check_classic(reading, config) < 0 : check_consumer_protocol(reading, config) < 0)
        return -1;
    const struct kafka_property *poll = find(config, "max.poll.interval.ms");
    long session_ms = number(classic ? find(config, "session.timeout.ms") : NULL, SESSION_MS_PRESET);
    if (poll && number(poll, 0) < session_ms)
        return reading_fail(reading, poll->line, "kafka.max.poll.interval.ms", "%ld is below the session time-out (%ld): a worker that waits for a slow broker would be thrown out of its group; remove it", number(poll, 0), session_ms);
    return 0;
}

json_t *kafka_keys_show(const void *target)
{
    const struct config *config = target;
    json_t *shown = json_object();
    for (size_t i = 0; i < config->kafka_count; i++)
        json_object_set_new(shown, config->kafka[i].name, json_string(config->kafka[i].shown));
    return shown;
}
