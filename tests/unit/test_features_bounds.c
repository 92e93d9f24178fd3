/* Where numbers come round, a word or a vector is full: sequence numbers of an entity's events, lanes of a record, stairs. */
#include "feature_scene.h"
#include "scoring/features/partition_state.h"

enum { SEQUENCE_TURN = 1 << 20, IN_A_MINUTE = 60, BURST = 400 };

/* With an op that looks for the place before, every event lets go of what is not visible any more: so the turn comes while
 * one is on its way that was promised a place. */
static void check_turn(bool vectors)
{
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "1m"}, {.name = "v", .op = OP_SPEED_KMH, .lat = "lat", .lon = "lon"});
    feature_program_vectors(s.windows->program, vectors);
    int64_t t = 1000000;
    for (int i = 0; i < SEQUENCE_TURN + IN_A_MINUTE + 1; i++)
        SEND(&s, .t = t += 1000);
    const struct entity *e = entity_at(&s.windows->entities, 0);
    assert_true(e->first_seq >= SEQUENCE_TURN && e->first_seq < SEQUENCE_TURN + IN_A_MINUTE);
    for (int i = 0; i < BURST; i++) {
        SEND(&s, .t = ++t);
        assert_true(e->count <= entity_layout(s.windows->program, e)->capacity);
        EXPECT(&s, "n_1m", (float)(IN_A_MINUTE + 1 + i));
    }
    scene_close(&s);
}

static void sequence_numbers_turn_while_a_place_is_promised(void **state)
{
    (void)state;
    check_turn(true);
    check_turn(false);
}

enum { LANES_MOST = 20, SENT = 300 };

/* Up to 16 lanes lie beside the time, more in words of their own. */
static void check_lanes(int lanes)
{
    struct scene s;
    struct entry entries[LANES_MOST];
    char names[LANES_MOST][16], listed[LANES_MOST][16], expanded[24];
    for (int i = 0; i < lanes; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        snprintf(listed[i], sizeof listed[i], "%d", i);
        entries[i] = (struct entry){.name = names[i], .op = OP_COUNT, .windows = "1m", .where = "code", .in = listed[i]};
    }
    scene_open_limited(&s, plain_file, no_limits, entries, (size_t)lanes);
    for (int i = 0; i < SENT; i++) {
        SEND(&s, .t = 1000000 + i * 1000, .code = INT(i % lanes));
        int visible = i < IN_A_MINUTE ? i + 1 : IN_A_MINUTE, counted = (visible - 1) / lanes + 1;
        snprintf(expanded, sizeof expanded, "c%d_1m", i % lanes);
        EXPECT(&s, expanded, (float)counted);
    }
    scene_close(&s);
}

static void each_lane_counts_its_own(void **state)
{
    (void)state;
    for (int lanes = 1; lanes <= LANES_MOST; lanes++)
        check_lanes(lanes);
}

enum { RISING = 100, SECONDS = 10 };

/* Numbers that only rise or fall: each event is a stair, and the best of a window is the one that has just become its first. */
static void check_long_staircase(bool vectors)
{
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "low", .op = OP_MIN, .field = "amount", .windows = "10s 1m"}, {.name = "high", .op = OP_MAX, .field = "price", .fixed = 1, .windows = "10s 1m"});
    feature_program_vectors(s.windows->program, vectors);
    for (int i = 0; i < RISING; i++) {
        SEND(&s, .t = 1000000 + i * 1000, .amount = INT(i), .price = INT(-i));
        const int from = i < SECONDS ? 0 : i - SECONDS + 1, from_minute = i < IN_A_MINUTE ? 0 : i - IN_A_MINUTE + 1;
        EXPECT(&s, "low_10s", from);
        EXPECT(&s, "high_10s", -from);
        EXPECT(&s, "low_1m", from_minute);
        EXPECT(&s, "high_1m", -from_minute);
    }
    scene_close(&s);
}

static void a_staircase_of_any_length_has_the_best_of_each_window_as_it_moves(void **state)
{
    (void)state;
    check_long_staircase(true);
    check_long_staircase(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequence_numbers_turn_while_a_place_is_promised),
        cmocka_unit_test(each_lane_counts_its_own),
        cmocka_unit_test(a_staircase_of_any_length_has_the_best_of_each_window_as_it_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
