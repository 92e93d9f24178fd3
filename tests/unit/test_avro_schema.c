/* Which schemas are taken, how names resolve, and what is said of those that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "consumer/avro/encode.h"
#include "consumer/avro/schema.h"
#include "schemas/embedded.h"

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"

static struct avro_schema *taken(const char *text)
{
    struct avro_schema *schema = NULL;
    struct err err = {0};
    if (avro_schema_create(text, strlen(text), NULL, 0, &schema, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return schema;
}

static void valid_schemas_are_taken(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "\"string\"",
        "{\"type\":\"int\"}",
        "{\"type\":\"string\",\"ignored\":\"value\"}",
        "[\"null\",\"int\",{\"type\":\"array\",\"items\":\"int\"}]",
        "{\"type\":\"map\",\"values\":[\"null\",\"long\"]}",
        "{\"type\":\"fixed\",\"name\":\"md5\",\"size\":16}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],\"default\":\"B\"}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}",
        RECORD(""),
        RECORD("{\"name\":\"a\",\"type\":\"bytes\",\"default\":\"\\u0000\\u00ff\",\"order\":\"ignore\",\"aliases\":[\"b\"]}"),
        RECORD(FIELD("next", "[\"null\",\"R\"]")),
        RECORD(FIELD("a", "{\"type\":{\"type\":\"array\",\"items\":\"int\"}}")),
        "{\"type\":\"record\",\"name\":\"a.b.C\",\"namespace\":\"ignored.here\",\"fields\":[" FIELD("c", "[\"null\",\"a.b.C\"]") "]}",
        schema_prediction, schema_shadow, schema_report, schema_dead_letter, schema_transaction, schema_label,
    };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
        avro_schema_destroy(taken(schemas[i]));
}

static void faulty_schemas_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *error;
    } cases[] = {
        {"", "schema: line 1, column 0: no valid JSON: "},
        {"{\"type\":\"int\",\"type\":\"int\"}", "no valid JSON: duplicate object key"},
        {"{\"type\":\"int\"} x", "no valid JSON: end of file expected"},
        {"5", "schema: a type is a name, an object or a list, nothing else"},
        {"{}", "schema: a type without \"type\""},
        {"{\"type\":5}", "schema: a type without \"type\""},
        {"\"panther\"", "schema: unknown type \"panther\""},
        {"{\"type\":\"panther\"}", "schema: unknown type \"panther\""},
        {"{\"type\":\"array\"}", "schema: an array without \"items\""},
        {"{\"type\":\"map\",\"items\":\"int\"}", "schema: a map without \"values\""},
        {"{\"type\":\"fixed\",\"size\":3}", "schema: a type \"fixed\" has no \"name\""},
        {"{\"type\":\"fixed\",\"name\":\"F\"}", "schema: fixed \"F\" has no \"size\" between 0 and 2147483647"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", "schema: fixed \"F\" has no \"size\" between 0 and 2147483647"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":1.5}", "schema: fixed \"F\" has no \"size\" between 0 and 2147483647"},
        {"{\"type\":\"fixed\",\"name\":\"int\",\"size\":1}", "schema: a type may not be named \"int\""},
        {"{\"type\":\"enum\",\"name\":\"2d2\",\"symbols\":[\"A\"]}", "schema: \"2d2\" is not a valid name"},
        {"{\"type\":\"enum\",\"name\":\"a..b\",\"symbols\":[\"A\"]}", "schema: \"a..b\" is not a valid name"},
        {"{\"type\":\"enum\",\"name\":\"b\",\"namespace\":\"a.\",\"symbols\":[\"A\"]}", "schema: the namespace of \"b\" is not a valid name"},
        {"{\"type\":\"enum\",\"name\":\"E\\u0000x\",\"symbols\":[\"A\"]}", "schema: a type \"enum\" has no \"name\""},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":\"A B\"}", "schema: enum \"E\" has no list of \"symbols\""},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}", "schema: enum \"E\" lists \"A\" twice"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"b c\"]}", "schema: symbol 2 of enum \"E\" is not a valid name"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}", "schema: the default of enum \"E\" is not one of its symbols"},
        {"[\"int\",\"int\"]", "schema: a union has two branches of one type"},
        {"[\"int\",{\"type\":\"int\",\"logicalType\":\"date\"}]", "schema: a union has two branches of one type"},
        {"[{\"type\":\"array\",\"items\":\"int\"},{\"type\":\"array\",\"items\":\"long\"}]", "schema: a union has two branches of one type"},
        {"[" RECORD("") ",\"R\"]", "schema: a union has two branches of R"},
        {"[\"null\",[\"int\"]]", "schema: a union directly in a union"},
        {"{\"type\":\"record\",\"fields\":[]}", "schema: a type \"record\" has no \"name\""},
        {"{\"type\":\"record\",\"name\":\"R\"}", "schema: record \"R\": it has no list of \"fields\""},
        {RECORD("5"), "schema: record \"R\": a field has no \"name\""},
        {RECORD("{\"type\":\"int\"}"), "schema: record \"R\": a field has no \"name\""},
        {RECORD("{\"name\":\"a\"}"), "schema: field \"a\" of \"R\": it has no \"type\""},
        {RECORD(FIELD("a.b", "\"int\"")), "schema: field \"a.b\" of \"R\": not a valid name"},
        {RECORD(FIELD("a", "\"int\"") "," FIELD("a", "\"int\"")), "schema: field \"a\" of \"R\": defined twice"},
        {RECORD(FIELD("a", "\"S\"")), "schema: field \"a\" of \"R\": unknown type \"S\""},
        {RECORD(FIELD("a", RECORD(""))), "schema: field \"a\" of \"R\": \"R\" is defined twice"},
        {RECORD("{\"name\":\"a\",\"type\":\"int\",\"aliases\":\"b\"}"), "schema: field \"a\" of \"R\": \"aliases\" is not a list of names"},
        {RECORD("{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"b.c\"]}"), "schema: field \"a\" of \"R\": alias 1 is not a name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct avro_schema *schema;
        struct err err = {0};
        if (avro_schema_create(cases[i].schema, strlen(cases[i].schema), NULL, 0, &schema, &err) == 0)
            fail_msg("%s is taken", cases[i].schema);
        if (!strstr(err.msg, cases[i].error))
            fail_msg("%s\nsays %s\nnot  %s", cases[i].schema, err.msg, cases[i].error);
    }
}

static void names_resolve_in_their_namespace(void **state)
{
    (void)state;
    struct avro_schema *schema = taken("{\"type\":\"record\",\"name\":\"x.Y\",\"aliases\":[\"Old\",\"z.Older\"],\"fields\":["
        FIELD("e", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}") ","
        FIELD("f", "{\"type\":\"fixed\",\"name\":\"F\",\"namespace\":\"other\",\"size\":2}") ","
        FIELD("n", "{\"type\":\"record\",\"name\":\"N\",\"namespace\":\"\",\"fields\":[" FIELD("y", "[\"null\",\"x.Y\"]") "]}") ","
        FIELD("a", "\"E\"") "," FIELD("b", "\"x.E\"") "," FIELD("c", "\"other.F\"") "," FIELD("d", "\"N\"") "]}");
    const struct avro_type_node *root = avro_schema_root(schema);
    assert_string_equal(root->name, "x.Y");
    assert_string_equal(root->aliases[0], "x.Old");
    assert_string_equal(root->aliases[1], "z.Older");
    assert_string_equal(root->fields[0].type->name, "x.E");
    assert_string_equal(root->fields[1].type->name, "other.F");
    assert_string_equal(root->fields[2].type->name, "N");
    assert_ptr_equal(root->fields[2].type->fields[0].type->branches[1], root);
    assert_ptr_equal(root->fields[3].type, root->fields[0].type);
    assert_ptr_equal(root->fields[4].type, root->fields[0].type);
    assert_ptr_equal(root->fields[5].type, root->fields[1].type);
    assert_ptr_equal(root->fields[6].type, root->fields[2].type); /* found without a namespace */
    avro_schema_destroy(schema);
}

