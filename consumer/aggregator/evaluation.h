/* What becomes of the aggregator's rows beside being published: alerts, and the window that the page shows. */
#pragma once
#include "consumer/aggregator/aggregator.h"
#include "consumer/aggregator/window_view.h"
#include "consumer/alerting/alerting.h"

struct evaluation {
    struct alerting *alerting;
    struct window_view *view;
};
int evaluation_init(struct evaluation *evaluation, const struct config *config, struct err *err);
/* After the aggregator has stopped. */
void evaluation_finish(struct evaluation *evaluation);
struct aggregator_listener evaluation_listener(struct evaluation *evaluation);
