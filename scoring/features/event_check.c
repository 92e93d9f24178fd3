#include <math.h>
#include <stdlib.h>

#include "scoring/features/features.h"

#define TIME_MS_END INT64_C(253402300800000) /* 10000-01-01 */
#define NUMBER_END (INT64_C(1) << 40)

static enum reject_reason check_key(const struct field_set *fields, const struct value *values, int slot)
{
    switch (values[slot].type) {
    case VALUE_ABSENT:
        return REJECT_MISSING_FIELD;
    case VALUE_NULL:
        return REJECT_NULL_FIELD;
    default:
        return fields->fields[slot].takes >> values[slot].type & 1 ? REJECT_NONE : REJECT_TYPE;
    }
}

static bool in_steps(double x, const struct number_range *range)
{
    double steps = x / range->fixed;
    if (!(fabs(steps) < 0x1p62))
        return false;
    return range->kind != NUMBER_LIMITED || llabs(llrint(steps)) < NUMBER_END;
}

static bool number_fits(const struct number_range *range, const struct value *value)
{
    if (range->kind == NUMBER_TIME)
        return value->integer >= 0 && value->integer < TIME_MS_END;
    if (value->type == VALUE_DOUBLE)
        return isnan(value->real) || (!isinf(value->real) && (range->fixed == 0 || in_steps(value->real, range)));
    if (value->type != VALUE_INT)
        return true;
    if (range->fixed > 0)
        return in_steps((double)value->integer, range);
    return range->kind != NUMBER_LIMITED || (value->integer > -NUMBER_END && value->integer < NUMBER_END);
}

enum reject_reason event_check(const struct feature_spec *spec, const struct field_set *fields, const struct value *values, int *slot)
{
    for (int key = FIELD_ID; key <= FIELD_TIME; key++) {
        enum reject_reason reason = check_key(fields, values, key);
        if (reason != REJECT_NONE) {
            *slot = key;
            return reason;
        }
    }
    for (size_t i = FIELD_TIME + 1; i < fields->count; i++) {
        uint32_t taken = fields->fields[i].takes | 1u << VALUE_ABSENT | 1u << VALUE_NULL;
        if (!(taken >> values[i].type & 1)) {
            *slot = (int)i;
            return REJECT_TYPE;
        }
    }
    for (size_t i = 0; i < spec->range_count; i++)
        if (!number_fits(&spec->ranges[i], &values[spec->ranges[i].slot])) {
            *slot = spec->ranges[i].slot;
            return REJECT_RANGE;
        }
    return REJECT_NONE;
}
