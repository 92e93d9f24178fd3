#include "consumer/replay/source.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/kafka/client.h"
#include "consumer/kafka/offsets.h"
#include "consumer/kafka/topics.h"
#include "consumer/log.h"

enum { CHUNK = BATCH_MAX, POLL_MS = 200, STALLED_MS = 120000 };

struct topic_partition {
    rd_kafka_queue_t *queue;
    int64_t first, end, position; /* position: next offset to hand out; end: exclusive */
    rd_kafka_message_t *messages[CHUNK];
    size_t count, at;
    bool done;
};

struct source {
    struct pipeline *pipeline;
    /* file */
    struct container_reader *file;
    char *path;
    const uint8_t *data;
    size_t left;
    uint64_t values_left;
    int64_t offset;
    /* topic */
    rd_kafka_t *consumer;
    char *topic;
    struct topic_partition *partitions;
    int32_t partition_count;
    int32_t current;
    int64_t slice_ms, slice_end_ms;
    int64_t total;
};

/* ---- file ---- */

int source_open_file(const char *path, struct pipeline *pipeline, struct source **out, struct err *err)
{
    struct source *s = calloc(1, sizeof *s);
    assert(s);
    s->pipeline = pipeline;
    s->path = strdup(path);
    assert(s->path);
    if (container_reader_open(path, &s->file, err) < 0) {
        source_close(s);
        return -1;
    }
    if (decoder_set_plain_schema(pipeline_decoder(pipeline), container_reader_schema(s->file), err) < 0) {
        err_prefix(err, "%s: schema", path);
        source_close(s);
        return -1;
    }
    *out = s;
    return 0;
}

static int next_block(struct source *s, struct err *err)
{
    while (s->values_left == 0) {
        if (s->left)
            return err_set(err, "%s: %zu bytes are left after the last value of a block (offset %" PRId64 "); the file is damaged", s->path, s->left, s->offset);
        int more = container_reader_block(s->file, &s->data, &s->left, &s->values_left, err);
        if (more <= 0)
            return more;
    }
    return 1;
}

static int next_of_file(struct source *s, struct record *records, size_t max, struct err *err)
{
    int more = next_block(s, err);
    if (more <= 0)
        return more;
    size_t n = 0;
    for (; n < max && s->values_left; n++) {
        size_t size = decoder_plain_size(pipeline_decoder(s->pipeline), s->data, s->left, err);
        if (size == SIZE_MAX)
            return err_prefix(err, "%s: value %" PRId64, s->path, s->offset);
        records[n] = (struct record){.partition = 0, .offset = s->offset++, .value = s->data, .value_size = size};
        s->data += size;
        s->left -= size;
        s->values_left--;
    }
    return (int)n;
}

/* ---- topic ---- */

static int open_partition(struct source *s, int32_t id, struct err *err)
{
    struct topic_partition *p = &s->partitions[id];
    if (offsets_bounds(s->consumer, NULL, s->topic, id, &p->first, &p->end, err) < 0)
        return -1;
    p->position = p->first;
    p->done = p->first >= p->end;
    p->queue = rd_kafka_queue_get_partition(s->consumer, s->topic, id);
    rd_kafka_queue_forward(p->queue, NULL); /* or its messages would go to the consumer's common queue */
    s->total += p->end - p->first;
    return 0;
}

int source_open_topic(const struct config *config, const char *topic, int64_t slice_ms, struct source **out, struct err *err)
{
    struct source *s = calloc(1, sizeof *s);
    assert(s);
    s->topic = strdup(topic);
    assert(s->topic);
    s->slice_ms = slice_ms;
    s->current = -1;
    if (kafka_plain_consumer(config, &s->consumer, err) < 0 || topic_partitions(cluster_of_command(s->consumer), topic, &s->partition_count, err) < 0)
        goto fail;
    s->partitions = calloc((size_t)s->partition_count, sizeof *s->partitions);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(s->partition_count);
    assert(s->partitions);
    int failed = 0;
    for (int32_t i = 0; !failed && i < s->partition_count; i++) {
        failed = open_partition(s, i, err) < 0;
        if (!failed && !s->partitions[i].done)
            rd_kafka_topic_partition_list_add(list, topic, i)->offset = s->partitions[i].first;
    }
    rd_kafka_resp_err_t code = failed ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_assign(s->consumer, list);
    if (code)
        kafka_err(err, code, "assign");
    rd_kafka_topic_partition_list_destroy(list);
    /* assigning forwards the queues to the common one again */
    for (int32_t i = 0; i < s->partition_count; i++)
        if (s->partitions[i].queue)
            rd_kafka_queue_forward(s->partitions[i].queue, NULL);
    if (failed || code)
        goto fail;
    *out = s;
    return 0;
fail:
    source_close(s);
    return -1;
}

