/* A baseline as a JSON file: BASELINE.md beside this file describes the format.
 *
 * Reading trusts nothing: sizes, ranges, order, and that what must add up does; numbers that are not finite, unknown keys
 * and doubled keys are refused, each by its place.  A key that may be null may be absent. */
#pragma once
#include "consumer/config/config.h"
#include "monitor/baseline.h"
#include "scoring/err.h"

enum { BASELINE_FILE_MAX = 256 << 20, BASELINE_FILE_VERSION = 2 };

/* The features' names must equal `names`, in order; the first difference is the error. */
int baseline_file_load(const char *path, const char *const *names, size_t count, struct baseline **out, struct err *err);
/* The one that monitor.baseline names, for the configuration's features. */
int baseline_of_config(const struct config *config, struct baseline **out, struct err *err);
/* From text; `path` stands in messages. */
int baseline_file_parse(const char *path, const char *json, size_t size, const char *const *names, size_t count,
                        struct baseline **out, struct err *err);
int baseline_file_write(const char *path, const struct baseline *baseline, struct err *err);
