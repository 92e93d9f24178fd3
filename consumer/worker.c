#include "consumer/worker.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/aggregator/aggregator.h"
#include "consumer/aggregator/evaluation.h"
#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/hash.h"
#include "consumer/http/server.h"
#include "consumer/instance.h"
#include "consumer/kafka/client.h"
#include "consumer/kafka/offsets.h"
#include "consumer/labels/labels.h"
#include "consumer/log.h"
#include "consumer/model_info.h"
#include "consumer/overview.h"
#include "consumer/process.h"
#include "consumer/reporter.h"
#include "consumer/watch.h"
#include "monitor/exposition.h"

enum {
    STATUS_PARTITIONS_MAX = 4096,
    AGGREGATOR_END_MS = 1000, /* after the lanes: a stop takes 5 s in all */
    AGGREGATOR_START_MS = 15000 /* after a start that failed: nobody waits for partitions */
};

struct lane_thread {
    struct worker *worker;
    struct lane *lane;
    pthread_t thread;
    int result;
    struct err err;
};

struct worker {
    const struct config *config;
    atomic_bool *stop;
    bool ran;
    struct instance instance;
    struct registry *registry;
    struct topics topics;
    struct observer *observer;
    struct deployment_plan *plan; /* of the start; NULL once the lanes have it */
    _Atomic(struct watch *) watch;
    struct lane **lanes;
    struct lane_thread *threads;
    size_t lane_count;
    struct reporter *reporter;
    struct evaluation evaluation;
    struct aggregator *aggregator; /* NULL: the broker keeps no sketches */
    struct label_monitor *labels; /* NULL without monitor.label_topic */
    struct http_server *http;
    int64_t started_ms;
};

/* ---- HTTP ---- */

bool worker_ready(struct worker *w)
{
    for (size_t i = 0; i < w->lane_count; i++)
        if (!lane_ready(w->lanes[i]))
            return false;
    return true;
}

void worker_metrics(struct worker *w, struct metrics *total)
{
    for (size_t i = 0; i < w->lane_count; i++)
        lane_metrics(w->lanes[i], total);
}

struct observer *worker_observer(struct worker *w)
{
    return w->observer;
}

static int http_ready(void *context)
{
    return worker_ready(context);
}

static void expose_serving(struct worker *w, struct text_buffer *text)
{
    struct serving_face face;
    serving_face_init(&face, w->config->spec->count);
    for (size_t i = 0; i < w->lane_count; i++)
        lane_serving(w->lanes[i], &face);
    serving_face_expose(&face, w->config->spec, text);
    watch_expose(atomic_load(&w->watch), text);
    labels_expose(w->labels, text);
    serving_face_finish(&face);
}

static void expose_monitoring(struct worker *w, struct text_buffer *text)
{
    exposition_family(text, "weir_monitor_active", EXPOSITION_GAUGE, "1 in the process that evaluates the windows of all.");
    exposition_sample_integer(text, "weir_monitor_active", NULL, 0, w->aggregator && aggregator_is_active(w->aggregator));
    evaluation_expose(&w->evaluation, text);
    struct deployment *deployment = lane_deployment(w->lanes[0]);
    model_info_expose(deployment, w->config->spec, text);
    deployment_release(deployment);
}

static void http_metrics(void *context, struct text_buffer *text)
{
    struct worker *w = context;
    const struct sketch_shape *shape = observer_shape(w->observer);
    const struct sketch_shape_options *options = sketch_shape_of(shape);
    struct metrics total;
    double *drift = calloc(options->feature_count + sketch_models_max(shape) + 1, sizeof *drift);
    assert(drift && metrics_init(&total, shape) == 0);
    worker_metrics(w, &total);
    observer_drift(w->observer, drift);
    struct process_metrics process = process_metrics_read();
    process.ready = worker_ready(w);
    process.drift = drift;
    process.now_ms = clock_wall_ms();
    metrics_expose(&total, &process, text);
    expose_serving(w, text);
    expose_monitoring(w, text);
    metrics_finish(&total);
    free(drift);
}

