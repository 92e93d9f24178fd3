/* weir baseline: what monitoring will call normal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline/collect.h"
#include "consumer/baseline/scoring.h"
#include "consumer/baseline_file.h"
#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/deployment.h"
#include "consumer/file.h"
#include "consumer/process.h"

static const char about[] =
    "Takes the input topic of a configuration, or an Avro container file of plain events, through the same features as\n"
    "weir run and writes what they look like: the file that monitor.baseline names. With a model (the configuration's\n"
    "champion, or --model) its scores, decisions and feature importance too, with --labels its calibration. It joins no\n"
    "group and writes to no topic. The file takes some 0.1 MB a feature, 256 MiB at most.\n"
    "\n"
    "Windows fill from what lies before --from. Events less than the longest window after the first event of the file, or\n"
    "of their partition's log, are left out: their windows were still filling.";

struct options {
    const char *config, *output, *model, *id, *by;
    struct replay_options replay;
    bool json;
};

struct outcome {
    struct replay_summary replay;
    int64_t left_out;
    struct baseline *baseline;
};

/* The first thing about the options that does not fit, or NULL. */
static const char *misfit(const struct options *o)
{
    if (!o->config)
        return "which configuration? weir baseline -c weir.yaml --output baseline.json";
    if (!o->output)
        return "--output FILE is needed: where the baseline goes";
    if (o->replay.timestamps && !o->replay.input)
        return "--timestamps belongs to --input: records of a topic have timestamps";
    if (o->replay.from_ms >= o->replay.to_ms)
        return "--from must lie before --to";
    return NULL;
}

/* --by: "all", or a list of fields of monitor.segments. */
static int choose_parts(const struct options *o, const struct config *config, bool *parts, struct err *err)
{
    for (const char *at = o->by; at && *at;) {
        size_t size = strcspn(at, ","), i = 0;
        bool all = size == 3 && !memcmp(at, "all", 3), found = all;
        for (; i < config->monitor.segment_count; i++) {
            const char *name = config->monitor.segments[i];
            bool this = all || (strlen(name) == size && !memcmp(name, at, size));
            parts[i] |= this;
            found |= this;
        }
        if (!found)
            return err_set(err, "--by %s: %.*s is not in monitor.segments of %s", o->by, (int)size, at, config->file);
        at += size + (at[size] == ',');
    }
    return 0;
}

/* The champion's file, or what --model names; NULL bytes without any. */
static int read_model(const struct options *o, const struct config *config, char **bytes, size_t *size, struct err *err)
{
    const char *path = o->model ? o->model : config->models.given ? config->models.champion.file : NULL;
    *bytes = NULL;
    return path ? file_read(path, MODEL_FILE_MAX, bytes, size, err) : 0;
}

/* A file's name without its directory and ending. */
static const char *name_of(const char *path, char name[128])
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    snprintf(name, 128, "%.*s", dot && dot > base ? (int)(dot - base) : (int)strlen(base), base);
    return name;
}

static const char *model_id(const struct options *o, char name[128])
{
    if (o->id)
        return o->id;
    return o->model ? name_of(o->model, name) : o->replay.config->models.champion.id;
}

static int no_events(const struct options *o, const struct collect *c, struct err *err)
{
    const struct collection *found = collect_result(c);
    const struct feature_spec *spec = o->replay.config->spec;
    if (found->left_out)
        return err_set(err, "nothing to count: all %" PRId64 " records of the range lie less than the longest window (%g h) after the first event, whose windows were still filling; give a longer history",
                       found->left_out, (double)spec->longest_window_ms / 3.6e6);
    return err_set(err, "nothing to count: no accepted event lies in the range");
}

static int write_baseline(const struct options *o, struct collect *c, const char *model, size_t size, struct outcome *out, struct err *err)
{
    const struct config *config = o->replay.config;
    struct baseline_builder *builder = collect_result(c)->builder;
    out->left_out = collect_result(c)->left_out;
    if (!baseline_builder_rows(builder))
        return no_events(o, c, err);
    const char **names = calloc(config->spec->count + 1, sizeof *names);
    int status = names ? 0 : err_set(err, "memory is short");
    for (size_t f = 0; names && f < config->spec->count; f++)
        names[f] = config->spec->features[f].name;
    if (status == 0 && model)
        status = baseline_score(builder, model, size, names, config->spec->count, config->models.decision, INT64_MIN, err);
    free(names);
    if (status < 0)
        return -1;
    struct baseline *baseline = baseline_builder_finish(builder);
    out->baseline = baseline;
    status = baseline ? 0 : err_set(err, "memory is short");
    if (status == 0 && model)
        status = baseline_explain(baseline, builder, model, size, err);
    return status == 0 ? baseline_file_write(o->output, baseline, err) : -1;
}

