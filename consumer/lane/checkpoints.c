/* Checkpoints of a lane's partitions: one at a time, a little in each transaction. */
#include <inttypes.h>

#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

static struct checkpoint_position position_of(const struct lane *l, const struct lane_partition *p)
{
    return (struct checkpoint_position){.committed = p->committed, .first_offset = p->restore.first_offset, .partitions = l->o.topics->input_partitions};
}

/* The one that runs, else one that is due. */
static struct lane_partition *next_one(struct lane *l)
{
    struct lane_partition *due = NULL;
    for (size_t i = 0; i < l->partition_count; i++) {
        struct lane_partition *p = &l->partitions[i];
        if (p->checkpoint && p->checkpoint->running)
            return p;
        if (p->checkpoint && !due && checkpoint_wants_turn(p->checkpoint, &p->state))
            due = p;
    }
    return due;
}

static void count(struct lane *l, struct lane_partition *p, int64_t done_before)
{
    struct checkpoint *c = p->checkpoint;
    if (c->wrote)
        lane_cover(l, p);
    c->wrote = false;
    if (c->counts.done == done_before)
        return;
    l->metrics.checkpoints++;
    histogram_observe(&l->metrics.checkpoint_seconds, c->counts.ns, 1);
    log_debug("partition %d: checkpoint %" PRId64 " at offset %" PRId64 " closed", p->state.id, c->done_epoch, c->done_offset);
}

static int turn(struct lane *l, struct lane_partition *p, int64_t deadline_ns, struct err *err)
{
    struct checkpoint_position position = position_of(l, p);
    int64_t done = p->checkpoint->counts.done, bytes = p->checkpoint->counts.bytes;
    int result = checkpoint_turn(p->checkpoint, &p->state, &position, deadline_ns, err);
    l->metrics.checkpoint_bytes += p->checkpoint->counts.bytes - bytes;
    count(l, p, done);
    return result;
}

int lane_checkpoint(struct lane *l, struct err *err)
{
    int64_t began = clock_monotonic_ns();
    l->checkpoint_runs = false;
    if (l->checkpoint_spent_ns >= CHECKPOINT_BUDGET_NS || !l->partition_count)
        return 0;
    struct lane_partition *p = next_one(l);
    if (!p)
        return 0;
    int64_t bytes = p->checkpoint->counts.bytes;
    int result = turn(l, p, began + CHECKPOINT_BUDGET_NS - l->checkpoint_spent_ns, err);
    l->checkpoint_spent_ns += clock_monotonic_ns() - began;
    if (p->checkpoint->counts.bytes - bytes >= CHECKPOINT_BUDGET_BYTES)
        l->checkpoint_spent_ns = CHECKPOINT_BUDGET_NS;
    l->checkpoint_runs = p->checkpoint->running;
    return result;
}

/* Up to the present offset, however many transactions it takes. */
static int finish_one(struct lane *l, struct lane_partition *p, int64_t deadline_ns, struct err *err)
{
    while (p->checkpoint->running || p->state.next_offset != p->checkpoint->done_offset) {
        if (clock_monotonic_ns() >= deadline_ns)
            return 1;
        checkpoint_hurry(p->checkpoint);
        int result = turn(l, p, deadline_ns, err);
        if (result == 0 && writer_is_full(l->writer))
            result = lane_commit(l, (deadline_ns - clock_monotonic_ns()) / 1000000 + 1, err);
        if (result)
            return result;
    }
    return 0;
}

int lane_final_checkpoint(struct lane *l, int64_t deadline_ns, struct err *err)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < l->partition_count; i++)
        if (l->partitions[i].checkpoint && !l->partitions[i].restore.active)
            result = finish_one(l, &l->partitions[i], deadline_ns, err);
    int committed = result < 0 ? -1 : lane_commit(l, WRITER_STOP_MS, err);
    for (size_t i = 0; i < l->partition_count; i++)
        lane_tell_digest(&l->partitions[i]);
    return result ? result : committed;
}
