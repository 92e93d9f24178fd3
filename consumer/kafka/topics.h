/* What the broker says about the topics that weir uses: looked up once at start. */
#pragma once
#include <librdkafka/rdkafka.h>
#include "consumer/aggregator/sketches_topic.h"
#include "consumer/changelog/topic.h"
#include "consumer/kafka/cluster.h"
#include "consumer/pipeline.h"

struct topics {
    int32_t input_partitions;
    struct output_topic {
        const char *name; /* of the configuration */
        int32_t partitions;
        size_t max_message_bytes; /* the topic's max.message.bytes */
        int32_t schema_id;        /* of its value; -1 for dead letters, which keep the original bytes */
    } outputs[OUTPUT_COUNT];
    int32_t report_schema_id;
    size_t report_max_message_bytes; /* of the monitoring topic */
    struct changelog_topic changelog;
    struct sketches_topic sketches;
};

/* Missing topics and topics without partitions are errors that name topic and setting. */
int topics_describe(struct cluster cluster, const struct config *config, struct topics *topics, struct err *err);
/* Counts partitions again.  An error if the changelog has not grown with the input. */
int topics_count_again(struct cluster cluster, const struct config *config, struct topics *topics, struct err *err);
/* What of max.message.bytes is left for key and value. */
size_t topics_room(size_t max_message_bytes);
/* The same of one topic, asked of the broker; SIZE_MAX if it has no such topic. */
size_t topic_room(struct cluster cluster, const char *topic);
/* Of the outputs that a lane writes to. */
struct kafka_sizes topics_sizes(const struct topics *topics);
/* Registers or looks up the output schemas. */
int topics_resolve_schemas(struct registry *registry, const struct config *config, struct topics *topics, struct err *err);

enum { RECORD_OVERHEAD_BYTES = 256 }; /* batch header, record header, output headers: kept free below max.message.bytes */
