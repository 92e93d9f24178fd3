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
#include "consumer/kafka/assignment.h"
#include "consumer/kafka/client.h"
#include "consumer/kafka/errand.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

static void ask_group(void *of)
{
    struct inquiry *q = of;
    q->groups = NULL;
    q->code = rd_kafka_list_groups(q->client, q->group, &q->groups, LOOK_MS);
}

/* The first that nobody owns; -1: there is none, or what a member was given is not to be read. */
static int32_t find_orphan(const struct lane *l, const struct rd_kafka_group_info *group)
{
    int32_t count = l->topics.input_partitions, orphan = 0;
    bool *owned = calloc((size_t)count + 1, sizeof *owned);
    bool all_read = true;
    assert(owned);
    for (int i = 0; i < group->member_cnt; i++)
        all_read = assignment_read(group->members[i].member_assignment, (size_t)group->members[i].member_assignment_size, l->o.config->input.topic, owned, count) >= 0 && all_read;
    while (orphan < count && owned[orphan])
        orphan++;
    free(owned);
    return all_read && orphan < count ? orphan : -1;
}

/* Whether this lane is the member to start over. */
static bool falls_to_us(const struct lane *l, const struct rd_kafka_group_info *group)
{
    const char *chosen = "";
    int fewest = -1;
    for (int i = 0; i < group->member_cnt; i++) {
        const struct rd_kafka_group_member_info *member = &group->members[i];
        int count = assignment_read(member->member_assignment, (size_t)member->member_assignment_size, l->o.config->input.topic, NULL, 0);
        if (fewest < 0 || count < fewest || (count == fewest && strcmp(member->member_id, chosen) < 0)) {
            chosen = member->member_id;
            fewest = count;
        }
    }
    return *l->member && !strcmp(chosen, l->member);
}

static void judge(struct lane *l, const struct rd_kafka_group_info *group)
{
    int32_t before = l->orphan;
    bool stable = !group->err && group->state && !strcmp(group->state, "Stable");
    l->orphan = stable ? find_orphan(l, group) : -1;
    if (l->orphan < 0 || l->orphan != before || l->rebalance.pending || !falls_to_us(l, group))
        return;
    log_warning("lane %d: partition %d of %s, and perhaps others, has no owner in the group: a member was killed while it handed partitions over; joining anew, so that they are given out again",
                l->o.index, l->orphan, l->o.config->input.topic);
    l->orphan = -1;
    l->metrics.forced_rejoins++;
    lane_rejoin(l);
}

static void take_up(struct lane *l)
{
    struct inquiry *q = &l->inquiry;
    q->asked = ASKED_NOTHING;
    q->look_ns = clock_monotonic_ns() + (int64_t)LOOK_EVERY_MS * 1000000;
    if (!q->groups)
        return;
    if (!q->code && q->groups->group_cnt == 1 && l->joined && !l->starting_over)
        judge(l, &q->groups->groups[0]);
    rd_kafka_group_list_destroy(q->groups);
    q->groups = NULL;
}

void lane_look_for_orphans(struct lane *l)
{
    struct inquiry *q = &l->inquiry;
    if (errand_under_way(q->errand))
        return;
    if (q->asked == ASKED_GROUP)
        take_up(l);
    if (q->asked != ASKED_NOTHING || !l->joined || l->starting_over || kafka_uses_consumer_protocol(l->o.config) || clock_monotonic_ns() < q->look_ns)
        return;
    q->client = l->consumer;
    q->group = kafka_group_id(l->o.config);
    q->asked = ASKED_GROUP;
    errand_start(q->errand, ask_group, q);
}
