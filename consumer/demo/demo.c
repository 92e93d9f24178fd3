/* The demo from beginning to end: set_up, then one function a stage, in the order that rehearse lists them. */
#include "consumer/demo/demo.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consumer/avro/container.h"
#include "consumer/clock.h"
#include "consumer/demo/broker.h"
#include "consumer/demo/directory.h"
#include "consumer/demo/embedded.h"
#include "consumer/demo/feeder.h"
#include "consumer/demo/preparation.h"
#include "consumer/demo/reader.h"
#include "consumer/demo/screen.h"
#include "consumer/demo/summary.h"
#include "consumer/file.h"
#include "consumer/log.h"
#include "consumer/process.h"
#include "consumer/worker.h"
#include "schemas/embedded.h"

enum {
    PARTITIONS = 12, /* the broker keeps 5 MiB of each: of the most events, a week of history is 3.3 */
    CARDS = 3000,
    PAST_DAYS = 28,
    LIVE_DAYS_LEAST = 42,
    LIVE_DAYS_MOST = 168,
    EVENTS_A_DAY_LEAST = 2800, /* with fewer, chance alone moves a day's PSI near the limit */
    HISTORY_DAYS = 7, /* the longest window */
    TURN_MS = 50,
    PACE_TURNS = 40,
    STALL_MS = 60000
};
#define DAY_MS INT64_C(86400000)
#define START_MS INT64_C(1767225600000) /* 2026-01-01 */
#define LIVE_MS (START_MS + PAST_DAYS * DAY_MS)
#define FRAUD_RATE 0.01
static const char bootstrap_of_file[] = "127.0.0.1:9092"; /* in weir.yaml */

static atomic_bool stop; /* a signal handler has no other way to know */
static volatile int stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
    if (atomic_exchange(&stop, true)) {
        screen_show_cursor();
        _exit(1);
    }
}

struct demo {
    const struct demo_options *options;
    struct screen screen;
    struct directory directory;
    struct config *config;
    struct broker *broker;
    struct tally *tally;
    struct drift_watch *watch;
    struct feeder *feeder;
    struct traffic *traffic;
    struct preparation preparation;
    struct reader *reader;
    int live_days;
    int64_t past;    /* events before the start */
    int64_t history; /* of these, those that are on the topic */
    uint64_t drift_at; /* of the live events */

    struct worker *worker;
    pthread_t worker_thread;
    bool worker_runs;
    atomic_bool worker_stop, worker_over;
    int worker_result;
    struct err worker_err;

    int64_t began_ns, live_ns, live_cpu_ns;
    double seconds, cpu_us; /* of the live part */
    struct summary summary;
};

static int interrupted(struct err *err)
{
    return err_set(err, "interrupted");
}

/* ---- set-up: files, broker, configuration ---- */

static int write_files(struct demo *d, int32_t *schema_id, struct err *err)
{
    char room[4096];
    struct registry *registry = NULL;
    struct registry_options options = {.dir = directory_file(&d->directory, "schemas", room), .timeout_ms = 1000, .register_schemas = true};
    if (mkdir(room, 0777) < 0)
        return err_set(err, "%s: %s", room, strerror(errno));
    if (registry_create(&options, &registry, err) < 0)
        return -1;
    int result = registry_output_id(registry, "transactions-value", schema_transaction, schema_id, err);
    registry_destroy(registry);
    if (result == 0)
        result = file_write(directory_file(&d->directory, "features.yaml", room), demo_features, strlen(demo_features), err);
    if (result == 0)
        result = file_write(directory_file(&d->directory, "weir.yaml", room), demo_weir, strlen(demo_weir), err);
    return result;
}

/* The configuration as the file has it, with this broker's address. */
static int configure(struct demo *d, struct err *err)
{
    char text[8192], room[4096];
    const char *at = strstr(demo_weir, bootstrap_of_file);
    assert(at);
    int size = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - demo_weir), demo_weir, broker_address(d->broker), at + strlen(bootstrap_of_file));
    assert(size > 0 && (size_t)size < sizeof text);
    return config_parse(directory_file(&d->directory, "weir.yaml", room), d->directory.path, text, (size_t)size, CONFIG_NEED_INPUT | CONFIG_NEED_MODELS | CONFIG_NEED_KAFKA, &d->config, err);
}

static struct traffic_options traffic_of(const struct demo *d)
{
    return (struct traffic_options){.seed = (uint64_t)d->options->seed, .events = (uint64_t)(d->past + d->options->events), .cards = CARDS, .fraud_rate = FRAUD_RATE,
        .drift_at = (uint64_t)d->past + d->drift_at, .start_ms = START_MS, .span_ms = (PAST_DAYS + d->live_days) * DAY_MS};
}

