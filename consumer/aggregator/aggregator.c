/* The loop: become active, merge what comes, publish what is closed. */
#include "consumer/aggregator/aggregator.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/aggregator/aggregator_state.h"
#include "consumer/clock.h"
#include "consumer/log.h"

enum { POLL_MS = 100, TURN_RECORDS = 500, GATHER_MS = 1000, SAVE_MS = 60000, HEALTH_MS_MAX = 15000, REST_MS = 2000, QUIET_MS = 3000, LEAVE_MS = 1000, FRAMING = 5 };

/* ---- what was gathered ---- */

static void tell_closed(struct aggregator *a, size_t before)
{
    observer_set_drift(a->observer, aggregate_drift(a->aggregate));
    if (a->listener.closed)
        a->listener.closed(a->listener.context, observer_shape(a->observer), a->aggregate, a->reports.rows + before, a->reports.count - before);
}

/* What was gathered goes to its windows.  Before a state is saved: its positions are taken already. */
static void merge(struct aggregator *a)
{
    if (!a->gathered_ns)
        return;
    size_t before = a->reports.count;
    uint64_t closed = aggregate_count(a->aggregate).windows_closed;
    aggregate_merge(a->aggregate, a->delta, clock_wall_ms(), &a->reports);
    sketch_reset(a->delta);
    a->gathered_ns = 0;
    a->quiet = false;
    a->merged_ns = clock_monotonic_ns();
    a->window_rows = a->window_rows || a->reports.count > before;
    if (aggregate_count(a->aggregate).windows_closed > closed)
        tell_closed(a, before);
}

/* ---- the group ---- */

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct aggregator *a = opaque;
    if (a->closing) { /* the library waits for it; everything is saved already */
        rd_kafka_error_destroy(code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? rd_kafka_incremental_assign(rk, partitions) : rd_kafka_incremental_unassign(rk, partitions));
        return;
    }
    assert(!a->rebalance.pending);
    a->rebalance.pending = true;
    a->rebalance.assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    a->rebalance.lost = rd_kafka_assignment_lost(rk);
    a->rebalance.partitions = rd_kafka_topic_partition_list_copy(partitions);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    kafka_log_error("monitor", code, reason);
}

static int join(struct aggregator *a, struct err *err)
{
    return kafka_subscribe(a->consumer, a->topics->sketches.name, "subscribe to the sketches topic", err);
}

