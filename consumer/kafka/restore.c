#include "consumer/kafka/restore.h"

#include <inttypes.h>

#include "consumer/clock.h"
#include "consumer/log.h"

static int gap(const struct config *config, int32_t partition, int64_t needed, int64_t first, struct err *err)
{
    if (config->input.on_gap == GAP_REFUSE)
        return err_set(err, "partition %d of %s: records from offset %" PRId64 " on are needed, but the log begins at %" PRId64
            "; set input.on_gap: continue to go on with window_complete false, or reset the group's offsets", partition, config->input.topic, needed, first);
    log_warning("partition %d of %s: records from offset %" PRId64 " to %" PRId64 " are gone; going on with incomplete windows", partition, config->input.topic, needed, first);
    return 0;
}

/* Where the fold has to begin for windows that are complete at the committed offset.  1: they are not, the history before
 * it is gone. */
static int first_that_matters(rd_kafka_t *consumer, const atomic_bool *stop, const struct config *config, uint64_t rules, const struct committed *committed, int32_t partition, int64_t log_first, int64_t *from, struct err *err)
{
    const struct offset_metadata *m = &committed->metadata;
    if (!committed->has_metadata || m->stream_time == TIME_UNKNOWN) {
        *from = log_first;
        return 0;
    }
    if (m->rules != rules && m->first_offset >= log_first) { /* T may be another one under the new rules */
        *from = m->first_offset < committed->offset ? m->first_offset : committed->offset;
        return 0;
    }
    int64_t reach = config->spec->longest_window_ms + config->spec->lateness_ms + config->spec->future_skew_ms;
    if (offsets_at_time(consumer, stop, config->input.topic, partition, m->stream_time - reach, from, err) < 0)
        return -1;
    if (*from < m->first_offset)
        *from = m->first_offset;
    if (*from > committed->offset)
        *from = committed->offset;
    if (*from <= log_first && m->first_offset < log_first) { /* something that mattered may have been deleted */
        *from = log_first;
        return gap(config, partition, m->first_offset, log_first, err) < 0 ? -1 : 1;
    }
    return m->rules != rules; /* the fold is not whole, and what lies before it was judged by other rules */
}

int restore_begin(struct restore *restore, rd_kafka_t *consumer, const atomic_bool *stop, const struct config *config, uint64_t rules, const struct committed *committed, struct partition_state *state, struct err *err)
{
    int64_t log_first, log_end, from;
    int64_t target = committed->offset < 0 ? 0 : committed->offset; /* a partition that appeared later starts at 0 */
    if (offsets_bounds(consumer, stop, config->input.topic, state->id, &log_first, &log_end, err) < 0)
        return -1;
    if (target > log_end)
        return err_set(err, "partition %d of %s: the committed offset %" PRId64 " is beyond the log's end %" PRId64 ": was the topic created anew? reset the group's offsets", state->id, config->input.topic, target, log_end);
    *restore = (struct restore){.target = *committed, .began_ns = clock_monotonic_ns()};
    bool lost = target < log_first;
    if (lost) {
        if (gap(config, state->id, target, log_first, err) < 0)
            return -1;
        from = target = log_first;
    } else {
        int result = first_that_matters(consumer, stop, config, rules, committed, state->id, log_first, &from, err);
        if (result < 0)
            return -1;
        lost = result > 0;
    }
    const struct offset_metadata *m = &committed->metadata;
    bool known = committed->has_metadata && !lost;
    restore->from = from;
    restore->first_offset = known ? m->first_offset : from;
    restore->active = from < target;
    state->next_offset = from;
    state->suppress_below = target;
    if (known && from > m->first_offset && m->history_start != TIME_UNKNOWN)
        windows_set_history_start(state->windows, m->history_start);
    else if (restore->first_offset > 0)
        windows_set_history_cold(state->windows);
    if (restore->active)
        log_info("partition %d: rebuilding its state from offset %" PRId64 " to %" PRId64, state->id, from, target);
    return 0;
}

void restore_finish(struct restore *restore, struct partition_state *state, uint64_t rules)
{
    const struct offset_metadata *m = &restore->target.metadata;
    restore->active = false;
    double seconds = (double)(clock_monotonic_ns() - restore->began_ns) / 1e9;
    log_info("partition %d: state rebuilt, %" PRId64 " records in %.1f s", state->id, state->suppress_below - restore->from, seconds);
    if (!restore->target.has_metadata || m->first_offset != restore->first_offset)
        return;
    if (m->rules != rules) {
        log_info("partition %d: features or validation have changed since the last commit; the new rules hold for the whole rebuild", state->id);
        return;
    }
    bool whole = restore->from == restore->first_offset;
    if (windows_stream_time(state->windows) != m->stream_time || (whole && state->verdict_hash != m->verdict_hash)) {
        log_warning("partition %d: the records before offset %" PRId64 " are judged otherwise than when they were processed: the log is not what it was, or a schema that was unknown is there now; "
            "going on with windows of what they are today", state->id, state->suppress_below);
        return;
    }
    state->verdict_hash = m->verdict_hash;
}

struct offset_metadata restore_metadata(const struct restore *restore, const struct partition_state *state, uint64_t rules)
{
    return (struct offset_metadata){.stream_time = windows_stream_time(state->windows), .verdict_hash = state->verdict_hash, .first_offset = restore->first_offset,
        .history_start = windows_history_start(state->windows), .rules = rules};
}
