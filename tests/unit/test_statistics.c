/* What is judged, and what is not: limits, samples, p-values beside effects, importance. (The numbers themselves:
 * test_statistics.py.) */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/calibration.h"
#include "monitor/quality.h"
#include "monitor/statistics.h"
#include "tests/unit/assert_near.h"


static void a_p_value_alone_raises_nothing(void **state)
{
    (void)state;
    /* A million events, a shift of 0.4 %: certain, and of no account. */
    int64_t observed[] = {502 * 1000, 498 * 1000}, expected[] = {500 * 1000, 500 * 1000};
    struct statistic ks = statistic_ks(observed, expected, 2, NULL, NULL);
    struct statistic chi = statistic_chi_square(observed, expected, 2, NULL);
    assert_true(ks.judged && ks.p_value < 0.05 && ks.severity == SEVERITY_OK);
    assert_true(chi.judged && chi.p_value < 0.01 && chi.severity == SEVERITY_OK);
    assert_true(isnan(ks.threshold) == false && ks.threshold == 0.1);
}

static void an_effect_without_a_p_value_raises_nothing(void **state)
{
    (void)state;
    /* 400 categories, one event each on average: w is over 0.5 by chance alone. */
    int64_t observed[400], expected[400];
    for (int i = 0; i < 400; i++) {
        observed[i] = i % 3;
        expected[i] = 100;
    }
    observed[2] += 110;
    struct statistic s = statistic_chi_square(observed, expected, 400, &(struct statistic_limits){0.3, 0.5, 1});
    assert_true(s.effect > 0.5 && s.p_value < 0.01 && s.severity == SEVERITY_CRITICAL); /* this one is real */
    for (int i = 0; i < 400; i++)
        observed[i] = i % 3;
    s = statistic_chi_square(observed, expected, 400, &(struct statistic_limits){0.3, 0.5, 1});
    assert_true(s.effect > 0.3 && s.p_value > 0.9);
    assert_int_equal(s.severity, SEVERITY_OK);
}

static void both_together_do(void **state)
{
    (void)state;
    int64_t observed[] = {620, 380}, expected[] = {50000, 50000};
    struct statistic s = statistic_ks(observed, expected, 2, NULL, NULL);
    assert_near(s.value, 0.12, 1e-12);
    assert_int_equal(s.severity, SEVERITY_WARNING);
    assert_near(s.threshold, 0.1, 0);
    observed[0] = 720, observed[1] = 280;
    s = statistic_ks(observed, expected, 2, NULL, NULL);
    assert_int_equal(s.severity, SEVERITY_CRITICAL);
    assert_near(s.threshold, 0.2, 0);
    assert_int_equal(s.count, 1000);
}

static void too_few_samples_are_not_judged(void **state)
{
    (void)state;
    int64_t few[] = {499, 0}, enough[] = {500, 0}, expected[] = {1, 9999}, thin[] = {1, 498};
    assert_false(statistic_psi(few, expected, 2, NULL).judged);
    assert_int_equal(statistic_psi(few, expected, 2, NULL).severity, SEVERITY_OK);
    assert_false(statistic_psi(enough, thin, 2, NULL).judged);
    assert_true(statistic_psi(enough, expected, 2, NULL).judged);
    assert_int_equal(statistic_psi(enough, expected, 2, NULL).severity, SEVERITY_CRITICAL);
    assert_true(statistic_psi(few, expected, 2, &(struct statistic_limits){0.1, 0.2, 499}).judged);
}

static void nothing_on_a_side_is_no_value(void **state)
{
    (void)state;
    int64_t none[] = {0, 0}, some[] = {600, 700};
    struct statistic all[] = {statistic_psi(none, some, 2, NULL), statistic_kl(some, none, 2), statistic_js(none, some, 2),
        statistic_ks(none, some, 2, NULL, NULL), statistic_chi_square(some, none, 2, NULL), statistic_new_category(none, some, 2, NULL),
        statistic_mean_shift(1, 0, 0, 1, 5000, NULL), statistic_positive_share(0, 0, 1, 5000, NULL),
        statistic_uncertain_share(0, 0, NULL), statistic_rate(5, 0, NULL), statistic_rate(5, NAN, NULL), statistic_distinct(5, NAN, NULL),
        statistic_contribution(0, 0, 0, 0.1, 1, 100, NULL), statistic_ece((struct calibration_bin[CALIBRATION_BINS]){0}, NULL),
        statistic_drifted_share((double[]){NAN}, 1, 0.1, NULL), statistic_weighted_psi((double[]){NAN}, NULL, 1, NULL)};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!isnan(all[i].value) || all[i].judged || all[i].severity != SEVERITY_OK)
            fail_msg("entry %zu: %g", i, all[i].value);
}

