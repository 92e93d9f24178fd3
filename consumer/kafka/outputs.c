#include "consumer/kafka/outputs.h"

#include <inttypes.h>
#include <stdio.h>
#include <math.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/hash.h"
#include "consumer/output.h"
#include "monitor/report.h"

enum { TRACE_HEADER_MAX = 512 }; /* W3C trace context: what must be passed on of a tracestate */

static int32_t output_partition(const struct kafka_outputs *o, enum output output, int32_t input_partition)
{
    return o->topics->outputs[output].partitions == o->topics->input_partitions ? input_partition : RD_KAFKA_PARTITION_UA;
}

static size_t headers_bytes(const rd_kafka_headers_t *headers)
{
    const char *name;
    const void *value;
    size_t size, bytes = 0;
    for (size_t i = 0; headers && rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        bytes += strlen(name) + size + 10;
    return bytes;
}

/* One that is longer than any tracer writes is left out. */
static void copy_header(const rd_kafka_message_t *message, const char *name, rd_kafka_headers_t **to)
{
    rd_kafka_headers_t *from;
    const void *value;
    size_t size;
    if (!message || rd_kafka_message_headers(message, &from) || rd_kafka_header_get_last(from, name, &value, &size) || size > TRACE_HEADER_MAX)
        return;
    if (!*to)
        *to = rd_kafka_headers_new(2);
    rd_kafka_header_add(*to, name, -1, value, (ssize_t)size);
}

static int send_scored(void *context, enum output output, const struct record *record, struct bytes key, const struct buffer *value, struct err *err)
{
    struct kafka_outputs *o = context;
    const struct output_topic *topic = &o->topics->outputs[output];
    rd_kafka_headers_t *headers = NULL;
    copy_header(record->message, "traceparent", &headers);
    copy_header(record->message, "tracestate", &headers);
    if (headers && key.size + value->size + headers_bytes(headers) > topics_room(topic->max_message_bytes)) {
        rd_kafka_headers_destroy(headers); /* the prediction matters more */
        headers = NULL;
    }
    return writer_add(o->writer, (struct outbox_record){.source = record->partition, .topic = topic->name, .partition = output_partition(o, output, record->partition),
        .timestamp_ms = record->timestamp_ms, .key = key.data, .key_size = key.size, .value = value->data, .value_size = value->size, .headers = headers}, topic->schema_id, err);
}

/* In the place of one of that name: a dead letter that was fed in again carries those of its last time. */
static void header_text(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_remove(headers, name);
    if (value)
        rd_kafka_header_add(headers, name, -1, value, -1);
}

/* cut: the whole length of a value that is cut, or NULL. */
static rd_kafka_headers_t *dead_letter_headers(const struct kafka_outputs *o, const struct record *record, const struct verdict *verdict, bool with_original, const char *cut)
{
    rd_kafka_headers_t *original, *headers;
    char number[24], message[512];
    if (with_original && record->message && !rd_kafka_message_headers(record->message, &original))
        headers = rd_kafka_headers_copy(original);
    else
        headers = rd_kafka_headers_new(12);
    verdict_message(verdict, message, sizeof message);
    header_text(headers, "weir.reason", reject_name(verdict->reason));
    header_text(headers, "weir.field", verdict->field);
    header_text(headers, "weir.rule", verdict->rule);
    header_text(headers, "weir.value.bytes", cut);
    header_text(headers, "__connect.errors.topic", o->config->input.topic);
    snprintf(number, sizeof number, "%" PRId32, record->partition);
    header_text(headers, "__connect.errors.partition", number);
    snprintf(number, sizeof number, "%" PRId64, record->offset);
    header_text(headers, "__connect.errors.offset", number);
    header_text(headers, "__connect.errors.connector.name", o->config->app_id);
    header_text(headers, "__connect.errors.stage", reject_stage(verdict->reason));
    header_text(headers, "__connect.errors.exception.class.name", reject_name(verdict->reason));
    header_text(headers, "__connect.errors.exception.message", message);
    return headers;
}

/* What does not fit the topic is given up in this order: the value's end, the original headers, the key's end. */
static int send_rejected(void *context, const struct record *record, const struct verdict *verdict, struct err *err)
{
    struct kafka_outputs *o = context;
    const struct output_topic *topic = &o->topics->outputs[OUTPUT_DEAD_LETTER];
    size_t key_size = record->key_size, value_size = record->value_size, room = topics_room(topic->max_message_bytes);
    rd_kafka_headers_t *headers = dead_letter_headers(o, record, verdict, true, NULL);
    size_t other = key_size + headers_bytes(headers);
    for (int attempt = 0; attempt < 2 && other + value_size > room; attempt++) {
        char whole[24];
        snprintf(whole, sizeof whole, "%zu", record->value_size);
        rd_kafka_headers_destroy(headers);
        headers = dead_letter_headers(o, record, verdict, attempt == 0, record->value ? whole : NULL);
        other = key_size + headers_bytes(headers);
        value_size = other >= room ? 0 : record->value_size < room - other ? record->value_size : room - other;
    }
    if (other > room) {
        char whole[24];
        snprintf(whole, sizeof whole, "%zu", key_size);
        header_text(headers, "weir.key.bytes", whole);
        size_t rest = headers_bytes(headers);
        key_size = rest < room ? room - rest : 0;
    }
    return writer_add(o->writer, (struct outbox_record){.source = record->partition, .topic = topic->name, .partition = output_partition(o, OUTPUT_DEAD_LETTER, record->partition),
        .timestamp_ms = record->timestamp_ms, .key = record->key, .key_size = key_size, .value = record->value, .value_size = value_size, .headers = headers}, -1, err);
}

/* In the transaction of the first record that it serves: the deployment into the changelog, and a DEPLOYMENT report, whose
 * value is that record's offset. */
static int send_deployed(void *context, int32_t partition, int64_t first_offset, const struct deployment *deployment, struct err *err)
{
    struct kafka_outputs *o = context;
    char subject[280], champion[65], whole[65], detail[200];
    uint8_t digest[32];
    int64_t now_ms = clock_wall_ms();
    struct report report = {.kind = REPORT_DEPLOYMENT, .window_start_ms = now_ms, .window_end_ms = now_ms, .model_id = deployment->champion.id, .subject = subject,
        .statistic = "first_offset", .detail = detail, .value = (double)first_offset, .threshold = NAN, .p_value = NAN, .count = 1};
    sha256(deployment->record, strlen(deployment->record), digest);
    sha256_hex(digest, whole);
    sha256_hex(deployment->champion.sha256, champion);
    snprintf(subject, sizeof subject, "%s-%d", o->config->input.topic, partition);
    snprintf(detail, sizeof detail, "{\"deployment\": \"%s\", \"champion\": \"%s\"}", whole, champion);
    if (changelog_put_deployment(o->changelog, partition, first_offset, deployment->record, strlen(deployment->record), err) < 0)
        return -1;
    o->report.size = 0;
    encode_report(&o->report, &report);
    return writer_add(o->writer, (struct outbox_record){.source = partition, .topic = o->config->outputs.monitoring, .partition = RD_KAFKA_PARTITION_UA, .timestamp_ms = now_ms,
        .key = subject, .key_size = strlen(subject), .value = o->report.data, .value_size = o->report.size}, o->topics->report_schema_id, err);
}

struct sink kafka_sink(struct kafka_outputs *outputs)
{
    struct sink sink = {.context = outputs, .scored = send_scored, .rejected = send_rejected, .deployed = send_deployed};
    for (int i = 0; i < OUTPUT_COUNT; i++)
        sink.max_bytes[i] = topics_room(outputs->topics->outputs[i].max_message_bytes);
    return sink;
}
