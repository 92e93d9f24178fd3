#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/alerts.h"
#include "monitor/label_quality.h"
#include "tests/unit/assert_near.h"

static const char *const models[] = {"champion", "canary", "shadow"};

static struct label_quality *new_quality(void)
{
    return label_quality_create(models, 3, (struct thresholds){0.5, 0.9}, NULL);
}

static const struct report *row_of(const struct report_list *rows, const char *model, const char *subject, const char *statistic)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct report *r = &rows->rows[i];
        if ((model ? r->model_id && !strcmp(r->model_id, model) : !r->model_id) && !strcmp(r->subject, subject) && !strcmp(r->statistic, statistic))
            return r;
    }
    return NULL;
}

static double value_of(const struct report_list *rows, const char *model, const char *subject, const char *statistic)
{
    const struct report *row = row_of(rows, model, subject, statistic);
    if (!row)
        fail_msg("no row %s %s %s", model, subject, statistic);
    return row->value;
}

static void add(struct label_quality *q, enum label_who who, size_t model, const char *segment, float score, int label, int64_t value)
{
    label_quality_add(q, who, model, segment, &(struct labelled){score, label, value});
}

/* Counted by hand. */
static void a_group_is_counted(void **state)
{
    (void)state;
    struct label_quality *q = new_quality();
    struct report_list rows = {0};
    add(q, WHO_SERVED, 0, "", 0.95f, 1, 1000);
    add(q, WHO_SERVED, 0, "", 0.60f, 1, 200);
    add(q, WHO_SERVED, 0, "", 0.55f, 0, 30);
    add(q, WHO_SERVED, 0, "", 0.10f, 1, 7);
    add(q, WHO_SERVED, 0, "", 0.05f, 0, 5000);
    add(q, WHO_SERVED, 0, "", 0.02f, 0, INT64_MIN);
    label_quality_rows(q, 1000, 2000, true, &rows);
    assert_near(value_of(&rows, "champion", "labels", "labels"), 6, 0);
    assert_near(value_of(&rows, "champion", "labels", "positives"), 3, 0);
    assert_near(value_of(&rows, "champion", "labels", "auc"), 8.0 / 9, 1e-12);
    assert_near(value_of(&rows, "champion", "labels", "average_precision"), (1 + 1 + 0.75) / 3, 1e-12);
    assert_near(value_of(&rows, "champion", "labels", "precision_review"), 2.0 / 3, 1e-12);
    assert_near(value_of(&rows, "champion", "labels", "recall_review"), 2.0 / 3, 1e-12);
    assert_near(value_of(&rows, "champion", "labels", "false_positive_ratio_review"), 0.5, 1e-12);
    assert_near(value_of(&rows, "champion", "labels", "value_caught_review"), 1200, 0);
    assert_near(value_of(&rows, "champion", "labels", "value_missed_review"), 7, 0);
    assert_near(value_of(&rows, "champion", "labels", "value_stopped_review"), 30, 0);
    assert_near(value_of(&rows, "champion", "labels", "precision_decline"), 1, 0);
    assert_near(value_of(&rows, "champion", "labels", "recall_decline"), 1.0 / 3, 1e-12);
    assert_near(value_of(&rows, "champion", "labels", "value_caught_decline"), 1000, 0);
    const struct report *ece = row_of(&rows, "champion", "labels", "ece");
    assert_true(ece->kind == REPORT_CALIBRATION && ece->severity == SEVERITY_OK && ece->window_start_ms == 1000 && ece->window_end_ms == 2000);
    assert_string_equal(ece->detail, "{\"judged\": false}");
    assert_null(row_of(&rows, "champion", "labels", "ece_decile"));
    report_list_finish(&rows);
    label_quality_destroy(q);
}

static void models_segments_and_counterparts_stand_apart_in_order(void **state)
{
    (void)state;
    struct label_quality *q = new_quality();
    struct report_list rows = {0};
    add(q, WHO_COUNTERPART, 2, "", 0.2f, 0, 1);
    add(q, WHO_SHADOW, 2, "", 0.3f, 0, 1);
    add(q, WHO_SERVED, 1, "", 0.3f, 0, 1);
    add(q, WHO_SERVED, 0, "mcc=5411", 0.3f, 1, 1);
    add(q, WHO_SERVED, 0, "", 0.3f, 1, 1);
    assert_int_equal(label_quality_groups(q), 5);
    label_quality_rows(q, 0, 1, true, &rows);
    static const char *const order[][3] = {{"champion", "labels", "labels"}, {"champion", "mcc=5411", "labels"}, {"canary", "labels", "labels"}, {"shadow", "labels", "labels"}, {NULL, "labels", "labels_against_shadow"}};
    size_t at = 0;
    for (size_t i = 0; i < rows.count; i++)
        if (!strncmp(rows.rows[i].statistic, "labels", 6)) {
            assert_ptr_equal(&rows.rows[i], row_of(&rows, order[at][0], order[at][1], order[at][2]));
            at++;
        }
    assert_int_equal(at, 5);
    assert_null(row_of(&rows, "champion", "labels", "false_positive_ratio_review")); /* nothing was caught */
    label_quality_clear(q);
    assert_int_equal(label_quality_groups(q), 0);
    report_list_finish(&rows);
    label_quality_destroy(q);
}