static int set_up(struct demo *d, struct err *err)
{
    int32_t schema_id;
    screen_begin(&d->screen, "broker", "starting one in this process");
    if (directory_init(&d->directory, d->options->keep, err) < 0 || write_files(d, &schema_id, err) < 0 || broker_start(&d->broker, err) < 0 || configure(d, err) < 0 ||
        broker_create_topics(d->broker, d->config, PARTITIONS, err) < 0)
        return -1;
    struct traffic_options traffic = traffic_of(d);
    d->tally = tally_create(PARTITIONS, d->config->models.decision);
    d->watch = drift_watch_create(d->config->spec);
    if (feeder_create(d->config, schema_id, PARTITIONS, d->tally, &d->feeder, err) < 0 || traffic_create(&traffic, &d->traffic, err) < 0)
        return -1;
    preparation_init(&d->preparation, d->directory.path, d->config, d->options->seed);
    d->preparation.stop = &stop;
    d->preparation.stopped = &stopped;
    screen_done(&d->screen, "in this process, at %s, %d partitions", broker_address(d->broker), PARTITIONS);
    return 0;
}

/* ---- the past ---- */

struct past_files {
    struct container_writer *events, *labels;
    struct buffer body;
};

static int open_past(struct past_files *files, const char *events, const char *labels, struct err *err)
{
    *files = (struct past_files){0};
    if (container_writer_open(events, schema_transaction, "deflate", NULL, &files->events, err) < 0)
        return -1;
    return container_writer_open(labels, schema_label, "deflate", NULL, &files->labels, err);
}

static int add_past(struct past_files *files, const struct transaction *t, struct err *err)
{
    files->body.size = 0;
    put_transaction(&files->body, t);
    if (container_writer_append(files->events, files->body.data, files->body.size, err) < 0)
        return -1;
    files->body.size = 0;
    put_label(&files->body, t);
    return container_writer_append(files->labels, files->body.data, files->body.size, err);
}

static int close_past(struct past_files *files, int result, struct err *err)
{
    struct container_writer *writers[] = {files->events, files->labels};
    for (size_t i = 0; i < 2; i++)
        if (writers[i] && result == 0)
            result = container_writer_close(writers[i], err);
        else if (writers[i])
            container_writer_abandon(writers[i]);
    buffer_finish(&files->body);
    return result;
}

/* The first half of the traffic into files; what windows at the start reach back to goes onto the topic as well. */
static int write_past(struct demo *d, struct err *err)
{
    struct past_files files;
    struct transaction t;
    char events[32];
    screen_begin(&d->screen, "traffic", "making four weeks of it");
    int result = open_past(&files, d->preparation.events_path, d->preparation.labels_path, err);
    for (int64_t i = 0; result == 0 && i < d->past; i++) {
        bool more = traffic_next(d->traffic, &t);
        assert(more);
        result = stopped ? interrupted(err) : add_past(&files, &t, err);
        if (t.event_time_ms > LIVE_MS - HISTORY_DAYS * DAY_MS - DAY_MS / 24) {
            feeder_history(d->feeder, &t);
            d->history++;
        }
    }
    result = close_past(&files, result, err);
    if (result == 0)
        screen_done(&d->screen, "%s events of %d cards in %d days, with labels", grouped(events, d->past), CARDS, PAST_DAYS);
    return result;
}

static int make_training_set(struct demo *d, struct err *err)
{
    char rows[32];
    screen_begin(&d->screen, "replay", "computing every event's features");
    if (preparation_replay(&d->preparation, err) < 0)
        return -1;
    screen_done(&d->screen, "a training set of %s rows, %zu features each", grouped(rows, d->past), d->config->spec->count);
    return 0;
}

static int train(struct demo *d, struct err *err)
{
    const struct preparation *p = &d->preparation;
    screen_begin(&d->screen, "training", "a champion and a candidate");
    if (preparation_train(&d->preparation, err) < 0)
        return -1;
    screen_done(&d->screen, "AUC on the last week: champion %.4f, candidate %.4f", p->champion.auc, p->candidate.auc);
    return 0;
}

/* ---- the worker ---- */

static void *run_worker(void *context)
{
    struct demo *d = context;
    d->worker_result = worker_run(d->worker, &d->worker_err);
    atomic_store(&d->worker_over, true);
    return NULL;
}

