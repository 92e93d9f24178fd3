#include "consumer/deployment.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline_file.h"
#include "consumer/deployment_record.h"
#include "consumer/file.h"
#include "consumer/hash.h"
#include "consumer/model_cache.h"

struct loaded_model {
    unsigned references;
    uint8_t sha256[32];
    struct model *model;
    size_t golden_rows;
};

/* A model file as it was read. */
struct planned_model {
    const struct model_entry *entry; /* NULL: there is none */
    const char *setting;
    uint8_t sha256[32];
    char *bytes;
    size_t size;
    uint32_t below;
    struct thresholds thresholds;
};

struct deployment_plan {
    const struct config *config;
    struct deployment_settings settings;
    struct planned_model champion, canary, fallback, shadows[SHADOWS_MAX];
    size_t shadow_count;
};

/* ---- models ---- */

static struct loaded_model *retain_model(struct loaded_model *m)
{
    __atomic_add_fetch(&m->references, 1, __ATOMIC_RELAXED);
    return m;
}

static void release_model(struct loaded_model *m)
{
    if (!m || __atomic_sub_fetch(&m->references, 1, __ATOMIC_ACQ_REL))
        return;
    model_destroy(m->model);
    free(m);
}

void deployed_model_finish(struct deployed_model *m)
{
    free(m->id);
    release_model(m->loaded);
    *m = (struct deployed_model){0};
}

struct deployed_model deployed_model_share(const struct deployed_model *m)
{
    struct deployed_model copy = *m;
    copy.id = strdup(m->id);
    assert(copy.id);
    if (copy.loaded)
        retain_model(copy.loaded);
    return copy;
}

static int check_names(const struct config *config, const struct model *model, struct err *err)
{
    const char **names = feature_spec_names(config->spec);
    assert(names);
    int result = model_check_features(model, names, config->spec->count, err);
    free(names);
    return result;
}

/* Loads and proves; `path` is where golden rows would stand beside it. */
static int load_bytes(const struct config *config, const char *path, const void *bytes, size_t size, enum golden_need golden, struct loaded_model **out, struct err *err)
{
    struct loaded_model *m = calloc(1, sizeof *m);
    assert(m);
    m->references = 1;
    sha256(bytes, size, m->sha256);
    if (model_create(bytes, size, &m->model, err) < 0 || golden_file_prove(m->model, path, golden, config->models.on_difference, &m->golden_rows, err) < 0) {
        err_prefix(err, "%s", path);
        goto failed;
    }
    if (check_names(config, m->model, err) < 0) {
        err_prefix(err, "%s does not fit %s", path, config->features);
        goto failed;
    }
    *out = m;
    return 0;
failed:
    release_model(m);
    return -1;
}

static struct loaded_model *loaded_in(const struct deployment *d, const uint8_t sha[32])
{
    if (!d)
        return NULL;
    const struct deployed_model *serving[] = {&d->champion, &d->canary, &d->fallback};
    for (size_t i = 0; i < 3 + d->shadow_count; i++) {
        const struct deployed_model *m = i < 3 ? serving[i] : &d->shadows[i - 3];
        if (m->loaded && !memcmp(m->sha256, sha, 32))
            return m->loaded;
    }
    return NULL;
}

static struct loaded_model *loaded_on(const struct deployment_shelf *shelf, const uint8_t sha[32])
{
    struct loaded_model *found = NULL;
    for (size_t i = 0; !found && i < DEPLOYMENT_SHELF_MAX; i++)
        found = loaded_in(shelf->deployments[i], sha);
    return found;
}

static void take_loaded(struct deployed_model *m, struct loaded_model *loaded)
{
    m->loaded = loaded;
    m->model = loaded->model;
    m->always_valid = model_always_valid(loaded->model);
    m->golden_rows = loaded->golden_rows;
    memcpy(m->sha256, loaded->sha256, sizeof m->sha256);
}

