#include "monitor/alerts.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct followed { /* one (rule, model, subject, statistic, width) that is not quiet */
    size_t rule;
    int64_t width_ms;
    char model_id[ALERT_SUBJECT_MAX + 1], subject[ALERT_SUBJECT_MAX + 1], statistic[ALERT_NAME_MAX + 1]; /* model "": none */
    bool firing;
    int64_t broken, clear; /* windows running */
    int64_t windows, since_ms, told_ms; /* told_ms 0 while it fires: another width told of it */
    int64_t window_start_ms, window_end_ms;
    enum severity severity;
    double value, threshold, worst, effect, baseline;
    int64_t count;
};

struct alerts {
    const struct alert_rule *rules;
    size_t rule_count;
    const struct alert_silence *silences;
    size_t silence_count;
    struct followed *followed;
    size_t count;
    struct followed *told; /* what the messages of this feed point to */
    size_t told_count, told_capacity;
    uint64_t unfollowed;
};

struct alerts *alerts_create(const struct alert_rule *rules, size_t rule_count, const struct alert_silence *silences, size_t silence_count)
{
    struct alerts *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    *a = (struct alerts){.rules = rules, .rule_count = rule_count, .silences = silences, .silence_count = silence_count};
    a->followed = calloc(ALERTS_MAX, sizeof *a->followed);
    if (!a->followed) {
        alerts_destroy(a);
        return NULL;
    }
    return a;
}

void alerts_destroy(struct alerts *a)
{
    if (!a)
        return;
    free(a->followed);
    free(a->told);
    free(a);
}

void alert_list_finish(struct alert_list *list)
{
    free(list->alerts);
    *list = (struct alert_list){0};
}

/* ---- which rows a rule looks at ---- */

static bool matches(const char *pattern, const char *text)
{
    if (!pattern)
        return true;
    size_t n = strlen(pattern);
    return n && pattern[n - 1] == '*' ? !strncmp(pattern, text, n - 1) : !strcmp(pattern, text);
}

static bool looks_at(const struct alert_rule *rule, const struct report *row)
{
    return (rule->kind < 0 || (int)row->kind == rule->kind) && matches(rule->subject, row->subject) && matches(rule->statistic, row->statistic) &&
           (!rule->width_ms || rule->width_ms == row->window_end_ms - row->window_start_ms) &&
           row->count >= rule->min_count && !(rule->min_importance > 0 && row->importance < rule->min_importance); /* an unknown importance passes */
}

static bool broken_by(const struct alert_rule *rule, const struct report *row)
{
    if (isnan(rule->threshold))
        return row->severity >= rule->severity && row->severity > SEVERITY_OK;
    return rule->below ? row->value <= rule->threshold : row->value >= rule->threshold;
}

/* Not broken, and not within the hysteresis either. */
static bool cleared_by(const struct alert_rule *rule, const struct report *row)
{
    if (broken_by(rule, row) || isnan(row->value))
        return false;
    if (isnan(rule->clear))
        return true;
    return rule->below ? row->value > rule->clear : row->value < rule->clear;
}

static bool silenced(const struct alerts *a, const struct followed *f)
{
    for (size_t i = 0; i < a->silence_count; i++)
        if (matches(a->silences[i].rule, a->rules[f->rule].name) && matches(a->silences[i].subject, f->subject) && f->window_end_ms <= a->silences[i].until_ms)
            return true;
    return false;
}

/* ---- what is followed ---- */

/* Cut between characters where it is too long. */
static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = 0;
    for (size_t step; from && from[n] && n + (step = utf8_length(from + n) ? utf8_length(from + n) : 1) < size; n += step)
        memcpy(to + n, from + n, step);
    to[n] = 0;
}

static struct followed *find(struct alerts *a, size_t rule, const struct report *row)
{
    int64_t width_ms = row->window_end_ms - row->window_start_ms;
    for (size_t i = 0; i < a->count; i++) {
        struct followed *f = &a->followed[i];
        if (f->rule == rule && f->width_ms == width_ms && !strcmp(f->subject, row->subject) && !strcmp(f->statistic, row->statistic) &&
            !strcmp(f->model_id, row->model_id ? row->model_id : ""))
            return f;
    }
    return NULL;
}

static struct followed *follow(struct alerts *a, size_t rule, const struct report *row)
{
    if (a->count == ALERTS_MAX) {
        a->unfollowed++;
        return NULL;
    }
    struct followed *f = &a->followed[a->count++];
    *f = (struct followed){.rule = rule, .width_ms = row->window_end_ms - row->window_start_ms, .since_ms = row->window_start_ms, .worst = row->value};
    copy_text(f->model_id, sizeof f->model_id, row->model_id);
    copy_text(f->subject, sizeof f->subject, row->subject);
    copy_text(f->statistic, sizeof f->statistic, row->statistic);
    return f;
}