static void divergences_are_published_and_not_judged(void **state)
{
    (void)state;
    int64_t observed[] = {5000, 0}, expected[] = {0, 5000};
    struct statistic s = statistic_kl(observed, expected, 2);
    assert_true(s.value > 5 && !s.judged && s.severity == SEVERITY_OK && isnan(s.threshold));
}

static void a_mean_moves_by_baseline_sigmas(void **state)
{
    (void)state;
    assert_near(statistic_mean_shift(15, 100, 10, 2, 5000, NULL).value, 2.5, 0);
    assert_int_equal(statistic_mean_shift(15, 100, 10, 2, 5000, NULL).severity, SEVERITY_WARNING);
    assert_int_equal(statistic_mean_shift(5, 100, 10, 2, 5000, NULL).severity, SEVERITY_WARNING);
    assert_int_equal(statistic_mean_shift(18, 100, 10, 2, 5000, NULL).severity, SEVERITY_CRITICAL);
    assert_int_equal(statistic_mean_shift(13.9, 100, 10, 2, 5000, NULL).severity, SEVERITY_OK);
    assert_true(isnan(statistic_mean_shift(15, 100, 10, 0, 5000, NULL).value)); /* a constant: PSI sees it */
}

static void shares(void **state)
{
    (void)state;
    /* A field gone null, a little more missing, a lot of events with as many missing as ever. */
    assert_int_equal(statistic_missing_change(5000, 5000, 10, 100000, NULL).severity, SEVERITY_CRITICAL);
    assert_int_equal(statistic_missing_change(100, 5000, 100, 100000, NULL).severity, SEVERITY_WARNING); /* 0.1 % to 2 % */
    assert_int_equal(statistic_missing_change(6, 5000, 100, 100000, NULL).severity, SEVERITY_OK);
    assert_near(statistic_missing_change(100, 5000, 100, 100000, NULL).value, 0.019, 1e-15);
    assert_int_equal(statistic_missing_change(0, 5000, 100000, 100000, NULL).severity, SEVERITY_CRITICAL); /* and back */
    assert_int_equal(statistic_positive_share(300, 5000, 1000, 100000, NULL).severity, SEVERITY_WARNING); /* 1 % to 6 % */
    assert_int_equal(statistic_positive_share(75, 5000, 1000, 100000, NULL).severity, SEVERITY_OK);
    assert_near(statistic_positive_share(75, 5000, 1000, 100000, NULL).value, 0.015, 0);
    assert_int_equal(statistic_uncertain_share(1500, 5000, NULL).severity, SEVERITY_WARNING);
    assert_int_equal(statistic_uncertain_share(1499, 5000, NULL).severity, SEVERITY_OK);
    assert_int_equal(statistic_new_category((int64_t[]){4000, 900, 100}, (int64_t[]){80000, 20000, 0}, 3, NULL).severity, SEVERITY_WARNING);
    assert_int_equal(statistic_new_category((int64_t[]){5000, 0, 0}, (int64_t[]){80000, 20000, 5000}, 3, NULL).severity, SEVERITY_OK);
}

static void a_stopped_input_has_an_effect(void **state)
{
    (void)state;
    assert_int_equal(statistic_rate(0, 100, NULL).severity, SEVERITY_CRITICAL);
    assert_int_equal(statistic_rate(0, 99, NULL).severity, SEVERITY_OK);
    assert_int_equal(statistic_rate(499, 1000, NULL).severity, SEVERITY_WARNING);
    assert_int_equal(statistic_rate(510, 1000, NULL).severity, SEVERITY_OK);
    assert_int_equal(statistic_rate(2010, 1000, NULL).severity, SEVERITY_WARNING);
    assert_near(statistic_rate(2010, 1000, NULL).value, 2.01, 1e-15);
}

