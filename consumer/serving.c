#include "consumer/serving.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/hash.h"
#include "scoring/breaker.h"

enum { BREAKERS_MAX = 8, MODEL_ID_MAX = 200, FORMAT = 1 };

struct model_breaker {
    uint8_t sha256[32];
    struct breaker breaker;
};

/* A deployment that is to come into force. */
struct scheduled {
    int64_t first_offset;
    char *record;
};

struct serving {
    char *record;  /* the deployment in force; NULL: none yet */
    int64_t since; /* the first offset that it served */
    char *before_id; /* the champion before its own; NULL: none */
    uint8_t before_sha256[32];
    size_t breaker_count;
    struct model_breaker breakers[BREAKERS_MAX];
    size_t scheduled_count;
    struct scheduled *scheduled; /* by first_offset */
};

struct serving *serving_create(void)
{
    struct serving *s = calloc(1, sizeof *s);
    assert(s);
    s->since = -1;
    return s;
}

static void forget_in_force(struct serving *s)
{
    free(s->record);
    free(s->before_id);
    s->record = s->before_id = NULL;
    s->since = -1;
    s->breaker_count = 0;
}

void serving_reset(struct serving *s)
{
    forget_in_force(s);
    for (size_t i = 0; i < s->scheduled_count; i++)
        free(s->scheduled[i].record);
    s->scheduled_count = 0;
}

void serving_destroy(struct serving *s)
{
    if (!s)
        return;
    serving_reset(s);
    free(s->scheduled);
    free(s);
}

/* ---- export and import ---- */

static json_t *export_breaker(const struct model_breaker *m)
{
    char hex[65];
    json_t *buckets = json_array();
    sha256_hex(m->sha256, hex);
    for (int i = 0; i < BREAKER_BUCKETS; i++) {
        const struct breaker_bucket *b = &m->breaker.buckets[i];
        if (b->index != BREAKER_NEVER)
            json_array_append_new(buckets, json_pack("[I, I, I]", (json_int_t)b->index, (json_int_t)b->calls, (json_int_t)b->failures));
    }
    json_t *opened = m->breaker.opened_ms == BREAKER_NEVER ? json_null() : json_integer(m->breaker.opened_ms);
    return json_pack("{s:s, s:o, s:o}", "sha256", hex, "opened_ms", opened, "buckets", buckets);
}

void serving_export(const struct serving *s, struct buffer *out)
{
    char hex[65];
    json_t *whole = json_pack("{s:i, s:I, s:s?, s:n}", "format", (int)FORMAT, "since", (json_int_t)s->since, "deployment", s->record, "before");
    json_t *breakers = json_array();
    assert(whole && breakers);
    if (s->before_id) {
        sha256_hex(s->before_sha256, hex);
        json_object_set_new(whole, "before", json_pack("{s:s, s:s}", "id", s->before_id, "sha256", hex));
    }
    for (size_t i = 0; i < s->breaker_count; i++)
        json_array_append_new(breakers, export_breaker(&s->breakers[i]));
    json_object_set_new(whole, "breakers", breakers);
    char *text = json_dumps(whole, JSON_COMPACT | JSON_SORT_KEYS);
    assert(text && strlen(text) <= SERVING_BYTES_MAX);
    put_bytes_raw(out, text, strlen(text));
    free(text);
    json_decref(whole);
}

static bool read_hash(const json_t *object, uint8_t sha256[32])
{
    const char *hex = json_string_value(json_object_get(object, "sha256"));
    return hex && sha256_parse(hex, sha256);
}

static bool import_bucket(const json_t *row, struct breaker *breaker)
{
    for (size_t i = 0; i < 3; i++)
        if (!json_is_integer(json_array_get(row, i)))
            return false;
    struct breaker_bucket b = {json_integer_value(json_array_get(row, 0)), json_integer_value(json_array_get(row, 1)), json_integer_value(json_array_get(row, 2))};
    if (json_array_size(row) != 3 || b.index == BREAKER_NEVER || b.failures < 0 || b.calls < b.failures)
        return false;
    breaker->buckets[(b.index % BREAKER_BUCKETS + BREAKER_BUCKETS) % BREAKER_BUCKETS] = b;
    return true;
}

