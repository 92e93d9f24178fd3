/* The calls that end a transaction or take one back, each a task of the writer's thread (errand.h).  What a task reads and
 * writes is its own from errand_start until it is done. */
#pragma once
#include "consumer/kafka/carrier.h"

struct ending {
    /* what is to be done */
    const struct writer_owner *owner;
    struct patience *patience;
    const char *input_topic;
    struct carrier *former;  /* of the transaction that ends; NULL: none (repair) */
    struct carrier *sibling; /* of the one that fills; at least once the same */
    rd_kafka_topic_partition_list_t *offsets;
    rd_kafka_consumer_group_metadata_t *group;
    bool in_doubt; /* repair: a commit of the former may have worked */
    int32_t *partitions;
    size_t count;

    /* what came of it */
    enum kafka_remedy remedy;
    struct err err;
    bool commit_called;          /* only the broker knows, if the remedy is not REMEDY_NONE */
    struct committed *committed; /* repair in doubt: of `partitions` */
};

void ending_flush(void *ending);  /* everything that the former's carrier has is acknowledged */
void ending_commit(void *ending); /* offsets with `group`, then the commit; at least once the offsets alone */
/* Takes back what both carriers have: the sibling's first.  A carrier that is done for, or whose commit is in doubt, is
 * made anew; then the group's committed offsets tell what the doubt was about. */
void ending_repair(void *ending);