static void a_contribution_that_changed_its_sign(void **state)
{
    (void)state;
    assert_int_equal(statistic_contribution(-0.1, 0.5, 1000, 0.2, 0.5, 10000, NULL).severity, SEVERITY_WARNING);
    assert_int_equal(statistic_contribution(0.9, 0.5, 1000, 0.2, 0.5, 10000, NULL).severity, SEVERITY_OK);   /* grew */
    assert_int_equal(statistic_contribution(-0.001, 0.5, 1000, 0.001, 0.5, 10000, NULL).severity, SEVERITY_OK); /* noise about 0 */
}

static void many_tests_are_corrected(void **state)
{
    (void)state;
    enum { FEATURES = 100 };
    struct statistic all[FEATURES];
    for (int i = 0; i < FEATURES; i++)
        all[i] = (struct statistic){.value = 0.3, .effect = 0.3, .threshold = 0.2, .p_value = 0.5, .severity = SEVERITY_OK, .judged = true};
    all[3].p_value = 0.005, all[3].severity = SEVERITY_CRITICAL;  /* one in a hundred: chance */
    all[7].p_value = 0.00001, all[7].severity = SEVERITY_CRITICAL;
    all[9].p_value = NAN, all[9].severity = SEVERITY_WARNING;     /* not a test */
    statistics_correct(all, FEATURES, statistic_limits(STATISTIC_KS));
    assert_near(all[7].p_value, 0.00099, 1e-15);
    assert_int_equal(all[7].severity, SEVERITY_CRITICAL);
    assert_near(all[3].p_value, 0.2475, 1e-12);
    assert_int_equal(all[3].severity, SEVERITY_OK);
    assert_near(all[3].threshold, 0.1, 0);
    assert_true(isnan(all[9].p_value) && all[9].severity == SEVERITY_WARNING);
}

static void an_unimportant_feature_pages_nobody(void **state)
{
    (void)state;
    assert_int_equal(severity_by_importance(SEVERITY_CRITICAL, 0.004, 100), SEVERITY_WARNING);
    assert_int_equal(severity_by_importance(SEVERITY_WARNING, 0, 100), SEVERITY_OK);
    assert_int_equal(severity_by_importance(SEVERITY_CRITICAL, 0.005, 100), SEVERITY_CRITICAL);
    assert_int_equal(severity_by_importance(SEVERITY_CRITICAL, NAN, 100), SEVERITY_CRITICAL);
    assert_int_equal(severity_by_importance(SEVERITY_OK, 0, 100), SEVERITY_OK);
}

static void drift_over_all_features(void **state)
{
    (void)state;
    const double psi[] = {0.4, 0.1, NAN, 0.05}, gain[] = {0.1, 0.7, 0.1, 0.1}, unused[] = {0, 0, 1, 0};
    struct statistic s = statistic_weighted_psi(psi, gain, 4, NULL);
    assert_near(s.value, (0.04 + 0.07 + 0.005) / 0.9, 1e-15);
    assert_int_equal(s.severity, SEVERITY_WARNING);
    assert_int_equal(s.count, 3);
    assert_near(statistic_weighted_psi(psi, NULL, 4, NULL).value, 0.55 / 3, 1e-15);
    assert_near(statistic_weighted_psi(psi, unused, 4, NULL).value, 0.55 / 3, 1e-15);
    s = statistic_drifted_share(psi, 4, 0.1, NULL);
    assert_near(s.value, 2.0 / 3, 1e-15);
    assert_int_equal(s.severity, SEVERITY_CRITICAL);
}

static void every_kind_has_a_name_and_limits(void **state)
{
    (void)state;
    for (int kind = 0; kind < STATISTIC_KIND_COUNT; kind++) {
        assert_non_null(statistic_name(kind));
        assert_true(statistic_limits(kind)->warning > 0 && statistic_limits(kind)->critical >= statistic_limits(kind)->warning &&
                    statistic_limits(kind)->samples_min > 0);
    }
}

/* ---- calibration and quality ---- */

static void a_calibration_merges_exactly(void **state)
{
    (void)state;
    const float deciles[] = {0.05f, 0.1f, 0.15f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.8f};
    struct calibration whole = {0}, parts[7] = {0}, merged = {0};
    for (int i = 0; i < 5000; i++) {
        float score = (float)((i * 7919) % 5003) / 5003.0f;
        calibration_add(&whole, deciles, score, i % 3 == 0);
        calibration_add(&parts[(i * 31) % 7], deciles, score, i % 3 == 0);
    }
    for (int i = 6; i >= 0; i--)
        calibration_merge(&merged, &parts[i]);
    assert_memory_equal(&whole, &merged, sizeof whole);
    assert_int_equal(calibration_count(&whole), 5000);
    assert_int_equal(calibration_positives(&whole), 1667);
}

