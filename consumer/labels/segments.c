#include "consumer/labels/segments.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/bytes_hash.h"

enum { NO_VALUE = 0, OTHER = SEGMENT_VALUES_MAX + 1, SLOTS = 1 << 17 };

struct values { /* of a field; a value's code is its place and 1 */
    size_t count;
    uint64_t hashes[SEGMENT_VALUES_MAX];
    char *texts[SEGMENT_VALUES_MAX];
};

struct segments {
    char *const *fields;
    size_t count;
    struct values *values;
    uint8_t (*combinations)[SEGMENT_FIELDS_MAX]; /* by number, which begins at 1 */
    uint16_t *table;                             /* numbers by hash of the combination; 0: free */
    size_t combination_count, capacity;
};

struct segments *segments_create(char *const *fields, size_t count)
{
    struct segments *s = calloc(1, sizeof *s);
    assert(s && count <= SEGMENT_FIELDS_MAX);
    *s = (struct segments){.fields = fields, .count = count, .values = calloc(count + 1, sizeof *s->values), .table = calloc(SLOTS, sizeof *s->table), .capacity = 256};
    s->combinations = calloc(s->capacity, sizeof *s->combinations);
    assert(s->values && s->table && s->combinations);
    return s;
}

void segments_destroy(struct segments *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->values[i].count; k++)
            free(s->values[i].texts[k]);
    free(s->values);
    free(s->combinations);
    free(s->table);
    free(s);
}

/* ---- the map's bytes ---- */

struct cursor {
    const uint8_t *at, *end;
};

static bool take_long(struct cursor *c, int64_t *v)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *v = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return false;
}

static bool take_text(struct cursor *c, struct bytes *text)
{
    int64_t size;
    if (!take_long(c, &size) || size < 0 || size > c->end - c->at)
        return false;
    *text = (struct bytes){c->at, (uint32_t)size};
    c->at += size;
    return true;
}

/* ---- values and combinations ---- */

static uint8_t code_of(struct values *values, struct bytes text)
{
    uint64_t hash = hash_bytes(text.data, text.size, 11);
    for (size_t i = 0; i < values->count; i++)
        if (values->hashes[i] == hash)
            return (uint8_t)(i + 1);
    if (values->count == SEGMENT_VALUES_MAX)
        return OTHER;
    char *copy = strndup(text.data, text.size);
    assert(copy && "memory is short");
    values->hashes[values->count] = hash;
    values->texts[values->count] = copy;
    return (uint8_t)++values->count;
}

static void note(struct segments *s, struct bytes field, struct bytes value, uint8_t codes[SEGMENT_FIELDS_MAX])
{
    for (size_t i = 0; i < s->count; i++)
        if (strlen(s->fields[i]) == field.size && !memcmp(s->fields[i], field.data, field.size))
            codes[i] = code_of(&s->values[i], value);
}

static uint16_t *place_of(struct segments *s, const uint8_t codes[SEGMENT_FIELDS_MAX])
{
    size_t slot = hash_bytes(codes, SEGMENT_FIELDS_MAX, 13) & (SLOTS - 1);
    while (s->table[slot] && memcmp(s->combinations[s->table[slot]], codes, SEGMENT_FIELDS_MAX))
        slot = (slot + 1) & (SLOTS - 1);
    return &s->table[slot];
}

static uint16_t add_combination(struct segments *s, uint16_t *place, const uint8_t codes[SEGMENT_FIELDS_MAX])
{
    size_t number = ++s->combination_count;
    if (number == s->capacity) {
        s->capacity *= 2;
        s->combinations = reallocarray(s->combinations, s->capacity, sizeof *s->combinations);
        assert(s->combinations && "memory is short");
    }
    memcpy(s->combinations[number], codes, SEGMENT_FIELDS_MAX);
    return *place = (uint16_t)number;
}

/* The last number is kept for what has no room: `other` in every field. */
static uint16_t number_of(struct segments *s, uint8_t codes[SEGMENT_FIELDS_MAX])
{
    uint16_t *place = place_of(s, codes);
    if (*place)
        return *place;
    if (s->combination_count < SEGMENT_COMBINATIONS_MAX - 1)
        return add_combination(s, place, codes);
    memset(codes, 0, SEGMENT_FIELDS_MAX);
    memset(codes, OTHER, s->count);
    place = place_of(s, codes);
    return *place ? *place : add_combination(s, place, codes);
}

uint16_t segments_number(struct segments *s, struct bytes blocks)
{
    struct cursor c = {blocks.data, blocks.data ? (const uint8_t *)blocks.data + blocks.size : NULL};
    uint8_t codes[SEGMENT_FIELDS_MAX] = {NO_VALUE}, none[SEGMENT_FIELDS_MAX] = {NO_VALUE};
    int64_t count, bytes;
    struct bytes field, value;
    while (c.at < c.end && take_long(&c, &count) && count) {
        if (count == INT64_MIN || (count < 0 && !take_long(&c, &bytes)))
            break;
        for (count = count < 0 ? -count : count; count && take_text(&c, &field) && take_text(&c, &value); count--)
            note(s, field, value, codes);
        if (count)
            break;
    }
    return memcmp(codes, none, sizeof codes) ? number_of(s, codes) : 0;
}

bool segments_subject(const struct segments *s, uint16_t number, size_t i, char subject[SEGMENT_TEXT_MAX + 1])
{
    assert(number <= s->combination_count && i < s->count);
    uint8_t code = number ? s->combinations[number][i] : NO_VALUE;
    if (code == NO_VALUE)
        return false;
    int length = snprintf(subject, SEGMENT_TEXT_MAX + 1, "%s=%s", s->fields[i], code == OTHER ? "other" : s->values[i].texts[code - 1]);
    if (length > SEGMENT_TEXT_MAX) /* no half character at its end */
        for (size_t end = SEGMENT_TEXT_MAX; end > 0; end--)
            if (((unsigned char)subject[end - 1] & 0xc0) != 0x80) {
                if ((unsigned char)subject[end - 1] >= 0xc0)
                    subject[end - 1] = 0;
                break;
            }
    return true;
}

size_t segments_fields(const struct segments *s)
{
    return s->count;
}
