/* Which windows there are, which are closed, and when their rows are written.
 *
 * Invariants, for each width: windows are in order of start; every window that ends at or before the frontier is
 * closed, and the frontier only rises; there are never fewer windows than before, so once the oldest was forgotten
 * there is room for none that starts before the oldest that is left.  Cost of a delta: its cells, once a width, and on
 * a close the rows of the window plus one look at the field times of the windows before. */
#include "monitor/aggregate.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/aggregate_windows.h"
#include "monitor/sketch_extra.h"

size_t aggregate_windows_max(const struct sketch_shape *shape)
{
    size_t fit = ((size_t)64 << 20) / sketch_cell_bytes_most(shape);
    return fit < 4 ? 4 : fit > 288 ? 288 : fit;
}

size_t aggregate_bytes_max(const struct sketch_shape *shape, size_t width_count)
{
    return (aggregate_windows_max(shape) + width_count * AGGREGATE_LONG_WINDOWS_MAX) * sketch_cell_bytes_most(shape);
}

static int64_t *times(size_t fields)
{
    int64_t *list = calloc(fields + 1, sizeof *list);
    for (size_t i = 0; list && i < fields; i++)
        list[i] = TIME_UNKNOWN;
    return list;
}

static bool list_init(struct window_list *list, int64_t width_ms, size_t max, size_t fields)
{
    *list = (struct window_list){.width_ms = width_ms, .max = max, .frontier_ms = INT64_MIN};
    list->of = calloc(max, sizeof *list->of);
    list->seen_ms = times(fields);
    return list->of && list->seen_ms;
}

struct aggregate *aggregate_create(const struct aggregate_options *options, int64_t now_ms)
{
    const struct sketch_shape_options *shape = sketch_shape_of(options->shape);
    assert(options->width_count <= AGGREGATE_WIDTHS_MAX);
    struct aggregate *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->shape = options->shape;
    a->window_ms = shape->window_ms;
    a->lateness_ms = shape->lateness_ms;
    a->drift_of_ms = INT64_MIN;
    a->largest_ms = TIME_UNKNOWN;
    a->first_ms = INT64_MAX;
    a->began_ms = INT64_MIN;
    a->started_ms = now_ms;
    a->records_heard_ms = TIME_UNKNOWN;
    a->stream_clock = options->stream_clock;
    size_t statistics = shape->feature_count + sketch_models_max(options->shape) + 1;
    a->topic = strdup(options->topic);
    a->scoring_budget_seconds = options->scoring_budget_seconds;
    a->seen_ms = times(shape->field_count);
    a->heard_ms = times(shape->field_count);
    a->drift = calloc(statistics, sizeof(double));
    bool all = a->topic && a->seen_ms && a->heard_ms && a->drift;
    for (size_t i = 0; all && i <= options->width_count; i++, a->list_count++)
        all = list_init(&a->lists[i], i ? options->widths_ms[i - 1] : a->window_ms, i ? AGGREGATE_LONG_WINDOWS_MAX : aggregate_windows_max(options->shape),
            shape->field_count);
    if (!all) {
        aggregate_destroy(a);
        return NULL;
    }
    for (size_t i = 0; i < statistics; i++)
        a->drift[i] = NAN;
    return a;
}

void aggregate_destroy(struct aggregate *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < sizeof a->lists / sizeof *a->lists; i++) {
        for (size_t k = 0; k < a->lists[i].count; k++)
            sketch_cell_destroy(a->shape, a->lists[i].of[k].cell);
        free(a->lists[i].of);
        free(a->lists[i].seen_ms);
    }
    for (size_t i = 0; i < a->partition_count; i++)
        free(a->partitions[i].subject);
    free(a->partitions);
    free(a->topic);
    free(a->seen_ms);
    free(a->heard_ms);
    free(a->drift);
    free(a);
}

const double *aggregate_drift(const struct aggregate *a)
{
    return a->drift;
}

struct aggregate_counts aggregate_count(const struct aggregate *a)
{
    return a->counts;
}

/* ---- partitions ---- */

