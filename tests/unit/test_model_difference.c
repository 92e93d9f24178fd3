/* What happens when an engine does not give the bits that it should: the model's own code over a forest that errs on
 * command, and golden rows that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "scoring/models/forest.h"
static int errs_by; /* in units of the last place */
static void erring_forest_score(struct forest *forest, const float *rows, size_t n, float *margin);
#define forest_score erring_forest_score
#include "scoring/models/model.c"
#undef forest_score

static void erring_forest_score(struct forest *forest, const float *rows, size_t n, float *margin)
{
    forest_score(forest, rows, n, margin);
    for (int i = 0; i < errs_by; i++)
        margin[n - 1] = nextafterf(margin[n - 1], INFINITY);
}

enum { COLUMNS = 2, ROWS = 60 };
static float rows[ROWS * COLUMNS];

/* `attributes`: best_iteration, or NULL. */
static char *train(const char *booster_name, const char *best, size_t *size)
{
    static float labels[ROWS];
    DMatrixHandle matrix;
    BoosterHandle booster;
    for (size_t i = 0; i < ROWS; i++) {
        rows[2 * i] = (float)(i * 7 % 31);
        rows[2 * i + 1] = i % 5 ? (float)(i % 11) : NAN;
        labels[i] = rows[2 * i] > 14 || i % 11 == 3;
    }
    XGDMatrixCreateFromMat(rows, ROWS, COLUMNS, NAN, &matrix);
    XGDMatrixSetFloatInfo(matrix, "label", labels, ROWS);
    XGBoosterCreate(&matrix, 1, &booster);
    const char *const parameters[][2] = {{"objective", "binary:logistic"}, {"booster", booster_name}, {"nthread", "1"}, {"max_depth", "3"}, {"verbosity", "0"}};
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        XGBoosterSetParam(booster, parameters[i][0], parameters[i][1]);
    for (int round = 0; round < 6; round++)
        if (XGBoosterUpdateOneIter(booster, round, matrix))
            fail_msg("training: %s", XGBGetLastError());
    if (best)
        XGBoosterSetAttr(booster, "best_iteration", best);
    bst_ulong length;
    const char *bytes;
    assert_int_equal(XGBoosterSaveModelToBuffer(booster, "{\"format\":\"ubj\"}", &length, &bytes), 0);
    char *copy = malloc(length);
    memcpy(copy, bytes, length);
    *size = length;
    XGBoosterFree(booster);
    XGDMatrixFree(matrix);
    return copy;
}

static struct model *made(const char *booster, const char *best)
{
    size_t size;
    char *bytes = train(booster, best, &size);
    struct model *m;
    struct err err;
    if (model_create(bytes, size, &m, &err) < 0)
        fail_msg("%s", err.msg);
    free(bytes);
    return m;
}

/* What the library gives for `rows`. */
static struct golden golden_of(struct model *m)
{
    static float margin[ROWS], score[ROWS];
    assert_int_equal(library_predict(m->library, PREDICT_MARGIN, rows, ROWS, margin, NULL), 0);
    assert_int_equal(library_predict(m->library, PREDICT_VALUE, rows, ROWS, score, NULL), 0);
    return (struct golden){COLUMNS, ROWS, rows, margin, score};
}

static void expect_refused(struct model *m, const struct golden *golden, enum on_difference on_difference, const char *why)
{
    struct err err = {0};
    assert_int_equal(model_prove(m, golden, on_difference, &err), -1);
    if (!strstr(err.msg, why))
        fail_msg("refused with: %s; should be: %s", err.msg, why);
}

static void equal_bits_pass(void **state)
{
    (void)state;
    errs_by = 0;
    struct model *m = made("gbtree", NULL);
    struct golden golden = golden_of(m);
    assert_int_equal(model_prove(m, NULL, DIFFERENCE_REFUSE, NULL), 0);
    assert_int_equal(model_prove(m, &golden, DIFFERENCE_REFUSE, NULL), 0);
    golden.margin = NULL;
    assert_int_equal(model_prove(m, &golden, DIFFERENCE_REFUSE, NULL), 0);
    assert_true(m->by_forest);
    assert_null(model_engine_reason(m));
    model_destroy(m);
}

