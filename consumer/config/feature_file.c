/* The feature file: YAML under its option table into struct feature_spec_source; scoring expands and checks it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/config.h"
#include "consumer/config/option.h"
#include "consumer/config/rule.h"
#include "consumer/file.h"

static int read_op(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    const char *names[OP_COUNT_OF_OPS];
    for (int op = 0; op < OP_COUNT_OF_OPS; op++)
        names[op] = feature_op_name((enum feature_op)op);
    int op = node->kind == YAML_IS_SCALAR ? feature_op_find(node->text) : -1;
    if (op >= 0) {
        ((struct feature_source *)target)->op = (enum feature_op)op;
        return 0;
    }
    char allowed[400];
    size_t used = 0;
    for (size_t i = 0; i < OP_COUNT_OF_OPS && used < sizeof allowed; i++)
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", i ? ", " : "", names[i]);
    const char *nearest = node->kind == YAML_IS_SCALAR ? nearest_name(node->text, names, OP_COUNT_OF_OPS) : NULL;
    return reading_fail(reading, node->line, key, "%s is not known%s%s%s; allowed: %s", excerpt_of(node).text, nearest ? ", did you mean '" : "",
                        nearest ? nearest : "", nearest ? "'?" : "", allowed);
}

static int read_windows(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct feature_source *feature = target;
    if (node->kind != YAML_IS_SEQUENCE || !node->count)
        return reading_fail(reading, node->line, key, "must be a list of durations such as [1m, 24h]");
    if (node->count > FEATURE_WINDOWS_MAX)
        return reading_fail(reading, node->line, key, "%zu windows, more than %d", node->count, FEATURE_WINDOWS_MAX);
    feature->windows = calloc(node->count, sizeof *feature->windows);
    if (!feature->windows)
        return err_set(reading->err, "%s: no memory", reading->file);
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *item = node->items[i];
        struct feature_window *window = &feature->windows[i];
        if (item->kind != YAML_IS_SCALAR || duration_parse(item->text, false, &window->ms) < 0)
            return reading_fail(reading, item->line, key, "%s is not a duration such as 500ms, 30s, 5m, 24h or 7d", excerpt_of(item).text);
        if (item->size >= sizeof window->label || window->ms < 1 || window->ms > FEATURE_DURATION_MAX_MS)
            return reading_fail(reading, item->line, key, "%s is out of range 1ms..%s", excerpt_of(item).text, FEATURE_DURATION_MAX_TEXT);
        memcpy(window->label, item->text, item->size + 1);
        feature->window_count = i + 1;
    }
    return 0;
}

static int read_values(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct feature_source *feature = target;
    return literals_read(reading, key, node, &feature->values, &feature->value_count);
}

static int read_where(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct feature_source *feature = target;
    if (options_check_keys(reading, "features[].where", key, node) < 0)
        return -1;
    const struct yaml_node *field = yaml_find(node, "field");
    if (!field)
        return reading_fail(reading, node->line, key, "field is missing: the field that decides which events count");
    if (option_read_text(reading, key, field, &feature->where_field) < 0 || predicate_read(reading, key, node, &feature->where) < 0)
        return -1;
    feature->has_where = true;
    return 0;
}

static int read_current(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    bool exclude = node->kind == YAML_IS_SCALAR && !strcmp(node->text, "exclude");
    if (!exclude && (node->kind != YAML_IS_SCALAR || strcmp(node->text, "include")))
        return reading_fail(reading, node->line, key, "%s is not known; allowed: include or exclude", excerpt_of(node).text);
    ((struct feature_source *)target)->exclude_current = exclude;
    return 0;
}

#define AT(member) .at = offsetof(struct feature_spec_source, member)
#define IN(member) .at = offsetof(struct feature_source, member)
#define HAS(member) .has_at = offsetof(struct feature_source, member)
#define ONE_ENTITY "Windows are kept per `entity` of the file; features over entities that cross partitions need a repartition topic, which this version does not have."

_Static_assert(offsetof(struct feature_source, line) == 0, "records begin with their line");

static const struct config_option rows[] = {
    {"version", OPTION_INT, .at = OPTION_NOWHERE, .min = 1, .max = 1, .required = true, .meaning = "Version of this format: 1."},
    {"id", OPTION_TEXT, AT(id), .required = true, .meaning = "Field that is unique per event: string, int or long."},
    {"entity", OPTION_TEXT, AT(entity), .required = true, .meaning = "Field that the windows are kept by; the input topic is partitioned by it. String, int or long."},
    {"time", OPTION_TEXT, AT(time), .required = true, .meaning = "Field of the event time: long, milliseconds since the epoch."},
    {"lateness", OPTION_DURATION, AT(lateness_ms), .required = true, .min = 0, .max = FEATURE_DURATION_MAX_MS, .meaning = "Events this late still see complete windows."},
    {"future_skew", OPTION_DURATION, AT(future_skew_ms), .required = true, .min = 0, .max = FEATURE_DURATION_MAX_MS,
     .meaning = "Events further ahead of their record's timestamp are rejected (`future`)."},
    {"max_age", OPTION_DURATION, AT(max_age_ms), .min = 0, .max = FEATURE_DURATION_MAX_MS, .meaning = "Events older than this at their record's timestamp are rejected (`stale`)."},
    {"max_events_per_entity", OPTION_INT64, AT(max_events_per_entity), .preset = "4096", .min = 1, .max = FEATURE_EVENTS_PER_ENTITY_MAX,
     .meaning = "Events kept of one entity, the newest."},
    {"features", OPTION_RECORDS, AT(features), .count_at = offsetof(struct feature_spec_source, count), .entry_size = sizeof(struct feature_source), .required = true,
     .least = 1, .most = FEATURES_MAX, .meaning = "The columns of the vector, in order."},
    {"features[].name", OPTION_TEXT, IN(name), .required = true, .meaning = "Name of the column; with windows `<name>_<window>`."},
    {"features[].op", OPTION_READ, .read = read_op, .required = true, .shape = "text",
     .meaning = "`value`, `equals`, `in`, `code`, `hour_of_day`, `day_of_week`, `count`, `sum`, `min`, `max`, `mean`, `std`, `zscore`, `ratio`, `distinct`, `same`, `since_last`, `since_first` or `speed_kmh`."},
    {"features[].field", OPTION_TEXT, IN(field), .meaning = "The field that it is made of; dots reach into nested records."},
    {"features[].windows", OPTION_READ, .read = read_windows, .shape = "list of durations", .meaning = "One column for each."},
    {"features[].scale", OPTION_REAL, IN(scale), HAS(has_scale), .meaning = "The result is multiplied by this."},
    {"features[].fixed", OPTION_REAL, IN(fixed), HAS(has_fixed), .meaning = "A float field becomes the whole number llrint(x / fixed); windows of floats need it."},
    {"features[].offset", OPTION_DURATION, IN(offset_ms), .signed_duration = true, .min = -86400000.0, .max = 86400000.0,
     .meaning = "Of hour_of_day and day_of_week: added to UTC; may have a sign."},
    {"features[].values", OPTION_READ, .read = read_values, .shape = "list of values", .meaning = "What equals, in and code compare with."},
    {"features[].where", OPTION_READ, .read = read_where, .shape = "mapping", .meaning = "Only events that meet this are in the window; a null field does not."},
    {"features[].where.field", OPTION_READ, .shape = "text", .meaning = "The field that decides."},
    {"features[].where.in", OPTION_READ, .shape = "list of values", .meaning = "It is one of these,"},
    {"features[].where.not_in", OPTION_READ, .shape = "list of values", .meaning = "or none of these,"},
    {"features[].where.min", OPTION_READ, .shape = "number", .meaning = "or at least this"},
    {"features[].where.max", OPTION_READ, .shape = "number", .meaning = "and at most this."},
    {"features[].current", OPTION_READ, .preset = "include", .read = read_current, .shape = "`include` or `exclude`", .meaning = "Whether the current event is in its own window."},
    {"features[].lat", OPTION_TEXT, IN(lat), .meaning = "Field of the latitude, of speed_kmh."},
    {"features[].lon", OPTION_TEXT, IN(lon), .meaning = "Field of the longitude, of speed_kmh."},
    {"features[].entity", OPTION_LATER, .meaning = ONE_ENTITY},
    {"features[].key", OPTION_LATER, .meaning = ONE_ENTITY},
    {"stages", OPTION_LATER, .meaning = ONE_ENTITY},
    {"entities", OPTION_LATER, .meaning = ONE_ENTITY},
};

const struct option_table feature_options = {rows, sizeof rows / sizeof *rows};

static int read_source(const char *path, const struct yaml_node *root, struct feature_spec_source *source, struct err *err)
{
    *source = (struct feature_spec_source){.max_age_ms = -1};
    if (!(source->file = strdup(path)))
        return err_set(err, "%s: no memory", path);
    struct reading reading = {.file = path, .dir = "", .table = &feature_options, .err = err};
    return options_read(&reading, root, source);
}

int feature_file_load(const char *path, struct field_set *fields, struct feature_spec **out, struct err *err)
{
    char *text;
    size_t size;
    if (file_read(path, YAML_TEXT_MAX, &text, &size, err) < 0)
        return -1;
    struct yaml_node *root;
    int result = yaml_parse(path, text, size, &root, err);
    free(text);
    if (result < 0)
        return -1;
    struct feature_spec_source source;
    result = read_source(path, root, &source, err);
    if (result < 0)
        feature_spec_source_finish(&source);
    else
        result = feature_spec_create(&source, fields, out, err);
    yaml_destroy(root);
    return result;
}
