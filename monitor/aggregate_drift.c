/* The DRIFT rows of one window:
 *
 *   each feature in order, subject the feature: psi, kl, js, ks, mean_shift, missing_change, out_of_range_share,
 *     far_values (beyond SKETCH_FAR_SIGMAS baseline deviations; detail: some of them, with partition, offset and sigmas);
 *     missing_rate, mean; contribution (of the baseline's model, over a sample; judged in windows of a day and more)
 *   all features, subject `features`: drifted_share, weighted_psi
 *   each segment in order, subject the field: chi2 (of the values that the baseline names), new_category_share, missing_change, distinct
 *   each model in order, subject `score`: psi, ks
 *
 * All but missing_rate, mean and distinct need a baseline that has the column.  p-values of ks are corrected for the
 * number of features; a feature that the model hardly uses counts one severity less.
 *
 * window_rows.c says what is not judged. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/window_rows.h"

enum { FEATURE_STATISTICS = 6 }; /* psi, kl, js, ks, mean_shift, missing_change */
enum { AT_PSI, AT_KL, AT_JS, AT_KS, AT_MEAN_SHIFT, AT_MISSING };
static const enum statistic_kind kinds[FEATURE_STATISTICS] = {STATISTIC_PSI, STATISTIC_KL, STATISTIC_JS, STATISTIC_KS, STATISTIC_MEAN_SHIFT,
    STATISTIC_MISSING_CHANGE};

/* Fine counts and what is expected of them, and both in the 20 bins. */
struct compared {
    size_t bins, coarse;
    const int64_t *observed;
    int64_t expected[BASELINE_FINE], coarse_observed[BASELINE_COARSE], coarse_expected[BASELINE_COARSE];
    bool comparable; /* in hours of the week */
};

/* ---- counts ---- */

static void compare(const struct rows *rows, const struct baseline_hour_set *hours, size_t column, const struct baseline_column *reference, const int64_t *observed, struct compared *c)
{
    const uint8_t *coarse_of;
    *c = (struct compared){.observed = observed, .bins = sketch_shape_bins(rows->window->shape, column, NULL),
        .coarse = sketch_shape_coarse(rows->window->shape, column, &coarse_of)};
    c->comparable = rows->options->equal_width ? baseline_expected_equal(reference, hours, c->expected) : baseline_expected(reference, hours, rows->options->bins, c->expected);
    for (size_t i = 0; i < c->bins; i++) {
        c->coarse_observed[coarse_of[i]] += observed[i];
        c->coarse_expected[coarse_of[i]] += c->expected[i];
    }
}

static void set_drift(struct rows *rows, size_t i, double psi)
{
    if (rows->window->drift)
        rows->window->drift[i] = psi;
}

/* ---- features ---- */

/* Of a feature that has values. */
static void compare_values(const struct rows *rows, const struct baseline_hour_set *hours, size_t f, struct statistic s[FEATURE_STATISTICS])
{
    const struct sketch_shape *shape = rows->window->shape;
    const struct sketch_feature_counts *counts = sketch_feature(shape, rows->window->cell, f);
    const struct baseline_column *reference = &rows->options->baseline->features[f];
    struct compared c;
    compare(rows, hours, f, reference, counts->bins, &c);
    s[AT_PSI] = statistic_psi(c.coarse_observed, c.coarse_expected, c.coarse, NULL);
    s[AT_KL] = statistic_kl(c.coarse_observed, c.coarse_expected, c.coarse);
    s[AT_JS] = statistic_js(c.coarse_observed, c.coarse_expected, c.coarse);
    s[AT_KS] = statistic_ks(c.observed, c.expected, c.bins, NULL, NULL);
    s[AT_MEAN_SHIFT] = statistic_mean_shift(sketch_feature_mean(shape, rows->window->cell, f), rows->window->cell->events - counts->missing, reference->mean, reference->std, reference->count, NULL);
}

