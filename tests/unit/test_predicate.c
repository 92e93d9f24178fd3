/* Literals and conditions: what a scalar of the file matches. */
#include "feature_scene.h"

static bool matches(const char *text, bool quoted, struct value value)
{
    struct literal literal = literal_make(text, strlen(text), quoted);
    bool match = literal_matches(&literal, &value);
    literal_finish(&literal);
    return match;
}

static void a_literal_is_compared_as_what_the_value_is(void **state)
{
    (void)state;
    static const struct {
        const char *literal;
        struct value value;
        bool match;
    } cases[] = {
        {"00", {.type = VALUE_TEXT, .size = 2, .text = "00"}, true},
        {"00", {.type = VALUE_TEXT, .size = 1, .text = "0"}, false},
        {"00", {.type = VALUE_INT, .integer = 0}, true},
        {"00", {.type = VALUE_DOUBLE, .real = 0}, true},
        {"'00'", {.type = VALUE_TEXT, .size = 2, .text = "00"}, true},
        {"'00'", {.type = VALUE_INT, .integer = 0}, false},
        {"5411", {.type = VALUE_INT, .integer = 5411}, true},
        {"5411", {.type = VALUE_INT, .integer = 5412}, false},
        {"-7", {.type = VALUE_INT, .integer = -7}, true},
        {"+7", {.type = VALUE_INT, .integer = 7}, true},
        {"0x1F", {.type = VALUE_INT, .integer = 31}, true},
        {"0o17", {.type = VALUE_INT, .integer = 15}, true},
        {"017", {.type = VALUE_INT, .integer = 17}, true},
        {"9223372036854775807", {.type = VALUE_INT, .integer = INT64_MAX}, true},
        {"9223372036854775808", {.type = VALUE_INT, .integer = INT64_MAX}, false},
        {"1e3", {.type = VALUE_INT, .integer = 1000}, true},
        {"0.5", {.type = VALUE_DOUBLE, .real = 0.5}, true},
        {".5", {.type = VALUE_DOUBLE, .real = 0.5}, true},
        {"5.", {.type = VALUE_DOUBLE, .real = 5}, true},
        {"0.5", {.type = VALUE_INT, .integer = 0}, false},
        {".", {.type = VALUE_DOUBLE, .real = 0}, false},
        {"1e", {.type = VALUE_DOUBLE, .real = 1}, false},
        {"1e999", {.type = VALUE_DOUBLE, .real = INFINITY}, false},
        {".nan", {.type = VALUE_DOUBLE, .real = NAN}, false},
        {"12 ", {.type = VALUE_INT, .integer = 12}, false},
        {"true", {.type = VALUE_BOOL, .integer = 1}, true},
        {"False", {.type = VALUE_BOOL, .integer = 0}, true},
        {"true", {.type = VALUE_BOOL, .integer = 0}, false},
        {"'true'", {.type = VALUE_BOOL, .integer = 1}, false},
        {"1", {.type = VALUE_BOOL, .integer = 1}, false},
        {"true", {.type = VALUE_INT, .integer = 1}, false},
        {"NO", {.type = VALUE_BOOL, .integer = 0}, false},
        {"NO", {.type = VALUE_TEXT, .size = 2, .text = "NO"}, true},
        {"x", {.type = VALUE_NULL}, false},
        {"x", {.type = VALUE_ABSENT}, false},
        {"x", {.type = VALUE_OTHER}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        bool quoted = cases[i].literal[0] == '\'';
        snprintf(text, sizeof text, "%.*s", (int)(strlen(cases[i].literal) - 2 * (size_t)quoted), cases[i].literal + quoted);
        if (matches(text, quoted, cases[i].value) != cases[i].match)
            fail_msg("case %zu: %s", i, cases[i].literal);
    }
}

static void text_with_a_zero_byte_is_text(void **state)
{
    (void)state;
    struct literal literal = literal_make("1\0002", 3, false);
    assert_false(literal.is_integer || literal.is_real || literal.is_bool);
    assert_true(literal_matches(&literal, &(struct value){.type = VALUE_TEXT, .size = 3, .text = "1\0002"}));
    literal_finish(&literal);
}

static void conditions(void **state)
{
    (void)state;
    struct literal list[2] = {literal_make("1", 1, false), literal_make("a", 1, true)};
    struct predicate in = {.kind = PREDICATE_IN, .count = 2, .literals = list};
    struct predicate not_in = {.kind = PREDICATE_NOT_IN, .count = 2, .literals = list};
    struct predicate range = {.kind = PREDICATE_RANGE, .has_min = true, .has_max = true, .min = -1, .max = 2.5};
    struct predicate above = {.kind = PREDICATE_RANGE, .has_min = true, .min = 3};
    const struct {
        struct value value;
        bool in, not_in, range, above;
    } cases[] = {
        {INT(1), true, false, true, false},    {INT(2), false, true, true, false},     {TEXT("a"), true, false, false, false},
        {INT(-1), false, true, true, false},   {INT(-2), false, true, false, false},   {REAL(2.5), false, true, true, false},
        {REAL(2.6), false, true, false, false}, {INT(3), false, true, false, true},    {NIL, false, false, false, false},
        {REAL(NAN), false, false, false, false}, {{0}, false, false, false, false},    {BOOL(1), false, true, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(predicate_holds(&in, &cases[i].value), cases[i].in);
        assert_int_equal(predicate_holds(&not_in, &cases[i].value), cases[i].not_in);
        assert_int_equal(predicate_holds(&range, &cases[i].value), cases[i].range);
        assert_int_equal(predicate_holds(&above, &cases[i].value), cases[i].above);
    }
    assert_true(predicate_holds(&(struct predicate){.slot = -1}, NULL));
    literal_finish(&list[0]);
    literal_finish(&list[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_is_compared_as_what_the_value_is),
        cmocka_unit_test(text_with_a_zero_byte_is_text),
        cmocka_unit_test(conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
