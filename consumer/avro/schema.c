/* The schema parser: one walk over jansson's tree.
 *
 * Named types enter the table before their fields are read, so a reference resolves to an edge whether the type is
 * finished or one of those around it.  A type's width is known when it is finished; a reference to an unfinished one
 * (a recursive type) has none.  Cost: linear in the text. */
#include "consumer/avro/schema.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "consumer/avro/arena.h"

struct avro_schema {
    struct arena arena;
    struct avro_type_node *root;
    json_t **trees; /* of the references and the schema: defaults point into them */
    size_t tree_count;
};

struct parser {
    struct avro_schema *schema;
    struct arena *arena;
    json_t *names; /* full name -> address of its node */
    size_t types;
    struct avro_type_node *plain[AVRO_T_STRING + 1]; /* one node serves all uses of a plain primitive */
    const char *record, *field; /* being read, for messages */
    struct err *err;
};

static const char *const primitive_names[AVRO_T_STRING + 1] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};

static int parse_type(struct parser *p, const json_t *json, const char *space, struct avro_type_node **out);

static int fail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct parser *p, const char *format, ...)
{
    char cause[512];
    va_list args;
    va_start(args, format);
    vsnprintf(cause, sizeof cause, format, args);
    va_end(args);
    if (p->field)
        return err_set(p->err, "schema: field \"%.100s\" of \"%.200s\": %s", p->field, p->record, cause);
    if (p->record)
        return err_set(p->err, "schema: record \"%.200s\": %s", p->record, cause);
    return err_set(p->err, "schema: %s", cause);
}

/* The text of a JSON string; NULL if it is none, or holds a zero byte (as only a default may). */
static const char *text_of(const json_t *json)
{
    const char *text = json_string_value(json);
    return text && strlen(text) == json_string_length(json) ? text : NULL;
}

static int primitive_find(const char *name)
{
    for (int i = 0; i <= AVRO_T_STRING; i++)
        if (!strcmp(name, primitive_names[i]))
            return i;
    return -1;
}

static bool name_valid(const char *text, bool dots)
{
    for (bool first = true;; text++) {
        char c = *text;
        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9'))
            first = false;
        else if (first || c == 0)
            return !first && c == 0;
        else if (dots && c == '.')
            first = true;
        else
            return false;
    }
}

/* `name` as seen in namespace `space`, as a full name. */
static char *full_name(struct parser *p, const char *name, const char *space)
{
    if (strchr(name, '.') || !*space)
        return arena_text(p->arena, name, strlen(name));
    size_t size = strlen(space) + 1 + strlen(name);
    char *full = arena_take(p->arena, size + 1);
    snprintf(full, size + 1, "%s.%s", space, name);
    return full;
}

static char *namespace_of(struct parser *p, const char *full)
{
    const char *dot = strrchr(full, '.');
    return arena_text(p->arena, full, dot ? (size_t)(dot - full) : 0);
}

static struct avro_type_node *node_create(struct parser *p, enum avro_type type)
{
    if (++p->types > SCHEMA_TYPES_MAX) {
        fail(p, "more than %d types", SCHEMA_TYPES_MAX);
        return NULL;
    }
    struct avro_type_node *node = arena_take(p->arena, sizeof *node);
    node->type = type;
    node->width = type == AVRO_T_NULL ? 0 : type == AVRO_T_FLOAT ? 4 : type == AVRO_T_DOUBLE ? 8 : -1;
    return node;
}

static struct avro_type_node *name_find(const struct parser *p, const char *full)
{
    const json_t *address = json_object_get(p->names, full);
    return address ? (struct avro_type_node *)(uintptr_t)json_integer_value(address) : NULL;
}

/* A type by its name alone.  As Avro's Java does, a name that the enclosing namespace has not is also looked for
 * without one. */
