#include "consumer/baseline_file.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/file.h"

/* Where in the file we are, for messages: "baseline.json: feature `amount`: ...". */
struct place {
    const char *path;
    char column[160];
    struct err *err;
};

static int refuse(const struct place *place, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(const struct place *place, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return err_set(place->err, "%s: %s%s; make the baseline anew from data of these features", place->path, place->column, what);
}

/* Reading */

static int known_keys(const struct place *place, json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return refuse(place, "unknown key `%.100s`", key);
    }
    return 0;
}

static int read_count(const struct place *place, json_t *object, const char *key, int64_t *out)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > (int64_t)1 << 53)
        return refuse(place, "`%s` must be a whole number from 0 to 2^53", key);
    *out = json_integer_value(value);
    return 0;
}

static int read_number(const struct place *place, json_t *object, const char *key, double *out)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_number(value) || !(fabs(json_number_value(value)) <= (double)FLT_MAX))
        return refuse(place, "`%s` must be a number in the range of a float", key);
    *out = json_number_value(value);
    return 0;
}

static int read_edges(const struct place *place, json_t *array, struct baseline_column *column)
{
    size_t wanted = column->count ? BASELINE_EDGES : 0;
    if (!json_is_array(array) || json_array_size(array) != wanted)
        return refuse(place, "`edges` must be a list of %zu numbers", wanted);
    for (size_t i = 0; i < wanted; i++) {
        json_t *value = json_array_get(array, i);
        if (!json_is_number(value) || !(fabs(json_number_value(value)) <= (double)FLT_MAX))
            return refuse(place, "`edges`, entry %zu: not a number in the range of a float", i + 1);
        float edge = (float)json_number_value(value);
        if (i > 0 && edge < column->edges[i - 1])
            return refuse(place, "`edges`, entry %zu: smaller than the one before", i + 1);
        column->edges[i] = edge;
    }
    return 0;
}

static int read_counts(const struct place *place, json_t *array, struct baseline_column *column)
{
    size_t wanted = column->count ? BASELINE_FINE : 0;
    int64_t sum = 0;
    if (!json_is_array(array) || json_array_size(array) != wanted)
        return refuse(place, "`counts` must be a list of %zu whole numbers", wanted);
    for (size_t i = 0; i < wanted; i++) {
        json_t *value = json_array_get(array, i);
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > column->count)
            return refuse(place, "`counts`, entry %zu: not a whole number from 0 to `count`", i + 1);
        bool tied = i > 0 && i < BASELINE_EDGES && column->edges[i] == column->edges[i - 1];
        if (tied && json_integer_value(value) > 0)
            return refuse(place, "`counts`, entry %zu: the edges on both sides are equal, so it must be 0", i + 1);
        sum += column->counts[i] = json_integer_value(value);
    }
    return sum == column->count ? 0 : refuse(place, "`counts` does not add up to `count`");
}

static int read_column(const struct place *place, json_t *object, struct baseline_column *column)
{
    static const char *const keys[] = {"name", "count", "missing", "min", "max", "mean", "std", "edges", "counts", NULL};
    if (known_keys(place, object, keys) < 0 || read_count(place, object, "count", &column->count) < 0 ||
        read_count(place, object, "missing", &column->missing) < 0 || read_number(place, object, "min", &column->min) < 0 ||
        read_number(place, object, "max", &column->max) < 0 || read_number(place, object, "mean", &column->mean) < 0 ||
        read_number(place, object, "std", &column->std) < 0)
        return -1;
    if (column->min > column->max || column->std < 0)
        return refuse(place, "`min` is over `max`, or `std` below 0");
    if (read_edges(place, json_object_get(object, "edges"), column) < 0)
        return -1;
    return read_counts(place, json_object_get(object, "counts"), column);
}

static int read_feature(struct place *place, json_t *object, size_t i, const char *name, struct baseline_column *column)
{
    const char *found = json_string_value(json_object_get(object, "name"));
    if (!found)
        return refuse(place, "`features`, entry %zu: not a column with a `name`", i + 1);
    if (strcmp(found, name) != 0)
        return refuse(place, "feature %zu is `%.100s`, but `%.100s` in the feature file: the baseline belongs to other features", i + 1,
                      found, name);
    snprintf(place->column, sizeof place->column, "feature `%.100s`: ", name);
    int result = read_column(place, object, column);
    place->column[0] = 0;
    if (result == 0 && !(column->name = strdup(name)))
        return refuse(place, "memory is short");
    return result;
}

static int read_features(struct place *place, json_t *array, const char *const *names, struct baseline *baseline)
{
    if (!json_is_array(array))
        return refuse(place, "`features` must be a list");
    if (json_array_size(array) != baseline->count)
        return refuse(place, "%zu features, but %zu in the feature file: the baseline belongs to other features", json_array_size(array),
                      baseline->count);
    for (size_t i = 0; i < baseline->count; i++)
        if (read_feature(place, json_array_get(array, i), i, names[i], &baseline->features[i]) < 0)
            return -1;
    return 0;
}

