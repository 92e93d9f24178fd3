/* What an aggregate takes over a restart, piece by piece; and the rows of health. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "monitor/aggregate_windows.h"

struct aggregate_mark aggregate_mark(const struct aggregate *a)
{
    const struct window_losses *l = &a->losses;
    return (struct aggregate_mark){a->lists[0].frontier_ms, a->largest_ms, a->first_ms, a->drift_of_ms, l->beyond, l->gaps, l->missed, l->repeated, l->unlike, a->began_ms};
}

void aggregate_set_mark(struct aggregate *a, const struct aggregate_mark *mark)
{
    a->largest_ms = mark->largest_ms;
    a->first_ms = mark->first_ms;
    a->drift_of_ms = mark->drift_of_ms;
    a->began_ms = mark->began_ms;
    a->losses = (struct window_losses){mark->beyond, mark->gaps, mark->missed, mark->repeated, mark->unlike};
    for (size_t i = 0; i < a->list_count && mark->closed_until_ms != INT64_MIN; i++) {
        int64_t width = a->lists[i].width_ms, rest = mark->closed_until_ms % width;
        a->lists[i].frontier_ms = mark->closed_until_ms - (rest < 0 ? rest + width : rest);
    }
}

size_t aggregate_partitions(const struct aggregate *a)
{
    return a->partition_count;
}

struct aggregate_partition aggregate_partition_at(const struct aggregate *a, size_t i)
{
    assert(i < a->partition_count);
    return a->partitions[i].at;
}

void aggregate_set_partition(struct aggregate *a, const struct aggregate_partition *partition)
{
    aggregate_position_of(a, partition->id)->at = *partition;
}

const int64_t *aggregate_seen(const struct aggregate *a, size_t width)
{
    return width < a->list_count ? a->lists[width].seen_ms : NULL;
}

void aggregate_set_seen(struct aggregate *a, size_t width, const int64_t *seen_ms)
{
    if (width < a->list_count)
        memcpy(a->lists[width].seen_ms, seen_ms, sketch_shape_of(a->shape)->field_count * sizeof *seen_ms);
}

/* ---- windows, numbered through all widths ---- */

size_t aggregate_windows(const struct aggregate *a)
{
    size_t n = 0;
    for (size_t i = 0; i < a->list_count; i++)
        n += a->lists[i].count;
    return n;
}

static const struct window_list *list_of(const struct aggregate *a, size_t *i)
{
    size_t k = 0;
    while (*i >= a->lists[k].count)
        *i -= a->lists[k++].count;
    assert(k < a->list_count);
    return &a->lists[k];
}

struct aggregate_window aggregate_window_at(const struct aggregate *a, size_t i, const struct sketch_cell **cell)
{
    const struct window_list *list = list_of(a, &i);
    const struct window_state *w = &list->of[i];
    *cell = w->cell;
    return (struct aggregate_window){w->start_ms, list->width_ms, w->closed, w->dirty, w->revisions, w->published_at_ms, w->changed, w->saved};
}

void aggregate_set_saved(struct aggregate *a, size_t i, int64_t saved)
{
    struct window_state *window = &list_of(a, &i)->of[i];
    window->saved = saved;
    window->changed = saved < 0;
}

struct sketch_cell *aggregate_put_window(struct aggregate *a, const struct aggregate_window *window)
{
    struct window_list *list = a->lists;
    while (list < a->lists + a->list_count && list->width_ms != window->width_ms)
        list++;
    if (list == a->lists + a->list_count || list->count == list->max)
        return NULL;
    size_t i = list->count;
    while (i > 0 && list->of[i - 1].start_ms >= window->start_ms)
        i--;
    if (i < list->count && list->of[i].start_ms == window->start_ms)
        return NULL;
    struct sketch_cell *cell = sketch_cell_create(a->shape, -1, window->start_ms);
    assert(cell && "memory is short");
    memmove(list->of + i + 1, list->of + i, (list->count++ - i) * sizeof *list->of);
    list->of[i] = (struct window_state){window->start_ms, cell, window->closed, window->dirty, false, window->revisions, window->published_at_ms, window->saved};
    return cell;
}

/* ---- health ---- */

struct report *aggregate_health_row(const char *subject, const char *statistic, double value, int64_t now_ms, struct report_list *reports)
{
    struct report *report = report_add(reports);
    report->kind = REPORT_FRESHNESS;
    report->window_start_ms = report->window_end_ms = now_ms;
    report->subject = subject;
    report->statistic = statistic;
    report->value = value;
    report->judged = true;
    return report;
}

void aggregate_partition_health(struct aggregate *a, const struct partition_health *partitions, size_t count, int64_t now_ms, struct report_list *reports)
{
    for (size_t i = 0; i < count; i++) {
        const struct partition_health *p = &partitions[i];
        const char *subject = aggregate_position_of(a, p->partition)->subject;
        double seconds = freshness_stream_lag_seconds(now_ms, p->stream_time_ms);
        int64_t records = freshness_consumer_lag(p->end_offset, p->position);
        if (!isnan(seconds))
            aggregate_health_row(subject, "stream_lag_seconds", seconds, now_ms, reports);
        if (records >= 0)
            aggregate_health_row(subject, "consumer_lag_records", (double)records, now_ms, reports)->count = records;
    }
}

void aggregate_field_health(struct aggregate *a, int64_t now_ms, struct report_list *reports)
{
    const struct sketch_shape_options *o = sketch_shape_of(a->shape);
    for (size_t i = 0; i < o->field_count; i++)
        aggregate_health_row(o->fields[i], "wall_age_seconds", freshness_age_seconds(now_ms, a->heard_ms[i], a->started_ms), now_ms, reports);
}
