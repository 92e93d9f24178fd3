/* The feature file: what of it reaches the source, and every way to get it wrong with the words that answer it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "consumer/config/config.h"
#include "consumer/file.h"

static char path[] = "/tmp/weir-features-XXXXXX";

static int make_scene(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    return close(fd);
}

static int remove_scene(void **state)
{
    (void)state;
    return unlink(path);
}

static int load(const char *text, struct field_set *fields, struct feature_spec **spec, struct err *err)
{
    struct err ignored;
    assert_int_equal(file_write(path, text, strlen(text), &ignored), 0);
    field_set_init(fields);
    return feature_file_load(path, fields, spec, err);
}

#define HEAD "version: 1\nid: id\nentity: card\ntime: at\nlateness: 1m\nfuture_skew: 5s\n" /* 6 lines */
#define ONE HEAD "features:\n"                                                            /* its entry is line 8 */

static void an_entry_reaches_its_source(void **state)
{
    (void)state;
    struct field_set fields;
    struct feature_spec *spec = NULL;
    struct err err = {0};
    int result = load(HEAD "max_age: 7d\nmax_events_per_entity: 16\nfeatures:\n"
                           "  - {name: s, op: sum, field: x, windows: [1h, 7d], scale: 0.01, fixed: 0.5, current: exclude, where: {field: c, not_in: ['00', 1]}}\n"
                           "  - {name: h, op: hour_of_day, offset: -5h, values: [0, 1]}\n"
                           "  - {name: v, op: speed_kmh, lat: p.lat, lon: p.lon}\n",
                      &fields, &spec, &err);
    if (result < 0)
        fail_msg("%s", err.msg);
    const struct feature_spec_source *s = &spec->source;
    assert_string_equal(s->id, "id");
    assert_string_equal(s->entity, "card");
    assert_string_equal(s->time, "at");
    assert_true(s->lateness_ms == 60000 && s->future_skew_ms == 5000 && s->max_age_ms == 604800000 && s->max_events_per_entity == 16);
    assert_int_equal(s->count, 3);
    const struct feature_source *sum = &s->features[0], *hour = &s->features[1], *speed = &s->features[2];
    assert_true(sum->line == 10 && hour->line == 11 && speed->line == 12);
    assert_true(sum->op == OP_SUM && hour->op == OP_HOUR_OF_DAY && speed->op == OP_SPEED_KMH);
    assert_int_equal(sum->window_count, 2);
    assert_string_equal(sum->windows[1].label, "7d");
    assert_int_equal(sum->windows[1].ms, 604800000);
    assert_true(sum->has_scale && sum->scale == 0.01 && sum->has_fixed && sum->fixed == 0.5 && sum->exclude_current && sum->has_where);
    assert_string_equal(sum->where_field, "c");
    assert_int_equal(sum->where.kind, PREDICATE_NOT_IN);
    assert_int_equal(sum->where.count, 2);
    assert_true(!sum->where.literals[0].is_integer && sum->where.literals[1].is_integer);
    assert_true(!hour->has_scale && !hour->exclude_current && hour->offset_ms == -18000000 && hour->value_count == 2);
    assert_string_equal(speed->lat, "p.lat");
    assert_string_equal(fields.fields[FIELD_ID].name, "id");
    assert_string_equal(fields.fields[FIELD_ENTITY].name, "card");
    assert_string_equal(fields.fields[FIELD_TIME].name, "at");
    assert_string_equal(spec->features[0].name, "s_1h");
    feature_spec_destroy(spec);
    field_set_finish(&fields);
}

