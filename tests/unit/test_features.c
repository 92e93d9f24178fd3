/* The semantics of features, case by case: given these events, these numbers. */
#include "scoring/partition_state.h"
#include "feature_scene.h"

#define MINUTE 60000
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const struct file_options late_10s = {.lateness_ms = 10000};

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

static void dropping_an_entitys_oldest_event_shows_until_no_window_needs_it(void **state)
{
    (void)state;
    struct scene s;
    static const struct file_options options = {.max_events = 2};
    SCENE_OPEN(&s, options, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 100000, .id = "x");
    SEND(&s, .t = 110000);
    SEND(&s, .t = 120000); /* scored with all three, then the first is dropped */
    EXPECT(&s, "n_1m", 3);
    assert_true(s.outcome.window_complete);
    assert_int_equal(windows_count(s.windows).dropped_events, 1);
    SEND(&s, .t = 121000, .card = "other");
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 130000, .id = "x"); /* no longer held, so no duplicate; the one at 110000 is dropped after */
    EXPECT(&s, "n_1m", 3);
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 169999); /* the one at 110000 would be in its window; drops 120000 */
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 185000); /* 120000 is out of its window */
    assert_true(s.outcome.window_complete);
    scene_close(&s);
}

static void a_late_event_can_be_the_one_that_is_dropped(void **state)
{
    (void)state;
    struct scene s;
    static const struct file_options options = {.lateness_ms = 60000, .max_events = 2};
    SCENE_OPEN(&s, options, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 100000);
    SEND(&s, .t = 110000);
    SEND(&s, .t = 90000);
    EXPECT(&s, "n_1m", 1);
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 110000);
    EXPECT(&s, "n_1m", 3);
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 110000); /* dropped by now: 90000, 100000 */
    EXPECT(&s, "n_1m", 3);
    scene_close(&s);
}

/* ---- limits of the partition ---- */

static void the_entity_least_recently_seen_is_evicted(void **state)
{
    (void)state;
    struct scene s;
    struct entry file[] = {{.name = "n", .op = OP_COUNT, .windows = "1m"}};
    scene_open_limited(&s, late_10s, (struct window_limits){2, 1000}, file, 1);
    SEND(&s, .t = 100000, .card = "a");
    SEND(&s, .t = 104000, .card = "b");
    SEND(&s, .t = 102000, .card = "a"); /* later by offset, though not by time */
    SEND(&s, .t = 105000, .card = "c"); /* evicts b */
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 106000, .card = "a");
    EXPECT(&s, "n_1m", 3);
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 107000, .card = "b"); /* evicts c */
    EXPECT(&s, "n_1m", 1);
    assert_false(s.outcome.window_complete);
    struct window_counts counts = windows_count(s.windows);
    assert_int_equal(counts.entities, 2);
    assert_int_equal(counts.events, 4);
    assert_int_equal(counts.evicted_entities, 2);
    scene_close(&s);
}

static void an_entity_not_held_counts_the_newest_time_ever_evicted_as_dropped(void **state)
{
    (void)state;
    struct scene s;
    struct entry file[] = {{.name = "n", .op = OP_COUNT, .windows = "1m"}};
    scene_open_limited(&s, late_10s, (struct window_limits){2, 1000}, file, 1);
    SEND(&s, .t = 100000, .card = "a");
    SEND(&s, .t = 101000, .card = "b");
    SEND(&s, .t = 102000, .card = "c"); /* evicts a: mark 100000 */
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 159999, .card = "b"); /* held all the time */
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 159999, .card = "d"); /* evicts c: mark 102000 */
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 161999, .card = "d"); /* its own mark is still the one of its start */
    assert_true(s.outcome.window_complete);
    SEND(&s, .t = 161999, .card = "e"); /* evicts b: mark 159999 */
    assert_false(s.outcome.window_complete);
    SEND(&s, .t = 219999, .card = "f");
    assert_true(s.outcome.window_complete);
    scene_close(&s);
}

static void events_of_the_partition_are_limited_too(void **state)
{
    (void)state;
    struct scene s;
    struct entry file[] = {{.name = "n", .op = OP_COUNT, .windows = "1m"}};
    scene_open_limited(&s, late_10s, (struct window_limits){100, 4}, file, 1);
    SEND(&s, .t = 100000, .card = "a");
    SEND(&s, .t = 100000, .card = "a");
    SEND(&s, .t = 100000, .card = "b");
    SEND(&s, .t = 100000, .card = "c");
    SEND(&s, .t = 100000, .card = "c"); /* the fifth: a goes with both */
    struct window_counts counts = windows_count(s.windows);
    assert_int_equal(counts.entities, 2);
    assert_int_equal(counts.events, 3);
    SEND(&s, .t = 100000, .card = "b");
    EXPECT(&s, "n_1m", 2);
    scene_close(&s);
}

