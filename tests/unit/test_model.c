/* Models: trained here through the library, read back, scored against the library's own numbers, and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "scoring/models/model.h"
#include "scoring/models/model_file.h"
#include "tests/unit/model_damage.h"

enum { COLUMNS = 3, ROWS = 400 };
static const char *const names[COLUMNS] = {"amount", "txn_count_1h", "declines_24h"};

struct recipe {
    const char *objective, *booster, *classes;
    bool named;
    const char *format; /* "ubj" or "json" */
    bool categorical;   /* the third column holds categories */
};

static float cell(size_t row, size_t column)
{
    unsigned r = (unsigned)(row * 7919 + column * 104729) * 2654435761u >> 8;
    return r % 11 == 0 ? NAN : (float)(r % 1000) / 8.0f - 20.0f;
}

static void fill(float *rows, float *labels, const char *objective)
{
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < COLUMNS; j++)
            rows[i * COLUMNS + j] = j == 2 ? (float)(i % 7) : cell(i, j);
        labels[i] = rows[i * COLUMNS] > 30 || rows[i * COLUMNS + 1] < 0 || i % 7 == 2 || i % 7 == 5;
        if (!strcmp(objective, "reg:gamma"))
            labels[i] += 1;
    }
}

static void matrix_of(const float *rows, size_t n, DMatrixHandle *out)
{
    assert_int_equal(XGDMatrixCreateFromMat(rows, n, COLUMNS, NAN, out), 0);
}

/* The bytes of a model of 20 rounds; the caller frees them. */
static char *train(struct recipe r, size_t *size)
{
    static float rows[ROWS * COLUMNS], labels[ROWS];
    fill(rows, labels, r.objective);
    DMatrixHandle matrix;
    BoosterHandle booster;
    matrix_of(rows, ROWS, &matrix);
    XGDMatrixSetFloatInfo(matrix, "label", labels, ROWS);
    XGBoosterCreate(&matrix, 1, &booster);
    if (r.categorical)
        XGDMatrixSetStrFeatureInfo(matrix, "feature_type", (const char *[]){"q", "q", "c"}, COLUMNS);
    if (r.named)
        XGBoosterSetStrFeatureInfo(booster, "feature_name", (const char **)(uintptr_t)names, COLUMNS);
    const char *const parameters[][2] = {{"objective", r.objective}, {"booster", r.booster}, {"num_class", r.classes ? r.classes : "0"},
                                         {"max_depth", "3"},         {"nthread", "1"},       {"rate_drop", "0.3"},
                                         {"verbosity", "0"}};
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (strcmp(parameters[i][0], "rate_drop") || !strcmp(r.booster, "dart"))
            XGBoosterSetParam(booster, parameters[i][0], parameters[i][1]);
    for (int round = 0; round < 20; round++)
        if (XGBoosterUpdateOneIter(booster, round, matrix))
            fail_msg("training: %s", XGBGetLastError());
    char config[64];
    snprintf(config, sizeof config, "{\"format\":\"%s\"}", r.format ? r.format : "ubj");
    bst_ulong length;
    const char *bytes;
    assert_int_equal(XGBoosterSaveModelToBuffer(booster, config, &length, &bytes), 0);
    char *copy = malloc(length + 1);
    memcpy(copy, bytes, length);
    copy[length] = 0;
    *size = length;
    XGBoosterFree(booster);
    XGDMatrixFree(matrix);
    return copy;
}

static const struct recipe logistic = {"binary:logistic", "gbtree", NULL, true, "ubj", false};

static struct model *trained(struct recipe r)
{
    size_t size;
    char *bytes = train(r, &size);
    struct model *m;
    struct err err;
    if (model_create(bytes, size, &m, &err))
        fail_msg("%s", err.msg);
    free(bytes);
    return m;
}

/* What the library itself says, by a booster of its own. */
static void library_scores(struct recipe r, const float *rows, size_t n, bool margin, float *out)
{
    size_t size;
    char *bytes = train(r, &size);
    BoosterHandle booster;
    DMatrixHandle matrix;
    XGBoosterCreate(NULL, 0, &booster);
    assert_int_equal(XGBoosterLoadModelFromBuffer(booster, bytes, size), 0);
    matrix_of(rows, n, &matrix);
    char config[128];
    snprintf(config, sizeof config, "{\"type\":%d,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":false}", margin);
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *result;
    assert_int_equal(XGBoosterPredictFromDMatrix(booster, matrix, config, &shape, &dimensions, &result), 0);
    memcpy(out, result, n * sizeof *out);
    XGDMatrixFree(matrix);
    XGBoosterFree(booster);
    free(bytes);
}

