/* weir train: a model from a training set.
 *
 * The rows with a label are put in the order of their event time; the model learns from the earlier ones and is judged
 * on the latest (--held-out), which it never saw: as it will be when it meets tomorrow's events. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/commands/arguments.h"
#include "consumer/commands/command.h"
#include "consumer/config/config.h"
#include "consumer/file.h"
#include "consumer/hash.h"
#include "consumer/progress.h"
#include "consumer/train/train.h"
#include "scoring/model.h"

static volatile int stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

struct options {
    const char *input, *output, *features, *label;
    int64_t rounds, max_depth, seed, threads;
    double eta, held_out;
    struct thresholds thresholds;
    bool json;
};

struct outcome {
    const struct options *options;
    size_t rows, trees, columns, model_bytes;
    uint64_t unlabelled, incomplete;
    struct train_quality train, held_out;
    char sha256[65];
    double seconds;
};

static const char about[] =
    "Trains an XGBoost model (binary:logistic, tree_method hist) from a CSV training set as `weir replay --export` writes\n"
    "it. The earlier rows by event time are learned from, the latest are held out and judged. The model file carries the\n"
    "features' names. The same set, options and seed give the same bytes with one thread.";

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
        {"threads", ARGUMENT_COUNT, &o->threads, 1, 1024, "N", "more are faster, the last bits may then differ (default 1)"},
        {"review", ARGUMENT_REAL, &o->thresholds.review, 0, 1, "SCORE", "decision threshold to judge at (default 0.5)"},
        {"decline", ARGUMENT_REAL, &o->thresholds.decline, 0, 1, "SCORE", "decision threshold to judge at (default 0.9)"},
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
static int check_columns(const struct options *o, const struct training_set *set, struct err *err)
{
    struct field_set fields;
    struct feature_spec *spec = NULL;
    if (!o->features)
        return 0;
    field_set_init(&fields);
    int status = feature_file_load(o->features, &fields, &spec, err);
    for (size_t i = 0; status == 0 && (i < spec->count || i < set->columns); i++) {
        const char *theirs = i < spec->count ? spec->features[i].name : NULL, *ours = i < set->columns ? set->names[i] : NULL;
        if (!theirs || !ours || strcmp(theirs, ours))
            status = err_set(err, "column %zu is '%s' in %s but '%s' in %s: export the training set with this feature file", i,
                             ours ? ours : "(none)", o->input, theirs ? theirs : "(none)", o->features);
    }
    if (spec)
        feature_spec_destroy(spec);
    field_set_finish(&fields);
    return status;
}

static void on_round(void *opaque, int round)
{
    progress_update(opaque, round);
}

static int train(const struct options *o, const struct training_set *set, size_t rows, char **model, size_t *size, struct err *err)
{
    struct progress progress;
    struct train_options options = {.rounds = (int)o->rounds, .max_depth = (int)o->max_depth, .threads = (int)o->threads, .eta = o->eta,
                                    .seed = o->seed, .on_round = on_round, .opaque = &progress, .stopped = &stopped};
    progress_start(&progress, "train (trees)", o->rounds);
    int status = train_model(set, rows, &options, model, size, err);
    progress_end(&progress);
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
        status = train_assess(model, set, 0, cut, o->thresholds, &out->train, err);
    if (status == 0)
        status = train_assess(model, set, cut, set->rows, o->thresholds, &out->held_out, err);
    model_destroy(model);
    return status;
}

static int train_and_write(const struct options *o, struct training_set *set, struct outcome *out, struct err *err)
{
    char *bytes = NULL;
    size_t size;
    uint8_t digest[32];
    if (set->rows < 2)
        return err_set(err, "%s: %zu rows with a label; that is nothing to learn from", o->input, set->rows);
    size_t cut = set->rows - (size_t)((double)set->rows * o->held_out);
    int status = training_set_sort(set, err);
    if (status == 0)
        status = train(o, set, cut, &bytes, &size, err);
    if (status == 0)
        status = assess(o, set, cut, bytes, size, out, err);
    if (status == 0)
        status = file_write(o->output, bytes, size, err);
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

/* The result */

static const char *number(char text[32], double v)
{
    snprintf(text, 32, isnan(v) ? "-" : "%.4f", v);
    return text;
}

