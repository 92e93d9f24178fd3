/* Shadows beside what is served, once it is served: into the sketch by segment, and a sample of the disagreements by what
 * the two models make of each feature (monitor/sketch_extra.h says which events those are).
 *
 * A window's sample is those with the smallest ranks: what cannot be among them any more is not explained
 * (monitor/smallest_ranks.h), and none of what a lagging lane sheds. */
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
