/* From the entries of a feature file to columns.
 *
 * One table says what each op takes; the checks read it, so an op that is added there is checked.  Expansion goes
 * in file order, one column a window; windows and filters that several columns share are kept once. */
#include "scoring/features/feature_spec.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/feature_text.h"

enum presence { NEVER, MAYBE, ALWAYS };

static const struct op_shape {
    const char *name;
    enum presence windows, field, values, coordinates;
    enum field_use use; /* of the field, without `fixed` */
    bool fixed;         /* takes `fixed` */
    bool limited;       /* its numbers are below 2^40 */
    bool offset;        /* takes `offset` */
} shapes[] = {
    [OP_VALUE] = {.name = "value", .field = ALWAYS, .use = FIELD_USE_NUMBER, .fixed = true, .limited = true},
    [OP_EQUALS] = {.name = "equals", .field = ALWAYS, .values = ALWAYS, .use = FIELD_USE_LISTED},
    [OP_IN] = {.name = "in", .field = ALWAYS, .values = ALWAYS, .use = FIELD_USE_LISTED},
    [OP_CODE] = {.name = "code", .field = ALWAYS, .values = ALWAYS, .use = FIELD_USE_LISTED},
    [OP_HOUR_OF_DAY] = {.name = "hour_of_day", .values = MAYBE, .offset = true},
    [OP_DAY_OF_WEEK] = {.name = "day_of_week", .values = MAYBE, .offset = true},
    [OP_COUNT] = {.name = "count", .windows = ALWAYS, .field = MAYBE, .use = FIELD_USE_ANY, .fixed = true},
    [OP_SUM] = {.name = "sum", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_INTEGER, .fixed = true, .limited = true},
    [OP_MIN] = {.name = "min", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_INTEGER, .fixed = true, .limited = true},
    [OP_MAX] = {.name = "max", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_INTEGER, .fixed = true, .limited = true},
    [OP_MEAN] = {.name = "mean", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_INTEGER, .fixed = true, .limited = true},
    [OP_STD] = {.name = "std", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_INTEGER, .fixed = true, .limited = true},
    [OP_ZSCORE] = {.name = "zscore", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_INTEGER, .fixed = true, .limited = true},
    [OP_RATIO] = {.name = "ratio", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_INTEGER, .fixed = true, .limited = true},
    [OP_DISTINCT] = {.name = "distinct", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_CATEGORY, .fixed = true},
    [OP_SAME] = {.name = "same", .windows = ALWAYS, .field = ALWAYS, .use = FIELD_USE_CATEGORY, .fixed = true},
    [OP_SINCE_LAST] = {.name = "since_last"},
    [OP_SINCE_FIRST] = {.name = "since_first"},
    [OP_SPEED_KMH] = {.name = "speed_kmh", .coordinates = ALWAYS},
};
static_assert(sizeof shapes / sizeof *shapes == OP_COUNT_OF_OPS, "each op has a shape");

const char *feature_op_name(enum feature_op op)
{
    assert(op < OP_COUNT_OF_OPS);
    return shapes[op].name;
}

int feature_op_find(const char *name)
{
    for (int op = 0; op < OP_COUNT_OF_OPS; op++)
        if (!strcmp(shapes[op].name, name))
            return op;
    return -1;
}

bool feature_op_windowed(enum feature_op op)
{
    assert(op < OP_COUNT_OF_OPS);
    return shapes[op].windows != NEVER;
}

int64_t feature_reach_ms(const struct feature_spec *spec, size_t column)
{
    const struct feature *f = &spec->features[column];
    bool since = f->op == OP_SINCE_LAST || f->op == OP_SINCE_FIRST || f->op == OP_SPEED_KMH;
    return f->window >= 0 ? spec->windows[f->window].ms : since ? spec->longest_window_ms : 0;
}

void feature_spec_source_finish(struct feature_spec_source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        struct feature_source *f = &source->features[i];
        free(f->name);
        free(f->field);
        free(f->lat);
        free(f->lon);
        free(f->windows);
        for (size_t v = 0; v < f->value_count; v++)
            literal_finish(&f->values[v]);
        free(f->values);
        free(f->where_field);
        predicate_finish(&f->where);
    }
    free(source->features);
    free(source->file);
    free(source->id);
    free(source->entity);
    free(source->time);
    *source = (struct feature_spec_source){.max_age_ms = -1};
}

static bool name_is_plain(const char *name)
{
    size_t size = strlen(name);
    return size && size <= FEATURE_NAME_MAX && !name[strcspn(name, " \t\r\n,\"[]<>")] && name[0] > ' ';
}

