/* Which of a list of literals a value is: the index of the first that literal_matches, at once for short texts in
 * short lists, by binary search in long ones. */
#pragma once
#include "scoring/predicate.h"

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
/* -1: none. */
int literal_list_find(const struct literal_list *list, const struct value *value);
