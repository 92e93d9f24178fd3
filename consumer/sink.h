/* Where outputs go.  Values are Avro without framing; the sink adds what its medium needs. */
#pragma once
#include "consumer/batch.h"

struct deployment;

enum output { OUTPUT_PREDICTION, OUTPUT_SHADOW, OUTPUT_DEAD_LETTER, OUTPUT_COUNT };

struct sink {
    void *context;
    size_t max_bytes[OUTPUT_COUNT]; /* of key and value: a larger prediction makes the event a dead letter, a larger shadow is shed */
    int (*scored)(void *context, enum output output, const struct record *record, struct bytes key, const struct buffer *value, struct err *err);
    int (*rejected)(void *context, const struct record *record, const struct verdict *verdict, struct err *err);
    /* Either may be NULL: every accepted event with its vector; whether outputs of this time are wanted at all (the
     * event time; the record timestamp where none could be decoded). */
    int (*accepted)(void *context, const struct event *event, const float *row, bool window_complete, struct err *err);
    bool (*wanted)(void *context, int64_t time_ms);
    /* May be NULL: the configured deployment has come into force; first_offset is that of the first event it serves, and
     * its outputs come after this call. */
    int (*deployed)(void *context, int32_t partition, int64_t first_offset, const struct deployment *deployment, struct err *err);
};
