#include "consumer/serving.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/hash.h"
#include "scoring/models/breaker.h"

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
    char *record; /* of the deployment in force, as imported: not read yet; NULL: none */
    struct deployment *deployment; /* in force, as read; NULL: none yet */
    int64_t since;                 /* the first offset that it served; -1: none */
    struct deployed_model *before; /* the champion before its own, maybe not loaded; NULL: none */
    size_t breaker_count;
    struct model_breaker breakers[BREAKERS_MAX], shadows[SHADOWS_MAX];
    size_t scheduled_count, scheduled_done;
    struct scheduled *scheduled; /* by first_offset; the first scheduled_done are in force or have been */
    bool follows_schedule;
    /* Let go when the batch is done: */
    size_t retired_count, retired_models_count;
    struct deployment **retired;
    struct deployed_model **retired_models;
};

struct serving *serving_create(void)
{
    struct serving *s = calloc(1, sizeof *s);
    assert(s);
    s->since = -1;
    return s;
}

static void destroy_model(struct deployed_model *m)
{
    if (!m)
        return;
    deployed_model_finish(m);
    free(m);
}

static void forget_in_force(struct serving *s)
{
    free(s->record);
    deployment_release(s->deployment);
    destroy_model(s->before);
    s->before = NULL;
    s->record = NULL;
    s->deployment = NULL;
    s->since = -1;
    s->breaker_count = 0;
    memset(s->shadows, 0, sizeof s->shadows);
}

void serving_settle(struct serving *s)
{
    while (s->retired_count)
        deployment_release(s->retired[--s->retired_count]);
    while (s->retired_models_count)
        destroy_model(s->retired_models[--s->retired_models_count]);
}

void serving_reset(struct serving *s)
{
    serving_settle(s);
    forget_in_force(s);
    for (size_t i = 0; i < s->scheduled_count; i++)
        free(s->scheduled[i].record);
    s->scheduled_count = s->scheduled_done = 0;
}

void serving_destroy(struct serving *s)
{
    if (!s)
        return;
    serving_reset(s);
    free(s->scheduled);
    free(s->retired);
    free(s->retired_models);
    free(s);
}

