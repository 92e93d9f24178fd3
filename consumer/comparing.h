/* Shadows beside what is served, once it is served: into the sketch by segment, and a sample of the disagreements by what
 * the two models make of each feature (monitor/sketch_extra.h says which events those are).
 *
 * A window's sample is those with the smallest ranks, and a lane remembers the ranks that it has explained of its latest
 * windows: what cannot be among the smallest any more is not explained.  So of n disagreements in the sampled fourth about
 * EXPLAINED_MAX (1 + ln(n / EXPLAINED_MAX)) are, whatever the load; and none of what a lagging lane sheds. */
#pragma once
#include "consumer/batch.h"
#include "monitor/sketch_extra.h"

struct comparing;
struct comparing *comparing_create(size_t columns);
void comparing_destroy(struct comparing *comparing);

/* The event that the next calls are about. */
void comparing_begin(struct comparing *comparing, struct sketch *sketch, struct sketch_cell *cell, const struct batch *batch, size_t e);
/* A shadow of its deployment that has scored it; slot: its in the sketch. */
void comparing_add(struct comparing *comparing, size_t shadow, size_t slot);
