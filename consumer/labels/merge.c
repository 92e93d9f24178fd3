#include "consumer/labels/merge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/kafka/client.h"
#include "consumer/log.h"

enum { SEEK_MS = 10000, AWAY_NS = 1000000000 };

struct stream {
    struct merge_stream face;
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *messages[MERGE_BATCH];
    size_t count, at;
    bool has_head;        /* the message at `at` is read: */
    struct merged head;
    int64_t head_ms;      /* at which it comes out */
    int64_t last_ns;      /* when the last record came */
};

struct merge {
    rd_kafka_t *consumer;
    struct record_reader *reader;
    struct stream *streams;
    size_t count;
    struct stream *current; /* what came out lately, to be passed at the next call */
    struct stream *run;     /* may go on without a look at the others, up to: */
    int64_t run_until_ms;
    int64_t away_until_ns; /* the registry did not answer: not asked before */
};

/* ---- one stream ---- */

static void release(struct stream *s)
{
    for (size_t i = 0; i < s->count; i++)
        rd_kafka_message_destroy(s->messages[i]);
    s->count = s->at = 0;
}

static int look_at(struct stream *s, struct merge *m, struct err *err)
{
    const rd_kafka_message_t *message = s->messages[s->at];
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        s->face.at_end = true;
        s->at++;
        return 0;
    }
    if (message->err)
        return err_set(err, "partition %d of %s: %s", s->face.of.partition, s->face.of.topic, rd_kafka_message_errstr(message));
    s->head = (struct merged){.stream = &s->face, .offset = message->offset};
    s->head.answer = record_read(m->reader, s->face.of.kind, message, &s->head.record, &s->head.why);
    if (s->head.answer == RECORD_AWAY) {
        if (!m->away_until_ns)
            log_warning("labels: the schema registry does not answer; waiting for it");
        m->away_until_ns = clock_monotonic_ns() + AWAY_NS;
        return 0;
    }
    s->head_ms = s->head.answer == RECORD_READ && s->head.record.time_ms > s->face.time_ms ? s->head.record.time_ms : s->face.time_ms;
    m->away_until_ns = 0;
    s->has_head = true;
    s->face.at_end = false;
    s->last_ns = clock_monotonic_ns();
    return 0;
}

/* Makes sure that the stream has its first record at hand, if there is one. */
static int load(struct stream *s, struct merge *m, struct err *err)
{
    while (!s->has_head) {
        if (s->at == s->count) {
            release(s);
            ssize_t n = rd_kafka_consume_batch_queue(s->queue, 0, s->messages, MERGE_BATCH);
            if (n < 0)
                return err_set(err, "cannot read partition %d of %s", s->face.of.partition, s->face.of.topic);
            if (n == 0)
                return 0;
            s->count = (size_t)n;
        }
        if (m->away_until_ns && clock_monotonic_ns() < m->away_until_ns)
            return 0;
        size_t before = s->at;
        if (look_at(s, m, err) < 0)
            return -1;
        if (!s->has_head && s->at == before)
            return 0; /* the registry is away */
    }
    return 0;
}

static bool may_bring_earlier(const struct stream *s, const struct stream *than, int64_t now_ns)
{
    if (s->has_head || s->face.time_ms >= than->head_ms)
        return false;
    if (!s->face.at_end || s->at < s->count)
        return true;
    bool hold = than->face.of.kind == JUDGED_LABEL && s->face.of.kind != JUDGED_LABEL;
    return hold && now_ns - s->last_ns < (int64_t)MERGE_PATIENCE_MS * 1000000;
}

/* ---- all of them ---- */

static bool before(const struct stream *a, const struct stream *b)
{
    return a->head_ms != b->head_ms ? a->head_ms < b->head_ms : a->face.of.kind < b->face.of.kind;
}

static struct stream *earliest(struct merge *m, struct err *err, int *result)
{
    struct stream *best = NULL;
    for (size_t i = 0; i < m->count; i++) {
        struct stream *s = &m->streams[i];
        if (load(s, m, err) < 0) {
            *result = -1;
            return NULL;
        }
        if (s->has_head && (!best || before(s, best)))
            best = s;
    }
    return best;
}

