#include "consumer/demo/reader.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/plan.h"
#include "consumer/clock.h"
#include "consumer/kafka/client.h"
#include "schemas/embedded.h"

enum { TAKE_MAX = 1000, TAKE_MS = 50, QUIET_MS = 400, FRAMING_BYTES = 5 };

/* How one output topic is decoded: the fields asked for, in slots. */
struct form {
    const char *topic;
    struct field_set fields;
    struct avro_schema *schema;
    struct decode_plan *plan;
};

enum { PREDICTION_ID, PREDICTION_TIME, PREDICTION_SCORE, PREDICTION_DECISION, PREDICTION_PARTITION, PREDICTION_OFFSET };
enum { SHADOW_ID, SHADOW_SCORE, SHADOW_DECISION, SHADOW_PARTITION, SHADOW_OFFSET };
enum { REPORT_KIND, REPORT_START, REPORT_END, REPORT_SUBJECT, REPORT_STATISTIC, REPORT_VALUE, REPORT_COUNT, REPORT_SEVERITY };
enum { FIELDS_MAX = 8 };
static const char *const prediction_fields[] = {"transaction_id", "event_time", "score", "decision", "partition", "offset", NULL};
static const char *const shadow_fields[] = {"transaction_id", "score", "decision", "partition", "offset", NULL};
static const char *const report_fields[] = {"kind", "window_start", "window_end", "subject", "statistic", "value", "count", "severity", NULL};

struct reader {
    struct tally *tally;
    struct drift_watch *watch;
    const char *dead_letters;
    struct form predictions, shadows, reports;
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    pthread_t thread;
    bool running;
    atomic_bool stop, finish, failed;
    struct err err; /* once failed */
};

/* ---- forms ---- */

static int form_init(struct form *form, const char *topic, const char *schema, const char *const *names, struct err *err)
{
    form->topic = topic;
    field_set_init(&form->fields);
    for (; *names; names++)
        field_set_add(&form->fields, *names, FIELD_USE_ANY);
    assert(form->fields.count <= FIELDS_MAX);
    if (avro_schema_create(schema, strlen(schema), NULL, 0, &form->schema, err) < 0)
        return -1;
    return decode_plan_create(form->schema, NULL, &form->fields, decode_limits_default, &form->plan, err);
}

static void form_finish(struct form *form)
{
    decode_plan_destroy(form->plan);
    avro_schema_destroy(form->schema);
    field_set_finish(&form->fields);
}

static bool form_decode(const struct form *form, const rd_kafka_message_t *m, struct value values[FIELDS_MAX])
{
    struct decode_fault fault;
    return m->len >= FRAMING_BYTES && !*(const uint8_t *)m->payload &&
           decode_value(form->plan, (const uint8_t *)m->payload + FRAMING_BYTES, m->len - FRAMING_BYTES, values, NULL, &fault) == 0;
}

/* ---- one record of each kind ---- */

static bool text_is(const struct value *v, const char *text)
{
    return v->type == VALUE_TEXT && v->size == strlen(text) && !memcmp(v->text, text, v->size);
}

static uint64_t id_of(const struct value *v)
{
    char digits[17] = "";
    if (v->type == VALUE_TEXT && v->size == 18)
        memcpy(digits, v->text + 2, 16);
    return strtoull(digits, NULL, 16);
}

static enum decision decision_of(const struct value *v)
{
    return text_is(v, "DECLINE") ? DECISION_DECLINE : text_is(v, "REVIEW") ? DECISION_REVIEW : DECISION_APPROVE;
}

static bool take_prediction(struct reader *r, const rd_kafka_message_t *m)
{
    struct value v[FIELDS_MAX];
    if (!form_decode(&r->predictions, m, v))
        return false;
    tally_prediction(r->tally, (int32_t)v[PREDICTION_PARTITION].integer, v[PREDICTION_OFFSET].integer, id_of(&v[PREDICTION_ID]), v[PREDICTION_TIME].integer,
        (float)v[PREDICTION_SCORE].real, decision_of(&v[PREDICTION_DECISION]));
    return true;
}

