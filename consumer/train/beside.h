/* What lies beside a model that was trained: golden rows (golden_file.h) and, where the feature file is known, a baseline. */
#pragma once
#include "consumer/train/training_set.h"
#include "scoring/models/decision.h"

enum { GOLDEN_ROWS = 100 };

/* MODEL.golden.csv: rows spread evenly over the set, and one where all is missing, with what XGBoost's C API gives. */
int beside_write_golden(const char *model_path, const void *model, size_t size, const struct training_set *set, struct err *err);

struct feature_spec;
/* MODEL.baseline.json (baseline/training.h).  1: none was written, for the rows span less than the longest window. */
int beside_write_baseline(const char *model_path, const void *model, size_t size, const struct training_set *set, size_t learned,
                          const struct feature_spec *spec, struct thresholds thresholds, struct err *err);
