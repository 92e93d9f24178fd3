/* A segment's value as text: one spelling for predictions, labels and sketches. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "monitor/segment_text.h"

#define NUMBER(x) {.type = VALUE_DOUBLE, .real = (x)}
#define INTEGER(x) {.type = VALUE_INT, .integer = (x)}

static void each_value_has_its_text(void **state)
{
    (void)state;
    static const struct {
        struct value value;
        const char *text;
    } cases[] = {
        {{.type = VALUE_TEXT, .text = "ATM", .size = 3}, "ATM"},
        {{.type = VALUE_BOOL, .integer = 1}, "true"},
        {{.type = VALUE_BOOL, .integer = 0}, "false"},
        {INTEGER(INT64_MIN), "-9223372036854775808"},
        {INTEGER(5411), "5411"},
        {NUMBER(12), "12"},
        {NUMBER(0.1), "0.1"},
        {NUMBER(0.1 + 0.2), "0.30000000000000004"},
        {NUMBER((double)0.1f), "0.10000000149011612"},
        {NUMBER(1e22), "1e+22"},
        {NUMBER(DBL_MIN), "2.2250738585072014e-308"},
        {NUMBER(0x1p-1074), "5e-324"},
        {NUMBER(-0x1p-1073), "-1e-323"},
        {NUMBER(0x0.fffffffffffffp-1022), "2.225073858507201e-308"},
        {NUMBER(0), "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char small[SEGMENT_SMALL];
        const char *text;
        uint32_t size = segment_text(&cases[i].value, small, &text);
        assert_true(segment_has_text(&cases[i].value));
        assert_int_equal(size, strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, size);
    }
}

static void what_counts_as_null_has_none(void **state)
{
    (void)state;
    static const struct value none[] = {{.type = VALUE_ABSENT}, {.type = VALUE_NULL}, {.type = VALUE_OTHER}, NUMBER((double)NAN)};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(segment_has_text(&none[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_has_its_text),
        cmocka_unit_test(what_counts_as_null_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
