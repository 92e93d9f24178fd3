/* Writes Avro records to a topic with an idempotent producer: all are delivered, in order a partition, or it says how
 * many were not.  Values are in Confluent's wire format (0x00, schema id, body); the partition is murmur2 of the key. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "consumer/config/config.h"
#include "consumer/registry/registry.h"

struct topic_sink_options {
    const char *brokers;
    const struct config *config;           /* instead of brokers: its `kafka` section; NULL: none */
    struct registry_options registry;      /* where the schema's id comes from */
};

struct topic_sink;
int topic_sink_create(const struct topic_sink_options *options, struct topic_sink **out, struct err *err);
void topic_sink_destroy(struct topic_sink *sink);

/* A topic to write to, which must be there: its schema is registered under <topic>-value and gives *schema_id. */
int topic_sink_schema(struct topic_sink *sink, const char *topic, const char *schema_text, int32_t *schema_id, struct err *err);
/* Queues one record; waits while the queue is full.  Fails once a record could not be delivered. */
int topic_sink_send(struct topic_sink *sink, const char *topic, int32_t schema_id, const char *key, const void *body, size_t size,
                    int64_t timestamp_ms, struct err *err);
/* Serves deliveries for about `ms` milliseconds at most. */
void topic_sink_serve(struct topic_sink *sink, int ms);
/* Waits until everything is delivered. */
int topic_sink_flush(struct topic_sink *sink, struct err *err);
uint64_t topic_sink_delivered(const struct topic_sink *sink);
