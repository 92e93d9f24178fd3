/* How often each of a field's values came, for at most SKETCH_VALUES_MAX of them: those with the smallest hashes.
 *
 * Exactly mergeable: a value among the smallest of the whole is among the smallest of every part it occurs in, and
 * was never turned out there; so its count is complete however the stream was split.  Which values are kept depends
 * on their text alone.  A field with fewer values than there is room for is counted in full. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SKETCH_VALUES_MAX = 32, SKETCH_VALUE_BYTES = 39 };

struct sketch_value {
    uint64_t hash; /* stands for the value */
    int64_t count;
    uint8_t size;
    char text[SKETCH_VALUE_BYTES]; /* cut, not in the middle of a character */
};

struct sketch_values { /* all zero: empty */
    size_t count;
    struct sketch_value of[SKETCH_VALUES_MAX]; /* by hash */
};

/* The entry of a hash, counted `times` more; NULL: not among the smallest.  A new one has no text yet (*fresh). */
struct sketch_value *sketch_values_add(struct sketch_values *values, uint64_t hash, int64_t times, int *fresh);
void sketch_value_name(struct sketch_value *value, const char *text, size_t size);
void sketch_values_merge(struct sketch_values *into, const struct sketch_values *from);
