/* The worker: lanes, the reporter and the HTTP endpoint of one process. */
#pragma once
#include <stdatomic.h>
#include "consumer/lane/lane.h"

struct worker;
/* Looks everything up (topics, schemas, start offsets) and makes the lanes; nothing runs yet.  A broker that does not
 * answer is waited for (kafka/cluster.h).  *out is to be destroyed whatever comes back: a call may not return. */
int worker_create(const struct config *config, atomic_bool *stop, struct worker **out, struct err *err);
/* false: a call to the broker does not return; what the worker uses (the config too) must stay until the process ends. */
bool worker_destroy(struct worker *worker);
/* From now on models are reloaded: when their files or the configuration change, and when *asked is set. */
int worker_watch(struct worker *worker, atomic_bool *asked, struct err *err);
/* Runs the lanes until *stop is set or one of them fails; then all stop. */
int worker_run(struct worker *worker, struct err *err);

/* For the demo's live view, while it runs. */
void worker_metrics(struct worker *worker, struct metrics *total);
struct observer *worker_observer(struct worker *worker);
bool worker_ready(struct worker *worker);
