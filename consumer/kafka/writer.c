/* Two transactions in turn: while the former ends, the open one fills.
 *
 * The former's way (enum stage):
 *
 *   NOTHING --end--> SENDING -> FLUSHING* -> READY -> COMMITTING* -> NOTHING         * a task of the writer's thread
 *                       ^            \________|___________|
 *                       |                        v
 *                       +----- parts left ---- REPAIRING* --- none left --> NOTHING
 *
 * SENDING     its records are handed to its producer as the queue takes them
 * FLUSHING    until every one is acknowledged; only from then on may the open one hand its own to the other producer, so
 *             that the log keeps the order of the input (rule 3)
 * READY       the offsets wait until the lane has served the consumer and is a member in good standing; the group's
 *             metadata is read after that and used at once (rule 5)
 * COMMITTING  offsets are sent, and the transaction is committed; the open one sends nothing of this kind before this has
 *             returned ok, for the broker orders offsets by when they were sent (rule 3)
 * REPAIRING   both are taken back, the open one first; a producer that is done for is made anew, and so is one whose
 *             commit answered with an error: the group's committed offsets then say whether it was committed (rule 4)
 *
 * Invariants: an arena is cleared only when its transaction is committed, or has no part left, and its producer holds
 * nothing of it.  Partitions may be lost at any stage: their records and parts go at once; a transaction of which the
 * broker has had something of theirs is `spoiled`, and repaired instead of committed - but not while it is COMMITTING:
 * then the broker decides by the metadata, and what it decides is right (a successor's look at stable offsets waits for
 * it).  The open transaction, when spoiled, is repaired once the former is settled.
 *
 * Threads: arenas, parts and stages belong to the lane's thread.  A carrier belongs to the writer's thread while a task
 * that names it is under way: the former's in FLUSHING and COMMITTING, both in REPAIRING.  At least once there is but
 * one carrier; the open one uses it only while COMMITTING, a task that then touches the consumer alone.
 *
 * Cost: two thread switches a task, two tasks a transaction. */
#include "consumer/kafka/writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/kafka/ending.h"
#include "consumer/kafka/errand.h"
#include "consumer/log.h"

enum {
    BACKOFF_FIRST_MS = 20,
    BACKOFF_MOST_MS = 1000,
    MEMBER_WAIT_MS = 10,
    QUEUE_FULL_MS = 5,
    IDLE_MS = 100,
    GIVE_UP_MS = 300000, /* of repairs that bring nothing, ... */
    GIVE_UP_REPAIRS = 10, /* ... if there were that many: a broker that is away is waited for */
    DESTROY_MS = 500
};

enum stage { NOTHING, SENDING, FLUSHING, READY, COMMITTING, REPAIRING };

struct writer {
    const struct config *config;
    const struct writer_owner *owner;
    struct patience patience;
    struct carrier carriers[2]; /* at least once only the first */
    struct transaction transactions[2];
    struct transaction *open;   /* that fills */
    struct transaction *former; /* that ends; NULL in NOTHING, and while the open one alone is repaired */
    enum stage stage;
    uint64_t committed;
    struct errand *errand;
    struct ending ending; /* the errand's */
    int64_t retry_ns;     /* nothing is tried before */
    int backoff_ms;
    int64_t trouble_ns; /* since when nothing could be committed; 0: no trouble */
    int repairs;        /* since then */
    struct writer_counts counts;
    char last_cause[1024]; /* logged once a cause */
};

static bool transactional(const struct writer *w)
{
    return w->config->delivery == DELIVERY_EXACTLY_ONCE;
}

/* ---- trouble ---- */

static void note_trouble(struct writer *w, enum kafka_remedy remedy, const struct err *err)
{
    char cause[sizeof w->last_cause];
    int64_t now = clock_monotonic_ns();
    w->trouble_ns = w->trouble_ns ? w->trouble_ns : now;
    w->counts.errors[remedy]++;
    w->retry_ns = now + (int64_t)w->backoff_ms * 1000000;
    w->backoff_ms = w->backoff_ms * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : w->backoff_ms * 2;
    snprintf(cause, sizeof cause, "%.*s", (int)sizeof cause - 1, err->msg);
    if (!*cause || !strcmp(cause, w->last_cause))
        return;
    memcpy(w->last_cause, cause, sizeof cause);
    log_warning("%s; sending again", cause);
}

