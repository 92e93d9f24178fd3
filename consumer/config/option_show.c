/* What is in force, as JSON under the table's keys. */
#include <stdio.h>
#include <string.h>

#include "consumer/config/option.h"

static json_t *show_mapping(const struct option_table *table, const char *section, const void *target);

static json_t *show_text(const void *at)
{
    const char *text;
    memcpy(&text, at, sizeof text);
    return text ? json_string(text) : json_null();
}

static json_t *show_texts(const struct config_option *option, const void *target)
{
    char **texts;
    size_t count;
    memcpy(&texts, (const char *)target + option->at, sizeof texts);
    memcpy(&count, (const char *)target + option->count_at, sizeof count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}

static json_t *show_records(const struct option_table *table, const struct config_option *option, const void *target)
{
    const char *entries;
    size_t count;
    char section[256];
    memcpy(&entries, (const char *)target + option->at, sizeof entries);
    memcpy(&count, (const char *)target + option->count_at, sizeof count);
    snprintf(section, sizeof section, "%s[]", option->key);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const void *entry = entries + i * option->entry_size;
        json_array_append_new(list, option->show ? option->show(entry) : show_mapping(table, section, entry));
    }
    return list;
}

static json_t *show_choice(const struct config_option *option, int index)
{
    const char *p = option->choices;
    while (index-- > 0)
        p = strchr(p, '|') + 1;
    return json_stringn(p, strcspn(p, "|"));
}

static json_t *show_value(const struct option_table *table, const struct config_option *option, const void *target)
{
    const char *at = (const char *)target + option->at;
    int64_t whole;
    double real;
    int number;
    bool flag;
    switch (option->kind) {
    case OPTION_SECTION:
        return show_mapping(table, option->key, target);
    case OPTION_RECORDS:
        return show_records(table, option, target);
    case OPTION_TEXTS:
        return show_texts(option, target);
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_WORD:
        return show_text(at);
    case OPTION_CHOICE:
        memcpy(&number, at, sizeof number);
        return show_choice(option, number);
    case OPTION_INT:
        memcpy(&number, at, sizeof number);
        return json_integer(number);
    case OPTION_BOOL:
        memcpy(&flag, at, sizeof flag);
        return json_boolean(flag);
    case OPTION_REAL:
        memcpy(&real, at, sizeof real);
        return json_real(real);
    case OPTION_INT64:
    case OPTION_DURATION:
    case OPTION_SIZE:
        memcpy(&whole, at, sizeof whole);
        if (option->kind == OPTION_INT64)
            return json_integer(whole);
        return whole < 0 ? json_null() : json_string(option_quantity(option, whole).text);
    case OPTION_READ:
        return option->show ? option->show(target) : NULL;
    case OPTION_LATER:
        return NULL;
    }
    return NULL;
}

static json_t *show_mapping(const struct option_table *table, const char *section, const void *target)
{
    json_t *shown = json_object();
    const struct config_option *option;
    for (size_t i = 0; (option = option_child(table, section, i)); i++) {
        json_t *value = option->at == OPTION_NOWHERE ? json_string(option->preset) : show_value(table, option, target);
        if (value)
            json_object_set_new(shown, option_leaf(option), value);
    }
    return shown;
}

json_t *options_show(const struct option_table *table, const void *target)
{
    return show_mapping(table, "", target);
}