static void what_is_no_longer_visible_does_not_count_for_limits(void **state)
{
    (void)state;
    struct scene s;
    struct entry file[] = {{.name = "n", .op = OP_COUNT, .windows = "1m"}};
    scene_open_limited(&s, late_10s, (struct window_limits){2, 3}, file, 1);
    SEND(&s, .t = 100000, .card = "a");
    SEND(&s, .t = 110000, .card = "b");
    SEND(&s, .t = 170000, .card = "c"); /* a is forgotten, not evicted */
    SEND(&s, .t = 170000, .card = "b");
    EXPECT(&s, "n_1m", 1);
    assert_int_equal(windows_count(s.windows).evicted_entities, 0);
    SEND(&s, .t = 180000, .card = "b"); /* b's first is out: 3 events are left */
    struct window_counts counts = windows_count(s.windows);
    assert_int_equal(counts.evicted_entities, 0);
    assert_int_equal(counts.entities, 2);
    assert_int_equal(counts.events, 3);
    SEND(&s, .t = 180000, .card = "a");
    assert_true(s.outcome.window_complete);
    scene_close(&s);
}

/* ---- ops ---- */

static void aggregates_over_a_window(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"}, {.name = "given", .op = OP_COUNT, .field = "amount", .windows = "1m"},
               {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m", .scale = 0.01},
               {.name = "min", .op = OP_MIN, .field = "amount", .windows = "1m"}, {.name = "max", .op = OP_MAX, .field = "amount", .windows = "1m"},
               {.name = "mean", .op = OP_MEAN, .field = "amount", .windows = "1m"}, {.name = "std", .op = OP_STD, .field = "amount", .windows = "1m"},
               {.name = "z", .op = OP_ZSCORE, .field = "amount", .windows = "1m 1h 1d 2d 7d"},
               {.name = "ratio", .op = OP_RATIO, .field = "amount", .windows = "1m"});
    SEND(&s, .t = 1000);
    EXPECT(&s, "n_1m", 1);
    EXPECT(&s, "given_1m", 0);
    EXPECT(&s, "sum_1m", 0);
    EXPECT(&s, "min_1m", NAN);
    EXPECT(&s, "max_1m", NAN);
    EXPECT(&s, "mean_1m", NAN);
    EXPECT(&s, "std_1m", NAN);
    EXPECT(&s, "z_1m", NAN);
    EXPECT(&s, "ratio_1m", NAN);
    SEND(&s, .t = 1000, .amount = INT(2));
    EXPECT(&s, "std_1m", 0);
    EXPECT(&s, "z_1m", 0);
    EXPECT(&s, "ratio_1m", 1);
    SEND(&s, .t = 2000, .amount = INT(4));
    SEND(&s, .t = 2000, .amount = INT(4));
    SEND(&s, .t = 2000, .amount = INT(4));
    SEND(&s, .t = 2000, .amount = INT(5));
    SEND(&s, .t = 2000, .amount = INT(5));
    SEND(&s, .t = 2000, .amount = INT(7));
    SEND(&s, .t = 3000, .amount = INT(9)); /* 2 4 4 4 5 5 7 9: mean 5, deviation 2 */
    EXPECT(&s, "n_1m", 9);
    EXPECT(&s, "given_1m", 8);
    EXPECT(&s, "sum_1m", 40 * 0.01);
    EXPECT(&s, "min_1m", 2);
    EXPECT(&s, "max_1m", 9);
    EXPECT(&s, "mean_1m", 5);
    EXPECT(&s, "std_1m", 2);
    EXPECT(&s, "z_1m", 2);
    EXPECT(&s, "ratio_1m", 9.0 / 5.0);
    SEND(&s, .t = 62500); /* the 9 alone is left; this event has no amount */
    EXPECT(&s, "n_1m", 2);
    EXPECT(&s, "sum_1m", 9 * 0.01);
    EXPECT(&s, "min_1m", 9);
    EXPECT(&s, "std_1m", 0);
    EXPECT(&s, "z_1m", NAN);
    EXPECT(&s, "ratio_1m", NAN);
    SEND(&s, .t = 62600, .amount = INT(-9));
    EXPECT(&s, "mean_1m", 0);
    EXPECT(&s, "ratio_1m", NAN);
    EXPECT(&s, "min_1m", -9);
    EXPECT(&s, "std_1m", 9);
    EXPECT(&s, "z_1m", -1);
    scene_close(&s);
}