/* The stream's records below that time come before all others. */
static int64_t run_of(const struct merge *m, const struct stream *best)
{
    int64_t until = INT64_MAX;
    for (size_t i = 0; i < m->count; i++) {
        const struct stream *s = &m->streams[i];
        int64_t bound = s->has_head ? s->head_ms : s->face.time_ms;
        if (s != best && bound < until)
            until = bound;
    }
    return until;
}

static void pass(struct merge *m)
{
    struct stream *s = m->current;
    if (!s)
        return;
    s->face.time_ms = s->head_ms;
    s->face.position = s->head.offset + 1;
    s->has_head = false;
    s->at++;
    m->current = NULL;
}

static int give(struct merge *m, struct stream *s, struct merged *out)
{
    m->current = s;
    *out = s->head;
    return 1;
}

/* Callbacks of the consumer; its common queue has nothing but what was fetched before merge_open took the queues apart. */
static void serve(struct merge *m)
{
    rd_kafka_message_t *stray = rd_kafka_consumer_poll(m->consumer, 0);
    if (stray)
        rd_kafka_message_destroy(stray);
}

int merge_next(struct merge *m, struct merged *out, struct err *err)
{
    int result = 0;
    pass(m);
    if (m->run) {
        if (load(m->run, m, err) < 0)
            return -1;
        if (m->run->has_head && m->run->head_ms < m->run_until_ms)
            return give(m, m->run, out);
        m->run = NULL;
    }
    struct stream *best = earliest(m, err, &result);
    if (!best) {
        serve(m);
        return result;
    }
    int64_t now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < m->count; i++)
        if (may_bring_earlier(&m->streams[i], best, now_ns))
            return 0;
    m->run = best;
    m->run_until_ms = run_of(m, best);
    return give(m, best, out);
}

const struct merge_stream *merge_stream(const struct merge *m, size_t i)
{
    return &m->streams[i].face;
}

/* ---- opening ---- */

/* Assigning forwards the partitions' queues to the common one: they are taken back, and what went there meanwhile is
 * fetched again. */
static int assign(struct merge *m, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)m->count);
    for (size_t i = 0; i < m->count; i++) {
        const struct merge_partition *p = &m->streams[i].face.of;
        rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = p->from;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(m->consumer, list);
    for (size_t i = 0; !code && i < m->count; i++) {
        struct stream *s = &m->streams[i];
        s->queue = rd_kafka_queue_get_partition(m->consumer, s->face.of.topic, s->face.of.partition);
        rd_kafka_queue_forward(s->queue, NULL);
    }
    int result = code ? kafka_err(err, code, "assign") : 0;
    if (!code && kafka_take_error(rd_kafka_seek_partitions(m->consumer, list, SEEK_MS), "seek", err) != REMEDY_NONE)
        result = -1;
    for (int i = 0; result == 0 && i < list->cnt; i++)
        if (list->elems[i].err)
            result = kafka_err(err, list->elems[i].err, "seek");
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

int merge_open(const struct config *config, struct record_reader *reader, const struct merge_partition *partitions, size_t count, struct merge **out, struct err *err)
{
    struct merge *m = calloc(1, sizeof *m);
    assert(m);
    m->streams = calloc(count, sizeof *m->streams);
    assert(m->streams);
    m->reader = reader;
    m->count = count;
    for (size_t i = 0; i < count; i++)
        m->streams[i].face = (struct merge_stream){.of = partitions[i], .position = partitions[i].from, .time_ms = INT64_MIN};
    if (kafka_frugal_consumer(config, &m->consumer, err) < 0 || assign(m, err) < 0) {
        merge_close(m);
        return -1;
    }
    *out = m;
    return 0;
}

void merge_close(struct merge *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++) {
        release(&m->streams[i]);
        if (m->streams[i].queue)
            rd_kafka_queue_destroy(m->streams[i].queue);
    }
    if (m->consumer) {
        rd_kafka_consumer_close(m->consumer);
        rd_kafka_destroy(m->consumer);
    }
    free(m->streams);
    free(m);
}
