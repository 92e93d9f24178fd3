/* The rows of one window, in this order.  Each of them every time, but for a statistic over no values (the psi of a
 * feature that was always missing), which is not evaluated.
 *
 *   DRIFT       aggregate_drift.c lists them
 *   PREDICTION  each model in order: count, mean, p50, p95, p99, share_approve, share_review, share_decline,
 *               positive_share (not APPROVE: the score is at or over the review threshold), uncertain_share, invalid,
 *               shed; subject `score`
 *   SHADOW      aggregate_shadow.c and aggregate_shadow_parts.c list them
 *   FRESHNESS   each field in order: age_seconds: from its last value to the window's end, in event time (of a field
 *               never seen from the start of the first window); then schema_ids of the input topic: how many there
 *               were, their counts in the detail
 *   LATENCY     p50_seconds, p95_seconds, p99_seconds of the input topic: from a record's timestamp to its commit.
 *               The one kind here that no replay gives again.
 *   QUALITY     records, events against the baseline's rate, late (beyond the lateness), incomplete_windows, rejects,
 *               reject_share, rejects_<reason> each, fallbacks_<reason> where there were some; subject the input topic;
 *               value is the number, count the records of the window.  Then rejects_<reason> of each field at fault,
 *               subject the field.  Of the shape's own width also what was lost to monitoring since the window before:
 *               beyond (no window for it), offset_gaps, missed, repeated, unlike (records of another shape).
 *
 * Severities: statistics.h.  Where nothing could be judged (too few values in the window or the baseline) severity is OK
 * and the detail says {"judged": false, ...}; so it is with scores of any model but the baseline's own, since another
 * model may well have another distribution. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "monitor/window_rows.h"

/* ---- predictions ---- */

/* The baseline speaks of one model's scores. */
static bool is_baselines(const struct rows *rows, size_t m)
{
    const struct baseline *baseline = rows->options->baseline;
    return baseline && baseline->has_score && baseline->model_id && !strcmp(baseline->model_id, sketch_model_of(rows->window->shape, m).id);
}

static void distribution_rows(struct rows *rows, size_t m, int64_t scores)
{
    const struct sketch_shape *shape = rows->window->shape;
    const struct sketch_cell *cell = rows->window->cell;
    row_add_model(rows, REPORT_PREDICTION, m, "mean", sketch_score_mean(shape, cell, m), scores);
    row_add_model(rows, REPORT_PREDICTION, m, "p50", sketch_score_quantile(shape, cell, m, 0.5), scores);
    row_add_model(rows, REPORT_PREDICTION, m, "p95", sketch_score_quantile(shape, cell, m, 0.95), scores);
    row_add_model(rows, REPORT_PREDICTION, m, "p99", sketch_score_quantile(shape, cell, m, 0.99), scores);
}

/* Positives of n, and those of all events of the hours that they were last compared with. */
struct positives {
    int64_t count, n, expected, all;
};

static void compare_positives(const struct rows *rows, const struct baseline_hour_set *hours, void *what, struct statistic *share)
{
    struct positives *p = what;
    int64_t expected[DECISION_COUNT];
    bool judged = rows_can_judge(rows, baseline_expected_decisions(&rows->options->baseline->outcome, hours, expected), rows_reach(rows));
    p->all = 0;
    for (size_t d = 0; d < DECISION_COUNT; d++)
        p->all += expected[d];
    p->expected = p->all - expected[DECISION_APPROVE];
    *share = statistic_positive_share(p->count, p->n, p->expected, p->all, NULL);
    if (!judged)
        statistic_leave(share, STATISTIC_POSITIVE_SHARE);
}

static void positive_row(struct rows *rows, size_t m, const int64_t *decisions, int64_t n)
{
    struct positives p = {.count = n - decisions[DECISION_APPROVE], .n = n};
    struct statistic share;
    struct report *report = row_add_model(rows, REPORT_PREDICTION, m, "positive_share", (double)p.count / (double)n, n);
    if (!is_baselines(rows, m))
        return;
    compare_positives(rows, rows->hours, &p, &share);
    if (!p.all)
        return;
    row_baseline(rows, report, (double)p.expected / (double)p.all);
    rows_allow_trends(rows, compare_positives, &p, &share, 1);
    row_judge(rows, report, &share);
}

