#include "scoring/features/feature_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- canonical JSON: keys in byte order, no white space ---- */

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(out, "\\u%04x", *p);
        else
            fputc(*p, out);
    fputc('"', out);
}

/* The shortest decimal that reads back to the same double. */
static void put_number(FILE *out, double number)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    fputs(text, out);
}

/* What is compared as text alone is a string; an unquoted number or boolean, which is compared as both, stands in
 * an object of its own. */
static void put_literals(FILE *out, const struct literal *literals, size_t count)
{
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        bool text_only = !literals[i].is_real && !literals[i].is_bool;
        fputs(i ? "," : "", out);
        fputs(text_only ? "" : "{\"plain\":", out);
        put_string(out, literals[i].text);
        fputs(text_only ? "" : "}", out);
    }
    fputc(']', out);
}

static void put_field(FILE *out, const char *key, const struct field_set *fields, int slot)
{
    if (slot < 0)
        return;
    fprintf(out, "\"%s\":", key);
    put_string(out, fields->fields[slot].name);
    fputc(',', out);
}

static void put_where(FILE *out, const struct predicate *where, const struct field_set *fields)
{
    fputs(",\"where\":{", out);
    put_field(out, "field", fields, where->slot);
    if (where->kind == PREDICATE_RANGE) {
        if (where->has_max) {
            fputs("\"max\":", out);
            put_number(out, where->max);
        }
        if (where->has_min) {
            fputs(where->has_max ? ",\"min\":" : "\"min\":", out);
            put_number(out, where->min);
        }
    } else {
        fputs(where->kind == PREDICATE_IN ? "\"in\":" : "\"not_in\":", out);
        put_literals(out, where->literals, where->count);
    }
    fputc('}', out);
}

static void put_column(FILE *out, const struct feature_spec *spec, const struct feature *f, const struct field_set *fields)
{
    fputc('{', out);
    if (f->exclude_current)
        fputs("\"current\":\"exclude\",", out);
    put_field(out, "field", fields, f->slot);
    if (f->has_fixed) {
        fputs("\"fixed\":", out);
        put_number(out, f->fixed);
        fputc(',', out);
    }
    put_field(out, "lat", fields, f->lat);
    put_field(out, "lon", fields, f->lon);
    fputs("\"name\":", out);
    put_string(out, f->name);
    if (f->offset_ms)
        fprintf(out, ",\"offset_ms\":%" PRId64, f->offset_ms);
    fprintf(out, ",\"op\":\"%s\"", feature_op_name(f->op));
    if (f->has_scale) {
        fputs(",\"scale\":", out);
        put_number(out, f->scale);
    }
    if (f->value_count) {
        fputs(",\"values\":", out);
        put_literals(out, f->values, f->value_count);
    }
    if (f->where >= 0)
        put_where(out, spec->filters[f->where], fields);
    if (f->window >= 0)
        fprintf(out, ",\"window_ms\":%" PRId64, spec->windows[f->window].ms);
    fputc('}', out);
}

char *feature_canonical(const struct feature_spec *spec, const struct field_set *fields)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("{\"entity\":", out);
    put_string(out, spec->source.entity);
    fputs(",\"features\":[", out);
    for (size_t i = 0; i < spec->count; i++) {
        fputs(i ? "," : "", out);
        put_column(out, spec, &spec->features[i], fields);
    }
    fprintf(out, "],\"future_skew_ms\":%" PRId64 ",\"id\":", spec->future_skew_ms);
    put_string(out, spec->source.id);
    fprintf(out, ",\"lateness_ms\":%" PRId64, spec->lateness_ms);
    if (spec->max_age_ms >= 0)
        fprintf(out, ",\"max_age_ms\":%" PRId64, spec->max_age_ms);
    fprintf(out, ",\"max_events_per_entity\":%" PRId64 ",\"time\":", spec->max_events_per_entity);
    put_string(out, spec->source.time);
    fputs(",\"version\":1}", out);
    bool whole = !ferror(out);
    if (fclose(out) || !whole) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- in words ---- */

