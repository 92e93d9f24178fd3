/* One column, and the categories of columns and segments. */
#include "consumer/baseline/reading.h"

#include <stdlib.h>
#include <string.h>

/* ---- categories ---- */

static int read_named(const struct reading *r, json_t *object, bool codes, const struct baseline_category *before, struct baseline_category *out)
{
    double code = 0;
    if (reading_known_keys(r, object, codes ? KEYS("name", "code", "count") : KEYS("name", "count")) < 0 ||
        reading_text(r, object, "name", false, &out->name) < 0 || reading_count(r, object, "count", &out->count) < 0 ||
        (codes && reading_number(r, object, "code", &code) < 0))
        return -1;
    out->code = (float)code;
    if (before && (codes ? before->code >= out->code : strcmp(before->name, out->name) >= 0))
        return reading_refuse(r, "category `%.100s` is out of order", out->name);
    return 0;
}

/* `sum`: what they must add up to. */
int reading_categories(const struct reading *r, json_t *object, bool codes, int64_t sum, struct baseline_categories *out)
{
    size_t n;
    int64_t whole[BASELINE_CATEGORIES_MAX + 1];
    if (!json_is_object(object))
        return reading_refuse(r, "`categories` must be an object");
    if (reading_known_keys(r, object, KEYS("named", "other", "hours")) < 0 || reading_list(r, object, "named", BASELINE_CATEGORIES_MAX, &n) < 0 ||
        reading_count(r, object, "other", &out->other) < 0)
        return -1;
    if (!(out->named = calloc(n + 1, sizeof *out->named)))
        return reading_memory_is_short(r);
    for (size_t i = 0; i < n; i++) {
        out->count = i + 1;
        if (read_named(r, json_array_get(json_object_get(object, "named"), i), codes, i ? &out->named[i - 1] : NULL, &out->named[i]) < 0)
            return -1;
        whole[i] = out->named[i].count;
    }
    whole[n] = out->other;
    if (reading_total(whole, n + 1) != sum)
        return reading_refuse(r, "`categories` do not add up to the values that are there");
    return reading_hours(r, object, "hours", whole, n + 1, &out->hours);
}

/* ---- columns ---- */

static int read_edges(const struct reading *r, json_t *array, struct baseline_column *column)
{
    size_t wanted = column->count ? BASELINE_EDGES : 0;
    if (!json_is_array(array) || json_array_size(array) != wanted)
        return reading_refuse(r, "`edges` must be a list of %zu numbers", wanted);
    for (size_t i = 0; i < wanted; i++) {
        json_t *value = json_array_get(array, i);
        if (!reading_is_float(value))
            return reading_refuse(r, "`edges`, entry %zu: not a number in the range of a float", i + 1);
        float edge = (float)json_number_value(value);
        if (i > 0 && edge < column->edges[i - 1])
            return reading_refuse(r, "`edges`, entry %zu: smaller than the one before", i + 1);
        column->edges[i] = edge;
    }
    return 0;
}

static int read_bins(const struct reading *r, json_t *object, struct baseline_column *column)
{
    bool any = column->count > 0;
    if (reading_counts(r, object, "counts", any ? BASELINE_FINE : 0, column->counts) < 0 ||
        reading_counts(r, object, "equal", any ? BASELINE_EQUAL : 0, column->equal) < 0)
        return -1;
    for (size_t i = 1; i < BASELINE_EDGES; i++)
        if (column->edges[i] == column->edges[i - 1] && column->counts[i] > 0)
            return reading_refuse(r, "`counts`, entry %zu: the edges on both sides are equal, so it must be 0", i + 1);
    if (reading_total(column->counts, BASELINE_FINE) != column->count)
        return reading_refuse(r, "`counts` does not add up to `count`");
    return reading_total(column->equal, BASELINE_EQUAL) == column->count ? 0 : reading_refuse(r, "`equal` does not add up to `count`");
}

static int read_quartiles(const struct reading *r, json_t *list, const struct baseline_column *column)
{
    size_t wanted = column->count ? 3 : 0;
    bool right = json_is_array(list) && json_array_size(list) == wanted;
    for (size_t i = 0; right && i < wanted; i++)
        right = reading_is_float(json_array_get(list, i)) && (float)json_number_value(json_array_get(list, i)) == (float)baseline_quartile(column, (int)i + 1);
    return right ? 0 : reading_refuse(r, "`quartiles` must be the 60th, 120th and 180th of `edges`");
}