static const char *record_in_force(const struct serving *s)
{
    return s->deployment ? s->deployment->record : s->record;
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
    json_t *whole = json_pack("{s:i, s:I, s:s?, s:n}", "format", (int)FORMAT, "since", (json_int_t)s->since, "deployment", record_in_force(s), "before");
    json_t *breakers = json_array();
    assert(whole && breakers);
    if (s->before) {
        sha256_hex(s->before->sha256, hex);
        json_object_set_new(whole, "before", json_pack("{s:s, s:s}", "id", s->before->id, "sha256", hex));
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

static struct deployed_model *keep_model(struct deployed_model m)
{
    struct deployed_model *kept = malloc(sizeof *kept);
    assert(kept);
    *kept = m;
    return kept;
}

static bool import_before(const json_t *before, struct serving *s)
{
    const char *id = json_string_value(json_object_get(before, "id"));
    if (json_is_null(before))
        return true;
    struct deployed_model m = {0};
    if (!id || !*id || strlen(id) > MODEL_ID_MAX || !read_hash(before, m.sha256))
        return false;
    m.id = strdup(id);
    assert(m.id);
    s->before = keep_model(m);
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
    serving_settle(s);
    forget_in_force(s);
    s->record = new.record;
    s->since = new.since;
    s->before = new.before;
    s->breaker_count = new.breaker_count;
    memcpy(s->breakers, new.breakers, sizeof s->breakers);
    s->scheduled_done = 0;
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

void serving_take_schedule(struct serving *s, struct serving *from)
{
    for (size_t i = 0; i < s->scheduled_count; i++)
        free(s->scheduled[i].record);
    free(s->scheduled);
    s->scheduled = from->scheduled;
    s->scheduled_count = from->scheduled_count;
    s->scheduled_done = 0;
    from->scheduled = NULL;
    from->scheduled_count = from->scheduled_done = 0;
}

void serving_follow_schedule(struct serving *s)
{
    s->follows_schedule = true;
}

/* ---- the fold ---- */

static void retire(struct serving *s, struct deployment *deployment, struct deployed_model *before)
{
    if (deployment) {
        s->retired = realloc(s->retired, (s->retired_count + 1) * sizeof(struct deployment *));
        assert(s->retired);
        s->retired[s->retired_count++] = deployment;
    }
    if (before) {
        s->retired_models = realloc(s->retired_models, (s->retired_models_count + 1) * sizeof(struct deployed_model *));
        assert(s->retired_models);
        s->retired_models[s->retired_models_count++] = before;
    }
}

static bool is(const struct deployed_model *m, const uint8_t sha[32])
{
    return m && m->id && !memcmp(m->sha256, sha, 32);
}

static bool rules_equal(const struct breaker_rules *a, const struct breaker_rules *b)
{
    return a->failure_percent == b->failure_percent && a->window_ms == b->window_ms && a->min_calls == b->min_calls && a->recovery_ms == b->recovery_ms;
}

/* Breakers go with their models; other rules count anew, but an open one stays open. */
static void keep_breakers(struct serving *s, bool same_rules)
{
    const struct deployment *d = s->deployment;
    size_t kept = 0;
    for (size_t i = 0; i < s->breaker_count; i++) {
        const uint8_t *sha = s->breakers[i].sha256;
        if (!is(&d->champion, sha) && !is(&d->canary, sha) && !is(&d->fallback, sha) && !is(s->before, sha))
            continue;
        s->breakers[kept] = s->breakers[i];
        if (!same_rules)
            breaker_clear(&s->breakers[kept].breaker);
        kept++;
    }
    s->breaker_count = kept;
    for (size_t i = 0; i < SHADOWS_MAX; i++)
        if (i >= d->shadow_count || !is(&d->shadows[i], s->shadows[i].sha256))
            s->shadows[i] = (struct model_breaker){.breaker = breaker_closed()};
    for (size_t i = 0; i < d->shadow_count; i++)
        memcpy(s->shadows[i].sha256, d->shadows[i].sha256, 32);
}

/* Takes the reference. */
static void swap(struct serving *s, struct deployment *d, int64_t offset)
{
    struct deployment *old = s->deployment;
    struct deployed_model *before = NULL;
    if (old && memcmp(old->champion.sha256, d->champion.sha256, 32) != 0) {
        before = s->before;
        s->before = keep_model(deployed_model_share(&old->champion));
    }
    s->deployment = d;
    s->since = offset;
    keep_breakers(s, old && rules_equal(&old->settings.breaker, &d->settings.breaker));
    retire(s, old, before);
}

/* From the shelf if it is there, else without its models for now. */
static int read_record(const struct serving_turn *turn, const char *record, struct deployment **out, struct err *err)
{
    struct deployment *known = deployment_shelf_find(turn->shelf, record);
    if (!known)
        return deployment_outline(turn->config, record, out, err);
    *out = deployment_retain(known);
    return 0;
}

/* What was imported, read. */
static int read_imported(struct serving *s, const struct serving_turn *turn, struct err *err)
{
    struct deployment *d;
    if (!s->record)
        return 0;
    if (read_record(turn, s->record, &d, err) < 0)
        return -1;
    free(s->record);
    s->record = NULL;
    s->deployment = d;
    keep_breakers(s, true);
    return 0;
}

/* Served by other features than these: nothing that is known here follows from it. */
static void abandon(struct serving *s)
{
    retire(s, s->deployment, s->before);
    s->deployment = NULL;
    s->before = NULL;
    s->breaker_count = 0;
}

static int take_scheduled(struct serving *s, const struct serving_turn *turn, int64_t offset, struct err *err)
{
    while (s->scheduled_done < s->scheduled_count) {
        const struct scheduled *next = &s->scheduled[s->scheduled_done];
        bool first = s->follows_schedule && !s->deployment;
        if (next->first_offset > offset && !first)
            return 0;
        struct deployment *d;
        if (next->first_offset <= s->since || (s->deployment && !strcmp(next->record, s->deployment->record))) {
            ; /* in force already */
        } else if (!s->follows_schedule && !deployment_record_fits(turn->config, next->record)) {
            abandon(s);
        } else {
            if (read_record(turn, next->record, &d, err) < 0)
                return err_prefix(err, "offset %lld", (long long)next->first_offset);
            swap(s, d, next->first_offset);
        }
        s->scheduled_done++;
    }
    return 0;
}

/* Whether the champion's answer may be none. */
static bool asks_before(const struct serving *s)
{
    return !s->deployment->fallback.id && !s->deployment->champion.always_valid && s->before;
}

static int equip(struct serving *s, const struct serving_turn *turn, struct err *err)
{
    struct deployment *d = s->deployment;
    if (!d->champion.model && deployment_equip(d, turn->config, turn->shelf, err) < 0)
        return -1;
    if (!asks_before(s) || s->before->model)
        return 0;
    struct deployed_model found;
    if (deployed_model_find(turn->config, turn->shelf, s->before->id, s->before->sha256, &found, err) < 0)
        return err_prefix(err, "the champion before %s, which answers if that one does not", d->champion.id);
    destroy_model(s->before); /* nobody has asked it */
    s->before = keep_model(found);
    return 0;
}

static bool may_fail(const struct deployment *d)
{
    return !d->champion.always_valid || (d->canary.id && !d->canary.always_valid);
}

int serving_advance(struct serving *s, const struct serving_turn *turn, int64_t offset, int64_t *until, bool *swapped, struct err *err)
{
    *swapped = false;
    if (read_imported(s, turn, err) < 0 || take_scheduled(s, turn, offset, err) < 0)
        return -1;
    bool by_schedule = s->follows_schedule && s->scheduled_count;
    if (!turn->suppressed && turn->configured && !by_schedule && (!s->deployment || strcmp(s->deployment->record, turn->configured->record))) {
        swap(s, deployment_retain(turn->configured), offset);
        *swapped = true;
    }
    *until = s->scheduled_done < s->scheduled_count ? s->scheduled[s->scheduled_done].first_offset : INT64_MAX;
    return s->deployment && (!turn->suppressed || may_fail(s->deployment)) ? equip(s, turn, err) : 0;
}

const struct deployment *serving_deployment(const struct serving *s)
{
    return s->deployment && s->deployment->champion.model ? s->deployment : NULL;
}

int64_t serving_since(const struct serving *s)
{
    return s->deployment ? s->since : -1;
}

static struct breaker *breaker_of(struct serving *s, const struct deployed_model *m)
{
    if (m->always_valid)
        return NULL;
    for (size_t i = 0; i < s->breaker_count; i++)
        if (is(m, s->breakers[i].sha256))
            return &s->breakers[i].breaker;
    assert(s->breaker_count < BREAKERS_MAX);
    struct model_breaker *new = &s->breakers[s->breaker_count++];
    new->breaker = breaker_closed();
    memcpy(new->sha256, m->sha256, sizeof new->sha256);
    return &new->breaker;
}

void serving_chain(struct serving *s, struct chain *chain, const struct deployed_model *models[CHAIN_MODELS])
{
    const struct deployment *d = s->deployment;
    models[CHAIN_CANARY] = d->canary.id ? &d->canary : NULL;
    models[CHAIN_CHAMPION] = &d->champion;
    models[CHAIN_FALLBACK] = d->fallback.id ? &d->fallback : asks_before(s) ? s->before : NULL;
    *chain = (struct chain){.rules = d->settings.breaker, .fixed_score = (float)d->settings.fallback_score, .fixed_thresholds = d->settings.thresholds};
    for (int i = 0; i < CHAIN_MODELS; i++)
        if (models[i])
            chain->models[i] = (struct chain_model){models[i]->model, breaker_of(s, models[i]), i == CHAIN_FALLBACK ? d->settings.thresholds : models[i]->thresholds};
}

struct breaker *serving_shadow_breaker(struct serving *s, size_t i)
{
    assert(i < SHADOWS_MAX);
    return &s->shadows[i].breaker;
}

static const char *id_of(const struct serving *s, const uint8_t sha[32])
{
    const struct deployed_model *models[] = {&s->deployment->champion, &s->deployment->canary, &s->deployment->fallback, s->before};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (is(models[i], sha))
            return models[i]->id;
    return "";
}

void serving_breakers(const struct serving *s, int64_t now_ms, void (*each)(void *context, const char *model_id, enum breaker_state state), void *context)
{
    for (size_t i = 0; s->deployment && i < s->breaker_count; i++) {
        enum breaker_state state = breaker_state(&s->breakers[i].breaker, &s->deployment->settings.breaker, now_ms);
        if (state != BREAKER_CLOSED)
            each(context, id_of(s, s->breakers[i].sha256), state);
    }
}
