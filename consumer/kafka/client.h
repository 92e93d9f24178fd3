/* librdkafka clients as weir configures them, and its errors as `struct err`. */
#pragma once
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include "consumer/config/config.h"

/* How an error of the broker or of librdkafka is to be met; decided here and nowhere else. */
enum kafka_remedy {
    REMEDY_NONE,     /* no error */
    REMEDY_RETRY,    /* the same call again, after a back-off */
    REMEDY_ABORT,    /* abort the transaction, then send everything again */
    REMEDY_REFRESH,  /* the group moved on: abort, serve the consumer, send again what is still ours */
    REMEDY_RECREATE, /* the producer is done for: a new one, and ask the broker what was committed */
    REMEDY_STOP      /* nothing that this process does will help: authorisation, configuration */
};
enum kafka_remedy kafka_remedy(rd_kafka_resp_err_t code, bool retriable, bool abortable, bool fatal);

/* Whether a consumer that has got this fatal error may be replaced by a new one: it was shut out as this member, not as a
 * client. */
bool kafka_member_may_return(rd_kafka_resp_err_t fatal);

/* Whether it says that a broker is away or busy just now: the same again may go well. */
bool kafka_error_passes(rd_kafka_resp_err_t code);

/* Takes the error (destroys it), fills *err with `what`, and says what to do. */
enum kafka_remedy kafka_take_error(rd_kafka_error_t *error, const char *what, struct err *err);
int kafka_err(struct err *err, rd_kafka_resp_err_t code, const char *what);

struct kafka_identity {
    const char *instance; /* of the process */
    int lane;             /* -1: none: an administrative client */
    const char *group;    /* NULL: the worker's; another one has no static members */
};

/* A member of the group <app_id>; `opaque` is handed to the rebalance and error callbacks. */
struct kafka_consumer_callbacks {
    void (*rebalance)(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions, void *opaque);
    void (*error)(rd_kafka_t *rk, int err, const char *reason, void *opaque);
    void *opaque;
};
bool kafka_uses_consumer_protocol(const struct config *config); /* KIP-848 */
int kafka_group_consumer(const struct config *config, struct kafka_identity identity, const struct kafka_consumer_callbacks *callbacks, rd_kafka_t **out, struct err *err);
/* To that one topic. */
int kafka_subscribe(rd_kafka_t *consumer, const char *topic, const char *what, struct err *err);
/* A consumer without a group membership of its own (replay, look-ups); group.id is set so that offsets can be read. */
int kafka_plain_consumer(const struct config *config, rd_kafka_t **out, struct err *err);
/* The same, holding little of each partition: for one that reads many at once. */
int kafka_frugal_consumer(const struct config *config, rd_kafka_t **out, struct err *err);
/* What the topics that a producer writes to take.  Kafka holds max.message.bytes against a whole batch: the smallest of
 * the topics bounds all batches, the largest bounds single records. */
struct kafka_sizes {
    size_t batch_max, record_max; /* 0: librdkafka's defaults */
};

struct kafka_producer_callbacks {
    void (*error)(rd_kafka_t *rk, int err, const char *reason, void *opaque);
    void (*delivered)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque); /* or not: message->err; NULL: nobody asks */
    void *opaque;
    bool every_delivery; /* `delivered` hears of those that went well, too */
};
/* transactional_id NULL: an idempotent producer. */
int kafka_producer_within(const struct config *config, struct kafka_sizes sizes, const char *transactional_id, const struct kafka_producer_callbacks *callbacks, rd_kafka_t **out, struct err *err);
int kafka_producer(const struct config *config, const char *transactional_id, void (*on_error)(rd_kafka_t *, int, const char *, void *), void *opaque, rd_kafka_t **out, struct err *err);

/* Look-ups that a broker's failover makes fail for a while: tries again with a growing pause until `*stop` (may be
 * NULL) is set or most_ms have passed; the log says so, and how much longer.
 *     struct attempts a = attempts_begin(stop);
 *     do code = call(); while (attempts_again(&a, code, "what"));
 */
struct attempts {
    const atomic_bool *stop;
    int64_t began_ns;
    int pause_ms, most_ms;
};
struct attempts attempts_begin(const atomic_bool *stop); /* for LOOKUP_GIVE_UP_MS */
struct attempts attempts_within(const atomic_bool *stop, int most_ms);
bool attempts_again(struct attempts *attempts, rd_kafka_resp_err_t code, const char *what);
enum { LOOKUP_GIVE_UP_MS = 120000, LOOKUP_TIMEOUT_MS = 2000 /* of one call: a stop is to be quick */ };
enum { TRANSACTION_TIMEOUT_MS = 10000 }; /* after which the broker aborts what a dead worker left open */

/* Error callback text into the log, the same code at most once in ten seconds: a broker that is down says so often. */
void kafka_log_error(const char *who, int code, const char *reason);

/* What a group's consumer holds at most of messages that nobody has taken yet. */
size_t kafka_fetched_bytes_max(const struct config *config);

const char *kafka_group_id(const struct config *config);
const char *kafka_property(const struct config *config, const char *name); /* NULL if not set */
