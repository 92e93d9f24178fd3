/* Entities by their keys, and the index that finds them: against a plain list, whatever comes and goes in whatever order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/entity_table.h"

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- the index alone: hashes of our choice ---- */

enum { NUMBERS = 6000, SOME = 500 };

struct listed {
    struct entity_index index;
    uint64_t hashes[NUMBERS]; /* by number */
    bool held[NUMBERS];
    uint32_t held_count, first; /* numbers from `first` on are used */
};

static void fetch_nothing(const void *listed, uint32_t number)
{
    const struct listed *l = listed;
    assert_true(number >= l->first && l->held[number - l->first]);
}

static uint64_t listed_hash(const void *listed, uint32_t number)
{
    const struct listed *l = listed;
    assert_true(number >= l->first && l->held[number - l->first]);
    return l->hashes[number - l->first];
}

/* The line where it is; NULL: nowhere. */
static const uint32_t *line_of(const struct listed *l, uint64_t hash, uint32_t number)
{
    const struct index_part *part = index_part_of(&l->index, hash);
    const uint32_t *home = index_home(part, hash);
    for (const uint32_t *line = home; line; line = index_on(part, line, home))
        for (uint32_t places = index_candidates(part, line, hash); places; places &= places - 1)
            if (index_number(part, line, places) == number)
                return line;
    return NULL;
}

static void put(struct listed *l, uint32_t at, uint64_t hash)
{
    const uint32_t number = l->first + at;
    assert_int_equal(entity_index_reserve(&l->index, hash, number, &(struct index_source){l, fetch_nothing, listed_hash}), 0);
    entity_index_put(&l->index, hash, number);
    l->hashes[at] = hash;
    l->held[at] = true;
    l->held_count++;
}

static void take(struct listed *l, uint32_t at)
{
    entity_index_remove(&l->index, l->hashes[at], l->first + at);
    l->held[at] = false;
    l->held_count--;
}

static uint64_t words_taken(const struct index_part *part)
{
    uint64_t taken = 0;
    for (size_t i = 0; i < part->line_count * INDEX_LINE_WORDS; i++)
        taken += i % INDEX_LINE_WORDS && part->lines[i];
    return taken;
}

/* All that are held are found, each once, and the counts are of those that went past. */
static void assert_as_listed(const struct listed *l)
{
    uint32_t *passed[INDEX_PARTS];
    uint64_t taken = 0;
    for (size_t i = 0; i < INDEX_PARTS; i++) {
        passed[i] = calloc(l->index.parts[i].line_count, sizeof *passed[i]);
        taken += words_taken(&l->index.parts[i]);
    }
    assert_int_equal(taken, l->held_count);
    for (uint32_t at = 0; at < NUMBERS; at++) {
        if (!l->held[at])
            continue;
        const struct index_part *part = index_part_of(&l->index, l->hashes[at]);
        const uint32_t *is = line_of(l, l->hashes[at], l->first + at);
        assert_non_null(is);
        for (const uint32_t *line = index_home(part, l->hashes[at]); line != is; line = index_next(part, line))
            passed[part - l->index.parts][(line - part->lines) / INDEX_LINE_WORDS]++;
    }
    for (size_t i = 0; i < INDEX_PARTS; i++) {
        for (size_t line = 0; line < l->index.parts[i].line_count; line++)
            assert_int_equal(l->index.parts[i].lines[line * INDEX_LINE_WORDS], passed[i][line]);
        free(passed[i]);
    }
}

static uint64_t any_hash(uint64_t *chance)
{
    return next(chance);
}

/* Of one part, at its end and its beginning: lines overflow, the last one into the first. */
static uint64_t crowded_hash(uint64_t *chance)
{
    static const uint64_t homes[] = {UINT64_C(0xffffff0000000000), UINT64_C(0xfff0000000000000), UINT64_C(0), UINT64_C(0x7fffffff00000000)};
    return homes[next(chance) % 4] | (next(chance) & UINT64_C(0xfffff800));
}

static uint64_t equal_hash(uint64_t *chance)
{
    (void)chance;
    return UINT64_C(0xfedcba9876543210);
}

/* Rises to `most` at times and comes down to nothing, which leaves nothing. */
static void check_index(uint64_t (*hash_of)(uint64_t *), uint32_t most, uint32_t first)
{
    struct listed *l = calloc(1, sizeof *l);
    uint64_t chance = most;
    l->first = first;
    assert_int_equal(entity_index_init(&l->index), 0);
    for (int turn = 0; turn < 3; turn++) {
        for (uint32_t i = 0; i < most * 4; i++) {
            uint32_t at = (uint32_t)(next(&chance) % most);
            if (!l->held[at])
                put(l, at, hash_of(&chance));
            else if (next(&chance) % 4 == 0)
                take(l, at);
            if (i % 997 == 0)
                assert_as_listed(l);
        }
        assert_true(l->held_count > most / 2);
        assert_as_listed(l);
        for (uint32_t i = 0; i < most; i++) {
            uint32_t at = (i * 7919 + 13) % most; /* in no order of theirs */
            if (l->held[at])
                take(l, at);
        }
        assert_as_listed(l);
        assert_int_equal(l->held_count, 0);
    }
    assert_true(entity_index_bytes(&l->index) <= entity_index_worst_bytes(most) || hash_of != any_hash);
    entity_index_finish(&l->index);
    free(l);
}

