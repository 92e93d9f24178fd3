/* YAML text into the bounded tree: what stands in it, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/config/yaml.h"

static struct yaml_node *parse(const char *text)
{
    struct yaml_node *root = NULL;
    struct err err = {0};
    if (yaml_parse("f.yaml", text, strlen(text), &root, &err) < 0)
        fail_msg("%s", err.msg);
    return root;
}

static void the_tree_keeps_order_style_and_place(void **state)
{
    (void)state;
    struct yaml_node *root = parse("a: 1\nb:\n  - x\n  - 'y'\nc: {d: \"NO\", e: NO}\n");
    assert_int_equal(root->kind, YAML_IS_MAPPING);
    assert_int_equal(root->count, 3);
    assert_string_equal(root->pairs[2].key->text, "c");
    const struct yaml_node *b = yaml_find(root, "b"), *d = yaml_find(yaml_find(root, "c"), "d"), *e = yaml_find(yaml_find(root, "c"), "e");
    assert_int_equal(b->kind, YAML_IS_SEQUENCE);
    assert_int_equal(b->count, 2);
    assert_true(b->items[0]->plain);
    assert_false(b->items[1]->plain);
    assert_string_equal(b->items[1]->text, "y");
    assert_int_equal(b->items[1]->line, 4);
    assert_int_equal(b->items[1]->column, 5);
    assert_false(d->plain);
    assert_true(e->plain);
    assert_int_equal(e->line, 5);
    assert_null(yaml_find(root, "z"));
    yaml_destroy(root);
}

static void only_true_and_false_are_booleans(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int value; /* -1: not a boolean */
    } cases[] = {{"true", 1},  {"True", 1}, {"TRUE", 1}, {"false", 0}, {"False", 0}, {"FALSE", 0}, {"NO", -1}, {"no", -1},      {"yes", -1},
                 {"Yes", -1},  {"on", -1},  {"off", -1}, {"y", -1},    {"n", -1},    {"1", -1},    {"0", -1},  {"\"true\"", -1}, {"tRUE", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        snprintf(text, sizeof text, "a: %s", cases[i].text);
        struct yaml_node *root = parse(text);
        bool value = false;
        bool is = yaml_bool(yaml_find(root, "a"), &value);
        if (is != (cases[i].value >= 0) || (is && value != cases[i].value))
            fail_msg("%s: boolean %d, value %d", cases[i].text, is, value);
        yaml_destroy(root);
    }
}

static void numbers_are_decimal_and_plain(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_integer, is_real;
        double value;
    } cases[] = {
        {"0", true, true, 0},
        {"-7", true, true, -7},
        {"+7", true, true, 7},
        {"007", true, true, 7},
        {"9223372036854775807", true, true, 9223372036854775807.0},
        {"9223372036854775808", false, true, 9223372036854775808.0},
        {"0.5", false, true, 0.5},
        {".5", false, true, 0.5},
        {"5.", false, true, 5},
        {"1e3", false, true, 1000},
        {"1.5E-2", false, true, 0.015},
        {"1e999", false, false, 0},
        {"1e", false, false, 0},
        {".", false, false, 0},
        {"+", false, false, 0},
        {"0x10", false, false, 0},
        {"1_000", false, false, 0},
        {".inf", false, false, 0},
        {".nan", false, false, 0},
        {"nan", false, false, 0},
        {"1 2", false, false, 0},
        {"'1'", false, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        snprintf(text, sizeof text, "a: %s", cases[i].text);
        struct yaml_node *root = parse(text);
        int64_t whole = 0;
        double real = 0;
        bool is_integer = yaml_integer(yaml_find(root, "a"), &whole), is_real = yaml_real(yaml_find(root, "a"), &real);
        if (is_integer != cases[i].is_integer || is_real != cases[i].is_real || (is_real && (real < cases[i].value || real > cases[i].value)) ||
            (is_integer && whole != (cases[i].value < 9e18 ? (int64_t)cases[i].value : INT64_MAX)))
            fail_msg("%s: integer %d (%lld), real %d (%g)", cases[i].text, is_integer, (long long)whole, is_real, real);
        yaml_destroy(root);
    }
}

