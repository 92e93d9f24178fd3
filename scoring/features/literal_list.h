/* Which of a list of literals a value is: the index of the first that literal_matches, at once for short texts in
 * short lists, by binary search in long ones. */
#pragma once
#include "scoring/features/bytes_hash.h"
#include "scoring/features/predicate.h"

enum { LITERAL_SHORT_LIST = 12, LITERAL_PLACES = 32 };

struct literal_list {
    const struct literal *literals; /* borrowed */
    size_t count;
    /* Short lists: each text of at most 8 bytes has a place of its own, by its packed bytes times a factor that was
     * found by trial. */
    uint64_t factor;
    struct literal_text {
        uint64_t packed;
        int16_t size; /* -1: nothing here */
        int16_t index;
    } places[LITERAL_PLACES];
    /* Long lists: indexes in order of text, of integers, and of reals. */
    uint32_t *by_text;
    uint32_t *by_integer, *by_real;
    size_t integer_count, real_count;
};

/* 0, or -1 if memory is short. */
int literal_list_init(struct literal_list *list, const struct literal *literals, size_t count);
void literal_list_finish(struct literal_list *list);
int literal_list_search(const struct literal_list *list, const struct value *value);

/* The bytes of at most 8, in a word whose rest is zero. */
static inline uint64_t literal_pack(const char *text, uint32_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    if (size >= 4)
        return hash_read(p, 4) | hash_read(p + size - 4, 4) << 8 * (size - 4);
    if (size >= 2)
        return hash_read(p, 2) | hash_read(p + size - 2, 2) << 8 * (size - 2);
    return size ? p[0] : 0;
}

static inline uint32_t literal_place(const struct literal_list *list, uint64_t packed)
{
    return (uint32_t)(packed * list->factor >> 59);
}

/* Whether each text of at most 8 bytes has a place of its own. */
static inline bool literal_list_is_short(const struct literal_list *list)
{
    return !list->by_text;
}

static inline bool literal_is_short(const struct value *value)
{
    return value->type == VALUE_TEXT && value->size <= 8;
}

/* Of a short list and a short text. */
static inline bool literal_list_has_short(const struct literal_list *list, const struct value *value)
{
    uint64_t packed = literal_pack(value->text, value->size);
    const struct literal_text *place = &list->places[literal_place(list, packed)];
    return (place->packed == packed) & (place->size == (int)value->size);
}

/* -1: none. */
static inline int literal_list_find(const struct literal_list *list, const struct value *value)
{
    if (!literal_list_is_short(list) || !literal_is_short(value))
        return literal_list_search(list, value);
    uint64_t packed = literal_pack(value->text, value->size);
    const struct literal_text *place = &list->places[literal_place(list, packed)];
    return place->packed == packed && place->size == (int)value->size ? place->index : -1;
}
