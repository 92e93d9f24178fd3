/* The thread: membership, life and metrics; judging.c does the work. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "consumer/baseline_file.h"
#include "consumer/clock.h"
#include "consumer/labels/labels_state.h"
#include "consumer/log.h"
#include "monitor/exposition.h"

enum { IDLE_MS = 20, AWAIT_MS = 200, RETRY_FIRST_MS = 1000, RETRY_MOST_MS = 60000, LEAVE_MS = 1000, STOP_MS = 3000, NICE = 10 };

/* ---- membership ---- */

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct label_monitor *l = opaque;
    bool first = rd_kafka_topic_partition_list_find(list, l->config->monitor.label_topic, 0);
    struct err err;
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        l->leads = l->leads && !first;
        rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, list));
        return;
    }
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = RD_KAFKA_OFFSET_END; /* nothing is read here: the group only says who works */
    if (kafka_take_error(rd_kafka_incremental_assign(rk, list), "assign", &err) != REMEDY_NONE)
        log_warning("labels: %s", err.msg);
    rd_kafka_pause_partitions(rk, list);
    l->stale = l->stale || (l->leads && list->cnt > 0);
    l->leads = l->leads || first;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    kafka_log_error("labels", code, reason);
}

static void serve_member(struct label_monitor *l, int wait_ms)
{
    rd_kafka_message_t *message;
    if (rd_kafka_consume_batch_queue(l->queue, wait_ms, &message, 1) != 1)
        return;
    if (message->err)
        kafka_log_error("labels", message->err, rd_kafka_message_errstr(message));
    rd_kafka_message_destroy(message);
}

static int join_group(struct label_monitor *l, const char *instance, struct err *err)
{
    char group[512];
    int32_t partitions;
    snprintf(group, sizeof group, "%s-labels", l->config->app_id);
    struct kafka_consumer_callbacks callbacks = {on_rebalance, on_error, l};
    if (kafka_group_consumer(l->config, (struct kafka_identity){.instance = instance, .group = group}, &callbacks, &l->member, err) < 0)
        return -1;
    l->queue = rd_kafka_queue_get_consumer(l->member);
    if (topic_partitions((struct cluster){l->member, l->told, WORKER_PATIENCE_MS}, l->config->monitor.label_topic, &partitions, err) < 0)
        return err_prefix(err, "monitor.label_topic");
    return kafka_subscribe(l->member, l->config->monitor.label_topic, "subscribe to the label topic", err);
}

/* Orderly, but not for ever: whoever is left behind is taken out of the group by its session's end.  Whether it is out:
 * destroying a consumer that is not waits for the broker. */
static bool leave_group(struct label_monitor *l)
{
    rd_kafka_error_t *failed = rd_kafka_consumer_close_queue(l->member, l->queue);
    int64_t began = clock_monotonic_ns();
    while (!failed && !rd_kafka_consumer_closed(l->member) && clock_monotonic_ns() - began < (int64_t)LEAVE_MS * 1000000)
        serve_member(l, IDLE_MS);
    rd_kafka_error_destroy(failed);
    return rd_kafka_consumer_closed(l->member);
}

/* ---- the thread ---- */

static void show(struct label_monitor *l)
{
    pthread_mutex_lock(&l->lock);
    l->shown = l->face;
    l->shown.leads = l->work;
    if (l->work && l->work->join) {
        l->shown.closed_until_ms = l->work->windows.closed_until_ms;
        l->shown.join = label_join_count(l->work->join);
    }
    pthread_mutex_unlock(&l->lock);
}

/* Whether there was nothing to do. */
static bool work_once(struct label_monitor *l, struct err *err, int *result)
{
    int done = 0;
    *result = 0;
    if (!l->work) {
        *result = labels_begin(l, err);
    } else {
        labels_look_for_growth(l);
        done = labels_turn(l, err);
        *result = done < 0 ? -1 : 0;
    }
    return done == 0;
}

static bool stopping(struct label_monitor *l)
{
    return atomic_load(&l->stop) || atomic_load(l->told);
}

static void *judge(void *context)
{
    struct label_monitor *l = context;
    int64_t not_before_ns = 0, pause_ms = RETRY_FIRST_MS;
    bool idle = true;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* of this thread: lanes come first */
    while (!stopping(l)) {
        struct err err = {0};
        int result = 0;
        serve_member(l, !l->work ? AWAIT_MS : idle ? IDLE_MS : 0);
        if (l->work && (!l->leads || l->stale)) {
            log_info("labels: %s", l->leads ? "begun anew: partitions or models have changed" : "another process judges now");
            labels_drop(l);
        }
        if (l->leads && clock_monotonic_ns() >= not_before_ns) {
            idle = work_once(l, &err, &result);
            if (result == 0 && !idle)
                pause_ms = RETRY_FIRST_MS;
        }
        if (result < 0 && !stopping(l)) {
            log_warning("labels: %s; begun anew in %" PRId64 " s", err.msg, pause_ms / 1000);
            labels_drop(l);
            l->face.restarts++;
            not_before_ns = clock_monotonic_ns() + pause_ms * 1000000;
            pause_ms = pause_ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS : pause_ms * 2;
        }
        show(l);
    }
    labels_drop(l);
    return NULL;
}