struct aggregate_position *aggregate_position_of(struct aggregate *a, int32_t id)
{
    size_t i = 0;
    while (i < a->partition_count && a->partitions[i].at.id < id)
        i++;
    if (i < a->partition_count && a->partitions[i].at.id == id)
        return &a->partitions[i];
    if (a->partition_count == a->partition_capacity) {
        a->partition_capacity = 2 * a->partition_capacity + 8;
        a->partitions = reallocarray(a->partitions, a->partition_capacity, sizeof *a->partitions);
        assert(a->partitions && "memory is short");
    }
    memmove(a->partitions + i + 1, a->partitions + i, (a->partition_count++ - i) * sizeof *a->partitions);
    a->partitions[i] = (struct aggregate_position){.at = {.id = id, .to = -1, .stream_time_ms = TIME_UNKNOWN}, .heard_ms = TIME_UNKNOWN};
    int size = asprintf(&a->partitions[i].subject, "%s-%d", a->topic, id);
    assert(size > 0 && "memory is short");
    return &a->partitions[i];
}

/* Whether the ranges join; false: the partition's part is a repetition. */
static bool join(struct aggregate *a, struct aggregate_partition *known, const struct sketch_position *position)
{
    if (known->to < 0 || position->from == position->to || position->from == known->to)
        return true;
    if (position->from > known->to) {
        a->losses.gaps++;
        a->losses.missed += position->from - known->to;
        a->counts.offset_gaps++;
        a->counts.missed += (uint64_t)(position->from - known->to);
        return true;
    }
    if (position->stream_time_ms > known->stream_time_ms && position->to <= known->to)
        return true; /* another topic of that name */
    int64_t repeated = (position->to < known->to ? position->to : known->to) - position->from;
    a->losses.repeated += repeated;
    a->counts.repeated += (uint64_t)repeated;
    return position->to > known->to;
}

/* False: what the delta says of the partition is known already. */
static bool take_position(struct aggregate *a, const struct sketch_position *position)
{
    struct aggregate_position *place = aggregate_position_of(a, position->partition);
    struct aggregate_partition *known = &place->at;
    if (!join(a, known, position))
        return false;
    if (a->largest_ms == TIME_UNKNOWN && position->from == 0 && position->to > 0)
        a->began_ms = position->stream_time_ms; /* nobody has a history */
    known->here = true;
    if (position->from <= position->to)
        known->to = position->to;
    if (position->stream_time_ms > known->stream_time_ms)
        known->stream_time_ms = position->stream_time_ms;
    if (position->stream_time_ms > a->largest_ms)
        a->largest_ms = position->stream_time_ms;
    aggregate_note_records(a, place, position->to - position->from);
    a->losses.beyond += position->beyond;
    a->counts.beyond += (uint64_t)position->beyond;
    return true;
}

/* The smallest T of the partitions with data; TIME_UNKNOWN: there is none. */
static int64_t smallest_stream_time(const struct aggregate *a)
{
    int64_t smallest = INT64_MAX;
    for (size_t i = 0; i < a->partition_count; i++) {
        const struct aggregate_partition *p = &a->partitions[i].at;
        if (p->here && p->stream_time_ms != TIME_UNKNOWN && p->stream_time_ms < smallest)
            smallest = p->stream_time_ms;
    }
    return smallest == INT64_MAX ? TIME_UNKNOWN : smallest;
}

/* ---- publication ---- */

static void later_of(int64_t *into, const int64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (from[i] > into[i])
            into[i] = from[i];
}

/* Writes the rows of window i. */
static void publish(struct aggregate *a, struct window_list *list, size_t i, int revision, struct report_list *reports)
{
    struct window_state *window = &list->of[i];
    size_t fields = sketch_shape_of(a->shape)->field_count;
    bool own = list == a->lists, newest = own && window->start_ms >= a->drift_of_ms;
    memcpy(a->seen_ms, list->seen_ms, fields * sizeof *a->seen_ms);
    for (size_t k = 0; k <= i; k++)
        later_of(a->seen_ms, list->of[k].cell->last_seen_ms, fields);
    if (newest)
        a->drift_of_ms = window->start_ms;
    window_rows_write(&(struct window_rows){.shape = a->shape, .cell = window->cell, .width_ms = list->width_ms, .topic = a->topic,
                          .scoring_budget_seconds = a->scoring_budget_seconds,
                          .revision = revision, .last_seen_ms = a->seen_ms, .first_ms = a->first_ms, .began_ms = a->began_ms < a->first_ms ? a->began_ms : a->first_ms,
                          .losses = own ? &a->losses : NULL, .drift = newest ? a->drift : NULL}, reports);
    if (own)
        a->losses = (struct window_losses){0};
    window->dirty = false;
    window->changed = true;
    window->revisions = revision;
    window->published_at_ms = a->largest_ms;
}

