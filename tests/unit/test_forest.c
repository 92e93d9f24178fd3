/* The compiled forest against a plain walk over the trees, on every path of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/models/forest.h"

/* The walk as the model's definition has it */

static float leaf_of(const struct tree *tree, const float *row)
{
    uint32_t at = 0;
    while (tree->nodes[at].left) {
        const struct tree_node *node = &tree->nodes[at];
        float x = row[node->feature];
        bool left = isnan(x) ? node->default_left : x < node->value;
        at = node->left + !left;
    }
    return tree->nodes[at].value;
}

static float margin_of(const struct tree *trees, size_t count, float base, const float *row)
{
    float sum = base;
    for (size_t t = 0; t < count; t++)
        sum += leaf_of(&trees[t], row);
    return sum;
}

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 24;
}

/* Forests of random shape */

struct shape {
    const char *name;
    size_t trees, features, splits; /* of a tree */
    unsigned depth_max;
    unsigned distinct; /* thresholds of a feature come from so many numbers */
    bool chain;        /* always the last leaf is split: as deep as it can be */
    bool balanced;     /* always the first: a full tree */
};

static const struct shape shapes[] = {
    {"single leaves", 5, 1, 0, 0, 4, false, false},
    {"stumps", 20, 3, 1, 1, 4, false, false},
    {"depth 2", 20, 3, 3, 2, 9, false, true},
    {"depth 3", 20, 3, 7, 3, 9, false, true},
    {"depth 4", 33, 6, 15, 4, 50, false, true},
    {"depth 5", 33, 6, 31, 5, 300, false, true},
    {"depth 6", 33, 20, 63, 6, 300, false, true},
    {"depth 6, ragged", 40, 20, 40, 6, 300, false, false},
    {"depth 6, 80 columns", 33, 40, 63, 6, 100, false, true},
    {"depth 6, 200 columns", 40, 100, 63, 6, 100, false, true},
    {"depth 7", 20, 20, 127, 7, 300, false, true},
    {"depth 8", 20, 20, 255, 8, 300, false, true},
    {"depth 8, ragged", 20, 20, 120, 8, 1000, false, false},
    {"depth 9", 9, 20, 511, 9, 1000, false, true},
    {"depth 12, ragged", 9, 5, 700, 12, 10000, false, false},
    {"depth 12, few leaves", 17, 30, 40, 12, 1000, false, false},
    {"chain of 20", 17, 4, 20, 1000, 1000, true, false},
    {"chain of 60", 9, 4, 60, 1000, 1000, true, false},
    {"chain of 65", 9, 4, 65, 1000, 1000, true, false},
    {"chain of 300", 9, 4, 300, 1000, 100000, true, false},
    {"many thresholds of one feature", 60, 1, 100, 12, 1000000, false, false},
    {"many columns", 40, 200, 63, 6, 1000, false, true},
    {"many features, few used", 10, 4000, 10, 6, 10, false, false},
};

static float threshold(const struct shape *shape, uint64_t *state)
{
    static const float special[] = {0.0f, -0.0f, FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MAX, -FLT_MAX, 1.0f, 1.0f + FLT_EPSILON};
    if (next(state) % 16 == 0)
        return special[next(state) % 8];
    return (float)(next(state) % shape->distinct) / 7.0f - (float)shape->distinct / 14.0f;
}

static struct tree grown(const struct shape *shape, uint64_t *state)
{
    struct draft {
        struct tree_node node;
        uint32_t left, depth;
    } *drafts = calloc(2 * shape->splits + 1, sizeof *drafts);
    uint32_t count = 1, first = 0;
    for (size_t s = 0; s < shape->splits; s++) {
        uint32_t at = shape->chain ? count - 1 - (uint32_t)(next(state) % (count > 1 ? 2 : 1)) : shape->balanced ? first++ : (uint32_t)(next(state) % count);
        if (drafts[at].left || drafts[at].depth >= shape->depth_max)
            continue;
        drafts[at].node = (struct tree_node){threshold(shape, state), 1, (uint16_t)(next(state) % shape->features), next(state) & 1, 0, 0};
        drafts[at].left = count;
        drafts[count].depth = drafts[count + 1].depth = drafts[at].depth + 1;
        count += 2;
    }
    struct tree tree = {.node_count = count, .nodes = malloc(count * sizeof *tree.nodes)};
    uint32_t *queue = malloc(count * sizeof *queue), tail = 1;
    queue[0] = 0;
    for (uint32_t head = 0; head < count; head++) {
        const struct draft *draft = &drafts[queue[head]];
        tree.nodes[head] = draft->node;
        tree.nodes[head].left = draft->left ? tail : 0;
        if (draft->left) {
            queue[tail++] = draft->left;
            queue[tail++] = draft->left + 1;
        } else
            tree.nodes[head] = (struct tree_node){.value = (float)(next(state) % 2000001) / 1000000.0f - 1.0f};
    }
    free(queue);
    free(drafts);
    return tree;
}

static struct tree *grow_forest(const struct shape *shape, uint64_t seed)
{
    struct tree *trees = malloc(shape->trees * sizeof *trees);
    for (size_t t = 0; t < shape->trees; t++)
        trees[t] = grown(shape, &seed);
    return trees;
}

static void fell(struct tree *trees, size_t count)
{
    for (size_t t = 0; t < count; t++)
        free(trees[t].nodes);
    free(trees);
}

