/* The SHADOW rows of one window that say where a shadow differs and why (the whole: aggregate_shadow.c), and the LATENCY
 * rows of each model.
 *
 *   by segment, subject `field=value`, the values of sketch_extra.h: agreement, mean_difference, p50_difference,
 *       p95_difference, p99_difference, psi, each as in the whole; of values with PART_EVENTS_MIN events and more
 *   disagreeing_segments  subject `score`; how many of them have a disagreement.  The detail lists those that disagree
 *       most, {"segment", "agreement", "disagreeing", "events"}: by the lower end of Wilson's 95 % interval of the share
 *       that disagrees, so that a few events do not lead (Wilson 1927)
 *   explained             subject `score`; disagreements that were explained, of as many as `count` says
 *   contribution_difference  subject the feature; the mean of |contribution to the served margin - to the shadow's| over
 *       those, the largest first; the detail has its place and its share of all features' differences.  Of all features:
 *       readers keep the highest revision of a row, and one that is not in it would stay behind
 *
 *   LATENCY, subject `score`: scoring_mean_seconds, scoring_p50_seconds, scoring_p99_seconds of a vector, by batches; of the
 *       champion with whoever else was asked for the answer.  Over the process's clock, no function of the log.  The last
 *       of a model that serves is a warning above the budget. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/sketch_extra.h"
#include "monitor/text_buffer.h"
#include "monitor/window_rows.h"

enum { TOP_SEGMENTS = 5, PART_EVENTS_MIN = 30 };

struct part_view {
    const char *subject;
    int64_t events, disagreeing;
    double least; /* of the share that disagrees */
};

static double wilson_least(int64_t some, int64_t all)
{
    const double z = 1.959963984540054, n = (double)all, p = (double)some / n;
    return (p + z * z / (2 * n) - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n);
}

/* ---- segments ---- */

static struct part_view view_of(struct rows *rows, size_t segment, const struct shadow_part *part)
{
    const struct sketch_shape_options *o = rows->options;
    char subject[512];
    struct part_view view = {0};
    snprintf(subject, sizeof subject, "%.400s=%.*s", o->fields[o->segments[segment].slot], part->size, part->text);
    view.subject = report_text(rows->reports, subject, strlen(subject));
    for (size_t served = 0; served < DECISION_COUNT; served++)
        for (size_t own = 0; own < DECISION_COUNT; own++) {
            view.events += part->counts.comparison.decisions[served][own];
            view.disagreeing += served != own ? part->counts.comparison.decisions[served][own] : 0;
        }
    view.least = view.events ? wilson_least(view.disagreeing, view.events) : 0;
    return view;
}

static void part_row(struct rows *rows, size_t m, const struct part_view *view, const char *statistic, double value)
{
    struct report *report = row_add_model(rows, REPORT_SHADOW, m, statistic, value, view->events);
    report->subject = view->subject;
}

static void part_rows(struct rows *rows, size_t m, const struct shadow_part *part, const struct part_view *view)
{
    const struct sketch_comparison *c = &part->counts.comparison;
    double n = (double)view->events;
    part_row(rows, m, view, "agreement", (double)(view->events - view->disagreeing) / n);
    part_row(rows, m, view, "mean_difference", ldexp((double)c->apart_sum, -APART_SUM_BITS) / n);
    part_row(rows, m, view, "p50_difference", sketch_apart_quantile(c, 0.5));
    part_row(rows, m, view, "p95_difference", sketch_apart_quantile(c, 0.95));
    part_row(rows, m, view, "p99_difference", sketch_apart_quantile(c, 0.99));
    part_row(rows, m, view, "psi", drift_psi(part->counts.own, c->served, SCORE_EQUAL_BINS));
}

/* Those that disagree most, in order; of two alike the earlier one. */
struct leaders {
    size_t count, disagreeing;
    struct part_view of[TOP_SEGMENTS];
};

static void lead(struct leaders *leaders, const struct part_view *view)
{
    if (!view->disagreeing)
        return;
    leaders->disagreeing++;
    size_t i = leaders->count < TOP_SEGMENTS ? leaders->count++ : TOP_SEGMENTS;
    for (; i > 0 && view->least > leaders->of[i - 1].least; i--)
        if (i < TOP_SEGMENTS)
            leaders->of[i] = leaders->of[i - 1];
    if (i < TOP_SEGMENTS)
        leaders->of[i] = *view;
}

static void leader_row(struct rows *rows, size_t m, const struct leaders *leaders, int64_t events)
{
    char list[REPORT_DETAIL_MAX];
    struct text_buffer text;
    struct report *report = row_add_model(rows, REPORT_SHADOW, m, "disagreeing_segments", (double)leaders->disagreeing, events);
    text_init(&text, list, sizeof list - 64); /* beside "revision" */
    text_add(&text, "\"top\": [");
    size_t whole = text.size;
    for (size_t i = 0; i < leaders->count && !text.full; i++) {
        const struct part_view *view = &leaders->of[i];
        text_add(&text, "%s{\"segment\": ", i ? ", " : "");
        text_add_json_string(&text, view->subject);
        text_add(&text, ", \"agreement\": %.6g, \"disagreeing\": %" PRId64 ", \"events\": %" PRId64 "}", 1 - (double)view->disagreeing / (double)view->events,
            view->disagreeing, view->events);
        whole = text.full ? whole : text.size;
    }
    row_detail(rows, report, "%.*s]", (int)whole, list);
}