static void logical_types_that_are_not_valid_are_ignored(void **state)
{
    (void)state;
#define LOGICAL(type, more) "{\"type\":\"" type "\",\"logicalType\":" more "}"
#define FIXED_DECIMAL(precision) "{\"type\":\"fixed\",\"name\":\"F\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":" precision "}"
    static const struct {
        const char *schema;
        enum avro_logical logical;
        int precision, scale;
    } cases[] = {
        {LOGICAL("long", "\"timestamp-millis\""), AVRO_L_TIMESTAMP_MILLIS, 0, 0},
        {LOGICAL("long", "\"timestamp-micros\""), AVRO_L_TIMESTAMP_MICROS, 0, 0},
        {LOGICAL("long", "\"timestamp-nanos\""), AVRO_L_TIMESTAMP_NANOS, 0, 0},
        {LOGICAL("long", "\"local-timestamp-millis\""), AVRO_L_TIMESTAMP_MILLIS, 0, 0},
        {LOGICAL("long", "\"local-timestamp-micros\""), AVRO_L_TIMESTAMP_MICROS, 0, 0},
        {LOGICAL("long", "\"local-timestamp-nanos\""), AVRO_L_TIMESTAMP_NANOS, 0, 0},
        {LOGICAL("int", "\"timestamp-millis\""), AVRO_L_NONE, 0, 0},
        {LOGICAL("long", "\"panther\""), AVRO_L_NONE, 0, 0},
        {LOGICAL("long", "5"), AVRO_L_NONE, 0, 0},
        {LOGICAL("bytes", "\"decimal\",\"precision\":5,\"scale\":2"), AVRO_L_DECIMAL, 5, 2},
        {LOGICAL("bytes", "\"decimal\",\"precision\":5"), AVRO_L_DECIMAL, 5, 0},
        {LOGICAL("bytes", "\"decimal\",\"precision\":5,\"scale\":6"), AVRO_L_NONE, 0, 0},
        {LOGICAL("bytes", "\"decimal\",\"precision\":0"), AVRO_L_NONE, 0, 0},
        {LOGICAL("bytes", "\"decimal\",\"precision\":\"5\""), AVRO_L_NONE, 0, 0},
        {LOGICAL("bytes", "\"decimal\",\"precision\":5,\"scale\":-1"), AVRO_L_NONE, 0, 0},
        {LOGICAL("bytes", "\"decimal\""), AVRO_L_NONE, 0, 0},
        {LOGICAL("long", "\"decimal\",\"precision\":5"), AVRO_L_NONE, 0, 0},
        {FIXED_DECIMAL("9"), AVRO_L_DECIMAL, 9, 0},
        {FIXED_DECIMAL("10"), AVRO_L_NONE, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct avro_schema *schema = taken(cases[i].schema);
        const struct avro_type_node *root = avro_schema_root(schema);
        if (root->logical != cases[i].logical || root->precision != cases[i].precision || root->scale != cases[i].scale)
            fail_msg("%s: %d (%d, %d)", cases[i].schema, root->logical, root->precision, root->scale);
        avro_schema_destroy(schema);
    }
}

static void widths_are_known_where_any_bytes_are_a_value(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        int64_t width;
    } cases[] = {
        {"\"null\"", 0}, {"\"float\"", 4}, {"\"double\"", 8}, {"\"int\"", -1}, {"\"boolean\"", -1}, {"\"string\"", -1}, {"[\"null\"]", -1},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":7}", 7}, {"{\"type\":\"array\",\"items\":\"double\"}", -1}, {RECORD(""), 0},
        {RECORD(FIELD("a", "\"double\"") "," FIELD("b", "\"float\"")), 12}, {RECORD(FIELD("a", "\"double\"") "," FIELD("b", "\"int\"")), -1},
        {RECORD(FIELD("a", "\"R\"")), -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct avro_schema *schema = taken(cases[i].schema);
        assert_int_equal(avro_schema_root(schema)->width, cases[i].width);
        avro_schema_destroy(schema);
    }
}

