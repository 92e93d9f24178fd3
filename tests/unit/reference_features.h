/* The interface of scoring/features/features.h once more, over the reference implementation. */
#pragma once
#include "scoring/features/features.h"

struct reference;
struct reference *reference_create(const struct feature_spec *spec, struct window_limits limits);
void reference_destroy(struct reference *reference);
/* Long streams: rows are made of every so manieth offset's event alone, of the others outcomes only. */
void reference_rows_every(struct reference *reference, int64_t offsets);
bool reference_has_row(const struct reference *reference, int64_t offset);
void reference_set_history_start(struct reference *reference, int64_t event_time_ms);
void reference_set_history_cold(struct reference *reference);
int64_t reference_history_start(const struct reference *reference);
int64_t reference_stream_time(const struct reference *reference);
int reference_fold(struct reference *reference, const struct event *events, size_t n, float *rows, struct feature_outcome *outcomes);
struct window_counts reference_count(const struct reference *reference);
