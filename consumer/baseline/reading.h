/* Pieces of a baseline file, each read with all its checks: for baseline_file.c.
 *
 * Functions return 0, or -1 with the error told by reading_refuse: file, place in it, what is wrong there, and the mend. */
#pragma once
#include <jansson.h>
#include "monitor/baseline.h"
#include "scoring/err.h"

/* Where in the file we are, for messages: "baseline.json: segment `mcc`: value `5411`: feature `amount`: ...". */
struct reading {
    const char *path;
    char within[600];
    struct err *err;
};

int reading_refuse(const struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
int reading_memory_is_short(const struct reading *r);
/* Goes into a named thing; reading_leave takes what it returned. */
size_t reading_enter(struct reading *r, const char *what, const char *name);
void reading_leave(struct reading *r, size_t before);

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})
int reading_known_keys(const struct reading *r, json_t *object, const char *const *known); /* and no others; ends with NULL */
bool reading_absent(json_t *value); /* or null */
bool reading_is_float(json_t *value); /* a number in the range of a float */
int64_t reading_total(const int64_t *counts, size_t n);

int reading_count(const struct reading *r, json_t *object, const char *key, int64_t *out); /* 0 .. 2^53 */
int reading_counts(const struct reading *r, json_t *object, const char *key, size_t n, int64_t *out); /* a list of exactly n */
int reading_number(const struct reading *r, json_t *object, const char *key, double *out);
int reading_share(const struct reading *r, json_t *object, const char *key, double *out); /* 0 .. 1; NaN where absent */
int reading_text(const struct reading *r, json_t *object, const char *key, bool may_be_null, char **out); /* owned */
/* A list of objects, at most that many, or nothing: *n of them. */
int reading_list(const struct reading *r, json_t *object, const char *key, size_t most, size_t *n);

/* `whole`: what the hours must add up to, bin by bin.  Absent: nothing. */
int reading_hours(const struct reading *r, json_t *object, const char *key, const int64_t *whole, size_t bins, struct baseline_hours *hours);
/* `sum`: what they must add up to. */
int reading_categories(const struct reading *r, json_t *object, bool codes, int64_t sum, struct baseline_categories *out);
int reading_column(const struct reading *r, json_t *object, struct baseline_column *column); /* all but the name */
int reading_features(struct reading *r, json_t *array, const char *const *names, size_t count, struct baseline_column *columns);
int reading_scores(struct reading *r, json_t *object, struct baseline_column *score, bool *has_score, struct baseline_outcome *outcome);
