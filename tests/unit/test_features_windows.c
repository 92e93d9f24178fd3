/* Which events a window holds, which are rejected, and when a window is complete: given these events, these numbers. */
#include "feature_scene.h"

/* ---- visibility ---- */

static void window_leaves_out_its_old_edge_and_takes_its_new_one(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 100000);
    SEND(&s, .t = 159999);
    EXPECT(&s, "n_1m", 2);
    SEND(&s, .t = 160000); /* the first is exactly 1m old: out */
    EXPECT(&s, "n_1m", 2);
    SEND(&s, .t = 160001);
    EXPECT(&s, "n_1m", 3);
    scene_close(&s);
}

static void ties_count_only_what_came_before(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"}, {.name = "last", .op = OP_SINCE_LAST});
    SEND(&s, .t = 1000);
    EXPECT(&s, "n_1m", 1);
    EXPECT(&s, "last", NAN);
    SEND(&s, .t = 1000);
    EXPECT(&s, "n_1m", 2);
    EXPECT(&s, "last", 0);
    SEND(&s, .t = 1000);
    EXPECT(&s, "n_1m", 3);
    scene_close(&s);
}

static void entities_do_not_see_each_other(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 1000, .card = "a");
    SEND(&s, .t = 1000, .card = "b");
    EXPECT(&s, "n_1m", 1);
    SEND(&s, .t = 1000, .card = "");
    EXPECT(&s, "n_1m", 1);
    SEND(&s, .t = 1000, .card = "a ");
    EXPECT(&s, "n_1m", 1);
    SEND(&s, .t = 1000, .card = "a");
    EXPECT(&s, "n_1m", 2);
    scene_close(&s);
}

static void late_event_sees_its_own_past_and_counts_for_later_ones(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"}, {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m"},
               {.name = "last", .op = OP_SINCE_LAST});
    SEND(&s, .t = 100000, .amount = INT(1));
    SEND(&s, .t = 108000, .amount = INT(10));
    SEND(&s, .t = 104000, .amount = INT(100)); /* 4 s late: does not see the one at 108 s */
    EXPECT(&s, "n_1m", 2);
    EXPECT(&s, "sum_1m", 101);
    EXPECT(&s, "last", 4);
    assert_int_equal(s.outcome.late_ms, 4000);
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 109000, .amount = INT(1000));
    EXPECT(&s, "sum_1m", 1111);
    EXPECT(&s, "last", 1);
    scene_close(&s);
}

static void late_by_more_than_the_lateness_is_scored_but_not_complete(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 100000);
    SEND(&s, .t = 90000);
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 89999);
    assert_int_equal(s.outcome.late_ms, 10001);
    assert_false(s.outcome.window_complete);
    scene_close(&s);
}

static void stream_time_of_another_entity_cuts_the_window_of_a_late_event(void **state)
{
    (void)state;
    struct scene s; /* W + L = 70 s */
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"}, {.name = "last", .op = OP_SINCE_LAST},
               {.name = "first", .op = OP_SINCE_FIRST});
    SEND(&s, .t = 100000);
    SEND(&s, .t = 100001);
    SEND(&s, .t = 170000, .card = "other"); /* visible from 100001 on */
    SEND(&s, .t = 130000);
    EXPECT(&s, "n_1m", 2);
    EXPECT(&s, "last", 29.999);
    EXPECT(&s, "first", 29.999);
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 170001, .card = "other");
    SEND(&s, .t = 130000); /* sees the one before at 130000 and itself */
    EXPECT(&s, "n_1m", 2);
    EXPECT(&s, "last", 0);
    scene_close(&s);
}

static void event_later_than_all_windows_sees_itself_alone_and_is_never_seen(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"}, {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m"},
               {.name = "last", .op = OP_SINCE_LAST}, {.name = "first", .op = OP_SINCE_FIRST},
               {.name = "same", .op = OP_SAME, .field = "amount", .windows = "1m"},
               {.name = "others", .op = OP_COUNT, .windows = "1m", .exclude_current = true});
    SEND(&s, .t = 200000, .amount = INT(1));
    for (int i = 0; i < 2; i++) { /* T - W - L = 130000: out by its edge */
        SEND(&s, .t = 130000, .amount = INT(7));
        EXPECT(&s, "n_1m", 1);
        EXPECT(&s, "sum_1m", 7);
        EXPECT(&s, "last", NAN);
        EXPECT(&s, "first", 0);
        EXPECT(&s, "same_1m", 1);
        EXPECT(&s, "others_1m", 0);
        assert_false(s.outcome.window_complete);
    }
    SEND(&s, .t = 130001, .amount = INT(7));
    SEND(&s, .t = 130001, .amount = INT(7)); /* this one is seen */
    EXPECT(&s, "n_1m", 2);
    assert_int_equal(windows_count(s.windows).events, 3);
    scene_close(&s);
}

