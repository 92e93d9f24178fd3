#include "monitor/label_quality.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/statistics.h"

enum { THRESHOLDS = 2, STATISTIC_NAME_MAX = 256, JUDGED_MIN = 100 /* labels, for rules of one's own */ };

struct group {
    enum label_who who;
    size_t model;
    char segment[QUALITY_SUBJECT_MAX + 1];
    struct calibration calibration;
    struct confusion confusion[THRESHOLDS];
    struct value_outcome value[THRESHOLDS];
    int64_t positives[QUALITY_BINS], negatives[QUALITY_BINS];
};

struct label_quality {
    const char *const *models;
    size_t model_count;
    double thresholds[THRESHOLDS];
    const float *deciles;
    struct group **groups; /* in order */
    size_t count;
    uint64_t beyond;
    char **names; /* of statistics with a suffix, made for the rows */
    size_t name_count, name_capacity;
};

struct label_quality *label_quality_create(const char *const *models, size_t model_count, struct thresholds thresholds, const float *deciles)
{
    struct label_quality *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    *q = (struct label_quality){.models = models, .model_count = model_count, .thresholds = {thresholds.review, thresholds.decline}, .deciles = deciles};
    q->groups = calloc(LABEL_GROUPS_MAX, sizeof *q->groups);
    if (!q->groups) {
        free(q);
        return NULL;
    }
    return q;
}

void label_quality_clear(struct label_quality *q)
{
    for (size_t i = 0; i < q->count; i++)
        free(q->groups[i]);
    for (size_t i = 0; i < q->name_count; i++)
        free(q->names[i]);
    q->count = q->name_count = 0;
    q->beyond = 0;
}

void label_quality_destroy(struct label_quality *q)
{
    if (!q)
        return;
    label_quality_clear(q);
    free(q->names);
    free(q->groups);
    free(q);
}

/* ---- counting ---- */

static int compare(const struct group *g, enum label_who who, size_t model, const char *segment)
{
    if (g->who != who)
        return g->who < who ? -1 : 1;
    if (g->model != model)
        return g->model < model ? -1 : 1;
    return strcmp(g->segment, segment);
}

