/* A segment's value as text, as predictions and monitoring carry it: strings and enums as they are, integers in
 * decimal, booleans as true and false, doubles with the fewest digits that read back to the same value. */
#pragma once
#include <stdbool.h>
#include "scoring/value.h"

enum { SEGMENT_SMALL = 32 };

bool segment_has_text(const struct value *value); /* false: null, NaN, bytes, or a structure */
/* *text borrows from the value or from `small`.  Its size; 0 without one. */
uint32_t segment_text(const struct value *value, char small[SEGMENT_SMALL], const char **text);
