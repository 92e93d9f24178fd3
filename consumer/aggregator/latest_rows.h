/* The latest value of each statistic that is not by feature, for Prometheus: of the newest window of the input, of the
 * newest window of labels, of the last look at the clock.
 *
 * Left out, for the number of label values must be bounded by the configuration: rows of single features (ml_drift_score
 * and ml_feature_* tell of them) and of values of segments.  At most LATEST_ROWS_MAX; one more is left out.
 * Written by the aggregator's thread, exposed from any. */
#pragma once
#include "monitor/report.h"
#include "monitor/sketch.h"
#include "monitor/text_buffer.h"

enum { LATEST_ROWS_MAX = 2000 };

struct latest_rows;
struct latest_rows *latest_rows_create(void);
void latest_rows_destroy(struct latest_rows *latest);
/* shape: whose features are left out; NULL: there are none among the rows. */
void latest_rows_take(struct latest_rows *latest, const struct sketch_shape *shape, const struct report *rows, size_t count);
/* Nothing is evaluated here any more. */
void latest_rows_clear(struct latest_rows *latest);
/* weir_report_value{kind, subject, statistic, model_version}; model_version is "" where there is no model. */
void latest_rows_expose(struct latest_rows *latest, struct text_buffer *text);
