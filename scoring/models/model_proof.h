/* Rows to compare a model's engines on: missing values, infinities, denormals, values at and next to the model's own
 * thresholds, plain ones.  The same rows for the same file. */
#pragma once
#include <stddef.h>
#include "scoring/models/model_file.h"

/* n x feature_count; the file's trees must still be there. */
void proof_rows(const struct model_file *file, float *rows, size_t n);
