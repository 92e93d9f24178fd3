/* What does not show in single numbers: batches and groups, the digest, hashes. */
#include "scoring/features/partition_state.h"
#include "feature_scene.h"

#define HOUR 3600000

static void batches_of_any_size_give_the_same(void **state)
{
    (void)state;
    enum { EVENTS = 100 };
    uint64_t digests[3];
    float rows[3][EVENTS * 2];
    for (int round = 0; round < 3; round++) {
        struct scene s;
        SCENE_OPEN(&s, late_10s, {.name = "n", .op = OP_COUNT, .windows = "10s"}, {.name = "last", .op = OP_SINCE_LAST});
        struct value values[EVENTS][3];
        char ids[EVENTS][16];
        struct event events[EVENTS];
        struct feature_outcome outcomes[EVENTS];
        for (int i = 0; i < EVENTS; i++) {
            snprintf(ids[i], sizeof ids[i], "%d", i % 90);
            const char *card = i % 3 ? "a" : "b";
            values[i][0] = TEXT(ids[i]);
            values[i][1] = TEXT(card);
            values[i][2] = INT(1000 * i - i % 7 * 900);
            int64_t t = values[i][2].integer < 0 ? 0 : values[i][2].integer;
            events[i] = (struct event){.values = values[i], .offset = i, .record_ms = t, .time_ms = t,
                                       .id = {ids[i], values[i][0].size}, .entity = {card, 1}};
        }
        size_t step = (size_t[]){1, 7, EVENTS}[round];
        for (size_t i = 0; i < EVENTS; i += step) {
            size_t n = EVENTS - i < step ? EVENTS - i : step;
            assert_int_equal(windows_fold(s.windows, events + i, n, rows[round] + i * 2, outcomes + i), 0);
        }
        for (int i = 0; i < EVENTS; i++)
            if (outcomes[i].reason != REJECT_NONE)
                rows[round][i * 2] = rows[round][i * 2 + 1] = 0;
        digests[round] = windows_digest(s.windows);
        scene_close(&s);
    }
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    assert_memory_equal(rows[0], rows[2], sizeof rows[0]);
    assert_true(digests[0] == digests[1] && digests[0] == digests[2]);
}

/* Where machines take eight events at a time: at the edges of hours near and far, with values and texts of every kind. */
static void groups_of_events_give_what_each_gives_alone(void **state)
{
    (void)state;
    enum { EVENTS = 61, COLUMNS = 16 };
    static const struct value codes[] = {{.type = VALUE_TEXT, .text = "", .size = 0}, {.type = VALUE_TEXT, .text = "a", .size = 1},
                                         {.type = VALUE_TEXT, .text = "a\0", .size = 2}, {.type = VALUE_TEXT, .text = "ab", .size = 2},
                                         {.type = VALUE_TEXT, .text = "eightlet", .size = 8}, {.type = VALUE_TEXT, .text = "nineletters", .size = 9},
                                         {.type = VALUE_TEXT, .text = "nineletters", .size = 11}, {.type = VALUE_NULL}, {.type = VALUE_ABSENT},
                                         {.type = VALUE_TEXT, .text = "other", .size = 5}, {.type = VALUE_TEXT, .text = "abc", .size = 3}};
    static const struct value prices[] = {{.type = VALUE_INT, .integer = INT64_MIN}, {.type = VALUE_DOUBLE, .real = -0.0}, {.type = VALUE_DOUBLE, .real = -NAN},
                                          {.type = VALUE_NULL}, {.type = VALUE_ABSENT}, {.type = VALUE_DOUBLE, .real = 1e300}, {.type = VALUE_INT, .integer = 7}};
    static const int64_t edges[] = {0, 1, 2, 23, 24, 7 * 24 - 1, 7 * 24, 400000, 77000001, 78187492 /* the last whole hour of all times */};
    float rows[2][EVENTS * COLUMNS];
    for (int alone = 0; alone < 2; alone++) {
        struct scene s;
        SCENE_OPEN(&s, plain_file, {.name = "hour", .op = OP_HOUR_OF_DAY}, {.name = "day", .op = OP_DAY_OF_WEEK},
                   {.name = "west", .op = OP_HOUR_OF_DAY, .offset_ms = -FEATURE_DURATION_MAX_MS}, {.name = "west_day", .op = OP_DAY_OF_WEEK, .offset_ms = 1 - FEATURE_DURATION_MAX_MS},
                   {.name = "east", .op = OP_HOUR_OF_DAY, .offset_ms = FEATURE_DURATION_MAX_MS, .scale = -0.1}, {.name = "night", .op = OP_HOUR_OF_DAY, .values = "22 23 0 1"},
                   {.name = "last", .op = OP_SINCE_LAST}, {.name = "price", .op = OP_VALUE, .field = "price", .scale = -0.01},
                   {.name = "code", .op = OP_CODE, .field = "code", .values = "abc ninelette ab eightlet a nineletters", .scale = 0.1},
                   {.name = "good", .op = OP_IN, .field = "code", .values = "a other", .scale = -1}, {.name = "z", .op = OP_ZSCORE, .field = "amount", .windows = "1m 1h 1d 2d 7d"},
                   {.name = "std", .op = OP_STD, .field = "amount", .windows = "1m"});
        assert_int_equal(s.spec->count, COLUMNS);
        static struct value values[EVENTS][FIELD_SLOTS_MAX];
        char ids[EVENTS][16];
        struct event events[EVENTS];
        struct feature_outcome outcomes[EVENTS];
        for (int i = 0; i < EVENTS; i++) {
            snprintf(ids[i], sizeof ids[i], "%d", i);
            const int64_t t = edges[i / 6 % 10] * HOUR + (int64_t[]){0, 1, HOUR - 1, HOUR / 2 - 1, HOUR / 2, HOUR - 1}[i % 6];
            scene_fill(&s, &(struct sent){.amount = i % 5 ? INT(i % 4 ? i : INT64_MAX - i) : NIL, .price = prices[i % 7], .code = codes[i % 11]});
            s.values[FIELD_ID] = TEXT(ids[i]);
            s.values[FIELD_ENTITY] = TEXT("c");
            s.values[FIELD_TIME] = INT(t);
            memcpy(values[i], s.values, sizeof values[i]);
            events[i] = (struct event){.values = values[i], .offset = i, .record_ms = t, .time_ms = t, .id = {ids[i], values[i][FIELD_ID].size}, .entity = {"c", 1}};
        }
        for (size_t i = 0; i < EVENTS; i += alone ? 1 : EVENTS)
            assert_int_equal(windows_fold(s.windows, events + i, alone ? 1 : EVENTS, rows[alone] + i * COLUMNS, outcomes + i), 0);
        for (int i = 0; i < EVENTS; i++)
            assert_int_equal(outcomes[i].reason, REJECT_NONE);
        scene_close(&s);
    }
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
}

