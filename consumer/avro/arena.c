#include "consumer/avro/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 16 << 10 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, capacity;
    alignas(max_align_t) char data[];
};

void *arena_take(struct arena *arena, size_t size)
{
    size_t aligned = size <= SIZE_MAX / 2 ? (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1) : size;
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->capacity - chunk->used < aligned) {
        size_t capacity = aligned > CHUNK_SIZE ? aligned : CHUNK_SIZE;
        chunk = size <= SIZE_MAX / 2 ? calloc(1, sizeof *chunk + capacity) : NULL;
        if (!chunk) {
            fprintf(stderr, "out of memory: a schema wants %zu bytes\n", size);
            abort();
        }
        chunk->capacity = capacity;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *piece = chunk->data + chunk->used;
    chunk->used += aligned;
    return piece;
}

char *arena_text(struct arena *arena, const char *text, size_t size)
{
    char *copy = arena_take(arena, size + 1);
    memcpy(copy, text, size);
    return copy;
}

void arena_finish(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    arena->chunks = NULL;
}
