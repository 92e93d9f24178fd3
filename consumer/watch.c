#include "consumer/watch.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "consumer/clock.h"
#include "consumer/config/option.h"
#include "consumer/hash.h"
#include "consumer/log.h"
#include "consumer/turns.h"
#include "monitor/exposition.h"

enum { FILES_MAX = 4 + SHADOWS_MAX };
enum reload_result { RELOAD_SWAPPED, RELOAD_UNCHANGED, RELOAD_FAILED, RELOAD_RESULTS };
static const char *const result_names[] = {"swapped", "unchanged", "failed"};

/* What tells one state of a file from another without reading it. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct stamps {
    size_t count;
    struct stamp of[FILES_MAX];
};

struct watch {
    const struct config *config;
    struct lane **lanes;
    size_t lane_count;
    atomic_bool *asked;
    struct config *latest; /* as last read; NULL: as at the start */
    struct stamps taken;   /* of the files that the deployment in force, or the last failure, was read from */
    struct stamps seen;    /* at the last look */
    int64_t looked_ns;
    pthread_t thread;
    struct turns turns;
    pthread_mutex_t lock; /* of what follows */
    int64_t results[RELOAD_RESULTS];
    enum reload_result last;
    int64_t last_ms; /* 0: never */
    struct err last_err;
};

/* ---- files ---- */

static struct stamp stamp_of(const char *path)
{
    struct stat s;
    if (!path || stat(path, &s) < 0)
        return (struct stamp){.size = -1};
    return (struct stamp){s.st_dev, s.st_ino, s.st_size, s.st_mtim};
}

static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

static bool stamps_equal(const struct stamps *a, const struct stamps *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = stamp_equal(&a->of[i], &b->of[i]);
    return equal;
}

static const struct config *latest_of(const struct watch *w)
{
    return w->latest ? w->latest : w->config;
}

static struct stamps look(const struct watch *w)
{
    const struct config *c = latest_of(w);
    struct stamps s = {0};
    s.of[s.count++] = stamp_of(w->config->file);
    s.of[s.count++] = stamp_of(c->models.champion.file);
    s.of[s.count++] = stamp_of(c->models.canary.file);
    s.of[s.count++] = stamp_of(c->models.fallback.file);
    for (size_t i = 0; i < c->models.shadow_count; i++)
        s.of[s.count++] = stamp_of(c->models.shadows[i].file);
    return s;
}

/* ---- what a reload cannot change ---- */

static void drop_reloadable(json_t *shown)
{
    static const char *const fixed[] = {"source", "cache_dir", "dsn_file", "latency_budget_ms"};
    json_t *models = json_object_get(shown, "models"), *kept = json_object();
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (json_object_get(models, fixed[i]))
            json_object_set(kept, fixed[i], json_object_get(models, fixed[i]));
    json_object_set_new(shown, "models", kept);
}

static void name_differences(const char *prefix, json_t *was, json_t *is, const char *file)
{
    const char *key;
    json_t *value;
    json_object_foreach(is, key, value) {
        json_t *before = json_object_get(was, key);
        char name[256];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value) && json_is_object(before))
            name_differences(name, before, value, file);
        else if (!json_equal(before, value))
            log_warning("%s: %s has changed; that needs a restart", file, name);
    }
}

static void warn_of_differences(const struct watch *w, const struct config *new)
{
    json_t *was = options_show(&config_options, w->config), *is = options_show(&config_options, new);
    drop_reloadable(was);
    drop_reloadable(is);
    name_differences("", was, is, w->config->file);
    json_decref(was);
    json_decref(is);
}

/* ---- a reload ---- */

/* What runs, with the new file's models: rules, features and baseline stay those of the start. */
static struct config with_models_of(const struct config *running, const struct config *new)
{
    struct config c = *running;
    c.models = new->models;
    c.models.cache_dir = running->models.cache_dir;
    return c;
}

static int hand_over(struct watch *w, const struct deployment_plan *plan, bool *changed, struct err *err)
{
    struct deployment **made = calloc(w->lane_count + 1, sizeof(struct deployment *));
    int result = 0;
    size_t count = 0;
    assert(made);
    *changed = false;
    for (; result == 0 && count < w->lane_count; count += result == 0) {
        struct deployment *like = lane_deployment(w->lanes[count]);
        result = deployment_load(plan, like, &made[count], err);
        *changed = *changed || (result == 0 && strcmp(like->record, made[count]->record) != 0);
        deployment_release(like);
    }
    if (result == 0)
        result = deployment_plan_keep(plan, err);
    for (size_t i = 0; i < count; i++) {
        if (result == 0 && *changed)
            lane_deploy(w->lanes[i], made[i]);
        deployment_release(made[i]);
    }
    free(made);
    return result;
}

static int reload(struct watch *w, bool *changed, struct err *err)
{
    struct config *new = NULL;
    struct deployment_plan *plan = NULL;
    if (config_load(w->config->file, CONFIG_NEED_INPUT | CONFIG_NEED_MODELS | CONFIG_NEED_KAFKA, &new, err) < 0)
        return -1;
    int result = 0;
    if (strcmp(new->spec->canonical, w->config->spec->canonical))
        result = err_set(err, "%s: features: %s says other features than this process runs with; that needs a restart", w->config->file, new->features);
    struct config effective = with_models_of(w->config, new);
    if (result == 0)
        result = deployment_plan_read(&effective, &plan, err);
    if (result == 0)
        result = hand_over(w, plan, changed, err);
    deployment_plan_destroy(plan);
    if (result == 0)
        warn_of_differences(w, new);
    config_destroy(w->latest); /* even of what failed: its files are those to look at */
    w->latest = new;
    return result;
}

