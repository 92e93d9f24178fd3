#include "consumer/aggregator/evaluation.h"

#include <assert.h>
#include <stdlib.h>

#include "consumer/log.h"

enum { STATE_BYTES_MAX = 512 << 10, DRAIN_MS = 1000 };

int evaluation_init(struct evaluation *e, const struct config *config, struct err *err)
{
    *e = (struct evaluation){.view = window_view_create()};
    return alerting_create(config, &e->alerting, err);
}

void evaluation_finish(struct evaluation *e)
{
    alerting_destroy(e->alerting, DRAIN_MS);
    window_view_destroy(e->view);
    *e = (struct evaluation){0};
}

static bool same_window(const struct report *a, const struct report *b)
{
    return a->window_start_ms == b->window_start_ms && a->window_end_ms == b->window_end_ms && a->revision == b->revision;
}

/* Window by window; what is told of them goes behind all rows. */
static void evaluated(void *context, struct report_list *rows, size_t from)
{
    struct evaluation *e = context;
    struct report_list alerts = {0};
    for (size_t end; from < rows->count; from = end) {
        for (end = from + 1; end < rows->count && same_window(&rows->rows[from], &rows->rows[end]); end++)
            ;
        if (!rows->rows[from].revision)
            alerting_feed(e->alerting, rows->rows + from, end - from, &alerts);
    }
    for (size_t i = 0; i < alerts.count; i++)
        *report_add(rows) = alerts.rows[i];
    report_list_finish(&alerts);
}

static void committed(void *context)
{
    alerting_deliver(((struct evaluation *)context)->alerting);
}

static void save(void *context, struct buffer *out)
{
    const struct evaluation *e = context;
    struct text_buffer text;
    char *bytes = malloc(STATE_BYTES_MAX);
    assert(bytes && "memory is short");
    text_init(&text, bytes, STATE_BYTES_MAX);
    alerting_export(e->alerting, &text);
    if (text.full)
        log_warning("monitor: so many alerts are followed that their state does not fit; a successor tells them anew");
    else
        put_bytes_raw(out, bytes, text.size);
    free(bytes);
}

static void restore(void *context, const void *saved, size_t size)
{
    struct evaluation *e = context;
    window_view_clear(e->view);
    if (alerting_import(e->alerting, size ? saved : "[]", size ? size : 2) < 0)
        log_warning("monitor: the alerts of the one before cannot be read; they are told anew");
}

static void closed(void *context, const struct sketch_shape *shape, const struct aggregate *aggregate, const struct report *rows, size_t count)
{
    struct evaluation *e = context;
    const struct sketch_cell *newest = NULL, *cell;
    int64_t width_ms = sketch_shape_of(shape)->window_ms;
    for (size_t i = 0; i < aggregate_windows(aggregate); i++) {
        struct aggregate_window window = aggregate_window_at(aggregate, i, &cell);
        if (window.closed && window.width_ms == width_ms && (!newest || cell->window_start_ms > newest->window_start_ms))
            newest = cell;
    }
    size_t first = 0, end;
    while (newest && first < count && (rows[first].window_start_ms != newest->window_start_ms || rows[first].window_end_ms != newest->window_start_ms + width_ms))
        first++;
    for (end = first; end < count && same_window(&rows[first], &rows[end]); end++)
        ;
    if (newest && end > first)
        window_view_update(e->view, shape, newest, rows + first, end - first);
}

struct aggregator_listener evaluation_listener(struct evaluation *e)
{
    return (struct aggregator_listener){.context = e, .evaluated = evaluated, .closed = closed, .committed = committed, .save = save, .restore = restore};
}
