/* Events of a replay into a baseline builder.
 *
 * Counted are events with from <= time < to that lie at least the longest window (W) after the first accepted event of
 * their partition: earlier ones have windows that are still filling, and a baseline of a cold start would call
 * everything after it drift.  (After the log's first event, not after --from: the windows of a later --from are full.)
 * Rejected records count by their record timestamp, from the same moment on. */
#pragma once
#include "consumer/replay/replay.h"
#include "monitor/baseline_builder.h"

struct collection {
    struct baseline_builder *builder;
    int64_t left_out; /* events and rejects of a partition's first W */
    int64_t first_ms; /* of all accepted events; TIME_UNKNOWN: there was none */
};

/* Fills collection->builder and the rest from a replay of `replay` (whose listener it sets, and whose range it takes).  The
 * config's segments are counted; parts[i] asks for statistics of each value of segment i.  The builder borrows from
 * `collect`, which lives until collect_finish. */
struct collect;
int collect_run(struct replay_options *replay, const bool *parts, const char *model_id, struct collect **out, struct replay_summary *summary, struct err *err);
const struct collection *collect_result(const struct collect *collect);
void collect_finish(struct collect *collect);
