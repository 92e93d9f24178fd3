/* Trains a model with XGBoost and says how good it is. */
#pragma once
#include "consumer/train/parameters.h"
#include "consumer/train/training_set.h"
#include "monitor/calibration.h"
#include "monitor/quality.h"
#include "scoring/models/decision.h"

struct train_options {
    int rounds, max_depth, threads; /* one thread: the same set, options and seed give the same bytes */
    double eta;
    int64_t seed;
    const struct parameters *parameters; /* over all of the above and below; NULL: none */
    /* Early stopping: so many rounds without a better value on the stop_rows that follow those learned from.  0: none. */
    int patience;
    size_t stop_rows;
    void (*on_round)(void *opaque, int round); /* NULL: none; returns before the next round */
    const volatile int *stopped;               /* NULL, or non-zero ends it with an error */
    void *opaque;
};

/* How early stopping went. */
struct train_stop {
    char metric[64]; /* the last of eval_metric, as XGBoost's own early stopping takes it */
    double best;
    int best_round, rounds; /* from 0; rounds: boosted, of which the model keeps best_round + 1 */
};

/* binary:logistic, tree_method hist, on the first `rows` rows of the set.  *model: the bytes of a UBJ file with the
 * columns' names, owned by the caller; with early stopping it is sliced to its best round.  A parameter that XGBoost does not
 * use is an error.  *stop may be NULL. */
int train_model(const struct training_set *set, size_t rows, const struct train_options *options, char **model, size_t *size,
                struct train_stop *stop, struct err *err);

struct train_quality {
    uint64_t rows;
    struct ranking ranking;
    struct confusion at_review, at_decline;
    struct calibration calibration; /* its deciles: those of these rows' scores */
};

struct model;
/* How a model does on rows from..to-1. */
int train_assess(struct model *model, const struct training_set *set, size_t from, size_t to, struct thresholds thresholds,
                 struct train_quality *out, struct err *err);
