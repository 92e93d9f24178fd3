#include "consumer/baseline/codes.h"

#include <stdlib.h>

static const char *const numbers[24] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11",
                                        "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23"};

/* How many values a column takes: 0, 1, 2 ... in this order.  0: not a few. */
static size_t values_of(const struct feature *feature)
{
    switch (feature->op) {
    case OP_CODE:
        return feature->value_count;
    case OP_EQUALS:
    case OP_IN:
        return 2;
    case OP_HOUR_OF_DAY:
        return feature->value_count ? 2 : 24;
    case OP_DAY_OF_WEEK:
        return feature->value_count ? 2 : 7;
    default:
        return 0;
    }
}

static int name_codes(const struct feature *feature, struct baseline_codes *codes)
{
    size_t count = feature->has_scale ? 0 : values_of(feature);
    const char **names = calloc(count + 1, sizeof *names);
    if (!names)
        return -1;
    for (size_t i = 0; i < count; i++)
        names[i] = feature->op == OP_CODE ? feature->values[i].text : numbers[i];
    *codes = (struct baseline_codes){count, names};
    return 0;
}

struct baseline_codes *codes_create(const struct feature_spec *spec)
{
    struct baseline_codes *codes = calloc(spec->count + 1, sizeof *codes);
    for (size_t f = 0; codes && f < spec->count; f++)
        if (name_codes(&spec->features[f], &codes[f]) < 0) {
            codes_destroy(codes, spec->count);
            return NULL;
        }
    return codes;
}

void codes_destroy(struct baseline_codes *codes, size_t count)
{
    for (size_t f = 0; codes && f < count; f++)
        free((void *)codes[f].names);
    free(codes);
}
