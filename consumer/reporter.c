#include "consumer/reporter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/kafka/client.h"
#include "consumer/log.h"
#include "consumer/output.h"
#include "consumer/turns.h"

enum { TURN_MS = 500, HEALTH_MS_MAX = 15000, PARTITIONS_MAX = 4096, LAST_FLUSH_MS = 500 };

struct reporter {
    const struct config *config;
    const struct topics *topics;
    struct observer *observer;
    struct lane **lanes;
    size_t lane_count;
    rd_kafka_t *producer;
    struct buffer buffer;
    pthread_t thread;
    struct turns turns;
    int64_t dropped;
};

static void publish(void *context, const struct report *report)
{
    struct reporter *r = context;
    int32_t id = r->topics->report_schema_id;
    r->buffer.size = 0;
    put_bytes_raw(&r->buffer, (const uint8_t[5]){0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id}, 5);
    encode_report(&r->buffer, report);
    rd_kafka_resp_err_t code = rd_kafka_producev(r->producer, RD_KAFKA_V_TOPIC(r->config->outputs.monitoring), RD_KAFKA_V_KEY(report->subject, strlen(report->subject)),
        RD_KAFKA_V_VALUE(r->buffer.data, r->buffer.size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (code && !r->dropped++)
        log_warning("monitoring: reports are shed: %s", rd_kafka_err2str(code));
}

static void add_health(struct reporter *r)
{
    struct lane_partition_status *statuses = calloc(PARTITIONS_MAX, sizeof *statuses);
    struct partition_health *health = calloc(PARTITIONS_MAX, sizeof *health);
    assert(statuses && health);
    size_t n = 0;
    for (size_t i = 0; i < r->lane_count; i++)
        n += lane_partitions(r->lanes[i], statuses + n, PARTITIONS_MAX - n);
    for (size_t i = 0; i < n; i++)
        health[i] = (struct partition_health){statuses[i].partition, statuses[i].stream_time_ms, statuses[i].position, statuses[i].end_offset, 0};
    observer_health(r->observer, health, n, clock_wall_ms());
    free(statuses);
    free(health);
}

static void *report(void *context)
{
    struct reporter *r = context;
    int64_t every = r->config->monitor.window_ms < HEALTH_MS_MAX ? r->config->monitor.window_ms : HEALTH_MS_MAX;
    int64_t next = clock_wall_ms() + every;
    while (turns_wait(&r->turns, TURN_MS)) {
        if (clock_wall_ms() >= next) {
            add_health(r);
            next = clock_wall_ms() + every;
        }
        observer_take(r->observer, publish, r);
        rd_kafka_poll(r->producer, 0);
    }
    add_health(r);
    observer_flush(r->observer, false);
    observer_take(r->observer, publish, r);
    rd_kafka_flush(r->producer, LAST_FLUSH_MS);
    return NULL;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    kafka_log_error("monitoring", code, reason);
}

int reporter_start(const struct config *config, const struct topics *topics, struct observer *observer, struct lane **lanes, size_t lane_count, struct reporter **out, struct err *err)
{
    struct reporter *r = calloc(1, sizeof *r);
    assert(r);
    *r = (struct reporter){.config = config, .topics = topics, .observer = observer, .lanes = lanes, .lane_count = lane_count};
    if (kafka_producer_within(config, (struct kafka_sizes){.batch_max = topics->report_max_message_bytes}, NULL, &(struct kafka_producer_callbacks){.error = on_error}, &r->producer, err) < 0) {
        free(r);
        return -1;
    }
    turns_init(&r->turns);
    int failed = pthread_create(&r->thread, NULL, report, r);
    assert(!failed);
    *out = r;
    return 0;
}

void reporter_stop(struct reporter *r)
{
    if (!r)
        return;
    turns_stop(&r->turns);
    pthread_join(r->thread, NULL);
    rd_kafka_purge(r->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(r->producer);
    buffer_finish(&r->buffer);
    turns_finish(&r->turns);
    free(r);
}