static void trouble_is_over(struct writer *w)
{
    w->trouble_ns = w->retry_ns = 0;
    w->repairs = 0;
    w->backoff_ms = BACKOFF_FIRST_MS;
    w->last_cause[0] = 0;
}

static bool must_wait(const struct writer *w)
{
    return w->retry_ns && clock_monotonic_ns() < w->retry_ns;
}

static int give_up(const struct err *cause, struct err *err)
{
    if (err)
        *err = *cause;
    return err_prefix(err, "cannot commit");
}

/* ---- the thread's tasks ---- */

static void start(struct writer *w, void (*task)(void *), enum stage stage)
{
    w->ending.remedy = REMEDY_NONE;
    w->ending.err = (struct err){0};
    w->stage = stage;
    errand_start(w->errand, task, &w->ending);
}

static void drop_ending(struct ending *e)
{
    if (e->offsets)
        rd_kafka_topic_partition_list_destroy(e->offsets);
    carrier_group_free(e->group);
    free(e->partitions);
    free(e->committed);
    e->offsets = NULL;
    e->group = NULL;
    e->partitions = NULL;
    e->committed = NULL;
    e->count = 0;
}

static void start_flush(struct writer *w)
{
    w->ending.former = w->former->carrier;
    start(w, ending_flush, FLUSHING);
}

static void start_commit(struct writer *w, rd_kafka_consumer_group_metadata_t *group)
{
    w->ending.former = w->former->carrier;
    w->ending.offsets = transaction_offsets(w->former, w->config->input.topic);
    w->ending.group = group;
    start(w, ending_commit, COMMITTING);
}

static void start_repair(struct writer *w)
{
    struct ending *e = &w->ending;
    struct transaction *f = w->former;
    e->sibling = w->open->carrier;
    e->former = f ? f->carrier : NULL;
    e->in_doubt = f && f->in_doubt;
    if (e->in_doubt && f->part_count) {
        e->count = f->part_count;
        e->partitions = calloc(e->count, sizeof *e->partitions);
        e->committed = calloc(e->count, sizeof *e->committed);
        assert(e->partitions && e->committed);
        for (size_t i = 0; i < e->count; i++)
            e->partitions[i] = f->parts[i].partition;
    }
    w->counts.aborts += w->open->begun + (f && f->begun);
    w->repairs++;
    start(w, ending_repair, REPAIRING);
}

/* ---- sending ---- */

static void spoil(struct writer *w, struct transaction *t, enum kafka_remedy remedy, const struct err *err)
{
    t->spoiled = true;
    note_trouble(w, remedy, err);
}

/* As much as the producer takes. */
static int send_rest(struct writer *w, struct transaction *t, struct err *err)
{
    struct err cause = {0};
    while (!t->spoiled && t->sent < t->outbox.count) {
        if (transactional(w) && !t->begun) {
            t->begun = true;
            if (carrier_begin(t->carrier, &cause) != REMEDY_NONE) {
                spoil(w, t, REMEDY_RECREATE, &cause);
                return 0;
            }
        }
        struct outbox_record record;
        size_t count = outbox_next(&t->outbox, t->sent, &record);
        enum kafka_remedy remedy = carrier_send(t->carrier, &record, &cause);
        if (remedy == REMEDY_RETRY) {
            carrier_poll(t->carrier); /* back-pressure: the arena fills, and then the lane reads no more */
            return 0;
        }
        if (remedy == REMEDY_STOP)
            return give_up(&cause, err);
        if (remedy != REMEDY_NONE)
            spoil(w, t, remedy, &cause);
        else if ((t->sent += count) % 1024 == 0)
            carrier_poll(t->carrier);
    }
    return 0;
}

/* Rule 3: every record of the former is acknowledged, so none of the open one can come before it. */
static bool open_may_send(const struct writer *w)
{
    return w->stage == NOTHING || w->stage == COMMITTING || (w->stage == READY && transactional(w));
}

