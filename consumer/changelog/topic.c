#include "consumer/changelog/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/schema.h"
#include "consumer/kafka/client.h"
#include "consumer/kafka/topics.h"
#include "consumer/log.h"
#include "consumer/serving.h"

enum { ADMIN_TIMEOUT_MS = 20000, VISIBLE_TIMEOUT_MS = 10000, BESIDE_KEY_BYTES = 64 << 10 };

/* Compaction keeps a few versions of each entity at most, so that reading it all stays short. */
static const char *const settings[][2] = {{"cleanup.policy", "compact"}, {"min.compaction.lag.ms", "600000"}, {"min.cleanable.dirty.ratio", "0.2"}, {"segment.bytes", "67108864"}, {"segment.ms", "600000"}};

void changelog_name(const struct config *config, char name[TOPIC_NAME_MAX])
{
    snprintf(name, TOPIC_NAME_MAX, "%s-windows-changelog", config->app_id);
}

/* One request to the cluster; the event, or NULL with *err. */
static rd_kafka_event_t *answer(rd_kafka_queue_t *queue, const char *what, struct err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS + 1000);
    if (event && !rd_kafka_event_error(event))
        return event;
    if (event)
        kafka_err(err, rd_kafka_event_error(event), what);
    else
        err_set(err, "%s: the broker did not answer in time", what);
    if (event)
        rd_kafka_event_destroy(event);
    return NULL;
}

/* An entity may be as long as a record, and its key is never cut; nor is a marker, which holds the reader schema and the
 * deployment in force. */
static size_t message_bytes_needed(const struct config *config)
{
    size_t entity = (size_t)config->input.max_record_bytes, marker = SERVING_BYTES_MAX + SCHEMA_TEXT_MAX;
    return (entity > marker ? entity : marker) + BESIDE_KEY_BYTES;
}

static int create(rd_kafka_t *client, const char *name, int32_t partitions, size_t message_bytes, struct err *err)
{
    char why[256] = "", bytes[24];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, -1, why, sizeof why);
    if (!topic)
        return err_set(err, "topic %s: %s", name, why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        rd_kafka_NewTopic_set_config(topic, settings[i][0], settings[i][1]);
    snprintf(bytes, sizeof bytes, "%zu", message_bytes);
    rd_kafka_NewTopic_set_config(topic, "max.message.bytes", bytes);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_TIMEOUT_MS, NULL, 0);
    rd_kafka_CreateTopics(client, &topic, 1, options, queue);
    rd_kafka_event_t *event = answer(queue, name, err);
    int result = event ? 0 : -1;
    size_t count = 0;
    const rd_kafka_topic_result_t **made = event ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count) : NULL;
    rd_kafka_resp_err_t code = count ? rd_kafka_topic_result_error(made[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        const char *says = rd_kafka_topic_result_error_string(made[0]);
        result = err_set(err, "topic %s: cannot be created: %s; create it with %" PRId32 " partitions, cleanup.policy=compact and min.compaction.lag.ms=%d", name,
                         says ? says : rd_kafka_err2str(code), partitions, MIN_COMPACTION_LAG_MS);
    }
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    if (result == 0 && !code)
        log_info("topic %s: created, %" PRId32 " partitions, compacted", name, partitions);
    return result;
}

/* The text of one setting; 0, -1, or 1: there is no such topic. */
static int setting(rd_kafka_t *client, const char *topic, const char *name, char *text, size_t size, struct err *err)
{
    if (topic_setting(client, topic, name, text, size, err) == 0)
        return 0;
    return err->code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? 1 : -1;
}

/* Nothing was ever written to it. */
static bool is_empty(rd_kafka_t *client, const char *topic)
{
    struct err err;
    int32_t partitions;
    if (topic_partitions(client, topic, &partitions, &err) < 0)
        return false;
    for (int32_t p = 0; p < partitions; p++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(client, topic, p, &low, &high, ADMIN_TIMEOUT_MS) || high)
            return false;
    }
    return true;
}

struct topic_settings {
    char policy[64], lag[64], bytes[64];
};

static int read_settings(rd_kafka_t *client, const char *name, struct topic_settings *s, struct err *err)
{
    return setting(client, name, "cleanup.policy", s->policy, sizeof s->policy, err) || setting(client, name, "min.compaction.lag.ms", s->lag, sizeof s->lag, err) ||
           setting(client, name, "max.message.bytes", s->bytes, sizeof s->bytes, err) ? -1 : 0;
}

static bool is_compacted(const struct topic_settings *s)
{
    return !strcmp(s->policy, "compact");
}

static bool lags_enough(const struct topic_settings *s)
{
    return strtoll(s->lag, NULL, 10) >= MIN_COMPACTION_LAG_MS;
}

/* 0, or -1: the broker does not want it. */
static int alter(rd_kafka_t *client, const struct config *config, const char *name)
{
    struct err err;
    char bytes[24];
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    snprintf(bytes, sizeof bytes, "%zu", message_bytes_needed(config));
    rd_kafka_error_destroy(rd_kafka_ConfigResource_add_incremental_config(resource, "max.message.bytes", RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, bytes));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        rd_kafka_error_destroy(rd_kafka_ConfigResource_add_incremental_config(resource, settings[i][0], RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, settings[i][1]));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_TIMEOUT_MS, NULL, 0);
    rd_kafka_IncrementalAlterConfigs(client, &resource, 1, options, queue);
    rd_kafka_event_t *event = answer(queue, name, &err);
    size_t count = 0;
    const rd_kafka_ConfigResource_t **altered = event ? rd_kafka_IncrementalAlterConfigs_result_resources(rd_kafka_event_IncrementalAlterConfigs_result(event), &count) : NULL;
    int result = count && !rd_kafka_ConfigResource_error(altered[0]) ? 0 : -1;
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(resource);
    return result;
}

