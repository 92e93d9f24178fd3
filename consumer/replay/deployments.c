#include "consumer/replay/deployments.h"

#include <assert.h>
#include <stdlib.h>

#include "consumer/changelog/keys.h"
#include "consumer/changelog/reader.h"
#include "consumer/changelog/topic.h"
#include "consumer/kafka/offsets.h"
#include "consumer/replay/source.h"

enum { FRAMING = 5 };

/* Without a name if there is none. */
static int describe(rd_kafka_t *client, const struct config *config, size_t partitions, struct changelog_topic *topic, struct err *err)
{
    return changelog_describe(cluster_of_command(client), config, (int32_t)partitions, MISSING_IS_NO_MATTER, topic, err);
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

/* states: by partition, or the one of `only` (-1: of all). */
static int take_all(struct source *source, const struct changelog_topic *topic, struct partition_state *states, size_t count, int32_t only, size_t *found, struct err *err)
{
    struct generation generation = generation_of_deployments(topic->input_id);
    struct record *records = calloc(BATCH_MAX, sizeof *records);
    int n, result = 0;
    assert(records);
    while (result == 0 && (n = source_next(source, records, BATCH_MAX, err)) != 0) {
        result = n < 0 ? -1 : 0;
        for (int i = 0; result == 0 && i < n; i++)
            if (only >= 0 || (size_t)records[i].partition < count)
                result = take(&records[i], &generation, only >= 0 ? states : &states[records[i].partition], found, err);
    }
    free(records);
    return result;
}

int deployments_follow_one(rd_kafka_t *client, const struct config *config, struct partition_state *state, size_t partitions, size_t *found, struct err *err)
{
    struct changelog_topic topic;
    struct source *source = NULL;
    *found = 0;
    if (describe(client, config, partitions, &topic, err) < 0)
        return -1;
    if (!topic.name[0])
        return 0;
    int64_t first, end;
    int result = offsets_bounds(client, NULL, topic.name, state->id, &first, &end, err);
    if (result == 0 && first < end && (result = source_open_range(config, topic.name, state->id, first, end, &source, err)) == 0)
        result = take_all(source, &topic, state, 1, state->id, found, err);
    source_close(source);
    return result < 0 ? err_prefix(err, "topic %s", topic.name) : 0;
}

int deployments_follow(rd_kafka_t *client, const struct config *config, struct partition_state *states, size_t count, size_t *found, struct err *err)
{
    struct changelog_topic topic;
    struct source *source = NULL;
    *found = 0;
    if (describe(client, config, count, &topic, err) < 0)
        return -1;
    if (!topic.name[0])
        return 0;
    int result = source_open_topic(config, topic.name, INT64_MAX / 4, &source, err);
    if (result == 0)
        result = take_all(source, &topic, states, count, -1, found, err);
    source_close(source);
    return result < 0 ? err_prefix(err, "topic %s", topic.name) : 0;
}
