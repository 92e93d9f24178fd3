/* The writing half of a lane: outputs and offsets become visible together, or not at all; two transactions overlap.
 *
 * exactly_once: records and offsets go into the open transaction.  writer_end closes it; while it is flushed and
 * committed the other one is open, under the lane's other transactional id.  All stays in the arenas until its commit is
 * known, so an abort sends again and computes nothing.
 * at_least_once: the same, with one idempotent producer; offsets are committed when every output is acknowledged.
 *
 * Nothing here waits for the broker but writer_wait, writer_settle and
 * writer_look_up: calls that wait are made by a thread of the writer's own. */
#pragma once
#include "consumer/kafka/transaction.h"

/* The reading half, as the writer sees it. */
enum membership { MEMBER_OK, MEMBER_WAIT /* rejoining: try again soon */, MEMBER_LOST /* all partitions are gone */ };
struct writer_owner {
    void *context;
    rd_kafka_t *consumer;
    const atomic_bool *stop; /* set: no call waits longer than WRITER_STOP_MS in all from then on */
    /* Serves the consumer's queue and says whether this member may commit.  Parts no longer ours have been dropped
     * with writer_drop when it returns. */
    enum membership (*serve)(void *context);
    /* These parts of transaction `sequence` are known committed; a transaction may come in two portions. */
    void (*committed)(void *context, uint64_t sequence, const struct writer_part *parts, size_t count);
    /* Something has happened that writer_serve should look at; from another thread.  May be NULL. */
    void (*wake)(void *context);
};

enum {
    WRITER_STOP_MS = 3000, /* a stop takes 5 s in all */
    WRITER_BYTES_MAX = 64 << 20, /* of one arena: then the lane ends the transaction, or reads nothing until it can */
    WRITER_RECORDS_MAX = 100000,
    WRITER_RECORD_BESIDE_BYTES = 512 /* of a record beside its bytes, here and in the library's queue */
};

struct writer_counts {
    int64_t commits, aborts, recreated;
    int64_t errors[REMEDY_STOP]; /* by what was done about them */
};

struct writer;
/* Creates the producers and initialises their transactional ids, which also settles what a dead predecessor left open.
 * owner is borrowed and must outlive the writer. */
int writer_create(const struct config *config, struct kafka_sizes sizes, const char *instance, int lane, const struct writer_owner *owner, struct writer **out, struct err *err);
/* false: a call to the broker does not return; the writer and what it borrows are left alone until the process ends. */
bool writer_destroy(struct writer *writer);

/* Puts one output into the open transaction (see outbox_add).  -1 only for what cannot be mended by sending again. */
int writer_add(struct writer *writer, struct outbox_record record, int32_t schema_id, struct err *err);
/* The partition has been processed up to part.next_offset: the open transaction says so.  Whatever a partition puts into
 * a transaction needs its part there. */
void writer_cover(struct writer *writer, struct writer_part part);
uint64_t writer_sequence(const struct writer *writer);  /* of the open transaction, from 1 */
uint64_t writer_committed(const struct writer *writer); /* all up to this one are committed, or given up with their partitions */
bool writer_has_work(const struct writer *writer);      /* in the open transaction */
bool writer_is_full(const struct writer *writer);       /* the open one: nothing more should be added */

/* A topic that it writes to has more partitions now: the producers look at once, for one that they do not know takes no
 * record.  Waits for the broker. */
void writer_look_up(struct writer *writer, const char *topic);

/* Whether the open transaction could be ended: the one before it is settled. */
bool writer_may_end(const struct writer *writer);
/* The open transaction is complete; the next one is open.  Only if writer_may_end. */
void writer_end(struct writer *writer);
/* Progress of what is under way; never waits.  -1: what cannot be mended. */
int writer_serve(struct writer *writer, struct err *err);
/* How long writer_serve has nothing to do, if nobody wakes the lane. */
int writer_idle_ms(const struct writer *writer);
void writer_wait(struct writer *writer, int wait_ms); /* until writer_serve has something to do, at most so long */
/* Until nothing is under way, at most so long (and WRITER_STOP_MS after a stop).  0, 1: not settled, -1. */
int writer_settle(struct writer *writer, int64_t patience_ms, struct err *err);
/* A partition is no longer ours: what it caused and is not committed is given up. */
void writer_drop(struct writer *writer, int32_t partition);
struct writer_counts writer_count(const struct writer *writer);
