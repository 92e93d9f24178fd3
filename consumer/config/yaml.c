/* libyaml's events into the tree: a stack of open collections, each event either opens one, closes one, or is a
 * scalar that joins the innermost.  In a mapping a scalar is a key when none is waiting for its value. */
#include "consumer/config/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct open_collection {
    struct yaml_node *node;
    struct yaml_node *key; /* of a mapping: waits for its value */
    size_t capacity;
};

struct tree_builder {
    const char *name;
    struct err *err;
    size_t nodes;
    unsigned depth;
    struct open_collection open[YAML_DEPTH_MAX];
    struct yaml_node *root;
    unsigned documents;
};

void yaml_destroy(struct yaml_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++) {
        if (node->kind == YAML_IS_MAPPING) {
            yaml_destroy(node->pairs[i].key);
            yaml_destroy(node->pairs[i].value);
        } else {
            yaml_destroy(node->items[i]);
        }
    }
    free(node->items);
    free(node->pairs);
    free(node->text);
    free(node);
}

static int no_memory(struct tree_builder *b)
{
    return err_set(b->err, "%s: no memory", b->name);
}

/* Appends to the innermost collection (or makes the root); owns `node` from here, also on failure. */
static int tree_add(struct tree_builder *b, struct yaml_node *node)
{
    if (!b->depth) {
        b->root = node;
        return 0;
    }
    struct open_collection *top = &b->open[b->depth - 1];
    struct yaml_node *into = top->node;
    if (into->kind == YAML_IS_MAPPING && !top->key) {
        if (node->kind != YAML_IS_SCALAR) {
            err_set(b->err, "%s:%d: a key must be text", b->name, node->line);
        } else if (node->plain && !strcmp(node->text, "<<")) {
            err_set(b->err, "%s:%d: merge keys (<<) are not allowed; write the keys out", b->name, node->line);
        } else {
            top->key = node;
            return 0;
        }
        yaml_destroy(node);
        return -1;
    }
    if (into->count == top->capacity) {
        size_t capacity = top->capacity ? 2 * top->capacity : 8;
        bool pairs = into->kind == YAML_IS_MAPPING;
        void *grown = pairs ? realloc(into->pairs, capacity * sizeof *into->pairs) : realloc(into->items, capacity * sizeof *into->items);
        if (!grown) {
            yaml_destroy(node);
            return no_memory(b);
        }
        if (pairs)
            into->pairs = grown;
        else
            into->items = grown;
        top->capacity = capacity;
    }
    if (into->kind == YAML_IS_MAPPING) {
        into->pairs[into->count++] = (struct yaml_pair){top->key, node};
        top->key = NULL;
    } else {
        into->items[into->count++] = node;
    }
    return 0;
}

static struct yaml_node *node_create(struct tree_builder *b, enum yaml_kind kind, const yaml_event_t *event)
{
    int line = (int)event->start_mark.line + 1;
    if (++b->nodes > YAML_NODES_MAX) {
        err_set(b->err, "%s:%d: more than %d values; split the file", b->name, line, YAML_NODES_MAX);
        return NULL;
    }
    struct yaml_node *node = calloc(1, sizeof *node);
    if (!node) {
        no_memory(b);
        return NULL;
    }
    *node = (struct yaml_node){.kind = kind, .line = line, .column = (int)event->start_mark.column + 1};
    return node;
}

static int refuse_marks(struct tree_builder *b, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    int line = (int)event->start_mark.line + 1;
    if (anchor)
        return err_set(b->err, "%s:%d: anchors (&%.40s) are not allowed; write the value out", b->name, line, (const char *)anchor);
    if (tag)
        return err_set(b->err, "%s:%d: tags (%.40s) are not allowed; quote the value if it is text", b->name, line, (const char *)tag);
    return 0;
}

static int add_scalar(struct tree_builder *b, const yaml_event_t *event)
{
    if (refuse_marks(b, event, event->data.scalar.anchor, event->data.scalar.tag) < 0)
        return -1;
    struct yaml_node *node = node_create(b, YAML_IS_SCALAR, event);
    if (!node)
        return -1;
    size_t size = event->data.scalar.length;
    if (memchr(event->data.scalar.value, 0, size)) {
        err_set(b->err, "%s:%d: a zero byte is not allowed in text", b->name, node->line);
        yaml_destroy(node);
        return -1;
    }
    node->text = malloc(size + 1);
    if (!node->text) {
        yaml_destroy(node);
        return no_memory(b);
    }
    memcpy(node->text, event->data.scalar.value, size);
    node->text[size] = 0;
    node->size = size;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return tree_add(b, node);
}

static int open_node(struct tree_builder *b, enum yaml_kind kind, const yaml_event_t *event)
{
    const yaml_char_t *anchor = kind == YAML_IS_MAPPING ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag = kind == YAML_IS_MAPPING ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    if (refuse_marks(b, event, anchor, tag) < 0)
        return -1;
    if (b->depth == YAML_DEPTH_MAX)
        return err_set(b->err, "%s:%d: nested deeper than %d levels", b->name, (int)event->start_mark.line + 1, YAML_DEPTH_MAX);
    struct yaml_node *node = node_create(b, kind, event);
    if (!node || tree_add(b, node) < 0)
        return -1;
    b->open[b->depth++] = (struct open_collection){.node = node};
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const struct yaml_node *x = *(const struct yaml_node *const *)a, *y = *(const struct yaml_node *const *)b;
    int order = strcmp(x->text, y->text);
    return order ? order : x->line != y->line ? (x->line > y->line) - (x->line < y->line) : (x->column > y->column) - (x->column < y->column);
}

