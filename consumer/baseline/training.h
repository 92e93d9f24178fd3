/* A baseline from a training set, for those who train.
 *
 * The features are those of all rows, but for events less than the longest window after the set's first one, where
 * windows may have been filling.  Scores, decisions and calibration are those of the rows that the model did not learn
 * from, `learned` on (all rows, if there are none): of what it knows by heart it is too sure.  A training set has no
 * segments, rejects or ids: samples are taken by the row's number. */
#pragma once
#include "consumer/train/training_set.h"
#include "monitor/baseline.h"
#include "scoring/features/feature_spec.h"

/* The set in order of event time.  0, 1 if no row lies so late (then there is no baseline), or -1. */
int training_baseline(const struct training_set *set, size_t learned, const struct feature_spec *spec, const void *model, size_t size,
                      const char *model_id, struct thresholds thresholds, struct baseline **out, struct err *err);
