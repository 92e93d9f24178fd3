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
#include "scoring/models/model.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "scoring/models/forest.h"
#include "scoring/models/model_file.h"
#include "scoring/models/model_library.h"
#include "scoring/models/model_proof.h"
#include "scoring/models/shap.h"

enum { PROOF_ROWS = 1024 };
_Static_assert((int)PROOF_ROWS <= (int)MODEL_BATCH_MAX, "the proof is one batch");

static const char library_engine[] = "xgboost";
static const char *const engine_names[FOREST_PATHS] = {"forest-portable", "forest-avx2", "forest-avx512"};

struct model {
    struct library *library;
    struct model_file *file;
    struct forest *forest; /* NULL: not compiled, or not proved */
    struct shap *shap;     /* NULL: the library explains */
    bool by_forest;        /* the engine in use */
    bool library_alone;    /* asked for: it explains too */
    bool own_probability;  /* the sigmoid here gives the library's bits */
    char why_library[256]; /* empty: the forest scores */
    bool differs;          /* why: a bit */
};

/* common::Sigmoid(float) of XGBoost's src/common/math.h, operation by operation. */
static float sigmoid(float margin)
{
    float x = 88.7f < -margin ? 88.7f : -margin; /* std::min(-x, 88.7f), a NaN included */
    float denominator = expf(x) + 1.0f + 1e-16f;
    return 1.0f / denominator;
}

int model_score(struct model *m, const float *rows, size_t n, float *margin, float *score, struct err *err)
{
    assert(n <= MODEL_BATCH_MAX);
    if (n == 0)
        return 0;
    if (m->by_forest)
        forest_score(m->forest, rows, n, margin);
    else if (library_predict(m->library, PREDICT_MARGIN, rows, n, margin, err) < 0)
        return -1;
    if (m->file->objective == OBJECTIVE_SQUARED_ERROR)
        memcpy(score, margin, n * sizeof *score);
    else if (m->file->objective == OBJECTIVE_LOGISTIC && !m->own_probability)
        return library_predict(m->library, PREDICT_VALUE, rows, n, score, err);
    else
        for (size_t i = 0; i < n; i++)
            score[i] = sigmoid(margin[i]);
    return 0;
}

int model_contributions(struct model *m, const float *rows, size_t n, float *contributions, struct err *err)
{
    assert(n <= MODEL_BATCH_MAX);
    if (!m->shap || m->library_alone)
        return n == 0 ? 0 : library_predict(m->library, PREDICT_CONTRIBUTIONS, rows, n, contributions, err);
    shap_contributions(m->shap, rows, n, contributions);
    return 0;
}

/* The first of n numbers whose bits differ; n if none does. */
static size_t first_difference(const float *a, const float *b, size_t n)
{
    size_t i = 0;
    while (i < n && !memcmp(&a[i], &b[i], sizeof *a))
        i++;
    return i;
}

static void leave_to_library(struct model *m, const char *why)
{
    forest_destroy(m->forest);
    m->forest = NULL;
    m->by_forest = false;
    snprintf(m->why_library, sizeof m->why_library, "%.255s", why);
}

/* The forest against the library's margins of the same rows; the margin and value are theirs. */
static void compare_forest(struct model *m, const float *rows, const float *margin)
{
    float own[PROOF_ROWS];
    char why[160];
    forest_score(m->forest, rows, PROOF_ROWS, own);
    size_t at = first_difference(own, margin, PROOF_ROWS);
    m->by_forest = at == PROOF_ROWS && (m->own_probability || m->file->objective != OBJECTIVE_LOGISTIC);
    if (m->by_forest)
        return;
    m->differs = true;
    if (at < PROOF_ROWS)
        snprintf(why, sizeof why, "%s gives the margin %.9g where XGBoost gives %.9g (row %zu of the %d of the proof)",
                 engine_names[forest_path(m->forest)], (double)own[at], (double)margin[at], at, PROOF_ROWS);
    else
        snprintf(why, sizeof why, "the probability of a margin has other bits here than in XGBoost (its expf is another)");
    leave_to_library(m, why);
}

/* Scores random rows both ways.  Also the first use of the booster: whatever the library configures lazily or
 * refuses late shows here and not in the middle of a batch. */
