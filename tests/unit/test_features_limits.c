/* Limits of an entity and of a partition: what goes, and what is said of it.  Given these events, these numbers. */
#include "feature_scene.h"

/* ---- events of an entity ---- */

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

/* ---- entities and events of a partition ---- */

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

/* ---- without limits ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropping_an_entitys_oldest_event_shows_until_no_window_needs_it),
        cmocka_unit_test(a_late_event_can_be_the_one_that_is_dropped),
        cmocka_unit_test(the_entity_least_recently_seen_is_evicted),
        cmocka_unit_test(an_entity_not_held_counts_the_newest_time_ever_evicted_as_dropped),
        cmocka_unit_test(events_of_the_partition_are_limited_too),
        cmocka_unit_test(what_is_no_longer_visible_does_not_count_for_limits),
        cmocka_unit_test(idle_entities_are_forgotten_by_stream_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
