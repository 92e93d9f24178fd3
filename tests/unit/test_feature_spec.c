/* The feature file: what it expands to, what it refuses and in which words, and which events it takes. */
#include "feature_scene.h"
#include "scoring/reject.h"

static struct feature_spec *spec_of(struct field_set *fields, struct file_options options, const struct entry *entries, size_t count,
                                    struct err *err)
{
    struct feature_spec *spec = NULL;
    field_set_init(fields);
    struct feature_spec_source source = scene_source(options, entries, count);
    int status = feature_spec_create(&source, fields, &spec, err);
    assert_int_equal(status, spec ? 0 : -1);
    return spec;
}

static void a_feature_becomes_one_column_a_window_in_the_listed_order(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "n", .op = OP_COUNT, .windows = "7d 1m"}, {.name = "amount", .op = OP_VALUE, .field = "amount"},
               {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "60s"});
    const char *names[] = {"n_7d", "n_1m", "amount", "sum_60s"};
    assert_int_equal(s.spec->count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(s.spec->features[i].name, names[i]);
    assert_int_equal(s.spec->window_count, 2);
    assert_int_equal(s.spec->windows[0].ms, 60000);
    assert_int_equal(s.spec->features[0].window, 1);
    assert_int_equal(s.spec->features[3].window, 0);
    assert_int_equal(s.spec->longest_window_ms, 7 * 86400000);
    assert_int_equal(field_set_find(&s.fields, "id"), FIELD_ID);
    assert_int_equal(field_set_find(&s.fields, "card"), FIELD_ENTITY);
    assert_int_equal(field_set_find(&s.fields, "time"), FIELD_TIME);
    assert_int_equal(s.fields.count, 4);
    scene_close(&s);
}

static void equal_conditions_are_one_filter(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "a", .op = OP_COUNT, .windows = "1m", .where = "code", .in = "00"},
               {.name = "b", .op = OP_COUNT, .windows = "1h", .where = "code", .in = "00"},
               {.name = "c", .op = OP_COUNT, .windows = "1h", .where = "code", .in = "'00'"},
               {.name = "d", .op = OP_COUNT, .windows = "1h", .where = "code", .not_in = "00"},
               {.name = "e", .op = OP_COUNT, .windows = "1h"});
    const int wheres[] = {0, 0, 1, 2, -1};
    for (int i = 0; i < 5; i++)
        assert_int_equal(s.spec->features[i].where, wheres[i]);
    assert_int_equal(s.spec->filter_count, 3);
    scene_close(&s);
}

