/* What would take long at once is done in steps, and a step is bounded by a count of things: the heaps of the limits are
 * there before a limit binds, and the memory of windows goes back piece by piece. */
#include "feature_scene.h"
#include "scoring/features/partition_state.h"

enum {
    ENTITIES = 4096,
    AN_EVENT_MAX = 32 + 2, /* entities that come into the heaps, the event's own among them, and one put in anew */
    WORK = 256
};

static void open_scene(struct scene *s, struct window_limits limits)
{
    const struct entry count = {"count", OP_COUNT, .windows = "1h"};
    scene_open_limited(s, plain_file, limits, &count, 1);
}

/* Keys that are too long to lie in their entities. */
static void send_card(struct scene *s, int number)
{
    char card[64];
    snprintf(card, sizeof card, "a card with a long name, number %d", number);
    SEND(s, .t = 1000 + number, .card = card);
}

static void check_steps(struct scene *s, int events)
{
    for (int i = 0; i < events; i++) {
        size_t before = s->windows->by_seen.count;
        send_card(s, i);
        size_t come = s->windows->by_seen.count > before ? s->windows->by_seen.count - before : 0;
        if (come > AN_EVENT_MAX)
            fail_msg("event %d: %zu entities came into a heap at once", i, come);
        assert_true(s->windows->entities.held <= ENTITIES && s->windows->store.events <= ENTITIES);
    }
    assert_int_equal(windows_count(s->windows).entities, ENTITIES);
    assert_int_equal(s->windows->evicted_entities, events - ENTITIES);
}

static void test_no_event_builds_the_heaps_of_a_limit_at_once(void **state)
{
    (void)state;
    struct window_limits limits[] = {{ENTITIES, 1000000}, {1000000, ENTITIES}, {ENTITIES, ENTITIES}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct scene s;
        open_scene(&s, limits[i]);
        check_steps(&s, 2 * ENTITIES);
        scene_close(&s);
    }
}

static void test_heaps_go_and_come_again(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, (struct window_limits){ENTITIES, 1000000});
    check_steps(&s, ENTITIES + 10);
    assert_true(s.windows->pressed);
    SEND(&s, .t = 100 * 3600000, .card = "long after: all others are forgotten little by little");
    for (int i = 0; i < ENTITIES && s.windows->pressed; i++)
        SEND(&s, .t = 100 * 3600000 + i, .card = "one");
    assert_false(s.windows->pressed);
    for (int i = 0; i < 2 * ENTITIES; i++) {
        size_t before = s.windows->by_seen.count;
        char card[32];
        snprintf(card, sizeof card, "again %d", i);
        SEND(&s, .t = 100 * 3600000 + ENTITIES + i, .card = card);
        assert_true(s.windows->by_seen.count <= before + AN_EVENT_MAX);
    }
    assert_int_equal(windows_count(s.windows).entities, ENTITIES);
    scene_close(&s);
}

static void test_memory_goes_back_step_by_step(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, no_limits);
    for (int i = 0; i < ENTITIES; i++)
        send_card(&s, i);
    int steps = 1;
    for (uint32_t before = 0; !windows_dissolve(s.windows, WORK); steps++) {
        assert_true(s.windows->dissolved <= before + WORK);
        before = s.windows->dissolved;
        assert_true(steps < 100000);
    }
    assert_true(steps >= 2 * ENTITIES / WORK);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_event_builds_the_heaps_of_a_limit_at_once),
        cmocka_unit_test(test_heaps_go_and_come_again),
        cmocka_unit_test(test_memory_goes_back_step_by_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