static void an_edge_belongs_to_the_bin_on_its_left(void **state)
{
    (void)state;
    struct calibration c = {0};
    const float scores[] = {0, 0.1f, 0.5f, 0.50000006f, 1, 2, -1}; /* 0.1f is just above 0.1; beyond [0, 1] is held to it */
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++)
        calibration_add(&c, NULL, scores[i], 0);
    const int64_t expected[CALIBRATION_BINS] = {2, 1, 0, 0, 1, 1, 0, 0, 0, 2};
    for (size_t i = 0; i < CALIBRATION_BINS; i++)
        assert_int_equal(c.equal[i].count, expected[i]);
    assert_int_equal(c.decile[0].count, 0);
}

static void value_caught_and_missed(void **state)
{
    (void)state;
    struct value_outcome v = {0};
    assert_true(isnan(quality_value_recall(&v)));
    quality_count_value(&v, 0.9f, 1, 300, 0.5);
    quality_count_value(&v, 0.5f, 1, 50, 0.5);
    quality_count_value(&v, 0.4f, 1, 150, 0.5);
    quality_count_value(&v, 0.6f, 0, 70, 0.5);
    quality_count_value(&v, 0.1f, 0, 9999, 0.5);
    assert_true(v.caught == 350 && v.missed == 150 && v.stopped == 70);
    assert_near(quality_value_recall(&v), 0.7, 0);
}

static void a_ranking_from_bins_is_within_its_error(void **state)
{
    (void)state;
    enum { N = 3000, BINS = 20 };
    static struct scored events[N];
    int64_t positives[BINS] = {0}, negatives[BINS] = {0};
    for (int i = 0; i < N; i++) {
        float score = (float)((i * 7919) % 3001) / 3001.0f;
        events[i] = (struct scored){score, (i * 31) % 3001 < (int)(3001 * score)};
        (events[i].label ? positives : negatives)[(size_t)(score * BINS)]++;
    }
    struct binned_ranking binned = quality_rank_bins(positives, negatives, BINS);
    struct ranking exact = quality_rank(events, N);
    assert_int_equal(binned.ranking.positives, exact.positives);
    assert_true(binned.auc_error > 0 && binned.auc_error < 0.05);
    assert_true(fabs(binned.ranking.auc - exact.auc) <= binned.auc_error);
    /* A bin for each score: the same number. */
    struct binned_ranking fine = quality_rank_bins((int64_t[]){0, 1, 2}, (int64_t[]){3, 1, 0}, 3);
    struct scored same[] = {{0, 0}, {0, 0}, {0, 0}, {0.5f, 1}, {0.5f, 0}, {1, 1}, {1, 1}};
    assert_near(fine.ranking.auc, quality_rank(same, 7).auc, 0);
    assert_near(fine.ranking.average_precision, quality_rank(same, 7).average_precision, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_p_value_alone_raises_nothing), cmocka_unit_test(an_effect_without_a_p_value_raises_nothing),
        cmocka_unit_test(both_together_do), cmocka_unit_test(too_few_samples_are_not_judged),
        cmocka_unit_test(nothing_on_a_side_is_no_value), cmocka_unit_test(divergences_are_published_and_not_judged),
        cmocka_unit_test(a_mean_moves_by_baseline_sigmas), cmocka_unit_test(shares), cmocka_unit_test(a_stopped_input_has_an_effect),
        cmocka_unit_test(a_contribution_that_changed_its_sign), cmocka_unit_test(many_tests_are_corrected),
        cmocka_unit_test(an_unimportant_feature_pages_nobody), cmocka_unit_test(drift_over_all_features),
        cmocka_unit_test(every_kind_has_a_name_and_limits), cmocka_unit_test(a_calibration_merges_exactly),
        cmocka_unit_test(an_edge_belongs_to_the_bin_on_its_left), cmocka_unit_test(value_caught_and_missed),
        cmocka_unit_test(a_ranking_from_bins_is_within_its_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
