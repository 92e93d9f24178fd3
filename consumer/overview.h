/* What the page at / shows, as JSON: the process, its partitions, its models, the newest evaluated window, what fires. */
#pragma once
#include "consumer/aggregator/window_view.h"
#include "consumer/alerting/alerting.h"
#include "consumer/lane/lane.h"

struct overview {
    const struct config *config;
    const char *instance;
    bool ready;
    struct lane *const *lanes;
    size_t lane_count;
    const struct metrics *metrics; /* of all lanes */
    struct window_view *view;      /* NULL: windows are evaluated by another process */
    struct alerting *alerting;     /* likewise */
};
void overview_write(const struct overview *overview, struct text_buffer *text);