static int check_threads(struct demo *d, struct err *err)
{
    if (stopped)
        return interrupted(err);
    if (reader_failed(d->reader, err) < 0)
        return -1;
    if (!atomic_load(&d->worker_over))
        return 0;
    if (d->worker_result == 0)
        return err_set(err, "the worker has stopped");
    *err = d->worker_err;
    return -1;
}

static int start_worker(struct demo *d, struct err *err)
{
    char events[32];
    screen_begin(&d->screen, "worker", "rebuilding its windows from the topic");
    if (feeder_commit_start(d->feeder, err) < 0 || reader_start(d->config, PARTITIONS, d->tally, d->watch, &d->reader, err) < 0 ||
        worker_create(d->config, &d->worker_stop, &d->worker, err) < 0)
        return -1;
    int failed = pthread_create(&d->worker_thread, NULL, run_worker, d);
    assert(!failed);
    d->worker_runs = true;
    int result = 0;
    while ((result = check_threads(d, err)) == 0 && !worker_ready(d->worker))
        usleep(TURN_MS * 1000);
    if (result == 0)
        screen_done(&d->screen, "windows rebuilt from %s records", grouped(events, d->history));
    return result;
}

static void stop_worker(struct demo *d)
{
    atomic_store(&d->worker_stop, true);
    if (d->worker_runs)
        pthread_join(d->worker_thread, NULL);
    d->worker_runs = false;
}

/* ---- live traffic ---- */

/* Events a second over about the last two seconds. */
struct pace {
    int64_t at_ns[PACE_TURNS], done[PACE_TURNS]; /* a ring */
    size_t count;
};

static double pace_add(struct pace *p, int64_t now_ns, int64_t done)
{
    size_t oldest = p->count < PACE_TURNS ? 0 : p->count % PACE_TURNS;
    double rate = p->count && now_ns > p->at_ns[oldest] ? (double)(done - p->done[oldest]) / ((double)(now_ns - p->at_ns[oldest]) / 1e9) : 0;
    p->at_ns[p->count % PACE_TURNS] = now_ns;
    p->done[p->count++ % PACE_TURNS] = done;
    return rate;
}

static void show(struct demo *d, struct live *live, struct pace *pace)
{
    int64_t now = clock_monotonic_ns();
    tally_count(d->tally, &live->counts);
    live->drift_ms = feeder_drift_ms(d->feeder);
    drift_watch_look(d->watch, live->drift_ms, &live->drift);
    live->events_a_second = pace_add(pace, now, live->counts.done);
    live->cpu_us = live->counts.done ? (double)(clock_cpu_ns() - d->live_cpu_ns) / 1e3 / (double)live->counts.done : 0;
    if (screen_is_due(&d->screen))
        screen_live(&d->screen, live);
}

/* Until everything that was written has come out, or nothing comes any more: then the tally says what is missing. */
static int watch_live(struct demo *d, struct err *err)
{
    struct live live = {.events = d->options->events, .live_ms = LIVE_MS, .days = d->live_days};
    struct pace pace = {0};
    int64_t done = -1, moved_ns = d->live_ns;
    int result;
    while ((result = check_threads(d, err)) == 0) {
        usleep(TURN_MS * 1000);
        bool through = feeder_is_through(d->feeder);
        show(d, &live, &pace);
        if (live.counts.done != done)
            moved_ns = clock_monotonic_ns();
        done = live.counts.done;
        if ((through && done == live.counts.written) || clock_monotonic_ns() - moved_ns > STALL_MS * INT64_C(1000000))
            break;
    }
    d->seconds = (double)(moved_ns - d->live_ns) / 1e9;
    d->cpu_us = live.cpu_us;
    return result;
}

static int go_live(struct demo *d, struct err *err)
{
    char records[32], rate[32];
    struct tally_counts counts;
    screen_begin_live(&d->screen, "live", "fresh traffic through the worker, exactly once");
    d->live_ns = clock_monotonic_ns();
    d->live_cpu_ns = clock_cpu_ns();
    feeder_start(d->feeder, d->traffic, d->drift_at, &stop);
    if (watch_live(d, err) < 0)
        return -1;
    tally_count(d->tally, &counts);
    screen_done(&d->screen, "%s records, %s a second", grouped(records, counts.done), grouped(rate, (int64_t)((double)counts.done / d->seconds)));
    return 0;
}

/* ---- the end ---- */

/* Mean CPU time of the lane from a record's bytes to its outputs. */
static double pipeline_us(const struct metrics *m)
{
    int64_t ns = 0, count = m->records + m->beyond;
    for (int i = 0; i < STAGE_COUNT; i++)
        ns += m->stage_ns[i];
    return count ? (double)ns / 1e3 / (double)count : NAN;
}

