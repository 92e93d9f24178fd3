#include "consumer/kafka/writer.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/log.h"

enum {
    CALL_TIMEOUT_MS = 2000, /* of one call; transactional calls are taken up again where they stood */
    BACKOFF_FIRST_MS = 20,
    BACKOFF_MOST_MS = 1000,
    COMMIT_MS = 60000,   /* after this long without an answer the producer is made anew */
    GIVE_UP_MS = 300000, /* a commit that still fails after this long stops the process */
    FENCED_MOST = 3,     /* times within FENCED_WITHIN_MS */
    FENCED_WITHIN_MS = 60000
};

struct writer {
    const struct config *config;
    struct kafka_sizes sizes;
    const struct writer_owner *owner;
    char id[512]; /* transactional id; "" at least once */
    rd_kafka_t *producer;
    bool begun;    /* a transaction is open */
    bool spoiled;  /* what was produced must be taken back and sent again */
    bool recreate; /* and the producer with it */
    rd_kafka_resp_err_t undelivered; /* why the broker refused a record since the last commit */
    struct outbox outbox;
    struct writer_part *parts;
    size_t part_count, part_capacity;
    bool fenced;          /* the producer is made anew because another one has taken its id */
    int64_t fenced_ms[FENCED_MOST];
    int64_t stop_seen_ns; /* 0: not yet */
    struct writer_counts counts;
    char last_cause[1024]; /* logged once a cause */
};

static bool transactional(const struct writer *w)
{
    return w->config->delivery == DELIVERY_EXACTLY_ONCE;
}

static void sleep_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

/* Whether patience is at an end: `most_ms` since began_ns, or WRITER_STOP_MS since the process was told to stop. */
static bool out_of_time(struct writer *w, int64_t began_ns, int64_t most_ms)
{
    int64_t now = clock_monotonic_ns();
    if (!w->stop_seen_ns && atomic_load(w->owner->stop))
        w->stop_seen_ns = now;
    return now - began_ns > most_ms * 1000000 || (w->stop_seen_ns && now - w->stop_seen_ns > (int64_t)WRITER_STOP_MS * 1000000);
}

static bool says_fenced(int code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING;
}

static void log_cause(struct writer *w, const struct err *err)
{
    char cause[sizeof w->last_cause];
    snprintf(cause, sizeof cause, "%.*s", (int)sizeof cause - 1, err->msg);
    if (!strcmp(cause, w->last_cause))
        return;
    memcpy(w->last_cause, cause, sizeof cause);
    log_warning("%s; sending again", err->msg);
}

/* ---- the producer ---- */

static void producer_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (code != RD_KAFKA_RESP_ERR__FATAL) /* fatal ones come back from the next call */
        kafka_log_error("producer", code, reason);
}

static int initialise(struct writer *w, struct err *err)
{
    int backoff = BACKOFF_FIRST_MS;
    int64_t began = clock_monotonic_ns();
    while (transactional(w)) {
        enum kafka_remedy remedy = kafka_take_error(rd_kafka_init_transactions(w->producer, CALL_TIMEOUT_MS), w->id, err);
        if (remedy == REMEDY_NONE)
            break;
        if (remedy != REMEDY_RETRY || out_of_time(w, began, GIVE_UP_MS))
            return err_prefix(err, "cannot initialise the transactional id");
        sleep_ms(backoff);
        backoff = backoff * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : backoff * 2;
    }
    return 0;
}

/* Without a transaction a record that the broker refuses would be lost without a word: its offset would be committed.
 * With one the commit fails, and this says whether sending again can help.  Aborts purge: that is no refusal. */
static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct writer *w = opaque;
    (void)rk;
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE && message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        w->undelivered = message->err;
}

static int open_producer(struct writer *w, struct err *err)
{
    struct kafka_producer_callbacks callbacks = {producer_error, delivered, w};
    w->undelivered = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (kafka_producer_within(w->config, w->sizes, transactional(w) ? w->id : NULL, &callbacks, &w->producer, err) < 0)
        return -1;
    return initialise(w, err);
}