static bool import_breaker(const json_t *object, struct model_breaker *m)
{
    const json_t *opened = json_object_get(object, "opened_ms"), *buckets = json_object_get(object, "buckets"), *row;
    size_t i;
    m->breaker = breaker_closed();
    if (!read_hash(object, m->sha256) || !(json_is_null(opened) || json_is_integer(opened)) || !json_is_array(buckets) || json_array_size(buckets) > BREAKER_BUCKETS)
        return false;
    m->breaker.opened_ms = json_is_null(opened) ? BREAKER_NEVER : json_integer_value(opened);
    json_array_foreach(buckets, i, row) if (!import_bucket(row, &m->breaker)) return false;
    return true;
}

static bool import_before(const json_t *before, struct serving *s)
{
    const char *id = json_string_value(json_object_get(before, "id"));
    if (json_is_null(before))
        return true;
    if (!id || !*id || strlen(id) > MODEL_ID_MAX || !read_hash(before, s->before_sha256))
        return false;
    s->before_id = strdup(id);
    assert(s->before_id);
    return true;
}

static bool import_whole(const json_t *whole, struct serving *s)
{
    const json_t *record = json_object_get(whole, "deployment"), *since = json_object_get(whole, "since"), *breakers = json_object_get(whole, "breakers");
    if (json_integer_value(json_object_get(whole, "format")) != FORMAT || !json_is_integer(since) || !(json_is_null(record) || json_is_string(record)) ||
        !json_is_array(breakers) || json_array_size(breakers) > BREAKERS_MAX)
        return false;
    s->since = json_integer_value(since);
    s->record = json_is_string(record) ? strdup(json_string_value(record)) : NULL;
    for (; s->breaker_count < json_array_size(breakers); s->breaker_count++)
        if (!import_breaker(json_array_get(breakers, s->breaker_count), &s->breakers[s->breaker_count]))
            return false;
    return import_before(json_object_get(whole, "before"), s);
}

int serving_import(struct serving *s, const void *bytes, size_t size, struct err *err)
{
    json_error_t error;
    struct serving new = {.since = -1};
    json_t *whole = size <= SERVING_BYTES_MAX ? json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error) : NULL;
    bool good = whole && import_whole(whole, &new);
    json_decref(whole);
    if (!good) {
        forget_in_force(&new);
        return err_set(err, "these bytes are no serving state of this version");
    }
    forget_in_force(s);
    new.scheduled = s->scheduled;
    new.scheduled_count = s->scheduled_count;
    *s = new;
    return 0;
}

/* ---- schedule ---- */

int serving_schedule(struct serving *s, int64_t first_offset, const void *record, size_t size, struct err *err)
{
    json_error_t error;
    json_t *parsed = size <= SERVING_BYTES_MAX ? json_loadb(record, size, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return err_set(err, "the deployment recorded at offset %lld is damaged", (long long)first_offset);
    }
    json_decref(parsed);
    size_t at = s->scheduled_count;
    while (at > 0 && s->scheduled[at - 1].first_offset > first_offset)
        at--;
    bool replaces = at > 0 && s->scheduled[at - 1].first_offset == first_offset;
    if (!replaces && s->scheduled_count == SERVING_SCHEDULE_MAX)
        return err_set(err, "more than %d deployments are recorded", SERVING_SCHEDULE_MAX);
    char *copy = strndup(record, size);
    assert(copy);
    if (replaces) {
        free(s->scheduled[at - 1].record);
        s->scheduled[at - 1].record = copy;
        return 0;
    }
    s->scheduled = realloc(s->scheduled, (s->scheduled_count + 1) * sizeof *s->scheduled);
    assert(s->scheduled);
    memmove(s->scheduled + at + 1, s->scheduled + at, (s->scheduled_count++ - at) * sizeof *s->scheduled);
    s->scheduled[at] = (struct scheduled){first_offset, copy};
    return 0;
}
