/* Reading with a reader's schema: promotion, aliases, defaults, enum mapping, unions, and what is refused when. */
#include "tests/unit/avro_case.h"

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define DEFAULT(name, type, value) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" value "}"
#define ALIAS(name, alias, type) "{\"name\":\"" name "\",\"type\":" type ",\"aliases\":[\"" alias "\"]}"
#define ENUM(symbols, more) "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "]" more "}"
#define NESTED(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define DECIMAL(precision, scale) "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":" precision ",\"scale\":" scale "}"
#define TIME(kind) "{\"type\":\"long\",\"logicalType\":\"" kind "\"}"

struct example {
    const char *writer, *reader, *fields, *bytes, *result;
};

static void check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[256];
        char text[2048];
        size_t size = bytes_of(examples[i].bytes, bytes, sizeof bytes);
        decode_text(examples[i].writer, examples[i].reader, examples[i].fields, decode_limits_default, bytes, size, text, sizeof text);
        if (strcmp(text, examples[i].result))
            fail_msg("writer %s\nreader %s\n%s of %s\nis  %s\nnot %s", examples[i].writer, examples[i].reader, examples[i].fields,
                     examples[i].bytes, text, examples[i].result);
    }
}
#define CHECK(examples) check(examples, sizeof(examples) / sizeof *(examples))

#define PROMOTE(from, to, bytes, result) {RECORD(FIELD("a", from)), RECORD(FIELD("a", to)), "a", bytes, result}

static void numbers_and_text_are_promoted(void **state)
{
    (void)state;
    static const struct example examples[] = {
        PROMOTE("\"int\"", "\"long\"", "0a", "a=5"),
        PROMOTE("\"int\"", "\"float\"", "8280808010", "decode_error at a: an int of more than 32 bits"),
        PROMOTE("\"int\"", "\"float\"", "82808010", "a=16777216d"),
        PROMOTE("\"int\"", "\"double\"", "82808010", "a=16777217d"),
        PROMOTE("\"long\"", "\"float\"", "82808010", "a=16777216d"),
        PROMOTE("\"long\"", "\"double\"", "0a", "a=5d"),
        PROMOTE("\"float\"", "\"double\"", "0000c03f", "a=1.5d"),
        PROMOTE("\"string\"", "\"bytes\"", "0278", "a=other"),
        PROMOTE("\"string\"", "\"bytes\"", "02ff", "decode_error at a: a string that is not UTF-8"),
        PROMOTE("\"bytes\"", "\"string\"", "0278", "a='x'"),
        PROMOTE("\"bytes\"", "\"string\"", "02ff", "decode_error at a: a string that is not UTF-8"),
        PROMOTE("\"long\"", "\"int\"", "0a", "refused: the reader's schema can never read what this writer's schema writes: field \"a\": "
                "the writer's long does not match the reader's int"),
        PROMOTE("\"double\"", "\"float\"", "", "refused: the reader's schema can never read what this writer's schema writes: field \"a\": "
                "the writer's double does not match the reader's float"),
        PROMOTE("\"bytes\"", DECIMAL("5", "2"), "02 05", "a=5"),
        PROMOTE(DECIMAL("5", "2"), "\"bytes\"", "02 05", "a=5"),
        PROMOTE(DECIMAL("5", "2"), DECIMAL("5", "2"), "02 05", "a=5"),
        PROMOTE(DECIMAL("5", "2"), DECIMAL("5", "3"), "02 05", "refused: the reader's schema can never read what this writer's schema "
                "writes: field \"a\": the writer's bytes does not match the reader's bytes"),
    };
    CHECK(examples);
}

