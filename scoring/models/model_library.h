/* A model run by XGBoost's C API, on one thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "scoring/err.h"

struct library;

/* From the bytes of a file that model_file.c has checked; `dart`: its booster is DART, whose margins the DMatrix path
 * gives (the in-place call differs in the last bits). */
int library_create(const void *bytes, size_t size, size_t feature_count, bool dart, struct library **out, struct err *err);
void library_destroy(struct library *library);

enum prediction { PREDICT_VALUE, PREDICT_MARGIN, PREDICT_CONTRIBUTIONS };
/* n <= MODEL_BATCH_MAX rows to n numbers, or of contributions n x (feature_count + 1). */
int library_predict(struct library *library, enum prediction kind, const float *rows, size_t n, float *out, struct err *err);
