#include "consumer/aggregator/sketches_topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/kafka/client.h"
#include "consumer/kafka/topics.h"
#include "consumer/log.h"

enum { ADMIN_TIMEOUT_MS = 20000, VISIBLE_TIMEOUT_MS = 10000 };

/* Deltas are of use until their windows are closed and saved; a week is room for an aggregator that was away. */
static const char *const settings[][2] = {{"cleanup.policy", "delete"}, {"retention.ms", "604800000"}, {"segment.bytes", "268435456"}, {"max.message.bytes", "4194304"}};

void sketches_name(const struct config *config, char name[SKETCHES_NAME_MAX])
{
    snprintf(name, SKETCHES_NAME_MAX, "%s-sketches", config->app_id);
}

static int refused(const char *name, rd_kafka_resp_err_t code, const char *says, struct err *err)
{
    return err_set(err, "topic %s: cannot be created: %s; create it with one partition and max.message.bytes=4194304", name, says ? says : rd_kafka_err2str(code));
}

static int create(rd_kafka_t *client, const char *name, struct err *err)
{
    char why[256] = "";
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 1, -1, why, sizeof why);
    if (!topic)
        return err_set(err, "topic %s: %s", name, why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        rd_kafka_NewTopic_set_config(topic, settings[i][0], settings[i][1]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, ADMIN_TIMEOUT_MS, NULL, 0);
    rd_kafka_CreateTopics(client, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS + 1000);
    size_t count = 0;
    rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    const rd_kafka_topic_result_t **made = code ? NULL : rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count)
        code = rd_kafka_topic_result_error(made[0]);
    int result = code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? refused(name, code, count ? rd_kafka_topic_result_error_string(made[0]) : NULL, err) : 0;
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    if (!code)
        log_info("topic %s: created, one partition", name);
    return result;
}

/* 0: it is there; 1: not; -1. */
static int look(rd_kafka_t *client, struct sketches_topic *topic, struct err *err)
{
    char text[64];
    if (topic_setting(client, topic->name, "max.message.bytes", text, sizeof text, err) == 0) {
        topic->max_message_bytes = (size_t)strtoull(text, NULL, 10);
        return 0;
    }
    return err->code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? 1 : -1;
}

static int wait_until_visible(rd_kafka_t *client, struct sketches_topic *topic, struct err *err)
{
    int result = 1;
    for (int waited = 0; result == 1 && waited < VISIBLE_TIMEOUT_MS; waited += 50) {
        int32_t partitions;
        result = look(client, topic, err);
        if (result == 0 && topic_partitions(client, topic->name, &partitions, err) < 0)
            result = 1;
        if (result == 1)
            rd_kafka_poll(client, 50);
    }
    return result ? -1 : 0;
}

static int verify(rd_kafka_t *client, const struct sketches_topic *topic, struct err *err)
{
    int32_t partitions;
    if (topic_partitions(client, topic->name, &partitions, err) < 0)
        return -1;
    if (partitions != 1)
        log_warning("topic %s: has %d partitions; the first holds everything, the others stay empty", topic->name, (int)partitions);
    if (topic->max_message_bytes < SKETCHES_BYTES_LEAST)
        return err_set(err, "topic %s: max.message.bytes is %zu, and must be at least %d; mend it with kafka-configs.sh --alter --topic %s --add-config max.message.bytes=4194304",
                       topic->name, topic->max_message_bytes, SKETCHES_BYTES_LEAST, topic->name);
    return 0;
}

int sketches_describe(rd_kafka_t *client, const struct config *config, struct sketches_topic *topic, struct err *err)
{
    *topic = (struct sketches_topic){.schema_id = -1};
    sketches_name(config, topic->name);
    int there = look(client, topic, err);
    if (there < 0 && err->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
        topic->name[0] = 0;
        return 0;
    }
    if (there < 0)
        return err_prefix(err, "the sketches topic");
    if (there > 0 && (create(client, topic->name, err) < 0 || wait_until_visible(client, topic, err) < 0))
        return -1;
    return verify(client, topic, err);
}
