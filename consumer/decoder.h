/* From the bytes of a record to the values of the configured fields, by the plan of its writer schema. */
#pragma once
#include "consumer/batch.h"
#include "consumer/registry/registry.h"

struct decoder;
/* Borrows both.  The registry may be NULL where records carry no schema id (then give the plan's schema below). */
int decoder_create(const struct config *config, struct registry *registry, struct decoder **out, struct err *err);
void decoder_destroy(struct decoder *decoder);
/* Records are plain values of this writer schema without framing (container files); their schema id is 0. */
int decoder_set_plain_schema(struct decoder *decoder, const char *schema_text, struct err *err);
/* The slot of the field that is a plain record's timestamp, in the unit of its logical type (milliseconds without one);
 * FIELD_TIME is the initial state, and what holds where the field is null.  An error if the schema has no such field, or it is no integer. */
int decoder_set_plain_timestamps(struct decoder *decoder, int slot, struct err *err);
/* Size of the first plain value at data; SIZE_MAX if it is damaged. */
size_t decoder_plain_size(struct decoder *decoder, const void *data, size_t size, struct err *err);

/* What values and verdicts of the former batch point into may go. */
void decoder_next_batch(struct decoder *decoder);
/* One record.  The verdict says whether it could be read; a plain record's timestamp is set.  False where the registry is
 * away (*err says so). */
bool decoder_read(struct decoder *decoder, struct record *record, struct value *values, int32_t *schema_id, struct verdict *verdict, struct err *err);
