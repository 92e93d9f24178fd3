/* The ring that an entity's events lie in: when it grows and shrinks, and what goes with the oldest event of a full one. */
#include <math.h>

#include "feature_scene.h"
#include "scoring/features/partition_state.h"

static const struct entity *only_entity(const struct scene *s)
{
    return entity_at(&s->windows->entities, 0);
}

static uint32_t capacity_of(const struct scene *s, const struct entity *e)
{
    return entity_layout(s->windows->program, e)->capacity;
}

/* ---- growing and shrinking ---- */

static int64_t send_every(struct scene *s, int64_t t, int64_t gap_ms, int n)
{
    for (int i = 0; i < n; i++)
        SEND(s, .t = t += gap_ms);
    return t;
}

/* Minutes of `many` events and of `few`. */
static void check_swing(int many, int few)
{
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    int64_t t = send_every(&s, 1000000, 60000 / many, 2 * many);
    EXPECT(&s, "n_1m", many);
    const struct entity *e = only_entity(&s);
    const char *block = e->block;
    for (int swing = 0; swing < 20; swing++) {
        t = send_every(&s, t, 60000 / few, 2 * few);
        EXPECT(&s, "n_1m", few);
        assert_ptr_equal(e->block, block);
        t = send_every(&s, t, 60000 / many, 2 * many);
        EXPECT(&s, "n_1m", many);
        assert_ptr_equal(e->block, block);
    }
    scene_close(&s);
}

static void a_ring_whose_count_swings_stays_where_it_is(void **state)
{
    (void)state;
    check_swing(6, 1);
    check_swing(12, 8);
    check_swing(60, 50);
}

static void a_ring_that_has_emptied_gives_its_memory_back(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    int64_t t = send_every(&s, 1000000, 100, 600);
    const struct entity *e = only_entity(&s);
    assert_true(capacity_of(&s, e) >= 600);
    send_every(&s, t, 10000, 80);
    EXPECT(&s, "n_1m", 6);
    assert_true(capacity_of(&s, e) <= 6 + 6 / 8 + RING_SPARE);
    scene_close(&s);
}

/* All at once, for a late one, while there is room for many more. */
static void a_ring_that_a_late_event_empties_gives_its_memory_back(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    const int64_t t = send_every(&s, 1000000, 1, 4000) + 40000;
    const struct entity *e = only_entity(&s);
    SEND(&s, .t = t);
    SEND(&s, .t = t + 40000);
    assert_true(e->count > 4000);
    SEND(&s, .t = t + 39999);
    SEND(&s, .t = t + 40001);
    assert_int_equal(e->count, 4);
    assert_true(capacity_of(&s, e) <= 2 * 4 + RING_SPARE);
    scene_close(&s);
}

static void an_entity_of_one_event_takes_the_smallest_block(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    SEND(&s, .t = 1000000);
    assert_int_equal(capacity_of(&s, only_entity(&s)), 2);
    scene_close(&s);
}

/* ---- the largest ---- */