static void step_down(struct aggregator *a)
{
    atomic_store(&a->active, false);
    observer_set_drift(a->observer, NULL);
    if (a->aggregate && a->listener.restore)
        a->listener.restore(a->listener.context, "", 0);
    if (a->producer) {
        rd_kafka_purge(a->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(a->producer, 200);
        rd_kafka_destroy(a->producer);
    }
    aggregate_destroy(a->aggregate);
    a->producer = NULL;
    a->aggregate = NULL;
    report_list_clear(&a->reports);
    a->evaluated = 0;
    label_rows_clear(&a->labelled);
    a->unsaved = a->window_rows = false;
    sketch_reset(a->delta);
    a->gathered_ns = 0;
}

/* Between the end of one process and its own: what others would have to read again. */
static void save(struct aggregator *a)
{
    struct err err;
    if (a->aggregate)
        merge(a);
    if (a->aggregate && (a->unsaved || a->reports.count || a->labelled.rows.count) && aggregator_publish(a, true, &err) < 0)
        log_warning("monitor: %s; the next one reads it again", err.msg);
}

static int become_active(struct aggregator *a, struct err *err)
{
    a->aggregate = observer_aggregate(a->observer, clock_wall_ms());
    if (aggregator_open_producer(a, err) < 0 || aggregator_recover(a, err) < 0)
        return -1;
    a->saved_ns = a->health_ns = a->merged_ns = clock_monotonic_ns();
    a->quiet = false;
    a->repeated = -1;
    atomic_store(&a->active, true);
    log_info("monitor: active, from offset %" PRId64 " of %s", a->position, a->topics->sketches.name);
    return 0;
}

static void answer(struct aggregator *a, rd_kafka_error_t *error)
{
    struct err err;
    if (kafka_take_error(error, "the aggregator's assignment", &err) != REMEDY_NONE)
        log_warning("monitor: %s", err.msg);
    rd_kafka_topic_partition_list_destroy(a->rebalance.partitions);
    a->rebalance.pending = false;
}

/* Somebody else may do better, and we after a rest. */
static void give_up(struct aggregator *a, const struct err *err)
{
    struct err again;
    log_warning("monitor: %s; joining anew", err->msg);
    step_down(a);
    if (stop_is_set(a->asked))
        return;
    rd_kafka_unsubscribe(a->consumer);
    usleep(REST_MS * 1000);
    if (!atomic_load(&a->stop) && join(a, &again) < 0)
        log_error("monitor: %s", again.msg);
}

/* Everything lies in the first partition: who has that one is active. */
static void serve_rebalance(struct aggregator *a)
{
    struct err err;
    rd_kafka_topic_partition_list_t *list = a->rebalance.partitions;
    if (!a->rebalance.pending)
        return;
    rd_kafka_topic_partition_t *first = rd_kafka_topic_partition_list_find(list, a->topics->sketches.name, 0);
    if (a->rebalance.assign) {
        int result = first && !a->aggregate ? become_active(a, &err) : 0;
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = &list->elems[i] == first ? a->position : RD_KAFKA_OFFSET_END;
        answer(a, rd_kafka_incremental_assign(a->consumer, list));
        if (result < 0)
            give_up(a, &err);
        return;
    }
    if (first && a->aggregate) {
        if (!a->rebalance.lost)
            save(a);
        step_down(a);
        log_info("monitor: another one takes over");
    }
    answer(a, rd_kafka_incremental_unassign(a->consumer, list));
}

/* ---- records ---- */

/* A window of every partition is one cell of the delta: a lane's transaction has many partitions and few windows. */
static int take_part(struct aggregator *a, struct sketch_reader *r, const struct sketch_part *part, bool alike, struct err *err)
{
    const struct sketch_position *p = &part->position;
    struct sketch_part merged = *part;
    merged.position.partition = -1;
    if (p->partition < 0)
        return sketch_reader_pass(r, part, err); /* a window that this or another aggregator saved */
    a->unsaved = true;
    if (!alike) {
        merge(a);
        aggregate_pass(a->aggregate, p, &a->reports);
        return sketch_reader_pass(r, part, err);
    }
    if (p->from < p->to || p->partition != a->repeated)
        a->repeated = aggregate_take(a->aggregate, p) ? -1 : p->partition;
    if (p->partition == a->repeated)
        return sketch_reader_pass(r, part, err);
    if (sketch_cell_count(a->delta) + (size_t)part->cells > sketch_cells_max(sketch_shape(a->delta)))
        merge(a);
    if (!a->gathered_ns)
        a->gathered_ns = clock_monotonic_ns();
    return sketch_reader_cells(r, &merged, a->delta, err);
}

static int take_record(struct aggregator *a, const rd_kafka_message_t *m, struct err *err)
{
    const uint8_t *data = m->payload;
    struct sketch_reader r;
    struct sketch_part part;
    int more;
    int64_t schema = m->len < FRAMING || data[0] != 0 ? -1 : (int64_t)((uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4]);
    if (schema == a->topics->report_schema_id)
        return label_rows_take(&a->labelled, data + FRAMING, m->len - FRAMING, err);
    if (schema != a->topics->sketches.schema_id)
        return err_set(err, "it has another schema");
    if (sketch_reader_check(&r, data + FRAMING, m->len - FRAMING, observer_shape(a->observer), err) < 0)
        return -1;
    bool alike = r.shape == sketch_shape_fingerprint(observer_shape(a->observer));
    while ((more = sketch_reader_part(&r, &part, err)) == 1)
        if (take_part(a, &r, &part, alike, err) < 0)
            return -1;
    if (aggregate_is_due(a->aggregate))
        merge(a);
    return more;
}

static void take_message(struct aggregator *a, rd_kafka_message_t *m)
{
    struct err err;
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        err_set(&err, "%s: deltas were deleted before they were read", a->topics->sketches.name);
        give_up(a, &err);
    } else if (m->err) {
        log_warning("monitor: %s", rd_kafka_message_errstr(m));
    } else if (a->aggregate && m->offset >= a->position) {
        if (take_record(a, m, &err) < 0 && !a->unreadable++)
            log_warning("monitor: the record at offset %" PRId64 " of %s is left out: %s", m->offset, a->topics->sketches.name, err.msg);
        a->position = m->offset + 1;
    }
    rd_kafka_message_destroy(m);
}

static void read_some(struct aggregator *a)
{
    for (int i = 0; i < TURN_RECORDS && !a->rebalance.pending; i++) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(a->consumer, i ? 0 : POLL_MS);
        if (!m)
            return;
        take_message(a, m);
    }
}

/* ---- publication ---- */