static int parse_reference(struct parser *p, const char *name, const char *space, struct avro_type_node **out)
{
    int primitive = primitive_find(name);
    if (primitive >= 0) {
        if (!p->plain[primitive] && !(p->plain[primitive] = node_create(p, (enum avro_type)primitive)))
            return -1;
        *out = p->plain[primitive];
        return 0;
    }
    struct avro_type_node *node = name_find(p, full_name(p, name, space));
    if (!node)
        node = name_find(p, name);
    if (!node)
        return fail(p, "unknown type \"%.200s\"", name);
    *out = node;
    return 0;
}

static int parse_aliases(struct parser *p, const json_t *json, const char *space, char ***aliases, size_t *count)
{
    const json_t *list = json_object_get(json, "aliases");
    if (!list)
        return 0;
    if (!json_is_array(list))
        return fail(p, "\"aliases\" is not a list of names");
    size_t n = json_array_size(list);
    char **names = arena_take(p->arena, n * sizeof *names);
    for (size_t i = 0; i < n; i++) {
        const char *name = text_of(json_array_get(list, i));
        if (!name || !name_valid(name, space != NULL))
            return fail(p, "alias %zu is not a name", i + 1);
        names[i] = full_name(p, name, space ? space : "");
    }
    *aliases = names;
    *count = n;
    return 0;
}

/* Name, namespace and aliases of a record, enum or fixed; enters it into the table. */
static int parse_name(struct parser *p, const json_t *json, const char *kind, const char *space, struct avro_type_node *node)
{
    const char *name = text_of(json_object_get(json, "name"));
    if (!name)
        return fail(p, "a type \"%s\" has no \"name\"", kind);
    if (!name_valid(name, true))
        return fail(p, "\"%.200s\" is not a valid name", name);
    const json_t *own = json_object_get(json, "namespace");
    if (own && !json_is_null(own)) {
        const char *text = text_of(own);
        if (!text || (*text && !name_valid(text, true)))
            return fail(p, "the namespace of \"%.200s\" is not a valid name", name);
        space = text;
    }
    node->name = full_name(p, name, space);
    if (primitive_find(node->name) >= 0)
        return fail(p, "a type may not be named \"%s\"", node->name);
    if (name_find(p, node->name))
        return fail(p, "\"%.200s\" is defined twice", node->name);
    json_object_set_new(p->names, node->name, json_integer((json_int_t)(uintptr_t)node));
    return parse_aliases(p, json, namespace_of(p, node->name), &node->aliases, &node->alias_count);
}

static int parse_field(struct parser *p, const json_t *json, const char *space, json_t *seen, struct avro_field *field)
{
    const char *name = text_of(json_object_get(json, "name"));
    if (!name)
        return fail(p, "a field has no \"name\"");
    p->field = name;
    if (!name_valid(name, false))
        return fail(p, "not a valid name");
    if (json_object_get(seen, name))
        return fail(p, "defined twice");
    json_object_set_new(seen, name, json_true());
    field->name = arena_text(p->arena, name, strlen(name));
    field->default_value = json_object_get(json, "default");
    const json_t *type = json_object_get(json, "type");
    if (!type)
        return fail(p, "it has no \"type\"");
    if (parse_aliases(p, json, NULL, &field->aliases, &field->alias_count) < 0)
        return -1;
    return parse_type(p, type, space, &field->type);
}

/* Fixed widths add up; the sum saturates far beyond any record. */
static int64_t width_sum(int64_t a, int64_t b)
{
    const int64_t most = (int64_t)1 << 60;
    return a < 0 || b < 0 ? -1 : a > most - b ? most : a + b;
}

