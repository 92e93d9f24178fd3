/* What the labels' evaluation reads of a prediction, a shadow's record and a label: decoded by the plan of the writer's
 * schema, and checked, for a topic may hold anything. */
#pragma once
#include <librdkafka/rdkafka.h>
#include "consumer/registry/registry.h"
#include "scoring/value.h"

enum judged_kind { JUDGED_PREDICTION, JUDGED_SHADOW, JUDGED_LABEL, JUDGED_KIND_COUNT };

struct judged_record {
    enum judged_kind kind;
    int64_t time_ms;  /* of the event; of a label when it was reported */
    uint64_t id_hash; /* label_join_hash of the transaction id */
    int label;        /* 0 or 1 */
    float score;      /* that was served */
    int64_t value;    /* LABEL_VALUE_NONE: none */
    struct bytes model;    /* that served */
    struct bytes segments; /* the map's blocks, as Avro has them */
    float shadow_score;
    struct bytes shadow;   /* model */
}; /* texts point into the message, or the reader */

enum { MODEL_ID_MAX = 200 };

struct record_reader;
struct record_reader *record_reader_create(struct registry *registry, int64_t future_skew_ms);
void record_reader_destroy(struct record_reader *reader);
enum record_answer { RECORD_READ, RECORD_BAD, RECORD_AWAY /* the registry does not answer: later */ };
/* RECORD_BAD: *why says so in words that do not depend on the record. */
enum record_answer record_read(struct record_reader *reader, enum judged_kind kind, const rd_kafka_message_t *message, struct judged_record *out, const char **why);