static void close_window(struct aggregate *a, struct window_list *list, size_t i, struct report_list *reports)
{
    int64_t end = list->of[i].start_ms + list->width_ms;
    publish(a, list, i, 0, reports);
    list->of[i].closed = true;
    if (end > list->frontier_ms)
        list->frontier_ms = end;
    a->counts.windows_closed++;
}

static void revise_window(struct aggregate *a, struct window_list *list, size_t i, struct report_list *reports)
{
    publish(a, list, i, list->of[i].revisions + 1, reports);
    a->counts.revisions++;
}

/* The n-th revision waits for 2^(n-1) windows of stream time. */
static bool revision_is_due(const struct aggregate *a, const struct window_state *window)
{
    int doublings = window->revisions < 10 ? window->revisions : 10;
    return window->dirty && a->largest_ms - window->published_at_ms >= a->window_ms << doublings;
}

/* Everything up to here is over: all partitions are past it by the lateness, or the first is by a window more. */
static int64_t closing_time(const struct aggregate *a)
{
    int64_t smallest = smallest_stream_time(a);
    if (a->largest_ms == TIME_UNKNOWN)
        return INT64_MIN;
    int64_t by_first = a->largest_ms - a->window_ms;
    return (smallest > by_first ? smallest : by_first) - a->lateness_ms;
}

static int64_t whole_windows(const struct window_list *list, int64_t over)
{
    return over - ((over % list->width_ms) + list->width_ms) % list->width_ms;
}

static size_t place_of(const struct window_list *list, int64_t start_ms)
{
    size_t i = list->count;
    while (i > 0 && list->of[i - 1].start_ms >= start_ms)
        i--;
    return i;
}

static bool is_at(const struct window_list *list, size_t i, int64_t start_ms)
{
    return i < list->count && list->of[i].start_ms == start_ms;
}

/* Of the windows that stream time has passed since `from_ms`, whether something was in them. */
static void tell_silence(struct aggregate *a, struct window_list *list, int64_t from_ms, int64_t over, struct report_list *reports)
{
    if (a->first_ms == INT64_MAX)
        return;
    from_ms = from_ms < a->first_ms ? a->first_ms : from_ms; /* before the first record nothing was silent */
    int64_t heard_ms = from_ms;
    for (int told = 0; told < SILENT_WINDOWS_TOLD_MAX && from_ms + list->width_ms <= over; told++, from_ms += list->width_ms) {
        if (is_at(list, place_of(list, from_ms), from_ms))
            heard_ms = from_ms + list->width_ms;
        aggregate_silence(a, heard_ms, from_ms + list->width_ms, true, reports);
    }
}

static void close_and_revise_list(struct aggregate *a, struct window_list *list, int64_t over, struct report_list *reports)
{
    int64_t frontier_ms = list->frontier_ms;
    for (size_t i = 0; i < list->count; i++) {
        struct window_state *window = &list->of[i];
        if (!window->closed && window->start_ms + list->width_ms <= over)
            close_window(a, list, i, reports);
        else if (window->closed && revision_is_due(a, window))
            revise_window(a, list, i, reports);
    }
    if (list == a->lists && a->stream_clock && over != INT64_MIN)
        tell_silence(a, list, frontier_ms, over, reports);
    if (over != INT64_MIN) { /* also where no window was: what comes for it is late */
        int64_t whole = whole_windows(list, over);
        if (whole > list->frontier_ms)
            list->frontier_ms = whole;
    }
}

static void close_and_revise(struct aggregate *a, struct report_list *reports)
{
    int64_t over = closing_time(a);
    for (size_t i = 0; i < a->list_count; i++)
        close_and_revise_list(a, &a->lists[i], over, reports);
}

/* ---- windows ---- */

static void forget_oldest(struct aggregate *a, struct window_list *list, struct report_list *reports)
{
    struct window_state *oldest = &list->of[0];
    if (!oldest->closed)
        close_window(a, list, 0, reports);
    else if (oldest->dirty)
        revise_window(a, list, 0, reports);
    later_of(list->seen_ms, oldest->cell->last_seen_ms, sketch_shape_of(a->shape)->field_count);
    sketch_cell_destroy(a->shape, oldest->cell);
    memmove(list->of, list->of + 1, --list->count * sizeof *list->of);
}

static struct window_state *insert(struct aggregate *a, struct window_list *list, size_t i, int64_t start_ms)
{
    struct sketch_cell *cell = sketch_cell_create(a->shape, -1, start_ms);
    assert(cell && "memory is short");
    memmove(list->of + i + 1, list->of + i, (list->count++ - i) * sizeof *list->of);
    list->of[i] = (struct window_state){.start_ms = start_ms, .cell = cell, .closed = start_ms + list->width_ms <= list->frontier_ms,
        .published_at_ms = a->largest_ms, .changed = true, .saved = -1};
    return &list->of[i];
}