static void status_model(struct text_buffer *text, const char *role, const struct deployed_model *m, bool first)
{
    char hex[65];
    sha256_hex(m->sha256, hex);
    text_add(text, "%s\n    {\"role\": \"%s\", \"id\": ", first ? "" : ",", role);
    text_add_json_string(text, m->id);
    text_add(text, ", \"sha256\": \"%s\", \"engine\": \"%s\", \"engine_reason\": ", hex, model_engine(m->model));
    if (model_engine_reason(m->model))
        text_add_json_string(text, model_engine_reason(m->model));
    else
        text_add(text, "null");
    text_add(text, ", \"objective\": \"%s\", \"trees\": %zu, \"golden_rows\": %zu}", model_objective(m->model), model_tree_count(m->model), m->golden_rows);
}

static void status_time(struct text_buffer *text, int64_t ms)
{
    if (ms == TIME_UNKNOWN)
        text_add(text, "null");
    else
        text_add(text, "%" PRId64, ms);
}

static void status_partition(struct text_buffer *text, const struct lane_partition_status *p, bool first)
{
    text_add(text, "%s\n        {\"partition\": %d, \"position\": %" PRId64 ", \"committed\": %" PRId64 ", \"end\": %" PRId64 ", \"stream_time_ms\": ", first ? "" : ",", p->partition, p->position, p->committed, p->end_offset);
    status_time(text, p->stream_time_ms);
    text_add(text, ", \"history_complete\": %s, \"rebuilding\": %s", p->history_complete ? "true" : "false", p->restoring ? "true" : "false");
    if (p->restoring) {
        text_add(text, ", \"restoring\": \"%s\", \"rebuilt_share\": %.3f", p->restoring, p->restored_share);
        if (p->restore_seconds >= 0)
            text_add(text, ", \"seconds_to_go\": %.0f", p->restore_seconds);
    }
    text_add(text, "}");
}

static void status_serving(struct worker *w, struct text_buffer *text)
{
    struct serving_face face;
    serving_face_init(&face, w->config->spec->count);
    for (size_t i = 0; i < w->lane_count; i++)
        lane_serving(w->lanes[i], &face);
    text_add(text, "  ");
    serving_face_status(&face, text);
    text_add(text, ",\n  ");
    watch_status(atomic_load(&w->watch), text);
    text_add(text, ",");
    serving_face_finish(&face);
}

/* Of the first lane: all have the same, but for the moment of a swap. */
static void status_deployment(struct worker *w, struct text_buffer *text)
{
    struct deployment *d = lane_deployment(w->lanes[0]);
    char hex[65];
    uint8_t digest[32];
    sha256(d->record, strlen(d->record), digest);
    sha256_hex(digest, hex);
    text_add(text, "\n  \"deployment\": {\"sha256\": \"%s\", \"canary_percent\": %.2f},\n  \"models\": [", hex, d->canary.id ? d->canary.below / 100.0 : 0);
    status_model(text, "champion", &d->champion, true);
    if (d->canary.id)
        status_model(text, "canary", &d->canary, false);
    if (d->fallback.id)
        status_model(text, "fallback", &d->fallback, false);
    for (size_t i = 0; i < d->shadow_count; i++)
        status_model(text, "shadow", &d->shadows[i], false);
    text_add(text, "\n  ],\n");
    deployment_release(d);
    status_serving(w, text);
}

