#include "scoring/features/predicate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether a real names exactly this integer. */
static bool real_is_integer(double real, int64_t integer)
{
    return real >= -0x1p63 && real < 0x1p63 && real == floor(real) && (int64_t)real == integer;
}

bool literal_matches(const struct literal *literal, const struct value *value)
{
    switch (value->type) {
    case VALUE_TEXT:
        return literal->size == value->size && (!value->size || !memcmp(literal->text, value->text, value->size));
    case VALUE_INT:
        return literal->is_integer ? literal->integer == value->integer
                                   : literal->is_real && real_is_integer(literal->real, value->integer);
    case VALUE_DOUBLE:
        return literal->is_real && literal->real == value->real;
    case VALUE_BOOL:
        return literal->is_bool && literal->integer == value->integer;
    default:
        return false;
    }
}

static bool listed(const struct predicate *predicate, const struct value *value)
{
    for (size_t i = 0; i < predicate->count; i++)
        if (literal_matches(&predicate->literals[i], value))
            return true;
    return false;
}

static bool in_range(const struct predicate *predicate, const struct value *value)
{
    if (value->type != VALUE_INT && value->type != VALUE_DOUBLE)
        return false;
    double x = value->type == VALUE_INT ? (double)value->integer : value->real;
    return (!predicate->has_min || x >= predicate->min) && (!predicate->has_max || x <= predicate->max);
}

bool predicate_holds(const struct predicate *predicate, const struct value *values)
{
    if (predicate->slot < 0)
        return true;
    const struct value *value = &values[predicate->slot];
    if (value_is_null(value))
        return false;
    switch (predicate->kind) {
    case PREDICATE_IN:
        return listed(predicate, value);
    case PREDICATE_NOT_IN:
        return !listed(predicate, value);
    case PREDICATE_RANGE:
        return in_range(predicate, value);
    }
    return false;
}

/* [-+]? then decimal digits (leading zeros are only zeros), or 0x or 0o and theirs. */
static bool integer_scan(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    int base = 10;
    if (digits == text && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'o')) {
        base = digits[1] == 'x' ? 16 : 8;
        digits += 2;
    }
    const char *allowed = base == 10 ? "0123456789" : base == 16 ? "0123456789abcdefABCDEF" : "01234567";
    if (!*digits || digits[strspn(digits, allowed)])
        return false;
    errno = 0;
    long long number = strtoll(base == 10 ? text : digits, NULL, base);
    if (errno)
        return false;
    *out = number;
    return true;
}

/* [-+]? (digits [. digits*]? | . digits) ([eE] [-+]? digits)?, finite. */
static bool real_scan(const char *text, double *out)
{
    static const char digit[] = "0123456789";
    const char *p = text + (*text == '-' || *text == '+');
    size_t whole = strspn(p, digit), fraction = 0;
    p += whole;
    if (*p == '.') {
        fraction = strspn(p + 1, digit);
        p += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        size_t exponent = strspn(p, digit);
        if (!exponent)
            return false;
        p += exponent;
    }
    if (*p)
        return false;
    double number = strtod(text, NULL);
    if (!isfinite(number))
        return false;
    *out = number;
    return true;
}

static bool bool_scan(const char *text, int64_t *out)
{
    *out = !strcmp(text, "true") || !strcmp(text, "True") || !strcmp(text, "TRUE");
    return *out || !strcmp(text, "false") || !strcmp(text, "False") || !strcmp(text, "FALSE");
}

struct literal literal_make(const char *text, size_t size, bool quoted)
{
    struct literal literal = {.text = size < UINT32_MAX ? malloc(size + 1) : NULL, .size = (uint32_t)size};
    if (!literal.text)
        return (struct literal){0};
    memcpy(literal.text, text, size);
    literal.text[size] = '\0';
    if (quoted || strlen(literal.text) != size)
        return literal;
    if ((literal.is_integer = integer_scan(literal.text, &literal.integer))) {
        literal.is_real = true;
        literal.real = (double)literal.integer;
    } else if ((literal.is_bool = bool_scan(literal.text, &literal.integer)) == false) {
        literal.integer = 0;
        literal.is_real = real_scan(literal.text, &literal.real);
    }
    return literal;
}

bool literal_equal(const struct literal *a, const struct literal *b)
{
    return a->size == b->size && !memcmp(a->text, b->text, a->size);
}

void literal_finish(struct literal *literal)
{
    free(literal->text);
    *literal = (struct literal){0};
}

void predicate_finish(struct predicate *predicate)
{
    for (size_t i = 0; i < predicate->count; i++)
        literal_finish(&predicate->literals[i]);
    free(predicate->literals);
    *predicate = (struct predicate){.slot = -1};
}