static void fields_are_found_by_name_and_alias(void **state)
{
    (void)state;
    static const char ab[] = RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"string\""));
    static const struct example examples[] = {
        {ab, RECORD(FIELD("b", "\"string\"") "," FIELD("a", "\"int\"")), "a,b", "0a 0278", "a=5 b='x'"},
        {ab, RECORD(FIELD("b", "\"string\"")), "a,b", "0a 0278", "a=absent b='x'"},
        {ab, RECORD(ALIAS("amount", "a", "\"long\"")), "amount,a", "0a 0278", "amount=5 a=absent"},
        {ab, RECORD(FIELD("a", "\"int\"") "," ALIAS("c", "a", "[\"null\",\"int\"]")), "a", "0a 0278",
         "refused: the reader's schema can never read what this writer's schema writes: the writer's record R has no field \"c\", and the "
         "reader's no default for it"},
        {ab, NESTED("Other", FIELD("a", "\"int\"")), "a", "0a 0278",
         "refused: the reader's schema can never read what this writer's schema writes: the writer's record R does not match the reader's "
         "record Other"},
        {ab, "{\"type\":\"record\",\"name\":\"x.Other\",\"aliases\":[\"R\"],\"fields\":[" FIELD("a", "\"int\"") "]}", "a", "0a 0278", "a=5"},
        {ab, "{\"type\":\"record\",\"name\":\"x.R\",\"fields\":[" FIELD("a", "\"int\"") "]}", "a", "0a 0278", "a=5"},
        {RECORD(FIELD("n", NESTED("N", FIELD("a", "\"int\"") "," FIELD("s", "\"string\"")))),
         RECORD(ALIAS("m", "n", NESTED("N", ALIAS("t", "s", "\"string\"")))), "m.t,m.a,n.s", "0a 0278", "m.t='x' m.a=absent n.s=absent"},
    };
    CHECK(examples);
}

static void absent_fields_take_their_defaults(void **state)
{
    (void)state;
    static const char none[] = RECORD(""), a[] = RECORD(FIELD("a", "\"int\""));
#define NO_FIELD "refused: the reader's schema can never read what this writer's schema writes: the writer's record R has no field \"b\", and " \
                 "the reader's no default for it"
    static const struct example examples[] = {
        {none, RECORD(DEFAULT("b", "\"int\"", "7")), "b", "", "b=7"},
        {none, RECORD(DEFAULT("b", "\"double\"", "7")), "b", "", "b=7d"},
        {none, RECORD(DEFAULT("b", "\"string\"", "\"x\"")), "b", "", "b='x'"},
        {none, RECORD(DEFAULT("b", "\"boolean\"", "true")), "b", "", "b=true"},
        {none, RECORD(DEFAULT("b", "\"bytes\"", "\"\\u00ff\"")), "b", "", "b=other"},
        {none, RECORD(DEFAULT("b", DECIMAL("5", "2"), "\"\\u0001\\u0000\"")), "b", "", "b=256"},
        {none, RECORD(DEFAULT("b", DECIMAL("5", "2"), "\"\\u00ff\"")), "b", "", "b=-1"},
        {none, RECORD(DEFAULT("b", "[\"null\",\"int\"]", "null")), "b,b.c", "", "b=null b.c=null"},
        {none, RECORD(DEFAULT("b", "[\"null\",\"int\"]", "7")), "b", "", "b=7"},
        {none, RECORD(DEFAULT("b", ENUM("\"X\",\"Y\"", ""), "\"Y\"")), "b", "", "b='Y'"},
        {none, RECORD(DEFAULT("b", "{\"type\":\"array\",\"items\":\"int\"}", "[1]")), "b", "", "b=other"},
        {none, RECORD(DEFAULT("b", NESTED("N", FIELD("x", "\"int\"") "," DEFAULT("y", "\"int\"", "2")), "{\"x\":1}")), "b.x,b.y,b", "",
         "b.x=1 b.y=2 b=other"},
        {none, RECORD(DEFAULT("b", TIME("timestamp-micros"), "1999")), "x,y,b", "", "x=absent y=absent b=1"},
        {a, RECORD(DEFAULT("b", "\"int\"", "7")), "a,b", "0a", "a=absent b=7"},
        {none, RECORD(FIELD("b", "\"int\"")), "a", "", NO_FIELD},
        {none, RECORD(DEFAULT("b", "\"int\"", "\"7\"")), "b", "", "refused: reader's schema: the default of field \"b\" is not of its type"},
        {none, RECORD(DEFAULT("b", "\"int\"", "3000000000")), "", "", "refused: reader's schema: the default of field \"b\" is not of its type"},
        {none, RECORD(DEFAULT("b", NESTED("N", FIELD("x", "\"int\"")), "{}")), "", "",
         "refused: reader's schema: the default of field \"b\" is not of its type"},
        {none, RECORD(DEFAULT("b", "\"bytes\"", "\"\\u0100\"")), "", "", "refused: reader's schema: the default of field \"b\" is not of its type"},
    };
    CHECK(examples);
}