static void references_bring_their_names(void **state)
{
    (void)state;
    static const struct avro_reference references[] = {{"{\"type\":\"enum\",\"name\":\"x.E\",\"symbols\":[\"A\"]}"},
                                                       {"{\"type\":\"record\",\"name\":\"x.S\",\"fields\":[" FIELD("e", "\"E\"") "]}"}};
    static const char text[] = RECORD(FIELD("s", "\"x.S\""));
    struct avro_schema *schema;
    struct err err;
    assert_int_equal(avro_schema_create(text, strlen(text), references, 2, &schema, &err), 0);
    assert_string_equal(avro_schema_root(schema)->fields[0].type->fields[0].type->name, "x.E");
    avro_schema_destroy(schema);
    assert_int_equal(avro_schema_create(text, strlen(text), references, 1, &schema, &err), -1);
    assert_string_equal(err.msg, "schema: field \"s\" of \"R\": unknown type \"x.S\"");
}

static void expect_refused(const struct buffer *text, const char *error)
{
    struct avro_schema *schema;
    struct err err = {0};
    assert_int_equal(avro_schema_create((const char *)text->data, text->size, NULL, 0, &schema, &err), -1);
    if (!strstr(err.msg, error))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, error);
}

static void nested_arrays(struct buffer *b, int levels)
{
    b->size = 0;
    for (int i = 0; i < levels; i++)
        put_bytes_raw(b, "{\"type\":\"array\",\"items\":", 24);
    put_bytes_raw(b, "\"int\"", 5);
    for (int i = 0; i < levels; i++)
        put_bytes_raw(b, "}", 1);
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    struct buffer b = {0};
    struct avro_schema *schema;
    nested_arrays(&b, SCHEMA_DEPTH_MAX);
    assert_int_equal(avro_schema_create((const char *)b.data, b.size, NULL, 0, &schema, NULL), 0);
    avro_schema_destroy(schema);
    nested_arrays(&b, SCHEMA_DEPTH_MAX + 1);
    expect_refused(&b, "schema: JSON nested deeper than 64 levels");
    nested_arrays(&b, 30000);
    expect_refused(&b, "no valid JSON: maximum parsing depth reached");
    b.size = 0;
    put_bytes_raw(&b, "[", 1);
    for (int i = 0; i < SCHEMA_TYPES_MAX; i++) {
        char part[80];
        int n = snprintf(part, sizeof part, "%s{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":1}", i ? "," : "", i);
        put_bytes_raw(&b, part, (size_t)n);
    }
    put_bytes_raw(&b, "]", 1);
    expect_refused(&b, "schema: more than 10000 types");
    b.size = 0;
    while (b.size <= SCHEMA_TEXT_MAX)
        put_bytes_raw(&b, "          ", 10);
    expect_refused(&b, "bytes of text, more than the 1048576 that are read");
    buffer_finish(&b);
}

