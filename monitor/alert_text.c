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
        "look at the features that are named: did a sender, a schema or the mix of customers change at that time?",
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

void alert_line(const struct alert *alert, const struct report *rows, size_t count, struct text_buffer *text)
{
    const struct report *features[FEATURES_NAMED];
    size_t n = features_that_matter(rows, count, features);
    text_add(text, "%s %s: %s of %s is %.4g", severity_name(alert->severity), alert_state_name(alert->state), alert->statistic, alert->subject, alert->value);
    if (!isnan(alert->threshold))
        text_add(text, " (limit %.4g)", alert->threshold);
    if (alert->model_id)
        text_add(text, ", model %s", alert->model_id);
    text_add(text, ", since ");
    add_time(text, alert->since_ms);
    text_add(text, ", %" PRId64 " window%s", alert->windows, alert->windows == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++)
        text_add(text, "%s%s (psi %.3g)", i ? ", " : "; features: ", features[i]->subject, features[i]->value);
    text_add(text, "; rule %s; %s: %s", alert->rule->name, playbook_name(alert->rule->playbook), playbook_first_step(alert->rule->playbook));
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
    add_number(text, "worst", alert->worst);
    text_add(text, ", \"since\": \"");
    add_time(text, alert->since_ms);
    text_add(text, "\", \"window_end\": \"");
    add_time(text, alert->window_end_ms);
    text_add(text, "\", \"windows\": %" PRId64 ", \"silenced\": %s, \"features\": [", alert->windows, alert->silenced ? "true" : "false");
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