/* ---- start and stop ---- */

static int read_deciles(struct label_monitor *l, struct err *err)
{
    const struct config *config = l->config;
    struct baseline *baseline;
    if (!config->monitor.baseline)
        return 0;
    if (baseline_of_config(config, &baseline, err) < 0)
        return err_prefix(err, "%s: monitor.baseline", config->file);
    l->has_deciles = baseline->has_score && baseline->score.count;
    if (l->has_deciles)
        baseline_deciles(&baseline->score, l->deciles);
    baseline_destroy(baseline);
    return 0;
}

static void free_monitor(struct label_monitor *l)
{
    if (l->queue)
        rd_kafka_queue_destroy(l->queue);
    if (l->member)
        rd_kafka_destroy(l->member);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int labels_start(const struct config *config, const char *instance, const struct topics *topics, struct registry *registry, const atomic_bool *stop,
    struct label_monitor **out, struct err *err)
{
    struct label_monitor *l = calloc(1, sizeof *l);
    assert(l && config->monitor.label_topic);
    l->config = config;
    l->topics = topics;
    l->registry = registry;
    l->told = stop;
    l->shadows = config->models.shadow_count;
    l->face.closed_until_ms = l->shown.closed_until_ms = INT64_MIN;
    pthread_mutex_init(&l->lock, NULL);
    if (read_deciles(l, err) < 0 || join_group(l, instance, err) < 0) {
        free_monitor(l);
        return -1;
    }
    int failed = pthread_create(&l->thread, NULL, judge, l);
    assert(!failed);
    *out = l;
    return 0;
}

bool labels_stop(struct label_monitor *l)
{
    if (!l)
        return true;
    atomic_store(&l->stop, true);
    struct timespec until = clock_wall_after(STOP_MS);
    if (pthread_timedjoin_np(l->thread, NULL, &until) != 0 || !leave_group(l))
        return false;
    free_monitor(l);
    return true;
}

/* ---- metrics ---- */

void labels_expose(struct label_monitor *l, struct text_buffer *text)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    struct label_face f = l->shown;
    pthread_mutex_unlock(&l->lock);
    exposition_family(text, "weir_labels_active", EXPOSITION_GAUGE, "1 in the process that judges the models by labels.");
    exposition_sample_integer(text, "weir_labels_active", NULL, 0, f.leads);
    exposition_family(text, "weir_labels_total", EXPOSITION_COUNTER, "Labels read by this process, by what became of them; after a start those of open windows again.");
    for (int i = 0; i < LABEL_FATE_COUNT; i++)
        exposition_sample_integer(text, "weir_labels_total", &(struct label){"fate", strchr(label_fate_name(i), '_') + 1}, 1, (int64_t)f.fates[i]);
    exposition_family(text, "weir_label_unreadable_total", EXPOSITION_COUNTER, "Records that labels are joined from or are, which cannot be used.");
    for (int i = 0; i < JUDGED_KIND_COUNT; i++)
        exposition_sample_integer(text, "weir_label_unreadable_total", &(struct label){"kind", (const char *const[]){"prediction", "shadow", "label"}[i]}, 1, (int64_t)f.bad[i]);
    exposition_family(text, "weir_label_windows_total", EXPOSITION_COUNTER, "Windows of labels that this process has published.");
    exposition_sample_integer(text, "weir_label_windows_total", NULL, 0, (int64_t)f.windows);
    exposition_family(text, "weir_label_restarts_total", EXPOSITION_COUNTER, "Times that the evaluation was begun anew after a failure.");
    exposition_sample_integer(text, "weir_label_restarts_total", NULL, 0, (int64_t)f.restarts);
    exposition_family(text, "weir_label_predictions_waiting", EXPOSITION_GAUGE, "Predictions held for their labels.");
    exposition_sample_integer(text, "weir_label_predictions_waiting", NULL, 0, (int64_t)f.join.waiting);
    exposition_family(text, "weir_label_sampled_share", EXPOSITION_GAUGE, "Share of the transactions whose predictions are held: below 1 beyond the memory.");
    exposition_sample(text, "weir_label_sampled_share", NULL, 0, f.leads ? f.join.sampled_share : 1);
    if (f.closed_until_ms != INT64_MIN) {
        exposition_family(text, "weir_label_windows_closed_until_seconds", EXPOSITION_GAUGE, "End of the last published window of labels, epoch.");
        exposition_sample(text, "weir_label_windows_closed_until_seconds", NULL, 0, (double)f.closed_until_ms / 1000);
    }
}
