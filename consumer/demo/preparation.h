/* What a team does before a model goes live, in a directory: past traffic and its labels, a training set from them, a
 * champion and a candidate, and the baseline that drift is measured against.
 *
 * The models learn from the first three quarters of the past; the last quarter, which they did not learn from, judges them
 * and gives the baseline its scores.  The baseline's features are those of the whole past once windows are full. */
#pragma once
#include <stdatomic.h>
#include "consumer/config/config.h"

struct preparation {
    const char *dir;
    struct config *config;
    int64_t seed;
    atomic_bool *stop;
    const volatile int *stopped; /* the same, for the trainer */
    /* outcome */
    size_t rows, learned, columns;
    int64_t frauds;
    double replay_us; /* of processor time an event, for its features */
    struct prepared_model {
        char path[4096];
        int rounds, depth;
        double auc, average_precision; /* on the last quarter */
    } champion, candidate;
    char events_path[4096], labels_path[4096], training_path[4096];
};

/* Each takes what the ones before have made. */
void preparation_init(struct preparation *p, const char *dir, struct config *config, int64_t seed);
/* Replays the events into a training set with labels. */
int preparation_replay(struct preparation *p, struct err *err);
/* Trains both models side by side, each on one thread, and writes the baseline: features, and the champion's scores. */
int preparation_train(struct preparation *p, struct err *err);