static void large_sums_stay_exact(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "std", .op = OP_STD, .field = "amount", .windows = "1m"});
    const int64_t big = (INT64_C(1) << 40) - 1;
    for (int i = 0; i < 100; i++)
        SEND(&s, .t = 1000, .amount = INT(i % 2 ? big : big - 2));
    EXPECT(&s, "std_1m", 1); /* a double would have lost it */
    scene_close(&s);
}

static void the_current_event_can_be_left_out(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m", .exclude_current = true},
               {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m", .exclude_current = true},
               {.name = "z", .op = OP_ZSCORE, .field = "amount", .windows = "1m", .exclude_current = true},
               {.name = "ratio", .op = OP_RATIO, .field = "amount", .windows = "1m", .exclude_current = true},
               {.name = "same", .op = OP_SAME, .field = "amount", .windows = "1m", .exclude_current = true},
               {.name = "distinct", .op = OP_DISTINCT, .field = "amount", .windows = "1m", .exclude_current = true},
               {.name = "max", .op = OP_MAX, .field = "amount", .windows = "1m", .exclude_current = true});
    SEND(&s, .t = 1000, .amount = INT(3));
    EXPECT(&s, "n_1m", 0);
    EXPECT(&s, "sum_1m", 0);
    EXPECT(&s, "z_1m", NAN);
    EXPECT(&s, "ratio_1m", NAN);
    EXPECT(&s, "same_1m", 0);
    EXPECT(&s, "distinct_1m", 0);
    EXPECT(&s, "max_1m", NAN);
    SEND(&s, .t = 1000, .amount = INT(5));
    SEND(&s, .t = 1000, .amount = INT(5)); /* against 3 and 5: mean 4, deviation 1 */
    EXPECT(&s, "n_1m", 2);
    EXPECT(&s, "sum_1m", 8);
    EXPECT(&s, "z_1m", 1);
    EXPECT(&s, "ratio_1m", 1.25);
    EXPECT(&s, "same_1m", 1);
    EXPECT(&s, "distinct_1m", 2);
    EXPECT(&s, "max_1m", 5);
    scene_close(&s);
}

static void where_restricts_the_window_for_the_current_event_too(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "declined", .op = OP_COUNT, .windows = "1m", .where = "code", .not_in = "'00'"},
               {.name = "approved", .op = OP_SUM, .field = "amount", .windows = "1m", .where = "code", .in = "'00' '01'"},
               {.name = "middle", .op = OP_COUNT, .windows = "1m", .where = "amount", .min = "10", .max = "20"},
               {.name = "dear", .op = OP_MAX, .field = "amount", .windows = "1m", .where = "price", .min = "0.5"},
               {.name = "same", .op = OP_SAME, .field = "merchant", .windows = "1m", .where = "code", .in = "'00'"});
    SEND(&s, .t = 1000, .code = TEXT("00"), .amount = INT(10), .price = REAL(0.5), .merchant = TEXT("m"));
    EXPECT(&s, "declined_1m", 0);
    EXPECT(&s, "approved_1m", 10);
    EXPECT(&s, "middle_1m", 1);
    EXPECT(&s, "dear_1m", 10);
    EXPECT(&s, "same_1m", 1);
    SEND(&s, .t = 1000, .code = TEXT("05"), .amount = INT(20), .price = REAL(0.499), .merchant = TEXT("m"));
    EXPECT(&s, "declined_1m", 1);
    EXPECT(&s, "approved_1m", 10);
    EXPECT(&s, "middle_1m", 2);
    EXPECT(&s, "dear_1m", 10);
    EXPECT(&s, "same_1m", 1); /* the current event is not in, the other is */
    SEND(&s, .t = 1000, .code = NIL, .amount = INT(21), .price = REAL(NAN), .merchant = TEXT("m"));
    EXPECT(&s, "declined_1m", 1); /* a null is neither in nor not in */
    EXPECT(&s, "approved_1m", 10);
    EXPECT(&s, "middle_1m", 2);
    EXPECT(&s, "dear_1m", 10);
    SEND(&s, .t = 1000, .code = TEXT("01"), .amount = INT(9), .price = INT(1));
    EXPECT(&s, "approved_1m", 19);
    EXPECT(&s, "middle_1m", 2);
    EXPECT(&s, "same_1m", NAN);
    scene_close(&s);
}

