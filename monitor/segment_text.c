#include "monitor/segment_text.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool segment_has_text(const struct value *value)
{
    return value->type != VALUE_ABSENT && value->type != VALUE_NULL && value->type != VALUE_OTHER && !(value->type == VALUE_DOUBLE && isnan(value->real));
}

/* %g leaves out zeros at the end, so fewer than 15 digits need no try: but for subnormals, which have not so many. */
static uint32_t shortest(double x, char small[SEGMENT_SMALL])
{
    int n = 0;
    for (int digits = fabs(x) < DBL_MIN ? 1 : DBL_DIG; digits <= 17; digits++) {
        n = snprintf(small, SEGMENT_SMALL, "%.*g", digits, x);
        if (strtod(small, NULL) == x)
            break;
    }
    return (uint32_t)n;
}

uint32_t segment_text(const struct value *value, char small[SEGMENT_SMALL], const char **text)
{
    *text = small;
    switch (value->type) {
    case VALUE_TEXT:
        *text = value->text;
        return value->size;
    case VALUE_INT:
        return (uint32_t)snprintf(small, SEGMENT_SMALL, "%" PRId64, value->integer);
    case VALUE_BOOL:
        return (uint32_t)snprintf(small, SEGMENT_SMALL, "%s", value->integer ? "true" : "false");
    case VALUE_DOUBLE:
        return shortest(value->real, small);
    default:
        return 0;
    }
}
