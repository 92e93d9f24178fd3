/* Memory for the blocks of entities: one free list for each size that the feature program knows, filled from chunks.
 * A block is aligned to 32 bytes, to 64 if its size is a multiple of that.  What is freed serves later blocks of its
 * size; large ones go back at once, to a span pool or, the largest, to the system. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scoring/features/span_pool.h"

struct block_pool {
    uint32_t kinds;
    void **free; /* by kind, linked through their first word */
    void *chunks; /* linked likewise */
    char *at, *end; /* of the chunk in use */
    struct span_pool spans; /* of large blocks */
    uint64_t bytes; /* held, beside the spans */
    uint64_t used;  /* of them in blocks */
};

static inline uint64_t block_pool_bytes(const struct block_pool *pool)
{
    return pool->bytes + pool->spans.bytes;
}

int block_pool_init(struct block_pool *pool, uint32_t kinds);
void block_pool_finish(struct block_pool *pool); /* blocks that stand alone must have been put back */
/* Whether a block of this size does not go with its pool. */
bool block_stands_alone(size_t size);
/* Goes on giving back what the other blocks lie in, until *work is used up; then only finish may follow. */
void block_pool_dissolve(struct block_pool *pool, size_t *work);
void *block_take(struct block_pool *pool, uint32_t kind, size_t size); /* not cleared; NULL if memory is short */
void block_put(struct block_pool *pool, uint32_t kind, size_t size, void *block);