static void compare_feature(const struct rows *rows, const struct baseline_hour_set *hours, void *feature, struct statistic *s)
{
    const size_t f = *(const size_t *)feature;
    const struct sketch_shape *shape = rows->window->shape;
    const struct sketch_cell *cell = rows->window->cell;
    const struct sketch_feature_counts *counts = sketch_feature(shape, cell, f);
    const struct baseline_column *reference = &rows->options->baseline->features[f];
    int64_t there = cell->events - counts->missing, missing, expected_there;
    bool judged = rows_can_judge(rows, baseline_expected_missing(reference, hours, &missing, &expected_there), rows_reach_of(rows, f));
    s[AT_MISSING] = statistic_missing_change(counts->missing, cell->events, missing, missing + expected_there, NULL);
    if (there > 0)
        compare_values(rows, hours, f, s);
    for (size_t i = 0; i < FEATURE_STATISTICS && !judged; i++)
        statistic_leave(&s[i], kinds[i]);
}

/* Returns the PSI against what it is most like. */
static double evaluate_feature(const struct rows *rows, size_t f, struct statistic s[FEATURE_STATISTICS])
{
    static_assert(AT_PSI == 0, "the least of the first is the least PSI");
    compare_feature(rows, rows->hours, &f, s);
    return rows_allow_trends(rows, compare_feature, &f, s, FEATURE_STATISTICS);
}

static void statistic_row(struct rows *rows, size_t f, enum statistic_kind kind, const struct statistic *s)
{
    if (isnan(s->value))
        return;
    double gain = rows->options->baseline->features[f].gain;
    struct report *report = row_add(rows, REPORT_DRIFT, rows->options->features[f], statistic_name(kind), s->value, s->count);
    row_judge(rows, report, s);
    report->importance = gain;
    if (kind == STATISTIC_MISSING_CHANGE) {
        const struct sketch_cell *cell = rows->window->cell;
        row_baseline(rows, report, (double)sketch_feature(rows->window->shape, cell, f)->missing / (double)cell->events - s->value);
    }
    if (kind != STATISTIC_MISSING_CHANGE)
        report->severity = severity_by_importance(report->severity, gain, rows->options->feature_count);
}

static void plain_rows(struct rows *rows, size_t f)
{
    const struct window_rows *w = rows->window;
    const struct sketch_feature_counts *counts = sketch_feature(w->shape, w->cell, f);
    int64_t there = w->cell->events - counts->missing;
    const char *name = rows->options->features[f];
    if (there > 0 && rows->options->baseline) {
        row_add(rows, REPORT_DRIFT, name, "out_of_range_share", (double)(counts->below + counts->above) / (double)there, there);
        far_row_write(rows, f, there);
    }
    if (w->cell->events > 0)
        row_add(rows, REPORT_DRIFT, name, "missing_rate", (double)counts->missing / (double)w->cell->events, w->cell->events);
    if (there == 0)
        return;
    struct report *mean = row_add(rows, REPORT_DRIFT, name, "mean", sketch_feature_mean(w->shape, w->cell, f), there);
    if (rows->options->baseline && rows->options->baseline->features[f].count)
        row_baseline(rows, mean, rows->options->baseline->features[f].mean);
}

static void correct_ks(struct statistic (*all)[FEATURE_STATISTICS], size_t n)
{
    struct statistic *ks = calloc(n + 1, sizeof *ks);
    assert(ks && "memory is short");
    for (size_t f = 0; f < n; f++)
        ks[f] = all[f][AT_KS];
    statistics_correct(ks, n, statistic_limits(STATISTIC_KS));
    for (size_t f = 0; f < n; f++)
        all[f][AT_KS] = ks[f];
    free(ks);
}