static void look_at_health(struct aggregator *a)
{
    int64_t now = clock_monotonic_ns(), window = a->config->monitor.window_ms;
    if (now - a->health_ns < (window < HEALTH_MS_MAX ? window : HEALTH_MS_MAX) * 1000000)
        return;
    a->health_ns = now;
    aggregate_input_health(a->aggregate, clock_wall_ms(), &a->reports);
    aggregate_field_health(a->aggregate, clock_wall_ms(), &a->reports);
}

/* Revisions wait for stream time to go on; where it stands still they are written all the same. */
static void revise_when_quiet(struct aggregator *a)
{
    size_t before = a->reports.count;
    if (a->quiet || a->gathered_ns || clock_monotonic_ns() - a->merged_ns < (int64_t)QUIET_MS * 1000000)
        return;
    aggregate_flush(a->aggregate, false, &a->reports);
    a->quiet = true;
    a->window_rows = a->window_rows || a->reports.count > before;
}

static void publish(struct aggregator *a)
{
    struct err err;
    int64_t now = clock_monotonic_ns();
    bool old = now - a->saved_ns > (int64_t)SAVE_MS * 1000000;
    look_at_health(a);
    if (old || a->reports.count || a->labelled.rows.count || now - a->gathered_ns > (int64_t)GATHER_MS * 1000000)
        merge(a);
    revise_when_quiet(a);
    if (aggregator_publish(a, a->window_rows || (a->unsaved && old), &err) < 0)
        give_up(a, &err);
    else
        rd_kafka_poll(a->producer, 0);
}

static void *run(void *context)
{
    struct aggregator *a = context;
    struct err err;
    if (join(a, &err) < 0)
        log_error("monitor: %s", err.msg);
    while (!aggregator_stops(a)) {
        read_some(a);
        serve_rebalance(a);
        if (a->aggregate)
            publish(a);
    }
    save(a);
    step_down(a);
    a->closing = true;
    if (a->rebalance.pending)
        answer(a, a->rebalance.assign ? rd_kafka_incremental_assign(a->consumer, a->rebalance.partitions) : rd_kafka_incremental_unassign(a->consumer, a->rebalance.partitions));
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(a->consumer);
    rd_kafka_error_t *failed = rd_kafka_consumer_close_queue(a->consumer, queue);
    int64_t began = clock_monotonic_ns();
    while (!failed && !rd_kafka_consumer_closed(a->consumer) && clock_monotonic_ns() - began < (int64_t)LEAVE_MS * 1000000) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(queue, 20);
        if (m)
            rd_kafka_message_destroy(m);
    }
    rd_kafka_error_destroy(failed);
    rd_kafka_queue_destroy(queue);
    a->left = rd_kafka_consumer_closed(a->consumer);
    return NULL;
}

int aggregator_start(const struct config *config, const struct topics *topics, struct observer *observer, const char *instance, const atomic_bool *asked, const struct aggregator_listener *listener,
    struct aggregator **out, struct err *err)
{
    struct aggregator *a = calloc(1, sizeof *a);
    assert(a);
    a->config = config;
    a->topics = topics;
    a->observer = observer;
    a->asked = asked;
    if (listener)
        a->listener = *listener;
    snprintf(a->group, sizeof a->group, "%s-monitor", kafka_group_id(config));
    snprintf(a->id, sizeof a->id, "%s-monitor", config->app_id);
    snprintf(a->instance, sizeof a->instance, "%s-monitor", instance);
    a->delta = sketch_create(observer_shape(observer));
    assert(a->delta);
    struct kafka_consumer_callbacks callbacks = {on_rebalance, on_error, a};
    if (kafka_group_consumer(config, (struct kafka_identity){a->instance, 0, a->group}, &callbacks, &a->consumer, err) < 0) {
        sketch_destroy(a->delta);
        free(a);
        return -1;
    }
    int failed = pthread_create(&a->thread, NULL, run, a);
    assert(!failed);
    *out = a;
    return 0;
}

bool aggregator_stop(struct aggregator *a, int wait_ms)
{
    if (!a)
        return true;
    atomic_store(&a->stop, true);
    struct timespec until = clock_wall_after(wait_ms);
    if (pthread_timedjoin_np(a->thread, NULL, &until) != 0)
        return false;
    if (!a->left) /* a broker that does not answer: the process ends with it */
        return true;
    rd_kafka_destroy(a->consumer);
    report_list_finish(&a->reports);
    label_rows_finish(&a->labelled);
    sketch_destroy(a->delta);
    buffer_finish(&a->value);
    buffer_finish(&a->piece);
    free(a);
    return true;
}

bool aggregator_is_active(const struct aggregator *a)
{
    return atomic_load(&a->active);
}
