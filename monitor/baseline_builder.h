/* A baseline made from events: they are kept as rows, and each column is sorted once at the end.
 *
 *   builder_create -> add, add_reject ... -> [score the rows that were kept] -> finish
 *
 * Exact and deterministic: the baseline is a function of the events, not of their order (but for the texts of a segment
 * field with more than BUILDER_TEXTS_MAX different ones: later ones have no name).
 *
 * Bounded: rows take at most bytes_max (a row is 24 bytes, 4 a feature and 2 a segment).  Where there are more, every
 * second one is left out by its id's hash, again and again until they fit: what is kept is the largest sample of 1/2^k
 * of the ids that fits, whatever the order, and `sampled` says how many.  Events, rejects, hours and distinct values are
 * counted of all.  Sorting takes 4 bytes a row more. */
#pragma once
#include "monitor/baseline.h"
#include "scoring/value.h"

#define BUILDER_BYTES_MAX ((size_t)1 << 30)
enum { BUILDER_TEXTS_MAX = 60000, BUILDER_WINDOWS_MAX = 4, BUILDER_UNKNOWN_LABEL = -1 };

/* The values that a feature's column takes: code i is names[i]. */
struct baseline_codes {
    size_t count; /* 0: not a column of few values */
    const char *const *names;
};

/* All borrowed until finish. */
struct baseline_builder_options {
    const uint8_t *feature_spec_sha256;
    const char *model_id; /* NULL: none */
    size_t feature_count;
    const char *const *features;
    const struct baseline_codes *codes; /* by feature; NULL: none */
    size_t segment_count;
    const char *const *segments;
    const bool *parts; /* by segment: each of its values gets statistics of its own; NULL: none */
    size_t distinct_count;
    const char *const *distincts;             /* fields whose different values are counted */
    size_t window_count;
    int64_t windows_ms[BUILDER_WINDOWS_MAX]; /* in tumbling windows of these lengths */
    bool timed;                               /* events have times: counts by hour of the week */
    size_t bytes_max;                         /* 0: BUILDER_BYTES_MAX */
};

struct baseline_event {
    int64_t time_ms;
    uint64_t id_hash;               /* cardinality_hash of the id */
    const float *row;
    int label;                      /* 0, 1, or BUILDER_UNKNOWN_LABEL */
    const struct bytes *segments;   /* texts; data NULL: the field is null */
    const uint64_t *distinct_hashes; /* cardinality_hash of each distinct field's value; 0: null */
};

struct baseline_builder;
struct baseline_builder *baseline_builder_create(const struct baseline_builder_options *options); /* NULL if memory is short */
void baseline_builder_destroy(struct baseline_builder *builder);
int baseline_builder_add(struct baseline_builder *builder, const struct baseline_event *event); /* -1 if memory is short */
/* A rejected record; field NULL: none. */
int baseline_builder_reject(struct baseline_builder *builder, const char *reason, const char *field);

/* The rows that were kept, to be scored once all are there (a row without a score is in no statistic of scores). */
size_t baseline_builder_rows(const struct baseline_builder *builder);
const float *baseline_builder_row(const struct baseline_builder *builder, size_t i); /* row i; the next one follows it */
uint64_t baseline_builder_id(const struct baseline_builder *builder, size_t i);
int64_t baseline_builder_time(const struct baseline_builder *builder, size_t i);
void baseline_builder_score(struct baseline_builder *builder, size_t i, float score, enum decision decision);

struct baseline *baseline_builder_finish(const struct baseline_builder *builder); /* NULL if memory is short */

/* Shares of the whole from total gains; all 0 if the model has none.  Mean contributions from n sampled rows of
 * count + 1 contributions each, the last being the bias. */
void baseline_set_gains(struct baseline *baseline, const double *total_gains);
void baseline_set_contributions(struct baseline *baseline, const float *contributions, size_t n);
