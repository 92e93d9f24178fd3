#include "consumer/changelog/rules.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/schema.h"
#include "consumer/config/yaml.h"
#include "consumer/file.h"

static void say(struct buffer *out, const char *text)
{
    put_bytes_raw(out, text, strlen(text));
}

static void say_text(struct buffer *out, const char *text)
{
    json_t *value = json_string(text);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    say(out, quoted ? quoted : "\"\"");
    free(quoted);
    json_decref(value);
}

/* As it was spelled: what reads as a number or a boolean stays one. */
static void say_literals(struct buffer *out, const struct predicate *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct literal *l = &p->literals[i];
        say(out, i ? ", " : "");
        if (l->is_integer || l->is_real || l->is_bool)
            put_bytes_raw(out, l->text, l->size);
        else
            say_text(out, l->text);
    }
}

static void say_predicate(struct buffer *out, const struct predicate *p)
{
    char bound[64];
    if (p->kind != PREDICATE_RANGE) {
        say(out, p->kind == PREDICATE_IN ? ", in: [" : ", not_in: [");
        say_literals(out, p);
        say(out, "]");
        return;
    }
    if (p->has_min) {
        snprintf(bound, sizeof bound, ", min: %.17g", p->min);
        say(out, bound);
    }
    if (p->has_max) {
        snprintf(bound, sizeof bound, ", max: %.17g", p->max);
        say(out, bound);
    }
}

static void say_entry(struct buffer *out, const struct validation_entry *e)
{
    say(out, "  - {field: ");
    say_text(out, e->field);
    say_predicate(out, &e->bound);
    if (e->name) {
        say(out, ", name: ");
        say_text(out, e->name);
    }
    if (e->when_field) {
        say(out, ", when: {field: ");
        say_text(out, e->when_field);
        say_predicate(out, &e->when);
        say(out, "}");
    }
    say(out, "}\n");
}

int rules_put(const struct config *config, struct buffer *out, struct err *err)
{
    char limits[256], *schema = NULL;
    size_t size;
    if (config->input.reader_schema && file_read(config->input.reader_schema, SCHEMA_TEXT_MAX, &schema, &size, err) < 0)
        return -1;
    snprintf(limits, sizeof limits, "max_record_bytes: %" PRId64 "\nmax_entities: %" PRId64 "\nmax_events: %" PRId64 "\n", config->input.max_record_bytes,
             config->state.max_entities, config->state.max_events);
    say(out, limits);
    if (schema) {
        say(out, "reader_schema: ");
        say_text(out, schema);
        say(out, "\n");
    }
    free(schema);
    if (config->validation_count)
        say(out, "validation:\n");
    for (size_t i = 0; i < config->validation_count; i++)
        say_entry(out, &config->validation[i]);
    return 0;
}

/* ---- back ---- */

static int64_t number(const struct yaml_node *root, const char *key)
{
    const struct yaml_node *node = yaml_find(root, key);
    int64_t value;
    return node && node->kind == YAML_IS_SCALAR && yaml_integer(node, &value) ? value : 0; /* which the table refuses */
}

/* What follows the line `validation:`, which is last. */
static struct bytes validation_of(struct bytes text)
{
    static const char head[] = "\nvalidation:\n";
    const char *at = memmem(text.data, text.size, head, sizeof head - 1);
    return at ? (struct bytes){at, text.size - (uint32_t)(at - (const char *)text.data)} : (struct bytes){"", 0};
}

static void document(const struct config *config, const struct yaml_node *root, struct bytes text, struct buffer *out)
{
    struct bytes validation = validation_of(text);
    char limits[256];
    say(out, "app_id: ");
    say_text(out, config->app_id);
    say(out, "\ninput: {topic: ");
    say_text(out, config->input.topic);
    snprintf(limits, sizeof limits, ", schemas: {dir: .}, max_record_bytes: %" PRId64 "}\nstate: {max_entities: %" PRId64 ", max_events: %" PRId64 "}\nfeatures: ",
             number(root, "max_record_bytes"), number(root, "max_entities"), number(root, "max_events"));
    say(out, limits);
    say_text(out, config->features);
    put_bytes_raw(out, validation.data, validation.size);
    say(out, "\n");
}

int rules_config(const struct config *config, struct bytes text, struct config **out, struct err *err)
{
    static const char name[] = "the rules of the checkpoint";
    struct yaml_node *root = NULL;
    struct buffer yaml = {0};
    if (yaml_parse(name, text.data, text.size, &root, err) < 0)
        return -1;
    document(config, root, text, &yaml);
    int result = config_parse(name, "", (const char *)yaml.data, yaml.size, 0, out, err);
    const struct yaml_node *schema = yaml_find(root, "reader_schema");
    if (result == 0 && strcmp((*out)->spec->canonical, config->spec->canonical) != 0) {
        config_destroy(*out);
        result = err_set(err, "%s: the feature file is not the one that was loaded at start", config->features);
    }
    if (result == 0 && schema && schema->kind == YAML_IS_SCALAR)
        (*out)->input.reader_schema_text = strdup(schema->text);
    yaml_destroy(root);
    buffer_finish(&yaml);
    return result;
}
