/* From a value to its category. */
#include <stdlib.h>
#include <string.h>

#include "monitor/baseline.h"

size_t baseline_category_of_code(const struct baseline_categories *categories, float code)
{
    size_t low = 0, high = categories->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (categories->named[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < categories->count && categories->named[low].code == code ? low : categories->count;
}

static int compare_text(const char *text, size_t size, const char *name)
{
    size_t length = strlen(name);
    int order = memcmp(text, name, size < length ? size : length);
    return order ? order : (size > length) - (size < length);
}

size_t baseline_category_of_text(const struct baseline_categories *categories, const char *text, size_t size)
{
    size_t low = 0, high = categories->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_text(text, size, categories->named[middle].name);
        if (order == 0)
            return middle;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return categories->count;
}

const struct baseline_segment *baseline_segment_find(const struct baseline *baseline, const char *field)
{
    for (size_t i = 0; i < baseline->segment_count; i++)
        if (!strcmp(baseline->segments[i].field, field))
            return &baseline->segments[i];
    return NULL;
}
