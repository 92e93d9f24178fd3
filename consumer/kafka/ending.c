#include "consumer/kafka/ending.h"

#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/kafka/writer.h"

enum {
    FLUSH_MS = 300000, /* then the writer looks at it anew */
    COMMIT_MS = 60000  /* after this long without an answer the producer is made anew */
};

void ending_flush(void *of)
{
    struct ending *e = of;
    int64_t began = clock_monotonic_ns();
    FAILPOINT(before_flush);
    do
        e->remedy = carrier_flush(e->former, &e->err);
    while (e->remedy == REMEDY_RETRY && !patience_over(e->patience, began, FLUSH_MS));
}

static void refuse(struct ending *e, enum kafka_remedy remedy, const char *where)
{
    err_set(&e->err, "failpoint %s", where);
    e->remedy = remedy;
}

static void commit(struct ending *e)
{
    int64_t began = clock_monotonic_ns();
    e->commit_called = true;
    if (FAILPOINT_FAILS(before_commit)) {
        refuse(e, REMEDY_RECREATE, "before_commit");
        return;
    }
    do
        e->remedy = carrier_commit(e->former, &e->err);
    while (e->remedy == REMEDY_RETRY && !patience_over(e->patience, began, COMMIT_MS));
    if (e->remedy == REMEDY_RETRY)
        e->remedy = REMEDY_RECREATE;
    if (e->remedy == REMEDY_NONE && FAILPOINT_FAILS(after_commit))
        refuse(e, REMEDY_RECREATE, "after_commit");
}

void ending_commit(void *of)
{
    struct ending *e = of;
    e->commit_called = false;
    if (FAILPOINT_FAILS(before_send_offsets)) {
        refuse(e, REMEDY_ABORT, "before_send_offsets");
        return;
    }
    if (!carrier_transactional(e->former)) {
        e->remedy = carrier_commit_offsets(e->owner->consumer, e->offsets, &e->err);
        return;
    }
    e->remedy = carrier_send_offsets(e->former, e->offsets, e->group, &e->err);
    if (e->remedy != REMEDY_NONE)
        return;
    if (FAILPOINT_FAILS(after_send_offsets))
        refuse(e, REMEDY_ABORT, "after_send_offsets");
    else
        commit(e);
}

static enum kafka_remedy take_back(struct ending *e, struct carrier *c)
{
    int64_t began = clock_monotonic_ns();
    if (!c->begun || c->broken)
        return REMEDY_NONE;
    while (c->begun && !c->broken) {
        if (FAILPOINT_FAILS(before_abort)) {
            c->broken = true;
            break;
        }
        enum kafka_remedy remedy = carrier_abort(c, &e->err);
        if (remedy == REMEDY_STOP)
            return remedy;
        if (remedy != REMEDY_NONE && (remedy != REMEDY_RETRY || patience_over(e->patience, began, COMMIT_MS)))
            c->broken = true;
    }
    FAILPOINT(after_abort);
    return REMEDY_NONE;
}

static enum kafka_remedy mend(struct ending *e, struct carrier *c)
{
    enum kafka_remedy remedy = take_back(e, c);
    if (remedy == REMEDY_NONE && (c->broken || carrier_is_fatal(c)))
        remedy = carrier_renew(c, &e->err);
    if (remedy == REMEDY_NONE)
        carrier_forgive(c);
    return remedy;
}

void ending_repair(void *of)
{
    struct ending *e = of;
    e->remedy = mend(e, e->sibling);
    if (e->remedy == REMEDY_NONE && e->former && e->former != e->sibling) {
        e->former->broken = e->former->broken || e->in_doubt;
        e->remedy = mend(e, e->former);
    }
    if (e->remedy == REMEDY_NONE && e->in_doubt && e->count &&
        carrier_committed(e->owner->consumer, e->owner->stop, e->input_topic, e->partitions, e->count, e->committed, &e->err) < 0)
        e->remedy = REMEDY_RETRY;
}
