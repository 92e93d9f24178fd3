/* A model: its file checked, its trees compiled, the library for the rest.
 *
 * The forest gives margins where it can (forest.h): creation scores PROOF_ROWS rows both ways, among them missing
 * values, infinities, denormals and values at and beside the model's own thresholds, and a single differing bit of a
 * margin or a probability leaves the model to the library.
 *
 * Margins of the library: `inplace` dense prediction for plain trees, the DMatrix path for DART (whose
 * in-place margins differ in the last bits).  The probability is computed here from the margin, by the library's
 * own formula in float32, so that one call a batch suffices; the same rows prove that
 * the bits are those of the library's probabilities, and where a single one differs (another libm, another
 * release) the library is asked for both.
 *
 * The file is read and checked by model_file.c before the library sees it: the library loads trees with cycles
 * and with children out of range.
 *
 * Cost of the library: about 2.5 us a row in batches of 64 and more, 70 us for a row alone. */
#include "scoring/model.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "scoring/forest.h"
#include "scoring/model_file.h"

enum { PROOF_ROWS = 1024 };
_Static_assert((int)PROOF_ROWS <= (int)MODEL_BATCH_MAX, "the proof is one batch");

static const char library_engine[] = "xgboost";
static const char *const engine_names[FOREST_PATHS] = {"forest-portable", "forest-avx2", "forest-avx512"};

