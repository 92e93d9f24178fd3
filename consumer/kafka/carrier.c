#include "consumer/kafka/carrier.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/kafka/topics.h"
#include "consumer/log.h"

enum { BACKOFF_FIRST_MS = 20, BACKOFF_MOST_MS = 1000, INITIALISE_MS = 300000, LOOK_UP_MS = 20000 };

bool patience_over(struct patience *p, int64_t began_ns, int64_t most_ms)
{
    int64_t now = clock_monotonic_ns(), seen = atomic_load(&p->seen_ns);
    if (!seen && atomic_load(p->stop) && atomic_compare_exchange_strong(&p->seen_ns, &seen, now))
        seen = now;
    return now - began_ns > most_ms * 1000000 || (seen && now - seen > (int64_t)p->stop_ms * 1000000);
}

bool carrier_transactional(const struct carrier *c)
{
    return *c->id;
}

/* ---- one producer after the other ---- */

static void producer_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (code != RD_KAFKA_RESP_ERR__FATAL) /* fatal ones come back from the next call */
        kafka_log_error("producer", code, reason);
}

/* Without a transaction a record that the broker refuses would be lost without a word: its offset would be committed.
 * With one the commit fails, and this says whether sending again can help.  Aborts purge: that is no refusal. */
static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct carrier *c = opaque;
    (void)rk;
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE && message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        atomic_store(&c->undelivered, (int)message->err);
}

static enum kafka_remedy initialise(struct carrier *c, struct err *err)
{
    int backoff = BACKOFF_FIRST_MS;
    int64_t began = clock_monotonic_ns();
    for (;;) {
        enum kafka_remedy remedy = carrier_transactional(c) ? kafka_take_error(rd_kafka_init_transactions(c->producer, CARRIER_CALL_MS), c->id, err) : REMEDY_NONE;
        if (remedy == REMEDY_NONE)
            return remedy;
        if (remedy != REMEDY_RETRY || patience_over(c->patience, began, INITIALISE_MS)) {
            err_prefix(err, "cannot initialise the transactional id");
            return remedy;
        }
        if (err)
            kafka_log_error("transactions", err->code, err->msg);
        usleep((useconds_t)backoff * 1000);
        backoff = backoff * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : backoff * 2;
    }
}

static enum kafka_remedy open_producer(struct carrier *c, struct err *err)
{
    struct kafka_producer_callbacks callbacks = {.error = producer_error, .delivered = delivered, .opaque = c};
    carrier_forgive(c);
    if (kafka_producer_within(c->config, c->sizes, carrier_transactional(c) ? c->id : NULL, &callbacks, &c->producer, err) < 0)
        return REMEDY_STOP;
    return initialise(c, err);
}

int carrier_open(struct carrier *c, struct err *err)
{
    return open_producer(c, err) == REMEDY_NONE ? 0 : -1;
}

