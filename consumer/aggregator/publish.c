/* The aggregator's transaction. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/aggregator/aggregator_state.h"
#include "consumer/clock.h"
#include "consumer/log.h"
#include "consumer/output.h"

enum { CALL_MS = 2000, ATTEMPTS = 5, FLUSH_MS = 20000, STOP_MS = 1500 /* of any call, once the process is to stop */ };

static bool transactional(const struct aggregator *a)
{
    return a->config->delivery == DELIVERY_EXACTLY_ONCE;
}

static int within(const struct aggregator *a, int ms)
{
    return aggregator_stops(a) && ms > STOP_MS ? STOP_MS : ms;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    kafka_log_error("monitor", code, reason);
}

/* The offset of a record that somebody waits for. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->_private)
        *(int64_t *)message->_private = message->err ? -1 : message->offset;
}

int aggregator_open_producer(struct aggregator *a, struct err *err)
{
    struct kafka_sizes sizes = {.batch_max = a->topics->report_max_message_bytes, .record_max = a->topics->sketches.max_message_bytes};
    struct kafka_producer_callbacks callbacks = {.error = on_error, .delivered = on_delivery, .every_delivery = true};
    if (kafka_producer_within(a->config, sizes, transactional(a) ? a->id : NULL, &callbacks, &a->producer, err) < 0)
        return -1;
    enum kafka_remedy remedy = transactional(a) ? REMEDY_RETRY : REMEDY_NONE;
    while (remedy == REMEDY_RETRY && !aggregator_stops(a))
        remedy = kafka_take_error(rd_kafka_init_transactions(a->producer, STOP_MS), a->id, err);
    return remedy == REMEDY_NONE ? 0 : -1;
}

static void frame(struct buffer *out, int32_t id)
{
    out->size = 0;
    put_bytes_raw(out, (const uint8_t[5]){0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id}, 5);
}

/* offset: where it will lie, once it is delivered; NULL: nobody asks. */
static int produce(struct aggregator *a, const char *topic, int32_t partition, const char *key, int64_t *offset, struct err *err)
{
    for (int64_t began = clock_monotonic_ns();;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(a->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
            RD_KAFKA_V_VALUE(a->value.data, a->value.size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(offset), RD_KAFKA_V_END);
        if (!code)
            return 0;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || clock_monotonic_ns() - began > (int64_t)within(a, FLUSH_MS) * 1000000)
            return kafka_err(err, code, "publish reports");
        rd_kafka_poll(a->producer, 10);
    }
}

static int produce_reports(struct aggregator *a, struct err *err)
{
    for (size_t i = 0; i < a->reports.count; i++) {
        frame(&a->value, a->topics->report_schema_id);
        encode_report(&a->value, &a->reports.rows[i]);
        if (produce(a, a->config->outputs.monitoring, RD_KAFKA_PARTITION_UA, a->reports.rows[i].subject, NULL, err) < 0)
            return -1;
    }
    return 0;
}

static void add_piece(void *context, int32_t partition, const struct buffer *piece)
{
    struct aggregator *a = context;
    (void)partition;
    put_bytes_raw(&a->value, piece->data, piece->size);
}

static int flush(struct aggregator *a, struct err *err)
{
    int64_t began = clock_monotonic_ns();
    rd_kafka_resp_err_t code;
    do
        code = rd_kafka_flush(a->producer, 200);
    while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && clock_monotonic_ns() - began < (int64_t)within(a, FLUSH_MS) * 1000000);
    return code ? kafka_err(err, code, "publish reports") : 0;
}

/* Windows that have changed, as records; offsets: by window, -1 where nothing was written. */
static int produce_windows(struct aggregator *a, int64_t *offsets, struct err *err)
{
    const struct sketch_shape *shape = observer_shape(a->observer);
    for (size_t i = 0; i < aggregate_windows(a->aggregate); i++) {
        const struct sketch_cell *cell;
        offsets[i] = -1;
        if (!aggregate_window_at(a->aggregate, i, &cell).changed)
            continue;
        frame(&a->value, a->topics->sketches.schema_id);
        sketch_record_begin(shape, &a->value);
        sketch_cell_pieces(shape, cell, a->topics->sketches.max_message_bytes, &a->piece, add_piece, a);
        sketch_record_end(&a->value);
        if (produce(a, a->topics->sketches.name, 0, NULL, &offsets[i], err) < 0)
            return -1;
    }
    return flush(a, err);
}

static int produce_state(struct aggregator *a, int64_t *offset, struct err *err)
{
    struct buffer extra = {0};
    if (a->listener.save)
        a->listener.save(a->listener.context, &extra);
    frame(&a->value, a->topics->sketches.schema_id);
    aggregate_state_put(a->aggregate, observer_shape(a->observer), extra.data ? (const void *)extra.data : "", extra.size, &a->value);
    buffer_finish(&extra);
    *offset = -1;
    if (produce(a, a->topics->sketches.name, 0, NULL, offset, err) < 0 || flush(a, err) < 0)
        return -1;
    return *offset < 0 ? err_set(err, "the aggregator's state was refused by topic %s", a->topics->sketches.name) : 0;
}

