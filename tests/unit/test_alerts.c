#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/alerts.h"

#define MINUTE INT64_C(60000)

static const struct alert_rule psi_rule = {.name = "drift", .kind = REPORT_DRIFT, .statistic = "psi", .threshold = 0.2, .clear = 0.1, .windows = 2,
    .min_importance = 0.05, .severity = SEVERITY_WARNING, .repeat_ms = 60 * MINUTE};

static struct report row(int window, const char *subject, double value, double importance)
{
    return (struct report){.kind = REPORT_DRIFT, .window_start_ms = window * 5 * MINUTE, .window_end_ms = (window + 1) * 5 * MINUTE, .subject = subject, .statistic = "psi",
        .value = value, .threshold = 0.1, .p_value = NAN, .count = 5000, .judged = !isnan(value), .effect = NAN, .baseline = NAN, .importance = importance, .severity = value >= 0.2 ? SEVERITY_CRITICAL : value >= 0.1 ? SEVERITY_WARNING : SEVERITY_OK};
}

/* Feeds one value a window and writes what is told: F, G or R for a message, `.` for none, lower case if silenced. */
static void play(struct alerts *alerts, int first, const double *values, size_t count, char *told)
{
    for (size_t i = 0; i < count; i++) {
        struct report r = row(first + (int)i, "amount", values[i], 0.3);
        struct alert_list list = {0};
        alerts_feed(alerts, &r, 1, &list);
        assert_true(list.count <= 1);
        told[i] = list.count ? (list.alerts[0].silenced ? "fgr" : "FGR")[list.alerts[0].state] : '.';
        alert_list_finish(&list);
    }
    told[count] = 0;
}

static void what_is_told(void **state)
{
    (void)state;
    static const struct {
        double values[20];
        size_t count;
        const char *told;
    } cases[] = {
        {{0.05, 0.3, 0.05, 0.3, 0.05}, 5, "....."},                       /* never two running */
        {{0.3, 0.3, 0.3, 0.3}, 4, ".F.."},                                /* once */
        {{0.2, 0.2}, 2, ".F"},                                            /* at the limit counts */
        {{0.3, 0.3, 0.15, 0.15, 0.3, 0.15}, 6, ".F...."},                 /* between clear and threshold nothing changes */
        {{0.3, 0.3, 0.05, 0.05, 0.05}, 5, ".F.R."},                       /* over after two running */
        {{0.3, 0.3, 0.05, 0.15, 0.05, 0.05}, 6, ".F...R"},                /* not running */
        {{0.3, NAN, 0.3, NAN}, 4, "..F."},                                /* what was not judged says nothing */
        {{.3, .3, .3, .3, .3, .3, .3, .3, .3, .3, .3, .3, .3, .3}, 14, ".F...........G"}, /* again after an hour */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char told[32];
        struct alerts *alerts = alerts_create(&psi_rule, 1, NULL, 0);
        play(alerts, 100, cases[i].values, cases[i].count, told);
        assert_string_equal(told, cases[i].told);
        alerts_destroy(alerts);
    }
}

static void the_same_window_counts_once(void **state)
{
    (void)state;
    struct alerts *alerts = alerts_create(&psi_rule, 1, NULL, 0);
    char told[32];
    for (int i = 0; i < 3; i++) {
        play(alerts, 100, (double[]){0.3}, 1, told);
        assert_string_equal(told, ".");
    }
    play(alerts, 101, (double[]){0.3}, 1, told);
    assert_string_equal(told, "F");
    alerts_destroy(alerts);
}

static void rows_over_too_few_values_say_nothing(void **state)
{
    (void)state;
    struct alert_rule rule = psi_rule;
    rule.min_count = 5001; /* rows are over 5000 */
    struct alerts *alerts = alerts_create(&rule, 1, NULL, 0);
    char told[32];
    play(alerts, 100, (double[]){0.3, 0.3, 0.3}, 3, told);
    assert_string_equal(told, "...");
    alerts_destroy(alerts);
    rule.min_count = 5000;
    alerts = alerts_create(&rule, 1, NULL, 0);
    play(alerts, 100, (double[]){0.3, 0.3, 0.3}, 3, told);
    assert_string_equal(told, ".F.");
    alerts_destroy(alerts);
}

static void a_silence_is_followed_and_ends(void **state)
{
    (void)state;
    char told[32];
    struct alert_silence silence = {"drift", "am*", 103 * 5 * MINUTE};
    struct alerts *alerts = alerts_create(&psi_rule, 1, &silence, 1);
    play(alerts, 100, (double[]){0.3, 0.3, 0.3, 0.05, 0.05}, 5, told);
    assert_string_equal(told, ".f..R");
    alerts_destroy(alerts);
}