static void check_capacities(int64_t max_events)
{
    struct scene s;
    const struct file_options options = {.max_events = max_events};
    SCENE_OPEN(&s, options, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    const struct feature_program *p = s.windows->program;
    const uint32_t last = p->layouts[p->layout_count - 1].capacity, most = (uint32_t)max_events + 1;
    assert_int_equal(last, most + most / 64);
    for (uint32_t i = 1; i < p->layout_count; i++)
        assert_true(p->layouts[i - 1].capacity < p->layouts[i].capacity);
    for (uint32_t i = 0; i < p->layout_count; i++)
        assert_int_equal(p->layouts[i].capacity, p->layouts[p->layout_count + i].capacity);
    scene_close(&s);
}

static void the_largest_ring_is_as_large_as_the_limit_needs(void **state)
{
    (void)state;
    static const int64_t limits[] = {1, 2, 3, 4, 5, 7, 8, 11, 63, 64, 1023, 4095, 4096, 4097, 65532, FEATURE_EVENTS_PER_ENTITY_MAX};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        check_capacities(limits[i]);
}

static void an_entity_at_its_limit_keeps_its_ring(void **state)
{
    (void)state;
    struct scene s;
    static const struct file_options options = {.max_events = 600};
    SCENE_OPEN(&s, options, {.name = "n", .op = OP_COUNT, .windows = "1m"});
    int64_t t = send_every(&s, 1000000, 1, 601);
    const struct entity *e = only_entity(&s);
    const char *block = e->block;
    for (int i = 0; i < 3000; i++) {
        t = send_every(&s, t, 1, 1);
        EXPECT(&s, "n_1m", 601);
        assert_int_equal(e->count, 600);
        assert_ptr_equal(e->block, block);
    }
    scene_close(&s);
}

/* ---- the oldest of a full one goes ---- */

static void open_full(struct scene *s, bool vectors, const struct entry *entries, size_t count)
{
    static const struct file_options options = {.max_events = 3};
    scene_open_limited(s, options, no_limits, entries, count);
    feature_program_vectors(s->windows->program, vectors);
}

/* Each event is scored with three before it, of which the oldest goes then. */
static void check_drops(bool vectors)
{
    static const struct entry entries[] = {
        {.name = "n", .op = OP_COUNT, .windows = "1s 1m"},
        {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1s 1m"},
        {.name = "std", .op = OP_STD, .field = "amount", .windows = "1m"},
        {.name = "max", .op = OP_MAX, .field = "amount", .windows = "1s 1m"},
        {.name = "shops", .op = OP_DISTINCT, .field = "merchant", .windows = "1s 1m"},
        {.name = "big", .op = OP_SUM, .field = "amount", .windows = "1s 1m", .where = "amount", .min = "10"},
    };
    struct scene s;
    open_full(&s, vectors, entries, sizeof entries / sizeof *entries);
    SEND(&s, .t = 100000, .amount = INT(90), .merchant = TEXT("a"));
    SEND(&s, .t = 100100, .amount = INT(10), .merchant = TEXT("b"));
    SEND(&s, .t = 100200, .amount = INT(20), .merchant = TEXT("b"));
    SEND(&s, .t = 100300, .amount = INT(5), .merchant = TEXT("c")); /* lets 90 go: the first stair, the only one of its shop */
    EXPECT(&s, "n_1s", 4);
    EXPECT(&s, "max_1m", 90);
    EXPECT(&s, "shops_1m", 3);
    SEND(&s, .t = 100400, .amount = INT(7), .merchant = TEXT("c")); /* lets 10 go: no stair, its shop is there again */
    EXPECT(&s, "n_1s", 4);
    EXPECT(&s, "n_1m", 4);
    EXPECT(&s, "sum_1s", 42);
    EXPECT(&s, "sum_1m", 42);
    EXPECT(&s, "std_1m", sqrt(33.25)); /* 10 20 5 7 */
    EXPECT(&s, "big_1s", 30);
    EXPECT(&s, "max_1s", 20);
    EXPECT(&s, "max_1m", 20);
    EXPECT(&s, "shops_1s", 2);
    EXPECT(&s, "shops_1m", 2);
    SEND(&s, .t = 101250, .amount = INT(9), .merchant = TEXT("a")); /* 20 is out of the second already: only the minute loses it */
    EXPECT(&s, "n_1s", 3);
    EXPECT(&s, "n_1m", 4);
    EXPECT(&s, "sum_1s", 21);
    EXPECT(&s, "sum_1m", 41);
    EXPECT(&s, "big_1s", 0);
    EXPECT(&s, "big_1m", 20);
    EXPECT(&s, "max_1s", 9);
    EXPECT(&s, "max_1m", 20);
    EXPECT(&s, "shops_1m", 3);
    SEND(&s, .t = 101260, .amount = INT(1), .merchant = TEXT("d"));
    EXPECT(&s, "n_1s", 4); /* 5 7 9 1 */
    EXPECT(&s, "sum_1s", 22);
    EXPECT(&s, "sum_1m", 22);
    EXPECT(&s, "std_1m", sqrt(8.75));
    EXPECT(&s, "big_1m", 0);
    EXPECT(&s, "max_1m", 9);
    EXPECT(&s, "shops_1m", 3);
    SEND(&s, .t = 150000, .amount = INT(2), .merchant = TEXT("d"));
    EXPECT(&s, "n_1s", 1);
    EXPECT(&s, "sum_1s", 2);
    EXPECT(&s, "n_1m", 4); /* 7 9 1 2 */
    EXPECT(&s, "sum_1m", 19);
    EXPECT(&s, "shops_1m", 3);
    assert_int_equal(windows_count(s.windows).dropped_events, 5);
    scene_close(&s);
}

static void what_the_oldest_brought_goes_with_it(void **state)
{
    (void)state;
    check_drops(true);
    check_drops(false);
}

static void counters_of_the_same_category_lose_the_oldest(void **state)
{
    (void)state;
    static const struct entry entries[] = {{.name = "same", .op = OP_SAME, .field = "merchant", .windows = "1s 1m"}};
    struct scene s;
    open_full(&s, true, entries, 1);
    for (int i = 0; i < 5; i++) {
        SEND(&s, .t = 100000 + i, .merchant = TEXT("a"));
        EXPECT(&s, "same_1s", i < 3 ? i + 1 : 4);
        EXPECT(&s, "same_1m", i < 3 ? i + 1 : 4);
    }
    SEND(&s, .t = 101004, .merchant = TEXT("b")); /* of a third a is left */
    SEND(&s, .t = 101005, .merchant = TEXT("a"));
    EXPECT(&s, "same_1s", 1);
    EXPECT(&s, "same_1m", 3);
    scene_close(&s);
}

static void what_has_expired_is_not_counted_as_dropped(void **state)
{
    (void)state;
    static const struct entry entries[] = {{.name = "n", .op = OP_COUNT, .windows = "1m"}};
    for (int vectors = 0; vectors < 2; vectors++) {
        struct scene s;
        open_full(&s, vectors, entries, 1);
        SEND(&s, .t = 100000);
        SEND(&s, .t = 120000);
        SEND(&s, .t = 130000);
        SEND(&s, .t = 160000); /* the first has just left */
        EXPECT(&s, "n_1m", 3);
        assert_int_equal(windows_count(s.windows).dropped_events, 0);
        SEND(&s, .t = 160001);
        EXPECT(&s, "n_1m", 4);
        assert_int_equal(windows_count(s.windows).dropped_events, 1);
        assert_true(s.outcome.window_complete);
        SEND(&s, .t = 179999); /* 120000, which was dropped, would be in its window */
        assert_false(s.outcome.window_complete);
        SEND(&s, .t = 190000); /* as 130000 would not be */
        assert_true(s.outcome.window_complete);
        scene_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_whose_count_swings_stays_where_it_is),
        cmocka_unit_test(a_ring_that_has_emptied_gives_its_memory_back),
        cmocka_unit_test(a_ring_that_a_late_event_empties_gives_its_memory_back),
        cmocka_unit_test(an_entity_of_one_event_takes_the_smallest_block),
        cmocka_unit_test(the_largest_ring_is_as_large_as_the_limit_needs),
        cmocka_unit_test(an_entity_at_its_limit_keeps_its_ring),
        cmocka_unit_test(what_the_oldest_brought_goes_with_it),
        cmocka_unit_test(counters_of_the_same_category_lose_the_oldest),
        cmocka_unit_test(what_has_expired_is_not_counted_as_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