/* Fills what is loaded of a model whose hash is known. */
static int find_loaded(const struct config *config, const struct deployment_shelf *shelf, const struct deployment *self, struct deployed_model *m, struct err *err)
{
    struct loaded_model *shared = loaded_in(self, m->sha256);
    if (!shared)
        shared = loaded_on(shelf, m->sha256);
    if (shared) {
        take_loaded(m, retain_model(shared));
        return 0;
    }
    char *bytes, *path;
    size_t size;
    struct loaded_model *loaded;
    if (model_cache_find(config, m->id, m->sha256, &bytes, &size, &path, err) < 0)
        return -1;
    int result = load_bytes(config, path, bytes, size, GOLDEN_OFF, &loaded, err);
    free(bytes);
    free(path);
    if (result == 0)
        take_loaded(m, loaded);
    return result;
}

int deployed_model_find(const struct config *config, const struct deployment_shelf *shelf, const char *id, const uint8_t sha[32], struct deployed_model *out, struct err *err)
{
    struct deployed_model m = {.id = strdup(id), .thresholds = config->models.decision};
    assert(m.id);
    memcpy(m.sha256, sha, sizeof m.sha256);
    if (find_loaded(config, shelf, NULL, &m, err) < 0) {
        deployed_model_finish(&m);
        return -1;
    }
    *out = m;
    return 0;
}

/* ---- the plan ---- */

/* How many buckets are below 100 x percent; what binary fractions add to two decimals (1.1 x 100) is taken off. */
static uint32_t buckets_below(double percent)
{
    return (uint32_t)ceil(percent * 100 - 1e-6);
}

static int plan_model(const struct config *config, const char *setting, const struct model_entry *entry, struct planned_model *out, struct err *err)
{
    struct planned_model m = {.entry = entry, .setting = setting, .below = buckets_below(entry->percent), .thresholds = entry->has_decision ? entry->decision : config->models.decision};
    if (file_read(entry->file, MODEL_FILE_MAX, &m.bytes, &m.size, err) < 0)
        return err_prefix(err, "%s:%d: %s", config->file, entry->line, setting);
    sha256(m.bytes, m.size, m.sha256);
    *out = m;
    return 0;
}

static void open_ranges(const struct config *config, struct deployment_settings *s)
{
    if (s->least)
        return;
    s->least = calloc(config->spec->count + 1, sizeof *s->least);
    s->greatest = calloc(config->spec->count + 1, sizeof *s->greatest);
    assert(s->least && s->greatest);
    for (size_t i = 0; i < config->spec->count; i++) {
        s->least[i] = -INFINITY;
        s->greatest[i] = INFINITY;
    }
}

static int take_baseline_ranges(const struct config *config, struct deployment_settings *s, struct err *err)
{
    struct baseline *baseline = NULL;
    if (baseline_of_config(config, &baseline, err) < 0)
        return err_prefix(err, "%s: monitor.baseline", config->file);
    open_ranges(config, s);
    for (size_t i = 0; i < config->spec->count; i++)
        if (baseline->features[i].count) {
            s->least[i] = (float)baseline->features[i].min;
            s->greatest[i] = (float)baseline->features[i].max;
        }
    baseline_destroy(baseline);
    return 0;
}

static int plan_ranges(const struct config *config, struct deployment_settings *s, struct err *err)
{
    if (config->monitor.baseline && take_baseline_ranges(config, s, err) < 0)
        return -1;
    for (size_t i = 0; i < config->models.range_count; i++) {
        const struct range_entry *range = &config->models.ranges[i];
        size_t f = 0;
        open_ranges(config, s);
        while (strcmp(config->spec->features[f].name, range->feature))
            f++;
        s->least[f] = range->has_min ? (float)range->min : -INFINITY;
        s->greatest[f] = range->has_max ? (float)range->max : INFINITY;
    }
    return 0;
}

static int plan_settings(const struct config *config, struct deployment_settings *s, struct err *err)
{
    *s = (struct deployment_settings){.thresholds = config->models.decision,
        .fallback_score = config->models.fallback_score,
        .reasons_top = config->models.reasons_top,
        .reasons_min_score = config->models.reasons_min_score,
        .breaker = config->models.breaker,
        .max_missing_features = config->models.max_missing_features,
        .on_range = config->models.on_range};
    if (config->models.has_canary) {
        s->salt = strdup(config->models.canary_salt ? config->models.canary_salt : config->models.canary.id);
        assert(s->salt);
    }
    return plan_ranges(config, s, err);
}

static void finish_settings(struct deployment_settings *s)
{
    free(s->salt);
    free(s->least);
    free(s->greatest);
}

