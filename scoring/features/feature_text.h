/* A feature file as text: the canonical JSON that is hashed.  (feature_describe is declared in feature_spec.h.) */
#pragma once
#include "scoring/features/feature_spec.h"

/* NULL if memory is short; owned by the caller. */
char *feature_canonical(const struct feature_spec *spec, const struct field_set *fields);
