/* Prometheus text exposition format 0.0.4, into a bounded buffer.
 *
 * A family is opened once (HELP and TYPE), then its samples follow.  Label values are escaped; names must be valid
 * (they are ours: asserted). */
#pragma once
#include <stdint.h>

#include "monitor/text_buffer.h"

enum exposition_type { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_HISTOGRAM };

struct label {
    const char *name, *value;
};

void exposition_family(struct text_buffer *text, const char *name, enum exposition_type type, const char *help);
/* `labels`: label_count pairs.  NaN and infinities are written as Prometheus writes them. */
void exposition_sample(struct text_buffer *text, const char *name, const struct label *labels, size_t label_count, double value);
void exposition_sample_integer(struct text_buffer *text, const char *name, const struct label *labels, size_t label_count, int64_t value);
/* bounds: ascending upper bounds, bound_count of them; buckets: bound_count + 1 counts (not cumulative; the last is
 * +Inf).  Writes <name>_bucket, _sum and _count. */
void exposition_histogram(struct text_buffer *text, const char *name, const struct label *labels, size_t label_count,
                          const double *bounds, size_t bound_count, const int64_t *buckets, double sum);
