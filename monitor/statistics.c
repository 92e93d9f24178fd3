#include "monitor/statistics.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "monitor/calibration.h"
#include "monitor/chi_square.h"
#include "monitor/divergence.h"
#include "monitor/false_discovery.h"
#include "monitor/kolmogorov.h"

static const struct {
    const char *name;
    struct statistic_limits limits;
} kinds[STATISTIC_KIND_COUNT] = {
    [STATISTIC_PSI] = {"psi", {DRIFT_PSI_WARNING, DRIFT_PSI_CRITICAL, DRIFT_SAMPLES_MIN}},
    [STATISTIC_KL] = {"kl", {INFINITY, INFINITY, DRIFT_SAMPLES_MIN}},
    [STATISTIC_JS] = {"js", {INFINITY, INFINITY, DRIFT_SAMPLES_MIN}},
    [STATISTIC_KS] = {"ks", {0.1, 0.2, 500}},
    [STATISTIC_CHI_SQUARE] = {"chi2", {0.3, 0.5, 500}},
    [STATISTIC_MEAN_SHIFT] = {"mean_shift", {2, 4, 30}},
    [STATISTIC_UNCERTAIN_SHARE] = {"uncertain_share", {0.3, 0.5, 500}},
    [STATISTIC_POSITIVE_SHARE] = {"positive_share", {0.2, 0.5, 500}},
    [STATISTIC_MISSING_CHANGE] = {"missing_change", {0.2, 0.5, 500}},
    [STATISTIC_NEW_CATEGORY] = {"new_category_share", {0.005, 0.05, 500}},
    [STATISTIC_DRIFTED_SHARE] = {"drifted_share", {0.3, 0.5, 1}},
    [STATISTIC_WEIGHTED_PSI] = {"weighted_psi", {DRIFT_PSI_WARNING, DRIFT_PSI_CRITICAL, 1}},
    [STATISTIC_RATE] = {"rate", {1, 2, 100}},
    [STATISTIC_REJECT_SHARE] = {"reject_share", {0.2, 0.5, 500}},
    [STATISTIC_CONTRIBUTION] = {"contribution", {3, INFINITY, 30}},
    [STATISTIC_DISTINCT] = {"distinct", {1, 2, 30}},
    [STATISTIC_ECE] = {"ece", {0.05, 0.1, 1000}},
};

const struct statistic_limits *statistic_limits(enum statistic_kind kind)
{
    return &kinds[kind].limits;
}

const char *statistic_name(enum statistic_kind kind)
{
    return kinds[kind].name;
}

/* Fills threshold, severity and judged: `effect` against the limits, where there are `samples` on both sides, and a
 * p-value, if there is one, that says so too. */
static struct statistic judge(struct statistic s, enum statistic_kind kind, const struct statistic_limits *limits, int64_t samples, int64_t baseline_samples)
{
    limits = limits ? limits : statistic_limits(kind);
    double size = fabs(s.effect);
    s.judged = !isnan(s.value) && !isinf(limits->warning) && samples >= limits->samples_min && baseline_samples >= limits->samples_min;
    if (s.judged && !(s.p_value > STATISTICS_ALPHA))
        s.severity = size >= limits->critical ? SEVERITY_CRITICAL : size >= limits->warning ? SEVERITY_WARNING : SEVERITY_OK;
    s.threshold = s.severity == SEVERITY_CRITICAL ? limits->critical : isinf(limits->warning) ? NAN : limits->warning;
    return s;
}

static int64_t total(const int64_t *counts, size_t bins)
{
    int64_t sum = 0;
    for (size_t i = 0; i < bins; i++)
        sum += counts[i];
    return sum;
}

/* ---- histograms ---- */

static struct statistic of_divergence(double value, enum statistic_kind kind, const int64_t *observed, const int64_t *expected, size_t bins,
                                      const struct statistic_limits *limits)
{
    int64_t n = total(observed, bins), m = total(expected, bins);
    value = n && m ? value : NAN;
    return judge((struct statistic){.value = value, .effect = value, .p_value = NAN, .count = n}, kind, limits, n, m);
}

struct statistic statistic_psi(const int64_t *observed, const int64_t *expected, size_t bins, const struct statistic_limits *limits)
{
    double psi = drift_psi(observed, expected, bins);
    int64_t n = total(observed, bins), m = total(expected, bins);
    struct statistic s = {.value = n && m ? psi : NAN, .effect = n && m ? psi - drift_psi_by_chance(n, m, bins) : NAN, .p_value = NAN, .count = n};
    s = judge(s, STATISTIC_PSI, limits, n, m);
    s.effect = s.value;
    return s;
}

