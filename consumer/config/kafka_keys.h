/* The `kafka:` section: free keys for librdkafka, but for those that weir must own. */
#pragma once
#include "consumer/config/option.h"

int kafka_keys_read(const struct reading *reading, const char *key, const struct yaml_node *node, void *config);
json_t *kafka_keys_show(const void *config);
