/* Golden files: what is written comes back to the bit, what is no golden file is refused by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/file.h"
#include "consumer/golden_file.h"

static const char *const names[] = {"amount", "a,b\"c"};
static char path[64], model_path[80];

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/weir-golden-XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void numbers_come_back_to_the_bit(void **state)
{
    (void)state;
    static float rows[] = {0.1f, NAN, INFINITY, -INFINITY, FLT_TRUE_MIN, -0.0f, FLT_MAX, 16777217.0f, nextafterf(0.1f, 1), 1e-39f};
    static float margin[] = {-2.19722462f, 0, 1e-20f, -88.7f, 3}, score[] = {0.1f, 0.5f, 1, 0, 0.95257413f};
    const struct golden golden = {2, 5, rows, margin, score};
    struct golden back;
    struct err err = {0};
    snprintf(model_path, sizeof model_path, "%s", path);
    assert_int_equal(golden_file_write(model_path, names, &golden, &err), 0);
    char file[96];
    snprintf(file, sizeof file, "%s.golden.csv", path);
    if (golden_file_read(file, names, 2, &back, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(back.count, 5);
    for (size_t i = 0; i < 10; i++)
        assert_true(isnan(rows[i]) ? isnan(back.rows[i]) : !memcmp(&rows[i], &back.rows[i], sizeof *rows));
    assert_memory_equal(back.margin, margin, sizeof margin);
    assert_memory_equal(back.score, score, sizeof score);
    golden_finish(&back);
    unlink(file);
}

static void the_margin_may_be_left_out(void **state)
{
    (void)state;
    static const char text[] = "amount,\"a,b\"\"c\",expected_score\n1,2,0.5\n,,0.25\n";
    struct golden back;
    assert_int_equal(file_write(path, text, sizeof text - 1, NULL), 0);
    assert_int_equal(golden_file_read(path, names, 2, &back, NULL), 0);
    assert_int_equal(back.count, 2);
    assert_null(back.margin);
    assert_true(back.score[1] == 0.25f && isnan(back.rows[2]));
    golden_finish(&back);
}

static void what_is_no_golden_file_is_refused_by_line(void **state)
{
    (void)state;
#define HEAD "amount,\"a,b\"\"c\",expected_margin,expected_score\n"
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", ": is empty"},
        {HEAD, ": has no rows"},
        {"amount,expected_score\n", ":1: column 1 is 'expected_score' where the model's feature is 'a,b\"c'"},
        {"amount,\"a,b\"\"c\"\n", ":1: the features are followed by expected_margin"},
        {"amount,\"a,b\"\"c\",expected_margin,other,expected_score\n", ":1: the features are followed by expected_margin"},
        {HEAD "1,2,3,0.5\n1,2,3\n", ":3: 3 cells where the first line has 4"},
        {HEAD "1,2x,3,0.5\n", ":2: a,b\"c '2x' is not a number"},
        {HEAD "1,0x10,3,0.5\n", ":2: a,b\"c '0x10' is not a number"},
        {HEAD "1,2,3,\n", ":2: expected_score is missing"},
        {HEAD "1,2,nan,0.5\n", ":2: expected_margin is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct golden back;
        struct err err = {0};
        assert_int_equal(file_write(path, cases[i].text, strlen(cases[i].text), NULL), 0);
        assert_int_equal(golden_file_read(path, names, 2, &back, &err), -1);
        if (!strstr(err.msg, cases[i].error) || strncmp(err.msg, path, strlen(path)))
            fail_msg("case %zu: %s; should be: %s", i, err.msg, cases[i].error);
    }
}

static void there_are_only_so_many_rows(void **state)
{
    (void)state;
    char *text = malloc(16 * (GOLDEN_ROWS_MAX + 2));
    struct err err = {0};
    struct golden back;
    int size = sprintf(text, "a,expected_score\n");
    for (int i = 0; i < GOLDEN_ROWS_MAX + 1; i++)
        size += sprintf(text + size, "1,0.5\n");
    assert_int_equal(file_write(path, text, (size_t)size, NULL), 0);
    assert_int_equal(golden_file_read(path, (const char *const[]){"a"}, 1, &back, &err), -1);
    assert_non_null(strstr(err.msg, "more than 10000 rows"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_come_back_to_the_bit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_margin_may_be_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_golden_file_is_refused_by_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_are_only_so_many_rows, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
