/* Random schemas and random values of them, written by Avro C and read by our plans: every wanted field is what was
 * written, all bytes are used, each truncation is a fault, and flipped bytes are a fault or a value, never more. */
#include "tests/unit/avro_case.h"

#include <avro.h>

enum { SCHEMAS = 300, VALUES = 12, ENCODED_MAX = 1 << 16, PATHS_MAX = 400, FLIPS = 40 };

struct dice {
    uint64_t state;
};

static uint64_t roll(struct dice *d) /* splitmix64 */
{
    uint64_t z = (d->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned below(struct dice *d, unsigned n)
{
    return (unsigned)(roll(d) % n);
}

/* ---- schemas ---- */

struct schema_writer {
    struct dice *dice;
    char text[1 << 16];
    size_t size;
    int names;
    char paths[PATHS_MAX][128]; /* of every record field outside arrays and maps */
    size_t path_count;
};

static void say(struct schema_writer *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct schema_writer *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    s->size += (size_t)vsnprintf(s->text + s->size, sizeof s->text - s->size, format, args);
    va_end(args);
    assert_true(s->size < sizeof s->text);
}

static void say_type(struct schema_writer *s, const char *path, int depth);

static void say_record(struct schema_writer *s, const char *path, int depth)
{
    int name = s->names++;
    say(s, "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[", name);
    unsigned fields = depth == 0 ? 3 + below(s->dice, 6) : below(s->dice, 5);
    for (unsigned i = 0; i < fields; i++) {
        char own[128] = "";
        if (path && strlen(path) < 100)
            snprintf(own, sizeof own, "%s%sf%u", path, *path ? "." : "", i);
        if (*own && s->path_count < PATHS_MAX)
            memcpy(s->paths[s->path_count++], own, sizeof own);
        say(s, "%s{\"name\":\"f%u\",\"type\":", i ? "," : "", i);
        if (below(s->dice, 12) == 0)
            say(s, "[\"null\",\"R%d\"]", name); /* recursion */
        else
            say_type(s, *own ? own : NULL, depth + 1);
        say(s, "}");
    }
    say(s, "]}");
}

static void say_union(struct schema_writer *s, const char *path, int depth)
{
    static const char *const plain[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
    unsigned chosen = below(s->dice, 2) ? 1 | 1u << (1 + below(s->dice, 7)) : (unsigned)roll(s->dice) & 0xff;
    bool first = true, flip = below(s->dice, 2);
    say(s, "[");
    for (int i = 0; i < 8; i++) {
        int at = flip ? 7 - i : i;
        if (chosen >> at & 1) {
            say(s, "%s\"%s\"", first ? "" : ",", plain[at]);
            first = false;
        }
    }
    if (first || below(s->dice, 3) == 0) {
        say(s, "%s", first ? "" : ",");
        say_record(s, path, depth + 1);
    }
    say(s, "]");
}

static void say_type(struct schema_writer *s, const char *path, int depth)
{
    static const char *const plain[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
    unsigned kind = below(s->dice, depth > 4 ? 10 : 17);
    if (kind < 8) {
        say(s, "\"%s\"", plain[kind]);
    } else if (kind == 8) {
        say(s, "{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":%u}", s->names++, 1 + below(s->dice, 20));
    } else if (kind == 9) {
        say(s, "{\"type\":\"enum\",\"name\":\"E%d\",\"symbols\":[\"A\",\"B\",\"CC\"]}", s->names++);
    } else if (kind == 10 || kind == 11) {
        say(s, "{\"type\":\"array\",\"items\":");
        say_type(s, NULL, depth + 1);
        say(s, "}");
    } else if (kind == 12) {
        say(s, "{\"type\":\"map\",\"values\":");
        say_type(s, NULL, depth + 1);
        say(s, "}");
    } else if (kind < 15) {
        say_union(s, path, depth + 1);
    } else {
        say_record(s, path, depth + 1);
    }
}

/* ---- values, and what the plan must make of them ---- */

struct expectation {
    struct dice *dice;
    const struct field_set *fields;
    struct value values[FIELD_SLOTS_MAX];
    char texts[1 << 18];
    size_t texts_size;
};

static void expect(struct expectation *e, const char *path, struct value value)
{
    int slot = path ? field_set_find(e->fields, path) : -1;
    if (slot >= 0)
        e->values[slot] = value;
}

/* The path and all below it. */
static void expect_all(struct expectation *e, const char *path, enum value_type type)
{
    for (size_t i = 0; path && i < e->fields->count; i++) {
        const char *name = e->fields->fields[i].name;
        size_t n = strlen(path);
        if (!strncmp(name, path, n) && (name[n] == 0 || name[n] == '.'))
            e->values[i] = (struct value){.type = type};
    }
}

static size_t random_text(struct dice *d, char text[512])
{
    static const char *const pieces[] = {"a", "Z", "7", " ", "\u00e9", "\u20ac", "\U0001f600", "\u0800", "\U0010ffff", "longer piece of text"};
    size_t n = 0;
    text[0] = 0;
    for (unsigned i = below(d, 20); i > 0; i--)
        n += (size_t)snprintf(text + n, 512 - n, "%s", pieces[below(d, 4) ? below(d, 4) : below(d, 10)]);
    return n;
}

static int64_t random_long(struct dice *d)
{
    uint64_t bits = roll(d) >> below(d, 64);
    return below(d, 2) ? (int64_t)bits : (int64_t)(0 - bits);
}

static void fill(struct expectation *e, avro_value_t *value, const char *path, int depth);

static void fill_record(struct expectation *e, avro_value_t *value, const char *path, int depth)
{
    size_t count;
    avro_value_get_size(value, &count);
    expect(e, path, (struct value){.type = VALUE_OTHER});
    for (size_t i = 0; i < count; i++) {
        avro_value_t field;
        const char *name;
        char own[160];
        assert_int_equal(avro_value_get_by_index(value, i, &field, &name), 0);
        if (path)
            snprintf(own, sizeof own, "%s%s%s", path, *path ? "." : "", name);
        fill(e, &field, path ? own : NULL, depth + 1);
    }
}

static void fill_union(struct expectation *e, avro_value_t *value, const char *path, int depth)
{
    avro_value_t branch;
    avro_schema_t schema = avro_value_get_schema(value);
    unsigned count = (unsigned)avro_schema_union_size(schema), chosen = below(e->dice, count);
    for (unsigned i = 0; depth > 12 && i < count; i++) /* end a recursion */
        if (is_avro_null(avro_schema_union_branch(schema, (int)i)))
            chosen = i;
    assert_int_equal(avro_value_set_branch(value, (int)chosen, &branch), 0);
    fill(e, &branch, path, depth);
}

static void fill_items(struct expectation *e, avro_value_t *value, const char *path, int depth, bool map)
{
    expect_all(e, path, VALUE_OTHER);
    for (unsigned i = depth > 8 ? 0 : below(e->dice, 4); i > 0; i--) {
        avro_value_t item;
        char key[512];
        random_text(e->dice, key);
        snprintf(key + strlen(key), 16, "%u", i);
        if (map)
            avro_value_add(value, key, &item, NULL, NULL);
        else
            avro_value_append(value, &item, NULL);
        fill(e, &item, NULL, depth + 1);
    }
}

static void fill_text(struct expectation *e, avro_value_t *value, const char *path)
{
    char text[512];
    size_t size = random_text(e->dice, text);
    assert_true(e->texts_size + size < sizeof e->texts);
    char *kept = memcpy(e->texts + e->texts_size, text, size);
    e->texts_size += size;
    avro_value_set_string_len(value, text, size + 1);
    expect(e, path, (struct value){.type = VALUE_TEXT, .size = (uint32_t)size, .text = kept});
}

static void fill(struct expectation *e, avro_value_t *value, const char *path, int depth)
{
    static const char *const symbols[] = {"A", "B", "CC"};
    uint8_t bytes[64];
    int64_t number = random_long(e->dice);
    double real = (double)number * 1e-3;
    unsigned symbol = below(e->dice, 3);
    size_t size = below(e->dice, 40);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)roll(e->dice);
    switch (avro_value_get_type(value)) {
    case AVRO_NULL:
        avro_value_set_null(value);
        expect_all(e, path, VALUE_NULL);
        break;
    case AVRO_BOOLEAN:
        avro_value_set_boolean(value, number & 1);
        expect(e, path, (struct value){.type = VALUE_BOOL, .integer = number & 1});
        break;
    case AVRO_INT32:
        avro_value_set_int(value, (int32_t)number);
        expect(e, path, (struct value){.type = VALUE_INT, .integer = (int32_t)number});
        break;
    case AVRO_INT64:
        avro_value_set_long(value, number);
        expect(e, path, (struct value){.type = VALUE_INT, .integer = number});
        break;
    case AVRO_FLOAT:
        avro_value_set_float(value, (float)real);
        expect(e, path, (struct value){.type = VALUE_DOUBLE, .real = (double)(float)real});
        break;
    case AVRO_DOUBLE:
        avro_value_set_double(value, real);
        expect(e, path, (struct value){.type = VALUE_DOUBLE, .real = real});
        break;
    case AVRO_BYTES:
        avro_value_set_bytes(value, bytes, size);
        expect(e, path, (struct value){.type = VALUE_OTHER});
        break;
    case AVRO_FIXED:
        avro_value_set_fixed(value, bytes, (size_t)avro_schema_fixed_size(avro_value_get_schema(value)));
        expect(e, path, (struct value){.type = VALUE_OTHER});
        break;
    case AVRO_ENUM:
        avro_value_set_enum(value, (int)symbol);
        expect(e, path, (struct value){.type = VALUE_TEXT, .size = (uint32_t)strlen(symbols[symbol]), .text = symbols[symbol]});
        break;
    case AVRO_STRING: fill_text(e, value, path); break;
    case AVRO_ARRAY: fill_items(e, value, path, depth, false); break;
    case AVRO_MAP: fill_items(e, value, path, depth, true); break;
    case AVRO_UNION: fill_union(e, value, path, depth); break;
    case AVRO_RECORD: fill_record(e, value, path, depth); break;
    default: fail_msg("a type that no schema here has");
    }
}

/* ---- the checks ---- */

static void values_are(const char *schema, const struct field_set *fields, const struct value *got, const struct value *expected)
{
    for (size_t i = 0; i < fields->count; i++) {
        bool same = got[i].type == expected[i].type;
        if (same && got[i].type == VALUE_TEXT)
            same = got[i].size == expected[i].size && !memcmp(got[i].text, expected[i].text, got[i].size);
        else if (same && got[i].type == VALUE_DOUBLE)
            same = !memcmp(&got[i].real, &expected[i].real, sizeof got[i].real);
        else if (same && (got[i].type == VALUE_INT || got[i].type == VALUE_BOOL))
            same = got[i].integer == expected[i].integer;
        if (!same) {
            char text[4096] = "";
            append_value(text, sizeof text, "got", &got[i]);
            append_value(text, sizeof text, "expected", &expected[i]);
            fail_msg("%s\nfield %s: %s", schema, fields->fields[i].name, text);
        }
    }
}

static int decode_exact(const struct decode_plan *plan, const void *data, size_t size, struct value *values, struct decode_fault *fault)
{
    uint8_t *copy = exact_copy(data, size);
    int result = decode_value(plan, copy, size, values, NULL, fault);
    free(copy);
    return result;
}

static void damage_is_a_fault(struct dice *d, const struct decode_plan *plan, const uint8_t *data, size_t size)
{
    struct value values[FIELD_SLOTS_MAX];
    struct decode_fault fault;
    size_t step = size > 300 ? size / 150 : 1;
    for (size_t cut = 0; cut < size; cut += step) {
        assert_int_equal(decode_exact(plan, data, cut, values, &fault), -1);
        assert_int_equal(fault.reason, REJECT_DECODE_ERROR);
        assert_non_null(fault.what);
    }
    uint8_t *flipped = malloc(size + 1);
    for (int i = 0; i < FLIPS && size; i++) {
        memcpy(flipped, data, size);
        for (unsigned n = 1 + below(d, 3); n > 0; n--)
            flipped[below(d, (unsigned)size)] = (uint8_t)roll(d);
        decode_exact(plan, flipped, size, values, &fault);
    }
    memcpy(flipped, data, size);
    flipped[size] = 0;
    assert_int_equal(decode_exact(plan, flipped, size + 1, values, &fault), -1);
    assert_int_equal(fault.reason, REJECT_TRAILING_BYTES);
    free(flipped);
}

static void choose_fields(struct dice *d, const struct schema_writer *s, struct field_set *fields)
{
    field_set_init(fields);
    unsigned keep = 1 + below(d, 4);
    for (size_t i = 0; i < s->path_count; i++)
        if (below(d, keep) == 0)
            assert_true(field_set_add(fields, s->paths[i], FIELD_USE_ANY) >= 0);
    field_set_add(fields, "no.such.field", FIELD_USE_ANY);
}

static void check_values(struct dice *d, const struct schema_writer *s, const struct decode_plan *plan, const struct field_set *fields)
{
    static struct expectation e;
    static char encoded[ENCODED_MAX];
    avro_schema_t schema;
    avro_value_t value;
    struct value got[FIELD_SLOTS_MAX];
    struct decode_fault fault;
    if (avro_schema_from_json_length(s->text, s->size, &schema))
        fail_msg("%s: %s", s->text, avro_strerror());
    avro_value_iface_t *class = avro_generic_class_from_schema(schema);
    avro_generic_value_new(class, &value);
    for (int i = 0; i < VALUES; i++) {
        memset(e.values, 0, sizeof e.values);
        e.dice = d;
        e.fields = fields;
        e.texts_size = 0;
        avro_value_reset(&value);
        fill(&e, &value, "", 0);
        avro_writer_t writer = avro_writer_memory(encoded, sizeof encoded);
        bool fits = avro_value_write(writer, &value) == 0;
        size_t size = (size_t)avro_writer_tell(writer);
        avro_writer_free(writer);
        if (!fits)
            continue;
        uint8_t *copy = exact_copy(encoded, size);
        if (decode_value(plan, copy, size, got, NULL, &fault) < 0)
            fail_msg("%s: %s: %s", s->text, fault.field ? fault.field : "-", fault.what);
        values_are(s->text, fields, got, e.values);
        free(copy);
        if (i < 3)
            damage_is_a_fault(d, plan, (const uint8_t *)encoded, size);
    }
    avro_value_decref(&value);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
}

/* The same plan must come of a reader that is the writer. */
static void what_avro_c_writes_is_read_back(void **state)
{
    (void)state;
    static struct schema_writer s;
    struct dice d = {20261121};
    for (int i = 0; i < SCHEMAS; i++) {
        s = (struct schema_writer){.dice = &d};
        say_record(&s, "", 0);
        struct avro_schema *schema = schema_of(s.text);
        struct field_set fields;
        choose_fields(&d, &s, &fields);
        for (int resolved = 0; resolved < 2; resolved++) {
            struct decode_plan *plan;
            struct err err;
            if (decode_plan_create(schema, resolved ? schema : NULL, &fields, decode_limits_default, &plan, &err) < 0)
                fail_msg("%s: %s", s.text, err.msg);
            check_values(&d, &s, plan, &fields);
            decode_plan_destroy(plan);
        }
        avro_schema_destroy(schema);
        field_set_finish(&fields);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_avro_c_writes_is_read_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