static struct group *find(struct label_quality *q, enum label_who who, size_t model, const char *segment)
{
    size_t low = 0, high = q->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(q->groups[middle], who, model, segment);
        if (!order)
            return q->groups[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct group *g = q->count < LABEL_GROUPS_MAX ? calloc(1, sizeof *g) : NULL;
    if (!g)
        return NULL;
    memmove(q->groups + low + 1, q->groups + low, (q->count++ - low) * sizeof *q->groups);
    q->groups[low] = g;
    g->who = who;
    g->model = model;
    memcpy(g->segment, segment, strlen(segment) + 1);
    return g;
}

static size_t bin_of(float score)
{
    double at = (double)score * QUALITY_BINS;
    return at < 0 ? 0 : at >= QUALITY_BINS ? QUALITY_BINS - 1 : (size_t)at;
}

void label_quality_add(struct label_quality *q, enum label_who who, size_t model, const char *segment, const struct labelled *event)
{
    assert(model < q->model_count && strlen(segment) <= QUALITY_SUBJECT_MAX && !isnan(event->score) && (event->label == 0 || event->label == 1));
    struct group *g = find(q, who, model, segment);
    if (!g) {
        q->beyond++;
        return;
    }
    calibration_add(&g->calibration, q->deciles, event->score, event->label);
    (event->label ? g->positives : g->negatives)[bin_of(event->score)]++;
    for (int t = 0; t < THRESHOLDS; t++) {
        quality_count(&g->confusion[t], event->score, event->label, q->thresholds[t]);
        if (event->value != INT64_MIN)
            quality_count_value(&g->value[t], event->score, event->label, event->value, q->thresholds[t]);
    }
}

size_t label_quality_groups(const struct label_quality *q)
{
    return q->count;
}

uint64_t label_quality_beyond(const struct label_quality *q)
{
    return q->beyond;
}

/* ---- rows ---- */

struct writing {
    struct label_quality *quality;
    const struct group *group;
    int64_t start_ms, end_ms;
    bool settled;
    enum severity whole; /* of the calibration of all events of the group's model */
    struct report_list *rows;
};

/* The name itself, or with the counterpart's suffix. */
static const char *statistic_of(struct writing *w, const char *name)
{
    struct label_quality *q = w->quality;
    char text[STATISTIC_NAME_MAX];
    if (w->group->who != WHO_COUNTERPART)
        return name;
    snprintf(text, sizeof text, "%s_against_%s", name, q->models[w->group->model]);
    if (q->name_count == q->name_capacity) {
        q->name_capacity = q->name_capacity ? 2 * q->name_capacity : 64;
        q->names = reallocarray(q->names, q->name_capacity, sizeof *q->names);
        assert(q->names && "memory is short");
    }
    char *kept = strdup(text);
    assert(kept && "memory is short");
    q->names[q->name_count++] = kept;
    return kept;
}

static struct report *add(struct writing *w, enum report_kind kind, const char *statistic, double value)
{
    if (isnan(value))
        return NULL; /* over nothing: not evaluated */
    struct report *row = report_add(w->rows);
    row->kind = kind;
    row->window_start_ms = w->start_ms;
    row->window_end_ms = w->end_ms;
    row->model_id = w->group->who == WHO_COUNTERPART ? NULL : w->quality->models[w->group->model];
    row->subject = *w->group->segment ? w->group->segment : "labels";
    row->statistic = statistic_of(w, statistic);
    row->value = value;
    row->count = calibration_count(&w->group->calibration);
    row->judged = row->count >= JUDGED_MIN;
    return row;
}

static void __attribute__((format(printf, 3, 0))) detail(struct writing *w, struct report *row, const char *format, double number)
{
    char text[64];
    row->detail = report_text(w->rows, text, (size_t)snprintf(text, sizeof text, format, number));
}

static void add_threshold(struct writing *w, int t)
{
    static const char *const names[THRESHOLDS][7] = {
        {"precision_review", "recall_review", "false_positive_ratio_review", "value_caught_review", "value_missed_review", "value_stopped_review", "value_recall_review"},
        {"precision_decline", "recall_decline", "false_positive_ratio_decline", "value_caught_decline", "value_missed_decline", "value_stopped_decline", "value_recall_decline"}};
    const struct confusion *c = &w->group->confusion[t];
    const struct value_outcome *v = &w->group->value[t];
    double values[7] = {quality_precision(c), quality_recall(c), quality_false_positive_ratio(c), (double)v->caught, (double)v->missed, (double)v->stopped, quality_value_recall(v)};
    for (int i = 0; i < 7; i++) {
        struct report *row = add(w, REPORT_QUALITY, names[t][i], values[i]);
        if (row)
            detail(w, row, "{\"threshold\": %.17g}", w->quality->thresholds[t]);
    }
}

/* Returns how severe it is, judged or not. */
static enum severity add_calibration(struct writing *w, const char *name, const struct calibration_bin *bins)
{
    struct statistic s = statistic_ece(bins, NULL);
    const enum severity severity = s.severity;
    struct report *row = add(w, REPORT_CALIBRATION, name, s.value);
    if (!row)
        return severity;
    bool told = *w->group->segment && w->whole > SEVERITY_OK;
    if (told || !w->settled)
        statistic_leave(&s, STATISTIC_ECE);
    row->threshold = s.threshold;
    row->severity = s.severity;
    row->judged = s.judged;
    if (!s.judged)
        row->detail = "{\"judged\": false}";
    return severity;
}

static void add_group(struct writing *w)
{
    const struct group *g = w->group;
    struct binned_ranking ranking = quality_rank_bins(g->positives, g->negatives, QUALITY_BINS);
    add(w, REPORT_QUALITY, "labels", (double)calibration_count(&g->calibration));
    add(w, REPORT_QUALITY, "positives", (double)calibration_positives(&g->calibration));
    struct report *auc = add(w, REPORT_QUALITY, "auc", ranking.ranking.auc);
    if (auc)
        detail(w, auc, "{\"error_at_most\": %.3g}", ranking.auc_error);
    add(w, REPORT_QUALITY, "average_precision", ranking.ranking.average_precision);
    for (int t = 0; t < THRESHOLDS; t++)
        add_threshold(w, t);
    enum severity ece = add_calibration(w, "ece", g->calibration.equal);
    w->whole = *g->segment ? w->whole : ece;
    if (w->quality->deciles)
        add_calibration(w, "ece_decile", g->calibration.decile);
    add(w, REPORT_CALIBRATION, "brier", calibration_brier(&g->calibration));
}

void label_quality_rows(struct label_quality *q, int64_t start_ms, int64_t end_ms, bool settled, struct report_list *rows)
{
    struct writing w = {.quality = q, .start_ms = start_ms, .end_ms = end_ms, .settled = settled, .rows = rows};
    for (size_t i = 0; i < q->count; i++) {
        w.group = q->groups[i];
        add_group(&w);
    }
}
