/* weir replay: history through the same pipeline, into files. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/process.h"
#include "consumer/replay/export.h"
#include "consumer/replay/replay.h"

static const char about[] =
    "Takes the input topic of a configuration, or an Avro container file of plain events, through the same pipeline as\n"
    "weir run and writes what it would write into files. It joins no group and writes to no topic.\n"
    "\n"
    "--output DIR gets predictions.avro, shadow-predictions.avro, dead-letters.avro and reports.avro; without `models` in\n"
    "the configuration the latter two. Reports are what the aggregator would publish, alerts among them: those are logged\n"
    "too, and sent to nobody. --export writes a training set and needs no model. Windows fill from what lies\n"
    "before --from; outputs begin there (by event time, of rejected records by record timestamp).\n"
    "\n"
    "The input topic is scored as it was served: by the deployments that the changelog of this app_id has, each from the\n"
    "offset where it came into force; --configured scores all of it by the models of the configuration.";

static void print_text(const struct replay_summary *s, FILE *out)
{
    int64_t rejected = 0;
    for (int i = 1; i < REJECT_REASON_COUNT; i++)
        rejected += s->rejects[i];
    fprintf(out, "records      %" PRId64 "\nevents       %" PRId64 "\npredictions  %" PRId64 "\nshadows      %" PRId64 "\ndead letters %" PRId64 "\n", s->records, s->events, s->predictions, s->shadows, rejected);
    for (int i = 1; i < REJECT_REASON_COUNT; i++)
        if (s->rejects[i])
            fprintf(out, "  %-18s %" PRId64 "\n", reject_name((enum reject_reason)i), s->rejects[i]);
    if (s->reports)
        fprintf(out, "reports      %" PRId64 " (%" PRId64 " alerts)\n", s->reports, s->alerts);
    if (s->exported)
        fprintf(out, "exported     %" PRId64 " (%" PRId64 " with a label)\n", s->exported, s->labelled);
    if (s->records && s->seconds > 0)
        fprintf(out, "%.1f s, %.0f events/s, %.2f CPU us/event\n", s->seconds, (double)s->records / s->seconds, s->cpu_seconds * 1e6 / (double)s->records);
}

static void print_json(const struct replay_summary *s, FILE *out)
{
    fprintf(out, "{\"records\": %" PRId64 ", \"events\": %" PRId64 ", \"predictions\": %" PRId64 ", \"shadows\": %" PRId64 ", \"exported\": %" PRId64 ", \"labelled\": %" PRId64 ", \"reports\": %" PRId64 ", \"alerts\": %" PRId64 ", \"dead_letters\": {",
        s->records, s->events, s->predictions, s->shadows, s->exported, s->labelled, s->reports, s->alerts);
    const char *between = "";
    for (int i = 1; i < REJECT_REASON_COUNT; i++) {
        if (!s->rejects[i])
            continue;
        fprintf(out, "%s\"%s\": %" PRId64, between, reject_name((enum reject_reason)i), s->rejects[i]);
        between = ", ";
    }
    fprintf(out, "}, \"seconds\": %.3f, \"events_per_second\": %.0f, \"cpu_us_per_event\": %.3f}\n", s->seconds, s->seconds > 0 ? (double)s->records / s->seconds : 0,
        s->records ? s->cpu_seconds * 1e6 / (double)s->records : 0);
}

/* The first thing about the options that does not fit, or NULL. */
static const char *misfit(const char *path, const struct replay_options *o)
{
    if (!path)
        return "which configuration? weir replay -c weir.yaml";
    if (!o->output && !o->export_path)
        return "nothing to write: give --output DIR, --export FILE, or both";
    if (o->export_path && !export_takes(o->export_path))
        return "--export: the name of the file must end in .csv or .avro";
    if (o->labels && !o->export_path)
        return "--labels belongs to --export";
    if (o->timestamps && !o->input)
        return "--timestamps belongs to --input: records of a topic have timestamps";
    if (o->from_ms >= o->to_ms)
        return "--from must lie before --to";
    return NULL;
}

int command_replay(int argc, char **argv)
{
    static atomic_bool stop;
    struct replay_options o = {.from_ms = INT64_MIN, .to_ms = INT64_MAX, .stop = &stop};
    const char *path = NULL;
    bool json = false;
    const struct argument table[] = {
        {"config", ARGUMENT_TEXT, &path, 0, 0, "FILE", "the configuration"},
        {"input", ARGUMENT_TEXT, &o.input, 0, 0, "FILE.avro", "events of a container file instead of the input topic"},
        {"timestamps", ARGUMENT_TEXT, &o.timestamps, 0, 0, "FIELD", "of the file: what its record timestamps are (default: the event time)"},
        {"from", ARGUMENT_TIME, &o.from_ms, 0, 0, "TIME", "first event time to write (UTC)"},
        {"to", ARGUMENT_TIME, &o.to_ms, 0, 0, "TIME", "event time to stop writing at (exclusive)"},
        {"output", ARGUMENT_TEXT, &o.output, 0, 0, "DIR", "where the container files go"},
        {"export", ARGUMENT_TEXT, &o.export_path, 0, 0, "FILE", "a training set, .csv or .avro"},
        {"labels", ARGUMENT_TEXT, &o.labels, 0, 0, "FILE|TOPIC", "labels for the training set"},
        {"configured", ARGUMENT_FLAG, &o.as_configured, 0, 0, NULL, "score the topic by the configured models, not by those that served"},
        {"json", ARGUMENT_FLAG, &json, 0, 0, NULL, "the summary as JSON"},
    };
    struct err err;
    struct config *config = NULL;
    enum arguments_outcome outcome = arguments_take(argc, argv, about, table, sizeof table / sizeof *table, &err);
    if (outcome == ARGUMENTS_HELP)
        return 0;
    if (outcome == ARGUMENTS_GIVEN && misfit(path, &o)) {
        err_set(&err, "%s", misfit(path, &o));
        outcome = ARGUMENTS_WRONG;
    }
    if (outcome == ARGUMENTS_WRONG || config_load(path, o.input ? 0 : CONFIG_NEED_INPUT | CONFIG_NEED_KAFKA, &config, &err) < 0) {
        fprintf(stderr, "weir replay: %s\n", err.msg);
        return 2;
    }
    process_stop_on_signals(&stop);
    o.config = config;
    struct replay_summary summary;
    int result = replay_run(&o, &summary, &err);
    if (result < 0)
        fprintf(stderr, "weir replay: %s\n", err.msg);
    else if (json)
        print_json(&summary, stdout);
    else
        print_text(&summary, stdout);
    config_destroy(config);
    return result < 0 ? 1 : 0;
}