/* Rows of thresholds, their neighbours, missing values, and what floats have at their ends. */
static void fill(float *rows, size_t n, const struct shape *shape, const struct tree *trees, uint64_t seed)
{
    static const float special[] = {INFINITY, -INFINITY, 0.0f, -0.0f, FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MAX, -FLT_MAX};
    for (size_t i = 0; i < n * shape->features; i++) {
        const struct tree *tree = &trees[next(&seed) % shape->trees];
        float t = tree->nodes[next(&seed) % tree->node_count].value;
        switch (next(&seed) % 8) {
        case 0: rows[i] = NAN; break;
        case 1: rows[i] = special[next(&seed) % 8]; break;
        case 2: rows[i] = nextafterf(t, -INFINITY); break;
        case 3: rows[i] = nextafterf(t, INFINITY); break;
        case 4: rows[i] = t; break;
        default: rows[i] = threshold(shape, &seed);
        }
    }
}

static const char *const path_names[FOREST_PATHS] = {"portable", "avx2", "avx512"};

static void expect_walks(const struct shape *shape, const struct tree *trees, struct forest *forest, const float *rows, size_t n, float base)
{
    float *margin = malloc((n + 1) * sizeof *margin);
    for (enum forest_path path = 0; path < FOREST_PATHS; path++) {
        if (forest_use(forest, path) < 0)
            continue;
        margin[n] = 12345;
        forest_score(forest, rows, n, margin);
        for (size_t r = 0; r < n; r++) {
            float due = margin_of(trees, shape->trees, base, rows + r * shape->features);
            if (memcmp(&due, &margin[r], sizeof due))
                fail_msg("%s, %s, row %zu of %zu: %a, should be %a", shape->name, path_names[path], r, n, (double)margin[r], (double)due);
        }
        assert_true(margin[n] == 12345);
    }
    free(margin);
}

static struct forest *compiled(const struct shape *shape, const struct tree *trees, float base)
{
    struct forest *forest;
    struct err err;
    if (forest_create(trees, shape->trees, shape->features, base, &forest, &err) < 0)
        fail_msg("%s: %s", shape->name, err.msg);
    return forest;
}

static void every_shape_scores_as_a_walk(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *shape = &shapes[i];
        struct tree *trees = grow_forest(shape, 7 + i);
        struct forest *forest = compiled(shape, trees, 0.25f);
        size_t n = shape->features > 1000 ? 70 : 300;
        float *rows = malloc(n * shape->features * sizeof *rows);
        fill(rows, n, shape, trees, 99 + i);
        expect_walks(shape, trees, forest, rows, n, 0.25f);
        free(rows);
        forest_destroy(forest);
        fell(trees, shape->trees);
    }
}

static void every_size_of_batch_scores_as_a_walk(void **state)
{
    (void)state;
    static const char *const names[] = {"depth 4",     "depth 6, ragged", "depth 6, 80 columns", "depth 6, 200 columns", "depth 8", "chain of 20", "depth 9"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *shape = &shapes[i];
        bool named = false;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            named |= !strcmp(shape->name, names[k]);
        if (!named)
            continue;
        struct tree *trees = grow_forest(shape, 3);
        struct forest *forest = compiled(shape, trees, -1);
        for (size_t n = 1; n <= 200; n += n < 70 ? 1 : 13) {
            float *rows = malloc(n * shape->features * sizeof *rows); /* no byte more: a row too far is seen */
            fill(rows, n, shape, trees, n);
            expect_walks(shape, trees, forest, rows, n, -1);
            free(rows);
        }
        forest_destroy(forest);
        fell(trees, shape->trees);
    }
}

static void rows_of_one_value_score_as_a_walk(void **state)
{
    (void)state;
    static const float values[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, FLT_TRUE_MIN};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *shape = &shapes[i];
        struct tree *trees = grow_forest(shape, 11);
        struct forest *forest = compiled(shape, trees, 0);
        float *rows = malloc(18 * shape->features * sizeof *rows);
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            for (size_t k = 0; k < 18 * shape->features; k++)
                rows[k] = values[v];
            expect_walks(shape, trees, forest, rows, 1, 0);
            expect_walks(shape, trees, forest, rows, 18, 0);
        }
        free(rows);
        forest_destroy(forest);
        fell(trees, shape->trees);
    }
}

static void sums_keep_the_order_of_the_trees(void **state)
{
    (void)state;
    static const float values[] = {1e8f, 1.0f, -1e8f, 3.0f, 1e-8f, 7.0f, 0.1f, 1e8f, -1e8f};
    struct tree_node leaves[9];
    struct tree trees[9];
    float due = 0.5f, margin[20], rows[20] = {0};
    for (size_t t = 0; t < 9; t++) {
        leaves[t] = (struct tree_node){.value = values[t]};
        trees[t] = (struct tree){1, &leaves[t]};
        due += values[t];
    }
    struct forest *forest;
    assert_int_equal(forest_create(trees, 9, 1, 0.5f, &forest, NULL), 0);
    for (enum forest_path path = 0; path < FOREST_PATHS; path++) {
        if (forest_use(forest, path) < 0)
            continue;
        for (size_t n = 1; n <= 20; n += 19) {
            forest_score(forest, rows, n, margin);
            assert_memory_equal(&margin[n - 1], &due, sizeof due);
        }
    }
    forest_destroy(forest);
}

static void an_infinite_threshold_is_refused(void **state)
{
    (void)state;
    struct tree_node nodes[3] = {{INFINITY, 1, 0, true, 0, 0}, {.value = 1}, {.value = 2}};
    struct tree tree = {3, nodes};
    struct forest *forest = NULL;
    struct err err;
    assert_int_equal(forest_create(&tree, 1, 1, 0, &forest, &err), -1);
    assert_null(forest);
    assert_string_equal(err.msg, "a threshold is infinite");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_scores_as_a_walk),
        cmocka_unit_test(every_size_of_batch_scores_as_a_walk),
        cmocka_unit_test(rows_of_one_value_score_as_a_walk),
        cmocka_unit_test(sums_keep_the_order_of_the_trees),
        cmocka_unit_test(an_infinite_threshold_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
