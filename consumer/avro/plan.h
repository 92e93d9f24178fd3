/* A decode plan: one writer schema compiled into a flat list of steps that walk a value once, store the fields of
 * a field set and skip the rest.  Every byte is accounted for and every length, count and depth is bounded, so
 * any bytes give DECODE_OK or a fault, never a crash, never unbounded work.
 *
 * Fields are found by name, dots reach into nested records (also through unions with null); with a reader schema
 * the Avro resolution rules (promotion, aliases, defaults, enum defaults) apply first and names are the reader's.
 * What lies inside arrays and maps is VALUE_OTHER; what lies under a null is null; what the branch at hand has not is
 * absent.  A reader that can never read the writer is refused when the plan is made; where a union's branch decides,
 * the record with that branch is a fault.  A part of fixed width that nobody wants is skipped whole, its depth uncounted. */
#pragma once
#include "consumer/avro/schema.h"
#include "scoring/field_set.h"
#include "scoring/reject.h"
#include "scoring/value.h"

struct decode_limits {
    size_t string_bytes;  /* of one string, bytes or map key: 1 MiB */
    uint64_t block_items; /* of one array or map in all: 1,000,000; items of no bytes count too */
    unsigned depth;       /* records, arrays and maps inside each other, the outermost being 1: 64 (200 at most) */
    bool sizes_only;      /* only how long a value is: content that does not change that is not looked at (UTF-8, 32 bits of
                             ints, booleans, enum symbols) */
};
extern const struct decode_limits decode_limits_default;

struct decode_fault {
    enum reject_reason reason; /* REJECT_DECODE_ERROR, REJECT_TRAILING_BYTES */
    const char *field;         /* dotted name in the writer's schema (inside a type that recurs: of its field), or NULL;
                                  lives as long as the plan */
    const char *what;          /* "the bytes end inside a string" ...; static */
};

struct decode_plan;
int decode_plan_create(const struct avro_schema *writer, const struct avro_schema *reader, const struct field_set *fields,
                       struct decode_limits limits, struct decode_plan **out, struct err *err);
void decode_plan_destroy(struct decode_plan *plan);

/* Decodes one value at data.  values: one per slot of the field set (of no meaning after a fault); text points into
 * data or into the plan.  A time field (FIELD_TIME) comes as milliseconds (timestamp-micros and -nanos floored; the
 * writer's unit where it has one, else the reader's).  *consumed (may be NULL:
 * then all of `size` must be used, else REJECT_TRAILING_BYTES) is the number of bytes read.  Returns 0 or -1. */
int decode_value(const struct decode_plan *plan, const void *data, size_t size, struct value *values, size_t *consumed,
                 struct decode_fault *fault);
