/* weir generate: synthetic transactions and labels, into container files or onto topics. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/container.h"
#include "consumer/clock.h"
#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/generate/label_stream.h"
#include "consumer/generate/topic_sink.h"
#include "consumer/generate/traffic.h"
#include "consumer/process.h"
#include "consumer/progress.h"
#include "schemas/embedded.h"

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

struct options {
    const char *output, *labels, *codec;
    const char *topic, *labels_topic, *brokers, *registry_url, *schema_dir, *config_path;
    struct config *config; /* of --config, or NULL */
    int64_t events, cards, seed, start_ms, span_ms, label_delay_ms;
    double fraud_rate, rate;
    const char *drift_at, *drift_until, *drift, *rhythm;
    bool json;
};

/* Where the records go: files, or topics through one producer.  Labels have no place if none was asked for.  On a topic
 * they come as they are reported, on a file with their events. */
struct outputs {
    struct container_writer *events, *labels;
    struct topic_sink *sink;
    int32_t event_schema, label_schema;
    struct label_stream *reported; /* of a topic */
    struct buffer body;
};

struct summary {
    uint64_t events, fraud, labels;
    int64_t first_ms, last_ms;
    double seconds;
};

static const char about[] =
    "Writes synthetic card transactions (schemas/transaction.avsc) and their labels (schemas/label.avsc). The same options\n"
    "give the same bytes. Either --output FILE.avro [--labels FILE.avro], or --topic T [--labels-topic T] with -c weir.yaml, or\n"
    "with --brokers B and --schema-registry or --schema-dir.";

static enum arguments_outcome take_options(int argc, char **argv, struct options *o, struct err *err)
{
    const struct argument table[] = {
        {"output", ARGUMENT_TEXT, &o->output, 0, 0, "FILE.avro", "the events, as an Avro container file"},
        {"labels", ARGUMENT_TEXT, &o->labels, 0, 0, "FILE.avro", "their labels"},
        {"codec", ARGUMENT_TEXT, &o->codec, 0, 0, "NAME", "of the files: deflate (default: every Avro reader has it), zstandard (faster), null"},
        {"topic", ARGUMENT_TEXT, &o->topic, 0, 0, "TOPIC", "the events, onto a Kafka topic keyed by card_token"},
        {"labels-topic", ARGUMENT_TEXT, &o->labels_topic, 0, 0, "TOPIC", "their labels, at the times at which they are reported; what is not due yet is left out"},
        {"config", ARGUMENT_TEXT, &o->config_path, 0, 0, "FILE", "brokers and schemas as a configuration has them"},
        {"brokers", ARGUMENT_TEXT, &o->brokers, 0, 0, "HOST:PORT,...", "of the topics"},
        {"schema-registry", ARGUMENT_TEXT, &o->registry_url, 0, 0, "URL", "where the schemas are registered"},
        {"schema-dir", ARGUMENT_TEXT, &o->schema_dir, 0, 0, "DIR", "or the directory of <id>.avsc files"},
        {"events", ARGUMENT_COUNT, &o->events, 1, 0x1p40, "N", "how many (default 100000)"},
        {"cards", ARGUMENT_COUNT, &o->cards, 1, TRAFFIC_CARDS_MAX, "N", "how many cards (default 2000)"},
        {"seed", ARGUMENT_COUNT, &o->seed, 0, 0x1p53, "N", "another seed, other traffic (default 1)"},
        {"fraud-rate", ARGUMENT_REAL, &o->fraud_rate, 0, 0.5, "SHARE", "of events that are fraud, on average (default 0.005)"},
        {"drift-at", ARGUMENT_TEXT, &o->drift_at, 0, 0, "X", "the world changes at this event, or share: 0.6, 60%"},
        {"drift-until", ARGUMENT_TEXT, &o->drift_until, 0, 0, "X", "and is again what it was"},
        {"drift", ARGUMENT_TEXT, &o->drift, 0, 0, "KIND", "how: world (default), amount, category, null, labels, silence"},
        {"rhythm", ARGUMENT_TEXT, &o->rhythm, 0, 0, "NAME", "day (default), week, or flat (default with --rate)"},
        {"start", ARGUMENT_TIME, &o->start_ms, 0, 0, "TIME", "event time of the start (default 2026-01-01; with --topic and --rate: now)"},
        {"span", ARGUMENT_DURATION, &o->span_ms, 0, 0, "DURATION", "event time from start to end (default 30d)"},
        {"rate", ARGUMENT_REAL, &o->rate, 1e-3, 1e7, "R", "events a second on average, instead of --span; topics are written at that pace"},
        {"label-delay", ARGUMENT_DURATION, &o->label_delay_ms, 0, 0, "DURATION", "until an event counts as honest (default 30d); fraud is reported before, in proportion"},
        {"json", ARGUMENT_FLAG, &o->json, 0, 0, NULL, "the summary as JSON"},
    };
    return arguments_take(argc, argv, about, table, sizeof table / sizeof *table, err);
}