static int compare_engines(struct model *m, struct err *err)
{
    float *rows = malloc(PROOF_ROWS * model_feature_count(m) * sizeof *rows);
    float margin[PROOF_ROWS], value[PROOF_ROWS], own[PROOF_ROWS];
    if (!rows)
        return err_set(err, "memory is short");
    proof_rows(m->file, rows, PROOF_ROWS);
    int status = library_predict(m->library, PREDICT_MARGIN, rows, PROOF_ROWS, margin, err);
    if (status == 0)
        status = library_predict(m->library, PREDICT_VALUE, rows, PROOF_ROWS, value, err);
    if (status == 0) {
        for (size_t i = 0; i < PROOF_ROWS; i++)
            own[i] = sigmoid(margin[i]);
        m->own_probability = first_difference(own, value, PROOF_ROWS) == PROOF_ROWS;
        if (m->forest)
            compare_forest(m, rows, margin);
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
    struct err err;
    if (file->booster == BOOSTER_DART)
        leave_to_library(m, "DART boosters are not compiled");
    else if (file->categorical)
        leave_to_library(m, "splits by category are not compiled");
    else if (forest_create(file->trees, file->tree_count, file->feature_count, base_margin(file), &m->forest, &err) < 0)
        leave_to_library(m, err.msg);
}

static void compile_shap(struct model *m)
{
    const struct model_file *file = m->file;
    if (file->booster == BOOSTER_DART || file->categorical ||
        shap_create(file->trees, file->tree_count, file->feature_count, base_margin(file), &m->shap, NULL) < 0)
        m->shap = NULL;
}

/* What came before 2.1 is not looked into.  A library older than the file's writer would load it silently and may score it
 * wrong. */
static int check_version(const struct model_file *file, struct err *err)
{
    int major, minor, patch;
    XGBoostVersion(&major, &minor, &patch);
    if (file->version[0] < 2 || (file->version[0] == 2 && file->version[1] < 1))
        return err_set(err, "the model was written by XGBoost %d.%d.%d, and weir takes those of 2.1 and later: load it in XGBoost %d.%d and save it again",
                       file->version[0], file->version[1], file->version[2], major, minor);
    if (file->version[0] < major || (file->version[0] == major && file->version[1] <= minor))
        return 0;
    return err_set(err, "the model was written by XGBoost %d.%d.%d, this is %d.%d.%d: install the newer library, or train with this one",
                   file->version[0], file->version[1], file->version[2], major, minor, patch);
}

int model_create(const void *bytes, size_t size, struct model **out, struct err *err)
{
    struct model *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(err, "memory is short");
    if (model_file_read(bytes, size, &m->file, err) < 0 || check_version(m->file, err) < 0)
        goto failed;
    compile_forest(m);
    compile_shap(m);
    if (library_create(bytes, size, m->file->feature_count, m->file->booster == BOOSTER_DART, &m->library, err) < 0 || compare_engines(m, err) < 0)
        goto failed;
    model_file_drop_trees(m->file);
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
    library_destroy(m->library);
    forest_destroy(m->forest);
    shap_destroy(m->shap);
    model_file_destroy(m->file);
    free(m);
}

/* 1: all golden rows come out; 0: one does not, and *err says which; -1: cannot score. */
static int meets_golden(struct model *m, const struct golden *golden, struct err *err)
{
    float margin[MODEL_BATCH_MAX], score[MODEL_BATCH_MAX];
    for (size_t at = 0; at < golden->count; at += MODEL_BATCH_MAX) {
        size_t n = golden->count - at < MODEL_BATCH_MAX ? golden->count - at : MODEL_BATCH_MAX;
        if (model_score(m, golden->rows + at * golden->columns, n, margin, score, err) < 0)
            return -1;
        size_t of_score = first_difference(score, golden->score + at, n);
        size_t of_margin = golden->margin ? first_difference(margin, golden->margin + at, n) : n;
        if (of_margin < n && of_margin <= of_score)
            err_set(err, "golden row %zu: %s gives the margin %.9g, expected is %.9g", at + of_margin, model_engine(m),
                    (double)margin[of_margin], (double)golden->margin[at + of_margin]);
        else if (of_score < n)
            err_set(err, "golden row %zu: %s gives the score %.9g, expected is %.9g", at + of_score, model_engine(m),
                    (double)score[of_score], (double)golden->score[at + of_score]);
        if (of_margin < n || of_score < n)
            return 0;
    }
    return 1;
}

int model_prove(struct model *m, const struct golden *golden, enum on_difference on_difference, struct err *err)
{
    struct err why;
    if (m->differs && on_difference == DIFFERENCE_REFUSE)
        return err_set(err, "%s; models.on_difference: library serves it through XGBoost's C API", m->why_library);
    if (!golden || golden->count == 0)
        return 0;
    if (golden->columns != model_feature_count(m))
        return err_set(err, "golden rows of %zu features for a model of %zu", golden->columns, model_feature_count(m));
    int met = meets_golden(m, golden, &why);
    if (met == 0 && m->by_forest) {
        m->by_forest = false; /* is it the forest, or are the rows another model's? */
        int library_met = meets_golden(m, golden, err ? err : &why);
        if (library_met == 1 && on_difference == DIFFERENCE_LIBRARY) {
            leave_to_library(m, why.msg);
            return 0;
        }
        m->by_forest = true;
        if (library_met == 1)
            return err_set(err, "%s, which XGBoost's C API gives; models.on_difference: library serves it through that", why.msg);
        met = library_met;
    } else if (err) {
        *err = why;
    }
    return met == 1 ? 0 : -1;
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

const char *model_engine_reason(const struct model *m)
{
    return m->why_library[0] ? m->why_library : NULL;
}

int model_use_engine(struct model *m, const char *engine)
{
    if (!strcmp(engine, library_engine)) {
        m->by_forest = false;
        m->library_alone = true;
        return 0;
    }
    for (enum forest_path path = 0; m->forest && path < FOREST_PATHS; path++)
        if (!strcmp(engine, engine_names[path]) && forest_use(m->forest, path) == 0) {
            m->by_forest = true;
            m->library_alone = false;
            return 0;
        }
    return -1;
}

size_t model_tree_count(const struct model *m)
{
    return m->file->tree_count;
}

size_t model_rounds(const struct model *m)
{
    return m->file->rounds;
}

int64_t model_best_iteration(const struct model *m)
{
    return m->file->best_iteration;
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

bool model_always_valid(const struct model *m)
{
    return m->file->booster != BOOSTER_DART && m->file->objective != OBJECTIVE_SQUARED_ERROR;
}
