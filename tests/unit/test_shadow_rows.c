/* A shadow beside what was served: agreement, differences and distributions, by hand. */
#include "monitor/aggregate.h"

#include "tests/unit/monitor_scene.h"

static const struct thresholds halves = {0.5, 0.9};

struct pair {
    float served, own;
};

static void add(struct sketch *sketch, int64_t offset, struct pair p)
{
    struct sketch_cell *cell = sketch_add(sketch, &(struct sketch_event){.partition = 0, .offset = offset, .time_ms = offset, .window_complete = true, .row = (float[]){1, 0}, .schema_id = -1});
    sketch_add_score(sketch, cell, 0, p.served, decide(halves, p.served));
    sketch_add_score(sketch, cell, 1, p.own, decide(halves, p.own));
    sketch_add_comparison(sketch, cell, 1, p.own, decide(halves, p.own), p.served, decide(halves, p.served));
}

static struct report_list rows_of(const struct pair *pairs, size_t count)
{
    struct baseline *baseline = scene_baseline();
    struct sketch_shape *shape = scene_shape(baseline, 20);
    struct aggregate *aggregate = aggregate_create(&(struct aggregate_options){.shape = shape, .topic = "transactions"}, 0);
    struct sketch *parts[] = {sketch_create(shape), sketch_create(shape)};
    struct report_list reports = {0}, kept = {0};
    for (size_t i = 0; i < count; i++) /* in two deltas: what counts is their sum */
        add(parts[i >= count / 2], (int64_t)i, pairs[i]);
    for (int i = 0; i < 2; i++)
        aggregate_merge(aggregate, parts[i], 0, &reports);
    aggregate_flush(aggregate, true, &reports);
    for (size_t i = 0; i < reports.count; i++)
        if (reports.rows[i].kind == REPORT_SHADOW) {
            struct report *row = report_append(&kept, &reports.rows[i]);
            assert_string_equal(row->model_id, "shadow");
            row->model_id = row->subject = NULL; /* the aggregate's texts go */
        }
    for (int i = 0; i < 2; i++)
        sketch_destroy(parts[i]);
    report_list_finish(&reports);
    aggregate_destroy(aggregate);
    sketch_shape_destroy(shape);
    baseline_destroy(baseline);
    return kept;
}

static const struct report *row(const struct report_list *list, const char *statistic)
{
    const struct report *found = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->rows[i].statistic, statistic)) {
            if (found && list->rows[i].window_end_ms - list->rows[i].window_start_ms != 60000)
                continue; /* of a longer window */
            found = &list->rows[i];
        }
    if (!found)
        fail_msg("no row %s", statistic);
    return found;
}

static void decisions_are_compared_by_event(void **state)
{
    (void)state;
    const struct pair pairs[] = {{0.1f, 0.1f}, {0.6f, 0.6f}, {0.95f, 0.99f}, {0.1f, 0.7f}, {0.1f, 0.95f}, {0.95f, 0.1f}, {0.2f, 0.2f}, {0.3f, 0.3f}};
    struct report_list list = rows_of(pairs, 8);
    assert_true(row(&list, "agreement")->value == 5.0 / 8 && row(&list, "agreement")->count == 8);
    assert_non_null(strstr(row(&list, "agreement")->detail, "\"decisions\": [[3, 1, 1], [0, 1, 0], [1, 0, 1]]"));
    assert_true(row(&list, "stricter_share")->value == 2.0 / 8);
    assert_true(row(&list, "laxer_share")->value == 1.0 / 8);
    report_list_finish(&list);
}

static void differences_are_told_by_mean_and_quantile(void **state)
{
    (void)state;
    struct pair pairs[1000];
    for (int i = 0; i < 1000; i++) {
        float apart = (float)(i + 1) / 2048;
        pairs[i] = i % 2 ? (struct pair){0.25f, 0.25f + apart} : (struct pair){0.75f, 0.75f - apart};
    }
    struct report_list list = rows_of(pairs, 1000);
    assert_near(row(&list, "mean_difference")->value, 500.5 / 2048, 1e-6);
    assert_near(row(&list, "p50_difference")->value, 500.0 / 2048, 0.19 * 500 / 2048);
    assert_near(row(&list, "p95_difference")->value, 950.0 / 2048, 0.19 * 950 / 2048);
    assert_near(row(&list, "p99_difference")->value, 990.0 / 2048, 0.19 * 990 / 2048);
    report_list_finish(&list);
}

static void equal_models_do_not_differ(void **state)
{
    (void)state;
    struct pair pairs[500];
    for (int i = 0; i < 500; i++)
        pairs[i].served = pairs[i].own = (float)i / 500;
    struct report_list list = rows_of(pairs, 500);
    assert_true(row(&list, "agreement")->value == 1);
    assert_true(row(&list, "mean_difference")->value == 0);
    assert_true(row(&list, "p99_difference")->value < 1e-6);
    assert_true(row(&list, "psi")->value == 0);
    report_list_finish(&list);
    for (int i = 0; i < 500; i++)
        pairs[i].own = (float)i / 1000;
    list = rows_of(pairs, 500);
    assert_true(row(&list, "psi")->value > 0.25);
    report_list_finish(&list);
}

static void a_shadow_that_scored_nothing_has_no_rows(void **state)
{
    (void)state;
    struct report_list list = rows_of(NULL, 0);
    assert_int_equal(list.count, 0);
    report_list_finish(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_are_compared_by_event),
        cmocka_unit_test(differences_are_told_by_mean_and_quantile),
        cmocka_unit_test(equal_models_do_not_differ),
        cmocka_unit_test(a_shadow_that_scored_nothing_has_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