static void scores_are_the_librarys_bits(void **state)
{
    (void)state;
    static const struct recipe recipes[] = {{"binary:logistic", "gbtree", NULL, true, "ubj", false},
                                            {"binary:logistic", "gbtree", NULL, true, "json", false},
                                            {"binary:logistic", "dart", NULL, true, "ubj", false},
                                            {"reg:squarederror", "gbtree", NULL, true, "ubj", false},
                                            {"binary:logistic", "gbtree", NULL, true, "ubj", true}};
    static float rows[ROWS * COLUMNS], unused[ROWS], margin[ROWS], score[ROWS], own_margin[ROWS], own_score[ROWS];
    fill(rows, unused, "");
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        struct model *m = trained(recipes[i]);
        assert_int_equal(model_score(m, rows, ROWS, margin, score, NULL), 0);
        library_scores(recipes[i], rows, ROWS, true, own_margin);
        library_scores(recipes[i], rows, ROWS, false, own_score);
        assert_memory_equal(margin, own_margin, sizeof margin);
        assert_memory_equal(score, own_score, sizeof score);
        assert_true(memcmp(margin, margin + 1, sizeof margin - sizeof *margin) != 0); /* not all the same */
        model_destroy(m);
    }
}

static void a_row_scores_the_same_alone_and_in_a_batch(void **state)
{
    (void)state;
    static float rows[ROWS * COLUMNS], unused[ROWS], margin[ROWS], score[ROWS];
    fill(rows, unused, "");
    struct model *m = trained(logistic);
    assert_int_equal(model_score(m, rows, ROWS, margin, score, NULL), 0);
    for (size_t i = 0; i < ROWS; i += 37) {
        float one_margin, one_score;
        assert_int_equal(model_score(m, rows + i * COLUMNS, 1, &one_margin, &one_score, NULL), 0);
        assert_memory_equal(&one_margin, &margin[i], sizeof one_margin);
        assert_memory_equal(&one_score, &score[i], sizeof one_score);
    }
    assert_int_equal(model_score(m, rows, 0, margin, score, NULL), 0);
    model_destroy(m);
}

static void a_raw_logit_scores_as_its_probability(void **state)
{
    (void)state;
    static float rows[ROWS * COLUMNS], unused[ROWS], margin[ROWS], score[ROWS];
    fill(rows, unused, "");
    struct model *m = trained((struct recipe){"binary:logitraw", "gbtree", NULL, true, "ubj", false});
    assert_int_equal(model_score(m, rows, ROWS, margin, score, NULL), 0);
    for (size_t i = 0; i < ROWS; i++)
        assert_true(fabs((double)score[i] - 1 / (1 + exp(-(double)margin[i]))) < 1e-6);
    model_destroy(m);
}

static void infinite_features_score_as_the_largest_numbers(void **state)
{
    (void)state;
    const float rows[4 * COLUMNS] = {INFINITY, 1, 1, 3.0e38f, 1, 1, -INFINITY, 1, 1, -3.0e38f, 1, 1};
    static const struct recipe recipes[] = {{"binary:logistic", "gbtree", NULL, true, "ubj", false}, {"binary:logistic", "dart", NULL, true, "ubj", false}};
    for (size_t i = 0; i < 2; i++) {
        struct model *m = trained(recipes[i]);
        float margin[4], score[4], contributions[4 * (COLUMNS + 1)];
        assert_int_equal(model_score(m, rows, 4, margin, score, NULL), 0);
        assert_memory_equal(&margin[0], &margin[1], sizeof *margin);
        assert_memory_equal(&margin[2], &margin[3], sizeof *margin);
        assert_int_equal(model_contributions(m, rows, 4, contributions, NULL), 0);
        assert_memory_equal(contributions, contributions + COLUMNS + 1, (COLUMNS + 1) * sizeof *contributions);
        model_destroy(m);
    }
}

