/* XGBoost's parameters from the command line, early stopping, and what lies beside a trained model. */
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

#include "consumer/file.h"
#include "consumer/golden_file.h"
#include "consumer/train/beside.h"
#include "consumer/train/train.h"
#include "scoring/models/model.h"

/* Parameters */

static void expect_parameters(const char *text, const char *shown)
{
    struct parameters p;
    struct err err = {0};
    char all[512] = "";
    if (parameters_read(text, &p, &err) < 0) {
        if (!strstr(err.msg, shown))
            fail_msg("'%s': %s; should be %s", text, err.msg, shown);
        return;
    }
    for (size_t i = 0; i < p.count; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s<%s>", p.entries[i].key, p.entries[i].value);
    assert_string_equal(all, shown);
    parameters_finish(&p);
}

static void parameters_are_pairs(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"eta=0.3", "eta<0.3>"},
        {"eta=0.3, max_depth = 4", "eta<0.3>max_depth<4>"},
        {"monotone_constraints=(1,0,-1),eta=1", "monotone_constraints<(1,0,-1)>eta<1>"},
        {"interaction_constraints=[[0,1],[2]],x={\"a\":1,\"b\":2}", "interaction_constraints<[[0,1],[2]]>x<{\"a\":1,\"b\":2}>"},
        {"a=\"x,y\",b='),'", "a<\"x,y\">b<'),'>"},
        {"a=b=c", "a<b=c>"},
        {"a=1,,b=2", "'' is not KEY=VALUE"},
        {"a=1,", "'' is not KEY=VALUE"},
        {"=1", "'=1' is not KEY=VALUE"},
        {"a=1,b", "'b' is not KEY=VALUE"},
        {"a= ", "'a=' is not KEY=VALUE"},
        {"a=1,a=2", "a is given twice"},
        {"nothing-here", "--params takes KEY=VALUE,... or a file: nothing-here: cannot open"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_parameters(cases[i][0], cases[i][1]);
}

static void parameters_come_from_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-params-XXXXXX";
    static const char text[] = "# comment = 1\n\n eta = 0.3 \r\nmonotone_constraints=(1,0,-1)\n";
    close(mkstemp(path));
    assert_int_equal(file_write(path, text, strlen(text), NULL), 0);
    expect_parameters(path, "eta<0.3>monotone_constraints<(1,0,-1)>");
    assert_int_equal(file_write(path, "a=1\nb\n", 6, NULL), 0);
    expect_parameters(path, "'b' is not KEY=VALUE");
    unlink(path);
}

/* Training */

/* Fraud where a > 50, but for a third of labels that are noise: what can be learned is learned in a few rounds. */
static void fill(struct training_set *set, size_t rows)
{
    static const char *const names[] = {"a", "b"};
    assert_int_equal(training_set_init(set, names, 2, NULL), 0);
    uint64_t r = 7;
    for (size_t i = 0; i < rows; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        float a = (float)(r >> 40 & 127), b = (float)(r >> 50 & 1023);
        float *row = training_set_add(set, (int64_t)i, (r >> 33 & 63) < 20 ? (int)(r >> 35 & 1) : a > 50);
        row[0] = a;
        row[1] = b;
    }
}

static struct model *train(const struct training_set *set, size_t rows, struct train_options options, const char *text, struct train_stop *stop,
                           char **bytes, size_t *size)
{
    struct parameters parameters = {0};
    struct err err;
    struct model *model;
    if (text && parameters_read(text, &parameters, &err) < 0)
        fail_msg("%s", err.msg);
    options.parameters = &parameters;
    if (train_model(set, rows, &options, bytes, size, stop, &err) < 0 || model_create(*bytes, *size, &model, &err) < 0)
        fail_msg("%s", err.msg);
    parameters_finish(&parameters);
    return model;
}

static const struct train_options early = {.rounds = 200, .max_depth = 6, .threads = 1, .eta = 0.3, .seed = 1, .patience = 5, .stop_rows = 1000};

static void early_stopping_keeps_the_best_rounds(void **state)
{
    (void)state;
    static const char *const metrics[] = {NULL, "eval_metric=auc", "eval_metric=error", "num_parallel_tree=3,subsample=0.7"};
    struct training_set set;
    fill(&set, 4000);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        struct train_stop stop;
        char *bytes;
        size_t size;
        struct model *model = train(&set, 3000, early, metrics[i], &stop, &bytes, &size);
        assert_string_equal(stop.metric, i == 1 ? "auc" : i == 2 ? "error" : "logloss");
        assert_int_equal(stop.rounds, stop.best_round + 6);
        assert_true(stop.rounds < 200);
        assert_int_equal(model_rounds(model), stop.best_round + 1);
        assert_int_equal(model_best_iteration(model), stop.best_round);
        assert_int_equal(model_tree_count(model), (stop.best_round + 1) * (i == 3 ? 3 : 1));
        assert_int_equal(model_check_features(model, (const char *const *)set.names, 2, NULL), 0);
        /* the value that the library named is that of the model that was kept */
        struct train_quality q;
        assert_int_equal(train_assess(model, &set, 3000, 4000, (struct thresholds){0.5, 0.9}, &q, NULL), 0);
        if (i == 1)
            assert_true(fabs(q.ranking.auc - stop.best) < 1e-5);
        model_destroy(model);
        free(bytes);
    }
    training_set_finish(&set);
}