static void close_producer(struct writer *w)
{
    if (!w->producer)
        return;
    rd_kafka_purge(w->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(w->producer, 1000);
    rd_kafka_destroy(w->producer);
    w->producer = NULL;
}

int writer_create(const struct config *config, struct kafka_sizes sizes, const char *instance, int lane, const struct writer_owner *owner, struct writer **out, struct err *err)
{
    struct writer *w = calloc(1, sizeof *w);
    assert(w);
    w->config = config;
    w->sizes = sizes;
    w->owner = owner;
    if (transactional(w))
        snprintf(w->id, sizeof w->id, "%s-%s-%d-a", config->app_id, instance, lane);
    outbox_init(&w->outbox);
    if (open_producer(w, err) < 0) {
        writer_destroy(w);
        return -1;
    }
    *out = w;
    return 0;
}

void writer_destroy(struct writer *w)
{
    if (!w)
        return;
    if (w->begun && w->producer)
        kafka_take_error(rd_kafka_abort_transaction(w->producer, 1000), "abort", NULL);
    close_producer(w);
    outbox_finish(&w->outbox);
    free(w->parts);
    free(w);
}

/* ---- adding ---- */

static void begin(struct writer *w)
{
    struct err err;
    if (!transactional(w) || w->begun)
        return;
    enum kafka_remedy remedy = kafka_take_error(rd_kafka_begin_transaction(w->producer), "begin transaction", &err);
    w->begun = remedy == REMEDY_NONE;
    if (remedy != REMEDY_NONE) {
        log_cause(w, &err);
        w->spoiled = w->recreate = true;
    }
}

/* What sending again cannot mend: the record never fits, or its topic is gone. */
static bool hopeless(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           kafka_remedy(code, true, false, false) == REMEDY_STOP;
}

/* Hands one record of the outbox to librdkafka, which reads it in place until it is acknowledged. */
static int send_record(struct writer *w, const struct outbox_record *r, struct err *err)
{
    /* librdkafka takes a timestamp of 0 for "now" */
    int64_t timestamp_ms = r->timestamp_ms > 0 ? r->timestamp_ms : 1, began = clock_monotonic_ns();
    for (;;) {
        rd_kafka_headers_t *headers = r->headers ? rd_kafka_headers_copy(r->headers) : NULL;
        rd_kafka_resp_err_t code;
#define COMMON RD_KAFKA_V_TOPIC(r->topic), RD_KAFKA_V_PARTITION(r->partition), RD_KAFKA_V_KEY(r->key, r->key_size), \
               RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value, r->value_size), RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_MSGFLAGS(0)
        if (headers)
            code = rd_kafka_producev(w->producer, COMMON, RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        else
            code = rd_kafka_producev(w->producer, COMMON, RD_KAFKA_V_END);
#undef COMMON
        if (code && headers)
            rd_kafka_headers_destroy(headers);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !out_of_time(w, began, GIVE_UP_MS)) {
            rd_kafka_poll(w->producer, 10); /* back-pressure: the lane reads nothing meanwhile */
            continue;
        }
        if (code && hopeless(code)) {
            kafka_err(err, code, "produce");
            return err_prefix(err, "a record of partition %d for topic %s (%zu bytes)", r->source, r->topic, r->key_size + r->value_size);
        }
        if (code) {
            kafka_err(err, code, "produce");
            log_cause(w, err);
            w->spoiled = true;
        }
        return 0;
    }
}

int writer_add(struct writer *w, struct outbox_record record, int32_t schema_id, struct err *err)
{
    outbox_add(&w->outbox, record, schema_id);
    begin(w);
    if (!w->spoiled && send_record(w, &w->outbox.records[w->outbox.count - 1], err) < 0)
        return -1;
    if (w->outbox.count % 1024 == 0)
        rd_kafka_poll(w->producer, 0);
    return 0;
}

void writer_cover(struct writer *w, struct writer_part part)
{
    for (size_t i = 0; i < w->part_count; i++)
        if (w->parts[i].partition == part.partition) {
            w->parts[i] = part;
            return;
        }
    if (w->part_count == w->part_capacity) {
        w->part_capacity = w->part_capacity ? w->part_capacity * 2 : 16;
        w->parts = realloc(w->parts, w->part_capacity * sizeof *w->parts);
        assert(w->parts);
    }
    w->parts[w->part_count++] = part;
}

bool writer_has_work(const struct writer *w)
{
    return w->part_count > 0 || w->begun || w->spoiled || w->outbox.count > 0;
}

size_t writer_bytes(const struct writer *w)
{
    return w->outbox.bytes;
}

void writer_drop(struct writer *w, int32_t partition)
{
    for (size_t i = 0; i < w->part_count; i++)
        if (w->parts[i].partition == partition) {
            w->parts[i] = w->parts[--w->part_count];
            outbox_drop(&w->outbox, partition);
            w->spoiled = w->spoiled || transactional(w); /* at least once: what was sent may stay */
            return;
        }
}

/* ---- committing ---- */

static rd_kafka_topic_partition_list_t *offsets_of(const struct writer *w)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)w->part_count);
    for (size_t i = 0; i < w->part_count; i++) {
        char text[OFFSET_METADATA_MAX];
        rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, w->config->input.topic, w->parts[i].partition);
        p->offset = w->parts[i].next_offset;
        offset_metadata_format(&w->parts[i].metadata, text);
        p->metadata = strdup(text);
        assert(p->metadata);
        p->metadata_size = strlen(text);
    }
    return list;
}