static void contributions_add_up_to_the_margin(void **state)
{
    (void)state;
    static float rows[ROWS * COLUMNS], unused[ROWS], margin[ROWS], score[ROWS], contributions[ROWS * (COLUMNS + 1)];
    fill(rows, unused, "");
    struct model *m = trained(logistic);
    assert_int_equal(model_score(m, rows, ROWS, margin, score, NULL), 0);
    assert_int_equal(model_contributions(m, rows, ROWS, contributions, NULL), 0);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (size_t j = 0; j <= COLUMNS; j++)
            sum += (double)contributions[i * (COLUMNS + 1) + j];
        assert_true(fabs(sum - (double)margin[i]) < 1e-4);
    }
    model_destroy(m);
}

static void plain_trees_are_compiled_and_the_rest_is_not(void **state)
{
    (void)state;
    static const struct {
        struct recipe recipe;
        bool compiled;
    } cases[] = {
        {{"binary:logistic", "gbtree", NULL, true, "ubj", false}, true},  {{"binary:logitraw", "gbtree", NULL, true, "json", false}, true},
        {{"reg:squarederror", "gbtree", NULL, true, "ubj", false}, true}, {{"binary:logistic", "dart", NULL, true, "ubj", false}, false},
        {{"binary:logistic", "gbtree", NULL, true, "ubj", true}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model *m = trained(cases[i].recipe);
        assert_int_equal(!strncmp(model_engine(m), "forest-", 7), cases[i].compiled);
        assert_int_equal(model_use_engine(m, "forest-portable"), cases[i].compiled ? 0 : -1);
        assert_string_equal(model_engine(m), cases[i].compiled ? "forest-portable" : "xgboost");
        assert_int_equal(model_use_engine(m, "forest"), -1);
        assert_int_equal(model_use_engine(m, "xgboost"), 0);
        assert_string_equal(model_engine(m), "xgboost");
        model_destroy(m);
    }
}

static void the_file_says_what_it_is(void **state)
{
    (void)state;
    struct model *m = trained(logistic);
    assert_int_equal(model_feature_count(m), COLUMNS);
    assert_string_equal(model_feature_name(m, 1), "txn_count_1h");
    assert_null(model_feature_name(m, COLUMNS));
    assert_string_equal(model_objective(m), "binary:logistic");
    assert_int_equal(model_tree_count(m), 20);
    model_destroy(m);
}

static void features_must_be_the_models_by_name_and_order(void **state)
{
    (void)state;
    static const struct {
        const char *names[4];
        size_t count;
        const char *error; /* NULL: equal */
    } cases[] = {
        {{"amount", "txn_count_1h", "declines_24h"}, 3, NULL},
        {{"amount", "declines_24h", "txn_count_1h"}, 3, "feature 1 is 'txn_count_1h' in the model but 'declines_24h' in the feature file"},
        {{"amount", "txn_count_1h"}, 2, "feature 2, 'declines_24h', of the model is not in the feature file, which has 2"},
        {{"amount", "txn_count_1h", "declines_24h", "hour"}, 4, "feature 3, 'hour', of the feature file is not in the model, which has 3"},
    };
    struct model *m = trained(logistic);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        assert_int_equal(model_check_features(m, cases[i].names, cases[i].count, &err), cases[i].error ? -1 : 0);
        if (cases[i].error)
            assert_string_equal(err.msg, cases[i].error);
    }
    model_destroy(m);
}

static void a_model_without_names_is_refused_with_the_command_that_adds_them(void **state)
{
    (void)state;
    struct model *m = trained((struct recipe){"binary:logistic", "gbtree", NULL, false, "ubj", false});
    struct err err = {0};
    assert_null(model_feature_name(m, 0));
    assert_int_equal(model_check_features(m, names, COLUMNS, &err), -1);
    assert_non_null(strstr(err.msg, "b.feature_names = ['amount', ...]; b.save_model('NEW.ubj')"));
    model_destroy(m);
}

static void refuse(const char *bytes, size_t size, const char *error)
{
    struct model *m = NULL;
    struct err err = {0};
    if (model_create(bytes, size, &m, &err) == 0)
        fail_msg("was taken, should be refused with: %s", error);
    assert_null(m);
    if (!strstr(err.msg, error))
        fail_msg("refused with: %s; should be: %s", err.msg, error);
}

