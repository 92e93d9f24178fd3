/* Hours of the week, and how many events they bring. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "monitor/baseline_parts.h"

static const int64_t hour_ms = 3600000;

static int64_t hour_number(int64_t time_ms)
{
    return time_ms / hour_ms - (time_ms % hour_ms < 0);
}

/* Hour 0 of the epoch is Thursday's first. */
static int of_week(int64_t hour)
{
    int64_t place = (hour + 72) % BASELINE_HOURS;
    return (int)(place < 0 ? place + BASELINE_HOURS : place);
}

int baseline_hour_of_week(int64_t time_ms)
{
    return of_week(hour_number(time_ms));
}

bool baseline_hours_of(int64_t from_ms, int64_t to_ms, struct baseline_hour_set *set)
{
    assert(from_ms < to_ms);
    memset(set, 0, sizeof *set);
    if (to_ms - from_ms >= BASELINE_HOURS * hour_ms)
        return false;
    for (int64_t hour = hour_number(from_ms); hour <= hour_number(to_ms - 1); hour++)
        set->hours[of_week(hour)] = true;
    return true;
}

size_t baseline_hours_trends(int64_t from_ms, int64_t to_ms, struct baseline_hour_set sets[BASELINE_TRENDS])
{
    int64_t hour = hour_number(from_ms), middle_ms = from_ms + (to_ms - from_ms) / 2 - hour * hour_ms, away_ms = middle_ms - hour_ms / 2;
    int nearer = away_ms < 0 ? -1 : 1, parts = (int)((24 * nearer * away_ms + hour_ms / 2) / hour_ms);
    if (to_ms - from_ms >= hour_ms || hour != hour_number(to_ms - 1) || !parts)
        return 0;
    for (int i = 0; i < BASELINE_TRENDS; i++) {
        baseline_hours_of(from_ms, to_ms, &sets[i]);
        sets[i].beside = of_week(i ? hour - nearer : hour + nearer);
        sets[i].parts = i ? -parts : parts;
    }
    return BASELINE_TRENDS;
}

void baseline_cover(int64_t from_ms, int64_t to_ms, int64_t covered_ms[BASELINE_HOURS])
{
    memset(covered_ms, 0, BASELINE_HOURS * sizeof *covered_ms);
    int64_t weeks = to_ms > from_ms ? (to_ms - from_ms) / (BASELINE_HOURS * hour_ms) : 0;
    for (int h = 0; h < BASELINE_HOURS; h++)
        covered_ms[h] = weeks * hour_ms;
    for (int64_t at = from_ms + weeks * BASELINE_HOURS * hour_ms; at < to_ms;) {
        int64_t hour = hour_number(at), end = (hour + 1) * hour_ms < to_ms ? (hour + 1) * hour_ms : to_ms;
        covered_ms[of_week(hour)] += end - at;
        at = end;
    }
}

double baseline_expected_events(const struct baseline *baseline, int64_t from_ms, int64_t to_ms)
{
    int64_t all_ms = 0;
    for (int h = 0; h < BASELINE_HOURS; h++)
        all_ms += baseline->hour_covered_ms[h];
    if (!all_ms)
        return NAN;
    double rate = (double)baseline->events / (double)all_ms, sum = 0;
    int64_t wanted_ms[BASELINE_HOURS];
    baseline_cover(from_ms, to_ms, wanted_ms);
    for (int h = 0; h < BASELINE_HOURS; h++) {
        int64_t covered = baseline->hour_covered_ms[h];
        sum += (double)wanted_ms[h] * (covered >= hour_ms ? (double)baseline->hour_events[h] / (double)covered : rate);
    }
    return sum;
}
