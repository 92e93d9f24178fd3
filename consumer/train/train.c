#include "consumer/train/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "scoring/models/model.h"

static int library_failed(struct err *err, const char *doing)
{
    return err_set(err, "XGBoost cannot %s: %.*s", doing, (int)strcspn(XGBGetLastError(), "\n"), XGBGetLastError());
}

/* What the library warns of while it is being configured.  Its callback has no context; it calls in the thread that
 * trains. */
static _Thread_local char warning[512];

static void keep_warning(const char *text)
{
    const char *unused = strstr(text, "Parameters:");
    if (unused)
        snprintf(warning, sizeof warning, "%s", unused);
}

static int make_matrix(const struct training_set *set, size_t from, size_t rows, int threads, DMatrixHandle *out, struct err *err)
{
    char data[160], config[64];
    snprintf(data, sizeof data, "{\"data\":[%" PRIuPTR ",true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}",
             (uintptr_t)(set->values + from * set->columns), rows, set->columns);
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d}", threads);
    if (XGDMatrixCreateFromDense(data, config, out))
        return library_failed(err, "take the training set");
    float *labels = malloc(rows * sizeof *labels);
    if (!labels)
        return err_set(err, "memory is short");
    for (size_t i = 0; i < rows; i++)
        labels[i] = set->labels[from + i];
    char info[160];
    snprintf(info, sizeof info, "{\"data\":[%" PRIuPTR ",true],\"shape\":[%zu],\"typestr\":\"<f4\",\"version\":3}", (uintptr_t)labels, rows);
    int status = XGDMatrixSetInfoFromInterface(*out, "label", info) ||
                         XGDMatrixSetStrFeatureInfo(*out, "feature_name", (const char **)set->names, set->columns)
                     ? library_failed(err, "take labels and names")
                     : 0;
    free(labels);
    return status;
}

static int set_parameter(BoosterHandle booster, const char *key, const char *value, struct err *err)
{
    return XGBoosterSetParam(booster, key, value) ? library_failed(err, key) : 0;
}

static int configure(BoosterHandle booster, const struct training_set *set, const struct train_options *o, struct err *err)
{
    char depth[16], eta[32], seed[24], threads[16];
    snprintf(depth, sizeof depth, "%d", o->max_depth);
    snprintf(eta, sizeof eta, "%.17g", o->eta);
    snprintf(seed, sizeof seed, "%" PRId64, o->seed);
    snprintf(threads, sizeof threads, "%d", o->threads);
    const char *const defaults[][2] = {{"booster", "gbtree"}, {"objective", "binary:logistic"}, {"tree_method", "hist"},
                                       {"max_depth", depth},  {"eta", eta},                     {"seed", seed},
                                       {"nthread", threads},  {"validate_parameters", "1"}};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (set_parameter(booster, defaults[i][0], defaults[i][1], err) < 0)
            return -1;
    for (size_t i = 0; o->parameters && i < o->parameters->count; i++)
        if (set_parameter(booster, o->parameters->entries[i].key, o->parameters->entries[i].value, err) < 0)
            return -1;
    if (XGBoosterSetStrFeatureInfo(booster, "feature_name", (const char **)set->names, set->columns))
        return library_failed(err, "take the features' names");
    return 0;
}

/* Early stopping */

/* XGBoost's own list of what is better when larger. */
static bool larger_is_better(const char *metric)
{
    static const char *const names[] = {"auc", "aucpr", "pre", "map", "ndcg"};
    size_t n = strcspn(metric, "@");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && !memcmp(names[i], metric, n))
            return true;
    return false;
}

/* "[7]\tstop-logloss:0.123\tstop-auc:0.9": the last name and value. */
static int read_metric(const char *text, struct train_stop *stop, double *value, struct err *err)
{
    const char *last = strrchr(text, '\t'), *colon = last ? strrchr(last, ':') : NULL;
    char *rest = NULL;
    *value = colon ? strtod(colon + 1, &rest) : 0;
    if (!colon || strncmp(last, "\tstop-", 6) || rest == colon + 1)
        return err_set(err, "XGBoost's evaluation cannot be understood: %.100s", text);
    snprintf(stop->metric, sizeof stop->metric, "%.*s", (int)(colon - last - 6), last + 6);
    return 0;
}

/* 1: no better for too long. */
static int evaluate(BoosterHandle booster, DMatrixHandle matrix, int round, int patience, struct train_stop *stop, struct err *err)
{
    const char *name = "stop", *text;
    double value;
    if (XGBoosterEvalOneIter(booster, round, &matrix, &name, 1, &text))
        return library_failed(err, "evaluate");
    if (read_metric(text, stop, &value, err) < 0)
        return -1;
    if (round == 0 || (larger_is_better(stop->metric) ? value > stop->best : value < stop->best)) {
        stop->best = value;
        stop->best_round = round;
    }
    stop->rounds = round + 1;
    return round - stop->best_round >= patience;
}

static int boost(BoosterHandle booster, DMatrixHandle learned, DMatrixHandle judged, const struct train_options *o, struct train_stop *stop, struct err *err)
{
    for (int round = 0; round < o->rounds; round++) {
        if (o->stopped && *o->stopped)
            return err_set(err, "interrupted after %d of %d rounds; no model was written", round, o->rounds);
        if (XGBoosterUpdateOneIter(booster, round, learned))
            return library_failed(err, "train");
        if (round == 0 && *warning)
            return err_set(err, "XGBoost does not use every parameter given: %.*s", (int)strcspn(warning, "\n"), warning);
        int enough = judged ? evaluate(booster, judged, round, o->patience, stop, err) : 0;
        if (enough)
            return enough < 0 ? -1 : 0;
        if (o->on_round)
            o->on_round(o->opaque, round + 1);
    }
    return 0;
}