static void print_part(const char *name, const struct train_quality *q)
{
    char auc[32], ap[32], p1[32], r1[32], f1[32], p2[32], r2[32], f2[32];
    printf("%-9s %9" PRIu64 " %8" PRIu64 "  %6s %6s  %6s %6s %6s  %6s %6s %6s\n", name, q->rows, q->ranking.positives,
           number(auc, q->ranking.auc), number(ap, q->ranking.average_precision), number(p1, quality_precision(&q->at_review)),
           number(r1, quality_recall(&q->at_review)), number(f1, quality_f1(&q->at_review)), number(p2, quality_precision(&q->at_decline)),
           number(r2, quality_recall(&q->at_decline)), number(f2, quality_f1(&q->at_decline)));
}

static void print_text(const struct outcome *out)
{
    const struct options *o = out->options;
    printf("%s: %zu trees, %zu features, %zu bytes, sha256 %s, in %.1f s\n", o->output, out->trees, out->columns, out->model_bytes, out->sha256,
           out->seconds);
    printf("%zu rows with a label; left out without one: %" PRIu64 "; with incomplete windows: %" PRIu64 "\n\n", out->rows, out->unlabelled,
           out->incomplete);
    printf("%-9s %9s %8s  %6s %6s  %-20s  %-20s\n", "", "rows", "fraud", "AUC", "AP", "at score >= review", "at score >= decline");
    printf("%-9s %9s %8s  %6s %6s  %6s %6s %6s  %6s %6s %6s\n", "", "", "", "", "", "prec", "recall", "F1", "prec", "recall", "F1");
    print_part("train", &out->train);
    print_part("held out", &out->held_out);
    printf("\nreview %g, decline %g; held out: the latest %g %% by event time\n", o->thresholds.review, o->thresholds.decline, 100 * o->held_out);
}

static const char *json_number(char text[32], double v)
{
    snprintf(text, 32, isnan(v) ? "null" : "%.17g", v);
    return text;
}

static void print_json_decision(const char *name, double threshold, const struct confusion *c)
{
    char precision[32], recall[32], f1[32], at[32];
    printf(", \"%s\": {\"threshold\": %s, \"precision\": %s, \"recall\": %s, \"f1\": %s, \"true_positive\": %" PRIu64 ", \"false_positive\": %" PRIu64
           ", \"false_negative\": %" PRIu64 ", \"true_negative\": %" PRIu64 "}",
           name, json_number(at, threshold), json_number(precision, quality_precision(c)), json_number(recall, quality_recall(c)),
           json_number(f1, quality_f1(c)), c->true_positive, c->false_positive, c->false_negative, c->true_negative);
}

static void print_json_part(const char *name, const struct train_quality *q, struct thresholds t)
{
    char auc[32], ap[32];
    printf(", \"%s\": {\"rows\": %" PRIu64 ", \"fraud\": %" PRIu64 ", \"auc\": %s, \"average_precision\": %s", name, q->rows, q->ranking.positives,
           json_number(auc, q->ranking.auc), json_number(ap, q->ranking.average_precision));
    print_json_decision("review", t.review, &q->at_review);
    print_json_decision("decline", t.decline, &q->at_decline);
    printf("}");
}

static void print_json(const struct outcome *out)
{
    printf("{\"trees\": %zu, \"features\": %zu, \"model_bytes\": %zu, \"model_sha256\": \"%s\", \"rows\": %zu, \"unlabelled\": %" PRIu64
           ", \"incomplete\": %" PRIu64 ", \"seconds\": %.3f",
           out->trees, out->columns, out->model_bytes, out->sha256, out->rows, out->unlabelled, out->incomplete, out->seconds);
    print_json_part("train", &out->train, out->options->thresholds);
    print_json_part("held_out", &out->held_out, out->options->thresholds);
    printf("}\n");
}

int command_train(int argc, char **argv)
{
    struct options o = {.label = "label", .rounds = 100, .max_depth = 6, .seed = 1, .threads = 1, .eta = 0.1, .held_out = 0.2,
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
    int status = training_set_read(o.input, o.label, &set, &err);
    if (status == 0) {
        if ((status = check_columns(&o, &set, &err)) == 0)
            status = train_and_write(&o, &set, &out, &err);
        training_set_finish(&set);
    }
    if (status < 0) {
        fprintf(stderr, "weir train: %s\n", err.msg);
        return 1;
    }
    out.seconds = (double)(clock_monotonic_ns() - started_ns) / 1e9;
    (o.json ? print_json : print_text)(&out);
    return 0;
}
