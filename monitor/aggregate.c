/* Which windows there are, which are closed, and when their rows are written.
 *
 * Invariants: windows are in order of start; every window that ends at or before `frontier` is closed, and the
 * frontier only rises; there are never fewer windows than before, so once the oldest was forgotten there is room
 * for none that starts before the oldest that is left.  Cost of a delta: its cells, and on a
 * close the rows of the window plus one look at the field times of the windows before. */
#include "monitor/aggregate.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/aggregate_windows.h"

struct partition {
    int32_t id;
    bool here;            /* has data and was not given up */
    bool covered;         /* `to` is known */
    int64_t to;           /* offset after the last delta */
    int64_t stream_time_ms;
    char *subject;        /* <topic>-<partition> */
};

struct aggregate {
    const struct sketch_shape *shape;
    int64_t window_ms, lateness_ms;
    char *topic;
    size_t window_count, windows_max;
    struct window_state *windows;
    int64_t frontier_ms;           /* INT64_MIN at first */
    int64_t largest_ms;            /* T over all partitions, also those given up */
    int64_t first_ms;              /* start of the earliest window ever */
    int64_t beyond;                /* not yet published */
    size_t partition_count, partition_capacity;
    struct partition *partitions;
    int64_t *forgotten_seen_ms;    /* by field, in forgotten windows */
    int64_t *seen_ms;              /* room for one window's last_seen_ms */
    int64_t *heard_ms;             /* by field: wall time at which a delta last had a value of it */
    int64_t started_ms;
    double *drift;
    int64_t drift_of_ms;           /* the window that `drift` is of */
    struct aggregate_counts counts;
};

size_t aggregate_windows_max(const struct sketch_shape *shape)
{
    size_t fit = ((size_t)64 << 20) / sketch_cell_bytes(shape);
    return fit < 4 ? 4 : fit > 288 ? 288 : fit;
}

struct aggregate *aggregate_create(const struct aggregate_options *options, int64_t now_ms)
{
    const struct sketch_shape_options *shape = sketch_shape_of(options->shape);
    struct aggregate *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->shape = options->shape;
    a->window_ms = shape->window_ms;
    a->lateness_ms = options->lateness_ms;
    a->windows_max = aggregate_windows_max(options->shape);
    a->frontier_ms = a->drift_of_ms = INT64_MIN;
    a->largest_ms = TIME_UNKNOWN;
    a->first_ms = INT64_MAX;
    a->started_ms = now_ms;
    size_t fields = shape->field_count + 1, statistics = shape->feature_count + shape->model_count + 1;
    a->topic = strdup(options->topic);
    a->windows = calloc(a->windows_max, sizeof *a->windows);
    a->forgotten_seen_ms = calloc(fields, sizeof(int64_t));
    a->seen_ms = calloc(fields, sizeof(int64_t));
    a->heard_ms = calloc(fields, sizeof(int64_t));
    a->drift = calloc(statistics, sizeof(double));
    if (!a->topic || !a->windows || !a->forgotten_seen_ms || !a->seen_ms || !a->heard_ms || !a->drift) {
        aggregate_destroy(a);
        return NULL;
    }
    for (size_t i = 0; i < fields; i++)
        a->forgotten_seen_ms[i] = a->heard_ms[i] = TIME_UNKNOWN;
    for (size_t i = 0; i < statistics; i++)
        a->drift[i] = NAN;
    return a;
}

void aggregate_destroy(struct aggregate *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->window_count; i++)
        sketch_cell_destroy(a->windows[i].cell);
    for (size_t i = 0; i < a->partition_count; i++)
        free(a->partitions[i].subject);
    free(a->partitions);
    free(a->windows);
    free(a->topic);
    free(a->forgotten_seen_ms);
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

/* Partitions */

static struct partition *partition_of(struct aggregate *a, int32_t id)
{
    for (size_t i = 0; i < a->partition_count; i++)
        if (a->partitions[i].id == id)
            return &a->partitions[i];
    if (a->partition_count == a->partition_capacity) {
        a->partition_capacity = 2 * a->partition_capacity + 8;
        a->partitions = reallocarray(a->partitions, a->partition_capacity, sizeof *a->partitions);
        assert(a->partitions && "memory is short");
    }
    struct partition *partition = &a->partitions[a->partition_count++];
    *partition = (struct partition){.id = id, .stream_time_ms = TIME_UNKNOWN};
    int size = asprintf(&partition->subject, "%s-%d", a->topic, id);
    assert(size > 0 && "memory is short");
    return partition;
}

