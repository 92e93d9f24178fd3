/* One partition of several that says nothing while the others go on: windows are 60 s, deltas carry positions alone. */
#include "monitor/aggregate.h"

#include "tests/unit/monitor_scene.h"

enum { S = 1000, START = 1000 /* s, of the clock and of stream time */ };

struct fixture {
    struct baseline *baseline;
    struct sketch_shape *shape;
    struct aggregate *aggregate;
    struct sketch *delta;
    int64_t offset[8];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->baseline = scene_baseline();
    f->shape = scene_shape(f->baseline, 20);
    f->aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions"}, START * S);
    f->delta = sketch_create(f->shape);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sketch_destroy(f->delta);
    aggregate_destroy(f->aggregate);
    sketch_shape_destroy(f->shape);
    baseline_destroy(f->baseline);
    free(f);
    return 0;
}

/* Records of a partition up to stream time `t`, merged at `now`. */
static void records(struct fixture *f, int32_t partition, int64_t count, int64_t t, int64_t now)
{
    struct report_list rows = {0};
    sketch_cover(f->delta, partition, f->offset[partition], f->offset[partition] + count, t * S);
    f->offset[partition] += count;
    aggregate_merge(f->aggregate, f->delta, now * S, &rows);
    sketch_reset(f->delta);
    report_list_finish(&rows);
}

/* The row of the partition; of statistic NULL: there is none. */
static struct report row_of(struct fixture *f, int32_t partition, int64_t now)
{
    struct report_list rows = {0};
    struct report found = {0};
    char subject[32];
    snprintf(subject, sizeof subject, "transactions-%d", partition);
    aggregate_input_health(f->aggregate, now * S, &rows);
    for (size_t i = 0; i < rows.count; i++)
        if (!strcmp(rows.rows[i].subject, subject)) {
            assert_null(found.statistic);
            found = rows.rows[i];
        }
    report_list_finish(&rows);
    if (found.statistic)
        assert_string_equal(found.statistic, "silence_seconds");
    return found;
}

/* Two partitions, each with 10 records a second, from the start to `until`; then partition 0 alone up to `end`. */
static void one_stops(struct fixture *f, int64_t until, int64_t end)
{
    for (int64_t t = START; t < end; t++) {
        records(f, 0, 10, t, t);
        if (t < until)
            records(f, 1, 10, t, t);
    }
}

static void a_partition_whose_siblings_go_on_without_it_is_silent_after_a_window(void **state)
{
    struct fixture *f = *state;
    one_stops(f, START + 100, START + 158);
    struct report before = row_of(f, 1, START + 158), other = row_of(f, 0, START + 158);
    assert_true(before.judged && before.severity == SEVERITY_OK);
    assert_true(other.judged && other.severity == SEVERITY_OK);
    for (int64_t t = START + 158; t < START + 161; t++)
        records(f, 0, 10, t, t);
    struct report row = row_of(f, 1, START + 161);
    assert_true(row.judged && row.severity == SEVERITY_CRITICAL);
    assert_near(row.value, 62, 0);
    assert_near(row.threshold, 60, 0);
    assert_true(row.baseline > 300 && row.baseline < 620);
    records(f, 1, 1, START + 99, START + 162); /* it comes again, however late */
    row = row_of(f, 1, START + 162);
    assert_true(row.judged && row.severity == SEVERITY_OK);
}

static void a_thin_partition_is_let_be_until_its_hundred_are_missing(void **state)
{
    struct fixture *f = *state;
    records(f, 1, 10, START, START); /* one in a hundred */
    records(f, 0, 1000, START, START);
    records(f, 0, 4000, START + 300, START + 300);
    struct report row = row_of(f, 1, START + 300);
    assert_true(!row.judged && row.severity == SEVERITY_OK && row.baseline < 40);
    for (int64_t t = 301; t < 4000; t++)
        records(f, 0, 100, START + t, START + t);
    row = row_of(f, 1, START + 4000);
    assert_true(!row.judged && row.baseline < 10); /* its share has become smaller and smaller */
}

static void one_that_was_always_empty_is_none(void **state)
{
    struct fixture *f = *state;
    sketch_cover(f->delta, 2, 0, 0, TIME_UNKNOWN);
    one_stops(f, START + 200, START + 200);
    assert_null(row_of(f, 2, START + 200).statistic);
    assert_null(row_of(f, 3, START + 200).statistic);
}

static void a_single_partition_is_the_input_itself(void **state)
{
    struct fixture *f = *state;
    records(f, 0, 1000, START, START);
    assert_null(row_of(f, 0, START + 10000).statistic);
}

static void where_all_are_silent_none_is(void **state)
{
    struct fixture *f = *state;
    one_stops(f, START + 100, START + 100);
    for (int32_t p = 0; p < 2; p++) {
        struct report row = row_of(f, p, START + 5000);
        assert_true(!row.judged && row.severity == SEVERITY_OK);
    }
}

/* A catch-up: the stream time of an hour in seconds of the clock, one partition after the other. */
static void the_order_of_a_catch_up_is_no_silence(void **state)
{
    struct fixture *f = *state;
    one_stops(f, START + 20, START + 20);
    records(f, 0, 36000, START + 3600, START + 20);
    struct report row = row_of(f, 1, START + 40);
    assert_true(row.judged && row.severity == SEVERITY_OK && row.baseline > 100); /* for a while */
    records(f, 1, 36000, START + 3590, START + 50);
    records(f, 0, 36000, START + 7200, START + 60);
    row = row_of(f, 1, START + 105);
    assert_true(row.judged && row.severity == SEVERITY_OK);
}

/* The one that lags behind goes on alone. */
static void records_of_earlier_times_say_nothing_of_one_that_is_ahead(void **state)
{
    struct fixture *f = *state;
    records(f, 1, 10000, START + 3600, START);
    for (int64_t t = 0; t < 3600; t += 10)
        records(f, 0, 100, START + t, START + t);
    struct report row = row_of(f, 1, START + 3600);
    assert_true(!row.judged && row.baseline == 0);
}

static void after_a_restart_offsets_tell_the_share(void **state)
{
    struct fixture *f = *state;
    struct aggregate_mark mark = aggregate_mark(f->aggregate);
    one_stops(f, START + 100, START + 100);
    struct aggregate *restarted = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions"}, (START + 110) * S);
    mark.largest_ms = (START + 99) * S;
    aggregate_set_mark(restarted, &mark);
    for (size_t i = 0; i < aggregate_partitions(f->aggregate); i++) {
        struct aggregate_partition p = aggregate_partition_at(f->aggregate, i);
        aggregate_set_partition(restarted, &p);
    }
    aggregate_destroy(f->aggregate);
    f->aggregate = restarted;
    assert_false(row_of(f, 1, START + 120).judged); /* who knows */
    for (int64_t t = START + 110; t < START + 180; t++)
        records(f, 0, 10, t, t);
    struct report row = row_of(f, 1, START + 180);
    assert_true(row.judged && row.severity == SEVERITY_CRITICAL);
    assert_near(row.value, 70, 0); /* since the restart */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_partition_whose_siblings_go_on_without_it_is_silent_after_a_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thin_partition_is_let_be_until_its_hundred_are_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_always_empty_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_single_partition_is_the_input_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_all_are_silent_none_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_order_of_a_catch_up_is_no_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_of_earlier_times_say_nothing_of_one_that_is_ahead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_a_restart_offsets_tell_the_share, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
