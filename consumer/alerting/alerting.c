#include "consumer/alerting/alerting.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/log.h"
#include "monitor/exposition.h"

enum { LINE_MAX_BYTES = 2048, JSON_MAX_BYTES = 8192, SHOWN_MAX = 100 };

struct message { /* fed, not yet known committed */
    struct alert alert; /* without texts of the engine but those copied here */
    char *subject, *statistic, *model_id, *line, *json;
};

struct alerting {
    const struct config *config;
    struct alert_rule *own_rules; /* NULL: the defaults */
    const struct alert_rule *rules;
    size_t rule_count;
    struct alert_silence *silences;
    struct alerts *engine;
    struct webhooks *webhooks;
    struct message *messages;
    size_t message_count, message_capacity;
    pthread_mutex_t lock; /* of what follows */
    char *firing;         /* JSON */
    int64_t told[ALERT_STATE_COUNT][SEVERITY_CRITICAL + 1], fires[SEVERITY_CRITICAL + 1], silenced, unfollowed;
};

/* ---- rules ---- */

static struct alert_rule rule_of(const struct alert_entry *e)
{
    return (struct alert_rule){.name = e->name, .kind = e->kind - 1, .subject = e->subject, .statistic = e->statistic, .width_ms = e->window_ms,
        .threshold = e->has_threshold ? e->threshold : NAN, .clear = e->has_clear ? e->clear : NAN, .below = e->below, .windows = e->windows, .min_count = e->min_count, .min_importance = e->min_importance,
        .severity = e->severity ? SEVERITY_CRITICAL : SEVERITY_WARNING, .repeat_ms = e->repeat_ms, .playbook = (enum playbook)e->playbook};
}

static void make_rules(struct alerting *a)
{
    const struct config *config = a->config;
    a->rules = alert_rules_default(&a->rule_count);
    if (config->monitor.alerts_given) {
        a->rule_count = config->monitor.alert_count;
        a->own_rules = calloc(a->rule_count + 1, sizeof *a->own_rules);
        assert(a->own_rules);
        for (size_t i = 0; i < a->rule_count; i++)
            a->own_rules[i] = rule_of(&config->monitor.alerts[i]);
        a->rules = a->own_rules;
    }
    a->silences = calloc(config->monitor.silence_count + 1, sizeof *a->silences);
    assert(a->silences);
    for (size_t i = 0; i < config->monitor.silence_count; i++)
        a->silences[i] = (struct alert_silence){config->monitor.silences[i].alert, config->monitor.silences[i].subject, config->monitor.silences[i].until_ms};
}

static void make_engine(struct alerting *a)
{
    alerts_destroy(a->engine);
    a->engine = alerts_create(a->rules, a->rule_count, a->silences, a->config->monitor.silence_count);
    assert(a->engine && "memory is short");
}

int alerting_create(const struct config *config, bool send, struct alerting **out, struct err *err)
{
    struct alerting *a = calloc(1, sizeof *a);
    assert(a);
    a->config = config;
    pthread_mutex_init(&a->lock, NULL);
    make_rules(a);
    make_engine(a);
    if (send && webhooks_create(config, &a->webhooks, err) < 0) {
        alerting_destroy(a, 0);
        return -1;
    }
    *out = a;
    return 0;
}

/* ---- messages ---- */

static void finish_message(struct message *m)
{
    free(m->subject);
    free(m->statistic);
    free(m->model_id);
    free(m->line);
    free(m->json);
}

static void forget_messages(struct alerting *a)
{
    for (size_t i = 0; i < a->message_count; i++)
        finish_message(&a->messages[i]);
    a->message_count = 0;
}