static void say_list(FILE *out, const struct literal *literals, size_t count)
{
    fputc('[', out);
    for (size_t i = 0; i < count && i < 20; i++)
        fprintf(out, "%s%s", i ? ", " : "", literals[i].text);
    fputs(count > 20 ? ", ...]" : "]", out);
}

static void say_where(FILE *out, const struct feature_source *source)
{
    const struct predicate *where = &source->where;
    fprintf(out, ", where %s", source->where_field);
    if (where->kind != PREDICATE_RANGE) {
        fputs(where->kind == PREDICATE_IN ? " in " : " not in ", out);
        say_list(out, where->literals, where->count);
        return;
    }
    if (where->has_min)
        fprintf(out, " >= %.15g", where->min);
    if (where->has_max)
        fprintf(out, "%s <= %.15g", where->has_min ? " and" : "", where->max);
}

static void say_op(FILE *out, const struct feature *f)
{
    const struct feature_source *s = f->source;
    switch (f->op) {
    case OP_VALUE: fprintf(out, "%s", s->field); break;
    case OP_EQUALS:
    case OP_IN: fprintf(out, "1 if %s is in ", s->field); break;
    case OP_CODE: fprintf(out, "index of %s in ", s->field); break;
    case OP_HOUR_OF_DAY: fputs(f->value_count ? "1 if the hour of the day is in " : "hour of the day", out); break;
    case OP_DAY_OF_WEEK: fputs(f->value_count ? "1 if the day of the week (Monday 0) is in " : "day of the week (Monday 0)", out); break;
    case OP_COUNT: fprintf(out, s->field ? "number of events with %s" : "number of events", s->field); break;
    case OP_SUM: fprintf(out, "sum of %s", s->field); break;
    case OP_MIN: fprintf(out, "smallest %s", s->field); break;
    case OP_MAX: fprintf(out, "largest %s", s->field); break;
    case OP_MEAN: fprintf(out, "mean of %s", s->field); break;
    case OP_STD: fprintf(out, "standard deviation of %s", s->field); break;
    case OP_ZSCORE: fprintf(out, "standard deviations of %s from its mean", s->field); break;
    case OP_RATIO: fprintf(out, "%s divided by its mean", s->field); break;
    case OP_DISTINCT: fprintf(out, "number of different %s", s->field); break;
    case OP_SAME: fprintf(out, "number of events with this event's %s", s->field); break;
    case OP_SINCE_LAST: fputs("seconds since the event before", out); break;
    case OP_SINCE_FIRST: fputs("seconds since the earliest event of the longest window", out); break;
    case OP_SPEED_KMH: fprintf(out, "km/h from the event before by %s and %s", s->lat, s->lon); break;
    case OP_COUNT_OF_OPS: break;
    }
    if (f->value_count)
        say_list(out, f->values, f->value_count);
}

void feature_describe(const struct feature_spec *spec, size_t column, char *text, size_t size)
{
    const struct feature *f = &spec->features[column];
    if (!size)
        return;
    text[0] = '\0';
    char *whole = NULL;
    size_t whole_size;
    FILE *out = open_memstream(&whole, &whole_size);
    if (!out)
        return;
    say_op(out, f);
    if (f->window >= 0)
        fprintf(out, " over the last %s", spec->windows[f->window].label);
    if (f->exclude_current)
        fputs(" without the current event", out);
    if (f->where >= 0)
        say_where(out, f->source);
    if (f->offset_ms)
        fprintf(out, ", UTC%+.2f h", (double)f->offset_ms / 3600000.0);
    if (f->has_fixed)
        fprintf(out, ", in steps of %.15g", f->fixed);
    if (f->has_scale)
        fprintf(out, ", times %.15g", f->scale);
    if (!fclose(out) && whole)
        snprintf(text, size, "%s", whole);
    free(whole);
}
