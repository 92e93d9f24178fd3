/* What goes to the broker together: records in an arena, and the input offsets that they bring with them.
 *
 * All of it stays here until its commit is known; what a producer has of it is a copy that can be taken back and sent
 * again.  Every partition that a record comes from has its part (an offset is what the broker fences by). */
#pragma once
#include "consumer/kafka/carrier.h"

struct writer_part { /* of an input partition */
    int32_t partition;
    int64_t next_offset; /* to commit */
    bool moved; /* it is another one than was committed before; else what comes with it is for the changelog alone */
    struct offset_metadata metadata;
};

struct transaction {
    uint64_t sequence; /* of the writer, from 1 */
    struct carrier *carrier;
    struct outbox outbox;
    struct writer_part *parts;
    size_t part_count, part_capacity;
    int32_t *sources; /* partitions that records came from, each once */
    size_t source_count, source_capacity;
    size_t sent;   /* records that the producer has: the first ones */
    bool begun;    /* the broker may know of it (never at least once) */
    bool spoiled;  /* what the broker has is not what lies here: to be taken back and sent again */
    bool in_doubt; /* a commit of it may have worked */
};

void transaction_init(struct transaction *transaction, struct carrier *carrier);
void transaction_finish(struct transaction *transaction);
void transaction_clear(struct transaction *transaction); /* empty again, its memory kept */

void transaction_add(struct transaction *transaction, struct outbox_record record, int32_t schema_id);
void transaction_cover(struct transaction *transaction, struct writer_part part);
/* A partition's records and part go.  What the producer has of them is to be taken back. */
void transaction_drop(struct transaction *transaction, int32_t partition);
bool transaction_is_empty(const struct transaction *transaction); /* and the broker has nothing of it */
/* Every source has its part. */
bool transaction_is_whole(const struct transaction *transaction);
/* Nothing of it is with the broker any more: it is to be sent from the beginning. */
void transaction_unsend(struct transaction *transaction);
rd_kafka_topic_partition_list_t *transaction_offsets(const struct transaction *transaction, const char *topic);
