#include "consumer/aggregator/label_rows.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/utf8.h"
#include "consumer/changelog/reader.h"
#include "scoring/value.h"

void label_rows_clear(struct label_rows *rows)
{
    report_list_clear(&rows->rows);
}

void label_rows_finish(struct label_rows *rows)
{
    report_list_finish(&rows->rows);
}

/* ---- one row ---- */

static struct bytes get_text(struct avro_reader *r)
{
    size_t size;
    const uint8_t *data = get_bytes(r, &size);
    if (!utf8_valid(data, size, size) || memchr(data, 0, size))
        r->bad = true;
    return (struct bytes){(const char *)data, (uint32_t)(r->bad ? 0 : size)};
}

static double get_double(struct avro_reader *r)
{
    double value = 0;
    const uint8_t *data = get_raw(r, sizeof value);
    if (!r->bad)
        memcpy(&value, data, sizeof value);
    return value;
}

static double get_optional_double(struct avro_reader *r)
{
    return get_size(r, 1) ? get_double(r) : NAN;
}

static const char *copy(struct label_rows *rows, struct bytes text)
{
    return report_text(&rows->rows, text.data, text.size);
}

int label_rows_take(struct label_rows *rows, const void *body, size_t size, struct err *err)
{
    struct avro_reader r = {body, (const uint8_t *)body + size, false};
    struct report row = {.kind = (enum report_kind)get_size(&r, REPORT_ALERT)};
    row.window_start_ms = get_long(&r);
    row.window_end_ms = get_long(&r);
    bool has_model = get_size(&r, 1) == 1;
    struct bytes model = has_model ? get_text(&r) : (struct bytes){"", 0}, subject = get_text(&r), statistic = get_text(&r), detail = {"", 0};
    row.value = get_double(&r);
    row.threshold = get_optional_double(&r);
    row.p_value = get_optional_double(&r);
    row.count = get_long(&r);
    row.severity = (enum severity)get_size(&r, SEVERITY_CRITICAL);
    if (get_size(&r, 1))
        detail = get_text(&r);
    if (!reader_is_done(&r) || detail.size >= REPORT_DETAIL_MAX || row.window_start_ms > row.window_end_ms)
        return err_set(err, "it is no row of a report");
    row.detail = copy(rows, detail);
    row.importance = row.effect = row.baseline = NAN;
    row.judged = true;
    row.model_id = has_model ? copy(rows, model) : NULL;
    row.subject = copy(rows, subject);
    row.statistic = copy(rows, statistic);
    *report_add(&rows->rows) = row;
    return 0;
}
