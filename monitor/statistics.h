/* What monitoring evaluates: each statistic with its limit, its p-value where it has one, and what the two say.
 *
 * The numbers themselves are computed in drift.h, divergence.h, kolmogorov.h, chi_square.h, calibration.h and quality.h;
 * here they are judged.  All are pure functions over counts: `observed` now, `expected` the baseline's (of the window's
 * own hours of the week, or the whole: baseline_expected).
 *
 * Judgement.  A value at its limit has crossed it.  With fewer than samples_min values on either side nothing is judged:
 * severity is OK, `judged` false.  A p-value alone raises nothing: where there is one, value or effect must cross its limit
 * AND p must be at most STATISTICS_ALPHA; a window's p-values of one statistic are first corrected for their number by
 * statistics_correct.  (Of a million events Kolmogorov and Smirnov find p < 1e-6 in differences that no model feels.) */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/drift.h"

#define STATISTICS_ALPHA 0.01

struct statistic {
    double value;     /* NaN: over nothing; not evaluated */
    double threshold; /* the limit crossed; where none was, the lower one; NaN: it has none */
    double p_value;   /* NaN: none */
    double effect;    /* what the limits are held against: the value itself, or what stands beside it */
    int64_t count;    /* values now */
    enum severity severity;
    bool judged;
};

/* What an effect is held against (its absolute value).  Infinity: never. */
struct statistic_limits {
    double warning, critical;
    int64_t samples_min; /* on either side */
};

/* The limits when nothing else is asked for. */
enum statistic_kind {
    STATISTIC_PSI,             /* 0.1, 0.2 above what chance gives; 500 samples (drift.h) */
    STATISTIC_KL,              /* published, not judged: PSI is KL both ways */
    STATISTIC_JS,              /* likewise */
    STATISTIC_KS,              /* D 0.1, 0.2; 500 */
    STATISTIC_CHI_SQUARE,      /* Cohen's w 0.3, 0.5; 500 */
    STATISTIC_MEAN_SHIFT,      /* 2, 4 baseline sigmas; 30 */
    STATISTIC_UNCERTAIN_SHARE, /* 0.3, 0.5; 500 */
    STATISTIC_POSITIVE_SHARE,  /* Cohen's h 0.2, 0.5; 500 */
    STATISTIC_MISSING_CHANGE,  /* Cohen's h 0.2, 0.5; 500 */
    STATISTIC_NEW_CATEGORY,    /* share of values 0.005, 0.05 over the baseline's; 500 */
    STATISTIC_DRIFTED_SHARE,   /* of the features 0.3, 0.5; 1 feature */
    STATISTIC_WEIGHTED_PSI,    /* 0.1, 0.2; 1 feature */
    STATISTIC_RATE,            /* |log2(now / expected)| 1, 2: half or twice, a quarter or four times; 100 expected */
    STATISTIC_REJECT_SHARE,    /* Cohen's h 0.2, 0.5; 500 */
    STATISTIC_CONTRIBUTION,    /* a changed sign beyond 3 standard errors: 3, infinity; 30 */
    STATISTIC_DISTINCT,        /* |log2(now / expected)| 1, 2; 30 expected */
    STATISTIC_ECE,             /* 0.05, 0.1; 1000 */
    STATISTIC_KIND_COUNT
};
const struct statistic_limits *statistic_limits(enum statistic_kind kind);
const char *statistic_name(enum statistic_kind kind); /* as reports spell it: "psi", "ks" ... */

/* `limits` NULL: those above.  bins and categories at least 1, the two arrays of one length. */

struct statistic statistic_psi(const int64_t *observed, const int64_t *expected, size_t bins, const struct statistic_limits *limits);
struct statistic statistic_kl(const int64_t *observed, const int64_t *expected, size_t bins);
struct statistic statistic_js(const int64_t *observed, const int64_t *expected, size_t bins);
/* value and effect D; error_bound (NULL: not wanted) as in kolmogorov.h */
struct statistic statistic_ks(const int64_t *observed, const int64_t *expected, size_t bins, double *error_bound, const struct statistic_limits *limits);
/* value chi-square, effect Cohen's w */
struct statistic statistic_chi_square(const int64_t *observed, const int64_t *expected, size_t categories, const struct statistic_limits *limits);
/* The share of the last category (what the baseline has no name for) above the baseline's. */
struct statistic statistic_new_category(const int64_t *observed, const int64_t *expected, size_t categories, const struct statistic_limits *limits);

/* (mean - baseline mean) / baseline std; NaN where the baseline is constant (PSI sees that one move) */
struct statistic statistic_mean_shift(double mean, int64_t n, double baseline_mean, double baseline_std, int64_t m, const struct statistic_limits *limits);
/* Scores in [0.4, 0.6] (as doubles), of n. */
struct statistic statistic_uncertain_share(int64_t uncertain, int64_t n, const struct statistic_limits *limits);
/* value: a/n; effect Cohen's h against b/m; p by chi-square of the two-by-two table */
struct statistic statistic_positive_share(int64_t positives, int64_t n, int64_t baseline_positives, int64_t m, const struct statistic_limits *limits);
struct statistic statistic_reject_share(int64_t rejects, int64_t n, int64_t baseline_rejects, int64_t m, const struct statistic_limits *limits);
/* value: a/n - b/m; the rest likewise */
struct statistic statistic_missing_change(int64_t missing, int64_t n, int64_t baseline_missing, int64_t m, const struct statistic_limits *limits);
/* value: now / expected; effect log2 of it.  Events of a window, where the baseline says how many to expect. */
struct statistic statistic_rate(int64_t now, double expected, const struct statistic_limits *limits);
/* Different values in a window, by cardinality.h, against the baseline's mean of such windows; as statistic_rate. */
struct statistic statistic_distinct(double now, double expected, const struct statistic_limits *limits);
/* Mean contribution of a feature to the margin, of n sampled events, against the baseline's of m.  value: the mean now;
 * effect: 0 unless the sign changed, else the standard errors between the two means. */
struct statistic statistic_contribution(double mean, double std, int64_t n, double baseline_mean, double baseline_std, int64_t m, const struct statistic_limits *limits);
/* From a calibration's bins (calibration.h). */
struct calibration_bin;
struct statistic statistic_ece(const struct calibration_bin *bins, const struct statistic_limits *limits);

/* Over all features of a window: psi[i] NaN is not there.  The share whose PSI is at `limit` or over. */
struct statistic statistic_drifted_share(const double *psi, size_t features, double limit, const struct statistic_limits *limits);
/* sum gain_i psi_i / sum gain_i over the features that have a PSI.  gain NULL, or all 0: every feature weighs the same. */
struct statistic statistic_weighted_psi(const double *psi, const double *gain, size_t features, const struct statistic_limits *limits);

/* It could be computed and not be judged, for reasons of the window. */
void statistic_leave(struct statistic *statistic, enum statistic_kind kind);
/* Benjamini and Hochberg over one statistic of a window's features: p-values become the adjusted ones, and what is over
 * STATISTICS_ALPHA then is OK.  limits: those it was judged by, statistic_limits(kind) if by none. */
void statistics_correct(struct statistic *statistics, size_t n, const struct statistic_limits *limits);
/* One step down for a feature that the model hardly uses: gain (its share of the whole, features' shares add up to 1)
 * below half of an even share, 1 / (2 features).  gain NaN: unknown, nothing changes.  For drift of a distribution;
 * missing values and new categories are faults of the input whatever the model makes of them. */
enum severity severity_by_importance(enum severity severity, double gain, size_t features);
