#include "monitor/freshness.h"

#include <math.h>

static double seconds_between(int64_t from_ms, int64_t to_ms)
{
    return to_ms > from_ms ? ((double)to_ms - (double)from_ms) / 1000.0 : 0;
}

double freshness_stream_lag_seconds(int64_t now_ms, int64_t stream_time_ms)
{
    return stream_time_ms == TIME_UNKNOWN ? NAN : seconds_between(stream_time_ms, now_ms);
}

int64_t freshness_consumer_lag(int64_t end_offset, int64_t position)
{
    if (end_offset < 0 || position < 0)
        return -1;
    return end_offset > position ? end_offset - position : 0;
}

double freshness_age_seconds(int64_t at_ms, int64_t last_ms, int64_t since_ms)
{
    int64_t from = last_ms != TIME_UNKNOWN ? last_ms : since_ms;
    return from == TIME_UNKNOWN ? NAN : seconds_between(from, at_ms);
}
