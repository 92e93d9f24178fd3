/* Runs a plan's steps over the bytes of one value.
 *
 * Invariant: p <= end, and no step reads beyond end; a sized block narrows end for its items.  Work is linear in the
 * bytes: items of no width are counted, not walked, and all others take a byte at least; recursion (arrays, maps and
 * called programs) is bounded by the depth limit. */
#include "consumer/avro/steps.h"

#include <assert.h>
#include <endian.h>
#include <math.h>
#include <string.h>
#include "consumer/avro/utf8.h"

const struct decode_limits decode_limits_default = {.string_bytes = 1 << 20, .block_items = 1000000, .depth = 64};

struct walk {
    const struct decode_plan *plan;
    struct value *values;
    struct decode_fault *fault;
};

static const char *const fault_texts[] = {
    [FAULT_END_FIXED] = "the bytes end inside a value of fixed size",
    [FAULT_END_NUMBER] = "the bytes end inside a number",
    [FAULT_LONG_NUMBER] = "a number of more than 64 bits",
    [FAULT_INT_RANGE] = "an int of more than 32 bits",
    [FAULT_BOOL] = "a boolean that is neither 0 nor 1",
    [FAULT_NEGATIVE_LENGTH] = "a negative length",
    [FAULT_LENGTH_LIMIT] = "a string longer than is allowed",
    [FAULT_END_STRING] = "the bytes end inside a string",
    [FAULT_UTF8] = "a string that is not UTF-8",
    [FAULT_ENUM_INDEX] = "an enum index out of range",
    [FAULT_ENUM_SYMBOL] = "an enum symbol that the reader's schema has not",
    [FAULT_UNION_INDEX] = "a union branch out of range",
    [FAULT_BLOCK_COUNT] = "an impossible number of items",
    [FAULT_BLOCK_ITEMS] = "more items than are allowed",
    [FAULT_BLOCK_END] = "a block larger than the bytes that are left",
    [FAULT_BLOCK_SIZE] = "a block whose byte size is not its content's",
    [FAULT_DEPTH] = "nested deeper than is allowed",
    [FAULT_READER] = "a type that the reader's schema does not take",
    [FAULT_HUGE] = "a value of 4 GiB or more",
    [FAULT_TRAILING] = "bytes are left after the value",
};

/* Cold: every fault leaves through here.  The innermost step that has a name gives it. */
static __attribute__((noinline, cold)) void set_fault(const struct walk *walk, const struct step *step, enum fault_text text)
{
    walk->fault->reason = REJECT_DECODE_ERROR;
    walk->fault->what = fault_texts[text];
    walk->fault->field = walk->plan->names[step - walk->plan->steps];
}

static inline const uint8_t *fail(const struct walk *walk, const struct step *step, enum fault_text text)
{
    set_fault(walk, step, text);
    return NULL;
}

static __attribute__((noinline, cold)) void set_fault_fixed(const struct walk *walk, const struct step *step, size_t left)
{
    const struct piece *piece = &walk->plan->pieces[step->jump];
    while (!piece->last && piece->width <= left)
        left -= (piece++)->width;
    set_fault(walk, step, FAULT_END_FIXED);
    walk->fault->field = piece->name;
}

static __attribute__((noinline)) const uint8_t *read_long_slowly(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end,
                                       int64_t *out)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (p == end)
            return fail(walk, step, FAULT_END_NUMBER);
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            break;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return p;
        }
    }
    return fail(walk, step, FAULT_LONG_NUMBER);
}

/* Up to eight bytes at once: the first byte without its top bit ends the number, and three steps close the gaps
 * that the top bits leave. */
static inline const uint8_t *read_long_wide(const uint8_t *p, int64_t *out)
{
    uint64_t word;
    memcpy(&word, p, 8);
    word = le64toh(word);
    uint64_t stops = ~word & 0x8080808080808080u;
    if (!stops)
        return NULL;
    word &= stops ^ (stops - 1); /* up to and with the stop bit */
    word = (word & 0x007f007f007f007fu) | (word & 0x7f007f007f007f00u) >> 1;
    word = (word & 0x00003fff00003fffu) | (word & 0x3fff00003fff0000u) >> 2;
    word = (word & 0x000000000fffffffu) | (word & 0x0fffffff00000000u) >> 4;
    *out = (int64_t)(word >> 1) ^ -(int64_t)(word & 1);
    return p + __builtin_ctzll(stops) / 8 + 1;
}

