#include "tests/unit/exposition_parser.h"

#include "monitor/exposition.h"
#include "tests/unit/assert_near.h"

static char memory[4096];

static struct text_buffer fresh(size_t capacity)
{
    struct text_buffer text;
    text_init(&text, memory, capacity);
    return text;
}

static void a_family_is_help_type_and_samples(void **state)
{
    (void)state;
    struct text_buffer text = fresh(sizeof memory);
    exposition_family(&text, "weir_records_total", EXPOSITION_COUNTER, "Records.");
    exposition_sample_integer(&text, "weir_records_total", NULL, 0, 9007199254740993);
    exposition_family(&text, "weir_lag", EXPOSITION_GAUGE, "Lag.");
    exposition_sample(&text, "weir_lag", (struct label[]){{"partition", "0"}, {"topic", "t"}}, 2, 0.1);
    assert_string_equal(text.data, "# HELP weir_records_total Records.\n# TYPE weir_records_total counter\n"
                                   "weir_records_total 9007199254740993\n"
                                   "# HELP weir_lag Lag.\n# TYPE weir_lag gauge\n"
                                   "weir_lag{partition=\"0\",topic=\"t\"} 0.1\n");
    free(parse_exposition(text.data));
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    struct text_buffer text = fresh(sizeof memory);
    exposition_family(&text, "x", EXPOSITION_GAUGE, "a \\ and a\nbreak and a \" as it is");
    exposition_sample(&text, "x", &(struct label){"l", "q\" b\\ n\n }{ , \xc3\xa9 \xff end"}, 1, 1);
    assert_non_null(strstr(text.data, "# HELP x a \\\\ and a\\nbreak and a \" as it is\n"));
    assert_non_null(strstr(text.data, "x{l=\"q\\\" b\\\\ n\\n }{ , \xc3\xa9 \xef\xbf\xbd end\"} 1\n"));
    struct parsed *p = parse_exposition(text.data);
    assert_near(parsed_value(p, "x", "l=q\" b\\ n\n }{ , \xc3\xa9 \xef\xbf\xbd end"), 1, 0);
    free(p);
}

static void numbers_read_back_to_the_same_bits(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{NAN, "NaN"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}, {0, "0"}, {0.1, "0.1"}, {1e300, "1e+300"},
                 {0.1 + 0.2, "0.30000000000000004"}, {123456789.25, "123456789.25"}, {-1.5, "-1.5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text_buffer text = fresh(sizeof memory);
        char wanted[64];
        snprintf(wanted, sizeof wanted, "x %s\n", cases[i].text);
        exposition_sample(&text, "x", NULL, 0, cases[i].value);
        assert_string_equal(text.data, wanted);
    }
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    struct text_buffer text = fresh(sizeof memory);
    exposition_family(&text, "h", EXPOSITION_HISTOGRAM, "H.");
    exposition_histogram(&text, "h", &(struct label){"m", "a"}, 1, (double[]){0.5, 1}, 2, (int64_t[]){3, 0, 4}, 12.5);
    assert_non_null(strstr(text.data, "h_bucket{m=\"a\",le=\"0.5\"} 3\nh_bucket{m=\"a\",le=\"1\"} 3\nh_bucket{m=\"a\",le=\"+Inf\"} 7\n"
                                      "h_sum{m=\"a\"} 12.5\nh_count{m=\"a\"} 7\n"));
    free(parse_exposition(text.data));
}

/* At every capacity what is there is a run of whole lines from the start, and `full` says that more was to come. */
static void a_full_buffer_ends_at_a_whole_line(void **state)
{
    (void)state;
    char whole[512];
    for (size_t capacity = sizeof whole; capacity > 0; capacity--) {
        struct text_buffer text = fresh(capacity);
        exposition_family(&text, "h", EXPOSITION_HISTOGRAM, "H.");
        exposition_histogram(&text, "h", &(struct label){"m", "a"}, 1, (double[]){0.5, 1}, 2, (int64_t[]){3, 0, 4}, 12.5);
        if (capacity == sizeof whole)
            strcpy(whole, text.data);
        assert_true(text.full == (capacity <= strlen(whole)));
        assert_int_equal(strlen(text.data), text.size);
        assert_true(strlen(text.data) < capacity);
        assert_memory_equal(text.data, whole, text.size);
        assert_true(text.size == 0 || text.data[text.size - 1] == '\n');
    }
}

static void json_strings_are_valid_whatever_comes(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {{"plain", "\"plain\""}, {"a\"b\\c", "\"a\\\"b\\\\c\""}, {"\n\x01", "\"\\u000a\\u0001\""}, {"\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
                 {"\xc3", "\"\xef\xbf\xbd\""}, {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""}, {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
                 {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text_buffer text = fresh(sizeof memory);
        text_add_json_string(&text, cases[i].in);
        assert_string_equal(text.data, cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_is_help_type_and_samples), cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(numbers_read_back_to_the_same_bits), cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(a_full_buffer_ends_at_a_whole_line), cmocka_unit_test(json_strings_are_valid_whatever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