static void unimportant_features_page_nobody(void **state)
{
    (void)state;
    struct alerts *alerts = alerts_create(&psi_rule, 1, NULL, 0);
    struct alert_list list = {0};
    for (int window = 0; window < 4; window++) {
        struct report rows[] = {row(window, "minor", 0.5, 0.01), row(window, "unknown", 0.5, NAN), row(window, "major", 0.5, 0.05)};
        alerts_feed(alerts, rows, 3, &list);
    }
    assert_int_equal(list.count, 2);
    assert_int_equal(alerts_unfollowed(alerts), 0);
    alert_list_finish(&list);
    alerts_firing(alerts, &list);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.alerts[0].subject, "unknown");
    assert_string_equal(list.alerts[1].subject, "major");
    alert_list_finish(&list);
    alerts_destroy(alerts);
}

static void a_rule_without_threshold_takes_the_rows_word(void **state)
{
    (void)state;
    struct alert_rule rule = {.name = "any", .kind = -1, .threshold = NAN, .clear = NAN, .windows = 1, .severity = SEVERITY_WARNING};
    struct alerts *alerts = alerts_create(&rule, 1, NULL, 0);
    struct report rows[] = {row(1, "a", 0.05, NAN), row(1, "b", 0.15, NAN), row(1, "c", 0.5, NAN)};
    struct alert_list list = {0};
    alerts_feed(alerts, rows, 3, &list);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.alerts[0].severity, SEVERITY_WARNING);
    assert_int_equal(list.alerts[1].severity, SEVERITY_CRITICAL);
    alert_list_finish(&list);
    alerts_destroy(alerts);
}

static void below_is_the_other_way_round(void **state)
{
    (void)state;
    char told[8];
    struct alert_rule rule = {.name = "auc", .kind = -1, .threshold = 0.7, .clear = 0.8, .below = true, .windows = 1, .severity = SEVERITY_CRITICAL};
    struct alerts *alerts = alerts_create(&rule, 1, NULL, 0);
    play(alerts, 1, (double[]){0.9, 0.7, 0.75, 0.81}, 4, told);
    assert_string_equal(told, ".F.R");
    alerts_destroy(alerts);
}

static void models_are_told_apart_and_each_width_counts_its_own_windows(void **state)
{
    (void)state;
    struct alert_rule rule = {.name = "any", .kind = -1, .threshold = 0.2, .clear = NAN, .windows = 2, .severity = SEVERITY_WARNING};
    struct alerts *alerts = alerts_create(&rule, 1, NULL, 0);
    struct report rows[] = {row(1, "score", 0.3, NAN), row(1, "score", 0.3, NAN), row(1, "score", 0.3, NAN)};
    rows[1].model_id = "b";
    rows[2].window_end_ms += 5 * MINUTE;
    struct alert_list list = {0};
    alerts_feed(alerts, rows, 3, &list);
    assert_int_equal(list.count, 0);
    for (int i = 0; i < 3; i++) {
        rows[i].window_start_ms += 10 * MINUTE;
        rows[i].window_end_ms += 10 * MINUTE;
    }
    alerts_feed(alerts, rows, 3, &list);
    assert_int_equal(list.count, 2); /* of the other width it is known already */
    alert_list_finish(&list);
    alerts_destroy(alerts);
}

/* Rows of five minutes and, each fourth time, of twenty; what is told of either. */
static size_t feed_two_widths(struct alerts *alerts, int window, double value, struct alert_list *list)
{
    struct report rows[] = {row(window, "amount", value, 0.3), row(window, "amount", value, 0.3)};
    rows[1].window_start_ms -= 15 * MINUTE;
    list->count = 0;
    alerts_feed(alerts, rows, window % 4 == 3 ? 2 : 1, list);
    return list->count;
}

static void what_one_width_has_told_of_another_does_not_repeat(void **state)
{
    (void)state;
    struct alert_rule rule = {.name = "any", .kind = -1, .threshold = 0.2, .clear = NAN, .windows = 2, .severity = SEVERITY_WARNING};
    struct alerts *alerts = alerts_create(&rule, 1, NULL, 0);
    struct alert_list list = {0};
    int told = 0;
    for (int window = 4; window < 24; window++) /* longer than the long ones take */
        told += (int)feed_two_widths(alerts, window, 0.3, &list);
    assert_int_equal(told, 1);
    list.count = 0;
    alerts_firing(alerts, &list);
    assert_int_equal(list.count, 1);
    assert_int_equal(feed_two_widths(alerts, 24, 0.1, &list), 0);
    assert_int_equal(feed_two_widths(alerts, 25, 0.1, &list), 1);
    assert_int_equal(list.alerts[0].state, ALERT_RESOLVED);
    for (int window = 26; window < 36; window++)
        assert_int_equal(feed_two_widths(alerts, window, 0.1, &list), 0);
    alert_list_finish(&list);
    alerts_destroy(alerts);
}

