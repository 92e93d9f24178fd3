#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "monitor/alerts.h"

enum { FEATURES_NAMED = 3 };

const char *alert_state_name(enum alert_state state)
{
    return (const char *const[]){"firing", "goes on", "resolved"}[state];
}

const char *playbook_name(enum playbook playbook)
{
    return (const char *const[PLAYBOOK_COUNT]){"prediction-shift", "accuracy", "latency", "input"}[playbook];
}

const char *playbook_first_step(enum playbook playbook)
{
    return (const char *const[PLAYBOOK_COUNT]){
        "did a sender, a schema or the mix of customers change at that time? look at what is named here first",
        "compare the labels of the last days by segment; a champion that got worse everywhere is retrained, one segment is looked at first",
        "look at consumer lag and commit times by lane: is the broker slow, or are there more records than lanes?",
        "look at the dead letters and at the producer of the topic: is it down, or does it send something else?"}[playbook];
}

/* Days since 1970 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days). */
static void add_time(struct text_buffer *text, int64_t ms)
{
    int64_t seconds = ms / 1000 - (ms % 1000 < 0), days = seconds / 86400 - (seconds % 86400 < 0), rest = seconds - days * 86400;
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    text_add(text, "%04" PRId64 "-%02" PRId64 "-%02" PRId64 "T%02" PRId64 ":%02" PRId64 ":%02" PRId64 "Z", year, month, day, rest / 3600, rest / 60 % 60, rest % 60);
}

static double weight(const struct report *row)
{
    if (row->kind != REPORT_DRIFT || strcmp(row->statistic, "psi") != 0 || !row->judged || !(row->value > 0) || !strcmp(row->subject, "score"))
        return 0;
    return row->value * (isnan(row->importance) ? 1 : row->importance);
}

/* The features whose drift, weighted by what they mean to the model, is largest in these rows. */
static size_t features_that_matter(const struct report *rows, size_t count, const struct report *found[FEATURES_NAMED])
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        double w = weight(&rows[i]);
        size_t at = n;
        if (w <= 0 || rows[i].severity == SEVERITY_OK)
            continue;
        while (at && weight(found[at - 1]) < w)
            at--;
        if (at == FEATURES_NAMED)
            continue;
        if (n < FEATURES_NAMED)
            n++;
        memmove(found + at + 1, found + at, (n - 1 - at) * sizeof *found);
        found[at] = &rows[i];
    }
    return n;
}

/* ---- what moved ---- */

static void add_percent(struct text_buffer *text, double share)
{
    text_add(text, "%.3g %%", 100 * share);
}

static void add_duration(struct text_buffer *text, double seconds)
{
    if (seconds < 120)
        text_add(text, "%.3g s", seconds);
    else if (seconds < 7200)
        text_add(text, "%.0f min", seconds / 60);
    else
        text_add(text, "%.3g h", seconds / 3600);
}

static bool is_scores(const struct alert *alert)
{
    return !strcmp(alert->subject, "score");
}

static void add_limit(const struct alert *alert, struct text_buffer *text)
{
    if (!isnan(alert->threshold))
        text_add(text, " (limit %.3g)", alert->threshold);
}

/* What the limit was held against, where it is not the value. */
static void add_effect(const struct alert *alert, const char *name, struct text_buffer *text)
{
    if (isnan(alert->effect) || isnan(alert->threshold))
        add_limit(alert, text);
    else
        text_add(text, " (%s %.2g, limit %.2g)", name, fabs(alert->effect), alert->threshold);
}

static const struct report *row_of(const struct report *rows, size_t count, const char *subject, const char *statistic)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].kind == REPORT_DRIFT && !strcmp(rows[i].subject, subject) && !strcmp(rows[i].statistic, statistic))
            return &rows[i];
    return NULL;
}

static void say_psi(const struct alert *alert, const struct report *rows, size_t count, struct text_buffer *text)
{
    const struct report *mean = row_of(rows, count, alert->subject, "mean"), *psi = row_of(rows, count, alert->subject, "psi");
    text_add(text, "%s: distribution %s the baseline's, PSI %.3g", is_scores(alert) ? "scores" : alert->subject,
        alert->state == ALERT_RESOLVED ? "is again" : "is not", alert->value);
    add_limit(alert, text);
    if (mean && !isnan(mean->baseline))
        text_add(text, ", mean %.4g, was %.4g", mean->value, mean->baseline);
    if (psi && !isnan(psi->importance))
        text_add(text, ", %.2g %% of the model's gain", 100 * psi->importance);
}

