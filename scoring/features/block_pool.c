#include "scoring/features/block_pool.h"

#include <stdlib.h>
#include <string.h>

#include "scoring/features/large_memory.h"

#ifdef __SANITIZE_ADDRESS__
enum { LARGE = 0, LARGEST = 0 }; /* each block on its own, so that the sanitizer sees its edges */
#else
enum { LARGE = 64 << 10, LARGEST = SPAN_BLOCK_MAX };
#endif
enum { CHUNK_HEAD = 64 };

int block_pool_init(struct block_pool *pool, uint32_t kinds)
{
    *pool = (struct block_pool){.kinds = kinds, .free = calloc(kinds, sizeof(void *))};
    return pool->free ? 0 : -1;
}

static void *next_of(void *block)
{
    void *next;
    memcpy(&next, block, sizeof next);
    return next;
}

static void link_to(void *block, void *next)
{
    memcpy(block, &next, sizeof next);
}

bool block_stands_alone(size_t size)
{
    return size > LARGE;
}

void block_pool_dissolve(struct block_pool *pool, size_t *work)
{
    while (*work && pool->chunks) {
        void *chunk = pool->chunks;
        pool->chunks = next_of(chunk);
        free(chunk);
        *work -= *work < LARGE_PIECE_WORK ? *work : LARGE_PIECE_WORK;
    }
}

void block_pool_finish(struct block_pool *pool)
{
    size_t work = SIZE_MAX;
    block_pool_dissolve(pool, &work);
    span_pool_finish(&pool->spans);
    free(pool->free);
    *pool = (struct block_pool){0};
}

static int chunk_add(struct block_pool *pool, size_t at_least)
{
    size_t size = large_next(pool->bytes);
    while (size < at_least + CHUNK_HEAD)
        size *= 2;
    char *chunk = large_alloc(size);
    if (!chunk)
        return -1;
    link_to(chunk, pool->chunks);
    pool->chunks = chunk;
    pool->at = chunk + CHUNK_HEAD;
    pool->end = chunk + size;
    pool->bytes += size;
    return 0;
}

static size_t alignment_of(size_t size)
{
    return size & 32 ? 32 : 64;
}

static void *large_take(struct block_pool *pool, size_t size)
{
    void *block = size > LARGEST ? aligned_alloc(alignment_of(size), size) : span_take(&pool->spans, size);
    pool->bytes += block && size > LARGEST ? size : 0;
    pool->used += block ? size : 0;
    return block;
}

void *block_take(struct block_pool *pool, uint32_t kind, size_t size)
{
    if (block_stands_alone(size))
        return large_take(pool, size);
    void *block = pool->free[kind];
    if (block) {
        pool->free[kind] = next_of(block);
        __builtin_prefetch(pool->free[kind]); /* the next one to go says which comes after it */
        pool->used += size;
        return block;
    }
    pool->at += -(uintptr_t)pool->at & (alignment_of(size) - 1);
    if ((size_t)(pool->end - pool->at) < size && chunk_add(pool, size))
        return NULL;
    block = pool->at;
    pool->at += size;
    pool->used += size;
    return block;
}

void block_put(struct block_pool *pool, uint32_t kind, size_t size, void *block)
{
    pool->used -= size;
    if (size > LARGEST) {
        pool->bytes -= size;
        free(block);
        return;
    }
    if (size > LARGE) {
        span_put(&pool->spans, size, block);
        return;
    }
    link_to(block, pool->free[kind]);
    pool->free[kind] = block;
}
