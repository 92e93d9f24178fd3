#include "scoring/models/model_proof.h"

#include <float.h>
#include <math.h>

/* splitmix64 (Vigna 2015). */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A threshold of the model, or the number next to it. */
static float random_threshold(const struct model_file *file, size_t feature, uint64_t *state)
{
    for (int attempt = 0; file->trees && attempt < 4; attempt++) {
        const struct tree *tree = &file->trees[random_next(state) % file->tree_count];
        uint64_t r = random_next(state);
        size_t at = (size_t)(r >> 8) % tree->node_count;
        for (size_t i = 0; i < tree->node_count && i < 64; i++) {
            const struct tree_node *node = &tree->nodes[(at + i) % tree->node_count];
            if (node->left && node->feature == feature)
                return r % 4 == 0 ? nextafterf(node->value, -INFINITY) : r % 4 == 1 ? nextafterf(node->value, INFINITY) : node->value;
        }
    }
    return 0;
}

/* Of sixteen two missing, five at thresholds, one at the edges of what floats can say; else small whole numbers or any
 * magnitude from 2^-10 to 2^21, both signs. */
static float random_feature(const struct model_file *file, size_t feature, uint64_t *state)
{
    static const float edges[] = {INFINITY, -INFINITY, 0.0f, -0.0f, FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MIN, -FLT_MIN / 2, FLT_MAX, -FLT_MAX};
    uint64_t r = random_next(state);
    if (r % 16 < 2)
        return NAN;
    if (r % 16 < 7)
        return random_threshold(file, feature, state);
    if (r % 16 < 8)
        return edges[(r >> 8) % (sizeof edges / sizeof *edges)];
    if (r % 16 < 11)
        return (float)((r >> 8) % 33) - 16.0f;
    float mantissa = 1.0f + (float)((r >> 32) & 0xffff) / 65536.0f;
    return ldexpf((r >> 8) & 1 ? mantissa : -mantissa, (int)((r >> 16) % 32) - 10);
}

void proof_rows(const struct model_file *file, float *rows, size_t n)
{
    uint64_t state = 1;
    for (size_t i = 0; i < n * file->feature_count; i++)
        rows[i] = random_feature(file, i % file->feature_count, &state);
}