static int refuse_double_keys(struct tree_builder *b, const struct yaml_node *mapping)
{
    if (mapping->count < 2)
        return 0;
    const struct yaml_node **keys = malloc(mapping->count * sizeof *keys);
    if (!keys)
        return no_memory(b);
    for (size_t i = 0; i < mapping->count; i++)
        keys[i] = mapping->pairs[i].key;
    qsort(keys, mapping->count, sizeof *keys, compare_keys);
    int result = 0;
    for (size_t i = 1; i < mapping->count && !result; i++)
        if (!strcmp(keys[i - 1]->text, keys[i]->text))
            result = err_set(b->err, "%s:%d: the key '%.60s' stands twice, first on line %d; remove one", b->name, keys[i]->line,
                             keys[i]->text, keys[i - 1]->line);
    free(keys);
    return result;
}

static int take_event(struct tree_builder *b, const yaml_event_t *event)
{
    int line = (int)event->start_mark.line + 1;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
            return err_set(b->err, "%s:%d: %%TAG directives are not allowed", b->name, line);
        if (++b->documents > 1)
            return err_set(b->err, "%s:%d: a second document (---) is not allowed", b->name, line);
        return 0;
    case YAML_ALIAS_EVENT:
        return err_set(b->err, "%s:%d: aliases (*%.40s) are not allowed; write the value out", b->name, line,
                       (const char *)event->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        return add_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(b, YAML_IS_SEQUENCE, event);
    case YAML_MAPPING_START_EVENT:
        return open_node(b, YAML_IS_MAPPING, event);
    case YAML_MAPPING_END_EVENT:
        if (refuse_double_keys(b, b->open[b->depth - 1].node) < 0)
            return -1;
        b->depth--;
        return 0;
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return 0;
    default:
        return 0;
    }
}

static int parse_failed(const char *name, const yaml_parser_t *parser, struct err *err)
{
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_READER_ERROR)
        return err_set(err, "%s: byte %zu: %s", name, parser->problem_offset, problem);
    int line = (int)parser->problem_mark.line + 1, column = (int)parser->problem_mark.column + 1;
    if (parser->context)
        return err_set(err, "%s:%d: column %d: %s (%s)", name, line, column, problem, parser->context);
    return err_set(err, "%s:%d: column %d: %s", name, line, column, problem);
}

int yaml_parse(const char *name, const char *text, size_t size, struct yaml_node **out, struct err *err)
{
    if (size > YAML_TEXT_MAX)
        return err_set(err, "%s: %zu bytes, more than the %d that a YAML file may have", name, size, YAML_TEXT_MAX);
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return err_set(err, "%s: no memory", name);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);

    struct tree_builder builder = {.name = name, .err = err};
    int result = 0;
    for (bool end = false; !end && !result;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            result = parse_failed(name, &parser, err);
        } else {
            result = take_event(&builder, &event);
            end = event.type == YAML_STREAM_END_EVENT;
            yaml_event_delete(&event);
        }
    }
    yaml_parser_delete(&parser);
    for (unsigned i = 0; i < builder.depth; i++)
        yaml_destroy(builder.open[i].key);
    if (!result && (!builder.root || yaml_is_null(builder.root)))
        result = err_set(err, "%s: the file is empty", name);
    if (result)
        yaml_destroy(builder.root);
    else
        *out = builder.root;
    return result;
}

const struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key)
{
    if (mapping->kind != YAML_IS_MAPPING)
        return NULL;
    for (size_t i = 0; i < mapping->count; i++)
        if (!strcmp(mapping->pairs[i].key->text, key))
            return mapping->pairs[i].value;
    return NULL;
}

static bool plain_is(const struct yaml_node *node, const char *a, const char *b, const char *c)
{
    return node->kind == YAML_IS_SCALAR && node->plain && (!strcmp(node->text, a) || !strcmp(node->text, b) || !strcmp(node->text, c));
}

bool yaml_is_null(const struct yaml_node *node)
{
    return plain_is(node, "null", "Null", "NULL") || plain_is(node, "~", "", "");
}

bool yaml_bool(const struct yaml_node *node, bool *value)
{
    bool yes = plain_is(node, "true", "True", "TRUE");
    if (!yes && !plain_is(node, "false", "False", "FALSE"))
        return false;
    *value = yes;
    return true;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

bool yaml_integer(const struct yaml_node *node, int64_t *value)
{
    if (node->kind != YAML_IS_SCALAR || !node->plain)
        return false;
    const char *first = node->text + (*node->text == '-' || *node->text == '+');
    if (!*first || first[digits(first)])
        return false;
    errno = 0;
    long long parsed = strtoll(node->text, NULL, 10);
    if (errno)
        return false;
    *value = parsed;
    return true;
}

bool yaml_real(const struct yaml_node *node, double *value)
{
    if (node->kind != YAML_IS_SCALAR || !node->plain)
        return false;
    const char *p = node->text + (*node->text == '-' || *node->text == '+');
    size_t whole = digits(p), fraction = 0;
    p += whole;
    if (*p == '.') {
        fraction = digits(++p);
        p += fraction;
    }
    if (!whole && !fraction)
        return false;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        if (!digits(p))
            return false;
        p += digits(p);
    }
    double parsed = strtod(node->text, NULL);
    if (*p || !isfinite(parsed))
        return false;
    *value = parsed;
    return true;
}
