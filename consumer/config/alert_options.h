/* The keys below monitor.alerts, monitor.silences and monitor.webhooks: what the option table cannot say alone. */
#pragma once
#include "consumer/config/config.h"
#include "consumer/config/option.h"

int alert_check(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
int alert_read_threshold(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
int alert_read_clear(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
int silence_read_until(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
int webhook_read_url(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
int webhook_read_url_file(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
int webhook_read_routing_key(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
int webhook_read_routing_key_file(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
int webhook_check(const struct reading *reading, const char *key, const struct yaml_node *node, void *entry);
json_t *alert_show(const void *entry);
json_t *silence_show(const void *entry);
json_t *webhook_show(const void *entry); /* without its secrets */
void alert_options_finish(struct config *config); /* what the table does not free */
