/* The feature file, checked and expanded: one entry a column of the feature vector.
 *
 * The shell parses the YAML into struct feature_spec_source (one entry a line of the file) and
 * feature_spec_create expands and checks it.  Semantics: see features.h. */
#pragma once
#include "scoring/err.h"
#include "scoring/field_set.h"
#include "scoring/features/predicate.h"

enum feature_op {
    OP_VALUE, OP_EQUALS, OP_IN, OP_CODE, OP_HOUR_OF_DAY, OP_DAY_OF_WEEK,
    OP_COUNT, OP_SUM, OP_MIN, OP_MAX, OP_MEAN, OP_STD, OP_ZSCORE, OP_RATIO, OP_DISTINCT, OP_SAME,
    OP_SINCE_LAST, OP_SINCE_FIRST, OP_SPEED_KMH,
    OP_COUNT_OF_OPS
};

const char *feature_op_name(enum feature_op op);
int feature_op_find(const char *name); /* -1 if there is none */
bool feature_op_windowed(enum feature_op op);

struct feature_window { /* as the file spells it and in milliseconds */
    char label[24];
    int64_t ms;
};

enum {
    FEATURES_MAX = 4096,
    FEATURE_WINDOWS_MAX = 64,
    FEATURE_FILTERS_MAX = 64,
    FEATURE_VALUES_MAX = 10000,
    FEATURE_NAME_MAX = 200,
    FEATURE_EVENTS_PER_ENTITY_MAX = 1 << 20 /* keeps n * sum(x * x) within 128 bits */
};
#define FEATURE_DURATION_MAX_MS INT64_C(3153600000000)
#define FEATURE_DURATION_MAX_TEXT "36500d"

/* One entry of the file's `features` list.  Owned by the source. */
struct feature_source {
    int line;
    char *name, *field, *lat, *lon; /* NULL where not given */
    enum feature_op op;
    size_t window_count;
    struct feature_window *windows;
    bool has_scale, has_fixed, exclude_current, has_where;
    double scale, fixed;
    int64_t offset_ms; /* of hour_of_day and day_of_week */
    size_t value_count;
    struct literal *values;
    char *where_field;
    struct predicate where; /* slot is filled at creation */
};

struct feature_spec_source {
    char *file; /* for messages */
    char *id, *entity, *time;
    int64_t lateness_ms, future_skew_ms;
    int64_t max_age_ms; /* -1: not set */
    int64_t max_events_per_entity;
    size_t count;
    struct feature_source *features;
};
void feature_spec_source_finish(struct feature_spec_source *source);

/* One column of the feature vector. */
struct feature {
    char *name; /* expanded: <name>_<window> */
    enum feature_op op;
    int slot;     /* of the field; -1: none */
    int lat, lon; /* slots; -1: none */
    int window;   /* index into windows; -1: none */
    int where;    /* index into filters; -1: none */
    bool has_scale, has_fixed, exclude_current;
    double scale, fixed;
    int64_t offset_ms;
    size_t value_count;
    const struct literal *values;
    const struct feature_source *source; /* the entry that it comes from */
};

/* A check of one field's numbers, for event_check: an infinity never passes; with `fixed` the number is taken in
 * steps, which must fit an int64; integers and steps of NUMBER_LIMITED must be below 2^40. */
struct number_range {
    int slot;
    enum { NUMBER_FINITE, NUMBER_LIMITED, NUMBER_TIME } kind;
    double fixed; /* 0: none */
};

struct feature_spec {
    struct feature_spec_source source;
    int64_t lateness_ms, future_skew_ms, max_age_ms, max_events_per_entity;
    int64_t longest_window_ms; /* W; 0 without windows */
    size_t count;              /* columns */
    struct feature *features;
    size_t window_count; /* distinct, ascending by length */
    struct feature_window *windows;
    size_t filter_count; /* distinct where conditions */
    const struct predicate **filters;
    size_t range_count; /* ascending by slot */
    struct number_range *ranges;
    char *canonical; /* canonical JSON (below); its SHA-256 is feature_spec_sha256 */
};

/* Takes over *source (also on failure) and adds the fields that it needs to `fields`, id, entity and time first.
 * Errors name file and line: an op without its field, a window of a windowless op, colliding names, limits.
 *
 * The canonical JSON is one object without white space, keys in byte order, numbers as shortest decimals that
 * read back to the same double, durations in milliseconds: entity, features (the expanded list: name, op, and
 * of field, lat, lon, window_ms, fixed, scale, offset_ms, current, values, where those that are set),
 * future_skew_ms, id, lateness_ms, max_age_ms, max_events_per_entity, time, version.  So the hash changes exactly
 * when a feature can change, not when the file is only laid out anew. */
int feature_spec_create(struct feature_spec_source *source, struct field_set *fields, struct feature_spec **out, struct err *err);
void feature_spec_destroy(struct feature_spec *spec);
/* The columns' names, in order: an array to be freed, of texts that stay the spec's.  NULL if memory is short. */
const char **feature_spec_names(const struct feature_spec *spec);
/* How far back the events lie that a column depends on; 0: it depends on the event alone. */
int64_t feature_reach_ms(const struct feature_spec *spec, size_t column);
/* The definition of one column in words, into text. */
void feature_describe(const struct feature_spec *spec, size_t column, char *text, size_t size);
