#include "scoring/entity_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/bytes_hash.h"
#include "scoring/large_memory.h"

enum { FIRST_SLOT_BITS = 8, SLOT_BITS_MAX = 32, PIECE_HEAD = 64 };

static uint64_t slot_word(uint64_t hash, uint32_t number)
{
    return (hash & UINT64_C(0xffffffff00000000)) | (number + 1);
}

static uint32_t slot_mask(const struct entity_table *t)
{
    return (uint32_t)((UINT64_C(1) << t->slot_bits) - 1);
}

int entity_table_init(struct entity_table *t, uint32_t entity_size, uint64_t seed)
{
    *t = (struct entity_table){.seed = seed, .slot_bits = FIRST_SLOT_BITS, .entity_size = entity_size};
    t->slots = calloc((size_t)1 << t->slot_bits, sizeof *t->slots);
    return t->slots ? 0 : -1;
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
    free(t->free);
    free(t->slots);
    *t = (struct entity_table){0};
}

struct entity *entity_find(const struct entity_table *t, struct bytes key, uint64_t hash)
{
    uint32_t mask = slot_mask(t);
    for (uint32_t i = entity_home(t, hash); t->slots[i]; i = (i + 1) & mask) {
        if (t->slots[i] >> 32 != hash >> 32)
            continue;
        struct entity *e = entity_at(t, (uint32_t)t->slots[i] - 1);
        if (entity_has_key(e, key))
            return e;
    }
    return NULL;
}

static void slot_put(uint64_t *slots, uint32_t bits, uint64_t word)
{
    uint32_t mask = (uint32_t)((UINT64_C(1) << bits) - 1), i = (uint32_t)(word >> (64 - bits));
    while (slots[i])
        i = (i + 1) & mask;
    slots[i] = word;
}

static int slots_grow(struct entity_table *t)
{
    uint32_t bits = t->slot_bits + 1;
    uint64_t *slots = bits <= SLOT_BITS_MAX ? large_calloc(sizeof *slots << bits) : NULL;
    if (!slots)
        return -1;
    for (size_t i = 0; i <= slot_mask(t); i++)
        if (t->slots[i])
            slot_put(slots, bits, t->slots[i]);
    free(t->slots);
    t->slots = slots;
    t->slot_bits = bits;
    return 0;
}

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

static int number_take(struct entity_table *t, uint32_t *number)
{
    if (t->free_count) {
        *number = t->free[--t->free_count];
        return 0;
    }
    if (t->ever == UINT32_MAX - 1 || (t->ever == t->chunk_count << ENTITY_CHUNK_BITS && chunk_add(t)))
        return -1;
    *number = t->ever++;
    return 0;
}

/* There is always room to give a number back. */
static int free_reserve(struct entity_table *t)
{
    if (t->free_room > t->ever)
        return 0;
    uint32_t room = t->free_room ? t->free_room * 2 : 256;
    uint32_t *numbers = realloc(t->free, room * sizeof *numbers);
    if (!numbers)
        return -1;
    t->free = numbers;
    t->free_room = room;
    return 0;
}

struct entity *entity_add(struct entity_table *t, struct bytes key, uint64_t hash)
{
    if (((uint64_t)t->held + 1) * 3 > (UINT64_C(2) << t->slot_bits) && slots_grow(t))
        return NULL;
    char *copy = NULL;
    if (key.size > ENTITY_KEY_INLINE && !(copy = malloc(key.size)))
        return NULL;
    uint32_t number;
    if (free_reserve(t) || number_take(t, &number)) {
        free(copy);
        return NULL;
    }
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
    slot_put(t->slots, t->slot_bits, slot_word(hash, number));
    t->held++;
    return e;
}

/* Closes the gap: what lies behind it and is not yet at home moves up. */
static void slot_clear(struct entity_table *t, uint32_t gap)
{
    uint32_t mask = slot_mask(t);
    for (uint32_t i = (gap + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)(t->slots[i] >> (64 - t->slot_bits));
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            t->slots[gap] = t->slots[i];
            gap = i;
        }
    }
    t->slots[gap] = 0;
}

void entity_remove(struct entity_table *t, struct entity *e)
{
    assert(e->held);
    uint64_t word = slot_word(entity_hash(t, (struct bytes){entity_key(e), e->key_size}), e->number);
    uint32_t i = (uint32_t)(word >> (64 - t->slot_bits));
    while (t->slots[i] != word)
        i = (i + 1) & slot_mask(t);
    slot_clear(t, i);
    if (e->key_size > ENTITY_KEY_INLINE) {
        t->key_bytes -= e->key_size;
        free(e->key.pointer);
    }
    e->held = false;
    t->free[t->free_count++] = e->number;
    t->held--;
}

uint64_t entity_table_bytes(const struct entity_table *t)
{
    return (sizeof *t->slots << t->slot_bits) + t->piece_bytes +
           t->free_room * sizeof *t->free + t->chunk_room * sizeof(char *) + t->key_bytes;
}

uint64_t entity_table_worst_bytes(uint32_t entity_size, uint64_t entities)
{
    uint64_t slots = UINT64_C(1) << FIRST_SLOT_BITS;
    while (slots / 3 * 2 < entities + 2 && slots < UINT64_C(1) << SLOT_BITS_MAX)
        slots *= 2;
    uint64_t held = (entities + (2u << ENTITY_CHUNK_BITS)) * entity_size; /* pieces come an eighth at a time, in powers of two */
    return slots * sizeof(uint64_t) * 3 / 2 + held + held / 4 + (128 << 10) + (entities + 256) * 2 * sizeof(uint32_t) +
           (entities >> ENTITY_CHUNK_BITS << 1) * sizeof(char *) + 1024;
}