static void segment_rows(struct rows *rows, size_t m, const struct sketch_extra *extra, int64_t events)
{
    struct leaders leaders = {0};
    size_t parts = 0;
    for (size_t s = 0; s < rows->options->segment_count; s++)
        for (size_t i = 0; i < extra->parts[s].count; i++, parts++) {
            struct part_view view = view_of(rows, s, extra->parts[s].of[i]);
            if (!view.events)
                continue;
            if (view.events >= PART_EVENTS_MIN)
                part_rows(rows, m, extra->parts[s].of[i], &view);
            lead(&leaders, &view);
        }
    if (parts)
        leader_row(rows, m, &leaders, events);
    if (extra->numbers.unheld)
        row_add_model(rows, REPORT_SHADOW, m, "unheld_comparisons", (double)extra->numbers.unheld, events)->severity = SEVERITY_WARNING;
}

/* ---- contributions ---- */

struct feature_sum {
    uint64_t sum; /* of distances */
    size_t feature;
};

static int by_sum(const void *a, const void *b)
{
    const struct feature_sum *x = a, *y = b;
    if (x->sum != y->sum)
        return x->sum > y->sum ? -1 : 1;
    return (x->feature > y->feature) - (x->feature < y->feature);
}

/* All features, the largest first. */
static struct feature_sum *sums_of(const struct rows *rows, const struct sketch_extra *extra)
{
    size_t features = rows->options->feature_count;
    struct feature_sum *sums = calloc(features + 1, sizeof *sums);
    assert(sums && "memory is short");
    for (size_t f = 0; f < features; f++)
        sums[f].feature = f;
    for (size_t i = 0; i < extra->explained * features; i++)
        sums[i % features].sum += extra->apart[i];
    qsort(sums, features, sizeof *sums, by_sum);
    return sums;
}

static void explained_rows(struct rows *rows, size_t m, const struct sketch_extra *extra, int64_t disagreeing)
{
    uint64_t all = 0;
    if (!extra->explained)
        return;
    row_add_model(rows, REPORT_SHADOW, m, "explained", (double)extra->explained, disagreeing);
    struct feature_sum *sums = sums_of(rows, extra);
    for (size_t i = 0; i < rows->options->feature_count; i++)
        all += sums[i].sum;
    for (size_t i = 0; i < rows->options->feature_count; i++) {
        double mean = ldexp((double)sums[i].sum, -EXPLAINED_BITS) / (double)extra->explained;
        struct report *report = row_add_model(rows, REPORT_SHADOW, m, "contribution_difference", mean, (int64_t)extra->explained);
        report->subject = rows->options->features[sums[i].feature];
        row_detail(rows, report, "\"place\": %zu, \"share\": %.6g", i + 1, all ? (double)sums[i].sum / (double)all : 0.0);
    }
    free(sums);
}

void shadow_part_rows_write(struct rows *rows, size_t m, int64_t events, int64_t disagreeing)
{
    const struct sketch_extra *extra = sketch_extra(rows->window->cell, m);
    if (!extra)
        return;
    segment_rows(rows, m, extra, events);
    explained_rows(rows, m, extra, disagreeing);
}

/* ---- latency ---- */

/* Who serves has a budget; a shadow holds up nobody. */
static void timing_row_judge(struct rows *rows, size_t m, struct report *report)
{
    double budget = rows->window->scoring_budget_seconds;
    if (budget <= 0 || sketch_model_of(rows->window->shape, m).shadow)
        return;
    report->threshold = budget;
    report->severity = report->value > budget ? SEVERITY_WARNING : SEVERITY_OK;
}

void timing_rows_write(struct rows *rows)
{
    for (size_t m = 0; m < sketch_models(rows->window->shape); m++) {
        const struct sketch_extra *extra = sketch_extra(rows->window->cell, m);
        int64_t n = extra ? extra->numbers.timed : 0;
        if (n <= 0)
            continue;
        row_add_model(rows, REPORT_LATENCY, m, "scoring_mean_seconds", (double)extra->numbers.ns / 1e9 / (double)n, n);
        row_add_model(rows, REPORT_LATENCY, m, "scoring_p50_seconds", latency_quantile(extra->numbers.timing, 0.5) / 1e9, n);
        timing_row_judge(rows, m, row_add_model(rows, REPORT_LATENCY, m, "scoring_p99_seconds", latency_quantile(extra->numbers.timing, 0.99) / 1e9, n));
    }
}
