/* The group: rebalances, and whether this member may commit.  Callbacks only note; lane_serve_rebalance acts. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

enum { LOG_ENDS_MS = 500 };

int lane_join(struct lane *l, struct err *err)
{
    return kafka_subscribe(l->consumer, l->o.config->input.topic, "subscribe to the input topic", err);
}

/* After start_over: subscribes again once the old assignment has been handed back. */
int lane_join_again(struct lane *l, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(l->consumer, &list))
        return 0;
    bool back = list->cnt == 0;
    rd_kafka_topic_partition_list_destroy(list);
    if (!back)
        return 0;
    l->starting_over = false;
    return lane_join(l, err);
}


void lane_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct lane *l = opaque;
    if (l->closing) { /* consumer_close waits for it; everything is committed and dropped already */
        rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, partitions));
        return;
    }
    assert(!l->rebalance.pending);
    l->rebalance = (struct rebalance){.pending = true, .assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, .lost = rd_kafka_assignment_lost(rk),
        .partitions = rd_kafka_topic_partition_list_copy(partitions)};
}

void lane_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (code != RD_KAFKA_RESP_ERR__FATAL) /* the loop asks for those */
        kafka_log_error("consumer", code, reason);
}

static void log_partitions(const struct lane *l, const char *verb, const rd_kafka_topic_partition_list_t *list)
{
    char text[1024];
    size_t n = 0;
    for (int i = 0; i < list->cnt && n + 16 < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", i ? "," : "", list->elems[i].partition);
    log_info("lane %d: %s partitions %s", l->o.index, verb, list->cnt ? text : "none");
}

static void read_member(const struct lane *l, char member[sizeof l->member])
{
    char *id = rd_kafka_memberid(l->consumer);
    snprintf(member, sizeof l->member, "%s", id ? id : "");
    if (id)
        rd_kafka_mem_free(l->consumer, id);
}

/* Where a partition that waits is assigned: a number, if it can be had.  For the end by its name the library would ask the
 * broker by itself, and where that answer is old, ask again: after we have begun to read elsewhere it would go on there, and
 * leave out what lies between. */
static int64_t log_end(const struct lane *l, int32_t partition, int64_t until_ns)
{
    const int64_t left_ms = (until_ns - clock_monotonic_ns()) / 1000000;
    int64_t first, end;
    if (left_ms <= 0 || rd_kafka_query_watermark_offsets(l->consumer, l->o.config->input.topic, partition, &first, &end, (int)left_ms))
        return RD_KAFKA_OFFSET_END;
    return end;
}

/* Committed offsets are there at once, as a rule; those that are not yet are not waited for. */
static int prepare_partitions(struct lane *l, rd_kafka_topic_partition_list_t *list, struct err *err)
{
    int result = 0;
    recovery_reader_assigned(l->recovery);
    for (int i = 0; result == 0 && i < list->cnt; i++)
        result = lane_add_partition(l, list->elems[i].partition, err);
    if (result == 0)
        result = lane_inquire_at_once(l, list, err);
    const int64_t until_ns = clock_monotonic_ns() + (int64_t)LOG_ENDS_MS * 1000000;
    for (int i = 0; i < list->cnt; i++) {
        const struct lane_partition *p = lane_find_partition(l, list->elems[i].partition);
        list->elems[i].offset = p && !p->waits ? p->reads_from : log_end(l, list->elems[i].partition, until_ns);
        if (p && p->waits)
            log_info("lane %d: partition %d waits for its committed offset: a transaction that somebody else left open has it", l->o.index, p->state.id);
    }
    return result;
}

/* Our own transaction is committed first: looking offsets up may take longer than it may stay open. */
static int take_partitions(struct lane *l, rd_kafka_topic_partition_list_t *list, struct err *err)
{
    l->answering = true;
    int result = lane_commit(l, SETTLE_MS, err);
    l->answering = false;
    FAILPOINT(in_assign);
    if (result >= 0)
        result = lane_look_for_growth(l, err);
    if (result >= 0)
        result = prepare_partitions(l, list, err);
    if (kafka_take_error(rd_kafka_incremental_assign(l->consumer, list), "assign partitions", result < 0 ? NULL : err) != REMEDY_NONE)
        result = -1;
    if (l->registry_retry_ns || l->held)
        rd_kafka_pause_partitions(l->consumer, list);
    else
        lane_pause_restoring(l);
    read_member(l, l->member);
    l->joined = true;
    l->clock_ns = clock_monotonic_ns();
    return result;
}

/* Still a member: what is processed is committed first.  If that cannot be, it is given up, and the next owner does it
 * again.  The library waits for the unassign call, whatever happens. */
static int give_partitions(struct lane *l, rd_kafka_topic_partition_list_t *list, bool lost, struct err *err)
{
    int result = 0;
    if (lost) {
        FAILPOINT(in_lost);
    } else {
        FAILPOINT(in_revoke);
        l->answering = true;
        result = lane_commit(l, SETTLE_MS, err);
        l->answering = false;
        if (result > 0)
            log_warning("lane %d: gives up partitions with records processed and not committed; their next owner processes them again", l->o.index);
    }
    for (int i = 0; i < list->cnt; i++) {
        writer_drop(l->writer, list->elems[i].partition);
        lane_forget_partition(l, list->elems[i].partition);
    }
    FAILPOINT(after_revoke);
    rd_kafka_resume_partitions(l->consumer, list); /* a pause would outlive the assignment */
    if (kafka_take_error(rd_kafka_incremental_unassign(l->consumer, list), "unassign partitions", result < 0 ? NULL : err) != REMEDY_NONE)
        result = -1;
    if (lost)
        l->joined = false;
    return result < 0 ? -1 : 0;
}

int lane_serve_rebalance(struct lane *l, struct err *err)
{
    if (!l->rebalance.pending)
        return 0;
    struct rebalance r = l->rebalance;
    l->rebalance = (struct rebalance){0};
    l->metrics.rebalances++;
    log_partitions(l, r.assign ? "takes" : r.lost ? "lost" : "gives up", r.partitions);
    int result = r.assign ? take_partitions(l, r.partitions, err) : give_partitions(l, r.partitions, r.lost, err);
    rd_kafka_topic_partition_list_destroy(r.partitions);
    lane_publish_face(l);
    return result;
}

/* What is done is committed when the library asks for the partitions. */
void lane_rejoin(struct lane *l)
{
    rd_kafka_unsubscribe(l->consumer);
    l->starting_over = true;
    l->joined = false;
}

/* The group took us for dead and let us in again as somebody else: others may have gone on with our partitions in the
 * meantime, and the library tells us nothing of those that we keep.  Everything is given up and joined anew. */
static void start_over(struct lane *l)
{
    log_warning("lane %d: the group has taken this member for dead; joining anew", l->o.index);
    lane_drop_all(l);
    lane_rejoin(l);
}

/* The writer's view of the group, before offsets are sent: a lost assignment drops its partitions at once; a revoke that
 * waits to be served is served first, and commits itself.  One that lies behind messages not read yet is not seen here,
 * and need not be: the group gives our partitions to nobody before we have answered it. */
enum membership lane_serve_membership(void *context)
{
    struct lane *l = context;
    char member[sizeof l->member];
    if (l->backlog_count > BACKLOG_MAX / 2 && !l->held) { /* room for callbacks: no more messages */
        lane_pause_all(l, true);
        l->held = true;
    }
    lane_poll(l, 0);
    lane_note_shut_out(l);
    if (l->shut_out.code || rd_kafka_assignment_lost(l->consumer) || (l->rebalance.pending && l->rebalance.lost)) {
        lane_drop_all(l);
        return MEMBER_LOST; /* the loop answers the rebalance */
    }
    if (l->rebalance.pending && !l->rebalance.assign && !l->answering)
        return MEMBER_WAIT;
    read_member(l, member);
    if (!FAILPOINT_FAILS(in_membership) && !strcmp(member, l->member))
        return MEMBER_OK;
    if (!*member && !l->answering && !l->rebalance.pending)
        return MEMBER_WAIT; /* while the library waits for our answer to a rebalance, waiting would be for ever */
    if (!l->starting_over)
        start_over(l);
    return MEMBER_LOST;
}

void lane_leave(struct lane *l)
{
    l->closing = true;
    if (!l->consumer)
        return;
    if (l->rebalance.pending) {
        rd_kafka_error_destroy(l->rebalance.assign ? rd_kafka_incremental_assign(l->consumer, l->rebalance.partitions) : rd_kafka_incremental_unassign(l->consumer, l->rebalance.partitions));
        rd_kafka_topic_partition_list_destroy(l->rebalance.partitions);
        l->rebalance = (struct rebalance){0};
    }
    lane_empty_backlog(l);
    rd_kafka_error_t *failed = rd_kafka_consumer_close_queue(l->consumer, l->queue);
    int64_t began = clock_monotonic_ns();
    while (!failed && !rd_kafka_consumer_closed(l->consumer) && clock_monotonic_ns() - began < (int64_t)LEAVE_MS * 1000000) {
        lane_poll(l, 20);
        lane_empty_backlog(l);
    }
    rd_kafka_error_destroy(failed);
    l->left = rd_kafka_consumer_closed(l->consumer);
}
