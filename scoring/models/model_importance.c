#include "scoring/models/model_importance.h"

#include <string.h>

/* Nodes stand level by level: a level ends where the first of its children begins. */
static size_t depth_of(const struct tree *tree)
{
    size_t depth = 0;
    uint32_t level_end = 1, next_end = 1;
    for (uint32_t i = 0; i < tree->node_count; i++) {
        if (i == level_end) {
            level_end = next_end;
            depth++;
        }
        if (tree->nodes[i].left)
            next_end = tree->nodes[i].left + 2;
    }
    return depth;
}

void model_importance(const struct model_file *file, struct importance *importance, struct forest_shape *shape)
{
    size_t depths = 0;
    memset(importance, 0, file->feature_count * sizeof *importance);
    *shape = (struct forest_shape){0};
    for (size_t t = 0; t < file->tree_count; t++) {
        const struct tree *tree = &file->trees[t];
        size_t depth = depth_of(tree);
        depths += depth;
        shape->depth = depth > shape->depth ? depth : shape->depth;
        for (uint32_t i = 0; i < tree->node_count; i++) {
            const struct tree_node *node = &tree->nodes[i];
            if (node->left == 0) {
                shape->leaves++;
                continue;
            }
            shape->splits++;
            struct importance *of = &importance[node->feature];
            shape->used_features += of->weight++ == 0;
            of->total_gain += (double)node->gain;
            of->total_cover += (double)node->cover;
        }
    }
    shape->mean_depth = (double)depths / (double)file->tree_count;
}
