/* A model and how it scores: rows in, margin and probability out.
 *
 * One interface for every engine: the compiled forest (forest.h), which creation proves to give the C API's bits on
 * pseudo-random rows, and XGBoost's C API (model_library.h) for what the forest cannot say: DART, categorical splits,
 * and, where that is allowed, any model where a bit differed.  A model is of one thread; several lanes may each own one
 * made from the same bytes.
 *
 * Who loads a model for serving calls model_create, then model_prove with the golden rows of the file beside it
 * (consumer/golden_file.h does both the reading and the call: golden_file_prove), then model_check_features. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "scoring/err.h"

enum { MODEL_BATCH_MAX = 1024 };

struct model;

/* From the bytes of an XGBoost JSON or UBJ file (2.1 to 3.x).  Refused with the first reason: not a model, an
 * objective other than binary:logistic, binary:logitraw and reg:squarederror..., more than one output.  Where the
 * compiled forest does not give the library's bits, the library scores: see model_prove. */
int model_create(const void *bytes, size_t size, struct model **out, struct err *err);
void model_destroy(struct model *model);

/* What is done about a bit that differs: the model is refused, or served through the C API. */
enum on_difference { DIFFERENCE_REFUSE, DIFFERENCE_LIBRARY };

/* Vectors and what the model gave for them where it was made. */
struct golden {
    size_t columns, count;
    float *rows;   /* count x columns, NaN missing */
    float *margin; /* NULL: not known */
    float *score;
};

/* Whether the model gives the bits that it should; once, before it serves.  Fails if the compiled forest differed from the
 * library at creation, or its engine differs from a golden row (NULL: there are none), naming the row and both numbers.
 * With DIFFERENCE_LIBRARY the C API serves instead; golden rows that the C API too misses are an error in any case. */
int model_prove(struct model *model, const struct golden *golden, enum on_difference on_difference, struct err *err);

size_t model_feature_count(const struct model *model);
const char *model_feature_name(const struct model *model, size_t i); /* NULL if the model has no names */
const char *model_objective(const struct model *model);
const char *model_engine(const struct model *model); /* "forest-avx512", "forest-avx2", "forest-portable", or "xgboost" (C API) */
/* Why the C API scores: "DART boosters are not compiled" ...; NULL if the forest does. */
const char *model_engine_reason(const struct model *model);
/* For tests and benchmarks: scores by that engine from now on; -1 if this model or this machine does not have it. */
int model_use_engine(struct model *model, const char *engine);
size_t model_tree_count(const struct model *model);
size_t model_rounds(const struct model *model);
/* The model's own mark of its best round, from 0; -1 if it has none.  Scores take all rounds whatever it says, as the C API
 * does: who shows a model warns where later rounds follow. */
int64_t model_best_iteration(const struct model *model);

/* The model's names must equal these, in order: the first difference is the error; a model without names is
 * refused with the command that adds them. */
int model_check_features(const struct model *model, const char *const *names, size_t count, struct err *err);

/* Whether no row whatever can get a score outside [0, 1].  So it is with probabilities of plain trees: leaves are finite
 * (model_file.c), so a sum that overflows stays infinite, and the sigmoid of an infinity is 0 or 1.  A squared error
 * may say anything; a DART's weights may make a leaf infinite, and two of those a NaN. */
bool model_always_valid(const struct model *model);

/* Scores n <= MODEL_BATCH_MAX rows (n x feature_count, row-major, NaN missing).  margin and score hold n floats;
 * score is the probability (binary:logistic), the bits that the C API gives. */
int model_score(struct model *model, const float *rows, size_t n, float *margin, float *score, struct err *err);

/* Exact TreeSHAP contributions: n x (feature_count + 1) floats, the last of a row being the bias.  By shap.h where that
 * takes the trees, else by the C API. */
int model_contributions(struct model *model, const float *rows, size_t n, float *contributions, struct err *err);