static int make_baseline(struct options *o, struct outcome *out, struct err *err)
{
    struct config *config = o->replay.config;
    bool parts[BASELINE_SEGMENTS_MAX] = {false};
    struct collect *c = NULL;
    char *model = NULL, name[128];
    size_t size = 0;
    if (config->monitor.segment_count > BASELINE_SEGMENTS_MAX)
        return err_set(err, "%s: monitor.segments: a baseline holds at most %d fields", config->file, BASELINE_SEGMENTS_MAX);
    free(config->monitor.baseline);
    config->monitor.baseline = NULL; /* it is yet to be made */
    int status = choose_parts(o, config, parts, err);
    if (status == 0)
        status = read_model(o, config, &model, &size, err);
    if (status == 0)
        status = collect_run(&o->replay, parts, model ? model_id(o, name) : NULL, &c, &out->replay, err);
    if (status == 0)
        status = write_baseline(o, c, model, size, out, err);
    collect_finish(c);
    free(model);
    return status;
}

static void print_text(const struct options *o, const struct outcome *out)
{
    const struct baseline *b = out->baseline;
    printf("%s: %zu features%s, %" PRId64 " events", o->output, b->count, b->has_score ? " and the score" : "", b->events);
    if (b->sampled < b->events)
        printf(" (columns of a sample of %" PRId64 " by transaction id)", b->sampled);
    printf(", %" PRId64 " rejected\n%" PRId64 " left out while windows filled, of %" PRId64 " records\n", b->records - b->events, out->left_out, out->replay.records);
    if (b->outcome.has_calibration)
        printf("%" PRId64 " labels, %" PRId64 " of them fraud: AUC %.4f, ECE %.4f\n", b->outcome.calibration.labels, b->outcome.calibration.positives,
               b->outcome.calibration.auc, b->outcome.calibration.ece);
    printf("now name it in the configuration: monitor: {baseline: %s}\n", o->output);
}

static void print_json(const struct options *o, const struct outcome *out)
{
    (void)o;
    const struct baseline *b = out->baseline;
    printf("{\"records\": %" PRId64 ", \"events\": %" PRId64 ", \"sampled\": %" PRId64 ", \"rejected\": %" PRId64 ", \"left_out\": %" PRId64 ", \"features\": %zu, \"scores\": %" PRId64 ", \"labels\": %" PRId64
           ", \"seconds\": %.3f}\n",
           out->replay.records, b->events, b->sampled, b->records - b->events, out->left_out, b->count, b->score.count, b->outcome.calibration.labels,
           out->replay.seconds);
}

int command_baseline(int argc, char **argv)
{
    static atomic_bool stop;
    struct options o = {.replay = {.from_ms = INT64_MIN, .to_ms = INT64_MAX, .stop = &stop}};
    const struct argument table[] = {
        {"config", ARGUMENT_TEXT, &o.config, 0, 0, "FILE", "the configuration"},
        {"output", ARGUMENT_TEXT, &o.output, 0, 0, "FILE", "where the baseline goes"},
        {"input", ARGUMENT_TEXT, &o.replay.input, 0, 0, "FILE.avro", "events of a container file instead of the input topic"},
        {"timestamps", ARGUMENT_TEXT, &o.replay.timestamps, 0, 0, "FIELD", "of the file: what its record timestamps are (default: the event time)"},
        {"from", ARGUMENT_TIME, &o.replay.from_ms, 0, 0, "TIME", "first event time to count (UTC)"},
        {"to", ARGUMENT_TIME, &o.replay.to_ms, 0, 0, "TIME", "event time to stop counting at (exclusive)"},
        {"labels", ARGUMENT_TEXT, &o.replay.labels, 0, 0, "FILE|TOPIC", "labels, for the calibration"},
        {"model", ARGUMENT_TEXT, &o.model, 0, 0, "FILE", "whose scores (default: the configuration's champion)"},
        {"id", ARGUMENT_TEXT, &o.id, 0, 0, "ID", "of the model (default: the champion's; of --model its file's name)"},
        {"by", ARGUMENT_TEXT, &o.by, 0, 0, "FIELD,...|all", "of monitor.segments: statistics of each of their values as well"},
        {"json", ARGUMENT_FLAG, &o.json, 0, 0, NULL, "the summary as JSON"},
    };
    struct err err;
    enum arguments_outcome given = arguments_take(argc, argv, about, table, sizeof table / sizeof *table, &err);
    if (given == ARGUMENTS_HELP)
        return 0;
    if (given == ARGUMENTS_GIVEN && misfit(&o)) {
        err_set(&err, "%s", misfit(&o));
        given = ARGUMENTS_WRONG;
    }
    if (given == ARGUMENTS_WRONG || config_load(o.config, o.replay.input ? 0 : CONFIG_NEED_INPUT | CONFIG_NEED_KAFKA, &o.replay.config, &err) < 0) {
        fprintf(stderr, "weir baseline: %s\n", err.msg);
        return 2;
    }
    process_stop_on_signals(&stop);
    struct outcome out = {0};
    int status = make_baseline(&o, &out, &err);
    if (status < 0)
        fprintf(stderr, "weir baseline: %s\n", err.msg);
    else
        (o.json ? print_json : print_text)(&o, &out);
    baseline_destroy(out.baseline);
    config_destroy(o.replay.config);
    return status < 0 ? 1 : 0;
}