static int read_score(struct place *place, json_t *object, struct baseline *baseline)
{
    if (json_is_null(object))
        return 0;
    if (!json_is_object(object))
        return refuse(place, "`score` must be a column or null");
    strcpy(place->column, "score: ");
    int result = read_column(place, object, &baseline->score);
    place->column[0] = 0;
    baseline->has_score = true;
    if (result == 0 && !(baseline->score.name = strdup("score")))
        return refuse(place, "memory is short");
    return result;
}

static int read_hash(const struct place *place, json_t *value, uint8_t hash[32])
{
    static const char digits[] = "0123456789abcdef";
    const char *text = json_string_value(value);
    if (!text || strlen(text) != 64 || strspn(text, digits) != 64)
        return refuse(place, "`feature_spec_sha256` must be 64 hexadecimal digits");
    for (size_t i = 0; i < 32; i++)
        hash[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) * 16 + (strchr(digits, text[2 * i + 1]) - digits));
    return 0;
}

static int read_model_id(const struct place *place, json_t *value, struct baseline *baseline)
{
    if (json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return refuse(place, "`model_id` must be a string or null");
    baseline->model_id = strdup(json_string_value(value));
    return baseline->model_id ? 0 : refuse(place, "memory is short");
}

static int read_baseline(struct place *place, json_t *root, const char *const *names, struct baseline *baseline)
{
    static const char *const keys[] = {"format", "version", "feature_spec_sha256", "model_id", "features", "score", NULL};
    const char *format = json_string_value(json_object_get(root, "format"));
    if (!format || strcmp(format, "weir-baseline") != 0)
        return refuse(place, "not a baseline (`format` is not \"weir-baseline\")");
    json_t *version = json_object_get(root, "version");
    if (!json_is_integer(version) || json_integer_value(version) != 1)
        return refuse(place, "`version` is not 1, the one that this weir reads");
    if (known_keys(place, root, keys) < 0 || read_hash(place, json_object_get(root, "feature_spec_sha256"), baseline->feature_spec_sha256) < 0 ||
        read_model_id(place, json_object_get(root, "model_id"), baseline) < 0 ||
        read_features(place, json_object_get(root, "features"), names, baseline) < 0)
        return -1;
    return read_score(place, json_object_get(root, "score"), baseline);
}

int baseline_file_parse(const char *path, const char *json, size_t size, const char *const *names, size_t count,
                        struct baseline **out, struct err *err)
{
    struct place place = {.path = path, .err = err};
    json_error_t where;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return err_set(err, "%s:%d: %s", path, where.line, where.text);
    struct baseline *baseline = baseline_create(count);
    int result = baseline ? read_baseline(&place, root, names, baseline) : refuse(&place, "memory is short");
    json_decref(root);
    if (result < 0)
        baseline_destroy(baseline);
    else
        *out = baseline;
    return result;
}

int baseline_file_load(const char *path, const char *const *names, size_t count, struct baseline **out, struct err *err)
{
    char *data;
    size_t size;
    if (file_read(path, BASELINE_FILE_MAX, &data, &size, err) < 0)
        return -1;
    int result = baseline_file_parse(path, data, size, names, count, out, err);
    free(data);
    return result;
}

/* Writing */

static json_t *column_json(const struct baseline_column *column)
{
    json_t *edges = json_array(), *counts = json_array();
    for (size_t i = 0; column->count && i < BASELINE_EDGES; i++)
        json_array_append_new(edges, json_real((double)column->edges[i]));
    for (size_t i = 0; column->count && i < BASELINE_FINE; i++)
        json_array_append_new(counts, json_integer(column->counts[i]));
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:o, s:o}", "name", column->name, "count", (json_int_t)column->count,
                     "missing", (json_int_t)column->missing, "min", column->min, "max", column->max, "mean", column->mean,
                     "std", column->std, "edges", edges, "counts", counts);
}

static json_t *baseline_json(const struct baseline *baseline)
{
    char hash[65];
    for (size_t i = 0; i < 32; i++)
        snprintf(hash + 2 * i, 3, "%02x", baseline->feature_spec_sha256[i]);
    json_t *features = json_array();
    for (size_t i = 0; i < baseline->count; i++)
        json_array_append_new(features, column_json(&baseline->features[i])); /* a NULL makes the list shorter: seen below */
    json_t *score = baseline->has_score ? column_json(&baseline->score) : json_null();
    if (json_array_size(features) != baseline->count || !score) {
        json_decref(features);
        json_decref(score);
        return NULL;
    }
    return json_pack("{s:s, s:i, s:s, s:s?, s:o, s:o}", "format", "weir-baseline", "version", 1, "feature_spec_sha256", hash,
                     "model_id", baseline->model_id, "features", features, "score", score);
}

int baseline_file_write(const char *path, const struct baseline *baseline, struct err *err)
{
    json_t *root = baseline_json(baseline);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    if (!text)
        return err_set(err, "%s: the baseline cannot be written as JSON: a name is not UTF-8, or memory is short", path);
    int result = file_write(path, text, strlen(text), err);
    free(text);
    return result;
}
