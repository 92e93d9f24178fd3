/* Reads everything that the worker writes, as any consumer of it would, and tells the tally and the drift watch: a
 * thread of its own. */
#pragma once
#include "consumer/config/config.h"
#include "consumer/demo/drift_watch.h"
#include "consumer/demo/tally.h"

struct reader;
/* Begins at the topics' first records.  Borrows all of them. */
int reader_start(const struct config *config, int32_t partitions, struct tally *tally, struct drift_watch *watch, struct reader **out, struct err *err);
/* -1 if it has failed: what it could not read. */
int reader_failed(struct reader *reader, struct err *err);
/* Reads to the present ends of the topics and stops.  -1: it has failed. */
int reader_finish(struct reader *reader, struct err *err);
/* Stops at once, frees it. */
void reader_destroy(struct reader *reader);
