/* Rebuilding a partition's state from its input: where to begin, and whether the outcome is what the last commit says.
 *
 * An event can matter to the committed offset's windows only if its time is after T - W - L, and then its record
 * timestamp is after T - W - L - future_skew: the fold begins at the first record with that timestamp, or at the first
 * one this group ever folded.  Outputs stay suppressed up to the committed offset.
 *
 * The verdicts of such a partial fold are those of the live one but for one case: T is not known where it begins, so an
 * event that came later than W + L may still look visible to a repetition of its id.  Under other rules than the
 * commit's the fold is whole, or cold where the log no longer holds its beginning. */
#pragma once
#include "consumer/kafka/offsets.h"
#include "consumer/pipeline.h"

struct restore {
    bool active;          /* until the committed offset is reached */
    int64_t from;         /* where the fold began */
    int64_t first_offset; /* where the very first fold of the group began */
    struct committed target;
    int64_t began_ns;
};

/* Sets up state (windows empty, next_offset, suppress_below, history) for a partition that has just become ours.
 * A gap in the log is refused, or begun after, as input.on_gap says. */
int restore_begin(struct restore *restore, rd_kafka_t *consumer, const atomic_bool *stop, const struct config *config, uint64_t rules, const struct committed *committed, struct partition_state *state, struct err *err);
/* The committed offset is reached: compares stream time and verdict hash with the commit's metadata.  A difference is
 * warned of and no reason to stop: features are a function of the log as it is, and so is what a replay computes. */
void restore_finish(struct restore *restore, struct partition_state *state, uint64_t rules);
/* What the next commit of this partition says. */
struct offset_metadata restore_metadata(const struct restore *restore, const struct partition_state *state, uint64_t rules);