/* ---- checks of one entry ---- */

struct place { /* where a message points to */
    const struct feature_spec_source *source;
    const struct feature_source *feature;
    struct err *err;
};

#define REFUSE(place, format, ...)                                                                                    \
    err_set((place)->err, "%s:%d: feature `%s`: " format, (place)->source->file ? (place)->source->file : "features", \
            (place)->feature->line, (place)->feature->name ? (place)->feature->name : "" __VA_OPT__(, ) __VA_ARGS__)

static int check_presence(const struct place *at, enum presence wanted, bool given, const char *key)
{
    const char *op = shapes[at->feature->op].name;
    if (wanted == ALWAYS && !given)
        return REFUSE(at, "op %s needs `%s`: add it", op, key);
    if (wanted == NEVER && given)
        return REFUSE(at, "op %s takes no `%s`: remove it", op, key);
    return 0;
}

static int check_shape(const struct place *at)
{
    const struct feature_source *f = at->feature;
    const struct op_shape *shape = &shapes[f->op];
    if (check_presence(at, shape->windows, f->window_count, "windows") || check_presence(at, shape->field, f->field, "field") ||
        check_presence(at, shape->values, f->value_count, "values") || check_presence(at, shape->coordinates, f->lat, "lat") ||
        check_presence(at, shape->coordinates, f->lon, "lon"))
        return -1;
    if (f->has_fixed && check_presence(at, shape->fixed && f->field ? MAYBE : NEVER, true, "fixed"))
        return -1;
    if (f->offset_ms && check_presence(at, shape->offset ? MAYBE : NEVER, true, "offset"))
        return -1;
    if (f->exclude_current && check_presence(at, shape->windows ? MAYBE : NEVER, true, "current"))
        return -1;
    if (f->has_where && check_presence(at, shape->windows ? MAYBE : NEVER, true, "where"))
        return -1;
    return 0;
}

static int check_numbers(const struct place *at)
{
    const struct feature_source *f = at->feature;
    if (f->has_scale && (!isfinite(f->scale) || f->scale == 0))
        return REFUSE(at, "`scale` must be a finite number other than 0");
    if (f->has_fixed && (!isfinite(f->fixed) || f->fixed <= 0))
        return REFUSE(at, "`fixed` must be a finite number above 0, say 0.01");
    if (f->offset_ms < -FEATURE_DURATION_MAX_MS || f->offset_ms > FEATURE_DURATION_MAX_MS)
        return REFUSE(at, "`offset` must be within %s", FEATURE_DURATION_MAX_TEXT);
    for (size_t i = 0; i < f->window_count; i++) {
        if (f->windows[i].ms < 1 || f->windows[i].ms > FEATURE_DURATION_MAX_MS)
            return REFUSE(at, "window %s must be from 1ms to %s", f->windows[i].label, FEATURE_DURATION_MAX_TEXT);
        if (!memchr(f->windows[i].label, '\0', sizeof f->windows[i].label))
            return REFUSE(at, "a window's text is too long");
    }
    return 0;
}

static int check_list(const struct place *at, const char *key, const struct literal *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!values[i].text)
            return REFUSE(at, "out of memory");
        for (size_t k = 0; k < i; k++)
            if (literal_equal(&values[i], &values[k]))
                return REFUSE(at, "`%s` lists %.60s twice: remove one", key, values[i].text);
    }
    return 0;
}

static int check_values(const struct place *at)
{
    const struct feature_source *f = at->feature;
    if (f->value_count > FEATURE_VALUES_MAX)
        return REFUSE(at, "`values` may list %d values, not %zu", FEATURE_VALUES_MAX, f->value_count);
    if (check_list(at, "values", f->values, f->value_count))
        return -1;
    if (f->op != OP_HOUR_OF_DAY && f->op != OP_DAY_OF_WEEK)
        return 0;
    int last = f->op == OP_HOUR_OF_DAY ? 23 : 6;
    for (size_t i = 0; i < f->value_count; i++)
        if (!f->values[i].is_integer || f->values[i].integer < 0 || f->values[i].integer > last)
            return REFUSE(at, "`values` of op %s are whole numbers from 0 to %d, not %.60s", shapes[f->op].name, last,
                          f->values[i].text);
    return 0;
}