static void every_op_is_found_by_its_name(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT_OF_OPS; op++)
        assert_int_equal(feature_op_find(feature_op_name((enum feature_op)op)), op);
    assert_int_equal(feature_op_find("median"), -1);
    assert_true(feature_op_windowed(OP_SAME));
    assert_false(feature_op_windowed(OP_SINCE_FIRST));
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct entry entry;
        const char *says;
    } cases[] = {
        {{.name = "x", .op = OP_SUM, .windows = "1m"}, "op sum needs `field`"},
        {{.name = "x", .op = OP_SUM, .field = "a"}, "op sum needs `windows`"},
        {{.name = "x", .op = OP_VALUE, .field = "a", .windows = "1m"}, "op value takes no `windows`"},
        {{.name = "x", .op = OP_VALUE, .field = ""}, "a field's name is empty"},
        {{.name = "x", .op = OP_CODE, .field = "a"}, "op code needs `values`"},
        {{.name = "x", .op = OP_COUNT, .windows = "1m", .values = "1"}, "op count takes no `values`"},
        {{.name = "x", .op = OP_COUNT, .windows = "1m", .fixed = 0.1}, "op count takes no `fixed`"},
        {{.name = "x", .op = OP_IN, .field = "a", .values = "1", .fixed = 0.1}, "op in takes no `fixed`"},
        {{.name = "x", .op = OP_CODE, .field = "a", .values = "b '1' b"}, "`values` lists b twice"},
        {{.name = "x", .op = OP_CODE, .field = "a", .values = "1 '1'"}, "`values` lists 1 twice"},
        {{.name = "x", .op = OP_HOUR_OF_DAY, .values = "24"}, "whole numbers from 0 to 23, not 24"},
        {{.name = "x", .op = OP_DAY_OF_WEEK, .values = "Mon"}, "whole numbers from 0 to 6, not Mon"},
        {{.name = "x", .op = OP_SPEED_KMH, .lat = "lat"}, "op speed_kmh needs `lon`"},
        {{.name = "x", .op = OP_SINCE_LAST, .field = "a"}, "op since_last takes no `field`"},
        {{.name = "x", .op = OP_SINCE_LAST, .where = "a", .in = "1"}, "op since_last takes no `where`"},
        {{.name = "x", .op = OP_SINCE_LAST, .exclude_current = true}, "op since_last takes no `current`"},
        {{.name = "x", .op = OP_COUNT, .windows = "1m", .offset_ms = 1}, "op count takes no `offset`"},
        {{.name = "x", .op = OP_COUNT, .windows = "0s"}, "window 0s must be from 1ms"},
        {{.name = "x", .op = OP_COUNT, .windows = "36501d"}, "window 36501d must be from 1ms to 36500d"},
        {{.name = "x", .op = OP_COUNT, .windows = "1m 1m"}, "feature `x_1m` has the name of the one from line 1"},
        {{.name = "x", .op = OP_COUNT, .windows = "1m", .where = "a"}, "`where` needs `in`, `not_in`, `min` or `max`"},
        {{.name = "x", .op = OP_COUNT, .windows = "1m", .where = "a", .min = "2", .max = "1"}, "`min` is above `max`"},
        {{.name = "x", .op = OP_COUNT, .windows = "1m", .where = "", .min = "2"}, "`where` needs `field`"},
        {{.name = "x", .op = OP_COUNT, .windows = "1m", .where = "a", .in = "1 2 1"}, "`in` lists 1 twice"},
        {{.name = "x", .op = OP_VALUE, .field = "a", .scale = INFINITY}, "`scale` must be a finite number"},
        {{.name = "x", .op = OP_VALUE, .field = "a", .fixed = -1}, "`fixed` must be a finite number above 0"},
        {{.name = "", .op = OP_SINCE_LAST}, "`name` must be"},
        {{.name = "a b", .op = OP_SINCE_LAST}, "`name` must be"},
        {{.name = "a,b", .op = OP_SINCE_LAST}, "`name` must be"},
        {{.name = "x", .op = OP_COUNT_OF_OPS}, "`op` is not one"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct field_set fields;
        struct err err = {0};
        struct feature_spec *spec = spec_of(&fields, plain_file, &cases[i].entry, 1, &err);
        if (spec || !strstr(err.msg, cases[i].says) || strncmp(err.msg, "features.yaml:1: ", 17))
            fail_msg("case %zu: wanted %s, got %s", i, cases[i].says, err.msg);
        field_set_finish(&fields);
    }
}

static void colliding_names_name_both_lines(void **state)
{
    (void)state;
    struct field_set fields;
    struct err err = {0};
    const struct entry entries[] = {{.name = "n_1m", .op = OP_SINCE_LAST}, {.name = "b", .op = OP_SINCE_LAST},
                                    {.name = "n", .op = OP_COUNT, .windows = "1h 1m"}};
    assert_null(spec_of(&fields, plain_file, entries, 3, &err));
    assert_non_null(strstr(err.msg, "features.yaml:3: feature `n_1m` has the name of the one from line 1"));
    field_set_finish(&fields);
}

static void limits_of_the_file(void **state)
{
    (void)state;
    static const struct {
        struct file_options options;
        const char *says;
    } cases[] = {
        {{.lateness_ms = -1}, "`lateness` must be"},
        {{.future_skew_ms = INT64_MAX}, "`future_skew` must be"},
        {{.max_age_ms = -5}, "`max_age` must be"},
        {{.max_events = -1}, "`max_events_per_entity` must be from 1 to 1048576"},
        {{.max_events = (1 << 20) + 1}, "`max_events_per_entity` must be from 1 to 1048576"},
    };
    const struct entry entry = {.name = "n", .op = OP_SINCE_LAST};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct field_set fields;
        struct err err = {0};
        assert_null(spec_of(&fields, cases[i].options, &entry, 1, &err));
        if (!strstr(err.msg, cases[i].says))
            fail_msg("case %zu: %s", i, err.msg);
        field_set_finish(&fields);
    }
    struct field_set fields;
    struct err err = {0};
    assert_null(spec_of(&fields, plain_file, &entry, 0, &err));
    assert_non_null(strstr(err.msg, "`features` is empty"));
    field_set_finish(&fields);
}