/* The window of that start; NULL: older than all that there is room for. */
static struct window_state *window_of(struct aggregate *a, struct window_list *list, int64_t start_ms, struct report_list *reports)
{
    size_t i = place_of(list, start_ms);
    if (is_at(list, i, start_ms))
        return &list->of[i];
    bool full = list->count == list->max;
    if (full && i == 0)
        return NULL;
    if (full) {
        forget_oldest(a, list, reports);
        i--;
    }
    if (list == a->lists && start_ms < a->first_ms)
        a->first_ms = start_ms;
    return insert(a, list, i, start_ms);
}

/* Latencies alone open no window and revise none: they are no records. */
static void take_latencies(struct aggregate *a, struct window_list *list, const struct sketch_cell *cell, int64_t start_ms)
{
    size_t i = place_of(list, start_ms);
    if (!is_at(list, i, start_ms))
        return;
    sketch_cell_merge(a->shape, list->of[i].cell, cell);
    list->of[i].changed = true;
}

static void take_cell(struct aggregate *a, struct window_list *list, const struct sketch_cell *cell, struct report_list *reports)
{
    int64_t records = sketch_cell_records(cell), start_ms = cell->window_start_ms - cell->window_start_ms % list->width_ms;
    if (!records) {
        take_latencies(a, list, cell, start_ms);
        return;
    }
    struct window_state *window = window_of(a, list, start_ms, reports);
    if (!window) {
        if (list == a->lists) {
            a->losses.beyond += records;
            a->counts.beyond += (uint64_t)records;
        }
        return;
    }
    sketch_cell_merge(a->shape, window->cell, cell);
    window->dirty = window->closed;
    window->changed = true;
}

static void hear(struct aggregate *a, const struct sketch_cell *cell, int64_t now_ms)
{
    if (sketch_cell_records(cell))
        a->records_heard_ms = now_ms;
    for (size_t i = 0; i < sketch_shape_of(a->shape)->field_count; i++)
        if (cell->last_seen_ms[i] != TIME_UNKNOWN)
            a->heard_ms[i] = now_ms;
}

void aggregate_merge(struct aggregate *a, struct sketch *delta, int64_t now_ms, struct report_list *reports)
{
    assert(sketch_shape(delta) == a->shape);
    a->counts.deltas++;
    for (size_t i = sketch_position_count(delta); i-- > 0;) {
        int32_t partition = sketch_position(delta, i)->partition;
        if (!take_position(a, sketch_position(delta, i)))
            sketch_drop(delta, partition);
    }
    aggregate_hear_partitions(a, now_ms);
    for (size_t i = 0; i < sketch_cell_count(delta); i++) {
        const struct sketch_cell *cell = sketch_cell(delta, i);
        hear(a, cell, now_ms);
        for (size_t k = 0; k < a->list_count; k++)
            take_cell(a, &a->lists[k], cell, reports);
    }
    close_and_revise(a, reports);
}

bool aggregate_take(struct aggregate *a, const struct sketch_position *position)
{
    return take_position(a, position);
}

bool aggregate_is_due(const struct aggregate *a)
{
    int64_t over = closing_time(a);
    return over != INT64_MIN && whole_windows(&a->lists[0], over) > a->lists[0].frontier_ms;
}

void aggregate_pass(struct aggregate *a, const struct sketch_position *position, struct report_list *reports)
{
    if (!take_position(a, position))
        return;
    a->losses.unlike += position->to - position->from;
    a->counts.unlike += (uint64_t)(position->to - position->from);
    close_and_revise(a, reports);
}

void aggregate_flush(struct aggregate *a, bool all, struct report_list *reports)
{
    for (size_t k = 0; k < a->list_count; k++) {
        struct window_list *list = &a->lists[k];
        for (size_t i = 0; i < list->count; i++)
            if (list->of[i].dirty)
                revise_window(a, list, i, reports);
            else if (all && !list->of[i].closed)
                close_window(a, list, i, reports);
    }
}

void aggregate_forget(struct aggregate *a, int32_t partition, struct report_list *reports)
{
    struct aggregate_partition *gone = &aggregate_position_of(a, partition)->at;
    gone->here = false;
    gone->to = -1;
    gone->stream_time_ms = TIME_UNKNOWN;
    close_and_revise(a, reports);
}
