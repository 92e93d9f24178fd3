/* Fuzz target of everything that Avro bytes reach: schema parser, plans with and without a reader, decoding.
 *
 * The input is a schema's text, a zero byte, and a value's bytes; an empty text takes schema `value[0]` of a list.
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined this file with the sources of consumer/avro, scoring/err.c
 * and scoring/field_set.c; tests/unit/test_avro_fuzz.c drives it in a fixed loop. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "consumer/avro/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char *const fuzz_schemas[] = {
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"},{\"name\":\"b\",\"type\":\"long\"},{\"name\":\"c\","
    "\"type\":[\"null\",\"double\"]},{\"name\":\"d\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\",\"Y\"]}},{\"name\":\"e\","
    "\"type\":\"boolean\"},{\"name\":\"f\",\"type\":\"int\"}]}",
    "{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":[\"null\",\"L\"]}]}",
    "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":\"T\"}},{\"name\":\"b\",\"type\":"
    "{\"type\":\"map\",\"values\":\"T\"}}]}",
    "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":\"null\"}},{\"name\":\"b\",\"type\":"
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"Z\",\"fields\":[]}}},{\"name\":\"c\",\"type\":{\"type\":\"map\",\"values\":"
    "\"null\"}}]}",
    "{\"type\":\"record\",\"name\":\"D\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9}},"
    "{\"name\":\"b\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":12,\"logicalType\":\"decimal\",\"precision\":9}},{\"name\":\"c\",\"type\":"
    "[\"bytes\",\"string\",\"float\",{\"type\":\"array\",\"items\":[\"int\",\"string\"]}]}]}",
};
const size_t fuzz_schema_count = sizeof fuzz_schemas / sizeof *fuzz_schemas;

static void decode(const struct avro_schema *writer, const struct avro_schema *reader, const uint8_t *data, size_t size)
{
    static const struct decode_limits limits = {.string_bytes = 4096, .block_items = 10000, .depth = 40};
    struct field fields[] = {{.name = (char []){"a"}}, {.name = (char []){"b"}}, {.name = (char []){"c"}}, {.name = (char []){"b.a"}},
                             {.name = (char []){"d"}}, {.name = (char []){"b.b.b.a"}}};
    const struct field_set set = {.count = sizeof fields / sizeof *fields, .fields = fields};
    struct decode_plan *plan;
    struct value values[sizeof fields / sizeof *fields];
    struct decode_fault fault = {0};
    if (decode_plan_create(writer, reader, &set, limits, &plan, NULL) < 0)
        return;
    size_t consumed = 0;
    if (decode_value(plan, data, size, values, &consumed, &fault) < 0 ? !fault.what : consumed > size)
        abort();
    decode_plan_destroy(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t text_size = zero ? (size_t)(zero - data) : size;
    const uint8_t *value = zero ? zero + 1 : data + size;
    size_t value_size = size - text_size - (zero != NULL);
    const char *text = (const char *)data;
    if (text_size == 0 && value_size > 0) {
        text = fuzz_schemas[value[0] % fuzz_schema_count];
        text_size = strlen(text);
        value++;
        value_size--;
    }
    struct avro_schema *writer, *reader;
    if (avro_schema_create(text, text_size, NULL, 0, &writer, NULL) < 0)
        return 0;
    uint8_t *copy = malloc(value_size ? value_size : 1); /* ends where its memory ends */
    if (!copy)
        abort();
    memcpy(copy, value, value_size);
    decode(writer, NULL, copy, value_size);
    decode(writer, writer, copy, value_size);
    if (avro_schema_create(fuzz_schemas[value_size % fuzz_schema_count], strlen(fuzz_schemas[value_size % fuzz_schema_count]), NULL, 0,
                           &reader, NULL) == 0) {
        decode(writer, reader, copy, value_size);
        decode(reader, writer, copy, value_size);
        avro_schema_destroy(reader);
    }
    free(copy);
    avro_schema_destroy(writer);
    return 0;
}