static void too_many_of_anything(void **state)
{
    (void)state;
    static struct entry entries[FEATURES_MAX + 1];
    static char texts[FEATURES_MAX + 1][2][24];
    struct field_set fields;
    struct err err = {0};
    for (int i = 0; i <= FEATURES_MAX; i++) {
        snprintf(texts[i][0], sizeof texts[i][0], "f%d", i);
        snprintf(texts[i][1], sizeof texts[i][1], "%ds", i + 1);
        entries[i] = (struct entry){.name = texts[i][0], .op = OP_SINCE_LAST};
    }
    assert_null(spec_of(&fields, plain_file, entries, FEATURES_MAX + 1, &err));
    assert_non_null(strstr(err.msg, "features.yaml:4097:"));
    assert_non_null(strstr(err.msg, "more than 4096 features"));
    field_set_finish(&fields);

    for (int i = 0; i <= FEATURE_WINDOWS_MAX; i++)
        entries[i] = (struct entry){.name = texts[i][0], .op = OP_COUNT, .windows = texts[i][1]};
    assert_null(spec_of(&fields, plain_file, entries, FEATURE_WINDOWS_MAX + 1, &err));
    assert_non_null(strstr(err.msg, "more than 64 different windows"));
    field_set_finish(&fields);

    for (int i = 0; i <= FEATURE_FILTERS_MAX; i++)
        entries[i] = (struct entry){.name = texts[i][0], .op = OP_COUNT, .windows = "1m", .where = "a", .in = texts[i][1]};
    assert_null(spec_of(&fields, plain_file, entries, FEATURE_FILTERS_MAX + 1, &err));
    assert_non_null(strstr(err.msg, "more than 64 different `where`"));
    field_set_finish(&fields);

    for (int i = 0; i <= FIELD_SLOTS_MAX; i++)
        entries[i] = (struct entry){.name = texts[i][0], .op = OP_VALUE, .field = texts[i][1]};
    assert_null(spec_of(&fields, plain_file, entries, FIELD_SLOTS_MAX, &err));
    assert_non_null(strstr(err.msg, "at most 512 fields"));
    field_set_finish(&fields);
}

static void id_entity_and_time_are_three_fields(void **state)
{
    (void)state;
    struct field_set fields;
    struct feature_spec *spec;
    struct err err = {0};
    const struct entry entry = {.name = "n", .op = OP_SINCE_LAST};
    field_set_init(&fields);
    struct feature_spec_source source = scene_source(plain_file, &entry, 1);
    free(source.entity);
    source.entity = strdup("id");
    assert_int_equal(feature_spec_create(&source, &fields, &spec, &err), -1);
    assert_non_null(strstr(err.msg, "`id` and `entity` name the same field id"));
    source = scene_source(plain_file, &entry, 1);
    free(source.time);
    source.time = NULL;
    assert_int_equal(feature_spec_create(&source, &fields, &spec, &err), -1);
    assert_non_null(strstr(err.msg, "`time` is missing"));
    field_set_finish(&fields);
}

static void canonical_json_is_what_can_change_a_feature(void **state)
{
    (void)state;
    struct scene s;
    static const struct file_options options = {.lateness_ms = 600000, .future_skew_ms = 300000, .max_age_ms = 5, .max_events = 7};
    SCENE_OPEN(&s, options,
               {.name = "z", .op = OP_SUM, .field = "a\"b", .windows = "24h", .scale = 0.01, .fixed = 1e-7, .exclude_current = true, .where = "c",
                .not_in = "00 'x'"},
               {.name = "h", .op = OP_HOUR_OF_DAY, .values = "1 2", .offset_ms = -3600000},
               {.name = "v", .op = OP_SPEED_KMH, .lat = "la", .lon = "lo"},
               {.name = "n", .op = OP_COUNT, .windows = "1m", .where = "c", .min = "0.1", .max = "5"});
    assert_string_equal(s.spec->canonical,
                        "{\"entity\":\"card\",\"features\":["
                        "{\"current\":\"exclude\",\"field\":\"a\\\"b\",\"fixed\":1e-07,\"name\":\"z_24h\",\"op\":\"sum\",\"scale\":0.01,"
                        "\"where\":{\"field\":\"c\",\"not_in\":[{\"plain\":\"00\"},\"x\"]},\"window_ms\":86400000},"
                        "{\"name\":\"h\",\"offset_ms\":-3600000,\"op\":\"hour_of_day\",\"values\":[{\"plain\":\"1\"},{\"plain\":\"2\"}]},"
                        "{\"lat\":\"la\",\"lon\":\"lo\",\"name\":\"v\",\"op\":\"speed_kmh\"},"
                        "{\"name\":\"n_1m\",\"op\":\"count\",\"where\":{\"field\":\"c\",\"max\":5,\"min\":0.1},\"window_ms\":60000}],"
                        "\"future_skew_ms\":300000,\"id\":\"id\",\"lateness_ms\":600000,\"max_age_ms\":5,\"max_events_per_entity\":7,"
                        "\"time\":\"time\",\"version\":1}");
    scene_close(&s);
}

