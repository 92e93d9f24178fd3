/* A lane lags where the log's end was beyond its records long ago, whatever the records' dates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "consumer/lane/lag.h"

enum { LIMIT = 2000 };

static void what_is_read_as_it_arrives_never_lags(void **state)
{
    (void)state;
    struct lag lag = {0};
    for (int64_t at = 0; at < 100000; at += 50) { /* ten records each time, read at once */
        lag_note(&lag, at, LIMIT, at / 5 + 10);
        assert_false(lag_exceeds(&lag, at, LIMIT, at / 5 + 9));
    }
}

static void a_backlog_lags_once_it_has_been_known_for_long(void **state)
{
    (void)state;
    struct lag lag = {0};
    for (int64_t at = 0; at < 10000; at += 10) { /* 100,000 records at the start, 100 read each time */
        lag_note(&lag, at, LIMIT, 100000);
        assert_int_equal(lag_exceeds(&lag, at, LIMIT, at * 10), at >= LIMIT && at * 10 + 1 < 100000);
    }
}

static void a_lane_that_stands_still_lags_and_catches_up(void **state)
{
    (void)state;
    struct lag lag = {0};
    for (int64_t at = 0; at <= 20000; at += 100) /* one record a millisecond */
        lag_note(&lag, at, LIMIT, at);
    assert_true(lag_exceeds(&lag, 20000, LIMIT, 10000));
    assert_true(lag_exceeds(&lag, 20000, LIMIT, 17000));
    assert_false(lag_exceeds(&lag, 20000, LIMIT, 18100));
    assert_false(lag_exceeds(&lag, 20000, LIMIT, 19999));
}

static void nothing_known_is_no_lag(void **state)
{
    (void)state;
    assert_false(lag_exceeds(&(struct lag){0}, 1 << 30, LIMIT, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_as_it_arrives_never_lags),
        cmocka_unit_test(a_backlog_lags_once_it_has_been_known_for_long),
        cmocka_unit_test(a_lane_that_stands_still_lags_and_catches_up),
        cmocka_unit_test(nothing_known_is_no_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