int deployment_plan_read(const struct config *config, struct deployment_plan **out, struct err *err)
{
    assert(config->models.given && config->models.shadow_count <= SHADOWS_MAX);
    struct deployment_plan *p = calloc(1, sizeof *p);
    assert(p);
    p->config = config;
    if (plan_settings(config, &p->settings, err) < 0 || plan_model(config, "models.champion", &config->models.champion, &p->champion, err) < 0 ||
        (config->models.has_canary && plan_model(config, "models.canary", &config->models.canary, &p->canary, err) < 0) ||
        (config->models.fallback.file && plan_model(config, "models.fallback", &config->models.fallback, &p->fallback, err) < 0))
        goto failed;
    for (; p->shadow_count < config->models.shadow_count; p->shadow_count++)
        if (plan_model(config, "models.shadows", &config->models.shadows[p->shadow_count], &p->shadows[p->shadow_count], err) < 0)
            goto failed;
    *out = p;
    return 0;
failed:
    deployment_plan_destroy(p);
    return -1;
}

void deployment_plan_destroy(struct deployment_plan *p)
{
    if (!p)
        return;
    finish_settings(&p->settings);
    free(p->champion.bytes);
    free(p->canary.bytes);
    free(p->fallback.bytes);
    for (size_t i = 0; i < p->shadow_count; i++)
        free(p->shadows[i].bytes);
    free(p);
}

/* ---- the deployment ---- */

static float *copy_floats(const float *from, size_t count)
{
    float *copy = from ? malloc((count + 1) * sizeof *copy) : NULL;
    if (copy)
        memcpy(copy, from, count * sizeof *copy);
    return copy;
}

static struct deployment_settings copy_settings(const struct deployment_settings *s, size_t columns)
{
    struct deployment_settings copy = *s;
    copy.salt = s->salt ? strdup(s->salt) : NULL;
    copy.least = copy_floats(s->least, columns);
    copy.greatest = copy_floats(s->greatest, columns);
    assert(!copy.salt == !s->salt && !copy.least == !s->least && !copy.greatest == !s->greatest);
    return copy;
}

static int load_planned(const struct deployment_plan *plan, const struct planned_model *planned, const struct deployment *like, const struct deployment *self,
                        struct deployed_model *out, struct err *err)
{
    const struct config *config = plan->config;
    struct deployed_model m = {.below = planned->below, .thresholds = planned->thresholds};
    struct loaded_model *loaded = loaded_in(self, planned->sha256);
    if (!planned->entry)
        return 0;
    if (!loaded)
        loaded = loaded_in(like, planned->sha256);
    if (loaded)
        retain_model(loaded);
    else if (load_bytes(config, planned->entry->file, planned->bytes, planned->size, config->models.golden, &loaded, err) < 0)
        return err_prefix(err, "%s:%d: %s", config->file, planned->entry->line, planned->setting);
    m.id = strdup(planned->entry->id);
    assert(m.id);
    take_loaded(&m, loaded);
    *out = m;
    return 0;
}

static int write_record(struct deployment *d, const struct config *config, struct err *err)
{
    d->record = deployment_record_write(d, config);
    return d->record ? 0 : err_set(err, "%s: models: the deployment's record is longer than %d bytes; fewer features can have ranges that degrade", config->file, DEPLOYMENT_RECORD_MAX);
}

int deployment_load(const struct deployment_plan *plan, const struct deployment *like, struct deployment **out, struct err *err)
{
    struct deployment *d = calloc(1, sizeof *d);
    assert(d);
    d->references = 1;
    d->settings = copy_settings(&plan->settings, plan->config->spec->count);
    if (load_planned(plan, &plan->champion, like, d, &d->champion, err) < 0 || load_planned(plan, &plan->canary, like, d, &d->canary, err) < 0 ||
        load_planned(plan, &plan->fallback, like, d, &d->fallback, err) < 0)
        goto failed;
    for (; d->shadow_count < plan->shadow_count; d->shadow_count++)
        if (load_planned(plan, &plan->shadows[d->shadow_count], like, d, &d->shadows[d->shadow_count], err) < 0)
            goto failed;
    if (write_record(d, plan->config, err) < 0)
        goto failed;
    *out = d;
    return 0;
failed:
    deployment_release(d);
    return -1;
}

