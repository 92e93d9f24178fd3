/* Rows of judged models on their way to the alerts: whoever judges writes them to the sketches topic, in the transaction
 * that publishes them, and the one aggregator reads them there.  So one engine sees every row, and each row once.
 *
 * A record is one row in the report's own schema (schemas/report.avsc); only rows that had enough labels are sent. */
#pragma once
#include "consumer/avro/encode.h"
#include "scoring/err.h"
#include "monitor/report.h"

struct label_rows {
    struct report_list rows; /* their texts are owned */
};
void label_rows_clear(struct label_rows *rows);
void label_rows_finish(struct label_rows *rows);
/* Appends the row that a record's body holds; -1: it is none. */
int label_rows_take(struct label_rows *rows, const void *body, size_t size, struct err *err);
