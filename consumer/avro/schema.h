/* An Avro schema as a checked tree, from its JSON (Avro 1.11 specification).
 *
 * Bounded: SCHEMA_TEXT_MAX bytes, SCHEMA_TYPES_MAX types, SCHEMA_DEPTH_MAX levels of JSON.  Names, namespaces,
 * aliases, defaults, enum defaults, fixed sizes, decimal and timestamp logical types are kept; recursive types
 * are edges back to their definition, so the tree may be a graph: whoever walks it bounds the depth. */
#pragma once
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "scoring/err.h"

enum { SCHEMA_TEXT_MAX = 1 << 20, SCHEMA_TYPES_MAX = 10000, SCHEMA_DEPTH_MAX = 64 };

enum avro_type {
    AVRO_T_NULL, AVRO_T_BOOLEAN, AVRO_T_INT, AVRO_T_LONG, AVRO_T_FLOAT, AVRO_T_DOUBLE, AVRO_T_BYTES, AVRO_T_STRING,
    AVRO_T_RECORD, AVRO_T_ENUM, AVRO_T_ARRAY, AVRO_T_MAP, AVRO_T_UNION, AVRO_T_FIXED
};
enum avro_logical { AVRO_L_NONE, AVRO_L_DECIMAL, AVRO_L_TIMESTAMP_MILLIS, AVRO_L_TIMESTAMP_MICROS, AVRO_L_TIMESTAMP_NANOS };

struct avro_type_node {
    enum avro_type type;
    enum avro_logical logical;
    int precision, scale; /* of decimal */
    int64_t width;       /* bytes, if any bytes of this many are a value; -1: it depends on the value */
    char *name;          /* full name of record, enum, fixed */
    char **aliases;      /* full names */
    size_t alias_count;
    size_t size;         /* of fixed */
    size_t count;        /* fields, symbols, branches; 1 for array and map */
    char **symbols;      /* of enum */
    char *default_symbol;
    struct avro_field {  /* of record */
        char *name;
        char **aliases;
        size_t alias_count;
        json_t *default_value; /* NULL: none */
        struct avro_type_node *type;
    } *fields;
    struct avro_type_node **branches; /* of union; [0] is the item of array and map */
};

struct avro_schema;

/* A schema that another one refers to by name (schema registry references). */
struct avro_reference {
    const char *text;
};

int avro_schema_create(const char *text, size_t size, const struct avro_reference *references, size_t reference_count,
                       struct avro_schema **out, struct err *err);
void avro_schema_destroy(struct avro_schema *schema);
const struct avro_type_node *avro_schema_root(const struct avro_schema *schema);
/* Equal as JSON, leaving out "doc" (at any level). */
int avro_schema_same(const char *a, const char *b);
