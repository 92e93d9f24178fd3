/* Where a replay reads: an Avro container file, or all that a topic holds.  Both hand out runs of records of one
 * partition, in offset order, in an order that depends on the data alone. */
#pragma once
#include <librdkafka/rdkafka.h>
#include "consumer/avro/container.h"
#include "consumer/pipeline.h"

struct source;

/* Plain values, partition 0, offsets 0, 1, 2 ...; `pipeline` gets the file's schema. */
int source_open_file(const char *path, struct pipeline *pipeline, struct source **out, struct err *err);
/* The topic's partitions from their first offset to their end as it is now, interleaved by slices of `slice_ms` of
 * record timestamps, so that windows of all partitions close together. */
int source_open_topic(const struct config *config, const char *topic, int64_t slice_ms, struct source **out, struct err *err);
/* One partition alone, records [from, end) as far as they are there. */
int source_open_range(const struct config *config, const char *topic, int32_t partition, int64_t from, int64_t end, struct source **out, struct err *err);
void source_close(struct source *source);
/* To ask the broker something; NULL for a file. */
rd_kafka_t *source_client(const struct source *source);

/* Fills records[0..max) with a run of one partition.  Returns how many, 0 at the end, -1 on error.  The records live
 * until the next call. */
int source_next(struct source *source, struct record *records, size_t max, struct err *err);

size_t source_partitions(const struct source *source);
int64_t source_first_offset(const struct source *source, int32_t partition);
/* Done and total, in bytes of the file or records of the topic. */
void source_progress(const struct source *source, int64_t *done, int64_t *total);
const char *source_meta(const struct source *source, const char *key); /* of a file; NULL */
const char *source_schema(const struct source *source);                /* of a file; NULL for a topic */
