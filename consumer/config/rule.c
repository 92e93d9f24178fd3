#include "consumer/config/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LITERALS_MAX = 10000 };

static int compare_scalars(const void *a, const void *b)
{
    const struct yaml_node *x = *(const struct yaml_node *const *)a, *y = *(const struct yaml_node *const *)b;
    int order = strcmp(x->text, y->text);
    return order ? order : (int)x->plain - (int)y->plain;
}

static int refuse_doubles(const struct reading *reading, const char *key, const struct yaml_node *list)
{
    const struct yaml_node **sorted = malloc((list->count + 1) * sizeof *sorted);
    if (!sorted)
        return err_set(reading->err, "%s: no memory", reading->file);
    memcpy(sorted, list->items, list->count * sizeof *sorted);
    qsort(sorted, list->count, sizeof *sorted, compare_scalars);
    int result = 0;
    for (size_t i = 1; i < list->count && !result; i++)
        if (!compare_scalars(&sorted[i - 1], &sorted[i]))
            result = reading_fail(reading, sorted[i]->line, key, "%s stands twice; remove one", excerpt_of(sorted[i]).text);
    free(sorted);
    return result;
}

int literals_read(const struct reading *reading, const char *key, const struct yaml_node *node, struct literal **literals, size_t *count)
{
    if (node->kind != YAML_IS_SEQUENCE)
        return reading_fail(reading, node->line, key, "%s is not a list; write [a, b]", excerpt_of(node).text);
    if (!node->count || node->count > LITERALS_MAX)
        return reading_fail(reading, node->line, key, "must list 1 to %d values", LITERALS_MAX);
    for (size_t i = 0; i < node->count; i++)
        if (node->items[i]->kind != YAML_IS_SCALAR || yaml_is_null(node->items[i]))
            return reading_fail(reading, node->items[i]->line, key, "entry %zu is not a text, number or boolean", i);
    if (refuse_doubles(reading, key, node) < 0)
        return -1;
    struct literal *made = calloc(node->count, sizeof *made);
    if (!made)
        return err_set(reading->err, "%s: no memory", reading->file);
    int result = 0;
    for (size_t i = 0; i < node->count; i++) {
        made[i] = literal_make(node->items[i]->text, node->items[i]->size, !node->items[i]->plain);
        if (!made[i].text)
            result = err_set(reading->err, "%s: no memory", reading->file);
    }
    if (result) {
        for (size_t i = 0; i < node->count; i++)
            literal_finish(&made[i]);
        free(made);
        return -1;
    }
    *literals = made;
    *count = node->count;
    return 0;
}

static int read_bound(const struct reading *reading, const char *key, const char *leaf, const struct yaml_node *node, bool *has, double *bound)
{
    static const double exact = 9007199254740992.0; /* 2^53: beyond it a double is not every integer */
    char full[256];
    double value;
    if (!node)
        return 0;
    snprintf(full, sizeof full, "%s.%s", key, leaf);
    if (!yaml_real(node, &value))
        return reading_fail(reading, node->line, full, "%s is not a number", excerpt_of(node).text);
    if (value > exact || value < -exact)
        return reading_fail(reading, node->line, full, "%s is out of range -2^53..2^53", excerpt_of(node).text);
    *has = true;
    *bound = value;
    return 0;
}

int predicate_read(const struct reading *reading, const char *key, const struct yaml_node *mapping, struct predicate *predicate)
{
    const struct yaml_node *in = yaml_find(mapping, "in"), *not_in = yaml_find(mapping, "not_in"), *min = yaml_find(mapping, "min"),
                           *max = yaml_find(mapping, "max");
    int kinds = (in != NULL) + (not_in != NULL) + (min || max);
    if (kinds != 1)
        return reading_fail(reading, mapping->line, key, "%s: write one of in: [...], not_in: [...], or min and max",
                            kinds ? "more than one condition" : "no condition");
    struct predicate p = {.slot = -1, .kind = in ? PREDICATE_IN : not_in ? PREDICATE_NOT_IN : PREDICATE_RANGE};
    if (read_bound(reading, key, "min", min, &p.has_min, &p.min) < 0 || read_bound(reading, key, "max", max, &p.has_max, &p.max) < 0)
        return -1;
    if (p.has_min && p.has_max && p.min > p.max)
        return reading_fail(reading, min->line, key, "min %.17g is greater than max %.17g", p.min, p.max);
    if (in || not_in) {
        char full[256];
        snprintf(full, sizeof full, "%s.%s", key, in ? "in" : "not_in");
        if (literals_read(reading, full, in ? in : not_in, &p.literals, &p.count) < 0)
            return -1;
    }
    *predicate = p;
    return 0;
}

json_t *predicate_show(const struct predicate *predicate, json_t *into)
{
    if (predicate->has_min)
        json_object_set_new(into, "min", json_real(predicate->min));
    if (predicate->has_max)
        json_object_set_new(into, "max", json_real(predicate->max));
    if (predicate->kind != PREDICATE_RANGE) {
        json_t *list = json_array();
        for (size_t i = 0; i < predicate->count; i++)
            json_array_append_new(list, json_stringn(predicate->literals[i].text, predicate->literals[i].size));
        json_object_set_new(into, predicate->kind == PREDICATE_IN ? "in" : "not_in", list);
    }
    return into;
}
