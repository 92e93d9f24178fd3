/* The worker loop of one lane.  lane_turn is one turn of it: rebalance, read, process, commit.
 *
 * What is where: the consumer's callbacks only note what happened; the loop acts on it.  Messages taken but not yet
 * processed wait in the backlog (bounded).  A partition is rebuilt by reading its input again from the first record
 * that can matter, with outputs suppressed up to the committed offset; others of the lane go on meanwhile. */
#include "consumer/lane.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/kafka/client.h"
#include "consumer/kafka/outputs.h"
#include "consumer/kafka/restore.h"
#include "consumer/kafka/writer.h"
#include "consumer/log.h"

enum {
    BACKLOG_MAX = 4 * BATCH_MAX, /* room to poll even while a batch waits for the schema registry */
    WAIT_MS_MAX = 100,
    OUTBOX_BYTES_MAX = 64 << 20, /* commit early rather than hold more */
    REGISTRY_BACKOFF_MS_MAX = 5000,
    FACE_INTERVAL_MS = 500 /* how often an idle lane publishes its counters */
};

struct lane_partition {
    struct partition_state state;
    struct restore restore;
    int64_t committed;
};

/* A rebalance that the callback noted and the loop has not served yet. */
struct rebalance {
    bool pending, assign, lost;
    rd_kafka_topic_partition_list_t *partitions;
};

struct lane {
    struct lane_options o;
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    struct writer_owner owner;
    struct writer *writer;
    struct deployment *deployment;
    struct pipeline *pipeline;
    struct kafka_outputs outputs;
    struct sink sink;
    struct sketch *sketch;
    uint64_t rules;

    struct lane_partition *partitions; /* ours, in order of arrival */
    size_t partition_count;
    struct rebalance rebalance;
    char member[256]; /* the member id that the partitions were assigned to */
    bool revoking, starting_over, closing;
    struct err fatal; /* noted by callbacks: msg set */

    rd_kafka_message_t *backlog[BACKLOG_MAX];
    size_t backlog_count;
    int64_t transaction_began_ns; /* 0: nothing to commit */
    int64_t registry_retry_ns;    /* 0: the registry answers */
    int registry_backoff_ms;

    /* face: what other threads see, under the lock */
    pthread_mutex_t lock;
    struct metrics metrics, published;
    struct lane_partition_status *statuses;
    size_t status_count;
    const char *state;
    bool joined, ready;
    int64_t published_ns;
};

/* ---- partitions ---- */

static struct lane_partition *find_partition(struct lane *l, int32_t id)
{
    for (size_t i = 0; i < l->partition_count; i++)
        if (l->partitions[i].state.id == id)
            return &l->partitions[i];
    return NULL;
}

static void forget_partition(struct lane *l, int32_t id)
{
    struct lane_partition *p = find_partition(l, id);
    if (!p)
        return;
    partition_state_finish(&p->state);
    *p = l->partitions[--l->partition_count];
    metrics_drop_partition(&l->metrics, id);
    sketch_drop(l->sketch, id);
    observer_forget(l->o.observer, id);
    size_t kept = 0;
    for (size_t i = 0; i < l->backlog_count; i++) {
        if (l->backlog[i]->partition == id)
            rd_kafka_message_destroy(l->backlog[i]);
        else
            l->backlog[kept++] = l->backlog[i];
    }
    l->backlog_count = kept;
}

static int add_partition(struct lane *l, int32_t id, const struct committed *committed, int64_t *start, struct err *err)
{
    assert(!find_partition(l, id));
    l->partitions = realloc(l->partitions, (l->partition_count + 1) * sizeof *l->partitions);
    assert(l->partitions);
    struct lane_partition *p = &l->partitions[l->partition_count];
    *p = (struct lane_partition){.committed = committed->offset};
    if (partition_state_init(&p->state, l->o.config, id) < 0)
        return err_set(err, "memory is short for partition %d", id);
    if (restore_begin(&p->restore, l->consumer, l->o.stop, l->o.config, l->rules, committed, &p->state, err) < 0) {
        partition_state_finish(&p->state);
        return -1;
    }
    *start = p->state.next_offset;
    l->partition_count++;
    return 0;
}

/* ---- the face ---- */

