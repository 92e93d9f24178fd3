/* From evaluated rows to alerts: what fires, what goes on, what is over.
 *
 * A rule looks at rows by kind, subject, statistic and width of window.  It is broken by a row whose value reaches the
 * threshold; without a threshold of its own, by a row whose severity says so (each statistic then has the limits of its
 * own header).  For one (rule, model, subject, width):
 *
 *   quiet --- broken in `windows` windows running ---> firing --- `windows` running at or past `clear` ---> quiet
 *
 * Between `clear` and `threshold` nothing changes (hysteresis), so a value that swings about one limit is one alert.
 * A firing alert is told once, again each `repeat_ms` of window time, and once more when it is over; where windows of another
 * width have told of it and still do, not at all.  A row that could
 * not be judged (too few values) says nothing either way.  Rows of a window that was told already (a revision) must not
 * be fed; the very row of the window before is known, and left out.
 *
 * Bounded: ALERTS_MAX alerts at a time; one too many is counted and not followed.  All of it is a function of the rows,
 * so that a restart which feeds on from an exported state tells nothing twice and leaves nothing out. */
#pragma once
#include <stdbool.h>

#include "monitor/report.h"
#include "monitor/text_buffer.h"

enum { ALERTS_MAX = 4096, ALERT_NAME_MAX = 63, ALERT_SUBJECT_MAX = 255 };

enum playbook { PLAYBOOK_PREDICTION_SHIFT, PLAYBOOK_ACCURACY, PLAYBOOK_LATENCY, PLAYBOOK_INPUT, PLAYBOOK_COUNT };

struct alert_rule {
    const char *name;      /* at most ALERT_NAME_MAX bytes */
    int kind;              /* enum report_kind; -1: any */
    const char *subject;   /* "*" matches any rest at its end: "merchants_*"; NULL: any */
    const char *statistic; /* likewise */
    int64_t width_ms;      /* of windows; 0: any */
    double threshold;      /* NaN: the row's severity, which must be at least `severity` */
    double clear;          /* NaN: the threshold */
    bool below;            /* broken at or below the threshold, not at or above it */
    int windows;           /* running; at least 1 */
    int64_t min_count;     /* rows over fewer values say nothing either way; 0: whatever there is */
    double min_importance; /* rows of features whose importance (share of gain) is below are left out; 0: none */
    enum severity severity;
    int64_t repeat_ms;     /* 0: never */
    enum playbook playbook;
};

struct alert_silence { /* what matches is followed but not sent */
    const char *rule, *subject; /* as above; NULL: any */
    int64_t until_ms;           /* of window ends */
};

enum alert_state { ALERT_FIRING, ALERT_GOES_ON, ALERT_RESOLVED, ALERT_STATE_COUNT };

struct alert { /* one message; texts belong to the engine until the next feed */
    const struct alert_rule *rule;
    enum alert_state state;
    bool silenced;
    enum severity severity;      /* of the worst row since it began */
    const char *model_id;        /* NULL: none */
    const char *subject, *statistic;
    double value, threshold;     /* of the row that made the message; threshold NaN: unknown */
    double effect, baseline;     /* of that row too; NaN: the value, unknown */
    int64_t count;
    double worst;                /* value furthest beyond the threshold since it began */
    int64_t since_ms;            /* start of the first window that broke the rule */
    int64_t window_start_ms, window_end_ms;
    int64_t windows;             /* that broke it so far */
};
struct alert_list {
    size_t count, capacity;
    struct alert *alerts;
};
void alert_list_finish(struct alert_list *list);

struct alerts;
/* Rules and silences are borrowed.  NULL if memory is short. */
struct alerts *alerts_create(const struct alert_rule *rules, size_t rule_count, const struct alert_silence *silences, size_t silence_count);
void alerts_destroy(struct alerts *alerts);
/* The rows of one window (or of one look at the clock).  Messages are appended. */
void alerts_feed(struct alerts *alerts, const struct report *rows, size_t count, struct alert_list *out);
/* What is firing now, as messages of state ALERT_GOES_ON. */
void alerts_firing(const struct alerts *alerts, struct alert_list *out);
uint64_t alerts_unfollowed(const struct alerts *alerts);

/* The state as one line of JSON, for the aggregator's mark; rules are named, so it outlives a change of the rules
 * (those that are gone are forgotten).  Import returns -1 if the text is none of ours. */
void alerts_export(const struct alerts *alerts, struct text_buffer *text);
struct alert_import { /* one alert of an exported state, parsed by whoever has a JSON parser */
    const char *rule, *model_id, *subject, *statistic;
    int64_t width_ms, since_ms, told_ms, broken, clear, windows;
    bool firing;
    enum severity severity;
    double worst;
};
/* 0, or -1 where there is no such rule or no more room. */
int alerts_import(struct alerts *alerts, const struct alert_import *alert);

/* Sensible rules for whoever configures none. */
const struct alert_rule *alert_rules_default(size_t *count);

/* ---- what is said (alert_text.c) ---- */
const char *alert_state_name(enum alert_state state); /* "firing" ... */
const char *playbook_name(enum playbook playbook);    /* "prediction-shift": the page deploy/playbooks/<name>.md */
const char *playbook_first_step(enum playbook playbook);
/* One line for people: what moved, by how much, since when, which features matter for it. */
void alert_line(const struct alert *alert, const struct report *rows, size_t count, struct text_buffer *text);
/* The same as a JSON object: the detail of an ALERT report, and the body that webhooks build on. */
void alert_json(const struct alert *alert, const struct report *rows, size_t count, struct text_buffer *text);
