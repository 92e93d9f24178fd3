/* From the hash of a key to the numbers of the entities that may have it.
 *
 * A word is {1, a tag: as many bits of the hash as are left, the number}, or 0; 15 of them and a count are a line of the
 * cache, compared at once.  An entity's home is the line that its hash falls on, in proportion, so that there may be any number of lines;
 * where that is full it goes to the next one that is not, and each line counts those that went past it.
 *
 *   invariant  past a line there are as many entities as its count says; so removal leaves no traces, and moves nobody.
 *   cost       a line to find or not to find, and another one 2 times in 100, 10 where it is not there; 5 to 8 bytes an
 *              entity.
 *
 * There are many parts, some of the hash's last bits say which, and each grows alone when four fifths of it are taken, by half: as
 * tags are not the hash, it has to ask the entities for theirs, and so nobody waits for more than a part's.  A number takes as many
 * bits as the largest of its part, tags the rest: with a million entities eleven.
 * Keys of one hash make a search go through all that are held: a line for 15 of them.  It takes the seed to craft such. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#define INDEX_TAKEN (1u << 31)
enum { INDEX_PARTS = 64, INDEX_LINE_WORDS = 16, INDEX_NUMBER_MAX = INT32_MAX };

struct index_part {
    uint32_t *lines; /* the count, then the words of each */
    uint64_t line_count;
    uint32_t number_mask, tag_mask; /* of a word; the tag's has INDEX_TAKEN */
    uint32_t held;
    uint32_t unused; /* 32 bytes: where a part lies some bits of the hash say as they stand */
};

struct entity_index {
    struct index_part parts[INDEX_PARTS];
};

/* What a part that grows asks for: the hash of an entity that it holds, whose memory is fetched some time before. */
struct index_source {
    const void *context;
    void (*fetch)(const void *context, uint32_t number);
    uint64_t (*hash)(const void *context, uint32_t number);
};

/* 0, or -1 if memory is short. */
int entity_index_init(struct entity_index *index);
void entity_index_finish(struct entity_index *index);
/* Room for one more of this hash and number; 0, or -1 if memory is short. */
int entity_index_reserve(struct entity_index *index, uint64_t hash, uint32_t number, const struct index_source *source);
void entity_index_put(struct entity_index *index, uint64_t hash, uint32_t number); /* there is room */
void entity_index_remove(struct entity_index *index, uint64_t hash, uint32_t number); /* it is there */
uint64_t entity_index_bytes(const struct entity_index *index);
/* Most bytes with so many entities, the part that grows included; for hashes that nobody has crafted. */
uint64_t entity_index_worst_bytes(uint64_t entities);

static inline uint32_t index_place(uint64_t hash)
{
    return (uint32_t)hash / sizeof(struct index_part) % INDEX_PARTS;
}

static inline const struct index_part *index_part_of(const struct entity_index *index, uint64_t hash)
{
    return &index->parts[index_place(hash)];
}

static inline uint32_t *index_home(const struct index_part *part, uint64_t hash)
{
    return part->lines + (size_t)((unsigned __int128)hash * part->line_count >> 64) * INDEX_LINE_WORDS;
}

uint32_t *index_next(const struct index_part *part, const uint32_t *line);

/* The line where a search goes on that began at `home`; NULL: it ends.  Others may have gone past every line, each past
 * some, when those that stood in their way have left. */
static inline const uint32_t *index_on(const struct index_part *part, const uint32_t *line, const uint32_t *home)
{
    const uint32_t *next = line[0] ? index_next(part, line) : home;
    return next == home ? NULL : next;
}

/* A bit for each word of a line that is `wanted` where `mask` has ones. */
static inline uint32_t index_places(const uint32_t *line, uint32_t mask, uint32_t wanted)
{
#ifdef __SSE2__
    const __m128i *words = (const __m128i *)(const void *)line, masks = _mm_set1_epi32((int)mask), wanteds = _mm_set1_epi32((int)(wanted & mask));
    const __m128i first = _mm_packs_epi32(_mm_cmpeq_epi32(words[0] & masks, wanteds), _mm_cmpeq_epi32(words[1] & masks, wanteds));
    const __m128i second = _mm_packs_epi32(_mm_cmpeq_epi32(words[2] & masks, wanteds), _mm_cmpeq_epi32(words[3] & masks, wanteds));
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(first, second));
#else
    uint32_t places = 0;
    for (uint32_t i = 0; i < INDEX_LINE_WORDS; i++)
        places |= (uint32_t)!((line[i] ^ wanted) & mask) << i;
    return places;
#endif
}

/* A search: in `line`, from index_home on and as index_on says, words that look like this hash; a count never does. */
static inline uint32_t index_candidates(const struct index_part *part, const uint32_t *line, uint64_t hash)
{
    return index_places(line, part->tag_mask, (uint32_t)hash | INDEX_TAKEN);
}

/* The first of those. */
static inline uint32_t index_number(const struct index_part *part, const uint32_t *line, uint32_t places)
{
    return line[__builtin_ctz(places)] & part->number_mask;
}
