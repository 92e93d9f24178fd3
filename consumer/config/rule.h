/* Conditions as YAML spells them: {in: [...]}, {not_in: [...]}, {min, max}. */
#pragma once
#include "consumer/config/option.h"
#include "scoring/features/predicate.h"

/* A list of literals, at least one and none twice; owned by the caller. */
int literals_read(const struct reading *reading, const char *key, const struct yaml_node *node, struct literal **literals, size_t *count);
/* From the keys in, not_in, min and max of a mapping: exactly one kind must be there. */
int predicate_read(const struct reading *reading, const char *key, const struct yaml_node *mapping, struct predicate *predicate);
json_t *predicate_show(const struct predicate *predicate, json_t *into);
