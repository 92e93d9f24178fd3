#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/freshness.h"
#include "tests/unit/assert_near.h"

static void stream_lag_is_now_minus_the_stream_time(void **state)
{
    (void)state;
    assert_near(freshness_stream_lag_seconds(10500, 8000), 2.5, 0);
    assert_near(freshness_stream_lag_seconds(8000, 8000), 0, 0);
    assert_near(freshness_stream_lag_seconds(7000, 8000), 0, 0); /* a clock that is behind */
    assert_true(isnan(freshness_stream_lag_seconds(8000, TIME_UNKNOWN)));
}

static void consumer_lag_is_what_lies_ahead(void **state)
{
    (void)state;
    assert_int_equal(freshness_consumer_lag(100, 40), 60);
    assert_int_equal(freshness_consumer_lag(100, 100), 0);
    assert_int_equal(freshness_consumer_lag(100, 101), 0); /* the end offset is older news */
    assert_int_equal(freshness_consumer_lag(-1, 40), -1);
    assert_int_equal(freshness_consumer_lag(100, -1), -1);
}

static void age_counts_from_the_last_value_else_from_the_start(void **state)
{
    (void)state;
    assert_near(freshness_age_seconds(5000, 3500, 0), 1.5, 0);
    assert_near(freshness_age_seconds(5000, TIME_UNKNOWN, 1000), 4, 0);
    assert_near(freshness_age_seconds(5000, 6000, 0), 0, 0);
    assert_true(isnan(freshness_age_seconds(5000, TIME_UNKNOWN, TIME_UNKNOWN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_lag_is_now_minus_the_stream_time),
        cmocka_unit_test(consumer_lag_is_what_lies_ahead),
        cmocka_unit_test(age_counts_from_the_last_value_else_from_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