static void decision_rows(struct rows *rows, size_t m, const struct sketch_model_counts *counts, int64_t scores, int64_t n)
{
    static const char *const shares[DECISION_COUNT] = {"share_approve", "share_review", "share_decline"};
    for (size_t d = 0; d < DECISION_COUNT; d++)
        row_add_model(rows, REPORT_PREDICTION, m, shares[d], (double)counts->decisions[d] / (double)n, n);
    positive_row(rows, m, counts->decisions, n);
    if (scores == 0)
        return;
    struct statistic uncertain = statistic_uncertain_share(counts->uncertain, scores, NULL);
    row_judge(rows, row_add_model(rows, REPORT_PREDICTION, m, "uncertain_share", uncertain.value, scores), &uncertain);
}

static void prediction_rows(struct rows *rows)
{
    const struct window_rows *w = rows->window;
    for (size_t m = 0; m < sketch_models(w->shape); m++) {
        const struct sketch_model_counts *counts = sketch_model(w->shape, w->cell, m);
        int64_t scores = sketch_score_count(w->shape, w->cell, m), decided = scores + counts->invalid;
        row_add_model(rows, REPORT_PREDICTION, m, "count", (double)decided, decided);
        if (scores > 0)
            distribution_rows(rows, m, scores);
        if (decided > 0)
            decision_rows(rows, m, counts, scores, decided);
        row_add_model(rows, REPORT_PREDICTION, m, "invalid", (double)counts->invalid, decided);
        row_add_model(rows, REPORT_PREDICTION, m, "shed", (double)counts->shed, decided + counts->shed);
    }
}

/* ---- freshness and latency ---- */

static void schema_row(struct rows *rows)
{
    const struct sketch_values *ids = &rows->window->cell->values[rows->options->segment_count];
    struct report *report = row_add(rows, REPORT_FRESHNESS, rows->window->topic, "schema_ids", (double)ids->count, rows->window->cell->events);
    for (size_t i = 0; i < ids->count; i++)
        row_detail(rows, report, "\"%.*s\": %" PRId64, ids->of[i].size, ids->of[i].text, ids->of[i].count);
}

static void freshness_rows(struct rows *rows)
{
    const struct window_rows *w = rows->window;
    int64_t end = w->cell->window_start_ms + w->width_ms;
    for (size_t i = 0; i < rows->options->field_count; i++) {
        double age = freshness_age_seconds(end, w->last_seen_ms[i], w->first_ms);
        struct report *report = row_add(rows, REPORT_FRESHNESS, rows->options->fields[i], "age_seconds", age, w->cell->events);
        report->judged = w->cell->events >= DRIFT_SAMPLES_MIN; /* a few late events say nothing of a sender */
        if (w->last_seen_ms[i] == TIME_UNKNOWN)
            row_detail(rows, report, "\"seen\": false");
    }
    schema_row(rows);
    entity_rows_write(rows);
}

static void latency_rows(struct rows *rows)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50_seconds", 0.5}, {"p95_seconds", 0.95}, {"p99_seconds", 0.99}};
    const int64_t *bins = sketch_latencies(rows->window->shape, rows->window->cell);
    int64_t n = 0;
    for (size_t i = 0; i < LATENCY_BINS; i++)
        n += bins[i];
    for (size_t i = 0; n && i < sizeof quantiles / sizeof *quantiles; i++)
        row_add(rows, REPORT_LATENCY, rows->window->topic, quantiles[i].name, latency_quantile(bins, quantiles[i].q) / 1000, n);
}

/* ---- quality ---- */

static const char *const reject_rows[REJECT_REASON_COUNT] = {
    [REJECT_NOT_AVRO] = "rejects_not_avro", [REJECT_UNKNOWN_SCHEMA] = "rejects_unknown_schema",
    [REJECT_DECODE_ERROR] = "rejects_decode_error", [REJECT_TRAILING_BYTES] = "rejects_trailing_bytes",
    [REJECT_TOO_LARGE] = "rejects_too_large", [REJECT_MISSING_FIELD] = "rejects_missing_field",
    [REJECT_NULL_FIELD] = "rejects_null_field", [REJECT_TYPE] = "rejects_type", [REJECT_RANGE] = "rejects_range",
    [REJECT_RULE] = "rejects_rule", [REJECT_STALE] = "rejects_stale", [REJECT_FUTURE] = "rejects_future",
    [REJECT_DUPLICATE] = "rejects_duplicate", [REJECT_OUTPUT_TOO_LARGE] = "rejects_output_too_large"};
static const char *const fallback_rows[SKETCH_FALLBACKS_MAX] = {"fallbacks_circuit_open", "fallbacks_invalid_output", "fallbacks_2", "fallbacks_3",
    "fallbacks_4", "fallbacks_5", "fallbacks_6", "fallbacks_7"};

