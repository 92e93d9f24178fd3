/* Encodes output records: the Avro bodies of schemas/prediction.avsc, shadow.avsc, dead_letter.avsc and report.avsc. */
#pragma once
#include "consumer/batch.h"

struct output_context {
    const struct config *config;
    uint8_t feature_spec_sha256[32];
};

/* Event `e` of the batch, whose record is r and whose vector is row. */
void encode_prediction(struct buffer *out, const struct output_context *context, const struct batch *batch, size_t e);
void encode_shadow(struct buffer *out, const struct output_context *context, const struct batch *batch, size_t e, size_t shadow);
void encode_dead_letter(struct buffer *out, const struct record *record, const struct verdict *verdict);

struct report;
void encode_report(struct buffer *out, const struct report *report);
