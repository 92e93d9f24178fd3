/* What a decode plan makes of given bytes: fields, faults and limits. */
#include "tests/unit/avro_case.h"

#include "consumer/avro/encode.h"

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define TIME(kind) "{\"type\":\"long\",\"logicalType\":\"" kind "\"}"
#define DECIMAL_BYTES "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":30,\"scale\":2}"
#define DECIMAL_FIXED "{\"type\":\"fixed\",\"name\":\"D\",\"size\":3,\"logicalType\":\"decimal\",\"precision\":6,\"scale\":2}"
#define LIST "{\"type\":\"record\",\"name\":\"L\",\"fields\":[" FIELD("v", "\"int\"") "," FIELD("next", "[\"null\",\"L\"]") "]}"

struct example {
    const char *schema, *fields, *bytes, *result;
};

static void check(const struct example *examples, size_t count, struct decode_limits limits)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[256];
        char text[2048];
        size_t size = bytes_of(examples[i].bytes, bytes, sizeof bytes);
        decode_text(examples[i].schema, NULL, examples[i].fields, limits, bytes, size, text, sizeof text);
        if (strcmp(text, examples[i].result))
            fail_msg("%s\n%s of %s\nis  %s\nnot %s", examples[i].schema, examples[i].fields, examples[i].bytes, text, examples[i].result);
    }
}
#define CHECK(examples) check(examples, sizeof(examples) / sizeof *(examples), decode_limits_default)

static void each_type_has_its_value(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {RECORD(FIELD("a", "\"int\"")), "a", "00", "a=0"},
        {RECORD(FIELD("a", "\"int\"")), "a", "01", "a=-1"},
        {RECORD(FIELD("a", "\"int\"")), "a", "feffffff0f", "a=2147483647"},
        {RECORD(FIELD("a", "\"int\"")), "a", "ffffffff0f", "a=-2147483648"},
        {RECORD(FIELD("a", "\"long\"")), "a", "feffffffffffffffff01", "a=9223372036854775807"},
        {RECORD(FIELD("a", "\"long\"")), "a", "ffffffffffffffffff01", "a=-9223372036854775808"},
        {RECORD(FIELD("a", "\"long\"")), "a", "808000", "a=0"},
        {RECORD(FIELD("a", "\"float\"")), "a", "0000c03f", "a=1.5d"},
        {RECORD(FIELD("a", "\"double\"")), "a", "000000000000f8bf", "a=-1.5d"},
        {RECORD(FIELD("a", "\"boolean\"")), "a", "01", "a=true"},
        {RECORD(FIELD("a", "\"boolean\"")), "a", "00", "a=false"},
        {RECORD(FIELD("a", "\"null\"")), "a", "", "a=null"},
        {RECORD(FIELD("a", "\"string\"")), "a", "00", "a=''"},
        {RECORD(FIELD("a", "\"string\"")), "a", "06 7a c3bc", "a='z\u00fc'"},
        {RECORD(FIELD("a", "\"bytes\"")), "a", "04 ff00", "a=other"},
        {RECORD(FIELD("a", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}")), "a", "ffff", "a=other"},
        {RECORD(FIELD("a", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\",\"YY\"]}")), "a", "02", "a='YY'"},
        {RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"int\"}")), "a", "04 02 04 00", "a=other"},
        {RECORD(FIELD("a", "{\"type\":\"map\",\"values\":\"int\"}")), "a", "02 02 6b 04 00", "a=other"},
        {"\"int\"", "a", "02", "a=absent"},
        {RECORD(""), "", "", ""},
        {RECORD(FIELD("a", "\"int\"")), "b,a,c.d", "02", "b=absent a=1 c.d=absent"},
        {RECORD(FIELD("a", "\"int\"")), "a.b", "02", "a.b=absent"},
    };
    CHECK(examples);
}

