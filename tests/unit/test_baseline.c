#include "tests/unit/monitor_scene.h"

#include <float.h>

static struct baseline *of_values(const float *values, size_t n)
{
    struct baseline *b = baseline_create_from_rows((const char *const[]){"x"}, 1, values, NULL, n, (const uint8_t[32]){0}, NULL);
    assert_non_null(b);
    return b;
}

static void edges_are_quantiles_and_bins_are_even(void **state)
{
    (void)state;
    float values[480];
    for (int i = 0; i < 480; i++)
        values[i] = (float)((i * 7) % 480 + 1); /* 1..480 in disorder */
    struct baseline *b = of_values(values, 480);
    assert_true(b->features[0].edges[0] == 2);   /* the 1/240-quantile of 480 values is the second smallest */
    assert_true(b->features[0].edges[119] == 240);
    assert_true(b->features[0].edges[238] == 478);
    for (int i = 0; i < 240; i++)
        assert_int_equal(b->features[0].counts[i], 2);
    baseline_destroy(b);
}

static void moments_are_of_the_values_that_are_there(void **state)
{
    (void)state;
    struct baseline *b = of_values((float[]){NAN, 1, 2, NAN, 3, 6}, 6);
    const struct baseline_column *c = &b->features[0];
    assert_int_equal(c->count, 4);
    assert_int_equal(c->missing, 2);
    assert_near(c->min, 1, 0);
    assert_near(c->max, 6, 0);
    assert_near(c->mean, 3, 0);
    assert_near(c->std, sqrt(3.5), 1e-15);
    baseline_destroy(b);
}

static void twenty_bins_are_unions_of_240(void **state)
{
    (void)state;
    struct baseline *b = scene_baseline();
    float edges[240], coarse_edges[20];
    int64_t counts[240], coarse[20];
    assert_int_equal(baseline_cut(&b->features[0], 240, edges, counts), 240);
    assert_int_equal(baseline_cut(&b->features[0], 20, coarse_edges, coarse), 20);
    for (int i = 0; i < 20; i++) {
        int64_t sum = 0;
        for (int k = 0; k < 12; k++)
            sum += counts[12 * i + k];
        assert_int_equal(coarse[i], sum);
        assert_int_equal(coarse[i], 500);
    }
    for (int i = 0; i < 19; i++)
        assert_true(coarse_edges[i] == edges[12 * i + 11]);
    baseline_destroy(b);
}

static void ties_leave_no_empty_bin(void **state)
{
    (void)state;
    struct baseline *b = scene_baseline();
    float edges[20];
    int64_t counts[20];
    assert_int_equal(baseline_cut(&b->features[1], 20, edges, counts), 3); /* up to 0, up to 1, beyond */
    assert_true(edges[0] == 0 && edges[1] == 1);
    assert_int_equal(counts[0], 7500);
    assert_int_equal(counts[1], 2500);
    assert_int_equal(counts[2], 0);
    baseline_destroy(b);
}

static void a_constant_has_one_edge(void **state)
{
    (void)state;
    struct baseline *b = of_values((float[]){5, 5, 5, 5}, 4);
    float edges[20];
    int64_t counts[20];
    assert_int_equal(baseline_cut(&b->features[0], 20, edges, counts), 2);
    assert_true(edges[0] == 5);
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 0);
    baseline_destroy(b);
}

static void no_values_have_one_bin(void **state)
{
    (void)state;
    struct baseline *b = of_values((float[]){NAN, NAN}, 2);
    float edges[20];
    int64_t counts[20];
    assert_int_equal(b->features[0].missing, 2);
    assert_int_equal(baseline_cut(&b->features[0], 20, edges, counts), 1);
    assert_int_equal(counts[0], 0);
    baseline_destroy(b);
}

static void infinities_count_as_the_largest_finite_floats(void **state)
{
    (void)state;
    struct baseline *b = of_values((float[]){INFINITY, -INFINITY, 1}, 3);
    assert_int_equal(b->features[0].count, 3);
    assert_near(b->features[0].min, -(double)FLT_MAX, 0);
    assert_near(b->features[0].max, (double)FLT_MAX, 0);
    assert_true(isfinite(b->features[0].mean) && isfinite(b->features[0].std));
    baseline_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_are_quantiles_and_bins_are_even), cmocka_unit_test(moments_are_of_the_values_that_are_there),
        cmocka_unit_test(twenty_bins_are_unions_of_240),         cmocka_unit_test(ties_leave_no_empty_bin),
        cmocka_unit_test(a_constant_has_one_edge),               cmocka_unit_test(no_values_have_one_bin),
        cmocka_unit_test(infinities_count_as_the_largest_finite_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