/* Of 40 filters each has three bits of an event: 120, more than a word. */
static void filters_and_nulls_of_many_features_keep_apart(void **state)
{
    (void)state;
    struct scene s;
    struct entry entries[120];
    char names[120][16], mins[40][16];
    for (int i = 0; i < 120; i++) {
        const int kind = i % 3, least = i / 3;
        snprintf(names[i], sizeof names[i], "%c%d", "nwd"[kind], least);
        snprintf(mins[least], sizeof mins[least], "%d", least);
        entries[i] = (struct entry){.name = names[i], .op = kind == 2 ? OP_DISTINCT : OP_COUNT, .field = kind ? "merchant" : NULL, .windows = "1m", .where = "amount", .min = mins[least]};
    }
    scene_open_limited(&s, plain_file, no_limits, entries, 120);
    SEND(&s, .t = 1000, .amount = INT(35), .merchant = TEXT("m"));
    SEND(&s, .t = 1000, .amount = INT(38));
    SEND(&s, .t = 1000, .merchant = TEXT("m"));
    SEND(&s, .t = 1000, .amount = INT(5), .merchant = TEXT("k"));
    for (int i = 0; i < 120; i++) {
        const int kind = i % 3, least = i / 3;
        char name[16];
        snprintf(name, sizeof name, "%c%d_1m", "nwd"[kind], least);
        EXPECT(&s, name, (35 >= least) + (5 >= least) + (!kind && 38 >= least));
    }
    scene_close(&s);
}

static void distinct_and_same_compare_text_by_bytes_and_numbers_by_value(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "merchants", .op = OP_DISTINCT, .field = "merchant", .windows = "10s 1m"},
               {.name = "here", .op = OP_SAME, .field = "merchant", .windows = "10s 1m"},
               {.name = "prices", .op = OP_DISTINCT, .field = "price", .windows = "1m", .fixed = 0.5},
               {.name = "flags", .op = OP_DISTINCT, .field = "flag", .windows = "1m"});
    SEND(&s, .t = 1000, .merchant = TEXT("a"), .price = REAL(1.0), .flag = BOOL(0));
    SEND(&s, .t = 2000, .merchant = TEXT("b"), .price = INT(1), .flag = BOOL(1));
    SEND(&s, .t = 3000, .merchant = TEXT("a"), .price = REAL(1.2));
    EXPECT(&s, "merchants_10s", 2);
    EXPECT(&s, "here_10s", 2);
    EXPECT(&s, "prices_1m", 1);
    EXPECT(&s, "flags_1m", 2);
    SEND(&s, .t = 4000, .merchant = NIL, .price = REAL(1.3), .flag = BOOL(1));
    EXPECT(&s, "merchants_10s", 2);
    EXPECT(&s, "here_10s", NAN);
    EXPECT(&s, "prices_1m", 2);
    EXPECT(&s, "flags_1m", 2);
    SEND(&s, .t = 12500, .merchant = TEXT("a "), .price = REAL(NAN));
    EXPECT(&s, "merchants_10s", 2); /* the a at 3000, and this */
    EXPECT(&s, "merchants_1m", 3);
    EXPECT(&s, "here_1m", 1);
    EXPECT(&s, "prices_1m", 2);
    SEND(&s, .t = 12600, .merchant = INT(7));
    SEND(&s, .t = 12700, .merchant = INT(7));
    EXPECT(&s, "merchants_1m", 4);
    EXPECT(&s, "here_1m", 2);
    SEND(&s, .t = 12800, .merchant = TEXT("7")); /* no number */
    EXPECT(&s, "merchants_1m", 5);
    EXPECT(&s, "here_1m", 1);
    scene_close(&s);
}

static void since_first_stays_within_the_longest_window(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"}, {.name = "first", .op = OP_SINCE_FIRST},
               {.name = "last", .op = OP_SINCE_LAST});
    SEND(&s, .t = 100000);
    EXPECT(&s, "first", 0);
    SEND(&s, .t = 101000);
    EXPECT(&s, "first", 1);
    SEND(&s, .t = 160000);
    EXPECT(&s, "first", 59);
    SEND(&s, .t = 161500, .card = "other");
    EXPECT(&s, "first", 0);
    SEND(&s, .t = 169999); /* at 100000 it is visible still, but out of the longest window */
    EXPECT(&s, "first", 9.999);
    scene_close(&s);
}

static void since_last_reaches_past_the_longest_window_by_the_lateness(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"}, {.name = "last", .op = OP_SINCE_LAST});
    SEND(&s, .t = 100000);
    SEND(&s, .t = 169999);
    EXPECT(&s, "last", 69.999);
    assert_true(s.outcome.before_ms == 100000);
    SEND(&s, .t = 165000); /* late: before it lies another one */
    assert_true(s.outcome.before_ms == 100000);
    SEND(&s, .t = 239999);
    EXPECT(&s, "last", NAN);
    assert_true(s.outcome.before_ms == TIME_UNKNOWN);
    scene_close(&s);
}

