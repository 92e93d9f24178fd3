/* monitor.bins: equal. PSI over 20 bins of equal width, computed here once more from the values themselves. */
#include "monitor/aggregate.h"
#include "monitor/baseline_builder.h"

#include "tests/unit/monitor_scene.h"

enum { ROWS = 4000, EVENTS = 1500 };

static float before(int i)
{
    return (float)(i * i / 1000); /* 0..15,992, most of them small */
}

static float now(int i)
{
    return (float)(i * i / 200) + (i % 3 ? 0 : 4000); /* some lie beyond the baseline's largest */
}

static size_t bin_of(double x, double most)
{
    size_t bin = 0;
    while (bin < 19 && x > (double)(float)((double)(bin + 1) * (most / 20)))
        bin++;
    return bin;
}

static double psi_by_hand(void)
{
    double observed[20] = {0}, expected[20] = {0}, most = (double)before(ROWS - 1), psi = 0;
    for (int i = 0; i < ROWS; i++)
        expected[bin_of((double)before(i), most)]++;
    for (int i = 0; i < EVENTS; i++)
        observed[bin_of((double)now(i), most)]++;
    for (int i = 0; i < 20; i++) {
        double a = (observed[i] + 1) / (EVENTS + 20), b = (expected[i] + 1) / (ROWS + 20);
        psi += (a - b) * log(a / b);
    }
    return psi;
}

static double psi_of_the_report(bool equal_width)
{
    static float rows[ROWS][SCENE_FEATURES];
    struct report_list reports = {0};
    for (int i = 0; i < ROWS; i++)
        rows[i][0] = before(i);
    struct baseline *baseline = baseline_create_from_rows(scene_features, SCENE_FEATURES, &rows[0][0], NULL, ROWS, (const uint8_t[32]){7}, NULL);
    struct sketch_shape *shape = sketch_shape_create(&(struct sketch_shape_options){.window_ms = SCENE_WINDOW, .lateness_ms = SCENE_LATENESS, .feature_count = SCENE_FEATURES,
        .features = scene_features, .model_count = SCENE_MODELS, .models = scene_models, .field_count = SCENE_FIELDS, .fields = scene_fields, .baseline = baseline,
        .bins = equal_width ? BASELINE_EQUAL : BASELINE_FINE, .equal_width = equal_width});
    struct aggregate *aggregate = aggregate_create(&(struct aggregate_options){.shape = shape, .topic = "transactions"}, 0);
    struct sketch *delta = sketch_create(shape);
    for (int i = 0; i < EVENTS; i++)
        scene_add(delta, (struct scene_event){.offset = i, .time_ms = i, .amount = now(i), .score = 0.1f});
    aggregate_merge(aggregate, delta, 0, &reports);
    aggregate_flush(aggregate, true, &reports);
    double psi = NAN;
    for (size_t i = 0; i < reports.count; i++)
        if (!strcmp(reports.rows[i].subject, "amount") && !strcmp(reports.rows[i].statistic, "psi"))
            psi = reports.rows[i].value;
    report_list_finish(&reports);
    sketch_destroy(delta);
    aggregate_destroy(aggregate);
    sketch_shape_destroy(shape);
    baseline_destroy(baseline);
    return psi;
}

static void psi_is_over_bins_of_equal_width_where_asked_for(void **state)
{
    (void)state;
    assert_near(psi_of_the_report(true), psi_by_hand(), 1e-12);
    assert_true(fabs(psi_of_the_report(false) - psi_by_hand()) > 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(psi_is_over_bins_of_equal_width_where_asked_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
