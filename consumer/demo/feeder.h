/* Writes transactions onto the demo's input topic, and here and there something broken; tells the tally what to expect.
 *
 * It stays at most FEEDER_AHEAD_MAX records a partition ahead of what has come out again, because the broker in this
 * process drops what lies in a partition beyond 5 MiB (these are 0.4 MiB of input and 0.7 of predictions), and so that
 * the partitions stay near each other in event time: a window does not wait for one that is far behind. */
#pragma once
#include <stdatomic.h>
#include "consumer/config/config.h"
#include "consumer/demo/tally.h"
#include "consumer/generate/traffic.h"

enum { FEEDER_AHEAD_MAX = 1500 };

struct feeder;
/* Borrows all of them. */
int feeder_create(const struct config *config, int32_t schema_id, int32_t partitions, struct tally *tally, struct feeder **out, struct err *err);
void feeder_destroy(struct feeder *feeder);

/* One event from before the start: no output is expected. */
void feeder_history(struct feeder *feeder, const struct transaction *transaction);
/* Everything written so far is on the topic; then the group's start is committed there. */
int feeder_commit_start(struct feeder *feeder, struct err *err);

/* Sends all that is left of the traffic, from a thread of its own, until it is through or *stop is set. */
void feeder_start(struct feeder *feeder, struct traffic *traffic, uint64_t drift_at, atomic_bool *stop);
bool feeder_is_through(struct feeder *feeder);
/* Event time of the first event of the changed world; INT64_MAX: not yet. */
int64_t feeder_drift_ms(struct feeder *feeder);
void feeder_join(struct feeder *feeder); /* *stop is set, or it is through */
