#include "scoring/features/entity_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = INDEX_LINE_WORDS * 4, LINE_MOST = 12 /* words taken, on average */, LINES_AHEAD = 2 };
enum { NUMBER_BITS_FIRST = 11 /* tags do not repeat what the part says */ };
static_assert(sizeof(struct index_part) * INDEX_PARTS == 1 << NUMBER_BITS_FIRST, "the bits of the hash that say the part (index_part_of)");

static uint32_t *lines_create(uint64_t count)
{
    uint32_t *lines = aligned_alloc(LINE_BYTES, count * LINE_BYTES);
    if (lines)
        memset(lines, 0, count * LINE_BYTES);
    return lines;
}

int entity_index_init(struct entity_index *index)
{
    *index = (struct entity_index){0};
    for (size_t i = 0; i < INDEX_PARTS; i++) {
        struct index_part *part = &index->parts[i];
        *part = (struct index_part){.lines = lines_create(1), .line_count = 1, .tag_mask = UINT32_MAX << NUMBER_BITS_FIRST};
        part->number_mask = ~part->tag_mask;
        if (!part->lines) {
            entity_index_finish(index);
            return -1;
        }
    }
    return 0;
}

void entity_index_finish(struct entity_index *index)
{
    for (size_t i = 0; i < INDEX_PARTS; i++)
        free(index->parts[i].lines);
    *index = (struct entity_index){0};
}

static struct index_part *part_of(struct entity_index *index, uint64_t hash)
{
    return &index->parts[index_place(hash)];
}

uint32_t *index_next(const struct index_part *part, const uint32_t *line)
{
    const size_t at = (size_t)(line - part->lines) + INDEX_LINE_WORDS;
    return part->lines + (at == part->line_count * INDEX_LINE_WORDS ? 0 : at);
}

static uint32_t word_of(const struct index_part *part, uint64_t hash, uint32_t number)
{
    return INDEX_TAKEN | ((uint32_t)hash & part->tag_mask) | number;
}

static void part_put(struct index_part *part, uint64_t hash, uint32_t number)
{
    uint32_t *line = index_home(part, hash), places;
    while (!(places = index_places(line, UINT32_MAX, 0) & ~1u)) {
        line[0]++;
        line = index_next(part, line);
    }
    line[__builtin_ctz(places)] = word_of(part, hash, number);
    part->held++;
}

/* A bit more for numbers, one less for tags. */
static void part_widen_numbers(struct index_part *part)
{
    const uint32_t lost = part->number_mask + 1;
    for (size_t i = 0; i < part->line_count * INDEX_LINE_WORDS; i++)
        if (i % INDEX_LINE_WORDS)
            part->lines[i] &= ~lost;
    part->number_mask |= lost;
    part->tag_mask &= ~lost;
}

static void line_fetch(const struct index_part *part, uint64_t line, const struct index_source *source)
{
    const uint32_t *words = part->lines + line * INDEX_LINE_WORDS;
    for (uint32_t i = 1; line < part->line_count && i < INDEX_LINE_WORDS; i++)
        if (words[i])
            source->fetch(source->context, words[i] & part->number_mask);
}

static void line_move(struct index_part *to, const struct index_part *from, uint64_t line, const struct index_source *source)
{
    const uint32_t *words = from->lines + line * INDEX_LINE_WORDS;
    for (uint32_t i = 1; i < INDEX_LINE_WORDS; i++) {
        uint32_t number = words[i] & from->number_mask;
        if (words[i])
            part_put(to, source->hash(source->context, number), number);
    }
}

static int part_grow(struct index_part *part, const struct index_source *source)
{
    struct index_part larger = *part;
    larger.held = 0;
    larger.line_count += (part->line_count + 1) / 2;
    if (!(larger.lines = lines_create(larger.line_count)))
        return -1;
    for (uint64_t line = 0; line < LINES_AHEAD; line++)
        line_fetch(part, line, source);
    for (uint64_t line = 0; line < part->line_count; line++) {
        line_fetch(part, line + LINES_AHEAD, source);
        line_move(&larger, part, line, source);
    }
    assert(larger.held == part->held);
    free(part->lines);
    *part = larger;
    return 0;
}

int entity_index_reserve(struct entity_index *index, uint64_t hash, uint32_t number, const struct index_source *source)
{
    struct index_part *part = part_of(index, hash);
    if (number > INDEX_NUMBER_MAX || (part->held == part->line_count * LINE_MOST && part_grow(part, source)))
        return -1;
    while (number > part->number_mask)
        part_widen_numbers(part);
    return 0;
}

void entity_index_put(struct entity_index *index, uint64_t hash, uint32_t number)
{
    struct index_part *part = part_of(index, hash);
    assert(part->held < part->line_count * LINE_MOST && number <= part->number_mask);
    part_put(part, hash, number);
}

void entity_index_remove(struct entity_index *index, uint64_t hash, uint32_t number)
{
    struct index_part *part = part_of(index, hash);
    uint32_t *line = index_home(part, hash), word = word_of(part, hash, number), places;
    while (!(places = index_places(line, UINT32_MAX, word))) {
        assert(line[0]);
        line[0]--;
        line = index_next(part, line);
    }
    line[__builtin_ctz(places)] = 0;
    part->held--;
}

uint64_t entity_index_bytes(const struct entity_index *index)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < INDEX_PARTS; i++)
        lines += index->parts[i].line_count;
    return lines * LINE_BYTES;
}

/* A part has its share of the entities, and once it has had more than that, eight deviations at the most: of n, 8 * sqrt(n),
 * which is not more than n / 16 + 256.  It has grown when all its lines had LINE_MOST, by half and one. */
uint64_t entity_index_worst_bytes(uint64_t entities)
{
    const uint64_t share = entities / INDEX_PARTS + 1, lines = (share + share / 16 + 256) / LINE_MOST + 1;
    return ((lines + lines / 2 + 1) * INDEX_PARTS + lines) * LINE_BYTES;
}