static int keep_planned(const struct deployment_plan *plan, const struct planned_model *m, struct err *err)
{
    return m->entry ? model_cache_keep(plan->config, m->entry->file, m->sha256, m->bytes, m->size, err) : 0;
}

int deployment_plan_keep(const struct deployment_plan *plan, struct err *err)
{
    if (keep_planned(plan, &plan->champion, err) < 0 || keep_planned(plan, &plan->canary, err) < 0 || keep_planned(plan, &plan->fallback, err) < 0)
        return -1;
    for (size_t i = 0; i < plan->shadow_count; i++)
        if (keep_planned(plan, &plan->shadows[i], err) < 0)
            return -1;
    return 0;
}

int deployment_create(const struct config *config, struct deployment **out, struct err *err)
{
    struct deployment_plan *plan;
    if (deployment_plan_read(config, &plan, err) < 0)
        return -1;
    int result = deployment_load(plan, NULL, out, err);
    deployment_plan_destroy(plan);
    return result;
}

int deployment_outline(const struct config *config, const char *record, struct deployment **out, struct err *err)
{
    struct deployment *d = calloc(1, sizeof *d);
    assert(d);
    d->references = 1;
    d->record = strdup(record);
    assert(d->record);
    if (deployment_record_read(record, config, d, err) < 0) {
        deployment_release(d);
        return -1;
    }
    *out = d;
    return 0;
}

int deployment_equip(struct deployment *d, const struct config *config, struct deployment_shelf *shelf, struct err *err)
{
    struct deployed_model *serving[] = {&d->champion, &d->canary, &d->fallback};
    for (size_t i = 0; i < 3 + d->shadow_count; i++) {
        struct deployed_model *m = i < 3 ? serving[i] : &d->shadows[i - 3];
        if (m->id && !m->model && find_loaded(config, shelf, d, m, err) < 0)
            return -1;
    }
    deployment_shelf_put(shelf, d);
    return 0;
}

struct deployment *deployment_shelf_find(const struct deployment_shelf *shelf, const char *record)
{
    for (size_t i = 0; i < DEPLOYMENT_SHELF_MAX; i++)
        if (shelf->deployments[i] && !strcmp(shelf->deployments[i]->record, record))
            return shelf->deployments[i];
    return NULL;
}

void deployment_shelf_put(struct deployment_shelf *shelf, const struct deployment *d)
{
    if (deployment_shelf_find(shelf, d->record))
        return;
    deployment_release(shelf->deployments[shelf->next]);
    shelf->deployments[shelf->next] = deployment_retain(d);
    shelf->next = (shelf->next + 1) % DEPLOYMENT_SHELF_MAX;
}

void deployment_shelf_finish(struct deployment_shelf *shelf)
{
    for (size_t i = 0; i < DEPLOYMENT_SHELF_MAX; i++)
        deployment_release(shelf->deployments[i]);
    *shelf = (struct deployment_shelf){0};
}

struct deployment *deployment_retain(const struct deployment *deployment)
{
    struct deployment *d = (struct deployment *)(uintptr_t)deployment; /* what counts references is no part of what it says */
    __atomic_add_fetch(&d->references, 1, __ATOMIC_RELAXED);
    return d;
}

void deployment_release(struct deployment *d)
{
    if (!d || __atomic_sub_fetch(&d->references, 1, __ATOMIC_ACQ_REL))
        return;
    deployed_model_finish(&d->champion);
    deployed_model_finish(&d->canary);
    deployed_model_finish(&d->fallback);
    for (size_t i = 0; i < SHADOWS_MAX; i++)
        deployed_model_finish(&d->shadows[i]);
    finish_settings(&d->settings);
    free(d->record);
    free(d);
}

/* ---- entities ---- */

uint32_t entity_bucket(const char *salt, struct bytes entity)
{
    uint8_t digest[32];
    SHA256_CTX c;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* the one-shot call would need the parts copied together */
    SHA256_Init(&c);
    SHA256_Update(&c, salt, strlen(salt) + 1); /* with its zero byte */
    SHA256_Update(&c, entity.data, entity.size);
    SHA256_Final(digest, &c);
#pragma GCC diagnostic pop
    uint64_t head = 0;
    for (int i = 0; i < 8; i++)
        head = head << 8 | digest[i];
    return (uint32_t)(head % 10000);
}
