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

/* As it is to be made, but for max.message.bytes.  Compaction keeps a few versions of each entity at most, so that reading
 * it all stays short. */
static const struct topic_setting wanted[] = {{"cleanup.policy", "compact"}, {"min.compaction.lag.ms", "600000"}, {"min.cleanable.dirty.ratio", "0.2"}, {"segment.bytes", "67108864"}, {"segment.ms", "600000"}};
enum { WANTED = sizeof wanted / sizeof *wanted + 1 };

/* As it is found. */
enum { POLICY, LAG, MESSAGE_BYTES, LOOKED_AT };
struct found {
    struct topic_setting settings[LOOKED_AT];
};

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

static enum topic_answer look(struct cluster cluster, const char *name, struct found *found, struct err *err)
{
    *found = (struct found){{[POLICY] = {"cleanup.policy", ""}, [LAG] = {"min.compaction.lag.ms", ""}, [MESSAGE_BYTES] = {"max.message.bytes", ""}}};
    enum topic_answer answer = topic_read(cluster, name, found->settings, LOOKED_AT, err);
    if (answer != TOPIC_FOUND)
        err_prefix(err, "the state's changelog");
    return answer;
}

static bool is_compacted(const struct found *f)
{
    return !strcmp(f->settings[POLICY].text, "compact");
}

static bool lags_enough(const struct found *f)
{
    return strtoll(f->settings[LAG].text, NULL, 10) >= MIN_COMPACTION_LAG_MS;
}

static bool keeps_state(const struct found *f)
{
    return is_compacted(f) && lags_enough(f);
}

static void settings_wanted(const struct config *config, struct topic_setting settings[WANTED])
{
    struct topic_setting *bytes = &settings[WANTED - 1];
    memcpy(settings, wanted, sizeof wanted);
    bytes->name = "max.message.bytes";
    snprintf(bytes->text, sizeof bytes->text, "%zu", message_bytes_needed(config));
}

static int create(struct cluster cluster, const struct config *config, const char *name, int32_t partitions, struct found *found, struct err *err)
{
    char hint[128];
    struct topic_setting settings[WANTED];
    settings_wanted(config, settings);
    snprintf(hint, sizeof hint, "create it with %" PRId32 " partitions, cleanup.policy=compact and min.compaction.lag.ms=%d", partitions, MIN_COMPACTION_LAG_MS);
    return topic_create(cluster, name, partitions, settings, WANTED, hint, err) < 0 || look(cluster, name, found, err) != TOPIC_FOUND ? -1 : 0;
}

/* A topic that somebody made beforehand and left empty gets the settings that it would have been created with.  Where the
 * broker does not allow that, verify_settings names what is wrong. */
static int settle(struct cluster cluster, const struct config *config, const char *name, struct found *found, struct err *err)
{
    struct err refused;
    struct topic_setting settings[WANTED];
    settings_wanted(config, settings);
    if (keeps_state(found) || !is_empty(cluster, name) || topic_configure(cluster, name, settings, WANTED, &refused) < 0)
        return 0;
    log_info("topic %s: was there and empty, and is compacted from now on", name);
    for (int waited = 0; waited < SETTLED_MS && !keeps_state(found); waited += 50) {
        rd_kafka_poll(cluster.client, 50);
        if (look(cluster, name, found, err) != TOPIC_FOUND)
            return -1;
    }
    return 0;
}

static int verify_settings(const struct config *config, const struct found *found, struct changelog_topic *topic, struct err *err)
{
    topic->max_message_bytes = (size_t)strtoull(found->settings[MESSAGE_BYTES].text, NULL, 10);
    if (!is_compacted(found))
        return err_set(err, "topic %s: cleanup.policy is %s, and must be compact, or state would be deleted; mend it with kafka-configs.sh --alter --topic %s --add-config cleanup.policy=compact",
                       topic->name, found->settings[POLICY].text, topic->name);
    if (!lags_enough(found))
        return err_set(err, "topic %s: min.compaction.lag.ms is %s, and must be %d or more, or what a recovery is reading could go; mend it with kafka-configs.sh --alter --topic %s --add-config min.compaction.lag.ms=%d",
                       topic->name, found->settings[LAG].text, MIN_COMPACTION_LAG_MS, topic->name, MIN_COMPACTION_LAG_MS);
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

struct identity {
    const char *topic;
    char *id;
};

static void ask_id(rd_kafka_t *client, void *of, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    const struct identity *identity = of;
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names((const char *[]){identity->topic}, 1);
    rd_kafka_DescribeTopics(client, topics, options, queue);
    rd_kafka_TopicCollection_destroy(topics);
}

static rd_kafka_resp_err_t take_id(rd_kafka_event_t *answer, void *of)
{
    const struct identity *identity = of;
    size_t count = 0;
    const rd_kafka_TopicDescription_t **found = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(answer), &count);
    rd_kafka_resp_err_t code = count ? rd_kafka_error_code(rd_kafka_TopicDescription_error(found[0])) : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    const rd_kafka_Uuid_t *uuid = code ? NULL : rd_kafka_TopicDescription_topic_id(found[0]);
    const char *text = uuid ? rd_kafka_Uuid_base64str(uuid) : NULL;
    snprintf(identity->id, INPUT_ID_MAX, "%s", text ? text : "");
    return code;
}

/* One that the broker does not tell for once would look like a topic that was created anew. */
int input_id(struct cluster cluster, const char *topic, char id[INPUT_ID_MAX], struct err *err)
{
    static const struct cluster_request describe = {RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, ask_id, take_id};
    return cluster_ask(cluster, &describe, &(struct identity){topic, id}, topic, err);
}

int changelog_describe(struct cluster cluster, const struct config *config, int32_t input_partitions, enum changelog_missing missing, struct changelog_topic *topic, struct err *err)
{
    struct found found;
    *topic = (struct changelog_topic){.schema_id = -1};
    changelog_name(config, topic->name);
    enum topic_answer answer = look(cluster, topic->name, &found, err);
    if (answer == TOPIC_NOT_TOLD || (answer == TOPIC_NOT_FOUND && missing == MISSING_IS_NO_MATTER)) {
        topic->name[0] = 0;
        return 0;
    }
    if (answer == TOPIC_NOT_FOUND && missing == MISSING_IS_AN_ERROR)
        return err_set(err, "topic %s: is not there; `run` creates it", topic->name);
    if (answer == TOPIC_FAILED || (answer == TOPIC_NOT_FOUND && create(cluster, config, topic->name, input_partitions, &found, err) < 0) ||
        (answer == TOPIC_FOUND && missing == MISSING_IS_MADE && settle(cluster, config, topic->name, &found, err) < 0))
        return -1;
    if (input_id(cluster, config->input.topic, topic->input_id, err) < 0)
        return err_prefix(err, "input.topic");
    return verify_settings(config, &found, topic, err) < 0 || verify_partitions(cluster, input_partitions, topic, err) < 0 ? -1 : 0;
}