static void without_worsening_all_rounds_stay(void **state)
{
    (void)state;
    struct training_set set;
    fill(&set, 4000);
    struct train_options options = early;
    options.rounds = 3;
    struct train_stop stop;
    char *bytes;
    size_t size;
    struct model *model = train(&set, 3000, options, NULL, &stop, &bytes, &size);
    assert_int_equal(stop.rounds, 3);
    assert_int_equal(stop.best_round, 2);
    assert_int_equal(model_rounds(model), 3);
    model_destroy(model);
    free(bytes);
    training_set_finish(&set);
}

static void parameters_go_over_options(void **state)
{
    (void)state;
    struct training_set set;
    fill(&set, 2000);
    struct train_options plain = early;
    plain.patience = 0;
    plain.rounds = 4;
    char *bytes[3];
    size_t size[3];
    model_destroy(train(&set, 2000, plain, NULL, NULL, &bytes[0], &size[0]));
    model_destroy(train(&set, 2000, plain, "eta=0.3", NULL, &bytes[1], &size[1]));
    model_destroy(train(&set, 2000, plain, "max_depth=2", NULL, &bytes[2], &size[2]));
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    assert_true(size[2] < size[0]);
    for (size_t i = 0; i < 3; i++)
        free(bytes[i]);
    training_set_finish(&set);
}

static void a_parameter_that_is_not_used_is_an_error(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"max_dpth=3", "XGBoost does not use every parameter given: Parameters: { \"max_dpth\" } are not used."},
        {"eta=fast", "XGBoost cannot"},
        {"objective=binary:nothing", "XGBoost cannot"},
    };
    struct training_set set;
    fill(&set, 500);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parameters parameters;
        struct train_options options = early;
        struct err err = {0};
        char *bytes;
        size_t size;
        assert_int_equal(parameters_read(cases[i][0], &parameters, &err), 0);
        options.patience = 0;
        options.parameters = &parameters;
        assert_int_equal(train_model(&set, 500, &options, &bytes, &size, NULL, &err), -1);
        if (strncmp(err.msg, cases[i][1], strlen(cases[i][1])) != 0)
            fail_msg("%s", err.msg);
        parameters_finish(&parameters);
    }
    training_set_finish(&set);
}

static void golden_rows_beside_a_model_are_met(void **state)
{
    (void)state;
    static const size_t rows[] = {40, 4000};
    for (size_t i = 0; i < 2; i++) {
        struct training_set set;
        fill(&set, rows[i]);
        char *bytes, path[] = "/tmp/weir-beside-XXXXXX", golden[64];
        size_t size, met = 0;
        struct train_options plain = early;
        plain.patience = 0;
        plain.rounds = 10;
        struct err err = {0};
        close(mkstemp(path));
        snprintf(golden, sizeof golden, "%s.golden.csv", path);
        struct model *model = train(&set, rows[i], plain, NULL, NULL, &bytes, &size);
        assert_int_equal(golden_file_prove(model, path, GOLDEN_REQUIRED, DIFFERENCE_REFUSE, &met, &err), -1);
        assert_non_null(strstr(err.msg, "is not there, and models.golden is required"));
        assert_int_equal(beside_write_golden(path, bytes, size, &set, &err), 0);
        if (golden_file_prove(model, path, GOLDEN_REQUIRED, DIFFERENCE_REFUSE, &met, &err) < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(met, rows[i] < GOLDEN_ROWS ? rows[i] + 1 : GOLDEN_ROWS);
        model_destroy(model);
        free(bytes);
        training_set_finish(&set);
        unlink(golden);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_pairs),
        cmocka_unit_test(parameters_come_from_a_file),
        cmocka_unit_test(early_stopping_keeps_the_best_rounds),
        cmocka_unit_test(without_worsening_all_rounds_stay),
        cmocka_unit_test(parameters_go_over_options),
        cmocka_unit_test(a_parameter_that_is_not_used_is_an_error),
        cmocka_unit_test(golden_rows_beside_a_model_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