static bool take_shadow(struct reader *r, const rd_kafka_message_t *m)
{
    struct value v[FIELDS_MAX];
    if (!form_decode(&r->shadows, m, v))
        return false;
    tally_shadow(r->tally, (int32_t)v[SHADOW_PARTITION].integer, v[SHADOW_OFFSET].integer, id_of(&v[SHADOW_ID]), (float)v[SHADOW_SCORE].real, decision_of(&v[SHADOW_DECISION]));
    return true;
}

static bool header(const rd_kafka_message_t *m, const char *name, char *text, size_t room)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(m, &headers) || rd_kafka_header_get_last(headers, name, &value, &size) || size >= room)
        return false;
    memcpy(text, value, size);
    text[size] = 0;
    return true;
}

static bool take_dead_letter(struct reader *r, const rd_kafka_message_t *m)
{
    char partition[24], offset[24], reason[64];
    if (!header(m, "__connect.errors.partition", partition, sizeof partition) || !header(m, "__connect.errors.offset", offset, sizeof offset) ||
        !header(m, "weir.reason", reason, sizeof reason))
        return false;
    for (int i = 0; i < REJECT_REASON_COUNT; i++)
        if (!strcmp(reason, reject_name((enum reject_reason)i))) {
            tally_dead_letter(r->tally, (int32_t)strtol(partition, NULL, 10), strtoll(offset, NULL, 10), (enum reject_reason)i);
            return true;
        }
    return false;
}

static bool take_report(struct reader *r, const rd_kafka_message_t *m)
{
    struct value v[FIELDS_MAX];
    if (!form_decode(&r->reports, m, v))
        return false;
    enum severity severity = text_is(&v[REPORT_SEVERITY], "CRITICAL") ? SEVERITY_CRITICAL : text_is(&v[REPORT_SEVERITY], "WARNING") ? SEVERITY_WARNING : SEVERITY_OK;
    if (text_is(&v[REPORT_KIND], "DRIFT") && text_is(&v[REPORT_STATISTIC], "psi") && v[REPORT_COUNT].integer >= DRIFT_SAMPLES_MIN)
        drift_watch_report(r->watch, v[REPORT_START].integer, v[REPORT_END].integer, v[REPORT_SUBJECT].text, v[REPORT_SUBJECT].size, v[REPORT_VALUE].real, severity);
    return true;
}

/* ---- the thread ---- */

static bool take(struct reader *r, const rd_kafka_message_t *m)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    if (!strcmp(topic, r->predictions.topic))
        return take_prediction(r, m);
    if (!strcmp(topic, r->shadows.topic))
        return take_shadow(r, m);
    if (!strcmp(topic, r->reports.topic))
        return take_report(r, m);
    return take_dead_letter(r, m);
}

static void fail(struct reader *r, const rd_kafka_message_t *m)
{
    if (atomic_load(&r->failed))
        return;
    if (m->err)
        err_set(&r->err, "reading %s: %s", m->rkt ? rd_kafka_topic_name(m->rkt) : "the outputs", rd_kafka_message_errstr(m));
    else
        err_set(&r->err, "%s, partition %d, offset %lld: not a record that weir writes there", rd_kafka_topic_name(m->rkt), m->partition, (long long)m->offset);
    atomic_store(&r->failed, true);
}

static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__PARTITION_EOF || code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

