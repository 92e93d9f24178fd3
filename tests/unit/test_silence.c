/* Silence: of the whole input, and of one partition of several while the others go on. */
#include "tests/unit/aggregate_scene.h"

/* The input */

static struct report silence_at(struct fixture *f, int64_t seconds)
{
    struct report_list rows = {0};
    aggregate_input_health(f->aggregate, seconds * S, &rows);
    assert_int_equal(rows.count, 1);
    struct report row = rows.rows[0];
    assert_string_equal(row.statistic, "silence_seconds");
    assert_string_equal(row.subject, "transactions");
    report_list_finish(&rows);
    return row;
}

/* By a baseline of 10,000 rows without times: fifteen minutes. */
static void a_silent_input_is_known_by_the_clock(void **state)
{
    struct fixture *f = *state;
    assert_false(silence_at(f, 1001).judged); /* a second after the start: who knows */
    commit_event(f, 0, 5);                    /* merged at 2,000 s */
    assert_true(silence_at(f, 2010).judged && silence_at(f, 2010).severity == SEVERITY_OK);
    assert_near(silence_at(f, 2010).value, 10, 0);
    assert_int_equal(silence_at(f, 2899).severity, SEVERITY_OK);
    assert_int_equal(silence_at(f, 2900).severity, SEVERITY_WARNING);
    commit_event(f, 0, 6);
    assert_int_equal(silence_at(f, 2010).severity, SEVERITY_OK);
}

/* 100 events an hour in every hour of the week: 100 are missing after one. */
static void a_baseline_says_when_a_silence_is_one(void **state)
{
    struct fixture *f = *state;
    f->baseline->events = 100 * BASELINE_HOURS;
    for (int h = 0; h < BASELINE_HOURS; h++) {
        f->baseline->hour_events[h] = 100;
        f->baseline->hour_covered_ms[h] = 3600 * S;
    }
    commit_event(f, 0, 5); /* merged at 2,000 s */
    struct report early = silence_at(f, 2000 + 3590), late = silence_at(f, 2000 + 3600);
    assert_false(early.judged);
    assert_true(late.judged && late.severity == SEVERITY_CRITICAL);
    assert_near(late.baseline, 100, 1e-6);
}

static void a_replay_tells_of_silence_by_stream_time(void **state)
{
    struct fixture *f = *state;
    struct aggregate *of_clock = f->aggregate;
    f->aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions", .stream_clock = true}, 0);
    commit_event(f, 0, 5);
    commit_event(f, 0, 70);
    commit_event(f, 0, 1200); /* windows of a minute: nothing from 120 s to 1,200 */
    int rows = 0;
    struct report longest = {0};
    for (size_t i = 0; i < f->reports.count; i++)
        if (!strcmp(f->reports.rows[i].statistic, "silence_seconds") && ++rows && f->reports.rows[i].value > longest.value)
            longest = f->reports.rows[i];
    assert_true(rows >= 15 && longest.value >= 900 && longest.value <= 1080);
    assert_int_equal(longest.severity, SEVERITY_WARNING);
    assert_int_equal(longest.window_start_ms, longest.window_end_ms);
    aggregate_destroy(f->aggregate);
    f->aggregate = of_clock;
}

/* 10,000 events an hour in every hour of the week: 167 of them in the minute before the first. */
static void a_replay_was_not_silent_before_its_first_record(void **state)
{
    struct fixture *f = *state;
    f->baseline->events = f->baseline->records = 10000 * BASELINE_HOURS;
    for (int h = 0; h < BASELINE_HOURS; h++) {
        f->baseline->hour_events[h] = 10000;
        f->baseline->hour_covered_ms[h] = 3600 * S;
    }
    struct aggregate *of_clock = f->aggregate;
    f->aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions", .stream_clock = true}, 0);
    for (int64_t t = 605; t < 800; t += 5) {
        commit_event(f, 0, t);
        for (size_t i = 0; i < f->reports.count; i++)
            if (!strcmp(f->reports.rows[i].statistic, "silence_seconds"))
                assert_int_equal(f->reports.rows[i].severity, SEVERITY_OK);
    }
    aggregate_destroy(f->aggregate);
    f->aggregate = of_clock;
}