struct statistic statistic_kl(const int64_t *observed, const int64_t *expected, size_t bins)
{
    return of_divergence(divergence_kl(observed, expected, bins), STATISTIC_KL, observed, expected, bins, NULL);
}

struct statistic statistic_js(const int64_t *observed, const int64_t *expected, size_t bins)
{
    return of_divergence(divergence_js(observed, expected, bins), STATISTIC_JS, observed, expected, bins, NULL);
}

struct statistic statistic_ks(const int64_t *observed, const int64_t *expected, size_t bins, double *error_bound, const struct statistic_limits *limits)
{
    struct kolmogorov test = kolmogorov_test(observed, expected, bins);
    int64_t n = total(observed, bins), m = total(expected, bins);
    if (error_bound)
        *error_bound = test.error_bound;
    return judge((struct statistic){.value = test.d, .effect = test.d, .p_value = test.p_value, .count = n}, STATISTIC_KS, limits, n, m);
}

struct statistic statistic_chi_square(const int64_t *observed, const int64_t *expected, size_t categories, const struct statistic_limits *limits)
{
    struct chi_square test = chi_square_test(observed, expected, categories);
    int64_t n = total(observed, categories), m = total(expected, categories);
    double effect = isnan(test.value) ? NAN : divergence_cohen_w(observed, expected, categories);
    return judge((struct statistic){.value = test.value, .effect = effect, .p_value = test.p_value, .count = n}, STATISTIC_CHI_SQUARE, limits, n, m);
}

struct statistic statistic_new_category(const int64_t *observed, const int64_t *expected, size_t categories, const struct statistic_limits *limits)
{
    int64_t n = total(observed, categories), m = total(expected, categories);
    double value = n && m ? (double)observed[categories - 1] / (double)n - (double)expected[categories - 1] / (double)m : NAN;
    value = value < 0 ? 0 : value;
    return judge((struct statistic){.value = value, .effect = value, .p_value = NAN, .count = n}, STATISTIC_NEW_CATEGORY, limits, n, m);
}

/* ---- shares and means ---- */

/* a of n against b of m. */
static struct statistic of_shares(double value, enum statistic_kind kind, int64_t a, int64_t n, int64_t b, int64_t m, const struct statistic_limits *limits)
{
    struct chi_square test = chi_square_test((int64_t[]){a, n - a}, (int64_t[]){b, m - b}, 2);
    return judge((struct statistic){.value = value, .effect = divergence_cohen_h(a, n, b, m), .p_value = test.p_value, .count = n}, kind, limits, n, m);
}

