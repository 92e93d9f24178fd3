/* From the consumer's queue through the backlog into the pipeline. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

static size_t take(struct lane *l, int wait_ms, size_t most)
{
    ssize_t n = rd_kafka_consume_batch_queue(l->queue, wait_ms, l->backlog + l->backlog_count, most);
    l->backlog_count += n > 0 ? (size_t)n : 0;
    return n > 0 ? (size_t)n : 0;
}

/* Takes what is there, at most BATCH_MAX messages, and serves the callbacks.  It waits for the first message alone (for
 * more the library would wait until they are all there), and before it looks for what is there: a call that does not wait
 * would swallow the writer's wake-up. */
void lane_poll(struct lane *l, int wait_ms)
{
    size_t room = BACKLOG_MAX - l->backlog_count;
    if (!room) {
        usleep(10000); /* cannot be: reading is paused long before */
        return;
    }
    room = room < BATCH_MAX ? room : BATCH_MAX;
    if (wait_ms > 0 && (!take(l, wait_ms, 1) || !--room))
        return;
    take(l, 0, room);
}

static int message_error(struct lane *l, const rd_kafka_message_t *m, struct err *err)
{
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        return err_set(err, "partition %d of %s: the next offset is no longer in the log (%s); records were deleted before they were read, or the topic was created anew", m->partition, l->o.config->input.topic, rd_kafka_message_errstr(m));
    if (m->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || m->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        return err_set(err, "input topic %s: %s", l->o.config->input.topic, rd_kafka_message_errstr(m));
    if (m->err != RD_KAFKA_RESP_ERR__FATAL) /* the loop asks for those */
        log_warning("consumer: %s", rd_kafka_message_errstr(m));
    return 0;
}

static void fill_record(struct record *record, const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp = rd_kafka_message_timestamp(m, &type);
    *record = (struct record){.partition = m->partition, .offset = m->offset, .timestamp_ms = timestamp < 0 ? 0 : timestamp, .key = m->key, .key_size = m->key_len,
        .value = m->payload, .value_size = m->len, .message = m};
}

/* Moves the messages of the first message's partition, on one side of its suppression border, into the batch. */
static struct lane_partition *gather(struct lane *l, size_t from, bool taken[BACKLOG_MAX], uint16_t index[BATCH_MAX], struct pipeline **pipeline)
{
    int32_t id = l->backlog[from]->partition;
    struct lane_partition *p = lane_find_partition(l, id);
    struct batch *b = NULL;
    for (size_t i = from; i < l->backlog_count && (!b || b->count < BATCH_MAX); i++) {
        const rd_kafka_message_t *m = l->backlog[i];
        if (taken[i] || m->partition != id || m->err)
            continue;
        if (!p || p->reread || m->offset < p->state.next_offset) { /* not ours any more, or read again */
            taken[i] = true;
            continue;
        }
        if (!b) {
            *pipeline = lane_pipeline(l, p, m->offset);
            b = pipeline_batch(*pipeline);
            b->count = 0;
        }
        if (b->count && (b->records[0].offset < p->state.suppress_below) != (m->offset < p->state.suppress_below))
            break;
        fill_record(&b->records[b->count], m);
        index[b->count++] = (uint16_t)i;
        taken[i] = true;
    }
    return b ? p : NULL;
}

void lane_pause_restoring(struct lane *l)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (size_t i = 0; i < l->partition_count; i++)
        if (l->partitions[i].restore.stage == RESTORE_CHANGELOG || l->partitions[i].waits)
            rd_kafka_topic_partition_list_add(list, l->o.config->input.topic, l->partitions[i].state.id);
    rd_kafka_pause_partitions(l->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void lane_pause_all(struct lane *l, bool pause)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(l->consumer, &list))
        return;
    if (pause)
        rd_kafka_pause_partitions(l->consumer, list);
    else
        rd_kafka_resume_partitions(l->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!pause)
        lane_pause_restoring(l);
}

static void registry_is_away(struct lane *l, const struct err *err)
{
    if (!l->registry_backoff_ms) {
        log_warning("schema registry: %s; the lane waits for it", err->msg);
        lane_pause_all(l, true);
    }
    l->registry_backoff_ms = l->registry_backoff_ms ? l->registry_backoff_ms * 2 : 250;
    if (l->registry_backoff_ms > REGISTRY_BACKOFF_MS_MAX)
        l->registry_backoff_ms = REGISTRY_BACKOFF_MS_MAX;
    l->registry_retry_ns = clock_monotonic_ns() + (int64_t)l->registry_backoff_ms * 1000000;
}

/* Processes one gathered batch.  Returns the number of records done, or -1. */
static int process(struct lane *l, struct lane_partition *p, struct pipeline *pipeline, struct err *err)
{
    struct batch *b = pipeline_batch(pipeline);
    size_t count = b->count;
    int64_t began = clock_monotonic_ns(), bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += (int64_t)(b->records[i].key_size + b->records[i].value_size);
    if (p->restore.active && b->records[0].offset >= p->state.suppress_below) {
        if (lane_finish_restore(l, p, err) < 0)
            return -1;
        if (p->restore.active)
            return (int)count; /* from the input, then: they come again */
    }
    bool suppressed = b->records[0].offset < p->state.suppress_below;
    if (p->grown && !suppressed && lane_note_growth(l, p, err) < 0)
        return -1;
    struct err away = {0};
    if (!suppressed)
        lane_judge_lag(l, p, b->records[count - 1].offset);
    int done = pipeline_process(pipeline, &p->state, &l->sink, &away);
    if (done < 0) {
        *err = away;
        return -1;
    }
    if ((size_t)done < count)
        registry_is_away(l, &away);
    if (p->checkpoint && p->checkpoint->failed) {
        *err = p->checkpoint->err;
        return -1;
    }
    if (done > 0 && !suppressed) {
        lane_cover(l, p);
        lane_note_arrivals(l, b->records, (size_t)done, began);
        l->metrics.input_bytes += bytes;
    }
    return done;
}

int lane_process_backlog(struct lane *l, struct err *err)
{
    bool taken[BACKLOG_MAX] = {0};
    uint16_t index[BATCH_MAX];
    int result = 0;
    for (size_t i = 0; result == 0 && i < l->backlog_count; i++) {
        if (taken[i])
            continue;
        if (l->backlog[i]->err) {
            taken[i] = true;
            result = message_error(l, l->backlog[i], err);
            continue;
        }
        struct pipeline *pipeline = NULL;
        struct lane_partition *p = gather(l, i, taken, index, &pipeline);
        if (!p)
            continue;
        size_t count = pipeline_batch(pipeline)->count;
        int done = process(l, p, pipeline, err);
        for (size_t k = done < 0 ? 0 : (size_t)done; k < count; k++)
            taken[index[k]] = false; /* the rest waits, in place */
        result = done < 0 ? -1 : l->registry_retry_ns || !lane_has_room(l) ? 1 : 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < l->backlog_count; i++) {
        if (taken[i])
            rd_kafka_message_destroy(l->backlog[i]);
        else
            l->backlog[kept++] = l->backlog[i];
    }
    l->backlog_count = kept;
    return result < 0 ? -1 : 0;
}