/* "0.6" and "60%" are shares of the events, "60000" is an event's index. */
static int take_drift(const char *option, const char *text, uint64_t events, uint64_t *index, struct err *err)
{
    *index = UINT64_MAX;
    if (!text)
        return 0;
    char *rest;
    double v = strtod(text, &rest);
    bool percent = !strcmp(rest, "%"), share = percent || strchr(text, '.');
    if (rest == text || (*rest && !percent) || !(v >= 0) || (share && v > (percent ? 100 : 1)) || (!share && v != floor(v)) || v >= 0x1p53)
        return err_set(err, "%s '%s': takes the number of an event, or a share: 0.6, 60%%", option, text);
    *index = share ? (uint64_t)(v / (percent ? 100 : 1) * (double)events) : (uint64_t)v;
    return 0;
}

static int take_drift_kind(const struct options *o, enum traffic_drift *drift, struct err *err)
{
    for (int i = 0; i < DRIFT_COUNT; i++)
        if (!strcmp(o->drift ? o->drift : "world", traffic_drift_name((enum traffic_drift)i))) {
            *drift = (enum traffic_drift)i;
            return o->drift && !o->drift_at ? err_set(err, "--drift goes with --drift-at") : 0;
        }
    return err_set(err, "--drift '%s': takes world, amount, category, null, labels or silence", o->drift);
}

static int take_rhythm(const struct options *o, enum rhythm *rhythm, struct err *err)
{
    static const char *const names[] = {[RHYTHM_DAY] = "day", [RHYTHM_WEEK] = "week", [RHYTHM_FLAT] = "flat"};
    *rhythm = o->rate > 0 ? RHYTHM_FLAT : RHYTHM_DAY;
    if (!o->rhythm)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(o->rhythm, names[i])) {
            *rhythm = (enum rhythm)i;
            return 0;
        }
    return err_set(err, "--rhythm '%s': takes day, week or flat", o->rhythm);
}

static int check_outputs(const struct options *o, struct err *err)
{
    if (!o->output == !o->topic)
        return err_set(err, o->output ? "--output and --topic exclude each other" : "give --output FILE.avro or --topic TOPIC");
    if (o->output && (o->labels_topic || o->brokers || o->registry_url || o->schema_dir))
        return err_set(err, "--labels-topic, --brokers, --schema-registry and --schema-dir go with --topic");
    if (o->topic && (o->labels || o->codec))
        return err_set(err, "--labels and --codec go with --output; for a topic: --labels-topic");
    if (o->config_path && (o->brokers || o->registry_url || o->schema_dir))
        return err_set(err, "--brokers, --schema-registry and --schema-dir stand in the configuration");
    if (o->topic && !o->brokers && !o->config_path)
        return err_set(err, "--topic needs -c weir.yaml or --brokers HOST:PORT");
    if (o->topic && !o->config_path && !o->registry_url == !o->schema_dir)
        return err_set(err, "--topic needs either --schema-registry URL or --schema-dir DIR");
    if (o->rate > 0 && o->span_ms)
        return err_set(err, "--rate and --span exclude each other");
    return 0;
}

static int64_t span_of(const struct options *o)
{
    if (o->rate > 0) {
        double ms = (double)o->events / o->rate * 1000;
        return ms < 1 ? 1 : ms > 4e12 ? 4000000000000 : (int64_t)ms;
    }
    return o->span_ms ? o->span_ms : (int64_t)30 * 86400000;
}

static int64_t start_of(const struct options *o)
{
    if (o->start_ms >= 0)
        return o->start_ms;
    return o->topic && o->rate > 0 ? clock_wall_ms() : 1767225600000; /* 2026-01-01 */
}

