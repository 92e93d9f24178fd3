#include "consumer/kafka/topics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/embedded.h"

enum { DESCRIBE_TIMEOUT_MS = 20000, MAX_MESSAGE_BYTES_DEFAULT = 1048588 };

int topic_partitions(rd_kafka_t *client, const char *topic, int32_t *partitions, struct err *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    if (!handle)
        return err_set(err, "topic %s: not a topic name", topic);
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, handle, &metadata, DESCRIBE_TIMEOUT_MS);
    int result = 0;
    if (code)
        result = kafka_err(err, code, "cannot read the cluster's metadata; is kafka: bootstrap.servers right and the broker up?");
    else if (metadata->topic_cnt < 1 || metadata->topics[0].err)
        result = err_set(err, "topic %s: %s; create it first", topic, rd_kafka_err2str(metadata->topic_cnt ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
    else
        *partitions = metadata->topics[0].partition_cnt;
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return result;
}

int topic_setting(rd_kafka_t *client, const char *topic, const char *name, char *text, size_t size, struct err *err)
{
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, DESCRIBE_TIMEOUT_MS, NULL, 0);
    rd_kafka_DescribeConfigs(client, &resource, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, DESCRIBE_TIMEOUT_MS + 1000);
    int result = -1;
    if (!event) {
        err_set(err, "topic %s: the broker did not say its settings in time", topic);
    } else if (rd_kafka_event_error(event)) {
        kafka_err(err, rd_kafka_event_error(event), topic);
    } else {
        size_t count = 0, entries = 0;
        const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
        const rd_kafka_ConfigEntry_t **entry = count ? rd_kafka_ConfigResource_configs(found[0], &entries) : NULL;
        if (count && rd_kafka_ConfigResource_error(found[0]))
            kafka_err(err, rd_kafka_ConfigResource_error(found[0]), topic);
        else
            err_set(err, "topic %s: the broker knows no setting %s", topic, name);
        for (size_t i = 0; i < entries; i++)
            if (!strcmp(rd_kafka_ConfigEntry_name(entry[i]), name) && rd_kafka_ConfigEntry_value(entry[i])) {
                snprintf(text, size, "%s", rd_kafka_ConfigEntry_value(entry[i]));
                result = 0;
            }
    }
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(resource);
    return result;
}

