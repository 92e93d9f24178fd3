#include "consumer/changelog/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/schema.h"
#include "consumer/kafka/offsets.h"
#include "consumer/log.h"
#include "consumer/serving.h"

enum { SETTLED_MS = 10000, BESIDE_KEY_BYTES = 64 << 10 };

/* Compaction keeps a few versions of each entity at most, so that reading it all stays short. */
static const char *const pairs[][2] = {{"cleanup.policy", "compact"}, {"min.compaction.lag.ms", "600000"}, {"min.cleanable.dirty.ratio", "0.2"}, {"segment.bytes", "67108864"}, {"segment.ms", "600000"}};

void changelog_name(const struct config *config, char name[TOPIC_NAME_MAX])
{
    snprintf(name, TOPIC_NAME_MAX, "%s-windows-changelog", config->app_id);
}

/* An entity may be as long as a record, and its key is never cut; nor is a marker, which holds the reader schema and the
 * deployment in force. */
static size_t message_bytes_needed(const struct config *config)
{
    size_t entity = (size_t)config->input.max_record_bytes, marker = SERVING_BYTES_MAX + SCHEMA_TEXT_MAX;
    return (entity > marker ? entity : marker) + BESIDE_KEY_BYTES;
}

/* The text of one setting; 0, -1, or 1: there is no such topic. */
static int setting(struct cluster cluster, const char *topic, const char *name, char *text, size_t size, struct err *err)
{
    if (topic_setting(cluster, topic, name, text, size, err) == 0)
        return 0;
    return err->code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? 1 : -1;
}

/* Nothing was ever written to it. */
static bool is_empty(struct cluster cluster, const char *topic)
{
    struct err err;
    int32_t partitions;
    if (topic_partitions(cluster, topic, &partitions, &err) < 0)
        return false;
    for (int32_t p = 0; p < partitions; p++) {
        int64_t low, high;
        if (offsets_bounds(cluster.client, cluster.stop, topic, p, &low, &high, &err) < 0 || high)
            return false;
    }
    return true;
}

struct found_settings {
    char policy[64], lag[64], bytes[64];
};

static int read_settings(struct cluster cluster, const char *name, struct found_settings *s, struct err *err)
{
    return setting(cluster, name, "cleanup.policy", s->policy, sizeof s->policy, err) || setting(cluster, name, "min.compaction.lag.ms", s->lag, sizeof s->lag, err) ||
           setting(cluster, name, "max.message.bytes", s->bytes, sizeof s->bytes, err) ? -1 : 0;
}

static bool is_compacted(const struct found_settings *s)
{
    return !strcmp(s->policy, "compact");
}

static bool lags_enough(const struct found_settings *s)
{
    return strtoll(s->lag, NULL, 10) >= MIN_COMPACTION_LAG_MS;
}

static struct topic_settings settings_for(const struct config *config)
{
    return (struct topic_settings){pairs, sizeof pairs / sizeof *pairs, message_bytes_needed(config)};
}

static int create(struct cluster cluster, const struct config *config, const char *name, int32_t partitions, struct err *err)
{
    char hint[128];
    struct topic_settings settings = settings_for(config);
    snprintf(hint, sizeof hint, "create it with %" PRId32 " partitions, cleanup.policy=compact and min.compaction.lag.ms=%d", partitions, MIN_COMPACTION_LAG_MS);
    return topic_create(cluster, name, partitions, &settings, hint, err);
}

/* A topic that somebody made beforehand and left empty gets the settings that it would have been created with.  Where the
 * broker does not allow that, verify_settings names what is wrong. */
static void settle(struct cluster cluster, const struct config *config, const char *name)
{
    struct err err;
    struct found_settings s;
    struct topic_settings settings = settings_for(config);
    if (read_settings(cluster, name, &s, &err) < 0 || (is_compacted(&s) && lags_enough(&s)) || !is_empty(cluster, name) || topic_configure(cluster, name, &settings, &err) < 0)
        return;
    log_info("topic %s: was there and empty, and is compacted from now on", name);
    for (int waited = 0; waited < SETTLED_MS && read_settings(cluster, name, &s, &err) == 0 && !(is_compacted(&s) && lags_enough(&s)); waited += 50)
        rd_kafka_poll(cluster.client, 50);
}

static int verify_settings(struct cluster cluster, const struct config *config, struct changelog_topic *topic, struct err *err)
{
    struct found_settings s;
    if (read_settings(cluster, topic->name, &s, err) < 0)
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

static int verify_partitions(struct cluster cluster, int32_t input_partitions, struct changelog_topic *topic, struct err *err)
{
    if (topic_partitions(cluster, topic->name, &topic->partitions, err) < 0)
        return err_prefix(err, "the state's changelog");
    if (topic->partitions == input_partitions)
        return 0;
    if (topic->partitions > input_partitions)
        return err_set(err, "topic %s: has %" PRId32 " partitions, and the input %" PRId32 ": grow the input to as many, or delete this topic (state is then rebuilt from the input)",
                       topic->name, topic->partitions, input_partitions);
    return err_set(err, "topic %s: has %" PRId32 " partitions, and the input %" PRId32 "; grow it first: kafka-topics.sh --alter --topic %s --partitions %" PRId32, topic->name,
                   topic->partitions, input_partitions, topic->name, input_partitions);
}

static void ask_topic(rd_kafka_t *client, const void *name, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names((const char *[]){name}, 1);
    rd_kafka_DescribeTopics(client, topics, options, queue);
    rd_kafka_TopicCollection_destroy(topics);
}

/* One that the broker does not tell for once would look like a topic that was created anew. */
static int input_id(struct cluster cluster, const char *name, char id[48], struct err *err)
{
    rd_kafka_event_t *event = cluster_request(cluster, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, ask_topic, name, name, err);
    if (!event)
        return -1;
    size_t count = 0;
    const rd_kafka_TopicDescription_t **found = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
    rd_kafka_resp_err_t code = count ? rd_kafka_error_code(rd_kafka_TopicDescription_error(found[0])) : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    const rd_kafka_Uuid_t *uuid = code ? NULL : rd_kafka_TopicDescription_topic_id(found[0]);
    const char *text = uuid ? rd_kafka_Uuid_base64str(uuid) : NULL;
    snprintf(id, 48, "%s", text ? text : "");
    rd_kafka_event_destroy(event);
    return code ? kafka_err(err, code, name) : 0;
}

int changelog_describe(struct cluster cluster, const struct config *config, int32_t input_partitions, bool may_create, struct changelog_topic *topic, struct err *err)
{
    char text[64];
    *topic = (struct changelog_topic){.schema_id = -1};
    changelog_name(config, topic->name);
    int there = setting(cluster, topic->name, "cleanup.policy", text, sizeof text, err);
    if (there < 0 && err->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
        topic->name[0] = 0;
        return 0;
    }
    if (there < 0)
        return err_prefix(err, "the state's changelog");
    if (there > 0 && !may_create)
        return err_set(err, "topic %s: is not there; `run` creates it", topic->name);
    if (there > 0 && create(cluster, config, topic->name, input_partitions, err) < 0)
        return -1;
    if (there == 0 && may_create)
        settle(cluster, config, topic->name);
    if (input_id(cluster, config->input.topic, topic->input_id, err) < 0)
        return err_prefix(err, "input.topic");
    return verify_settings(cluster, config, topic, err) < 0 || verify_partitions(cluster, input_partitions, topic, err) < 0 ? -1 : 0;
}
