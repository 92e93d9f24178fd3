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

static rd_kafka_event_t *request_once(struct cluster c, rd_kafka_admin_op_t kind, cluster_ask *ask, const void *about, rd_kafka_resp_err_t *code)
{
    int most_ms = c.patience_ms < REQUEST_MS ? c.patience_ms : REQUEST_MS;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c.client);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(c.client, kind);
    rd_kafka_AdminOptions_set_request_timeout(options, most_ms, NULL, 0);
    ask(c.client, about, options, queue);
    rd_kafka_event_t *event = await(c, queue, most_ms + 10 * SLICE_MS); /* the library answers in time, if only with an error */
    *code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    if (event && *code) {
        rd_kafka_event_destroy(event);
        event = NULL;
    }
    return event;
}

rd_kafka_event_t *cluster_request(struct cluster c, rd_kafka_admin_op_t kind, cluster_ask *ask, const void *about, const char *what, struct err *err)
{
    rd_kafka_event_t *event;
    rd_kafka_resp_err_t code;
    struct attempts a = attempts_within(c.stop, c.patience_ms);
    do
        event = request_once(c, kind, ask, about, &code);
    while (attempts_again(&a, code, what));
    if (!event)
        kafka_err(err, code, what);
    return event;
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

struct settings_question {
    const char *topic;
    const struct topic_setting *settings;
    size_t count;
};

static void ask_settings(rd_kafka_t *client, const void *about, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    const struct settings_question *q = about;
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, q->topic);
    for (size_t i = 0; i < q->count; i++)
        rd_kafka_ConfigResource_set_config(resource, q->settings[i].name, ""); /* in a question it is the names that count */
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

static int take_settings(rd_kafka_event_t *answer, const char *topic, struct topic_setting *settings, size_t count, struct err *err)
{
    size_t resources, entry_count;
    const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(answer), &resources);
    if (!resources)
        return err_set(err, "topic %s: the broker says nothing of its settings", topic);
    if (rd_kafka_ConfigResource_error(found[0]))
        return kafka_err(err, rd_kafka_ConfigResource_error(found[0]), topic);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(found[0], &entry_count);
    for (size_t i = 0; i < count; i++) {
        const char *value = value_of(entries, entry_count, settings[i].name);
        if (!value)
            return err_set(err, "topic %s: the broker knows no setting %s", topic, settings[i].name);
        snprintf(settings[i].text, sizeof settings[i].text, "%s", value);
    }
    return 0;
}

enum topic_answer topic_read(struct cluster c, const char *topic, struct topic_setting *settings, size_t count, struct err *err)
{
    struct settings_question question = {topic, settings, count};
    rd_kafka_event_t *answer = cluster_request(c, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, ask_settings, &question, topic, err);
    int result = answer ? take_settings(answer, topic, settings, count, err) : -1;
    if (answer)
        rd_kafka_event_destroy(answer);
    if (result == 0)
        return TOPIC_FOUND;
    return err->code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? TOPIC_NOT_FOUND : err->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE ? TOPIC_NOT_TOLD : TOPIC_FAILED;
}

/* ---- what there shall be ---- */

static void ask_topic(rd_kafka_t *client, const void *topic, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    rd_kafka_NewTopic_t *wanted = (rd_kafka_NewTopic_t *)(uintptr_t)topic;
    rd_kafka_CreateTopics(client, &wanted, 1, options, queue);
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

/* A controller that has not heard of its brokers yet, after a restart, says so in words alone. */
static bool waits_for_brokers(rd_kafka_resp_err_t code, const char *says)
{
    return code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR && says && strstr(says, "fenced");
}

/* false: no answer.  *code of an answer, and in *err what it says. */
static bool create_once(struct cluster c, rd_kafka_NewTopic_t *wanted, rd_kafka_resp_err_t *code, struct err *err)
{
    rd_kafka_event_t *event = cluster_request(c, RD_KAFKA_ADMIN_OP_CREATETOPICS, ask_topic, wanted, "cannot be created", err);
    if (!event)
        return false;
    size_t count = 0;
    const rd_kafka_topic_result_t **made = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    *code = count ? rd_kafka_topic_result_error(made[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
    const char *says = *code ? rd_kafka_topic_result_error_string(made[0]) : NULL;
    if (*code)
        err_set(err, "%s", says ? says : rd_kafka_err2str(*code));
    if (waits_for_brokers(*code, says))
        *code = RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE;
    rd_kafka_event_destroy(event);
    return true;
}

int topic_create(struct cluster c, const char *topic, int32_t partitions, const struct topic_setting *settings, size_t count, const char *hint, struct err *err)
{
    rd_kafka_NewTopic_t *wanted = new_topic(topic, partitions, settings, count, err);
    if (!wanted)
        return -1;
    rd_kafka_resp_err_t code;
    struct attempts a = attempts_within(c.stop, c.patience_ms);
    bool answered;
    do
        answered = create_once(c, wanted, &code, err);
    while (answered && attempts_again(&a, code, "create a topic"));
    rd_kafka_NewTopic_destroy(wanted);
    if (!answered)
        return err_prefix(err, "topic %s", topic);
    if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return err_prefix(err, "topic %s: cannot be created (%s)", topic, hint);
    if (!code)
        log_info("topic %s: created, partitions: %" PRId32, topic, partitions);
    return wait_until_visible(c, topic, err);
}

static void ask_change(rd_kafka_t *client, const void *resource, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    rd_kafka_ConfigResource_t *wanted = (rd_kafka_ConfigResource_t *)(uintptr_t)resource;
    rd_kafka_IncrementalAlterConfigs(client, &wanted, 1, options, queue);
}

int topic_configure(struct cluster c, const char *topic, const struct topic_setting *settings, size_t count, struct err *err)
{
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    for (size_t i = 0; i < count; i++)
        rd_kafka_error_destroy(rd_kafka_ConfigResource_add_incremental_config(wanted, settings[i].name, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, settings[i].text));
    rd_kafka_event_t *event = cluster_request(c, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS, ask_change, wanted, topic, err);
    rd_kafka_ConfigResource_destroy(wanted);
    if (!event)
        return -1;
    size_t resources = 0;
    const rd_kafka_ConfigResource_t **altered = rd_kafka_IncrementalAlterConfigs_result_resources(rd_kafka_event_IncrementalAlterConfigs_result(event), &resources);
    rd_kafka_resp_err_t code = resources ? rd_kafka_ConfigResource_error(altered[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_event_destroy(event);
    return code ? kafka_err(err, code, topic) : 0;
}
