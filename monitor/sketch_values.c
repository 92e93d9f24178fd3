#include "monitor/sketch_values.h"

#include <string.h>

/* The first entry whose hash is not below. */
static size_t place_of(const struct sketch_values *values, uint64_t hash)
{
    size_t low = 0, high = values->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (values->of[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct sketch_value *sketch_values_add(struct sketch_values *values, uint64_t hash, int64_t times, int *fresh)
{
    size_t i = place_of(values, hash);
    *fresh = 0;
    if (i < values->count && values->of[i].hash == hash) {
        values->of[i].count += times;
        return &values->of[i];
    }
    if (i == SKETCH_VALUES_MAX)
        return NULL;
    if (values->count < SKETCH_VALUES_MAX)
        values->count++;
    memmove(values->of + i + 1, values->of + i, (values->count - 1 - i) * sizeof *values->of);
    values->of[i] = (struct sketch_value){.hash = hash, .count = times};
    *fresh = 1;
    return &values->of[i];
}

void sketch_value_name(struct sketch_value *value, const char *text, size_t size)
{
    size_t n = size < SKETCH_VALUE_BYTES ? size : SKETCH_VALUE_BYTES;
    while (n < size && n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80)
        n--;
    memcpy(value->text, text, n);
    value->size = (uint8_t)n;
}

void sketch_values_merge(struct sketch_values *into, const struct sketch_values *from)
{
    for (size_t i = 0; i < from->count; i++) {
        int fresh;
        struct sketch_value *value = sketch_values_add(into, from->of[i].hash, from->of[i].count, &fresh);
        if (value && fresh)
            sketch_value_name(value, from->of[i].text, from->of[i].size);
    }
}