static void unions_deliver_their_branch(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {RECORD(FIELD("a", "[\"null\",\"long\"]")), "a", "00", "a=null"},
        {RECORD(FIELD("a", "[\"null\",\"long\"]")), "a", "02 0a", "a=5"},
        {RECORD(FIELD("a", "[\"string\",\"null\"]")), "a", "02", "a=null"},
        {RECORD(FIELD("a", "[\"string\",\"null\"]")), "a", "00 02 78", "a='x'"},
        {RECORD(FIELD("a", "[\"int\",\"string\",\"double\"]")), "a", "00 0a", "a=5"},
        {RECORD(FIELD("a", "[\"int\",\"string\",\"double\"]")), "a", "02 0278", "a='x'"},
        {RECORD(FIELD("a", "[\"int\",\"string\",\"double\"]")), "a", "04 000000000000f03f", "a=1d"},
        {RECORD(FIELD("a", "[\"null\"]")), "a", "00", "a=null"},
        {RECORD(FIELD("a", "[\"null\",\"long\"]") "," FIELD("b", "\"int\"")), "b", "02 0a 0c", "b=6"},
        {"[\"null\"," RECORD(FIELD("a", "\"int\"")) "]", "a", "02 0c", "a=6"},
        {"[\"null\"," RECORD(FIELD("a", "\"int\"")) "]", "a", "00", "a=null"},
    };
    CHECK(examples);
}

#define CARD "{\"type\":\"record\",\"name\":\"Card\",\"fields\":[" FIELD("token", "\"string\"") "," FIELD("year", "\"int\"") "]}"

static void dots_reach_into_nested_records(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {RECORD(FIELD("card", CARD) "," FIELD("z", "\"int\"")), "card.token,card.year,card,z", "0278 0a 0c",
         "card.token='x' card.year=5 card=other z=6"},
        {RECORD(FIELD("card", CARD) "," FIELD("z", "\"int\"")), "z", "0278 0a 0c", "z=6"},
        {RECORD(FIELD("card", "[\"null\"," CARD "]")), "card.token,card.year,card.no", "00", "card.token=null card.year=null card.no=null"},
        {RECORD(FIELD("card", "[\"null\"," CARD "]")), "card.token,card.no", "02 0278 0a", "card.token='x' card.no=absent"},
        {RECORD(FIELD("card", "[\"null\"," CARD "]")), "card.token", "00", "card.token=null"},
        {RECORD(FIELD("card", "[\"null\"," CARD ",\"string\"]")), "card.token,card", "04 0279", "card.token=absent card='y'"},
        {RECORD(FIELD("cards", "{\"type\":\"array\",\"items\":" CARD "}")), "cards.token,cards", "02 0278 0a 00", "cards.token=other cards=other"},
        {RECORD(FIELD("m", "{\"type\":\"map\",\"values\":\"int\"}")), "m.k", "00", "m.k=other"},
        {RECORD(FIELD("l", LIST)), "l.v,l.next.v,l.next.next.v", "02 02 04 00", "l.v=1 l.next.v=2 l.next.next.v=null"},
        {RECORD(FIELD("card", CARD) "," FIELD("cardx", "\"int\"")), "card,cardx,car", "0278 0a 0c", "card=other cardx=6 car=absent"},
    };
    CHECK(examples);
}

static void times_and_decimals_are_integers(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {RECORD(FIELD("t", TIME("timestamp-millis"))), "x,y,t", "d20f", "x=absent y=absent t=1001"},
        {RECORD(FIELD("t", TIME("timestamp-micros"))), "x,y,t", "9e1f", "x=absent y=absent t=1"},
        {RECORD(FIELD("t", TIME("timestamp-micros"))), "x,y,t", "01", "x=absent y=absent t=-1"},
        {RECORD(FIELD("t", TIME("timestamp-micros"))), "x,y,t", "cf0f", "x=absent y=absent t=-1"},
        {RECORD(FIELD("t", TIME("timestamp-micros"))), "x,y,t", "d10f", "x=absent y=absent t=-2"},
        {RECORD(FIELD("t", TIME("timestamp-nanos"))), "x,y,t", "80897a", "x=absent y=absent t=1"},
        {RECORD(FIELD("t", TIME("local-timestamp-micros"))), "x,y,t", "d00f", "x=absent y=absent t=1"},
        {RECORD(FIELD("t", "[\"null\"," TIME("timestamp-micros") "]")), "x,y,t", "02 d00f", "x=absent y=absent t=1"},
        {RECORD(FIELD("t", TIME("timestamp-micros"))), "t", "d00f", "t=1000"}, /* not the time slot */
        {RECORD(FIELD("t", "\"string\"")), "x,y,t", "0231", "x=absent y=absent t='1'"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "00", "d=0"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "02 ff", "d=-1"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "04 0100", "d=256"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "10 7fffffffffffffff", "d=9223372036854775807"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "12 008000000000000000", "d=9223372036854775807"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "12 007fffffffffffffff", "d=9223372036854775807"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "12 ff8000000000000001", "d=-9223372036854775807"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "12 ff7fffffffffffffff", "d=-9223372036854775808"},
        {RECORD(FIELD("d", DECIMAL_BYTES)), "d", "12 010000000000000000", "d=9223372036854775807"},
        {RECORD(FIELD("d", DECIMAL_FIXED)), "d", "fffffe", "d=-2"},
        {RECORD(FIELD("d", DECIMAL_FIXED)), "d", "010000", "d=65536"},
    };
    CHECK(examples);
}

