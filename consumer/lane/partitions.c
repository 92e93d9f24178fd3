#include <assert.h>
#include <stdlib.h>

#include "consumer/lane/lane_state.h"

struct lane_partition *lane_find_partition(struct lane *l, int32_t id)
{
    for (size_t i = 0; i < l->partition_count; i++)
        if (l->partitions[i].state.id == id)
            return &l->partitions[i];
    return NULL;
}

void lane_forget_partition(struct lane *l, int32_t id)
{
    struct lane_partition *p = lane_find_partition(l, id);
    if (!p)
        return;
    partition_state_finish(&p->state);
    *p = l->partitions[--l->partition_count];
    metrics_drop_partition(&l->metrics, id);
    for (int i = 0; i < 2; i++)
        sketch_drop(l->sketches[i], id);
    observer_forget(l->o.observer, id);
    size_t kept = 0;
    for (size_t i = 0; i < l->backlog_count; i++) {
        if (l->backlog[i]->partition == id)
            rd_kafka_message_destroy(l->backlog[i]);
        else
            l->backlog[kept++] = l->backlog[i];
    }
    l->backlog_count = kept;
}

int lane_add_partition(struct lane *l, int32_t id, const struct committed *committed, int64_t *start, struct err *err)
{
    assert(!lane_find_partition(l, id));
    l->partitions = realloc(l->partitions, (l->partition_count + 1) * sizeof *l->partitions);
    assert(l->partitions);
    struct lane_partition *p = &l->partitions[l->partition_count];
    *p = (struct lane_partition){.committed = committed->offset};
    if (partition_state_init(&p->state, l->o.config, id) < 0)
        return err_set(err, "memory is short for partition %d", id);
    if (restore_begin(&p->restore, l->consumer, l->o.stop, l->o.config, l->rules, committed, &p->state, err) < 0) {
        partition_state_finish(&p->state);
        return -1;
    }
    *start = p->state.next_offset;
    l->partition_count++;
    return 0;
}

void lane_drop_all(struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++)
        writer_drop(l->writer, l->partitions[i].state.id);
    while (l->partition_count)
        lane_forget_partition(l, l->partitions[0].state.id);
}

/* Partitions whose rebuild ended at a control record rather than before a message. */
void lane_finish_idle_restores(struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++) {
        struct lane_partition *p = &l->partitions[i];
        if (!p->restore.active || l->backlog_count)
            continue;
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, l->o.config->input.topic, p->state.id);
        bool there = p->state.next_offset >= p->state.suppress_below ||
                     (!rd_kafka_position(l->consumer, list) && list->elems[0].offset >= p->state.suppress_below);
        rd_kafka_topic_partition_list_destroy(list);
        if (there)
            restore_finish(&p->restore, &p->state, l->rules);
    }
}
