/* Transactions, seen from the lane: when the open one ends, and what is done once one is known committed. */
#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"

void lane_cover(struct lane *l, struct lane_partition *p)
{
    bool moved = p->state.next_offset != p->covered;
    p->covered = p->state.next_offset;
    writer_cover(l->writer, (struct writer_part){.partition = p->state.id, .next_offset = p->state.next_offset, .moved = moved, .metadata = restore_metadata(&p->restore, &p->state, l->rules, l->topics.input_partitions, p->checkpoint)});
}

/* An empty transaction takes a batch whatever its sketch has room for: what finds no cell is counted as such. */
bool lane_has_room(const struct lane *l)
{
    size_t next = l->backlog_count < BATCH_MAX ? l->backlog_count : BATCH_MAX;
    return !writer_has_work(l->writer) || (!writer_is_full(l->writer) && sketch_has_room(l->sketch, next));
}

/* The interval's clock starts where the former transaction began to end (or partitions came): under load they follow each
 * other at the interval, and the first event after a quiet time is committed at once. */
bool lane_commit_is_due(const struct lane *l)
{
    if (!writer_has_work(l->writer) || !writer_may_end(l->writer))
        return false;
    return clock_monotonic_ns() - l->clock_ns >= l->o.config->commit_interval_ms * 1000000 || !lane_has_room(l);
}

/* Whatever a partition wrote needs its offset beside it, moved or not: it is what the broker fences by. */
static void cover_what_checkpoints_wrote(struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++) {
        struct lane_partition *p = &l->partitions[i];
        if (!p->checkpoint || !p->checkpoint->wrote)
            continue;
        lane_cover(l, p);
        p->checkpoint->wrote = false;
    }
}

void lane_end_transaction(struct lane *l)
{
    cover_what_checkpoints_wrote(l);
    pipeline_settle_sketch(l->pipeline);
    lane_emit_sketch(l);
    int64_t now = clock_monotonic_ns();
    l->ended.sequence = writer_sequence(l->writer);
    l->ended.sketch = l->sketch;
    l->ended.began_ns = now;
    l->sketch = l->sketches[l->sketch == l->sketches[0]];
    pipeline_set_sketch(l->pipeline, l->sketch);
    l->clock_ns = now;
    l->checkpoint_spent_ns = 0;
    writer_end(l->writer);
}

void lane_note_committed(void *context, uint64_t sequence, const struct writer_part *parts, size_t count)
{
    struct lane *l = context;
    (void)sequence;
    for (size_t i = 0; i < count; i++) {
        struct lane_partition *p = lane_find_partition(l, parts[i].partition);
        if (p)
            p->committed = parts[i].next_offset;
    }
}

/* What the transaction that has ended counts is now a fact. */
static void take_up_ended(struct lane *l)
{
    if (!l->ended.sequence || writer_committed(l->writer) < l->ended.sequence)
        return;
    l->ended.sequence = 0;
    lane_observe_latencies(l);
    metrics_add_sketch(&l->metrics, l->ended.sketch);
    observer_merge(l->o.observer, l->ended.sketch, clock_wall_ms());
    sketch_reset(l->ended.sketch);
    histogram_observe(&l->metrics.commit_seconds, clock_monotonic_ns() - l->ended.began_ns, 1);
    lane_publish_face(l);
}

static void take_counts(struct lane *l)
{
    struct writer_counts counts = writer_count(l->writer);
    l->metrics.commits = counts.commits;
    l->metrics.aborts = counts.aborts;
    l->metrics.write_errors[WRITE_ERROR_RETRIED] = counts.errors[REMEDY_RETRY];
    l->metrics.write_errors[WRITE_ERROR_ABORTED] = counts.errors[REMEDY_ABORT];
    l->metrics.write_errors[WRITE_ERROR_REJOINED] = counts.errors[REMEDY_REFRESH];
    l->metrics.write_errors[WRITE_ERROR_RENEWED] = counts.errors[REMEDY_RECREATE];
}

int lane_serve_writer(struct lane *l, struct err *err)
{
    if (writer_serve(l->writer, err) < 0)
        return -1;
    take_counts(l);
    take_up_ended(l);
    return 0;
}

static int settle(struct lane *l, int64_t patience_ms, struct err *err)
{
    int result = writer_settle(l->writer, patience_ms, err);
    take_counts(l);
    if (result >= 0)
        take_up_ended(l);
    return result;
}

int lane_commit(struct lane *l, int64_t patience_ms, struct err *err)
{
    int64_t until_ns = clock_monotonic_ns() + patience_ms * 1000000;
    int result = settle(l, patience_ms, err);
    if (result || !writer_has_work(l->writer))
        return result;
    lane_end_transaction(l);
    int64_t left_ms = (until_ns - clock_monotonic_ns()) / 1000000;
    return settle(l, left_ms > 0 ? left_ms : 0, err);
}