/* A partition: the deltas carry positions alone */

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
static struct report partition_row(struct fixture *f, int32_t partition, int64_t now)
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
    struct report before = partition_row(f, 1, START + 158), other = partition_row(f, 0, START + 158);
    assert_true(before.judged && before.severity == SEVERITY_OK);
    assert_true(other.judged && other.severity == SEVERITY_OK);
    for (int64_t t = START + 158; t < START + 161; t++)
        records(f, 0, 10, t, t);
    struct report row = partition_row(f, 1, START + 161);
    assert_true(row.judged && row.severity == SEVERITY_CRITICAL);
    assert_near(row.value, 62, 0);
    assert_near(row.threshold, 60, 0);
    assert_true(row.baseline > 300 && row.baseline < 620);
    records(f, 1, 1, START + 99, START + 162); /* it comes again, however late */
    row = partition_row(f, 1, START + 162);
    assert_true(row.judged && row.severity == SEVERITY_OK);
}

static void a_thin_partition_is_let_be_until_its_hundred_are_missing(void **state)
{
    struct fixture *f = *state;
    records(f, 1, 10, START, START); /* one in a hundred */
    records(f, 0, 1000, START, START);
    records(f, 0, 4000, START + 300, START + 300);
    struct report row = partition_row(f, 1, START + 300);
    assert_true(!row.judged && row.severity == SEVERITY_OK && row.baseline < 40);
    for (int64_t t = 301; t < 4000; t++)
        records(f, 0, 100, START + t, START + t);
    row = partition_row(f, 1, START + 4000);
    assert_true(!row.judged && row.baseline < 10); /* its share has become smaller and smaller */
}

static void one_that_was_always_empty_is_none(void **state)
{
    struct fixture *f = *state;
    sketch_cover(f->delta, 2, 0, 0, TIME_UNKNOWN);
    one_stops(f, START + 200, START + 200);
    assert_null(partition_row(f, 2, START + 200).statistic);
    assert_null(partition_row(f, 3, START + 200).statistic);
}

static void a_single_partition_is_the_input_itself(void **state)
{
    struct fixture *f = *state;
    records(f, 0, 1000, START, START);
    assert_null(partition_row(f, 0, START + 10000).statistic);
}

static void where_all_are_silent_none_is(void **state)
{
    struct fixture *f = *state;
    one_stops(f, START + 100, START + 100);
    for (int32_t p = 0; p < 2; p++) {
        struct report row = partition_row(f, p, START + 5000);
        assert_true(!row.judged && row.severity == SEVERITY_OK);
    }
}

/* A catch-up: the stream time of an hour in seconds of the clock, one partition after the other. */
static void the_order_of_a_catch_up_is_no_silence(void **state)
{
    struct fixture *f = *state;
    one_stops(f, START + 20, START + 20);
    records(f, 0, 36000, START + 3600, START + 20);
    struct report row = partition_row(f, 1, START + 40);
    assert_true(row.judged && row.severity == SEVERITY_OK && row.baseline > 100); /* for a while */
    records(f, 1, 36000, START + 3590, START + 50);
    records(f, 0, 36000, START + 7200, START + 60);
    row = partition_row(f, 1, START + 105);
    assert_true(row.judged && row.severity == SEVERITY_OK);
}

/* The one that lags behind goes on alone. */
static void records_of_earlier_times_say_nothing_of_one_that_is_ahead(void **state)
{
    struct fixture *f = *state;
    records(f, 1, 10000, START + 3600, START);
    for (int64_t t = 0; t < 3600; t += 10)
        records(f, 0, 100, START + t, START + t);
    struct report row = partition_row(f, 1, START + 3600);
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
    assert_false(partition_row(f, 1, START + 120).judged); /* who knows */
    for (int64_t t = START + 110; t < START + 180; t++)
        records(f, 0, 10, t, t);
    struct report row = partition_row(f, 1, START + 180);
    assert_true(row.judged && row.severity == SEVERITY_CRITICAL);
    assert_near(row.value, 70, 0); /* since the restart */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_silent_input_is_known_by_the_clock),
        TEST(a_baseline_says_when_a_silence_is_one),
        TEST(a_replay_tells_of_silence_by_stream_time),
        TEST(a_replay_was_not_silent_before_its_first_record),
        TEST(a_partition_whose_siblings_go_on_without_it_is_silent_after_a_window),
        TEST(a_thin_partition_is_let_be_until_its_hundred_are_missing),
        TEST(one_that_was_always_empty_is_none),
        TEST(a_single_partition_is_the_input_itself),
        TEST(where_all_are_silent_none_is),
        TEST(the_order_of_a_catch_up_is_no_silence),
        TEST(records_of_earlier_times_say_nothing_of_one_that_is_ahead),
        TEST(after_a_restart_offsets_tell_the_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
