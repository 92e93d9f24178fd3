#include "scoring/models/model_library.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "scoring/models/model.h"

struct library {
    BoosterHandle booster;
    size_t columns;
    bool through_matrix;
    float *finite; /* MODEL_BATCH_MAX rows with infinities cut, for the DMatrix path; made when first needed */
};

/* The library's message without its time stamp, source position and stack trace. */
static int library_failed(struct err *err, const char *doing)
{
    const char *msg = XGBGetLastError();
    const char *cut = *msg == '[' ? strstr(msg, ".cc:") : NULL;
    cut = cut ? strstr(cut, ": ") : NULL;
    msg = cut ? cut + 2 : msg;
    return err_set(err, "XGBoost cannot %s: %.*s", doing, (int)strcspn(msg, "\n"), msg);
}

static void describe_rows(char text[160], const float *rows, size_t n, size_t columns)
{
    snprintf(text, 160, "{\"data\":[%" PRIuPTR ",true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}", (uintptr_t)rows, n,
             columns);
}

static void describe_prediction(char text[160], enum prediction kind)
{
    snprintf(text, 160,
             "{\"type\":%d,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":false,"
             "\"missing\":NaN,\"cache_id\":0}",
             (int)kind);
}

static int copy_result(float *out, size_t expected, const bst_ulong *shape, bst_ulong dimensions, const float *result, struct err *err)
{
    bst_ulong size = 1;
    for (bst_ulong i = 0; i < dimensions; i++)
        size *= shape[i];
    if (size != expected)
        return err_set(err, "XGBoost gave %llu numbers where %zu were due", (unsigned long long)size, expected);
    memcpy(out, result, expected * sizeof *out);
    return 0;
}

static int predict_inplace(struct library *l, enum prediction kind, const float *rows, size_t n, float *out, struct err *err)
{
    char data[160], config[160];
    describe_rows(data, rows, n, l->columns);
    describe_prediction(config, kind);
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *result;
    if (XGBoosterPredictFromDense(l->booster, data, config, NULL, &shape, &dimensions, &result))
        return library_failed(err, "score");
    return copy_result(out, n, shape, dimensions, result, err);
}

/* A DMatrix refuses infinities.  The largest finite numbers take the same side of every split: thresholds are
 * finite (model_file.c) and the comparison is x < threshold. */
static const float *without_infinities(struct library *l, const float *rows, size_t count)
{
    size_t i = 0;
    while (i < count && !isinf(rows[i]))
        i++;
    if (i == count)
        return rows;
    if (!l->finite && !(l->finite = malloc(MODEL_BATCH_MAX * l->columns * sizeof(float))))
        return NULL;
    for (i = 0; i < count; i++)
        l->finite[i] = isinf(rows[i]) ? copysignf(FLT_MAX, rows[i]) : rows[i];
    return l->finite;
}

static int predict_matrix(struct library *l, enum prediction kind, const float *rows, size_t n, float *out, struct err *err)
{
    size_t width = kind == PREDICT_CONTRIBUTIONS ? l->columns + 1 : 1;
    if (!(rows = without_infinities(l, rows, n * l->columns)))
        return err_set(err, "memory is short");
    char data[160], config[160];
    describe_rows(data, rows, n, l->columns);
    describe_prediction(config, kind);
    DMatrixHandle matrix;
    if (XGDMatrixCreateFromDense(data, "{\"missing\":NaN,\"nthread\":1}", &matrix))
        return library_failed(err, "take the rows");
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *result;
    int status = XGBoosterPredictFromDMatrix(l->booster, matrix, config, &shape, &dimensions, &result)
                     ? library_failed(err, kind == PREDICT_CONTRIBUTIONS ? "explain" : "score")
                     : copy_result(out, n * width, shape, dimensions, result, err);
    XGDMatrixFree(matrix);
    return status;
}

int library_predict(struct library *l, enum prediction kind, const float *rows, size_t n, float *out, struct err *err)
{
    assert(n <= MODEL_BATCH_MAX);
    return (l->through_matrix || kind == PREDICT_CONTRIBUTIONS ? predict_matrix : predict_inplace)(l, kind, rows, n, out, err);
}

static int load(struct library *l, const void *bytes, size_t size, struct err *err)
{
    if (XGBSetGlobalConfig("{\"verbosity\":0}") || XGBoosterCreate(NULL, 0, &l->booster) ||
        XGBoosterSetParam(l->booster, "nthread", "1") || XGBoosterLoadModelFromBuffer(l->booster, bytes, size))
        return library_failed(err, "load the model");
    bst_ulong features;
    if (XGBoosterGetNumFeature(l->booster, &features))
        return library_failed(err, "count the features");
    if (features != l->columns)
        return err_set(err, "XGBoost reads %llu features where the file says %zu", (unsigned long long)features, l->columns);
    return 0;
}

int library_create(const void *bytes, size_t size, size_t feature_count, bool dart, struct library **out, struct err *err)
{
    struct library *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, "memory is short");
    l->columns = feature_count;
    l->through_matrix = dart;
    if (load(l, bytes, size, err) < 0) {
        library_destroy(l);
        return -1;
    }
    *out = l;
    return 0;
}

void library_destroy(struct library *l)
{
    if (!l)
        return;
    if (l->booster)
        XGBoosterFree(l->booster);
    free(l->finite);
    free(l);
}
