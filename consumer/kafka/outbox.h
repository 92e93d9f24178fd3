/* What a transaction has produced, kept until its commit is known: an aborted transaction is sent again from here,
 * nothing is computed twice.  Records lie in the order they were made, each with the input partition that caused it. */
#pragma once
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What pieces are put together to when they are sent: head, pieces, tail, at most size_max bytes a record.  Pieces can
 * come from several partitions, and one that is lost takes its piece along. */
struct outbox_joint {
    size_t size_max;
    const void *head, *tail; /* borrowed; with the framing */
    size_t head_size, tail_size;
};

struct outbox_record {
    int32_t source;    /* input partition */
    const char *topic; /* borrowed */
    int32_t partition; /* of the output topic, or RD_KAFKA_PARTITION_UA */
    int64_t timestamp_ms;
    const void *key, *value; /* in the arena; NULL: null */
    size_t key_size, value_size;
    rd_kafka_headers_t *headers; /* owned, or NULL */
    const struct outbox_joint *joint; /* value is a piece; NULL: a whole record.  Borrowed */
};

struct outbox {
    struct outbox_record *records;
    size_t count, capacity;
    struct outbox_chunk *chunks; /* newest first */
    size_t bytes;
    struct { /* what outbox_next put together last: it may be asked for again */
        size_t at, count; /* 0: nothing */
        const void *value;
        size_t value_size;
    } joined;
};

void outbox_init(struct outbox *outbox);
void outbox_finish(struct outbox *outbox);
/* Copies key and value (and a 5-byte Confluent header before the value if schema_id >= 0); takes over headers. */
void outbox_add(struct outbox *outbox, struct outbox_record record, int32_t schema_id);
/* The i-th record as it is sent, its headers still owned by the outbox; or, put together in the arena, the record of the
 * piece there and of those of its joint behind it.  Returns how many of the outbox's records it is. */
size_t outbox_next(struct outbox *outbox, size_t i, struct outbox_record *record);
/* Removes what a partition that is no longer ours has caused. */
void outbox_drop(struct outbox *outbox, int32_t source);
/* Forgets everything; memory of one chunk is kept for the next transaction. */
void outbox_clear(struct outbox *outbox);
