/* Where the predecessor stood. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/aggregator/aggregator_state.h"
#include "consumer/clock.h"
#include "consumer/kafka/offsets.h"
#include "consumer/log.h"

enum { READ_MS = 10000, FRAMING = 5 };

/* The record at `offset` of the sketches topic; NULL: it is not there. */
static rd_kafka_message_t *read_at(struct aggregator *a, rd_kafka_t *reader, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, a->topics->sketches.name, 0)->offset = offset;
    rd_kafka_resp_err_t code = rd_kafka_assign(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    int64_t until = clock_monotonic_ns() + (int64_t)READ_MS * 1000000;
    while (!code && clock_monotonic_ns() < until && !atomic_load(&a->stop)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, 100);
        if (!m)
            continue;
        if (!m->err && m->offset == offset)
            return m;
        bool gone = (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) || (!m->err && m->offset > offset);
        rd_kafka_message_destroy(m);
        if (gone)
            break;
    }
    return NULL;
}

static int begin(const struct aggregator *a, const rd_kafka_message_t *m, struct sketch_reader *reader, struct err *err)
{
    const uint8_t *data = m->payload;
    uint32_t id = m->len >= FRAMING ? (uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4] : 0;
    if (m->len < FRAMING || data[0] != 0 || id != (uint32_t)a->topics->sketches.schema_id)
        return err_set(err, "it has another schema");
    return sketch_reader_begin(reader, data + FRAMING, m->len - FRAMING, err);
}

/* -1: the window cannot be had back. */
static int restore_window(struct aggregator *a, rd_kafka_t *reader, const struct aggregate_window *window)
{
    const struct sketch_shape *shape = observer_shape(a->observer);
    struct sketch_reader r;
    struct sketch_part part;
    struct err err;
    int more;
    rd_kafka_message_t *m = window->saved < 0 ? NULL : read_at(a, reader, window->saved);
    if (!m || begin(a, m, &r, &err) < 0 || r.shape != sketch_shape_fingerprint(shape)) {
        if (m)
            rd_kafka_message_destroy(m);
        return -1;
    }
    struct sketch_cell *cell = aggregate_put_window(a->aggregate, window);
    while (cell && (more = sketch_reader_part(&r, &part, &err)) == 1)
        if (sketch_reader_cell_into(&r, &part, shape, cell, &err) < 0)
            break;
    rd_kafka_message_destroy(m);
    return cell ? 0 : -1;
}

/* Windows in the order of their records, so that reading only goes forward. */
static int by_place(const void *x, const void *y)
{
    int64_t a = ((const struct aggregate_window *)x)->saved, b = ((const struct aggregate_window *)y)->saved;
    return (a > b) - (a < b);
}

static void restore_windows(struct aggregator *a, rd_kafka_t *reader, struct state_windows *windows)
{
    size_t lost = 0;
    if (windows->count)
        qsort(windows->of, windows->count, sizeof *windows->of, by_place);
    for (size_t i = 0; i < windows->count && !atomic_load(&a->stop); i++)
        lost += restore_window(a, reader, &windows->of[i]) < 0;
    if (lost)
        log_warning("monitor: %zu of %zu windows begin anew: the features, the baseline or monitor.window have changed, or their records are gone from %s", lost, windows->count, a->topics->sketches.name);
}

static int restore_state(struct aggregator *a, int64_t offset, struct err *err)
{
    rd_kafka_t *reader = NULL;
    struct sketch_reader r;
    struct sketch_part part;
    struct state_windows windows = {0};
    const void *extra = NULL;
    size_t extra_size = 0;
    if (kafka_plain_consumer(a->config, &reader, err) < 0)
        return -1;
    rd_kafka_message_t *m = read_at(a, reader, offset);
    if (!m) {
        log_warning("monitor: the state at offset %" PRId64 " of %s is gone; windows begin anew", offset, a->topics->sketches.name);
    } else if (begin(a, m, &r, err) < 0 || sketch_reader_part(&r, &part, err) != 0 || sketch_reader_state(&r, err) != 1 ||
               aggregate_state_take(&r, a->aggregate, observer_shape(a->observer), &windows, &extra, &extra_size, err) < 0) {
        log_warning("monitor: the state at offset %" PRId64 " of %s cannot be read (%s); windows begin anew", offset, a->topics->sketches.name, err->msg);
    } else {
        restore_windows(a, reader, &windows);
        if (a->listener.restore)
            a->listener.restore(a->listener.context, extra, extra_size);
        log_info("monitor: took over with %zu windows", aggregate_windows(a->aggregate));
    }
    if (m)
        rd_kafka_message_destroy(m);
    free(windows.of);
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    return 0;
}

static int committed(struct aggregator *a, int64_t *offset, int64_t *state, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, a->topics->sketches.name, 0);
    rd_kafka_resp_err_t code;
    struct attempts attempts = attempts_begin(&a->stop);
    do {
        code = rd_kafka_committed(a->consumer, list, LOOKUP_TIMEOUT_MS);
        code = code ? code : p->err;
    } while (attempts_again(&attempts, code, "the aggregator's offset"));
    char text[64] = "";
    if (!code && p->metadata && p->metadata_size < sizeof text)
        memcpy(text, p->metadata, p->metadata_size);
    *offset = p->offset;
    *state = -1;
    if (*text && sscanf(text, "weir1 S=%" SCNd64, state) != 1)
        *state = -1;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(err, code, "cannot read the aggregator's offset") : 0;
}

int aggregator_recover(struct aggregator *a, struct err *err)
{
    int64_t offset, state, first, end;
    if (committed(a, &offset, &state, err) < 0 || offsets_bounds(a->consumer, &a->stop, a->topics->sketches.name, 0, &first, &end, err) < 0)
        return -1;
    if (offset >= 0 && offset < first)
        log_warning("monitor: %s was deleted up to offset %" PRId64 ", and is read up to %" PRId64 ": what lies between was never looked at", a->topics->sketches.name, first, offset);
    if (offset > end)
        log_warning("monitor: %s ends at offset %" PRId64 ", and was read up to %" PRId64 ": it is another topic, and is read from its beginning", a->topics->sketches.name, end, offset);
    a->position = offset < first || offset > end ? first : offset;
    if (a->listener.restore)
        a->listener.restore(a->listener.context, "", 0);
    return state >= 0 && offset <= end ? restore_state(a, state, err) : 0;
}
