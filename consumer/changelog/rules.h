/* The rules that records are judged by, as text in the marker: validation, reader schema, limits.  (The feature file is
 * in the generation: other features are another state.)
 *
 * The tail between a checkpoint and the committed offset is folded under the rules that were in force when its records
 * were first judged; new ones begin at the committed offset. */
#pragma once
#include "consumer/avro/encode.h"
#include "consumer/config/config.h"

/* YAML; the same for equal rules. */
int rules_put(const struct config *config, struct buffer *out, struct err *err);
/* A configuration to decode, validate and fold with, as `config` but for the rules of `text`. */
int rules_config(const struct config *config, struct bytes text, struct config **out, struct err *err);
