#include "consumer/deployment_record.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/hash.h"
#include "consumer/kafka/offsets.h"

enum { VERSION = 1, ID_MAX = 200 };

static void feature_hash(const struct config *config, char hex[65])
{
    uint8_t digest[32];
    sha256(config->spec->canonical, strlen(config->spec->canonical), digest);
    sha256_hex(digest, hex);
}

/* ---- writing ---- */

static json_t *thresholds_of(struct thresholds t)
{
    return json_pack("{s:f, s:f}", "review", t.review, "decline", t.decline);
}

static json_t *model_of(const struct deployed_model *m)
{
    char hex[65];
    if (!m->id)
        return json_null();
    sha256_hex(m->sha256, hex);
    return json_pack("{s:s, s:s, s:I, s:o, s:b}", "id", m->id, "sha256", hex, "below", (json_int_t)m->below, "decision", thresholds_of(m->thresholds), "always_valid",
        m->always_valid);
}

static json_t *number_or_null(float v)
{
    return isfinite(v) ? json_real((double)v) : json_null();
}

/* Ranges decide a prediction only where they degrade it. */
static json_t *ranges_of(const struct deployment *d, const struct config *config)
{
    const struct deployment_settings *s = &d->settings;
    json_t *list = json_array();
    if (!s->least || s->on_range != RANGE_DEGRADE)
        return list;
    for (size_t i = 0; i < config->spec->count; i++)
        json_array_append_new(list, json_pack("[o, o]", number_or_null(s->least[i]), number_or_null(s->greatest[i])));
    return list;
}

char *deployment_record_write(const struct deployment *d, const struct config *config)
{
    const struct deployment_settings *s = &d->settings;
    char spec[65], rules[17];
    feature_hash(config, spec);
    snprintf(rules, sizeof rules, "%016llx", (unsigned long long)rules_hash(config));
    json_t *shadows = json_array();
    for (size_t i = 0; i < d->shadow_count; i++)
        json_array_append_new(shadows, model_of(&d->shadows[i]));
    json_t *breaker = json_pack("{s:f, s:I, s:I, s:I}", "failure_percent", s->breaker.failure_percent, "window_ms", (json_int_t)s->breaker.window_ms, "min_calls",
        (json_int_t)s->breaker.min_calls, "recovery_ms", (json_int_t)s->breaker.recovery_ms);
    json_t *whole = json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:s?, s:o, s:f, s:i, s:f, s:o, s:I, s:s, s:o}", "version", (int)VERSION, "feature_spec_sha256", spec,
        "rules", rules, "champion", model_of(&d->champion), "canary", model_of(&d->canary), "fallback", model_of(&d->fallback), "shadows", shadows, "salt", s->salt,
        "decision", thresholds_of(s->thresholds), "fallback_score", s->fallback_score, "reasons_top", s->reasons_top, "reasons_min_score", s->reasons_min_score, "breaker",
        breaker, "max_missing_features", (json_int_t)s->max_missing_features, "on_range", s->on_range == RANGE_DEGRADE ? "degrade" : "count", "ranges", ranges_of(d, config));
    char *text = json_dumps(whole, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    assert(text);
    json_decref(whole);
    if (strlen(text) <= DEPLOYMENT_RECORD_MAX)
        return text;
    free(text);
    return NULL;
}

/* ---- reading: false at the first thing that is not as it was written ---- */

static bool read_real(const json_t *object, const char *key, double least, double greatest, double *out)
{
    const json_t *value = json_object_get(object, key);
    double v = json_number_value(value);
    if (!json_is_number(value) || !(v >= least && v <= greatest))
        return false;
    *out = v;
    return true;
}

static bool read_whole(const json_t *object, const char *key, int64_t least, int64_t greatest, int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    int64_t v = json_integer_value(value);
    if (!json_is_integer(value) || v < least || v > greatest)
        return false;
    *out = v;
    return true;
}

static bool read_thresholds(const json_t *object, struct thresholds *out)
{
    const json_t *t = json_object_get(object, "decision");
    return read_real(t, "review", 0, 1, &out->review) && read_real(t, "decline", 0, 1, &out->decline);
}

static bool read_model(const json_t *object, struct deployed_model *out)
{
    const char *id = json_string_value(json_object_get(object, "id")), *hex = json_string_value(json_object_get(object, "sha256"));
    int64_t below;
    if (!id || !*id || strlen(id) > ID_MAX || !hex || !sha256_parse(hex, out->sha256) || !read_whole(object, "below", 0, 10000, &below) ||
        !read_thresholds(object, &out->thresholds))
        return false;
    out->below = (uint32_t)below;
    out->always_valid = json_is_true(json_object_get(object, "always_valid"));
    out->id = strdup(id);
    assert(out->id);
    return true;
}

