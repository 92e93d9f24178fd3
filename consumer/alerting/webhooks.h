/* Alerts on their way to receivers outside: each has a queue and a thread of its own, so that nobody who raises an alert
 * ever waits, and a receiver that hangs holds up no other.
 *
 * A message is tried until it is taken: time-outs, refusals, 5xx, 408 and 429 are tried again after 1 s, 2 s ... 60 s;
 * any other 4xx is the receiver's word that it will never take it: counted and logged.  A queue holds
 * WEBHOOK_QUEUE_MAX messages; one more pushes out the oldest, counted.  Messages of one receiver keep their order. */
#pragma once
#include "consumer/config/config.h"
#include "monitor/alerts.h"

enum { WEBHOOK_QUEUE_MAX = 1000, WEBHOOK_BODY_MAX = 16 << 10, WEBHOOK_PAUSE_MS_MAX = 60000 };

struct webhook_counts {
    int64_t sent, failed_attempts, refused, dropped, queued;
};

struct webhooks;
/* Starts a thread a receiver; config is borrowed.  No receivers: *out is NULL and everything below does nothing. */
int webhooks_create(const struct config *config, struct webhooks **out, struct err *err);
/* Waits at most drain_ms for what is queued, logs what is left. */
void webhooks_destroy(struct webhooks *webhooks, int64_t drain_ms);
/* line, json: of the alert (alert_line, alert_json).  Copies; a silenced alert is left out. */
void webhooks_send(struct webhooks *webhooks, const struct alert *alert, const char *line, const char *json);
struct webhook_counts webhooks_count(struct webhooks *webhooks);

/* The body that one receiver gets, to be freed; NULL if it cannot be written. */
char *webhook_body(const struct webhook_entry *receiver, const char *app_id, const struct alert *alert, const char *line, const char *json);