void carrier_close(struct carrier *c)
{
    if (!c->producer)
        return;
    rd_kafka_purge(c->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(c->producer, CARRIER_CALL_MS);
    rd_kafka_destroy(c->producer);
    c->producer = NULL;
    c->begun = false;
}

void carrier_forgive(struct carrier *c)
{
    atomic_store(&c->undelivered, RD_KAFKA_RESP_ERR_NO_ERROR);
}

bool carrier_is_fatal(const struct carrier *c)
{
    return c->producer && rd_kafka_fatal_error(c->producer, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool fenced_too_often(struct carrier *c)
{
    int64_t now = clock_monotonic_ns() / 1000000;
    memmove(c->fenced_ms, c->fenced_ms + 1, sizeof c->fenced_ms - sizeof *c->fenced_ms);
    c->fenced_ms[CARRIER_FENCED_MOST - 1] = now;
    return c->fenced_ms[0] && now - c->fenced_ms[0] < CARRIER_FENCED_WITHIN_MS;
}

enum kafka_remedy carrier_renew(struct carrier *c, struct err *err)
{
    FAILPOINT(before_recreate);
    c->renewals++;
    if (c->fenced && fenced_too_often(c)) {
        err_set(err, "transactional id %s was taken away %d times within a minute: is another process running as this instance? set `instance` to different names", c->id, CARRIER_FENCED_MOST);
        return REMEDY_STOP;
    }
    c->fenced = false;
    carrier_close(c);
    c->broken = true; /* until the new one is there */
    enum kafka_remedy remedy = open_producer(c, err);
    c->broken = remedy != REMEDY_NONE;
    return remedy;
}

/* ---- a transaction ---- */

static bool says_fenced(int code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING;
}

/* The broker itself fences a transaction that stood still for too long (a paused process): that is no rival. */
static bool taken_by_another(const struct carrier *c, int code)
{
    return says_fenced(code) && clock_monotonic_ns() - c->begun_ns < (int64_t)TRANSACTION_TIMEOUT_MS * 1000000;
}

/* What is to be done about an error of a transactional call; notes what the carrier has become by it. */
static enum kafka_remedy answer(struct carrier *c, rd_kafka_error_t *error, const char *what, struct err *err)
{
    struct err own = {0};
    enum kafka_remedy remedy = kafka_take_error(error, what, &own);
    if (remedy == REMEDY_NONE)
        return remedy;
    c->fenced = c->fenced || taken_by_another(c, own.code);
    c->broken = c->broken || remedy == REMEDY_RECREATE;
    if (err)
        *err = own;
    return remedy;
}

enum kafka_remedy carrier_begin(struct carrier *c, struct err *err)
{
    if (!carrier_transactional(c) || c->begun)
        return REMEDY_NONE;
    enum kafka_remedy remedy = answer(c, rd_kafka_begin_transaction(c->producer), "begin transaction", err);
    c->begun = remedy == REMEDY_NONE;
    c->begun_ns = clock_monotonic_ns();
    c->broken = c->broken || !c->begun;
    return c->begun ? REMEDY_NONE : REMEDY_RECREATE;
}

/* What sending again cannot mend: the record never fits, or its topic is gone. */
static bool hopeless(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           kafka_remedy(code, true, false, false) == REMEDY_STOP;
}

enum kafka_remedy carrier_send(struct carrier *c, const struct outbox_record *r, struct err *err)
{
    int64_t timestamp_ms = r->timestamp_ms > 0 ? r->timestamp_ms : 1; /* librdkafka takes 0 for "now" */
    rd_kafka_headers_t *headers = r->headers ? rd_kafka_headers_copy(r->headers) : NULL;
    rd_kafka_resp_err_t code;
#define COMMON RD_KAFKA_V_TOPIC(r->topic), RD_KAFKA_V_PARTITION(r->partition), RD_KAFKA_V_KEY(r->key, r->key_size), \
               RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value, r->value_size), RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_MSGFLAGS(0)
    if (headers)
        code = rd_kafka_producev(c->producer, COMMON, RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    else
        code = rd_kafka_producev(c->producer, COMMON, RD_KAFKA_V_END);
#undef COMMON
    if (!code)
        return REMEDY_NONE;
    if (headers)
        rd_kafka_headers_destroy(headers);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return REMEDY_RETRY;
    kafka_err(err, code, "produce");
    if (!hopeless(code))
        return REMEDY_ABORT;
    err_prefix(err, "a record of partition %d for topic %s (%zu bytes)", r->source, r->topic, r->key_size + r->value_size);
    return REMEDY_STOP;
}

void carrier_look_up(struct carrier *c, const char *topic)
{
    int32_t partitions;
    struct err err;
    if (topic_partitions((struct cluster){c->producer, c->patience->stop, LOOK_UP_MS}, topic, &partitions, &err) < 0)
        log_warning("%s", err.msg);
}

void carrier_poll(struct carrier *c)
{
    rd_kafka_poll(c->producer, 0);
}

/* A transaction that failed because of a record that no topic will ever take must not be tried for ever. */
static enum kafka_remedy unless_hopeless(struct carrier *c, enum kafka_remedy remedy, struct err *err)
{
    rd_kafka_resp_err_t undelivered = (rd_kafka_resp_err_t)atomic_load(&c->undelivered);
    if (remedy == REMEDY_NONE || remedy == REMEDY_RETRY || !undelivered || !hopeless(undelivered))
        return remedy;
    kafka_err(err, undelivered, "an output was refused");
    return REMEDY_STOP;
}

enum kafka_remedy carrier_flush(struct carrier *c, struct err *err)
{
    char why[256];
    rd_kafka_resp_err_t code = rd_kafka_flush(c->producer, CARRIER_CALL_MS), undelivered = (rd_kafka_resp_err_t)atomic_load(&c->undelivered);
    if (rd_kafka_fatal_error(c->producer, why, sizeof why)) {
        err_set(err, "producer: %s", why);
        c->broken = true;
        c->fenced = c->fenced || taken_by_another(c, rd_kafka_fatal_error(c->producer, NULL, 0));
        return REMEDY_RECREATE;
    }
    if (code) {
        err_set(err, "outputs are not acknowledged");
        return REMEDY_RETRY;
    }
    if (!undelivered)
        return REMEDY_NONE;
    kafka_err(err, undelivered, "an output was refused");
    return hopeless(undelivered) ? REMEDY_STOP : REMEDY_ABORT;
}

enum kafka_remedy carrier_send_offsets(struct carrier *c, const rd_kafka_topic_partition_list_t *offsets, const rd_kafka_consumer_group_metadata_t *group, struct err *err)
{
    return unless_hopeless(c, answer(c, rd_kafka_send_offsets_to_transaction(c->producer, offsets, group, CARRIER_CALL_MS), "send offsets", err), err);
}

enum kafka_remedy carrier_commit(struct carrier *c, struct err *err)
{
    enum kafka_remedy remedy = answer(c, rd_kafka_commit_transaction(c->producer, CARRIER_CALL_MS), "commit", err);
    if (remedy == REMEDY_NONE)
        c->begun = false;
    if (remedy == REMEDY_NONE || remedy == REMEDY_RETRY || remedy == REMEDY_STOP)
        return remedy;
    c->broken = true;
    return unless_hopeless(c, REMEDY_RECREATE, err);
}

enum kafka_remedy carrier_abort(struct carrier *c, struct err *err)
{
    enum kafka_remedy remedy = answer(c, rd_kafka_abort_transaction(c->producer, CARRIER_CALL_MS), "abort transaction", err);
    if (remedy == REMEDY_NONE) {
        c->begun = false;
        carrier_forgive(c);
    }
    return remedy;
}

/* ---- the consumer's side ---- */

rd_kafka_consumer_group_metadata_t *carrier_group(rd_kafka_t *consumer)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer);
    if (group && rd_kafka_consumer_group_metadata_generation_id(group) > 0 && *rd_kafka_consumer_group_metadata_member_id(group))
        return group;
    carrier_group_free(group);
    return NULL;
}

void carrier_group_free(rd_kafka_consumer_group_metadata_t *group)
{
    if (group)
        rd_kafka_consumer_group_metadata_destroy(group);
}

enum kafka_remedy carrier_commit_offsets(rd_kafka_t *consumer, const rd_kafka_topic_partition_list_t *offsets, struct err *err)
{
    rd_kafka_topic_partition_list_t *own = rd_kafka_topic_partition_list_copy(offsets); /* the call writes into it */
    rd_kafka_resp_err_t code = rd_kafka_commit(consumer, own, 0);
    rd_kafka_topic_partition_list_destroy(own);
    if (!code)
        return REMEDY_NONE;
    kafka_err(err, code, "commit offsets");
    return kafka_remedy(code, true, false, false);
}

int carrier_committed(rd_kafka_t *consumer, const atomic_bool *stop, const char *topic, const int32_t *partitions, size_t count, struct committed *out, struct err *err)
{
    return offsets_committed(consumer, stop, topic, partitions, count, out, err);
}
