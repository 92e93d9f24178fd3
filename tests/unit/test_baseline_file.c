/* A baseline file: what was written reads back, and each fault is named. */
#include "consumer/baseline_file.h"

#include <unistd.h>

#include "consumer/file.h"
#include "tests/unit/baseline_scene.h"

static char *written_for(const struct baseline *baseline, const char *const *names, size_t *size)
{
    char path[] = "/tmp/weir-baseline-XXXXXX", *text;
    struct err err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(baseline_file_write(path, baseline, &err), 0);
    struct baseline *read;
    assert_int_equal(baseline_file_load(path, names, baseline->count, &read, &err), 0);
    baseline_destroy(read);
    assert_int_equal(file_read(path, BASELINE_FILE_MAX, &text, size, &err), 0);
    unlink(path);
    return text;
}

static char *written(const struct baseline *baseline, size_t *size)
{
    return written_for(baseline, scene_features, size);
}

static void assert_same_column(const struct baseline_column *a, const struct baseline_column *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->missing, b->missing);
    assert_near(a->min, b->min, 0);
    assert_near(a->max, b->max, 0);
    assert_near(a->mean, b->mean, 0);
    assert_near(a->std, b->std, 0);
    assert_memory_equal(a->edges, b->edges, sizeof a->edges);
    assert_memory_equal(a->counts, b->counts, sizeof a->counts);
}

static void what_was_written_reads_back(void **state)
{
    (void)state;
    struct baseline *a = scene_baseline(), *b;
    struct err err;
    size_t size;
    char *text = written(a, &size);
    assert_int_equal(baseline_file_parse("b.json", text, size, scene_features, SCENE_FEATURES, &b, &err), 0);
    for (size_t f = 0; f < SCENE_FEATURES; f++)
        assert_same_column(&a->features[f], &b->features[f]);
    assert_true(b->has_score);
    assert_same_column(&a->score, &b->score);
    assert_string_equal(b->model_id, "champion");
    assert_memory_equal(a->feature_spec_sha256, b->feature_spec_sha256, 32);
    free(text);
    baseline_destroy(a);
    baseline_destroy(b);
}

static void an_empty_column_and_no_score_read_back(void **state)
{
    (void)state;
    struct baseline *a = baseline_create_from_rows(scene_features, 2, (float[]){NAN, 0.1f, NAN, 0.2f}, NULL, 2, (const uint8_t[32]){0}, NULL), *b;
    struct err err;
    size_t size;
    char *text = written(a, &size);
    assert_int_equal(baseline_file_parse("b.json", text, size, scene_features, 2, &b, &err), 0);
    assert_same_column(&a->features[0], &b->features[0]);
    assert_same_column(&a->features[1], &b->features[1]);
    assert_false(b->has_score);
    assert_null(b->model_id);
    free(text);
    baseline_destroy(a);
    baseline_destroy(b);
}

