/* A condition on one field: `where` of a feature, `when` and the bound of a validation entry.
 *
 * A listed value is compared as text with strings and enums, as a number with numbers, as true/false with
 * booleans; it keeps the spelling of its YAML scalar, so `00` matches the text "00" and the number 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "scoring/value.h"

struct literal {
    char *text; /* owned; the scalar as written */
    uint32_t size;
    bool is_integer, is_real, is_bool;
    int64_t integer; /* also the bool as 0 or 1 */
    double real;     /* also the integer, widened */
};

struct predicate {
    int slot; /* in the field set; -1: no condition, always true */
    enum { PREDICATE_IN, PREDICATE_NOT_IN, PREDICATE_RANGE } kind;
    size_t count; /* literals */
    struct literal *literals;
    bool has_min, has_max; /* inclusive */
    double min, max;       /* exact for |x| <= 2^53 */
};

bool literal_matches(const struct literal *literal, const struct value *value); /* null matches nothing */
bool predicate_holds(const struct predicate *predicate, const struct value *values); /* a null field: false */
/* Copies; quoted scalars are text only.  text is NULL if memory is short. */
struct literal literal_make(const char *text, size_t size, bool quoted);
/* Whether two literals are spelled alike; for the check that a list has no doubles. */
bool literal_equal(const struct literal *a, const struct literal *b);
void literal_finish(struct literal *literal);
void predicate_finish(struct predicate *predicate);
