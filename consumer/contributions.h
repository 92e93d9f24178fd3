/* What makes the scores, on a sample of the events: for the mean contribution of each feature.
 *
 * The sample is a function of the hash of the transaction's id, of those events alone that the baseline's model answered:
 * others have no contributions to compare with.  Vectors wait, at most until the sketch is written, and are explained
 * together, for it takes half as long where the trees have to come from far; what serving explained already (reasons) is taken
 * as it is.  Cost: a TreeSHAP a sampled event, some 50 us with 100 trees of depth 6. */
#pragma once
#include "consumer/batch.h"
#include "monitor/sketch.h"

struct contributions;
/* percent: of the events; 0: none. */
struct contributions *contributions_create(size_t columns, double percent);
void contributions_destroy(struct contributions *contributions);
/* Event e of the batch, which is scored, and its cell. */
void contributions_add(struct contributions *contributions, struct sketch *sketch, struct sketch_cell *cell, const struct batch *batch, size_t e, uint64_t id_hash);
/* Explains what waits, before its cells are read or gone. */
bool contributions_wait(const struct contributions *contributions);
void contributions_flush(struct contributions *contributions, struct sketch *sketch);
