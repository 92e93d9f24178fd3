#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/labels/label_windows.h"
#include "consumer/labels/mark.h"

#define HOUR INT64_C(3600000)
#define NEVER INT64_MIN

/* ---- segments ---- */

/* An Avro map of short texts: one block. */
static struct bytes map_of(uint8_t *data, const char *const *pairs)
{
    uint32_t size = 1;
    uint8_t count = 0;
    for (; pairs[count]; count++) {
        uint32_t length = (uint32_t)strlen(pairs[count]);
        data[size++] = (uint8_t)(2 * length);
        memcpy(data + size, pairs[count], length);
        size += length;
    }
    data[0] = count; /* half as many entries, zigzag */
    data[size++] = 0;
    return (struct bytes){data, size};
}

static uint16_t number_of(struct segments *s, const char *const *pairs)
{
    uint8_t data[512];
    return segments_number(s, map_of(data, pairs));
}

static char *const fields[] = {"mcc", "channel"};

static void combinations_have_numbers(void **state)
{
    (void)state;
    struct segments *s = segments_create(fields, 2);
    char text[SEGMENT_TEXT_MAX + 1];
    uint16_t a = number_of(s, (const char *const[]){"mcc", "5411", "channel", "POS", NULL}), b = number_of(s, (const char *const[]){"channel", "POS", NULL});
    assert_int_not_equal(a, b);
    assert_int_equal(number_of(s, (const char *const[]){"channel", "POS", "mcc", "5411", NULL}), a);
    assert_int_equal(number_of(s, (const char *const[]){"country", "DE", NULL}), 0);
    assert_int_equal(segments_number(s, (struct bytes){0}), 0);
    assert_true(segments_subject(s, a, 0, text));
    assert_string_equal(text, "mcc=5411");
    assert_true(segments_subject(s, a, 1, text));
    assert_string_equal(text, "channel=POS");
    assert_false(segments_subject(s, b, 0, text));
    assert_false(segments_subject(s, 0, 1, text));
    segments_destroy(s);
}

static void values_beyond_the_limit_are_other(void **state)
{
    (void)state;
    struct segments *s = segments_create(fields, 2);
    char text[SEGMENT_TEXT_MAX + 1], name[16];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "%d", i);
        uint16_t number = number_of(s, (const char *const[]){"mcc", name, NULL});
        assert_true(segments_subject(s, number, 0, text));
        assert_string_equal(text + 4, i < SEGMENT_VALUES_MAX ? name : "other");
    }
    segments_destroy(s);
}

static void combinations_beyond_the_limit_are_other(void **state)
{
    (void)state;
    static char *const three[] = {"a", "b", "c"};
    struct segments *s = segments_create(three, 3);
    char text[SEGMENT_TEXT_MAX + 1], x[16], y[16], z[16];
    int others = 0;
    for (int i = 0; i < 70000; i++) {
        snprintf(x, sizeof x, "%d", i % 150), snprintf(y, sizeof y, "%d", i / 150 % 150), snprintf(z, sizeof z, "%d", i / 22500);
        uint16_t number = number_of(s, (const char *const[]){"a", x, "b", y, "c", z, NULL});
        assert_int_not_equal(number, 0);
        assert_true(segments_subject(s, number, 0, text));
        others += !strcmp(text, "a=other");
    }
    assert_int_equal(others, 70000 - (SEGMENT_COMBINATIONS_MAX - 1));
    segments_destroy(s);
}

static void broken_maps_end_where_they_break(void **state)
{
    (void)state;
    struct segments *s = segments_create(fields, 2);
    uint8_t data[512];
    struct bytes whole = map_of(data, (const char *const[]){"mcc", "5411", "channel", "POS", NULL});
    for (uint32_t size = 0; size <= whole.size; size++)
        segments_number(s, (struct bytes){data, size});
    for (uint32_t at = 0; at < whole.size; at++)
        for (int byte = 0; byte < 256; byte += 5) {
            uint8_t changed[512];
            memcpy(changed, data, whole.size);
            changed[at] = (uint8_t)byte;
            segments_number(s, (struct bytes){changed, whole.size});
        }
    segments_destroy(s);
}

/* ---- windows ---- */

static const char *const models[LABEL_MODELS_ALL] = {"champion"};

static struct label_windows new_windows(int64_t closed_until_ms, size_t partitions)
{
    struct label_windows w;
    label_windows_init(&w, 6 * HOUR, HOUR, closed_until_ms, partitions);
    w.models = models;
    w.thresholds = (struct thresholds){0.5, 0.9};
    return w;
}

static void windows_are_tumbling_and_open_in_order(void **state)
{
    (void)state;
    struct label_windows w = new_windows(6 * HOUR, 1);
    bool full;
    assert_null(label_windows_at(&w, 6 * HOUR - 1, &full));
    assert_false(full);
    assert_int_equal(label_windows_at(&w, 19 * HOUR, &full)->start_ms, 18 * HOUR);
    assert_int_equal(label_windows_at(&w, 6 * HOUR, &full)->end_ms, 12 * HOUR);
    assert_ptr_equal(label_windows_at(&w, 12 * HOUR - 1, &full), &w.open[0]);
    assert_int_equal(w.count, 2);
    label_windows_close_oldest(&w);
    assert_int_equal(w.closed_until_ms, 12 * HOUR);
    assert_null(label_windows_at(&w, 12 * HOUR - 1, &full));
    assert_int_equal(label_windows_at(&w, 12 * HOUR, &full)->start_ms, 12 * HOUR);
    label_windows_finish(&w);
}

