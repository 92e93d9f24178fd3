#include "scoring/features/span_pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/large_memory.h"

enum { UNITS = LARGE_PAGE / SPAN_UNIT, FIRST_UNIT = 1 /* the piece's own words lie in unit 0 */ };

struct span_piece {
    struct span_piece *next, *previous; /* of the open ones */
    uint32_t used;                      /* units */
    uint64_t taken[(UNITS + 63) / 64];  /* a bit for each of them */
};

static uint32_t units_of(size_t size)
{
    return (uint32_t)((size + SPAN_UNIT - 1) / SPAN_UNIT);
}

static bool is_full(const struct span_piece *piece)
{
    return piece->used == UNITS - FIRST_UNIT;
}

static void open_add(struct span_pool *pool, struct span_piece *piece)
{
    piece->next = pool->open;
    piece->previous = NULL;
    if (pool->open)
        pool->open->previous = piece;
    pool->open = piece;
}

static void open_remove(struct span_pool *pool, struct span_piece *piece)
{
    if (piece->next)
        piece->next->previous = piece->previous;
    if (piece->previous)
        piece->previous->next = piece->next;
    else
        pool->open = piece->next;
}

static bool is_taken(const struct span_piece *piece, uint32_t unit)
{
    return piece->taken[unit >> 6] >> (unit & 63) & 1;
}

/* The first of a run of free units; 0: there is none. */
static uint32_t run_find(const struct span_piece *piece, uint32_t units)
{
    if (UNITS - FIRST_UNIT - piece->used < units)
        return 0;
    for (uint32_t unit = FIRST_UNIT, free = 0; unit < UNITS; unit++) {
        free = is_taken(piece, unit) ? 0 : free + 1;
        if (free == units)
            return unit + 1 - units;
    }
    return 0;
}

static void run_flip(struct span_piece *piece, uint32_t first, uint32_t units)
{
    for (uint32_t unit = first; unit < first + units; unit++)
        piece->taken[unit >> 6] ^= UINT64_C(1) << (unit & 63);
}

static struct span_piece *piece_add(struct span_pool *pool)
{
    struct span_piece *piece = large_alloc(LARGE_PAGE);
    if (!piece)
        return NULL;
    memset(piece, 0, sizeof *piece);
    pool->bytes += LARGE_PAGE;
    open_add(pool, piece);
    return piece;
}

static void piece_remove(struct span_pool *pool, struct span_piece *piece)
{
    open_remove(pool, piece);
    pool->bytes -= LARGE_PAGE;
    free(piece);
}

void *span_take(struct span_pool *pool, size_t size)
{
    assert(size && size <= SPAN_BLOCK_MAX);
    const uint32_t units = units_of(size);
    struct span_piece *piece = pool->open;
    uint32_t first = 0;
    for (; piece && !(first = run_find(piece, units)); piece = piece->next)
        continue;
    if (!piece) {
        if (!(piece = piece_add(pool)))
            return NULL;
        first = FIRST_UNIT;
    }
    run_flip(piece, first, units);
    piece->used += units;
    if (is_full(piece))
        open_remove(pool, piece);
    return (char *)piece + (size_t)first * SPAN_UNIT;
}

void span_put(struct span_pool *pool, size_t size, void *block)
{
    struct span_piece *piece = (struct span_piece *)(void *)((uintptr_t)block & ~(uintptr_t)(LARGE_PAGE - 1));
    const uint32_t units = units_of(size), first = (uint32_t)((size_t)((char *)block - (char *)piece) / SPAN_UNIT);
    assert(is_taken(piece, first) && is_taken(piece, first + units - 1));
    if (is_full(piece))
        open_add(pool, piece);
    run_flip(piece, first, units);
    piece->used -= units;
    if (!piece->used && (piece->next || piece->previous))
        piece_remove(pool, piece);
}

void span_pool_finish(struct span_pool *pool)
{
    while (pool->open) {
        assert(!pool->open->used);
        piece_remove(pool, pool->open);
    }
}
