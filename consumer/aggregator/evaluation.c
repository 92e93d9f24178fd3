#include "consumer/aggregator/evaluation.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/log.h"

enum { STATE_BYTES_MAX = 512 << 10, DRAIN_MS = 1000 };

int evaluation_init(struct evaluation *e, const struct config *config, bool send, struct err *err)
{
    *e = (struct evaluation){.view = window_view_create(), .latest = latest_rows_create()};
    return alerting_create(config, send, &e->alerting, err);
}

void evaluation_finish(struct evaluation *e)
{
    alerting_destroy(e->alerting, DRAIN_MS);
    window_view_destroy(e->view);
    latest_rows_destroy(e->latest);
    *e = (struct evaluation){0};
}

static bool same_window(const struct report *a, const struct report *b)
{
    return a->window_start_ms == b->window_start_ms && a->window_end_ms == b->window_end_ms && a->revision == b->revision;
}

/* Behind the rows of the window that rows[from] is of. */
static size_t window_end(const struct report *rows, size_t from, size_t count)
{
    size_t end = from + 1;
    while (end < count && same_window(&rows[from], &rows[end]))
        end++;
    return end;
}

static struct evaluated_width *width_of(struct evaluation *e, int64_t width_ms)
{
    for (size_t i = 0; i < e->width_count; i++)
        if (e->widths[i].width_ms == width_ms)
            return &e->widths[i];
    if (e->width_count == EVALUATION_WIDTHS_MAX)
        return NULL;
    e->widths[e->width_count] = (struct evaluated_width){width_ms, INT64_MIN};
    return &e->widths[e->width_count++];
}

/* Drift is what needs enough values; where nothing is compared with a baseline the first publication is as good as any. */
static bool any_judged(const struct report *rows, size_t count)
{
    bool compared = false;
    for (size_t i = 0; i < count; i++) {
        bool drift = rows[i].kind == REPORT_DRIFT && !strcmp(rows[i].statistic, "psi");
        if (drift && rows[i].judged)
            return true;
        compared = compared || drift;
    }
    return !compared;
}

static bool is_new(struct evaluation *e, const struct report *rows, size_t count)
{
    struct evaluated_width *width = width_of(e, rows->window_end_ms - rows->window_start_ms);
    bool judged = any_judged(rows, count), later = !width || rows->window_end_ms > width->until_ms;
    if (width && judged && later)
        width->until_ms = rows->window_end_ms;
    return !rows->revision || (width && judged && later);
}

void evaluation_feed(struct evaluation *e, struct report_list *rows, size_t from)
{
    struct report_list alerts = {0};
    for (size_t end; from < rows->count; from = end) {
        end = window_end(rows->rows, from, rows->count);
        if (rows->rows[from].window_start_ms == rows->rows[from].window_end_ms)
            latest_rows_take(e->latest, NULL, rows->rows + from, end - from); /* of health */
        if (is_new(e, rows->rows + from, end - from))
            alerting_feed(e->alerting, rows->rows + from, end - from, &alerts);
    }
    for (size_t i = 0; i < alerts.count; i++)
        report_append(rows, &alerts.rows[i]);
    report_list_finish(&alerts);
}

static void evaluated(void *context, struct report_list *rows, size_t from)
{
    evaluation_feed(context, rows, from);
}

void evaluation_deliver(struct evaluation *e)
{
    alerting_deliver(e->alerting);
}

/* Likewise; a revision there is none of. */
static void labelled(void *context, const struct report *rows, size_t count, struct report_list *added)
{
    struct evaluation *e = context;
    latest_rows_take(e->latest, NULL, rows, count);
    for (size_t from = 0, end; from < count; from = end) {
        end = window_end(rows, from, count);
        alerting_feed(e->alerting, rows + from, end - from, added);
    }
}

static void committed(void *context)
{
    evaluation_deliver(context);
}

static void save(void *context, struct buffer *out)
{
    const struct evaluation *e = context;
    struct text_buffer text;
    char *bytes = malloc(STATE_BYTES_MAX);
    assert(bytes && "memory is short");
    text_init(&text, bytes, STATE_BYTES_MAX);
    text_add(&text, "{\"judged\": [");
    for (size_t i = 0; i < e->width_count; i++)
        text_add(&text, "%s[%" PRId64 ", %" PRId64 "]", i ? ", " : "", e->widths[i].width_ms, e->widths[i].until_ms);
    text_add(&text, "], \"alerts\": ");
    alerting_export(e->alerting, &text);
    text_add(&text, "}");
    if (text.full)
        log_warning("monitor: so many alerts are followed that their state does not fit; a successor tells them anew");
    else
        put_bytes_raw(out, bytes, text.size);
    free(bytes);
}

static bool restore_widths(struct evaluation *e, const json_t *judged)
{
    size_t i;
    json_t *pair;
    if (!json_is_array(judged))
        return false;
    json_array_foreach(judged, i, pair) {
        struct evaluated_width *width = width_of(e, json_integer_value(json_array_get(pair, 0)));
        if (width)
            width->until_ms = json_integer_value(json_array_get(pair, 1));
    }
    return true;
}

static void restore(void *context, const void *saved, size_t size)
{
    struct evaluation *e = context;
    json_t *all = size ? json_loadb(saved, size, 0, NULL) : NULL;
    char *alerts = all ? json_dumps(json_object_get(all, "alerts"), JSON_COMPACT) : NULL;
    window_view_clear(e->view);
    latest_rows_clear(e->latest);
    e->width_count = 0;
    bool good = !size || (alerts && restore_widths(e, json_object_get(all, "judged")));
    if (!good || alerting_import(e->alerting, size ? alerts : "[]", size ? strlen(alerts) : 2) < 0) {
        log_warning("monitor: the alerts of the one before cannot be read; they are told anew");
        alerting_import(e->alerting, "[]", 2);
    }
    free(alerts);
    json_decref(all);
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
    size_t first = 0;
    while (newest && first < count && (rows[first].window_start_ms != newest->window_start_ms || rows[first].window_end_ms != newest->window_start_ms + width_ms))
        first++;
    if (!newest || first == count)
        return;
    size_t of_window = window_end(rows, first, count) - first;
    window_view_update(e->view, shape, newest, rows + first, of_window);
    latest_rows_take(e->latest, shape, rows + first, of_window);
}

struct aggregator_listener evaluation_listener(struct evaluation *e)
{
    return (struct aggregator_listener){.context = e, .evaluated = evaluated, .labelled = labelled, .closed = closed, .committed = committed, .save = save, .restore = restore};
}

void evaluation_expose(struct evaluation *e, struct text_buffer *text)
{
    alerting_expose(e->alerting, text);
    latest_rows_expose(e->latest, text);
}
