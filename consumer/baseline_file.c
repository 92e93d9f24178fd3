/* A baseline from JSON: every number in its range, every list in its length and order, every sum as it must be. */
#include "consumer/baseline_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline/reading.h"
#include "consumer/file.h"
#include "monitor/baseline_parts.h"

/* ---- segments ---- */

static int read_part(struct reading *r, json_t *object, const char *const *names, size_t count, struct baseline_part *part)
{
    if (reading_known_keys(r, object, KEYS("value", "events", "features", "score", "outcome")) < 0 || reading_text(r, object, "value", false, &part->value) < 0)
        return -1;
    if (!(part->features = baseline_columns_create(count)))
        return reading_memory_is_short(r);
    part->score.gain = part->score.contribution = part->score.contribution_std = NAN;
    size_t before = reading_enter(r, "value", part->value);
    int result = reading_count(r, object, "events", &part->events);
    if (result == 0)
        result = reading_features(r, json_object_get(object, "features"), names, count, part->features);
    if (result == 0)
        result = reading_scores(r, object, &part->score, &part->has_score, &part->outcome);
    reading_leave(r, before);
    return result;
}

static int read_parts(struct reading *r, json_t *object, const char *const *names, size_t count, struct baseline_segment *segment)
{
    size_t n;
    if (reading_list(r, object, "parts", BASELINE_PARTS_MAX, &n) < 0)
        return -1;
    if (!(segment->parts = calloc(n + 1, sizeof *segment->parts)))
        return reading_memory_is_short(r);
    for (size_t i = 0; i < n; i++) {
        segment->part_count = i + 1;
        if (read_part(r, json_array_get(json_object_get(object, "parts"), i), names, count, &segment->parts[i]) < 0)
            return -1;
    }
    return 0;
}

static int read_segment(struct reading *r, json_t *object, const char *const *names, const struct baseline *baseline, struct baseline_segment *segment)
{
    if (reading_known_keys(r, object, KEYS("field", "missing", "missing_hours", "categories", "parts")) < 0 ||
        reading_text(r, object, "field", false, &segment->field) < 0)
        return -1;
    size_t before = reading_enter(r, "segment", segment->field);
    int result = reading_count(r, object, "missing", &segment->missing);
    if (result == 0)
        result = reading_hours(r, object, "missing_hours", &segment->missing, 1, &segment->missing_hours);
    if (result == 0)
        result = reading_categories(r, json_object_get(object, "categories"), false, baseline->sampled - segment->missing, &segment->categories);
    if (result == 0)
        result = read_parts(r, object, names, baseline->count, segment);
    reading_leave(r, before);
    return result;
}

static int read_segments(struct reading *r, json_t *root, const char *const *names, struct baseline *baseline)
{
    size_t n;
    if (reading_list(r, root, "segments", BASELINE_SEGMENTS_MAX, &n) < 0)
        return -1;
    if (!(baseline->segments = calloc(n + 1, sizeof *baseline->segments)))
        return reading_memory_is_short(r);
    for (size_t i = 0; i < n; i++) {
        baseline->segment_count = i + 1;
        if (read_segment(r, json_array_get(json_object_get(root, "segments"), i), names, baseline, &baseline->segments[i]) < 0)
            return -1;
    }
    return 0;
}

/* ---- the whole ---- */

static int read_hash(const struct reading *r, json_t *value, uint8_t hash[32])
{
    static const char digits[] = "0123456789abcdef";
    const char *text = json_string_value(value);
    if (!text || strlen(text) != 64 || strspn(text, digits) != 64)
        return reading_refuse(r, "`feature_spec_sha256` must be 64 hexadecimal digits");
    for (size_t i = 0; i < 32; i++)
        hash[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) * 16 + (strchr(digits, text[2 * i + 1]) - digits));
    return 0;
}

static int read_rejects(const struct reading *r, json_t *root, struct baseline *baseline)
{
    size_t n;
    if (reading_list(r, root, "rejects", BASELINE_REJECTS_MAX, &n) < 0)
        return -1;
    if (!(baseline->rejects = calloc(n + 1, sizeof *baseline->rejects)))
        return reading_memory_is_short(r);
    for (size_t i = 0; i < n; i++) {
        json_t *object = json_array_get(json_object_get(root, "rejects"), i);
        struct baseline_reject *reject = &baseline->rejects[i];
        baseline->reject_count = i + 1;
        if (reading_known_keys(r, object, KEYS("reason", "field", "count")) < 0 || reading_text(r, object, "reason", false, &reject->reason) < 0 ||
            reading_text(r, object, "field", true, &reject->field) < 0 || reading_count(r, object, "count", &reject->count) < 0)
            return -1;
    }
    return 0;
}