static void note_row(struct followed *f, const struct alert_rule *rule, const struct report *row)
{
    f->value = row->value;
    f->threshold = isnan(rule->threshold) ? row->threshold : rule->threshold;
    f->effect = isnan(rule->threshold) ? row->effect : NAN;
    f->baseline = row->baseline;
    f->count = row->count;
    f->window_start_ms = row->window_start_ms;
    f->window_end_ms = row->window_end_ms;
}

/* ---- messages ---- */

static struct alert message_of(const struct alerts *a, const struct followed *f, enum alert_state state)
{
    return (struct alert){.rule = &a->rules[f->rule], .state = state, .silenced = silenced(a, f), .severity = f->severity, .model_id = *f->model_id ? f->model_id : NULL,
        .subject = f->subject, .statistic = f->statistic, .value = f->value, .threshold = f->threshold, .effect = f->effect, .baseline = f->baseline, .count = f->count, .worst = f->worst, .since_ms = f->since_ms,
        .window_start_ms = f->window_start_ms, .window_end_ms = f->window_end_ms, .windows = f->windows};
}

static void list_add(struct alert_list *list, struct alert alert)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 16;
        list->alerts = reallocarray(list->alerts, list->capacity, sizeof *list->alerts);
        assert(list->alerts && "memory is short");
    }
    list->alerts[list->count++] = alert;
}

/* Messages point to copies, for what is over is forgotten at once. */
static void tell(struct alerts *a, const struct followed *f, enum alert_state state, struct alert_list *out)
{
    assert(a->told_count < a->told_capacity);
    struct followed *copy = &a->told[a->told_count++];
    *copy = *f;
    list_add(out, message_of(a, copy, state));
}

static void room_to_tell(struct alerts *a, size_t most)
{
    a->told_count = 0;
    if (most <= a->told_capacity)
        return;
    a->told = reallocarray(a->told, most, sizeof *a->told);
    assert(a->told && "memory is short");
    a->told_capacity = most;
}

/* ---- the fold ---- */

/* A drift is in the windows of five minutes, of an hour and of a day: who sees it first tells of it. */
static bool told_at_another_width(const struct alerts *a, const struct followed *f)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct followed *other = &a->followed[i];
        if (other != f && other->firing && other->told_ms && other->rule == f->rule && !strcmp(other->subject, f->subject) && !strcmp(other->statistic, f->statistic) &&
            !strcmp(other->model_id, f->model_id))
            return true;
    }
    return false;
}

static void breaks(struct alerts *a, struct followed *f, const struct report *row, struct alert_list *out)
{
    const struct alert_rule *rule = &a->rules[f->rule];
    enum severity severity = isnan(rule->threshold) ? row->severity : rule->severity;
    f->broken++;
    f->windows++;
    f->clear = 0;
    f->severity = severity > f->severity ? severity : f->severity;
    if (rule->below ? row->value < f->worst : row->value > f->worst)
        f->worst = row->value;
    if (!f->firing && f->broken >= rule->windows) {
        f->firing = true;
        if (told_at_another_width(a, f))
            return;
        f->told_ms = row->window_end_ms;
        tell(a, f, ALERT_FIRING, out);
    } else if (f->firing && f->told_ms && rule->repeat_ms && row->window_end_ms - f->told_ms >= rule->repeat_ms) {
        f->told_ms = row->window_end_ms;
        tell(a, f, ALERT_GOES_ON, out);
    }
}

/* true: it is over. */
static bool clears(struct alerts *a, struct followed *f, const struct report *row, struct alert_list *out)
{
    const struct alert_rule *rule = &a->rules[f->rule];
    f->broken = 0;
    if (!f->firing)
        return true;
    if (!cleared_by(rule, row)) {
        f->clear = 0;
        return false;
    }
    if (++f->clear < rule->windows)
        return false;
    if (f->told_ms)
        tell(a, f, ALERT_RESOLVED, out);
    return true;
}

static void feed_one(struct alerts *a, size_t r, const struct report *row, struct alert_list *out)
{
    const struct alert_rule *rule = &a->rules[r];
    struct followed *f = find(a, r, row);
    bool broken = broken_by(rule, row);
    if (f && f->width_ms && f->window_end_ms == row->window_end_ms)
        return; /* told again */
    if (!f && (!broken || !(f = follow(a, r, row))))
        return;
    note_row(f, rule, row);
    if (broken)
        breaks(a, f, row, out);
    else if (clears(a, f, row, out))
        *f = a->followed[--a->count];
}

void alerts_feed(struct alerts *a, const struct report *rows, size_t count, struct alert_list *out)
{
    room_to_tell(a, count * a->rule_count);
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; rows[i].judged && r < a->rule_count; r++)
            if (looks_at(&a->rules[r], &rows[i]))
                feed_one(a, r, &rows[i], out);
}

