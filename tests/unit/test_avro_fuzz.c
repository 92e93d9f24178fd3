/* The fuzz target in a fixed loop: random values, and schemas with pieces changed, moved and lost.  What it proves
 * is that nothing crashes, hangs or reads beyond its bytes (under the sanitizers), and that a fault has a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "tests/fuzz/avro.c"

enum { VALUES = 40000, SCHEMAS = 6000, INPUT_MAX = 4096 };

static uint64_t roll(uint64_t *state) /* splitmix64 */
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void random_values(void **state)
{
    (void)state;
    uint64_t dice = 1;
    uint8_t input[300];
    for (int i = 0; i < VALUES; i++) {
        size_t size = 2 + roll(&dice) % 60;
        for (size_t at = 0; at < size; at++) /* small bytes more often: they are lengths and branches that fit */
            input[at] = (uint8_t)(roll(&dice) % 3 ? roll(&dice) % 8 : roll(&dice));
        input[0] = 0;
        input[1] = (uint8_t)i;
        assert_int_equal(LLVMFuzzerTestOneInput(input, size), 0);
    }
}

static void changed_schemas(void **state)
{
    (void)state;
    static const char *const pieces[] = {"\"null\"", "\"int\"", "\"L\"", "\"R\"", "[", "]", "{", "}", ",", "\"array\"", "\"map\"", "\"items\"",
                                         "\"default\":", "\"string\"", "\"aliases\":[\"a\"],", "\"x.y\"", "9999999999", "-1", "\\u0000"};
    uint64_t dice = 2;
    uint8_t input[INPUT_MAX + 64];
    for (int i = 0; i < SCHEMAS; i++) {
        const char *text = fuzz_schemas[(size_t)i % fuzz_schema_count];
        size_t size = strlen(text);
        memcpy(input, text, size);
        for (uint64_t n = roll(&dice) % 4; n > 0 && size; n--) {
            size_t at = roll(&dice) % size, length = 1 + roll(&dice) % 12;
            const char *piece = pieces[roll(&dice) % (sizeof pieces / sizeof *pieces)];
            length = length > size - at ? size - at : length;
            if (roll(&dice) % 3 == 0) {
                memmove(input + at, input + at + length, size - at - length);
                size -= length;
            } else if (roll(&dice) % 2) {
                memmove(input + at + strlen(piece), input + at, size - at);
                memcpy(input + at, piece, strlen(piece));
                size += strlen(piece);
            } else {
                input[at] = (uint8_t)roll(&dice);
            }
        }
        input[size++] = 0;
        for (int tail = 0; tail < 20; tail++)
            input[size++] = (uint8_t)(roll(&dice) % 6);
        assert_int_equal(LLVMFuzzerTestOneInput(input, size), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_values), cmocka_unit_test(changed_schemas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