static void blocks_may_have_a_byte_size(void **state)
{
    (void)state;
    static const char strings[] = RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"string\"}") "," FIELD("b", "\"int\""));
    static const char doubles[] = RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"double\"}") "," FIELD("b", "\"int\""));
    static const char map[] = RECORD(FIELD("a", "{\"type\":\"map\",\"values\":\"boolean\"}") "," FIELD("b", "\"int\""));
    static const struct example examples[] = {
        {strings, "b", "02 0278 04 0279 00 00 0a", "b=5"},
        {strings, "b", "03 08 0278 0279 00 0a", "b=5"},
        {strings, "b", "03 06 0278 0279 00 0a", "decode_error at a: the bytes end inside a string"},
        {strings, "b", "03 0a 0278 0279 00 0a", "decode_error at a: a block whose byte size is not its content's"},
        {strings, "b", "03 02 0278 0279 00 0a", "decode_error at a: the bytes end inside a string"},
        {strings, "b", "03 7e 0278 0279 00 0a", "decode_error at a: a block larger than the bytes that are left"},
        {strings, "b", "03 01 0278 0279 00 0a", "decode_error at a: a negative length"},
        {strings, "b", "ffffffffffffffffff01 00 00", "decode_error at a: an impossible number of items"},
        {doubles, "b", "01 10 0000000000000000 00 0a", "b=5"},
        {doubles, "b", "01 12 0000000000000000 00 0a", "decode_error at a: a block whose byte size is not its content's"},
        {doubles, "b", "04 0000000000000000 00 0a", "decode_error at a: the bytes end inside a value of fixed size"},
        {map, "b", "02 0278 01 00 0a", "b=5"},
        {map, "b", "01 06 0278 01 00 0a", "b=5"},
        {map, "b", "02 0278 02 00 0a", "decode_error at a: a boolean that is neither 0 nor 1"},
        {map, "b", "02 02ff 01 00 0a", "decode_error at a: a string that is not UTF-8"},
    };
    CHECK(examples);
}