static void a_column_in_words(void **state)
{
    (void)state;
    struct scene s;
    char text[200], tiny[6];
    SCENE_OPEN(&s, plain_file, {.name = "z", .op = OP_SUM, .field = "amount", .windows = "24h", .scale = 0.01, .where = "code", .not_in = "00 '7'"},
               {.name = "h", .op = OP_HOUR_OF_DAY, .values = "1 2", .offset_ms = -3600000},
               {.name = "n", .op = OP_COUNT, .windows = "1m", .exclude_current = true});
    feature_describe(s.spec, 0, text, sizeof text);
    assert_string_equal(text, "sum of amount over the last 24h, where code not in [00, 7], times 0.01");
    feature_describe(s.spec, 1, text, sizeof text);
    assert_string_equal(text, "1 if the hour of the day is in [1, 2], UTC-1.00 h");
    feature_describe(s.spec, 2, text, sizeof text);
    assert_string_equal(text, "number of events over the last 1m without the current event");
    feature_describe(s.spec, 2, tiny, sizeof tiny);
    assert_string_equal(tiny, "numbe");
    scene_close(&s);
}

/* ---- event_check ---- */

#define LIMIT (INT64_C(1) << 40)

static void types_and_ranges_of_fields(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m"},
               {.name = "price", .op = OP_VALUE, .field = "price"}, {.name = "merchants", .op = OP_DISTINCT, .field = "merchant", .windows = "1m"},
               {.name = "good", .op = OP_COUNT, .windows = "1m", .where = "code", .in = "1"},
               {.name = "speed", .op = OP_SPEED_KMH, .lat = "lat", .lon = "lon"},
               {.name = "steps", .op = OP_MAX, .field = "flag", .windows = "1m", .fixed = 0.01});
    const struct {
        struct sent sent;
        enum reject_reason reason;
    } cases[] = {
        {{.t = 0}, REJECT_NONE},
        {{.t = -1}, REJECT_RANGE},
        {{.t = INT64_C(253402300799999)}, REJECT_NONE},
        {{.t = INT64_C(253402300800000)}, REJECT_RANGE},
        {{.amount = INT(LIMIT - 1)}, REJECT_NONE},
        {{.amount = INT(1 - LIMIT)}, REJECT_NONE},
        {{.amount = INT(LIMIT)}, REJECT_RANGE},
        {{.amount = INT(-LIMIT)}, REJECT_RANGE},
        {{.amount = INT(INT64_MIN)}, REJECT_RANGE},
        {{.amount = REAL(1)}, REJECT_TYPE},
        {{.amount = REAL(NAN)}, REJECT_TYPE},
        {{.amount = BOOL(1)}, REJECT_TYPE},
        {{.amount = TEXT("1")}, REJECT_TYPE},
        {{.amount = OTHER}, REJECT_TYPE},
        {{.amount = NIL}, REJECT_NONE},
        {{.price = INT(LIMIT)}, REJECT_RANGE},
        {{.price = REAL(1e300)}, REJECT_NONE},
        {{.price = REAL(NAN)}, REJECT_NONE},
        {{.price = REAL(INFINITY)}, REJECT_RANGE},
        {{.price = BOOL(1)}, REJECT_TYPE},
        {{.merchant = INT(INT64_MAX)}, REJECT_NONE},
        {{.merchant = BOOL(1)}, REJECT_NONE},
        {{.merchant = TEXT("")}, REJECT_NONE},
        {{.merchant = REAL(1)}, REJECT_TYPE},
        {{.merchant = OTHER}, REJECT_TYPE},
        {{.code = REAL(1)}, REJECT_NONE},
        {{.code = REAL(-INFINITY)}, REJECT_RANGE},
        {{.code = OTHER}, REJECT_TYPE},
        {{.lat = REAL(91)}, REJECT_NONE}, /* counts as null */
        {{.lat = REAL(INFINITY)}, REJECT_RANGE},
        {{.lon = TEXT("1")}, REJECT_TYPE},
        {{.flag = REAL(0.01 * (double)(LIMIT - 1))}, REJECT_NONE},
        {{.flag = REAL(0.01 * (double)LIMIT)}, REJECT_RANGE},
        {{.flag = INT(LIMIT / 100 + 1)}, REJECT_RANGE},
        {{.flag = INT(LIMIT / 100)}, REJECT_NONE},
        {{.flag = REAL(1e300)}, REJECT_RANGE},
        {{.flag = REAL(-INFINITY)}, REJECT_RANGE},
        {{.flag = REAL(NAN)}, REJECT_NONE},
        {{.flag = BOOL(1)}, REJECT_TYPE},
        {{.t = -1, .lat = OTHER}, REJECT_TYPE}, /* types first */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sent sent = cases[i].sent;
        sent.card = "a";
        enum reject_reason got = scene_send(&s, sent);
        if (got != cases[i].reason)
            fail_msg("case %zu: %s, not %s", i, reject_name(got), reject_name(cases[i].reason));
    }
    scene_close(&s);
}

