/* Why a record becomes a dead letter.  The names are what `weir.reason` and the metrics carry. */
#pragma once

enum reject_reason {
    REJECT_NONE = 0,
    REJECT_NOT_AVRO,       /* null value, short, wrong magic byte */
    REJECT_UNKNOWN_SCHEMA, /* the registry answers that there is no such id */
    REJECT_DECODE_ERROR,   /* the bytes are not a value of the writer's schema */
    REJECT_TRAILING_BYTES, /* bytes are left after the value */
    REJECT_TOO_LARGE,      /* over input.max_record_bytes */
    REJECT_MISSING_FIELD,  /* id, entity or time is not in the writer's schema */
    REJECT_NULL_FIELD,     /* id, entity or time is null */
    REJECT_TYPE,           /* a field has a type that its use does not take */
    REJECT_RANGE,          /* a number outside what features or an unnamed validation entry allow */
    REJECT_RULE,           /* a named validation entry */
    REJECT_STALE,          /* older than max_age at its record timestamp */
    REJECT_FUTURE,         /* newer than its record timestamp by more than future_skew */
    REJECT_DUPLICATE,      /* the entity still holds an event of this id */
    REJECT_OUTPUT_TOO_LARGE,
    REJECT_REASON_COUNT
};

const char *reject_name(enum reject_reason reason);  /* "not_avro" ...; REJECT_NONE is "none" */
const char *reject_stage(enum reject_reason reason); /* "decode", "validate" or "features" */
