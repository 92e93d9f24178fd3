/* Training: the CSV reader, the training set, and models whose bytes and quality can be foretold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/train/csv.h"
#include "consumer/train/train.h"
#include "scoring/models/model.h"

static char path[] = "/tmp/weir-test-train-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *bytes, size_t size)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

/* Cells joined by |, records by /. */
static void read_cells(const char *text, size_t size, char *out, size_t capacity, struct err *err)
{
    struct csv *csv;
    char **cells;
    size_t count, used = 0;
    int more;
    write_file(text, size);
    assert_int_equal(csv_open(path, &csv, err), 0);
    out[0] = 0;
    while ((more = csv_next(csv, &cells, &count, err)) == 1) {
        for (size_t i = 0; i < count; i++)
            used += (size_t)snprintf(out + used, capacity - used, "%s%s", i ? "|" : "", cells[i]);
        used += (size_t)snprintf(out + used, capacity - used, "/");
    }
    if (more < 0)
        snprintf(out, capacity, "error");
    csv_close(csv);
}

static void csv_records(void **state)
{
    (void)state;
    static const struct {
        const char *text, *cells;
    } cases[] = {
        {"", ""},
        {"a,b\nc,d\n", "a|b/c|d/"},
        {"a,b\nc,d", "a|b/c|d/"},
        {"a,b\r\nc,d\r\n", "a|b/c|d/"},
        {",\n,,\n", "|/||/"},
        {"\"a,b\",c\n", "a,b|c/"},
        {"\"say \"\"no\"\"\",\"\"\n", "say \"no\"|/"},
        {"\"two\nlines\",x\ny\n", "two\nlines|x/y/"},
        {"a,b\n\nc\n", "a|b//c/"},
        {"a\"b\n", "error"},
        {"\"a\"b,c\n", "error"},
        {"\"a\n", "error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char cells[256];
        struct err err;
        read_cells(cases[i].text, strlen(cases[i].text), cells, sizeof cells, &err);
        assert_string_equal(cells, cases[i].cells);
    }
    char cells[256];
    struct err err;
    read_cells("a\0b\n", 4, cells, sizeof cells, &err);
    assert_string_equal(cells, "error");
}

static void csv_errors_name_the_line_where_the_record_began(void **state)
{
    (void)state;
    char cells[256], expected[64];
    struct err err;
    const char text[] = "a\n\"two\nlines\"\n\"three\nlines\n\"x\n";
    read_cells(text, strlen(text), cells, sizeof cells, &err);
    snprintf(expected, sizeof expected, "%s:4: text after a closing quote", path);
    assert_string_equal(err.msg, expected);
}

static void a_record_that_is_too_long_is_refused(void **state)
{
    (void)state;
    size_t size = 3 << 20;
    char *text = malloc(size), cells[64];
    struct err err;
    memset(text, 'x', size);
    memcpy(text, "a\n\"", 3);
    read_cells(text, size, cells, sizeof cells, &err);
    assert_non_null(strstr(err.msg, ":2: a record of more than 1 MiB"));
    memset(text, ',', size);
    text[10000] = '\n';
    read_cells(text, size, cells, sizeof cells, &err);
    assert_non_null(strstr(err.msg, ":1: more than 8192 cells"));
    free(text);
}

static void a_training_set_is_read_as_exported(void **state)
{
    (void)state;
    static const char text[] = "transaction_id,entity,event_time,amount,txn_count_1h,window_complete,label\n"
                               "t1,\"c,1\",1767225600000,12.3400002,1,true,0\n"
                               "t2,c2,1767225601000,,2,false,1\n"
                               "t3,c2,1767225602000,5,3,true,\n"
                               "t4,c2,2026-01-01T00:00:03Z,inf,-1e-3,true,0\n";
    struct training_set set;
    struct err err;
    write_file(text, strlen(text));
    assert_int_equal(training_set_read(path, "label", &set, &err), 0);
    assert_int_equal(set.rows, 3);
    assert_int_equal(set.columns, 2);
    assert_int_equal(set.unlabelled, 1);
    assert_int_equal(set.incomplete, 1);
    assert_string_equal(set.names[1], "txn_count_1h");
    assert_true(set.values[0] == 12.34f);
    assert_true(isnan(set.values[2]));
    assert_true(set.values[4] == 3.40282347e38f); /* as the model's rows are cut */
    assert_true(set.values[5] == -0.001f);
    assert_int_equal(set.labels[1], 1);
    assert_int_equal(set.time_ms[2], 1767225603000);
    training_set_finish(&set);
}

static void errors_name_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "is empty"},
        {"transaction_id,entity,amount,label\n", ":1: no column 'event_time'"},
        {"event_time,amount\n", ":1: no column 'label'; export with"},
        {"event_time,label\n", ":1: no features"},
        {"event_time,a,a,label\n", ":1: column 'a': is there twice"},
        {"event_time,a,label\n1,2\n", ":2: 2 cells where the header has 3"},
        {"event_time,a,label\n1,2,0\n1,x,0\n", ":3: a 'x': is not a number"},
        {"event_time,a,label\n1,0x10,0\n", ":2: a '0x10': is not a number"},
        {"event_time,a,label\n1, 1,0\n", ":2: a ' 1': is not a number"},
        {"event_time,a,label\n1,2,2\n", ":2: label '2': must be 0 or 1, or empty"},
        {"event_time,a,label\nsoon,2,1\n", ":2: event_time 'soon': is neither"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct training_set set;
        struct err err = {0};
        write_file(cases[i].text, strlen(cases[i].text));
        assert_int_equal(training_set_read(path, "label", &set, &err), -1);
        if (!strstr(err.msg, cases[i].error))
            fail_msg("'%s' should hold '%s'", err.msg, cases[i].error);
    }
}