static void speed_goes_by_the_latest_event_with_a_place(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "7d"}, {.name = "speed", .op = OP_SPEED_KMH, .lat = "lat", .lon = "lon"});
    SEND(&s, .t = 0, .lat = REAL(0), .lon = REAL(0));
    EXPECT(&s, "speed", NAN);
    SEND(&s, .t = HOUR, .lat = REAL(0), .lon = NIL);
    EXPECT(&s, "speed", NAN);
    SEND(&s, .t = 2 * HOUR, .lat = INT(0), .lon = INT(90)); /* a quarter of the equator in two hours */
    assert_float_equal(scene_feature_value(&s, "speed"), (float)(6371.0088 * M_PI / 2 / 2), 0.01f);
    SEND(&s, .t = 2 * HOUR, .lat = REAL(90), .lon = REAL(0)); /* another quarter, as if in one second */
    assert_float_equal(scene_feature_value(&s, "speed"), (float)(6371.0088 * M_PI / 2 * 3600), 100.0f);
    SEND(&s, .t = 3 * HOUR, .lat = REAL(90.001), .lon = REAL(0));
    EXPECT(&s, "speed", NAN);
    SEND(&s, .t = 3 * HOUR, .lat = REAL(90), .lon = REAL(-180.5));
    EXPECT(&s, "speed", NAN);
    SEND(&s, .t = 3 * HOUR, .lat = REAL(NAN), .lon = REAL(0));
    EXPECT(&s, "speed", NAN);
    SEND(&s, .t = 3 * HOUR, .lat = REAL(90), .lon = REAL(0)); /* from the one at 2 h */
    EXPECT(&s, "speed", 0);
    scene_close(&s);
}

static void hour_and_day_are_utc_plus_the_offset(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "hour", .op = OP_HOUR_OF_DAY}, {.name = "day", .op = OP_DAY_OF_WEEK},
               {.name = "hour_west", .op = OP_HOUR_OF_DAY, .offset_ms = -5 * HOUR}, {.name = "day_west", .op = OP_DAY_OF_WEEK, .offset_ms = -5 * HOUR},
               {.name = "hour_half", .op = OP_HOUR_OF_DAY, .offset_ms = 5 * HOUR + 30 * MINUTE},
               {.name = "night", .op = OP_HOUR_OF_DAY, .values = "22 23 0 1"}, {.name = "weekend", .op = OP_DAY_OF_WEEK, .values = "5 6"});
    SEND(&s, .t = 0); /* Thursday, 1970-01-01 */
    EXPECT(&s, "hour", 0);
    EXPECT(&s, "day", 3);
    EXPECT(&s, "hour_west", 19);
    EXPECT(&s, "day_west", 2);
    EXPECT(&s, "hour_half", 5);
    EXPECT(&s, "night", 1);
    EXPECT(&s, "weekend", 0);
    SEND(&s, .t = 2 * (int64_t)DAY + 18 * HOUR + 29 * MINUTE + 59999); /* Saturday, 18:29:59.999 */
    EXPECT(&s, "hour", 18);
    EXPECT(&s, "day", 5);
    EXPECT(&s, "hour_half", 23);
    EXPECT(&s, "night", 0);
    EXPECT(&s, "weekend", 1);
    SEND(&s, .t = 2 * (int64_t)DAY + 18 * HOUR + 30 * MINUTE);
    EXPECT(&s, "hour_half", 0);
    scene_close(&s);
}

static void fields_of_the_event_itself(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "amount", .op = OP_VALUE, .field = "amount", .scale = 0.01}, {.name = "price", .op = OP_VALUE, .field = "price"},
               {.name = "cents", .op = OP_VALUE, .field = "price", .fixed = 0.01},
               {.name = "good", .op = OP_IN, .field = "code", .values = "00 '1'"}, {.name = "bad", .op = OP_EQUALS, .field = "code", .values = "'05'"},
               {.name = "which", .op = OP_CODE, .field = "code", .values = "'05' 00 true"});
    SEND(&s, .t = 0, .amount = INT(12345), .price = REAL(0.125), .code = TEXT("00"));
    EXPECT(&s, "amount", 12345 * 0.01);
    EXPECT(&s, "price", 0.125);
    EXPECT(&s, "cents", 12); /* 12.5 to even */
    EXPECT(&s, "good", 1);
    EXPECT(&s, "bad", 0);
    EXPECT(&s, "which", 1);
    SEND(&s, .t = 0, .price = REAL(NAN), .code = NIL);
    EXPECT(&s, "amount", NAN);
    EXPECT(&s, "price", NAN);
    EXPECT(&s, "cents", NAN);
    EXPECT(&s, "good", NAN);
    EXPECT(&s, "bad", NAN);
    EXPECT(&s, "which", NAN);
    SEND(&s, .t = 0, .price = INT(7), .code = TEXT("0"));
    EXPECT(&s, "price", 7);
    EXPECT(&s, "cents", 700);
    EXPECT(&s, "good", 0); /* the text is not the number's spelling */
    EXPECT(&s, "which", NAN);
    SEND(&s, .t = 0, .code = INT(0));
    EXPECT(&s, "good", 1);
    SEND(&s, .t = 0, .code = INT(1));
    EXPECT(&s, "good", 0); /* '1' is text alone */
    SEND(&s, .t = 0, .code = BOOL(1));
    EXPECT(&s, "good", 0);
    EXPECT(&s, "which", 2);
    scene_close(&s);
}