static bool fenced_too_often(struct writer *w)
{
    int64_t now = clock_monotonic_ns() / 1000000;
    memmove(w->fenced_ms, w->fenced_ms + 1, sizeof w->fenced_ms - sizeof *w->fenced_ms);
    w->fenced_ms[FENCED_MOST - 1] = now;
    return w->fenced_ms[0] && now - w->fenced_ms[0] < FENCED_WITHIN_MS;
}

/* A new producer of the same id; then parts that turn out to be committed are done. */
static int recreate(struct writer *w, struct err *err)
{
    w->counts.recreated++;
    if (w->fenced && fenced_too_often(w))
        return err_set(err, "transactional id %s was taken away %d times within a minute: is another process running as this instance? set `instance` to different names", w->id, FENCED_MOST);
    w->fenced = false;
    close_producer(w);
    w->begun = false;
    if (open_producer(w, err) < 0)
        return -1;
    w->recreate = false;
    w->spoiled = true;
    if (!transactional(w) || !w->part_count)
        return 0;
    int32_t *partitions = calloc(w->part_count, sizeof *partitions);
    struct committed *committed = calloc(w->part_count, sizeof *committed);
    assert(partitions && committed);
    size_t count = w->part_count;
    for (size_t i = 0; i < count; i++)
        partitions[i] = w->parts[i].partition;
    int result = offsets_committed(w->owner->consumer, w->owner->stop, w->config->input.topic, partitions, count, committed, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        for (size_t k = 0; k < w->part_count; k++)
            if (w->parts[k].partition == partitions[i] && committed[i].offset >= w->parts[k].next_offset)
                writer_drop(w, partitions[i]);
    free(partitions);
    free(committed);
    return result;
}

static int take_back(struct writer *w, struct err *err)
{
    int64_t began = clock_monotonic_ns();
    w->counts.aborts++;
    while (w->begun && !w->recreate) {
        enum kafka_remedy remedy = kafka_take_error(rd_kafka_abort_transaction(w->producer, CALL_TIMEOUT_MS), "abort transaction", err);
        if (remedy == REMEDY_NONE)
            w->begun = false;
        else if (remedy == REMEDY_STOP)
            return -1;
        else if (remedy != REMEDY_RETRY || out_of_time(w, began, COMMIT_MS)) {
            w->recreate = true;
            w->fenced = says_fenced(err->code);
        }
    }
    return 0;
}

/* Makes the open transaction hold exactly what the outbox holds. */
static int send_again(struct writer *w, struct err *err)
{
    if (transactional(w) && take_back(w, err) < 0)
        return -1;
    if ((w->recreate || rd_kafka_fatal_error(w->producer, NULL, 0)) && recreate(w, err) < 0)
        return -1;
    if (!w->part_count)
        return 0;
    w->spoiled = false;
    w->undelivered = RD_KAFKA_RESP_ERR_NO_ERROR;
    begin(w);
    for (size_t i = 0; i < w->outbox.count && !w->spoiled; i++)
        if (send_record(w, &w->outbox.records[i], err) < 0)
            return -1;
    return 0;
}

/* A transaction that failed because of a record that no topic will ever take must not be tried for ever. */
static enum kafka_remedy unless_hopeless(const struct writer *w, enum kafka_remedy remedy, struct err *err)
{
    if (remedy == REMEDY_NONE || !w->undelivered || !hopeless(w->undelivered))
        return remedy;
    kafka_err(err, w->undelivered, "an output was refused");
    return REMEDY_STOP;
}

static enum kafka_remedy commit_transaction(struct writer *w, struct err *err)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(w->owner->consumer);
    if (!group || rd_kafka_consumer_group_metadata_generation_id(group) <= 0 || !*rd_kafka_consumer_group_metadata_member_id(group)) {
        if (group)
            rd_kafka_consumer_group_metadata_destroy(group);
        err_set(err, "no group generation to commit with");
        return REMEDY_REFRESH;
    }
    rd_kafka_topic_partition_list_t *offsets = offsets_of(w);
    enum kafka_remedy remedy = kafka_take_error(rd_kafka_send_offsets_to_transaction(w->producer, offsets, group, CALL_TIMEOUT_MS), "send offsets", err);
    rd_kafka_topic_partition_list_destroy(offsets);
    rd_kafka_consumer_group_metadata_destroy(group);
    if (remedy != REMEDY_NONE)
        return unless_hopeless(w, remedy, err);
    int64_t began = clock_monotonic_ns();
    do
        remedy = kafka_take_error(rd_kafka_commit_transaction(w->producer, CALL_TIMEOUT_MS), "commit", err);
    while (remedy == REMEDY_RETRY && !out_of_time(w, began, COMMIT_MS));
    if (remedy != REMEDY_NONE && remedy != REMEDY_STOP)
        remedy = unless_hopeless(w, REMEDY_RECREATE, err); /* it may have been committed: only the broker knows */
    return remedy;
}

