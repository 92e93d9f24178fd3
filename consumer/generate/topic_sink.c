#include "consumer/generate/topic_sink.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/encode.h"

enum { DELIVERY_TIMEOUT_MS = 60000, BROKER_TIMEOUT_MS = 10000, SERVE_EVERY = 512 };

struct topic_sink {
    rd_kafka_t *producer;
    struct registry *registry;
    struct buffer value;
    uint64_t sent, delivered, failed;
    char failure[256]; /* the first one */
};

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    struct topic_sink *sink = opaque;
    if (!message->err) {
        sink->delivered++;
        return;
    }
    if (sink->failed++ == 0)
        snprintf(sink->failure, sizeof sink->failure, "%s", rd_kafka_err2str(message->err));
}

static int create_producer(struct topic_sink *sink, const struct topic_sink_options *options, struct err *err)
{
    static const char *const settings[][2] = {{"enable.idempotence", "true"}, {"partitioner", "murmur2"}, {"compression.type", "lz4"},
                                              {"linger.ms", "20"},            {"message.timeout.ms", "60000"}, {"log_level", "2"}};
    char reason[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    int status = RD_KAFKA_CONF_OK;
    if (options->brokers)
        status = rd_kafka_conf_set(conf, "bootstrap.servers", options->brokers, reason, sizeof reason);
    for (size_t i = 0; status == RD_KAFKA_CONF_OK && options->config && i < options->config->kafka_count; i++)
        status = rd_kafka_conf_set(conf, options->config->kafka[i].name, options->config->kafka[i].value, reason, sizeof reason);
    for (size_t i = 0; status == RD_KAFKA_CONF_OK && i < sizeof settings / sizeof *settings; i++)
        status = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], reason, sizeof reason);
    if (status == RD_KAFKA_CONF_OK && (sink->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason)))
        return 0;
    rd_kafka_conf_destroy(conf);
    return err_set(err, "the Kafka producer: %s", reason);
}

int topic_sink_create(const struct topic_sink_options *options, struct topic_sink **out, struct err *err)
{
    struct topic_sink *sink = calloc(1, sizeof *sink);
    if (!sink)
        return err_set(err, "memory is short");
    if (registry_create(&options->registry, &sink->registry, err) < 0 || create_producer(sink, options, err) < 0) {
        topic_sink_destroy(sink);
        return -1;
    }
    *out = sink;
    return 0;
}

void topic_sink_destroy(struct topic_sink *sink)
{
    if (!sink)
        return;
    if (sink->producer) {
        rd_kafka_purge(sink->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(sink->producer, 1000);
        rd_kafka_destroy(sink->producer);
    }
    registry_destroy(sink->registry);
    buffer_finish(&sink->value);
    free(sink);
}

/* Asks for the topic until it has partitions; a broker may be creating it just now. */
static int await_topic(struct topic_sink *sink, const char *topic, struct err *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(sink->producer, topic, NULL);
    if (!handle)
        return err_set(err, "topic '%s': %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    bool answered = true;
    for (int tries = 0; tries < 10 && code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE; tries++) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_poll(sink->producer, tries ? 300 : 0);
        code = rd_kafka_metadata(sink->producer, 0, handle, &metadata, BROKER_TIMEOUT_MS);
        if (code) {
            answered = false;
        } else {
            code = metadata->topics[0].err;
            rd_kafka_metadata_destroy(metadata);
        }
    }
    rd_kafka_topic_destroy(handle);
    if (!answered)
        return err_set(err, "no answer from the brokers within %d s: %s", BROKER_TIMEOUT_MS / 1000, rd_kafka_err2str(code));
    return code ? err_set(err, "topic '%s': %s", topic, rd_kafka_err2str(code)) : 0;
}

int topic_sink_schema(struct topic_sink *sink, const char *topic, const char *schema_text, int32_t *schema_id, struct err *err)
{
    char subject[300];
    if ((size_t)snprintf(subject, sizeof subject, "%s-value", topic) >= sizeof subject)
        return err_set(err, "topic '%.60s...': the name is too long", topic);
    if (await_topic(sink, topic, err) < 0)
        return -1;
    return registry_output_id(sink->registry, subject, schema_text, schema_id, err);
}

static int fail_delivery(const struct topic_sink *sink, struct err *err)
{
    return err_set(err, "%llu of %llu records could not be delivered: %s", (unsigned long long)sink->failed, (unsigned long long)sink->sent,
                   sink->failure);
}

static void frame(struct buffer *value, int32_t schema_id, const void *body, size_t size)
{
    uint32_t id = (uint32_t)schema_id;
    const uint8_t head[5] = {0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    value->size = 0;
    put_bytes_raw(value, head, sizeof head);
    put_bytes_raw(value, body, size);
}

int topic_sink_send(struct topic_sink *sink, const char *topic, int32_t schema_id, const char *key, const void *body, size_t size,
                    int64_t timestamp_ms, struct err *err)
{
    frame(&sink->value, schema_id, body, size);
    rd_kafka_resp_err_t code;
    while ((code = rd_kafka_producev(sink->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, strlen(key)),
                                     RD_KAFKA_V_VALUE(sink->value.data, sink->value.size), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
                                     RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_poll(sink->producer, 50);
        if (sink->failed)
            return fail_delivery(sink, err);
    }
    if (code)
        return err_set(err, "topic %s: %s", topic, rd_kafka_err2str(code));
    if (++sink->sent % SERVE_EVERY == 0)
        rd_kafka_poll(sink->producer, 0);
    return sink->failed ? fail_delivery(sink, err) : 0;
}

void topic_sink_serve(struct topic_sink *sink, int ms)
{
    rd_kafka_poll(sink->producer, ms);
}

int topic_sink_flush(struct topic_sink *sink, struct err *err)
{
    rd_kafka_flush(sink->producer, DELIVERY_TIMEOUT_MS + 5000);
    sink->failed += sink->sent - sink->delivered - sink->failed;
    if (sink->failed && !*sink->failure)
        snprintf(sink->failure, sizeof sink->failure, "no answer within %d s", DELIVERY_TIMEOUT_MS / 1000);
    return sink->failed ? fail_delivery(sink, err) : 0;
}

uint64_t topic_sink_delivered(const struct topic_sink *sink)
{
    return sink->delivered;
}
