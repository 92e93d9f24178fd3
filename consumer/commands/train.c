/* weir train: a model from a training set.
 *
 * The rows with a label are put in the order of their event time; the model learns from the earlier ones and is judged
 * on the latest (--held-out), which it never saw: as it will be when it meets tomorrow's events.  With --early-stopping
 * the latest of the earlier ones are not learned from but say when to stop, so the judgement stays honest. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/commands/train_outcome.h"
#include "consumer/config/config.h"
#include "consumer/file.h"
#include "consumer/hash.h"
#include "consumer/progress.h"
#include "consumer/train/beside.h"
#include "scoring/models/model.h"

static volatile int stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static const char about[] =
    "Trains an XGBoost model (binary:logistic, tree_method hist) from a CSV training set as `weir replay --export` writes\n"
    "it. The earlier rows by event time are learned from, the latest are held out and judged. The model file carries the\n"
    "features' names. The same set, options and seed give the same bytes with one thread.\n"
    "\n"
    "Beside the model it writes MODEL.golden.csv, rows and what XGBoost gives for them, which weir compares wherever it\n"
    "loads the model, and with --features MODEL.baseline.json, the statistics that monitoring compares with.";

static enum arguments_outcome take_options(int argc, char **argv, struct options *o, struct err *err)
{
    const struct argument table[] = {
        {"input", ARGUMENT_TEXT, &o->input, 0, 0, "TRAIN.csv", "the training set"},
        {"output", ARGUMENT_TEXT, &o->output, 0, 0, "MODEL.ubj", "where the model goes"},
        {"features", ARGUMENT_TEXT, &o->features, 0, 0, "features.yaml", "check that the columns are this feature file's"},
        {"label", ARGUMENT_TEXT, &o->label, 0, 0, "NAME", "the column with 0 or 1 (default label); rows without are left out"},
        {"held-out", ARGUMENT_REAL, &o->held_out, 0, 0.9, "SHARE", "of the rows, the latest, to judge on (default 0.2)"},
        {"rounds", ARGUMENT_COUNT, &o->rounds, 1, 100000, "N", "trees (default 100)"},
        {"max-depth", ARGUMENT_COUNT, &o->max_depth, 1, 30, "N", "of a tree (default 6)"},
        {"eta", ARGUMENT_REAL, &o->eta, 1e-6, 1, "RATE", "learning rate (default 0.1)"},
        {"seed", ARGUMENT_COUNT, &o->seed, 0, 2147483647, "N", "of XGBoost's random choices (default 1)"},
        {"params", ARGUMENT_TEXT, &o->params, 0, 0, "KEY=VALUE,...|FILE", "any XGBoost parameters, over these; or a file of lines KEY=VALUE"},
        {"early-stopping", ARGUMENT_COUNT, &o->patience, 1, 100000, "N", "stop after N rounds without a better eval_metric, keep the best"},
        {"stop-share", ARGUMENT_REAL, &o->stop_share, 0.01, 0.9, "SHARE", "of the rows not held out, the latest, that say when (default 0.2)"},
        {"threads", ARGUMENT_COUNT, &o->threads, 1, 1024, "N", "more are faster, the last bits may then differ (default 1)"},
        {"review", ARGUMENT_REAL, &o->thresholds.review, 0, 1, "SCORE", "decision threshold to judge at (default 0.5)"},
        {"decline", ARGUMENT_REAL, &o->thresholds.decline, 0, 1, "SCORE", "decision threshold to judge at (default 0.9)"},
        {"bare", ARGUMENT_FLAG, &o->bare, 0, 0, NULL, "the model alone: no golden rows, no baseline"},
        {"json", ARGUMENT_FLAG, &o->json, 0, 0, NULL, "the result as JSON"},
    };
    enum arguments_outcome outcome = arguments_take(argc, argv, about, table, sizeof table / sizeof *table, err);
    if (outcome == ARGUMENTS_GIVEN && (!o->input || !o->output)) {
        err_set(err, "--input TRAIN.csv and --output MODEL.ubj are needed");
        return ARGUMENTS_WRONG;
    }
    return outcome;
}

/* The columns must be the feature file's, by name and order: else the model would be refused when it is to serve. */
static int check_columns(const struct options *o, const struct training_set *set, struct field_set *fields, struct feature_spec **out, struct err *err)
{
    if (!o->features)
        return 0;
    int status = feature_file_load(o->features, fields, out, err);
    const struct feature_spec *spec = *out;
    for (size_t i = 0; status == 0 && (i < spec->count || i < set->columns); i++) {
        const char *theirs = i < spec->count ? spec->features[i].name : NULL, *ours = i < set->columns ? set->names[i] : NULL;
        if (!theirs || !ours || strcmp(theirs, ours))
            status = err_set(err, "column %zu is '%s' in %s but '%s' in %s: export the training set with this feature file", i,
                             ours ? ours : "(none)", o->input, theirs ? theirs : "(none)", o->features);
    }
    return status;
}

static void on_round(void *opaque, int round)
{
    progress_update(opaque, round);
}