static void *read_all(void *context)
{
    struct reader *r = context;
    rd_kafka_message_t *messages[TAKE_MAX];
    int64_t last_ns = clock_monotonic_ns();
    while (!atomic_load(&r->stop)) {
        ssize_t n = rd_kafka_consume_batch_queue(r->queue, 0, messages, TAKE_MAX);
        if (n == 0)
            n = rd_kafka_consume_batch_queue(r->queue, TAKE_MS, messages, 1);
        for (ssize_t i = 0; i < n; i++) {
            if (messages[i]->err ? !is_passing(messages[i]->err) : !take(r, messages[i]))
                fail(r, messages[i]);
            if (!messages[i]->err)
                last_ns = clock_monotonic_ns();
            rd_kafka_message_destroy(messages[i]);
        }
        if (atomic_load(&r->finish) && clock_monotonic_ns() - last_ns > (int64_t)QUIET_MS * 1000000)
            break;
    }
    return NULL;
}

/* Not weir's own: the mock's transaction markers have no checksum, which weir's consumers insist on. */
static int open_consumer(struct reader *r, const struct config *config, struct err *err)
{
    const char *const settings[][2] = {{"bootstrap.servers", kafka_property(config, "bootstrap.servers")}, {"group.id", "weir-demo-reader"},
        {"enable.auto.commit", "false"}, {"auto.offset.reset", "error"}, {"fetch.wait.max.ms", "50"}, {"fetch.queue.backoff.ms", "10"}};
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) != RD_KAFKA_CONF_OK) {
            rd_kafka_conf_destroy(conf);
            return err_set(err, "%s: %s", settings[i][0], why);
        }
    r->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!r->consumer) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, "kafka: %s", why);
    }
    rd_kafka_poll_set_consumer(r->consumer);
    return 0;
}

static int assign_all(struct reader *r, const struct config *config, int32_t partitions, struct err *err)
{
    const char *const topics[] = {config->outputs.predictions, config->outputs.shadows, config->outputs.dead_letters};
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(3 * partitions + 1);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        for (int32_t p = 0; p < partitions; p++)
            rd_kafka_topic_partition_list_add(list, topics[i], p)->offset = 0;
    rd_kafka_topic_partition_list_add(list, config->outputs.monitoring, 0)->offset = 0;
    rd_kafka_resp_err_t code = rd_kafka_assign(r->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(err, code, "read the output topics") : 0;
}

int reader_start(const struct config *config, int32_t partitions, struct tally *tally, struct drift_watch *watch, struct reader **out, struct err *err)
{
    struct reader *r = calloc(1, sizeof *r);
    assert(r);
    *r = (struct reader){.tally = tally, .watch = watch, .dead_letters = config->outputs.dead_letters};
    if (form_init(&r->predictions, config->outputs.predictions, schema_prediction, prediction_fields, err) < 0 ||
        form_init(&r->shadows, config->outputs.shadows, schema_shadow, shadow_fields, err) < 0 ||
        form_init(&r->reports, config->outputs.monitoring, schema_report, report_fields, err) < 0 || open_consumer(r, config, err) < 0 ||
        assign_all(r, config, partitions, err) < 0) {
        reader_destroy(r);
        return -1;
    }
    r->queue = rd_kafka_queue_get_consumer(r->consumer);
    int failed = pthread_create(&r->thread, NULL, read_all, r);
    assert(!failed);
    r->running = true;
    *out = r;
    return 0;
}

int reader_failed(struct reader *r, struct err *err)
{
    if (!atomic_load(&r->failed))
        return 0;
    *err = r->err;
    return -1;
}

int reader_finish(struct reader *r, struct err *err)
{
    atomic_store(&r->finish, true);
    pthread_join(r->thread, NULL);
    r->running = false;
    return reader_failed(r, err);
}

void reader_destroy(struct reader *r)
{
    if (!r)
        return;
    atomic_store(&r->stop, true);
    if (r->running)
        pthread_join(r->thread, NULL);
    if (r->queue)
        rd_kafka_queue_destroy(r->queue);
    if (r->consumer) {
        rd_kafka_consumer_close(r->consumer);
        rd_kafka_destroy(r->consumer);
    }
    form_finish(&r->predictions);
    form_finish(&r->shadows);
    form_finish(&r->reports);
    free(r);
}
