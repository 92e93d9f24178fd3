#include "consumer/train/beside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline/training.h"
#include "consumer/baseline_file.h"
#include "consumer/golden_file.h"
#include "scoring/features/feature_spec.h"
#include "scoring/models/model.h"

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

/* The name of the model's file without its directory and ending. */
static void id_of(const char *model_path, char id[64])
{
    const char *slash = strrchr(model_path, '/'), *name = slash ? slash + 1 : model_path, *dot = strrchr(name, '.');
    snprintf(id, 64, "%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

int beside_write_baseline(const char *model_path, const void *bytes, size_t size, const struct training_set *set, size_t learned,
                          const struct feature_spec *spec, struct thresholds thresholds, struct err *err)
{
    char path[4096], id[64];
    struct baseline *baseline;
    if ((size_t)snprintf(path, sizeof path, "%s.baseline.json", model_path) >= sizeof path)
        return err_set(err, "%.200s...: the path is too long", model_path);
    id_of(model_path, id);
    int status = training_baseline(set, learned, spec, bytes, size, id, thresholds, &baseline, err);
    if (status == 0) {
        status = baseline_file_write(path, baseline, err);
        baseline_destroy(baseline);
    }
    return status;
}
