/* A model's part of a baseline: scores of the rows that were kept, importance, contributions. */
#pragma once
#include "monitor/baseline_builder.h"
#include "scoring/err.h"

/* Scores the kept rows of events from `from_ms` on, decided by the thresholds. */
int baseline_score(struct baseline_builder *builder, const void *model, size_t size, const char *const *features, size_t count,
                   struct thresholds thresholds, int64_t from_ms, struct err *err);
/* Each feature's share of the model's total gain, and its mean contribution over a sample of the kept rows by id: 1 %, or
 * as much more as it takes to make a thousand. */
int baseline_explain(struct baseline *baseline, const struct baseline_builder *builder, const void *model, size_t size, struct err *err);
