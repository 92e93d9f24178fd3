#include "consumer/kafka/topics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/embedded.h"

enum { MAX_MESSAGE_BYTES_DEFAULT = 1048588 };

/* false: *err says why not. */
static bool max_message_bytes(struct cluster cluster, const char *topic, size_t *bytes, struct err *err)
{
    struct topic_setting setting = {"max.message.bytes", ""};
    enum topic_answer answer = topic_read(cluster, topic, &setting, 1, err);
    *bytes = answer == TOPIC_NOT_TOLD ? MAX_MESSAGE_BYTES_DEFAULT : (size_t)strtoull(setting.text, NULL, 10);
    return answer == TOPIC_FOUND || answer == TOPIC_NOT_TOLD;
}

size_t topics_room(size_t max_message_bytes)
{
    return max_message_bytes > RECORD_OVERHEAD_BYTES ? max_message_bytes - RECORD_OVERHEAD_BYTES : 0;
}

size_t topic_room(struct cluster cluster, const char *topic)
{
    size_t bytes;
    struct err err = {0};
    return max_message_bytes(cluster, topic, &bytes, &err) ? topics_room(bytes) : SIZE_MAX;
}

static int describe_output(struct cluster cluster, const char *setting, const char *name, struct output_topic *topic, struct err *err)
{
    *topic = (struct output_topic){.name = name, .schema_id = -1};
    if (topic_partitions(cluster, name, &topic->partitions, err) < 0)
        return err_prefix(err, "outputs.%s", setting);
    if (!max_message_bytes(cluster, name, &topic->max_message_bytes, err))
        return err_prefix(err, "outputs.%s", setting);
    return 0;
}

int topics_describe(struct cluster cluster, const struct config *config, struct topics *topics, struct err *err)
{
    *topics = (struct topics){0};
    if (topic_partitions(cluster, config->input.topic, &topics->input_partitions, err) < 0)
        return err_prefix(err, "input.topic");
    if (describe_output(cluster, "dead_letters", config->outputs.dead_letters, &topics->outputs[OUTPUT_DEAD_LETTER], err) < 0 ||
        describe_output(cluster, "predictions", config->outputs.predictions, &topics->outputs[OUTPUT_PREDICTION], err) < 0)
        return -1;
    if (config->models.shadow_count && describe_output(cluster, "shadows", config->outputs.shadows, &topics->outputs[OUTPUT_SHADOW], err) < 0)
        return -1;
    struct output_topic monitoring;
    if (describe_output(cluster, "monitoring", config->outputs.monitoring, &monitoring, err) < 0)
        return -1;
    topics->report_max_message_bytes = monitoring.max_message_bytes;
    if (sketches_describe(cluster, config, &topics->sketches, err) < 0)
        return -1;
    return changelog_describe(cluster, config, topics->input_partitions, MISSING_IS_MADE, &topics->changelog, err);
}

int topics_count_again(struct cluster cluster, const struct config *config, struct topics *topics, struct err *err)
{
    struct topics fresh = *topics;
    if (topic_partitions(cluster, config->input.topic, &fresh.input_partitions, err) < 0)
        return err_prefix(err, "input.topic");
    for (int i = 0; i < OUTPUT_COUNT; i++)
        if (fresh.outputs[i].name && topic_partitions(cluster, fresh.outputs[i].name, &fresh.outputs[i].partitions, err) < 0)
            return -1;
    if (fresh.changelog.name[0] && changelog_describe(cluster, config, fresh.input_partitions, MISSING_IS_AN_ERROR, &fresh.changelog, err) < 0)
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
