/* The thread that runs errands: one at a time, awaited, and left to itself if it does not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "consumer/kafka/errand.h"

static void add_one(void *of)
{
    (*(int *)of)++;
}

static atomic_bool released;

static void wait_until_released(void *of)
{
    (void)of;
    while (!atomic_load(&released))
        usleep(1000);
}

static void count_up(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void what_a_task_wrote_is_there_when_it_is_done(void **state)
{
    (void)state;
    atomic_int done = 0;
    int value = 0; /* of no lock or atomic: the errand orders it */
    struct errand *e = errand_create(count_up, &done);
    for (int i = 1; i <= 100; i++) {
        errand_start(e, add_one, &value);
        while (!errand_wait(e, 1000))
            ;
        assert_false(errand_under_way(e));
        assert_int_equal(value, i);
    }
    assert_true(errand_destroy(e, 0));
    assert_in_range(atomic_load(&done), 99, 100); /* the last wake-up is left out when nobody is there to be woken */
}

static void a_task_that_lasts_is_not_waited_for_longer_than_said(void **state)
{
    (void)state;
    atomic_store(&released, false);
    struct errand *e = errand_create(NULL, NULL);
    errand_start(e, wait_until_released, NULL);
    assert_true(errand_under_way(e));
    assert_false(errand_wait(e, 5));
    atomic_store(&released, true);
    assert_true(errand_destroy(e, 5000));
}

static void a_task_that_never_ends_is_left_to_itself(void **state)
{
    (void)state;
    static struct errand *left; /* the thread still uses it */
    atomic_store(&released, false);
    left = errand_create(NULL, NULL);
    errand_start(left, wait_until_released, NULL);
    assert_false(errand_destroy(left, 5));
    atomic_store(&released, true);
}

static void none_is_no_errand(void **state)
{
    (void)state;
    assert_true(errand_destroy(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_task_wrote_is_there_when_it_is_done),
        cmocka_unit_test(a_task_that_lasts_is_not_waited_for_longer_than_said),
        cmocka_unit_test(a_task_that_never_ends_is_left_to_itself),
        cmocka_unit_test(none_is_no_errand),
    };
    return cmocka_run_group_tests_name("errand", tests, NULL, NULL);
}