static void publish_face(struct lane *l)
{
    int64_t entities = 0, events = 0, bytes = 0;
    bool restoring = false;
    pthread_mutex_lock(&l->lock);
    l->statuses = realloc(l->statuses, (l->partition_count + 1) * sizeof *l->statuses);
    assert(l->statuses);
    l->status_count = l->partition_count;
    for (size_t i = 0; i < l->partition_count; i++) {
        const struct lane_partition *p = &l->partitions[i];
        struct window_counts counts = windows_count(p->state.windows);
        int64_t low, high = -1;
        if (rd_kafka_get_watermark_offsets(l->consumer, l->o.config->input.topic, p->state.id, &low, &high) || high < 0)
            high = -1;
        entities += (int64_t)counts.entities;
        events += (int64_t)counts.events;
        bytes += (int64_t)counts.bytes;
        restoring = restoring || p->restore.active;
        l->statuses[i] = (struct lane_partition_status){.partition = p->state.id, .position = p->state.next_offset, .committed = p->committed,
            .end_offset = high, .restore_from = p->restore.from, .restore_to = p->restore.active ? p->state.suppress_below : p->restore.from,
            .stream_time_ms = windows_stream_time(p->state.windows), .history_complete = windows_history_start(p->state.windows) == TIME_UNKNOWN};
        metrics_set_partition(&l->metrics, (struct partition_health){p->state.id, l->statuses[i].stream_time_ms, p->state.next_offset, high});
    }
    l->metrics.entities = entities;
    l->metrics.retained_events = events;
    l->metrics.state_bytes = bytes;
    l->ready = l->joined && !restoring;
    l->state = !l->joined ? "joining" : l->registry_retry_ns ? "waiting for the schema registry" : restoring ? "rebuilding" : "working";
    metrics_copy(&l->published, &l->metrics);
    pthread_mutex_unlock(&l->lock);
    l->published_ns = clock_monotonic_ns();
}

/* ---- committing ---- */

static void cover(struct lane *l, const struct lane_partition *p)
{
    writer_cover(l->writer, (struct writer_part){.partition = p->state.id, .next_offset = p->state.next_offset, .metadata = restore_metadata(&p->restore, &p->state, l->rules)});
    if (!l->transaction_began_ns)
        l->transaction_began_ns = clock_monotonic_ns();
}

static int commit(struct lane *l, struct err *err)
{
    int64_t began = clock_monotonic_ns();
    l->transaction_began_ns = 0;
    if (!writer_has_work(l->writer))
        return 0;
    if (writer_commit(l->writer, err) < 0)
        return -1;
    int64_t done = clock_monotonic_ns();
    for (size_t i = 0; i < l->partition_count; i++)
        if (l->partitions[i].state.next_offset > l->partitions[i].state.suppress_below)
            l->partitions[i].committed = l->partitions[i].state.next_offset;
    metrics_add_sketch(&l->metrics, l->sketch);
    observer_merge(l->o.observer, l->sketch, clock_wall_ms());
    sketch_reset(l->sketch);
    struct writer_counts counts = writer_count(l->writer);
    l->metrics.commits = counts.commits;
    l->metrics.aborts = counts.aborts;
    histogram_observe(&l->metrics.commit_seconds, done - began, 1);
    publish_face(l);
    return 0;
}

/* ---- rebalance ---- */

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct lane *l = opaque;
    if (l->closing) { /* consumer_close waits for it; everything is committed and dropped already */
        rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, partitions));
        return;
    }
    assert(!l->rebalance.pending);
    l->rebalance = (struct rebalance){.pending = true, .assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, .lost = rd_kafka_assignment_lost(rk),
        .partitions = rd_kafka_topic_partition_list_copy(partitions)};
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct lane *l = opaque;
    char why[512];
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(rk, why, sizeof why);
        err_set(&l->fatal, "consumer of lane %d: %s (%s)%s", l->o.index, why, rd_kafka_err2name(fatal),
            fatal == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ? ": another process runs as this instance; set `instance` to different names" : "");
    } else {
        kafka_log_error("consumer", code, reason);
    }
}

static void log_partitions(const struct lane *l, const char *verb, const rd_kafka_topic_partition_list_t *list)
{
    char text[1024];
    size_t n = 0;
    for (int i = 0; i < list->cnt && n + 16 < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", i ? "," : "", list->elems[i].partition);
    log_info("lane %d: %s partitions %s", l->o.index, verb, list->cnt ? text : "none");
}

static void read_member(const struct lane *l, char member[sizeof l->member])
{
    char *id = rd_kafka_memberid(l->consumer);
    snprintf(member, sizeof l->member, "%s", id ? id : "");
    if (id)
        rd_kafka_mem_free(l->consumer, id);
}

static void drop_all(struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++)
        writer_drop(l->writer, l->partitions[i].state.id);
    while (l->partition_count)
        forget_partition(l, l->partitions[0].state.id);
}