static void read_metrics(struct demo *d)
{
    struct metrics m;
    int failed = metrics_init(&m, observer_shape(worker_observer(d->worker)));
    assert(!failed);
    worker_metrics(d->worker, &m);
    d->summary.pipeline_us = pipeline_us(&m);
    d->summary.commits = m.commits;
    metrics_finish(&m);
}

/* The worker leaves as it would on SIGTERM; what it published last is read, too. */
static int end_live(struct demo *d, struct err *err)
{
    stop_worker(d);
    if (d->worker_result < 0) {
        *err = d->worker_err;
        return -1;
    }
    read_metrics(d);
    worker_destroy(d->worker);
    d->worker = NULL;
    return reader_finish(d->reader, err);
}

/* With --keep: what the topic held, as files. */
static int keep_live(struct demo *d, struct err *err)
{
    struct past_files files;
    struct transaction t;
    struct traffic *traffic = NULL;
    struct traffic_options options = traffic_of(d);
    char events[4096], labels[4096];
    if (!d->directory.keep)
        return 0;
    if (traffic_create(&options, &traffic, err) < 0)
        return -1;
    int result = open_past(&files, directory_file(&d->directory, "live.avro", events), directory_file(&d->directory, "live-labels.avro", labels), err);
    while (result == 0 && traffic_next(traffic, &t))
        if (t.event_time_ms > LIVE_MS - HISTORY_DAYS * DAY_MS - DAY_MS / 24)
            result = stopped ? interrupted(err) : add_past(&files, &t, err);
    traffic_destroy(traffic);
    return close_past(&files, result, err);
}

static void conclude(struct demo *d)
{
    struct summary *s = &d->summary;
    s->preparation = &d->preparation;
    s->history = d->history;
    s->live_ms = LIVE_MS;
    s->drift_ms = feeder_drift_ms(d->feeder);
    s->seconds = d->seconds;
    s->cpu_us = d->cpu_us;
    s->kept = d->options->keep;
    tally_count(d->tally, &s->counts);
    s->exact = tally_judge(d->tally, &s->outcome);
    s->ranks = s->outcome.champion_auc > SUMMARY_AUC_LEAST;
    drift_watch_look(d->watch, s->drift_ms, &s->drift);
    s->drift_found = s->drift.named && s->drift.end_ms > s->drift_ms && drift_reaches(d->config->spec, &d->config->fields, s->drift.column);
    s->total_seconds = (double)(clock_monotonic_ns() - d->began_ns) / 1e9;
    (d->options->json ? summary_print_json : summary_print)(s);
}

static int rehearse(struct demo *d, struct err *err)
{
    if (set_up(d, err) < 0 || write_past(d, err) < 0 || make_training_set(d, err) < 0 || train(d, err) < 0 || start_worker(d, err) < 0 || go_live(d, err) < 0 ||
        end_live(d, err) < 0 || keep_live(d, err) < 0)
        return -1;
    screen_close(&d->screen);
    conclude(d);
    return 0;
}

static void tear_down(struct demo *d)
{
    atomic_store(&stop, true);
    screen_close(&d->screen);
    stop_worker(d);
    feeder_destroy(d->feeder);
    worker_destroy(d->worker);
    reader_destroy(d->reader);
    traffic_destroy(d->traffic);
    drift_watch_destroy(d->watch);
    tally_destroy(d->tally);
    broker_stop(d->broker);
    config_destroy(d->config);
    directory_finish(&d->directory);
}

/* Three fifths of the live days are like the past. */
static void choose_times(struct demo *d)
{
    int64_t events = d->options->events, days = events / EVENTS_A_DAY_LEAST;
    d->live_days = days < LIVE_DAYS_LEAST ? LIVE_DAYS_LEAST : days > LIVE_DAYS_MOST ? LIVE_DAYS_MOST : (int)days;
    d->past = events * PAST_DAYS / d->live_days;
    d->drift_at = (uint64_t)(events * (d->live_days * 3 / 5) / d->live_days) + 1; /* just after a midnight */
}

int demo_run(const struct demo_options *options, bool *met, struct err *err)
{
    struct demo *d = calloc(1, sizeof *d);
    assert(d);
    d->options = options;
    d->began_ns = clock_monotonic_ns();
    choose_times(d);
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    screen_open(&d->screen, options->json);
    int result = rehearse(d, err);
    *met = d->summary.exact && d->summary.drift_found && d->summary.ranks;
    tear_down(d);
    free(d);
    return result;
}
