/* Reference statistics of a model's features, scores, decisions and labels: what monitoring measures against.
 *
 * A column's edges are its quantiles k/240, k = 1..239, each a value of the data: the ceil(k n / 240)-th smallest.
 * They cut the line into 240 fine bins (-inf, e1], (e1, e2] ... (e239, +inf); every 12th edge cuts it into 20
 * coarse bins and every 24th into 10, which are exact unions of fine ones.  Beside them stand 20 bins of equal
 * width between least and greatest value.
 *
 * Ties: a value that repeats makes neighbouring edges equal.  A bin between equal edges holds no value at all, so
 * it is no bin: baseline_cut leaves it out, and B in the statistics is the number of bins that are left (a column of
 * zeros and ones has 3: up to 0, up to 1, beyond).
 *
 * NaN is missing: counted, never binned.  An infinity (a double beyond float32) counts as the largest finite float
 * of its sign.
 *
 * Hours of the week.  What follows the clock is no drift, so every count is also held by the hour of the week of the event
 * time (UTC, 0 = Monday 00:00..01:00, BASELINE_HOURS of them).  The bins are those of the whole.  A window shorter than
 * a week is compared with its own hours where those hold at least BASELINE_HOUR_EVENTS_MIN events, else with these hours
 * of all days where those do, else with the whole: baseline_hours_of says which, baseline_expected gives the counts.
 * Within an hour traffic moves on.  Where a window shorter than an hour differs from its own hour, it is no drift if it lies
 * on the line to the middle of the nearer hour, or on that from the farther hour on (baseline_hours_trends).
 * Of a window shorter than a day the last of these says nothing: a feature that follows the clock differs from the whole
 * at every hour (an hour of the day by a PSI of 7), so what comes of it is published and not judged. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scoring/models/decision.h"

enum {
    BASELINE_FINE = 240,
    BASELINE_COARSE = 20,
    BASELINE_EDGES = BASELINE_FINE - 1,
    BASELINE_EQUAL = 20,
    BASELINE_HOURS = 168,
    BASELINE_HOUR_EVENTS_MIN = 500,
    BASELINE_HOURS_COLUMNS_MAX = 400, /* x 168 hours x (240 + 20 + 1) bins x 4 bytes = 70 MB; with more there are no hours */
    BASELINE_CATEGORIES_MAX = 255, /* named; what is rarer counts as one more, without a name */
    BASELINE_SEGMENTS_MAX = 64,    /* fields */
    BASELINE_CATEGORY_TEXT_MAX = 200, /* bytes; a longer text has no name */
    BASELINE_PARTS_MAX = 32,       /* values of a segment that have statistics of their own */
    BASELINE_REJECTS_MAX = 4096    /* pairs of reason and field */
};

/* Counts by hour of the week: BASELINE_HOURS x bins, of any histogram; NULL: not held. */
struct baseline_hours {
    size_t bins;
    uint32_t *counts;
};

/* One value of a column or field that takes few of them, and how often it came. */
struct baseline_category {
    char *name;    /* text of the value; owned */
    float code;    /* what a feature's column has for it; 0 of a segment */
    int64_t count;
};

/* In order: a feature's by code, a segment's by name.  Counts of categories: the named ones, then all others. */
struct baseline_categories {
    size_t count;
    struct baseline_category *named;
    int64_t other;
    struct baseline_hours hours; /* bins: count + 1, the last being the others */
};

struct baseline_column {
    char *name;      /* owned; "score" for the score */
    int64_t count;   /* values that are there: the sum of counts */
    int64_t missing;
    double min, max, mean, std;   /* population std; all 0 if count is 0 */
    float edges[BASELINE_EDGES];  /* ascending, ties repeated; all 0 if count is 0 */
    int64_t counts[BASELINE_FINE];
    int64_t equal[BASELINE_EQUAL]; /* equal width: baseline_equal_edges */
    struct baseline_hours hours;       /* of counts: 240 bins; none held in a segment's part, nor of more than
                                          BASELINE_HOURS_COLUMNS_MAX columns */
    struct baseline_hours equal_hours; /* of equal */
    struct baseline_hours missing_hours; /* one bin */
    struct baseline_categories *categories; /* of features of a few values (code, equals, in, hours and days); NULL: none */
    double gain;                  /* share of the model's total gain, all columns' add up to 1; NaN: unknown */
    double contribution, contribution_std; /* to the margin, over a sample; NaN: unknown */
    int64_t contribution_count;
};

/* Of a decile of the scores (the ten unions of 24 fine bins) and of a tenth of their range: calibration.h. */
struct baseline_calibration_bin {
    int64_t count, positives;
    double mean_score; /* 0 if count is 0 */
};
struct baseline_calibration {
    int64_t labels, positives;
    struct baseline_calibration_bin decile[10], equal[10];
    double ece, ece_decile, brier, auc, average_precision; /* NaN: not defined (no positives, say) */
};

/* What was made of the scores. */
struct baseline_outcome {
    int64_t decisions[DECISION_COUNT];
    struct baseline_hours decision_hours; /* DECISION_COUNT bins */
    int64_t uncertain;                    /* scores in [0.4, 0.6] */
    bool has_calibration;                 /* there were labels */
    struct baseline_calibration calibration;
};

/* The same of the events whose segment field has one value: wholes, without hours. */
struct baseline_part {
    char *value;
    int64_t events;
    struct baseline_column *features; /* as many as the baseline has */
    bool has_score;
    struct baseline_column score;
    struct baseline_outcome outcome;
};