static void http_status(void *context, struct text_buffer *text)
{
    struct worker *w = context;
    char hex[65];
    uint8_t digest[32];
    sha256(w->config->spec->canonical, strlen(w->config->spec->canonical), digest);
    sha256_hex(digest, hex);
    text_add(text, "{\n  \"version\": \"" WEIR_VERSION "\",\n  \"app_id\": ");
    text_add_json_string(text, w->config->app_id);
    text_add(text, ",\n  \"instance\": ");
    text_add_json_string(text, w->instance.name);
    text_add(text, ",\n  \"ready\": %s,\n  \"delivery\": \"%s\",\n  \"started_ms\": %" PRId64 ",\n  \"features\": {\"columns\": %zu, \"sha256\": \"%s\"},", worker_ready(w) ? "true" : "false",
        w->config->delivery == DELIVERY_EXACTLY_ONCE ? "exactly_once" : "at_least_once", w->started_ms, w->config->spec->count, hex);
    status_deployment(w, text);
    text_add(text, "\n  \"lanes\": [");
    struct lane_partition_status *p = calloc(STATUS_PARTITIONS_MAX, sizeof *p);
    assert(p);
    for (size_t i = 0; i < w->lane_count; i++) {
        text_add(text, "%s\n    {\"lane\": %zu, \"state\": \"%s\", \"partitions\": [", i ? "," : "", i, lane_state(w->lanes[i]));
        size_t n = lane_partitions(w->lanes[i], p, STATUS_PARTITIONS_MAX);
        for (size_t k = 0; k < n; k++)
            status_partition(text, &p[k], k == 0);
        text_add(text, "]}");
    }
    text_add(text, "\n  ]\n}\n");
    free(p);
}

static void http_overview(void *context, struct text_buffer *text)
{
    struct worker *w = context;
    struct metrics total;
    assert(metrics_init(&total, observer_shape(w->observer)) == 0);
    worker_metrics(w, &total);
    bool active = w->aggregator && aggregator_is_active(w->aggregator);
    struct overview overview = {.config = w->config, .instance = w->instance.name, .ready = worker_ready(w), .lanes = w->lanes, .lane_count = w->lane_count, .metrics = &total,
        .view = active ? w->evaluation.view : NULL, .alerting = active ? w->evaluation.alerting : NULL};
    overview_write(&overview, text);
    metrics_finish(&total);
}

/* ---- start and stop ---- */

static void arm_failpoints(const struct config *config)
{
    struct failpoint_order order;
    for (size_t i = 0; i < config->failpoint_count; i++)
        if (failpoint_parse(config->failpoints[i], &order, NULL) == 0)
            failpoint_arm(&order);
}

static int look_up(struct worker *w, rd_kafka_t *client, struct err *err)
{
    if (topics_describe((struct cluster){client, w->stop, WORKER_PATIENCE_MS}, w->config, &w->topics, err) < 0)
        return -1;
    return topics_resolve_schemas(w->registry, w->config, &w->topics, err);
}

static int create_lanes(struct worker *w, struct err *err)
{
    w->lanes = calloc((size_t)w->config->lanes, sizeof(struct lane *));
    w->threads = calloc((size_t)w->config->lanes, sizeof *w->threads);
    assert(w->lanes && w->threads);
    if (deployment_plan_read(w->config, &w->plan, err) < 0)
        return -1;
    for (int i = 0; i < w->config->lanes; i++) {
        struct lane_options options = {w->config, &w->topics, w->registry, w->observer, w->plan, w->instance.name, i, w->stop};
        if (lane_create(&options, &w->lanes[i], err) < 0)
            return -1;
        w->lane_count++;
    }
    if (deployment_plan_keep(w->plan, err) < 0)
        return -1;
    deployment_plan_destroy(w->plan); /* models may be large */
    w->plan = NULL;
    return 0;
}

/* Everything that needs the broker.  Lanes come before offsets are read: making one settles what a dead predecessor
 * left open, which would hold the offsets back. */
static int connect_all(struct worker *w, struct err *err)
{
    rd_kafka_t *client = NULL;
    if (kafka_plain_consumer(w->config, &client, err) < 0)
        return -1;
    int result = look_up(w, client, err);
    if (result == 0 && w->topics.sketches.name[0])
        observer_share(w->observer);
    if (result == 0)
        result = create_lanes(w, err);
    if (result == 0)
        result = offsets_resolve_start(client, w->stop, w->config, w->topics.changelog.name, w->topics.input_partitions, err);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return result;
}

