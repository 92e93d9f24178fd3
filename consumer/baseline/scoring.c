#include "consumer/baseline/scoring.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/models/model.h"
#include "scoring/models/model_importance.h"

static void score_batch(struct baseline_builder *b, size_t from, size_t n, const float *scores, struct thresholds thresholds, int64_t from_ms)
{
    for (size_t i = 0; i < n; i++)
        if (baseline_builder_time(b, from + i) >= from_ms)
            baseline_builder_score(b, from + i, scores[i], decide(thresholds, scores[i]));
}

int baseline_score(struct baseline_builder *b, const void *bytes, size_t size, const char *const *features, size_t count,
                   struct thresholds thresholds, int64_t from_ms, struct err *err)
{
    float margins[MODEL_BATCH_MAX], scores[MODEL_BATCH_MAX];
    size_t rows = baseline_builder_rows(b);
    struct model *model;
    if (model_create(bytes, size, &model, err) < 0)
        return -1;
    int status = model_check_features(model, features, count, err);
    for (size_t at = 0; status == 0 && at < rows; at += MODEL_BATCH_MAX) {
        size_t n = rows - at < MODEL_BATCH_MAX ? rows - at : MODEL_BATCH_MAX;
        status = model_score(model, baseline_builder_row(b, at), n, margins, scores, err);
        if (status == 0)
            score_batch(b, at, n, scores, thresholds, from_ms);
    }
    model_destroy(model);
    return status;
}

static int add_gains(struct baseline *baseline, const void *bytes, size_t size, struct err *err)
{
    struct model_file *file;
    struct forest_shape shape;
    if (model_file_read(bytes, size, &file, err) < 0)
        return -1;
    struct importance *importance = calloc(file->feature_count + 1, sizeof *importance);
    double *gains = calloc(baseline->count + 1, sizeof *gains);
    int status = importance && gains ? 0 : err_set(err, "memory is short");
    if (status == 0 && file->feature_count == baseline->count) {
        model_importance(file, importance, &shape);
        for (size_t f = 0; f < baseline->count; f++)
            gains[f] = importance[f].total_gain;
        baseline_set_gains(baseline, gains);
    }
    model_file_destroy(file);
    free(importance);
    free(gains);
    return status;
}

enum { SAMPLE_LEAST = 1000, SAMPLE_ONE_IN_MOST = 100 };

/* The rows of the sample, copied one after the other; *n of them. */
static float *take_sample(const struct baseline_builder *b, size_t columns, size_t *n)
{
    size_t rows = baseline_builder_rows(b), one_in = rows / SAMPLE_LEAST, taken = 0;
    one_in = one_in < 1 ? 1 : one_in > SAMPLE_ONE_IN_MOST ? SAMPLE_ONE_IN_MOST : one_in;
    for (size_t i = 0; i < rows; i++)
        taken += baseline_builder_id(b, i) % one_in == 0;
    float *sample = calloc(taken + 1, columns * sizeof *sample + 1);
    *n = 0;
    for (size_t i = 0; sample && i < rows; i++)
        if (baseline_builder_id(b, i) % one_in == 0)
            memcpy(sample + (*n)++ * columns, baseline_builder_row(b, i), columns * sizeof *sample);
    return sample;
}

static int add_contributions(struct baseline *baseline, const struct baseline_builder *b, const void *bytes, size_t size, struct err *err)
{
    size_t n, width = baseline->count + 1;
    struct model *model;
    if (model_create(bytes, size, &model, err) < 0)
        return -1;
    float *sample = take_sample(b, baseline->count, &n), *contributions = sample ? calloc(n + 1, width * sizeof *contributions) : NULL;
    int status = contributions ? 0 : err_set(err, "memory is short");
    for (size_t at = 0; status == 0 && at < n; at += MODEL_BATCH_MAX)
        status = model_contributions(model, sample + at * baseline->count, n - at < MODEL_BATCH_MAX ? n - at : MODEL_BATCH_MAX, contributions + at * width, err);
    if (status == 0)
        baseline_set_contributions(baseline, contributions, n);
    free(sample);
    free(contributions);
    model_destroy(model);
    return status;
}

int baseline_explain(struct baseline *baseline, const struct baseline_builder *b, const void *bytes, size_t size, struct err *err)
{
    return add_gains(baseline, bytes, size, err) < 0 ? -1 : add_contributions(baseline, b, bytes, size, err);
}