static enum kafka_remedy send_offset(struct aggregator *a, int64_t state, struct err *err)
{
    char text[64];
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, a->topics->sketches.name, 0);
    p->offset = a->position;
    p->metadata_size = (size_t)snprintf(text, sizeof text, "weir1 S=%" PRId64, state);
    p->metadata = strdup(text);
    assert(p->metadata);
    enum kafka_remedy remedy;
    if (transactional(a)) {
        rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(a->consumer);
        remedy = group && rd_kafka_consumer_group_metadata_generation_id(group) > 0
            ? kafka_take_error(rd_kafka_send_offsets_to_transaction(a->producer, list, group, within(a, CALL_MS)), "send the aggregator's offset", err) : REMEDY_REFRESH;
        if (group)
            rd_kafka_consumer_group_metadata_destroy(group);
    } else {
        rd_kafka_resp_err_t code = rd_kafka_commit(a->consumer, list, 0);
        remedy = code ? kafka_remedy(code, true, false, false) : REMEDY_NONE;
        if (code)
            kafka_err(err, code, "commit the aggregator's offset");
    }
    rd_kafka_topic_partition_list_destroy(list);
    return remedy;
}

static enum kafka_remedy call_again(const struct aggregator *a, rd_kafka_error_t *(*call)(rd_kafka_t *, int), const char *what, struct err *err)
{
    enum kafka_remedy remedy = REMEDY_RETRY;
    for (int i = 0; remedy == REMEDY_RETRY && i < (aggregator_stops(a) ? 1 : 2 * ATTEMPTS); i++)
        remedy = kafka_take_error(call(a->producer, within(a, CALL_MS)), what, err);
    return remedy;
}

static void forget_saved(struct aggregator *a, const int64_t *offsets)
{
    for (size_t i = 0; i < aggregate_windows(a->aggregate); i++)
        if (offsets[i] >= 0)
            aggregate_set_saved(a->aggregate, i, -1);
}

/* One attempt.  REMEDY_NONE: done; REMEDY_ABORT: to be tried again; anything else: by somebody else. */
static enum kafka_remedy attempt(struct aggregator *a, bool state, int64_t *offsets, struct err *err)
{
    enum kafka_remedy remedy = transactional(a) ? kafka_take_error(rd_kafka_begin_transaction(a->producer), "begin a transaction", err) : REMEDY_NONE;
    if (remedy != REMEDY_NONE)
        return REMEDY_RECREATE;
    bool sent = produce_reports(a, err) == 0;
    if (sent && state) {
        sent = produce_windows(a, offsets, err) == 0;
        for (size_t i = 0; sent && i < aggregate_windows(a->aggregate); i++)
            if (offsets[i] >= 0)
                aggregate_set_saved(a->aggregate, i, offsets[i]);
        sent = sent && produce_state(a, &a->state_offset, err) == 0;
    } else if (sent) {
        sent = flush(a, err) == 0;
    }
    if (sent && state)
        remedy = send_offset(a, a->state_offset, err);
    if (sent && remedy == REMEDY_NONE && transactional(a))
        remedy = call_again(a, rd_kafka_commit_transaction, "commit", err);
    if (sent && remedy == REMEDY_NONE)
        return REMEDY_NONE;
    rd_kafka_purge(a->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(a->producer, 200);
    if (state)
        forget_saved(a, offsets);
    if (remedy == REMEDY_STOP || remedy == REMEDY_RECREATE || remedy == REMEDY_REFRESH)
        return remedy;
    if (aggregator_stops(a))
        return REMEDY_RECREATE; /* the next one's init_transactions takes it back */
    return transactional(a) && call_again(a, rd_kafka_abort_transaction, "abort", err) != REMEDY_NONE ? REMEDY_RECREATE : REMEDY_ABORT;
}

/* Whether the listener has added rows or looked at those of labels, so that its state must go with them. */
static bool tell_evaluated(struct aggregator *a)
{
    size_t before = a->reports.count, labelled = a->labelled.rows.count;
    if (a->listener.evaluated && a->evaluated < before)
        a->listener.evaluated(a->listener.context, &a->reports, a->evaluated);
    if (a->listener.labelled && labelled)
        a->listener.labelled(a->listener.context, a->labelled.rows.rows, labelled, &a->reports);
    label_rows_clear(&a->labelled);
    a->evaluated = a->reports.count;
    return a->evaluated > before || labelled;
}

int aggregator_publish(struct aggregator *a, bool state, struct err *err)
{
    if (!a->reports.count && !a->labelled.rows.count && !state)
        return 0;
    state = tell_evaluated(a) || state;
    assert(!state || !a->gathered_ns); /* the positions say that what was gathered is in the windows */
    int64_t *offsets = a->offsets;
    assert(aggregate_windows(a->aggregate) < WINDOWS_MOST);
    enum kafka_remedy remedy = REMEDY_ABORT;
    for (size_t i = 0; i <= aggregate_windows(a->aggregate); i++)
        offsets[i] = -1;
    for (int i = 0; remedy == REMEDY_ABORT && i < (aggregator_stops(a) ? 1 : ATTEMPTS); i++) {
        if (i)
            usleep(100000u << i);
        remedy = attempt(a, state, offsets, err);
    }
    if (remedy != REMEDY_NONE)
        return -1;
    if (a->listener.committed)
        a->listener.committed(a->listener.context);
    report_list_clear(&a->reports);
    a->evaluated = 0;
    if (state) {
        a->unsaved = a->window_rows = false;
        a->saved_ns = clock_monotonic_ns();
    }
    return 0;
}