static bool read_models(const json_t *whole, struct deployment *d)
{
    const json_t *canary = json_object_get(whole, "canary"), *fallback = json_object_get(whole, "fallback"), *shadows = json_object_get(whole, "shadows");
    if (!read_model(json_object_get(whole, "champion"), &d->champion) || !(json_is_null(canary) || read_model(canary, &d->canary)) ||
        !(json_is_null(fallback) || read_model(fallback, &d->fallback)) || !json_is_array(shadows) || json_array_size(shadows) > SHADOWS_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(shadows); i++)
        if (!read_model(json_array_get(shadows, i), &d->shadows[d->shadow_count++]))
            return false;
    return true;
}

static bool read_breaker(const json_t *object, struct breaker_rules *b)
{
    return read_real(object, "failure_percent", 0, 100, &b->failure_percent) && read_whole(object, "window_ms", 1, INT64_MAX / 4, &b->window_ms) &&
           read_whole(object, "min_calls", 1, INT64_MAX / 4, &b->min_calls) && read_whole(object, "recovery_ms", 1, INT64_MAX / 4, &b->recovery_ms);
}

static float end_of(const json_t *value, float open)
{
    return json_is_number(value) ? (float)json_number_value(value) : open;
}

static bool read_ranges(const json_t *list, size_t columns, struct deployment_settings *s)
{
    if (!json_is_array(list) || (json_array_size(list) && json_array_size(list) != columns))
        return false;
    if (!json_array_size(list))
        return true;
    s->least = calloc(columns + 1, sizeof *s->least);
    s->greatest = calloc(columns + 1, sizeof *s->greatest);
    assert(s->least && s->greatest);
    for (size_t i = 0; i < columns; i++) {
        const json_t *range = json_array_get(list, i);
        if (json_array_size(range) != 2)
            return false;
        s->least[i] = end_of(json_array_get(range, 0), -INFINITY);
        s->greatest[i] = end_of(json_array_get(range, 1), INFINITY);
    }
    return true;
}

static bool read_settings(const json_t *whole, size_t columns, struct deployment_settings *s)
{
    const char *salt = json_string_value(json_object_get(whole, "salt")), *on_range = json_string_value(json_object_get(whole, "on_range"));
    int64_t top;
    if (!read_thresholds(whole, &s->thresholds) || !read_real(whole, "fallback_score", 0, 1, &s->fallback_score) || !read_whole(whole, "reasons_top", 0, 32, &top) ||
        !read_real(whole, "reasons_min_score", 0, 1, &s->reasons_min_score) || !read_breaker(json_object_get(whole, "breaker"), &s->breaker) ||
        !read_whole(whole, "max_missing_features", 0, INT64_MAX, &s->max_missing_features) || !on_range || (strcmp(on_range, "count") && strcmp(on_range, "degrade")))
        return false;
    s->reasons_top = (int)top;
    s->on_range = strcmp(on_range, "count") ? RANGE_DEGRADE : RANGE_COUNT;
    s->salt = salt ? strdup(salt) : NULL;
    return read_ranges(json_object_get(whole, "ranges"), columns, s);
}

bool deployment_record_fits(const struct config *config, const char *record)
{
    char hex[65];
    json_t *whole = json_loads(record, JSON_REJECT_DUPLICATES, NULL);
    const char *spec = json_string_value(json_object_get(whole, "feature_spec_sha256"));
    feature_hash(config, hex);
    bool fits = !spec || !strcmp(spec, hex); /* what is no record is refused where it is read */
    json_decref(whole);
    return fits;
}

int deployment_record_read(const char *record, const struct config *config, struct deployment *out, struct err *err)
{
    char hex[65];
    json_t *whole = json_loads(record, JSON_REJECT_DUPLICATES, NULL);
    const char *spec = json_string_value(json_object_get(whole, "feature_spec_sha256"));
    feature_hash(config, hex);
    int result = 0;
    if (!spec || json_integer_value(json_object_get(whole, "version")) != VERSION)
        result = err_set(err, "a recorded deployment cannot be read: it is damaged, or of another version of weir");
    else if (strcmp(spec, hex))
        result = err_set(err, "a recorded deployment is of another feature file (sha256 %.64s) than %s (%s)", spec, config->features, hex);
    else if (!read_models(whole, out) || !read_settings(whole, config->spec->count, &out->settings) || (out->canary.id && !out->settings.salt))
        result = err_set(err, "a recorded deployment cannot be read: it is damaged");
    json_decref(whole);
    return result;
}
