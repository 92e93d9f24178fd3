/* Contributions against the definition: the Shapley values of the game in which an unknown feature sends a row down both
 * sides by their covers, summed over all sets of features. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/models/shap.h"

enum { NODES_MAX = 400, TREES = 3 };

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* A tree of so many splits at random places of at most `depth`; a chain if `chain`, by all features in turn. */
static struct tree random_tree(struct tree_node *nodes, size_t splits, unsigned depth, size_t features, bool chain, uint64_t *state)
{
    unsigned depths[NODES_MAX] = {0};
    uint32_t count = 1;
    bool is_split[NODES_MAX] = {false};
    /* level by level, as the file's reader puts them */
    for (uint32_t i = 0, made = 0; i < count; i++) {
        bool split = made < splits && depths[i] < depth && (chain ? i == 0 || i % 2 == 0 : made < 1 || next(state) % 4);
        nodes[i] = (struct tree_node){.value = (float)(next(state) % 2000) / 500 - 2};
        if (!split)
            continue;
        is_split[i] = true;
        nodes[i].value = (float)(next(state) % 9) - 4;
        nodes[i].left = count;
        nodes[i].feature = (uint16_t)(chain ? made % features : next(state) % features);
        nodes[i].default_left = next(state) & 1;
        depths[count] = depths[count + 1] = depths[i] + 1;
        count += 2;
        made++;
    }
    for (uint32_t i = count; i-- > 0;)
        nodes[i].cover = is_split[i] ? nodes[nodes[i].left].cover + nodes[nodes[i].left + 1].cover : 1 + (float)(next(state) % 1000) / 8;
    return (struct tree){count, nodes};
}

/* The tree's value where only the features of `known` are. */
static double game(const struct tree *tree, uint32_t at, const float *row, uint32_t known)
{
    const struct tree_node *node = &tree->nodes[at];
    if (node->left == 0)
        return (double)node->value;
    if (known >> node->feature & 1) {
        float x = row[node->feature];
        bool left = isnan(x) ? node->default_left : x < node->value;
        return game(tree, left ? node->left : node->left + 1, row, known);
    }
    const struct tree_node *children = tree->nodes + node->left;
    return ((double)children[0].cover * game(tree, node->left, row, known) + (double)children[1].cover * game(tree, node->left + 1, row, known)) /
           (double)node->cover;
}

/* Adds the tree's Shapley values to phi[0..features), its mean to phi[features]. */
static void shapley(const struct tree *tree, const float *row, unsigned features, double *phi)
{
    double *value = malloc((size_t)1 << features << 3), weight[33];
    for (uint32_t set = 0; set < 1u << features; set++)
        value[set] = game(tree, 0, row, set);
    for (unsigned size = 0; size < features; size++) /* size! (features - size - 1)! / features! */
        weight[size] = exp(lgamma(size + 1.0) + lgamma(features - size + 0.0) - lgamma(features + 1.0));
    for (uint32_t set = 0; set < 1u << features; set++)
        for (unsigned f = 0; f < features; f++)
            if (!(set >> f & 1))
                phi[f] += weight[__builtin_popcount(set)] * (value[set | 1u << f] - value[set]);
    phi[features] += value[0];
    free(value);
}

static void expect_the_definition(size_t splits, unsigned depth, unsigned features, bool chain, uint64_t seed)
{
    static struct tree_node nodes[TREES][NODES_MAX];
    struct tree trees[TREES];
    uint64_t state = seed;
    for (size_t t = 0; t < TREES; t++)
        trees[t] = random_tree(nodes[t], splits, depth, features, chain, &state);
    struct shap *shap;
    struct err err = {0};
    if (shap_create(trees, TREES, features, 0.75f, &shap, &err) < 0)
        fail_msg("%s", err.msg);
    enum { ROWS = 11 }; /* more than meet a tree together */
    float rows[ROWS * 32], contributions[ROWS * 33];
    for (size_t i = 0; i < ROWS * features; i++)
        rows[i] = next(&state) % 8 == 0 ? NAN : (float)(next(&state) % 18) / 2 - 4.5f;
    size_t n = features > 12 ? 1 : ROWS;
    shap_contributions(shap, rows, n, contributions);
    for (size_t r = 0; r < n; r++) {
        double expected[33] = {0};
        expected[features] = 0.75;
        for (size_t t = 0; t < TREES; t++)
            shapley(&trees[t], rows + r * features, features, expected);
        for (unsigned f = 0; f <= features; f++)
            if (!(fabs((double)contributions[r * (features + 1) + f] - expected[f]) < 1e-6))
                fail_msg("seed %d: row %zu, feature %u: %.9g, should be %.9g", (int)seed, r, f, (double)contributions[r * (features + 1) + f], expected[f]);
    }
    float again[ROWS * 33];
    shap_use_portable(shap);
    shap_contributions(shap, rows, n, again);
    assert_memory_equal(again, contributions, n * (features + 1) * sizeof *again);
    shap_destroy(shap);
}

static void contributions_are_the_shapley_values(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        expect_the_definition(seed % 40, 1 + (unsigned)seed % 9, 1 + (unsigned)seed % 7, false, seed);
}

static void a_feature_may_split_many_times_on_a_path(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        expect_the_definition(30, 30, 1 + (unsigned)seed % 3, true, seed);
}

static void long_paths_take_larger_rules(void **state)
{
    (void)state;
    expect_the_definition(8, 60, 8, true, 1);
    expect_the_definition(9, 60, 9, true, 2);
    expect_the_definition(16, 60, 16, true, 3);
    expect_the_definition(17, 60, 17, true, 4);
}

static void what_it_cannot_take_is_refused(void **state)
{
    (void)state;
    static struct tree_node nodes[NODES_MAX];
    static const struct {
        unsigned splits, features;
        float cover; /* of a leaf; 1: as it is */
        const char *why;
    } cases[] = {
        {64, 3, 1, NULL}, {65, 3, 1, "more than 64 levels deep"}, {32, 32, 1, NULL}, {33, 33, 1, "a path has 33 features"},
        {3, 3, 0, "a cover is not positive"}, {3, 3, -1, "a cover is not positive"}, {3, 3, NAN, "a cover is not positive"},
        {3, 3, INFINITY, "a cover is not positive"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t random = 5;
        struct tree tree = random_tree(nodes, cases[i].splits, 100, cases[i].features, true, &random);
        if (!(cases[i].cover == 1)) /* NaN too */
            nodes[tree.node_count - 1].cover = cases[i].cover;
        struct shap *shap = NULL;
        struct err err = {0};
        assert_int_equal(shap_create(&tree, 1, cases[i].features, 0, &shap, &err), cases[i].why ? -1 : 0);
        if (cases[i].why)
            assert_non_null(strstr(err.msg, cases[i].why));
        shap_destroy(shap);
    }
}

static void a_single_leaf_is_all_bias(void **state)
{
    (void)state;
    struct tree_node leaf = {.value = 2.5f};
    struct tree tree = {1, &leaf};
    struct shap *shap;
    float row[2] = {1, NAN}, contributions[3];
    assert_int_equal(shap_create(&tree, 1, 2, -1, &shap, NULL), 0);
    shap_contributions(shap, row, 1, contributions);
    assert_true(contributions[0] == 0 && contributions[1] == 0 && contributions[2] == 1.5f);
    shap_destroy(shap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contributions_are_the_shapley_values),
        cmocka_unit_test(a_feature_may_split_many_times_on_a_path),
        cmocka_unit_test(long_paths_take_larger_rules),
        cmocka_unit_test(what_it_cannot_take_is_refused),
        cmocka_unit_test(a_single_leaf_is_all_bias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
