/* The topic `<app_id>-windows-changelog`: made at start where it is missing, checked where it is there. */
#pragma once
#include "consumer/kafka/cluster.h"

enum { TOPIC_NAME_MAX = 250, INPUT_ID_MAX = 48, MIN_COMPACTION_LAG_MS = 600000 };

struct changelog_topic {
    char name[TOPIC_NAME_MAX]; /* empty: there is none, or the broker keeps none (an in-process one); state is rebuilt from the input */
    int32_t partitions;
    size_t max_message_bytes;
    int32_t schema_id;
    char input_id[INPUT_ID_MAX]; /* the broker's id of the input topic; empty: it gives none */
};

/* The id that the broker has given the input topic; empty where it gives none. */
int input_id(struct cluster cluster, const char *topic, char id[INPUT_ID_MAX], struct err *err);
void changelog_name(const struct config *config, char name[TOPIC_NAME_MAX]);
/* Errors name the setting and the command that mends it. */
enum changelog_missing { MISSING_IS_MADE, MISSING_IS_AN_ERROR, MISSING_IS_NO_MATTER /* the name stays empty */ };
int changelog_describe(struct cluster cluster, const struct config *config, int32_t input_partitions, enum changelog_missing missing, struct changelog_topic *topic, struct err *err);