/* The best rounds alone: what scores must take all rounds of a file. */
static int slice(BoosterHandle *booster, const struct train_stop *stop, struct err *err)
{
    BoosterHandle sliced;
    char best[16];
    if (stop->best_round + 1 < stop->rounds) {
        if (XGBoosterSlice(*booster, 0, stop->best_round + 1, 1, &sliced))
            return library_failed(err, "slice the model");
        XGBoosterFree(*booster);
        *booster = sliced;
    }
    snprintf(best, sizeof best, "%d", stop->best_round);
    return XGBoosterSetAttr(*booster, "best_iteration", best) ? library_failed(err, "mark the best round") : 0;
}

static int save(BoosterHandle booster, char **model, size_t *size, struct err *err)
{
    bst_ulong length;
    const char *bytes;
    if (XGBoosterSaveModelToBuffer(booster, "{\"format\":\"ubj\"}", &length, &bytes))
        return library_failed(err, "save the model");
    if (!(*model = malloc(length + 1)))
        return err_set(err, "memory is short");
    memcpy(*model, bytes, length);
    *size = length;
    return 0;
}

static int check(const struct training_set *set, size_t from, size_t rows, const char *what, struct err *err)
{
    size_t positives = 0;
    for (size_t i = 0; i < rows; i++)
        positives += set->labels[from + i];
    if (positives == 0 || positives == rows)
        return err_set(err, "%s of the %zu rows %s are fraud; both kinds are needed", positives ? "all" : "none", rows, what);
    return 0;
}

int train_model(const struct training_set *set, size_t rows, const struct train_options *o, char **model, size_t *size, struct train_stop *stop,
                struct err *err)
{
    DMatrixHandle matrices[2] = {NULL, NULL};
    BoosterHandle booster = NULL;
    struct train_stop own = {0};
    bool early = o->patience > 0;
    if (check(set, 0, rows, "to train on", err) < 0 || (early && check(set, rows, o->stop_rows, "that say when to stop", err) < 0))
        return -1;
    warning[0] = 0;
    XGBRegisterLogCallback(keep_warning);
    XGBSetGlobalConfig("{\"verbosity\":1}");
    int status = -1;
    if (make_matrix(set, 0, rows, o->threads, &matrices[0], err) < 0 || (early && make_matrix(set, rows, o->stop_rows, o->threads, &matrices[1], err) < 0))
        ;
    else if (XGBoosterCreate(matrices, early ? 2 : 1, &booster))
        library_failed(err, "begin");
    else if (configure(booster, set, o, err) == 0 && boost(booster, matrices[0], matrices[1], o, &own, err) == 0 &&
             (!early || slice(&booster, &own, err) == 0))
        status = save(booster, model, size, err);
    if (booster)
        XGBoosterFree(booster);
    for (size_t i = 0; i < 2; i++)
        if (matrices[i])
            XGDMatrixFree(matrices[i]);
    XGBSetGlobalConfig("{\"verbosity\":0}");
    if (status == 0 && stop)
        *stop = own;
    return status;
}

/* Assessment */

static int score_rows(struct model *model, const struct training_set *set, size_t from, size_t to, struct scored *events, struct err *err)
{
    float margin[MODEL_BATCH_MAX], score[MODEL_BATCH_MAX];
    for (size_t at = from; at < to;) {
        size_t n = to - at < MODEL_BATCH_MAX ? to - at : MODEL_BATCH_MAX;
        if (model_score(model, set->values + at * set->columns, n, margin, score, err) < 0)
            return -1;
        for (size_t i = 0; i < n; i++, at++)
            events[at - from] = (struct scored){score[i], set->labels[at]};
    }
    return 0;
}

static int calibrate(const struct scored *events, size_t n, struct calibration *out, struct err *err)
{
    float *scores = malloc((n + 1) * sizeof *scores), deciles[CALIBRATION_EDGES];
    if (!scores)
        return err_set(err, "memory is short");
    *out = (struct calibration){0};
    for (size_t i = 0; i < n; i++)
        scores[i] = events[i].score;
    if (n)
        calibration_deciles(scores, n, deciles);
    for (size_t i = 0; i < n; i++)
        calibration_add(out, deciles, events[i].score, events[i].label);
    free(scores);
    return 0;
}

int train_assess(struct model *model, const struct training_set *set, size_t from, size_t to, struct thresholds thresholds,
                 struct train_quality *out, struct err *err)
{
    struct scored *events = malloc((to - from + 1) * sizeof *events);
    if (!events)
        return err_set(err, "memory is short");
    int status = score_rows(model, set, from, to, events, err);
    struct calibration calibration;
    if (status == 0)
        status = calibrate(events, to - from, &calibration, err);
    if (status == 0)
        *out = (struct train_quality){.rows = to - from,
                                      .calibration = calibration,
                                      .ranking = quality_rank(events, to - from),
                                      .at_review = quality_confusion(events, to - from, thresholds.review),
                                      .at_decline = quality_confusion(events, to - from, thresholds.decline)};
    free(events);
    return status;
}
