/* Durations, sizes and times as people write them; every sum is checked before it is made. */
#include <stdlib.h>
#include <string.h>

#include "consumer/config/config.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Digits, then a unit of the list: their product; -1 if anything else stands there or it does not fit. */
static int quantity_parse(const char *text, const struct unit *units, size_t unit_count, int64_t *value)
{
    int64_t number = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *p - '0', &number))
            return -1;
    if (p == text)
        return -1;
    for (size_t i = 0; i < unit_count; i++)
        if (!strcmp(p, units[i].name)) {
            int64_t product;
            if (__builtin_mul_overflow(number, units[i].factor, &product))
                return -1;
            *value = product;
            return 0;
        }
    return -1;
}

int duration_parse(const char *text, bool sign, int64_t *ms)
{
    static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    bool minus = sign && *text == '-';
    int64_t value;
    if (quantity_parse(text + (sign && (*text == '-' || *text == '+')), units, sizeof units / sizeof *units, &value) < 0)
        return -1;
    *ms = minus ? -value : value;
    return 0;
}

int size_parse(const char *text, int64_t *bytes)
{
    static const struct unit units[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    return quantity_parse(text, units, sizeof units / sizeof *units, bytes);
}

/* Exactly `count` digits at *p as a number within low..high; moves *p behind them. */
static bool take_digits(const char **p, int count, int low, int high, int *value)
{
    int number = 0;
    for (int i = 0; i < count; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        number = 10 * number + (**p - '0');
    }
    *value = number;
    return number >= low && number <= high;
}

static bool take(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

static int days_of_month(int year, int month)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 ? 28 + leap : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Days since 1970-01-01 of the Gregorian calendar, years counted from March. */
static int64_t days_since_epoch(int year, int month, int day)
{
    int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* ".5" to ".999999999", floored to milliseconds. */
static bool take_fraction(const char **p, int *ms)
{
    int count = 0, value = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++, count++)
        if (count < 3)
            value = 10 * value + (**p - '0');
    for (int i = count; i < 3; i++)
        value *= 10;
    *ms = value;
    return count >= 1 && count <= 9;
}

static bool take_zone(const char **p, int *minutes)
{
    *minutes = 0;
    if (!**p || take(p, 'Z'))
        return true;
    bool minus = **p == '-';
    int h, m;
    if (!take(p, minus ? '-' : '+') || !take_digits(p, 2, 0, 23, &h))
        return false;
    take(p, ':');
    if (!take_digits(p, 2, 0, 59, &m))
        return false;
    *minutes = (minus ? -1 : 1) * (60 * h + m);
    return true;
}

int time_parse(const char *text, int64_t *ms)
{
    const char *p = text;
    int year, month, day, hour = 0, minute = 0, second = 0, milli = 0, zone = 0;
    if (!take_digits(&p, 4, 1970, 9999, &year) || !take(&p, '-') || !take_digits(&p, 2, 1, 12, &month) || !take(&p, '-') ||
        !take_digits(&p, 2, 1, days_of_month(year, month), &day))
        return -1;
    if (take(&p, 'T')) {
        if (!take_digits(&p, 2, 0, 23, &hour) || !take(&p, ':') || !take_digits(&p, 2, 0, 59, &minute))
            return -1;
        if (take(&p, ':') && (!take_digits(&p, 2, 0, 59, &second) || (take(&p, '.') && !take_fraction(&p, &milli))))
            return -1;
        if (!take_zone(&p, &zone))
            return -1;
    }
    int64_t value = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - zone) * 60000 + second * 1000 + milli;
    if (*p || value < 0)
        return -1;
    *ms = value;
    return 0;
}
