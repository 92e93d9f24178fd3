/* Which of a list of literals a value is: the index of the first that literal_matches, at once for short texts in
 * short lists, by binary search in long ones. */
#pragma once
#include "scoring/predicate.h"

enum { LITERAL_SHORT_LIST = 12 };

struct literal_list {
    const struct literal *literals; /* borrowed */
    size_t count;
    struct literal_text { /* a text of at most 8 bytes, packed; for lists of LITERAL_SHORT_LIST at most */
        uint64_t packed;
        uint32_t size;
    } short_texts[LITERAL_SHORT_LIST];
    uint32_t *by_text; /* for long lists: indexes in order of text, of integers, and of reals */
    uint32_t *by_integer, *by_real;
    size_t integer_count, real_count;
};

/* 0, or -1 if memory is short. */
int literal_list_init(struct literal_list *list, const struct literal *literals, size_t count);
void literal_list_finish(struct literal_list *list);
/* -1: none. */
int literal_list_find(const struct literal_list *list, const struct value *value);
