#include "consumer/avro/resolve.h"

#include <string.h>
#include "consumer/avro/steps.h"

static const char *last_part(const char *full)
{
    const char *dot = strrchr(full, '.');
    return dot ? dot + 1 : full;
}

static bool names_match(const struct avro_type_node *writer, const struct avro_type_node *reader)
{
    const char *name = last_part(writer->name);
    if (!strcmp(name, last_part(reader->name)))
        return true;
    for (size_t i = 0; i < reader->alias_count; i++)
        if (!strcmp(name, last_part(reader->aliases[i])))
            return true;
    return false;
}

static bool decimals_match(const struct avro_type_node *writer, const struct avro_type_node *reader)
{
    return writer->logical != AVRO_L_DECIMAL || reader->logical != AVRO_L_DECIMAL ||
           (writer->precision == reader->precision && writer->scale == reader->scale);
}

static bool items_match(const struct avro_type_node *writer, const struct avro_type_node *reader)
{
    return writer->type == AVRO_T_UNION || reader->type == AVRO_T_UNION || resolve_matches(writer, reader);
}

bool resolve_matches(const struct avro_type_node *writer, const struct avro_type_node *reader)
{
    enum avro_type w = writer->type, r = reader->type;
    if (w != r) {
        bool number = w >= AVRO_T_INT && r <= AVRO_T_DOUBLE && w < r;
        bool text = (w == AVRO_T_STRING && r == AVRO_T_BYTES) || (w == AVRO_T_BYTES && r == AVRO_T_STRING);
        return number || text;
    }
    switch (w) {
    case AVRO_T_RECORD:
    case AVRO_T_ENUM:
        return names_match(writer, reader);
    case AVRO_T_FIXED:
        return names_match(writer, reader) && writer->size == reader->size && decimals_match(writer, reader);
    case AVRO_T_BYTES:
        return decimals_match(writer, reader);
    case AVRO_T_ARRAY:
    case AVRO_T_MAP:
        return items_match(writer->branches[0], reader->branches[0]);
    default:
        return true;
    }
}

/* 0: no match, 1: by promotion, 2: of one type, 3: of one type and full name. */
static int match_rank(const struct avro_type_node *writer, const struct avro_type_node *reader)
{
    if (!resolve_matches(writer, reader))
        return 0;
    if (writer->type != reader->type)
        return 1;
    return writer->name && strcmp(writer->name, reader->name) ? 2 : 3;
}

const struct avro_type_node *resolve_reader(const struct avro_type_node *writer, const struct avro_type_node *reader)
{
    if (reader->type != AVRO_T_UNION)
        return resolve_matches(writer, reader) ? reader : NULL;
    const struct avro_type_node *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < reader->count; i++) {
        int rank = match_rank(writer, reader->branches[i]);
        if (rank > best_rank) {
            best = reader->branches[i];
            best_rank = rank;
        }
    }
    return best;
}

void resolve_fields(const struct avro_type_node *writer, const struct avro_type_node *reader, int *match, bool *taken)
{
    json_t *names = json_object(), *aliases = json_object();
    for (size_t i = reader->count; i-- > 0;) { /* backwards: of two equal aliases the first counts */
        json_object_set_new(names, reader->fields[i].name, json_integer((json_int_t)i));
        for (size_t j = 0; j < reader->fields[i].alias_count; j++)
            json_object_set_new(aliases, reader->fields[i].aliases[j], json_integer((json_int_t)i));
    }
    for (size_t i = 0; i < writer->count; i++) {
        const json_t *found = json_object_get(names, writer->fields[i].name);
        match[i] = found ? (int)json_integer_value(found) : -1;
        if (found)
            taken[match[i]] = true;
    }
    for (size_t i = 0; i < writer->count; i++) {
        const json_t *found = match[i] < 0 ? json_object_get(aliases, writer->fields[i].name) : NULL;
        if (!found || taken[json_integer_value(found)])
            continue;
        match[i] = (int)json_integer_value(found);
        taken[match[i]] = true;
    }
    json_decref(names);
    json_decref(aliases);
}