static void rows_are_sorted_by_time_and_stay_whole(void **state)
{
    (void)state;
    static const int64_t times[] = {30, 10, 20, 10};
    const char *name = "x";
    struct training_set set;
    assert_int_equal(training_set_init(&set, &name, 1, NULL), 0);
    for (int i = 0; i < 4; i++)
        *training_set_add(&set, times[i], i == 0) = (float)i;
    assert_int_equal(training_set_sort(&set, NULL), 0);
    assert_true(set.values[0] == 1 && set.values[1] == 3 && set.values[2] == 2 && set.values[3] == 0);
    assert_true(set.labels[3] == 1 && set.labels[0] == 0 && set.time_ms[3] == 30);
    *training_set_add(&set, 40, 0) = 4; /* and takes more */
    assert_true(set.values[4] == 4);
    training_set_finish(&set);
}

/* Fraud where a > 50 and b is missing or small; c says nothing. */
static void fill(struct training_set *set, size_t rows)
{
    static const char *const names[] = {"a", "b", "c"};
    assert_int_equal(training_set_init(set, names, 3, NULL), 0);
    uint64_t r = 7;
    for (size_t i = 0; i < rows; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        float a = (float)(r >> 40 & 127), b = (float)(r >> 50 & 31), c = (float)(r >> 33 & 63);
        bool missing = (r >> 60) == 0;
        float *row = training_set_add(set, (int64_t)i, a > 50 && (missing || b < 4));
        row[0] = a;
        row[1] = missing ? NAN : b;
        row[2] = c;
    }
}

static const struct train_options usual = {.rounds = 30, .max_depth = 4, .threads = 1, .eta = 0.3, .seed = 1};

static char *train(const struct training_set *set, struct train_options options, size_t *size)
{
    char *bytes;
    struct err err;
    if (train_model(set, set->rows, &options, &bytes, size, NULL, &err))
        fail_msg("%s", err.msg);
    return bytes;
}

static void the_same_set_and_options_give_the_same_bytes(void **state)
{
    (void)state;
    struct training_set set;
    fill(&set, 20000);
    size_t a_size, b_size, c_size;
    struct train_options slower = usual;
    slower.eta = 0.2;
    char *a = train(&set, usual, &a_size), *b = train(&set, usual, &b_size), *c = train(&set, slower, &c_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    assert_false(a_size == c_size && !memcmp(a, c, a_size));
    free(a);
    free(b);
    free(c);
    training_set_finish(&set);
}

static void a_model_that_weir_takes_and_that_has_learned(void **state)
{
    (void)state;
    struct training_set set;
    struct model *model;
    struct err err;
    struct train_quality q;
    fill(&set, 20000);
    size_t size;
    char *bytes = train(&set, usual, &size);
    if (model_create(bytes, size, &model, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(model_check_features(model, (const char *const *)set.names, 3, &err), 0);
    assert_int_equal(model_tree_count(model), 30);
    assert_int_equal(train_assess(model, &set, 15000, 20000, (struct thresholds){0.5, 0.9}, &q, &err), 0);
    assert_int_equal(q.rows, 5000);
    assert_true(q.ranking.auc > 0.999);
    assert_true(quality_f1(&q.at_review) > 0.99);
    model_destroy(model);
    free(bytes);
    training_set_finish(&set);
}

static void labels_of_one_kind_are_nothing_to_learn_from(void **state)
{
    (void)state;
    struct training_set set;
    const char *name = "x";
    for (int label = 0; label < 2; label++) {
        char *bytes;
        size_t size;
        struct err err;
        training_set_init(&set, &name, 1, NULL);
        for (int i = 0; i < 10; i++)
            *training_set_add(&set, i, label) = (float)i;
        assert_int_equal(train_model(&set, 10, &usual, &bytes, &size, NULL, &err), -1);
        assert_non_null(strstr(err.msg, "both kinds are needed"));
        training_set_finish(&set);
    }
}

static volatile int stopped;

static void stop_at_three(void *opaque, int round)
{
    (void)opaque;
    stopped = round == 3;
}

static void training_stops_when_asked(void **state)
{
    (void)state;
    struct training_set set;
    struct train_options options = usual;
    options.stopped = &stopped;
    options.on_round = stop_at_three;
    char *bytes;
    size_t size;
    struct err err;
    fill(&set, 500);
    assert_int_equal(train_model(&set, 500, &options, &bytes, &size, NULL, &err), -1);
    assert_string_equal(err.msg, "interrupted after 3 of 30 rounds; no model was written");
    training_set_finish(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_records),
        cmocka_unit_test(csv_errors_name_the_line_where_the_record_began),
        cmocka_unit_test(a_record_that_is_too_long_is_refused),
        cmocka_unit_test(a_training_set_is_read_as_exported),
        cmocka_unit_test(errors_name_line_and_column),
        cmocka_unit_test(rows_are_sorted_by_time_and_stay_whole),
        cmocka_unit_test(the_same_set_and_options_give_the_same_bytes),
        cmocka_unit_test(a_model_that_weir_takes_and_that_has_learned),
        cmocka_unit_test(labels_of_one_kind_are_nothing_to_learn_from),
        cmocka_unit_test(training_stops_when_asked),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
