/* The input has got more partitions.  Entities move between partitions then, so that no partition's history is whole any
 * more: each begins its history at its next event, and its changelog says from which offset on, so that whoever
 * folds those records again does the same.  Changelog and outputs must have grown before. */
#include <inttypes.h>

#include "consumer/kafka/client.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"

/* One that had as many partitions as the input keeps their numbers; with fewer, order per entity would be lost. */
static int check_outputs(const struct topics *before, const struct topics *now, struct err *err)
{
    for (int i = 0; i < OUTPUT_COUNT; i++) {
        const struct output_topic *was = &before->outputs[i], *is = &now->outputs[i];
        if (was->name && was->partitions == before->input_partitions && is->partitions != now->input_partitions)
            return err_set(err, "the input has grown from %" PRId32 " to %" PRId32 " partitions, and topic %s has %" PRId32
                           "; grow it, too, and start again: kafka-topics.sh --alter --topic %s --partitions %" PRId32,
                           before->input_partitions, now->input_partitions, is->name, is->partitions, is->name, now->input_partitions);
    }
    return 0;
}

static void tell_producers(struct lane *l)
{
    for (int i = 0; i < OUTPUT_COUNT; i++)
        if (l->topics.outputs[i].name)
            writer_look_up(l->writer, l->topics.outputs[i].name);
    if (l->topics.changelog.name[0])
        writer_look_up(l->writer, l->topics.changelog.name);
}

int lane_look_for_growth(struct lane *l, struct err *err)
{
    int32_t count, before = l->topics.input_partitions;
    struct topics now = l->topics;
    struct err why = {0};
    struct cluster hurried = {l->consumer, l->o.stop, LOOKUP_TIMEOUT_MS}, patient = {l->consumer, l->o.stop, WORKER_PATIENCE_MS};
    if (topic_partitions(hurried, l->o.config->input.topic, &count, &why) < 0 || count <= before)
        return 0; /* what the broker does not say now it says next time */
    if (topics_count_again(patient, l->o.config, &now, err) < 0)
        return err_prefix(err, "the input has grown from %" PRId32 " to %" PRId32 " partitions", before, count);
    if (check_outputs(&l->topics, &now, err) < 0)
        return -1;
    log_info("lane %d: %s has %" PRId32 " partitions now, and had %" PRId32, l->o.index, l->o.config->input.topic, now.input_partitions, before);
    l->topics = now;
    tell_producers(l);
    for (size_t i = 0; i < l->partition_count; i++)
        l->partitions[i].grown = !l->partitions[i].waits; /* then its commit says whether it has */
    return 0;
}

int lane_note_growth(struct lane *l, struct lane_partition *p, struct err *err)
{
    p->grown = false;
    windows_set_history_cold(p->state.windows);
    log_info("partition %d: the input has %" PRId32 " partitions; its history begins at offset %" PRId64, p->state.id, l->topics.input_partitions, p->state.next_offset);
    int result = changelog_put_growth(&l->changelog, p->state.id, p->state.next_offset, l->topics.input_partitions, err);
    lane_cover(l, p);
    return result;
}