static void every_fault_names_field_and_cause(void **state)
{
    (void)state;
    static const char two[] = RECORD(FIELD("a", "\"string\"") "," FIELD("b", "\"int\""));
    static const char fixed[] = RECORD(FIELD("a", "\"double\"") "," FIELD("b", "\"float\"") "," FIELD("c", CARD));
    static const char channel[] = RECORD(FIELD("a", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\",\"Y\"]}"));
    static const struct example examples[] = {
        {two, "a,b", "", "decode_error at a: the bytes end inside a number"},
        {two, "a,b", "04 78", "decode_error at a: the bytes end inside a string"},
        {two, "b", "04 78", "decode_error at a: the bytes end inside a string"},
        {two, "a,b", "01", "decode_error at a: a negative length"},
        {two, "a,b", "feffffffffffffffff01", "decode_error at a: the bytes end inside a string"},
        {two, "a,b", "ffffffffffffffffff01", "decode_error at a: a negative length"},
        {two, "a,b", "ffffffffffffffffff02", "decode_error at a: a number of more than 64 bits"},
        {two, "a,b", "8080808080808080808000", "decode_error at a: a number of more than 64 bits"},
        {two, "a,b", "0278 808080801000", "decode_error at b: an int of more than 32 bits"},
        {two, "a", "0278 808080801000", "decode_error at b: an int of more than 32 bits"},
        {two, "a,b", "0278 80", "decode_error at b: the bytes end inside a number"},
        {two, "a,b", "0278 0a 00", "trailing_bytes: bytes are left after the value"},
        {two, "b", "04c0af 0a", "decode_error at a: a string that is not UTF-8"},
        {two, "a", "06eda080 0a", "decode_error at a: a string that is not UTF-8"},
        {two, "a", "08f4908080 0a", "decode_error at a: a string that is not UTF-8"},
        {two, "a", "02c3 0a", "decode_error at a: a string that is not UTF-8"},
        {two, "a", "1461616161616161616180 0a", "decode_error at a: a string that is not UTF-8"},
        {fixed, "", "00", "decode_error at a: the bytes end inside a value of fixed size"},
        {fixed, "", "0000000000000000 000000", "decode_error at b: the bytes end inside a value of fixed size"},
        {fixed, "c.year", "0000000000000000 00000000 0278 80", "decode_error at c.year: the bytes end inside a number"},
        {fixed, "", "0000000000000000 00000000 0278", "decode_error at c.year: the bytes end inside a number"},
        {fixed, "a", "00000000000000", "decode_error at a: the bytes end inside a value of fixed size"},
        {fixed, "b", "0000000000000000 000000", "decode_error at b: the bytes end inside a value of fixed size"},
        {channel, "a", "04", "decode_error at a: an enum index out of range"},
        {channel, "", "01", "decode_error at a: an enum index out of range"},
        {RECORD(FIELD("a", "\"boolean\"")), "a", "02", "decode_error at a: a boolean that is neither 0 nor 1"},
        {RECORD(FIELD("a", "\"boolean\"")), "", "", "decode_error at a: the bytes end inside a value of fixed size"},
        {RECORD(FIELD("a", "[\"null\",\"int\"]")), "a", "04", "decode_error at a: a union branch out of range"},
        {RECORD(FIELD("a", "[\"null\",\"int\"]")), "", "01", "decode_error at a: a union branch out of range"},
        {RECORD(FIELD("a", "[\"null\",\"int\",\"string\"]")), "a", "06", "decode_error at a: a union branch out of range"},
        {RECORD(FIELD("a", "[]")), "a", "00", "decode_error at a: a union branch out of range"},
        {RECORD(FIELD("a", "\"bytes\"")), "a", "04 00", "decode_error at a: the bytes end inside a string"},
    };
    CHECK(examples);
}

static void limits_hold(void **state)
{
    (void)state;
    static const char nulls[] = RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"null\"}"));
    static const char empties[] = RECORD(FIELD("a", "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"E\",\"fields\":[]}}"));
    static const char text[] = RECORD(FIELD("a", "\"string\""));
    static const char endless[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" FIELD("r", "\"R\"") "," FIELD("s", "\"R\"") "]}";
    static const char deep[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" FIELD("r", "{\"type\":\"array\",\"items\":\"R\"}") "]}";
    static const struct decode_limits small = {.string_bytes = 3, .block_items = 4, .depth = 3};
    static const struct example tight[] = {
        {text, "a", "06 616263", "a='abc'"},
        {text, "a", "08 61626364", "decode_error at a: a string longer than is allowed"},
        {text, "", "08 61626364", "decode_error at a: a string longer than is allowed"},
        {nulls, "", "08 00", ""},
        {nulls, "", "0a 00", "decode_error at a: more items than are allowed"},
        {nulls, "", "04 04 02 00", "decode_error at a: more items than are allowed"},
        {LIST, "v", "02 02 02 02 02 00", "v=1"},
        {LIST, "v", "02 02 02 02 02 02 02 00", "decode_error at next: nested deeper than is allowed"},
        {LIST, "next.next.v", "02 02 02 02 06 00", "next.next.v=3"},
        {LIST, "next.next.next.v", "02 02 02 02 06 00", "next.next.next.v=null"},
        {LIST, "next.next.next.v", "02 02 02 02 06 02", "decode_error at next.next.next: nested deeper than is allowed"},
    };
    static const struct example loose[] = {
        {nulls, "", "feffffffffffffffff01 00", "decode_error at a: more items than are allowed"},
        {empties, "", "80897a 00", ""},
        {empties, "", "82897a 00", "decode_error at a: more items than are allowed"},
        {endless, "", "", "decode_error at r: nested deeper than is allowed"},
        {deep, "", "02 02 02 02 00 00 00 00 00", ""},
    };
    check(tight, sizeof tight / sizeof *tight, small);
    check(loose, sizeof loose / sizeof *loose, decode_limits_default);
}

