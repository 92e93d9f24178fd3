/* A report: one evaluated statistic, as the monitoring topic carries it (schemas/report.avsc, same order). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/drift.h"

enum { REPORT_DETAIL_MAX = 1024 /* bytes of a detail, with its end */ };

enum report_kind {
    REPORT_DRIFT, REPORT_PREDICTION, REPORT_FRESHNESS, REPORT_LATENCY, REPORT_QUALITY, REPORT_CALIBRATION,
    REPORT_SHADOW, REPORT_DEPLOYMENT, REPORT_ALERT
};

struct report {
    enum report_kind kind;
    int64_t window_start_ms, window_end_ms;
    const char *model_id; /* NULL: none */
    const char *subject, *statistic;
    double value, threshold, p_value; /* the last two NaN: null */
    int64_t count;
    enum severity severity;
    const char *detail; /* JSON object; "" or NULL: null */
    /* Not published: for whoever raises alerts. */
    bool revision;     /* its window was published before */
    bool judged;       /* there were enough values to hold it against a limit */
    double importance; /* of the feature, a share of all gain; NaN: unknown */
    double effect;     /* what was held against the threshold, where it is not the value; NaN: the value */
    double baseline;   /* what the value was then; NaN: unknown */
};

/* Rows in order.  Their texts belong to the aggregate (or the shape), or to the list, and live as long as those; details
 * are the list's.  A row is small, for a window has hundreds and most have no detail. */
struct report_list {
    size_t count, capacity;
    struct report *rows;
    struct report_texts *texts, *last; /* blocks of texts, the first and the one that is filled */
};
struct report *report_add(struct report_list *list); /* a zeroed row, its unknown numbers NaN; memory short aborts */
struct report *report_append(struct report_list *list, const struct report *row); /* a copy, with its detail */
const char *report_text(struct report_list *list, const char *text, size_t size); /* a copy that lives until the list is cleared */
void report_list_clear(struct report_list *list); /* no rows; its memory is kept */
void report_list_finish(struct report_list *list);

const char *report_kind_name(enum report_kind kind); /* "DRIFT" ... */
const char *severity_name(enum severity severity);   /* "OK" ... */
