/* The writing half of a lane: outputs and offsets become visible together, or not at all.
 *
 * exactly_once: one transaction a commit interval holds outputs and input offsets.  What it produced stays in the
 * outbox until its commit is known, so an abort sends again and computes nothing.  An error from commit never says
 * "aborted": if it is not retriable, a new producer of the same id is initialised (which settles the old transaction
 * one way or the other) and the group's committed offsets say which partitions are done.
 * at_least_once: an idempotent producer; offsets are committed when every output is acknowledged. */
#pragma once
#include "consumer/kafka/client.h"
#include "consumer/kafka/offsets.h"
#include "consumer/kafka/outbox.h"

struct writer_part { /* what the open transaction covers of an input partition */
    int32_t partition;
    int64_t next_offset; /* to commit */
    struct offset_metadata metadata;
};

/* The reading half, as the writer sees it. */
enum membership { MEMBER_OK, MEMBER_WAIT /* rejoining: try again soon */, MEMBER_LOST /* all partitions are gone */ };
struct writer_owner {
    void *context;
    rd_kafka_t *consumer;
    const atomic_bool *stop; /* set: no call waits longer than WRITER_STOP_MS in all from then on */
    /* Serves the consumer's queue and says whether this member may commit. Parts no longer ours have been dropped
     * with writer_drop when it returns. */
    enum membership (*serve)(void *context);
};

enum { WRITER_STOP_MS = 4000 };

struct writer_counts {
    int64_t commits, aborts, recreated;
};

struct writer;
/* Creates the producer and initialises its transactional id, which also settles what a dead predecessor left open.
 * owner is borrowed and must outlive the writer. */
int writer_create(const struct config *config, struct kafka_sizes sizes, const char *instance, int lane, const struct writer_owner *owner, struct writer **out, struct err *err);
void writer_destroy(struct writer *writer);

/* Produces one output (see outbox_add).  Waits while the producer's queue is full.  -1 only for what cannot be
 * mended by sending again. */
int writer_add(struct writer *writer, struct outbox_record record, int32_t schema_id, struct err *err);
/* The partition has been processed up to part.next_offset: the next commit says so. */
void writer_cover(struct writer *writer, struct writer_part part);
bool writer_has_work(const struct writer *writer); /* something is covered, or lies in an open transaction */
size_t writer_bytes(const struct writer *writer); /* held until the commit */
/* Commits everything added and covered.  0: it is visible (or dropped, for partitions lost meanwhile). */
int writer_commit(struct writer *writer, struct err *err);
/* A partition is no longer ours: what it caused and is not committed is given up. */
void writer_drop(struct writer *writer, int32_t partition);
struct writer_counts writer_count(const struct writer *writer);