static void fixed_makes_steps_of_a_double(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "sum", .op = OP_SUM, .field = "price", .windows = "1m", .fixed = 0.01, .scale = 0.01},
               {.name = "max", .op = OP_MAX, .field = "price", .windows = "1m", .fixed = 0.01});
    for (int i = 0; i < 10; i++)
        SEND(&s, .t = 1000, .price = REAL(0.1));
    EXPECT(&s, "sum_1m", 100 * 0.01);
    EXPECT(&s, "max_1m", 10);
    SEND(&s, .t = 1000, .price = INT(-2));
    EXPECT(&s, "sum_1m", -100 * 0.01);
    scene_close(&s);
}

/* ---- the state ---- */

static void batches_of_any_size_give_the_same(void **state)
{
    (void)state;
    enum { EVENTS = 100 };
    uint64_t digests[3];
    float rows[3][EVENTS * 2];
    for (int round = 0; round < 3; round++) {
        struct scene s;
        SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "10s"}, {.name = "last", .op = OP_SINCE_LAST});
        struct value values[EVENTS][3];
        char ids[EVENTS][16];
        struct event events[EVENTS];
        struct feature_outcome outcomes[EVENTS];
        for (int i = 0; i < EVENTS; i++) {
            snprintf(ids[i], sizeof ids[i], "%d", i % 90);
            const char *card = i % 3 ? "a" : "b";
            values[i][0] = TEXT(ids[i]);
            values[i][1] = TEXT(card);
            values[i][2] = INT(1000 * i - i % 7 * 900);
            int64_t t = values[i][2].integer < 0 ? 0 : values[i][2].integer;
            events[i] = (struct event){.values = values[i], .offset = i, .record_ms = t, .time_ms = t,
                                       .id = {ids[i], values[i][0].size}, .entity = {card, 1}};
        }
        size_t step = (size_t[]){1, 7, EVENTS}[round];
        for (size_t i = 0; i < EVENTS; i += step) {
            size_t n = EVENTS - i < step ? EVENTS - i : step;
            assert_int_equal(windows_fold(s.windows, events + i, n, rows[round] + i * 2, outcomes + i), 0);
        }
        for (int i = 0; i < EVENTS; i++)
            if (outcomes[i].reason != REJECT_NONE)
                rows[round][i * 2] = rows[round][i * 2 + 1] = 0;
        digests[round] = windows_digest(s.windows);
        scene_close(&s);
    }
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    assert_memory_equal(rows[0], rows[2], sizeof rows[0]);
    assert_true(digests[0] == digests[1] && digests[0] == digests[2]);
}