static void what_is_held_is_found_and_nothing_else(void **state)
{
    (void)state;
    check_index(any_hash, NUMBERS, 0);
    check_index(any_hash, SOME, 0);
}

static void those_who_went_past_full_lines_are_found(void **state)
{
    (void)state;
    check_index(crowded_hash, SOME, 0);
}

static void equal_hashes_are_told_apart_by_number(void **state)
{
    (void)state;
    check_index(equal_hash, SOME, 0);
}

/* Of two lines, each filled while the other one's newcomer stays: from both someone has gone past. */
static void a_search_ends_where_others_went_past_all_lines(void **state)
{
    (void)state;
    const uint64_t low = 0, high = UINT64_C(1) << 63, tag = UINT64_C(1) << 12, other = UINT64_C(1) << 13;
    struct listed *l = calloc(1, sizeof *l);
    assert_int_equal(entity_index_init(&l->index), 0);
    for (uint32_t at = 0; at < 16; at++)
        put(l, at, low | tag);
    for (uint32_t at = 0; at < 15; at++)
        take(l, at);
    for (uint32_t at = 0; at < 15; at++)
        put(l, at, high | tag);
    const struct index_part *part = index_part_of(&l->index, 0);
    assert_int_equal(part->line_count, 2);
    assert_true(part->lines[0] && part->lines[INDEX_LINE_WORDS]);
    assert_null(line_of(l, low | other, 0));
    assert_null(line_of(l, high | other, 0));
    assert_as_listed(l);
    const struct entity_table table = {.index = l->index};
    assert_null(entity_find(&table, (struct bytes){"", 0}, low | other));
    assert_null(entity_guess(&table, high | other));
    entity_index_finish(&l->index);
    free(l);
}

static void large_numbers_leave_a_bit_of_a_tag_or_none(void **state)
{
    (void)state;
    check_index(any_hash, SOME, (1u << 20) - SOME / 2);
    check_index(crowded_hash, SOME, (1u << 30) - SOME / 2);
    struct listed l = {.first = 0};
    assert_int_equal(entity_index_init(&l.index), 0);
    assert_int_equal(entity_index_reserve(&l.index, 1, (uint32_t)INDEX_NUMBER_MAX + 1, &(struct index_source){&l, fetch_nothing, listed_hash}), -1);
    entity_index_finish(&l.index);
}

/* Numbers grow while others are held, whose tags become shorter. */
static void numbers_grow_under_those_that_are_held(void **state)
{
    (void)state;
    struct entity_index index;
    uint64_t chance = 7, hashes[12];
    assert_int_equal(entity_index_init(&index), 0);
    for (uint32_t i = 0; i < 12; i++) { /* of one part, in one line: it does not grow */
        hashes[i] = next(&chance) & ~UINT64_C(0x7ff);
        assert_int_equal(entity_index_reserve(&index, hashes[i], 1u << i * 5 / 2, NULL), 0);
        entity_index_put(&index, hashes[i], 1u << i * 5 / 2);
    }
    for (uint32_t i = 0; i < 12; i++) {
        const struct index_part *part = index_part_of(&index, hashes[i]);
        const uint32_t *line = index_home(part, hashes[i]);
        uint32_t found = 0;
        for (uint32_t places = index_candidates(part, line, hashes[i]); places; places &= places - 1)
            found += index_number(part, line, places) == 1u << i * 5 / 2;
        assert_int_equal(found, 1);
        entity_index_remove(&index, hashes[i], 1u << i * 5 / 2);
    }
    assert_int_equal(words_taken(index_part_of(&index, 0)), 0);
    entity_index_finish(&index);
}

/* ---- the table ---- */

enum { KEYS = 20000, KEY_MOST = 70, STEPS = 200000 };

struct key {
    char text[KEY_MOST];
    uint32_t size;
    struct entity *entity; /* NULL: not held */
};

/* Short ones lie in the entity, long ones elsewhere; the first is empty. */
static void make_key(struct key *key, uint32_t i)
{
    memset(key->text, 'k', sizeof key->text);
    key->size = i ? (uint32_t)snprintf(key->text, sizeof key->text, "%u", i) : 0;
    key->text[key->size] = 'k';
    if (i % 3 == 0 && i)
        key->size = KEY_MOST;
}

static struct bytes key_of(const struct key *key)
{
    return (struct bytes){key->text, key->size};
}

static struct entity *find(const struct entity_table *t, const struct key *key)
{
    return entity_find(t, key_of(key), entity_hash(t, key_of(key)));
}