/* false: *err says why not. */
static bool max_message_bytes(rd_kafka_t *client, const char *topic, size_t *bytes, struct err *err)
{
    char text[64];
    if (topic_setting(client, topic, "max.message.bytes", text, sizeof text, err) == 0)
        *bytes = (size_t)strtoull(text, NULL, 10);
    else if (err->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
        *bytes = MAX_MESSAGE_BYTES_DEFAULT; /* a broker without DescribeConfigs */
    else
        return false;
    return true;
}

size_t topics_room(size_t max_message_bytes)
{
    return max_message_bytes > RECORD_OVERHEAD_BYTES ? max_message_bytes - RECORD_OVERHEAD_BYTES : 0;
}

size_t topic_room(rd_kafka_t *client, const char *topic)
{
    size_t bytes;
    struct err err = {0};
    return max_message_bytes(client, topic, &bytes, &err) ? topics_room(bytes) : SIZE_MAX;
}

static int describe_output(rd_kafka_t *client, const char *setting, const char *name, struct output_topic *topic, struct err *err)
{
    *topic = (struct output_topic){.name = name, .schema_id = -1};
    if (topic_partitions(client, name, &topic->partitions, err) < 0)
        return err_prefix(err, "outputs.%s", setting);
    if (!max_message_bytes(client, name, &topic->max_message_bytes, err))
        return err_prefix(err, "outputs.%s", setting);
    return 0;
}

int topics_describe(rd_kafka_t *client, const struct config *config, struct topics *topics, struct err *err)
{
    *topics = (struct topics){0};
    if (topic_partitions(client, config->input.topic, &topics->input_partitions, err) < 0)
        return err_prefix(err, "input.topic");
    if (describe_output(client, "dead_letters", config->outputs.dead_letters, &topics->outputs[OUTPUT_DEAD_LETTER], err) < 0 ||
        describe_output(client, "predictions", config->outputs.predictions, &topics->outputs[OUTPUT_PREDICTION], err) < 0)
        return -1;
    if (config->models.shadow_count && describe_output(client, "shadows", config->outputs.shadows, &topics->outputs[OUTPUT_SHADOW], err) < 0)
        return -1;
    struct output_topic monitoring;
    if (describe_output(client, "monitoring", config->outputs.monitoring, &monitoring, err) < 0)
        return -1;
    topics->report_max_message_bytes = monitoring.max_message_bytes;
    if (sketches_describe(client, config, &topics->sketches, err) < 0)
        return -1;
    return changelog_describe(client, config, topics->input_partitions, true, &topics->changelog, err);
}

int topics_count_again(rd_kafka_t *client, const struct config *config, struct topics *topics, struct err *err)
{
    struct topics fresh = *topics;
    if (topic_partitions(client, config->input.topic, &fresh.input_partitions, err) < 0)
        return err_prefix(err, "input.topic");
    for (int i = 0; i < OUTPUT_COUNT; i++)
        if (fresh.outputs[i].name && topic_partitions(client, fresh.outputs[i].name, &fresh.outputs[i].partitions, err) < 0)
            return -1;
    if (fresh.changelog.name[0] && changelog_describe(client, config, fresh.input_partitions, false, &fresh.changelog, err) < 0)
        return -1;
    fresh.changelog.schema_id = topics->changelog.schema_id;
    *topics = fresh;
    return 0;
}

struct kafka_sizes topics_sizes(const struct topics *topics)
{
    bool state = topics->changelog.name[0];
    struct kafka_sizes sizes = {.batch_max = state ? topics->changelog.max_message_bytes : SIZE_MAX, .record_max = state ? topics->changelog.max_message_bytes : 0};
    if (topics->sketches.name[0]) {
        sizes.batch_max = topics->sketches.max_message_bytes < sizes.batch_max ? topics->sketches.max_message_bytes : sizes.batch_max;
        sizes.record_max = topics->sketches.max_message_bytes > sizes.record_max ? topics->sketches.max_message_bytes : sizes.record_max;
    }
    for (int i = 0; i < OUTPUT_COUNT; i++) {
        size_t most = topics->outputs[i].max_message_bytes;
        if (!topics->outputs[i].name)
            continue;
        sizes.batch_max = most < sizes.batch_max ? most : sizes.batch_max;
        sizes.record_max = most > sizes.record_max ? most : sizes.record_max;
    }
    return sizes;
}

static int resolve(struct registry *registry, const char *topic, const char *schema, int32_t *id, struct err *err)
{
    char subject[512];
    snprintf(subject, sizeof subject, "%s-value", topic);
    return registry_output_id(registry, subject, schema, id, err);
}

int topics_resolve_schemas(struct registry *registry, const struct config *config, struct topics *topics, struct err *err)
{
    if (resolve(registry, config->outputs.predictions, schema_prediction, &topics->outputs[OUTPUT_PREDICTION].schema_id, err) < 0)
        return -1;
    if (config->models.shadow_count && resolve(registry, config->outputs.shadows, schema_shadow, &topics->outputs[OUTPUT_SHADOW].schema_id, err) < 0)
        return -1;
    if (topics->changelog.name[0] && resolve(registry, topics->changelog.name, schema_changelog, &topics->changelog.schema_id, err) < 0)
        return -1;
    if (topics->sketches.name[0] && resolve(registry, topics->sketches.name, schema_sketch, &topics->sketches.schema_id, err) < 0)
        return -1;
    return resolve(registry, config->outputs.monitoring, schema_report, &topics->report_schema_id, err);
}
