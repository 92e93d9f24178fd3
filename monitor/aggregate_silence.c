/* What is known of an input, or one of its partitions, that says nothing.
 *
 * The input.  Silent is what brings no record for a whole window in which the baseline expects SILENCE_EVENTS_MIN.
 *
 * A partition of several.  How many records were to be expected of it is told by the others, whose traffic has the same
 * hours: since its stream time stands still, records of partitions with a later stream time came in, and it has had its
 * share of all records so far (by offsets, so a restart knows it too):
 *
 *   expected = records of the others since then x its offset / the sum of theirs
 *
 * It is silent if that is SILENCE_EVENTS_MIN or more (by chance none of them: e^-100; e^-25 where its share has fallen to a
 * fourth), no record came for a window of the clock, and the others' stream time is a window ahead: a lane that catches up
 * reads one partition before the other, but leaves none alone for so long.  One that was always empty expects nothing; a
 * thin one is silent when it would have had its hundred, and no sooner than it ever had a hundred.  Invariant: a record of the partition sets its count to 0.  Cost:
 * a look at each partition for each part of a delta. */
#include <math.h>

#include "monitor/aggregate_windows.h"

/* ---- partitions ---- */

void aggregate_note_records(struct aggregate *a, struct aggregate_position *of, int64_t records)
{
    if (records <= 0)
        return;
    for (size_t i = 0; i < a->partition_count; i++)
        if (a->partitions[i].at.stream_time_ms < of->at.stream_time_ms)
            a->partitions[i].records_beyond += records;
    of->records_beyond = 0;
    of->spoke = true;
}

void aggregate_hear_partitions(struct aggregate *a, int64_t now_ms)
{
    for (size_t i = 0; i < a->partition_count; i++) {
        struct aggregate_position *p = &a->partitions[i];
        if (p->spoke)
            p->heard_ms = now_ms;
        p->spoke = false;
    }
}

static bool has_data(const struct aggregate_partition *p)
{
    return p->here && p->to > 0 && p->stream_time_ms != TIME_UNKNOWN;
}

static void partition_silence(const struct aggregate *a, const struct aggregate_position *p, double others, int64_t now_ms, struct report_list *reports)
{
    bool heard = p->heard_ms != TIME_UNKNOWN;
    int64_t since_ms = heard ? p->heard_ms : a->started_ms, silent_ms = now_ms > since_ms ? now_ms - since_ms : 0;
    double expected = (double)p->records_beyond * (double)p->at.to / others;
    bool window = silent_ms >= a->window_ms && a->largest_ms - p->at.stream_time_ms >= a->window_ms, silent = window && expected >= SILENCE_EVENTS_MIN;
    struct report *row = aggregate_health_row(p->subject, "silence_seconds", (double)silent_ms / 1000, now_ms, reports);
    row->judged = silent || (heard && silent_ms < a->window_ms);
    row->severity = silent ? SEVERITY_CRITICAL : SEVERITY_OK;
    row->threshold = (double)a->window_ms / 1000;
    row->baseline = expected;
}

/* Of a single one the input's row says it. */
static void partitions_silence(const struct aggregate *a, int64_t now_ms, struct report_list *reports)
{
    double all = 0;
    for (size_t i = 0; i < a->partition_count; i++)
        all += has_data(&a->partitions[i].at) ? (double)a->partitions[i].at.to : 0;
    for (size_t i = 0; i < a->partition_count; i++) {
        const struct aggregate_position *p = &a->partitions[i];
        if (has_data(&p->at) && all > (double)p->at.to)
            partition_silence(a, p, all - (double)p->at.to, now_ms, reports);
    }
}

/* ---- the input ---- */

void aggregate_silence(const struct aggregate *a, int64_t since_ms, int64_t now_ms, bool heard, struct report_list *reports)
{
    const struct baseline *baseline = sketch_shape_of(a->shape)->baseline;
    int64_t silent_ms = now_ms > since_ms ? now_ms - since_ms : 0;
    double expected = baseline && silent_ms ? baseline_expected_events(baseline, since_ms, now_ms) : NAN;
    bool window = silent_ms >= a->window_ms, enough = isnan(expected) ? silent_ms >= SILENCE_SECONDS_MAX * 1000 : expected >= SILENCE_EVENTS_MIN;
    struct report *row = aggregate_health_row(a->topic, "silence_seconds", (double)silent_ms / 1000, now_ms, reports);
    row->judged = window ? isnan(expected) || enough : heard;
    row->severity = !window || !enough ? SEVERITY_OK : isnan(expected) ? SEVERITY_WARNING : SEVERITY_CRITICAL;
    row->threshold = (double)a->window_ms / 1000;
    row->baseline = expected;
}

void aggregate_input_health(struct aggregate *a, int64_t now_ms, struct report_list *reports)
{
    bool heard = a->records_heard_ms != TIME_UNKNOWN;
    aggregate_silence(a, heard ? a->records_heard_ms : a->started_ms, now_ms, heard, reports);
    partitions_silence(a, now_ms, reports);
}
