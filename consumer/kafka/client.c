#include "consumer/kafka/client.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/log.h"
#include "consumer/stop.h"

enum { MESSAGE_BYTES_MAX = 1000000000, BATCH_OVERHEAD_MAX = 64 << 10 };

/* Defaults that make a low-latency exactly-once pipeline; `kafka:` in the configuration overrides them. */
static const char *const common_defaults[][2] = {
    {"socket.nagle.disable", "true"}, {"check.crcs", "true"}, {"reconnect.backoff.max.ms", "2000"}, {"retry.backoff.ms", "10"}, {"log.connection.close", "false"}};
#define FETCHED_KBYTES "65536"
static const char *const consumer_defaults[][2] = {{"queued.min.messages", "100000"}, {"queued.max.messages.kbytes", FETCHED_KBYTES},
    {"fetch.wait.max.ms", "50"}, {"fetch.queue.backoff.ms", "10"}, {"max.poll.interval.ms", "300000"},
    {"topic.metadata.refresh.interval.ms", "30000"} /* so soon is it noticed that the input has grown */};
/* Replays read partition by partition: there the limit holds for each. */
static const char *const plain_defaults[][2] = {{"queued.min.messages", "20000"}, {"queued.max.messages.kbytes", "4096"}, {"fetch.wait.max.ms", "50"}, {"fetch.queue.backoff.ms", "10"}};
static const char *const producer_defaults[][2] = {{"batch.size", "1000000"}, {"batch.num.messages", "10000"},
    {"queue.buffering.max.messages", "1000000"}, {"queue.buffering.max.kbytes", "131072"}, {"partitioner", "murmur2"}, {"delivery.report.only.error", "true"}};

/* Each partition's records go in requests of their own, so what counts is how many are gathered.  Nobody sees records of a
 * transaction before its end, which sends what is left at once: there is time. */
static const char LINGER_MS[] = "5", LINGER_IN_TRANSACTION_MS[] = "25";

const char *kafka_property(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->kafka_count; i++)
        if (!strcmp(config->kafka[i].name, name))
            return config->kafka[i].value;
    return NULL;
}

size_t kafka_fetched_bytes_max(const struct config *config)
{
    const char *kbytes = kafka_property(config, "queued.max.messages.kbytes");
    return (size_t)strtoull(kbytes ? kbytes : FETCHED_KBYTES, NULL, 10) * 1024;
}

const char *kafka_group_id(const struct config *config)
{
    const char *id = kafka_property(config, "group.id");
    return id ? id : config->app_id;
}

enum kafka_remedy kafka_remedy(rd_kafka_resp_err_t code, bool retriable, bool abortable, bool fatal)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return REMEDY_NONE;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        return REMEDY_STOP;
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH:
        return REMEDY_REFRESH;
    default:
        return fatal ? REMEDY_RECREATE : abortable ? REMEDY_ABORT : retriable ? REMEDY_RETRY : REMEDY_RECREATE;
    }
}

bool kafka_member_may_return(rd_kafka_resp_err_t fatal)
{
    switch (fatal) {
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_UNRELEASED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_FENCED_MEMBER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
        return true;
    default:
        return false;
    }
}

enum kafka_remedy kafka_take_error(rd_kafka_error_t *error, const char *what, struct err *err)
{
    if (!error)
        return REMEDY_NONE;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    bool retriable = rd_kafka_error_is_retriable(error), fatal = rd_kafka_error_is_fatal(error);
    enum kafka_remedy remedy = kafka_remedy(code, retriable, rd_kafka_error_txn_requires_abort(error), fatal);
    err_set(err, "%s: %s (%s)", what, rd_kafka_error_string(error), rd_kafka_err2name(code));
    if (err) {
        err->code = (int)code;
        err->retriable = remedy != REMEDY_STOP;
        err->fatal = remedy == REMEDY_STOP;
    }
    rd_kafka_error_destroy(error);
    return remedy;
}

int kafka_err(struct err *err, rd_kafka_resp_err_t code, const char *what)
{
    err_set(err, "%s: %s (%s)", what, rd_kafka_err2str(code), rd_kafka_err2name(code));
    if (err)
        err->code = (int)code;
    return -1;
}

static void log_from_library(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    if (!strcmp(facility, "CONFWARN"))
        return; /* a consumer's property on a producer and the like: the same `kafka:` section serves both */
    log_write(level <= 3 ? LOG_ERROR : level <= 4 ? LOG_WARNING : level <= 6 ? LOG_INFO : LOG_DEBUG, "kafka: %s: %s", facility, text);
}

void kafka_log_error(const char *who, int code, const char *reason)
{
    enum { CODES = 512 };
    static _Atomic int64_t last_ns[CODES]; /* by code; librdkafka's own begin at -200 */
    _Atomic int64_t *last = &last_ns[(unsigned)(code + 200) % CODES];
    int64_t now = clock_monotonic_ns(), before = atomic_load(last);
    if ((before && now - before < 10000000000) || !atomic_compare_exchange_strong(last, &before, now))
        return;
    log_warning("kafka %s: %s (%s)", who, reason, rd_kafka_err2name((rd_kafka_resp_err_t)code));
}