static void a_file_without_windows_keeps_events_for_the_lateness(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "last", .op = OP_SINCE_LAST}, {.name = "first", .op = OP_SINCE_FIRST});
    SEND(&s, .t = 100000, .id = "x");
    SEND(&s, .t = 109999);
    EXPECT(&s, "last", 9.999);
    EXPECT(&s, "first", 0); /* W is 0 */
    REFUSED(&s, REJECT_DUPLICATE, .t = 110000, .id = "x");
    SEND(&s, .t = 110000, .id = "y");
    SEND(&s, .t = 110000, .id = "x");
    EXPECT(&s, "last", 0);
    EXPECT(&s, "first", 0);
    scene_close(&s);
}

/* ---- rejects ---- */

static void duplicate_is_an_id_that_the_entity_still_shows(void **state)
{
    (void)state;
    struct scene s; /* W + L = 70 s */
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 100000, .id = "x");
    REFUSED(&s, REJECT_DUPLICATE, .t = 100000, .id = "x");
    REFUSED(&s, REJECT_DUPLICATE, .t = 100005, .id = "x"); /* whatever its time */
    REFUSED(&s, REJECT_DUPLICATE, .t = 99000, .id = "x");
    SEND(&s, .t = 100000, .id = "x", .card = "other");
    SEND(&s, .t = 100001, .id = "y");
    EXPECT(&s, "n_1m", 2); /* the rejected ones left nothing */
    scene_close(&s);
}

static void duplicate_looks_at_the_stream_time_before_the_event(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 100000, .id = "x");
    REFUSED(&s, REJECT_DUPLICATE, .t = 500000, .id = "x"); /* its own time does not hide the first */
    assert_int_equal(windows_stream_time(s.windows), 100000);
    SEND(&s, .t = 169999, .card = "other");
    REFUSED(&s, REJECT_DUPLICATE, .t = 169999, .id = "x");
    SEND(&s, .t = 170000, .card = "other");
    SEND(&s, .t = 170000, .id = "x"); /* the first is W + L old */
    EXPECT(&s, "n_1m", 1);
    scene_close(&s);
}

static void future_comes_before_stale_and_stale_before_duplicate(void **state)
{
    (void)state;
    struct scene s;
    static const struct file_options options = {.lateness_ms = 10000, .future_skew_ms = 5000, .max_age_ms = 20000};
    SCENE_OPEN(&s, options, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 105000, .record_ms = 100000, .id = "x");
    REFUSED(&s, REJECT_FUTURE, .t = 105001, .record_ms = 100000, .id = "x");
    SEND(&s, .t = 80000, .record_ms = 100000);
    REFUSED(&s, REJECT_STALE, .t = 79999, .record_ms = 100000);
    REFUSED(&s, REJECT_STALE, .t = 79999, .record_ms = 100000, .id = "x");
    REFUSED(&s, REJECT_DUPLICATE, .t = 80000, .record_ms = 100000, .id = "x");
    assert_int_equal(windows_stream_time(s.windows), 105000);
    assert_int_equal(windows_count(s.windows).events, 2);
    scene_close(&s);
}

static void without_max_age_nothing_is_stale_and_odd_record_times_do_no_harm(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 0, .record_ms = INT64_MAX);
    REFUSED(&s, REJECT_FUTURE, .t = 0, .record_ms = INT64_MIN);
    scene_close(&s);
}

/* ---- window_complete ---- */

static void complete_from_offset_0_and_after_a_longest_window_of_history(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1s 1m"});
    SEND(&s, .t = 100000);
    assert_true(s.outcome.window_complete);
    windows_set_history_start(s.windows, 150000);
    SEND(&s, .t = 200000);
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 209999);
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 210000); /* t - W is where history starts */
    assert_true(s.outcome.window_complete);
    scene_close(&s);
}

static void cold_start_has_its_history_from_the_first_event(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    windows_set_history_cold(s.windows);
    REFUSED(&s, REJECT_FUTURE, .t = 300000, .record_ms = 1000);
    SEND(&s, .t = 100000);
    assert_int_equal(windows_history_start(s.windows), 100000);
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 95000);
    assert_int_equal(windows_history_start(s.windows), 100000);
    SEND(&s, .t = 160000);
    assert_true(s.outcome.window_complete);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_leaves_out_its_old_edge_and_takes_its_new_one),
        cmocka_unit_test(ties_count_only_what_came_before),
        cmocka_unit_test(entities_do_not_see_each_other),
        cmocka_unit_test(late_event_sees_its_own_past_and_counts_for_later_ones),
        cmocka_unit_test(late_by_more_than_the_lateness_is_scored_but_not_complete),
        cmocka_unit_test(stream_time_of_another_entity_cuts_the_window_of_a_late_event),
        cmocka_unit_test(event_later_than_all_windows_sees_itself_alone_and_is_never_seen),
        cmocka_unit_test(a_file_without_windows_keeps_events_for_the_lateness),
        cmocka_unit_test(duplicate_is_an_id_that_the_entity_still_shows),
        cmocka_unit_test(duplicate_looks_at_the_stream_time_before_the_event),
        cmocka_unit_test(future_comes_before_stale_and_stale_before_duplicate),
        cmocka_unit_test(without_max_age_nothing_is_stale_and_odd_record_times_do_no_harm),
        cmocka_unit_test(complete_from_offset_0_and_after_a_longest_window_of_history),
        cmocka_unit_test(cold_start_has_its_history_from_the_first_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