static inline const uint8_t *read_long(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end, int64_t *out)
{
    if (__builtin_expect(p < end && *p < 0x80, 1)) {
        *out = (*p >> 1) ^ -(*p & 1);
        return p + 1;
    }
    const uint8_t *next = end - p >= 8 ? read_long_wide(p, out) : NULL;
    return next ? next : read_long_slowly(walk, step, p, end, out);
}

static inline const uint8_t *read_int(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end, int64_t *out)
{
    p = read_long(walk, step, p, end, out);
    if (p && __builtin_expect(*out != (int32_t)*out, 0) && !walk->plan->limits.sizes_only)
        return fail(walk, step, FAULT_INT_RANGE);
    return p;
}

/* A length and that many bytes: *text points at them. */
static inline const uint8_t *read_bytes(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end,
                                        const uint8_t **text, uint32_t *size)
{
    int64_t length;
    p = read_long(walk, step, p, end, &length);
    if (!p)
        return NULL;
    if (__builtin_expect((uint64_t)length > (uint64_t)(end - p) || (uint64_t)length > walk->plan->limits.string_bytes, 0))
        return fail(walk, step, length < 0 ? FAULT_NEGATIVE_LENGTH : length > end - p ? FAULT_END_STRING : FAULT_LENGTH_LIMIT);
    *text = p;
    *size = (uint32_t)length;
    return p + length;
}

static inline __attribute__((always_inline)) const uint8_t *read_string(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end,
                                         const uint8_t **text, uint32_t *size)
{
    p = read_bytes(walk, step, p, end, text, size);
    if (p && __builtin_expect(!utf8_valid(*text, *size, (size_t)(end - *text)), 0) && !walk->plan->limits.sizes_only)
        return fail(walk, step, FAULT_UTF8);
    return p;
}

