/* From records to outputs: decode, validate, features, score, emit, observe.  The same code runs in the worker, in
 * replay and in the demo; what differs is where records come from and what the sink does with outputs. */
#pragma once
#include "consumer/batch.h"
#include "consumer/decoder.h"
#include "consumer/deployment.h"
#include "consumer/registry/registry.h"
#include "consumer/partition.h"
#include "consumer/sink.h"
#include "monitor/metrics.h"
#include "monitor/sketch.h"

struct pipeline;
/* Borrows configuration and registry, which may be NULL where records carry no schema id (then give the plan's schema below);
 * takes a reference to the deployment (NULL: features only). */
int pipeline_create(const struct config *config, const struct deployment *deployment, struct registry *registry, struct pipeline **out, struct err *err);
void pipeline_destroy(struct pipeline *pipeline);
/* Where scored events and rejects are counted; NULL: nowhere.  Its shape:
 * observer_shape; models join it as they come. */
void pipeline_set_sketch(struct pipeline *pipeline, struct sketch *sketch);
/* Some of what was counted may wait: before the sketch is read, another takes its place, or a partition is dropped from it. */
void pipeline_settle_sketch(struct pipeline *pipeline);

/* Who decodes, and who scores (scorer.h).  Between batches. */
struct decoder *pipeline_decoder(struct pipeline *pipeline);
struct scorer;
struct scorer *pipeline_scorer(struct pipeline *pipeline);

/* CPU time spent so far by stage: STAGE_COUNT of them (monitor/metrics.h). */
const int64_t *pipeline_stage_ns(const struct pipeline *pipeline);

/* The batch to fill: records[0..count).  Then pipeline_process takes it through all stages. */
struct batch *pipeline_batch(struct pipeline *pipeline);

/* Processes the batch of one partition.  Returns the number of records done, in order; fewer than count when the
 * schema registry is away (*err says so and is retriable: call again later with the rest), or -1: the sink failed,
 * memory is short, the model failed (then the state is undefined and must be rebuilt). */
int pipeline_process(struct pipeline *pipeline, struct partition_state *state, const struct sink *sink, struct err *err);
