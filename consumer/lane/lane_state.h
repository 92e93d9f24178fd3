/* What a lane is made of; for the files of this directory alone.
 *
 * What is where: the consumer's callbacks only note what happened; the loop acts on it.  Messages taken but not yet
 * processed wait in the backlog (bounded).  A partition that has just come is restored from its changelog, or by
 * reading its input again (kafka/restore.h); others of the lane go on meanwhile. */
#pragma once
#include <pthread.h>

#include "consumer/changelog/checkpoint.h"
#include "consumer/kafka/outputs.h"
#include "consumer/kafka/restore.h"
#include "consumer/kafka/writer.h"
#include "consumer/lane/lag.h"
#include "consumer/lane/lane.h"
#include "consumer/lane/sketching.h"

enum {
    BACKLOG_MAX = 4 * BATCH_MAX, /* room to poll even while a batch waits for the schema registry */
    WAIT_MS_MAX = 100,
    REGISTRY_BACKOFF_MS_MAX = 5000,
    FACE_INTERVAL_MS = 500, /* how often an idle lane publishes its counters */
    HOLD_MS = 300,          /* a pause costs what is fetched already: a commit that ends soon is waited for */
    LEAVE_MS = 700,         /* a broker that does not answer is not told that we go */
    SHUT_OUTS_MAX = 3,      /* in SHUT_OUTS_MS: then it is another process that shuts us out */
    SHUT_OUTS_MS = 60000,
    SETTLE_MS = 30000       /* before a rebalance is answered what is done gets so long to be committed */
};

struct lane_partition {
    struct partition_state state;
    struct restore restore;
    struct checkpoint *checkpoint; /* NULL: being restored, or there is no changelog */
    int64_t committed;
    int64_t covered;    /* the offset that the latest transaction with it commits */
    int64_t reads_from; /* where the input was positioned when it came */
    bool grown;         /* the input has got more partitions, and the changelog does not say so yet */
    bool reread;        /* the input is to be read from the state's next offset */
    bool waits;         /* for its committed offset: it has no state yet, and is assigned at the log's end, paused */
    uint64_t question;  /* that its answer belongs to */
    struct lag lag;
    int64_t *latencies; /* LATENCY_BINS, not yet in a delta; NULL: none */
};

enum { LOOK_EVERY_MS = 10000, LOOK_MS = 1000 }; /* at the group, at the input: how often, and how long one may take */

/* A question to the broker, asked by a thread of the lane's own: one at a time.  The answer is the thread's until it is
 * through.  (The library's admin requests would need no thread, but those to a group's coordinator abort the process when
 * a connection breaks at the wrong moment.) */
struct inquiry {
    struct errand *errand;
    enum { ASKED_NOTHING, ASKED_OFFSET, ASKED_GROUP, ASKED_INPUT } asked; /* and the answer is not taken up */
    rd_kafka_t *client;
    const char *topic, *group;
    uint64_t number;   /* of the question */
    int32_t partition; /* ASKED_OFFSET */
    struct committed committed;
    rd_kafka_resp_err_t code;
    const struct rd_kafka_group_list *groups; /* ASKED_GROUP; NULL: not to be had */
    int64_t look_ns;                          /* at the group: not before */
    char input_id[INPUT_ID_MAX];              /* ASKED_INPUT; empty: not to be had */
    const atomic_bool *stop;
    int64_t look_at_input_ns; /* not before */
};

/* A rebalance that the callback noted and the loop has not served yet. */
struct rebalance {
    bool pending, assign, lost;
    rd_kafka_topic_partition_list_t *partitions;
};