static void what_cannot_be_scored_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct recipe recipe;
        const char *error;
    } cases[] = {
        {{"reg:gamma", "gbtree", NULL, true, "ubj", false}, "the objective is reg:gamma"},
        {{"multi:softprob", "gbtree", "3", true, "ubj", false}, "the objective is multi:softprob"},
        {{"binary:logistic", "gblinear", NULL, true, "ubj", false}, "the booster is gblinear"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size;
        char *bytes = train(cases[i].recipe, &size);
        refuse(bytes, size, cases[i].error);
        free(bytes);
    }
}

/* The model as JSON with the first `from` after `anchor` replaced. */
static char *edited(const char *json, const char *anchor, const char *from, const char *to)
{
    const char *at = strstr(json, anchor);
    at = at ? strstr(at, from) : NULL;
    if (!at)
        fail_msg("no %s after %s in the model", from, anchor);
    size_t before = (size_t)(at - json), size = strlen(json) - strlen(from) + strlen(to) + 1;
    char *text = malloc(size);
    snprintf(text, size, "%.*s%s%s", (int)before, json, to, at + strlen(from));
    return text;
}

static void damaged_structure_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *anchor, *from, *to, *error;
    } cases[] = {
        {"left_children", "[1,", "[0,", "child 0 is not a node below it"},
        {"left_children", "[1,", "[99,", "child 99 is not a node below it"},
        {"left_children", "[1,", "[2,", "names another parent|has one child twice"},
        {"left_children", "[1,", "[1e99,", "is not a node below it"},
        {"parents", "[2147483647,0,", "[2147483647,7000,", "its parent is not a node"},
        {"parents", "[2147483647,0,", "[2147483647,-1,", "its parent is not a node"},
        {"split_indices", "[", "[3,", "entries for"},
        {"split_conditions", "[", "[NaN,", "entries for"},
        {"default_left", "[", "[7", "default_left is neither 0 nor 1"},
        {"num_nodes", ":\"", ":\"1", "entries for"},
        {"num_nodes", ":\"", ":\"-", "num_nodes is missing or no whole number"},
        {"num_trees", "\"20\"", "\"21\"", "the model has 20 trees and says 21"},
        {"tree_info", "[0,", "[1,", "belongs to output 1"},
        {"iteration_indptr", "[0,1,", "[0,9,", "goes back"},
        {"\"id\":", "0", "5", "its id is not its position"},
        {"size_leaf_vector", ":\"1\"", ":\"7\"", "size_leaf_vector"},
        {"learner_model_param", "\"3\"", "\"2\"", "feature_names has 3 names for 2 features"},
        {"learner_model_param", "\"3\"", "\"30000\"", "num_feature is 30000"},
        {"tree_param", "\"3\"", "\"4\"", "num_feature is 4, at most 3"},
        {"num_class", ":\"0\"", ":\"4\"", "has 4 outputs"},
        {"base_score", "\":\"", "\":\"half", "base_score 'half|is not one number"},
        {"learner", "{", "{\"objective\":{\"name\":\"binary:logistic\"},", "names the same key twice"},
        {"version", "[3,", "[9,", "install the newer library"},
        {"version", "[3,", "[1,", "load it in XGBoost 3.2 and save it again"},
        {"feature_names", "\"amount\"", "\"amo\\u0000unt\"", "name 0 is empty or no text"},
        {"feature_names", "\"amount\"", "7", "mixes numbers"},
        {"{", "{", "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nested too deeply"},
    };
    size_t size;
    char *json = train((struct recipe){"binary:logistic", "gbtree", NULL, true, "json", false}, &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = edited(json, cases[i].anchor, cases[i].from, cases[i].to);
        struct model *m = NULL;
        struct err err = {0};
        if (model_create(text, strlen(text), &m, &err) == 0)
            fail_msg("case %zu was taken: %s", i, cases[i].error);
        const char *other = strchr(cases[i].error, '|');
        size_t first = other ? (size_t)(other - cases[i].error) : strlen(cases[i].error);
        if (!memmem(err.msg, strlen(err.msg), cases[i].error, first) && !(other && strstr(err.msg, other + 1)))
            fail_msg("case %zu: refused with: %s; should be: %s", i, err.msg, cases[i].error);
        free(text);
    }
    free(json);
}