static int open_files(const struct options *o, struct outputs *out, struct err *err)
{
    const char *codec = o->codec ? o->codec : "deflate";
    if (container_writer_open(o->output, schema_transaction, codec, NULL, &out->events, err) < 0)
        return -1;
    return o->labels ? container_writer_open(o->labels, schema_label, codec, NULL, &out->labels, err) : 0;
}

static int open_topics(const struct options *o, struct outputs *out, struct err *err)
{
    struct registry_options registry = {.url = o->registry_url, .dir = o->schema_dir, .timeout_ms = 5000, .register_schemas = true};
    struct topic_sink_options sink = {.brokers = o->brokers, .config = o->config, .registry = o->config ? registry_options_of(o->config) : registry};
    if (topic_sink_create(&sink, &out->sink, err) < 0 ||
        topic_sink_schema(out->sink, o->topic, schema_transaction, &out->event_schema, err) < 0)
        return -1;
    return o->labels_topic ? topic_sink_schema(out->sink, o->labels_topic, schema_label, &out->label_schema, err) : 0;
}

static int write_event(const struct options *o, struct outputs *out, const struct transaction *t, struct err *err)
{
    out->body.size = 0;
    put_transaction(&out->body, t);
    if (out->events)
        return container_writer_append(out->events, out->body.data, out->body.size, err);
    return topic_sink_send(out->sink, o->topic, out->event_schema, t->card_token, out->body.data, out->body.size, t->event_time_ms, err);
}

static int write_label(const struct options *o, struct outputs *out, const struct transaction *t, struct summary *sum, struct err *err)
{
    out->body.size = 0;
    sum->labels++;
    put_label(&out->body, t);
    if (out->labels)
        return container_writer_append(out->labels, out->body.data, out->body.size, err);
    return topic_sink_send(out->sink, o->labels_topic, out->label_schema, t->card_token, out->body.data, out->body.size, t->reported_ms, err);
}

static int write_reported(const struct options *o, struct outputs *out, int64_t until_ms, struct summary *sum, struct err *err)
{
    struct transaction t;
    while (!stopped && label_stream_next(out->reported, until_ms, &t))
        if (write_label(o, out, &t, sum, err) < 0)
            return -1;
    return 0;
}

/* What is known once the event has come. */
static int write_labels(const struct options *o, struct outputs *out, const struct transaction *t, struct summary *sum, struct err *err)
{
    if (out->labels)
        return write_label(o, out, t, sum, err);
    if (!out->reported)
        return 0;
    label_stream_note(out->reported, t);
    return write_reported(o, out, t->event_time_ms, sum, err);
}

/* Event i goes out i / rate seconds after the first. */
static void keep_pace(const struct options *o, struct outputs *out, uint64_t i, int64_t started_ns)
{
    if (!out->sink || o->rate <= 0)
        return;
    int64_t due_ns = started_ns + (int64_t)((double)i / o->rate * 1e9), left_ms;
    while (!stopped && (left_ms = (due_ns - clock_monotonic_ns()) / 1000000) > 0)
        topic_sink_serve(out->sink, left_ms > 50 ? 50 : (int)left_ms);
}

static int write_all(const struct options *o, struct traffic *traffic, struct outputs *out, struct summary *sum, struct err *err)
{
    struct transaction t;
    struct progress progress;
    int64_t started_ns = clock_monotonic_ns();
    int status = 0;
    progress_start(&progress, "generate", o->events);
    while (status == 0 && !stopped && traffic_next(traffic, &t)) {
        keep_pace(o, out, sum->events, started_ns);
        status = write_event(o, out, &t, err) < 0 || write_labels(o, out, &t, sum, err) < 0 ? -1 : 0;
        sum->first_ms = sum->events ? sum->first_ms : t.event_time_ms;
        sum->last_ms = t.event_time_ms;
        sum->events++;
        sum->fraud += (uint64_t)t.label;
        if (sum->events % 1024 == 0 || (out->sink && o->rate > 0))
            progress_update(&progress, (int64_t)sum->events);
    }
    if (status == 0 && out->reported)
        status = write_reported(o, out, clock_wall_ms(), sum, err);
    progress_end(&progress);
    sum->seconds = (double)(clock_monotonic_ns() - started_ns) / 1e9;
    return status;
}

