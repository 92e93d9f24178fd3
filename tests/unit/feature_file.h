/* A feature file as a C table. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/feature_spec.h"

struct entry { /* one line of the file; lists are separated by blanks, a listed value in '' is quoted */
    const char *name;
    enum feature_op op;
    const char *field, *windows, *values, *lat, *lon;
    const char *where, *in, *not_in, *min, *max;
    double scale, fixed; /* 0: not given */
    int64_t offset_ms;
    bool exclude_current;
};

struct file_options {
    int64_t lateness_ms, future_skew_ms;
    int64_t max_age_ms; /* 0: not set */
    int64_t max_events; /* 0: 4096 */
};

static inline int64_t scene_duration_ms(const char *text)
{
    char *unit;
    int64_t number = strtoll(text, &unit, 10);
    return number * (!strcmp(unit, "ms") ? 1 : *unit == 's' ? 1000 : *unit == 'm' ? 60000 : *unit == 'h' ? 3600000 : 86400000);
}

static inline size_t scene_split(const char *list, char words[][64])
{
    size_t count = 0;
    for (const char *p = list; p && *p; p += strspn(p, " ")) {
        size_t size = strcspn(p, " ");
        snprintf(words[count++], 64, "%.*s", (int)size, p);
        p += size;
    }
    return count;
}

static inline struct literal *scene_literals(const char *list, size_t *count)
{
    char words[64][64];
    *count = scene_split(list, words);
    struct literal *literals = calloc(*count + 1, sizeof *literals);
    for (size_t i = 0; i < *count; i++) {
        bool quoted = words[i][0] == '\'';
        literals[i] = literal_make(words[i] + quoted, strlen(words[i]) - 2 * (size_t)quoted, quoted);
    }
    return literals;
}

static inline char *scene_copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static inline void scene_where(struct feature_source *f, const struct entry *e)
{
    f->where = (struct predicate){.slot = -1};
    f->has_where = e->where != NULL;
    f->where_field = scene_copy(e->where);
    f->where.kind = e->in ? PREDICATE_IN : e->not_in ? PREDICATE_NOT_IN : PREDICATE_RANGE;
    if (e->in || e->not_in)
        f->where.literals = scene_literals(e->in ? e->in : e->not_in, &f->where.count);
    f->where.has_min = e->min != NULL;
    f->where.has_max = e->max != NULL;
    f->where.min = e->min ? strtod(e->min, NULL) : 0;
    f->where.max = e->max ? strtod(e->max, NULL) : 0;
}

static inline struct feature_source scene_feature(const struct entry *e, int line)
{
    struct feature_source f = {.line = line, .name = scene_copy(e->name), .field = scene_copy(e->field), .lat = scene_copy(e->lat),
                               .lon = scene_copy(e->lon), .op = e->op, .has_scale = e->scale != 0, .scale = e->scale,
                               .has_fixed = e->fixed != 0, .fixed = e->fixed, .offset_ms = e->offset_ms,
                               .exclude_current = e->exclude_current};
    char words[64][64];
    f.window_count = scene_split(e->windows, words);
    f.windows = calloc(f.window_count + 1, sizeof *f.windows);
    for (size_t i = 0; i < f.window_count; i++) {
        snprintf(f.windows[i].label, sizeof f.windows[i].label, "%.20s", words[i]);
        f.windows[i].ms = scene_duration_ms(words[i]);
    }
    if (e->values)
        f.values = scene_literals(e->values, &f.value_count);
    scene_where(&f, e);
    return f;
}

/* The i-th entry stands on line i + 1 of "features.yaml". */
static inline struct feature_spec_source scene_source(struct file_options options, const struct entry *entries, size_t count)
{
    struct feature_spec_source source = {.file = strdup("features.yaml"), .id = strdup("id"), .entity = strdup("card"),
                                         .time = strdup("time"), .lateness_ms = options.lateness_ms,
                                         .future_skew_ms = options.future_skew_ms,
                                         .max_age_ms = options.max_age_ms ? options.max_age_ms : -1,
                                         .max_events_per_entity = options.max_events ? options.max_events : 4096,
                                         .count = count, .features = calloc(count + 1, sizeof(struct feature_source))};
    for (size_t i = 0; i < count; i++)
        source.features[i] = scene_feature(&entries[i], (int)i + 1);
    return source;
}
