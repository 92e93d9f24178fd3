/* What explanation.h says of a record, for a terminal of 100 columns. */
#pragma once
#include <jansson.h>
#include <stddef.h>

/* top: contributions a model; the rest are summed up in one line. */
void explain_print(const json_t *explanation, size_t top);