void alerting_destroy(struct alerting *a, int64_t drain_ms)
{
    if (!a)
        return;
    webhooks_destroy(a->webhooks, drain_ms);
    forget_messages(a);
    free(a->messages);
    alerts_destroy(a->engine);
    free(a->own_rules);
    free(a->silences);
    free(a->firing);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static char *copy(const char *text)
{
    char *made = text ? strdup(text) : NULL;
    assert(made || !text);
    return made;
}

static struct message *keep(struct alerting *a, const struct alert *alert, const struct report *rows, size_t count)
{
    char line[LINE_MAX_BYTES], json[JSON_MAX_BYTES];
    struct text_buffer line_text, json_text;
    text_init(&line_text, line, sizeof line);
    alert_line(alert, rows, count, &line_text);
    for (size_t named = count;; named = 0) { /* without the features that matter where the row has no room for them */
        text_init(&json_text, json, sizeof json);
        alert_json(alert, rows, named, &json_text);
        if (!named || (!json_text.full && json_text.size < REPORT_DETAIL_MAX))
            break;
    }
    if (json_text.full)
        text_cut(&json_text, 0);
    if (a->message_count == a->message_capacity) {
        a->message_capacity = a->message_capacity ? 2 * a->message_capacity : 16;
        a->messages = reallocarray(a->messages, a->message_capacity, sizeof *a->messages);
        assert(a->messages && "memory is short");
    }
    struct message *m = &a->messages[a->message_count++];
    *m = (struct message){.alert = *alert, .subject = copy(alert->subject), .statistic = copy(alert->statistic), .model_id = copy(alert->model_id), .line = copy(line),
        .json = copy(*json ? json : "{}")};
    m->alert.subject = m->subject;
    m->alert.statistic = m->statistic;
    m->alert.model_id = m->model_id;
    return m;
}

static void add_row(const struct message *m, struct report_list *out)
{
    struct report *row = report_add(out);
    row->kind = REPORT_ALERT;
    row->window_start_ms = m->alert.window_start_ms;
    row->window_end_ms = m->alert.window_end_ms;
    row->model_id = m->model_id;
    row->subject = m->subject;
    row->statistic = m->statistic;
    row->value = m->alert.value;
    row->threshold = m->alert.threshold;
    row->count = m->alert.windows;
    row->severity = m->alert.state == ALERT_RESOLVED ? SEVERITY_OK : m->alert.severity;
    if (strlen(m->json) < REPORT_DETAIL_MAX)
        row->detail = report_text(out, m->json, strlen(m->json));
}

/* What the page shows, made anew when it may have changed. */
static void note_firing(struct alerting *a)
{
    struct alert_list list = {0};
    json_t *array = json_array();
    alerts_firing(a->engine, &list);
    for (size_t i = 0; i < list.count && i < SHOWN_MAX; i++) {
        char line[LINE_MAX_BYTES];
        struct text_buffer text;
        text_init(&text, line, sizeof line);
        alert_line(&list.alerts[i], NULL, 0, &text);
        json_array_append_new(array, json_pack("{s:s, s:s, s:b}", "severity", severity_name(list.alerts[i].severity), "line", line, "silenced", (int)list.alerts[i].silenced));
    }
    char *made = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    pthread_mutex_lock(&a->lock);
    free(a->firing);
    a->firing = made;
    memset(a->fires, 0, sizeof a->fires);
    a->silenced = 0;
    for (size_t i = 0; i < list.count; i++) {
        a->fires[list.alerts[i].severity]++;
        a->silenced += list.alerts[i].silenced;
    }
    a->unfollowed = (int64_t)alerts_unfollowed(a->engine);
    pthread_mutex_unlock(&a->lock);
    alert_list_finish(&list);
}

void alerting_feed(struct alerting *a, const struct report *rows, size_t count, struct report_list *out)
{
    struct alert_list list = {0};
    alerts_feed(a->engine, rows, count, &list);
    for (size_t i = 0; i < list.count; i++)
        add_row(keep(a, &list.alerts[i], rows, count), out);
    alert_list_finish(&list);
    note_firing(a);
}

static void count_told(struct alerting *a)
{
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->message_count; i++)
        a->told[a->messages[i].alert.state][a->messages[i].alert.severity]++;
    pthread_mutex_unlock(&a->lock);
}

void alerting_deliver(struct alerting *a)
{
    for (size_t i = 0; i < a->message_count; i++) {
        const struct message *m = &a->messages[i];
        if (m->alert.state == ALERT_RESOLVED)
            log_info("alert: %s", m->line);
        else
            log_warning("alert: %s%s", m->alert.silenced ? "(silenced) " : "", m->line);
        webhooks_send(a->webhooks, &m->alert, m->line, m->json);
    }
    count_told(a);
    forget_messages(a);
}

/* ---- the state ---- */

void alerting_export(const struct alerting *a, struct text_buffer *text)
{
    alerts_export(a->engine, text);
}

