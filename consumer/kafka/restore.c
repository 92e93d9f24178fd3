#include "consumer/kafka/restore.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/changelog/rules.h"
#include "consumer/clock.h"
#include "consumer/log.h"
#include "consumer/serving.h"

enum { TELL_EVERY_S = 5 };

static int gap(const struct config *config, int32_t partition, int64_t needed, int64_t first, struct err *err)
{
    if (config->input.on_gap == GAP_REFUSE)
        return err_set(err, "partition %d of %s: records from offset %" PRId64 " on are needed, but the log begins at %" PRId64
            "; set input.on_gap: continue to go on with window_complete false, or reset the group's offsets", partition, config->input.topic, needed, first);
    log_warning("partition %d of %s: records from offset %" PRId64 " to %" PRId64 " are gone; going on with incomplete windows", partition, config->input.topic, needed, first);
    return 0;
}

/* A number that no other beginning of this state has had.  It names keys and decides nothing. */
static uint64_t new_incarnation(int32_t partition)
{
    uint64_t x = (uint64_t)clock_wall_ms() * 1000003 + (uint64_t)clock_monotonic_ns() + (uint64_t)partition;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static struct generation new_generation(const struct restore_context *c, int32_t partition)
{
    return generation_of(c->changelog->input_id, c->config->spec->canonical, new_incarnation(partition));
}

/* ---- from the input ---- */

/* Where the fold has to begin for windows that are complete at the committed offset.  1: they are not, the history before
 * it is gone. */
static int first_that_matters(const struct restore_context *c, const struct committed *committed, int32_t partition, int64_t log_first, int64_t *from, struct err *err)
{
    const struct offset_metadata *m = &committed->metadata;
    const struct config *config = c->config;
    if (!committed->has_metadata || m->stream_time == TIME_UNKNOWN) {
        *from = log_first;
        return 0;
    }
    if (m->rules != c->rules && m->first_offset >= log_first) { /* T may be another one under the new rules */
        *from = m->first_offset < committed->offset ? m->first_offset : committed->offset;
        return 0;
    }
    int64_t reach = config->spec->longest_window_ms + config->spec->lateness_ms + config->spec->future_skew_ms;
    if (offsets_at_time(c->consumer, c->stop, config->input.topic, partition, m->stream_time - reach, from, err) < 0)
        return -1;
    if (*from < m->first_offset)
        *from = m->first_offset;
    if (*from > committed->offset)
        *from = committed->offset;
    if (*from <= log_first && m->first_offset < log_first) { /* something that mattered may have been deleted */
        *from = log_first;
        return gap(config, partition, m->first_offset, log_first, err) < 0 ? -1 : 1;
    }
    return m->rules != c->rules; /* the fold is not whole, and what lies before it was judged by other rules */
}

/* Deployments that served the records to be folded: all of the changelog is read for them, like a checkpoint. */
static int deployments_begin(struct restore *restore, const struct restore_context *c, const struct partition_state *state, struct err *err)
{
    if (recovery_begin(c->reader, state, NULL, 0, &restore->recovery, err) < 0)
        return -1;
    restore->stage = RESTORE_CHANGELOG;
    restore->active = restore->reads_deployments = true;
    return 0;
}

/* The fold itself, if there is something to fold. */
static void fold_begin(struct restore *restore, const struct partition_state *state)
{
    restore->active = restore->from < state->suppress_below;
    restore->stage = restore->active ? RESTORE_REBUILD : RESTORE_NONE;
    restore->began_ns = clock_monotonic_ns();
    if (restore->active)
        log_info("partition %d: rebuilding its state from offset %" PRId64 " to %" PRId64, state->id, restore->from, state->suppress_below);
}

static int deployments_done(struct restore *restore, const struct partition_state *state, const struct recovery_status *s)
{
    if (s->state == RECOVERY_FAILED)
        log_warning("partition %d: which deployments served it before is not known: %s", state->id, s->why);
    recovery_end(restore->recovery);
    restore->recovery = NULL;
    restore->reads_deployments = false;
    fold_begin(restore, state);
    return RESTORE_READ_FROM_HERE;
}

static int rebuild_begin(struct restore *restore, const struct restore_context *c, struct partition_state *state, struct err *err)
{
    const struct committed *committed = &restore->target;
    int64_t log_first, log_end, from;
    int64_t target = committed->offset < 0 ? 0 : committed->offset; /* a partition that appeared later starts at 0 */
    if (offsets_bounds(c->consumer, c->stop, c->config->input.topic, state->id, &log_first, &log_end, err) < 0)
        return -1;
    if (target > log_end)
        return err_set(err, "partition %d of %s: the committed offset %" PRId64 " is beyond the log's end %" PRId64 ": was the topic created anew? reset the group's offsets", state->id, c->config->input.topic, target, log_end);
    bool lost = target < log_first;
    if (lost) {
        if (gap(c->config, state->id, target, log_first, err) < 0)
            return -1;
        from = target = log_first;
    } else {
        int result = first_that_matters(c, committed, state->id, log_first, &from, err);
        if (result < 0)
            return -1;
        lost = result > 0;
    }
    const struct offset_metadata *m = &committed->metadata;
    bool known = committed->has_metadata && !lost;
    restore->from = from;
    restore->first_offset = known ? m->first_offset : from;
    restore->origin = (struct checkpoint_origin){.generation = new_generation(c, state->id), .at_once = from < target};
    state->next_offset = from;
    state->suppress_below = target;
    if (known && (from > m->first_offset || from == target) && m->history_start != TIME_UNKNOWN)
        windows_set_history_start(state->windows, m->history_start);
    else if (restore->first_offset > 0)
        windows_set_history_cold(state->windows);
    if (c->changelog->name[0] && committed->has_metadata)
        return deployments_begin(restore, c, state, err);
    fold_begin(restore, state);
    return 0;
}

static void drop_old_rules(struct restore *restore)
{
    pipeline_destroy(restore->old_pipeline);
    free(restore->old_judge);
    config_destroy(restore->old_config);
    restore->old_pipeline = NULL;
    restore->old_judge = NULL;
    restore->old_config = NULL;
}

/* The state as it was created, then from the input. */
static int rebuild_instead(struct restore *restore, const struct restore_context *c, struct partition_state *state, const char *why, struct err *err)
{
    int32_t id = state->id;
    log_warning("partition %d: its checkpoint cannot be used: %s; rebuilding its state from the input", id, why);
    recovery_end(restore->recovery);
    restore->recovery = NULL;
    restore->stage = RESTORE_REBUILD;
    drop_old_rules(restore);
    partition_state_finish(state);
    if (partition_state_init(state, c->config, id) < 0)
        return err_set(err, "memory is short for partition %d", id);
    return rebuild_begin(restore, c, state, err) < 0 ? -1 : (int)RESTORE_READ_FROM_HERE;
}

/* ---- from the changelog ---- */

/* NULL: the commit names a checkpoint that may be used. */
static const char *why_not_changelog(const struct restore_context *c, const struct committed *committed, int64_t log_first)
{
    const struct offset_metadata *m = &committed->metadata;
    struct generation ours = generation_of(c->changelog->input_id, c->config->spec->canonical, 0);
    if (!c->changelog->name[0] || !committed->has_metadata || !m->checkpoint_epoch)
        return "";
    if (!generation_same_features(&m->generation, &ours))
        return "the feature file has changed";
    if (m->checkpoint_offset > committed->offset)
        return "its checkpoint lies above the committed offset";
    if (m->checkpoint_offset < log_first)
        return "the input no longer holds the records after its checkpoint";
    return NULL;
}

static int refuse_other_topic(const struct restore_context *c, struct committed *committed, int32_t partition, struct err *err)
{
    struct generation ours = generation_of(c->changelog->input_id, "", 0);
    if (!c->changelog->name[0] || !committed->has_metadata || !committed->metadata.checkpoint_epoch || generation_same_topic(&committed->metadata.generation, &ours))
        return 0;
    if (c->config->input.on_gap == GAP_REFUSE)
        return err_set(err, "partition %d of %s: the topic was created anew since the last commit (its id is another one); reset the group's offsets, or set input.on_gap: continue to begin it at its first record",
                       partition, c->config->input.topic);
    log_warning("partition %d of %s: the topic was created anew since the last commit; beginning at its first record", partition, c->config->input.topic);
    *committed = (struct committed){.offset = 0};
    return 0;
}

static int changelog_begin(struct restore *restore, const struct restore_context *c, struct partition_state *state, struct err *err)
{
    const struct offset_metadata *m = &restore->target.metadata;
    if (recovery_begin(c->reader, state, m, restore->log_first, &restore->recovery, err) < 0)
        return -1;
    restore->stage = RESTORE_CHANGELOG;
    restore->active = true;
    restore->from = m->checkpoint_offset;
    state->next_offset = m->checkpoint_offset;
    state->suppress_below = restore->target.offset;
    log_info("partition %d: reading its state from the changelog, checkpoint %" PRId64 " at offset %" PRId64, state->id, m->checkpoint_epoch, m->checkpoint_offset);
    return 0;
}

int restore_begin(struct restore *restore, const struct restore_context *c, const struct committed *committed, struct partition_state *state, struct err *err)
{
    int64_t log_first, log_end;
    *restore = (struct restore){.target = *committed, .began_ns = clock_monotonic_ns()};
    restore->told_ns = restore->began_ns;
    if (offsets_bounds(c->consumer, c->stop, c->config->input.topic, state->id, &log_first, &log_end, err) < 0 || refuse_other_topic(c, &restore->target, state->id, err) < 0)
        return -1;
    restore->log_first = log_first;
    const struct offset_metadata *m = &restore->target.metadata;
    restore->grown = restore->target.offset < 0 || (restore->target.has_metadata && m->partitions && m->partitions < c->partitions);
    const char *why = why_not_changelog(c, &restore->target, log_first);
    if (!why && restore->target.offset <= log_end)
        return changelog_begin(restore, c, state, err);
    if (why && *why)
        log_info("partition %d: %s: its state is rebuilt from the input", state->id, why);
    return rebuild_begin(restore, c, state, err);
}

/* The rules of the checkpoint, in a pipeline of their own. */
static int take_old_rules(struct restore *restore, const struct restore_context *c, struct partition_state *state, const struct marker *marker, struct err *err)
{
    if (rules_config(c->config, marker->rules, &restore->old_config, err) < 0)
        return -1;
    const struct config *old = restore->old_config;
    struct config *judge = restore->old_judge = malloc(sizeof *judge);
    assert(judge);
    *judge = *c->config;
    judge->fields = old->fields;
    judge->validation = old->validation;
    judge->validation_count = old->validation_count;
    judge->input.max_record_bytes = old->input.max_record_bytes;
    judge->input.reader_schema = NULL;
    judge->input.reader_schema_text = old->input.reader_schema_text;
    judge->monitor.segment_count = 0;
    judge->value_slot = -1;
    log_info("partition %d: validation, reader schema or limits have changed: records before offset %" PRId64 " are folded under the rules they were judged by", state->id, state->suppress_below);
    if (windows_set_limits(state->windows, (struct window_limits){(uint64_t)old->state.max_entities, (uint64_t)old->state.max_events}))
        return err_set(err, "memory is short");
    return pipeline_create(judge, c->deployment, c->registry, &restore->old_pipeline, err);
}

/* At least once nothing fences whoever wrote there before us, so that must stay its alone (checkpoint.h). */
static struct checkpoint_origin origin_of(const struct restore *restore, const struct restore_context *c, int32_t partition, const struct marker *marker)
{
    bool anew = c->config->delivery == DELIVERY_AT_LEAST_ONCE;
    const struct generation *read = &restore->target.metadata.generation;
    return (struct checkpoint_origin){.generation = anew ? new_generation(c, partition) : *read, .epoch = anew ? 0 : recovery_highest_epoch(restore->recovery),
                                      .done_generation = *read, .done_epoch = marker->epoch, .done_offset = marker->offset, .at_once = anew || marker->rules_hash != c->rules};
}

static int changelog_done(struct restore *restore, const struct restore_context *c, struct partition_state *state, struct err *err)
{
    const struct marker *marker = recovery_marker(restore->recovery);
    struct recovery_status s = recovery_status(restore->recovery);
    double seconds = (double)(clock_monotonic_ns() - restore->began_ns) / 1e9;
    log_info("partition %d: %" PRId64 " entities read from the changelog in %.1f s (%" PRId64 " records, %.1f MB); %" PRId64 " records of the input follow", state->id, s.entities, seconds,
             s.records, (double)s.bytes / 1e6, state->suppress_below - state->next_offset);
    restore->first_offset = marker->first_offset;
    state->verdict_hash = marker->verdict_hash;
    restore->origin = origin_of(restore, c, state->id, marker);
    struct err why;
    if (marker->rules_hash != restore->target.metadata.rules && state->next_offset < state->suppress_below)
        return rebuild_instead(restore, c, state, "the rules changed after it, and its tail was judged by both", err);
    if (marker->rules_hash != c->rules && state->next_offset < state->suppress_below && take_old_rules(restore, c, state, marker, &why) < 0)
        return rebuild_instead(restore, c, state, why.msg, err);
    recovery_give_growths(restore->recovery, state);
    restore->garbage = recovery_take_garbage(restore->recovery, &restore->garbage_count);
    recovery_end(restore->recovery);
    restore->recovery = NULL;
    restore->stage = RESTORE_TAIL;
    restore->began_ns = clock_monotonic_ns();
    if (state->next_offset < state->suppress_below)
        return RESTORE_READ_FROM_HERE;
    int step = restore_finish(restore, c, state, err);
    return step < 0 ? -1 : (int)RESTORE_READ_FROM_HERE;
}

/* A checkpoint that was closed after the offsets were last committed (at_least_once): that one, then. */
static int take_newer(struct restore *restore, const struct restore_context *c, struct partition_state *state, const struct recovery_status *s, struct err *err)
{
    int32_t id = state->id;
    restore->target.metadata.checkpoint_epoch = s->newer_epoch;
    restore->target.metadata.checkpoint_offset = s->newer_offset;
    recovery_end(restore->recovery);
    restore->recovery = NULL;
    restore->stage = RESTORE_REBUILD;
    partition_state_finish(state);
    if (partition_state_init(state, c->config, id) < 0)
        return err_set(err, "memory is short for partition %d", id);
    return changelog_begin(restore, c, state, err) < 0 ? -1 : (int)RESTORE_GOES_ON;
}

int restore_turn(struct restore *restore, const struct restore_context *c, struct partition_state *state, struct err *err)
{
    assert(restore->stage == RESTORE_CHANGELOG);
    struct recovery_status s = recovery_status(restore->recovery);
    if (s.state == RECOVERY_READS || s.state == RECOVERY_SETTLES)
        return RESTORE_GOES_ON;
    if (restore->reads_deployments)
        return deployments_done(restore, state, &s);
    if (s.newer_epoch && s.newer_offset <= restore->target.offset)
        return take_newer(restore, c, state, &s, err);
    if (s.state == RECOVERY_FAILED) {
        char why[512];
        snprintf(why, sizeof why, "%s", s.why);
        return rebuild_instead(restore, c, state, why, err);
    }
    return changelog_done(restore, c, state, err);
}

/* ---- the committed offset ---- */

static bool as_committed(const struct restore *restore, const struct partition_state *state, bool whole)
{
    const struct offset_metadata *m = &restore->target.metadata;
    return windows_stream_time(state->windows) == m->stream_time && (!whole || state->verdict_hash == m->verdict_hash);
}

static int finish_tail(struct restore *restore, const struct restore_context *c, struct partition_state *state, struct err *err)
{
    partition_state_pass(state, state->suppress_below);
    if (!as_committed(restore, state, true))
        return rebuild_instead(restore, c, state, "the records after it are judged otherwise than when they were processed", err);
    drop_old_rules(restore);
    struct window_limits limits = {(uint64_t)c->config->state.max_entities, (uint64_t)c->config->state.max_events};
    if (windows_set_limits(state->windows, limits))
        return err_set(err, "memory is short for partition %d", state->id);
    log_info("partition %d: state restored, %" PRId64 " records of the input folded in %.1f s", state->id, state->suppress_below - restore->from, (double)(clock_monotonic_ns() - restore->began_ns) / 1e9);
    restore->active = false;
    restore->stage = RESTORE_NONE;
    return RESTORE_GOES_ON;
}

static void finish_rebuild(struct restore *restore, const struct restore_context *c, struct partition_state *state)
{
    const struct offset_metadata *m = &restore->target.metadata;
    restore->active = false;
    restore->stage = RESTORE_NONE;
    double seconds = (double)(clock_monotonic_ns() - restore->began_ns) / 1e9;
    log_info("partition %d: state rebuilt, %" PRId64 " records in %.1f s", state->id, state->suppress_below - restore->from, seconds);
    if (!restore->target.has_metadata || m->first_offset != restore->first_offset)
        return;
    if (m->history_start > windows_history_start(state->windows)) /* the input has grown on the way */
        windows_set_history_start(state->windows, m->history_start);
    if (m->rules != c->rules) {
        log_info("partition %d: features or validation have changed since the last commit; the new rules hold for the whole rebuild", state->id);
        return;
    }
    if (!as_committed(restore, state, restore->from == restore->first_offset)) {
        log_warning("partition %d: the records before offset %" PRId64 " are judged otherwise than when they were processed: the log is not what it was, or a schema that was unknown is there now; "
            "going on with windows of what they are today", state->id, state->suppress_below);
        return;
    }
    state->verdict_hash = m->verdict_hash;
    if (m->history_start != TIME_UNKNOWN)
        windows_set_history_start(state->windows, m->history_start);
}

int restore_finish(struct restore *restore, const struct restore_context *c, struct partition_state *state, struct err *err)
{
    if (restore->stage == RESTORE_TAIL)
        return finish_tail(restore, c, state, err);
    finish_rebuild(restore, c, state);
    return RESTORE_GOES_ON;
}

void restore_end(struct restore *restore)
{
    recovery_end(restore->recovery);
    drop_old_rules(restore);
    for (size_t i = 0; i < restore->garbage_count; i++)
        free((void *)(uintptr_t)restore->garbage[i].entity.data);
    free(restore->garbage);
    *restore = (struct restore){0};
}

struct offset_metadata restore_metadata(const struct restore *restore, const struct partition_state *state, uint64_t rules, int32_t partitions, const struct checkpoint *checkpoint)
{
    struct offset_metadata m = {.partitions = partitions, .stream_time = windows_stream_time(state->windows), .verdict_hash = state->verdict_hash, .first_offset = restore->first_offset,
                                .history_start = windows_history_start(state->windows), .rules = rules};
    if (checkpoint && checkpoint->done_epoch) {
        m.checkpoint_epoch = checkpoint->done_epoch;
        m.checkpoint_offset = checkpoint->done_offset;
        m.generation = checkpoint->done_generation;
    }
    return m;
}

/* ---- how far ---- */

const char *restore_stage_name(enum restore_stage stage)
{
    static const char *const names[] = {"none", "changelog", "tail", "rebuild"};
    return names[stage];
}

double restore_share(const struct restore *restore, const struct partition_state *state)
{
    double done, all;
    if (restore->stage == RESTORE_CHANGELOG) {
        struct recovery_status s = recovery_status(restore->recovery);
        done = (double)(s.position - s.begin);
        all = (double)(s.end - s.begin);
    } else {
        done = (double)(state->next_offset - restore->from);
        all = (double)(state->suppress_below - restore->from);
    }
    return all > 0 ? done / all : 1;
}

double restore_eta_seconds(const struct restore *restore, const struct partition_state *state)
{
    double share = restore_share(restore, state), seconds = (double)(clock_monotonic_ns() - restore->began_ns) / 1e9;
    return share > 0.01 ? seconds / share * (1 - share) : -1;
}

void restore_tell(struct restore *restore, const struct partition_state *state)
{
    int64_t now = clock_monotonic_ns();
    if (now - restore->told_ns < INT64_C(1000000000) * TELL_EVERY_S)
        return;
    restore->told_ns = now;
    double eta = restore_eta_seconds(restore, state);
    if (eta < 0)
        log_info("partition %d: restoring (%s), just begun", state->id, restore_stage_name(restore->stage));
    else
        log_info("partition %d: restoring (%s), %.0f %% done, about %.0f s to go", state->id, restore_stage_name(restore->stage), 100 * restore_share(restore, state), eta);
}