static void digest_tells_states_apart_and_forgets_what_no_longer_matters(void **state)
{
    (void)state;
    struct scene a, b;
    SCENE_OPEN(&a, late_10s, {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m"});
    SCENE_OPEN(&b, late_10s, {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m"});
    assert_true(windows_digest(a.windows) == windows_digest(b.windows));
    SEND(&a, .t = 100000, .amount = INT(1));
    assert_false(windows_digest(a.windows) == windows_digest(b.windows));
    SEND(&b, .t = 100000, .amount = INT(2));
    assert_false(windows_digest(a.windows) == windows_digest(b.windows));
    SEND(&a, .t = 170000, .card = "d", .id = "x", .amount = INT(3)); /* the first ones are out */
    SEND(&b, .t = 170000, .card = "d", .id = "x", .amount = INT(3));
    assert_true(windows_digest(a.windows) == windows_digest(b.windows));
    windows_set_history_start(a.windows, 100000);
    assert_true(windows_digest(a.windows) == windows_digest(b.windows));
    windows_set_history_start(a.windows, 100001);
    assert_false(windows_digest(a.windows) == windows_digest(b.windows));
    scene_close(&a);
    scene_close(&b);
}

static void hashes_follow_from_the_feature_file(void **state)
{
    (void)state;
    struct scene a, b, other;
    SCENE_OPEN(&a, plain_file, {.name = "n", .op = OP_DISTINCT, .field = "merchant", .windows = "1h"});
    SCENE_OPEN(&b, plain_file, {.name = "n", .op = OP_DISTINCT, .field = "merchant", .windows = "1h"});
    SCENE_OPEN(&other, plain_file, {.name = "m", .op = OP_DISTINCT, .field = "merchant", .windows = "1h"});
    uint64_t records[3][8] = {{0}};
    struct scene *scenes[3] = {&a, &b, &other};
    for (int i = 0; i < 3; i++) {
        SEND(scenes[i], .t = 1000, .id = "x", .merchant = TEXT("m"));
        const struct windows *w = scenes[i]->windows;
        memcpy(records[i], entity_record(w->program, entity_at(&w->entities, 0), 0), w->program->record_words * sizeof(uint64_t));
    }
    assert_int_equal(a.windows->entities.seed, b.windows->entities.seed);
    assert_memory_equal(records[0], records[1], sizeof records[0]);
    assert_true(a.windows->entities.seed != other.windows->entities.seed);
    assert_true(records[0][RECORD_ID] != records[2][RECORD_ID]);
    assert_true(records[0][a.windows->program->category_word] != records[2][other.windows->program->category_word]);
    for (int i = 0; i < 3; i++)
        scene_close(scenes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_of_any_size_give_the_same),
        cmocka_unit_test(groups_of_events_give_what_each_gives_alone),
        cmocka_unit_test(digest_tells_states_apart_and_forgets_what_no_longer_matters),
        cmocka_unit_test(hashes_follow_from_the_feature_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
