/* Alerts of a process: the rules of the configuration over the rows that it evaluates, and where they go.
 *
 * An alert goes to the monitoring topic (a row of kind ALERT, in the transaction of the rows that raised it), and once
 * that is committed to the log and the webhooks.  The state goes into the aggregator's mark, so a successor tells
 * nothing twice on the topic; what fires when it takes over it sends to the webhooks once more, for its predecessor may
 * have died between the two. */
#pragma once
#include "consumer/alerting/webhooks.h"

struct alerting;
/* send: to the webhooks too; a replay tells nobody of what is over. */
int alerting_create(const struct config *config, bool send, struct alerting **out, struct err *err);
/* Waits at most drain_ms for the webhooks. */
void alerting_destroy(struct alerting *alerting, int64_t drain_ms);

/* The rows of one window or one look at the clock, not of a revision.  Appends a row for each alert; its texts live until
 * the next call. */
void alerting_feed(struct alerting *alerting, const struct report *rows, size_t count, struct report_list *out);
/* What was fed is committed: logs it and sends it.  (What is not is forgotten at an import, and fed again.) */
void alerting_deliver(struct alerting *alerting);

/* The state as JSON. */
void alerting_export(const struct alerting *alerting, struct text_buffer *text);
/* In the place of whatever was followed.  -1: the text is none of ours; then nothing is followed. */
int alerting_import(struct alerting *alerting, const char *json, size_t size);

/* For any thread: counts of messages, of what fires and of the webhooks' queues, for Prometheus. */
void alerting_expose(struct alerting *alerting, struct text_buffer *text);
/* Likewise: what fires, as a JSON array of {severity, line, silenced}. */
void alerting_show(struct alerting *alerting, struct text_buffer *text);
