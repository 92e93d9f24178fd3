#include "consumer/demo/drift_watch.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct window {
    int64_t start_ms, end_ms;
    double *psi;      /* by column */
    uint8_t *severity;
};

struct drift_watch {
    pthread_mutex_t lock;
    const struct feature_spec *spec;
    size_t count;
    struct window windows[DRIFT_WINDOWS_MAX]; /* by start */
};

struct drift_watch *drift_watch_create(const struct feature_spec *spec)
{
    struct drift_watch *w = calloc(1, sizeof *w);
    assert(w);
    w->spec = spec;
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void drift_watch_destroy(struct drift_watch *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++) {
        free(w->windows[i].psi);
        free(w->windows[i].severity);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* The window's place, made if it is new; NULL if there are too many. */
static struct window *place(struct drift_watch *w, int64_t start_ms, int64_t end_ms)
{
    size_t i = w->count;
    while (i > 0 && w->windows[i - 1].start_ms >= start_ms)
        i--;
    if (i < w->count && w->windows[i].start_ms == start_ms)
        return &w->windows[i];
    if (w->count == DRIFT_WINDOWS_MAX)
        return NULL;
    memmove(&w->windows[i + 1], &w->windows[i], (w->count - i) * sizeof *w->windows);
    w->count++;
    w->windows[i] = (struct window){start_ms, end_ms, calloc(w->spec->count, sizeof(double)), calloc(w->spec->count, 1)};
    assert(w->windows[i].psi && w->windows[i].severity);
    return &w->windows[i];
}

void drift_watch_report(struct drift_watch *w, int64_t start_ms, int64_t end_ms, const char *subject, size_t size, double psi, enum severity severity)
{
    pthread_mutex_lock(&w->lock);
    for (size_t c = 0; c < w->spec->count; c++) {
        const char *name = w->spec->features[c].name;
        struct window *at;
        if (strlen(name) != size || memcmp(name, subject, size) || !(at = place(w, start_ms, end_ms)))
            continue;
        at->psi[c] = psi;
        at->severity[c] = (uint8_t)severity;
    }
    pthread_mutex_unlock(&w->lock);
}

/* The column of the highest PSI, among those beyond a limit if there is one; spec->count if the window has none. */
static size_t foremost(const struct drift_watch *w, const struct window *window, bool beyond_limit)
{
    size_t best = w->spec->count;
    for (size_t c = 0; c < w->spec->count; c++)
        if ((!beyond_limit || window->severity[c]) && (best == w->spec->count || window->psi[c] > window->psi[best]))
            best = c;
    return best;
}

static void count_others(const struct drift_watch *w, struct drift_view *view)
{
    for (size_t c = 0; c < w->spec->count; c++)
        for (size_t i = 0; i < w->count; i++)
            if (w->windows[i].severity[c] && c != view->column) {
                view->others++;
                break;
            }
}

void drift_watch_look(struct drift_watch *w, int64_t until_ms, struct drift_view *view)
{
    *view = (struct drift_view){0};
    pthread_mutex_lock(&w->lock);
    const struct window *named = NULL;
    view->windows = w->count;
    for (size_t i = 0; i < w->count; i++) {
        size_t highest = foremost(w, &w->windows[i], false);
        if (w->windows[i].end_ms <= until_ms && w->windows[i].psi[highest] > view->highest_before) {
            view->highest_before = w->windows[i].psi[highest];
            view->highest_feature = w->spec->features[highest].name;
        }
        if (!named && foremost(w, &w->windows[i], true) < w->spec->count)
            named = &w->windows[i];
    }
    const struct window *shown = named ? named : w->count ? &w->windows[w->count - 1] : NULL;
    if (shown) {
        view->named = named != NULL;
        view->column = foremost(w, shown, named != NULL);
        view->feature = w->spec->features[view->column].name;
        view->start_ms = shown->start_ms;
        view->end_ms = shown->end_ms;
        view->psi = shown->psi[view->column];
        view->severity = (enum severity)shown->severity[view->column];
        for (size_t i = 0; i < w->count; i++)
            view->course[i] = w->windows[i].psi[view->column];
        count_others(w, view);
    }
    pthread_mutex_unlock(&w->lock);
}

bool drift_reaches(const struct feature_spec *spec, const struct field_set *fields, size_t column)
{
    static const char *const changed[] = {"amount_minor", "mcc", "merchant_country"};
    const struct feature *f = &spec->features[column];
    int where = f->where < 0 ? -1 : spec->filters[f->where]->slot;
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        int slot = field_set_find(fields, changed[i]);
        if (slot >= 0 && (f->slot == slot || where == slot))
            return true;
    }
    return false;
}
