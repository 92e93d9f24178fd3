#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "consumer/alerting/alerting.h"

static struct report row(int window, double value)
{
    return (struct report){.kind = REPORT_DRIFT, .window_start_ms = window * 300000, .window_end_ms = (window + 1) * 300000, .model_id = NULL, .subject = "amount", .statistic = "psi", .value = value,
        .threshold = 0.1, .p_value = NAN, .count = 5000, .severity = value >= 0.1 ? SEVERITY_WARNING : SEVERITY_OK, .judged = true, .effect = NAN, .baseline = NAN, .importance = 0.4};
}

static struct alerting *new_alerting(struct config *config)
{
    struct alerting *a;
    struct err err;
    assert_int_equal(alerting_create(config, true, &a, &err), 0);
    return a;
}

static size_t feed(struct alerting *a, int window, double value, struct report_list *out)
{
    struct report r = row(window, value);
    size_t before = out->count;
    alerting_feed(a, &r, 1, out);
    return out->count - before;
}

static void an_alert_is_a_row_whose_detail_is_json(void **state)
{
    (void)state;
    struct config config = {.app_id = (char *)(uintptr_t)"fraud"};
    struct alerting *a = new_alerting(&config);
    struct report_list out = {0};
    assert_int_equal(feed(a, 1, 0.3, &out), 0);
    assert_int_equal(feed(a, 2, 0.3, &out), 1);
    const struct report *alert = &out.rows[0];
    assert_true(alert->kind == REPORT_ALERT && alert->severity == SEVERITY_WARNING && alert->window_end_ms == 900000 && alert->count == 2);
    assert_string_equal(alert->subject, "amount");
    json_t *detail = json_loads(alert->detail, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(detail, "rule")), "feature_drift");
    assert_string_equal(json_string_value(json_object_get(detail, "playbook")), "prediction-shift");
    json_decref(detail);
    alerting_deliver(a);
    assert_int_equal(feed(a, 3, 0.05, &out), 0);
    assert_int_equal(feed(a, 4, 0.05, &out), 1);
    assert_int_equal(out.rows[1].severity, SEVERITY_OK);
    report_list_finish(&out);
    alerting_destroy(a, 0);
}

static bool exposes(struct alerting *a, const char *sample)
{
    char shown[8192];
    struct text_buffer text;
    text_init(&text, shown, sizeof shown);
    alerting_expose(a, &text);
    return strstr(shown, sample);
}

static void what_is_told_and_fires_is_counted(void **state)
{
    (void)state;
    struct config config = {.app_id = (char *)(uintptr_t)"fraud"};
    struct alerting *a = new_alerting(&config);
    struct report_list out = {0};
    feed(a, 1, 0.3, &out);
    feed(a, 2, 0.3, &out);
    alerting_deliver(a);
    assert_true(exposes(a, "weir_alerts_total{severity=\"warning\",state=\"firing\"} 1\n"));
    assert_true(exposes(a, "weir_alerts_firing{severity=\"warning\"} 1\n"));
    feed(a, 3, 0.05, &out);
    feed(a, 4, 0.05, &out);
    alerting_deliver(a);
    assert_true(exposes(a, "weir_alerts_total{severity=\"warning\",state=\"resolved\"} 1\n"));
    assert_true(exposes(a, "weir_alerts_firing{severity=\"warning\"} 0\n"));
    assert_true(exposes(a, "weir_webhook_queue 0\n"));
    report_list_finish(&out);
    alerting_destroy(a, 0);
}

static void own_rules_take_the_place_of_the_defaults(void **state)
{
    (void)state;
    struct alert_entry entry = {.name = (char *)(uintptr_t)"mine", .kind = REPORT_DRIFT + 1, .has_threshold = true, .threshold = 0.2, .windows = 1, .severity = 1};
    struct config config = {.app_id = (char *)(uintptr_t)"fraud", .monitor = {.alerts_given = true, .alerts = &entry, .alert_count = 1}};
    struct alerting *a = new_alerting(&config);
    struct report_list out = {0};
    assert_int_equal(feed(a, 1, 0.19, &out), 0);
    assert_int_equal(feed(a, 2, 0.2, &out), 1);
    assert_int_equal(out.rows[0].severity, SEVERITY_CRITICAL);
    report_list_finish(&out);
    alerting_destroy(a, 0);

    config.monitor.alert_count = 0; /* alerts: [] */
    a = new_alerting(&config);
    assert_int_equal(feed(a, 1, 9, &out), 0);
    report_list_finish(&out);
    alerting_destroy(a, 0);
}

static void show(struct alerting *a, char *text, size_t size)
{
    struct text_buffer buffer;
    text_init(&buffer, text, size);
    alerting_show(a, &buffer);
}

static void a_successor_goes_on(void **state)
{
    (void)state;
    struct config config = {.app_id = (char *)(uintptr_t)"fraud"};
    struct alerting *a = new_alerting(&config);
    struct report_list out = {0};
    char exported[4096], shown[4096];
    struct text_buffer text;
    show(a, shown, sizeof shown);
    assert_string_equal(shown, "[]");
    feed(a, 1, 0.3, &out);
    feed(a, 2, 0.3, &out);
    show(a, shown, sizeof shown);
    assert_non_null(strstr(shown, "\"severity\":\"WARNING\",\"line\":\"WARNING goes on: amount: distribution is not the baseline's, PSI 0.3 (limit 0.1)"));
    text_init(&text, exported, sizeof exported);
    alerting_export(a, &text);
    alerting_destroy(a, 0);

    a = new_alerting(&config);
    assert_int_equal(alerting_import(a, exported, strlen(exported)), 0);
    assert_int_equal(feed(a, 3, 0.3, &out), 0); /* told already */
    feed(a, 4, 0.05, &out);
    assert_int_equal(feed(a, 5, 0.05, &out), 1);
    assert_int_equal(alerting_import(a, "{}", 2), -1);
    assert_int_equal(alerting_import(a, "[{\"rule\": 5}]", 13), -1);
    assert_int_equal(alerting_import(a, "[]", 2), 0);
    report_list_finish(&out);
    alerting_destroy(a, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_alert_is_a_row_whose_detail_is_json), cmocka_unit_test(what_is_told_and_fires_is_counted), cmocka_unit_test(own_rules_take_the_place_of_the_defaults), cmocka_unit_test(a_successor_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