/* Where machines take eight events at a time: at the edges of hours near and far, with values and texts of every kind. */
static void groups_of_events_give_what_each_gives_alone(void **state)
{
    (void)state;
    enum { EVENTS = 61, COLUMNS = 16 };
    static const struct value codes[] = {{.type = VALUE_TEXT, .text = "", .size = 0}, {.type = VALUE_TEXT, .text = "a", .size = 1},
                                         {.type = VALUE_TEXT, .text = "a\0", .size = 2}, {.type = VALUE_TEXT, .text = "ab", .size = 2},
                                         {.type = VALUE_TEXT, .text = "eightlet", .size = 8}, {.type = VALUE_TEXT, .text = "nineletters", .size = 9},
                                         {.type = VALUE_TEXT, .text = "nineletters", .size = 11}, {.type = VALUE_NULL}, {.type = VALUE_ABSENT},
                                         {.type = VALUE_TEXT, .text = "other", .size = 5}, {.type = VALUE_TEXT, .text = "abc", .size = 3}};
    static const struct value prices[] = {{.type = VALUE_INT, .integer = INT64_MIN}, {.type = VALUE_DOUBLE, .real = -0.0}, {.type = VALUE_DOUBLE, .real = -NAN},
                                          {.type = VALUE_NULL}, {.type = VALUE_ABSENT}, {.type = VALUE_DOUBLE, .real = 1e300}, {.type = VALUE_INT, .integer = 7}};
    static const int64_t edges[] = {0, 1, 2, 23, 24, 7 * 24 - 1, 7 * 24, 400000, 77000001, 78187492 /* the last whole hour of all times */};
    float rows[2][EVENTS * COLUMNS];
    for (int alone = 0; alone < 2; alone++) {
        struct scene s;
        SCENE_OPEN(&s, plain_file, {.name = "hour", .op = OP_HOUR_OF_DAY}, {.name = "day", .op = OP_DAY_OF_WEEK},
                   {.name = "west", .op = OP_HOUR_OF_DAY, .offset_ms = -FEATURE_DURATION_MAX_MS}, {.name = "west_day", .op = OP_DAY_OF_WEEK, .offset_ms = 1 - FEATURE_DURATION_MAX_MS},
                   {.name = "east", .op = OP_HOUR_OF_DAY, .offset_ms = FEATURE_DURATION_MAX_MS, .scale = -0.1}, {.name = "night", .op = OP_HOUR_OF_DAY, .values = "22 23 0 1"},
                   {.name = "last", .op = OP_SINCE_LAST}, {.name = "price", .op = OP_VALUE, .field = "price", .scale = -0.01},
                   {.name = "code", .op = OP_CODE, .field = "code", .values = "abc ninelette ab eightlet a nineletters", .scale = 0.1},
                   {.name = "good", .op = OP_IN, .field = "code", .values = "a other", .scale = -1}, {.name = "z", .op = OP_ZSCORE, .field = "amount", .windows = "1m 1h 1d 2d 7d"},
                   {.name = "std", .op = OP_STD, .field = "amount", .windows = "1m"});
        assert_int_equal(s.spec->count, COLUMNS);
        static struct value values[EVENTS][FIELD_SLOTS_MAX];
        char ids[EVENTS][16];
        struct event events[EVENTS];
        struct feature_outcome outcomes[EVENTS];
        for (int i = 0; i < EVENTS; i++) {
            snprintf(ids[i], sizeof ids[i], "%d", i);
            const int64_t t = edges[i / 6 % 10] * HOUR + (int64_t[]){0, 1, HOUR - 1, HOUR / 2 - 1, HOUR / 2, HOUR - 1}[i % 6];
            scene_fill(&s, &(struct sent){.amount = i % 5 ? INT(i % 4 ? i : INT64_MAX - i) : NIL, .price = prices[i % 7], .code = codes[i % 11]});
            s.values[FIELD_ID] = TEXT(ids[i]);
            s.values[FIELD_ENTITY] = TEXT("c");
            s.values[FIELD_TIME] = INT(t);
            memcpy(values[i], s.values, sizeof values[i]);
            events[i] = (struct event){.values = values[i], .offset = i, .record_ms = t, .time_ms = t, .id = {ids[i], values[i][FIELD_ID].size}, .entity = {"c", 1}};
        }
        for (size_t i = 0; i < EVENTS; i += alone ? 1 : EVENTS)
            assert_int_equal(windows_fold(s.windows, events + i, alone ? 1 : EVENTS, rows[alone] + i * COLUMNS, outcomes + i), 0);
        for (int i = 0; i < EVENTS; i++)
            assert_int_equal(outcomes[i].reason, REJECT_NONE);
        scene_close(&s);
    }
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
}