/* least: by feature, the PSI against what it is most like. */
static void all_features_rows(struct rows *rows, struct statistic (*all)[FEATURE_STATISTICS], double *least, size_t n)
{
    double *psi = calloc(n + 1, sizeof *psi), *gain = calloc(n + 1, sizeof *gain);
    assert(psi && gain && "memory is short");
    bool known = true, any = false;
    for (size_t f = 0; f < n; f++) {
        psi[f] = all[f][AT_PSI].judged ? all[f][AT_PSI].value : NAN;
        least[f] = isnan(psi[f]) ? NAN : least[f];
        gain[f] = rows->options->baseline->features[f].gain;
        known = known && !isnan(gain[f]);
        any = any || !isnan(psi[f]);
    }
    if (any) {
        struct statistic share = statistic_drifted_share(psi, n, DRIFT_PSI_WARNING, NULL), weighted = statistic_weighted_psi(psi, known ? gain : NULL, n, NULL);
        struct statistic least_share = statistic_drifted_share(least, n, DRIFT_PSI_WARNING, NULL), least_weighted = statistic_weighted_psi(least, known ? gain : NULL, n, NULL);
        statistic_allow(&share, &least_share);
        statistic_allow(&weighted, &least_weighted);
        row_judge(rows, row_add(rows, REPORT_DRIFT, "features", statistic_name(STATISTIC_DRIFTED_SHARE), share.value, share.count), &share);
        row_judge(rows, row_add(rows, REPORT_DRIFT, "features", statistic_name(STATISTIC_WEIGHTED_PSI), weighted.value, weighted.count), &weighted);
    }
    free(psi);
    free(gain);
}

static void feature_rows(struct rows *rows)
{
    size_t n = rows->options->feature_count;
    struct statistic (*all)[FEATURE_STATISTICS] = calloc(n + 1, sizeof *all);
    double *least = calloc(n + 1, sizeof *least);
    assert(all && least && "memory is short");
    for (size_t f = 0; f < n; f++) {
        statistics_clear(all[f], FEATURE_STATISTICS);
        least[f] = NAN;
        if (rows->options->baseline && rows->window->cell->events > 0)
            least[f] = evaluate_feature(rows, f, all[f]);
    }
    correct_ks(all, n);
    for (size_t f = 0; f < n; f++) {
        set_drift(rows, f, all[f][AT_PSI].value);
        for (size_t i = 0; i < FEATURE_STATISTICS; i++)
            statistic_row(rows, f, kinds[i], &all[f][i]);
        plain_rows(rows, f);
        if (rows->options->baseline)
            contribution_row_write(rows, f);
    }
    if (rows->options->baseline)
        all_features_rows(rows, all, least, n);
    free(all);
    free(least);
}

/* ---- segments ---- */

/* The unnamed values that came most often. */
static void name_new_values(struct rows *rows, struct report *report, const struct sketch_values *values)
{
    bool told[SKETCH_VALUES_MAX] = {false};
    for (int n = 0; n < 3; n++) {
        size_t best = SKETCH_VALUES_MAX;
        for (size_t i = 0; i < values->count; i++)
            if (!told[i] && (best == SKETCH_VALUES_MAX || values->of[i].count > values->of[best].count))
                best = i;
        if (best == SKETCH_VALUES_MAX)
            return;
        static const char *const names[] = {"new", "new_2", "new_3"};
        told[best] = true;
        row_detail_text(rows, report, names[n], values->of[best].text, values->of[best].size);
    }
}

/* A segment's values and nulls, and what the hours that it was last compared with had. */
struct mix {
    const struct baseline_segment *reference;
    const int64_t *observed;
    size_t categories;
    int64_t nulls, there;
    int64_t expected[BASELINE_CATEGORIES_MAX + 1];
    double missing_before;
};

static void compare_mix(const struct rows *rows, const struct baseline_hour_set *hours, void *what, struct statistic *chi)
{
    struct mix *m = what;
    bool judged = rows_can_judge(rows, baseline_expected_categories(&m->reference->categories, hours, m->expected), 0);
    *chi = statistic_chi_square(m->observed, m->expected, m->categories > 2 ? m->categories - 1 : m->categories, NULL);
    if (!judged)
        statistic_leave(chi, STATISTIC_CHI_SQUARE); /* a new category is one at any hour */
}

