/* The text of a deployment: for deployment.c alone. */
#pragma once
#include "consumer/deployment.h"

/* Owned by the caller.  NULL: longer than DEPLOYMENT_RECORD_MAX. */
char *deployment_record_write(const struct deployment *deployment, const struct config *config);
/* Fills settings and, of each model, id, sha256, below, thresholds and always_valid; the models themselves are not loaded.  -1: no such
 * text, or one of another feature file. */
int deployment_record_read(const char *record, const struct config *config, struct deployment *out, struct err *err);