static int prepare_partitions(struct lane *l, rd_kafka_topic_partition_list_t *list, struct err *err)
{
    size_t count = (size_t)list->cnt;
    int32_t *ids = calloc(count + 1, sizeof *ids);
    struct committed *committed = calloc(count + 1, sizeof *committed);
    assert(ids && committed);
    for (size_t i = 0; i < count; i++)
        ids[i] = list->elems[i].partition;
    int result = count ? offsets_committed(l->consumer, l->o.stop, l->o.config->input.topic, ids, count, committed, err) : 0;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = add_partition(l, ids[i], &committed[i], &list->elems[i].offset, err);
    free(ids);
    free(committed);
    return result;
}

/* Our own transaction is committed first: looking offsets up may take longer than it may stay open. */
static int take_partitions(struct lane *l, rd_kafka_topic_partition_list_t *list, struct err *err)
{
    int result = commit(l, err);
    if (result == 0)
        result = prepare_partitions(l, list, err);
    if (kafka_take_error(rd_kafka_incremental_assign(l->consumer, list), "assign partitions", result < 0 ? NULL : err) != REMEDY_NONE)
        result = -1;
    if (l->registry_retry_ns)
        rd_kafka_pause_partitions(l->consumer, list);
    read_member(l, l->member);
    l->joined = true;
    return result;
}

/* Still a member: what is processed is committed first.  The library waits for the unassign call, whatever happens. */
static int give_partitions(struct lane *l, rd_kafka_topic_partition_list_t *list, bool lost, struct err *err)
{
    l->revoking = true;
    int result = lost ? 0 : commit(l, err);
    l->revoking = false;
    for (int i = 0; i < list->cnt; i++) {
        writer_drop(l->writer, list->elems[i].partition);
        forget_partition(l, list->elems[i].partition);
    }
    rd_kafka_resume_partitions(l->consumer, list); /* a pause would outlive the assignment */
    if (kafka_take_error(rd_kafka_incremental_unassign(l->consumer, list), "unassign partitions", result < 0 ? NULL : err) != REMEDY_NONE)
        result = -1;
    if (lost)
        l->joined = false;
    if (result == 0 && !l->partition_count) /* an open transaction of what was dropped is taken back now */
        result = commit(l, err);
    return result;
}

static int serve_rebalance(struct lane *l, struct err *err)
{
    if (!l->rebalance.pending)
        return 0;
    struct rebalance r = l->rebalance;
    l->rebalance = (struct rebalance){0};
    l->metrics.rebalances++;
    log_partitions(l, r.assign ? "takes" : r.lost ? "lost" : "gives up", r.partitions);
    int result = r.assign ? take_partitions(l, r.partitions, err) : give_partitions(l, r.partitions, r.lost, err);
    rd_kafka_topic_partition_list_destroy(r.partitions);
    publish_face(l);
    return result;
}

/* ---- reading ---- */

/* Takes what is there, at most BATCH_MAX messages, and serves the callbacks. */
static void poll_messages(struct lane *l, int wait_ms)
{
    size_t room = BACKLOG_MAX - l->backlog_count;
    if (!room) {
        usleep(10000); /* cannot be: reading is paused long before */
        return;
    }
    ssize_t n = rd_kafka_consume_batch_queue(l->queue, 0, l->backlog + l->backlog_count, room < BATCH_MAX ? room : BATCH_MAX);
    if (n == 0 && wait_ms > 0)
        n = rd_kafka_consume_batch_queue(l->queue, wait_ms, l->backlog + l->backlog_count, 1);
    if (n > 0)
        l->backlog_count += (size_t)n;
}

/* The group took us for dead and let us in again as somebody else: others may have gone on with our partitions in the
 * meantime, and the library tells us nothing of those that we keep.  Everything is given up and joined anew. */
static void start_over(struct lane *l)
{
    log_warning("lane %d: the group has taken this member for dead; joining anew", l->o.index);
    drop_all(l);
    rd_kafka_unsubscribe(l->consumer);
    l->starting_over = true;
    l->joined = false;
}

