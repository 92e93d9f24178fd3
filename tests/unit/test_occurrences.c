/* The occurrence tables of long rings (scoring/features/occurrences.h): ids and categories whose home lines are chosen, in the store
 * of a feature file, so that lines overflow, wrap and empty. */
#include "feature_scene.h"
#include "scoring/features/newest.h"
#include "scoring/features/partition_state.h"

enum { TAGS_LEAST = 8, LINE_FULL = SLOTS_A_LINE };

struct store_scene {
    struct scene s;
    struct window_store *store;
    const struct feature_program *p;
    struct entity *e;
    int64_t t_ms;
    uint32_t made; /* ids */
};

/* One event that is gone makes the entity. */
static void open_store(struct store_scene *t, bool sames)
{
    memset(t, 0, sizeof *t);
    if (sames)
        SCENE_OPEN(&t->s, plain_file, {.name = "d", .op = OP_DISTINCT, .field = "merchant", .windows = "20d"}, {.name = "s", .op = OP_SAME, .field = "merchant", .windows = "20d"});
    else
        SCENE_OPEN(&t->s, plain_file, {.name = "d", .op = OP_DISTINCT, .field = "merchant", .windows = "20d"});
    feature_program_tags(t->s.windows->program, TAGS_LEAST);
    SEND(&t->s, .t = t->t_ms = 1000000);
    t->store = &t->s.windows->store;
    t->p = t->s.windows->program;
    t->e = entity_at(&t->s.windows->entities, 0);
    store_drop(t->store, t->e, 1);
}

static const struct layout *layout_now(const struct store_scene *t)
{
    return entity_layout(t->p, t->e);
}

static const uint32_t *words_of_table(const struct store_scene *t, uint32_t table)
{
    return (const uint32_t *)(const void *)occurrence_table(t->e, layout_now(t), table);
}

/* ---- words by their home ---- */

/* An id that begins in this line of so many and is unlike the others; its bits that are compared are `bits`. */
static uint64_t id_at(struct store_scene *t, uint32_t line, uint32_t lines, uint32_t bits)
{
    const uint64_t upper = (((uint64_t)line << 32) + (UINT64_C(1) << 31)) / lines;
    return upper << 32 | (uint64_t)(++t->made & 0x3fffff) << 10 | (bits & 1023);
}

static uint64_t category_at(uint32_t line, uint32_t lines, uint32_t which)
{
    for (uint64_t word = 1;; word++) {
        uint64_t hash = occurrence_hash(TABLE_CHANNELS, word);
        if ((hash >> 32) * lines >> 32 == line && !which--)
            return word;
    }
}

/* ---- events ---- */

static void record_of_event(const struct store_scene *t, uint64_t id, uint64_t category, int64_t t_ms, uint64_t *record)
{
    memset(record, 0, t->p->record_words * sizeof *record);
    record[RECORD_TIME] = (uint64_t)t_ms << TIME_SHIFT;
    record[RECORD_ID] = id;
    record[t->p->category_word] = category;
    for (uint32_t c = 0; c < t->p->channel_count; c++)
        record_lane_set(t->p, record, t->p->channels[c].last_lane, category != 0);
}

/* The newest; its slot in the table of ids. */
static uint32_t add(struct store_scene *t, uint64_t id, uint64_t category)
{
    uint64_t record[64];
    const uint64_t *from[FUSED_WINDOWS];
    uint32_t events[FUSED_WINDOWS];
    assert_int_equal(store_reserve(t->store, t->e, INT64_MIN), 0);
    struct occurrence found = occurrence_find(t->store, t->e, TABLE_IDS, id);
    assert_false(found.found);
    record_of_event(t, id, category, ++t->t_ms, record);
    (void)store_advance(t->store, t->e, t->t_ms, from, events);
    store_place(t->store, t->e, record);
    store_count_in(t->store, t->e, record, &found);
    return found.slot;
}

/* With `newer` events behind it. */
static void add_late(struct store_scene *t, uint64_t id, uint64_t category, uint32_t newer)
{
    uint64_t record[64];
    assert_int_equal(store_reserve(t->store, t->e, INT64_MIN), 0);
    const uint32_t at = t->e->count - newer;
    record_of_event(t, id, category, record_time(entity_record(t->p, t->e, at - 1)), record);
    store_insert(t->store, t->e, record, at);
}

static void add_any(struct store_scene *t)
{
    ++t->made;
    add(t, hash_mix(t->made, HASH_P1), hash_mix(t->made, HASH_P2));
}

/* Until the ring has this capacity. */
static void grow(struct store_scene *t, uint32_t capacity)
{
    while (!t->e->block || layout_now(t)->capacity < capacity)
        add_any(t);
}

static void empty(struct store_scene *t)
{
    store_drop(t->store, t->e, t->e->count);
    t->e->room = UINT8_MAX; /* or a smaller ring would do */
}

/* An empty ring of at least this many lines a table. */
static void empty_ring(struct store_scene *t, uint32_t lines)
{
    for (uint32_t i = 0;; i++) {
        assert_true(i < t->p->layout_count);
        if (t->p->layouts[i].line_count < lines)
            continue;
        grow(t, t->p->layouts[i].capacity);
        empty(t);
        return;
    }
}