/* Files are moved into place; records on topics are waited for. */
static int complete(struct outputs *out, uint64_t written, struct err *err)
{
    if (out->sink) {
        if (topic_sink_flush(out->sink, err) < 0)
            return -1;
        return stopped ? err_set(err, "interrupted after %" PRIu64 " events; all of them were delivered", written) : 0;
    }
    if (stopped)
        return err_set(err, "interrupted after %" PRIu64 " events; no file was written", written);
    struct container_writer *events = out->events, *labels = out->labels;
    out->events = NULL;
    if (container_writer_close(events, err) < 0)
        return -1;
    out->labels = NULL;
    return labels ? container_writer_close(labels, err) : 0;
}

static void close_outputs(struct outputs *out)
{
    if (out->events)
        container_writer_abandon(out->events);
    if (out->labels)
        container_writer_abandon(out->labels);
    topic_sink_destroy(out->sink);
    label_stream_destroy(out->reported);
    buffer_finish(&out->body);
}

static void print_summary(const struct options *o, const struct summary *s)
{
    double share = s->events ? (double)s->fraud / (double)s->events : 0;
    if (o->json)
        printf("{\"events\": %" PRIu64 ", \"fraud\": %" PRIu64 ", \"labels\": %" PRIu64 ", \"cards\": %" PRId64 ", \"seed\": %" PRId64 ", \"first_ms\": %" PRId64
               ", \"last_ms\": %" PRId64 ", \"seconds\": %.3f}\n",
               s->events, s->fraud, s->labels, o->cards, o->seed, s->first_ms, s->last_ms, s->seconds);
    else
        printf("%" PRIu64 " events of %" PRId64 " cards to %s, %" PRIu64 " of them fraud (%.2f %%), in %.1f s\n", s->events, o->cards,
               o->output ? o->output : o->topic, s->fraud, 100 * share, s->seconds);
    if (!o->json && o->labels_topic)
        printf("%" PRIu64 " labels to %s%s\n", s->labels, o->labels_topic, s->labels < s->events ? "; the others are reported later than now (--label-delay 1h: sooner)" : "");
}

int command_generate(int argc, char **argv)
{
    struct options o = {.events = 100000, .cards = 2000, .seed = 1, .fraud_rate = 0.005, .start_ms = -1};
    struct err err;
    uint64_t drift_at, drift_until;
    enum traffic_drift drift = DRIFT_WORLD;
    enum rhythm rhythm = RHYTHM_DAY;
    enum arguments_outcome outcome = take_options(argc, argv, &o, &err);
    if (outcome == ARGUMENTS_HELP)
        return 0;
    if (outcome == ARGUMENTS_WRONG || check_outputs(&o, &err) < 0 || take_drift("--drift-at", o.drift_at, (uint64_t)o.events, &drift_at, &err) < 0 ||
        take_drift("--drift-until", o.drift_until, (uint64_t)o.events, &drift_until, &err) < 0 ||
        take_drift_kind(&o, &drift, &err) < 0 || take_rhythm(&o, &rhythm, &err) < 0 ||
        (o.topic && o.config_path && config_load(o.config_path, CONFIG_NEED_INPUT | CONFIG_NEED_KAFKA, &o.config, &err) < 0)) {
        fprintf(stderr, "weir generate: %s\n", err.msg);
        return 2;
    }
    struct traffic_options options = {.seed = (uint64_t)o.seed, .events = (uint64_t)o.events, .cards = (uint64_t)o.cards,
                                      .fraud_rate = o.fraud_rate, .drift_at = drift_at, .drift_until = drift_until, .label_delay_ms = o.label_delay_ms, .start_ms = start_of(&o), .span_ms = span_of(&o),
                                      .rhythm = rhythm, .drift = drift};
    struct outputs out = {0};
    struct summary sum = {0};
    struct traffic *traffic = NULL;
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    int status = traffic_create(&options, &traffic, &err) < 0 || (o.labels_topic && label_stream_create(&options, &out.reported, &err) < 0) ? 2 : 1;
    if (status == 1 && (o.output ? open_files : open_topics)(&o, &out, &err) == 0 && write_all(&o, traffic, &out, &sum, &err) == 0 &&
        complete(&out, sum.events, &err) == 0)
        status = 0;
    close_outputs(&out);
    traffic_destroy(traffic);
    config_destroy(o.config);
    if (status)
        fprintf(stderr, "weir generate: %s\n", err.msg);
    else
        print_summary(&o, &sum);
    return status;
}