int writer_add(struct writer *w, struct outbox_record record, int32_t schema_id, struct err *err)
{
    transaction_add(w->open, record, schema_id);
    if (record.joint) /* goes when all pieces are there */
        return 0;
    FAILPOINT(before_produce);
    int result = open_may_send(w) ? send_rest(w, w->open, err) : 0;
    FAILPOINT(after_produce);
    return result;
}

void writer_cover(struct writer *w, struct writer_part part)
{
    transaction_cover(w->open, part);
}

void writer_drop(struct writer *w, int32_t partition)
{
    transaction_drop(w->open, partition);
    if (w->former)
        transaction_drop(w->former, partition);
}

void writer_look_up(struct writer *w, const char *topic)
{
    for (int i = 0; i < 2 && w->stage != REPAIRING; i++) /* then they are made anew, or may be */
        if (w->carriers[i].producer)
            carrier_look_up(&w->carriers[i], topic);
}

/* ---- the former's way ---- */

static void settle_former(struct writer *w)
{
    w->committed = w->former->sequence;
    transaction_clear(w->former);
    w->former = NULL;
    w->stage = NOTHING;
}

static void tell(struct writer *w, const struct writer_part *parts, size_t count)
{
    if (count)
        w->owner->committed(w->owner->context, w->former->sequence, parts, count);
}

static int sending(struct writer *w, struct err *err)
{
    struct transaction *f = w->former;
    if (must_wait(w))
        return 0;
    if (f->spoiled) {
        start_repair(w);
        return 0;
    }
    if (send_rest(w, f, err) < 0)
        return -1;
    if (!f->spoiled && f->sent == f->outbox.count)
        start_flush(w);
    return 0;
}

static int flushed(struct writer *w, struct err *err)
{
    const struct ending *e = &w->ending;
    switch (e->remedy) {
    case REMEDY_STOP:
        return give_up(&e->err, err);
    case REMEDY_NONE:
        w->stage = READY;
        break;
    case REMEDY_RETRY:
        start_flush(w);
        break;
    default:
        note_trouble(w, e->remedy, &e->err);
        start_repair(w);
    }
    return 0;
}

static void wait_for_membership(struct writer *w)
{
    w->retry_ns = clock_monotonic_ns() + (int64_t)MEMBER_WAIT_MS * 1000000;
}

static void ready(struct writer *w)
{
    struct transaction *f = w->former;
    if (must_wait(w))
        return;
    if (f->spoiled || (!f->part_count && f->begun)) {
        start_repair(w);
        return;
    }
    if (!f->part_count) {
        settle_former(w);
        return;
    }
    enum membership membership = w->owner->serve(w->owner->context);
    if (f->spoiled || !f->part_count)
        return; /* serving has taken partitions away */
    rd_kafka_consumer_group_metadata_t *group = membership == MEMBER_OK && transactional(w) ? carrier_group(w->owner->consumer) : NULL;
    struct err cause = {0};
    if (membership != MEMBER_OK || (transactional(w) && !group)) {
        wait_for_membership(w);
    } else if (transactional(w) && !f->begun && carrier_begin(f->carrier, &cause) != REMEDY_NONE) {
        carrier_group_free(group);
        spoil(w, f, REMEDY_RECREATE, &cause);
    } else {
        f->begun = transactional(w);
        start_commit(w, group);
    }
}

static int committed(struct writer *w, struct err *err)
{
    struct ending *e = &w->ending;
    struct transaction *f = w->former;
    drop_ending(e);
    if (e->remedy == REMEDY_STOP)
        return give_up(&e->err, err);
    if (e->remedy == REMEDY_NONE) {
        w->counts.commits++;
        trouble_is_over(w);
        tell(w, f->parts, f->part_count);
        settle_former(w);
        return 0;
    }
    note_trouble(w, e->remedy, &e->err);
    f->in_doubt = e->commit_called;
    if (e->remedy == REMEDY_RETRY || !transactional(w))
        w->stage = READY; /* nothing has happened; the metadata is read anew */
    else
        start_repair(w);
    return 0;
}

