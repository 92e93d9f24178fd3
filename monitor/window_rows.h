/* Writing the rows of one window: what the files of its kinds of rows share, and where each of them begins. */
#pragma once
#include "monitor/aggregate_windows.h"
#include "monitor/statistics.h"

enum { ROW_STATISTICS_MAX = 6 /* that are compared together */ };

struct rows {
    const struct window_rows *window;
    const struct sketch_shape_options *options;
    const struct baseline_hour_set *hours; /* that the window is compared with; NULL: the whole baseline */
    struct baseline_hour_set hour_set;
    size_t trend_count; /* of what the hour may be a little earlier or later: what is like that is no drift */
    struct baseline_hour_set trends[BASELINE_TRENDS];
    struct report_list *reports;
    const char *head; /* what the detail of every row begins as: the revision, or nothing */
};

struct report *row_add(struct rows *rows, enum report_kind kind, const char *subject, const char *statistic, double value, int64_t count);
struct report *row_add_model(struct rows *rows, enum report_kind kind, size_t m, const char *statistic, double value, int64_t count);
/* Adds members to the detail's object; left out as a whole if they do not fit. */
void row_detail(struct rows *rows, struct report *report, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A member that is a JSON string. */
void row_detail_text(struct rows *rows, struct report *report, const char *name, const char *text, size_t size);
/* What the value is in the baseline. */
void row_baseline(struct rows *rows, struct report *report, double value);
/* Takes what is evaluated through the hours that it is held against: `statistics` were so by rows->hours.  Where one is severe, all
 * are held against rows->trends too, and are as severe as what they are most like.  Returns the least value of the first. */
typedef void rows_compare(const struct rows *rows, const struct baseline_hour_set *hours, void *what, struct statistic *statistics);
double rows_allow_trends(const struct rows *rows, rows_compare *compare, void *what, struct statistic *statistics, size_t count);
/* What is no more than the clock explains is as severe as that. */
void statistic_allow(struct statistic *statistic, const struct statistic *trend);
void statistics_clear(struct statistic *statistics, size_t count);
/* Value, p-value, threshold, severity; what was not judged says so. */
void row_judge(struct rows *rows, struct report *report, const struct statistic *statistic);

/* Whether what was compared can be judged: `comparable` is what the baseline says of the window's hours, `back` that it
 * depends on events so far back. */
bool rows_can_judge(const struct rows *rows, bool comparable, int64_t reach_ms);
int64_t rows_reach_of(const struct rows *rows, size_t f);
int64_t rows_reach(const struct rows *rows); /* of all features, and so of the scores */

/* aggregate_sample.c; far: of a feature with `there` values */
void contribution_row_write(struct rows *rows, size_t f);
void far_row_write(struct rows *rows, size_t f, int64_t there);
void entity_rows_write(struct rows *rows);

void drift_rows_write(struct rows *rows);
void shadow_rows_write(struct rows *rows);
void shadow_part_rows_write(struct rows *rows, size_t m, int64_t events, int64_t disagreeing);
void timing_rows_write(struct rows *rows);
