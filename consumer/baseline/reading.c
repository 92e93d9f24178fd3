/* Values, lists, and counts by the hour of the week. */
#include "consumer/baseline/reading.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/baseline_parts.h"

int reading_refuse(const struct reading *r, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return err_set(r->err, "%s: %s%s; make the baseline anew from data of these features", r->path, r->within, what);
}

int reading_memory_is_short(const struct reading *r)
{
    return err_set(r->err, "%s: memory is short", r->path);
}

size_t reading_enter(struct reading *r, const char *what, const char *name)
{
    size_t before = strlen(r->within);
    snprintf(r->within + before, sizeof r->within - before, "%s `%.100s`: ", what, name);
    return before;
}

void reading_leave(struct reading *r, size_t before)
{
    r->within[before] = 0;
}

/* ---- values ---- */

int reading_known_keys(const struct reading *r, json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return reading_refuse(r, "unknown key `%.100s`", key);
    }
    return 0;
}

static bool is_count(json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= (int64_t)1 << 53;
}

bool reading_is_float(json_t *value)
{
    return json_is_number(value) && fabs(json_number_value(value)) <= (double)FLT_MAX;
}

int reading_count(const struct reading *r, json_t *object, const char *key, int64_t *out)
{
    json_t *value = json_object_get(object, key);
    if (!is_count(value))
        return reading_refuse(r, "`%s` must be a whole number from 0 to 2^53", key);
    *out = json_integer_value(value);
    return 0;
}

int reading_number(const struct reading *r, json_t *object, const char *key, double *out)
{
    json_t *value = json_object_get(object, key);
    if (!reading_is_float(value))
        return reading_refuse(r, "`%s` must be a number in the range of a float", key);
    *out = json_number_value(value);
    return 0;
}

bool reading_absent(json_t *value)
{
    return !value || json_is_null(value);
}

int reading_share(const struct reading *r, json_t *object, const char *key, double *out)
{
    json_t *value = json_object_get(object, key);
    *out = NAN;
    if (reading_absent(value))
        return 0;
    if (!json_is_number(value) || !(json_number_value(value) >= 0 && json_number_value(value) <= 1))
        return reading_refuse(r, "`%s` must be a number from 0 to 1, or null", key);
    *out = json_number_value(value);
    return 0;
}

/* An owned text without zero bytes; where it may be null, *out is then NULL. */
int reading_text(const struct reading *r, json_t *object, const char *key, bool may_be_null, char **out)
{
    json_t *value = json_object_get(object, key);
    if (may_be_null && reading_absent(value))
        return 0;
    if (!json_is_string(value)) /* the parser takes no zero bytes */
        return reading_refuse(r, "`%s` must be a text%s", key, may_be_null ? " or null" : "");
    *out = strdup(json_string_value(value));
    return *out ? 0 : reading_memory_is_short(r);
}

/* A list of exactly n counts. */
int reading_counts(const struct reading *r, json_t *object, const char *key, size_t n, int64_t *out)
{
    json_t *list = json_object_get(object, key);
    if (!json_is_array(list) || json_array_size(list) != n)
        return reading_refuse(r, "`%s` must be a list of %zu whole numbers", key, n);
    for (size_t i = 0; i < n; i++) {
        if (!is_count(json_array_get(list, i)))
            return reading_refuse(r, "`%s`, entry %zu: not a whole number from 0 to 2^53", key, i + 1);
        out[i] = json_integer_value(json_array_get(list, i));
    }
    return 0;
}

int64_t reading_total(const int64_t *counts, size_t n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += counts[i];
    return sum;
}

/* A list of objects of at most `most` entries, or nothing: *n of them. */
int reading_list(const struct reading *r, json_t *object, const char *key, size_t most, size_t *n)
{
    json_t *list = json_object_get(object, key);
    *n = 0;
    if (reading_absent(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) > most)
        return reading_refuse(r, "`%s` must be a list of at most %zu entries", key, most);
    *n = json_array_size(list);
    for (size_t i = 0; i < *n; i++)
        if (!json_is_object(json_array_get(list, i)))
            return reading_refuse(r, "`%s`, entry %zu: not an object", key, i + 1);
    return 0;
}

/* ---- hours of the week ---- */

/* Numbers with one space between, as many as there are bins. */
static bool parse_hour(const char *text, size_t bins, uint32_t *counts)
{
    if (!*text)
        return true;
    for (size_t i = 0; i < bins; i++) {
        char *end;
        uint64_t x = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : UINT64_MAX;
        if (x > UINT32_MAX || *end != (i + 1 < bins ? ' ' : 0))
            return false;
        counts[i] = (uint32_t)x;
        text = end + 1;
    }
    return true;
}

static bool read_hour(json_t *entry, size_t bins, uint32_t *counts)
{
    if (bins > 1)
        return json_is_string(entry) && parse_hour(json_string_value(entry), bins, counts);
    if (!is_count(entry) || json_integer_value(entry) > UINT32_MAX)
        return false;
    *counts = (uint32_t)json_integer_value(entry);
    return true;
}

/* `whole`: what the hours must add up to, bin by bin. */
int reading_hours(const struct reading *r, json_t *object, const char *key, const int64_t *whole, size_t bins, struct baseline_hours *hours)
{
    json_t *list = json_object_get(object, key);
    if (reading_absent(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) != BASELINE_HOURS)
        return reading_refuse(r, "`%s` must be a list of %d entries, one for each hour of the week", key, BASELINE_HOURS);
    if (baseline_hours_init(hours, bins) < 0)
        return reading_memory_is_short(r);
    for (size_t h = 0; h < BASELINE_HOURS; h++)
        if (!read_hour(json_array_get(list, h), bins, hours->counts + h * bins))
            return reading_refuse(r, "`%s`, entry %zu: must be %zu whole number%s", key, h + 1, bins, bins > 1 ? "s in a text, one space between" : "");
    for (size_t i = 0; i < bins; i++) {
        int64_t sum = 0;
        for (size_t h = 0; h < BASELINE_HOURS; h++)
            sum += hours->counts[h * bins + i];
        if (sum != whole[i])
            return reading_refuse(r, "`%s`, bin %zu: the hours do not add up to the whole", key, i + 1);
    }
    return 0;
}
