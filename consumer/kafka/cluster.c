#include "consumer/kafka/cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/log.h"
#include "consumer/stop.h"

enum {
    METADATA_MS = 2000, /* a call that nothing ends early: a stop is to be quick */
    REQUEST_MS = 15000,
    SLICE_MS = 100,
    VISIBLE_MS = 10000
};

struct cluster cluster_of_command(rd_kafka_t *client)
{
    return (struct cluster){client, NULL, COMMAND_PATIENCE_MS};
}

/* NULL: not in time, or stopped. */
static rd_kafka_event_t *await(struct cluster c, rd_kafka_queue_t *queue, int most_ms)
{
    rd_kafka_event_t *event = NULL;
    for (int waited = 0; !event && waited < most_ms && !stop_is_set(c.stop); waited += SLICE_MS)
        event = rd_kafka_queue_poll(queue, SLICE_MS);
    return event;
}

static rd_kafka_resp_err_t ask_once(struct cluster c, const struct cluster_request *request, void *about)
{
    int most_ms = c.patience_ms < REQUEST_MS ? c.patience_ms : REQUEST_MS;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c.client);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(c.client, request->kind);
    rd_kafka_AdminOptions_set_request_timeout(options, most_ms, NULL, 0);
    request->ask(c.client, about, options, queue);
    rd_kafka_event_t *answer = await(c, queue, most_ms + 10 * SLICE_MS); /* the library answers in time, if only with an error */
    rd_kafka_resp_err_t code = answer ? rd_kafka_event_error(answer) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!code)
        code = request->take(answer, about);
    if (answer)
        rd_kafka_event_destroy(answer);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return code;
}

int cluster_ask(struct cluster c, const struct cluster_request *request, void *about, const char *what, struct err *err)
{
    rd_kafka_resp_err_t code;
    struct attempts a = attempts_within(c.stop, c.patience_ms);
    do
        code = ask_once(c, request, about);
    while (attempts_again(&a, code, what));
    return code ? kafka_err(err, code, what) : 0;
}

/* ---- what there is ---- */

static int no_metadata(struct cluster c, rd_kafka_resp_err_t code, struct err *err)
{
    kafka_err(err, code, "cannot read the cluster's metadata");
    return stop_is_set(c.stop) ? err_prefix(err, "stopped") : err_prefix(err, "no broker answered within %d s; is kafka: bootstrap.servers right and the broker up?", c.patience_ms / 1000);
}

int topic_partitions(struct cluster c, const char *topic, int32_t *partitions, struct err *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(c.client, topic, NULL);
    if (!handle)
        return err_set(err, "topic %s: not a topic name", topic);
    rd_kafka_resp_err_t code;
    bool answered;
    struct attempts a = attempts_within(c.stop, c.patience_ms);
    do {
        const struct rd_kafka_metadata *metadata = NULL;
        code = rd_kafka_metadata(c.client, 0, handle, &metadata, METADATA_MS);
        answered = !code;
        if (answered)
            code = metadata->topic_cnt ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        if (!code)
            *partitions = metadata->topics[0].partition_cnt;
        if (metadata)
            rd_kafka_metadata_destroy(metadata);
    } while (attempts_again(&a, code, "metadata"));
    rd_kafka_topic_destroy(handle);
    if (!code)
        return 0;
    return answered ? err_set(err, "topic %s: %s; create it first", topic, rd_kafka_err2str(code)) : no_metadata(c, code, err);
}

struct question {
    const char *topic;
    struct topic_setting *settings;
    size_t count;
    const char *unknown; /* a setting that the broker does not know */
};

static void ask_settings(rd_kafka_t *client, void *question, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    const struct question *q = question;
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, q->topic);
    for (size_t i = 0; i < q->count; i++)
        rd_kafka_ConfigResource_set_config(resource, q->settings[i].name, ""); /* of a question the names count alone */
    rd_kafka_DescribeConfigs(client, &resource, 1, options, queue);
    rd_kafka_ConfigResource_destroy(resource);
}

static const char *value_of(const rd_kafka_ConfigEntry_t **entries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(rd_kafka_ConfigEntry_name(entries[i]), name))
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