/* The index of an enum symbol or a union branch. */
static inline const uint8_t *read_index(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end,
                                        uint32_t count, enum fault_text text, uint32_t *index)
{
    int64_t v;
    p = read_long(walk, step, p, end, &v);
    if (p && (uint64_t)v >= count)
        return fail(walk, step, text);
    if (p)
        *index = (uint32_t)v;
    return p;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static struct value number_convert(const struct step *step, int64_t v)
{
    if (step->arg & NUMBER_FLOAT)
        return (struct value){.type = VALUE_DOUBLE, .real = (double)(float)v};
    if (step->arg & NUMBER_DOUBLE)
        return (struct value){.type = VALUE_DOUBLE, .real = (double)v};
    return (struct value){.type = VALUE_INT, .integer = step->arg & NUMBER_DIVIDE ? floor_divide(v, step->jump) : v};
}

int64_t decimal_value(const uint8_t *bytes, size_t size)
{
    uint8_t sign = size && bytes[0] >= 0x80 ? 0xff : 0;
    for (; size > 8 && bytes[0] == sign; size--)
        bytes++;
    if (size > 8 || (size == 8 && (bytes[0] ^ sign) >= 0x80))
        return sign ? INT64_MIN : INT64_MAX;
    uint64_t bits = sign ? UINT64_MAX : 0;
    for (size_t i = 0; i < size; i++)
        bits = bits << 8 | bytes[i];
    return (int64_t)bits;
}

static const uint8_t *run(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end, unsigned base);

static const uint8_t *run_items(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end, unsigned base,
                                uint64_t count)
{
    if (step->op == STEP_ARRAY_FIXED) {
        uint64_t bytes;
        if (__builtin_mul_overflow(count, step->arg, &bytes) || bytes > (uint64_t)(end - p))
            return fail(walk, step, FAULT_END_FIXED);
        return p + bytes;
    }
    for (uint64_t i = 0; i < count && p; i++) {
        const uint8_t *key;
        uint32_t size;
        if (step->op == STEP_MAP)
            p = read_string(walk, step, p, end, &key, &size);
        if (p)
            p = run(walk, step + 1, p, end, base);
    }
    return p;
}

/* The blocks of an array or map.  A block with a byte size ends exactly there. */
static const uint8_t *run_blocks(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end, unsigned base)
{
    if (base + step->level > walk->plan->limits.depth)
        return fail(walk, step, FAULT_DEPTH);
    uint64_t total = 0;
    for (;;) {
        int64_t count, bytes = -1;
        p = read_long(walk, step, p, end, &count);
        if (!p || count == 0)
            return p;
        if (count < 0) {
            if (count == INT64_MIN)
                return fail(walk, step, FAULT_BLOCK_COUNT);
            count = -count;
            if (!(p = read_long(walk, step, p, end, &bytes)))
                return NULL;
            if (bytes < 0)
                return fail(walk, step, FAULT_NEGATIVE_LENGTH);
            if (bytes > end - p)
                return fail(walk, step, FAULT_BLOCK_END);
        }
        if ((uint64_t)count > walk->plan->limits.block_items - total)
            return fail(walk, step, FAULT_BLOCK_ITEMS);
        total += (uint64_t)count;
        const uint8_t *block_end = bytes < 0 ? end : p + bytes;
        p = run_items(walk, step, p, block_end, base, (uint64_t)count);
        if (p && bytes >= 0 && p != block_end)
            return fail(walk, step, FAULT_BLOCK_SIZE);
        if (!p)
            return NULL;
    }
}

static const uint8_t *run_call(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end, unsigned base)
{
    const struct decode_plan *plan = walk->plan;
    if (base + step->level > plan->limits.depth)
        return fail(walk, step, FAULT_DEPTH);
    p = run(walk, &plan->steps[plan->programs[step->jump]], p, end, base + step->level - 1);
    if (!p && !walk->fault->field)
        walk->fault->field = plan->names[step - plan->steps];
    return p;
}

static const uint8_t *run(const struct walk *walk, const struct step *step, const uint8_t *p, const uint8_t *end, unsigned base)
{
    const struct decode_plan *plan = walk->plan;
    const struct step *const steps = plan->steps;
    struct value *const values = walk->values;
    const uint8_t *text;
    uint32_t size, index;
    int64_t v;
    for (;; step++) {
        switch ((enum step_op)step->op) {
        case STEP_END:
            return p;
        case STEP_FAIL:
            return fail(walk, step, (enum fault_text)step->arg);
        case STEP_GOTO:
            step = &steps[step->jump] - 1;
            break;
        case STEP_SET:
            values[step->slot] = plan->constants[step->arg];
            break;
        case STEP_NEST:
            if (base + step->level > plan->limits.depth)
                return fail(walk, step, FAULT_DEPTH);
            break;
        case STEP_SKIP_FIXED:
            if ((size_t)(end - p) < step->arg)
                return set_fault_fixed(walk, step, (size_t)(end - p)), NULL;
            p += step->arg;
            break;
        case STEP_SKIP_BOOL:
        case STEP_BOOL:
            if (p == end)
                return fail(walk, step, FAULT_END_FIXED);
            if (*p > 1 && !plan->limits.sizes_only)
                return fail(walk, step, FAULT_BOOL);
            if (step->op == STEP_BOOL)
                values[step->slot] = (struct value){.type = VALUE_BOOL, .integer = *p};
            p++;
            break;
        case STEP_SKIP_INT:
            if (!(p = read_int(walk, step, p, end, &v)))
                return NULL;
            break;
        case STEP_SKIP_LONG:
            if (!(p = read_long(walk, step, p, end, &v)))
                return NULL;
            break;
        case STEP_SKIP_STRING:
            if (!(p = read_string(walk, step, p, end, &text, &size)))
                return NULL;
            break;
        case STEP_SKIP_BYTES:
            if (!(p = read_bytes(walk, step, p, end, &text, &size)))
                return NULL;
            break;
        case STEP_INT:
            if (!(p = read_int(walk, step, p, end, &v)))
                return NULL;
            values[step->slot] = (struct value){.type = VALUE_INT, .integer = v};
            break;
        case STEP_LONG:
            if (!(p = read_long(walk, step, p, end, &v)))
                return NULL;
            values[step->slot] = (struct value){.type = VALUE_INT, .integer = v};
            break;
        case STEP_NUMBER:
            p = step->arg & NUMBER_INT32 ? read_int(walk, step, p, end, &v) : read_long(walk, step, p, end, &v);
            if (!p)
                return NULL;
            values[step->slot] = number_convert(step, v);
            break;
        case STEP_FLOAT: {
            uint32_t bits;
            float real;
            if (end - p < 4)
                return fail(walk, step, FAULT_END_FIXED);
            memcpy(&bits, p, 4);
            bits = le32toh(bits);
            memcpy(&real, &bits, 4);
            values[step->slot] = (struct value){.type = VALUE_DOUBLE, .real = (double)real};
            p += 4;
            break;
        }
        case STEP_DOUBLE: {
            uint64_t bits;
            if (end - p < 8)
                return fail(walk, step, FAULT_END_FIXED);
            memcpy(&bits, p, 8);
            bits = le64toh(bits);
            values[step->slot].type = VALUE_DOUBLE;
            values[step->slot].size = 0;
            memcpy(&values[step->slot].real, &bits, 8);
            p += 8;
            break;
        }
        case STEP_STRING:
            if (!(p = read_string(walk, step, p, end, &text, &size)))
                return NULL;
            values[step->slot] = (struct value){.type = VALUE_TEXT, .size = size, .text = (const char *)text};
            break;
        case STEP_ENUM: {
            if (plan->limits.sizes_only) {
                if (!(p = read_long(walk, step, p, end, &v)))
                    return NULL;
                break;
            }
            if (!(p = read_index(walk, step, p, end, step->jump, FAULT_ENUM_INDEX, &index)))
                return NULL;
            const struct value *symbol = &plan->constants[step->arg + index];
            if (symbol->type == VALUE_ABSENT)
                return fail(walk, step, FAULT_ENUM_SYMBOL);
            if (step->slot != NO_SLOT)
                values[step->slot] = *symbol;
            break;
        }
        case STEP_DECIMAL_BYTES:
            p = step->arg ? read_string(walk, step, p, end, &text, &size) : read_bytes(walk, step, p, end, &text, &size);
            if (!p)
                return NULL;
            values[step->slot] = (struct value){.type = VALUE_INT, .integer = decimal_value(text, size)};
            break;
        case STEP_DECIMAL_FIXED:
            if ((size_t)(end - p) < step->arg)
                return fail(walk, step, FAULT_END_FIXED);
            values[step->slot] = (struct value){.type = VALUE_INT, .integer = decimal_value(p, step->arg)};
            p += step->arg;
            break;
        case STEP_NULLABLE:
            if (!(p = read_index(walk, step, p, end, 2, FAULT_UNION_INDEX, &index)))
                return NULL;
            if (index == step->arg) {
                if (step->slot != NO_SLOT)
                    values[step->slot] = (struct value){.type = VALUE_NULL};
                step = &steps[step->jump] - 1;
            }
            break;
        case STEP_UNION:
            if (!(p = read_index(walk, step, p, end, step->arg, FAULT_UNION_INDEX, &index)))
                return NULL;
            step = &steps[plan->targets[step->jump + index]] - 1;
            break;
        case STEP_ARRAY_FIXED:
            if (!(p = run_blocks(walk, step, p, end, base)))
                return NULL;
            break;
        case STEP_ARRAY:
        case STEP_MAP:
            text = p;
            if (!(p = run_blocks(walk, step, p, end, base)))
                return NULL;
            if (step->slot != NO_SLOT)
                values[step->slot] = (struct value){.type = VALUE_OTHER, .size = (uint32_t)(p - text), .text = (const char *)text};
            step = &steps[step->jump] - 1;
            break;
        case STEP_CALL:
            if (!(p = run_call(walk, step, p, end, base)))
                return NULL;
            break;
        }
    }
}

int decode_value(const struct decode_plan *plan, const void *data, size_t size, struct value *values, size_t *consumed,
                 struct decode_fault *fault)
{
    struct decode_fault unwanted;
    struct walk walk = {.plan = plan, .values = values, .fault = fault ? fault : &unwanted};
    const uint8_t *start = data ? data : (const uint8_t *)"";
    assert(data || !size);
    if (size >= UINT32_MAX) {
        *walk.fault = (struct decode_fault){.reason = REJECT_DECODE_ERROR, .what = fault_texts[FAULT_HUGE]};
        return -1;
    }
    if (plan->slots)
        memset(values, 0, plan->slots * sizeof *values); /* VALUE_ABSENT */
    const uint8_t *p = run(&walk, plan->steps, start, start + size, 0);
    if (!p)
        return -1;
    if (!consumed && p != start + size) {
        *walk.fault = (struct decode_fault){.reason = REJECT_TRAILING_BYTES, .what = fault_texts[FAULT_TRAILING]};
        return -1;
    }
    if (consumed)
        *consumed = (size_t)(p - start);
    return 0;
}