static int read_distincts(const struct reading *r, json_t *root, struct baseline *baseline)
{
    size_t n;
    if (reading_list(r, root, "distinct", 4096, &n) < 0)
        return -1;
    if (!(baseline->distincts = calloc(n + 1, sizeof *baseline->distincts)))
        return reading_memory_is_short(r);
    for (size_t i = 0; i < n; i++) {
        json_t *object = json_array_get(json_object_get(root, "distinct"), i);
        struct baseline_distinct *d = &baseline->distincts[i];
        baseline->distinct_count = i + 1;
        if (reading_known_keys(r, object, KEYS("field", "window_ms", "windows", "mean")) < 0 || reading_text(r, object, "field", false, &d->field) < 0 ||
            reading_count(r, object, "window_ms", &d->window_ms) < 0 || reading_count(r, object, "windows", &d->windows) < 0 ||
            reading_number(r, object, "mean", &d->mean) < 0)
            return -1;
    }
    return 0;
}

static int read_times(const struct reading *r, json_t *root, struct baseline *b)
{
    if (reading_absent(json_object_get(root, "from_ms")) && reading_absent(json_object_get(root, "to_ms")))
        return 0;
    if (reading_count(r, root, "from_ms", &b->from_ms) < 0 || reading_count(r, root, "to_ms", &b->to_ms) < 0 ||
        reading_counts(r, root, "hour_events", BASELINE_HOURS, b->hour_events) < 0 ||
        reading_counts(r, root, "hour_covered_ms", BASELINE_HOURS, b->hour_covered_ms) < 0)
        return -1;
    return b->from_ms <= b->to_ms && reading_total(b->hour_events, BASELINE_HOURS) == b->events
               ? 0
               : reading_refuse(r, "`from_ms` is after `to_ms`, or `hour_events` does not add up to `events`");
}

static int read_totals(const struct reading *r, json_t *root, struct baseline *b)
{
    if (reading_count(r, root, "events", &b->events) < 0 || reading_count(r, root, "sampled", &b->sampled) < 0 ||
        reading_count(r, root, "records", &b->records) < 0 || read_times(r, root, b) < 0)
        return -1;
    return b->sampled <= b->events && b->events <= b->records ? 0 : reading_refuse(r, "`sampled` is over `events`, or `events` over `records`");
}

static int read_baseline(struct reading *r, json_t *root, const char *const *names, struct baseline *b)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    if (!format || strcmp(format, "weir-baseline") != 0)
        return reading_refuse(r, "not a baseline (`format` is not \"weir-baseline\")");
    json_t *version = json_object_get(root, "version");
    if (!json_is_integer(version) || json_integer_value(version) != BASELINE_FILE_VERSION)
        return reading_refuse(r, "`version` is not %d, the one that this weir reads", BASELINE_FILE_VERSION);
    if (reading_known_keys(r, root, KEYS("format", "version", "feature_spec_sha256", "model_id", "from_ms", "to_ms", "events", "sampled", "records", "rejects",
                                     "hour_events", "hour_covered_ms", "features", "score", "outcome", "segments", "distinct")) < 0 ||
        read_hash(r, json_object_get(root, "feature_spec_sha256"), b->feature_spec_sha256) < 0 ||
        reading_text(r, root, "model_id", true, &b->model_id) < 0 || read_totals(r, root, b) < 0 || read_rejects(r, root, b) < 0 ||
        reading_features(r, json_object_get(root, "features"), names, b->count, b->features) < 0 ||
        reading_scores(r, root, &b->score, &b->has_score, &b->outcome) < 0 || read_segments(r, root, names, b) < 0)
        return -1;
    return read_distincts(r, root, b);
}

int baseline_file_parse(const char *path, const char *json, size_t size, const char *const *names, size_t count,
                        struct baseline **out, struct err *err)
{
    struct reading r = {.path = path, .err = err};
    json_error_t where;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return err_set(err, "%s:%d: %s", path, where.line, where.text);
    struct baseline *baseline = baseline_create(count);
    int result = baseline ? read_baseline(&r, root, names, baseline) : reading_memory_is_short(&r);
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

int baseline_of_config(const struct config *config, struct baseline **out, struct err *err)
{
    const char **names = feature_spec_names(config->spec);
    if (!names)
        return err_set(err, "no memory");
    int result = baseline_file_load(config->monitor.baseline, names, config->spec->count, out, err);
    free(names);
    return result;
}
