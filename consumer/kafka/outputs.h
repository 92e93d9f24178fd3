/* The sink of a lane: outputs become records of the open transaction.
 *
 * Dead letters keep the original key, value and headers.  One too long for its topic keeps key, reason and source: its
 * value is cut (`weir.value.bytes` says how long it was), and if that is not enough the original headers go. */
#pragma once
#include "consumer/changelog/checkpoint.h"
#include "consumer/kafka/topics.h"
#include "consumer/kafka/writer.h"

struct kafka_outputs {
    const struct config *config;
    const struct topics *topics;
    struct writer *writer;
    struct changelog *changelog;
    struct buffer report;
};

/* Borrows `outputs`. */
struct sink kafka_sink(struct kafka_outputs *outputs);