static void calibration_waits_for_a_window_after_the_first_honest_event(void **state)
{
    (void)state;
    struct label_windows w = new_windows(NEVER, 1);
    bool full;
    struct label_window *first = label_windows_at(&w, 0, &full);
    assert_false(label_window_settled(&w, first));
    label_windows_note_honest(&w, 5 * HOUR);
    label_windows_note_honest(&w, 8 * HOUR);
    assert_false(label_window_settled(&w, label_windows_at(&w, 0, &full)));
    assert_true(label_window_settled(&w, label_windows_at(&w, 6 * HOUR, &full)));
    label_windows_finish(&w);
}

static void more_windows_than_can_be_open_ask_for_the_oldest_to_close(void **state)
{
    (void)state;
    struct label_windows w = new_windows(NEVER, 1);
    bool full;
    for (int i = 0; i < LABEL_WINDOWS_OPEN; i++)
        assert_non_null(label_windows_at(&w, 6 * HOUR * i, &full));
    assert_null(label_windows_at(&w, 6 * HOUR * LABEL_WINDOWS_OPEN, &full));
    assert_true(full);
    label_windows_close_oldest(&w);
    assert_non_null(label_windows_at(&w, 6 * HOUR * LABEL_WINDOWS_OPEN, &full));
    label_windows_finish(&w);
}

static void a_window_closes_when_every_partition_is_past_it(void **state)
{
    (void)state;
    struct label_windows w = new_windows(NEVER, 2);
    bool full;
    assert_false(label_windows_due(&w, (struct label_time[]){{99 * HOUR, true}, {99 * HOUR, true}}));
    label_windows_at(&w, HOUR, &full); /* ends at 6 h; lateness 1 h */
    assert_true(label_windows_due(&w, (struct label_time[]){{7 * HOUR, false}, {7 * HOUR, false}}));
    assert_false(label_windows_due(&w, (struct label_time[]){{7 * HOUR, false}, {7 * HOUR - 1, true}}));
    assert_false(label_windows_due(&w, (struct label_time[]){{13 * HOUR - 1, false}, {6 * HOUR, true}}));
    assert_true(label_windows_due(&w, (struct label_time[]){{13 * HOUR, false}, {6 * HOUR, true}}));   /* an idle partition */
    assert_false(label_windows_due(&w, (struct label_time[]){{99 * HOUR, false}, {6 * HOUR, false}})); /* one that is behind */
    assert_true(label_windows_due(&w, (struct label_time[]){{7 * HOUR, false}, {NEVER, true}}));       /* one without labels */
    assert_false(label_windows_due(&w, (struct label_time[]){{99 * HOUR, false}, {NEVER, false}}));    /* one not read yet */
    label_windows_finish(&w);
}

static void a_label_is_judged_with_its_shadows(void **state)
{
    (void)state;
    struct label_windows w = new_windows(NEVER, 1);
    struct segments *s = segments_create(fields, 2);
    bool full;
    struct label_window *window = label_windows_at(&w, 0, &full);
    struct waiting_prediction p = {.score = 0.7f, .value = 5, .segments = number_of(s, (const char *const[]){"mcc", "1", NULL}), .shadows = {NAN, 0.2f}};
    label_window_judge(window, s, &p, 2, 1);
    assert_int_equal(label_quality_groups(window->quality), 6); /* served, shadow, counterpart; all and the segment */
    label_windows_finish(&w);
    segments_destroy(s);
}

/* ---- marks ---- */

static void marks_read_back(void **state)
{
    (void)state;
    static const struct label_mark marks[] = {{7, 1771606800000, 42}, {0, INT64_MIN, 0}, {1, INT64_MAX, INT64_MAX}};
    char text[LABEL_MARK_TEXT_MAX];
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        struct label_mark read = {.offset = marks[i].offset};
        label_mark_format(&marks[i], text);
        assert_true(label_mark_parse(text, strlen(text), &read));
        assert_memory_equal(&read, &marks[i], sizeof read);
    }
}

static void what_others_wrote_is_no_mark(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "weir1 T=- V=0", "weir-labels1 C=1", "weir-labels1 C=1 R=", "weir-labels1 C=1 R=2 x", "weir-labels1 C=1 R=-2",
        "weir-labels1 C=1 R=2                                                                             "};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct label_mark read = {.offset = 1, .closed_until_ms = NEVER, .read_until = 3};
        assert_false(label_mark_parse(texts[i], strlen(texts[i]), &read));
        assert_true(read.closed_until_ms == NEVER && read.read_until == 3);
    }
    assert_false(label_mark_parse(NULL, 0, &(struct label_mark){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combinations_have_numbers),
        cmocka_unit_test(values_beyond_the_limit_are_other),
        cmocka_unit_test(combinations_beyond_the_limit_are_other),
        cmocka_unit_test(broken_maps_end_where_they_break),
        cmocka_unit_test(windows_are_tumbling_and_open_in_order),
        cmocka_unit_test(calibration_waits_for_a_window_after_the_first_honest_event),
        cmocka_unit_test(more_windows_than_can_be_open_ask_for_the_oldest_to_close),
        cmocka_unit_test(a_window_closes_when_every_partition_is_past_it),
        cmocka_unit_test(a_label_is_judged_with_its_shadows),
        cmocka_unit_test(marks_read_back),
        cmocka_unit_test(what_others_wrote_is_no_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
