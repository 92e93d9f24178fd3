#include "consumer/replay/deployments.h"

#include <assert.h>
#include <stdlib.h>

#include "consumer/changelog/keys.h"
#include "consumer/changelog/reader.h"
#include "consumer/changelog/topic.h"
#include "consumer/kafka/topics.h"
#include "consumer/replay/source.h"

enum { FRAMING = 5 };

/* 1: there is one; 0: there is none. */
static int describe(rd_kafka_t *client, const struct config *config, size_t partitions, struct changelog_topic *topic, struct err *err)
{
    char name[TOPIC_NAME_MAX], text[64];
    changelog_name(config, name);
    if (topic_setting(client, name, "cleanup.policy", text, sizeof text, err) < 0)
        return err->code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || err->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE ? 0 : -1;
    return changelog_describe(client, config, (int32_t)partitions, false, topic, err) < 0 ? -1 : 1;
}

static int take(const struct record *record, const struct generation *generation, struct partition_state *state, size_t *found, struct err *err)
{
    struct changelog_key key;
    const uint8_t *value = record->value;
    if (!value || record->value_size < FRAMING || !changelog_key_parse(record->key, record->key_size, &key) || (key.kind != KEY_DEPLOYMENT && key.kind != KEY_GROWTH) ||
        memcmp(key.generation.bytes, generation->bytes, GENERATION_BYTES) != 0)
        return 0;
    if (key.kind == KEY_GROWTH) {
        partition_state_grows_at(state, key.first_offset);
        return 0;
    }
    struct avro_reader in = {value + FRAMING, value + record->value_size, false};
    get_branch(&in, BRANCH_DEPLOYMENT);
    size_t size;
    const uint8_t *text = get_bytes(&in, &size);
    ++*found;
    serving_follow_schedule(state->serving);
    if (!reader_is_done(&in))
        return err_set(err, "partition %d: the deployment recorded at offset %lld is damaged", state->id, (long long)key.first_offset);
    return serving_schedule(state->serving, key.first_offset, text, size, err);
}

int deployments_follow(rd_kafka_t *client, const struct config *config, struct partition_state *states, size_t count, size_t *found, struct err *err)
{
    struct changelog_topic topic;
    struct source *source = NULL;
    struct record *records = NULL;
    *found = 0;
    int n = describe(client, config, count, &topic, err);
    if (n <= 0 || !topic.name[0])
        return n;
    struct generation generation = generation_of_deployments(topic.input_id);
    int result = source_open_topic(config, topic.name, INT64_MAX / 4, &source, err);
    records = calloc(BATCH_MAX, sizeof *records);
    assert(records);
    while (result == 0 && (n = source_next(source, records, BATCH_MAX, err)) != 0) {
        result = n < 0 ? -1 : 0;
        for (int i = 0; result == 0 && i < n; i++)
            if ((size_t)records[i].partition < count)
                result = take(&records[i], &generation, &states[records[i].partition], found, err);
    }
    free(records);
    source_close(source);
    return result < 0 ? err_prefix(err, "topic %s", topic.name) : 0;
}
