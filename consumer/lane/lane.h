/* A lane: one member of the consumer group with its own partitions, windows, models and producer.  Lanes share nothing
 * on the hot path; each runs on its own thread. */
#pragma once
#include <stdatomic.h>
#include "consumer/kafka/topics.h"
#include "consumer/observer.h"
#include "consumer/serving_face.h"

struct lane_options {
    const struct config *config;
    const struct topics *topics;
    struct registry *registry;
    struct observer *observer;
    const struct deployment_plan *plan; /* of the deployment at the start */
    const char *instance;
    int index;
    atomic_bool *stop; /* set: commit what is done, leave the group, return */
};

/* What others may know of a partition; copied under the lane's lock. */
struct lane_partition_status {
    int32_t partition;
    int64_t position, committed, end_offset; /* -1: unknown */
    int64_t restore_from, restore_to;        /* rebuilding while position < restore_to */
    int64_t stream_time_ms;
    bool history_complete;
    const char *restoring;                   /* NULL, or "offset" (not to be had yet), "changelog", "tail", "rebuild" */
    double restored_share, restore_seconds;  /* 0..1; about how long still, -1: unknown */
};

struct lane;
/* Loads the models, joins no group yet. */
int lane_create(const struct lane_options *options, struct lane **out, struct err *err);
/* What one holds at most beside the state of its partitions: messages fetched, and two transactions. */
size_t lane_queue_bytes_max(const struct config *config);
/* false: a call to the broker does not return; the lane and what it borrows must be left alone until the process ends. */
bool lane_destroy(struct lane *lane);
/* Until *stop, or -1 with what it cannot get over. */
int lane_run(struct lane *lane, struct err *err);

/* From any thread: */
bool lane_ready(struct lane *lane); /* has its partitions and none is being rebuilt */
void lane_metrics(struct lane *lane, struct metrics *into); /* merges the published counters */
size_t lane_partitions(struct lane *lane, struct lane_partition_status *out, size_t max);
/* The lane's state in words: "joining", "rebuilding", "working", "waiting for the schema registry", "stopped". */
const char *lane_state(struct lane *lane);
/* What it is configured with, even if it waits to be taken; the caller releases it. */
struct deployment *lane_deployment(struct lane *lane);
/* Goes over to this one before the next batch; takes a reference.  One that still waits is forgotten. */
void lane_deploy(struct lane *lane, const struct deployment *deployment);
void lane_serving(struct lane *lane, struct serving_face *into); /* merges what was published last */
