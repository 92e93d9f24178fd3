/* The `kafka:` section: free keys for librdkafka, but for those that weir must own. */
#pragma once
#include "consumer/config/option.h"

struct config;

int kafka_keys_read(const struct reading *reading, const char *key, const struct yaml_node *node, void *config);
/* Whether the keys fit each other and input.group_protocol; once all of the file is read. */
int kafka_keys_check(const struct reading *reading, const struct config *config);
json_t *kafka_keys_show(const void *config);
