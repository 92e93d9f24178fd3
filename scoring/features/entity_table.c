#include "scoring/features/entity_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/bytes_hash.h"
#include "scoring/features/large_memory.h"

enum { PIECE_HEAD = 64 };

int entity_table_init(struct entity_table *t, uint32_t entity_size, uint64_t seed)
{
    *t = (struct entity_table){.seed = seed, .entity_size = entity_size, .free = NO_NUMBER};
    return entity_index_init(&t->index);
}

void entity_table_dissolve(struct entity_table *t, size_t *work)
{
    for (; *work && t->dissolved < t->ever; t->dissolved++, --*work) {
        struct entity *e = entity_at(t, t->dissolved);
        if (e->held && e->key_size > ENTITY_KEY_INLINE)
            free(e->key.pointer);
    }
    while (*work && t->pieces) {
        void *piece = t->pieces;
        memcpy(&t->pieces, piece, sizeof t->pieces);
        free(piece);
        *work -= *work < LARGE_PIECE_WORK ? *work : LARGE_PIECE_WORK;
    }
}

void entity_table_finish(struct entity_table *t)
{
    size_t work = SIZE_MAX;
    entity_table_dissolve(t, &work);
    free(t->chunks);
    entity_index_finish(&t->index);
    *t = (struct entity_table){0};
}

struct entity *entity_find(const struct entity_table *t, struct bytes key, uint64_t hash)
{
    const struct index_part *part = index_part_of(&t->index, hash);
    const uint32_t *home = index_home(part, hash);
    for (const uint32_t *line = home; line; line = index_on(part, line, home))
        for (uint32_t places = index_candidates(part, line, hash); places; places &= places - 1) {
            struct entity *e = entity_at(t, index_number(part, line, places));
            if (entity_has_key(e, key))
                return e;
        }
    return NULL;
}

/* ---- what the index asks for when it grows ---- */

static void fetch_key(const void *table, uint32_t number)
{
    const struct entity *e = entity_at(table, number);
    __builtin_prefetch(&e->number);
    __builtin_prefetch(e->key.inlined + ENTITY_KEY_INLINE - 1);
}

static uint64_t hash_of(const void *table, uint32_t number)
{
    const struct entity *e = entity_at(table, number);
    return entity_hash(table, (struct bytes){entity_key(e), e->key_size});
}

/* ---- numbers and their memory ---- */

static int piece_add(struct entity_table *t, size_t chunk)
{
    size_t size = large_next(t->piece_bytes);
    while (size < chunk + PIECE_HEAD)
        size *= 2;
    char *piece = large_alloc(size);
    if (!piece)
        return -1;
    memcpy(piece, &t->pieces, sizeof t->pieces);
    t->pieces = piece;
    t->at = piece + PIECE_HEAD;
    t->end = piece + size;
    t->piece_bytes += size;
    return 0;
}

static int chunk_add(struct entity_table *t)
{
    size_t size = (size_t)t->entity_size << ENTITY_CHUNK_BITS;
    if (t->chunk_count == t->chunk_room) {
        uint32_t room = t->chunk_room ? t->chunk_room * 2 : 16;
        char **chunks = realloc(t->chunks, room * sizeof(char *));
        if (!chunks)
            return -1;
        t->chunks = chunks;
        t->chunk_room = room;
    }
    if ((size_t)(t->end - t->at) < size && piece_add(t, size))
        return -1;
    t->chunks[t->chunk_count++] = t->at;
    t->at += size;
    return 0;
}

/* The number that the next entity will have, with memory behind it. */
static int number_ready(struct entity_table *t, uint32_t *number)
{
    *number = t->free != NO_NUMBER ? t->free : t->ever;
    return *number == t->chunk_count << ENTITY_CHUNK_BITS ? chunk_add(t) : 0;
}

static void number_take(struct entity_table *t, uint32_t number)
{
    if (number == t->free)
        t->free = entity_at(t, number)->number;
    else
        t->ever++;
}

struct entity *entity_add(struct entity_table *t, struct bytes key, uint64_t hash)
{
    uint32_t number;
    if (number_ready(t, &number) || entity_index_reserve(&t->index, hash, number, &(struct index_source){t, fetch_key, hash_of}))
        return NULL;
    char *copy = NULL;
    if (key.size > ENTITY_KEY_INLINE && !(copy = malloc(key.size)))
        return NULL;
    number_take(t, number);
    entity_index_put(&t->index, hash, number);
    struct entity *e = entity_at(t, number);
    memset(e, 0, t->entity_size);
    e->held = true;
    e->number = number;
    e->key_size = key.size;
    if (copy) {
        e->key.pointer = copy;
        t->key_bytes += key.size;
    }
    if (key.size)
        memcpy(copy ? copy : e->key.inlined, key.data, key.size);
    t->held++;
    return e;
}

void entity_remove(struct entity_table *t, struct entity *e)
{
    assert(e->held);
    const uint32_t number = e->number;
    entity_index_remove(&t->index, hash_of(t, number), number);
    if (e->key_size > ENTITY_KEY_INLINE) {
        t->key_bytes -= e->key_size;
        free(e->key.pointer);
    }
    e->held = false;
    e->number = t->free;
    t->free = number;
    t->held--;
}

uint64_t entity_table_bytes(const struct entity_table *t)
{
    return entity_index_bytes(&t->index) + t->piece_bytes + t->chunk_room * sizeof(char *) + t->key_bytes;
}

uint64_t entity_table_worst_bytes(uint32_t entity_size, uint64_t entities)
{
    uint64_t held = (entities + (2u << ENTITY_CHUNK_BITS)) * entity_size; /* pieces come an eighth at a time, in powers of two */
    return entity_index_worst_bytes(entities + 1) + held + held / 4 + (128 << 10) + (entities >> ENTITY_CHUNK_BITS << 1) * sizeof(char *) + 1024;
}
