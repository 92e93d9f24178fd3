#include "consumer/aggregator/latest_rows.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/exposition.h"

struct latest {
    enum report_kind kind;
    char *subject, *statistic, *model_id;
    int64_t window_end_ms;
    double value;
};

struct latest_rows {
    pthread_mutex_t lock;
    size_t count;
    struct latest of[LATEST_ROWS_MAX];
};

struct latest_rows *latest_rows_create(void)
{
    struct latest_rows *l = calloc(1, sizeof *l);
    assert(l && "memory is short");
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

static void forget_all(struct latest_rows *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->of[i].subject);
        free(l->of[i].statistic);
        free(l->of[i].model_id);
    }
    l->count = 0;
}

void latest_rows_destroy(struct latest_rows *l)
{
    if (!l)
        return;
    forget_all(l);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void latest_rows_clear(struct latest_rows *l)
{
    pthread_mutex_lock(&l->lock);
    forget_all(l);
    pthread_mutex_unlock(&l->lock);
}

static char *copy(const char *text)
{
    char *made = strdup(text ? text : "");
    assert(made && "memory is short");
    return made;
}

static struct latest *find(struct latest_rows *l, const struct report *row)
{
    for (size_t i = 0; i < l->count; i++) {
        struct latest *known = &l->of[i];
        if (known->kind == row->kind && !strcmp(known->statistic, row->statistic) && !strcmp(known->subject, row->subject) &&
            !strcmp(known->model_id, row->model_id ? row->model_id : ""))
            return known;
    }
    if (l->count == LATEST_ROWS_MAX)
        return NULL;
    struct latest *fresh = &l->of[l->count++];
    *fresh = (struct latest){row->kind, copy(row->subject), copy(row->statistic), copy(row->model_id), INT64_MIN, 0};
    return fresh;
}

static bool is_bounded(const struct sketch_shape *shape, const struct report *row)
{
    const struct sketch_shape_options *o = shape ? sketch_shape_of(shape) : NULL;
    if (row->kind == REPORT_ALERT || strchr(row->subject, '='))
        return false;
    for (size_t f = 0; o && row->kind == REPORT_DRIFT && f < o->feature_count; f++)
        if (!strcmp(row->subject, o->features[f]))
            return false;
    return true;
}

void latest_rows_take(struct latest_rows *l, const struct sketch_shape *shape, const struct report *rows, size_t count)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < count; i++) {
        struct latest *known = is_bounded(shape, &rows[i]) ? find(l, &rows[i]) : NULL;
        if (!known || rows[i].window_end_ms < known->window_end_ms)
            continue;
        known->value = rows[i].value;
        known->window_end_ms = rows[i].window_end_ms;
    }
    pthread_mutex_unlock(&l->lock);
}

void latest_rows_expose(struct latest_rows *l, struct text_buffer *text)
{
    exposition_family(text, "weir_report_value", EXPOSITION_GAUGE, "The latest published value of what is evaluated, where it is evaluated; features have families of their own.");
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->count; i++) {
        const struct latest *row = &l->of[i];
        struct label labels[] = {{"kind", report_kind_name(row->kind)}, {"subject", row->subject}, {"statistic", row->statistic}, {"model_version", row->model_id}};
        exposition_sample(text, "weir_report_value", labels, 4, row->value);
    }
    pthread_mutex_unlock(&l->lock);
}
