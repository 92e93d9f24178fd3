/* Different categories and `same` in the windows of a late event: its windows end before newer events of the same
 * categories, which have to be looked behind.  All with records that have room for long gaps, for short ones and for none,
 * with or without vector instructions. */
#include "feature_scene.h"
#include "scoring/features/partition_state.h"

enum { PADDING_MOST = 20 };

static const struct file_options late_10m = {.lateness_ms = 600000};

struct variant {
    int padding; /* lanes that are counted beside, and leave less room for gaps: */
    uint32_t gap_bits;
    bool vectors;
};

static void open_variant(struct scene *s, struct file_options options, struct variant variant)
{
    struct entry entries[2 + PADDING_MOST] = {{.name = "kinds", .op = OP_DISTINCT, .field = "merchant", .windows = "10s 1m 1h"}};
    char names[PADDING_MOST][16], listed[PADDING_MOST][16];
    for (int i = 0; i < variant.padding; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        snprintf(listed[i], sizeof listed[i], "%d", i);
        entries[1 + i] = (struct entry){.name = names[i], .op = OP_COUNT, .windows = "1m", .where = "code", .in = listed[i]};
    }
    scene_open_limited(s, options, no_limits, entries, 1 + (size_t)variant.padding);
    feature_program_vectors(s->windows->program, variant.vectors);
    assert_int_equal(s->windows->program->gap_bits, variant.gap_bits);
}

static void in_all_variants(void (*check)(struct variant))
{
    static const struct variant variants[] = {{0, 12, true}, {6, 8, true}, {10, 4, true}, {14, 0, true}, {PADDING_MOST, 16, true},
                                              {0, 12, false}, {6, 8, false}, {10, 4, false}, {14, 0, false}, {PADDING_MOST, 16, false}};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        check(variants[i]);
}

#define SEE(s, at, kind) SEND((s), .t = (at) * 1000, .merchant = TEXT(kind))
#define KINDS(s, in_10s, in_1m, in_1h)   \
    do {                                 \
        EXPECT((s), "kinds_10s", in_10s); \
        EXPECT((s), "kinds_1m", in_1m);   \
        EXPECT((s), "kinds_1h", in_1h);   \
    } while (0)

static void check_hidden(struct variant variant)
{
    struct scene s;
    open_variant(&s, late_10m, variant);
    SEE(&s, 1000, "a");
    SEE(&s, 1055, "b");
    SEE(&s, 1062, "b");
    SEE(&s, 1070, "a");
    SEE(&s, 1058, "c"); /* a and b have newer events, and older ones that count */
    KINDS(&s, 2, 3, 3);
    SEE(&s, 1060, "b");
    KINDS(&s, 2, 2, 3);
    SEE(&s, 1059, "a");
    KINDS(&s, 3, 3, 3);
    scene_close(&s);
}

static void a_category_with_newer_events_counts_by_the_one_before_them(void **state)
{
    (void)state;
    in_all_variants(check_hidden);
}

static void check_repeated(struct variant variant)
{
    struct scene s;
    open_variant(&s, late_10m, variant);
    SEE(&s, 1000, "a");
    SEE(&s, 1300, "a");
    SEE(&s, 1200, "a");
    KINDS(&s, 1, 1, 1);
    SEE(&s, 1100, "a"); /* between two that knew nothing between them */
    KINDS(&s, 1, 1, 1);
    SEE(&s, 1105, "b");
    KINDS(&s, 2, 2, 2);
    SEE(&s, 1150, "b");
    KINDS(&s, 1, 2, 2);
    SEE(&s, 1209, "c");
    KINDS(&s, 2, 3, 3);
    SEE(&s, 1211, "c");
    KINDS(&s, 1, 2, 3);
    scene_close(&s);
}

static void one_category_may_be_late_again_and_again(void **state)
{
    (void)state;
    in_all_variants(check_repeated);
}

static void check_oldest(struct variant variant)
{
    struct scene s;
    open_variant(&s, late_10m, variant);
    SEE(&s, 1010, "a");
    SEE(&s, 1011, "b");
    SEE(&s, 1000, "a"); /* older than all */
    KINDS(&s, 1, 1, 1);
    SEE(&s, 999, "b");
    KINDS(&s, 1, 1, 1);
    SEE(&s, 1005, "c"); /* sees both, which were late themselves */
    KINDS(&s, 3, 3, 3);
    SEE(&s, 1009, "d");
    KINDS(&s, 3, 4, 4);
    scene_close(&s);
}