int source_open_range(const struct config *config, const char *topic, int32_t partition, int64_t from, int64_t end, struct source **out, struct err *err)
{
    struct source *s = calloc(1, sizeof *s);
    assert(s);
    s->topic = strdup(topic);
    s->partition_count = partition + 1;
    s->partitions = calloc((size_t)s->partition_count, sizeof *s->partitions);
    assert(s->topic && s->partitions);
    s->slice_ms = INT64_MAX / 4; /* one slice */
    s->current = -1;
    s->total = end - from;
    for (int32_t i = 0; i < partition; i++)
        s->partitions[i].done = true;
    struct topic_partition *p = &s->partitions[partition];
    p->first = p->position = from;
    p->end = end;
    if (kafka_plain_consumer(config, &s->consumer, err) < 0) {
        source_close(s);
        return -1;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = from;
    rd_kafka_resp_err_t code = rd_kafka_assign(s->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code) {
        kafka_err(err, code, "assign");
        source_close(s);
        return -1;
    }
    p->queue = rd_kafka_queue_get_partition(s->consumer, topic, partition);
    rd_kafka_queue_forward(p->queue, NULL); /* or its messages would go to the consumer's common queue */
    *out = s;
    return 0;
}

static void release(struct topic_partition *p)
{
    for (size_t i = 0; i < p->count; i++)
        rd_kafka_message_destroy(p->messages[i]);
    p->count = p->at = 0;
}

/* Makes sure that the partition has a message at hand, or is done. */
static int load(struct source *s, int32_t id, struct err *err)
{
    struct topic_partition *p = &s->partitions[id];
    if (p->done || p->at < p->count)
        return 0;
    release(p);
    for (int64_t waited = 0; !p->done && !p->count; waited += POLL_MS) {
        rd_kafka_poll(s->consumer, 0);
        ssize_t n = rd_kafka_consume_batch_queue(p->queue, 0, p->messages, CHUNK);
        if (n == 0)
            n = rd_kafka_consume_batch_queue(p->queue, POLL_MS, p->messages, 1);
        if (n < 0)
            return err_set(err, "cannot read partition %d of %s", id, s->topic);
        p->count = (size_t)n;
        if (n == 0 && waited >= STALLED_MS)
            return err_set(err, "partition %d of %s: no record for %d s before offset %" PRId64 " of %" PRId64, id, s->topic, STALLED_MS / 1000, p->position, p->end);
        for (size_t i = 0; i < p->count; i++) {
            if (p->messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || (!p->messages[i]->err && p->messages[i]->offset >= p->end)) {
                p->done = true; /* after what lies before it */
                for (size_t k = i; k < p->count; k++)
                    rd_kafka_message_destroy(p->messages[k]);
                p->count = i;
            } else if (p->messages[i]->err) {
                return err_set(err, "partition %d of %s: %s", id, s->topic, rd_kafka_message_errstr(p->messages[i]));
            }
        }
    }
    return 0;
}

static bool empty(const struct topic_partition *p)
{
    return p->at >= p->count;
}

static int64_t head_ms(const struct topic_partition *p)
{
    rd_kafka_timestamp_type_t type;
    return rd_kafka_message_timestamp(p->messages[p->at], &type);
}

/* The next partition with a record in the current slice; opens the next slice when there is none; -1 at the end. */
static int choose(struct source *s, struct err *err)
{
    for (int pass = 0; pass < 2; pass++) {
        int64_t least = INT64_MAX;
        for (int32_t i = pass ? 0 : (s->current < 0 ? 0 : s->current); i < s->partition_count; i++) {
            if (load(s, i, err) < 0)
                return -2;
            if (empty(&s->partitions[i]))
                continue;
            if (head_ms(&s->partitions[i]) < s->slice_end_ms)
                return i;
        }
        for (int32_t i = 0; i < s->partition_count; i++) {
            if (load(s, i, err) < 0)
                return -2;
            if (!empty(&s->partitions[i]) && head_ms(&s->partitions[i]) < least)
                least = head_ms(&s->partitions[i]);
        }
        if (least == INT64_MAX)
            return -1;
        s->slice_end_ms = (least / s->slice_ms + 1) * s->slice_ms;
    }
    assert(false);
    return -1;
}

static int next_of_topic(struct source *s, struct record *records, size_t max, struct err *err)
{
    int32_t id = choose(s, err);
    if (id < 0)
        return id == -1 ? 0 : -1;
    s->current = id;
    struct topic_partition *p = &s->partitions[id];
    size_t n = 0;
    for (; n < max && !empty(p) && head_ms(p) < s->slice_end_ms; n++, p->at++) {
        const rd_kafka_message_t *m = p->messages[p->at];
        int64_t timestamp = head_ms(p);
        records[n] = (struct record){.partition = id, .offset = m->offset, .timestamp_ms = timestamp < 0 ? 0 : timestamp, .key = m->key, .key_size = m->key_len,
            .value = m->payload, .value_size = m->len, .message = m};
        p->position = m->offset + 1;
    }
    return (int)n;
}

/* ---- both ---- */

int source_next(struct source *s, struct record *records, size_t max, struct err *err)
{
    return s->file ? next_of_file(s, records, max, err) : next_of_topic(s, records, max, err);
}

void source_close(struct source *s)
{
    if (!s)
        return;
    container_reader_close(s->file);
    for (int32_t i = 0; s->partitions && i < s->partition_count; i++) {
        release(&s->partitions[i]);
        if (s->partitions[i].queue)
            rd_kafka_queue_destroy(s->partitions[i].queue);
    }
    if (s->consumer) {
        rd_kafka_consumer_close(s->consumer);
        rd_kafka_destroy(s->consumer);
    }
    free(s->partitions);
    free(s->topic);
    free(s->path);
    free(s);
}

rd_kafka_t *source_client(const struct source *s)
{
    return s->consumer;
}

size_t source_partitions(const struct source *s)
{
    return s->file ? 1 : (size_t)s->partition_count;
}

int64_t source_first_offset(const struct source *s, int32_t partition)
{
    return s->file ? 0 : s->partitions[partition].first;
}

void source_progress(const struct source *s, int64_t *done, int64_t *total)
{
    if (s->file) {
        uint64_t size = 0;
        *done = (int64_t)container_reader_position(s->file, &size);
        *total = (int64_t)size;
        return;
    }
    *done = 0;
    for (int32_t i = 0; i < s->partition_count; i++)
        *done += s->partitions[i].position - s->partitions[i].first;
    *total = s->total;
}

const char *source_meta(const struct source *s, const char *key)
{
    return s->file ? container_reader_meta(s->file, key) : NULL;
}

const char *source_schema(const struct source *s)
{
    return s->file ? container_reader_schema(s->file) : NULL;
}
