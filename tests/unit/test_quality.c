/* AUC, average precision, precision, recall and F1; the expected numbers worked out by hand (and by scikit-learn's
 * definitions). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "monitor/quality.h"

static bool near(double a, double b)
{
    return isnan(b) ? isnan(a) : fabs(a - b) < 1e-12;
}

static void rankings(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        size_t n;
        struct scored events[8];
        double auc, average_precision;
    } cases[] = {
        {"perfect", 4, {{0.9f, 1}, {0.8f, 1}, {0.2f, 0}, {0.1f, 0}}, 1, 1},
        {"upside down", 4, {{0.1f, 1}, {0.2f, 1}, {0.8f, 0}, {0.9f, 0}}, 0, (1.0 / 3 + 2.0 / 4) / 2},
        {"one pair of four lost", 4, {{0.1f, 0}, {0.4f, 0}, {0.35f, 1}, {0.8f, 1}}, 0.75, (1.0 + 2.0 / 3) / 2},
        {"all tied", 5, {{0.5f, 1}, {0.5f, 0}, {0.5f, 0}, {0.5f, 1}, {0.5f, 0}}, 0.5, 0.4},
        {"a tie across classes counts half", 4, {{0.9f, 1}, {0.5f, 1}, {0.5f, 0}, {0.1f, 0}}, 0.875, (1.0 + 2.0 / 3) / 2},
        {"the same tie the other way round in the file", 4, {{0.5f, 0}, {0.1f, 0}, {0.5f, 1}, {0.9f, 1}}, 0.875, (1.0 + 2.0 / 3) / 2},
        {"zero and minus zero tie", 2, {{0.0f, 1}, {-0.0f, 0}}, 0.5, 0.5},
        {"no negatives", 2, {{0.5f, 1}, {0.6f, 1}}, NAN, 1},
        {"no positives", 2, {{0.5f, 0}, {0.6f, 0}}, NAN, NAN},
        {"nothing", 0, {{0, 0}}, NAN, NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scored events[8];
        memcpy(events, cases[i].events, sizeof events);
        struct ranking r = quality_rank(events, cases[i].n);
        if (!near(r.auc, cases[i].auc) || !near(r.average_precision, cases[i].average_precision))
            fail_msg("%s: auc %.17g, average precision %.17g", cases[i].why, r.auc, r.average_precision);
        assert_int_equal(r.positives + r.negatives, cases[i].n);
    }
}

static void decisions_at_a_threshold(void **state)
{
    (void)state;
    const struct scored events[] = {{0.9f, 1}, {0.8f, 0}, {0.5f, 1}, {0.4f, 1}, {0.3f, 0}, {0.1f, 0}};
    static const struct {
        double threshold;
        struct confusion c;
        double precision, recall, f1;
    } cases[] = {
        {0.5, {2, 1, 1, 2}, 2.0 / 3, 2.0 / 3, 2.0 / 3}, /* a score at the threshold is called */
        {0.85, {1, 0, 2, 3}, 1, 1.0 / 3, 0.5},
        {0.95, {0, 0, 3, 3}, NAN, 0, 0},
        {0, {3, 3, 0, 0}, 0.5, 1, 2.0 / 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct confusion c = quality_confusion(events, 6, cases[i].threshold);
        assert_memory_equal(&c, &cases[i].c, sizeof c);
        assert_true(near(quality_precision(&c), cases[i].precision));
        assert_true(near(quality_recall(&c), cases[i].recall));
        assert_true(near(quality_f1(&c), cases[i].f1));
    }
}

static void the_score_is_compared_as_a_double(void **state)
{
    (void)state;
    const struct scored event = {0.9f, 1}; /* 0.9f widened is 0.89999997..., below 0.9 */
    assert_int_equal(quality_confusion(&event, 1, 0.9).true_positive, 0);
    assert_int_equal(quality_confusion(&event, 1, (double)0.9f).true_positive, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rankings),
        cmocka_unit_test(decisions_at_a_threshold),
        cmocka_unit_test(the_score_is_compared_as_a_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
