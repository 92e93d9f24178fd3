/* Rows of what is sampled (sketch.h): contributions, far values with their offsets, ages of entities. */
#include <inttypes.h>
#include <math.h>

#include "monitor/text_buffer.h"
#include "monitor/window_rows.h"

enum { FAR_NAMED = 10 };

/* The baseline's means are of all hours, and what follows the clock contributes otherwise in some: only a window of a day
 * or more is comparable. */
void contribution_row_write(struct rows *rows, size_t f)
{
    const struct baseline_column *reference = &rows->options->baseline->features[f];
    struct sketch_contribution now = sketch_contribution_of(rows->window->shape, rows->window->cell, f);
    if (!now.count || !reference->contribution_count)
        return;
    struct statistic s = statistic_contribution(now.mean, now.std, now.count, reference->contribution, reference->contribution_std, reference->contribution_count, NULL);
    if (!rows_can_judge(rows, false, rows_reach(rows)))
        statistic_leave(&s, STATISTIC_CONTRIBUTION);
    struct report *report = row_add(rows, REPORT_DRIFT, rows->options->features[f], statistic_name(STATISTIC_CONTRIBUTION), s.value, s.count);
    report->model_id = rows->options->baseline->model_id;
    row_judge(rows, report, &s);
    row_baseline(rows, report, reference->contribution);
    report->importance = reference->gain;
    report->severity = severity_by_importance(report->severity, reference->gain, rows->options->feature_count);
}

void far_row_write(struct rows *rows, size_t f, int64_t there)
{
    const struct window_rows *w = rows->window;
    struct sketch_far far[SKETCH_VALUES_MAX];
    size_t n = sketch_far_values(w->shape, w->cell, f, far);
    struct report *report = row_add(rows, REPORT_DRIFT, rows->options->features[f], "far_values", (double)sketch_feature(w->shape, w->cell, f)->far, there);
    char events[800];
    struct text_buffer text;
    text_init(&text, events, sizeof events);
    for (size_t i = 0; i < n && i < FAR_NAMED; i++)
        text_add(&text, "%s{\"partition\": %d, \"offset\": %" PRId64 ", \"sigmas\": %.3g}", i ? ", " : "", far[i].partition, far[i].offset, far[i].sigmas);
    if (n)
        row_detail(rows, report, "\"events\": [%s]", events);
}

void entity_rows_write(struct rows *rows)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50_seconds", 0.5}, {"p95_seconds", 0.95}, {"p99_seconds", 0.99}};
    int64_t fresh, known = 0;
    const int64_t *ages = sketch_entity_ages(rows->window->shape, rows->window->cell, &fresh);
    for (size_t i = 0; i < LATENCY_BINS; i++)
        known += ages[i];
    for (size_t i = 0; known && i < sizeof quantiles / sizeof *quantiles; i++)
        row_add(rows, REPORT_FRESHNESS, "entities", quantiles[i].name, latency_quantile(ages, quantiles[i].q), known);
    if (known + fresh)
        row_add(rows, REPORT_FRESHNESS, "entities", "new_share", (double)fresh / (double)(known + fresh), known + fresh);
}