static void note(struct watch *w, enum reload_result result, const struct err *err)
{
    pthread_mutex_lock(&w->lock);
    w->results[result]++;
    w->last = result;
    w->last_ms = clock_wall_ms();
    w->last_err = *err;
    pthread_mutex_unlock(&w->lock);
}

static void reload_and_say(struct watch *w)
{
    struct err err = {0};
    bool changed = false;
    int64_t began = clock_monotonic_ns();
    enum reload_result result = reload(w, &changed, &err) < 0 ? RELOAD_FAILED : changed ? RELOAD_SWAPPED : RELOAD_UNCHANGED;
    long long ms = (clock_monotonic_ns() - began) / 1000000;
    if (result == RELOAD_FAILED)
        log_error("reload: %s; the deployment before stays in force", err.msg);
    else if (result == RELOAD_SWAPPED)
        log_info("reload: champion %s%s%s, %zu shadow%s; loaded and proved in %lld ms", w->latest->models.champion.id, w->latest->models.has_canary ? ", canary " : "",
            w->latest->models.has_canary ? w->latest->models.canary.id : "", w->latest->models.shadow_count, w->latest->models.shadow_count == 1 ? "" : "s", ms);
    else
        log_info("reload: the deployment is what it was");
    note(w, result, &err);
}

static void reload_all(struct watch *w)
{
    reload_and_say(w);
    w->taken = w->seen = look(w); /* the new configuration may name other files */
    w->looked_ns = clock_monotonic_ns();
}

/* Half-written files are not read: what changed has to stand still from one look to the next. */
static void turn(struct watch *w)
{
    if (atomic_exchange(w->asked, false)) {
        reload_all(w);
        return;
    }
    if (clock_monotonic_ns() - w->looked_ns < (int64_t)WATCH_MS * 1000000)
        return;
    struct stamps now = look(w);
    bool still = stamps_equal(&now, &w->seen);
    w->seen = now;
    w->looked_ns = clock_monotonic_ns();
    if (still && !stamps_equal(&now, &w->taken))
        reload_all(w);
}

static void *run(void *context)
{
    struct watch *w = context;
    while (turns_wait(&w->turns, WATCH_ASKED_MS))
        turn(w);
    return NULL;
}

int watch_start(const struct config *config, struct lane **lanes, size_t lane_count, atomic_bool *asked, struct watch **out, struct err *err)
{
    struct watch *w = calloc(1, sizeof *w);
    assert(w);
    *w = (struct watch){.config = config, .lanes = lanes, .lane_count = lane_count, .asked = asked};
    w->taken = w->seen = look(w);
    pthread_mutex_init(&w->lock, NULL);
    turns_init(&w->turns);
    if (pthread_create(&w->thread, NULL, run, w)) {
        free(w);
        return err_set(err, "no thread for the deployment watcher");
    }
    *out = w;
    return 0;
}

void watch_stop(struct watch *w)
{
    if (!w)
        return;
    turns_stop(&w->turns);
    pthread_join(w->thread, NULL);
    turns_finish(&w->turns);
    pthread_mutex_destroy(&w->lock);
    config_destroy(w->latest);
    free(w);
}

/* ---- what others see ---- */

void watch_status(struct watch *w, struct text_buffer *text)
{
    if (!w) {
        text_add(text, "\"reload\": null");
        return;
    }
    pthread_mutex_lock(&w->lock);
    text_add(text, "\"reload\": {");
    for (int i = 0; i < RELOAD_RESULTS; i++)
        text_add(text, "\"%s\": %" PRId64 ", ", result_names[i], w->results[i]);
    if (w->last_ms)
        text_add(text, "\"last\": \"%s\", \"last_ms\": %" PRId64 ", \"error\": ", result_names[w->last], w->last_ms);
    else
        text_add(text, "\"last\": null, \"last_ms\": null, \"error\": ");
    if (w->last_ms && w->last == RELOAD_FAILED)
        text_add_json_string(text, w->last_err.msg);
    else
        text_add(text, "null");
    text_add(text, "}");
    pthread_mutex_unlock(&w->lock);
}

void watch_expose(struct watch *w, struct text_buffer *text)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    exposition_family(text, "weir_reloads_total", EXPOSITION_COUNTER, "Reloads of the deployment, by result.");
    for (int i = 0; i < RELOAD_RESULTS; i++)
        exposition_sample_integer(text, "weir_reloads_total", &(struct label){"result", result_names[i]}, 1, w->results[i]);
    exposition_family(text, "weir_reload_failed", EXPOSITION_GAUGE, "1 while the last reload has failed.");
    exposition_sample_integer(text, "weir_reload_failed", NULL, 0, w->last_ms && w->last == RELOAD_FAILED);
    pthread_mutex_unlock(&w->lock);
}
