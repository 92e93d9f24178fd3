/* What an XGBoost model file says, checked before the library loads it.
 *
 * The library trusts a file: of damaged ones it loads nearly half, cycles and children out of range among them.
 * So every index is checked here: each tree is a tree (each node reached once from the root, at most
 * MODEL_DEPTH_MAX deep), split features exist, thresholds and leaves are numbers, categories lie within their lists,
 * groups, iterations and DART weights match the trees, and every parameter that decides a size is the size.
 *
 * The trees are kept for who compiles them (forest.h); a caller that is done with them drops them. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "scoring/err.h"
#include "scoring/models/tree.h"

enum { MODEL_FEATURES_MAX = 4096, MODEL_TREES_MAX = 100000, MODEL_DEPTH_MAX = 1000, MODEL_CATEGORY_MAX = 65535 };

enum objective { OBJECTIVE_LOGISTIC, OBJECTIVE_LOGITRAW, OBJECTIVE_SQUARED_ERROR };
const char *objective_name(enum objective objective); /* "binary:logistic" ... */
enum booster { BOOSTER_GBTREE, BOOSTER_DART };

struct model_file {
    int version[3]; /* of the XGBoost that wrote it */
    enum objective objective;
    enum booster booster;
    float base_score; /* as the file has it: a probability, for logitraw and squared error a margin */
    size_t feature_count, tree_count, node_count;
    size_t rounds;          /* of boosting: each adds num_parallel_tree trees */
    int64_t best_iteration; /* the file's own mark, from 0; -1: it has none */
    char **feature_names; /* NULL: it has none */
    bool categorical;     /* some split is by category: its node has no meaning in `trees` */
    struct tree *trees;   /* tree_count, without the nodes that nothing leads to; NULL once dropped */
};

int model_file_read(const void *bytes, size_t size, struct model_file **out, struct err *err);
void model_file_drop_trees(struct model_file *file);
void model_file_destroy(struct model_file *file);
