/* Partitions of the input that no member owns.
 *
 * A cooperative rebalance takes partitions from their owner in one round and gives them to the next in a second one, which
 * begins when the first owner joins again.  A static member that dies in between and is started again is let in without
 * a round (KIP-345): the group is stable, and what it had given up stays without an owner until something else makes a
 * round.  The broker sees nothing wrong in that, and the library has nothing to tell.  So each lane looks at its group now
 * and then.  Where a partition has no owner in two looks in a row, and the group was stable in both, one member starts
 * over: that makes a round.  It is the one with the fewest partitions, of several the first by its id, so that all
 * lanes come to the same answer and only one acts.
 *
 * Two looks may also fall into a handover that takes long; then the round comes a little sooner, and costs no record.
 * The consumer protocol (KIP-848) needs none of this: there the broker itself sees to it that all are owned. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/kafka/client.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

enum { LOOK_EVERY_MS = 10000 };

static void ask(struct lane *l)
{
    char why[256];
    const char *group = kafka_group_id(l->o.config);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(l->consumer, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_AdminOptions_set_request_timeout(options, LOOKUP_TIMEOUT_MS, why, sizeof why);
    rd_kafka_DescribeConsumerGroups(l->consumer, &group, 1, options, l->group.answers);
    rd_kafka_AdminOptions_destroy(options);
    l->group.asked = true;
}

static const rd_kafka_topic_partition_list_t *assigned_to(const rd_kafka_MemberDescription_t *member)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(member);
    return assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
}

/* The first that nobody owns; -1: there is none. */
static int32_t find_orphan(const struct lane *l, const rd_kafka_ConsumerGroupDescription_t *group)
{
    int32_t count = l->topics.input_partitions, orphan = 0;
    bool *owned = calloc((size_t)count + 1, sizeof *owned);
    assert(owned);
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_topic_partition_list_t *list = assigned_to(rd_kafka_ConsumerGroupDescription_member(group, i));
        for (int k = 0; list && k < list->cnt; k++)
            if (!strcmp(list->elems[k].topic, l->o.config->input.topic) && list->elems[k].partition >= 0 && list->elems[k].partition < count)
                owned[list->elems[k].partition] = true;
    }
    while (orphan < count && owned[orphan])
        orphan++;
    free(owned);
    return orphan < count ? orphan : -1;
}

/* Whether this lane is the member to start over. */
static bool falls_to_us(const struct lane *l, const rd_kafka_ConsumerGroupDescription_t *group)
{
    const char *chosen = "";
    int fewest = -1;
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_MemberDescription_t *member = rd_kafka_ConsumerGroupDescription_member(group, i);
        const rd_kafka_topic_partition_list_t *list = assigned_to(member);
        const char *id = rd_kafka_MemberDescription_consumer_id(member);
        int count = list ? list->cnt : 0;
        if (fewest < 0 || count < fewest || (count == fewest && strcmp(id, chosen) < 0)) {
            chosen = id;
            fewest = count;
        }
    }
    return *l->member && !strcmp(chosen, l->member);
}

static void judge(struct lane *l, const rd_kafka_ConsumerGroupDescription_t *group)
{
    int32_t before = l->orphan;
    bool stable = !rd_kafka_ConsumerGroupDescription_error(group) && rd_kafka_ConsumerGroupDescription_state(group) == RD_KAFKA_CONSUMER_GROUP_STATE_STABLE;
    l->orphan = stable ? find_orphan(l, group) : -1;
    if (l->orphan < 0 || l->orphan != before || l->rebalance.pending || !falls_to_us(l, group))
        return;
    log_warning("lane %d: partition %d of %s, and perhaps others, has no owner in the group: a member was killed while it handed partitions over; joining anew, so that they are given out again",
                l->o.index, l->orphan, l->o.config->input.topic);
    l->orphan = -1;
    l->metrics.forced_rejoins++;
    lane_rejoin(l);
}

void lane_look_for_orphans(struct lane *l)
{
    if (!l->group.asked && l->joined && !l->starting_over && clock_monotonic_ns() >= l->group.retry_ns && !kafka_uses_consumer_protocol(l->o.config))
        ask(l);
    rd_kafka_event_t *answer = l->group.asked ? rd_kafka_queue_poll(l->group.answers, 0) : NULL;
    if (!answer)
        return;
    l->group.asked = false;
    l->group.retry_ns = clock_monotonic_ns() + (int64_t)LOOK_EVERY_MS * 1000000;
    size_t count = 0;
    const rd_kafka_DescribeConsumerGroups_result_t *result = rd_kafka_event_DescribeConsumerGroups_result(answer);
    const rd_kafka_ConsumerGroupDescription_t **group = result ? rd_kafka_DescribeConsumerGroups_result_groups(result, &count) : NULL;
    if (!rd_kafka_event_error(answer) && count && l->joined && !l->starting_over)
        judge(l, group[0]);
    rd_kafka_event_destroy(answer);
}
