#include "consumer/kafka/transaction.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void transaction_init(struct transaction *t, struct carrier *carrier)
{
    *t = (struct transaction){.carrier = carrier};
    outbox_init(&t->outbox);
}

void transaction_finish(struct transaction *t)
{
    outbox_finish(&t->outbox);
    free(t->parts);
    free(t->sources);
    *t = (struct transaction){0};
}

void transaction_clear(struct transaction *t)
{
    outbox_clear(&t->outbox);
    t->part_count = t->source_count = t->sent = 0;
    t->begun = t->spoiled = t->in_doubt = false;
}

static void note_source(struct transaction *t, int32_t source)
{
    for (size_t i = t->source_count; i-- > 0;)
        if (t->sources[i] == source)
            return;
    if (t->source_count == t->source_capacity) {
        t->source_capacity = t->source_capacity ? t->source_capacity * 2 : 16;
        t->sources = realloc(t->sources, t->source_capacity * sizeof *t->sources);
        assert(t->sources);
    }
    t->sources[t->source_count++] = source;
}

void transaction_add(struct transaction *t, struct outbox_record record, int32_t schema_id)
{
    if (!t->outbox.count || t->outbox.records[t->outbox.count - 1].source != record.source)
        note_source(t, record.source);
    outbox_add(&t->outbox, record, schema_id);
}

static struct writer_part *part_of(const struct transaction *t, int32_t partition)
{
    for (size_t i = 0; i < t->part_count; i++)
        if (t->parts[i].partition == partition)
            return &t->parts[i];
    return NULL;
}

void transaction_cover(struct transaction *t, struct writer_part part)
{
    struct writer_part *there = part_of(t, part.partition);
    if (there) {
        part.moved = part.moved || there->moved;
        *there = part;
        return;
    }
    if (t->part_count == t->part_capacity) {
        t->part_capacity = t->part_capacity ? t->part_capacity * 2 : 16;
        t->parts = realloc(t->parts, t->part_capacity * sizeof *t->parts);
        assert(t->parts);
    }
    t->parts[t->part_count++] = part;
}

static size_t sent_of(const struct transaction *t, int32_t partition)
{
    size_t count = 0;
    for (size_t i = 0; i < t->sent; i++)
        count += t->outbox.records[i].source == partition;
    return count;
}

/* A transactional producer that has been made to forget holds nothing of the arena. */
static void free_if_empty(struct transaction *t)
{
    if (carrier_transactional(t->carrier) && !t->begun && !t->outbox.count)
        outbox_clear(&t->outbox);
}

void transaction_drop(struct transaction *t, int32_t partition)
{
    struct writer_part *part = part_of(t, partition);
    bool there = part;
    if (part)
        *part = t->parts[--t->part_count];
    for (size_t i = 0; i < t->source_count; i++)
        if (t->sources[i] == partition) {
            t->sources[i] = t->sources[--t->source_count];
            there = true;
            break;
        }
    if (!there)
        return;
    t->sent -= sent_of(t, partition);
    outbox_drop(&t->outbox, partition);
    t->spoiled = t->spoiled || t->begun; /* at least once: what was sent may stay */
    free_if_empty(t);
}

bool transaction_is_empty(const struct transaction *t)
{
    return !t->part_count && !t->outbox.bytes && !t->begun && !t->spoiled && !t->in_doubt;
}

bool transaction_is_whole(const struct transaction *t)
{
    for (size_t i = 0; i < t->source_count; i++)
        if (!part_of(t, t->sources[i]))
            return false;
    return true;
}

void transaction_unsend(struct transaction *t)
{
    t->sent = 0;
    t->begun = t->spoiled = t->in_doubt = false;
    free_if_empty(t);
}

rd_kafka_topic_partition_list_t *transaction_offsets(const struct transaction *t, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)t->part_count);
    for (size_t i = 0; i < t->part_count; i++) {
        char text[OFFSET_METADATA_MAX];
        rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, topic, t->parts[i].partition);
        p->offset = t->parts[i].next_offset;
        offset_metadata_format(&t->parts[i].metadata, text);
        p->metadata = strdup(text);
        assert(p->metadata);
        p->metadata_size = strlen(text);
    }
    return list;
}
