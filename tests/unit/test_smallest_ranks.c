/* What a stream need not hand on of a sample any more. */
#include "monitor/smallest_ranks.h"

#include "tests/unit/monitor_scene.h"

static int set_up(void **state)
{
    return (*state = smallest_ranks_create()) ? 0 : -1;
}

static int tear_down(void **state)
{
    smallest_ranks_destroy(*state);
    return 0;
}

static bool hand_on(struct smallest_ranks *ranks, int64_t window_ms, size_t sample, uint64_t rank)
{
    bool admitted = smallest_ranks_admit(ranks, window_ms, sample, rank);
    if (admitted)
        smallest_ranks_add(ranks, window_ms, sample, rank);
    return admitted;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void the_smallest_are_all_handed_on_and_few_beside(void **state)
{
    enum { EVENTS = 100000 };
    static uint64_t ranks[EVENTS], handed[EVENTS];
    size_t n = 0;
    uint64_t seed = 3;
    for (size_t i = 0; i < EVENTS; i++) {
        ranks[i] = scene_random(&seed);
        if (hand_on(*state, 0, 0, ranks[i]))
            handed[n++] = ranks[i];
    }
    assert_in_range(n, SMALLEST_RANKS, 16 * SMALLEST_RANKS); /* 32 (1 + ln 3125) = 290 */
    qsort(ranks, EVENTS, sizeof *ranks, compare);
    qsort(handed, n, sizeof *handed, compare);
    assert_memory_equal(handed, ranks, SMALLEST_RANKS * sizeof *ranks);
}

/* A partition that comes back is read again: nothing of it is refused because of itself. */
static void what_was_handed_on_is_admitted_again(void **state)
{
    for (int time = 0; time < 3; time++)
        for (uint64_t rank = 2 * SMALLEST_RANKS; rank > SMALLEST_RANKS; rank--)
            assert_true(hand_on(*state, 0, 0, rank));
    assert_false(hand_on(*state, 0, 0, 2 * SMALLEST_RANKS + 1));
    assert_true(hand_on(*state, 0, 0, 1));
    assert_false(hand_on(*state, 0, 0, 2 * SMALLEST_RANKS)); /* there are 32 below */
}

static void windows_and_samples_know_nothing_of_each_other(void **state)
{
    for (uint64_t rank = 0; rank < SMALLEST_RANKS; rank++)
        hand_on(*state, 300000, 1, rank);
    assert_false(smallest_ranks_admit(*state, 300000, 1, 1000));
    assert_true(smallest_ranks_admit(*state, 300000, 2, 1000));
    assert_true(smallest_ranks_admit(*state, 600000, 1, 1000));
    for (int64_t window = 2; window < 1000; window++) /* and what is forgotten is admitted */
        assert_true(hand_on(*state, window * 300000, 1, 1000));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(the_smallest_are_all_handed_on_and_few_beside), TEST(what_was_handed_on_is_admitted_again),
        TEST(windows_and_samples_know_nothing_of_each_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