static rd_kafka_resp_err_t take_settings(rd_kafka_event_t *answer, void *question)
{
    struct question *q = question;
    size_t resources, count;
    const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(answer), &resources);
    rd_kafka_resp_err_t code = resources ? rd_kafka_ConfigResource_error(found[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    if (code)
        return code;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(found[0], &count);
    for (size_t i = 0; i < q->count; i++) {
        struct topic_setting *setting = &q->settings[i];
        const char *value = value_of(entries, count, setting->name);
        snprintf(setting->text, sizeof setting->text, "%s", value ? value : "");
        if (!value)
            q->unknown = setting->name;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

enum topic_answer topic_read(struct cluster c, const char *topic, struct topic_setting *settings, size_t count, struct err *err)
{
    static const struct cluster_request describe = {RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, ask_settings, take_settings};
    struct question question = {topic, settings, count, NULL};
    if (cluster_ask(c, &describe, &question, topic, err) < 0)
        return err->code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? TOPIC_NOT_FOUND : err->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE ? TOPIC_NOT_TOLD : TOPIC_FAILED;
    if (!question.unknown)
        return TOPIC_FOUND;
    err_set(err, "topic %s: the broker knows no setting %s", topic, question.unknown);
    return TOPIC_FAILED;
}

/* ---- what there shall be ---- */

struct creation {
    rd_kafka_NewTopic_t *wanted;
    char refusal[512]; /* in the broker's words */
};

static void ask_topic(rd_kafka_t *client, void *creation, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    rd_kafka_CreateTopics(client, &((struct creation *)creation)->wanted, 1, options, queue);
}

/* A controller that has not heard of its brokers yet, after a restart, says so in words alone. */
static bool waits_for_brokers(rd_kafka_resp_err_t code, const char *says)
{
    return code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR && strstr(says, "fenced");
}

static rd_kafka_resp_err_t take_topic(rd_kafka_event_t *answer, void *creation)
{
    struct creation *c = creation;
    size_t count = 0;
    const rd_kafka_topic_result_t **made = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer), &count);
    rd_kafka_resp_err_t code = count ? rd_kafka_topic_result_error(made[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
    const char *says = code ? rd_kafka_topic_result_error_string(made[0]) : NULL;
    snprintf(c->refusal, sizeof c->refusal, "%s", says ? says : rd_kafka_err2str(code));
    return waits_for_brokers(code, c->refusal) ? RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE : code;
}

static rd_kafka_NewTopic_t *new_topic(const char *topic, int32_t partitions, const struct topic_setting *settings, size_t count, struct err *err)
{
    char why[256] = "";
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, -1, why, sizeof why);
    if (!wanted) {
        err_set(err, "topic %s: %s", topic, why);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        rd_kafka_NewTopic_set_config(wanted, settings[i].name, settings[i].text);
    return wanted;
}

/* The broker that is asked next may not have heard of it yet. */
static int wait_until_visible(struct cluster c, const char *topic, struct err *err)
{
    int32_t partitions;
    int64_t began = clock_monotonic_ns();
    while (topic_read(c, topic, NULL, 0, err) != TOPIC_FOUND || topic_partitions(c, topic, &partitions, err) < 0) {
        if (stop_is_set(c.stop) || clock_monotonic_ns() - began > (int64_t)VISIBLE_MS * 1000000)
            return -1;
        rd_kafka_poll(c.client, SLICE_MS / 2);
    }
    return 0;
}

int topic_create(struct cluster c, const char *topic, int32_t partitions, const struct topic_setting *settings, size_t count, const char *hint, struct err *err)
{
    static const struct cluster_request create = {RD_KAFKA_ADMIN_OP_CREATETOPICS, ask_topic, take_topic};
    struct creation creation = {.wanted = new_topic(topic, partitions, settings, count, err)};
    if (!creation.wanted)
        return -1;
    int result = cluster_ask(c, &create, &creation, topic, err);
    rd_kafka_NewTopic_destroy(creation.wanted);
    if (result < 0 && err->code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        if (creation.refusal[0])
            err_set(err, "%s", creation.refusal);
        return err_prefix(err, "topic %s: cannot be created (%s)", topic, hint);
    }
    if (result == 0)
        log_info("topic %s: created, partitions: %" PRId32, topic, partitions);
    return wait_until_visible(c, topic, err);
}

static void ask_change(rd_kafka_t *client, void *resource, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    rd_kafka_ConfigResource_t *wanted = resource;
    rd_kafka_IncrementalAlterConfigs(client, &wanted, 1, options, queue);
}

static rd_kafka_resp_err_t take_change(rd_kafka_event_t *answer, void *resource)
{
    (void)resource;
    size_t count = 0;
    const rd_kafka_ConfigResource_t **altered = rd_kafka_IncrementalAlterConfigs_result_resources(rd_kafka_event_IncrementalAlterConfigs_result(answer), &count);
    return count ? rd_kafka_ConfigResource_error(altered[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

int topic_configure(struct cluster c, const char *topic, const struct topic_setting *settings, size_t count, struct err *err)
{
    static const struct cluster_request alter = {RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS, ask_change, take_change};
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    for (size_t i = 0; i < count; i++)
        rd_kafka_error_destroy(rd_kafka_ConfigResource_add_incremental_config(wanted, settings[i].name, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, settings[i].text));
    int result = cluster_ask(c, &alter, wanted, topic, err);
    rd_kafka_ConfigResource_destroy(wanted);
    return result;
}
