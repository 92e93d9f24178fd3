#include "consumer/aggregator/sketches_topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/log.h"

/* Deltas are of use until their windows are closed and saved; a week is room for an aggregator that was away. */
static const struct topic_setting wanted[] = {{"cleanup.policy", "delete"}, {"retention.ms", "604800000"}, {"segment.bytes", "268435456"}, {"max.message.bytes", "4194304"}};

void sketches_name(const struct config *config, char name[SKETCHES_NAME_MAX])
{
    snprintf(name, SKETCHES_NAME_MAX, "%s-sketches", config->app_id);
}

static enum topic_answer look(struct cluster cluster, struct sketches_topic *topic, struct err *err)
{
    struct topic_setting bytes = {"max.message.bytes", ""};
    enum topic_answer answer = topic_read(cluster, topic->name, &bytes, 1, err);
    topic->max_message_bytes = (size_t)strtoull(bytes.text, NULL, 10);
    return answer;
}

static int create(struct cluster cluster, struct sketches_topic *topic, struct err *err)
{
    if (topic_create(cluster, topic->name, 1, wanted, sizeof wanted / sizeof *wanted, "create it with one partition and max.message.bytes=4194304", err) < 0)
        return -1;
    return look(cluster, topic, err) == TOPIC_FOUND ? 0 : -1;
}

static int verify(struct cluster cluster, const struct sketches_topic *topic, struct err *err)
{
    int32_t partitions;
    if (topic_partitions(cluster, topic->name, &partitions, err) < 0)
        return -1;
    if (partitions != 1)
        log_warning("topic %s: has %d partitions; the first holds everything, the others stay empty", topic->name, (int)partitions);
    if (topic->max_message_bytes < SKETCHES_BYTES_LEAST)
        return err_set(err, "topic %s: max.message.bytes is %zu, and must be at least %d; mend it with kafka-configs.sh --alter --topic %s --add-config max.message.bytes=4194304",
                       topic->name, topic->max_message_bytes, SKETCHES_BYTES_LEAST, topic->name);
    return 0;
}

int sketches_describe(struct cluster cluster, const struct config *config, struct sketches_topic *topic, struct err *err)
{
    *topic = (struct sketches_topic){.schema_id = -1};
    sketches_name(config, topic->name);
    switch (look(cluster, topic, err)) {
    case TOPIC_FOUND:
        return verify(cluster, topic, err);
    case TOPIC_NOT_FOUND:
        return create(cluster, topic, err) < 0 ? -1 : verify(cluster, topic, err);
    case TOPIC_NOT_TOLD:
        topic->name[0] = 0;
        return 0;
    default:
        return err_prefix(err, "the sketches topic");
    }
}
