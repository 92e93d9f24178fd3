/* The demo's judges: the tally finds what did not come out exactly once and as expected, the drift watch which feature was
 * named first. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/demo/drift_watch.h"
#include "consumer/demo/tally.h"

static const struct thresholds thresholds = {0.3, 0.8};

/* One partition: offset 0 is history, 1 a fraud and 2 an honest event to be scored, 3 a record to be rejected. */
static struct tally *open_tally(void)
{
    struct tally *t = tally_create(1, thresholds);
    tally_expect(t, 0, (struct tally_record){.id = 100, .history = true});
    tally_expect(t, 0, (struct tally_record){.id = 101, .label = 1});
    tally_expect(t, 0, (struct tally_record){.id = 102});
    tally_expect(t, 0, (struct tally_record){.expected = REJECT_RANGE});
    return t;
}

static void predict(struct tally *t, int64_t offset, uint64_t id, float score)
{
    tally_prediction(t, 0, offset, id, 1000 * offset, score, decide(thresholds, score));
}

static void shadow(struct tally *t, int64_t offset, uint64_t id, float score)
{
    tally_shadow(t, 0, offset, id, score, decide(thresholds, score));
}

static void come_out_as_expected(struct tally *t)
{
    predict(t, 1, 101, 0.9f);
    shadow(t, 1, 101, 0.4f);
    predict(t, 2, 102, 0.1f);
    shadow(t, 2, 102, 0.2f);
    tally_dead_letter(t, 0, 3, REJECT_RANGE);
}

static void test_each_once_and_as_expected(void **state)
{
    (void)state;
    struct tally *t = open_tally();
    struct tally_outcome outcome;
    struct tally_counts counts;
    assert_int_equal(tally_open(t, 0), 3);
    come_out_as_expected(t);
    assert_int_equal(tally_open(t, 0), 0);
    assert_true(tally_judge(t, &outcome));
    assert_true(outcome.champion_auc == 1 && outcome.candidate_auc == 1);
    tally_count(t, &counts);
    assert_int_equal(counts.written, 3);
    assert_int_equal(counts.done, 3);
    assert_int_equal(counts.predictions, 2);
    assert_int_equal(counts.rejects[REJECT_RANGE], 1);
    assert_int_equal(counts.decisions[DECISION_DECLINE], 1);
    assert_int_equal(counts.called[DECISION_REVIEW], 1);
    assert_int_equal(counts.caught[DECISION_DECLINE], 1);
    assert_int_equal(counts.agreed, 1); /* APPROVE both times; DECLINE against REVIEW */
    assert_int_equal(counts.event_time_ms, 2000);
    assert_true(counts.champion_auc == 1);
    tally_destroy(t);
}

static struct tally_outcome judge_after(void (*also)(struct tally *t))
{
    struct tally *t = open_tally();
    struct tally_outcome outcome;
    come_out_as_expected(t);
    also(t);
    assert_false(tally_judge(t, &outcome));
    tally_destroy(t);
    return outcome;
}

static void again(struct tally *t) { predict(t, 1, 101, 0.9f); }
static void shadow_again(struct tally *t) { shadow(t, 2, 102, 0.2f); }
static void rejected_again(struct tally *t) { tally_dead_letter(t, 0, 3, REJECT_RANGE); }
static void rejected_too(struct tally *t) { tally_dead_letter(t, 0, 1, REJECT_RULE); }
static void of_history(struct tally *t) { predict(t, 0, 100, 0.5f); }
static void beyond_the_end(struct tally *t) { predict(t, 4, 104, 0.5f); }
static void of_no_partition(struct tally *t) { tally_dead_letter(t, 7, 0, REJECT_RULE); }
static void of_another_transaction(struct tally *t) { shadow(t, 2, 101, 0.2f); }
static void wrong_decision(struct tally *t)
{
    tally_expect(t, 0, (struct tally_record){.id = 104});
    predict(t, 4, 104, 0.1f);
    tally_shadow(t, 0, 4, 104, 0.1f, DECISION_DECLINE);
}

static void test_what_comes_out_too_often(void **state)
{
    (void)state;
    assert_int_equal(judge_after(again).repeated, 1);
    assert_int_equal(judge_after(shadow_again).repeated, 1);
    assert_int_equal(judge_after(rejected_again).repeated, 1);
    assert_int_equal(judge_after(rejected_too).repeated, 1);
}

static void test_what_nobody_wrote(void **state)
{
    (void)state;
    assert_int_equal(judge_after(of_history).unknown, 1);
    assert_int_equal(judge_after(beyond_the_end).unknown, 1);
    assert_int_equal(judge_after(of_no_partition).unknown, 1);
    assert_int_equal(judge_after(of_another_transaction).unknown, 1);
    assert_int_equal(judge_after(wrong_decision).unknown, 1);
}