/* The writer's view of the group, in the middle of a commit: a lost assignment drops its partitions at once; a revoke
 * waits until this commit, which is its own, is done. */
static enum membership serve_membership(void *context)
{
    struct lane *l = context;
    char member[sizeof l->member];
    poll_messages(l, 0);
    if (rd_kafka_assignment_lost(l->consumer) || (l->rebalance.pending && l->rebalance.lost)) {
        drop_all(l);
        return MEMBER_LOST; /* the loop answers the rebalance */
    }
    read_member(l, member);
    if (!strcmp(member, l->member))
        return MEMBER_OK;
    if (!*member && !l->revoking && !l->rebalance.pending)
        return MEMBER_WAIT; /* while the library waits for our answer to a rebalance, waiting would be for ever */
    if (!l->starting_over)
        start_over(l);
    return MEMBER_LOST;
}

static int message_error(struct lane *l, const rd_kafka_message_t *m, struct err *err)
{
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        return err_set(err, "partition %d of %s: the next offset is no longer in the log (%s); records were deleted before they were read", m->partition, l->o.config->input.topic, rd_kafka_message_errstr(m));
    if (m->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || m->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        return err_set(err, "input topic %s: %s", l->o.config->input.topic, rd_kafka_message_errstr(m));
    log_warning("consumer: %s", rd_kafka_message_errstr(m));
    return 0;
}

/* ---- processing ---- */

static void fill_record(struct record *record, const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp = rd_kafka_message_timestamp(m, &type);
    *record = (struct record){.partition = m->partition, .offset = m->offset, .timestamp_ms = timestamp < 0 ? 0 : timestamp, .key = m->key, .key_size = m->key_len,
        .value = m->payload, .value_size = m->len, .message = m};
}

/* Moves the messages of the first message's partition, on one side of its suppression border, into the batch. */
static struct lane_partition *gather(struct lane *l, size_t from, bool taken[BACKLOG_MAX], uint16_t index[BATCH_MAX])
{
    struct batch *b = pipeline_batch(l->pipeline);
    int32_t id = l->backlog[from]->partition;
    struct lane_partition *p = find_partition(l, id);
    b->count = 0;
    for (size_t i = from; i < l->backlog_count && b->count < BATCH_MAX; i++) {
        const rd_kafka_message_t *m = l->backlog[i];
        if (taken[i] || m->partition != id || m->err)
            continue;
        if (!p || m->offset < p->state.next_offset) { /* not ours any more, or read again */
            taken[i] = true;
            continue;
        }
        if (b->count && (b->records[0].offset < p->state.suppress_below) != (m->offset < p->state.suppress_below))
            break;
        fill_record(&b->records[b->count], m);
        index[b->count++] = (uint16_t)i;
        taken[i] = true;
    }
    return b->count ? p : NULL;
}

static void pause_all(struct lane *l, bool pause)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(l->consumer, &list))
        return;
    if (pause)
        rd_kafka_pause_partitions(l->consumer, list);
    else
        rd_kafka_resume_partitions(l->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void registry_is_away(struct lane *l, const struct err *err)
{
    if (!l->registry_backoff_ms) {
        log_warning("schema registry: %s; the lane waits for it", err->msg);
        pause_all(l, true);
    }
    l->registry_backoff_ms = l->registry_backoff_ms ? l->registry_backoff_ms * 2 : 250;
    if (l->registry_backoff_ms > REGISTRY_BACKOFF_MS_MAX)
        l->registry_backoff_ms = REGISTRY_BACKOFF_MS_MAX;
    l->registry_retry_ns = clock_monotonic_ns() + (int64_t)l->registry_backoff_ms * 1000000;
}

/* Processes one gathered batch.  Returns the number of records done, or -1. */
static int process(struct lane *l, struct lane_partition *p, struct err *err)
{
    struct batch *b = pipeline_batch(l->pipeline);
    size_t count = b->count;
    int64_t began = clock_monotonic_ns(), bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += (int64_t)(b->records[i].key_size + b->records[i].value_size);
    if (p->restore.active && b->records[0].offset >= p->state.suppress_below)
        restore_finish(&p->restore, &p->state, l->rules);
    bool suppressed = b->records[0].offset < p->state.suppress_below;
    struct err away = {0};
    int done = pipeline_process(l->pipeline, &p->state, &l->sink, &away);
    if (done < 0) {
        *err = away;
        return -1;
    }
    if ((size_t)done < count)
        registry_is_away(l, &away);
    if (done > 0 && !suppressed) {
        cover(l, p);
        l->metrics.input_bytes += bytes;
        histogram_observe(&l->metrics.latency_seconds, (clock_monotonic_ns() - began) / done, done);
    }
    return done;
}

static int process_backlog(struct lane *l, struct err *err)
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
        struct lane_partition *p = gather(l, i, taken, index);
        if (!p)
            continue;
        size_t count = pipeline_batch(l->pipeline)->count;
        int done = process(l, p, err);
        for (size_t k = done < 0 ? 0 : (size_t)done; k < count; k++)
            taken[index[k]] = false; /* the rest waits, in place */
        result = done < 0 ? -1 : l->registry_retry_ns || writer_bytes(l->writer) >= OUTBOX_BYTES_MAX ? 1 : 0;
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

/* Partitions whose rebuild ended at a control record rather than before a message. */
static void finish_idle_restores(struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++) {
        struct lane_partition *p = &l->partitions[i];
        if (!p->restore.active || l->backlog_count)
            continue;
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, l->o.config->input.topic, p->state.id);
        bool there = p->state.next_offset >= p->state.suppress_below ||
                     (!rd_kafka_position(l->consumer, list) && list->elems[0].offset >= p->state.suppress_below);
        rd_kafka_topic_partition_list_destroy(list);
        if (there)
            restore_finish(&p->restore, &p->state, l->rules);
    }
}

