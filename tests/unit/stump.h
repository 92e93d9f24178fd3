/* The smallest model that tells two sides apart, as the library would have saved it: JSON, one tree, one split. */
#pragma once
#include <stddef.h>
#include <stdio.h>

enum { STUMP_COLUMNS = 2, STUMP_TEXT_MAX = 4096 };

struct stump {
    const char *objective;
    const char *low, *high; /* leaves, where the first column is below 0 (or missing), and else; plain decimals */
    const char *base;       /* base_score */
    const char *names[STUMP_COLUMNS];
};

/* Returns its length. */
static inline size_t stump_text(char text[STUMP_TEXT_MAX], struct stump s)
{
    return (size_t)snprintf(text, STUMP_TEXT_MAX,
        "{\"learner\":{\"attributes\":{},\"feature_names\":[\"%s\",\"%s\"],\"feature_types\":[\"float\",\"float\"],\"gradient_booster\":{\"model\":{\"gbtree_model_param\":{\"num_parallel_tree\":\"1\",\"num_trees\":\"1\"},"
        "\"iteration_indptr\":[0,1],\"tree_info\":[0],\"trees\":[{\"base_weights\":[0E0,%sE0,%sE0],\"categories\":[],\"categories_nodes\":[],\"categories_segments\":[],\"categories_sizes\":[],\"default_left\":[1,0,0],\"id\":0,"
        "\"left_children\":[1,-1,-1],\"loss_changes\":[1E0,0E0,0E0],\"parents\":[2147483647,0,0],\"right_children\":[2,-1,-1],\"split_conditions\":[0E0,%sE0,%sE0],\"split_indices\":[0,0,0],\"split_type\":[0,0,0],\"sum_hessian\":[2E0,1E0,1E0],"
        "\"tree_param\":{\"num_deleted\":\"0\",\"num_feature\":\"2\",\"num_nodes\":\"3\",\"size_leaf_vector\":\"1\"}}]},\"name\":\"gbtree\"},"
        "\"learner_model_param\":{\"base_score\":\"%s\",\"boost_from_average\":\"1\",\"num_class\":\"0\",\"num_feature\":\"2\",\"num_target\":\"1\"},"
        "\"objective\":{\"name\":\"%s\",\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}}},\"version\":[3,0,0]}",
        s.names[0], s.names[1], s.low, s.high, s.low, s.high, s.base, s.objective);
}
