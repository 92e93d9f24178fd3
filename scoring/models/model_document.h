/* The text of an XGBoost model file as a tree of values: JSON, or the part of UBJSON that XGBoost writes.
 *
 * Nothing in the file is trusted: sizes, depth and the number of values are bounded, an object that names a key
 * twice is refused (the library takes one of the two, a checker might take the other), and so is anything after
 * the value.  An array of numbers alone (or booleans, as 0 and 1) is one packed value.
 *
 * Cost: one pass; memory at most about ten times the file. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "scoring/err.h"

enum { DOCUMENT_DEPTH_MAX = 32, DOCUMENT_VALUES_MAX = 1 << 22 };

enum node_kind { NODE_NULL, NODE_NUMBER, NODE_TEXT, NODE_NUMBERS, NODE_ARRAY, NODE_OBJECT };

struct member;
struct node {
    enum node_kind kind;
    uint32_t count; /* bytes of text, numbers, items, members */
    union {
        double number;
        const char *text; /* ends with a zero byte beyond count */
        const double *numbers;
        const struct member *members; /* of arrays too, without keys; of objects ascending by key */
    };
};
struct member {
    const char *key;
    uint32_t key_size;
    struct node value;
};

struct document;
int document_parse(const void *bytes, size_t size, struct document **out, struct err *err);
void document_destroy(struct document *document);
const struct node *document_root(const struct document *document);
/* NULL if `object` is no object or has no such key. */
const struct node *node_member(const struct node *object, const char *key);
