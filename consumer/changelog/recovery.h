/* Reading a partition's checkpoint back from the changelog, in steps that a lane takes between batches.
 *
 * One consumer reads for all partitions of a lane that are being restored, a few at a time in the order they came, from the beginning of each to where its log
 * ended when it began (whoever wrote there before has been fenced or has given the partition up, so nothing that counts
 * comes later).  Of each entity the version with the highest epoch not above the wanted one counts; versions above it are
 * of a checkpoint that was never closed: they make their entity dirty, and their epoch is never used again.
 *
 *   cost   one pass over the partition; an entity is built once for each version that the compaction has left. */
#pragma once
#include <librdkafka/rdkafka.h>
#include "consumer/changelog/checkpoint.h"

struct recovery_reader;
/* Borrows both. */
struct recovery_reader *recovery_reader_create(const struct config *config, const struct changelog_topic *topic, const atomic_bool *stop);
void recovery_reader_destroy(struct recovery_reader *reader);
/* Partitions have been assigned: where their changelogs end is looked up anew. */
void recovery_reader_assigned(struct recovery_reader *reader);
/* Takes what has arrived and imports it, and settles what has been read to its end, until the deadline (monotonic); waits
 * at most wait_ms for something. */
void recovery_reader_turn(struct recovery_reader *reader, int64_t deadline_ns, int wait_ms);

enum recovery_state { RECOVERY_READS, RECOVERY_SETTLES /* all is read */, RECOVERY_DONE, RECOVERY_FAILED };
struct recovery_status {
    enum recovery_state state;
    const char *why;           /* it failed */
    int64_t begin, end, position; /* in the changelog */
    int64_t records, bytes, entities, events;
    int64_t newer_epoch, newer_offset; /* of a marker above the wanted one; 0: none */
};
struct recovery;
/* Into state's windows and serving, which must be new; wanted NULL: what the changelog says of deployments alone, without
 * a checkpoint.  input_first: where the input's log begins; records of deployments
 * that served nothing that it still holds become garbage.  *out is NULL on failure. */
int recovery_begin(struct recovery_reader *reader, const struct partition_state *state, const struct offset_metadata *wanted, int64_t input_first, struct recovery **out, struct err *err);
struct recovery_status recovery_status(const struct recovery *recovery);
/* Once done: */
const struct marker *recovery_marker(const struct recovery *recovery);
int64_t recovery_highest_epoch(const struct recovery *recovery);
struct changelog_key *recovery_take_garbage(struct recovery *recovery, size_t *count); /* the caller owns it */
/* Offsets of the tail from which on the input had more partitions. */
void recovery_give_growths(const struct recovery *recovery, struct partition_state *state);
/* At any time: stops reading. */
void recovery_end(struct recovery *recovery);