static void defaults_are_those_of_the_reference(void **state)
{
    (void)state;
    struct field_set fields;
    struct feature_spec *spec = NULL;
    struct err err = {0};
    if (load(ONE "  - {name: n, op: count, windows: [1m]}\n", &fields, &spec, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(spec->source.max_age_ms, -1);
    assert_int_equal(spec->source.max_events_per_entity, 4096);
    assert_false(spec->source.features[0].exclude_current);
    feature_spec_destroy(spec);
    field_set_finish(&fields);
}

#define CROSSES \
    "not available in this version; remove it. Windows are kept per `entity` of the file; features over entities that cross partitions need a repartition topic, " \
    "which this version does not have."
#define OPS \
    "allowed: value, equals, in, code, hour_of_day, day_of_week, count, sum, min, max, mean, std, zscore, ratio, distinct, same, since_last, since_first, speed_kmh"

static void faults_name_file_line_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message; /* after the file's name */
    } cases[] = {
        {"", ": the file is empty"},
        {"id: a\n", ":1: version: missing: Version of this format: 1."},
        {"version: 2\n", ":1: version: 2 is not known here; it must be 1"},
        {"version: 1\n", ":1: id: missing: Field that is unique per event: string, int or long."},
        {"version: 1\nid: id\nentity: card\ntime: at\nfuture_skew: 5s\nfeatures: []\n", ":6: features: must have at least 1 entries"},
        {"version: 1\nid: id\nentity: card\ntime: at\nfuture_skew: 5s\nfeatures: [{name: n, op: since_last}]\n",
         ":1: lateness: missing: Events this late still see complete windows."},
        {HEAD, ":1: features: missing: The columns of the vector, in order."},
        {HEAD "lateness: 2m\n", ":7: the key 'lateness' stands twice, first on line 5; remove one"},
        {HEAD "max_age: 1\n", ":7: max_age: '1' is not a duration such as 500ms, 30s, 5m, 24h or 7d"},
        {HEAD "max_events_per_entity: 0\n", ":7: max_events_per_entity: 0 is out of range 1..1048576"},
        {HEAD "stages: []\n", ":7: stages: " CROSSES},
        {HEAD "maxage: 1d\n",
         ":7: maxage: unknown key; did you mean 'max_age'? Known here: version, id, entity, time, lateness, future_skew, max_age, max_events_per_entity, features"},
        {ONE "  - {name: n, op: count, windows: [1m], entity: merchant}\n", ":8: features[0].entity: " CROSSES},
        {ONE "  - {op: since_last}\n", ":8: features[0].name: missing: Name of the column; with windows `<name>_<window>`."},
        {ONE "  - {name: n, op: cuont, windows: [1m]}\n", ":8: features[0].op: 'cuont' is not known, did you mean 'count'?; " OPS},
        {ONE "  - {name: n, op: [count]}\n", ":8: features[0].op: a list is not known; " OPS},
        {ONE "  - {name: n, op: count, windows: 1m}\n", ":8: features[0].windows: must be a list of durations such as [1m, 24h]"},
        {ONE "  - {name: n, op: count, windows: []}\n", ":8: features[0].windows: must be a list of durations such as [1m, 24h]"},
        {ONE "  - name: n\n    op: count\n    windows:\n      - 1m\n      - 60\n", ":12: features[0].windows: '60' is not a duration such as 500ms, 30s, 5m, 24h or 7d"},
        {ONE "  - {name: n, op: count, windows: [0s]}\n", ":8: features[0].windows: '0s' is out of range 1ms..36500d"},
        {ONE "  - {name: n, op: count, windows: [36501d]}\n", ":8: features[0].windows: '36501d' is out of range 1ms..36500d"},
        {ONE "  - {name: n, op: value, field: x, scale: big}\n", ":8: features[0].scale: 'big' is not a number"},
        {ONE "  - {name: n, op: hour_of_day, offset: 25h}\n", ":8: features[0].offset: 25h is out of range -1d..1d"},
        {ONE "  - {name: n, op: code, field: x, values: A}\n", ":8: features[0].values: 'A' is not a list; write [a, b]"},
        {ONE "  - {name: n, op: code, field: x, values: [A, A]}\n", ":8: features[0].values: 'A' stands twice; remove one"},
        {ONE "  - {name: n, op: count, windows: [1m], current: no}\n", ":8: features[0].current: 'no' is not known; allowed: include or exclude"},
        {ONE "  - {name: n, op: count, windows: [1m], where: {in: [1]}}\n", ":8: features[0].where: field is missing: the field that decides which events count"},
        {ONE "  - {name: n, op: count, windows: [1m], where: {field: x}}\n",
         ":8: features[0].where: no condition: write one of in: [...], not_in: [...], or min and max"},
        {ONE "  - {name: n, op: count, windows: [1m], where: {field: x, equals: 1}}\n",
         ":8: features[0].where.equals: unknown key; known here: field, in, not_in, min, max"},
        {ONE "  - {name: n, op: count}\n", ":8: feature `n`: op count needs `windows`: add it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct field_set fields;
        struct feature_spec *spec = NULL;
        struct err err = {0};
        int result = load(cases[i].text, &fields, &spec, &err);
        field_set_finish(&fields);
        if (result == 0)
            fail_msg("accepted: %s", cases[i].text);
        assert_null(spec);
        assert_int_equal(strncmp(err.msg, path, strlen(path)), 0);
        assert_string_equal(err.msg + strlen(path), cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_reaches_its_source),
        cmocka_unit_test(defaults_are_those_of_the_reference),
        cmocka_unit_test(faults_name_file_line_and_key),
    };
    return cmocka_run_group_tests(tests, make_scene, remove_scene);
}