static int parse_record(struct parser *p, const json_t *json, const char *space, struct avro_type_node **out)
{
    struct avro_type_node *node = node_create(p, AVRO_T_RECORD);
    if (!node || parse_name(p, json, "record", space, node) < 0)
        return -1;
    const char *outer_record = p->record, *outer_field = p->field;
    p->record = node->name;
    p->field = NULL;
    const json_t *list = json_object_get(json, "fields");
    if (!json_is_array(list))
        return fail(p, "it has no list of \"fields\"");
    size_t count = json_array_size(list);
    node->fields = arena_take(p->arena, count * sizeof *node->fields);
    const char *inner = namespace_of(p, node->name);
    json_t *seen = json_object();
    int result = 0;
    int64_t width = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = parse_field(p, json_array_get(list, i), inner, seen, &node->fields[i]);
        p->field = result < 0 ? p->field : NULL;
        width = result < 0 ? -1 : width_sum(width, node->fields[i].type->width);
    }
    json_decref(seen);
    if (result < 0)
        return -1;
    node->count = count;
    node->width = width;
    p->record = outer_record;
    p->field = outer_field;
    *out = node;
    return 0;
}

static int parse_enum(struct parser *p, const json_t *json, const char *space, struct avro_type_node **out)
{
    struct avro_type_node *node = node_create(p, AVRO_T_ENUM);
    if (!node || parse_name(p, json, "enum", space, node) < 0)
        return -1;
    const json_t *list = json_object_get(json, "symbols");
    if (!json_is_array(list))
        return fail(p, "enum \"%.200s\" has no list of \"symbols\"", node->name);
    node->count = json_array_size(list);
    node->symbols = arena_take(p->arena, node->count * sizeof *node->symbols);
    json_t *seen = json_object();
    int result = 0;
    for (size_t i = 0; i < node->count && result == 0; i++) {
        const char *symbol = text_of(json_array_get(list, i));
        if (!symbol || !name_valid(symbol, false)) {
            result = fail(p, "symbol %zu of enum \"%.200s\" is not a valid name", i + 1, node->name);
        } else if (json_object_get(seen, symbol)) {
            result = fail(p, "enum \"%.200s\" lists \"%.100s\" twice", node->name, symbol);
        } else {
            json_object_set_new(seen, symbol, json_true());
            node->symbols[i] = arena_text(p->arena, symbol, strlen(symbol));
        }
    }
    const json_t *chosen = json_object_get(json, "default");
    if (result == 0 && chosen) {
        const char *symbol = text_of(chosen);
        if (!symbol || !json_object_get(seen, symbol))
            result = fail(p, "the default of enum \"%.200s\" is not one of its symbols", node->name);
        else
            node->default_symbol = arena_text(p->arena, symbol, strlen(symbol));
    }
    json_decref(seen);
    *out = node;
    return result;
}

static int parse_fixed(struct parser *p, const json_t *json, const char *space, struct avro_type_node **out)
{
    struct avro_type_node *node = node_create(p, AVRO_T_FIXED);
    if (!node || parse_name(p, json, "fixed", space, node) < 0)
        return -1;
    const json_t *size = json_object_get(json, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0 || json_integer_value(size) > INT32_MAX)
        return fail(p, "fixed \"%.200s\" has no \"size\" between 0 and 2147483647", node->name);
    node->size = (size_t)json_integer_value(size);
    node->width = (int64_t)node->size;
    *out = node;
    return 0;
}

static int parse_items(struct parser *p, const json_t *json, enum avro_type type, const char *space, struct avro_type_node **out)
{
    const char *key = type == AVRO_T_ARRAY ? "items" : "values";
    const json_t *items = json_object_get(json, key);
    if (!items)
        return fail(p, "%s without \"%s\"", type == AVRO_T_ARRAY ? "an array" : "a map", key);
    struct avro_type_node *node = node_create(p, type);
    if (!node)
        return -1;
    node->branches = arena_take(p->arena, sizeof *node->branches);
    node->count = 1;
    *out = node;
    return parse_type(p, items, space, &node->branches[0]);
}

