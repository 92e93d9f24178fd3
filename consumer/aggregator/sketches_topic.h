/* The topic `<app_id>-sketches`: one partition, made at start where it is missing, checked where it is there. */
#pragma once
#include "consumer/kafka/cluster.h"

enum { SKETCHES_NAME_MAX = 250, SKETCHES_BYTES_LEAST = 1 << 20 };

struct sketches_topic {
    char name[SKETCHES_NAME_MAX]; /* empty: the broker keeps none (an in-process one); each process is on its own */
    size_t max_message_bytes;
    int32_t schema_id;
};

void sketches_name(const struct config *config, char name[SKETCHES_NAME_MAX]);
/* Errors name the setting and the command that mends it. */
int sketches_describe(struct cluster cluster, const struct config *config, struct sketches_topic *topic, struct err *err);
