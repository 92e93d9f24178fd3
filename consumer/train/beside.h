/* What lies beside a model that was trained: golden rows (golden_file.h) and, where the feature file is known, a baseline. */
#pragma once
#include "consumer/train/training_set.h"

enum { GOLDEN_ROWS = 100 };

/* MODEL.golden.csv: rows spread evenly over the set, and one where all is missing, with what XGBoost's C API gives. */
int beside_write_golden(const char *model_path, const void *model, size_t size, const struct training_set *set, struct err *err);

struct feature_spec;
/* MODEL.baseline.json, of rows from..: their features, their scores, and each feature's share of the model's gain. */
int beside_write_baseline(const char *model_path, const void *model, size_t size, const struct training_set *set, size_t from,
                          const struct feature_spec *spec, struct err *err);
