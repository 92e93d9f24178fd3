/* Avro schema resolution, the part that looks at two types alone: who matches whom, and what a default is.
 *
 * Names match when their last parts are equal or an alias of the reader's says so.  Two decimals match only with
 * the same precision and scale.  Of a reader's union the first branch that matches is taken, but one of the very type
 * before one by promotion, and one of the full name before another (as Avro's Java does: by the letter of the
 * specification a long would become a double in ["double", "long"], even where the writer has the same union). */
#pragma once
#include "consumer/avro/arena.h"
#include "consumer/avro/schema.h"
#include "scoring/value.h"

/* Whether a value of the writer's type (no union) may become one of the reader's (no union); of records only the name is looked at. */
bool resolve_matches(const struct avro_type_node *writer, const struct avro_type_node *reader);
/* The reader's branch for a writer's type (no union), or the reader itself where it is no union; NULL: none matches. */
const struct avro_type_node *resolve_reader(const struct avro_type_node *writer, const struct avro_type_node *reader);
/* For each field of the writer's record the index of the reader's, or -1; `taken` says which of the reader's have one. */
void resolve_fields(const struct avro_type_node *writer, const struct avro_type_node *reader, int *match, bool *taken);
/* A default of any type but record as a value (text is copied into the arena); false if the JSON is not of the type. */
bool resolve_default(struct arena *arena, const struct avro_type_node *type, const json_t *json, struct value *value);
