/* Which deployments served a topic, as the changelog has them: so that a replay is served by the same, at the same offsets. */
#pragma once
#include <librdkafka/rdkafka.h>
#include "consumer/pipeline.h"

/* Schedules every deployment recorded for partitions [0, count) and has their states follow the schedule alone; a partition
 * of which none is recorded (the group never served it, or keeps no changelog) is served as configured.  Where the input had got
 * more partitions, histories begin anew, as they did then.  Reads the whole
 * changelog.  *found: how many. */
int deployments_follow(rd_kafka_t *client, const struct config *config, struct partition_state *states, size_t count, size_t *found, struct err *err);
/* The same for one partition of so many, whose part of the changelog alone is read. */
int deployments_follow_one(rd_kafka_t *client, const struct config *config, struct partition_state *state, size_t partitions, size_t *found, struct err *err);
