/* A circuit breaker of one model in one partition, on stream time.
 *
 * Closed, it counts calls and failures of the last window in BREAKER_BUCKETS buckets of equal length (the oldest is left
 * out whole as soon as the window begins to leave it).  As soon as there are `min_calls` of which `failure_percent` or
 * more have failed, it opens: the model is not asked.  `recovery_ms` later it is half-open: the next event asks the
 * model once more, and its answer closes the breaker (with empty buckets) or opens it for as long again.
 *
 * Time is the partition's stream time, which never goes back, and calls are the partition's events in their order: the
 * state is a function of the log. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { BREAKER_BUCKETS = 30 };
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_rules {
    double failure_percent;
    int64_t window_ms, min_calls, recovery_ms;
};

struct breaker_bucket {
    int64_t index; /* floor(stream time / bucket length); BREAKER_NEVER: empty */
    int64_t calls, failures;
};

#define BREAKER_NEVER INT64_MIN
struct breaker {
    int64_t opened_ms; /* BREAKER_NEVER: closed */
    struct breaker_bucket buckets[BREAKER_BUCKETS]; /* that of index i lies at i modulo BREAKER_BUCKETS */
};

struct breaker breaker_closed(void);
void breaker_clear(struct breaker *breaker); /* counts alone: an open one stays open */
enum breaker_state breaker_state(const struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms);
/* The model was asked at now_ms (it may be: the state is not BREAKER_OPEN). */
void breaker_record(struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms, bool failed);

static inline const char *breaker_state_name(enum breaker_state state)
{
    return (const char *const[]){"closed", "open", "half_open"}[state];
}
