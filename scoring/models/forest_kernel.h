/* What the paths of forest.h have in common, included by each after it has said
 *   LANES                         rows that meet a split in one comparison
 *   lanes                         a register of so many leaf numbers, uint8_t
 *   lanes_splat(byte)
 *   lanes_add(a, b)
 *   lanes_pair(node, columns, k)  2k where the row goes left, 2k + 1 where it goes right
 *   lanes_join(node, columns, l, r)  l where it goes left, else r
 *   add_leaves(sums, numbers, leaves, depth)  sums[i] += leaves[numbers[i]] for LANES rows; numbers < 2^depth
 *   find_ranks(cuts, used, x, n, ranks)  how many of the feature's cuts are at or below x[i]: none for NaN
 *   PIECES_ALWAYS             whether pieces are the better way for deep trees too
 *   store_ranks(ranks, first_cut, to)    rank_byte of GROUP_ROWS ranks
 *
 * Cost of a row in a perfect tree of depth d: (2^d - 1) / LANES comparisons, loads and choices, and one leaf. */

/* lanes_perfect<d>(node, columns, first): the leaf numbers of a perfect tree of depth d, from `first`. */
#define PERFECT(depth, below)                                                                                                 \
    static inline __attribute__((always_inline)) lanes lanes_perfect##depth(const struct block_node *node, const int8_t *x, int first) \
    {                                                                                                                         \
        enum { SIDE = (1 << (below)) - 1 };                                                                                   \
        lanes left = lanes_perfect##below(node, x, first), right = lanes_perfect##below(node + SIDE, x, first + SIDE + 1);    \
        return lanes_join(&node[2 * SIDE], x, left, right);                                                                   \
    }

static inline __attribute__((always_inline)) lanes lanes_perfect1(const struct block_node *node, const int8_t *x, int first)
{
    return lanes_pair(node, x, first / 2);
}
PERFECT(2, 1)
PERFECT(3, 2)
PERFECT(4, 3)
PERFECT(5, 4)
PERFECT(6, 5)

static lanes lanes_piece(unsigned depth, const struct block_node *node, const int8_t *x)
{
    switch (depth) {
    case 1: return lanes_perfect1(node, x, 0);
    case 2: return lanes_perfect2(node, x, 0);
    case 3: return lanes_perfect3(node, x, 0);
    case 4: return lanes_perfect4(node, x, 0);
    case 5: return lanes_perfect5(node, x, 0);
    case 6: return lanes_perfect6(node, x, 0);
    default: return lanes_splat(0);
    }
}

/* Postorder over a stack; a piece that waits for its sibling is one level of the tree. */
static void add_pieces(const struct forest *f, const struct block_tree *tree, const int8_t *x, float *sums)
{
    lanes stack[JOIN_DEPTH_MAX + 2];
    size_t top = 0;
    const struct block_node *node = f->nodes + tree->node;
    const struct piece *piece = f->pieces + tree->piece;
    for (const struct piece *end = piece + tree->piece_count; piece < end; piece++)
        if (piece->kind == PIECE_JOIN) {
            top--;
            stack[top - 1] = lanes_join(node++, x, stack[top - 1], stack[top]);
        } else {
            stack[top++] = lanes_add(lanes_piece(piece->kind, node, x), lanes_splat(piece->base));
            node += (1u << piece->kind) - 1;
        }
    add_leaves(sums, stack[0], f->leaves + tree->leaf, 8);
}

/* A deep tree: the top for all rows at once, then WALK_ROWS side by side. */
static void add_walked(const struct forest *f, const struct block_tree *tree, uint32_t depth, const int8_t *x, float *sums)
{
    lanes ends = lanes_perfect5(f->nodes + tree->top, x, 0);
    const uint32_t *exits = f->exits + tree->exit;
    uint8_t exit[LANES];
    memcpy(exit, &ends, sizeof exit);
    for (size_t r = 0; r < LANES; r += WALK_ROWS) {
        uint32_t at[WALK_ROWS];
        for (size_t i = 0; i < WALK_ROWS; i++)
            at[i] = exits[exit[r + i]];
        for (uint32_t d = TOP_DEPTH; d < depth; d++)
#pragma GCC unroll 8
            for (size_t i = 0; i < WALK_ROWS; i++)
                at[i] = walk_step(&f->walk_nodes[at[i]], x + r + i, GROUP_ROWS);
        for (size_t i = 0; i < WALK_ROWS; i++)
            sums[r + i] += f->walk_values[at[i]];
    }
}

