/* The consumer handle: it is opened here, and made anew once the library has shut this member out for good.
 *
 * A fatal error leaves a handle unusable for ever.  It comes where the group has let in somebody else under our name: a
 * join of ours whose answer was lost, a process that was away, a second one of this instance.  Nothing is wrong with the
 * client, so a new handle joins under the same name, as a restart of the process would, and that fences whoever took it.
 * What was processed and not committed is dropped; the broker takes no offset of the old member any more.  Two live
 * processes of one name shut each other out in turn: the one to which it happens SHUT_OUTS_MAX times within a minute ends. */
#include <stdio.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/kafka/client.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

enum { RETURN_FIRST_MS = 250, RETURN_WAIT_MS = 50 };

int lane_open_member(struct lane *l, struct err *err)
{
    struct kafka_consumer_callbacks callbacks = {lane_on_rebalance, lane_on_error, l};
    if (kafka_group_consumer(l->o.config, (struct kafka_identity){.instance = l->o.instance, .lane = l->o.index}, &callbacks, &l->consumer, err) < 0)
        return -1;
    l->queue = rd_kafka_queue_get_consumer(l->consumer);
    l->owner.consumer = l->consumer;
    l->orphan = -1;
    return 0;
}

void lane_empty_backlog(struct lane *l)
{
    for (size_t i = 0; i < l->backlog_count; i++)
        rd_kafka_message_destroy(l->backlog[i]);
    l->backlog_count = 0;
}

/* The library is asked: it tells of it by a message, which may lie behind others while a commit waits. */
void lane_note_shut_out(struct lane *l)
{
    char why[sizeof l->shut_out.why];
    rd_kafka_resp_err_t code = l->shut_out.code ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_fatal_error(l->consumer, why, sizeof why);
    if (!code)
        return;
    l->shut_out.code = code;
    memcpy(l->shut_out.why, why, sizeof why);
    l->shut_out.at_ns[l->shut_out.count++ % SHUT_OUTS_MAX] = clock_monotonic_ns();
}

static int may_come_back(const struct lane *l, struct err *err)
{
    const char *name = rd_kafka_err2name(l->shut_out.code);
    if (!kafka_member_may_return(l->shut_out.code))
        return err_set(err, "consumer of lane %d: %s (%s)", l->o.index, l->shut_out.why, name);
    int64_t oldest = l->shut_out.at_ns[l->shut_out.count % SHUT_OUTS_MAX];
    if (l->shut_out.count < SHUT_OUTS_MAX || clock_monotonic_ns() - oldest > (int64_t)SHUT_OUTS_MS * 1000000)
        return 0;
    return err_set(err, "the group has shut out member %s-%d %d times within a minute: %s (%s); another process runs as this instance, set `instance` to different names",
                   l->o.instance, l->o.index, SHUT_OUTS_MAX, l->shut_out.why, name);
}

static void give_everything_up(struct lane *l)
{
    lane_drop_all(l);
    lane_empty_backlog(l);
    if (l->rebalance.pending)
        rd_kafka_topic_partition_list_destroy(l->rebalance.partitions);
    l->rebalance = (struct rebalance){0};
    l->starting_over = l->joined = l->held = false;
    l->full_since_ns = 0;
    l->member[0] = 0;
}

/* How long after the latest shut-out: the more of them, the longer. */
static int64_t wait_ns(const struct lane *l)
{
    int recent = 0;
    for (int i = 0; i < SHUT_OUTS_MAX; i++)
        recent += l->shut_out.at_ns[i] && clock_monotonic_ns() - l->shut_out.at_ns[i] < (int64_t)SHUT_OUTS_MS * 1000000;
    return ((int64_t)RETURN_FIRST_MS * 1000000) << (2 * (recent > 0 ? recent - 1 : 0));
}

static int renew(struct lane *l, struct err *err)
{
    rd_kafka_queue_destroy(l->queue);
    rd_kafka_destroy_flags(l->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    l->queue = NULL;
    l->consumer = NULL;
    if (lane_open_member(l, err) < 0)
        return -1;
    l->shut_out.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    l->metrics.renewed_members++;
    return lane_join(l, err);
}

int lane_come_back(struct lane *l, struct err *err)
{
    if (may_come_back(l, err) < 0)
        return -1;
    if (l->joined || l->partition_count || l->rebalance.pending)
        log_warning("lane %d: the group has shut out member %s-%d: %s (%s); it joins anew", l->o.index, l->o.instance, l->o.index, l->shut_out.why, rd_kafka_err2name(l->shut_out.code));
    give_everything_up(l);
    lane_publish_face(l);
    if (lane_serve_writer(l, err) < 0)
        return -1;
    int64_t latest = l->shut_out.at_ns[(l->shut_out.count - 1) % SHUT_OUTS_MAX];
    if (lane_inquiry_ends(l, 0) && writer_may_end(l->writer) && clock_monotonic_ns() - latest >= wait_ns(l)) /* nobody uses the old handle */
        return renew(l, err);
    writer_wait(l->writer, RETURN_WAIT_MS);
    return 0;
}