/* ---- the loop ---- */

static bool commit_is_due(const struct lane *l)
{
    return l->transaction_began_ns && (clock_monotonic_ns() - l->transaction_began_ns >= l->o.config->commit_interval_ms * 1000000 || writer_bytes(l->writer) >= OUTBOX_BYTES_MAX);
}

static int wait_ms(const struct lane *l)
{
    int64_t wait = WAIT_MS_MAX;
    if (l->transaction_began_ns) {
        int64_t left = l->o.config->commit_interval_ms - (clock_monotonic_ns() - l->transaction_began_ns) / 1000000;
        wait = left < wait ? left : wait;
    }
    return wait > 0 ? (int)wait : 0;
}

/* While the schema registry is away nothing is read; the group is still served. */
static bool registry_answers(struct lane *l)
{
    if (!l->registry_retry_ns)
        return true;
    if (clock_monotonic_ns() < l->registry_retry_ns)
        return false;
    l->registry_retry_ns = 0;
    return true;
}

static int join(struct lane *l, struct err *err)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, l->o.config->input.topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(l->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code ? kafka_err(err, code, "subscribe to the input topic") : 0;
}

/* After start_over: subscribes again once the old assignment has been handed back. */
static int join_again(struct lane *l, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(l->consumer, &list))
        return 0;
    bool back = list->cnt == 0;
    rd_kafka_topic_partition_list_destroy(list);
    if (!back)
        return 0;
    l->starting_over = false;
    return join(l, err);
}

static int lane_turn(struct lane *l, struct err *err)
{
    if (serve_rebalance(l, err) < 0 || (l->starting_over && join_again(l, err) < 0))
        return -1;
    if (l->backlog_count < BATCH_MAX || l->registry_retry_ns)
        poll_messages(l, l->backlog_count ? 0 : wait_ms(l));
    if (l->fatal.msg[0]) {
        *err = l->fatal;
        return -1;
    }
    if (l->rebalance.pending && l->rebalance.lost)
        return 0; /* served before anything else is touched */
    if (registry_answers(l)) {
        bool was_away = l->registry_backoff_ms > 0;
        if (!sketch_has_room(l->sketch, l->backlog_count) && commit(l, err) < 0)
            return -1;
        if (process_backlog(l, err) < 0)
            return -1;
        if (was_away && !l->registry_retry_ns) {
            l->registry_backoff_ms = 0;
            pause_all(l, false);
            log_info("schema registry: answers again");
        }
    } else if (l->backlog_count) {
        poll_messages(l, 50);
    }
    finish_idle_restores(l);
    if (commit_is_due(l) && commit(l, err) < 0)
        return -1;
    if (clock_monotonic_ns() - l->published_ns > (int64_t)FACE_INTERVAL_MS * 1000000)
        publish_face(l);
    return 0;
}

