/* One line says a case: a schema, the fields, the bytes in hex, and what comes of it as text. */
#pragma once
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "consumer/avro/plan.h"

static inline struct avro_schema *schema_of(const char *text)
{
    struct avro_schema *schema = NULL;
    struct err err = {0};
    if (avro_schema_create(text, strlen(text), NULL, 0, &schema, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return schema;
}

/* "id,card.token" */
static inline void field_set_of(struct field_set *set, const char *names)
{
    char copy[256], *rest = copy;
    field_set_init(set);
    snprintf(copy, sizeof copy, "%s", names);
    for (char *name; *copy && (name = strsep(&rest, ","));)
        assert_true(field_set_add(set, name, FIELD_USE_ANY) >= 0);
}

/* A copy that ends where its memory ends, so that the sanitizer sees a read beyond. */
static inline uint8_t *exact_copy(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

static inline size_t bytes_of(const char *hex, uint8_t *bytes, size_t capacity)
{
    size_t n = 0;
    for (const char *c = hex; *c;) {
        unsigned byte;
        int used;
        if (*c == ' ') {
            c++;
            continue;
        }
        assert_int_equal(sscanf(c, "%2x%n", &byte, &used), 1);
        assert_int_equal(used, 2);
        assert_true(n < capacity);
        bytes[n++] = (uint8_t)byte;
        c += 2;
    }
    return n;
}

static inline void append_value(char *text, size_t size, const char *name, const struct value *value)
{
    size_t n = strlen(text);
    char *to = text + n;
    size -= n;
    const char *space = n ? " " : "";
    switch ((enum value_type)value->type) {
    case VALUE_ABSENT: snprintf(to, size, "%s%s=absent", space, name); break;
    case VALUE_NULL: snprintf(to, size, "%s%s=null", space, name); break;
    case VALUE_INT: snprintf(to, size, "%s%s=%" PRId64, space, name, value->integer); break;
    case VALUE_DOUBLE: snprintf(to, size, "%s%s=%.17gd", space, name, value->real); break;
    case VALUE_TEXT: snprintf(to, size, "%s%s='%.*s'", space, name, (int)value->size, value->text); break;
    case VALUE_BOOL: snprintf(to, size, "%s%s=%s", space, name, value->integer ? "true" : "false"); break;
    case VALUE_OTHER: snprintf(to, size, "%s%s=other", space, name); break;
    }
}

/* What a plan makes of the bytes: "a=1 b='x'", or "decode_error at a.b: why", or "refused: why". */
static inline void decode_text(const char *writer_text, const char *reader_text, const char *names, struct decode_limits limits, const void *data,
                        size_t size, char *text, size_t text_size)
{
    struct avro_schema *writer = schema_of(writer_text), *reader = reader_text ? schema_of(reader_text) : NULL;
    struct field_set fields;
    field_set_of(&fields, names);
    struct decode_plan *plan;
    struct err err = {0};
    struct value values[FIELD_SLOTS_MAX];
    struct decode_fault fault = {0};
    uint8_t *copy = exact_copy(data, size);
    *text = 0;
    if (decode_plan_create(writer, reader, &fields, limits, &plan, &err) < 0) {
        snprintf(text, text_size, "refused: %s", err.msg);
    } else {
        avro_schema_destroy(writer); /* a plan stands alone */
        avro_schema_destroy(reader);
        writer = reader = NULL;
        if (decode_value(plan, copy, size, values, NULL, &fault) < 0)
            snprintf(text, text_size, "%s%s%s: %s", fault.reason == REJECT_TRAILING_BYTES ? "trailing_bytes" : "decode_error",
                     fault.field ? " at " : "", fault.field ? fault.field : "", fault.what);
        else
            for (size_t i = 0; i < fields.count; i++)
                append_value(text, text_size, fields.fields[i].name, &values[i]);
        decode_plan_destroy(plan);
    }
    avro_schema_destroy(writer);
    avro_schema_destroy(reader);
    free(copy);
    field_set_finish(&fields);
}