int worker_create(const struct config *config, atomic_bool *stop, struct worker **out, struct err *err)
{
    struct worker *w = calloc(1, sizeof *w);
    assert(w);
    *out = w;
    w->config = config;
    w->stop = stop;
    w->instance.lock_fd = -1;
    w->started_ms = clock_wall_ms();
    arm_failpoints(config);
    struct registry_options registry = registry_options_of(config);
    registry.stop = stop;
    struct http_handlers handlers = {.context = w, .ready = http_ready, .metrics = http_metrics, .status = http_status, .overview = http_overview};
    struct aggregator_listener listener = evaluation_listener(&w->evaluation);
    if (instance_acquire(config, &w->instance, err) < 0 || registry_create(&registry, &w->registry, err) < 0 ||
        observer_create(config, w->started_ms, &w->observer, err) < 0 || evaluation_init(&w->evaluation, config, true, err) < 0 || connect_all(w, err) < 0 ||
        reporter_start(config, &w->topics, w->observer, w->lanes, w->lane_count, &w->reporter, err) < 0 ||
        (w->topics.sketches.name[0] && aggregator_start(config, &w->topics, w->observer, w->instance.name, w->stop, &listener, &w->aggregator, err) < 0) ||
        (config->monitor.label_topic && labels_start(config, w->instance.name, &w->topics, w->registry, w->stop, &w->labels, err) < 0) ||
        (config->http && http_server_start(config->http, &handlers, &w->http, err) < 0))
        return -1;
    if (w->http)
        log_info("http: listening on %s", http_server_address(w->http));
    return 0;
}

bool worker_destroy(struct worker *w)
{
    if (!w)
        return true;
    if (w->http)
        http_server_stop(w->http);
    watch_stop(atomic_load(&w->watch));
    bool all_end = labels_stop(w->labels);
    if (!aggregator_stop(w->aggregator, w->ran || atomic_load(w->stop) ? AGGREGATOR_END_MS : AGGREGATOR_START_MS))
        return false; /* it still uses what follows */
    evaluation_finish(&w->evaluation);
    reporter_stop(w->reporter);
    deployment_plan_destroy(w->plan);
    for (size_t i = 0; i < w->lane_count; i++)
        all_end = lane_destroy(w->lanes[i]) && all_end;
    if (!all_end)
        return false;
    free(w->lanes);
    free(w->threads);
    observer_destroy(w->observer);
    registry_destroy(w->registry);
    instance_release(&w->instance);
    free(w);
    return true;
}

int worker_watch(struct worker *w, atomic_bool *asked, struct err *err)
{
    struct watch *watch;
    if (watch_start(w->config, w->lanes, w->lane_count, asked, &watch, err) < 0)
        return -1;
    atomic_store(&w->watch, watch);
    return 0;
}

static void *run_lane(void *context)
{
    struct lane_thread *t = context;
    t->result = lane_run(t->lane, &t->err);
    if (t->result < 0)
        atomic_store(t->worker->stop, true); /* one lane's end is the process's: the group gives its partitions to others */
    return NULL;
}

int worker_run(struct worker *w, struct err *err)
{
    int result = 0;
    w->ran = true;
    log_info("instance %s: %zu lane%s, %d partitions of %s", w->instance.name, w->lane_count, w->lane_count == 1 ? "" : "s", w->topics.input_partitions, w->config->input.topic);
    for (size_t i = 0; i < w->lane_count; i++) {
        w->threads[i] = (struct lane_thread){.worker = w, .lane = w->lanes[i]};
        int failed = pthread_create(&w->threads[i].thread, NULL, run_lane, &w->threads[i]);
        assert(!failed);
    }
    for (size_t i = 0; i < w->lane_count; i++) {
        pthread_join(w->threads[i].thread, NULL);
        if (w->threads[i].result < 0 && result == 0) {
            *err = w->threads[i].err;
            result = -1;
        }
    }
    return result;
}