static void compare_nulls(const struct rows *rows, const struct baseline_hour_set *hours, void *what, struct statistic *change)
{
    struct mix *m = what;
    int64_t missing, was_there;
    bool judged = rows_can_judge(rows, baseline_expected_segment_missing(m->reference, hours, &missing, &was_there), 0);
    *change = statistic_missing_change(m->nulls, m->nulls + m->there, missing, missing + was_there, NULL);
    if (!judged)
        statistic_leave(change, STATISTIC_MISSING_CHANGE);
    m->missing_before = (double)missing / (double)(missing + was_there);
}

static void value_rows(struct rows *rows, size_t s, struct mix *m)
{
    const char *field = rows->options->fields[rows->options->segments[s].slot];
    int64_t was_there = 0;
    struct statistic chi;
    compare_mix(rows, rows->hours, m, &chi);
    for (size_t i = 0; i < m->categories; i++)
        was_there += m->expected[i];
    if (m->there <= 0 || was_there <= 0)
        return;
    struct statistic fresh = statistic_new_category(m->observed, m->expected, m->categories, NULL);
    rows_allow_trends(rows, compare_mix, m, &chi, 1);
    if (!isnan(chi.value))
        row_judge(rows, row_add(rows, REPORT_DRIFT, field, statistic_name(STATISTIC_CHI_SQUARE), chi.value, chi.count), &chi);
    struct report *report = row_add(rows, REPORT_DRIFT, field, statistic_name(STATISTIC_NEW_CATEGORY), fresh.value, fresh.count);
    row_judge(rows, report, &fresh);
    name_new_values(rows, report, &rows->window->cell->values[s]);
}

static void null_row(struct rows *rows, size_t s, struct mix *m)
{
    struct statistic change;
    compare_nulls(rows, rows->hours, m, &change);
    double before = m->missing_before;
    if (isnan(change.value))
        return;
    rows_allow_trends(rows, compare_nulls, m, &change, 1);
    struct report *report = row_add(rows, REPORT_DRIFT, rows->options->fields[rows->options->segments[s].slot], statistic_name(STATISTIC_MISSING_CHANGE), change.value, change.count);
    row_judge(rows, report, &change);
    row_baseline(rows, report, before);
}

static void category_rows(struct rows *rows, size_t s, const struct baseline_segment *reference)
{
    const struct sketch_shape *shape = rows->window->shape;
    const struct sketch_segment_counts *counts = sketch_segment_of(shape, rows->window->cell, s);
    struct mix m = {.reference = reference, .observed = counts->categories, .categories = sketch_segment_categories(shape, s), .nulls = counts->nulls};
    assert(m.categories == reference->categories.count + 1 && m.categories <= BASELINE_CATEGORIES_MAX + 1);
    for (size_t i = 0; i < m.categories; i++)
        m.there += m.observed[i];
    value_rows(rows, s, &m);
    null_row(rows, s, &m);
}

static const struct baseline_distinct *expected_distinct(const struct rows *rows, const char *field)
{
    const struct baseline *baseline = rows->options->baseline;
    for (size_t i = 0; baseline && i < baseline->distinct_count; i++)
        if (baseline->distincts[i].window_ms == rows->window->width_ms && !strcmp(baseline->distincts[i].field, field))
            return &baseline->distincts[i];
    return NULL;
}

/* How many values there are follows how many events there are, and the baseline's mean is over all hours: a window is held
 * to it where it has two thirds to three halves of the events of a mean one. */
static bool usual_events(const struct rows *rows)
{
    const struct baseline *baseline = rows->options->baseline;
    double covered_ms = 0;
    for (int h = 0; h < BASELINE_HOURS; h++)
        covered_ms += (double)baseline->hour_covered_ms[h];
    double mean = covered_ms > 0 ? (double)baseline->events / covered_ms * (double)rows->window->width_ms : 0, now = (double)rows->window->cell->events;
    return 3 * now >= 2 * mean && 2 * now <= 3 * mean;
}