static void a_model_out_of_calibration_is_told(void **state)
{
    (void)state;
    float deciles[CALIBRATION_EDGES] = {.1f, .2f, .3f, .4f, .5f, .6f, .7f, .8f, .9f};
    struct label_quality *q = label_quality_create(models, 3, (struct thresholds){0.5, 0.9}, deciles);
    struct report_list rows = {0};
    for (int i = 0; i < 4000; i++) {
        float score = (float)(i % 100) / 100;
        add(q, WHO_SERVED, 0, "", score, i / 100 % 40 < (int)(40 * score), 1); /* as often as it says */
        add(q, WHO_SERVED, 1, "", score, i / 100 % 40 < (int)(20 * score), 1); /* half as often */
    }
    label_quality_rows(q, 0, 1, true, &rows);
    assert_int_equal(row_of(&rows, "champion", "labels", "ece")->severity, SEVERITY_OK);
    assert_int_equal(row_of(&rows, "canary", "labels", "ece")->severity, SEVERITY_CRITICAL);
    assert_int_equal(row_of(&rows, "canary", "labels", "ece_decile")->severity, SEVERITY_CRITICAL);
    assert_near(value_of(&rows, "canary", "labels", "ece"), 0.25, 0.02);
    report_list_finish(&rows);
    label_quality_destroy(q);
}

/* 2,000 events scored 0.05 of which a tenth were fraud, all of one shop; 8,000 of another of which 5 % or 15 % were. */
static void judge_a_shop(bool settled, int others_per_mille, bool *all, bool *shop)
{
    struct label_quality *q = new_quality();
    struct report_list rows = {0};
    for (int i = 0; i < 10000; i++) {
        int label = i < 2000 ? i % 9 == 0 : i % 1000 < others_per_mille;
        add(q, WHO_SERVED, 0, "", 0.05f, label, 100);
        add(q, WHO_SERVED, 0, i < 2000 ? "shop=a" : "shop=b", 0.05f, label, 100);
    }
    label_quality_rows(q, 0, 1, settled, &rows);
    const struct report *of_all = row_of(&rows, "champion", "labels", "ece"), *of_shop = row_of(&rows, "champion", "shop=a", "ece");
    *all = of_all->judged && of_all->severity > SEVERITY_OK;
    *shop = of_shop->judged && of_shop->severity > SEVERITY_OK;
    assert_true(of_shop->judged == !strstr(of_shop->detail, "\"judged\": false") && of_shop->value > 0.05);
    report_list_finish(&rows);
    label_quality_destroy(q);
}

static void a_segment_is_told_of_where_all_events_are_not(void **state)
{
    (void)state;
    bool all, shop;
    judge_a_shop(true, 50, &all, &shop);
    assert_true(!all && shop);
    judge_a_shop(true, 150, &all, &shop);
    assert_true(all && !shop);
    judge_a_shop(false, 150, &all, &shop); /* honest events are not known yet */
    assert_true(!all && !shop);
}

static void groups_are_bounded(void **state)
{
    (void)state;
    struct label_quality *q = new_quality();
    for (int i = 0; i < LABEL_GROUPS_MAX + 5; i++) {
        char segment[32];
        snprintf(segment, sizeof segment, "mcc=%d", i);
        add(q, WHO_SERVED, 0, segment, 0.5f, 1, 1);
    }
    assert_int_equal(label_quality_groups(q), LABEL_GROUPS_MAX);
    assert_int_equal(label_quality_beyond(q), 5);
    label_quality_destroy(q);
}

/* 6,000 events scored 0.05, of which so many in a thousand were fraud. */
static size_t tell_of_window(struct alerts *alerts, int window, int per_mille, struct alert_list *told)
{
    struct label_quality *q = new_quality();
    struct report_list rows = {0};
    for (int i = 0; i < 6000; i++)
        add(q, WHO_SERVED, 0, "", 0.05f, i % 1000 < per_mille, 100);
    label_quality_rows(q, window * 86400000LL, (window + 1) * 86400000LL, true, &rows);
    told->count = 0;
    alerts_feed(alerts, rows.rows, rows.count, told);
    size_t of_calibration = 0;
    for (size_t i = 0; i < told->count; i++)
        of_calibration += !strcmp(told->alerts[i].rule->name, "calibration") && !strcmp(told->alerts[i].statistic, "ece");
    report_list_finish(&rows);
    label_quality_destroy(q);
    return of_calibration;
}

/* By the rules that hold where none are given. */
static void scores_that_are_calibrated_no_more_are_told_in_the_first_window(void **state)
{
    (void)state;
    size_t count;
    const struct alert_rule *rules = alert_rules_default(&count);
    struct alerts *alerts = alerts_create(rules, count, NULL, 0);
    struct alert_list told = {0};
    assert_int_equal(tell_of_window(alerts, 0, 50, &told), 0);
    assert_int_equal(tell_of_window(alerts, 1, 60, &told), 0);
    assert_int_equal(tell_of_window(alerts, 2, 145, &told), 1); /* one honest event in ten is reported as fraud */
    assert_int_equal(told.alerts[0].state, ALERT_FIRING);
    assert_int_equal(told.alerts[0].rule->playbook, PLAYBOOK_ACCURACY);
    assert_int_equal(tell_of_window(alerts, 3, 145, &told), 1);
    assert_int_equal(told.alerts[0].state, ALERT_GOES_ON); /* a day later */
    assert_int_equal(tell_of_window(alerts, 4, 50, &told), 1);
    assert_int_equal(told.alerts[0].state, ALERT_RESOLVED);
    alert_list_finish(&told);
    alerts_destroy(alerts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_group_is_counted), cmocka_unit_test(models_segments_and_counterparts_stand_apart_in_order),
        cmocka_unit_test(a_model_out_of_calibration_is_told),
        cmocka_unit_test(a_segment_is_told_of_where_all_events_are_not),
        cmocka_unit_test(scores_that_are_calibrated_no_more_are_told_in_the_first_window), cmocka_unit_test(groups_are_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
