/* What Prometheus is told of the rows: the newest value of each, and of no feature or value of a segment. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/aggregator/latest_rows.h"
#include "tests/unit/monitor_scene.h"

static struct report row(enum report_kind kind, int64_t end_ms, const char *model, const char *subject, const char *statistic, double value)
{
    return (struct report){.kind = kind, .window_end_ms = end_ms, .model_id = model, .subject = subject, .statistic = statistic, .value = value};
}

static bool shows(struct latest_rows *latest, const char *line)
{
    static char shown[8192];
    struct text_buffer text;
    text_init(&text, shown, sizeof shown);
    latest_rows_expose(latest, &text);
    return strstr(shown, line) != NULL;
}

static void the_newest_value_of_each_is_shown(void **state)
{
    (void)state;
    struct latest_rows *latest = latest_rows_create();
    struct report rows[] = {row(REPORT_SHADOW, 2000, "candidate", "score", "agreement", 0.75), row(REPORT_SHADOW, 1000, "candidate", "score", "agreement", 0.5),
        row(REPORT_SHADOW, 1000, "other", "score", "agreement", 0.25), row(REPORT_QUALITY, 1000, NULL, "transactions", "events", 12)};
    latest_rows_take(latest, NULL, rows, 4);
    assert_true(shows(latest, "weir_report_value{kind=\"SHADOW\",subject=\"score\",statistic=\"agreement\",model_version=\"candidate\"} 0.75\n"));
    assert_true(shows(latest, "model_version=\"other\"} 0.25\n"));
    assert_true(shows(latest, "{kind=\"QUALITY\",subject=\"transactions\",statistic=\"events\",model_version=\"\"} 12\n"));
    latest_rows_clear(latest);
    assert_false(shows(latest, "agreement"));
    latest_rows_destroy(latest);
}

static void features_values_of_segments_and_alerts_are_left_out(void **state)
{
    (void)state;
    struct latest_rows *latest = latest_rows_create();
    struct sketch_shape *shape = scene_shape(NULL, 0);
    struct report rows[] = {row(REPORT_DRIFT, 1, NULL, sketch_shape_of(shape)->features[0], "psi", 1), row(REPORT_QUALITY, 1, "m", "mcc=5411", "auc", 1),
        row(REPORT_ALERT, 1, NULL, "labels", "ece", 1), row(REPORT_DRIFT, 1, NULL, "features", "weighted_psi", 0.5)};
    latest_rows_take(latest, shape, rows, 4);
    assert_true(shows(latest, "weighted_psi"));
    assert_false(shows(latest, "\"psi\""));
    assert_false(shows(latest, "mcc"));
    assert_false(shows(latest, "ALERT"));
    sketch_shape_destroy(shape);
    latest_rows_destroy(latest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_newest_value_of_each_is_shown), cmocka_unit_test(features_values_of_segments_and_alerts_are_left_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
