#include "consumer/demo/feeder.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/avro/encode.h"
#include "consumer/kafka/client.h"

enum { BROKEN_EVERY = 397, ATM_LIMIT_MINOR = 2000000, FLUSH_MS = 30000, DAY_MS = 86400000, UNKNOWN_SCHEMA = 4711 };

/* What may be wrong with a record, in turn. */
enum broken { NULL_VALUE, NO_AVRO, NO_SUCH_SCHEMA, CUT_OFF, A_BYTE_MORE, NEGATIVE_AMOUNT, ATM_LIMIT, SENT_TWICE, AHEAD_OF_TIME, BROKEN_KINDS };
static const enum reject_reason broken_reasons[BROKEN_KINDS] = {REJECT_NOT_AVRO, REJECT_NOT_AVRO, REJECT_UNKNOWN_SCHEMA, REJECT_DECODE_ERROR, REJECT_TRAILING_BYTES,
    REJECT_RANGE, REJECT_RULE, REJECT_DUPLICATE, REJECT_FUTURE};

struct feeder {
    const struct config *config;
    struct tally *tally;
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic; /* for its partitioner */
    int32_t schema_id, partitions;
    int64_t *ends; /* by partition */
    struct buffer value;
    uint64_t sent;

    struct traffic *traffic;
    uint64_t drift_at;
    atomic_bool *stop;
    atomic_bool through;
    _Atomic int64_t drift_ms;
    pthread_t thread;
    bool started;
};

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk, (void)code, (void)reason, (void)opaque; /* it goes on trying */
}

int feeder_create(const struct config *config, int32_t schema_id, int32_t partitions, struct tally *tally, struct feeder **out, struct err *err)
{
    struct feeder *f = calloc(1, sizeof *f);
    assert(f);
    *f = (struct feeder){.config = config, .tally = tally, .schema_id = schema_id, .partitions = partitions};
    atomic_init(&f->drift_ms, INT64_MAX);
    f->ends = calloc((size_t)partitions, sizeof *f->ends);
    assert(f->ends);
    if (kafka_producer(config, NULL, on_error, NULL, &f->producer, err) < 0) {
        feeder_destroy(f);
        return -1;
    }
    f->topic = rd_kafka_topic_new(f->producer, config->input.topic, NULL);
    assert(f->topic);
    *out = f;
    return 0;
}

