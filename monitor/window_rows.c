/* What the rows of a window have in common: how one is added, and what it is judged by.
 *
 * A window that is as its hour is a little earlier or later is not drifted (baseline.h): values are those against its own
 * hour, severities the least of the three.
 *
 * Published and not judged is
 *   - what of a window shorter than a day could only be compared with the whole baseline (baseline.h);
 *   - what looks back further than the log reaches (features of windows, times since, speed, and with them the scores):
 *     a cold start is no drift, and the baseline leaves it out too.  Where the log was there before, more than
 *     FILLING_SHARE of the events having incomplete windows tells of it.  (A share s of values that all lie in one wrong
 *     bin of 20 has a PSI below 0.1 up to s = 0.1.) */
#include "monitor/window_rows.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "monitor/text_buffer.h"

enum { DAY_MS = 86400000 };
#define FILLING_SHARE 0.05

struct report *row_add(struct rows *rows, enum report_kind kind, const char *subject, const char *statistic, double value, int64_t count)
{
    struct report *report = report_add(rows->reports);
    report->kind = kind;
    report->window_start_ms = rows->window->cell->window_start_ms;
    report->window_end_ms = report->window_start_ms + rows->window->width_ms;
    report->subject = subject;
    report->statistic = statistic;
    report->value = value;
    report->count = count;
    report->judged = true;
    report->revision = rows->window->revision > 0;
    report->detail = rows->head;
    return report;
}

struct report *row_add_model(struct rows *rows, enum report_kind kind, size_t m, const char *statistic, double value, int64_t count)
{
    struct report *report = row_add(rows, kind, "score", statistic, value, count);
    report->model_id = sketch_model_of(rows->window->shape, m).id;
    return report;
}

/* In place of the closing brace. */
static void add_members(struct rows *rows, struct report *report, const char *members)
{
    char whole[REPORT_DETAIL_MAX];
    size_t used = strlen(report->detail);
    struct text_buffer text;
    text_init(&text, whole, sizeof whole);
    text_add_bytes(&text, report->detail, used ? used - 1 : 0);
    text_add_bytes(&text, used ? ", " : "{", used ? 2 : 1);
    text_add_bytes(&text, members, strlen(members));
    text_add_bytes(&text, "}", 1);
    if (!text.full)
        report->detail = report_text(rows->reports, whole, text.size);
}

void row_detail(struct rows *rows, struct report *report, const char *format, ...)
{
    char members[REPORT_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(members, sizeof members, format, args); /* one that is cut does not fit below either */
    va_end(args);
    add_members(rows, report, members);
}

void row_detail_text(struct rows *rows, struct report *report, const char *name, const char *value, size_t size)
{
    char copy[SKETCH_MODEL_ID_MAX + 1], members[REPORT_DETAIL_MAX];
    struct text_buffer text;
    snprintf(copy, sizeof copy, "%.*s", (int)(size < sizeof copy ? size : sizeof copy - 1), value);
    text_init(&text, members, sizeof members);
    text_add(&text, "\"%s\": ", name);
    text_add_json_string(&text, copy);
    if (!text.full)
        add_members(rows, report, members);
}

void row_baseline(struct rows *rows, struct report *report, double value)
{
    report->baseline = value;
    row_detail(rows, report, "\"baseline\": %.9g", value);
}

void row_judge(struct rows *rows, struct report *report, const struct statistic *statistic)
{
    report->p_value = statistic->p_value;
    report->threshold = statistic->threshold;
    report->severity = statistic->severity;
    report->judged = statistic->judged;
    report->effect = statistic->effect;
    if (!isnan(statistic->effect) && (isnan(statistic->value) || statistic->effect < statistic->value || statistic->effect > statistic->value))
        row_detail(rows, report, "\"effect\": %.9g", statistic->effect);
    if (!statistic->judged)
        add_members(rows, report, "\"judged\": false");
}

/* ---- what can be judged ---- */

int64_t rows_reach_of(const struct rows *rows, size_t f)
{
    return rows->options->reach_ms ? rows->options->reach_ms[f] : 0;
}

int64_t rows_reach(const struct rows *rows)
{
    int64_t most = 0;
    for (size_t f = 0; f < rows->options->feature_count; f++)
        most = rows_reach_of(rows, f) > most ? rows_reach_of(rows, f) : most;
    return most;
}

bool rows_can_judge(const struct rows *rows, bool comparable, int64_t reach_ms)
{
    const struct window_rows *w = rows->window;
    bool began = reach_ms && w->began_ms != INT64_MIN && w->cell->window_start_ms - w->began_ms < reach_ms + rows->options->window_ms;
    bool incomplete = reach_ms && (double)w->cell->incomplete > FILLING_SHARE * (double)w->cell->events;
    return (comparable || w->width_ms >= DAY_MS) && !began && !incomplete;
}

/* ---- the trend of an hour ---- */

void statistic_allow(struct statistic *s, const struct statistic *trend)
{
    if (!trend->judged || trend->severity >= s->severity)
        return;
    s->severity = trend->severity;
    s->threshold = trend->threshold;
}

void statistics_clear(struct statistic *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        s[i] = (struct statistic){.value = NAN, .p_value = NAN, .effect = NAN};
}

static bool any_severe(const struct statistic *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i].severity > SEVERITY_OK)
            return true;
    return false;
}

double rows_allow_trends(const struct rows *rows, rows_compare *compare, void *what, struct statistic *s, size_t n)
{
    double least = s[0].value;
    for (size_t i = 0; i < rows->trend_count && any_severe(s, n); i++) {
        struct statistic trend[ROW_STATISTICS_MAX];
        assert(n <= ROW_STATISTICS_MAX);
        statistics_clear(trend, n);
        compare(rows, &rows->trends[i], what, trend);
        for (size_t k = 0; k < n; k++)
            statistic_allow(&s[k], &trend[k]);
        least = fmin(least, trend[0].value);
    }
    return least;
}
