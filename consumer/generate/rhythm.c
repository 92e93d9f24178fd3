#include "consumer/generate/rhythm.h"

#include "consumer/generate/world.h"

enum { HOUR_MS = 3600000, HOURS_OF_DAY = 24, HOURS_OF_WEEK = 168, EPOCH_DAY = 3 /* a Thursday */ };

static int period_hours(enum rhythm rhythm)
{
    return rhythm == RHYTHM_WEEK ? HOURS_OF_WEEK : HOURS_OF_DAY;
}

/* Of an hour of the period, which began at the epoch. */
static int64_t weight(enum rhythm rhythm, int hour)
{
    int64_t of_day = world_hours[hour % HOURS_OF_DAY];
    return rhythm == RHYTHM_WEEK ? of_day * world_days[(hour / HOURS_OF_DAY + EPOCH_DAY) % 7] : of_day;
}

static int64_t whole_period(enum rhythm rhythm)
{
    int64_t sum = 0;
    for (int h = 0; h < period_hours(rhythm); h++)
        sum += weight(rhythm, h) * HOUR_MS;
    return sum;
}

int64_t rhythm_at(enum rhythm rhythm, int64_t ms)
{
    if (rhythm == RHYTHM_FLAT)
        return ms;
    int64_t period_ms = (int64_t)period_hours(rhythm) * HOUR_MS, value = ms / period_ms * whole_period(rhythm), rest = ms % period_ms;
    int h = 0;
    for (; rest > HOUR_MS; h++, rest -= HOUR_MS)
        value += weight(rhythm, h) * HOUR_MS;
    return value + rest * weight(rhythm, h);
}

int64_t rhythm_inverse(enum rhythm rhythm, int64_t value)
{
    if (rhythm == RHYTHM_FLAT)
        return value;
    int64_t period = whole_period(rhythm), ms = value / period * period_hours(rhythm) * HOUR_MS;
    value %= period;
    int h = 0;
    for (; value >= weight(rhythm, h) * HOUR_MS; h++, ms += HOUR_MS)
        value -= weight(rhythm, h) * HOUR_MS;
    return ms + value / weight(rhythm, h);
}
