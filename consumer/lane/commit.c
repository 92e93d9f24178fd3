#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"

void lane_cover(struct lane *l, const struct lane_partition *p)
{
    writer_cover(l->writer, (struct writer_part){.partition = p->state.id, .next_offset = p->state.next_offset, .metadata = restore_metadata(&p->restore, &p->state, l->rules)});
    if (!l->transaction_began_ns)
        l->transaction_began_ns = clock_monotonic_ns();
}

int lane_commit(struct lane *l, struct err *err)
{
    int64_t began = clock_monotonic_ns();
    l->transaction_began_ns = 0;
    if (!writer_has_work(l->writer))
        return 0;
    if (writer_commit(l->writer, err) < 0)
        return -1;
    int64_t done = clock_monotonic_ns();
    for (size_t i = 0; i < l->partition_count; i++)
        if (l->partitions[i].state.next_offset > l->partitions[i].state.suppress_below)
            l->partitions[i].committed = l->partitions[i].state.next_offset;
    metrics_add_sketch(&l->metrics, l->sketch);
    observer_merge(l->o.observer, l->sketch, clock_wall_ms());
    sketch_reset(l->sketch);
    struct writer_counts counts = writer_count(l->writer);
    l->metrics.commits = counts.commits;
    l->metrics.aborts = counts.aborts;
    histogram_observe(&l->metrics.commit_seconds, done - began, 1);
    lane_publish_face(l);
    return 0;
}

bool lane_commit_is_due(const struct lane *l)
{
    return l->transaction_began_ns && (clock_monotonic_ns() - l->transaction_began_ns >= l->o.config->commit_interval_ms * 1000000 || writer_bytes(l->writer) >= OUTBOX_BYTES_MAX);
}
