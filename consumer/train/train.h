/* Trains a model with XGBoost and says how good it is. */
#pragma once
#include "consumer/train/training_set.h"
#include "monitor/quality.h"
#include "scoring/decision.h"

struct train_options {
    int rounds, max_depth, threads; /* one thread: the same set, options and seed give the same bytes */
    double eta;
    int64_t seed;
    void (*on_round)(void *opaque, int round); /* NULL: none; returns before the next round */
    const volatile int *stopped;               /* NULL, or non-zero ends it with an error */
    void *opaque;
};

/* binary:logistic, tree_method hist, on the first `rows` rows of the set.  *model: the bytes of a UBJ file with the
 * columns' names, owned by the caller. */
int train_model(const struct training_set *set, size_t rows, const struct train_options *options, char **model, size_t *size, struct err *err);

struct train_quality {
    uint64_t rows;
    struct ranking ranking;
    struct confusion at_review, at_decline;
};

struct model;
/* How a model does on rows from..to-1. */
int train_assess(struct model *model, const struct training_set *set, size_t from, size_t to, struct thresholds thresholds,
                 struct train_quality *out, struct err *err);