/* Else the compiler takes the nodes' loads out of the loop over rows, and has to put dozens of registers aside. */
static inline const struct block_node *read_again(const struct block_node *node)
{
    __asm__ volatile("" : "+r"(node));
    return node;
}

#define ADD_PERFECT(depth) \
    case depth: \
        for (size_t r = 0; r < n; r += LANES) \
            add_leaves(sums + r, lanes_perfect##depth(read_again(node), lane_columns(f, x, r), 0), leaves, depth); \
        break;

/* Columns of the group that row r is in, from that row. */
static inline const int8_t *lane_columns(const struct forest *f, const int8_t *x, size_t r)
{
    return x + r / GROUP_ROWS * f->group_size + r % GROUP_ROWS;
}

static void score_block(const struct forest *f, const int8_t *x, size_t n, float *sums)
{
    for (size_t t = 0; t < f->tree_count; t++) {
        const struct block_tree *tree = &f->trees[t];
        const struct block_node *node = f->nodes + tree->node;
        const float *leaves = f->leaves + tree->leaf;
        switch (tree->kind) {
        case 0:
            for (size_t r = 0; r < n; r++)
                sums[r] += *leaves;
            break;
        ADD_PERFECT(1)
        ADD_PERFECT(2)
        ADD_PERFECT(3)
        ADD_PERFECT(4)
        ADD_PERFECT(5)
        ADD_PERFECT(6)
        default:
            if (tree->kind == TREE_WALK || (!PIECES_ALWAYS && n > LANES && f->walks[t].depth > PIECE_DEPTH_MAX))
                for (size_t r = 0; r < n; r += LANES)
                    add_walked(f, tree, f->walks[t].depth, lane_columns(f, x, r), sums + r);
            else
                for (size_t r = 0; r < n; r += LANES)
                    add_pieces(f, tree, lane_columns(f, x, r), sums + r);
        }
    }
}

static inline void rank_feature(const struct forest *f, const struct feature_cuts *used, const float *rows, size_t n, uint32_t ranks[2][GROUP_ROWS])
{
    float x[GROUP_ROWS];
    for (size_t r = 0; r < n; r++)
        x[r] = rows[r * f->feature_count + used->feature];
    find_ranks(f->cuts, used, x, n, ranks[1]);
    for (size_t r = 0; r < n; r++) /* NaN: above all cuts instead of below */
        ranks[0][r] = x[r] != x[r] ? used->count : ranks[1][r];
}

static void rank_group(const struct forest *f, const float *rows, size_t n, int8_t *out)
{
    _Alignas(64) uint32_t ranks[2][GROUP_ROWS] = {0};
    for (size_t u = 0; u < f->used_count; u++) {
        rank_feature(f, &f->used[u], rows, n, ranks);
        for (uint32_t c = f->used[u].column_begin; c < f->used[u].column_end; c++)
            store_ranks(ranks[f->columns[c].default_left], f->columns[c].first_cut, out + c * GROUP_ROWS);
    }
}

static void rank_block(const struct forest *f, const float *rows, size_t n, int8_t *out)
{
    for (size_t r = 0; r < n; r += GROUP_ROWS)
        rank_group(f, rows + r * f->feature_count, n - r < GROUP_ROWS ? n - r : GROUP_ROWS, out + r / GROUP_ROWS * f->group_size);
}

static void rank_few(const struct forest *f, const float *rows, size_t n, int8_t *out)
{
    uint32_t ranks[2][GROUP_ROWS];
    for (size_t u = 0; u < f->used_count; u++) {
        rank_feature(f, &f->used[u], rows, n, ranks);
        for (uint32_t c = f->used[u].column_begin; c < f->used[u].column_end; c++)
            for (size_t r = 0; r < n; r++)
                out[r * f->row_stride + c] = rank_byte(ranks[f->columns[c].default_left][r], f->columns[c].first_cut);
    }
}