static void more_than_can_be_followed_is_counted(void **state)
{
    (void)state;
    struct alert_rule rule = {.name = "any", .kind = -1, .threshold = 0.2, .clear = NAN, .windows = 1, .severity = SEVERITY_WARNING};
    struct alerts *alerts = alerts_create(&rule, 1, NULL, 0);
    struct alert_list list = {0};
    for (int i = 0; i < ALERTS_MAX + 3; i++) {
        char subject[16];
        snprintf(subject, sizeof subject, "f%d", i);
        struct report r = row(1, subject, 0.3, NAN);
        alerts_feed(alerts, &r, 1, &list);
    }
    assert_int_equal(list.count, ALERTS_MAX);
    assert_int_equal(alerts_unfollowed(alerts), 3);
    alert_list_finish(&list);
    alerts_destroy(alerts);
}

/* A restart in the middle tells the same as none. */
static void an_imported_state_goes_on(void **state)
{
    (void)state;
    char told[8];
    char json[512];
    struct text_buffer text;
    struct alerts *alerts = alerts_create(&psi_rule, 1, NULL, 0);
    play(alerts, 1, (double[]){0.3}, 1, told);
    text_init(&text, json, sizeof json);
    alerts_export(alerts, &text);
    assert_string_equal(json, "[{\"rule\": \"drift\", \"model\": \"\", \"subject\": \"amount\", \"statistic\": \"psi\", \"width\": 300000, \"since\": 300000, "
                              "\"told\": 0, \"broken\": 1, \"clear\": 0, \"windows\": 1, \"firing\": false, \"severity\": 1, \"worst\": 0.3}]");
    alerts_destroy(alerts);
    alerts = alerts_create(&psi_rule, 1, NULL, 0);
    struct alert_import import = {.rule = "drift", .model_id = "", .subject = "amount", .statistic = "psi", .width_ms = 300000, .since_ms = 300000, .broken = 1, .windows = 1,
        .severity = SEVERITY_WARNING, .worst = 0.3};
    assert_int_equal(alerts_import(alerts, &import), 0);
    play(alerts, 2, (double[]){0.3, 0.3}, 2, told);
    assert_string_equal(told, "F.");
    import.rule = "gone";
    assert_int_equal(alerts_import(alerts, &import), -1);
    alerts_destroy(alerts);
}

static void what_is_said(void **state)
{
    (void)state;
    struct alerts *alerts = alerts_create(&psi_rule, 1, NULL, 0);
    struct alert_list list = {0};
    char line[1024], json[2048];
    struct text_buffer text;
    struct report rows[4];
    for (int window = 5908320; window < 5908322; window++) {
        rows[0] = row(window, "amount", 0.25, 0.5);
        rows[1] = row(window, "hour", 0.9, 0.04);
        rows[2] = row(window, "merchants_1h", 0.4, 0.2);
        rows[3] = row(window, "quiet", 0.01, 0.26);
        alerts_feed(alerts, rows, 4, &list);
    }
    assert_int_equal(list.count, 2);
    text_init(&text, line, sizeof line);
    alert_line(&list.alerts[0], rows, 4, &text);
    assert_string_equal(line, "WARNING firing: amount: distribution is not the baseline's, PSI 0.25 (limit 0.2), 50 % of the model's gain; since "
                              "2026-03-03T00:00:00Z, 2 windows of 5 min; features that matter: merchants_1h (PSI 0.4), hour (PSI 0.9); rule drift; playbook prediction-shift: "
                              "did a sender, a schema or the mix of customers change at that time? look at what is named here first");
    text_init(&text, json, sizeof json);
    alert_json(&list.alerts[0], rows, 4, &text);
    assert_false(text.full);
    assert_non_null(strstr(json, "\"state\": \"firing\", \"severity\": \"WARNING\", \"model\": null, \"subject\": \"amount\""));
    assert_non_null(strstr(json, "{\"feature\": \"merchants_1h\", \"psi\": 0.4, \"importance\": 0.2}"));
    alert_list_finish(&list);
    alerts_destroy(alerts);
}

static void the_defaults_are_whole(void **state)
{
    (void)state;
    size_t count;
    const struct alert_rule *rules = alert_rules_default(&count);
    assert_true(count > 5);
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(rules[i].name) <= ALERT_NAME_MAX && rules[i].windows >= 1 && rules[i].severity > SEVERITY_OK);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(rules[i].name, rules[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told), cmocka_unit_test(the_same_window_counts_once), cmocka_unit_test(rows_over_too_few_values_say_nothing), cmocka_unit_test(a_silence_is_followed_and_ends), cmocka_unit_test(unimportant_features_page_nobody),
        cmocka_unit_test(a_rule_without_threshold_takes_the_rows_word), cmocka_unit_test(below_is_the_other_way_round), cmocka_unit_test(models_are_told_apart_and_each_width_counts_its_own_windows),
        cmocka_unit_test(what_one_width_has_told_of_another_does_not_repeat),
        cmocka_unit_test(more_than_can_be_followed_is_counted), cmocka_unit_test(an_imported_state_goes_on), cmocka_unit_test(what_is_said), cmocka_unit_test(the_defaults_are_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
