/* A list finds what its literals match, the first of them, however long it is. */
#include "feature_scene.h"
#include "scoring/features/literal_list.h"

static int first_that_matches(const struct literal *literals, size_t count, const struct value *value)
{
    for (size_t i = 0; i < count; i++)
        if (!value_is_null(value) && literal_matches(&literals[i], value))
            return (int)i;
    return -1;
}

static void check_list(const char *const *words, size_t count)
{
    const struct value values[] = {
        NIL, {0}, OTHER, REAL(NAN), BOOL(0), BOOL(1), INT(0), INT(1), INT(-3), INT(7), INT(5411), INT(INT64_MAX), INT(1000), REAL(0), REAL(1),
        REAL(0.5), REAL(7), REAL(5411), REAL(-3), REAL(1e300), TEXT(""), TEXT("0"), TEXT("00"), TEXT("a"), TEXT("b"), TEXT("ab"), TEXT("ba"),
        TEXT("abc"), TEXT("aac"), TEXT("abcdefgh"), TEXT("abcdefgi"), TEXT("abcdefghi"), TEXT("abcdefghj"), TEXT("5411"), TEXT("true"),
        TEXT("1"), TEXT("1.0"), TEXT("1e3"), TEXT("zz"),
    };
    struct literal literals[40];
    struct literal_list list;
    for (size_t i = 0; i < count; i++) {
        bool quoted = words[i][0] == '\'';
        literals[i] = literal_make(words[i] + quoted, strlen(words[i]) - quoted, quoted);
    }
    assert_int_equal(literal_list_init(&list, literals, count), 0);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (literal_list_find(&list, &values[i]) != first_that_matches(literals, count, &values[i]))
            fail_msg("%zu literals, value %zu: %d, not %d", count, i, literal_list_find(&list, &values[i]),
                     first_that_matches(literals, count, &values[i]));
    literal_list_finish(&list);
    for (size_t i = 0; i < count; i++)
        literal_finish(&literals[i]);
}

/* A leading ' is a quote. */
static const char *const words[] = {"abcdefgh", "'7", "00", "'b", "true", "1.0", "abcdefghi", "1", "0.5", "ab", "5411", "", "abc", "1e3", "false",
                                    "-3", "'1e3x", "9223372036854775807", "9223372036854775808", "k", "l", "7.0", "0"};

static void short_lists(void **state)
{
    (void)state;
    for (size_t from = 0; from + 12 <= sizeof words / sizeof *words; from++)
        for (size_t count = 0; count <= 12; count++)
            check_list(words + from, count);
}

static void long_lists(void **state)
{
    (void)state;
    check_list(words, 13);
    check_list(words, sizeof words / sizeof *words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(short_lists), cmocka_unit_test(long_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
