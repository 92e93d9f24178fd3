/* From trees to the program of forest_program.h.
 *
 * Cost: sorting the thresholds; memory is a small multiple of the trees' own, since a subtree is padded only where
 * that is cheaper than joining its parts. */
#include "scoring/models/forest_program.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 65535, SLOTS_MAX = 1 << 26 };

struct compiler {
    struct forest *f;
    const struct tree *trees;
    /* by feature */
    struct feature_cuts **cuts_of;
    uint32_t *segment_of; /* the first of its segments of 255 cuts */
    uint32_t *column_at;  /* by segment and side: column + 1, 0 if no split asks for it */
    size_t segment_count;
    /* by node of the tree at hand */
    uint8_t *depth_below; /* cut at 255 */
    uint32_t *cost, *leaf_slots;
    bool *whole; /* one perfect piece */
    size_t node_count, piece_count, leaf_count, exit_count, node_capacity, piece_capacity, leaf_capacity, exit_capacity;
    struct err *err;
};

/* Room for one more of `array`. */
#define ROOM(array, count, capacity) \
    ((count) < (capacity) || ((count) < SLOTS_MAX && grow((void **)&(array), &(capacity), sizeof *(array))))

static bool grow(void **array, size_t *capacity, size_t size)
{
    size_t larger = *capacity ? 2 * *capacity : 1024;
    void *moved = realloc(*array, larger * size);
    if (!moved)
        return false;
    *array = moved;
    *capacity = larger;
    return true;
}

/* Cuts and columns */

struct split {
    float threshold;
    uint32_t feature;
};

static int by_feature_and_threshold(const void *a, const void *b)
{
    const struct split *s = a, *t = b;
    if (s->feature != t->feature)
        return s->feature < t->feature ? -1 : 1;
    return (s->threshold > t->threshold) - (s->threshold < t->threshold);
}

static int collect_splits(struct compiler *c, struct split **out, size_t *count)
{
    size_t n = 0, used = 0;
    for (size_t t = 0; t < c->f->tree_count; t++)
        n += c->trees[t].node_count / 2;
    struct split *splits = malloc((n ? n : 1) * sizeof *splits);
    if (!splits)
        return err_set(c->err, "memory is short");
    for (size_t t = 0; t < c->f->tree_count; t++)
        for (uint32_t i = 0; i < c->trees[t].node_count; i++) {
            const struct tree_node *node = &c->trees[t].nodes[i];
            if (node->left == 0)
                continue;
            assert(used < n && node->feature < c->f->feature_count && node->left > i && node->left + 1 < c->trees[t].node_count);
            if (!isfinite(node->value)) {
                free(splits);
                return err_set(c->err, "a threshold is infinite");
            }
            splits[used++] = (struct split){node->value, node->feature};
        }
    qsort(splits, used, sizeof *splits, by_feature_and_threshold);
    *out = splits;
    *count = used;
    return 0;
}

static size_t level_size(size_t count)
{
    return CUT_FANOUT * (count / CUT_FANOUT + 1);
}

/* The distinct thresholds of one feature, `at` and on, and the levels over them. */
static void lay_cuts(struct forest *f, struct feature_cuts *used, const float *distinct, size_t *at)
{
    size_t counts[CUT_LEVELS_MAX], n = used->count, levels = 0;
    do {
        assert(levels < CUT_LEVELS_MAX);
        counts[levels++] = n;
        n /= CUT_FANOUT;
    } while (n > 0);
    used->levels = (uint32_t)levels;
    for (size_t l = 0, stride = 1; l < levels; l++, stride *= CUT_FANOUT) {
        float *level = f->cuts + *at;
        used->level[levels - 1 - l] = (uint32_t)*at;
        for (size_t i = 0; i < level_size(counts[l]); i++)
            level[i] = i < counts[l] ? distinct[(i + 1) * stride - 1] : NAN;
        *at += level_size(counts[l]);
    }
}

