/* The process's one view of what it scores: baseline, sketch shape and aggregate, shared by its lanes.
 *
 * Lanes fold into sketches of the shape and merge them here when their transaction is known committed; reports
 * gather until somebody takes them.  Safe from several threads. */
#pragma once
#include "consumer/config/config.h"
#include "monitor/aggregate.h"
#include "monitor/metrics.h"

struct observer;
/* Reads monitor.baseline, if any. */
int observer_create(const struct config *config, int64_t now_ms, struct observer **out, struct err *err);
void observer_destroy(struct observer *observer);

const struct sketch_shape *observer_shape(const struct observer *observer);
void observer_merge(struct observer *observer, struct sketch *delta, int64_t now_ms);
void observer_forget(struct observer *observer, int32_t partition);
void observer_health(struct observer *observer, const struct partition_health *partitions, size_t count, int64_t now_ms);
void observer_flush(struct observer *observer, bool all);
/* Calls `each` for every report gathered so far, in order, and forgets them. */
void observer_take(struct observer *observer, void (*each)(void *context, const struct report *report), void *context);
/* PSI by feature, then by model, of the newest closed window, copied into drift (features + models of the shape). */
void observer_drift(struct observer *observer, double *drift);