static void damaged_categories_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *anchor, *from, *to, *error;
    } cases[] = {
        {"\"categories\":[", "[", "[65536,", "is not within 0..65535"},
        {"\"categories\":[", "[", "[-1,", "is not within 0..65535"},
        {"\"categories_sizes\":[", "[", "[1", "categories are not in the list"},
        {"\"categories_segments\":[", "[0", "[1000", "categories are not in the list"},
        {"\"categories_nodes\":[", "[", "[9", "is not in categories_nodes"},
        {"\"split_type\":[", "[", "[2,", "split_type has"},
    };
    size_t size;
    char *json = train((struct recipe){"binary:logistic", "gbtree", NULL, true, "json", true}, &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = edited(json, cases[i].anchor, cases[i].from, cases[i].to);
        refuse(text, strlen(text), cases[i].error);
        free(text);
    }
    free(json);
}

static void what_is_no_model_is_refused(void **state)
{
    (void)state;
    refuse("", 0, "an XGBoost model begins with {");
    refuse("binf", 4, "the binary format of old releases");
    refuse("{}", 2, "it has no learner");
    refuse("{\"a\":1}x", 8, "bytes after the model");
    refuse("{\"a\":tru}", 9, "neither a value nor a number");
    refuse("{L\x7f\xff\xff\xff\xff\xff\xff\xff", 10, "a length that reaches past the end of the file");
}

/* Scores of whatever engine took the model are the library's. */
static void expect_scores_of_the_library(struct model *m)
{
    static float rows[ROWS * COLUMNS], unused[ROWS], margin[ROWS], score[ROWS], own_margin[ROWS], own_score[ROWS], contributions[ROWS * (COLUMNS + 1)];
    fill(rows, unused, "");
    assert_int_equal(model_feature_count(m), COLUMNS);
    assert_int_equal(model_score(m, rows, ROWS, margin, score, NULL), 0);
    model_contributions(m, rows, 8, contributions, NULL); /* by the trees, then by the library */
    assert_int_equal(model_use_engine(m, "xgboost"), 0);
    assert_int_equal(model_score(m, rows, ROWS, own_margin, own_score, NULL), 0);
    assert_memory_equal(margin, own_margin, sizeof margin);
    assert_memory_equal(score, own_score, sizeof score);
    model_contributions(m, rows, 8, contributions, NULL);
}

/* Truncations and 1,000 damaged files: an error, or a model whose scores come without harm.  More, and of more models, in
 * tests/integration/test_model_damage.py. */
static void damaged_files_never_crash(void **state)
{
    (void)state;
    size_t taken = 0, tried = 0;
    for (int format = 0; format < 2; format++) {
        size_t size;
        char *bytes = train((struct recipe){"binary:logistic", "gbtree", NULL, true, format ? "json" : "ubj", false}, &size);
        uint64_t r = 42;
        for (size_t i = 0; i < 500; i++, tried++) {
            char *copy = malloc(size);
            memcpy(copy, bytes, size);
            size_t left = size;
            for (size_t k = 0; k <= i % 3; k++)
                left = model_damage(copy, left, &r);
            char *exact = malloc(left);
            memcpy(exact, copy, left);
            struct model *m;
            if (model_create(exact, left, &m, NULL) == 0) {
                taken++;
                expect_scores_of_the_library(m);
                model_destroy(m);
            }
            free(exact);
            free(copy);
        }
        for (size_t cut = 0; cut < size; cut += 1 + size / 200) {
            struct model *m;
            char *copy = malloc(cut ? cut : 1);
            memcpy(copy, bytes, cut);
            assert_int_equal(model_create(copy, cut, &m, NULL), -1);
            free(copy);
        }
        free(bytes);
    }
    assert_true(taken > 0 && taken < tried); /* flips in leaves are taken, flips in structure are not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_the_librarys_bits),
        cmocka_unit_test(a_row_scores_the_same_alone_and_in_a_batch),
        cmocka_unit_test(a_raw_logit_scores_as_its_probability),
        cmocka_unit_test(infinite_features_score_as_the_largest_numbers),
        cmocka_unit_test(contributions_add_up_to_the_margin),
        cmocka_unit_test(plain_trees_are_compiled_and_the_rest_is_not),
        cmocka_unit_test(the_file_says_what_it_is),
        cmocka_unit_test(features_must_be_the_models_by_name_and_order),
        cmocka_unit_test(a_model_without_names_is_refused_with_the_command_that_adds_them),
        cmocka_unit_test(what_cannot_be_scored_is_refused_by_name),
        cmocka_unit_test(damaged_structure_is_refused),
        cmocka_unit_test(damaged_categories_are_refused),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(damaged_files_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