struct attempts attempts_within(const atomic_bool *stop, int most_ms)
{
    return (struct attempts){.stop = stop, .began_ns = clock_monotonic_ns(), .pause_ms = 50, .most_ms = most_ms};
}

struct attempts attempts_begin(const atomic_bool *stop)
{
    return attempts_within(stop, LOOKUP_GIVE_UP_MS);
}

bool kafka_error_passes(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR: /* of one broker: it ends, and another one leads or it comes back */
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
        return true;
    default:
        return false;
    }
}

bool attempts_again(struct attempts *a, rd_kafka_resp_err_t code, const char *what)
{
    int64_t left_ms = a->most_ms - (clock_monotonic_ns() - a->began_ns) / 1000000;
    if (!kafka_error_passes(code) || stop_is_set(a->stop) || left_ms <= 0)
        return false;
    char reason[256];
    snprintf(reason, sizeof reason, "%s; asked again for %" PRId64 " s more", rd_kafka_err2str(code), (left_ms + 999) / 1000);
    kafka_log_error(what, (int)code, reason);
    usleep((useconds_t)a->pause_ms * 1000);
    a->pause_ms = a->pause_ms < 1000 ? a->pause_ms * 2 : 1000;
    return true;
}

static void log_error_of_plain(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    kafka_log_error("client", code, reason);
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char why[512];
    return rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK ? 0 : err_set(err, "kafka: %s: %s", name, why);
}

static int set_all(rd_kafka_conf_t *conf, const char *const (*pairs)[2], size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (set(conf, pairs[i][0], pairs[i][1], err) < 0)
            return -1;
    return 0;
}

#define SET_ALL(conf, pairs, err) set_all(conf, pairs, sizeof(pairs) / sizeof *(pairs), err)

/* Defaults, then the user's properties. */
static int base_conf(const struct config *config, const char *const (*defaults)[2], size_t count, rd_kafka_conf_t *conf, struct err *err)
{
    if (SET_ALL(conf, common_defaults, err) < 0 || set_all(conf, defaults, count, err) < 0)
        return -1;
    for (size_t i = 0; i < config->kafka_count; i++)
        if (set(conf, config->kafka[i].name, config->kafka[i].value, err) < 0)
            return err_prefix(err, "%s:%d", config->file, config->kafka[i].line);
    rd_kafka_conf_set_log_cb(conf, log_from_library);
    return 0;
}

/* Takes over conf, also on failure. */
static int create(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **out, struct err *err)
{
    char why[512];
    *out = rd_kafka_new(type, conf, why, sizeof why);
    if (*out)
        return 0;
    rd_kafka_conf_destroy(conf);
    return err_set(err, "kafka: %s", why);
}

/* The classic protocol: cooperative, and a static member, whose partitions stay its own over a short restart. */
static int set_classic(rd_kafka_conf_t *conf, const char *member, struct err *err)
{
    if (set(conf, "partition.assignment.strategy", "cooperative-sticky", err) < 0)
        return -1;
    return member ? set(conf, "group.instance.id", member, err) : 0;
}

/* KIP-848: the broker assigns.  No static membership: the successor of a killed member would be refused for good
 * (UNRELEASED_INSTANCE_ID) until the session ends. */
static int set_consumer_protocol(rd_kafka_conf_t *conf, struct err *err)
{
    return set(conf, "group.protocol", "consumer", err);
}

bool kafka_uses_consumer_protocol(const struct config *config)
{
    return !strcmp(config->input.group_protocol, "consumer");
}

