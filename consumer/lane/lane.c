/* The worker loop of one lane.  lane_turn is one turn of it: rebalance, read, commit, process. */
#include <assert.h>
#include <stdlib.h>

#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/kafka/client.h"
#include "consumer/kafka/errand.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

enum { FINAL_CHECKPOINT_NS = 2000000000, INQUIRY_END_MS = 400 };

static int wait_ms(const struct lane *l)
{
    int64_t wait = WAIT_MS_MAX;
    if (l->going_count || lane_reads_changelog(l) || (l->checkpoint_runs && l->checkpoint_spent_ns < CHECKPOINT_BUDGET_NS))
        return 0;
    if (writer_has_work(l->writer) && writer_may_end(l->writer)) {
        int64_t left = l->o.config->commit_interval_ms - (clock_monotonic_ns() - l->clock_ns) / 1000000;
        wait = left < wait ? left : wait;
    }
    int idle = writer_idle_ms(l->writer);
    wait = idle < wait ? idle : wait;
    return wait > 0 ? (int)wait : 0;
}

/* The writer's thread has done something: the lane need not wait for messages any longer. */
static void wake(void *context)
{
    struct lane *l = context;
    rd_kafka_queue_yield(l->queue);
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

static int process_backlog(struct lane *l, struct err *err)
{
    bool was_away = l->registry_backoff_ms > 0;
    if (lane_process_backlog(l, err) < 0)
        return -1;
    if (was_away && !l->registry_retry_ns) {
        l->registry_backoff_ms = 0;
        if (!l->held)
            lane_pause_all(l, false);
        log_info("schema registry: answers again");
    }
    return 0;
}

/* Back-pressure: the open transaction is full, and the one before it is not settled.  That is waited for; if it takes
 * long, reading stops, and the group is served meanwhile. */
static void hold(struct lane *l)
{
    int64_t now = clock_monotonic_ns();
    l->full_since_ns = l->full_since_ns ? l->full_since_ns : now;
    if (now - l->full_since_ns < (int64_t)HOLD_MS * 1000000) {
        writer_wait(l->writer, HOLD_MS / 10);
        return;
    }
    if (!l->held)
        lane_pause_all(l, true);
    l->held = true;
    lane_poll(l, wait_ms(l));
}

static void hold_no_longer(struct lane *l)
{
    if (l->held && !l->registry_retry_ns)
        lane_pause_all(l, false);
    l->held = false;
    l->full_since_ns = 0;
}

static int lane_turn(struct lane *l, struct err *err)
{
    if (l->shut_out.code)
        return lane_come_back(l, err);
    if (lane_serve_rebalance(l, err) < 0 || (l->starting_over && lane_join_again(l, err) < 0))
        return -1;
    if (l->backlog_count < BATCH_MAX || l->registry_retry_ns)
        lane_poll(l, l->backlog_count ? 0 : wait_ms(l));
    lane_note_shut_out(l);
    if (l->fatal.msg[0]) {
        *err = l->fatal;
        return -1;
    }
    if (l->shut_out.code || (l->rebalance.pending && l->rebalance.lost))
        return 0; /* served before anything else is touched */
    if (lane_serve_writer(l, err) < 0)
        return -1;
    if (lane_commit_is_due(l))
        lane_end_transaction(l);
    if (!lane_has_room(l))
        hold(l);
    else if (!registry_answers(l))
        lane_poll(l, l->backlog_count ? 50 : 0);
    else if (hold_no_longer(l), lane_take_deployment(l), process_backlog(l, err) < 0)
        return -1;
    if (lane_restore(l, err) < 0 || (lane_has_room(l) && lane_checkpoint(l, err) < 0))
        return -1;
    lane_dissolve(l);
    lane_look_for_orphans(l);
    if (lane_look_for_recreation(l, err) < 0)
        return -1;
    if (clock_monotonic_ns() - l->published_ns > (int64_t)FACE_INTERVAL_MS * 1000000)
        lane_publish_face(l);
    return 0;
}

/* Told to stop: what is done is committed, what is not goes to others. */
static void stop(struct lane *l)
{
    struct err err = {0};
    int64_t began = clock_monotonic_ns();
    FAILPOINT(in_stop);
    l->answering = true; /* a revoke that comes now is answered by leaving */
    int result = lane_commit(l, WRITER_STOP_MS, &err);
    if (result)
        log_warning("lane %d: stopped with records processed and not committed; they will be processed again%s%s", l->o.index, *err.msg ? ": " : "", err.msg);
    else if (lane_final_checkpoint(l, began + FINAL_CHECKPOINT_NS, &err))
        log_warning("lane %d: stopped without a last checkpoint%s%s", l->o.index, *err.msg ? ": " : "", err.msg);
}

/* A stop ends what waits for a broker that does not answer: look-ups for partitions that had just come. */
static bool was_broken_off(const struct lane *l, const struct err *err)
{
    if (!atomic_load(l->o.stop) || !kafka_error_passes((rd_kafka_resp_err_t)err->code))
        return false;
    log_warning("lane %d: stopped while it waited: %s", l->o.index, err->msg);
    return true;
}

int lane_run(struct lane *l, struct err *err)
{
    int result = lane_join(l, err);
    while (result == 0 && !atomic_load(l->o.stop))
        result = lane_turn(l, err);
    if (result == 0 || was_broken_off(l, err)) {
        result = 0;
        stop(l);
    }
    lane_publish_face(l);
    lane_leave(l);
    pthread_mutex_lock(&l->lock);
    l->ready = false;
    l->state = "stopped";
    pthread_mutex_unlock(&l->lock);
    return result;
}

int lane_create(const struct lane_options *options, struct lane **out, struct err *err)
{
    struct lane *l = calloc(1, sizeof *l);
    assert(l);
    l->o = *options;
    l->topics = *options->topics;
    l->o.topics = &l->topics;
    l->rules = rules_hash(options->config);
    l->inquiry = (struct inquiry){.errand = errand_create(NULL, NULL), .partition = -1};
    l->state = "starting";
    pthread_mutex_init(&l->lock, NULL);
    const struct sketch_shape *shape = observer_shape(options->observer);
    for (int i = 0; i < 2; i++) {
        l->sketches[i] = sketch_create(shape);
        assert(l->sketches[i]);
    }
    l->sketch = l->sketches[0];
    assert(metrics_init(&l->metrics, shape) == 0 && metrics_init(&l->published, shape) == 0);
    serving_face_init(&l->serving, options->config->spec->count);
    if (deployment_load(options->plan, NULL, &l->deployment, err) < 0 ||
        pipeline_create(options->config, l->deployment, options->registry, &l->pipeline, err) < 0 ||
        lane_open_member(l, err) < 0)
        goto fail;
    l->owner = (struct writer_owner){l, l->consumer, l->o.stop, lane_serve_membership, lane_note_committed, wake};
    if (writer_create(options->config, topics_sizes(options->topics), options->instance, options->index, &l->owner, &l->writer, err) < 0)
        goto fail;
    pipeline_set_sketch(l->pipeline, l->sketch);
    sketching_init(&l->sketching, shape, &l->topics.sketches);
    l->recovery = recovery_reader_create(options->config, &l->topics.changelog, options->stop);
    if (changelog_init(&l->changelog, options->config, &l->topics.changelog, l->writer, err) < 0)
        goto fail;
    l->outputs = (struct kafka_outputs){.config = options->config, .topics = &l->topics, .writer = l->writer, .changelog = &l->changelog};
    l->sink = kafka_sink(&l->outputs);
    *out = l;
    return 0;
fail:
    lane_destroy(l);
    return -1;
}

size_t lane_queue_bytes_max(const struct config *config)
{
    return kafka_fetched_bytes_max(config) + 2 * ((size_t)WRITER_BYTES_MAX + (size_t)WRITER_RECORDS_MAX * WRITER_RECORD_BESIDE_BYTES);
}

bool lane_destroy(struct lane *l)
{
    if (!l)
        return true;
    if (l->inquiry.errand && (!lane_inquiry_ends(l, INQUIRY_END_MS) || !errand_destroy(l->inquiry.errand, 0)))
        return false;
    l->inquiry.errand = NULL;
    if (!writer_destroy(l->writer) || (l->closing && !l->left))
        return false;
    while (l->partition_count)
        lane_free_partition(&l->partitions[--l->partition_count]);
    free(l->partitions);
    while (l->going_count)
        windows_destroy(l->going[--l->going_count]);
    free(l->going);
    recovery_reader_destroy(l->recovery);
    sketching_finish(&l->sketching);
    changelog_finish(&l->changelog);
    free(l->statuses);
    if (l->queue)
        rd_kafka_queue_destroy(l->queue);
    if (l->consumer)
        rd_kafka_destroy(l->consumer);
    pipeline_destroy(l->pipeline);
    buffer_finish(&l->outputs.report);
    deployment_release(l->deployment);
    deployment_release(l->next_deployment);
    serving_face_finish(&l->serving);
    for (int i = 0; i < 2; i++)
        sketch_destroy(l->sketches[i]);
    metrics_finish(&l->metrics);
    metrics_finish(&l->published);
    pthread_mutex_destroy(&l->lock);
    free(l);
    return true;
}
