/* How old what we know is: of a partition by its stream time and its position, of a field by its last value.
 *
 * Two clocks on purpose.  Event time (age against T) is a function of the log and the same in a replay: "the sender
 * stopped filling device_id".  Wall time (age against now) is health: "nothing arrives". */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "scoring/features/features.h"

/* What the process knows of a partition that it owns. */
struct partition_health {
    int32_t partition;
    int64_t stream_time_ms;       /* TIME_UNKNOWN: none yet */
    int64_t position, end_offset; /* -1: unknown */
    int64_t checkpoint_ms; /* wall clock of its latest checkpoint; 0: none yet */
};

/* now - T in seconds, not below 0 (clocks differ); NaN if T is unknown. */
double freshness_stream_lag_seconds(int64_t now_ms, int64_t stream_time_ms);
/* Records not yet processed: end offset - position, not below 0; -1 if either is unknown (negative). */
int64_t freshness_consumer_lag(int64_t end_offset, int64_t position);

/* at - last in seconds, not below 0.  A last of TIME_UNKNOWN (never seen) counts from `since`; NaN if that is unknown too. */
double freshness_age_seconds(int64_t at_ms, int64_t last_ms, int64_t since_ms);
