/* The categories that the windows of an event hold which is not the newest of its entity. */
#pragma once
#include "scoring/features/feature_view.h"

/* For a channel that the view's windows are settled for, with the last lanes of their events counted: adds the categories
 * whose latest event is newer than the windows, finds the current event's own (view->latest), and gives `record`, the
 * current one, its gap.  0, or -1 if memory is short. */
int late_channel(struct feature_view *view, const struct entity *entity, uint32_t channel, uint64_t *record);