static void digest_tells_states_apart_and_forgets_what_no_longer_matters(void **state)
{
    (void)state;
    struct scene a, b;
    SCENE_OPEN(&a, late_10s, {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m"});
    SCENE_OPEN(&b, late_10s, {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m"});
    assert_true(windows_digest(a.windows) == windows_digest(b.windows));
    SEND(&a, .t = 100000, .amount = INT(1));
    assert_false(windows_digest(a.windows) == windows_digest(b.windows));
    SEND(&b, .t = 100000, .amount = INT(2));
    assert_false(windows_digest(a.windows) == windows_digest(b.windows));
    SEND(&a, .t = 170000, .card = "d", .id = "x", .amount = INT(3)); /* the first ones are out */
    SEND(&b, .t = 170000, .card = "d", .id = "x", .amount = INT(3));
    assert_true(windows_digest(a.windows) == windows_digest(b.windows));
    windows_set_history_start(a.windows, 100000);
    assert_true(windows_digest(a.windows) == windows_digest(b.windows));
    windows_set_history_start(a.windows, 100001);
    assert_false(windows_digest(a.windows) == windows_digest(b.windows));
    scene_close(&a);
    scene_close(&b);
}

static void hashes_follow_from_the_feature_file(void **state)
{
    (void)state;
    struct scene a, b, other;
    SCENE_OPEN(&a, plain_file, {.name = "n", .op = OP_DISTINCT, .field = "merchant", .windows = "1h"});
    SCENE_OPEN(&b, plain_file, {.name = "n", .op = OP_DISTINCT, .field = "merchant", .windows = "1h"});
    SCENE_OPEN(&other, plain_file, {.name = "m", .op = OP_DISTINCT, .field = "merchant", .windows = "1h"});
    uint64_t records[3][8] = {{0}};
    struct scene *scenes[3] = {&a, &b, &other};
    for (int i = 0; i < 3; i++) {
        SEND(scenes[i], .t = 1000, .id = "x", .merchant = TEXT("m"));
        const struct windows *w = scenes[i]->windows;
        memcpy(records[i], entity_record(w->program, entity_at(&w->entities, 0), 0), w->program->record_words * sizeof(uint64_t));
    }
    assert_int_equal(a.windows->entities.seed, b.windows->entities.seed);
    assert_memory_equal(records[0], records[1], sizeof records[0]);
    assert_true(a.windows->entities.seed != other.windows->entities.seed);
    assert_true(records[0][RECORD_ID] != records[2][RECORD_ID]);
    assert_true(records[0][a.windows->program->category_word] != records[2][other.windows->program->category_word]);
    for (int i = 0; i < 3; i++)
        scene_close(scenes[i]);
}

static void idle_entities_are_forgotten_by_stream_time(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    for (int i = 0; i < 500; i++) {
        char card[16];
        snprintf(card, sizeof card, "%d", i);
        SEND(&s, .t = 1000 + i, .card = card);
    }
    assert_int_equal(windows_count(s.windows).entities, 500);
    uint64_t bytes = windows_count(s.windows).bytes;
    for (int64_t t = 2000; t < 400000; t += 1000)
        SEND(&s, .t = t, .card = "busy");
    struct window_counts counts = windows_count(s.windows);
    assert_int_equal(counts.entities, 1);
    assert_int_equal(counts.evicted_entities, 0);
    assert_true(counts.bytes <= windows_worst_case_bytes(s.spec, no_limits));
    for (int i = 0; i < 500; i++) { /* others take the room of those that are gone */
        char card[24];
        snprintf(card, sizeof card, "other %d", i);
        SEND(&s, .t = 400000 + i, .card = card);
    }
    assert_true(windows_count(s.windows).bytes <= bytes + bytes / 4);
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
        cmocka_unit_test(duplicate_is_an_id_that_the_entity_still_shows),
        cmocka_unit_test(duplicate_looks_at_the_stream_time_before_the_event),
        cmocka_unit_test(future_comes_before_stale_and_stale_before_duplicate),
        cmocka_unit_test(without_max_age_nothing_is_stale_and_odd_record_times_do_no_harm),
        cmocka_unit_test(complete_from_offset_0_and_after_a_longest_window_of_history),
        cmocka_unit_test(cold_start_has_its_history_from_the_first_event),
        cmocka_unit_test(dropping_an_entitys_oldest_event_shows_until_no_window_needs_it),
        cmocka_unit_test(a_late_event_can_be_the_one_that_is_dropped),
        cmocka_unit_test(the_entity_least_recently_seen_is_evicted),
        cmocka_unit_test(an_entity_not_held_counts_the_newest_time_ever_evicted_as_dropped),
        cmocka_unit_test(events_of_the_partition_are_limited_too),
        cmocka_unit_test(what_is_no_longer_visible_does_not_count_for_limits),
        cmocka_unit_test(aggregates_over_a_window),
        cmocka_unit_test(large_sums_stay_exact),
        cmocka_unit_test(the_current_event_can_be_left_out),
        cmocka_unit_test(where_restricts_the_window_for_the_current_event_too),
        cmocka_unit_test(filters_and_nulls_of_many_features_keep_apart),
        cmocka_unit_test(distinct_and_same_compare_text_by_bytes_and_numbers_by_value),
        cmocka_unit_test(since_first_stays_within_the_longest_window),
        cmocka_unit_test(since_last_reaches_past_the_longest_window_by_the_lateness),
        cmocka_unit_test(speed_goes_by_the_latest_event_with_a_place),
        cmocka_unit_test(hour_and_day_are_utc_plus_the_offset),
        cmocka_unit_test(fields_of_the_event_itself),
        cmocka_unit_test(fixed_makes_steps_of_a_double),
        cmocka_unit_test(batches_of_any_size_give_the_same),
        cmocka_unit_test(groups_of_events_give_what_each_gives_alone),
        cmocka_unit_test(digest_tells_states_apart_and_forgets_what_no_longer_matters),
        cmocka_unit_test(hashes_follow_from_the_feature_file),
        cmocka_unit_test(idle_entities_are_forgotten_by_stream_time),
        cmocka_unit_test(a_file_without_windows_keeps_events_for_the_lateness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
