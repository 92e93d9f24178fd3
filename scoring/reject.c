#include "scoring/reject.h"

#include <assert.h>
#include <stddef.h>

static const struct {
    const char *name, *stage;
} reasons[] = {
    [REJECT_NONE] = {"none", "none"},
    [REJECT_NOT_AVRO] = {"not_avro", "decode"},
    [REJECT_UNKNOWN_SCHEMA] = {"unknown_schema", "decode"},
    [REJECT_DECODE_ERROR] = {"decode_error", "decode"},
    [REJECT_TRAILING_BYTES] = {"trailing_bytes", "decode"},
    [REJECT_TOO_LARGE] = {"too_large", "decode"},
    [REJECT_MISSING_FIELD] = {"missing_field", "validate"},
    [REJECT_NULL_FIELD] = {"null_field", "validate"},
    [REJECT_TYPE] = {"type", "validate"},
    [REJECT_RANGE] = {"range", "validate"},
    [REJECT_RULE] = {"rule", "validate"},
    [REJECT_STALE] = {"stale", "features"},
    [REJECT_FUTURE] = {"future", "features"},
    [REJECT_DUPLICATE] = {"duplicate", "features"},
    [REJECT_OUTPUT_TOO_LARGE] = {"output_too_large", "features"},
};
static_assert(sizeof reasons / sizeof *reasons == REJECT_REASON_COUNT, "each reason has a name and a stage");

const char *reject_name(enum reject_reason reason)
{
    assert(reason < REJECT_REASON_COUNT);
    return reasons[reason].name;
}

const char *reject_stage(enum reject_reason reason)
{
    assert(reason < REJECT_REASON_COUNT);
    return reasons[reason].stage;
}
