/* Writing the state of partitions into the changelog, little by little, inside the lane's transactions.
 *
 * A checkpoint of a partition is begun when its interval is over (by the wall clock, which decides when and nothing
 * else), written within a budget of time and bytes a transaction, and closed by its marker.  Captures that the fold
 * makes necessary go into the open transaction at once.  Whoever calls covers the partition in that transaction
 * whenever something was written (checkpoint.wrote).
 *
 * In a lane one checkpoint runs at a time, so a transaction gets longer by the budget of one.
 *
 * A generation has one writer at a time.  Exactly once the broker sees to that: a transaction of whoever has lost the
 * partition is never committed.  At least once a process that stood still may wake and send what its successor's versions
 * would be overwritten by; so each successor begins a generation of its own, with the whole state in its first checkpoint.
 * Until a commit that names that one is known the former generation stays as it is; then its keys are deleted, those of
 * entities that went meanwhile by the next recovery. */
#pragma once
#include "consumer/changelog/keys.h"
#include "consumer/changelog/marker.h"
#include "consumer/changelog/topic.h"
#include "consumer/kafka/writer.h"
#include "consumer/pipeline.h"

enum { CHECKPOINT_BUDGET_NS = 4000000, CHECKPOINT_BUDGET_BYTES = 1 << 20, CHECKPOINT_RECORD_BYTES_MAX = 512 << 10 };

/* What the checkpoints of a lane share. */
struct changelog {
    const struct config *config;
    const struct changelog_topic *topic;
    struct writer *writer;
    struct buffer rules, key, value;
    uint64_t rules_hash;
    uint8_t feature_spec_sha256[32];
};
int changelog_init(struct changelog *changelog, const struct config *config, const struct changelog_topic *topic, struct writer *writer, struct err *err);
void changelog_finish(struct changelog *changelog);

/* A deployment served from first_offset on: into the open transaction. */
int changelog_put_deployment(struct changelog *changelog, int32_t partition, int64_t first_offset, const void *record, size_t size, struct err *err);

/* From first_offset on the input has so many partitions: likewise. */
int changelog_put_growth(struct changelog *changelog, int32_t partition, int64_t first_offset, int32_t partitions, struct err *err);

struct checkpoint {
    struct changelog *log;
    int32_t partition;
    struct windows *windows;
    struct image_shape shape;
    struct generation generation;
    int64_t epoch;                   /* the highest one ever used in this generation */
    int64_t done_epoch, done_offset; /* of the latest marker; 0: none yet */
    struct generation done_generation;
    struct { /* a generation whose last marker is no longer named once that transaction is committed */
        struct generation generation;
        uint64_t sequence; /* 0: none */
        uint32_t at;       /* entity number */
    } left;
    bool running;
    bool unburied;                   /* since the latest marker */
    struct marker marker;            /* of the one that runs */
    struct buffer serving;
    int64_t due_ns, began_ns, done_ms; /* done_ms: wall clock, 0: never */
    bool wrote;                      /* something since it was last cleared */
    bool failed;
    struct err err;
    struct changelog_key *garbage;   /* keys of other generations, to be deleted */
    size_t garbage_count;
    struct {
        int64_t done, records, bytes, ns; /* since creation; ns: of the latest, begin to marker */
    } counts;
};

/* Where a partition's checkpoints go on: after a rebuild, epoch and the rest are 0. */
struct checkpoint_origin {
    struct generation generation, done_generation;
    int64_t epoch, done_epoch, done_offset;
    bool at_once; /* the first is due now */
};
struct checkpoint *checkpoint_create(struct changelog *changelog, const struct partition_state *state, const struct checkpoint_origin *origin);
void checkpoint_destroy(struct checkpoint *checkpoint);

struct checkpoint_position {
    int64_t committed;    /* of the partition, known */
    int64_t first_offset; /* where the very first fold began */
    int32_t partitions;   /* of the input */
};
/* Begins, goes on, ends or buries, until the deadline (monotonic).  Others of the lane may not be running. */
int checkpoint_turn(struct checkpoint *checkpoint, const struct partition_state *state, const struct checkpoint_position *position, int64_t deadline_ns, struct err *err);
/* Whether it has something to do now. */
bool checkpoint_wants_turn(const struct checkpoint *checkpoint, const struct partition_state *state);
/* Takes over keys that are to be deleted. */
void checkpoint_give_garbage(struct checkpoint *checkpoint, struct changelog_key *keys, size_t count);
/* The next one is due now. */
void checkpoint_hurry(struct checkpoint *checkpoint);