static bool import_one(struct alerting *a, json_t *one)
{
    struct alert_import i = {0};
    json_int_t width, since, told, broken, clear, windows;
    int firing, severity;
    if (json_unpack(one, "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:i, s:F}", "rule", &i.rule, "model", &i.model_id, "subject", &i.subject, "statistic", &i.statistic,
            "width", &width, "since", &since, "told", &told, "broken", &broken, "clear", &clear, "windows", &windows, "firing", &firing, "severity", &severity, "worst", &i.worst) < 0 ||
        severity < SEVERITY_OK || severity > SEVERITY_CRITICAL)
        return false;
    i.width_ms = width;
    i.since_ms = since;
    i.told_ms = told;
    i.broken = broken;
    i.clear = clear;
    i.windows = windows;
    i.firing = firing;
    i.severity = (enum severity)severity;
    alerts_import(a->engine, &i); /* a rule that is gone is forgotten */
    return true;
}

static void send_what_fires(struct alerting *a)
{
    struct alert_list list = {0};
    alerts_firing(a->engine, &list);
    for (size_t i = 0; i < list.count; i++)
        keep(a, &list.alerts[i], NULL, 0);
    alert_list_finish(&list);
    alerting_deliver(a);
}

int alerting_import(struct alerting *a, const char *text, size_t size)
{
    json_t *all = json_loadb(text, size, 0, NULL), *one;
    size_t i;
    bool good = json_is_array(all);
    make_engine(a);
    forget_messages(a);
    if (good)
        json_array_foreach(all, i, one)
            good = good && import_one(a, one);
    json_decref(all);
    if (!good)
        make_engine(a);
    else
        send_what_fires(a);
    note_firing(a);
    return good ? 0 : -1;
}

void alerting_show(struct alerting *a, struct text_buffer *text)
{
    pthread_mutex_lock(&a->lock);
    text_add(text, "%s", a->firing ? a->firing : "[]");
    pthread_mutex_unlock(&a->lock);
}

/* ---- metrics ---- */

static void expose_alerts(const struct alerting *a, struct text_buffer *text)
{
    static const char *const states[ALERT_STATE_COUNT] = {"firing", "goes_on", "resolved"};
    static const char *const severities[] = {"ok", "warning", "critical"};
    exposition_family(text, "weir_alerts_total", EXPOSITION_COUNTER, "Alert messages told by this process.");
    for (int state = 0; state < ALERT_STATE_COUNT; state++)
        for (int severity = SEVERITY_WARNING; severity <= SEVERITY_CRITICAL; severity++)
            exposition_sample_integer(text, "weir_alerts_total", (struct label[]){{"severity", severities[severity]}, {"state", states[state]}}, 2, a->told[state][severity]);
    exposition_family(text, "weir_alerts_firing", EXPOSITION_GAUGE, "Alerts that fire now, where the reports are evaluated.");
    for (int severity = SEVERITY_WARNING; severity <= SEVERITY_CRITICAL; severity++)
        exposition_sample_integer(text, "weir_alerts_firing", &(struct label){"severity", severities[severity]}, 1, a->fires[severity]);
    exposition_family(text, "weir_alerts_silenced", EXPOSITION_GAUGE, "Alerts that fire and are silenced.");
    exposition_sample_integer(text, "weir_alerts_silenced", NULL, 0, a->silenced);
    exposition_family(text, "weir_alerts_unfollowed_total", EXPOSITION_COUNTER, "Rows that broke a rule when too many alerts were followed.");
    exposition_sample_integer(text, "weir_alerts_unfollowed_total", NULL, 0, a->unfollowed);
}

void alerting_expose(struct alerting *a, struct text_buffer *text)
{
    struct webhook_counts hooks = webhooks_count(a->webhooks);
    pthread_mutex_lock(&a->lock);
    expose_alerts(a, text);
    pthread_mutex_unlock(&a->lock);
    const struct label outcomes[] = {{"outcome", "sent"}, {"outcome", "refused"}, {"outcome", "dropped"}};
    const int64_t counts[] = {hooks.sent, hooks.refused, hooks.dropped};
    exposition_family(text, "weir_webhook_messages_total", EXPOSITION_COUNTER, "Alerts by what became of them at the webhooks: taken, refused for good, pushed out of a full queue.");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        exposition_sample_integer(text, "weir_webhook_messages_total", &outcomes[i], 1, counts[i]);
    exposition_family(text, "weir_webhook_failed_attempts_total", EXPOSITION_COUNTER, "Attempts that a webhook did not take.");
    exposition_sample_integer(text, "weir_webhook_failed_attempts_total", NULL, 0, hooks.failed_attempts);
    exposition_family(text, "weir_webhook_queue", EXPOSITION_GAUGE, "Alerts that wait for webhooks.");
    exposition_sample_integer(text, "weir_webhook_queue", NULL, 0, hooks.queued);
}
