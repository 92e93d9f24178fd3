/* What the paths of forest.h have in common, included by each after it has said
 *   LANES                         rows that meet a split in one comparison
 *   lanes                         a register of so many leaf numbers, uint8_t
 *   lanes_splat(byte)
 *   lanes_add(a, b)
 *   lanes_pair(node, columns, k)  2k where the row goes left, 2k + 1 where it goes right
 *   lanes_join(node, columns, l, r)  l where it goes left, else r
 *   add_leaves(sums, numbers, leaves, depth)  sums[i] += leaves[numbers[i]] for LANES rows; numbers < 2^depth
 *   find_ranks(cuts, used, x, n, ranks)  how many of the feature's cuts are at or below x[i]: none for NaN
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

#define ADD_PERFECT(depth) \
    case depth: \
        for (size_t r = 0; r < n; r += LANES) \
            add_leaves(sums + r, lanes_perfect##depth(node, x + r, 0), leaves, depth); \
        break;

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
        case TREE_PIECES:
            for (size_t r = 0; r < n; r += LANES)
                add_pieces(f, tree, x + r, sums + r);
            break;
        default:
            walk_block(f, &f->walks[t], x, n, sums);
        }
    }
}

static inline int8_t rank_byte(uint32_t rank, uint32_t first_cut)
{
    uint32_t within = rank < first_cut ? 0 : rank - first_cut;
    return (int8_t)((int)(within < CUTS_PER_COLUMN ? within : CUTS_PER_COLUMN) - 128);
}

static void rank_rows(const struct forest *f, const float *rows, size_t n, int8_t *out, size_t column_stride, size_t row_stride)
{
    for (size_t u = 0; u < f->used_count; u++) {
        const struct feature_cuts *used = &f->used[u];
        uint32_t ranks[2][BLOCK_ROWS]; /* NaN above all cuts, and below */
        float x[BLOCK_ROWS];
        for (size_t r = 0; r < n; r++)
            x[r] = rows[r * f->feature_count + used->feature];
        find_ranks(f->cuts, used, x, n, ranks[1]);
        for (size_t r = 0; r < n; r++)
            ranks[0][r] = x[r] != x[r] ? used->count : ranks[1][r];
        for (uint32_t c = used->column_begin; c < used->column_end; c++) {
            const struct column *column = &f->columns[c];
            const uint32_t *of = ranks[column->default_left];
            int8_t *to = out + c * column_stride;
            for (size_t r = 0; r < n; r++)
                to[r * row_stride] = rank_byte(of[r], column->first_cut);
        }
    }
}