static void say_missing(const struct alert *alert, struct text_buffer *text)
{
    text_add(text, "%s: missing in ", alert->subject);
    if (isnan(alert->baseline)) {
        add_percent(text, fabs(alert->value));
        text_add(text, alert->value < 0 ? " fewer of the events than in the baseline" : " more of the events than in the baseline");
    } else {
        add_percent(text, alert->baseline + alert->value);
        text_add(text, " of the events, was ");
        add_percent(text, alert->baseline);
    }
    add_effect(alert, "Cohen's h", text);
}

/* The names stand in the row's detail: "new": "AE", "new_2" ... */
static void say_new_category(const struct alert *alert, const struct report *rows, size_t count, struct text_buffer *text)
{
    const struct report *row = row_of(rows, count, alert->subject, "new_category_share");
    text_add(text, "%s: ", alert->subject);
    add_percent(text, alert->value);
    text_add(text, " of the values are new to the baseline");
    if (!isnan(alert->threshold)) {
        text_add(text, " (limit ");
        add_percent(text, alert->threshold);
        text_add(text, ")");
    }
    const char *at = row && row->detail ? strstr(row->detail, "\"new\": ") : NULL;
    for (int n = 0; at && n < 3; n++) {
        const char *value = strstr(at, ": ") + 2, *end = value + 1;
        while (*end && *end != '"')
            end += *end == '\\' && end[1] ? 2 : 1;
        text_add(text, "%s%.*s", n ? ", " : ": ", (int)(end - value - 1), value + 1);
        at = strstr(end, "\"new_");
    }
}

static void say_share(const struct alert *alert, const char *subject, const char *what, struct text_buffer *text)
{
    text_add(text, "%s: ", subject);
    add_percent(text, alert->value);
    text_add(text, " %s", what);
    if (!isnan(alert->baseline)) {
        text_add(text, ", was ");
        add_percent(text, alert->baseline);
    }
    add_effect(alert, "Cohen's h", text);
}

static void say_time(const struct alert *alert, const char *what, struct text_buffer *text)
{
    text_add(text, "%s: %s ", alert->subject, what);
    add_duration(text, alert->value);
    if (!isnan(alert->threshold)) {
        text_add(text, " (limit ");
        add_duration(text, alert->threshold);
        text_add(text, ")");
    }
}

static void say_silence(const struct alert *alert, struct text_buffer *text)
{
    say_time(alert, alert->state == ALERT_RESOLVED ? "records come again, the last one before" : "no record for", text);
    if (alert->state != ALERT_RESOLVED && !isnan(alert->baseline))
        text_add(text, ", %.0f were to be expected", alert->baseline);
}

static void say_rate(const struct alert *alert, struct text_buffer *text)
{
    text_add(text, "%s: %" PRId64 " events in the window", alert->subject, alert->count);
    if (!isnan(alert->baseline))
        text_add(text, ", the baseline expects %.0f", alert->baseline);
}

static void say_weighted(const struct alert *alert, struct text_buffer *text)
{
    text_add(text, "features: PSI weighted by importance %.3g", alert->value);
    add_limit(alert, text);
}

static void say_mix(const struct alert *alert, struct text_buffer *text)
{
    text_add(text, "%s: another mix of values", alert->subject);
    add_effect(alert, "Cohen's w", text);
}

/* Subject `labels`, or a segment's value. */
static void say_calibration(const struct alert *alert, struct text_buffer *text)
{
    text_add(text, "%s: scores miss the share of fraud by ", alert->subject);
    add_percent(text, alert->value);
    text_add(text, " on average (ECE%s", isnan(alert->threshold) ? "" : ", limit ");
    if (!isnan(alert->threshold))
        add_percent(text, alert->threshold);
    text_add(text, ")");
}

static void say_plainly(const struct alert *alert, struct text_buffer *text)
{
    text_add(text, "%s of %s is %.4g", alert->statistic, alert->subject, alert->value);
    if (!isnan(alert->baseline))
        text_add(text, ", was %.4g", alert->baseline);
    add_effect(alert, "effect", text);
}

