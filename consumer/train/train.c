#include "consumer/train/train.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "scoring/model.h"

static int library_failed(struct err *err, const char *doing)
{
    return err_set(err, "XGBoost cannot %s: %.*s", doing, (int)strcspn(XGBGetLastError(), "\n"), XGBGetLastError());
}

static int make_matrix(const struct training_set *set, size_t rows, int threads, DMatrixHandle *out, struct err *err)
{
    char data[160], config[64];
    snprintf(data, sizeof data, "{\"data\":[%" PRIuPTR ",true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}", (uintptr_t)set->values,
             rows, set->columns);
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d}", threads);
    if (XGDMatrixCreateFromDense(data, config, out))
        return library_failed(err, "take the training set");
    float *labels = malloc(rows * sizeof *labels);
    if (!labels)
        return err_set(err, "memory is short");
    for (size_t i = 0; i < rows; i++)
        labels[i] = set->labels[i];
    char info[160];
    snprintf(info, sizeof info, "{\"data\":[%" PRIuPTR ",true],\"shape\":[%zu],\"typestr\":\"<f4\",\"version\":3}", (uintptr_t)labels, rows);
    int status = XGDMatrixSetInfoFromInterface(*out, "label", info) ||
                         XGDMatrixSetStrFeatureInfo(*out, "feature_name", (const char **)set->names, set->columns)
                     ? library_failed(err, "take labels and names")
                     : 0;
    free(labels);
    return status;
}

static int configure(BoosterHandle booster, const struct training_set *set, const struct train_options *o, struct err *err)
{
    char depth[16], eta[32], seed[24], threads[16];
    snprintf(depth, sizeof depth, "%d", o->max_depth);
    snprintf(eta, sizeof eta, "%.17g", o->eta);
    snprintf(seed, sizeof seed, "%" PRId64, o->seed);
    snprintf(threads, sizeof threads, "%d", o->threads);
    const char *const parameters[][2] = {{"booster", "gbtree"}, {"objective", "binary:logistic"}, {"tree_method", "hist"},
                                         {"max_depth", depth},  {"eta", eta},                     {"seed", seed},
                                         {"nthread", threads},  {"verbosity", "0"},               {"validate_parameters", "1"}};
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (XGBoosterSetParam(booster, parameters[i][0], parameters[i][1]))
            return library_failed(err, parameters[i][0]);
    if (XGBoosterSetStrFeatureInfo(booster, "feature_name", (const char **)set->names, set->columns))
        return library_failed(err, "take the features' names");
    return 0;
}

static int boost(BoosterHandle booster, DMatrixHandle matrix, const struct train_options *o, struct err *err)
{
    for (int round = 0; round < o->rounds; round++) {
        if (o->stopped && *o->stopped)
            return err_set(err, "interrupted after %d of %d rounds; no model was written", round, o->rounds);
        if (XGBoosterUpdateOneIter(booster, round, matrix))
            return library_failed(err, "train");
        if (o->on_round)
            o->on_round(o->opaque, round + 1);
    }
    return 0;
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

static int check(const struct training_set *set, size_t rows, struct err *err)
{
    size_t positives = 0;
    for (size_t i = 0; i < rows; i++)
        positives += set->labels[i];
    if (positives == 0 || positives == rows)
        return err_set(err, "%s of the %zu rows to train on are fraud; both kinds are needed", positives ? "all" : "none", rows);
    return 0;
}

int train_model(const struct training_set *set, size_t rows, const struct train_options *options, char **model, size_t *size, struct err *err)
{
    DMatrixHandle matrix = NULL;
    BoosterHandle booster = NULL;
    if (check(set, rows, err) < 0)
        return -1;
    XGBSetGlobalConfig("{\"verbosity\":0}");
    int status = -1;
    if (make_matrix(set, rows, options->threads, &matrix, err) < 0)
        ;
    else if (XGBoosterCreate(&matrix, 1, &booster))
        library_failed(err, "begin");
    else if (configure(booster, set, options, err) == 0 && boost(booster, matrix, options, err) == 0)
        status = save(booster, model, size, err);
    if (booster)
        XGBoosterFree(booster);
    if (matrix)
        XGDMatrixFree(matrix);
    return status;
}

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

int train_assess(struct model *model, const struct training_set *set, size_t from, size_t to, struct thresholds thresholds,
                 struct train_quality *out, struct err *err)
{
    struct scored *events = malloc((to - from + 1) * sizeof *events);
    if (!events)
        return err_set(err, "memory is short");
    int status = score_rows(model, set, from, to, events, err);
    if (status == 0)
        *out = (struct train_quality){.rows = to - from,
                                      .ranking = quality_rank(events, to - from),
                                      .at_review = quality_confusion(events, to - from, thresholds.review),
                                      .at_decline = quality_confusion(events, to - from, thresholds.decline)};
    free(events);
    return status;
}
