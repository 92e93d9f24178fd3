/* When synthetic payments come.
 *
 * A rhythm is a piecewise linear function of time that grows, within an hour, by that hour's weight a millisecond; events
 * are evenly spread over its values.  Integers alone, so that it is the same everywhere.
 *   RHYTHM_DAY   the hours of world_hours (UTC), every day alike
 *   RHYTHM_WEEK  those times world_days of the day of the week
 *   RHYTHM_FLAT  no rhythm: the value is the time */
#pragma once
#include <stdint.h>

enum rhythm { RHYTHM_DAY, RHYTHM_WEEK, RHYTHM_FLAT };

int64_t rhythm_at(enum rhythm rhythm, int64_t ms); /* since the epoch, not before it */
int64_t rhythm_inverse(enum rhythm rhythm, int64_t value);
