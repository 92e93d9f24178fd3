#include "scoring/models/shap.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef double quad __attribute__((vector_size(32), aligned(32))); /* else 16 where the machine may be without AVX */
enum { QUADS_MAX = 4, NO_DEPTH = 255, GROUP_ROWS = 8 };
_Static_assert(_Alignof(quad) == 32 && sizeof(quad) == 32 && 2 * 4 * QUADS_MAX == SHAP_PATH_FEATURES_MAX, "the largest rule is exact");

struct shap_node {
    uint32_t left; /* as in struct tree_node, counted from the first node of all */
    uint16_t feature;
    bool default_left;
    uint8_t depth, previous; /* previous: depth of the split above by the same feature, or NO_DEPTH */
    float threshold;         /* of a split */
    union {
        double before; /* of a split: product of the cover ratios on its path by its feature so far */
        double value;  /* of a leaf */
    };
    double ratio[2]; /* cover of the child by that of the node */
};

struct shap {
    size_t feature_count, tree_count;
    unsigned quads; /* the rule has 4 x quads points */
    quad t[QUADS_MAX], u[QUADS_MAX], w[QUADS_MAX]; /* points, 1 - points, weights */
    quad cold_gain[QUADS_MAX];                     /* w / u */
    bool portable; /* asked for */
    double bias;
    uint32_t *roots;
    struct shap_node *nodes;
    quad *phi; /* GROUP_ROWS x feature_count x quads */
};

/* Each rule, for any machine and for those with AVX2; no contraction, so the same bits. */
#define WALK walk_4
#define SPLIT split_4
#define QUADS 1
#include "scoring/models/shap_walk.h"
#define WALK walk_8
#define SPLIT split_8
#define QUADS 2
#include "scoring/models/shap_walk.h"
#define WALK walk_16
#define SPLIT split_16
#define QUADS 4
#include "scoring/models/shap_walk.h"

#if defined __x86_64__
#pragma GCC push_options
#pragma GCC target("avx2")
#define WALK walk_4_avx2
#define SPLIT split_4_avx2
#define QUADS 1
#include "scoring/models/shap_walk.h"
#define WALK walk_8_avx2
#define SPLIT split_8_avx2
#define QUADS 2
#include "scoring/models/shap_walk.h"
#define WALK walk_16_avx2
#define SPLIT split_16_avx2
#define QUADS 4
#include "scoring/models/shap_walk.h"
#pragma GCC pop_options
#endif

typedef void walk_function(const struct shap *s, const struct shap_node *node, const quad *products, uint64_t cold, const float *row, quad *phi, quad *sums);

static walk_function *choose_walk(unsigned quads, bool portable)
{
#if defined __x86_64__
    if (!portable && __builtin_cpu_supports("avx2"))
        return quads == 1 ? walk_4_avx2 : quads == 2 ? walk_8_avx2 : walk_16_avx2;
#endif
    (void)portable;
    return quads == 1 ? walk_4 : quads == 2 ? walk_8 : walk_16;
}