static int train(const struct options *o, const struct training_set *set, size_t rows, char **model, size_t *size, struct outcome *out, struct err *err)
{
    struct progress progress;
    struct parameters parameters = {0};
    out->stop_rows = o->patience ? (size_t)((double)rows * o->stop_share) : 0;
    struct train_options options = {.rounds = (int)o->rounds, .max_depth = (int)o->max_depth, .threads = (int)o->threads, .eta = o->eta,
                                    .seed = o->seed, .parameters = &parameters, .patience = (int)o->patience, .stop_rows = out->stop_rows,
                                    .on_round = on_round, .opaque = &progress, .stopped = &stopped};
    if (o->params && parameters_read(o->params, &parameters, err) < 0)
        return -1;
    progress_start(&progress, "train (trees)", o->rounds);
    int status = train_model(set, rows - out->stop_rows, &options, model, size, &out->stop, err);
    progress_end(&progress);
    parameters_finish(&parameters);
    return status;
}

/* Through the same door as the worker: what it would refuse is not written. */
static int assess(const struct options *o, const struct training_set *set, size_t cut, const char *bytes, size_t size, struct outcome *out,
                  struct err *err)
{
    struct model *model;
    if (model_create(bytes, size, &model, err) < 0)
        return -1;
    out->trees = model_tree_count(model);
    int status = model_check_features(model, (const char *const *)set->names, set->columns, err);
    if (status == 0)
        status = model_prove(model, NULL, DIFFERENCE_REFUSE, err);
    if (status == 0)
        status = train_assess(model, set, 0, cut, o->thresholds, &out->train, err);
    if (status == 0)
        status = train_assess(model, set, cut, set->rows, o->thresholds, &out->held_out, err);
    model_destroy(model);
    return status;
}

/* The model last: whoever watches its file finds what lies beside it. */
static int write_files(const struct options *o, const struct training_set *set, size_t cut, const struct feature_spec *spec, const char *bytes, size_t size,
                       struct outcome *out, struct err *err)
{
    if (!o->bare && beside_write_golden(o->output, bytes, size, set, err) < 0)
        return -1;
    int baseline = o->bare || !spec ? 1 : beside_write_baseline(o->output, bytes, size, set, cut, spec, o->thresholds, err);
    if (baseline < 0)
        return -1;
    out->baseline = baseline == 0;
    out->too_short = baseline == 1 && spec && !o->bare;
    return file_write(o->output, bytes, size, err);
}

static int train_and_write(const struct options *o, struct training_set *set, const struct feature_spec *spec, struct outcome *out, struct err *err)
{
    char *bytes = NULL;
    size_t size;
    uint8_t digest[32];
    if (set->rows < 2)
        return err_set(err, "%s: %zu rows with a label; that is nothing to learn from", o->input, set->rows);
    size_t cut = set->rows - (size_t)((double)set->rows * o->held_out);
    int status = training_set_sort(set, err);
    if (status == 0)
        status = train(o, set, cut, &bytes, &size, out, err);
    if (status == 0)
        status = assess(o, set, cut, bytes, size, out, err);
    if (status == 0)
        status = write_files(o, set, cut, spec, bytes, size, out, err);
    if (status == 0) {
        sha256(bytes, size, digest);
        sha256_hex(digest, out->sha256);
        out->rows = set->rows;
        out->columns = set->columns;
        out->unlabelled = set->unlabelled;
        out->incomplete = set->incomplete;
        out->model_bytes = size;
    }
    free(bytes);
    return status;
}

int command_train(int argc, char **argv)
{
    struct options o = {.label = "label", .rounds = 100, .max_depth = 6, .seed = 1, .threads = 1, .eta = 0.1, .held_out = 0.2, .stop_share = 0.2,
                        .thresholds = {0.5, 0.9}};
    struct err err;
    enum arguments_outcome given = take_options(argc, argv, &o, &err);
    if (given != ARGUMENTS_GIVEN) {
        if (given == ARGUMENTS_WRONG)
            fprintf(stderr, "weir train: %s\n", err.msg);
        return given == ARGUMENTS_WRONG ? 2 : 0;
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    int64_t started_ns = clock_monotonic_ns();
    struct training_set set;
    struct outcome out = {.options = &o};
    struct field_set fields;
    struct feature_spec *spec = NULL;
    field_set_init(&fields);
    int status = training_set_read(o.input, o.label, &set, &err);
    if (status == 0) {
        if ((status = check_columns(&o, &set, &fields, &spec, &err)) == 0)
            status = train_and_write(&o, &set, spec, &out, &err);
        training_set_finish(&set);
    }
    if (spec)
        feature_spec_destroy(spec);
    field_set_finish(&fields);
    if (status < 0) {
        fprintf(stderr, "weir train: %s\n", err.msg);
        return 1;
    }
    out.seconds = (double)(clock_monotonic_ns() - started_ns) / 1e9;
    (o.json ? train_print_json : train_print_text)(&out);
    return 0;
}