static void enum_symbols_are_mapped(void **state)
{
    (void)state;
#define ENUMS(reader) RECORD(FIELD("a", ENUM("\"X\",\"Y\",\"Z\"", ""))), RECORD(FIELD("a", reader))
    static const struct example examples[] = {
        {ENUMS(ENUM("\"Z\",\"X\"", "")), "a", "04", "a='Z'"},
        {ENUMS(ENUM("\"Z\",\"X\"", "")), "a", "02", "decode_error at a: an enum symbol that the reader's schema has not"},
        {ENUMS(ENUM("\"Z\",\"X\"", "")), "", "02", "decode_error at a: an enum symbol that the reader's schema has not"},
        {ENUMS(ENUM("\"Z\",\"X\"", "")), "", "00", ""},
        {ENUMS(ENUM("\"Z\",\"X\"", ",\"default\":\"Z\"")), "a", "02", "a='Z'"},
        {ENUMS(ENUM("\"Q\"", "")), "a", "02", "refused: the reader's schema can never read what this writer's schema writes: field \"a\": "
         "the writer's enum E does not match the reader's enum E"},
        {ENUMS(ENUM("\"Q\"", ",\"default\":\"Q\"")), "a", "02", "a='Q'"},
        {ENUMS(ENUM("\"Q\"", ",\"default\":\"Q\"")), "a", "06", "decode_error at a: an enum index out of range"},
        {ENUMS("\"string\""), "a", "02", "refused: the reader's schema can never read what this writer's schema writes: field \"a\": the "
         "writer's enum E does not match the reader's string"},
    };
    CHECK(examples);
}