/* ---- what must hold ---- */

static uint32_t latest_of(const struct store_scene *t, uint64_t category)
{
    uint32_t at = t->e->count;
    while (at-- && entity_record(t->p, t->e, at)[t->p->category_word] != category)
        ;
    return at;
}

static uint32_t same_in_window(const struct store_scene *t, uint64_t category)
{
    uint32_t n = 0;
    for (uint32_t at = entity_cursors(t->p, t->e)[0] - t->e->first_seq; at < t->e->count; at++)
        n += entity_record(t->p, t->e, at)[t->p->category_word] == category;
    return n;
}

static void id_is_at(const struct store_scene *t, uint64_t id, uint32_t at)
{
    struct occurrence found = occurrence_find(t->store, t->e, TABLE_IDS, id);
    assert_true(found.found);
    assert_int_equal(found.at, at);
#if defined __x86_64__
    if (!t->p->fused)
        return;
    id_find_avx512(t->store, t->e, id, &found);
    assert_true(found.found);
    assert_int_equal(found.at, at);
#endif
}

static void every_event_is_found(const struct store_scene *t)
{
    for (uint32_t at = 0; at < t->e->count; at++) {
        const uint64_t *record = entity_record(t->p, t->e, at), category = record[t->p->category_word];
        id_is_at(t, record[RECORD_ID], at);
        if (!category)
            continue;
        for (uint32_t c = 0; c < t->p->channel_count; c++) {
            struct occurrence latest = occurrence_find(t->store, t->e, TABLE_CHANNELS + c, category);
            assert_true(latest.found);
            assert_int_equal(latest.at, latest_of(t, category));
            if (t->p->channels[c].same_count)
                assert_int_equal(occurrence_counters(t->store, t->e, TABLE_CHANNELS + c, latest.slot)[0], same_in_window(t, category));
        }
    }
}

static bool goes_on(const struct store_scene *t, uint32_t line, uint64_t id)
{
    return slots_compare(words_of_table(t, TABLE_IDS) + line * WORDS_A_LINE, t->e, id).on;
}

static uint32_t slots_held(const struct store_scene *t, uint32_t table)
{
    uint32_t held = 0;
    for (uint32_t line = 0; line < layout_now(t)->line_count; line++)
        held += LINE_FULL - (uint32_t)__builtin_popcount(slots_compare(words_of_table(t, table) + line * WORDS_A_LINE, t->e, 0).free);
    return held;
}

/* ---- the tests ---- */

static void a_full_line_overflows_into_the_next_and_is_marked(void **state)
{
    (void)state;
    struct store_scene t;
    open_store(&t, false);
    empty_ring(&t, 4);
    const uint32_t lines = layout_now(&t)->line_count;
    for (uint32_t i = 0; i < LINE_FULL; i++)
        assert_int_equal(add(&t, id_at(&t, 1, lines, i), 0) / WORDS_A_LINE, 1);
    assert_false(goes_on(&t, 1, 5));
    assert_int_equal(add(&t, id_at(&t, 1, lines, 5), 0) / WORDS_A_LINE, 2);
    assert_true(goes_on(&t, 1, 5));
    assert_false(goes_on(&t, 2, 5));
    assert_false(goes_on(&t, 1, 1023)); /* none of its tenth has passed */
    every_event_is_found(&t);
    scene_close(&t.s);
}

static void lines_overflow_from_the_last_to_the_first(void **state)
{
    (void)state;
    struct store_scene t;
    open_store(&t, false);
    empty_ring(&t, 3);
    const uint32_t lines = layout_now(&t)->line_count;
    for (uint32_t i = 0; i < LINE_FULL; i++)
        assert_int_equal(add(&t, id_at(&t, lines - 1, lines, i), 0) / WORDS_A_LINE, lines - 1);
    assert_int_equal(add(&t, id_at(&t, lines - 1, lines, 0), 0) / WORDS_A_LINE, 0);
    every_event_is_found(&t);
    scene_close(&t.s);
}

/* It holds while the last event that passed is held, not while others are. */
static void a_mark_lapses_with_the_event_that_set_it(void **state)
{
    (void)state;
    struct store_scene t;
    open_store(&t, false);
    empty_ring(&t, 4);
    const uint32_t lines = layout_now(&t)->line_count;
    for (uint32_t i = 0; i < LINE_FULL + 2; i++)
        add(&t, id_at(&t, 1, lines, 0), 0);
    add(&t, id_at(&t, 3, lines, 0), 0);
    store_drop(t.store, t.e, LINE_FULL + 1);
    assert_true(goes_on(&t, 1, 0));
    every_event_is_found(&t);
    store_drop(t.store, t.e, 1);
    assert_false(goes_on(&t, 1, 0));
    assert_int_equal(add(&t, id_at(&t, 1, lines, 7), 0) / WORDS_A_LINE, 1);
    for (uint32_t i = 1; i < LINE_FULL; i++)
        add(&t, id_at(&t, 1, lines, 1023), 0);
    add(&t, id_at(&t, 1, lines, 1023), 0);
    assert_true(goes_on(&t, 1, 1023));
    assert_false(goes_on(&t, 1, 0)); /* what passed before the mark lapsed is forgotten */
    scene_close(&t.s);
}