static void one_bit_of_the_proof_is_refused_or_left_to_the_library(void **state)
{
    (void)state;
    errs_by = 1;
    struct model *m = made("gbtree", NULL);
    assert_string_equal(model_engine(m), "xgboost");
    expect_refused(m, NULL, DIFFERENCE_REFUSE, "(row 1023 of the 1024 of the proof); models.on_difference: library");
    assert_int_equal(model_prove(m, NULL, DIFFERENCE_LIBRARY, NULL), 0);
    struct golden golden = golden_of(m);
    assert_int_equal(model_prove(m, &golden, DIFFERENCE_LIBRARY, NULL), 0);
    assert_string_equal(model_engine(m), "xgboost");
    model_destroy(m);
}

static void one_bit_of_a_golden_row_is_refused_or_left_to_the_library(void **state)
{
    (void)state;
    errs_by = 0;
    struct model *m = made("gbtree", NULL);
    struct golden golden = golden_of(m);
    errs_by = 1;
    expect_refused(m, &golden, DIFFERENCE_REFUSE, "golden row 59: forest-");
    assert_true(m->by_forest);
    assert_int_equal(model_prove(m, &golden, DIFFERENCE_LIBRARY, NULL), 0);
    assert_string_equal(model_engine(m), "xgboost");
    assert_non_null(strstr(model_engine_reason(m), "golden row 59"));
    float margin[ROWS], score[ROWS];
    assert_int_equal(model_score(m, rows, ROWS, margin, score, NULL), 0);
    assert_memory_equal(margin, golden.margin, sizeof margin);
    assert_memory_equal(score, golden.score, sizeof score);
    model_destroy(m);
}

static void golden_rows_of_another_model_are_refused_in_any_case(void **state)
{
    (void)state;
    errs_by = 0;
    static const char *const boosters[] = {"gbtree", "dart"};
    for (size_t i = 0; i < 2; i++)
        for (enum on_difference on = DIFFERENCE_REFUSE; on <= DIFFERENCE_LIBRARY; on++) {
            struct model *m = made(boosters[i], NULL);
            struct golden golden = golden_of(m);
            golden.score[17] = nextafterf(golden.score[17], 0);
            expect_refused(m, &golden, on, "golden row 17: xgboost gives the score");
            golden.margin[3] = -0.25f;
            expect_refused(m, &golden, on, "golden row 3: xgboost gives the margin");
            expect_refused(m, &golden, on, "expected is -0.25");
            golden.columns = 3;
            expect_refused(m, &golden, on, "golden rows of 3 features for a model of 2");
            model_destroy(m);
        }
}

static void a_model_says_why_the_library_scores(void **state)
{
    (void)state;
    errs_by = 0;
    struct model *m = made("dart", NULL);
    assert_string_equal(model_engine_reason(m), "DART boosters are not compiled");
    assert_int_equal(model_prove(m, NULL, DIFFERENCE_REFUSE, NULL), 0);
    model_destroy(m);
}

static void the_best_round_is_read(void **state)
{
    (void)state;
    errs_by = 0;
    static const struct {
        const char *text;
        int64_t best;
    } cases[] = {{NULL, -1}, {"3", 3}, {"0", 0}, {"-1", -1}, {"x", -1}, {"99999999999", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model *m = made("gbtree", cases[i].text);
        assert_int_equal(model_best_iteration(m), cases[i].best);
        assert_int_equal(model_rounds(m), 6);
        model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_bits_pass),
        cmocka_unit_test(one_bit_of_the_proof_is_refused_or_left_to_the_library),
        cmocka_unit_test(one_bit_of_a_golden_row_is_refused_or_left_to_the_library),
        cmocka_unit_test(golden_rows_of_another_model_are_refused_in_any_case),
        cmocka_unit_test(a_model_says_why_the_library_scores),
        cmocka_unit_test(the_best_round_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