/* Written, read, and written again: the same bytes, so nothing of it was lost. */
static void everything_there_is_reads_back(void **state)
{
    (void)state;
    struct baseline *a = full_baseline(), *b;
    struct err err;
    size_t size, again_size;
    char *text = written_for(a, full_features, &size);
    assert_int_equal(baseline_file_parse("b.json", text, size, full_features, FULL_FEATURES, &b, &err), 0);
    char *again = written_for(b, full_features, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(text, again, size);
    for (size_t f = 0; f < FULL_FEATURES; f++) {
        assert_same_column(&a->features[f], &b->features[f]);
        assert_memory_equal(a->features[f].equal, b->features[f].equal, sizeof a->features[f].equal);
        assert_memory_equal(a->features[f].hours.counts, b->features[f].hours.counts, BASELINE_HOURS * BASELINE_FINE * sizeof(uint32_t));
        assert_memory_equal(a->features[f].equal_hours.counts, b->features[f].equal_hours.counts, BASELINE_HOURS * BASELINE_EQUAL * sizeof(uint32_t));
        assert_near(a->features[f].gain, b->features[f].gain, 0);
        assert_near(a->features[f].contribution, b->features[f].contribution, 0);
    }
    assert_memory_equal(a->hour_events, b->hour_events, sizeof a->hour_events);
    assert_memory_equal(a->hour_covered_ms, b->hour_covered_ms, sizeof a->hour_covered_ms);
    assert_memory_equal(&a->outcome.calibration, &b->outcome.calibration, sizeof a->outcome.calibration);
    assert_memory_equal(a->outcome.decisions, b->outcome.decisions, sizeof a->outcome.decisions);
    assert_int_equal(b->segment_count, FULL_SEGMENTS);
    assert_int_equal(b->segments[0].part_count, 3);
    assert_same_column(&a->segments[0].parts[2].features[1], &b->segments[0].parts[2].features[1]);
    assert_string_equal(b->segments[0].categories.named[3].name, "US");
    assert_int_equal(b->distincts[0].windows, a->distincts[0].windows);
    assert_int_equal(b->rejects[1].count, 20);
    free(text);
    free(again);
    baseline_destroy(a);
    baseline_destroy(b);
}

/* The written file with the first `from` replaced by `to` must be refused with a message that has `says`. */
static void assert_refused(const char *text, const char *const *names, size_t count, const char *from, const char *to, const char *says)
{
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("the file has no %s", from);
    char *changed = malloc(strlen(text) + strlen(to) + 1);
    size_t before = (size_t)(at - text);
    memcpy(changed, text, before);
    strcpy(changed + before, to);
    strcat(changed, at + strlen(from));
    struct baseline *b = NULL;
    struct err err = {0};
    assert_int_equal(baseline_file_parse("b.json", changed, strlen(changed), names, count, &b, &err), -1);
    assert_null(b);
    assert_memory_equal(err.msg, "b.json", 6);
    if (!strstr(err.msg, says))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
    free(changed);
}

static void faults_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"{", "[", "b.json:"},
        {"\"weir-baseline\"", "\"other\"", "`format`"},
        {"\"version\": 2", "\"version\": 1", "`version`"},
        {"\"version\": 2", "\"version\": 2, \"version\": 2", "duplicate"},
        {"\"version\": 2", "\"version\": 2, \"extra\": 1", "unknown key `extra`"},
        {"\"0700", "\"07zz", "`feature_spec_sha256`"},
        {"\"model_id\": \"champion\"", "\"model_id\": 7", "`model_id`"},
        {"\"features\"", "\"feature\"", "unknown key `feature`"},
        {"\"amount\"", "\"amounts\"", "feature 1 is `amounts`, but `amount`"},
        {"\"count\": 10000", "\"count\": -1", "feature `amount`: `count`"},
        {"\"count\": 10000", "\"count\": 1e4", "feature `amount`: `count`"},
        {"\"count\": 10000", "\"count\": 10001", "does not add up"},
        {"\"count\": 10000", "\"count\": 0", "`edges` must be a list of 0"},
        {"\"missing\": 0", "\"missing\": \"0\"", "`missing`"},
        {"\"min\": 0.0", "\"min\": 1e300", "`min`"},
        {"\"min\": 0.0", "\"min\": 10000", "`min` is over `max`"},
        {"\"max\"", "\"maximum\"", "unknown key `maximum`"},
        {"41.0,", "1e39,", "`edges`, entry 1"},
        {"41.0,", "null,", "`edges`, entry 1"},
        {"41.0,", "500.0,", "`edges`, entry 2: smaller"},
        {"41.0,", "", "`edges` must be a list of 239"},
        {"\"counts\": [", "\"counts\": [ 1,", "`counts` must be a list of 240"},
        {"42,", "42.0,", "`counts`, entry"},
        {"42,", "-42,", "`counts`, entry"},
        {"\"score\": {", "\"score\": 3, \"x\": {", "unknown key `x`"},
    };
    struct baseline *a = scene_baseline();
    size_t size;
    char *text = written(a, &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(text, scene_features, SCENE_FEATURES, cases[i].from, cases[i].to, cases[i].says);
    free(text);
    baseline_destroy(a);
}