static void write_contributions(const struct shap *s, const quad *phi, float *out)
{
    for (size_t f = 0; f < s->feature_count; f++) {
        quad sum = phi[f * s->quads];
        for (size_t k = 1; k < s->quads; k++)
            sum += phi[f * s->quads + k];
        out[f] = (float)((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
    out[s->feature_count] = (float)s->bias;
}

/* So many rows meet a tree one after the other, while it is in the nearest memory. */
static void explain_group(struct shap *s, const float *rows, size_t n, float *contributions)
{
    static const quad products[QUADS_MAX] = {{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}};
    walk_function *walk = choose_walk(s->quads, s->portable);
    size_t width = s->feature_count * s->quads;
    quad sums[QUADS_MAX];
    memset(s->phi, 0, n * width * sizeof *s->phi);
    for (size_t t = 0; t < s->tree_count; t++)
        for (size_t r = 0; r < n; r++)
            walk(s, s->nodes + s->roots[t], products, 0, rows + r * s->feature_count, s->phi + r * width, sums);
    for (size_t r = 0; r < n; r++)
        write_contributions(s, s->phi + r * width, contributions + r * (s->feature_count + 1));
}

void shap_contributions(struct shap *s, const float *rows, size_t n, float *contributions)
{
    for (size_t r = 0; r < n; r += GROUP_ROWS)
        explain_group(s, rows + r * s->feature_count, n - r < GROUP_ROWS ? n - r : GROUP_ROWS, contributions + r * (s->feature_count + 1));
}

/* Gauss and Legendre's points and weights on [0, 1], those below one half. */
static const double points_below_half[3][8] = {
    {0.06943184420297371, 0.33000947820757187},
    {0.019855071751231912, 0.10166676129318664, 0.2372337950418355, 0.4082826787521751},
    {0.005299532504175031, 0.0277124884633837, 0.06718439880608412, 0.1222977958224985, 0.19106187779867811, 0.2709916111713863,
     0.35919822461037054, 0.4524937450811813},
};
static const double weights_below_half[3][8] = {
    {0.17392742256872679, 0.3260725774312732},
    {0.05061426814518853, 0.11119051722668721, 0.15685332293894344, 0.18134189168918083},
    {0.013576229705877088, 0.031126761969323728, 0.0475792558412463, 0.062314485627767036, 0.07479799440828835, 0.08457825969750132,
     0.09130170752246182, 0.09472530522753432},
};

static void choose_rule(struct shap *s, unsigned path_features)
{
    unsigned rule = path_features <= 8 ? 0 : path_features <= 16 ? 1 : 2, half = 2u << rule;
    s->quads = 1u << rule;
    for (unsigned i = 0; i < 2 * half; i++) {
        unsigned mirror = i < half ? i : 2 * half - 1 - i;
        double low = points_below_half[rule][mirror], high = 1 - low;
        s->t[i / 4][i % 4] = i < half ? low : high;
        s->u[i / 4][i % 4] = i < half ? high : low;
        s->w[i / 4][i % 4] = weights_below_half[rule][mirror];
    }
    for (unsigned k = 0; k < s->quads; k++)
        s->cold_gain[k] = s->w[k] / s->u[k];
}

/* What the nodes above say, by node of the tree at hand. */
struct above {
    uint32_t parent;
    uint8_t depth, path_features;
};

struct compiler {
    struct shap *s;
    struct above *above;
    unsigned path_features; /* the most on one path */
    struct err *err;
};

/* The nearest split above by the same feature. */
static void find_previous(const struct tree *tree, const struct shap_node *nodes, const struct above *above, uint32_t i, struct shap_node *node)
{
    node->previous = NO_DEPTH;
    node->before = 1;
    for (uint32_t child = i; above[child].depth > 0;) {
        uint32_t parent = above[child].parent;
        if (tree->nodes[parent].feature == tree->nodes[i].feature) {
            node->previous = above[parent].depth;
            node->before = nodes[parent].before * nodes[parent].ratio[child - tree->nodes[parent].left];
            return;
        }
        child = parent;
    }
}

static int compile_split(struct compiler *c, const struct tree *tree, struct shap_node *nodes, uint32_t i, uint32_t first)
{
    const struct tree_node *node = &tree->nodes[i], *children = tree->nodes + node->left;
    struct shap_node *out = &nodes[i];
    *out = (struct shap_node){.left = first + node->left, .feature = node->feature, .default_left = node->default_left,
                              .depth = c->above[i].depth, .threshold = node->value};
    if (out->depth >= SHAP_DEPTH_MAX)
        return err_set(c->err, "a tree is more than %d levels deep", SHAP_DEPTH_MAX);
    for (unsigned side = 0; side < 2; side++) {
        out->ratio[side] = (double)children[side].cover / (double)node->cover;
        if (!(node->cover > 0 && children[side].cover > 0) || !isfinite(out->ratio[side]))
            return err_set(c->err, "a cover is not positive");
    }
    find_previous(tree, nodes, c->above, i, out);
    unsigned path_features = c->above[i].path_features + (out->previous == NO_DEPTH ? 1u : 0u);
    c->path_features = path_features > c->path_features ? path_features : c->path_features;
    for (unsigned side = 0; side < 2; side++)
        c->above[node->left + side] = (struct above){i, (uint8_t)(out->depth + 1), (uint8_t)path_features};
    return 0;
}

/* The mean of the leaves by cover, from the leaves up: children come after their parent.  `mean` has room for each node. */
static double tree_mean(const struct tree *tree, const struct shap_node *nodes, double *mean)
{
    for (uint32_t i = tree->node_count; i-- > 0;) {
        uint32_t left = tree->nodes[i].left;
        mean[i] = left ? mean[left] * nodes[i].ratio[0] + mean[left + 1] * nodes[i].ratio[1] : (double)tree->nodes[i].value;
    }
    return mean[0];
}

static int compile_tree(struct compiler *c, const struct tree *tree, uint32_t first, double *mean)
{
    struct shap_node *nodes = c->s->nodes + first;
    c->above[0] = (struct above){0};
    for (uint32_t i = 0; i < tree->node_count; i++)
        if (tree->nodes[i].left == 0)
            nodes[i] = (struct shap_node){.value = (double)tree->nodes[i].value};
        else if (compile_split(c, tree, nodes, i, first) < 0)
            return -1;
    c->s->bias += tree_mean(tree, nodes, mean);
    return 0;
}

static int compile(struct shap *s, const struct tree *trees, struct err *err)
{
    struct compiler c = {.s = s, .err = err};
    size_t nodes = 0, largest = 0;
    for (size_t t = 0; t < s->tree_count; t++) {
        nodes += trees[t].node_count;
        largest = trees[t].node_count > largest ? trees[t].node_count : largest;
    }
    if (nodes >= UINT32_MAX)
        return err_set(err, "the model has %zu nodes", nodes);
    s->nodes = malloc(nodes * sizeof *s->nodes);
    s->roots = malloc(s->tree_count * sizeof *s->roots);
    c.above = malloc(largest * sizeof *c.above);
    double *mean = malloc(largest * sizeof *mean);
    int status = s->nodes && s->roots && c.above && mean ? 0 : err_set(err, "memory is short");
    uint32_t first = 0;
    for (size_t t = 0; status == 0 && t < s->tree_count; t++) {
        s->roots[t] = first;
        status = compile_tree(&c, &trees[t], first, mean);
        first += trees[t].node_count;
    }
    free(c.above);
    free(mean);
    if (status == 0 && c.path_features > SHAP_PATH_FEATURES_MAX)
        return err_set(err, "a path has %u features", c.path_features);
    choose_rule(s, c.path_features);
    return status;
}

int shap_create(const struct tree *trees, size_t tree_count, size_t feature_count, float base_margin, struct shap **out, struct err *err)
{
    assert(tree_count > 0 && feature_count > 0);
    struct shap *s = aligned_alloc(32, sizeof *s);
    if (!s)
        return err_set(err, "memory is short");
    memset(s, 0, sizeof *s);
    s->feature_count = feature_count;
    s->tree_count = tree_count;
    s->bias = (double)base_margin;
    if (compile(s, trees, err) < 0) {
        shap_destroy(s);
        return -1;
    }
    if (!(s->phi = aligned_alloc(32, GROUP_ROWS * feature_count * s->quads * sizeof *s->phi))) {
        shap_destroy(s);
        return err_set(err, "memory is short");
    }
    *out = s;
    return 0;
}

void shap_use_portable(struct shap *s)
{
    s->portable = true;
}

void shap_destroy(struct shap *s)
{
    if (!s)
        return;
    free(s->nodes);
    free(s->roots);
    free(s->phi);
    free(s);
}