/* A topic that somebody made beforehand and left empty gets the settings that it would have been created with.  Where the
 * broker does not allow that, verify_settings names what is wrong. */
static void settle(rd_kafka_t *client, const struct config *config, const char *name)
{
    struct err err;
    struct topic_settings s;
    if (read_settings(client, name, &s, &err) < 0 || (is_compacted(&s) && lags_enough(&s)) || !is_empty(client, name) || alter(client, config, name) < 0)
        return;
    log_info("topic %s: was there and empty, and is compacted from now on", name);
    for (int waited = 0; waited < VISIBLE_TIMEOUT_MS && read_settings(client, name, &s, &err) == 0 && !(is_compacted(&s) && lags_enough(&s)); waited += 50)
        rd_kafka_poll(client, 50);
}

static int verify_settings(rd_kafka_t *client, const struct config *config, struct changelog_topic *topic, struct err *err)
{
    struct topic_settings s;
    if (read_settings(client, topic->name, &s, err) < 0)
        return err_prefix(err, "the state's changelog");
    topic->max_message_bytes = (size_t)strtoull(s.bytes, NULL, 10);
    if (!is_compacted(&s))
        return err_set(err, "topic %s: cleanup.policy is %s, and must be compact, or state would be deleted; mend it with kafka-configs.sh --alter --topic %s --add-config cleanup.policy=compact",
                       topic->name, s.policy, topic->name);
    if (!lags_enough(&s))
        return err_set(err, "topic %s: min.compaction.lag.ms is %s, and must be %d or more, or what a recovery is reading could go; mend it with kafka-configs.sh --alter --topic %s --add-config min.compaction.lag.ms=%d",
                       topic->name, s.lag, MIN_COMPACTION_LAG_MS, topic->name, MIN_COMPACTION_LAG_MS);
    if (topic->max_message_bytes < (size_t)config->input.max_record_bytes + BESIDE_KEY_BYTES)
        log_warning("topic %s: max.message.bytes is %zu; an entity almost as long as input.max_record_bytes would end the worker; mend it with kafka-configs.sh --alter --topic %s --add-config max.message.bytes=%zu",
                    topic->name, topic->max_message_bytes, topic->name, message_bytes_needed(config));
    return 0;
}

static int verify_partitions(rd_kafka_t *client, int32_t input_partitions, struct changelog_topic *topic, struct err *err)
{
    if (topic_partitions(client, topic->name, &topic->partitions, err) < 0)
        return err_prefix(err, "the state's changelog");
    if (topic->partitions == input_partitions)
        return 0;
    if (topic->partitions > input_partitions)
        return err_set(err, "topic %s: has %" PRId32 " partitions, and the input %" PRId32 ": grow the input to as many, or delete this topic (state is then rebuilt from the input)",
                       topic->name, topic->partitions, input_partitions);
    return err_set(err, "topic %s: has %" PRId32 " partitions, and the input %" PRId32 "; grow it first: kafka-topics.sh --alter --topic %s --partitions %" PRId32, topic->name,
                   topic->partitions, input_partitions, topic->name, input_partitions);
}

static int input_id(rd_kafka_t *client, const char *name, char id[48], struct err *err)
{
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(&name, 1);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_TIMEOUT_MS, NULL, 0);
    rd_kafka_DescribeTopics(client, topics, options, queue);
    rd_kafka_event_t *event = answer(queue, name, err);
    size_t count = 0;
    const rd_kafka_TopicDescription_t **found = event ? rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count) : NULL;
    const rd_kafka_Uuid_t *uuid = count ? rd_kafka_TopicDescription_topic_id(found[0]) : NULL;
    const char *text = uuid ? rd_kafka_Uuid_base64str(uuid) : NULL;
    snprintf(id, 48, "%s", text ? text : "");
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_TopicCollection_destroy(topics);
    return event ? 0 : -1;
}

static int wait_until_visible(rd_kafka_t *client, const char *name, struct err *err)
{
    char text[64];
    int result = 1;
    for (int waited = 0; result == 1 && waited < VISIBLE_TIMEOUT_MS; waited += 50) {
        result = setting(client, name, "cleanup.policy", text, sizeof text, err);
        int32_t partitions;
        if (result == 0 && topic_partitions(client, name, &partitions, err) < 0)
            result = 1;
        if (result == 1)
            rd_kafka_poll(client, 50);
    }
    return result ? -1 : 0;
}

int changelog_describe(rd_kafka_t *client, const struct config *config, int32_t input_partitions, bool may_create, struct changelog_topic *topic, struct err *err)
{
    char text[64];
    *topic = (struct changelog_topic){.schema_id = -1};
    changelog_name(config, topic->name);
    int there = setting(client, topic->name, "cleanup.policy", text, sizeof text, err);
    if (there < 0 && err->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
        topic->name[0] = 0;
        return 0;
    }
    if (there < 0)
        return err_prefix(err, "the state's changelog");
    if (there > 0 && !may_create)
        return err_set(err, "topic %s: is not there; `run` creates it", topic->name);
    if (there > 0 && (create(client, topic->name, input_partitions, message_bytes_needed(config), err) < 0 || wait_until_visible(client, topic->name, err) < 0))
        return -1;
    if (there == 0 && may_create)
        settle(client, config, topic->name);
    if (input_id(client, config->input.topic, topic->input_id, err) < 0)
        return err_prefix(err, "input.topic");
    return verify_settings(client, config, topic, err) < 0 || verify_partitions(client, input_partitions, topic, err) < 0 ? -1 : 0;
}
