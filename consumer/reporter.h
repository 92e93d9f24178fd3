/* Publishes the observer's reports to the monitoring topic: a thread with an idempotent producer of its own, so that
 * monitoring never holds up a lane. */
#pragma once
#include "consumer/lane/lane.h"

struct reporter;
/* Health rows (lags, ages) of `lanes` are asked for every monitor.window, at most every 15 s. */
int reporter_start(const struct config *config, const struct topics *topics, struct observer *observer, struct lane **lanes, size_t lane_count, struct reporter **out, struct err *err);
void reporter_stop(struct reporter *reporter); /* publishes what is there, waits at most 5 s, frees it */
