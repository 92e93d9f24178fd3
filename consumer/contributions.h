/* What makes the scores, on a sample of the events: for the mean contribution of each feature.
 *
 * The sample is a function of the transaction's id (contributions_wants), of those events alone that the baseline's model
 * answered: others have no contributions to compare with.  Vectors wait until their cell's run ends and are explained
 * together; what serving explained already (reasons) is taken as it is.
 * Cost: a TreeSHAP a sampled event, some 50 us with 100 trees of depth 6. */
#pragma once
#include "consumer/batch.h"
#include "monitor/sketch.h"

struct contributions;
/* percent: of the events; 0: none. */
struct contributions *contributions_create(size_t columns, double percent);
void contributions_destroy(struct contributions *contributions);
bool contributions_wants(const struct contributions *contributions, struct bytes transaction_id);
/* Event e of the batch, which is scored, and its cell. */
void contributions_add(struct contributions *contributions, struct sketch *sketch, struct sketch_cell *cell, const struct batch *batch, size_t e);
/* Explains what waits, before its vectors go. */
void contributions_flush(struct contributions *contributions, struct sketch *sketch);