struct baseline_segment {
    char *field;
    int64_t missing;
    struct baseline_categories categories;
    struct baseline_hours missing_hours; /* one bin */
    size_t part_count; /* 0 unless asked for */
    struct baseline_part *parts; /* the most frequent values, in order of the categories */
};

/* How many different values a field has in tumbling windows of that length, over the whole windows of the baseline. */
struct baseline_distinct {
    char *field;
    int64_t window_ms, windows;
    double mean;
};

struct baseline_reject {
    char *reason, *field; /* field NULL: none */
    int64_t count;
};

struct baseline {
    uint8_t feature_spec_sha256[32];
    char *model_id; /* whose scores; NULL: none */
    /* What it was made from. */
    int64_t from_ms, to_ms;   /* first and last event time; both 0: times were not known, and there are no hours */
    int64_t events;           /* all of them, and by hour of the week */
    int64_t hour_events[BASELINE_HOURS];
    int64_t hour_covered_ms[BASELINE_HOURS]; /* how much of [from, to] lay in that hour of the week */
    int64_t sampled;          /* events that the columns are of; fewer than `events` if there were too many to keep */
    int64_t records;          /* events and rejects */
    size_t reject_count;
    struct baseline_reject *rejects; /* in order of reason and field */
    /* Columns. */
    size_t count;
    struct baseline_column *features;
    bool has_score;
    struct baseline_column score;
    struct baseline_outcome outcome;
    /* Input fields. */
    size_t segment_count;
    struct baseline_segment *segments;
    size_t distinct_count;
    struct baseline_distinct *distincts;
};

/* An empty one with room for `count` columns, for whoever fills it (the file, the builder: baseline_builder.h). */
struct baseline *baseline_create(size_t count);
void baseline_destroy(struct baseline *baseline);
/* From n rows (row-major, n x count) and their scores (NULL: none), without times, so without hours.  Texts are
 * copied.  NULL if memory is short. */
struct baseline *baseline_create_from_rows(const char *const *names, size_t count, const float *rows, const float *scores,
                                           size_t n, const uint8_t feature_spec_sha256[32], const char *model_id);

/* A column in `bins` (20 or 240) bins without the empty ones that ties leave: edges[0..B-2] strictly ascending,
 * counts[0..B-1].  Returns B, at least 1.  Both arrays have room for `bins`. */
size_t baseline_cut(const struct baseline_column *column, size_t bins, float *edges, int64_t *counts);
/* The same of the 20 bins of equal width. */
size_t baseline_cut_equal(const struct baseline_column *column, float *edges, int64_t *counts);
/* Edge i (1..19) of the bins of equal width as a float: min + i (max - min) / 20, computed in double, rounded, held to
 * the range.  Ties, where the range is a few floats wide, as with quantiles. */
void baseline_equal_edges(const struct baseline_column *column, float edges[BASELINE_EQUAL - 1]);
/* Quantile 1, 2 or 3 of 4; NaN without values. */
double baseline_quartile(const struct baseline_column *column, int quartile);
/* The nine edges that cut scores into deciles. */
void baseline_deciles(const struct baseline_column *score, float edges[9]);

/* Hours of the week. */
struct baseline_hour_set {
    bool hours[BASELINE_HOURS];
    int beside, parts; /* of 24 parts so many are that hour's shares; below 0: it moves away from it; 0: none */
};
enum { BASELINE_TRENDS = 2 };
int baseline_hour_of_week(int64_t time_ms); /* 0..167, Monday 00:00 UTC first */
/* Those that [from, to) touches.  False: it is a week or longer, and the whole is what it is compared with. */
bool baseline_hours_of(int64_t from_ms, int64_t to_ms, struct baseline_hour_set *set);
/* Its hour with what it may have moved by since, or until, the middle.  Returns how many: 0 where it is no part of one hour, or
 * its middle is the hour's. */
size_t baseline_hours_trends(int64_t from_ms, int64_t to_ms, struct baseline_hour_set sets[BASELINE_TRENDS]);

/* What to compare a window with: the column's counts (there and missing) of these hours, else of these hours of all days, if
 * they hold at least BASELINE_HOUR_EVENTS_MIN events, else of the whole (set NULL: the whole).  Returns whether the window
 * can be held against them: false where it has hours, the baseline does too, and the whole was all that there was. */
bool baseline_expected(const struct baseline_column *column, const struct baseline_hour_set *set, size_t bins, int64_t *counts); /* as baseline_cut's */
bool baseline_expected_equal(const struct baseline_column *column, const struct baseline_hour_set *set, int64_t *counts); /* as baseline_cut_equal's */
bool baseline_expected_missing(const struct baseline_column *column, const struct baseline_hour_set *set, int64_t *missing, int64_t *there);
bool baseline_expected_categories(const struct baseline_categories *categories, const struct baseline_hour_set *set, int64_t *counts); /* count + 1 */
bool baseline_expected_segment_missing(const struct baseline_segment *segment, const struct baseline_hour_set *set, int64_t *missing, int64_t *there);
bool baseline_expected_decisions(const struct baseline_outcome *outcome, const struct baseline_hour_set *set, int64_t counts[DECISION_COUNT]);
/* How many events [from, to) would have, by the baseline's rate in those hours of the week; where it covered less than an
 * hour of them, by the rate of the whole.  NaN without times. */
double baseline_expected_events(const struct baseline *baseline, int64_t from_ms, int64_t to_ms);

/* Which category: of a feature's value, or of a field's text; `count` (the last) for what has no name. */
size_t baseline_category_of_code(const struct baseline_categories *categories, float code);
size_t baseline_category_of_text(const struct baseline_categories *categories, const char *text, size_t size);
const struct baseline_segment *baseline_segment_find(const struct baseline *baseline, const char *field); /* NULL */