static const struct writer_part *part_in_doubt(const struct writer *w, const struct ending *e, size_t i)
{
    for (size_t k = 0; k < w->former->part_count; k++)
        if (w->former->parts[k].partition == e->partitions[i])
            return &w->former->parts[k];
    return NULL;
}

/* The doubt is over: what is at or past the group's committed offset was committed.  An offset that did not move says
 * nothing of that; its part shares the fate of those that did, and goes again where there are none (what it brings is for
 * the changelog, where the same once more changes nothing). */
static void take_out_done(struct writer *w, const struct ending *e)
{
    bool any_moved = false;
    for (int moved = 1; moved >= 0; moved--)
        for (size_t i = 0; i < e->count; i++) {
            const struct writer_part *part = part_in_doubt(w, e, i);
            if (!part || part->moved != moved || e->committed[i].offset < part->next_offset || !(moved || any_moved))
                continue;
            struct writer_part done = *part;
            any_moved = true;
            transaction_drop(w->former, done.partition);
            tell(w, &done, 1);
        }
}

static bool nothing_helps(const struct writer *w)
{
    return w->trouble_ns && w->repairs > GIVE_UP_REPAIRS && clock_monotonic_ns() - w->trouble_ns > (int64_t)GIVE_UP_MS * 1000000;
}

static int repaired(struct writer *w, struct err *err)
{
    struct ending *e = &w->ending;
    struct transaction *f = w->former;
    w->counts.recreated = w->carriers[0].renewals + w->carriers[1].renewals;
    if (e->remedy == REMEDY_STOP || nothing_helps(w)) {
        if (!e->err.msg[0])
            err_set(&e->err, "%s", w->last_cause);
        return give_up(&e->err, err);
    }
    if (e->remedy != REMEDY_NONE) {
        note_trouble(w, e->remedy, &e->err);
        drop_ending(e);
        w->stage = READY; /* still spoiled: READY repairs */
        if (f)
            f->spoiled = true;
        else
            w->stage = NOTHING;
        return 0;
    }
    transaction_unsend(w->open);
    if (f) {
        bool was_in_doubt = f->in_doubt;
        take_out_done(w, e);
        transaction_unsend(f);
        w->stage = SENDING;
        if (!f->part_count && transactional(w)) { /* else its producer may hold records of it, until it is flushed */
            w->counts.commits += was_in_doubt && e->count;
            settle_former(w);
        }
    } else {
        w->stage = NOTHING;
    }
    drop_ending(e);
    return 0;
}

static int step(struct writer *w, struct err *err)
{
    bool busy = errand_under_way(w->errand);
    switch (w->stage) {
    case NOTHING:
        if (w->open->spoiled && !must_wait(w))
            start_repair(w);
        return 0;
    case SENDING:
        return sending(w, err);
    case FLUSHING:
        return busy ? 0 : flushed(w, err);
    case READY:
        ready(w);
        return 0;
    case COMMITTING:
        return busy ? 0 : committed(w, err);
    case REPAIRING:
        return busy ? 0 : repaired(w, err);
    }
    return 0;
}

int writer_serve(struct writer *w, struct err *err)
{
    enum stage before;
    do {
        before = w->stage;
        if (step(w, err) < 0)
            return -1;
    } while (w->stage != before);
    return open_may_send(w) ? send_rest(w, w->open, err) : 0;
}

uint64_t writer_sequence(const struct writer *w)
{
    return w->open->sequence;
}

uint64_t writer_committed(const struct writer *w)
{
    return w->committed;
}

bool writer_has_work(const struct writer *w)
{
    return !transaction_is_empty(w->open);
}

bool writer_is_full(const struct writer *w)
{
    return w->open->outbox.bytes >= WRITER_BYTES_MAX || w->open->outbox.count >= WRITER_RECORDS_MAX;
}

bool writer_may_end(const struct writer *w)
{
    return w->stage == NOTHING;
}

