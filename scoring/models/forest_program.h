/* What a compiled forest is made of; for the files of forest.h alone.
 *
 * Ranks.  The rank of x among a feature's n ascending cuts is the number of cuts c with !(x < c); x < cut[k] is
 * rank(x) <= k.  A column holds, as int8 from -128, the rank less a multiple of 255 and cut to 0..255; so a split at
 * cut k reads column k / 255 and goes left if the byte is below k % 255 + 1 - 128.
 *
 * Trees.  A tree of a few hundred leaves is a program of pieces in postorder: a piece is a perfect subtree (a leaf
 * that comes early is repeated) or the join of the two results before it.  Its result is a leaf number a row, into
 * the tree's own table of leaves.  A deeper or larger tree is a perfect top of TOP_DEPTH levels, whose result says at
 * which node each row goes on, and a walk of rows side by side from there.  The nodes for walking are there for every
 * tree: from leaves a walk leads back to the same leaf, so that rows of different depth can go on together. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "scoring/models/forest.h"

enum {
    GROUP_ROWS = 64,       /* rows whose columns lie together */
    BLOCK_GROUPS_MAX = 4,  /* so many groups meet a tree one after the other, while it is in the nearest memory */
    BLOCK_BYTES = 24 << 10, /* fewer, where their columns would not be */
    CUTS_PER_COLUMN = 255,
    CUT_FANOUT = 16,       /* of the search tree over cuts */
    CUT_LEVELS_MAX = 8,
    PIECE_DEPTH_MAX = 6,
    TREE_LEAVES_MAX = 256, /* leaf numbers are bytes */
    JOIN_DEPTH_MAX = 64,
    TOP_DEPTH = 5,
    WALK_ROWS = 8,         /* so many rows, or trees, go side by side */
    MASK_COLUMNS_MAX = 256,
};

/* A feature's cuts, once ascending, once more as a search tree: level l holds every 16th of level l + 1 (the last of
 * each full 16); blocks of 16 are filled up with NaN, which no value reaches. */
struct feature_cuts {
    uint32_t feature, count;
    uint32_t column_begin, column_end;
    uint32_t levels, level[CUT_LEVELS_MAX]; /* offsets into forest.cuts; the last level is all cuts */
};

struct column {
    uint32_t first_cut;
    bool default_left;
};

struct block_node {
    uint32_t column_offset; /* GROUP_ROWS x column */
    uint32_t threshold;     /* the byte four times */
};

/* Kinds 0..PIECE_DEPTH_MAX: a perfect subtree of that depth, its leaves being `base` and on; then the joins. */
enum { PIECE_JOIN = PIECE_DEPTH_MAX + 1 };
struct piece {
    uint8_t kind, base;
};

/* Kinds 0..PIECE_DEPTH_MAX: one piece. */
enum { TREE_PIECES = PIECE_DEPTH_MAX + 1, TREE_WALK };
struct block_tree {
    uint8_t kind;
    uint16_t piece_count;
    uint32_t piece, node, leaf; /* the first of each */
    uint32_t top, exit;         /* of trees deeper than PIECE_DEPTH_MAX: the first node of the top, and where it leads */
};

struct walk_node {
    uint32_t left; /* of a leaf: the one before it, and its threshold is one that nothing is below */
    uint16_t column;
    int8_t threshold;
};
struct walk_tree {
    uint32_t root, depth;
};

/* Trees of at most PIECE_DEPTH_MAX levels over at most MASK_COLUMNS_MAX columns, for a row alone: all splits are
 * compared at once, then the walk is over the bits of one word.  Node i has the children 2i and 2i + 1. */
struct mask_tree {
    _Alignas(64) uint8_t column[64];
    int8_t threshold[64];
    float leaf[64];
};

struct forest {
    enum forest_path path;
    size_t feature_count, tree_count, used_count, column_count;
    size_t row_stride; /* of the columns of single rows */
    size_t group_size, block_rows;
    float base_margin;
    struct feature_cuts *used; /* the features that some split asks for */
    float *cuts;
    struct column *columns;
    struct block_tree *trees;
    struct piece *pieces;
    struct block_node *nodes;
    float *leaves;
    uint32_t *exits; /* 2^TOP_DEPTH nodes for walking a tree that has a top */
    struct walk_tree *walks;
    struct walk_node *walk_nodes;
    float *walk_values;
    struct mask_tree *masks; /* NULL: not all trees fit */
    unsigned mask_depth;
    int8_t *scratch; /* the columns of a block, or of a few rows */
};

int forest_compile(struct forest *forest, const struct tree *trees, struct err *err);

static inline int8_t rank_byte(uint32_t rank, uint32_t first_cut)
{
    uint32_t within = rank < first_cut ? 0 : rank - first_cut;
    return (int8_t)((int)(within < CUTS_PER_COLUMN ? within : CUTS_PER_COLUMN) - 128);
}

/* One for each path: rows into columns, and columns into sums.  Of a block, byte r of column c of group g is at
 * g x group_size + c x GROUP_ROWS + r; of a few rows, column c of row r is at r x row_stride + c. */
struct forest_engine {
    void (*rank_block)(const struct forest *f, const float *rows, size_t n, int8_t *columns);
    void (*score_block)(const struct forest *f, const int8_t *columns, size_t n, float *sums);
    void (*rank_few)(const struct forest *f, const float *rows, size_t n, int8_t *columns);
    void (*score_few)(const struct forest *f, const int8_t *columns, size_t n, float *sums);
    size_t few; /* up to so many rows, at most GROUP_ROWS */
};
extern const struct forest_engine forest_portable, forest_avx2, forest_avx512;
