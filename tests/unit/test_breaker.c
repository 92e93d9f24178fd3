/* A breaker opens by share and number of failures in its window, asks again after its recovery, and by that answer closes
 * or opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "scoring/models/breaker.h"

static const struct breaker_rules rules = {.failure_percent = 10, .window_ms = 300000, .min_calls = 10, .recovery_ms = 60000};

static void call(struct breaker *b, int64_t at, int times, bool failed)
{
    for (int i = 0; i < times; i++)
        breaker_record(b, &rules, at, failed);
}

static enum breaker_state state_at(const struct breaker *b, int64_t at)
{
    return breaker_state(b, &rules, at);
}

static void a_few_calls_say_nothing(void **state)
{
    (void)state;
    struct breaker b = breaker_closed();
    call(&b, 1000, 9, true);
    assert_int_equal(state_at(&b, 1000), BREAKER_CLOSED);
    call(&b, 1000, 1, false);
    assert_int_equal(state_at(&b, 1000), BREAKER_OPEN);
}

static void a_tenth_of_the_calls_opens_it(void **state)
{
    (void)state;
    struct breaker b = breaker_closed();
    call(&b, 1000, 91, false);
    call(&b, 2000, 9, true);
    assert_int_equal(state_at(&b, 2000), BREAKER_CLOSED);
    call(&b, 2000, 1, true); /* 10 of 101: less than 10 % */
    assert_int_equal(state_at(&b, 2000), BREAKER_CLOSED);
    call(&b, 2000, 1, true);
    assert_int_equal(state_at(&b, 2000), BREAKER_OPEN);
}

static void failures_leave_with_the_window(void **state)
{
    (void)state;
    struct breaker b = breaker_closed();
    call(&b, 5000, 9, true);
    call(&b, 299999, 1, false); /* the failures still count: 9 of 10 */
    assert_int_equal(state_at(&b, 299999), BREAKER_OPEN);
    b = breaker_closed();
    call(&b, 5000, 9, true);
    call(&b, 300000, 90, false); /* their bucket, 0 s to 10 s, has begun to leave */
    assert_int_equal(state_at(&b, 300000), BREAKER_CLOSED);
}

static void after_the_recovery_one_answer_decides(void **state)
{
    (void)state;
    struct breaker b = breaker_closed();
    call(&b, 1000, 10, true);
    assert_int_equal(state_at(&b, 60999), BREAKER_OPEN);
    assert_int_equal(state_at(&b, 61000), BREAKER_HALF_OPEN);
    breaker_record(&b, &rules, 61000, true);
    assert_int_equal(state_at(&b, 120999), BREAKER_OPEN);
    assert_int_equal(state_at(&b, 121000), BREAKER_HALF_OPEN);
    breaker_record(&b, &rules, 150000, false);
    assert_int_equal(state_at(&b, 150000), BREAKER_CLOSED);
    call(&b, 150000, 9, true); /* counted from nothing */
    assert_int_equal(state_at(&b, 150000), BREAKER_CLOSED);
    call(&b, 150000, 1, true);
    assert_int_equal(state_at(&b, 150000), BREAKER_OPEN);
}

static void times_before_1970_have_buckets_too(void **state)
{
    (void)state;
    struct breaker b = breaker_closed();
    call(&b, -1, 9, true);
    call(&b, 0, 1, true);
    assert_int_equal(state_at(&b, 0), BREAKER_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_calls_say_nothing),
        cmocka_unit_test(a_tenth_of_the_calls_opens_it),
        cmocka_unit_test(failures_leave_with_the_window),
        cmocka_unit_test(after_the_recovery_one_answer_decides),
        cmocka_unit_test(times_before_1970_have_buckets_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