static int make_cuts(struct compiler *c)
{
    struct forest *f = c->f;
    struct split *splits = NULL;
    size_t n = 0, at = 0;
    if (collect_splits(c, &splits, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        f->used_count += i == 0 || splits[i].feature != splits[i - 1].feature;
    float *distinct = malloc((n ? n : 1) * sizeof *distinct);
    /* each level is at most a sixteenth of the one below it, and 16 more */
    f->cuts = aligned_alloc(64, (2 * n + CUT_FANOUT * CUT_LEVELS_MAX * (f->used_count + 1)) / 16 * 64 + 64);
    f->used = calloc(f->used_count ? f->used_count : 1, sizeof *f->used);
    if (!distinct || !f->cuts || !f->used) {
        free(distinct);
        free(splits);
        return err_set(c->err, "memory is short");
    }
    struct feature_cuts *used = f->used;
    for (size_t i = 0; i < n; used++) {
        uint32_t feature = splits[i].feature, count = 0;
        for (; i < n && splits[i].feature == feature; i++)
            if (count == 0 || distinct[count - 1] != splits[i].threshold)
                distinct[count++] = splits[i].threshold;
        *used = (struct feature_cuts){.feature = feature, .count = count};
        lay_cuts(f, used, distinct, &at);
        c->cuts_of[feature] = used;
        c->segment_of[feature] = (uint32_t)c->segment_count;
        c->segment_count += (count + CUTS_PER_COLUMN - 1) / CUTS_PER_COLUMN;
    }
    free(distinct);
    free(splits);
    return 0;
}

/* Which of its feature's cuts a split's threshold is. */
static uint32_t cut_of(const struct compiler *c, const struct tree_node *node)
{
    const struct feature_cuts *used = c->cuts_of[node->feature];
    const float *cuts = c->f->cuts + used->level[used->levels - 1];
    uint32_t low = 0, high = used->count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (cuts[middle] < node->value)
            low = middle + 1;
        else
            high = middle;
    }
    assert(cuts[low] == node->value);
    return low;
}

static uint32_t *column_of(const struct compiler *c, const struct tree_node *node)
{
    return &c->column_at[2 * (c->segment_of[node->feature] + cut_of(c, node) / CUTS_PER_COLUMN) + node->default_left];
}

static int8_t threshold_of(const struct compiler *c, const struct tree_node *node)
{
    return (int8_t)((int)(cut_of(c, node) % CUTS_PER_COLUMN) + 1 - 128);
}

/* Only the columns that some split asks for, those of a feature side by side. */
static int make_columns(struct compiler *c)
{
    struct forest *f = c->f;
    c->column_at = calloc(2 * c->segment_count + 1, sizeof *c->column_at);
    f->columns = malloc((2 * c->segment_count + 1) * sizeof *f->columns);
    if (!c->column_at || !f->columns)
        return err_set(c->err, "memory is short");
    for (size_t t = 0; t < f->tree_count; t++)
        for (uint32_t i = 0; i < c->trees[t].node_count; i++)
            if (c->trees[t].nodes[i].left)
                *column_of(c, &c->trees[t].nodes[i]) = 1;
    for (size_t u = 0; u < f->used_count; u++) {
        struct feature_cuts *used = &f->used[u];
        size_t first = c->segment_of[used->feature], end = u + 1 < f->used_count ? c->segment_of[used[1].feature] : c->segment_count;
        used->column_begin = (uint32_t)f->column_count;
        for (size_t s = 2 * first; s < 2 * end; s++)
            if (c->column_at[s]) {
                f->columns[f->column_count++] = (struct column){.first_cut = (uint32_t)(s / 2 - first) * CUTS_PER_COLUMN, .default_left = s % 2};
                c->column_at[s] = (uint32_t)f->column_count;
            }
        used->column_end = (uint32_t)f->column_count;
    }
    return f->column_count <= COLUMNS_MAX ? 0 : err_set(c->err, "the forest needs %zu columns", f->column_count);
}

/* Walks */

static void measure_depths(struct compiler *c, const struct tree *tree, uint32_t *depth)
{
    uint32_t level_end = 1, next_end = 1;
    *depth = 0;
    for (uint32_t i = 0; i < tree->node_count; i++) {
        if (i == level_end) {
            level_end = next_end;
            ++*depth;
        }
        if (tree->nodes[i].left)
            next_end = tree->nodes[i].left + 2;
    }
    for (uint32_t i = tree->node_count; i-- > 0;) {
        uint32_t left = tree->nodes[i].left;
        unsigned below = left ? 1u + (c->depth_below[left] > c->depth_below[left + 1] ? c->depth_below[left] : c->depth_below[left + 1]) : 0;
        c->depth_below[i] = (uint8_t)(below < 255 ? below : 255);
    }
}

static void lay_walk(struct compiler *c, const struct tree *tree, uint32_t root)
{
    for (uint32_t i = 0; i < tree->node_count; i++) {
        const struct tree_node *node = &tree->nodes[i];
        c->f->walk_values[root + i] = node->value;
        c->f->walk_nodes[root + i] = node->left ? (struct walk_node){.left = root + node->left,
                                                                     .column = (uint16_t)(*column_of(c, node) - 1),
                                                                     .threshold = threshold_of(c, node)}
                                                : (struct walk_node){.left = root + i - 1, .column = 0, .threshold = INT8_MIN};
    }
}

/* Pieces */

/* In cycles for 64 rows, roughly: a piece is a dispatch and its splits. */
static uint32_t perfect_cost(unsigned depth)
{
    return 10 + 2 * ((1u << depth) - 1);
}

static void choose_pieces(struct compiler *c, const struct tree *tree, unsigned piece_depth_max)
{
    for (uint32_t i = tree->node_count; i-- > 0;) {
        unsigned depth = c->depth_below[i];
        uint32_t left = tree->nodes[i].left;
        bool fits = depth <= piece_depth_max;
        uint32_t joined = left ? c->cost[left] + c->cost[left + 1] + perfect_cost(1) : UINT32_MAX;
        c->whole[i] = !left || (fits && perfect_cost(depth) <= joined);
        c->cost[i] = c->whole[i] ? perfect_cost(depth) : joined;
        c->leaf_slots[i] = c->whole[i] ? 1u << depth : c->leaf_slots[left] + c->leaf_slots[left + 1];
    }
}

static int add_node(struct compiler *c, const struct tree_node *node)
{
    struct forest *f = c->f;
    if (!ROOM(f->nodes, c->node_count, c->node_capacity))
        return err_set(c->err, "memory is short");
    uint8_t threshold = (uint8_t)(node->left ? threshold_of(c, node) : INT8_MIN);
    uint32_t column = node->left ? *column_of(c, node) - 1 : 0;
    f->nodes[c->node_count++] = (struct block_node){.column_offset = GROUP_ROWS * column, .threshold = threshold * 0x01010101u};
    return 0;
}

/* Postorder; below a leaf that comes early both sides are that leaf, and it does not matter which is taken. */
static int add_perfect(struct compiler *c, const struct tree *tree, uint32_t i, unsigned depth)
{
    const struct tree_node *node = &tree->nodes[i];
    if (depth == 0) {
        if (!ROOM(c->f->leaves, c->leaf_count, c->leaf_capacity))
            return err_set(c->err, "memory is short");
        c->f->leaves[c->leaf_count++] = node->value;
        return 0;
    }
    uint32_t left = node->left ? node->left : i, right = node->left ? node->left + 1 : i;
    return add_perfect(c, tree, left, depth - 1) < 0 || add_perfect(c, tree, right, depth - 1) < 0 ? -1 : add_node(c, node);
}

static int add_pieces(struct compiler *c, const struct tree *tree, uint32_t i, size_t first_leaf)
{
    const struct tree_node *node = &tree->nodes[i];
    struct piece piece = {.kind = PIECE_JOIN};
    if (c->whole[i]) {
        piece = (struct piece){.kind = c->depth_below[i], .base = (uint8_t)(c->leaf_count - first_leaf)};
        if (add_perfect(c, tree, i, piece.kind) < 0)
            return -1;
    } else if (add_pieces(c, tree, node->left, first_leaf) < 0 || add_pieces(c, tree, node->left + 1, first_leaf) < 0 || add_node(c, node) < 0)
        return -1;
    if (!ROOM(c->f->pieces, c->piece_count, c->piece_capacity))
        return err_set(c->err, "memory is short");
    c->f->pieces[c->piece_count++] = piece;
    return 0;
}

/* The top of a tree whose first node for walking is `root`. */
static int add_top(struct compiler *c, const struct tree *tree, uint32_t root, uint32_t i, unsigned depth)
{
    const struct tree_node *node = &tree->nodes[i];
    if (depth == 0) {
        if (!ROOM(c->f->exits, c->exit_count, c->exit_capacity))
            return err_set(c->err, "memory is short");
        c->f->exits[c->exit_count++] = root + i;
        return 0;
    }
    uint32_t left = node->left ? node->left : i, right = node->left ? node->left + 1 : i;
    return add_top(c, tree, root, left, depth - 1) < 0 || add_top(c, tree, root, right, depth - 1) < 0 ? -1 : add_node(c, node);
}

/* Smaller pieces need fewer repeated leaves. */
static bool fits_bytes(struct compiler *c, const struct tree *tree)
{
    if (c->depth_below[0] > JOIN_DEPTH_MAX || tree->node_count / 2 + 1 > TREE_LEAVES_MAX)
        return false;
    for (unsigned depth = PIECE_DEPTH_MAX; depth > 0; depth--) {
        choose_pieces(c, tree, depth);
        if (c->leaf_slots[0] <= TREE_LEAVES_MAX)
            return true;
    }
    return false;
}

static int lay_block_tree(struct compiler *c, const struct tree *tree, const struct walk_tree *walk, struct block_tree *out)
{
    *out = (struct block_tree){.kind = TREE_WALK, .top = (uint32_t)c->node_count, .exit = (uint32_t)c->exit_count};
    if (walk->depth > PIECE_DEPTH_MAX && add_top(c, tree, walk->root, 0, TOP_DEPTH) < 0)
        return -1;
    out->piece = (uint32_t)c->piece_count;
    out->node = (uint32_t)c->node_count;
    out->leaf = (uint32_t)c->leaf_count;
    if (!fits_bytes(c, tree))
        return 0;
    if (add_pieces(c, tree, 0, c->leaf_count) < 0)
        return -1;
    out->piece_count = (uint16_t)(c->piece_count - out->piece);
    out->kind = out->piece_count == 1 ? c->f->pieces[out->piece].kind : TREE_PIECES;
    return 0;
}

/* Masks */

static void lay_mask(struct compiler *c, const struct tree *tree, struct mask_tree *out, uint32_t i, unsigned at, unsigned depth)
{
    const struct tree_node *node = &tree->nodes[i];
    if (depth == 0) {
        out->leaf[at - (1u << c->f->mask_depth)] = node->value;
        return;
    }
    out->column[at] = (uint8_t)(node->left ? *column_of(c, node) - 1 : 0);
    out->threshold[at] = (int8_t)(node->left ? threshold_of(c, node) : INT8_MIN);
    lay_mask(c, tree, out, node->left ? node->left : i, 2 * at, depth - 1);
    lay_mask(c, tree, out, node->left ? node->left + 1 : i, 2 * at + 1, depth - 1);
}

static int make_masks(struct compiler *c)
{
    struct forest *f = c->f;
    if (f->mask_depth > PIECE_DEPTH_MAX || f->column_count > MASK_COLUMNS_MAX)
        return 0;
    if (!(f->masks = aligned_alloc(64, f->tree_count * sizeof *f->masks)))
        return err_set(c->err, "memory is short");
    memset(f->masks, 0, f->tree_count * sizeof *f->masks);
    for (size_t t = 0; t < f->tree_count; t++)
        lay_mask(c, &c->trees[t], &f->masks[t], 0, 1, f->mask_depth);
    return 0;
}

static int make_trees(struct compiler *c)
{
    struct forest *f = c->f;
    size_t nodes = 0, largest = 0;
    for (size_t t = 0; t < f->tree_count; t++) {
        nodes += c->trees[t].node_count;
        largest = c->trees[t].node_count > largest ? c->trees[t].node_count : largest;
    }
    if (nodes > SLOTS_MAX)
        return err_set(c->err, "the forest has %zu nodes", nodes);
    f->trees = calloc(f->tree_count, sizeof *f->trees);
    f->walks = calloc(f->tree_count, sizeof *f->walks);
    f->walk_nodes = calloc(nodes, sizeof *f->walk_nodes);
    f->walk_values = calloc(nodes, sizeof *f->walk_values);
    c->depth_below = malloc(largest);
    c->cost = malloc(largest * sizeof *c->cost);
    c->leaf_slots = malloc(largest * sizeof *c->leaf_slots);
    c->whole = malloc(largest * sizeof *c->whole);
    if (!f->trees || !f->walks || !f->walk_nodes || !f->walk_values || !c->depth_below || !c->cost || !c->leaf_slots || !c->whole)
        return err_set(c->err, "memory is short");
    uint32_t root = 0;
    for (size_t t = 0; t < f->tree_count; t++) {
        f->walks[t].root = root;
        measure_depths(c, &c->trees[t], &f->walks[t].depth);
        f->mask_depth = f->walks[t].depth > f->mask_depth ? f->walks[t].depth : f->mask_depth;
        lay_walk(c, &c->trees[t], root);
        if (lay_block_tree(c, &c->trees[t], &f->walks[t], &f->trees[t]) < 0)
            return -1;
        root += c->trees[t].node_count;
    }
    return 0;
}

/* Tables of leaves are read by whole registers. */
static int pad_leaves(struct compiler *c)
{
    for (size_t i = 0; i < 64; i++) {
        if (!ROOM(c->f->leaves, c->leaf_count, c->leaf_capacity))
            return err_set(c->err, "memory is short");
        c->f->leaves[c->leaf_count++] = 0;
    }
    return 0;
}

int forest_compile(struct forest *f, const struct tree *trees, struct err *err)
{
    struct compiler c = {.f = f, .trees = trees, .err = err};
    c.cuts_of = calloc(f->feature_count, sizeof *c.cuts_of);
    c.segment_of = calloc(f->feature_count, sizeof *c.segment_of);
    int status = -1;
    if (!c.cuts_of || !c.segment_of)
        err_set(err, "memory is short");
    else if (make_cuts(&c) == 0 && make_columns(&c) == 0 && make_trees(&c) == 0 && pad_leaves(&c) == 0 && make_masks(&c) == 0)
        status = 0;
    free(c.cuts_of);
    free(c.segment_of);
    free(c.column_at);
    free(c.depth_below);
    free(c.cost);
    free(c.leaf_slots);
    free(c.whole);
    return status;
}
