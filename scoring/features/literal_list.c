#include "scoring/features/literal_list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/bytes_hash.h"

/* The integer that a literal stands for, beside numbers that are no integers. */
static bool whole(const struct literal *literal, int64_t *integer)
{
    if (literal->is_integer)
        *integer = literal->integer;
    else if (literal->is_real && literal->real >= -0x1p63 && literal->real < 0x1p63 && literal->real == floor(literal->real))
        *integer = (int64_t)literal->real;
    else
        return false;
    return true;
}

static int order_of_texts(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size ? memcmp(a, b, size) : 0;
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int text_order(const void *a, const void *b, void *literals)
{
    const struct literal *all = literals, *x = &all[*(const uint32_t *)a], *y = &all[*(const uint32_t *)b];
    return order_of_texts(x->text, x->size, y->text, y->size);
}

/* Equal ones in order of the list, so that a search that ends at the leftmost finds the first. */
static int integer_order(const void *a, const void *b, void *literals)
{
    const uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    const struct literal *all = literals;
    int64_t x = 0, y = 0;
    whole(&all[i], &x);
    whole(&all[k], &y);
    return x != y ? (x > y) - (x < y) : (i > k) - (i < k);
}

static int real_order(const void *a, const void *b, void *literals)
{
    const uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    const struct literal *all = literals;
    double x = all[i].real, y = all[k].real;
    return x < y ? -1 : x > y ? 1 : (i > k) - (i < k);
}

static bool place_all(struct literal_list *list)
{
    for (int i = 0; i < LITERAL_PLACES; i++)
        list->places[i].size = -1;
    for (size_t i = 0; i < list->count; i++) {
        const struct literal *literal = &list->literals[i];
        if (literal->size > 8)
            continue;
        uint64_t packed = literal_pack(literal->text, literal->size);
        struct literal_text *place = &list->places[literal_place(list, packed)];
        if (place->size >= 0 && (place->packed != packed || place->size != (int16_t)literal->size))
            return false;
        if (place->size < 0)
            *place = (struct literal_text){packed, (int16_t)literal->size, (int16_t)i};
    }
    return true;
}

/* Twelve among 32 places: one factor in ten does; after a thousand the list is searched like a long one. */
static bool find_factor(struct literal_list *list)
{
    for (uint64_t i = 1; i < 1000; i++) {
        list->factor = hash_integer(i, 0) | 1;
        if (place_all(list))
            return true;
    }
    return false;
}

int literal_list_init(struct literal_list *list, const struct literal *literals, size_t count)
{
    *list = (struct literal_list){.literals = literals, .count = count};
    if (count <= LITERAL_SHORT_LIST && find_factor(list))
        return 0;
    list->by_text = calloc(count, sizeof *list->by_text);
    list->by_integer = calloc(count, sizeof *list->by_integer);
    list->by_real = calloc(count, sizeof *list->by_real);
    if (!list->by_text || !list->by_integer || !list->by_real) {
        literal_list_finish(list);
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        int64_t integer;
        list->by_text[i] = i;
        if (whole(&literals[i], &integer))
            list->by_integer[list->integer_count++] = i;
        if (literals[i].is_real)
            list->by_real[list->real_count++] = i;
    }
    qsort_r(list->by_text, count, sizeof *list->by_text, text_order, (void *)literals);
    qsort_r(list->by_integer, list->integer_count, sizeof *list->by_integer, integer_order, (void *)literals);
    qsort_r(list->by_real, list->real_count, sizeof *list->by_real, real_order, (void *)literals);
    return 0;
}

void literal_list_finish(struct literal_list *list)
{
    free(list->by_text);
    free(list->by_integer);
    free(list->by_real);
    *list = (struct literal_list){0};
}

/* < 0: the literal comes before the value in its order; 0: it matches. */
static int compare(const struct literal *literal, const struct value *value)
{
    int64_t integer = 0;
    switch (value->type) {
    case VALUE_TEXT:
        return order_of_texts(literal->text, literal->size, value->text, value->size);
    case VALUE_INT:
        whole(literal, &integer);
        return (integer > value->integer) - (integer < value->integer);
    default:
        return (literal->real > value->real) - (literal->real < value->real);
    }
}

static int search(const struct literal_list *list, const struct value *value)
{
    const uint32_t *order = value->type == VALUE_TEXT ? list->by_text : value->type == VALUE_INT ? list->by_integer : list->by_real;
    size_t low = 0, high = value->type == VALUE_TEXT ? list->count : value->type == VALUE_INT ? list->integer_count : list->real_count;
    size_t end = high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&list->literals[order[middle]], value) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && !compare(&list->literals[order[low]], value) ? (int)order[low] : -1;
}

static int scan(const struct literal_list *list, const struct value *value)
{
    for (size_t i = 0; i < list->count; i++)
        if (literal_matches(&list->literals[i], value))
            return (int)i;
    return -1;
}

int literal_list_search(const struct literal_list *list, const struct value *value)
{
    if (value_is_null(value) || value->type == VALUE_OTHER)
        return -1;
    if (list->by_text)
        return value->type == VALUE_BOOL ? scan(list, value) : search(list, value);
    return scan(list, value);
}
