/* Rows of judged models as records: what is written is read, what is damaged is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/aggregator/label_rows.h"
#include "consumer/output.h"

static struct report a_row(void)
{
    return (struct report){.kind = REPORT_CALIBRATION, .window_start_ms = 1000, .window_end_ms = 2000, .model_id = "champion", .subject = "mcc=5411", .statistic = "ece",
        .value = 0.125, .threshold = 0.1, .p_value = NAN, .count = 1234, .severity = SEVERITY_CRITICAL, .detail = "{\"note\": 1}"};
}

static void a_row_reads_back(void **state)
{
    (void)state;
    struct report row = a_row();
    struct buffer out = {0};
    struct label_rows rows = {0};
    encode_report(&out, &row);
    assert_int_equal(label_rows_take(&rows, out.data, out.size, NULL), 0);
    row.model_id = NULL;
    row.threshold = NAN;
    row.detail = "";
    out.size = 0;
    encode_report(&out, &row);
    assert_int_equal(label_rows_take(&rows, out.data, out.size, NULL), 0);
    assert_int_equal(rows.rows.count, 2);
    const struct report *r = rows.rows.rows;
    assert_true(r->kind == REPORT_CALIBRATION && r->window_start_ms == 1000 && r->window_end_ms == 2000 && r->count == 1234 && r->severity == SEVERITY_CRITICAL && r->judged);
    assert_true(r->value == 0.125 && r->threshold == 0.1 && isnan(r->p_value) && isnan(r->importance));
    assert_string_equal(r->model_id, "champion");
    assert_string_equal(r->subject, "mcc=5411");
    assert_string_equal(r->statistic, "ece");
    assert_string_equal(r->detail, "{\"note\": 1}");
    assert_true(!r[1].model_id && isnan(r[1].threshold) && !*r[1].detail);
    label_rows_finish(&rows);
    buffer_finish(&out);
}

static void what_is_cut_or_goes_on_is_no_row(void **state)
{
    (void)state;
    struct report row = a_row();
    struct buffer out = {0};
    struct label_rows rows = {0};
    encode_report(&out, &row);
    for (size_t size = 0; size < out.size; size++)
        assert_int_equal(label_rows_take(&rows, out.data, size, NULL), -1);
    put_bool(&out, false);
    assert_int_equal(label_rows_take(&rows, out.data, out.size, NULL), -1);
    assert_int_equal(rows.rows.count, 0);
    label_rows_finish(&rows);
    buffer_finish(&out);
}

static void any_byte_may_be_damaged(void **state)
{
    (void)state;
    struct report row = a_row();
    struct buffer out = {0};
    struct label_rows rows = {0};
    encode_report(&out, &row);
    for (size_t i = 0; i < out.size; i++)
        for (int bit = 0; bit < 8; bit++) {
            out.data[i] ^= (uint8_t)(1 << bit);
            label_rows_take(&rows, out.data, out.size, NULL); /* a row or not: within its bounds, which a sanitizer sees */
            out.data[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t i = 0; i < rows.rows.count; i++)
        assert_true(rows.rows.rows[i].kind <= REPORT_ALERT && rows.rows.rows[i].severity <= SEVERITY_CRITICAL && strlen(rows.rows.rows[i].detail) < REPORT_DETAIL_MAX);
    label_rows_finish(&rows);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_row_reads_back), cmocka_unit_test(what_is_cut_or_goes_on_is_no_row), cmocka_unit_test(any_byte_may_be_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