/* A category beside its home that comes again and again: its slot and the mark move with its latest event. */
static void a_mark_moves_with_a_category_that_comes_again(void **state)
{
    (void)state;
    struct store_scene t;
    open_store(&t, true);
    empty_ring(&t, 4);
    const uint32_t lines = layout_now(&t)->line_count, elsewhere = 3;
    for (uint32_t i = 0; i < LINE_FULL; i++)
        add(&t, id_at(&t, elsewhere, lines, i), category_at(1, lines, i));
    const uint64_t category = category_at(1, lines, LINE_FULL);
    add(&t, id_at(&t, 0, lines, 0), category);
    assert_int_equal(occurrence_find(t.store, t.e, TABLE_CHANNELS, category).slot / WORDS_A_LINE, 2);
    add(&t, id_at(&t, 0, lines, 1), category);
    every_event_is_found(&t);
    store_drop(t.store, t.e, LINE_FULL + 1);
    every_event_is_found(&t);
    assert_int_equal(t.e->count, 1);
    scene_close(&t.s);
}

static void slots_of_events_that_are_gone_are_free_at_once(void **state)
{
    (void)state;
    struct store_scene t;
    open_store(&t, false);
    grow(&t, 100);
    const struct layout *layout = layout_now(&t);
    for (int round = 0; round < 20; round++) {
        while (t.e->count < layout->capacity)
            add_any(&t);
        assert_ptr_equal(layout_now(&t), layout);
        assert_int_equal(slots_held(&t, TABLE_IDS), t.e->count);
        empty(&t);
        for (uint32_t line = 0; line < layout->line_count; line++)
            assert_int_equal(add(&t, id_at(&t, line, layout->line_count, 0), 0) / WORDS_A_LINE, line);
    }
    every_event_is_found(&t);
    scene_close(&t.s);
}

enum { TURNS = 3, HELD = 40 };

/* Most slots are not written for more than a turn of 2^22 numbers; none of them comes to life. */
static void no_slot_comes_to_life_when_sequence_numbers_come_round(void **state)
{
    (void)state;
    struct store_scene t;
    open_store(&t, false);
    grow(&t, HELD);
    while (t.e->count < HELD)
        add_any(&t);
    const uint32_t start = t.e->first_seq;
    while (t.e->first_seq - start < TURNS * (SEQ_MASK + 1) / 2) {
        add(&t, id_at(&t, 0, layout_now(&t)->line_count, 0), 0);
        store_drop(t.store, t.e, t.e->count - HELD);
        if (t.e->first_seq % 16384 == 0 || ((t.e->first_seq - start) & SEQ_MASK) < HELD)
            assert_int_equal(slots_held(&t, TABLE_IDS), HELD);
    }
    every_event_is_found(&t);
    scene_close(&t.s);
}

/* Ids and categories of two homes that overflow all the time; events come late by few and by many; the ring grows and shrinks. */
static void random_events(bool sames, uint64_t seed)
{
    struct store_scene t;
    open_store(&t, sames);
    uint64_t categories[2 * LINE_FULL + 10];
    const uint32_t lines = 6, count = sizeof categories / sizeof *categories; /* about as many as the ring will have */
    for (uint32_t i = 0; i < count; i++)
        categories[i] = category_at(i % 2 ? lines - 1 : 1, lines, i / 2);
    for (int i = 0; i < 3000; i++) {
        const uint64_t random = hash_mix(seed += HASH_P1, HASH_P2), category = random % 5 ? categories[(random >> 32) % count] : 0;
        const uint64_t id = id_at(&t, random >> 8 & 1 ? lines - 1 : 2, lines, (uint32_t)(random >> 10));
        const uint32_t newer = random >> 24 & 1 ? 1 : t.e->count ? (uint32_t)(random >> 40) % t.e->count : 0;
        if (random % 7 == 0 && newer && newer < t.e->count)
            add_late(&t, id, category, newer);
        else
            add(&t, id, category);
        if (t.e->count > 60 + random % 16)
            store_drop(t.store, t.e, (uint32_t)(random >> 16) % 12);
        every_event_is_found(&t);
        assert_int_equal(slots_held(&t, TABLE_IDS), layout_now(&t)->line_count ? t.e->count : 0);
    }
    scene_close(&t.s);
}

static void all_is_found_whatever_overflows_goes_or_comes_late(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        random_events(false, seed);
        random_events(true, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_line_overflows_into_the_next_and_is_marked),
        cmocka_unit_test(lines_overflow_from_the_last_to_the_first),
        cmocka_unit_test(a_mark_lapses_with_the_event_that_set_it),
        cmocka_unit_test(a_mark_moves_with_a_category_that_comes_again),
        cmocka_unit_test(slots_of_events_that_are_gone_are_free_at_once),
        cmocka_unit_test(no_slot_comes_to_life_when_sequence_numbers_come_round),
        cmocka_unit_test(all_is_found_whatever_overflows_goes_or_comes_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
