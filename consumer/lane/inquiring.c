/* Partitions that have come and whose committed offset is not to be had yet: it hangs in a transaction that a dead member of
 * another instance has left open, until the broker ends that (a lane initialises its own ids before it joins, which ends
 * what its predecessor left).  They are ours meanwhile, but have no state, are assigned at the log's end, and paused;
 * the others of the lane go on.
 *
 * Invariant: an answer counts only for partitions that were asked for since they came.  One that went and came again
 * may have moved on in other hands, and an older answer would process its records twice. */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "consumer/clock.h"
#include "consumer/kafka/client.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

enum { ASK_AGAIN_MS = 100 };

struct begin {
    struct lane *lane;
    bool assigned;
    int result;
    struct err *err;
};

bool lane_inquires(const struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++)
        if (l->partitions[i].waits)
            return true;
    return false;
}

static void ask(struct lane *l)
{
    int32_t *ids = calloc(l->partition_count, sizeof *ids);
    size_t count = 0;
    assert(ids);
    l->offsets.number++;
    for (size_t i = 0; i < l->partition_count; i++) {
        struct lane_partition *p = &l->partitions[i];
        if (!p->waits)
            continue;
        p->question = l->offsets.number;
        ids[count++] = p->state.id;
    }
    offsets_ask(l->consumer, l->o.config, true, ids, count, l->offsets.answers);
    l->offsets.asked = true;
    free(ids);
}

static void begin_one(void *context, int32_t id, rd_kafka_resp_err_t code, const struct committed *committed)
{
    struct begin *b = context;
    struct lane_partition *p = lane_find_partition(b->lane, id);
    if (b->result < 0 || !p || !p->waits || p->question != b->lane->offsets.number)
        return;
    if (!code)
        b->result = lane_begin_partition(b->lane, p, committed, b->assigned, b->err);
    else if (kafka_remedy(code, true, false, false) == REMEDY_STOP)
        b->result = kafka_err(b->err, code, "cannot read the group's committed offsets");
    else
        kafka_log_error("committed offsets", (int)code, rd_kafka_err2str(code));
}

int lane_inquire(struct lane *l, int wait_ms, bool assigned, struct err *err)
{
    struct begin b = {.lane = l, .assigned = assigned, .err = err};
    if (!lane_inquires(l) && !l->offsets.asked)
        return 0;
    int64_t early_ns = l->offsets.retry_ns - clock_monotonic_ns();
    if (!l->offsets.asked && early_ns > 0 && !wait_ms)
        return 0;
    if (!l->offsets.asked && early_ns > 0)
        usleep((useconds_t)(early_ns / 1000));
    if (!l->offsets.asked)
        ask(l);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(l->offsets.answers, wait_ms);
    if (!answer)
        return 0;
    l->offsets.asked = false;
    l->offsets.retry_ns = clock_monotonic_ns() + (int64_t)ASK_AGAIN_MS * 1000000;
    rd_kafka_resp_err_t code = offsets_read_answer(answer, begin_one, &b);
    rd_kafka_event_destroy(answer);
    if (kafka_remedy(code, true, false, false) == REMEDY_STOP)
        return kafka_err(err, code, "cannot read the group's committed offsets");
    if (code)
        kafka_log_error("committed offsets", (int)code, rd_kafka_err2str(code));
    return b.result;
}
