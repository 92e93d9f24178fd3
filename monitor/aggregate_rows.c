/* The rows of one window: aggregate.h lists them. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "monitor/aggregate_windows.h"
#include "monitor/text_buffer.h"

struct rows {
    const struct window_rows *window;
    const struct sketch_shape_options *options;
    struct report_list *reports;
};

static struct report *row(struct rows *rows, enum report_kind kind, const char *subject, const char *statistic, double value, int64_t count)
{
    struct report *report = report_add(rows->reports);
    report->kind = kind;
    report->window_start_ms = rows->window->cell->window_start_ms;
    report->window_end_ms = report->window_start_ms + rows->options->window_ms;
    report->subject = subject;
    report->statistic = statistic;
    report->value = value;
    report->count = count;
    if (rows->window->revision)
        snprintf(report->detail, sizeof report->detail, "{\"revision\": %d}", rows->window->revision);
    return report;
}

static struct report *model_row(struct rows *rows, enum report_kind kind, size_t m, const char *statistic, double value, int64_t count)
{
    struct report *report = row(rows, kind, "score", statistic, value, count);
    report->model_id = rows->options->models[m].id;
    return report;
}

/* Adds members to the detail's object; left out as a whole if they do not fit. */
static void detail(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void detail(struct report *report, const char *format, ...)
{
    char members[sizeof report->detail];
    va_list args;
    va_start(args, format);
    vsnprintf(members, sizeof members, format, args); /* one that is cut does not fit below either */
    va_end(args);
    size_t used = strlen(report->detail), start = used ? used - 1 : 0; /* in place of the closing brace */
    struct text_buffer text;
    text_init(&text, report->detail + start, sizeof report->detail - start);
    text_add(&text, "%s%s}", used ? ", " : "{", members);
    if (text.full && used)
        strcpy(report->detail + start, "}");
}

static void judge(struct report *report, double psi, int64_t observed, int64_t expected)
{
    report->severity = drift_severity(psi, observed, expected);
    report->threshold = drift_threshold(report->severity);
    if (observed < DRIFT_SAMPLES_MIN || expected < DRIFT_SAMPLES_MIN)
        detail(report, "\"judged\": false, \"samples\": %lld, \"baseline_samples\": %lld, \"samples_min\": %d", (long long)observed,
               (long long)expected, DRIFT_SAMPLES_MIN);
}

static void set_drift(struct rows *rows, size_t i, double psi)
{
    if (rows->window->drift)
        rows->window->drift[i] = psi;
}

/* Drift */

static void feature_psi(struct rows *rows, size_t f, const struct sketch_feature_counts *counts, int64_t there)
{
    const struct baseline_column *reference = &rows->options->baseline->features[f];
    const int64_t *expected;
    size_t bins = sketch_shape_bins(rows->window->shape, f, &expected);
    double psi = drift_psi(counts->bins, expected, bins);
    const char *name = rows->options->features[f];
    judge(row(rows, REPORT_DRIFT, name, "psi", psi, there), psi, there, reference->count);
    row(rows, REPORT_DRIFT, name, "out_of_range_share", (double)(counts->below + counts->above) / (double)there, there);
    set_drift(rows, f, psi);
}

static void feature_missing(struct rows *rows, size_t f, const struct sketch_feature_counts *counts, int64_t there)
{
    int64_t events = rows->window->cell->events;
    double rate = (double)counts->missing / (double)events;
    struct report *report = row(rows, REPORT_DRIFT, rows->options->features[f], "missing_rate", rate, events);
    if (!rows->options->baseline)
        return;
    const struct baseline_column *reference = &rows->options->baseline->features[f];
    int64_t expected[] = {reference->missing, reference->count}, observed[] = {counts->missing, there};
    int64_t all = reference->missing + reference->count;
    double psi = drift_psi(observed, expected, 2);
    detail(report, "\"baseline\": %.9g, \"psi\": %.9g", all ? (double)reference->missing / (double)all : 0, psi);
    judge(report, psi, events, all);
}

static void feature_rows(struct rows *rows)
{
    const struct window_rows *w = rows->window;
    for (size_t f = 0; f < rows->options->feature_count; f++) {
        const struct sketch_feature_counts *counts = sketch_feature(w->shape, w->cell, f);
        int64_t there = w->cell->events - counts->missing;
        set_drift(rows, f, NAN);
        if (there > 0 && rows->options->baseline)
            feature_psi(rows, f, counts, there);
        if (w->cell->events > 0)
            feature_missing(rows, f, counts, there);
        if (there > 0)
            row(rows, REPORT_DRIFT, rows->options->features[f], "mean", sketch_feature_mean(w->shape, w->cell, f), there);
    }
}

static void score_psi(struct rows *rows, size_t m, int64_t scores)
{
    const struct baseline *baseline = rows->options->baseline;
    const int64_t *expected;
    size_t bins = sketch_shape_bins(rows->window->shape, rows->options->feature_count, &expected);
    double psi = drift_psi(sketch_model(rows->window->shape, rows->window->cell, m)->bins, expected, bins);
    struct report *report = model_row(rows, REPORT_DRIFT, m, "psi", psi, scores);
    set_drift(rows, rows->options->feature_count + m, psi);
    if (baseline->model_id && !strcmp(baseline->model_id, rows->options->models[m].id)) {
        judge(report, psi, scores, baseline->score.count);
        return;
    }
    char text[160];
    struct text_buffer id;
    text_init(&id, text, sizeof text);
    text_add_json_string(&id, baseline->model_id ? baseline->model_id : "");
    detail(report, "\"judged\": false, \"baseline_model\": %s", baseline->model_id && !id.full ? text : "null");
}

static void score_drift_rows(struct rows *rows)
{
    for (size_t m = 0; m < rows->options->model_count; m++) {
        int64_t scores = sketch_score_count(rows->window->shape, rows->window->cell, m);
        set_drift(rows, rows->options->feature_count + m, NAN);
        if (scores > 0 && rows->options->baseline && rows->options->baseline->has_score)
            score_psi(rows, m, scores);
    }
}

/* Predictions */

static void distribution_rows(struct rows *rows, size_t m, int64_t scores)
{
    const struct sketch_shape *shape = rows->window->shape;
    const struct sketch_cell *cell = rows->window->cell;
    model_row(rows, REPORT_PREDICTION, m, "mean", sketch_score_mean(shape, cell, m), scores);
    model_row(rows, REPORT_PREDICTION, m, "p50", sketch_score_quantile(shape, cell, m, 0.5), scores);
    model_row(rows, REPORT_PREDICTION, m, "p95", sketch_score_quantile(shape, cell, m, 0.95), scores);
    model_row(rows, REPORT_PREDICTION, m, "p99", sketch_score_quantile(shape, cell, m, 0.99), scores);
}

static void decision_rows(struct rows *rows, size_t m, const int64_t *decisions, int64_t n)
{
    static const char *const shares[DECISION_COUNT] = {"share_approve", "share_review", "share_decline"};
    for (size_t d = 0; d < DECISION_COUNT; d++)
        model_row(rows, REPORT_PREDICTION, m, shares[d], (double)decisions[d] / (double)n, n);
    model_row(rows, REPORT_PREDICTION, m, "positive_share", (double)(n - decisions[DECISION_APPROVE]) / (double)n, n);
}

static void prediction_rows(struct rows *rows)
{
    const struct window_rows *w = rows->window;
    for (size_t m = 0; m < rows->options->model_count; m++) {
        const struct sketch_model_counts *counts = sketch_model(w->shape, w->cell, m);
        int64_t scores = sketch_score_count(w->shape, w->cell, m), decided = scores + counts->invalid;
        model_row(rows, REPORT_PREDICTION, m, "count", (double)decided, decided);
        if (scores > 0)
            distribution_rows(rows, m, scores);
        if (decided > 0)
            decision_rows(rows, m, counts->decisions, decided);
        model_row(rows, REPORT_PREDICTION, m, "invalid", (double)counts->invalid, decided);
        model_row(rows, REPORT_PREDICTION, m, "shed", (double)counts->shed, decided + counts->shed);
    }
}

/* Freshness and quality */

static void freshness_rows(struct rows *rows)
{
    const struct window_rows *w = rows->window;
    int64_t end = w->cell->window_start_ms + rows->options->window_ms;
    for (size_t i = 0; i < rows->options->field_count; i++) {
        double age = freshness_age_seconds(end, w->last_seen_ms[i], w->first_ms);
        struct report *report = row(rows, REPORT_FRESHNESS, rows->options->fields[i], "age_seconds", age, w->cell->events);
        if (w->last_seen_ms[i] == TIME_UNKNOWN)
            detail(report, "\"seen\": false");
    }
}

static void quality_rows(struct rows *rows)
{
    static const char *const names[REJECT_REASON_COUNT] = {
        [REJECT_NOT_AVRO] = "rejects_not_avro", [REJECT_UNKNOWN_SCHEMA] = "rejects_unknown_schema",
        [REJECT_DECODE_ERROR] = "rejects_decode_error", [REJECT_TRAILING_BYTES] = "rejects_trailing_bytes",
        [REJECT_TOO_LARGE] = "rejects_too_large", [REJECT_MISSING_FIELD] = "rejects_missing_field",
        [REJECT_NULL_FIELD] = "rejects_null_field", [REJECT_TYPE] = "rejects_type", [REJECT_RANGE] = "rejects_range",
        [REJECT_RULE] = "rejects_rule", [REJECT_STALE] = "rejects_stale", [REJECT_FUTURE] = "rejects_future",
        [REJECT_DUPLICATE] = "rejects_duplicate", [REJECT_OUTPUT_TOO_LARGE] = "rejects_output_too_large"};
    const struct sketch_cell *cell = rows->window->cell;
    const char *topic = rows->window->topic;
    int64_t records = sketch_cell_records(cell);
    row(rows, REPORT_QUALITY, topic, "records", (double)records, records);
    row(rows, REPORT_QUALITY, topic, "late", (double)cell->late, records);
    row(rows, REPORT_QUALITY, topic, "incomplete_windows", (double)cell->incomplete, records);
    row(rows, REPORT_QUALITY, topic, "rejects", (double)(records - cell->events), records);
    for (size_t i = REJECT_NONE + 1; i < REJECT_REASON_COUNT; i++)
        row(rows, REPORT_QUALITY, topic, names[i], (double)cell->rejects[i], records);
    row(rows, REPORT_QUALITY, topic, "beyond", (double)rows->window->beyond, records);
}

void window_rows_write(const struct window_rows *window, struct report_list *reports)
{
    struct rows rows = {.window = window, .options = sketch_shape_of(window->shape), .reports = reports};
    feature_rows(&rows);
    score_drift_rows(&rows);
    prediction_rows(&rows);
    freshness_rows(&rows);
    quality_rows(&rows);
}
