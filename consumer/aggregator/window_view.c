#include "consumer/aggregator/window_view.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES_MAX = 4 << 20 };

struct window_view {
    pthread_mutex_t lock;
    char *shown; /* NULL: nothing evaluated yet */
};

struct window_view *window_view_create(void)
{
    struct window_view *v = calloc(1, sizeof *v);
    assert(v);
    pthread_mutex_init(&v->lock, NULL);
    return v;
}

void window_view_destroy(struct window_view *v)
{
    if (!v)
        return;
    free(v->shown);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

static void set(struct window_view *v, char *shown)
{
    pthread_mutex_lock(&v->lock);
    free(v->shown);
    v->shown = shown;
    pthread_mutex_unlock(&v->lock);
}

void window_view_clear(struct window_view *v)
{
    set(v, NULL);
}

void window_view_show(struct window_view *v, struct text_buffer *text)
{
    pthread_mutex_lock(&v->lock);
    text_add(text, "%s", v->shown ? v->shown : "\"window\": null, \"features\": [], \"shadows\": []");
    pthread_mutex_unlock(&v->lock);
}

/* ---- writing it ---- */

struct view {
    const struct sketch_shape *shape;
    const struct sketch_cell *cell;
    const struct report *rows;
    size_t count;
    struct text_buffer text;
};

static const struct report *find(const struct view *v, enum report_kind kind, const char *model_id, const char *subject, const char *statistic)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct report *r = &v->rows[i];
        if (r->kind == kind && !strcmp(r->statistic, statistic) && (!subject || !strcmp(r->subject, subject)) && (!model_id || (r->model_id && !strcmp(r->model_id, model_id))))
            return r;
    }
    return NULL;
}

static enum severity worst_of(const struct view *v, const char *feature)
{
    enum severity worst = SEVERITY_OK;
    for (size_t i = 0; i < v->count; i++)
        if (v->rows[i].kind == REPORT_DRIFT && !strcmp(v->rows[i].subject, feature) && v->rows[i].severity > worst)
            worst = v->rows[i].severity;
    return worst;
}

static void add_shares(struct view *v, const char *name, const int64_t *counts, size_t bins)
{
    double all = 0;
    for (size_t i = 0; i < bins; i++)
        all += (double)counts[i];
    text_add(&v->text, ", \"%s\": [", name);
    for (size_t i = 0; i < bins; i++)
        text_add(&v->text, "%s%.4g", i ? "," : "", all > 0 ? (double)counts[i] / all : 0);
    text_add(&v->text, "]");
}

/* Baseline and window over the same twenty bins. */
static void add_histograms(struct view *v, size_t f)
{
    int64_t base[BASELINE_FINE] = {0}, now[BASELINE_FINE] = {0};
    const int64_t *expected;
    const uint8_t *coarse_of;
    size_t fine = sketch_shape_bins(v->shape, f, &expected), coarse = fine ? sketch_shape_coarse(v->shape, f, &coarse_of) : 0;
    const struct sketch_feature_counts *counts = sketch_feature(v->shape, v->cell, f);
    for (size_t i = 0; coarse && i < fine; i++) {
        base[coarse_of[i]] += expected[i];
        now[coarse_of[i]] += counts->bins[i];
    }
    add_shares(v, "baseline", base, coarse);
    add_shares(v, "now", now, coarse);
}

static void add_number(struct view *v, const char *name, const struct report *row)
{
    text_add(&v->text, ", \"%s\": ", name);
    text_add_json_number(&v->text, row ? row->value : NAN);
}

static void add_feature(struct view *v, size_t f)
{
    const char *name = sketch_shape_of(v->shape)->features[f];
    const struct report *psi = find(v, REPORT_DRIFT, NULL, name, "psi");
    const struct sketch_feature_counts *counts = sketch_feature(v->shape, v->cell, f);
    text_add(&v->text, "%s{\"name\": ", f ? ",\n" : "\n");
    text_add_json_string(&v->text, name);
    add_number(v, "psi", psi);
    text_add(&v->text, ", \"importance\": ");
    text_add_json_number(&v->text, psi ? psi->importance : NAN);
    text_add(&v->text, ", \"missing\": ");
    text_add_json_number(&v->text, v->cell->events ? (double)counts->missing / (double)v->cell->events : NAN);
    enum severity worst = worst_of(v, name);
    text_add(&v->text, ", \"severity\": \"%s\", \"judged\": %s", severity_name(worst), !psi || psi->judged || worst > SEVERITY_OK ? "true" : "false");
    add_histograms(v, f);
    text_add(&v->text, "}");
}

static void add_shadows(struct view *v)
{
    size_t shown = 0;
    text_add(&v->text, ", \"shadows\": [");
    for (size_t m = 0; m < sketch_models(v->shape); m++) {
        struct sketch_model model = sketch_model_of(v->shape, m);
        if (!model.shadow)
            continue;
        text_add(&v->text, "%s{\"id\": ", shown++ ? ", " : "");
        text_add_json_string(&v->text, model.id);
        text_add(&v->text, ", \"count\": %" PRId64 ", \"shed\": %" PRId64, sketch_score_count(v->shape, v->cell, m), sketch_model(v->shape, v->cell, m)->shed);
        add_number(v, "agreement", find(v, REPORT_SHADOW, model.id, "score", "agreement"));
        add_number(v, "mean_difference", find(v, REPORT_SHADOW, model.id, "score", "mean_difference"));
        add_number(v, "psi", find(v, REPORT_SHADOW, model.id, "score", "psi"));
        text_add(&v->text, "}");
    }
    text_add(&v->text, "]");
}

void window_view_update(struct window_view *view, const struct sketch_shape *shape, const struct sketch_cell *cell, const struct report *rows, size_t count)
{
    struct view v = {shape, cell, rows, count, {0}};
    const struct sketch_shape_options *options = sketch_shape_of(shape);
    char *bytes = malloc(SHOWN_BYTES_MAX);
    assert(bytes && "memory is short");
    text_init(&v.text, bytes, SHOWN_BYTES_MAX);
    text_add(&v.text, "\"window\": {\"start_ms\": %" PRId64 ", \"end_ms\": %" PRId64 ", \"count\": %" PRId64 "}, \"features\": [", cell->window_start_ms, cell->window_start_ms + options->window_ms, cell->events);
    for (size_t f = 0; f < options->feature_count; f++)
        add_feature(&v, f);
    text_add(&v.text, "]");
    add_shadows(&v);
    char *shown = v.text.full ? NULL : strdup(bytes);
    free(bytes);
    set(view, shown);
}
