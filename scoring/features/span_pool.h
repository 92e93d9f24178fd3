/* Memory of blocks that are large, but smaller than a huge page: pieces of one huge page each, cut into units; a block
 * is the first run of units that is long enough, and neighbours that are given back grow together again.
 *
 *   invariant   a piece with a unit to give is in the list of open ones, a piece with nothing taken is not kept (but for
 *               one, so that a block that comes and goes does not take a page each time)
 *   cost        the open pieces up to the first that fits, a few words of bits each; blocks are rarely taken
 *
 * Units are a cache line more than a page, so that not all blocks begin in the same set of the caches. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SPAN_UNIT = 4096 + 64, SPAN_BLOCK_MAX = 1 << 20 };

struct span_pool {
    struct span_piece *open; /* has free units */
    uint64_t bytes;          /* held */
};

void *span_take(struct span_pool *pool, size_t size); /* size <= SPAN_BLOCK_MAX; aligned to 64; NULL if memory is short */
void span_put(struct span_pool *pool, size_t size, void *block); /* with all blocks put back, the pool holds a piece at most */
void span_pool_finish(struct span_pool *pool); /* all blocks must have been put back */