static void faults_in_the_rest_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"\"sampled\": 40000", "\"sampled\": 40001", "`sampled` is over `events`"},
        {"\"from_ms\": 17", "\"from_ms\": 97", "`from_ms` is after"},
        {"\"hour_events\": [", "\"hour_events\": [ 1,", "`hour_events` must be a list of 168"},
        {"\"reason\"", "\"cause\"", "unknown key `cause`"},
        {"\"quartiles\": [", "\"quartiles\": [ 1,", "feature `amount`: `quartiles`"},
        {"\"equal\": [", "\"equal\": [ 1,", "feature `amount`: `equal` must be a list of 20"},
        {"\"gain\": 0.5", "\"gain\": 1.5", "feature `amount`: `gain`"},
        {"\"contribution\": {", "\"contribution\": 3, \"x\": {", "feature `amount`: unknown key `x`"},
        {"\"code\": 1", "\"code\": 0", "feature `channel`: category `ECOM` is out of order"},
        {"\"other\": 0", "\"other\": 1", "feature `channel`: `categories` do not add up"},
        {"\"hours\": {\n    \"counts\": [\n     \"", "\"hours\": {\n    \"counts\": [\n     \"1", "feature `amount`: `counts`, bin 1: the hours do not add up"},
        {"\"hours\": {\n    \"counts\": [\n     \"", "\"hours\": {\n    \"counts\": [\n     \"1 ", "feature `amount`: `counts`, entry 1: must be 240 whole numbers"},
        {"\"hours\": {\n    \"counts\": [\n     \"", "\"hours\": {\n    \"counts\": [\n     \"-", "feature `amount`: `counts`, entry 1"},
        {"\"hours\": {\n    \"counts\": [\n     \"", "\"hours\": {\n    \"counts\": [\n     \"99999999999", "feature `amount`: `counts`, entry 1"},
        {"\"hours\": {\n    \"counts\": [\n     \"", "\"hours\": {\n    \"counts\": [\n     \"\", \"", "`counts` must be a list of 168"},
        {"\"REVIEW\"", "\"review\"", "outcome: unknown key `review`"},
        {"\"auc\": 0", "\"auc\": 7", "outcome: `auc`"},
        {"\"labels\": ", "\"labels\": 1", "outcome: calibration: `equal` does not add up"},
        {"\"field\": \"country\"", "\"field\": null", "`field` must be a text"},
        {"\"name\": \"FR\"", "\"name\": \"ZZ\"", "segment `country`: category `NO` is out of order"},
        {"\"value\": \"FR\"", "\"value\": \"F\\u0000R\"", "is not allowed"},
        {"\"window_ms\": 3600000", "\"window_ms\": -1", "`window_ms`"},
    };
    struct baseline *a = full_baseline();
    size_t size;
    char *text = written_for(a, full_features, &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(text, full_features, FULL_FEATURES, cases[i].from, cases[i].to, cases[i].says);
    free(text);
    baseline_destroy(a);
}

static void a_count_between_equal_edges_is_refused(void **state)
{
    (void)state;
    struct baseline *a = scene_baseline(), *b = NULL;
    struct err err;
    size_t size;
    a->features[1].counts[0]--; /* `flag` has edges 0, 0, 0 ... */
    a->features[1].counts[1]++;
    char path[] = "/tmp/weir-baseline-XXXXXX";
    close(mkstemp(path));
    assert_int_equal(baseline_file_write(path, a, &err), 0);
    char *text;
    assert_int_equal(file_read(path, BASELINE_FILE_MAX, &text, &size, &err), 0);
    unlink(path);
    assert_int_equal(baseline_file_parse("b.json", text, size, scene_features, 2, &b, &err), -1);
    assert_non_null(strstr(err.msg, "feature `flag`: `counts`, entry 2"));
    free(text);
    baseline_destroy(a);
}

static void other_features_are_refused(void **state)
{
    (void)state;
    struct baseline *a = scene_baseline(), *b = NULL;
    struct err err;
    size_t size;
    char *text = written(a, &size);
    static const char *const swapped[] = {"flag", "amount"}, *const more[] = {"amount", "flag", "third"};
    assert_int_equal(baseline_file_parse("b.json", text, size, swapped, 2, &b, &err), -1);
    assert_non_null(strstr(err.msg, "feature 1 is `amount`, but `flag`"));
    assert_int_equal(baseline_file_parse("b.json", text, size, more, 3, &b, &err), -1);
    assert_non_null(strstr(err.msg, "2 features, but 3"));
    free(text);
    baseline_destroy(a);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct baseline *b = NULL;
    struct err err;
    assert_int_equal(baseline_file_load("/nowhere/baseline.json", scene_features, 2, &b, &err), -1);
    assert_non_null(strstr(err.msg, "/nowhere/baseline.json"));
}

/* Cut anywhere, or with any byte changed, it is refused or read, and never worse. */
static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    struct baseline *a = full_baseline(), *b;
    size_t size, refused = 0;
    char *text = written_for(a, full_features, &size);
    uint64_t seed = 8;
    for (int i = 0; i < 400; i++) {
        size_t at = scene_random(&seed) % size;
        char was = text[at];
        size_t length = i % 2 ? at : size;
        text[at] = (char)scene_random(&seed);
        if (baseline_file_parse("b.json", text, length, full_features, FULL_FEATURES, &b, NULL) < 0)
            refused++;
        else
            baseline_destroy(b);
        text[at] = was;
    }
    assert_true(refused >= 200);
    free(text);
    baseline_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_reads_back), cmocka_unit_test(an_empty_column_and_no_score_read_back),
        cmocka_unit_test(faults_are_named), cmocka_unit_test(everything_there_is_reads_back), cmocka_unit_test(faults_in_the_rest_are_named), cmocka_unit_test(a_count_between_equal_edges_is_refused),
        cmocka_unit_test(other_features_are_refused), cmocka_unit_test(a_missing_file_is_named), cmocka_unit_test(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