/* 2^63 zero-width values by name: skipped at once.  A chain of types longer than the stack: compiled all the same. */
static void schemas_that_multiply_cost_nothing(void **state)
{
    (void)state;
    struct buffer text = {0};
    char part[256], result[2048];
    put_bytes_raw(&text, "[", 1);
    for (int i = 0; i < 3000; i++) {
        int n = i == 0 ? snprintf(part, sizeof part, "{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}")
                       : snprintf(part, sizeof part, ",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":\"R%d\"},"
                                  "{\"name\":\"b\",\"type\":\"R%d\"}]}", i, i - 1, i - 1);
        put_bytes_raw(&text, part, (size_t)n);
    }
    put_bytes_raw(&text, "]", 2);
    static const uint8_t first[] = {0}, last[] = {0xee, 0x2e}; /* branch 2999 */
    decode_text((char *)text.data, NULL, "a.b", decode_limits_default, last, sizeof last, result, sizeof result);
    assert_string_equal(result, "a.b=other");
    decode_text((char *)text.data, (char *)text.data, "a.b", decode_limits_default, first, sizeof first, result, sizeof result);
    assert_string_equal(result, "a.b=absent");
    buffer_finish(&text);
    put_bytes_raw(&text, "[", 1);
    for (int i = 0; i < 3000; i++) { /* the same with a string at the bottom: each value is 2^i strings */
        int n = i == 0 ? snprintf(part, sizeof part, "{\"type\":\"record\",\"name\":\"R0\",\"fields\":[{\"name\":\"s\",\"type\":\"string\"}]}")
                       : snprintf(part, sizeof part, ",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":\"R%d\"},"
                                  "{\"name\":\"b\",\"type\":\"R%d\"}]}", i, i - 1, i - 1);
        put_bytes_raw(&text, part, (size_t)n);
    }
    put_bytes_raw(&text, "]", 2);
    static const uint8_t fourth[] = {6, 2, 'a', 2, 'b', 2, 'c', 2, 'd', 2, 'e', 2, 'f', 2, 'g', 2, 'h'};
    decode_text((char *)text.data, NULL, "b.b.b.s", decode_limits_default, fourth, sizeof fourth, result, sizeof result);
    assert_string_equal(result, "b.b.b.s='h'");
    decode_text((char *)text.data, NULL, "b.b.b.s", decode_limits_default, last, sizeof last, result, sizeof result);
    assert_non_null(strstr(result, "nested deeper than is allowed"));
    buffer_finish(&text);
}

static void consumed_tells_where_the_next_value_begins(void **state)
{
    (void)state;
    struct avro_schema *schema = schema_of(RECORD(FIELD("a", "\"int\"")));
    struct field_set fields;
    field_set_of(&fields, "a");
    struct decode_plan *plan;
    assert_int_equal(decode_plan_create(schema, NULL, &fields, decode_limits_default, &plan, NULL), 0);
    static const uint8_t bytes[] = {2, 0x80, 1, 6};
    size_t at = 0, consumed;
    static const int64_t expected[] = {1, 64, 3};
    for (int i = 0; i < 3; i++) {
        struct value value;
        assert_int_equal(decode_value(plan, bytes + at, sizeof bytes - at, &value, &consumed, NULL), 0);
        assert_int_equal(value.integer, expected[i]);
        at += consumed;
    }
    assert_int_equal(at, sizeof bytes);
    decode_plan_destroy(plan);
    avro_schema_destroy(schema);
    field_set_finish(&fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_has_its_value),
        cmocka_unit_test(unions_deliver_their_branch),
        cmocka_unit_test(dots_reach_into_nested_records),
        cmocka_unit_test(times_and_decimals_are_integers),
        cmocka_unit_test(blocks_may_have_a_byte_size),
        cmocka_unit_test(every_fault_names_field_and_cause),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(schemas_that_multiply_cost_nothing),
        cmocka_unit_test(consumed_tells_where_the_next_value_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
