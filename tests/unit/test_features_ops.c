/* The ops of features, case by case: given these events, these numbers. */
#include "feature_scene.h"

#define MINUTE 60000
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* ---- over windows ---- */

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

/* ---- since and speed: by single events ---- */

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

/* ---- of the event itself ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
