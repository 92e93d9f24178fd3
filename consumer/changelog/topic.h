/* The topic `<app_id>-windows-changelog`: made at start where it is missing, checked where it is there. */
#pragma once
#include "consumer/kafka/cluster.h"

enum { TOPIC_NAME_MAX = 250, MIN_COMPACTION_LAG_MS = 600000 };

struct changelog_topic {
    char name[TOPIC_NAME_MAX]; /* empty: the broker keeps none (an in-process one); state is rebuilt from the input */
    int32_t partitions;
    size_t max_message_bytes;
    int32_t schema_id;
    char input_id[48]; /* the broker's id of the input topic, or its name */
};

void changelog_name(const struct config *config, char name[TOPIC_NAME_MAX]);
/* `create`: it is made if it is missing.  Errors name the setting and the command that mends it. */
int changelog_describe(struct cluster cluster, const struct config *config, int32_t input_partitions, bool create, struct changelog_topic *topic, struct err *err);
