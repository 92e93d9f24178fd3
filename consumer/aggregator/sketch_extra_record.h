/* The `extras` of a cell in schemas/sketch.avsc: what monitor/sketch_extra.h keeps, model by model.  For the files of the
 * sketch record alone. */
#pragma once
#include "consumer/avro/encode.h"
#include "monitor/sketch_extra.h"

/* They are made of items, of which some may go into one piece: a model's numbers, each part, each explained event. */
size_t sketch_extra_items(const struct sketch_shape *shape, const struct sketch_cell *cell);
void sketch_put_extras(struct buffer *out, const struct sketch_shape *shape, const struct sketch_cell *cell, size_t from, size_t to);
