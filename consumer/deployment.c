#include "consumer/deployment.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consumer/file.h"
#include "consumer/hash.h"

/* Keeps the bytes as <cache_dir>/<sha256><ending>: whatever was ever in force can be looked at again. */
static int keep_copy(const struct config *config, const char *file, const uint8_t sha[32], const void *bytes, size_t size, struct err *err)
{
    char hex[65], path[4096];
    const char *ending = strrchr(file, '.');
    if (!config->models.cache_dir)
        return 0;
    sha256_hex(sha, hex);
    if ((size_t)snprintf(path, sizeof path, "%s/%s%s", config->models.cache_dir, hex, ending && !strchr(ending, '/') ? ending : "") >= sizeof path)
        return err_set(err, "%s: models.cache_dir is too long", config->file);
    if (access(path, F_OK) == 0)
        return 0;
    if (mkdir(config->models.cache_dir, 0777) < 0 && errno != EEXIST)
        return err_set(err, "%s: models.cache_dir %s: cannot make the directory: %s", config->file, config->models.cache_dir, strerror(errno));
    return file_write(path, bytes, size, err) < 0 ? err_prefix(err, "%s: models.cache_dir", config->file) : 0;
}

/* How many buckets are below 100 x percent; what binary fractions add to two decimals (1.1 x 100) is taken off. */
static uint32_t buckets_below(double percent)
{
    return (uint32_t)ceil(percent * 100 - 1e-6);
}

static int load_model(const struct config *config, const char *setting, const struct model_entry *entry, struct deployed_model *out, struct err *err)
{
    char *bytes = NULL;
    size_t size = 0;
    if (file_read(entry->file, MODEL_FILE_MAX, &bytes, &size, err) < 0)
        return err_prefix(err, "%s:%d: %s", config->file, entry->line, setting);
    struct deployed_model model = {.sample_below = buckets_below(entry->sample_percent)};
    sha256(bytes, size, model.sha256);
    int result = model_create(bytes, size, &model.model, err);
    if (result == 0)
        result = golden_file_prove(model.model, entry->file, config->models.golden, config->models.on_difference, &model.golden_rows, err);
    if (result < 0)
        err_prefix(err, "%s:%d: %s: %s", config->file, entry->line, setting, entry->file);
    else
        result = keep_copy(config, entry->file, model.sha256, bytes, size, err);
    free(bytes);
    if (result < 0) {
        model_destroy(model.model);
        return -1;
    }
    const struct feature_spec *spec = config->spec;
    const char **names = calloc(spec->count + 1, sizeof *names);
    assert(names);
    for (size_t i = 0; i < spec->count; i++)
        names[i] = spec->features[i].name;
    result = model_check_features(model.model, names, spec->count, err);
    free(names);
    if (result < 0) {
        model_destroy(model.model);
        return err_prefix(err, "%s:%d: %s: %s does not fit %s", config->file, entry->line, setting, entry->file, config->features);
    }
    model.id = strdup(entry->id);
    assert(model.id);
    *out = model;
    return 0;
}

int deployment_create(const struct config *config, struct deployment **out, struct err *err)
{
    assert(config->models.given && config->models.shadow_count <= SHADOWS_MAX);
    struct deployment *d = calloc(1, sizeof *d);
    assert(d);
    d->thresholds = config->models.decision;
    d->fallback_score = (float)config->models.fallback_score;
    d->reasons_top = config->models.reasons_top;
    d->reasons_min_score = config->models.reasons_min_score;
    if (load_model(config, "models.champion", &config->models.champion, &d->champion, err) < 0)
        goto fail;
    for (; d->shadow_count < config->models.shadow_count; d->shadow_count++)
        if (load_model(config, "models.shadows", &config->models.shadows[d->shadow_count], &d->shadows[d->shadow_count], err) < 0)
            goto fail;
    *out = d;
    return 0;
fail:
    deployment_destroy(d);
    return -1;
}

static void finish_model(struct deployed_model *m)
{
    free(m->id);
    model_destroy(m->model);
}

void deployment_destroy(struct deployment *d)
{
    if (!d)
        return;
    finish_model(&d->champion);
    for (size_t i = 0; i < d->shadow_count; i++)
        finish_model(&d->shadows[i]);
    free(d);
}

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