static void id_entity_and_time_have_reasons_of_their_own(void **state)
{
    (void)state;
    struct scene s;
    SCENE_OPEN(&s, plain_file, {.name = "sum", .op = OP_SUM, .field = "amount", .windows = "1m"});
    const struct {
        struct value values[4];
        enum reject_reason reason;
        int slot;
    } cases[] = {
        {{INT(1), TEXT("c"), INT(0), NIL}, REJECT_NONE, -1},
        {{TEXT(""), INT(5), INT(0)}, REJECT_NONE, -1},
        {{{0}, TEXT("c"), INT(0)}, REJECT_MISSING_FIELD, FIELD_ID},
        {{NIL, {0}, INT(0)}, REJECT_NULL_FIELD, FIELD_ID},
        {{REAL(1), {0}, NIL}, REJECT_TYPE, FIELD_ID},
        {{INT(1), {0}, INT(0)}, REJECT_MISSING_FIELD, FIELD_ENTITY},
        {{INT(1), BOOL(1), INT(0)}, REJECT_TYPE, FIELD_ENTITY},
        {{INT(1), INT(1), {0}}, REJECT_MISSING_FIELD, FIELD_TIME},
        {{INT(1), INT(1), NIL}, REJECT_NULL_FIELD, FIELD_TIME},
        {{INT(1), INT(1), TEXT("0")}, REJECT_TYPE, FIELD_TIME},
        {{INT(1), INT(1), INT(-1), BOOL(1)}, REJECT_TYPE, 3},
        {{INT(1), INT(1), INT(-1), INT(LIMIT)}, REJECT_RANGE, FIELD_TIME},
        {{INT(1), INT(1), INT(1), INT(LIMIT)}, REJECT_RANGE, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int slot = -1;
        enum reject_reason got = event_check(s.spec, &s.fields, cases[i].values, &slot);
        if (got != cases[i].reason || slot != cases[i].slot)
            fail_msg("case %zu: %s at %d", i, reject_name(got), slot);
    }
    scene_close(&s);
}

static void every_reason_has_a_name_and_a_stage(void **state)
{
    (void)state;
    assert_string_equal(reject_name(REJECT_NONE), "none");
    assert_string_equal(reject_name(REJECT_NOT_AVRO), "not_avro");
    assert_string_equal(reject_name(REJECT_OUTPUT_TOO_LARGE), "output_too_large");
    assert_string_equal(reject_stage(REJECT_TOO_LARGE), "decode");
    assert_string_equal(reject_stage(REJECT_MISSING_FIELD), "validate");
    assert_string_equal(reject_stage(REJECT_RULE), "validate");
    assert_string_equal(reject_stage(REJECT_FUTURE), "features");
    assert_string_equal(reject_stage(REJECT_DUPLICATE), "features");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_feature_becomes_one_column_a_window_in_the_listed_order),
        cmocka_unit_test(equal_conditions_are_one_filter),
        cmocka_unit_test(every_op_is_found_by_its_name),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(colliding_names_name_both_lines),
        cmocka_unit_test(limits_of_the_file),
        cmocka_unit_test(too_many_of_anything),
        cmocka_unit_test(id_entity_and_time_are_three_fields),
        cmocka_unit_test(canonical_json_is_what_can_change_a_feature),
        cmocka_unit_test(a_column_in_words),
        cmocka_unit_test(types_and_ranges_of_fields),
        cmocka_unit_test(id_entity_and_time_have_reasons_of_their_own),
        cmocka_unit_test(every_reason_has_a_name_and_a_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