static void unions_resolve_on_either_side(void **state)
{
    (void)state;
    static const struct example examples[] = {
        PROMOTE("[\"null\",\"int\"]", "\"int\"", "02 0a", "a=5"),
        PROMOTE("[\"null\",\"int\"]", "\"int\"", "00", "decode_error at a: a type that the reader's schema does not take"),
        PROMOTE("[\"null\",\"int\"]", "\"double\"", "02 0a", "a=5d"),
        PROMOTE("\"int\"", "[\"null\",\"int\"]", "0a", "a=5"),
        PROMOTE("\"int\"", "[\"null\",\"double\"]", "0a", "a=5d"),
        PROMOTE("\"int\"", "[\"null\",\"double\",\"long\"]", "0a", "a=5d"),
        PROMOTE("\"long\"", "[\"double\",\"long\"]", "0a", "a=5"),
        PROMOTE("[\"double\",\"long\"]", "[\"double\",\"long\"]", "02 0a", "a=5"),
        PROMOTE("[\"null\",\"int\"]", "[\"int\",\"null\"]", "00", "a=null"),
        PROMOTE("[\"null\",\"int\"]", "[\"null\",\"string\"]", "00", "a=null"),
        PROMOTE("[\"null\",\"int\"]", "[\"null\",\"string\"]", "02 0a", "decode_error at a: a type that the reader's schema does not take"),
        PROMOTE("[\"null\",\"int\"]", "[\"string\",\"boolean\"]", "", "refused: the reader's schema can never read what this writer's schema "
                "writes: field \"a\": the writer's int does not match the reader's union"),
        PROMOTE("{\"type\":\"array\",\"items\":\"int\"}", "{\"type\":\"array\",\"items\":\"string\"}", "", "refused: the reader's schema can "
                "never read what this writer's schema writes: field \"a\": the writer's array does not match the reader's array"),
        PROMOTE("{\"type\":\"array\",\"items\":\"int\"}", "{\"type\":\"array\",\"items\":\"double\"}", "02 0a 00", "a=other"),
        PROMOTE("{\"type\":\"array\",\"items\":[\"null\",\"int\"]}", "{\"type\":\"array\",\"items\":\"int\"}", "02 02 0a 00", "a=other"),
        PROMOTE("{\"type\":\"array\",\"items\":[\"null\",\"int\"]}", "{\"type\":\"array\",\"items\":\"int\"}", "02 00 00",
                "decode_error at a: a type that the reader's schema does not take"),
        /* an array or map without items is read whatever its items are */
#define ARRAY(items) "{\"type\":\"array\",\"items\":" items "}"
        PROMOTE(ARRAY(ENUM("\"X\"", "")), ARRAY(ENUM("\"Y\"", "")), "00", "a=other"),
        PROMOTE(ARRAY(ENUM("\"X\"", "")), ARRAY(ENUM("\"Y\"", "")), "02 00 00", "decode_error at a: a type that the reader's schema does not take"),
        PROMOTE(ARRAY(NESTED("N", FIELD("x", "\"double\""))), ARRAY(NESTED("N", FIELD("y", "\"double\""))), "00", "a=other"),
        PROMOTE(ARRAY(NESTED("N", FIELD("x", "\"double\""))), ARRAY(NESTED("N", FIELD("y", "\"double\""))), "02 0000000000000000 00",
                "decode_error at a: a type that the reader's schema does not take"),
        PROMOTE("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", "", "refused: the reader's "
                "schema can never read what this writer's schema writes: field \"a\": the writer's fixed F does not match the reader's fixed F"),
        {RECORD(FIELD("c", "[\"null\"," NESTED("C", FIELD("t", "\"int\"")) "]")), RECORD(FIELD("c", "[\"null\"," NESTED("C", FIELD("t", "\"long\"")) "]")),
         "c.t", "02 0a", "c.t=5"},
        /* unwanted parts are resolved too, also those of fixed width and those that recur */
        {RECORD(FIELD("a", "\"int\"") "," FIELD("n", NESTED("N", FIELD("x", "\"double\"")))),
         RECORD(FIELD("a", "\"int\"") "," FIELD("n", NESTED("N", FIELD("x", "\"float\"")))), "a", "",
         "refused: the reader's schema can never read what this writer's schema writes: field \"n.x\": the writer's double does not match the "
         "reader's float"},
        {NESTED("L", FIELD("v", "\"int\"") "," FIELD("next", "[\"null\",\"L\"]")), NESTED("L", FIELD("v", "\"long\"") "," FIELD("next", "\"L\"")),
         "v", "02 02 04 00", "decode_error at next: a type that the reader's schema does not take"},
        {NESTED("L", FIELD("v", "\"int\"") "," FIELD("next", "[\"null\",\"L\"]")),
         NESTED("L", FIELD("v", "\"double\"") "," FIELD("next", "[\"null\",\"L\"]")), "v,next.v", "02 02 04 00", "v=1d next.v=2d"},
    };
    CHECK(examples);
}

/* A time is in the writer's unit where the writer says one, else in the reader's. */
static void times_keep_the_writers_unit(void **state)
{
    (void)state;
    static const char slots[] = "x,y,a";
    static const struct example examples[] = {
        {RECORD(FIELD("a", TIME("timestamp-micros"))), RECORD(FIELD("a", TIME("timestamp-millis"))), slots, "9e1f", "x=absent y=absent a=1"},
        {RECORD(FIELD("a", "\"long\"")), RECORD(FIELD("a", TIME("timestamp-micros"))), slots, "9e1f", "x=absent y=absent a=1"},
        {RECORD(FIELD("a", "\"int\"")), RECORD(FIELD("a", TIME("timestamp-micros"))), slots, "9e1f", "x=absent y=absent a=1"},
        {RECORD(FIELD("a", TIME("timestamp-millis"))), RECORD(FIELD("a", "\"long\"")), slots, "9e1f", "x=absent y=absent a=1999"},
        {RECORD(FIELD("a", TIME("timestamp-micros"))), RECORD(FIELD("a", "\"double\"")), slots, "9e1f", "x=absent y=absent a=1999d"},
    };
    CHECK(examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_text_are_promoted),   cmocka_unit_test(fields_are_found_by_name_and_alias),
        cmocka_unit_test(absent_fields_take_their_defaults), cmocka_unit_test(enum_symbols_are_mapped),
        cmocka_unit_test(unions_resolve_on_either_side),   cmocka_unit_test(times_keep_the_writers_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
