#include "consumer/train/beside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline_file.h"
#include "consumer/golden_file.h"
#include "consumer/hash.h"
#include "scoring/feature_spec.h"
#include "scoring/model.h"
#include "scoring/model_importance.h"

_Static_assert((int)GOLDEN_ROWS <= (int)MODEL_BATCH_MAX && (int)GOLDEN_ROWS <= (int)GOLDEN_ROWS_MAX, "one batch, one file");

static void choose_rows(const struct training_set *set, float *rows, size_t n)
{
    size_t width = set->columns;
    for (size_t i = 0; i + 1 < n; i++)
        memcpy(rows + i * width, set->values + i * (set->rows / (n - 1)) * width, width * sizeof *rows);
    for (size_t f = 0; f < width; f++)
        rows[(n - 1) * width + f] = NAN;
}

int beside_write_golden(const char *model_path, const void *bytes, size_t size, const struct training_set *set, struct err *err)
{
    float margin[GOLDEN_ROWS], score[GOLDEN_ROWS];
    struct model *model = NULL;
    struct golden golden = {.columns = set->columns, .margin = margin, .score = score};
    golden.count = set->rows + 1 < GOLDEN_ROWS ? set->rows + 1 : GOLDEN_ROWS;
    golden.rows = malloc(golden.count * golden.columns * sizeof *golden.rows);
    int status = golden.rows ? model_create(bytes, size, &model, err) : err_set(err, "memory is short");
    if (status == 0) {
        choose_rows(set, golden.rows, golden.count);
        model_use_engine(model, "xgboost");
        status = model_score(model, golden.rows, golden.count, margin, score, err);
    }
    if (status == 0)
        status = golden_file_write(model_path, (const char *const *)set->names, &golden, err);
    model_destroy(model);
    free(golden.rows);
    return status;
}

static int score_all(const void *bytes, size_t size, const struct training_set *set, size_t from, float *scores, struct err *err)
{
    float margin[MODEL_BATCH_MAX];
    struct model *model;
    if (model_create(bytes, size, &model, err) < 0)
        return -1;
    int status = 0;
    for (size_t at = from; status == 0 && at < set->rows; at += MODEL_BATCH_MAX) {
        size_t n = set->rows - at < MODEL_BATCH_MAX ? set->rows - at : MODEL_BATCH_MAX;
        status = model_score(model, set->values + at * set->columns, n, margin, scores + at - from, err);
    }
    model_destroy(model);
    return status;
}

static int add_gain(const void *bytes, size_t size, struct baseline *baseline, struct err *err)
{
    struct model_file *file;
    struct forest_shape shape;
    if (model_file_read(bytes, size, &file, err) < 0)
        return -1;
    struct importance *importance = calloc(file->feature_count, sizeof *importance);
    double total = 0;
    if (importance) {
        model_importance(file, importance, &shape);
        for (size_t f = 0; f < file->feature_count; f++)
            total += importance[f].total_gain;
        for (size_t f = 0; total > 0 && f < baseline->count; f++)
            baseline->features[f].gain = importance[f].total_gain / total;
    }
    model_file_destroy(file);
    int status = importance ? 0 : err_set(err, "memory is short");
    free(importance);
    return status;
}

/* The name of the model's file without its directory and ending. */
static void id_of(const char *model_path, char id[64])
{
    const char *slash = strrchr(model_path, '/'), *name = slash ? slash + 1 : model_path, *dot = strrchr(name, '.');
    snprintf(id, 64, "%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

int beside_write_baseline(const char *model_path, const void *bytes, size_t size, const struct training_set *set, size_t from,
                          const struct feature_spec *spec, struct err *err)
{
    char path[4096], id[64];
    uint8_t digest[32];
    if ((size_t)snprintf(path, sizeof path, "%s.baseline.json", model_path) >= sizeof path)
        return err_set(err, "%.200s...: the path is too long", model_path);
    size_t n = set->rows - from;
    float *scores = malloc((n + 1) * sizeof *scores);
    if (!scores)
        return err_set(err, "memory is short");
    sha256(spec->canonical, strlen(spec->canonical), digest);
    id_of(model_path, id);
    int status = score_all(bytes, size, set, from, scores, err);
    if (status == 0) {
        struct baseline *baseline =
            baseline_create_from_rows((const char *const *)set->names, set->columns, set->values + from * set->columns, scores, n, digest, id);
        status = baseline ? add_gain(bytes, size, baseline, err) : err_set(err, "memory is short");
        if (status == 0)
            status = baseline_file_write(path, baseline, err);
        baseline_destroy(baseline);
    }
    free(scores);
    return status;
}
