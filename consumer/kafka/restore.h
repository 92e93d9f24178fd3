/* Bringing back a partition's state when it has just become ours.
 *
 *   from the changelog   the checkpoint that the commit's metadata names, then the input's tail from its offset O to the
 *                        committed offset, folded under the rules of the checkpoint with outputs suppressed.  Exact.
 *   from the input       where there is no such checkpoint, or it cannot be read, or what comes out is not what the
 *                        commit's metadata says: by reading the input again, outputs suppressed likewise.  Which
 *                        deployments served it then is read from the changelog first.
 *
 * An event can matter to the committed offset's windows only if its time is after T - W - L, and then its record
 * timestamp is after T - W - L - future_skew: a rebuild begins at the first record with that timestamp, or at the first
 * one this group ever folded.  Its verdicts are those of the live fold but for one case: T is not known where it begins,
 * so an event that came later than W + L may still look visible to a repetition of its id.  Under other rules than the
 * commit's it is whole, or cold where the log no longer holds its beginning. */
#pragma once
#include "consumer/changelog/recovery.h"
#include "consumer/kafka/offsets.h"
#include "consumer/pipeline.h"

enum restore_stage { RESTORE_NONE, RESTORE_CHANGELOG, RESTORE_TAIL, RESTORE_REBUILD };

/* What the restores of a lane share. */
struct restore_context {
    rd_kafka_t *consumer;
    const atomic_bool *stop;
    const struct config *config;
    uint64_t rules;
    int32_t partitions; /* of the input */
    const struct changelog_topic *changelog; /* without a name: there is none */
    struct recovery_reader *reader;
    struct registry *registry;
    const struct deployment *deployment;
};

struct restore {
    enum restore_stage stage;
    bool active;          /* a stage is under way: until the committed offset is reached */
    int64_t from;         /* where the fold of this restore begins */
    int64_t log_first;    /* where the input's log began */
    int64_t first_offset; /* where the very first fold of the group began */
    struct committed target;
    int64_t began_ns, told_ns;
    struct recovery *recovery;      /* in RESTORE_CHANGELOG */
    bool reads_deployments;         /* in RESTORE_CHANGELOG, before a rebuild: nothing else is wanted of it */
    struct checkpoint_origin origin; /* where checkpoints go on */
    struct changelog_key *garbage;
    size_t garbage_count;
    bool grown;             /* the input has got more partitions since the last commit: histories begin at the committed offset */
    /* In RESTORE_TAIL, where the checkpoint's rules are not the configured ones: */
    struct config *old_config, *old_judge; /* as parsed; ours with its rules in their place */
    struct pipeline *old_pipeline;
};

/* Sets up state (windows empty or being filled, next_offset, suppress_below, history) for a partition that has just become
 * ours.  Its input is read from state->next_offset on, and is to stay paused while the stage is RESTORE_CHANGELOG.
 * A gap in the log is refused, or begun after, as input.on_gap says. */
int restore_begin(struct restore *restore, const struct restore_context *context, const struct committed *committed, struct partition_state *state, struct err *err);
void restore_end(struct restore *restore); /* gives everything back, whatever the stage */

enum restore_step { RESTORE_GOES_ON, RESTORE_READ_FROM_HERE /* the input, from state->next_offset: seek and resume */ };
/* In RESTORE_CHANGELOG, after a turn of the reader: -1, or what to do. */
int restore_turn(struct restore *restore, const struct restore_context *context, struct partition_state *state, struct err *err);
/* The committed offset is reached: compares stream time and verdict hash with the commit's metadata.  After a rebuild a
 * difference is warned of and no reason to stop: features are a function of the log as it is, and so is what a replay
 * computes.  After a checkpoint it makes a rebuild: RESTORE_READ_FROM_HERE. */
int restore_finish(struct restore *restore, const struct restore_context *context, struct partition_state *state, struct err *err);
/* What the next commit of this partition says. */
struct offset_metadata restore_metadata(const struct restore *restore, const struct partition_state *state, uint64_t rules, int32_t partitions, const struct checkpoint *checkpoint);

/* 0..1 of the stage under way, and seconds that it will still take; -1: not known yet. */
double restore_share(const struct restore *restore, const struct partition_state *state);
double restore_eta_seconds(const struct restore *restore, const struct partition_state *state);
/* Says how far it is, now and then. */
void restore_tell(struct restore *restore, const struct partition_state *state);
const char *restore_stage_name(enum restore_stage stage);