void feeder_destroy(struct feeder *f)
{
    if (!f)
        return;
    if (f->started)
        feeder_join(f);
    if (f->producer)
        rd_kafka_purge(f->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (f->topic)
        rd_kafka_topic_destroy(f->topic);
    if (f->producer)
        rd_kafka_destroy(f->producer);
    buffer_finish(&f->value);
    free(f->ends);
    free(f);
}

/* ---- one record ---- */

static void put_framed(struct feeder *f, int32_t schema_id, const struct transaction *t)
{
    uint8_t header[5] = {0, (uint8_t)(schema_id >> 24), (uint8_t)(schema_id >> 16), (uint8_t)(schema_id >> 8), (uint8_t)schema_id};
    f->value.size = 0;
    put_bytes_raw(&f->value, header, sizeof header);
    put_transaction(&f->value, t);
}

static void write_record(struct feeder *f, int32_t partition, const char *key, const void *value, size_t size, int64_t timestamp_ms)
{
    rd_kafka_resp_err_t code;
    while ((code = rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC(f->config->input.topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, strlen(key)),
                RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size), RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(f->producer, 10);
    assert(!code);
    if (++f->sent % 256 == 0)
        rd_kafka_poll(f->producer, 0);
}

static uint64_t id_of(const struct transaction *t)
{
    return strtoull(t->transaction_id + 2, NULL, 16); /* "t_" and 16 hexadecimal digits */
}

static int32_t partition_of(const struct feeder *f, const char *key)
{
    return rd_kafka_msg_partitioner_murmur2(f->topic, key, strlen(key), f->partitions, NULL, NULL);
}

static void write_event(struct feeder *f, const struct transaction *t, struct tally_record expected)
{
    int32_t partition = partition_of(f, t->card_token);
    tally_expect(f->tally, partition, expected);
    write_record(f, partition, t->card_token, f->value.data, f->value.size, t->event_time_ms);
    f->ends[partition]++;
}

void feeder_history(struct feeder *f, const struct transaction *t)
{
    put_framed(f, f->schema_id, t);
    write_event(f, t, (struct tally_record){.id = id_of(t), .label = t->label, .history = true});
}

static bool over_atm_limit(const struct transaction *t)
{
    return t->channel == CHANNEL_ATM && t->amount_minor > ATM_LIMIT_MINOR;
}

static void feed_event(struct feeder *f, const struct transaction *t)
{
    put_framed(f, f->schema_id, t);
    write_event(f, t, (struct tally_record){.id = id_of(t), .label = t->label, .expected = over_atm_limit(t) ? REJECT_RULE : REJECT_NONE});
}

/* The transaction once more, with something wrong; rules come before time and repetition. */
static void feed_broken(struct feeder *f, const struct transaction *original, enum broken kind)
{
    static const char text[] = "{\"this\": \"is JSON\"}";
    struct transaction t = *original;
    int32_t partition = partition_of(f, t.card_token);
    const void *value;
    t.amount_minor = kind == NEGATIVE_AMOUNT ? -t.amount_minor : kind == ATM_LIMIT ? ATM_LIMIT_MINOR + 1 : t.amount_minor;
    t.channel = kind == ATM_LIMIT ? CHANNEL_ATM : t.channel;
    t.event_time_ms += kind == AHEAD_OF_TIME ? DAY_MS : 0;
    if (kind != SENT_TWICE)
        t.transaction_id[2] = t.transaction_id[2] == '0' ? '1' : '0';
    put_framed(f, kind == NO_SUCH_SCHEMA ? UNKNOWN_SCHEMA : f->schema_id, &t);
    if (kind == A_BYTE_MORE)
        put_bytes_raw(&f->value, "", 1);
    size_t size = kind == CUT_OFF ? f->value.size / 2 : f->value.size;
    value = kind == NO_AVRO ? (const void *)text : kind == NULL_VALUE ? NULL : f->value.data;
    size = kind == NO_AVRO ? sizeof text - 1 : kind == NULL_VALUE ? 0 : size;
    tally_expect(f->tally, partition, (struct tally_record){.expected = kind >= SENT_TWICE && over_atm_limit(&t) ? REJECT_RULE : broken_reasons[kind]});
    write_record(f, partition, t.card_token, value, size, original->event_time_ms);
    f->ends[partition]++;
}

/* ---- history, then the start ---- */

int feeder_commit_start(struct feeder *f, struct err *err)
{
    rd_kafka_t *client;
    rd_kafka_resp_err_t code = rd_kafka_flush(f->producer, FLUSH_MS);
    if (code)
        return kafka_err(err, code, "write to the in-process broker");
    if (kafka_plain_consumer(f->config, &client, err) < 0)
        return -1;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(f->partitions);
    for (int32_t p = 0; p < f->partitions; p++)
        rd_kafka_topic_partition_list_add(list, f->config->input.topic, p)->offset = f->ends[p];
    code = rd_kafka_commit(client, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return code ? kafka_err(err, code, "commit the start offsets") : 0;
}

/* ---- live traffic ---- */

static bool stopped(const struct feeder *f)
{
    return atomic_load(f->stop);
}

static void keep_distance(struct feeder *f, int32_t partition)
{
    while (!stopped(f) && tally_open(f->tally, partition) >= FEEDER_AHEAD_MAX)
        rd_kafka_poll(f->producer, 2);
}

static void *feed(void *context)
{
    struct feeder *f = context;
    struct transaction t;
    for (uint64_t i = 0; !stopped(f) && traffic_next(f->traffic, &t); i++) {
        keep_distance(f, partition_of(f, t.card_token));
        if (i == f->drift_at)
            atomic_store(&f->drift_ms, t.event_time_ms);
        feed_event(f, &t);
        if (i % BROKEN_EVERY == BROKEN_EVERY - 1)
            feed_broken(f, &t, (enum broken)(i / BROKEN_EVERY % BROKEN_KINDS));
    }
    while (!stopped(f) && rd_kafka_flush(f->producer, 100))
        ;
    atomic_store(&f->through, !stopped(f));
    return NULL;
}

void feeder_start(struct feeder *f, struct traffic *traffic, uint64_t drift_at, atomic_bool *stop)
{
    f->traffic = traffic;
    f->drift_at = drift_at;
    f->stop = stop;
    int failed = pthread_create(&f->thread, NULL, feed, f);
    assert(!failed);
    f->started = true;
}

bool feeder_is_through(struct feeder *f)
{
    return atomic_load(&f->through);
}

int64_t feeder_drift_ms(struct feeder *f)
{
    return atomic_load(&f->drift_ms);
}

void feeder_join(struct feeder *f)
{
    if (!f->started)
        return;
    pthread_join(f->thread, NULL);
    f->started = false;
}