struct lane {
    struct lane_options o;
    struct topics topics; /* as this lane knows them: they may grow */
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    struct writer_owner owner;
    struct writer *writer;
    struct deployment *deployment; /* changed by the lane alone, under the lock */
    struct deployment *next_deployment; /* under the lock; NULL: none waits */
    bool deployment_waits;              /* atomic */
    struct pipeline *pipeline;
    struct kafka_outputs outputs;
    struct sink sink;
    struct sketch *sketch; /* of the open transaction; one of the two */
    struct sketch *sketches[2];
    struct { /* the transaction that ends */
        uint64_t sequence; /* 0: none */
        struct sketch *sketch;
        int64_t began_ns;
    } ended;
    struct sketching sketching;
    int64_t clock_ns; /* of the commit interval: when the last transaction was ended */
    uint64_t rules;

    struct lane_partition *partitions; /* ours, in order of arrival */
    size_t partition_count;
    struct windows **going; /* of partitions that are not ours any more: their memory goes back little by little */
    size_t going_count;
    struct rebalance rebalance;
    struct inquiry inquiry;
    int32_t orphan; /* that had no owner when the group was last looked at; -1: all had one */
    char member[256]; /* the member id that the partitions were assigned to */
    bool answering; /* the library waits for our answer to a rebalance: until then it does not rejoin */
    bool starting_over, closing;
    bool left; /* the consumer is closed */
    struct err fatal; /* noted by callbacks: msg set */
    struct { /* the library will never work again under this handle */
        rd_kafka_resp_err_t code; /* 0: it works */
        char why[512];
        int64_t at_ns[SHUT_OUTS_MAX]; /* a ring */
        uint64_t count;               /* ever */
    } shut_out;

    rd_kafka_message_t *backlog[BACKLOG_MAX];
    size_t backlog_count;
    int64_t full_since_ns;     /* the open transaction is full and cannot end yet; 0: it has room */
    bool held;                 /* and for so long that reading is paused */
    int64_t registry_retry_ns; /* 0: the registry answers */
    struct changelog changelog;
    struct recovery_reader *recovery;
    int64_t checkpoint_spent_ns; /* in the open transaction */
    bool checkpoint_runs;
    int registry_backoff_ms;

    /* face: what other threads see, under the lock */
    pthread_mutex_t lock;
    struct metrics metrics, published;
    struct serving_face serving;
    struct lane_partition_status *statuses;
    size_t status_count;
    const char *state;
    bool joined, ready;
    int64_t published_ns;
};

/* ---- partitions.c: the partitions that are ours ---- */
struct lane_partition *lane_find_partition(struct lane *lane, int32_t id); /* NULL: not ours */
void lane_forget_partition(struct lane *lane, int32_t id);
/* It waits for its committed offset; with that it begins, where it is assigned already by seeking. */
int lane_add_partition(struct lane *lane, int32_t id, struct err *err);
int lane_begin_partition(struct lane *lane, struct lane_partition *partition, const struct committed *committed, bool assigned, struct err *err);
/* Goes on with what is being restored. */
int lane_restore(struct lane *lane, struct err *err);
bool lane_reads_changelog(const struct lane *lane);
/* The committed offset is reached. */
int lane_finish_restore(struct lane *lane, struct lane_partition *partition, struct err *err);
struct pipeline *lane_pipeline(const struct lane *lane, const struct lane_partition *partition, int64_t offset); /* that judges that record */
void lane_drop_all(struct lane *lane);
void lane_free_partition(struct lane_partition *partition);
void lane_dissolve(struct lane *lane); /* goes on with what is `going` */
void lane_tell_digest(const struct lane_partition *partition);

/* ---- member.c: the consumer handle ---- */
int lane_open_member(struct lane *lane, struct err *err);
void lane_note_shut_out(struct lane *lane);
/* After a shut-out: gives everything up and, after a back-off, joins under a new handle.  -1: it may not come back. */
int lane_come_back(struct lane *lane, struct err *err);
void lane_empty_backlog(struct lane *lane);

