/* What a model's trees look like: their size, and how much each feature does in them.
 *
 * The definitions are XGBoost's (Booster.get_score): weight is the number of splits by the feature, total_gain and
 * total_cover the sums of the splits' gain and cover, gain and cover those divided by weight. */
#pragma once
#include "scoring/models/model_file.h"

struct importance {
    uint64_t weight;
    double total_gain, total_cover;
};

struct forest_shape {
    size_t splits, leaves, used_features, depth; /* depth: of the deepest tree, in splits */
    double mean_depth;                           /* of the trees */
};

/* `importance` holds feature_count entries; the file's trees must still be there. */
void model_importance(const struct model_file *file, struct importance *importance, struct forest_shape *shape);
