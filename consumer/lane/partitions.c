#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/kafka/client.h"
#include "consumer/lane/lane_state.h"
#include "consumer/log.h"
#include "scoring/features/large_memory.h"

enum { RESTORE_BUDGET_NS = 10000000, RESTORE_BUDGET_ALONE_NS = 50000000, DISSOLVE_WORK = 4 * LARGE_PIECE_WORK /* less than a millisecond */ };

struct lane_partition *lane_find_partition(struct lane *l, int32_t id)
{
    for (size_t i = 0; i < l->partition_count; i++)
        if (l->partitions[i].state.id == id)
            return &l->partitions[i];
    return NULL;
}

void lane_free_partition(struct lane_partition *p)
{
    free(p->latencies);
    p->latencies = NULL;
    checkpoint_destroy(p->checkpoint);
    restore_end(&p->restore);
    partition_state_finish(&p->state);
}

static void drop_backlog(struct lane *l, int32_t id)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->backlog_count; i++) {
        if (l->backlog[i]->partition == id)
            rd_kafka_message_destroy(l->backlog[i]);
        else
            l->backlog[kept++] = l->backlog[i];
    }
    l->backlog_count = kept;
}

/* Windows of a million entities take a tenth of a second to give back, in which the other partitions would stand still. */
static void let_go(struct lane *l, struct windows *windows)
{
    l->going = realloc(l->going, (l->going_count + 1) * sizeof(struct windows *));
    assert(l->going);
    l->going[l->going_count++] = windows;
}

void lane_dissolve(struct lane *l)
{
    if (!l->going_count || !windows_dissolve(l->going[l->going_count - 1], DISSOLVE_WORK))
        return;
    windows_destroy(l->going[--l->going_count]);
}

void lane_forget_partition(struct lane *l, int32_t id)
{
    struct lane_partition *p = lane_find_partition(l, id);
    if (!p)
        return;
    let_go(l, p->state.windows);
    p->state.windows = NULL;
    lane_free_partition(p);
    *p = l->partitions[--l->partition_count];
    metrics_drop_partition(&l->metrics, id);
    pipeline_settle_sketch(l->pipeline);
    for (int i = 0; i < 2; i++)
        sketch_drop(l->sketches[i], id);
    observer_forget(l->o.observer, id);
    drop_backlog(l, id);
}

static struct restore_context context_of(const struct lane *l)
{
    return (struct restore_context){.consumer = l->consumer, .stop = l->o.stop, .config = l->o.config, .rules = l->rules, .partitions = l->topics.input_partitions, .changelog = &l->o.topics->changelog,
                                    .reader = l->recovery, .registry = l->o.registry, .deployment = l->deployment};
}

/* So that restarts can be compared; it costs a pass over the state. */
void lane_tell_digest(const struct lane_partition *p)
{
    if (log_enabled(LOG_DEBUG))
        log_debug("partition %d: state digest %016" PRIx64 " at offset %" PRId64, p->state.id, windows_digest(p->state.windows), p->state.next_offset);
}

/* From here on the partition's changes go into the changelog. */
static void begin_checkpoints(struct lane *l, struct lane_partition *p)
{
    if (!l->o.topics->changelog.name[0])
        return;
    p->checkpoint = checkpoint_create(&l->changelog, &p->state, &p->restore.origin);
    checkpoint_give_garbage(p->checkpoint, p->restore.garbage, p->restore.garbage_count);
    p->restore.garbage = NULL;
    p->restore.garbage_count = 0;
    lane_tell_digest(p);
}

int lane_add_partition(struct lane *l, int32_t id, struct err *err)
{
    assert(!lane_find_partition(l, id));
    l->partitions = realloc(l->partitions, (l->partition_count + 1) * sizeof *l->partitions);
    assert(l->partitions);
    struct lane_partition *p = &l->partitions[l->partition_count];
    *p = (struct lane_partition){.waits = true, .reread = true, .committed = -1, .reads_from = -1};
    if (partition_state_init(&p->state, l->o.config, id) < 0)
        return err_set(err, "memory is short for partition %d", id);
    l->partition_count++;
    return 0;
}

int lane_begin_partition(struct lane *l, struct lane_partition *p, const struct committed *committed, bool assigned, struct err *err)
{
    struct restore_context context = context_of(l);
    if (assigned)
        log_info("partition %d: its committed offset is there: %" PRId64, p->state.id, committed->offset);
    if (restore_begin(&p->restore, &context, committed, &p->state, err) < 0)
        return -1;
    p->waits = false;
    p->reread = assigned; /* and what has come until then is none of it */
    if (!assigned)
        p->reads_from = p->state.next_offset;
    p->committed = p->covered = p->restore.target.offset; /* not that of a topic of the same name before it */
    p->grown = p->restore.grown;
    if (!p->restore.active)
        begin_checkpoints(l, p);
    return 0;
}

