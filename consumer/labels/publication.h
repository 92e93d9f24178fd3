/* Reports of a window and the marks that say so, in one transaction of the id <app_id>-labels: all of it is there, or
 * nothing; those that had enough labels go to the sketches topic too, where the aggregator's alerts look at them.  (delivery at_least_once: the marks are committed when every report is acknowledged; what was not is published
 * again, the same rows under the same keys.)
 *
 * Who opens it fences whoever had the id before.  After a failure nobody knows what the broker has: close, open again,
 * and read the marks. */
#pragma once
#include "consumer/kafka/carrier.h"
#include "consumer/kafka/topics.h"
#include "consumer/labels/mark.h"
#include "monitor/report.h"

struct publication;
/* Borrows all of it.  Waits until what a predecessor left open is settled. */
int publication_open(const struct config *config, const struct topics *topics, const atomic_bool *stop, struct publication **out, struct err *err);
void publication_close(struct publication *publication);
/* member: of the group whose offsets the marks are. */
int publication_commit(struct publication *publication, rd_kafka_t *member, const struct report_list *rows, const struct label_mark *marks, size_t partitions, struct err *err);
