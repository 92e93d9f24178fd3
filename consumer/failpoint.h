/* Places in the worker's cycle that a test can make die, wait or fail.
 *
 * The configuration arms them: `failpoints: ["before_commit:kill@3"]` ends the process by SIGKILL where it is about to
 * commit for the third time.  `kill`, `pause=MS` (this thread alone stands still; the library's go on) and `error` (the
 * call there fails as if the broker had refused it); `@N` is the Nth time since the start (1 without it), `@N+` that and
 * each later one.
 *
 * Compiled in with the build option `failpoints`.  Without it both macros are constants and the configuration key is
 * refused. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "scoring/err.h"

/* name, whether it can fail, where it stands */
#define FAILPOINTS(X) \
    X(after_decode, false, "a batch is decoded and validated") \
    X(after_features, false, "its features are computed, the windows hold it") \
    X(after_score, false, "it is scored") \
    X(before_produce, false, "an output is in the arena, and not yet handed to the producer") \
    X(after_produce, false, "an output has been handed to the producer") \
    X(before_flush, false, "a transaction is complete, its records are on their way") \
    X(before_send_offsets, true, "every record of it is acknowledged") \
    X(after_send_offsets, true, "its offsets are with the broker") \
    X(before_commit, true, "it is about to be committed") \
    X(after_commit, true, "it has been committed, and nobody has been told; an error hides the success") \
    X(before_abort, true, "it is about to be aborted") \
    X(after_abort, false, "it has been aborted, and is not yet sent again") \
    X(before_recreate, false, "a producer is about to be made anew") \
    X(in_checkpoint_begin, false, "a checkpoint has frozen what it will write") \
    X(in_checkpoint_write, false, "a part of a checkpoint is in the open transaction") \
    X(before_marker, false, "all of a checkpoint is written but its marker") \
    X(after_marker, false, "the marker is in the open transaction") \
    X(in_restore_changelog, false, "a partition's changelog is being read") \
    X(in_restore_tail, false, "its input is being folded with outputs suppressed") \
    X(in_assign, false, "partitions have come, and are not prepared yet") \
    X(in_revoke, false, "partitions go, what they caused is not yet committed") \
    X(after_revoke, false, "it is committed and dropped, and the group is not told yet") \
    X(in_membership, true, "the group is asked whether this member may commit; an error: it was let in again as somebody else") \
    X(in_lost, false, "partitions are lost, what they caused is not dropped yet") \
    X(in_stop, false, "the worker has been told to stop, and has not yet committed what is done") \
    X(before_swap, false, "a lane is about to go over to another deployment")

enum failpoint {
#define FAILPOINT_ENTRY(name, can_fail, where) FAILPOINT_##name,
    FAILPOINTS(FAILPOINT_ENTRY)
#undef FAILPOINT_ENTRY
    FAILPOINT_COUNT
};

#ifdef WEIR_FAILPOINTS
#define FAILPOINTS_BUILT true
#define FAILPOINT(name) ((void)failpoint_reach(FAILPOINT_##name)) /* a statement */
#define FAILPOINT_FAILS(name) failpoint_reach(FAILPOINT_##name)   /* whether an error is asked for; for those that can fail */
#else
#define FAILPOINTS_BUILT false
#define FAILPOINT(name) ((void)FAILPOINT_##name)
#define FAILPOINT_FAILS(name) ((void)FAILPOINT_##name, false)
#endif

enum failpoint_action { FAILPOINT_OFF, FAILPOINT_KILL, FAILPOINT_PAUSE, FAILPOINT_ERROR };
struct failpoint_order {
    enum failpoint place;
    enum failpoint_action action;
    int pause_ms;
    int hit;     /* from 1 */
    bool onward; /* and each later one */
};

const char *failpoint_name(enum failpoint place);
bool failpoint_can_fail(enum failpoint place);
const char *failpoint_where(enum failpoint place);
/* "name:action[@hit]"; errors say what is wrong with the text. */
int failpoint_parse(const char *text, struct failpoint_order *order, struct err *err);
/* At most one order a place: the last.  Before any thread reaches one. */
void failpoint_arm(const struct failpoint_order *order);
/* What the macros call: dies, waits, or says that an error is asked for. */
bool failpoint_reach(enum failpoint place);
