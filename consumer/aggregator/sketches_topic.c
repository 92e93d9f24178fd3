#include "consumer/aggregator/sketches_topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/kafka/topics.h"
#include "consumer/log.h"

/* Deltas are of use until their windows are closed and saved; a week is room for an aggregator that was away. */
static const char *const pairs[][2] = {{"cleanup.policy", "delete"}, {"retention.ms", "604800000"}, {"segment.bytes", "268435456"}};
static const struct topic_settings settings = {pairs, sizeof pairs / sizeof *pairs, 4194304};

void sketches_name(const struct config *config, char name[SKETCHES_NAME_MAX])
{
    snprintf(name, SKETCHES_NAME_MAX, "%s-sketches", config->app_id);
}

/* 0: it is there; 1: not; -1. */
static int look(struct cluster cluster, struct sketches_topic *topic, struct err *err)
{
    char text[64];
    if (topic_setting(cluster, topic->name, "max.message.bytes", text, sizeof text, err) == 0) {
        topic->max_message_bytes = (size_t)strtoull(text, NULL, 10);
        return 0;
    }
    return err->code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? 1 : -1;
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
    int there = look(cluster, topic, err);
    if (there < 0 && err->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
        topic->name[0] = 0;
        return 0;
    }
    if (there < 0)
        return err_prefix(err, "the sketches topic");
    if (there > 0 && (topic_create(cluster, topic->name, 1, &settings, "create it with one partition and max.message.bytes=4194304", err) < 0 || look(cluster, topic, err)))
        return -1;
    return verify(cluster, topic, err);
}
