#include "consumer/kafka/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20 };

struct outbox_chunk {
    struct outbox_chunk *next;
    size_t used, size;
    uint8_t data[];
};

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){0};
}

static uint8_t *take(struct outbox *outbox, size_t size)
{
    struct outbox_chunk *chunk = outbox->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + room);
        assert(chunk);
        *chunk = (struct outbox_chunk){.next = outbox->chunks, .size = room};
        outbox->chunks = chunk;
    }
    uint8_t *p = chunk->data + chunk->used;
    chunk->used += size;
    outbox->bytes += size;
    return p;
}

void outbox_add(struct outbox *outbox, struct outbox_record record, int32_t schema_id)
{
    if (outbox->count == outbox->capacity) {
        outbox->capacity = outbox->capacity ? outbox->capacity * 2 : 1024;
        outbox->records = realloc(outbox->records, outbox->capacity * sizeof *outbox->records);
        assert(outbox->records);
    }
    if (record.key) {
        uint8_t *key = take(outbox, record.key_size);
        if (record.key_size)
            memcpy(key, record.key, record.key_size);
        record.key = key;
    }
    if (record.value) {
        size_t framing = schema_id >= 0 ? 5 : 0;
        uint8_t *value = take(outbox, framing + record.value_size);
        if (framing)
            memcpy(value, (const uint8_t[5]){0, (uint8_t)(schema_id >> 24), (uint8_t)(schema_id >> 16), (uint8_t)(schema_id >> 8), (uint8_t)schema_id}, 5);
        if (record.value_size)
            memcpy(value + framing, record.value, record.value_size);
        record.value = value;
        record.value_size += framing;
    }
    outbox->records[outbox->count++] = record;
    outbox->joined.count = 0;
}

static uint8_t *append(uint8_t *to, const void *data, size_t size)
{
    if (size)
        memcpy(to, data, size);
    return to + size;
}

size_t outbox_next(struct outbox *outbox, size_t i, struct outbox_record *record)
{
    *record = outbox->records[i];
    const struct outbox_joint *joint = record->joint;
    if (!joint)
        return 1;
    if (outbox->joined.count && outbox->joined.at == i) {
        record->value = outbox->joined.value;
        record->value_size = outbox->joined.value_size;
        return outbox->joined.count;
    }
    size_t n = 0, size = joint->head_size + joint->tail_size;
    while (i + n < outbox->count && outbox->records[i + n].joint == joint && (n == 0 || size + outbox->records[i + n].value_size <= joint->size_max))
        size += outbox->records[i + n++].value_size;
    uint8_t *value = take(outbox, size), *at = append(value, joint->head, joint->head_size);
    for (size_t k = i; k < i + n; k++)
        at = append(at, outbox->records[k].value, outbox->records[k].value_size);
    append(at, joint->tail, joint->tail_size);
    record->value = value;
    record->value_size = size;
    outbox->joined.at = i;
    outbox->joined.count = n;
    outbox->joined.value = value;
    outbox->joined.value_size = size;
    return n;
}

static void finish_record(struct outbox_record *record)
{
    if (record->headers)
        rd_kafka_headers_destroy(record->headers);
}

void outbox_drop(struct outbox *outbox, int32_t source)
{
    outbox->joined.count = 0;
    size_t kept = 0;
    for (size_t i = 0; i < outbox->count; i++) {
        if (outbox->records[i].source == source)
            finish_record(&outbox->records[i]);
        else
            outbox->records[kept++] = outbox->records[i];
    }
    outbox->count = kept;
}

void outbox_clear(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++)
        finish_record(&outbox->records[i]);
    outbox->count = 0;
    outbox->joined.count = 0;
    outbox->bytes = 0;
    while (outbox->chunks && (outbox->chunks->next || outbox->chunks->size > CHUNK_BYTES)) {
        struct outbox_chunk *next = outbox->chunks->next;
        free(outbox->chunks);
        outbox->chunks = next;
    }
    if (outbox->chunks)
        outbox->chunks->used = 0;
}

void outbox_finish(struct outbox *outbox)
{
    outbox_clear(outbox);
    free(outbox->chunks);
    free(outbox->records);
    outbox_init(outbox);
}