static double share(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

struct statistic statistic_positive_share(int64_t positives, int64_t n, int64_t baseline_positives, int64_t m, const struct statistic_limits *limits)
{
    return of_shares(share(positives, n), STATISTIC_POSITIVE_SHARE, positives, n, baseline_positives, m, limits);
}

struct statistic statistic_reject_share(int64_t rejects, int64_t n, int64_t baseline_rejects, int64_t m, const struct statistic_limits *limits)
{
    return of_shares(share(rejects, n), STATISTIC_REJECT_SHARE, rejects, n, baseline_rejects, m, limits);
}

struct statistic statistic_missing_change(int64_t missing, int64_t n, int64_t baseline_missing, int64_t m, const struct statistic_limits *limits)
{
    return of_shares(share(missing, n) - share(baseline_missing, m), STATISTIC_MISSING_CHANGE, missing, n, baseline_missing, m, limits);
}

struct statistic statistic_uncertain_share(int64_t uncertain, int64_t n, const struct statistic_limits *limits)
{
    double value = share(uncertain, n);
    return judge((struct statistic){.value = value, .effect = value, .p_value = NAN, .count = n}, STATISTIC_UNCERTAIN_SHARE, limits, n, INT64_MAX);
}

struct statistic statistic_mean_shift(double mean, int64_t n, double baseline_mean, double baseline_std, int64_t m, const struct statistic_limits *limits)
{
    double value = n && m && baseline_std > 0 ? (mean - baseline_mean) / baseline_std : NAN;
    return judge((struct statistic){.value = value, .effect = value, .p_value = NAN, .count = n}, STATISTIC_MEAN_SHIFT, limits, n, m);
}

static bool changed_sign(double a, double b)
{
    return (a > 0 && b < 0) || (a < 0 && b > 0);
}

struct statistic statistic_contribution(double mean, double std, int64_t n, double baseline_mean, double baseline_std, int64_t m, const struct statistic_limits *limits)
{
    double value = n && m ? mean : NAN, effect = 0;
    if (n && m && changed_sign(mean, baseline_mean)) {
        double error = sqrt(std * std / (double)n + baseline_std * baseline_std / (double)m);
        effect = error > 0 ? fabs(mean - baseline_mean) / error : INFINITY;
    }
    return judge((struct statistic){.value = value, .effect = effect, .p_value = NAN, .count = n}, STATISTIC_CONTRIBUTION, limits, n, m);
}

/* ---- amounts ---- */

/* One is added to both, so that nothing at all has an effect too. */
static struct statistic of_ratio(double now, double expected, enum statistic_kind kind, const struct statistic_limits *limits)
{
    double value = expected > 0 ? now / expected : NAN;
    double effect = expected > 0 ? log2((now + 1) / (expected + 1)) : NAN;
    return judge((struct statistic){.value = value, .effect = effect, .p_value = NAN, .count = llrint(now)}, kind, limits, INT64_MAX,
                 expected > 0 ? llrint(fmin(expected, 0x1p62)) : 0);
}

struct statistic statistic_rate(int64_t now, double expected, const struct statistic_limits *limits)
{
    return of_ratio((double)now, expected, STATISTIC_RATE, limits);
}

struct statistic statistic_distinct(double now, double expected, const struct statistic_limits *limits)
{
    return of_ratio(now, expected, STATISTIC_DISTINCT, limits);
}

struct statistic statistic_ece(const struct calibration_bin *bins, const struct statistic_limits *limits)
{
    int64_t n = 0;
    for (size_t i = 0; i < CALIBRATION_BINS; i++)
        n += bins[i].count;
    double value = calibration_ece(bins);
    return judge((struct statistic){.value = value, .effect = value, .p_value = NAN, .count = n}, STATISTIC_ECE, limits, n, INT64_MAX);
}

/* ---- over all features ---- */

struct statistic statistic_drifted_share(const double *psi, size_t features, double limit, const struct statistic_limits *limits)
{
    int64_t there = 0, drifted = 0;
    for (size_t i = 0; i < features; i++) {
        there += !isnan(psi[i]);
        drifted += psi[i] >= limit;
    }
    double value = share(drifted, there);
    return judge((struct statistic){.value = value, .effect = value, .p_value = NAN, .count = there}, STATISTIC_DRIFTED_SHARE, limits, there, INT64_MAX);
}

static double sum_where(const double *weights, const double *psi, size_t features)
{
    double sum = 0;
    for (size_t i = 0; weights && i < features; i++)
        sum += isnan(psi[i]) || isnan(weights[i]) ? 0 : weights[i];
    return sum;
}

struct statistic statistic_weighted_psi(const double *psi, const double *gain, size_t features, const struct statistic_limits *limits)
{
    double weights = sum_where(gain, psi, features), sum = 0;
    bool even = !(weights > 0);
    int64_t there = 0;
    for (size_t i = 0; i < features; i++) {
        if (isnan(psi[i]))
            continue;
        there++;
        sum += even ? psi[i] : isnan(gain[i]) ? 0 : gain[i] * psi[i];
    }
    double value = there ? sum / (even ? (double)there : weights) : NAN;
    return judge((struct statistic){.value = value, .effect = value, .p_value = NAN, .count = there}, STATISTIC_WEIGHTED_PSI, limits, there, INT64_MAX);
}

void statistic_leave(struct statistic *s, enum statistic_kind kind)
{
    if (s->severity != SEVERITY_OK)
        s->threshold = statistic_limits(kind)->warning;
    s->judged = false;
    s->severity = SEVERITY_OK;
}

void statistics_correct(struct statistic *statistics, size_t n, const struct statistic_limits *limits)
{
    double *p_values = calloc(n + 1, sizeof *p_values);
    assert(p_values && "memory is short");
    for (size_t i = 0; i < n; i++)
        p_values[i] = statistics[i].p_value;
    false_discovery_adjust(p_values, n);
    for (size_t i = 0; i < n; i++) {
        statistics[i].p_value = p_values[i];
        if (p_values[i] > STATISTICS_ALPHA && statistics[i].severity != SEVERITY_OK) {
            statistics[i].severity = SEVERITY_OK;
            statistics[i].threshold = limits->warning;
        }
    }
    free(p_values);
}

enum severity severity_by_importance(enum severity severity, double gain, size_t features)
{
    bool hardly_used = gain < 1 / (2 * (double)features); /* false of NaN */
    return hardly_used && severity > SEVERITY_OK ? severity - 1 : severity;
}