static void take_position(struct aggregate *a, const struct sketch_position *position)
{
    struct partition *partition = partition_of(a, position->partition);
    if (partition->covered) {
        a->counts.offset_gaps += position->from > partition->to;
        a->counts.overlaps += position->from < partition->to;
    }
    partition->here = partition->covered = true;
    partition->to = position->to;
    if (position->stream_time_ms > partition->stream_time_ms)
        partition->stream_time_ms = position->stream_time_ms;
    if (position->stream_time_ms > a->largest_ms)
        a->largest_ms = position->stream_time_ms;
    a->beyond += position->beyond;
    a->counts.beyond += (uint64_t)position->beyond;
}

/* The smallest T of the partitions with data; TIME_UNKNOWN: there is none. */
static int64_t smallest_stream_time(const struct aggregate *a)
{
    int64_t smallest = INT64_MAX;
    for (size_t i = 0; i < a->partition_count; i++) {
        const struct partition *p = &a->partitions[i];
        if (p->here && p->stream_time_ms != TIME_UNKNOWN && p->stream_time_ms < smallest)
            smallest = p->stream_time_ms;
    }
    return smallest == INT64_MAX ? TIME_UNKNOWN : smallest;
}

/* Publication */

static void later_of(int64_t *into, const int64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (from[i] > into[i])
            into[i] = from[i];
}

/* Writes the rows of window i. */
static void publish(struct aggregate *a, size_t i, int revision, struct report_list *reports)
{
    struct window_state *window = &a->windows[i];
    size_t fields = sketch_shape_of(a->shape)->field_count;
    memcpy(a->seen_ms, a->forgotten_seen_ms, fields * sizeof *a->seen_ms);
    for (size_t k = 0; k <= i; k++)
        later_of(a->seen_ms, a->windows[k].cell->last_seen_ms, fields);
    bool newest = window->start_ms >= a->drift_of_ms;
    if (newest)
        a->drift_of_ms = window->start_ms;
    window_rows_write(&(struct window_rows){.shape = a->shape, .cell = window->cell, .topic = a->topic, .revision = revision,
                          .last_seen_ms = a->seen_ms, .first_ms = a->first_ms, .beyond = a->beyond,
                          .drift = newest ? a->drift : NULL}, reports);
    a->beyond = 0;
    window->dirty = false;
    window->revisions = revision;
    window->published_at_ms = a->largest_ms;
}

static void close_window(struct aggregate *a, size_t i, struct report_list *reports)
{
    int64_t end = a->windows[i].start_ms + a->window_ms;
    publish(a, i, 0, reports);
    a->windows[i].closed = true;
    if (end > a->frontier_ms)
        a->frontier_ms = end;
    a->counts.windows_closed++;
}