struct model {
    BoosterHandle booster;
    struct model_file *file;
    struct forest *forest; /* NULL: not compiled, or not proved */
    bool by_forest;        /* the engine in use */
    bool through_matrix;  /* DART */
    bool own_probability; /* the sigmoid here gives the library's bits */
    float *finite;        /* MODEL_BATCH_MAX rows with infinities cut, for the DMatrix path; made when first needed */
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

/* common::Sigmoid(float) of XGBoost's src/common/math.h, operation by operation. */
static float sigmoid(float margin)
{
    float x = 88.7f < -margin ? 88.7f : -margin; /* std::min(-x, 88.7f), a NaN included */
    float denominator = expf(x) + 1.0f + 1e-16f;
    return 1.0f / denominator;
}

enum prediction { PREDICT_VALUE, PREDICT_MARGIN, PREDICT_CONTRIBUTIONS };

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

static int predict_inplace(struct model *m, enum prediction kind, const float *rows, size_t n, float *out, struct err *err)
{
    char data[160], config[160];
    describe_rows(data, rows, n, model_feature_count(m));
    describe_prediction(config, kind);
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *result;
    if (XGBoosterPredictFromDense(m->booster, data, config, NULL, &shape, &dimensions, &result))
        return library_failed(err, "score");
    return copy_result(out, n, shape, dimensions, result, err);
}

/* A DMatrix refuses infinities.  The largest finite numbers take the same side of every split: thresholds are
 * finite (model_file.c) and the comparison is x < threshold. */
static const float *without_infinities(struct model *m, const float *rows, size_t count)
{
    size_t i = 0;
    while (i < count && !isinf(rows[i]))
        i++;
    if (i == count)
        return rows;
    if (!m->finite && !(m->finite = malloc(MODEL_BATCH_MAX * model_feature_count(m) * sizeof(float))))
        return NULL;
    for (i = 0; i < count; i++)
        m->finite[i] = isinf(rows[i]) ? copysignf(FLT_MAX, rows[i]) : rows[i];
    return m->finite;
}

static int predict_matrix(struct model *m, enum prediction kind, const float *rows, size_t n, float *out, struct err *err)
{
    size_t columns = model_feature_count(m), width = kind == PREDICT_CONTRIBUTIONS ? columns + 1 : 1;
    if (!(rows = without_infinities(m, rows, n * columns)))
        return err_set(err, "memory is short");
    char data[160], config[160];
    describe_rows(data, rows, n, columns);
    describe_prediction(config, kind);
    DMatrixHandle matrix;
    if (XGDMatrixCreateFromDense(data, "{\"missing\":NaN,\"nthread\":1}", &matrix))
        return library_failed(err, "take the rows");
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *result;
    int status = XGBoosterPredictFromDMatrix(m->booster, matrix, config, &shape, &dimensions, &result)
                     ? library_failed(err, kind == PREDICT_CONTRIBUTIONS ? "explain" : "score")
                     : copy_result(out, n * width, shape, dimensions, result, err);
    XGDMatrixFree(matrix);
    return status;
}

static int predict(struct model *m, enum prediction kind, const float *rows, size_t n, float *out, struct err *err)
{
    return (m->through_matrix ? predict_matrix : predict_inplace)(m, kind, rows, n, out, err);
}

int model_score(struct model *m, const float *rows, size_t n, float *margin, float *score, struct err *err)
{
    assert(n <= MODEL_BATCH_MAX);
    if (n == 0)
        return 0;
    if (m->by_forest)
        forest_score(m->forest, rows, n, margin);
    else if (predict(m, PREDICT_MARGIN, rows, n, margin, err) < 0)
        return -1;
    if (m->file->objective == OBJECTIVE_SQUARED_ERROR)
        memcpy(score, margin, n * sizeof *score);
    else if (m->file->objective == OBJECTIVE_LOGISTIC && !m->own_probability)
        return predict(m, PREDICT_VALUE, rows, n, score, err);
    else
        for (size_t i = 0; i < n; i++)
            score[i] = sigmoid(margin[i]);
    return 0;
}

int model_contributions(struct model *m, const float *rows, size_t n, float *contributions, struct err *err)
{
    assert(n <= MODEL_BATCH_MAX);
    return n == 0 ? 0 : predict_matrix(m, PREDICT_CONTRIBUTIONS, rows, n, contributions, err);
}

/* splitmix64 (Vigna 2015). */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A threshold of the model, or the number next to it. */
static float random_threshold(const struct model_file *file, size_t feature, uint64_t *state)
{
    for (int attempt = 0; file->trees && attempt < 4; attempt++) {
        const struct tree *tree = &file->trees[random_next(state) % file->tree_count];
        uint64_t r = random_next(state);
        size_t at = (size_t)(r >> 8) % tree->node_count;
        for (size_t i = 0; i < tree->node_count && i < 64; i++) {
            const struct tree_node *node = &tree->nodes[(at + i) % tree->node_count];
            if (node->left && node->feature == feature)
                return r % 4 == 0 ? nextafterf(node->value, -INFINITY) : r % 4 == 1 ? nextafterf(node->value, INFINITY) : node->value;
        }
    }
    return 0;
}

/* Of sixteen two missing, five at thresholds, one at the edges of what floats can say; else small whole numbers or any
 * magnitude from 2^-10 to 2^21, both signs. */
static float random_feature(const struct model_file *file, size_t feature, uint64_t *state)
{
    static const float edges[] = {INFINITY, -INFINITY, 0.0f, -0.0f, FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MIN, -FLT_MIN / 2, FLT_MAX, -FLT_MAX};
    uint64_t r = random_next(state);
    if (r % 16 < 2)
        return NAN;
    if (r % 16 < 7)
        return random_threshold(file, feature, state);
    if (r % 16 < 8)
        return edges[(r >> 8) % (sizeof edges / sizeof *edges)];
    if (r % 16 < 11)
        return (float)((r >> 8) % 33) - 16.0f;
    float mantissa = 1.0f + (float)((r >> 32) & 0xffff) / 65536.0f;
    return ldexpf((r >> 8) & 1 ? mantissa : -mantissa, (int)((r >> 16) % 32) - 10);
}

/* Scores random rows both ways.  Also the first use of the booster: whatever the library configures lazily or
 * refuses late shows here and not in the middle of a batch. */
static int prove(struct model *m, struct err *err)
{
    size_t columns = model_feature_count(m);
    uint64_t state = 1;
    float *rows = malloc(PROOF_ROWS * columns * sizeof *rows);
    float margin[PROOF_ROWS], value[PROOF_ROWS], own[PROOF_ROWS];
    if (!rows)
        return err_set(err, "memory is short");
    for (size_t i = 0; i < PROOF_ROWS * columns; i++)
        rows[i] = random_feature(m->file, i % columns, &state);
    int status = predict(m, PREDICT_MARGIN, rows, PROOF_ROWS, margin, err);
    if (status == 0)
        status = predict(m, PREDICT_VALUE, rows, PROOF_ROWS, value, err);
    if (status == 0) {
        for (size_t i = 0; i < PROOF_ROWS; i++)
            own[i] = sigmoid(margin[i]);
        m->own_probability = !memcmp(own, value, sizeof own);
        if (m->forest) {
            forest_score(m->forest, rows, PROOF_ROWS, own);
            m->by_forest = !memcmp(own, margin, sizeof own) && (m->own_probability || m->file->objective != OBJECTIVE_LOGISTIC);
        }
    }
    free(rows);
    return status;
}

/* LogisticRegression::ProbToMargin of XGBoost's regression_loss.h; 3.2 keeps the probability from its ends. */
static float base_margin(const struct model_file *file)
{
    if (file->objective != OBJECTIVE_LOGISTIC)
        return file->base_score;
    float p = fminf(fmaxf(file->base_score, 1e-6f), 1.0f - 1e-6f);
    return -logf(1.0f / p - 1.0f);
}

/* Without a forest where there can be none; the library scores then. */
static void compile_forest(struct model *m)
{
    const struct model_file *file = m->file;
    if (file->booster == BOOSTER_DART || file->categorical)
        return;
    if (forest_create(file->trees, file->tree_count, file->feature_count, base_margin(file), &m->forest, NULL) < 0)
        m->forest = NULL;
}

/* A library older than the file's writer would load it silently and may score it wrong. */
static int check_version(const struct model_file *file, struct err *err)
{
    int major, minor, patch;
    XGBoostVersion(&major, &minor, &patch);
    if (file->version[0] < major || (file->version[0] == major && file->version[1] <= minor))
        return 0;
    return err_set(err, "the model was written by XGBoost %d.%d.%d, this is %d.%d.%d: install the newer library, or train with this one",
                   file->version[0], file->version[1], file->version[2], major, minor, patch);
}

static int load(struct model *m, const void *bytes, size_t size, struct err *err)
{
    if (XGBSetGlobalConfig("{\"verbosity\":0}") || XGBoosterCreate(NULL, 0, &m->booster) ||
        XGBoosterSetParam(m->booster, "nthread", "1") || XGBoosterLoadModelFromBuffer(m->booster, bytes, size))
        return library_failed(err, "load the model");
    bst_ulong features;
    if (XGBoosterGetNumFeature(m->booster, &features))
        return library_failed(err, "count the features");
    if (features != m->file->feature_count)
        return err_set(err, "XGBoost reads %llu features where the file says %zu", (unsigned long long)features, m->file->feature_count);
    return 0;
}

int model_create(const void *bytes, size_t size, struct model **out, struct err *err)
{
    struct model *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(err, "memory is short");
    if (model_file_read(bytes, size, &m->file, err) < 0 || check_version(m->file, err) < 0)
        goto failed;
    m->through_matrix = m->file->booster == BOOSTER_DART;
    compile_forest(m);
    if (load(m, bytes, size, err) < 0 || prove(m, err) < 0)
        goto failed;
    model_file_drop_trees(m->file);
    if (!m->by_forest) {
        forest_destroy(m->forest);
        m->forest = NULL;
    }
    *out = m;
    return 0;
failed:
    model_destroy(m);
    return -1;
}

void model_destroy(struct model *m)
{
    if (!m)
        return;
    if (m->booster)
        XGBoosterFree(m->booster);
    forest_destroy(m->forest);
    model_file_destroy(m->file);
    free(m->finite);
    free(m);
}

size_t model_feature_count(const struct model *m)
{
    return m->file->feature_count;
}

const char *model_feature_name(const struct model *m, size_t i)
{
    return m->file->feature_names && i < m->file->feature_count ? m->file->feature_names[i] : NULL;
}

const char *model_objective(const struct model *m)
{
    return objective_name(m->file->objective);
}

const char *model_engine(const struct model *m)
{
    return m->by_forest ? engine_names[forest_path(m->forest)] : library_engine;
}

int model_use_engine(struct model *m, const char *engine)
{
    if (!strcmp(engine, library_engine)) {
        m->by_forest = false;
        return 0;
    }
    for (enum forest_path path = 0; m->forest && path < FOREST_PATHS; path++)
        if (!strcmp(engine, engine_names[path]) && forest_use(m->forest, path) == 0) {
            m->by_forest = true;
            return 0;
        }
    return -1;
}

size_t model_tree_count(const struct model *m)
{
    return m->file->tree_count;
}

int model_check_features(const struct model *m, const char *const *names, size_t count, struct err *err)
{
    size_t own = model_feature_count(m);
    if (!m->file->feature_names)
        return err_set(err,
                       "the model has no feature names, so nobody can say that its columns are the feature file's; `weir train` writes "
                       "them; to add them to this one (if you are sure of the order): python3 -c \"import xgboost; "
                       "b = xgboost.Booster(model_file='OLD.ubj'); b.feature_names = ['%s', ...]; b.save_model('NEW.ubj')\"",
                       count ? names[0] : "NAME");
    for (size_t i = 0; i < own && i < count; i++)
        if (strcmp(m->file->feature_names[i], names[i]))
            return err_set(err, "feature %zu is '%s' in the model but '%s' in the feature file", i, m->file->feature_names[i], names[i]);
    if (own > count)
        return err_set(err, "feature %zu, '%s', of the model is not in the feature file, which has %zu", count, m->file->feature_names[count],
                       count);
    if (own < count)
        return err_set(err, "feature %zu, '%s', of the feature file is not in the model, which has %zu", own, names[own], own);
    return 0;
}