static int read_contribution(const struct reading *r, json_t *object, struct baseline_column *column)
{
    if (reading_absent(object))
        return 0;
    if (!json_is_object(object))
        return reading_refuse(r, "`contribution` must be an object or null");
    if (reading_known_keys(r, object, KEYS("count", "mean", "std")) < 0 || reading_count(r, object, "count", &column->contribution_count) < 0 ||
        reading_number(r, object, "mean", &column->contribution) < 0 || reading_number(r, object, "std", &column->contribution_std) < 0)
        return -1;
    return column->contribution_count > 0 && column->contribution_std >= 0 ? 0 : reading_refuse(r, "`contribution`: `count` must be over 0 and `std` not below");
}

static int read_column_hours(const struct reading *r, json_t *object, struct baseline_column *column)
{
    if (reading_absent(object))
        return 0;
    if (!json_is_object(object))
        return reading_refuse(r, "`hours` must be an object or null");
    if (reading_known_keys(r, object, KEYS("counts", "equal", "missing")) < 0 ||
        reading_hours(r, object, "counts", column->counts, BASELINE_FINE, &column->hours) < 0 ||
        reading_hours(r, object, "equal", column->equal, BASELINE_EQUAL, &column->equal_hours) < 0 ||
        reading_hours(r, object, "missing", &column->missing, 1, &column->missing_hours) < 0)
        return -1;
    return column->hours.counts && column->equal_hours.counts && column->missing_hours.counts
               ? 0
               : reading_refuse(r, "`hours` must hold `counts`, `equal` and `missing`");
}

static int read_column_categories(const struct reading *r, json_t *object, struct baseline_column *column)
{
    if (reading_absent(object))
        return 0;
    if (!(column->categories = calloc(1, sizeof *column->categories)))
        return reading_memory_is_short(r);
    return reading_categories(r, object, true, column->count, column->categories);
}

int reading_column(const struct reading *r, json_t *object, struct baseline_column *column)
{
    if (reading_known_keys(r, object, KEYS("name", "count", "missing", "min", "max", "mean", "std", "quartiles", "edges", "counts", "equal", "gain",
                                       "contribution", "categories", "hours")) < 0 ||
        reading_count(r, object, "count", &column->count) < 0 || reading_count(r, object, "missing", &column->missing) < 0 ||
        reading_number(r, object, "min", &column->min) < 0 || reading_number(r, object, "max", &column->max) < 0 ||
        reading_number(r, object, "mean", &column->mean) < 0 || reading_number(r, object, "std", &column->std) < 0)
        return -1;
    if (column->min > column->max || column->std < 0)
        return reading_refuse(r, "`min` is over `max`, or `std` below 0");
    if (read_edges(r, json_object_get(object, "edges"), column) < 0 || read_bins(r, object, column) < 0 ||
        read_quartiles(r, json_object_get(object, "quartiles"), column) < 0 || reading_share(r, object, "gain", &column->gain) < 0 ||
        read_contribution(r, json_object_get(object, "contribution"), column) < 0 ||
        read_column_categories(r, json_object_get(object, "categories"), column) < 0)
        return -1;
    return read_column_hours(r, json_object_get(object, "hours"), column);
}

static int read_feature(struct reading *r, json_t *object, size_t i, const char *name, struct baseline_column *column)
{
    const char *found = json_string_value(json_object_get(object, "name"));
    if (!found)
        return reading_refuse(r, "`features`, entry %zu: not a column with a `name`", i + 1);
    if (strcmp(found, name) != 0)
        return reading_refuse(r, "feature %zu is `%.100s`, but `%.100s` in the feature file: the baseline belongs to other features", i + 1,
                      found, name);
    size_t before = reading_enter(r, "feature", name);
    int result = reading_column(r, object, column);
    reading_leave(r, before);
    return result < 0 || (column->name = strdup(name)) ? result : reading_memory_is_short(r);
}

int reading_features(struct reading *r, json_t *array, const char *const *names, size_t count, struct baseline_column *columns)
{
    if (!json_is_array(array))
        return reading_refuse(r, "`features` must be a list");
    if (json_array_size(array) != count)
        return reading_refuse(r, "%zu features, but %zu in the feature file: the baseline belongs to other features", json_array_size(array), count);
    for (size_t i = 0; i < count; i++)
        if (read_feature(r, json_array_get(array, i), i, names[i], &columns[i]) < 0)
            return -1;
    return 0;
}
