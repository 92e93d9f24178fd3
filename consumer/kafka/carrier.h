/* One producer of a writer, transactional or only idempotent: every call that it takes to carry records, offsets and the
 * end of a transaction to the broker, each answered by what is to be done next (enum kafka_remedy).
 *
 * Calls that wait do so for CARRIER_CALL_MS at most and are to be repeated while they say REMEDY_RETRY (librdkafka resumes
 * them where they stood).  They are not for time-outs of a millisecond: there the library mixes up the results of a call
 * and of its repetition; so a thread does the waiting (errand.h), and nobody else touches the carrier meanwhile. */
#pragma once
#include "consumer/kafka/client.h"
#include "consumer/kafka/offsets.h"
#include "consumer/kafka/outbox.h"

enum {
    CARRIER_CALL_MS = 1000,
    CARRIER_FENCED_MOST = 3, /* times within CARRIER_FENCED_WITHIN_MS */
    CARRIER_FENCED_WITHIN_MS = 60000
};

/* How long to go on trying: until the process is told to stop, and some time more. */
struct patience {
    const atomic_bool *stop;
    int stop_ms;            /* in all, from when stop was first seen */
    _Atomic int64_t seen_ns; /* 0: not yet */
};
/* Whether it is at an end: most_ms after began_ns, or stop_ms after the stop. */
bool patience_over(struct patience *patience, int64_t began_ns, int64_t most_ms);

struct carrier {
    const struct config *config;
    struct kafka_sizes sizes;
    struct patience *patience;
    char id[512]; /* transactional id; "" at least once */
    rd_kafka_t *producer;
    bool begun;        /* the broker may know of an open transaction */
    int64_t begun_ns;
    bool broken;       /* only a new producer helps */
    bool fenced;       /* because another one has taken the id */
    int64_t fenced_ms[CARRIER_FENCED_MOST];
    _Atomic int undelivered; /* rd_kafka_resp_err_t: why the broker refused a record */
    int64_t renewals;
};

/* A producer whose id is initialised, which settles what a predecessor left open. */
int carrier_open(struct carrier *carrier, struct err *err);
void carrier_close(struct carrier *carrier);
bool carrier_transactional(const struct carrier *carrier);

enum kafka_remedy carrier_begin(struct carrier *carrier, struct err *err); /* of a transaction */
/* Hands on a record, which is read in place until it is acknowledged.  REMEDY_RETRY: its queue is full. */
enum kafka_remedy carrier_send(struct carrier *carrier, const struct outbox_record *record, struct err *err);
void carrier_look_up(struct carrier *carrier, const char *topic); /* its partitions, at once */
void carrier_poll(struct carrier *carrier); /* serves its callbacks */
/* REMEDY_NONE: everything sent is acknowledged. */
enum kafka_remedy carrier_flush(struct carrier *carrier, struct err *err);
enum kafka_remedy carrier_send_offsets(struct carrier *carrier, const rd_kafka_topic_partition_list_t *offsets, const rd_kafka_consumer_group_metadata_t *group, struct err *err);
/* Anything but REMEDY_NONE, REMEDY_RETRY and REMEDY_STOP: it may have been committed, only the broker knows. */
enum kafka_remedy carrier_commit(struct carrier *carrier, struct err *err);
enum kafka_remedy carrier_abort(struct carrier *carrier, struct err *err);
/* What was wrong with the last transaction is over. */
void carrier_forgive(struct carrier *carrier);
bool carrier_is_fatal(const struct carrier *carrier);
/* A new producer of the same id.  REMEDY_STOP: fenced too often; the text names the id. */
enum kafka_remedy carrier_renew(struct carrier *carrier, struct err *err);

/* ---- the consumer's side of a commit ---- */

/* The group's metadata, read fresh; NULL if there is no generation or no member: the broker would not fence with it. */
rd_kafka_consumer_group_metadata_t *carrier_group(rd_kafka_t *consumer);
void carrier_group_free(rd_kafka_consumer_group_metadata_t *group);
/* At least once: the offsets alone. */
enum kafka_remedy carrier_commit_offsets(rd_kafka_t *consumer, const rd_kafka_topic_partition_list_t *offsets, struct err *err);
/* The group's committed offsets, stable ones. */
int carrier_committed(rd_kafka_t *consumer, const atomic_bool *stop, const char *topic, const int32_t *partitions, size_t count, struct committed *out, struct err *err);