static int parse_union(struct parser *p, const json_t *list, const char *space, struct avro_type_node **out)
{
    struct avro_type_node *node = node_create(p, AVRO_T_UNION);
    if (!node)
        return -1;
    size_t count = json_array_size(list);
    node->branches = arena_take(p->arena, count * sizeof *node->branches);
    json_t *seen = json_object();
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = parse_type(p, json_array_get(list, i), space, &node->branches[i]);
        if (result < 0)
            break;
        const struct avro_type_node *branch = node->branches[i];
        char unnamed[16];
        snprintf(unnamed, sizeof unnamed, " %d", branch->type); /* no name begins with a space */
        const char *key = branch->name ? branch->name : unnamed;
        if (branch->type == AVRO_T_UNION)
            result = fail(p, "a union directly in a union");
        else if (json_object_get(seen, key))
            result = fail(p, "a union has two branches of %s", branch->name ? branch->name : "one type");
        json_object_set_new(seen, key, json_true());
    }
    json_decref(seen);
    node->count = result == 0 ? count : 0;
    *out = node;
    return result;
}

/* decimal as the specification bounds it; one that is not valid is ignored, as it says. */
static void parse_decimal(const json_t *json, struct avro_type_node *node)
{
    const json_t *precision = json_object_get(json, "precision"), *scale = json_object_get(json, "scale");
    json_int_t digits = json_integer_value(precision), places = json_integer_value(scale);
    bool valid = json_is_integer(precision) && (!scale || json_is_integer(scale)) && digits > 0 && places >= 0 && places <= digits &&
                 digits <= INT32_MAX;
    if (node->type == AVRO_T_FIXED)
        valid = valid && (double)digits <= floor((8.0 * (double)node->size - 1) * log10(2));
    if (!valid)
        return;
    node->logical = AVRO_L_DECIMAL;
    node->precision = (int)digits;
    node->scale = (int)places;
}

static void parse_logical(const json_t *json, struct avro_type_node *node)
{
    static const struct {
        const char *name;
        enum avro_logical logical;
    } times[] = {{"timestamp-millis", AVRO_L_TIMESTAMP_MILLIS}, {"local-timestamp-millis", AVRO_L_TIMESTAMP_MILLIS},
                 {"timestamp-micros", AVRO_L_TIMESTAMP_MICROS}, {"local-timestamp-micros", AVRO_L_TIMESTAMP_MICROS},
                 {"timestamp-nanos", AVRO_L_TIMESTAMP_NANOS},   {"local-timestamp-nanos", AVRO_L_TIMESTAMP_NANOS}};
    const char *name = text_of(json_object_get(json, "logicalType"));
    if (!name)
        return;
    if ((node->type == AVRO_T_BYTES || node->type == AVRO_T_FIXED) && !strcmp(name, "decimal"))
        parse_decimal(json, node);
    for (size_t i = 0; node->type == AVRO_T_LONG && i < sizeof times / sizeof *times; i++)
        if (!strcmp(name, times[i].name))
            node->logical = times[i].logical;
}

static int parse_object(struct parser *p, const json_t *json, const char *space, struct avro_type_node **out)
{
    const json_t *type = json_object_get(json, "type");
    if (json_is_object(type) || json_is_array(type)) /* {"type": {"type": ...}}: seen in the wild */
        return parse_type(p, type, space, out);
    const char *name = text_of(type);
    if (!name)
        return fail(p, "a type without \"type\"");
    if (!strcmp(name, "record"))
        return parse_record(p, json, space, out);
    if (!strcmp(name, "enum"))
        return parse_enum(p, json, space, out);
    if (!strcmp(name, "array"))
        return parse_items(p, json, AVRO_T_ARRAY, space, out);
    if (!strcmp(name, "map"))
        return parse_items(p, json, AVRO_T_MAP, space, out);
    bool fixed = !strcmp(name, "fixed");
    int primitive = primitive_find(name);
    if (!fixed && (primitive < 0 || !json_object_get(json, "logicalType")))
        return parse_reference(p, name, space, out);
    if (fixed ? parse_fixed(p, json, space, out) < 0 : !(*out = node_create(p, (enum avro_type)primitive)))
        return -1;
    parse_logical(json, *out);
    return 0;
}

