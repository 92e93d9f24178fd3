/* Which columns of a feature file take a few values that have names: code, equals, in, and the clock's. */
#pragma once
#include "monitor/baseline_builder.h"
#include "scoring/features/feature_spec.h"

/* One entry a column of the spec, whose texts they borrow.  NULL if memory is short. */
struct baseline_codes *codes_create(const struct feature_spec *spec);
void codes_destroy(struct baseline_codes *codes, size_t count);
