/* The entities of one partition, by their full bytes.
 *
 * An index leads from the hash of a key to entities, whose keys decide.  They lie in chunks that never move, so that a
 * pointer holds until its entity is removed; the numbers of those that have gone are given out again first.
 * Cost: one cache line of the index and those of the entity, all of which can be prefetched. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "scoring/features/bytes_hash.h"
#include "scoring/features/entity_index.h"
#include "scoring/value.h"

enum { ENTITY_KEY_INLINE = 24 };

/* What every entity begins with (one cache line, and 16 bytes); the feature program places the rest behind it. */
struct entity {
    char *block;        /* its events and their indexes (window_store.h); NULL: none yet */
    int64_t newest_ms;  /* time of its newest event, while there is one */
    uint32_t first;     /* where in the ring the oldest event lies */
    uint32_t count;     /* events */
    uint32_t first_seq; /* sequence number of the oldest event */
    uint16_t layout;    /* of the block */
    bool held : 1;      /* false: free for a new one */
    bool aged : 1;      /* its occurrence tables must be built anew before sequence numbers come round */
    uint8_t changed : 2; /* 0: not since its latest version was written (changes.h has the rest) */
    uint8_t slot : 1;    /* of that version in the changelog */
    bool versioned : 1;  /* there is one */
    bool split : 1;      /* one of its versions took several records */
    uint8_t room;       /* so many events can come before the block must be looked after (store_reserve) */
    uint32_t number;    /* its own; of one that is free: of the next that is */
    uint32_t key_size;
    union {
        char inlined[ENTITY_KEY_INLINE];
        char *pointer; /* of keys that are longer */
    } key;
    int64_t dropped_ms;  /* newest time of an event dropped before its window was over; TIME_UNKNOWN: none */
    int64_t seen_offset; /* of its latest event */
};

struct entity_table {
    struct entity_index index;
    uint64_t seed; /* of the hashes */
    uint32_t entity_size;
    uint32_t held; /* entities */
    uint32_t ever; /* numbers given out so far */
    uint32_t free; /* the first of those to be given out again; NO_NUMBER: none */
    char **chunks; /* 2^ENTITY_CHUNK_BITS entities each, several of them in one piece of memory */
    uint32_t chunk_count, chunk_room;
    void *pieces; /* linked through their first word */
    char *at, *end; /* of the piece in use */
    uint64_t piece_bytes;
    uint64_t key_bytes; /* of long keys */
    uint32_t dissolved; /* entities whose keys are given back */
};

/* 0, or -1 if memory is short. */
int entity_table_init(struct entity_table *table, uint32_t entity_size, uint64_t seed);
void entity_table_finish(struct entity_table *table);
/* Goes on giving back what the entities hold, until *work is used up; all that may follow is more of it, and finish. */
void entity_table_dissolve(struct entity_table *table, size_t *work);
struct entity *entity_find(const struct entity_table *table, struct bytes key, uint64_t hash); /* NULL: none */
/* Behind the header all bytes are 0.  NULL if memory is short. */
struct entity *entity_add(struct entity_table *table, struct bytes key, uint64_t hash);
void entity_remove(struct entity_table *table, struct entity *entity);
uint64_t entity_table_bytes(const struct entity_table *table);
/* Most bytes that a table with so many entities takes, long keys aside. */
uint64_t entity_table_worst_bytes(uint32_t entity_size, uint64_t entities);

enum { ENTITY_CHUNK_BITS = 9 };
#define NO_NUMBER UINT32_MAX

/* The same in all tables of one seed. */
static inline uint64_t entity_hash(const struct entity_table *table, struct bytes key)
{
    return hash_bytes(key.data, key.size, table->seed);
}

static inline struct entity *entity_at(const struct entity_table *table, uint32_t number)
{
    return (struct entity *)(void *)(table->chunks[number >> ENTITY_CHUNK_BITS] +
                                     (size_t)(number & ((1u << ENTITY_CHUNK_BITS) - 1)) * table->entity_size);
}

static inline const char *entity_key(const struct entity *entity)
{
    return entity->key_size <= ENTITY_KEY_INLINE ? entity->key.inlined : entity->key.pointer;
}

/* Up to 32 bytes are compared as two halves that may overlap. */
static inline bool entity_has_key(const struct entity *e, struct bytes key)
{
    typedef uint64_t two __attribute__((vector_size(16)));
    const uint32_t size = key.size;
    const char *a = entity_key(e), *b = key.data;
    if (e->key_size != size)
        return false;
    if (size < 16 || size > 32)
        return !size || !memcmp(a, b, size);
    two from[2], to[2];
    memcpy(&from[0], a, 16);
    memcpy(&from[1], a + size - 16, 16);
    memcpy(&to[0], b, 16);
    memcpy(&to[1], b + size - 16, 16);
    const two differ = (from[0] ^ to[0]) | (from[1] ^ to[1]);
    return !(differ[0] | differ[1]);
}

/* The first entity whose hash looks like this one, from the index alone: to be fetched, not to be relied on. */
static inline struct entity *entity_guess(const struct entity_table *table, uint64_t hash)
{
    const struct index_part *part = index_part_of(&table->index, hash);
    const uint32_t *home = index_home(part, hash);
    for (const uint32_t *line = home; line; line = index_on(part, line, home)) {
        const uint32_t places = index_candidates(part, line, hash);
        if (places)
            return entity_at(table, index_number(part, line, places));
    }
    return NULL;
}