int kafka_group_consumer(const struct config *config, struct kafka_identity identity, const struct kafka_consumer_callbacks *callbacks, rd_kafka_t **out, struct err *err)
{
    static const char *const owned[][2] = {{"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
        {"isolation.level", "read_committed"}};
    /* Of the classic protocol alone; the other has them as settings of the broker's, and refuses these.  A rebalance is
     * noticed at the next heartbeat, and a cooperative one takes two of them. */
    static const char *const session[][2] = {{"session.timeout.ms", "20000"}, {"heartbeat.interval.ms", "1000"}};
    bool broker_assigns = kafka_uses_consumer_protocol(config);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char member[512];
    snprintf(member, sizeof member, "%s-%d", identity.instance, identity.lane);
    if ((!broker_assigns && SET_ALL(conf, session, err) < 0) || base_conf(config, consumer_defaults, sizeof consumer_defaults / sizeof *consumer_defaults, conf, err) < 0 ||
        SET_ALL(conf, owned, err) < 0 || set(conf, "group.id", identity.group ? identity.group : kafka_group_id(config), err) < 0 || set(conf, "client.id", member, err) < 0 ||
        (broker_assigns ? set_consumer_protocol(conf, err) : set_classic(conf, identity.group ? NULL : member, err)) < 0) {
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    rd_kafka_conf_set_rebalance_cb(conf, callbacks->rebalance);
    rd_kafka_conf_set_error_cb(conf, callbacks->error);
    rd_kafka_conf_set_opaque(conf, callbacks->opaque);
    if (create(RD_KAFKA_CONSUMER, conf, out, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(*out);
    return 0;
}

int kafka_subscribe(rd_kafka_t *consumer, const char *topic, const char *what, struct err *err)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code ? kafka_err(err, code, what) : 0;
}

static int plain_consumer(const struct config *config, const char *held_kbytes, rd_kafka_t **out, struct err *err)
{
    static const char *const owned[][2] = {{"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
        {"isolation.level", "read_committed"}, {"enable.partition.eof", "true"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (base_conf(config, plain_defaults, sizeof plain_defaults / sizeof *plain_defaults, conf, err) < 0 || SET_ALL(conf, owned, err) < 0 ||
        (held_kbytes && set(conf, "queued.max.messages.kbytes", held_kbytes, err) < 0) || set(conf, "group.id", kafka_group_id(config), err) < 0 ||
        (kafka_uses_consumer_protocol(config) && set_consumer_protocol(conf, err) < 0)) {
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    rd_kafka_conf_set_error_cb(conf, log_error_of_plain);
    if (create(RD_KAFKA_CONSUMER, conf, out, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(*out);
    return 0;
}

int kafka_plain_consumer(const struct config *config, rd_kafka_t **out, struct err *err)
{
    return plain_consumer(config, NULL, out, err);
}

int kafka_frugal_consumer(const struct config *config, rd_kafka_t **out, struct err *err)
{
    return plain_consumer(config, "512", out, err);
}

/* Over the user's own: a batch that a topic does not take would abort every transaction.  A single record may exceed
 * batch.size; librdkafka wants some room beyond it for the batch around it. */
static int set_sizes(rd_kafka_conf_t *conf, struct kafka_sizes sizes, struct err *err)
{
    char text[32];
    size_t length = sizeof text;
    if (sizes.batch_max && rd_kafka_conf_get(conf, "batch.size", text, &length) == RD_KAFKA_CONF_OK && strtoull(text, NULL, 10) > sizes.batch_max) {
        snprintf(text, sizeof text, "%zu", sizes.batch_max);
        if (set(conf, "batch.size", text, err) < 0)
            return -1;
    }
    size_t largest = sizes.record_max > MESSAGE_BYTES_MAX - BATCH_OVERHEAD_MAX ? MESSAGE_BYTES_MAX : sizes.record_max + BATCH_OVERHEAD_MAX;
    snprintf(text, sizeof text, "%zu", largest);
    return sizes.record_max ? set(conf, "message.max.bytes", text, err) : 0;
}

int kafka_producer(const struct config *config, const char *transactional_id, void (*on_error)(rd_kafka_t *, int, const char *, void *), void *opaque, rd_kafka_t **out, struct err *err)
{
    return kafka_producer_within(config, (struct kafka_sizes){0}, transactional_id, &(struct kafka_producer_callbacks){.error = on_error, .opaque = opaque}, out, err);
}

int kafka_producer_within(const struct config *config, struct kafka_sizes sizes, const char *transactional_id, const struct kafka_producer_callbacks *callbacks, rd_kafka_t **out, struct err *err)
{
    char transaction_timeout[16];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(transaction_timeout, sizeof transaction_timeout, "%d", TRANSACTION_TIMEOUT_MS);
    int bad = set(conf, "linger.ms", transactional_id ? LINGER_IN_TRANSACTION_MS : LINGER_MS, err) < 0 ||
              base_conf(config, producer_defaults, sizeof producer_defaults / sizeof *producer_defaults, conf, err) < 0 ||
              set_sizes(conf, sizes, err) < 0 || set(conf, "enable.idempotence", "true", err) < 0 || set(conf, "acks", "all", err) < 0;
    if (!bad && transactional_id)
        bad = set(conf, "transactional.id", transactional_id, err) < 0 || set(conf, "transaction.timeout.ms", transaction_timeout, err) < 0;
    else if (!bad)
        bad = set(conf, "message.timeout.ms", "0", err) < 0; /* never given up: an output is late, not lost */
    if (!bad && callbacks->every_delivery)
        bad = set(conf, "delivery.report.only.error", "false", err) < 0;
    if (bad) {
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    rd_kafka_conf_set_error_cb(conf, callbacks->error);
    if (callbacks->delivered)
        rd_kafka_conf_set_dr_msg_cb(conf, callbacks->delivered);
    rd_kafka_conf_set_opaque(conf, callbacks->opaque);
    return create(RD_KAFKA_PRODUCER, conf, out, err);
}
