#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/drift.h"
#include "tests/unit/assert_near.h"

/* Worked out with exact fractions and a logarithm elsewhere. */
static void psi_is_the_sum_over_smoothed_shares(void **state)
{
    (void)state;
    static const struct {
        size_t bins;
        int64_t observed[4], expected[4];
        double psi;
    } cases[] = {
        {2, {600, 400}, {500, 500}, 0.040382585551760},
        {2, {700, 300}, {500, 500}, 0.168742040376390},
        {2, {999, 1}, {1, 999}, 12.379598567316060},
        {2, {100, 0}, {0, 100}, 9.049255915375019},
        {3, {9, 90, 900}, {900, 90, 9}, 8.004630472397874},
        {3, {5, 0, 5}, {3, 4, 3}, 0.619970160166851},
        {4, {400, 300, 200, 100}, {100, 200, 300, 400}, 0.904447826311898},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(drift_psi(cases[i].observed, cases[i].expected, cases[i].bins), cases[i].psi, 1e-12);
}

static void twenty_bins_that_fall_into_one(void **state)
{
    (void)state;
    int64_t observed[20] = {0}, expected[20];
    observed[19] = 1000;
    for (int i = 0; i < 20; i++)
        expected[i] = 50;
    assert_near(drift_psi(observed, expected, 20), 6.434624549362214, 1e-12);
}

static void equal_shares_have_no_drift(void **state)
{
    (void)state;
    assert_near(drift_psi((int64_t[]){250, 250, 250, 250}, (int64_t[]){9, 9, 9, 9}, 4), 0, 1e-15);
    assert_near(drift_psi((int64_t[]){0, 0}, (int64_t[]){0, 0}, 2), 0, 0);
    assert_near(drift_psi((int64_t[]){10}, (int64_t[]){5000}, 1), 0, 0);
}

static void psi_is_the_same_both_ways(void **state)
{
    (void)state;
    int64_t a[] = {12, 0, 700, 3}, b[] = {900, 80, 7, 0};
    assert_near(drift_psi(a, b, 4), drift_psi(b, a, 4), 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(psi_is_the_sum_over_smoothed_shares), cmocka_unit_test(twenty_bins_that_fall_into_one),
        cmocka_unit_test(equal_shares_have_no_drift),          cmocka_unit_test(psi_is_the_same_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