static enum kafka_remedy commit_at_least_once(struct writer *w, struct err *err)
{
    char why[256];
    enum kafka_remedy remedy;
    int64_t began = clock_monotonic_ns();
    while (rd_kafka_flush(w->producer, CALL_TIMEOUT_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT && !rd_kafka_fatal_error(w->producer, NULL, 0)) {
        if (w->owner->serve(w->owner->context) == MEMBER_LOST)
            return REMEDY_REFRESH;
        if (out_of_time(w, began, GIVE_UP_MS)) {
            err_set(err, "outputs are not acknowledged");
            return REMEDY_RETRY; /* writer_commit's own patience ends it */
        }
    }
    if (rd_kafka_fatal_error(w->producer, why, sizeof why)) {
        err_set(err, "producer: %s", why);
        return REMEDY_RECREATE;
    }
    if (w->undelivered) {
        kafka_err(err, w->undelivered, "an output was refused");
        w->spoiled = true;
        remedy = hopeless(w->undelivered) ? REMEDY_STOP : REMEDY_ABORT;
        w->undelivered = RD_KAFKA_RESP_ERR_NO_ERROR;
        return remedy;
    }
    rd_kafka_topic_partition_list_t *offsets = offsets_of(w);
    rd_kafka_resp_err_t code = rd_kafka_commit(w->owner->consumer, offsets, 0);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (!code)
        return REMEDY_NONE;
    kafka_err(err, code, "commit offsets");
    return kafka_remedy(code, true, false, false);
}

static void committed(struct writer *w)
{
    w->begun = false;
    w->spoiled = false;
    w->part_count = 0;
    w->counts.commits++;
    w->last_cause[0] = 0;
    outbox_clear(&w->outbox);
}

/* One attempt to make everything visible.  Returns what is to be done if it did not work. */
static enum kafka_remedy attempt(struct writer *w, struct err *err)
{
    if (w->spoiled && send_again(w, err) < 0)
        return REMEDY_STOP;
    if (w->spoiled)
        return REMEDY_ABORT;
    enum membership membership = w->owner->serve(w->owner->context);
    if (!w->part_count)
        return REMEDY_NONE;
    if (w->spoiled) /* serving took partitions away */
        return REMEDY_ABORT;
    if (membership != MEMBER_OK) {
        err_set(err, "the group is rebalancing");
        return REMEDY_RETRY; /* nothing was sent yet */
    }
    return transactional(w) ? commit_transaction(w, err) : commit_at_least_once(w, err);
}

int writer_commit(struct writer *w, struct err *err)
{
    int backoff = BACKOFF_FIRST_MS;
    int64_t began = clock_monotonic_ns();
    while (w->part_count) {
        struct err cause = {0};
        enum kafka_remedy remedy = attempt(w, &cause);
        if (remedy == REMEDY_NONE && w->part_count) {
            committed(w);
            return 0;
        }
        if (remedy == REMEDY_STOP || out_of_time(w, began, GIVE_UP_MS)) {
            if (err)
                *err = cause;
            return err_prefix(err, "cannot commit");
        }
        w->spoiled = w->spoiled || ((remedy == REMEDY_ABORT || remedy == REMEDY_REFRESH) && transactional(w)) || remedy == REMEDY_RECREATE;
        w->recreate = w->recreate || remedy == REMEDY_RECREATE;
        w->fenced = w->fenced || (remedy == REMEDY_RECREATE && says_fenced(cause.code));
        if (cause.msg[0])
            log_cause(w, &cause);
        if (remedy == REMEDY_NONE)
            continue;
        sleep_ms(backoff);
        backoff = backoff * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : backoff * 2;
    }
    /* Every part was lost or turned out to be done: take back what lies in the open transaction. */
    struct err cause = {0};
    if (w->spoiled && send_again(w, &cause) < 0) {
        if (err)
            *err = cause;
        return err_prefix(err, "cannot abort");
    }
    w->spoiled = false;
    while (rd_kafka_outq_len(w->producer) > 0) /* at least once: librdkafka still reads the outbox */
        if (rd_kafka_fatal_error(w->producer, NULL, 0) || rd_kafka_flush(w->producer, 5 * CALL_TIMEOUT_MS)) {
            close_producer(w);
            if (open_producer(w, err) < 0)
                return -1;
        }
    outbox_clear(&w->outbox);
    return 0;
}

struct writer_counts writer_count(const struct writer *w)
{
    return w->counts;
}