static void test_what_is_missing_or_not_as_expected(void **state)
{
    (void)state;
    struct tally *t = open_tally();
    struct tally_outcome outcome;
    predict(t, 1, 101, 0.9f); /* without its shadow */
    tally_dead_letter(t, 0, 2, REJECT_RANGE); /* instead of a prediction */
    tally_dead_letter(t, 0, 3, REJECT_RULE);  /* for another reason */
    assert_int_equal(tally_open(t, 0), 1);
    assert_false(tally_judge(t, &outcome));
    assert_int_equal(outcome.missing, 1);
    assert_int_equal(outcome.unexpected, 2);
    assert_int_equal(outcome.repeated + outcome.unknown, 0);
    tally_destroy(t);
}

/* ---- drift ---- */

enum { AMOUNT, HOUR, LARGE };
static struct feature features[] = {{.name = (char[]){"amount"}, .slot = 3, .where = -1}, {.name = (char[]){"hour"}, .slot = 2, .where = -1}, {.name = (char[]){"large"}, .slot = -1, .where = 0}};
static const struct predicate large = {.slot = 3};
static const struct predicate *const filters[] = {&large};
static struct feature_spec spec = {.count = 3, .features = features, .filter_count = 1, .filters = (const struct predicate **)filters};

static void report(struct drift_watch *w, int64_t day, const char *feature, double psi)
{
    drift_watch_report(w, day * 100, day * 100 + 100, feature, strlen(feature), psi, psi >= DRIFT_PSI_CRITICAL ? SEVERITY_CRITICAL : psi >= DRIFT_PSI_WARNING ? SEVERITY_WARNING : SEVERITY_OK);
}

static void test_the_first_named_is_the_highest_of_the_first_window(void **state)
{
    (void)state;
    struct drift_watch *w = drift_watch_create(&spec);
    struct drift_view view;
    drift_watch_look(w, 200, &view);
    assert_int_equal(view.windows, 0);
    report(w, 0, "amount", 0.01);
    report(w, 0, "hour", 0.04);
    report(w, 3, "hour", 0.9); /* later, and higher, and here first */
    report(w, 1, "amount", 0.02);
    report(w, 1, "score", 5);
    drift_watch_look(w, 200, &view);
    assert_string_equal(view.feature, "hour");
    report(w, 2, "amount", 0.3);
    report(w, 2, "large", 0.15);
    drift_watch_look(w, 200, &view);
    assert_true(view.named);
    assert_string_equal(view.feature, "amount");
    assert_int_equal(view.start_ms, 200);
    assert_int_equal(view.severity, SEVERITY_CRITICAL);
    assert_int_equal(view.windows, 4);
    assert_true(view.course[0] == 0.01 && view.course[1] == 0.02 && view.course[2] == 0.3);
    assert_int_equal(view.others, 2);
    assert_true(view.highest_before == 0.04);
    assert_string_equal(view.highest_feature, "hour");
    drift_watch_destroy(w);
}

static void test_a_revision_takes_a_name_back(void **state)
{
    (void)state;
    struct drift_watch *w = drift_watch_create(&spec);
    struct drift_view view;
    report(w, 0, "hour", 0.3);
    report(w, 0, "hour", 0.05);
    drift_watch_look(w, 200, &view);
    assert_false(view.named);
    assert_true(view.psi == 0.05);
    drift_watch_destroy(w);
}

static void test_which_columns_the_change_reaches(void **state)
{
    (void)state;
    struct field_set fields;
    field_set_init(&fields);
    static const char *const names[] = {"transaction_id", "card_token", "event_time", "amount_minor"};
    for (size_t i = 0; i < 4; i++)
        field_set_add(&fields, names[i], FIELD_USE_ANY);
    assert_true(drift_reaches(&spec, &fields, AMOUNT));
    assert_true(drift_reaches(&spec, &fields, LARGE)); /* through its `where` */
    assert_false(drift_reaches(&spec, &fields, HOUR));
    field_set_finish(&fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once_and_as_expected),
        cmocka_unit_test(test_what_comes_out_too_often),
        cmocka_unit_test(test_what_nobody_wrote),
        cmocka_unit_test(test_what_is_missing_or_not_as_expected),
        cmocka_unit_test(test_the_first_named_is_the_highest_of_the_first_window),
        cmocka_unit_test(test_a_revision_takes_a_name_back),
        cmocka_unit_test(test_which_columns_the_change_reaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