void lane_drop_all(struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++)
        writer_drop(l->writer, l->partitions[i].state.id);
    while (l->partition_count)
        lane_forget_partition(l, l->partitions[0].state.id);
}

/* ---- restoring ---- */

struct pipeline *lane_pipeline(const struct lane *l, const struct lane_partition *p, int64_t offset)
{
    return p->restore.old_pipeline && offset < p->state.suppress_below ? p->restore.old_pipeline : l->pipeline;
}

bool lane_reads_changelog(const struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++)
        if (l->partitions[i].restore.stage == RESTORE_CHANGELOG)
            return true;
    return false;
}

static bool all_are_restoring(const struct lane *l)
{
    for (size_t i = 0; i < l->partition_count; i++)
        if (!l->partitions[i].restore.active && !l->partitions[i].waits)
            return false;
    return true;
}

/* The input is read from where the state stands. */
static int read_from_here(struct lane *l, struct lane_partition *p, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, l->o.config->input.topic, p->state.id)->offset = p->state.next_offset;
    int result = 0;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (p->state.next_offset != p->reads_from) {
        drop_backlog(l, p->state.id);
        result = kafka_take_error(rd_kafka_seek_partitions(l->consumer, list, LOOKUP_TIMEOUT_MS), "seek in the input topic", err) == REMEDY_NONE ? 0 : -1;
        code = list->elems[0].err; /* it may not have begun to be read: then the next turn tries again */
    }
    if (result == 0 && !code) {
        p->reread = false;
        p->reads_from = p->state.next_offset;
        if (!l->registry_retry_ns && !l->held)
            rd_kafka_resume_partitions(l->consumer, list);
    } else if (result == 0) {
        kafka_log_error("seek in the input topic", (int)code, rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

static int after_step(struct lane *l, struct lane_partition *p, int step)
{
    if (step < 0)
        return -1;
    if (!p->restore.active && !p->checkpoint)
        begin_checkpoints(l, p);
    p->reread = p->reread || step == RESTORE_READ_FROM_HERE;
    return 0;
}

int lane_finish_restore(struct lane *l, struct lane_partition *p, struct err *err)
{
    struct restore_context context = context_of(l);
    int result = after_step(l, p, restore_finish(&p->restore, &context, &p->state, err));
    if (p->restore.stage == RESTORE_CHANGELOG) /* once more from there */
        lane_pause_restoring(l);
    return result;
}

/* Whether the committed offset is reached without a message at it: the log may end there, or control records follow. */
static bool is_there(const struct lane *l, const struct lane_partition *p)
{
    if (p->state.next_offset >= p->state.suppress_below)
        return true;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, l->o.config->input.topic, p->state.id);
    bool there = !rd_kafka_position(l->consumer, list) && list->elems[0].offset >= p->state.suppress_below;
    rd_kafka_topic_partition_list_destroy(list);
    return there;
}

static bool has_backlog(const struct lane *l, int32_t id)
{
    for (size_t i = 0; i < l->backlog_count; i++)
        if (l->backlog[i]->partition == id)
            return true;
    return false;
}

static int restore_one(struct lane *l, struct lane_partition *p, struct err *err)
{
    struct restore_context context = context_of(l);
    restore_tell(&p->restore, &p->state);
    if (p->restore.stage == RESTORE_CHANGELOG)
        return after_step(l, p, restore_turn(&p->restore, &context, &p->state, err));
    FAILPOINT(in_restore_tail);
    return !p->reread && !has_backlog(l, p->state.id) && is_there(l, p) ? lane_finish_restore(l, p, err) : 0;
}

int lane_restore(struct lane *l, struct err *err)
{
    if (lane_inquire(l, err) < 0)
        return -1;
    if (lane_reads_changelog(l)) {
        bool alone = all_are_restoring(l);
        recovery_reader_turn(l->recovery, clock_monotonic_ns() + (alone ? RESTORE_BUDGET_ALONE_NS : RESTORE_BUDGET_NS), alone && !l->backlog_count ? 10 : 0);
    }
    int result = 0;
    for (size_t i = 0; result == 0 && i < l->partition_count; i++) {
        struct lane_partition *p = &l->partitions[i];
        if (p->waits)
            continue;
        if (p->restore.active)
            result = restore_one(l, p, err);
        else if (p->grown)
            result = lane_note_growth(l, p, err);
        if (result == 0 && p->reread && p->restore.stage != RESTORE_CHANGELOG)
            result = read_from_here(l, p, err);
    }
    return result;
}