static int check_where(const struct place *at)
{
    const struct feature_source *f = at->feature;
    const struct predicate *where = &f->where;
    if (!f->has_where)
        return 0;
    if (!f->where_field || !*f->where_field)
        return REFUSE(at, "`where` needs `field`: add it");
    if (where->kind == PREDICATE_RANGE) {
        if (!where->has_min && !where->has_max)
            return REFUSE(at, "`where` needs `in`, `not_in`, `min` or `max`: add one");
        if ((where->has_min && !isfinite(where->min)) || (where->has_max && !isfinite(where->max)))
            return REFUSE(at, "`min` and `max` of `where` must be finite numbers");
        if (where->has_min && where->has_max && where->min > where->max)
            return REFUSE(at, "`where` lets nothing through: `min` is above `max`");
        return 0;
    }
    if (!where->count || where->count > FEATURE_VALUES_MAX)
        return REFUSE(at, "the list of `where` must hold 1 to %d values", FEATURE_VALUES_MAX);
    return check_list(at, where->kind == PREDICATE_IN ? "in" : "not_in", where->literals, where->count);
}

static int check_entry(const struct place *at)
{
    const struct feature_source *f = at->feature;
    if (!f->name || !name_is_plain(f->name))
        return REFUSE(at, "`name` must be 1 to %d characters without blanks, commas, quotes and brackets", FEATURE_NAME_MAX);
    if (f->op >= OP_COUNT_OF_OPS)
        return REFUSE(at, "`op` is not one that weir knows");
    if (check_shape(at) || check_numbers(at) || check_values(at) || check_where(at))
        return -1;
    return 0;
}

/* ---- checks of the file ---- */

static int check_duration(const struct feature_spec_source *source, const char *key, int64_t ms, struct err *err)
{
    if (ms >= 0 && ms <= FEATURE_DURATION_MAX_MS)
        return 0;
    return err_set(err, "%s: `%s` must be from 0 to %s", source->file, key, FEATURE_DURATION_MAX_TEXT);
}

static int check_file(const struct feature_spec_source *source, struct err *err)
{
    const struct {
        const char *key, *field;
    } keys[] = {{"id", source->id}, {"entity", source->entity}, {"time", source->time}};
    for (size_t i = 0; i < 3; i++) {
        if (!keys[i].field || !*keys[i].field)
            return err_set(err, "%s: `%s` is missing: name the field", source->file, keys[i].key);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(keys[i].field, keys[k].field))
                return err_set(err, "%s: `%s` and `%s` name the same field %s: they must differ", source->file, keys[k].key,
                               keys[i].key, keys[i].field);
    }
    if (check_duration(source, "lateness", source->lateness_ms, err) ||
        check_duration(source, "future_skew", source->future_skew_ms, err) ||
        (source->max_age_ms != -1 && check_duration(source, "max_age", source->max_age_ms, err)))
        return -1;
    if (source->max_events_per_entity < 1 || source->max_events_per_entity > FEATURE_EVENTS_PER_ENTITY_MAX)
        return err_set(err, "%s: `max_events_per_entity` must be from 1 to %d", source->file, FEATURE_EVENTS_PER_ENTITY_MAX);
    if (!source->count)
        return err_set(err, "%s: `features` is empty: list at least one", source->file);
    return 0;
}

/* ---- expansion ---- */

static int field_slot(struct field_set *fields, const struct place *at, const char *name, enum field_use use, int *slot)
{
    if (!name) {
        *slot = -1;
        return 0;
    }
    if (!*name)
        return REFUSE(at, "a field's name is empty");
    *slot = field_set_add(fields, name, use);
    return *slot >= 0 ? 0 : REFUSE(at, "field %.100s is one too many: at most %d fields are read", name, FIELD_SLOTS_MAX);
}

static bool same_condition(const struct predicate *a, const struct predicate *b)
{
    if (a->slot != b->slot || a->kind != b->kind || a->count != b->count || a->has_min != b->has_min || a->has_max != b->has_max ||
        (a->has_min && a->min != b->min) || (a->has_max && a->max != b->max))
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!literal_equal(&a->literals[i], &b->literals[i]) || a->literals[i].is_real != b->literals[i].is_real ||
            a->literals[i].is_bool != b->literals[i].is_bool)
            return false;
    return true;
}

static int filter_index(struct feature_spec *spec, const struct place *at, int *index)
{
    const struct predicate *where = &at->feature->where;
    *index = -1;
    if (!at->feature->has_where)
        return 0;
    for (size_t i = 0; i < spec->filter_count; i++)
        if (same_condition(spec->filters[i], where)) {
            *index = (int)i;
            return 0;
        }
    if (spec->filter_count == FEATURE_FILTERS_MAX)
        return REFUSE(at, "more than %d different `where` conditions", FEATURE_FILTERS_MAX);
    *index = (int)spec->filter_count;
    spec->filters[spec->filter_count++] = where;
    return 0;
}

