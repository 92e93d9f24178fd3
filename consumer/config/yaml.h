/* A YAML text as a bounded tree.
 *
 * The subset that a configuration needs: one document of scalars, sequences and mappings with scalar keys.
 * Anchors, aliases, tags, merge keys, a second document and a key that stands twice are refused with their line.
 * Bounds: YAML_TEXT_MAX bytes, YAML_NODES_MAX nodes, YAML_DEPTH_MAX levels; a mapping's keys are compared by
 * sorting, so the cost is O(n log n) of the text. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "scoring/err.h"

enum { YAML_TEXT_MAX = 4 << 20, YAML_NODES_MAX = 100000, YAML_DEPTH_MAX = 32 };

enum yaml_kind { YAML_IS_SCALAR, YAML_IS_SEQUENCE, YAML_IS_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    bool plain;       /* a scalar without quotes (and no block scalar): only such a one is a number, boolean or null */
    int line, column; /* from 1 */
    char *text;       /* of a scalar: UTF-8, no zero byte inside */
    size_t size;
    size_t count; /* items, or pairs */
    struct yaml_node **items;
    struct yaml_pair {
        struct yaml_node *key, *value;
    } *pairs; /* in the order of the file */
};

/* `name` stands in messages: "<name>:<line>: ...".  An empty document is refused. */
int yaml_parse(const char *name, const char *text, size_t size, struct yaml_node **out, struct err *err);
void yaml_destroy(struct yaml_node *node);

const struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key); /* the value, or NULL */

/* The core schema of YAML 1.2: `NO`, `yes` and `on` are text. */
bool yaml_is_null(const struct yaml_node *node);
bool yaml_bool(const struct yaml_node *node, bool *value);
bool yaml_integer(const struct yaml_node *node, int64_t *value); /* decimal, within int64 */
bool yaml_real(const struct yaml_node *node, double *value);     /* decimal and finite; integers too */