static void what_is_refused_names_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "f.yaml: the file is empty"},
        {"# only a comment\n", "f.yaml: the file is empty"},
        {"~\n", "f.yaml: the file is empty"},
        {"a: 1\nb: &x 2\n", "f.yaml:2: anchors (&x) are not allowed; write the value out"},
        {"a: *x\n", "f.yaml:1: aliases (*x) are not allowed; write the value out"},
        {"a: 1\nb: !!str 5\n", "f.yaml:2: tags (tag:yaml.org,2002:str) are not allowed; quote the value if it is text"},
        {"a: !!map {}\n", "f.yaml:1: tags (tag:yaml.org,2002:map) are not allowed; quote the value if it is text"},
        {"%TAG ! tag:x,2000:\n--- a\n", "f.yaml:1: %TAG directives are not allowed"},
        {"a: 1\n---\nb: 2\n", "f.yaml:2: a second document (---) is not allowed"},
        {"a: {b: 1}\nc:\n  <<: {d: 1}\n", "f.yaml:3: merge keys (<<) are not allowed; write the keys out"},
        {"a: 1\nb: 2\na: 3\n", "f.yaml:3: the key 'a' stands twice, first on line 1; remove one"},
        {"x: {b: 2, 'b': 3}\n", "f.yaml:1: the key 'b' stands twice, first on line 1; remove one"},
        {"? [1, 2]\n: 3\n", "f.yaml:1: a key must be text"},
        {"a: \"x\\0y\"\n", "f.yaml:1: a zero byte is not allowed in text"},
        {"a: [1, 2\n", "f.yaml:2: column 1: did not find expected ',' or ']' (while parsing a flow sequence)"},
        {"a: b: c\n", "f.yaml:1: column 5: mapping values are not allowed in this context"},
        {"a: \xff\n", "f.yaml: byte 3: invalid leading UTF-8 octet"},
        {"a:\n\t- 1\n", "f.yaml:2: column 1: found character that cannot start any token (while scanning for the next token)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct yaml_node *root = NULL;
        struct err err = {0};
        int result = yaml_parse("f.yaml", cases[i].text, strlen(cases[i].text), &root, &err);
        if (result == 0)
            fail_msg("accepted: %s", cases[i].text);
        assert_string_equal(err.msg, cases[i].message);
        assert_null(root);
    }
}

/* `before` repeated `count` times between `head` and `tail`. */
static char *repeated(const char *head, const char *part, size_t count, const char *tail)
{
    size_t n = strlen(part);
    char *text = malloc(strlen(head) + n * count + strlen(tail) + 1), *p = stpcpy(text, head);
    for (size_t i = 0; i < count; i++)
        p = stpcpy(p, part);
    strcpy(p, tail);
    return text;
}

static void assert_answer(char *text, const char *message)
{
    struct yaml_node *root = NULL;
    struct err err = {0};
    int result = yaml_parse("f.yaml", text, strlen(text), &root, &err);
    free(text);
    yaml_destroy(root);
    assert_int_equal(result, message ? -1 : 0);
    if (message)
        assert_string_equal(err.msg, message);
}

static void bounds_hold_exactly(void **state)
{
    (void)state;
    assert_answer(repeated("", "[", YAML_DEPTH_MAX, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), NULL);
    assert_answer(repeated("", "[", YAML_DEPTH_MAX + 1, ""), "f.yaml:1: nested deeper than 32 levels");
    assert_answer(repeated("[", "1,", YAML_NODES_MAX - 1, "]"), NULL);
    assert_answer(repeated("[", "1,", YAML_NODES_MAX, "]"), "f.yaml:1: more than 100000 values; split the file");
    assert_answer(repeated("a: 1\n", "#", YAML_TEXT_MAX, "\n"), "f.yaml: 4194310 bytes, more than the 4194304 that a YAML file may have");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_keeps_order_style_and_place), cmocka_unit_test(only_true_and_false_are_booleans),
        cmocka_unit_test(numbers_are_decimal_and_plain),        cmocka_unit_test(what_is_refused_names_the_line),
        cmocka_unit_test(bounds_hold_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