static int collect_windows(struct feature_spec *spec, const struct place *at)
{
    for (size_t i = 0; i < at->feature->window_count; i++) {
        const struct feature_window *window = &at->feature->windows[i];
        size_t place = 0;
        while (place < spec->window_count && spec->windows[place].ms < window->ms)
            place++;
        if (place < spec->window_count && spec->windows[place].ms == window->ms)
            continue;
        if (spec->window_count == FEATURE_WINDOWS_MAX)
            return REFUSE(at, "more than %d different windows", FEATURE_WINDOWS_MAX);
        memmove(&spec->windows[place + 1], &spec->windows[place], (spec->window_count - place) * sizeof *spec->windows);
        spec->windows[place] = *window;
        spec->window_count++;
    }
    return 0;
}

static int window_index(const struct feature_spec *spec, int64_t ms)
{
    for (size_t i = 0; i < spec->window_count; i++)
        if (spec->windows[i].ms == ms)
            return (int)i;
    assert(!"collected before");
    return -1;
}

static int add_column(struct feature_spec *spec, const struct place *at, const struct feature_window *window, struct feature column)
{
    column.window = window ? window_index(spec, window->ms) : -1;
    if (asprintf(&column.name, window ? "%s_%s" : "%s", at->feature->name, window ? window->label : "") < 0)
        return err_set(at->err, "out of memory");
    spec->features[spec->count++] = column;
    return 0;
}

static int expand_entry(struct feature_spec *spec, const struct place *at, struct field_set *fields)
{
    struct feature_source *f = &spec->source.features[at->feature - spec->source.features];
    const struct op_shape *shape = &shapes[f->op];
    struct feature column = {.op = f->op, .has_scale = f->has_scale, .has_fixed = f->has_fixed, .exclude_current = f->exclude_current,
                             .scale = f->scale, .fixed = f->fixed, .offset_ms = f->offset_ms, .value_count = f->value_count,
                             .values = f->values, .source = f};
    f->where.slot = -1;
    if (field_slot(fields, at, f->field, f->has_fixed ? FIELD_USE_NUMBER : shape->use, &column.slot) ||
        field_slot(fields, at, f->lat, FIELD_USE_NUMBER, &column.lat) || field_slot(fields, at, f->lon, FIELD_USE_NUMBER, &column.lon))
        return -1;
    if (f->has_where && field_slot(fields, at, f->where_field, f->where.kind == PREDICATE_RANGE ? FIELD_USE_NUMBER : FIELD_USE_LISTED,
                                   &f->where.slot))
        return -1;
    if (filter_index(spec, at, &column.where))
        return -1;
    if (!f->window_count)
        return add_column(spec, at, NULL, column);
    for (size_t i = 0; i < f->window_count; i++)
        if (add_column(spec, at, &f->windows[i], column))
            return -1;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct feature *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);
    return order ? order : (*x > *y) - (*x < *y);
}

static int check_names(const struct feature_spec *spec, struct err *err)
{
    const struct feature **sorted = malloc(spec->count * sizeof(const struct feature *));
    if (!sorted)
        return err_set(err, "out of memory");
    for (size_t i = 0; i < spec->count; i++)
        sorted[i] = &spec->features[i];
    qsort(sorted, spec->count, sizeof(const struct feature *), by_name);
    int status = 0;
    for (size_t i = 1; i < spec->count && !status; i++)
        if (!strcmp(sorted[i - 1]->name, sorted[i]->name))
            status = err_set(err, "%s:%d: feature `%s` has the name of the one from line %d: rename one", spec->source.file,
                             sorted[i]->source->line, sorted[i]->name, sorted[i - 1]->source->line);
    free(sorted);
    return status;
}

/* ---- ranges ---- */