static void segment_rows(struct rows *rows)
{
    const struct sketch_cell *cell = rows->window->cell;
    for (size_t s = 0; s < rows->options->segment_count && cell->events > 0; s++) {
        const char *field = rows->options->fields[rows->options->segments[s].slot];
        const struct baseline_segment *reference =
            rows->options->baseline && rows->options->segments[s].valued ? baseline_segment_find(rows->options->baseline, field) : NULL;
        if (reference)
            category_rows(rows, s, reference);
        double distinct = cardinality_estimate(&cell->distinct[s]);
        struct report *report = row_add(rows, REPORT_DRIFT, field, statistic_name(STATISTIC_DISTINCT), distinct, cell->events);
        const struct baseline_distinct *before = expected_distinct(rows, field);
        if (!before)
            continue;
        struct statistic ratio = statistic_distinct(distinct, before->mean, NULL);
        if (!usual_events(rows))
            statistic_leave(&ratio, STATISTIC_DISTINCT);
        row_baseline(rows, report, before->mean);
        row_judge(rows, report, &ratio);
    }
}

/* ---- scores ---- */

enum { SCORE_PSI, SCORE_KS, SCORE_STATISTICS };

static void compare_scores(const struct rows *rows, const struct baseline_hour_set *hours, void *model, struct statistic *s)
{
    const size_t m = *(const size_t *)model;
    struct compared c;
    compare(rows, hours, rows->options->feature_count, &rows->options->baseline->score, sketch_model(rows->window->shape, rows->window->cell, m)->bins, &c);
    s[SCORE_PSI] = statistic_psi(c.coarse_observed, c.coarse_expected, c.coarse, NULL);
    s[SCORE_KS] = statistic_ks(c.observed, c.expected, c.bins, NULL, NULL);
    if (rows_can_judge(rows, c.comparable, rows_reach(rows)))
        return;
    statistic_leave(&s[SCORE_PSI], STATISTIC_PSI);
    statistic_leave(&s[SCORE_KS], STATISTIC_KS);
}

static void score_rows(struct rows *rows, size_t m)
{
    const struct sketch_shape *shape = rows->window->shape;
    const struct baseline *baseline = rows->options->baseline;
    struct statistic s[SCORE_STATISTICS], *psi = &s[SCORE_PSI], *ks = &s[SCORE_KS];
    compare_scores(rows, rows->hours, &m, s);
    set_drift(rows, rows->options->feature_count + m, psi->value);
    rows_allow_trends(rows, compare_scores, &m, s, SCORE_STATISTICS);
    struct report *report = row_add_model(rows, REPORT_DRIFT, m, statistic_name(STATISTIC_PSI), psi->value, psi->count);
    if (baseline->model_id && !strcmp(baseline->model_id, sketch_model_of(shape, m).id)) {
        row_judge(rows, report, psi);
        row_judge(rows, row_add_model(rows, REPORT_DRIFT, m, statistic_name(STATISTIC_KS), ks->value, ks->count), ks);
        return;
    }
    report->judged = false;
    row_detail(rows, report, "\"judged\": false");
    if (baseline->model_id)
        row_detail_text(rows, report, "baseline_model", baseline->model_id, strlen(baseline->model_id));
    else
        row_detail(rows, report, "\"baseline_model\": null");
}

void drift_rows_write(struct rows *rows)
{
    const struct window_rows *w = rows->window;
    feature_rows(rows);
    segment_rows(rows);
    for (size_t m = 0; m < sketch_models(w->shape); m++) {
        set_drift(rows, rows->options->feature_count + m, NAN);
        if (sketch_score_count(w->shape, w->cell, m) > 0 && rows->options->baseline && rows->options->baseline->has_score)
            score_rows(rows, m);
    }
}