/* JSON stands for bytes by the code points 0 to 255. */
static bool default_bytes(struct arena *arena, const json_t *json, uint8_t **bytes, size_t *size)
{
    const char *text = json_string_value(json);
    if (!text)
        return false;
    size_t length = json_string_length(json), n = 0;
    uint8_t *out = arena_take(arena, length);
    for (size_t i = 0; i < length; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c >= 0x80) {
            if (c > 0xc3) /* jansson gives valid UTF-8: c2 and c3 lead the code points 80 to ff */
                return false;
            c = (uint8_t)((c << 6) | ((uint8_t)text[++i] & 0x3f));
        }
        out[n++] = c;
    }
    *bytes = out;
    *size = n;
    return true;
}

static bool default_binary(struct arena *arena, const struct avro_type_node *type, const json_t *json, struct value *value)
{
    uint8_t *bytes;
    size_t size;
    if (!default_bytes(arena, json, &bytes, &size) || (type->type == AVRO_T_FIXED && size != type->size))
        return false;
    if (type->logical == AVRO_L_DECIMAL)
        *value = (struct value){.type = VALUE_INT, .integer = decimal_value(bytes, size)};
    return true;
}

static bool default_items(struct arena *arena, const struct avro_type_node *type, const json_t *json)
{
    const struct avro_type_node *item = type->branches[0];
    const char *key;
    json_t *element;
    size_t i;
    struct value ignored;
    if (type->type == AVRO_T_ARRAY ? !json_is_array(json) : !json_is_object(json))
        return false;
    json_array_foreach ((json_t *)json, i, element)
        if (!resolve_default(arena, item, element, &ignored))
            return false;
    json_object_foreach ((json_t *)json, key, element)
        if (!resolve_default(arena, item, element, &ignored))
            return false;
    return true;
}

static bool default_text(struct arena *arena, const struct avro_type_node *type, const json_t *json, struct value *value)
{
    const char *text = json_string_value(json);
    size_t size = json_string_length(json);
    if (!text || size > UINT32_MAX)
        return false;
    bool known = type->type == AVRO_T_STRING;
    for (size_t i = 0; i < type->count && !known; i++)
        known = strlen(type->symbols[i]) == size && !strcmp(type->symbols[i], text);
    *value = (struct value){.type = VALUE_TEXT, .size = (uint32_t)size, .text = arena_text(arena, text, size)};
    return known;
}

bool resolve_default(struct arena *arena, const struct avro_type_node *type, const json_t *json, struct value *value)
{
    int64_t integer = json_integer_value(json);
    double real = json_number_value(json);
    *value = (struct value){.type = VALUE_OTHER};
    switch (type->type) {
    case AVRO_T_NULL:
        value->type = VALUE_NULL;
        return json_is_null(json);
    case AVRO_T_BOOLEAN:
        *value = (struct value){.type = VALUE_BOOL, .integer = json_is_true(json)};
        return json_is_boolean(json);
    case AVRO_T_INT:
    case AVRO_T_LONG:
        *value = (struct value){.type = VALUE_INT, .integer = integer};
        return json_is_integer(json) && (type->type == AVRO_T_LONG || integer == (int32_t)integer);
    case AVRO_T_FLOAT:
    case AVRO_T_DOUBLE:
        *value = (struct value){.type = VALUE_DOUBLE, .real = type->type == AVRO_T_FLOAT ? (double)(float)real : real};
        return json_is_number(json);
    case AVRO_T_STRING:
    case AVRO_T_ENUM:
        return default_text(arena, type, json, value);
    case AVRO_T_BYTES:
    case AVRO_T_FIXED:
        return default_binary(arena, type, json, value);
    case AVRO_T_ARRAY:
    case AVRO_T_MAP:
        return default_items(arena, type, json);
    case AVRO_T_RECORD:
        return json_is_object(json);
    case AVRO_T_UNION: /* the first branch by the letter; any by Avro 1.12 */
        for (size_t i = 0; i < type->count; i++)
            if (resolve_default(arena, type->branches[i], json, value))
                return true;
        return false;
    }
    return false;
}
