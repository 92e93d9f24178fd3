#include "scoring/models/breaker.h"

#include <assert.h>

struct breaker breaker_closed(void)
{
    struct breaker breaker = {.opened_ms = BREAKER_NEVER};
    breaker_clear(&breaker);
    return breaker;
}

void breaker_clear(struct breaker *b)
{
    for (int i = 0; i < BREAKER_BUCKETS; i++)
        b->buckets[i] = (struct breaker_bucket){.index = BREAKER_NEVER};
}

enum breaker_state breaker_state(const struct breaker *b, const struct breaker_rules *rules, int64_t now_ms)
{
    if (b->opened_ms == BREAKER_NEVER)
        return BREAKER_CLOSED;
    return now_ms - b->opened_ms >= rules->recovery_ms ? BREAKER_HALF_OPEN : BREAKER_OPEN;
}

static int64_t bucket_index(const struct breaker_rules *rules, int64_t now_ms)
{
    int64_t length = rules->window_ms / BREAKER_BUCKETS;
    if (length < 1)
        length = 1;
    return now_ms / length - (now_ms % length < 0);
}

static void count(struct breaker *b, int64_t index, bool failed)
{
    struct breaker_bucket *bucket = &b->buckets[(index % BREAKER_BUCKETS + BREAKER_BUCKETS) % BREAKER_BUCKETS];
    if (bucket->index != index)
        *bucket = (struct breaker_bucket){.index = index};
    bucket->calls++;
    bucket->failures += failed;
}

static bool too_many_failed(const struct breaker *b, const struct breaker_rules *rules, int64_t index)
{
    int64_t calls = 0, failures = 0;
    for (int i = 0; i < BREAKER_BUCKETS; i++)
        if (b->buckets[i].index != BREAKER_NEVER && b->buckets[i].index > index - BREAKER_BUCKETS) {
            calls += b->buckets[i].calls;
            failures += b->buckets[i].failures;
        }
    return failures > 0 && calls >= rules->min_calls && (double)failures * 100 >= rules->failure_percent * (double)calls;
}

void breaker_record(struct breaker *b, const struct breaker_rules *rules, int64_t now_ms, bool failed)
{
    enum breaker_state state = breaker_state(b, rules, now_ms);
    assert(state != BREAKER_OPEN);
    if (state == BREAKER_HALF_OPEN) {
        b->opened_ms = failed ? now_ms : BREAKER_NEVER;
        return;
    }
    int64_t index = bucket_index(rules, now_ms);
    count(b, index, failed);
    if (!too_many_failed(b, rules, index))
        return;
    b->opened_ms = now_ms;
    breaker_clear(b);
}
