/* What becomes of the aggregator's rows beside being published: alerts, the window that the page shows, and what
 * Prometheus is told.
 *
 * Alerts look at each window once: at its first publication, and at a revision only where nothing could be judged before,
 * neither of that window nor of a later one of its width.  (After a catch-up windows close before all partitions have told
 * of them; what they hold then comes as revisions, in order.) */
#pragma once
#include "consumer/aggregator/aggregator.h"
#include "consumer/aggregator/latest_rows.h"
#include "consumer/aggregator/window_view.h"
#include "consumer/alerting/alerting.h"

enum { EVALUATION_WIDTHS_MAX = 8 };

struct evaluation {
    struct alerting *alerting;
    size_t width_count;
    struct evaluated_width {
        int64_t width_ms, until_ms; /* end of the latest window that alerts have judged */
    } widths[EVALUATION_WIDTHS_MAX];
    struct window_view *view;
    struct latest_rows *latest;
};
/* send: alerts go to the webhooks too. */
int evaluation_init(struct evaluation *evaluation, const struct config *config, bool send, struct err *err);
/* After the aggregator has stopped. */
void evaluation_finish(struct evaluation *evaluation);
/* Rows from `from` on, those of a window and width together: what is told of them goes behind all rows. */
void evaluation_feed(struct evaluation *evaluation, struct report_list *rows, size_t from);
/* What was fed is committed: it is logged and sent. */
void evaluation_deliver(struct evaluation *evaluation);
/* Both for an aggregator. */
struct aggregator_listener evaluation_listener(struct evaluation *evaluation);
/* From any thread. */
void evaluation_expose(struct evaluation *evaluation, struct text_buffer *text);
