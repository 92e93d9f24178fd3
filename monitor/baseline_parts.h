/* Pieces of a baseline, for those who make one: the builder and the file's reader. */
#pragma once
#include "monitor/baseline.h"

struct baseline_column *baseline_columns_create(size_t count); /* NULL if memory is short */
void baseline_categories_finish(struct baseline_categories *categories);
/* How much of [from, to) lies in each hour of the week. */
void baseline_cover(int64_t from_ms, int64_t to_ms, int64_t covered_ms[BASELINE_HOURS]);

/* Values of one column, and the hour of the week of each (NULL: not known). */
struct column_values {
    size_t n;
    const float *values;  /* NaN missing */
    const uint8_t *hours;
    float *room;          /* n floats, used up */
};
/* Everything but categories, gain and contributions.  0, or -1 if memory is short. */
int baseline_column_fill(struct baseline_column *column, const char *name, const struct column_values *from);
int baseline_hours_init(struct baseline_hours *hours, size_t bins);