static int by_slot(const void *a, const void *b)
{
    const struct number_range *x = a, *y = b;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

static void add_range(struct feature_spec *spec, struct number_range range)
{
    if (range.slot < 0)
        return;
    for (size_t i = 0; i < spec->range_count; i++) {
        struct number_range *have = &spec->ranges[i];
        if (have->slot == range.slot && have->kind != NUMBER_TIME && !(have->fixed < range.fixed) && !(have->fixed > range.fixed)) {
            if (range.kind > have->kind)
                have->kind = range.kind;
            return;
        }
    }
    spec->ranges[spec->range_count++] = range;
}

static int collect_ranges(struct feature_spec *spec, struct err *err)
{
    spec->ranges = calloc(spec->count * 4 + 1, sizeof *spec->ranges);
    if (!spec->ranges)
        return err_set(err, "out of memory");
    for (size_t i = 0; i < spec->count; i++) {
        const struct feature *f = &spec->features[i];
        if (i && spec->features[i - 1].source == f->source)
            continue;
        add_range(spec, (struct number_range){f->slot, shapes[f->op].limited ? NUMBER_LIMITED : NUMBER_FINITE, f->has_fixed ? f->fixed : 0});
        add_range(spec, (struct number_range){.slot = f->lat});
        add_range(spec, (struct number_range){.slot = f->lon});
        if (f->where >= 0)
            add_range(spec, (struct number_range){.slot = spec->filters[f->where]->slot});
    }
    spec->ranges[spec->range_count++] = (struct number_range){FIELD_TIME, NUMBER_TIME, 0};
    qsort(spec->ranges, spec->range_count, sizeof *spec->ranges, by_slot);
    return 0;
}

static int allocate(struct feature_spec *spec, size_t columns, struct err *err)
{
    spec->features = calloc(columns, sizeof *spec->features);
    spec->windows = calloc(FEATURE_WINDOWS_MAX + 1, sizeof *spec->windows);
    spec->filters = calloc(FEATURE_FILTERS_MAX, sizeof *spec->filters);
    return spec->features && spec->windows && spec->filters ? 0 : err_set(err, "out of memory");
}

static int expand(struct feature_spec *spec, struct field_set *fields, struct err *err)
{
    const struct feature_spec_source *source = &spec->source;
    size_t columns = 0;
    for (size_t i = 0; i < source->count; i++) {
        struct place at = {source, &source->features[i], err};
        if (check_entry(&at))
            return -1;
        columns += source->features[i].window_count ? source->features[i].window_count : 1;
        if (columns > FEATURES_MAX)
            return REFUSE(&at, "more than %d features", FEATURES_MAX);
    }
    if (allocate(spec, columns, err))
        return -1;
    for (size_t i = 0; i < source->count; i++)
        if (collect_windows(spec, &(struct place){source, &source->features[i], err}))
            return -1;
    for (size_t i = 0; i < source->count; i++)
        if (expand_entry(spec, &(struct place){source, &source->features[i], err}, fields))
            return -1;
    return check_names(spec, err);
}

static int add_keys(const struct feature_spec_source *source, struct field_set *fields, struct err *err)
{
    if (field_set_add(fields, source->id, FIELD_USE_KEY) == FIELD_ID &&
        field_set_add(fields, source->entity, FIELD_USE_KEY) == FIELD_ENTITY &&
        field_set_add(fields, source->time, FIELD_USE_TIME) == FIELD_TIME)
        return 0;
    return err_set(err, "%s: id, entity and time must be the first fields of the set", source->file);
}

int feature_spec_create(struct feature_spec_source *source, struct field_set *fields, struct feature_spec **out, struct err *err)
{
    struct feature_spec *spec = calloc(1, sizeof *spec);
    if (!spec) {
        feature_spec_source_finish(source);
        return err_set(err, "out of memory");
    }
    spec->source = *source;
    *source = (struct feature_spec_source){.max_age_ms = -1};
    if (!spec->source.file)
        spec->source.file = strdup("features");
    spec->lateness_ms = spec->source.lateness_ms;
    spec->future_skew_ms = spec->source.future_skew_ms;
    spec->max_age_ms = spec->source.max_age_ms;
    spec->max_events_per_entity = spec->source.max_events_per_entity;
    if (!spec->source.file) {
        err_set(err, "out of memory");
        goto fail;
    }
    if (check_file(&spec->source, err) || add_keys(&spec->source, fields, err) || expand(spec, fields, err) ||
        collect_ranges(spec, err))
        goto fail;
    if (spec->window_count)
        spec->longest_window_ms = spec->windows[spec->window_count - 1].ms;
    if (!(spec->canonical = feature_canonical(spec, fields))) {
        err_set(err, "out of memory");
        goto fail;
    }
    *out = spec;
    return 0;

fail:
    feature_spec_destroy(spec);
    return -1;
}

const char **feature_spec_names(const struct feature_spec *spec)
{
    const char **names = calloc(spec->count + 1, sizeof *names);
    for (size_t i = 0; names && i < spec->count; i++)
        names[i] = spec->features[i].name;
    return names;
}

void feature_spec_destroy(struct feature_spec *spec)
{
    if (!spec)
        return;
    for (size_t i = 0; i < spec->count; i++)
        free(spec->features[i].name);
    free(spec->features);
    free(spec->windows);
    free(spec->filters);
    free(spec->ranges);
    free(spec->canonical);
    feature_spec_source_finish(&spec->source);
    free(spec);
}