static void rate_row(struct rows *rows, int64_t records)
{
    const struct sketch_cell *cell = rows->window->cell;
    struct report *report = row_add(rows, REPORT_QUALITY, rows->window->topic, "events", (double)cell->events, records);
    if (!rows->options->baseline)
        return;
    double expected = baseline_expected_events(rows->options->baseline, cell->window_start_ms, cell->window_start_ms + rows->window->width_ms);
    struct statistic rate = statistic_rate(cell->events, expected, NULL);
    if (isnan(rate.value))
        return;
    report = row_add(rows, REPORT_QUALITY, rows->window->topic, "rate", rate.value, cell->events);
    report->baseline = expected;
    row_detail(rows, report, "\"expected\": %.9g", expected);
    row_judge(rows, report, &rate);
}

static void reject_share_row(struct rows *rows, int64_t rejects, int64_t records)
{
    if (!records)
        return;
    struct report *report = row_add(rows, REPORT_QUALITY, rows->window->topic, "reject_share", (double)rejects / (double)records, records);
    const struct baseline *baseline = rows->options->baseline;
    if (!baseline || baseline->records <= 0)
        return;
    row_baseline(rows, report, (double)(baseline->records - baseline->events) / (double)baseline->records);
    struct statistic share = statistic_reject_share(rejects, records, baseline->records - baseline->events, baseline->records, NULL);
    row_judge(rows, report, &share);
}

static void field_reject_rows(struct rows *rows, int64_t records)
{
    for (size_t i = 0; i < rows->options->field_count; i++) {
        const int64_t *rejects = sketch_field_rejects(rows->window->shape, rows->window->cell, i);
        for (size_t reason = REJECT_NONE + 1; reason < REJECT_REASON_COUNT; reason++)
            if (rejects[reason])
                row_add(rows, REPORT_QUALITY, rows->options->fields[i], reject_rows[reason], (double)rejects[reason], records);
    }
}

static void loss_rows(struct rows *rows, int64_t records)
{
    const struct window_losses *l = rows->window->losses;
    if (!l)
        return;
    const struct {
        const char *name;
        int64_t n;
    } losses[] = {{"beyond", l->beyond}, {"offset_gaps", l->gaps}, {"missed", l->missed}, {"repeated", l->repeated}, {"unlike", l->unlike}};
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        struct report *report = row_add(rows, REPORT_QUALITY, rows->window->topic, losses[i].name, (double)losses[i].n, records);
        report->severity = losses[i].n ? SEVERITY_WARNING : SEVERITY_OK;
    }
}

static void quality_rows(struct rows *rows)
{
    const struct sketch_cell *cell = rows->window->cell;
    const char *topic = rows->window->topic;
    const int64_t *fallbacks = sketch_fallbacks(rows->window->shape, cell);
    int64_t records = sketch_cell_records(cell);
    row_add(rows, REPORT_QUALITY, topic, "records", (double)records, records);
    rate_row(rows, records);
    row_add(rows, REPORT_QUALITY, topic, "late", (double)cell->overdue, records);
    row_add(rows, REPORT_QUALITY, topic, "incomplete_windows", (double)cell->incomplete, records);
    row_add(rows, REPORT_QUALITY, topic, "rejects", (double)(records - cell->events), records);
    reject_share_row(rows, records - cell->events, records);
    for (size_t i = REJECT_NONE + 1; i < REJECT_REASON_COUNT; i++)
        row_add(rows, REPORT_QUALITY, topic, reject_rows[i], (double)cell->rejects[i], records);
    for (size_t i = 0; i < SKETCH_FALLBACKS_MAX; i++)
        if (fallbacks[i])
            row_add(rows, REPORT_QUALITY, topic, fallback_rows[i], (double)fallbacks[i], records);
    field_reject_rows(rows, records);
    loss_rows(rows, records);
}

void window_rows_write(const struct window_rows *window, struct report_list *reports)
{
    struct rows rows = {.window = window, .options = sketch_shape_of(window->shape), .reports = reports, .head = ""};
    char head[32];
    if (window->revision)
        rows.head = report_text(reports, head, (size_t)snprintf(head, sizeof head, "{\"revision\": %d}", window->revision));
    if (baseline_hours_of(window->cell->window_start_ms, window->cell->window_start_ms + window->width_ms, &rows.hour_set))
        rows.hours = &rows.hour_set;
    rows.trend_count = baseline_hours_trends(window->cell->window_start_ms, window->cell->window_start_ms + window->width_ms, rows.trends);
    drift_rows_write(&rows);
    prediction_rows(&rows);
    shadow_rows_write(&rows);
    freshness_rows(&rows);
    latency_rows(&rows);
    timing_rows_write(&rows);
    quality_rows(&rows);
}
