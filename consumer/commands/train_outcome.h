/* What `weir train` was asked for and what came of it; train_print.c prints it. */
#pragma once
#include "consumer/train/train.h"

struct options {
    const char *input, *output, *features, *label, *params;
    int64_t rounds, max_depth, seed, threads, patience;
    double eta, held_out, stop_share;
    struct thresholds thresholds;
    bool json, bare;
};

struct outcome {
    const struct options *options;
    size_t rows, stop_rows, trees, columns, model_bytes;
    uint64_t unlabelled, incomplete;
    struct train_quality train, held_out; /* train: with the rows that said when to stop */
    struct train_stop stop;
    bool baseline;  /* written */
    bool too_short; /* no baseline, for the rows span less than the longest window */
    char sha256[65];
    double seconds;
};

void train_print_text(const struct outcome *outcome);
void train_print_json(const struct outcome *outcome);
