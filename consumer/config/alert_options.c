#include "consumer/config/alert_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/secret.h"
#include "monitor/alerts.h"

/* ---- alerts ---- */

static int read_number(const struct reading *reading, const char *key, const struct yaml_node *node, double *value)
{
    if (yaml_real(node, value) && isfinite(*value))
        return 0;
    return reading_fail(reading, node->line, key, "%s is not a number", excerpt_of(node).text);
}

int alert_read_threshold(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct alert_entry *entry = target;
    entry->has_threshold = true;
    return read_number(reading, key, node, &entry->threshold);
}

int alert_read_clear(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct alert_entry *entry = target;
    entry->has_clear = true;
    return read_number(reading, key, node, &entry->clear);
}

int alert_check(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct alert_entry *entry = target;
    if (entry->has_clear && !entry->has_threshold)
        return reading_fail(reading, node->line, key, "clear needs a threshold");
    if (entry->has_clear && (entry->below ? entry->clear < entry->threshold : entry->clear > entry->threshold))
        return reading_fail(reading, node->line, key, "clear must lie on the quiet side of threshold %g", entry->threshold);
    if (entry->below && !entry->has_threshold)
        return reading_fail(reading, node->line, key, "below needs a threshold");
    return 0;
}

json_t *alert_show(const void *target)
{
    const struct alert_entry *entry = target;
    json_t *shown = json_pack("{s:s, s:i, s:f}", "name", entry->name, "windows", entry->windows, "min_importance", entry->min_importance);
    if (entry->has_threshold)
        json_object_set_new(shown, "threshold", json_real(entry->threshold));
    return shown;
}

int silence_read_until(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct silence_entry *entry = target;
    if (node->kind == YAML_IS_SCALAR && time_parse(node->text, &entry->until_ms) == 0)
        return 0;
    return reading_fail(reading, node->line, key, "%s is not an ISO time such as 2026-01-31T12:00:00Z", excerpt_of(node).text);
}

json_t *silence_show(const void *target)
{
    const struct silence_entry *entry = target;
    return json_pack("{s:s*, s:s*, s:I}", "alert", entry->alert, "subject", entry->subject, "until_ms", (json_int_t)entry->until_ms);
}

/* ---- webhooks ---- */

static int set_once(const struct reading *reading, const char *key, const struct yaml_node *node, const char *pair, char **to, char *value)
{
    if (*to) {
        secret_free(value);
        return reading_fail(reading, node->line, key, "%s are both given; keep one", pair);
    }
    *to = value;
    return 0;
}

static int read_secret(const struct reading *reading, const char *key, const struct yaml_node *node, const char *pair, char **to)
{
    char *value;
    if (node->kind != YAML_IS_SCALAR || !node->size)
        return reading_fail(reading, node->line, key, "must be a text; ${env:NAME} keeps it out of the file");
    return secret_expand(reading, key, node, &value, NULL) < 0 ? -1 : set_once(reading, key, node, pair, to, value);
}

static int read_secret_file(const struct reading *reading, const char *key, const struct yaml_node *node, const char *pair, char **to)
{
    char *value;
    return secret_file(reading, key, node, &value) < 0 ? -1 : set_once(reading, key, node, pair, to, value);
}

int webhook_read_url(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    return read_secret(reading, key, node, "url and url_file", &((struct webhook_entry *)target)->url);
}

int webhook_read_url_file(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    return read_secret_file(reading, key, node, "url and url_file", &((struct webhook_entry *)target)->url);
}

int webhook_read_routing_key(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    return read_secret(reading, key, node, "routing_key and routing_key_file", &((struct webhook_entry *)target)->routing_key);
}

int webhook_read_routing_key_file(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    return read_secret_file(reading, key, node, "routing_key and routing_key_file", &((struct webhook_entry *)target)->routing_key);
}

int webhook_check(const struct reading *reading, const char *key, const struct yaml_node *node, void *target)
{
    struct webhook_entry *entry = target;
    if (!entry->url)
        return reading_fail(reading, node->line, key, "url is missing; write url or url_file");
    if (strncmp(entry->url, "http://", 7) && strncmp(entry->url, "https://", 8))
        return reading_fail(reading, node->line, key, "url must begin with http:// or https://");
    if (entry->format == WEBHOOK_PAGERDUTY && !entry->routing_key)
        return reading_fail(reading, node->line, key, "format pagerduty needs routing_key or routing_key_file");
    return 0;
}

json_t *webhook_show(const void *target)
{
    const struct webhook_entry *entry = target;
    return json_pack("{s:s, s:s, s:s}", "url", "(secret)", "format", webhook_format_name(entry->format), "severity", entry->least_severity ? "CRITICAL" : "WARNING");
}

const char *webhook_format_name(enum webhook_format format)
{
    return (const char *const[]){"json", "slack", "pagerduty"}[format];
}

void alert_options_finish(struct config *config)
{
    for (size_t i = 0; config->monitor.webhooks && i < config->monitor.webhook_count; i++) {
        secret_free(config->monitor.webhooks[i].url);
        secret_free(config->monitor.webhooks[i].routing_key);
    }
}