static void say_what(const struct alert *alert, const struct report *rows, size_t count, struct text_buffer *text)
{
    const char *statistic = alert->statistic;
    if (!strcmp(statistic, "psi"))
        say_psi(alert, rows, count, text);
    else if (!strcmp(statistic, "missing_change"))
        say_missing(alert, text);
    else if (!strcmp(statistic, "new_category_share"))
        say_new_category(alert, rows, count, text);
    else if (!strcmp(statistic, "positive_share"))
        say_share(alert, "scores", "at or over the review threshold", text);
    else if (!strcmp(statistic, "uncertain_share"))
        say_share(alert, "scores", "undecided, from 0.4 to 0.6", text);
    else if (!strcmp(statistic, "reject_share"))
        say_share(alert, alert->subject, "of the records rejected", text);
    else if (!strcmp(statistic, "drifted_share"))
        say_share(alert, "features", "have drifted", text);
    else if (!strcmp(statistic, "chi2"))
        say_mix(alert, text);
    else if (!strcmp(statistic, "weighted_psi"))
        say_weighted(alert, text);
    else if (!strcmp(statistic, "ece"))
        say_calibration(alert, text);
    else if (!strcmp(statistic, "rate"))
        say_rate(alert, text);
    else if (!strcmp(statistic, "age_seconds"))
        say_time(alert, "no value for", text);
    else if (!strcmp(statistic, "silence_seconds"))
        say_silence(alert, text);
    else
        say_plainly(alert, text);
}

void alert_line(const struct alert *alert, const struct report *rows, size_t count, struct text_buffer *text)
{
    const struct report *features[FEATURES_NAMED];
    size_t n = features_that_matter(rows, count, features), named = 0;
    text_add(text, "%s %s: ", severity_name(alert->severity), alert_state_name(alert->state));
    say_what(alert, rows, count, text);
    if (alert->model_id)
        text_add(text, ", model %s", alert->model_id);
    text_add(text, "; since ");
    add_time(text, alert->since_ms);
    if (alert->window_end_ms > alert->window_start_ms) {
        text_add(text, ", %" PRId64 " window%s of ", alert->windows, alert->windows == 1 ? "" : "s");
        add_duration(text, (double)(alert->window_end_ms - alert->window_start_ms) / 1000);
    }
    if (alert->state == ALERT_RESOLVED)
        return;
    for (size_t i = 0; i < n; i++)
        if (strcmp(features[i]->subject, alert->subject) != 0)
            text_add(text, "%s%s (PSI %.2g)", named++ ? ", " : "; features that matter: ", features[i]->subject, features[i]->value);
    text_add(text, "; rule %s; playbook %s: %s", alert->rule->name, playbook_name(alert->rule->playbook), playbook_first_step(alert->rule->playbook));
}

static void add_text(struct text_buffer *text, const char *name, const char *value)
{
    text_add(text, ", \"%s\": ", name);
    if (value)
        text_add_json_string(text, value);
    else
        text_add(text, "null");
}

static void add_number(struct text_buffer *text, const char *name, double value)
{
    text_add(text, ", \"%s\": ", name);
    text_add_json_number(text, value);
}

void alert_json(const struct alert *alert, const struct report *rows, size_t count, struct text_buffer *text)
{
    const struct report *features[FEATURES_NAMED];
    size_t n = features_that_matter(rows, count, features);
    text_add(text, "{\"rule\": ");
    text_add_json_string(text, alert->rule->name);
    add_text(text, "state", alert_state_name(alert->state));
    add_text(text, "severity", severity_name(alert->severity));
    add_text(text, "model", alert->model_id);
    add_text(text, "subject", alert->subject);
    add_text(text, "statistic", alert->statistic);
    add_number(text, "value", alert->value);
    add_number(text, "threshold", alert->threshold);
    add_number(text, "effect", alert->effect);
    add_number(text, "baseline", alert->baseline);
    add_number(text, "worst", alert->worst);
    text_add(text, ", \"since\": \"");
    add_time(text, alert->since_ms);
    text_add(text, "\", \"window_end\": \"");
    add_time(text, alert->window_end_ms);
    text_add(text, "\", \"window_seconds\": %.12g", (double)(alert->window_end_ms - alert->window_start_ms) / 1000);
    text_add(text, ", \"windows\": %" PRId64 ", \"silenced\": %s, \"features\": [", alert->windows, alert->silenced ? "true" : "false");
    for (size_t i = 0; i < n; i++) {
        text_add(text, "%s{\"feature\": ", i ? ", " : "");
        text_add_json_string(text, features[i]->subject);
        add_number(text, "psi", features[i]->value);
        add_number(text, "importance", features[i]->importance);
        text_add(text, "}");
    }
    text_add(text, "]");
    add_text(text, "playbook", playbook_name(alert->rule->playbook));
    add_text(text, "first_step", playbook_first_step(alert->rule->playbook));
    text_add(text, "}");
}