void alerts_firing(const struct alerts *a, struct alert_list *out)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->followed[i].firing && a->followed[i].told_ms)
            list_add(out, message_of(a, &a->followed[i], ALERT_GOES_ON));
}

uint64_t alerts_unfollowed(const struct alerts *a)
{
    return a->unfollowed;
}

/* ---- the state ---- */

void alerts_export(const struct alerts *a, struct text_buffer *text)
{
    text_add(text, "[");
    for (size_t i = 0; i < a->count; i++) {
        const struct followed *f = &a->followed[i];
        text_add(text, "%s{\"rule\": ", i ? ", " : "");
        text_add_json_string(text, a->rules[f->rule].name);
        text_add(text, ", \"model\": ");
        text_add_json_string(text, f->model_id);
        text_add(text, ", \"subject\": ");
        text_add_json_string(text, f->subject);
        text_add(text, ", \"statistic\": ");
        text_add_json_string(text, f->statistic);
        text_add(text, ", \"width\": %" PRId64 ", \"since\": %" PRId64 ", \"told\": %" PRId64 ", \"broken\": %" PRId64 ", \"clear\": %" PRId64 ", \"windows\": %" PRId64 ", \"firing\": %s, \"severity\": %d, \"worst\": ",
            f->width_ms, f->since_ms, f->told_ms, f->broken, f->clear, f->windows, f->firing ? "true" : "false", (int)f->severity);
        text_add_json_number(text, f->worst);
        text_add(text, "}");
    }
    text_add(text, "]");
}

int alerts_import(struct alerts *a, const struct alert_import *alert)
{
    size_t r = 0;
    while (r < a->rule_count && strcmp(a->rules[r].name, alert->rule) != 0)
        r++;
    if (r == a->rule_count || a->count == ALERTS_MAX)
        return -1;
    struct followed *f = &a->followed[a->count++];
    *f = (struct followed){.rule = r, .width_ms = alert->width_ms, .firing = alert->firing, .broken = alert->broken, .clear = alert->clear, .windows = alert->windows,
        .since_ms = alert->since_ms, .told_ms = alert->told_ms, .severity = alert->severity, .value = alert->worst, .worst = alert->worst, .threshold = NAN, .effect = NAN, .baseline = NAN};
    copy_text(f->model_id, sizeof f->model_id, alert->model_id);
    copy_text(f->subject, sizeof f->subject, alert->subject);
    copy_text(f->statistic, sizeof f->statistic, alert->statistic);
    return 0;
}

/* ---- defaults ---- */

const struct alert_rule *alert_rules_default(size_t *count)
{
#define DAY INT64_C(86400000)
    static const struct alert_rule rules[] = {
        /* A feature that moves is told once, by its PSI: KS, KL, JS and the shift of its mean see the same move. */
        {"feature_drift", REPORT_DRIFT, NULL, "psi", 0, NAN, NAN, false, 2, 0, 0.01, SEVERITY_WARNING, DAY, PLAYBOOK_PREDICTION_SHIFT},
        {"many_features", REPORT_DRIFT, "features", "weighted_psi", 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_PREDICTION_SHIFT},
        {"missing_values", REPORT_DRIFT, NULL, "missing_change", 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_INPUT},
        {"new_category", REPORT_DRIFT, NULL, "new_category_share", 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_PREDICTION_SHIFT},
        {"category_mix", REPORT_DRIFT, NULL, "chi2", 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_PREDICTION_SHIFT},
        {"distinct_values", REPORT_DRIFT, NULL, "distinct", 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_INPUT},
        {"contribution", REPORT_DRIFT, NULL, "contribution*", 0, NAN, NAN, false, 2, 0, 0.01, SEVERITY_WARNING, DAY, PLAYBOOK_PREDICTION_SHIFT},
        {"prediction_shift", REPORT_PREDICTION, NULL, NULL, 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_PREDICTION_SHIFT},
        {"input_quality", REPORT_QUALITY, NULL, NULL, 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_INPUT},
        {"calibration", REPORT_CALIBRATION, NULL, "ece", 0, NAN, NAN, false, 1, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_ACCURACY},
        {"field_age", REPORT_FRESHNESS, NULL, "age_seconds", 0, 900, 600, false, 1, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_INPUT},
        {"silence", REPORT_FRESHNESS, NULL, "silence_seconds", 0, NAN, NAN, false, 1, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_INPUT},
        {"latency", REPORT_LATENCY, NULL, "p99_seconds", 0, 10, 5, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_LATENCY},
        {"scoring_latency", REPORT_LATENCY, NULL, "scoring_p99_seconds", 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_LATENCY},
        {"shadow", REPORT_SHADOW, NULL, NULL, 0, NAN, NAN, false, 2, 0, 0, SEVERITY_WARNING, DAY, PLAYBOOK_PREDICTION_SHIFT},
    };
#undef DAY
    *count = sizeof rules / sizeof *rules;
    return rules;
}