static void revise_window(struct aggregate *a, size_t i, struct report_list *reports)
{
    publish(a, i, a->windows[i].revisions + 1, reports);
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

static void close_and_revise(struct aggregate *a, struct report_list *reports)
{
    int64_t over = closing_time(a);
    for (size_t i = 0; i < a->window_count; i++) {
        struct window_state *window = &a->windows[i];
        if (!window->closed && window->start_ms + a->window_ms <= over)
            close_window(a, i, reports);
        else if (window->closed && revision_is_due(a, window))
            revise_window(a, i, reports);
    }
    if (over != INT64_MIN) { /* also where no window was: what comes for it is late */
        int64_t whole = over - ((over % a->window_ms) + a->window_ms) % a->window_ms;
        if (whole > a->frontier_ms)
            a->frontier_ms = whole;
    }
}

/* Windows */

static void forget_oldest(struct aggregate *a, struct report_list *reports)
{
    struct window_state *oldest = &a->windows[0];
    if (!oldest->closed)
        close_window(a, 0, reports);
    else if (oldest->dirty)
        revise_window(a, 0, reports);
    later_of(a->forgotten_seen_ms, oldest->cell->last_seen_ms, sketch_shape_of(a->shape)->field_count);
    sketch_cell_destroy(oldest->cell);
    memmove(a->windows, a->windows + 1, --a->window_count * sizeof *a->windows);
}

static size_t place_of(const struct aggregate *a, int64_t start_ms)
{
    size_t i = a->window_count;
    while (i > 0 && a->windows[i - 1].start_ms >= start_ms)
        i--;
    return i;
}

static bool is_at(const struct aggregate *a, size_t i, int64_t start_ms)
{
    return i < a->window_count && a->windows[i].start_ms == start_ms;
}

/* The window of that start; NULL: older than all that there is room for. */
static struct window_state *window_of(struct aggregate *a, int64_t start_ms, struct report_list *reports)
{
    size_t i = place_of(a, start_ms);
    if (is_at(a, i, start_ms))
        return &a->windows[i];
    bool full = a->window_count == a->windows_max;
    if (full && i == 0)
        return NULL;
    if (full) {
        forget_oldest(a, reports);
        i--;
    }
    struct sketch_cell *cell = sketch_cell_create(a->shape, -1, start_ms);
    assert(cell && "memory is short");
    memmove(a->windows + i + 1, a->windows + i, (a->window_count++ - i) * sizeof *a->windows);
    a->windows[i] = (struct window_state){.start_ms = start_ms, .cell = cell, .closed = start_ms + a->window_ms <= a->frontier_ms,
                                          .published_at_ms = a->largest_ms};
    if (start_ms < a->first_ms)
        a->first_ms = start_ms;
    return &a->windows[i];
}

static void take_cell(struct aggregate *a, const struct sketch_cell *cell, int64_t now_ms, struct report_list *reports)
{
    for (size_t i = 0; i < sketch_shape_of(a->shape)->field_count; i++)
        if (cell->last_seen_ms[i] != TIME_UNKNOWN)
            a->heard_ms[i] = now_ms;
    struct window_state *window = window_of(a, cell->window_start_ms, reports);
    if (!window) {
        int64_t records = sketch_cell_records(cell);
        a->beyond += records;
        a->counts.beyond += (uint64_t)records;
        return;
    }
    sketch_cell_merge(a->shape, window->cell, cell);
    window->dirty = window->closed;
}

void aggregate_merge(struct aggregate *a, struct sketch *delta, int64_t now_ms, struct report_list *reports)
{
    assert(sketch_shape(delta) == a->shape);
    a->counts.deltas++;
    for (size_t i = 0; i < sketch_position_count(delta); i++)
        take_position(a, sketch_position(delta, i));
    for (size_t i = 0; i < sketch_cell_count(delta); i++)
        take_cell(a, sketch_cell(delta, i), now_ms, reports);
    close_and_revise(a, reports);
}

void aggregate_flush(struct aggregate *a, bool all, struct report_list *reports)
{
    for (size_t i = 0; i < a->window_count; i++)
        if (a->windows[i].dirty)
            revise_window(a, i, reports);
        else if (all && !a->windows[i].closed)
            close_window(a, i, reports);
}

void aggregate_forget(struct aggregate *a, int32_t partition, struct report_list *reports)
{
    struct partition *gone = partition_of(a, partition);
    gone->here = gone->covered = false;
    gone->stream_time_ms = TIME_UNKNOWN;
    close_and_revise(a, reports);
}

/* Health */

static struct report *health_row(const char *subject, const char *statistic, double value, int64_t now_ms, struct report_list *reports)
{
    struct report *report = report_add(reports);
    report->kind = REPORT_FRESHNESS;
    report->window_start_ms = report->window_end_ms = now_ms;
    report->subject = subject;
    report->statistic = statistic;
    report->value = value;
    return report;
}

static void partition_health_rows(struct aggregate *a, const struct partition_health *health, int64_t now_ms, struct report_list *reports)
{
    const char *subject = partition_of(a, health->partition)->subject;
    double seconds = freshness_stream_lag_seconds(now_ms, health->stream_time_ms);
    int64_t records = freshness_consumer_lag(health->end_offset, health->position);
    if (!isnan(seconds))
        health_row(subject, "stream_lag_seconds", seconds, now_ms, reports);
    if (records >= 0)
        health_row(subject, "consumer_lag_records", (double)records, now_ms, reports)->count = records;
}

void aggregate_health(struct aggregate *a, const struct partition_health *partitions, size_t count, int64_t now_ms,
                      struct report_list *reports)
{
    for (size_t i = 0; i < count; i++)
        partition_health_rows(a, &partitions[i], now_ms, reports);
    const struct sketch_shape_options *o = sketch_shape_of(a->shape);
    for (size_t i = 0; i < o->field_count; i++)
        health_row(o->fields[i], "wall_age_seconds", freshness_age_seconds(now_ms, a->heard_ms[i], a->started_ms), now_ms, reports);
}