static void leave(struct lane *l)
{
    l->closing = true;
    if (l->rebalance.pending) {
        rd_kafka_error_destroy(l->rebalance.assign ? rd_kafka_incremental_assign(l->consumer, l->rebalance.partitions) : rd_kafka_incremental_unassign(l->consumer, l->rebalance.partitions));
        rd_kafka_topic_partition_list_destroy(l->rebalance.partitions);
        l->rebalance = (struct rebalance){0};
    }
    for (size_t i = 0; i < l->backlog_count; i++)
        rd_kafka_message_destroy(l->backlog[i]);
    l->backlog_count = 0;
    rd_kafka_consumer_close(l->consumer);
}

int lane_run(struct lane *l, struct err *err)
{
    int result = join(l, err);
    while (result == 0 && !atomic_load(l->o.stop))
        result = lane_turn(l, err);
    if (result == 0 && commit(l, err) < 0)
        log_warning("lane %d: stopped with records processed and not committed; they will be processed again (%s)", l->o.index, err->msg);
    publish_face(l);
    leave(l);
    pthread_mutex_lock(&l->lock);
    l->ready = false;
    l->state = "stopped";
    pthread_mutex_unlock(&l->lock);
    return result;
}

/* ---- making and breaking ---- */

int lane_create(const struct lane_options *options, struct lane **out, struct err *err)
{
    struct lane *l = calloc(1, sizeof *l);
    assert(l);
    l->o = *options;
    l->rules = rules_hash(options->config);
    l->state = "starting";
    pthread_mutex_init(&l->lock, NULL);
    const struct sketch_shape *shape = observer_shape(options->observer);
    l->sketch = sketch_create(shape);
    assert(l->sketch && metrics_init(&l->metrics, shape) == 0 && metrics_init(&l->published, shape) == 0);
    struct kafka_consumer_callbacks callbacks = {on_rebalance, on_error, l};
    if (deployment_create(options->config, &l->deployment, err) < 0 ||
        pipeline_create(options->config, l->deployment, options->registry, &l->pipeline, err) < 0 ||
        kafka_group_consumer(options->config, (struct kafka_identity){options->instance, options->index}, &callbacks, &l->consumer, err) < 0)
        goto fail;
    l->queue = rd_kafka_queue_get_consumer(l->consumer);
    l->owner = (struct writer_owner){l, l->consumer, l->o.stop, serve_membership};
    if (writer_create(options->config, topics_sizes(options->topics), options->instance, options->index, &l->owner, &l->writer, err) < 0)
        goto fail;
    pipeline_set_sketch(l->pipeline, l->sketch);
    l->outputs = (struct kafka_outputs){options->config, options->topics, l->writer};
    l->sink = kafka_sink(&l->outputs);
    *out = l;
    return 0;
fail:
    lane_destroy(l);
    return -1;
}

void lane_destroy(struct lane *l)
{
    if (!l)
        return;
    writer_destroy(l->writer);
    for (size_t i = 0; i < l->partition_count; i++)
        partition_state_finish(&l->partitions[i].state);
    free(l->partitions);
    free(l->statuses);
    if (l->queue)
        rd_kafka_queue_destroy(l->queue);
    if (l->consumer)
        rd_kafka_destroy(l->consumer);
    pipeline_destroy(l->pipeline);
    deployment_destroy(l->deployment);
    sketch_destroy(l->sketch);
    metrics_finish(&l->metrics);
    metrics_finish(&l->published);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

bool lane_ready(struct lane *l)
{
    pthread_mutex_lock(&l->lock);
    bool ready = l->ready;
    pthread_mutex_unlock(&l->lock);
    return ready;
}

void lane_metrics(struct lane *l, struct metrics *into)
{
    pthread_mutex_lock(&l->lock);
    metrics_merge(into, &l->published);
    pthread_mutex_unlock(&l->lock);
}

size_t lane_partitions(struct lane *l, struct lane_partition_status *out, size_t max)
{
    pthread_mutex_lock(&l->lock);
    size_t n = l->status_count < max ? l->status_count : max;
    if (n)
        memcpy(out, l->statuses, n * sizeof *out);
    pthread_mutex_unlock(&l->lock);
    return n;
}

const char *lane_state(struct lane *l)
{
    pthread_mutex_lock(&l->lock);
    const char *state = l->state;
    pthread_mutex_unlock(&l->lock);
    return state;
}

const struct deployment *lane_deployment(const struct lane *l)
{
    return l->deployment;
}
