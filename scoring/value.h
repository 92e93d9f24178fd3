/* One field of an event as features, rules and segments see it: what the decode plan fills. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum value_type {
    VALUE_ABSENT = 0, /* the writer's schema has no such field; everywhere but id, entity and time the same as null */
    VALUE_NULL,
    VALUE_INT,    /* Avro int, long, and decimal as its unscaled value (saturated at int64) */
    VALUE_DOUBLE, /* Avro float (widened exactly) or double */
    VALUE_TEXT,   /* Avro string (valid UTF-8) or enum symbol */
    VALUE_BOOL,   /* integer is 0 or 1 */
    VALUE_OTHER   /* bytes, fixed, array, map, record: there, but of no use to a feature; of a map text and size are its blocks */
};

/* Text points into the record's bytes (or the schema, for an enum) and lives as long as they do. */
struct value {
    uint32_t type; /* enum value_type */
    uint32_t size; /* of text, in bytes */
    union {
        int64_t integer;
        double real;
        const char *text;
    };
};

/* NaN counts as null. */
static inline bool value_is_null(const struct value *value)
{
    return value->type <= VALUE_NULL || (value->type == VALUE_DOUBLE && value->real != value->real);
}

/* Borrowed bytes. */
struct bytes {
    const void *data;
    uint32_t size;
};