static void entities_that_come_and_go_are_found_by_their_keys(void **state)
{
    (void)state;
    struct entity_table t;
    struct key *keys = calloc(KEYS, sizeof *keys);
    uint64_t chance = 3, key_bytes = 0;
    uint32_t held = 0, most = 0;
    assert_int_equal(entity_table_init(&t, sizeof(struct entity) + 16, 5), 0);
    for (uint32_t i = 0; i < KEYS; i++)
        make_key(&keys[i], i);
    for (uint32_t step = 0; step < STEPS; step++) {
        struct key *key = &keys[next(&chance) % KEYS];
        uint64_t hash = entity_hash(&t, key_of(key));
        assert_ptr_equal(find(&t, key), key->entity);
        if (!key->entity) {
            key->entity = entity_add(&t, key_of(key), hash);
            assert_non_null(key->entity);
            assert_ptr_equal(entity_at(&t, key->entity->number), key->entity);
            assert_true(entity_has_key(key->entity, key_of(key)) && key->entity->held && !key->entity->count);
            assert_non_null(entity_guess(&t, hash));
            key->entity->count = 1; /* is gone when the number is given out again */
            held++;
        } else if (next(&chance) % 2) {
            entity_remove(&t, key->entity);
            key->entity = NULL;
            held--;
        }
        most = held > most ? held : most;
        assert_int_equal(t.held, held);
    }
    assert_int_equal(t.ever, most); /* numbers are used again before new ones are made */
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(find(&t, &keys[i]), keys[i].entity);
        key_bytes += keys[i].entity && keys[i].size > ENTITY_KEY_INLINE ? keys[i].size : 0;
    }
    assert_int_equal(t.key_bytes, key_bytes);
    entity_table_finish(&t);
    free(keys);
}

static void keys_of_one_hash_are_told_apart(void **state)
{
    (void)state;
    enum { ALIKE = 10 }; /* too few for the index to ask for their true hashes */
    struct entity_table t;
    struct key keys[ALIKE + 1];
    assert_int_equal(entity_table_init(&t, sizeof(struct entity), 13), 0);
    for (uint32_t i = 0; i <= ALIKE; i++) {
        make_key(&keys[i], i);
        keys[i].entity = i < ALIKE ? entity_add(&t, key_of(&keys[i]), 17) : NULL;
    }
    for (uint32_t i = 0; i <= ALIKE; i++)
        assert_ptr_equal(entity_find(&t, key_of(&keys[i]), 17), keys[i].entity);
    entity_table_finish(&t);
}

static void guesses_are_mostly_right(void **state)
{
    (void)state;
    struct entity_table t;
    struct key key;
    uint32_t right = 0;
    assert_int_equal(entity_table_init(&t, sizeof(struct entity), 11), 0);
    for (uint32_t i = 1; i <= KEYS; i++) {
        make_key(&key, i);
        assert_non_null(entity_add(&t, key_of(&key), entity_hash(&t, key_of(&key))));
    }
    for (uint32_t i = 1; i <= KEYS; i++) {
        make_key(&key, i);
        right += entity_guess(&t, entity_hash(&t, key_of(&key))) == find(&t, &key);
    }
    assert_true(right > KEYS - KEYS / 500);
    entity_table_finish(&t);
}

/* The least recent goes where the limit is reached, so all of them are at it for long. */
static void a_table_takes_no_more_than_its_worst_case(void **state)
{
    (void)state;
    for (uint32_t limit = 1; limit <= 40000; limit = limit * 3 + 1) {
        struct entity_table t;
        const uint32_t size = sizeof(struct entity) + 144;
        struct key key;
        assert_int_equal(entity_table_init(&t, size, limit), 0);
        for (uint32_t i = 0; i < limit * 4 + 1000; i++) {
            make_key(&key, i * 3 + 1); /* short ones */
            assert_non_null(entity_add(&t, key_of(&key), entity_hash(&t, key_of(&key))));
            if (i >= limit) {
                make_key(&key, (i - limit) * 3 + 1);
                entity_remove(&t, find(&t, &key));
            }
        }
        assert_int_equal(t.ever, limit + 1);
        assert_true(entity_table_bytes(&t) <= entity_table_worst_bytes(size, limit));
        entity_table_finish(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_is_found_and_nothing_else),
        cmocka_unit_test(those_who_went_past_full_lines_are_found),
        cmocka_unit_test(equal_hashes_are_told_apart_by_number),
        cmocka_unit_test(a_search_ends_where_others_went_past_all_lines),
        cmocka_unit_test(large_numbers_leave_a_bit_of_a_tag_or_none),
        cmocka_unit_test(numbers_grow_under_those_that_are_held),
        cmocka_unit_test(entities_that_come_and_go_are_found_by_their_keys),
        cmocka_unit_test(keys_of_one_hash_are_told_apart),
        cmocka_unit_test(guesses_are_mostly_right),
        cmocka_unit_test(a_table_takes_no_more_than_its_worst_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