void writer_end(struct writer *w)
{
    assert(writer_may_end(w) && transaction_is_whole(w->open));
    w->former = w->open;
    w->open = &w->transactions[w->open == w->transactions];
    assert(transaction_is_empty(w->open));
    w->open->sequence = w->former->sequence + 1;
    w->stage = SENDING;
}

int writer_idle_ms(const struct writer *w)
{
    if (w->stage == FLUSHING || w->stage == COMMITTING || w->stage == REPAIRING)
        return IDLE_MS;
    if (w->stage == NOTHING && !w->open->spoiled)
        return w->open->sent < w->open->outbox.count ? QUEUE_FULL_MS : IDLE_MS;
    int64_t left = w->retry_ns ? (w->retry_ns - clock_monotonic_ns()) / 1000000 + 1 : QUEUE_FULL_MS;
    return left < 1 ? 1 : left > IDLE_MS ? IDLE_MS : (int)left;
}

void writer_wait(struct writer *w, int wait_ms)
{
    bool busy = errand_under_way(w->errand);
    int idle_ms = writer_idle_ms(w);
    if (busy)
        errand_wait(w->errand, wait_ms);
    else if (w->stage == NOTHING || w->stage == SENDING || w->stage == READY)
        usleep((useconds_t)(idle_ms < wait_ms ? idle_ms : wait_ms) * 1000);
}

int writer_settle(struct writer *w, int64_t patience_ms, struct err *err)
{
    int64_t began = clock_monotonic_ns();
    for (;;) {
        if (writer_serve(w, err) < 0)
            return -1;
        if (w->stage == NOTHING)
            return 0;
        if (patience_over(&w->patience, began, patience_ms))
            return 1;
        writer_wait(w, 50);
    }
}

struct writer_counts writer_count(const struct writer *w)
{
    return w->counts;
}

/* ---- beginning and end ---- */

static void wake(void *context)
{
    struct writer *w = context;
    if (w->owner->wake)
        w->owner->wake(w->owner->context);
}

int writer_create(const struct config *config, struct kafka_sizes sizes, const char *instance, int lane, const struct writer_owner *owner, struct writer **out, struct err *err)
{
    struct writer *w = calloc(1, sizeof *w);
    assert(w);
    w->config = config;
    w->owner = owner;
    w->patience = (struct patience){.stop = owner->stop}; /* nothing is under way: a stop is one at once */
    w->backoff_ms = BACKOFF_FIRST_MS;
    int carriers = transactional(w) ? 2 : 1, result = 0;
    for (int i = 0; i < 2; i++)
        transaction_init(&w->transactions[i], &w->carriers[i % carriers]);
    w->open = w->transactions;
    w->open->sequence = 1;
    w->errand = errand_create(wake, w);
    w->ending = (struct ending){.owner = owner, .patience = &w->patience, .input_topic = config->input.topic};
    for (int i = 0; i < carriers && result == 0; i++) {
        struct carrier *c = &w->carriers[i];
        c->config = config;
        c->sizes = sizes;
        c->patience = &w->patience;
        if (transactional(w))
            snprintf(c->id, sizeof c->id, "%s-%s-%d-%c", config->app_id, instance, lane, "ab"[i]);
        result = carrier_open(c, err);
    }
    w->patience.stop_ms = WRITER_STOP_MS;
    if (result < 0)
        writer_destroy(w);
    else
        *out = w;
    return result;
}

bool writer_destroy(struct writer *w)
{
    if (!w)
        return true;
    bool hopeless = w->stage != NOTHING && patience_over(&w->patience, clock_monotonic_ns(), DESTROY_MS); /* it did not settle in the time that a stop leaves */
    if (!errand_destroy(w->errand, hopeless ? 0 : DESTROY_MS) || hopeless)
        return false;
    for (int i = 0; i < 2; i++)
        if (w->carriers[i].producer && w->carriers[i].begun && !w->carriers[i].broken)
            carrier_abort(&w->carriers[i], NULL);
    for (int i = 0; i < 2; i++)
        carrier_close(&w->carriers[i]);
    for (int i = 0; i < 2; i++)
        transaction_finish(&w->transactions[i]);
    drop_ending(&w->ending);
    free(w);
    return true;
}
