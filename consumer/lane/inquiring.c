/* Partitions that have come and whose committed offset is not to be had yet: it hangs in a transaction that a dead member of
 * another instance has left open, until the broker ends that (a lane initialises its own ids before it joins, which ends
 * what its predecessor left).  They are ours meanwhile, but have no state, are assigned at the log's end, and paused;
 * the others of the lane go on.
 *
 * Invariant: an answer counts only for partitions that were asked for since they came.  One that went and came again
 * may have moved on in other hands, and an older answer would process its records twice. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "consumer/clock.h"
#include "consumer/kafka/client.h"
#include "consumer/kafka/errand.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

enum { TOGETHER_MS = 1000, ALONE_MS = 300 };

/* Not there yet, or an error that no time will mend. */
static int not_there(rd_kafka_resp_err_t code, struct err *err)
{
    if (kafka_remedy(code, true, false, false) == REMEDY_STOP)
        return kafka_err(err, code, "cannot read the group's committed offsets");
    kafka_log_error("committed offsets", (int)code, rd_kafka_err2str(code));
    return 0;
}

/* Of those that wait since an earlier rebalance lane_inquire finds out: they are assigned, and begin by seeking. */
int lane_inquire_at_once(struct lane *l, const rd_kafka_topic_partition_list_t *come, struct err *err)
{
    size_t count = 0;
    int result = 0;
    int32_t *ids = calloc((size_t)come->cnt + 1, sizeof *ids);
    struct committed *committed = calloc((size_t)come->cnt + 1, sizeof *committed);
    rd_kafka_resp_err_t *codes = calloc((size_t)come->cnt + 1, sizeof *codes);
    assert(ids && committed && codes);
    for (int i = 0; i < come->cnt; i++)
        ids[count++] = come->elems[i].partition;
    if (count)
        offsets_committed_now(l->consumer, l->o.config->input.topic, ids, count, TOGETHER_MS, committed, codes);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = codes[i] ? not_there(codes[i], err) : lane_begin_partition(l, lane_find_partition(l, ids[i]), &committed[i], false, err);
    free(ids);
    free(committed);
    free(codes);
    return result;
}

static void ask_offset(void *of)
{
    struct inquiry *q = of;
    offsets_committed_now(q->client, q->topic, &q->partition, 1, ALONE_MS, &q->committed, &q->code);
}

/* The one that follows the latest that was asked for; NULL: none waits. */
static struct lane_partition *next_one(struct lane *l)
{
    struct lane_partition *first = NULL, *next = NULL;
    for (size_t i = 0; i < l->partition_count; i++) {
        struct lane_partition *p = &l->partitions[i];
        if (!p->waits)
            continue;
        if (!first || p->state.id < first->state.id)
            first = p;
        if (p->state.id > l->inquiry.partition && (!next || p->state.id < next->state.id))
            next = p;
    }
    return next ? next : first;
}

static int take_up(struct lane *l, struct err *err)
{
    struct inquiry *q = &l->inquiry;
    struct lane_partition *p = lane_find_partition(l, q->partition);
    q->asked = ASKED_NOTHING;
    if (!p || !p->waits || p->question != q->number)
        return 0;
    return q->code ? not_there(q->code, err) : lane_begin_partition(l, p, &q->committed, true, err);
}

int lane_inquire(struct lane *l, struct err *err)
{
    struct inquiry *q = &l->inquiry;
    if (errand_under_way(q->errand))
        return 0;
    if (q->asked == ASKED_OFFSET && take_up(l, err) < 0)
        return -1;
    struct lane_partition *p = q->asked == ASKED_NOTHING ? next_one(l) : NULL;
    if (!p)
        return 0;
    q->client = l->consumer;
    q->topic = l->o.config->input.topic;
    q->partition = p->state.id;
    p->question = ++q->number;
    q->asked = ASKED_OFFSET;
    errand_start(q->errand, ask_offset, q);
    return 0;
}

bool lane_inquiry_ends(struct lane *l, int wait_ms)
{
    struct inquiry *q = &l->inquiry;
    if (!errand_wait(q->errand, wait_ms))
        return false;
    if (q->groups)
        rd_kafka_group_list_destroy(q->groups);
    q->groups = NULL;
    q->asked = ASKED_NOTHING;
    return true;
}