static void same_leaves_out_docs_alone(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int same;
    } cases[] = {
        {RECORD(FIELD("a", "\"int\"")), "{ \"name\": \"R\", \"doc\": \"d\", \"type\": \"record\", \"fields\": [{\"type\": \"int\", \"name\": \"a\", "
         "\"doc\": \"e\"}] }", 1},
        {RECORD(FIELD("doc", "\"int\"")), RECORD(FIELD("doc", "\"int\"")), 1},
        {RECORD(FIELD("doc", "\"int\"")), RECORD(""), 0},
        {RECORD(FIELD("a", "\"int\"")), RECORD(FIELD("a", "\"long\"")), 0},
        {RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"int\"")), RECORD(FIELD("b", "\"int\"") "," FIELD("a", "\"int\"")), 0},
        {"\"int\"", "{\"type\":\"int\"}", 0},
        {"no json", "no json", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(avro_schema_same(cases[i].a, cases[i].b), cases[i].same);
}

static void encoding_is_avros(void **state)
{
    (void)state;
    static const struct {
        int64_t number;
        size_t size;
        uint8_t bytes[10];
    } numbers[] = {
        {0, 1, {0}}, {-1, 1, {1}}, {1, 1, {2}}, {63, 1, {0x7e}}, {-64, 1, {0x7f}}, {64, 2, {0x80, 1}}, {8191, 2, {0xfe, 0x7f}},
        {INT64_MAX, 10, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
        {INT64_MIN, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
    };
    struct buffer b = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        b.size = 0;
        put_long(&b, numbers[i].number);
        assert_int_equal(b.size, numbers[i].size);
        assert_memory_equal(b.data, numbers[i].bytes, b.size);
    }
    static const uint8_t expected[] = {1, 0, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0, 0xf8, 0xbf, 4, 'h', 'i', 2, 0xff, 0};
    b.size = 0;
    put_bool(&b, true);
    put_bool(&b, false);
    put_float(&b, 1.5f);
    put_double(&b, -1.5);
    put_string(&b, "hi");
    put_bytes(&b, "\xff", 1);
    put_string(&b, "");
    assert_int_equal(b.size, sizeof expected);
    assert_memory_equal(b.data, expected, b.size);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_schemas_are_taken),
        cmocka_unit_test(faulty_schemas_are_named),
        cmocka_unit_test(names_resolve_in_their_namespace),
        cmocka_unit_test(logical_types_that_are_not_valid_are_ignored),
        cmocka_unit_test(widths_are_known_where_any_bytes_are_a_value),
        cmocka_unit_test(references_bring_their_names),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(same_leaves_out_docs_alone),
        cmocka_unit_test(encoding_is_avros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
