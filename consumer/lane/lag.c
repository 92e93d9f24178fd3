#include "consumer/lane/lag.h"

void lag_note(struct lag *lag, int64_t now_ms, int64_t limit_ms, int64_t end)
{
    if (lag->count && now_ms - lag->samples[(lag->count - 1) % LAG_SAMPLES].at_ms < limit_ms / 8)
        return;
    lag->samples[lag->count % LAG_SAMPLES].at_ms = now_ms;
    lag->samples[lag->count++ % LAG_SAMPLES].end = end;
}

bool lag_exceeds(const struct lag *lag, int64_t now_ms, int64_t limit_ms, int64_t offset)
{
    uint64_t kept = lag->count < LAG_SAMPLES ? lag->count : LAG_SAMPLES;
    for (uint64_t i = 1; i <= kept; i++) {
        uint64_t at = (lag->count - i) % LAG_SAMPLES; /* the newest one that is old enough says most */
        if (now_ms - lag->samples[at].at_ms >= limit_ms)
            return lag->samples[at].end > offset + 1;
    }
    return false;
}