static void a_late_event_may_be_older_than_all(void **state)
{
    (void)state;
    in_all_variants(check_oldest);
}

static void check_mostly_newer(struct variant variant)
{
    static const char *const kinds[] = {"a", "b", "c", "d", "e", "f", "g"};
    struct scene s;
    open_variant(&s, late_10m, variant);
    SEE(&s, 1000, "a");
    SEE(&s, 1001, "b");
    for (int i = 0; i < 100; i++)
        SEE(&s, 1100 + i, kinds[i % 7]);
    SEE(&s, 1002, "g");
    KINDS(&s, 3, 3, 3);
    SEE(&s, 1003, "a");
    KINDS(&s, 3, 3, 3);
    SEE(&s, 1150, "h"); /* all seven, but for those of the last ten seconds */
    KINDS(&s, 8, 8, 8);
    SEE(&s, 1064, "h");
    KINDS(&s, 1, 1, 4);
    scene_close(&s);
}

static void most_events_may_be_newer(void **state)
{
    (void)state;
    in_all_variants(check_mostly_newer);
}

static void check_dropped(struct variant variant)
{
    struct scene s;
    open_variant(&s, (struct file_options){.lateness_ms = 600000, .max_events = 3}, variant);
    SEE(&s, 1000, "a");
    SEE(&s, 1010, "b");
    SEE(&s, 1020, "a");
    SEE(&s, 1030, "c"); /* the first is dropped */
    SEE(&s, 1015, "d");
    KINDS(&s, 2, 2, 2);
    scene_close(&s);
}

static void an_earlier_event_that_was_dropped_does_not_count(void **state)
{
    (void)state;
    in_all_variants(check_dropped);
}

static void check_trimmed(struct variant variant)
{
    struct scene s;
    open_variant(&s, late_10m, variant);
    SEE(&s, 1000, "a");
    SEE(&s, 1010, "b");
    SEE(&s, 4590, "a");
    SEND(&s, .t = 5205000, .card = "other"); /* from now on events up to 1005 s are invisible */
    SEE(&s, 4580, "c"); /* a was in the hour before it */
    KINDS(&s, 1, 1, 2);
    scene_close(&s);
}

static void an_earlier_event_that_became_invisible_does_not_count(void **state)
{
    (void)state;
    in_all_variants(check_trimmed);
}

static const char *kind_of(char text[16], int i)
{
    snprintf(text, 16, "k%d", i);
    return text;
}

enum { KINDS_MANY = 700, NEWER = 300 };

/* A ring with slots; the gaps are longer than some records can say. */
static void check_many(struct variant variant)
{
    char kind[16];
    struct scene s;
    open_variant(&s, late_10m, variant);
    for (int i = 0; i < KINDS_MANY; i++)
        SEND(&s, .t = 1000000 + i * 10, .merchant = TEXT(kind_of(kind, i)));
    for (int i = 0; i < NEWER; i++) /* every second one has been seen */
        SEND(&s, .t = 1100000 + i * 10, .merchant = TEXT(kind_of(kind, i * 2 % 300 + (i % 2 ? 0 : 10000))));
    SEND(&s, .t = 1099999, .merchant = TEXT("other"));
    KINDS(&s, 1, 1, KINDS_MANY + 1);
    SEND(&s, .t = 1063500, .merchant = TEXT(kind_of(kind, 349))); /* half of them are in the minute before */
    KINDS(&s, 1, KINDS_MANY - 350, KINDS_MANY);
    SEND(&s, .t = 1100000, .merchant = TEXT("other")); /* with the first of the newer ones */
    KINDS(&s, 2, 3, KINDS_MANY + 2);
    scene_close(&s);
}

static void many_categories_are_found_far_back(void **state)
{
    (void)state;
    in_all_variants(check_many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_category_with_newer_events_counts_by_the_one_before_them),
        cmocka_unit_test(one_category_may_be_late_again_and_again),
        cmocka_unit_test(a_late_event_may_be_older_than_all),
        cmocka_unit_test(most_events_may_be_newer),
        cmocka_unit_test(an_earlier_event_that_was_dropped_does_not_count),
        cmocka_unit_test(an_earlier_event_that_became_invisible_does_not_count),
        cmocka_unit_test(many_categories_are_found_far_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
