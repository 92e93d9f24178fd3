/* How far a partition is behind, as a time.
 *
 * Record timestamps say when an event was made, which may be years ago (a replayed history) or tomorrow; they are no
 * measure of how late the lane is.  So the lane remembers where the log's end was: it lags by more than D at an offset if
 * D ago it already knew of records beyond.  What it reads as it arrives never lags, whatever its dates; a backlog that was
 * there at the start begins to lag D after the start.
 *
 * LAG_SAMPLES ends are kept, D/8 apart, so D is met to within an eighth. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { LAG_SAMPLES = 12 };

struct lag {
    struct {
        int64_t at_ms, end;
    } samples[LAG_SAMPLES]; /* a ring */
    uint64_t count;         /* ever taken */
};

/* The log's end (the offset of the next record to come) is known to be `end` now. */
void lag_note(struct lag *lag, int64_t now_ms, int64_t limit_ms, int64_t end);
/* Whether limit_ms ago there were records beyond `offset` already. */
bool lag_exceeds(const struct lag *lag, int64_t now_ms, int64_t limit_ms, int64_t offset);
