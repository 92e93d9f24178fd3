/* A baseline as a JSON file.
 *
 *   {"format": "weir-baseline", "version": 1,
 *    "feature_spec_sha256": "<64 hexadecimal digits>",
 *    "model_id": "fraud-1",                      or null
 *    "features": [COLUMN, ...],                  the feature file's columns, in its order
 *    "score": COLUMN}                            or null
 *
 *   COLUMN = {"name": "amount", "count": 1000, "missing": 3, "min": 0, "max": 99.5, "mean": 12.1, "std": 4.5,
 *             "edges": [239 numbers, ascending, ties repeated], "counts": [240 whole numbers, their sum is count]}
 *
 * edges and counts as monitor/baseline.h defines them: counts[i] values lie in (edges[i-1], edges[i]], and a
 * count between equal edges is 0.  A column of no values has `count` 0 and empty edges and counts.  Numbers that are
 * not finite, unknown keys and doubled keys are refused. */
#pragma once
#include "monitor/baseline.h"
#include "scoring/err.h"

enum { BASELINE_FILE_MAX = 64 << 20 };

/* The features' names must equal `names`, in order; the first difference is the error. */
int baseline_file_load(const char *path, const char *const *names, size_t count, struct baseline **out, struct err *err);
/* From text; `path` stands in messages. */
int baseline_file_parse(const char *path, const char *json, size_t size, const char *const *names, size_t count,
                        struct baseline **out, struct err *err);
int baseline_file_write(const char *path, const struct baseline *baseline, struct err *err);
