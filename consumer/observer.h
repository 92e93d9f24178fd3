/* The process's one view of what it scores: baseline, sketch shape, and an aggregate of its own.
 *
 * Lanes fold into sketches of the shape.  Where the process is all there is (a replay, the demo on a broker without
 * read_committed) they merge them here once their transaction is known committed; reports gather until somebody takes
 * them.  In a group of workers the deltas go to the sketches topic instead, and the aggregator (consumer/aggregator)
 * merges those of all.  Safe from several threads. */
#pragma once
#include "consumer/config/config.h"
#include "monitor/aggregate.h"
#include "monitor/metrics.h"

struct observer;
/* Reads monitor.baseline, if any.  Alone, until observer_share.  now_ms 0: there is no clock but stream time, a replay. */
int observer_create(const struct config *config, int64_t now_ms, struct observer **out, struct err *err);
void observer_destroy(struct observer *observer);

const struct sketch_shape *observer_shape(const struct observer *observer);
void observer_share(struct observer *observer); /* deltas go to the sketches topic: before lanes run */
size_t observer_widths(const struct observer *observer); /* windows longer than monitor.window */
/* Another aggregate of the same shape and widths, to be destroyed. */
struct aggregate *observer_aggregate(const struct observer *observer, int64_t now_ms);
/* Both do nothing where it is not alone. */
void observer_merge(struct observer *observer, struct sketch *delta, int64_t now_ms);
void observer_forget(struct observer *observer, int32_t partition);
void observer_health(struct observer *observer, const struct partition_health *partitions, size_t count, int64_t now_ms);
void observer_flush(struct observer *observer, bool all);
/* Calls `each` for every report gathered so far, in order, and forgets them. */
void observer_take(struct observer *observer, void (*each)(void *context, const struct report *report), void *context);
/* The same as a list, the caller's to finish. */
struct report_list observer_take_all(struct observer *observer);
/* PSI by feature, then by model slot, of the newest closed window: copied into drift (features + sketch_models_max). */
void observer_drift(struct observer *observer, double *drift);
/* The aggregator's; NULL: it is not in this process any more. */
void observer_set_drift(struct observer *observer, const double *drift);