/* ---- inquiring.c: partitions that wait for their committed offsets ---- */
/* Those that have just come: begins all whose offset is there; the others wait. */
int lane_inquire_at_once(struct lane *lane, const rd_kafka_topic_partition_list_t *come, struct err *err);
/* Goes on: takes up an answer, asks for the next. */
int lane_inquire(struct lane *lane, struct err *err);
bool lane_inquiry_ends(struct lane *lane, int wait_ms); /* nobody uses the consumer's handle any more */

/* ---- orphans.c: partitions without an owner ---- */
/* Looks at the group now and then, and starts over where partitions have been left without an owner. */
void lane_look_for_orphans(struct lane *lane);

/* ---- recreation.c: an input topic that was created anew ---- */
/* Looks at the topic's id now and then; -1: it is another one than when the worker began. */
int lane_look_for_recreation(struct lane *lane, struct err *err);

/* ---- membership.c: the group ---- */
int lane_join(struct lane *lane, struct err *err);
int lane_join_again(struct lane *lane, struct err *err); /* after starting over: once the old assignment has been handed back */
void lane_rejoin(struct lane *lane); /* hands everything back and joins anew */
void lane_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions, void *lane);
void lane_on_error(rd_kafka_t *rk, int code, const char *reason, void *lane);
int lane_serve_rebalance(struct lane *lane, struct err *err);
enum membership lane_serve_membership(void *lane);
void lane_leave(struct lane *lane);

/* ---- reading.c: the backlog ---- */
/* Takes what is there, at most BATCH_MAX messages, and serves the callbacks. */
void lane_poll(struct lane *lane, int wait_ms);
int lane_process_backlog(struct lane *lane, struct err *err);
void lane_pause_all(struct lane *lane, bool pause);
void lane_pause_restoring(struct lane *lane); /* those that read their changelog */

/* ---- sketching.c, latencies.c: what a transaction counts ---- */
void lane_emit_sketch(struct lane *lane); /* before the transaction ends */
void lane_note_arrivals(struct lane *lane, const struct record *records, size_t count, int64_t taken_ns);
void lane_observe_latencies(struct lane *lane); /* once the transaction is committed */
void lane_emit_latencies(struct lane *lane);    /* what was observed, into the open sketch, before its transaction ends */

/* ---- models.c: the deployment ---- */
/* Goes over to the one that waits, if any. */
void lane_take_deployment(struct lane *lane);
/* Shadows are shed while the lane is behind in this partition. */
void lane_judge_lag(struct lane *lane, struct lane_partition *partition, int64_t last_offset);

/* ---- commit.c: transactions ---- */
void lane_cover(struct lane *lane, struct lane_partition *partition);
bool lane_has_room(const struct lane *lane);      /* for the next batch, in the open transaction */
bool lane_commit_is_due(const struct lane *lane); /* and possible: the transaction before is settled */
void lane_end_transaction(struct lane *lane);
int lane_serve_writer(struct lane *lane, struct err *err);
/* Ends the open transaction and waits until all is committed.  1: not within patience_ms, or a stop's time is up. */
int lane_commit(struct lane *lane, int64_t patience_ms, struct err *err);
void lane_note_committed(void *lane, uint64_t sequence, const struct writer_part *parts, size_t count);

/* ---- checkpoints.c: the state's way into the changelog ---- */
/* A step of the checkpoint that runs, or of one that is due, within the transaction's budget. */
int lane_checkpoint(struct lane *lane, struct err *err);
/* All partitions at their present offsets, committed.  0, 1: not all of it in time, -1. */
int lane_final_checkpoint(struct lane *lane, int64_t deadline_ns, struct err *err);

/* ---- growth.c: the input gets more partitions ---- */
/* Whether it has; then the topics are looked at again.  -1: changelog or outputs have not grown. */
int lane_look_for_growth(struct lane *lane, struct err *err);
/* Says so in the partition's changelog, at its next offset: its history begins there. */
int lane_note_growth(struct lane *lane, struct lane_partition *partition, struct err *err);

/* ---- face.c: what other threads see ---- */
void lane_publish_face(struct lane *lane);