static int parse_type(struct parser *p, const json_t *json, const char *space, struct avro_type_node **out)
{
    const char *name = text_of(json);
    if (name)
        return parse_reference(p, name, space, out);
    if (json_is_array(json))
        return parse_union(p, json, space, out);
    if (json_is_object(json))
        return parse_object(p, json, space, out);
    return fail(p, "a type is a name, an object or a list, nothing else");
}

static bool deeper_than(const json_t *json, int levels)
{
    const char *key;
    json_t *value;
    size_t i;
    if (!json_is_object(json) && !json_is_array(json))
        return false;
    if (levels == 0)
        return true;
    if (json_is_object(json)) {
        json_object_foreach ((json_t *)json, key, value)
            if (deeper_than(value, levels - 1))
                return true;
    } else {
        json_array_foreach (json, i, value)
            if (deeper_than(value, levels - 1))
                return true;
    }
    return false;
}

static int parse_text(struct parser *p, const char *text, size_t size, struct avro_type_node **out)
{
    if (size > SCHEMA_TEXT_MAX)
        return fail(p, "%zu bytes of text, more than the %d that are read", size, SCHEMA_TEXT_MAX);
    json_error_t error;
    json_t *tree = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!tree)
        return fail(p, "line %d, column %d: no valid JSON: %s", error.line, error.column, error.text);
    p->schema->trees[p->schema->tree_count++] = tree;
    if (deeper_than(tree, SCHEMA_DEPTH_MAX))
        return fail(p, "JSON nested deeper than %d levels", SCHEMA_DEPTH_MAX);
    p->record = p->field = NULL;
    return parse_type(p, tree, "", out);
}

int avro_schema_create(const char *text, size_t size, const struct avro_reference *references, size_t reference_count,
                       struct avro_schema **out, struct err *err)
{
    struct arena arena = {0};
    struct avro_schema *schema = arena_take(&arena, sizeof *schema);
    schema->trees = arena_take(&arena, (reference_count + 1) * sizeof(json_t *));
    schema->arena = arena;
    struct parser p = {.schema = schema, .arena = &schema->arena, .names = json_object(), .err = err};
    int result = 0;
    for (size_t i = 0; i < reference_count && result == 0; i++)
        result = parse_text(&p, references[i].text, strlen(references[i].text), &schema->root);
    if (result == 0)
        result = parse_text(&p, text, size, &schema->root);
    json_decref(p.names);
    if (result < 0)
        avro_schema_destroy(schema);
    else
        *out = schema;
    return result;
}

void avro_schema_destroy(struct avro_schema *schema)
{
    if (!schema)
        return;
    for (size_t i = 0; i < schema->tree_count; i++)
        json_decref(schema->trees[i]);
    struct arena arena = schema->arena; /* the schema itself lies in it */
    arena_finish(&arena);
}

const struct avro_type_node *avro_schema_root(const struct avro_schema *schema)
{
    return schema->root;
}

static void drop_docs(json_t *json)
{
    const char *key;
    json_t *value;
    size_t i;
    json_object_del(json, "doc");
    json_object_foreach (json, key, value)
        drop_docs(value);
    json_array_foreach (json, i, value)
        drop_docs(value);
}

int avro_schema_same(const char *a, const char *b)
{
    json_t *left = json_loads(a, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *right = json_loads(b, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    int same = 0;
    if (left && right && !deeper_than(left, SCHEMA_DEPTH_MAX) && !deeper_than(right, SCHEMA_DEPTH_MAX)) {
        drop_docs(left);
        drop_docs(right);
        same = json_equal(left, right);
    }
    json_decref(left);
    json_decref(right);
    return same;
}
