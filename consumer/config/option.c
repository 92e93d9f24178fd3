/* The walk of a YAML tree under an option table: each key of a mapping finds its row, the row's kind says how the
 * value is checked and where it goes; rows that no key met take their default. */
#include "consumer/config/option.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/config.h"

enum { KEY_MAX = 256, NAMES_MAX = 64 };

int reading_fail(const struct reading *reading, int line, const char *key, const char *format, ...)
{
    char text[sizeof((struct err){0}).msg];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (*key)
        return err_set(reading->err, "%s:%d: %s: %s", reading->file, line, key, text);
    return err_set(reading->err, "%s:%d: %s", reading->file, line, text);
}

static int no_memory(const struct reading *reading)
{
    return err_set(reading->err, "%s: no memory", reading->file);
}

struct excerpt excerpt_of(const struct yaml_node *node)
{
    struct excerpt e;
    if (node->kind != YAML_IS_SCALAR) {
        snprintf(e.text, sizeof e.text, node->kind == YAML_IS_MAPPING ? "a mapping" : "a list");
        return e;
    }
    size_t shown = node->size < 48 ? node->size : 48;
    while (shown < node->size && shown && ((unsigned char)node->text[shown] & 0xc0) == 0x80)
        shown--;
    snprintf(e.text, sizeof e.text, "'%.*s%s'", (int)shown, node->text, shown < node->size ? "..." : "");
    for (char *p = e.text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return e;
}

/* --- the table --- */

const struct config_option *option_find(const struct option_table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++)
        if (!strcmp(table->rows[i].key, key))
            return &table->rows[i];
    return NULL;
}

static bool is_child(const char *section, const char *key)
{
    size_t n = strlen(section);
    if (n && (strncmp(key, section, n) || key[n] != '.'))
        return false;
    return !strchr(key + n + (n > 0), '.');
}

const struct config_option *option_child(const struct option_table *table, const char *section, size_t index)
{
    for (size_t i = 0; i < table->count; i++)
        if (is_child(section, table->rows[i].key) && !index--)
            return &table->rows[i];
    return NULL;
}

const char *option_leaf(const struct config_option *option)
{
    const char *dot = strrchr(option->key, '.');
    return dot ? dot + 1 : option->key;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b; both at most 63 bytes. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), rows[3][65];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = smallest(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[m];
}

const char *nearest_name(const char *text, const char *const *names, size_t count)
{
    size_t n = strlen(text), best = n / 3 + 1;
    const char *found = NULL;
    if (n > 63)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance = strlen(names[i]) > 63 ? SIZE_MAX : edit_distance(text, names[i]);
        if (distance < best || (distance == best && !found)) {
            best = distance;
            found = names[i];
        }
    }
    return found;
}

/* --- unknown keys --- */

static int unknown_key(const struct reading *reading, const char *section, const char *key, const struct yaml_node *name)
{
    const char *names[NAMES_MAX];
    char allowed[700] = "";
    size_t count = 0, used = 0;
    for (const struct config_option *o; count < NAMES_MAX && (o = option_child(reading->table, section, count)); count++) {
        names[count] = option_leaf(o);
        if (o->kind != OPTION_LATER && used < sizeof allowed)
            used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "", names[count]);
    }
    char full[KEY_MAX];
    snprintf(full, sizeof full, "%s%s%.60s", key, *key ? "." : "", name->text);
    const char *nearest = nearest_name(name->text, names, count);
    if (nearest)
        return reading_fail(reading, name->line, full, "unknown key; did you mean '%s'? Known here: %s", nearest, allowed);
    return reading_fail(reading, name->line, full, "unknown key; known here: %s", allowed);
}

static const struct config_option *row_of(const struct reading *reading, const char *section, const char *name)
{
    char full[KEY_MAX];
    if ((size_t)snprintf(full, sizeof full, "%s%s%s", section, *section ? "." : "", name) >= sizeof full || strpbrk(name, ".["))
        return NULL;
    return option_find(reading->table, full);
}

int options_check_keys(const struct reading *reading, const char *section, const char *key, const struct yaml_node *mapping)
{
    if (mapping->kind != YAML_IS_MAPPING)
        return reading_fail(reading, mapping->line, key, "must be a mapping of keys, not %s", excerpt_of(mapping).text);
    for (size_t i = 0; i < mapping->count; i++)
        if (!row_of(reading, section, mapping->pairs[i].key->text))
            return unknown_key(reading, section, key, mapping->pairs[i].key);
    return 0;
}

/* --- values --- */

static void put(void *target, size_t at, const void *value, size_t size)
{
    if (at != OPTION_NOWHERE)
        memcpy((char *)target + at, value, size);
}

static int fail_type(const struct reading *reading, const char *key, const struct yaml_node *node, const char *wanted)
{
    if (yaml_is_null(node))
        return reading_fail(reading, node->line, key, "has no value; give %s or remove the key", wanted);
    return reading_fail(reading, node->line, key, "%s is not %s", excerpt_of(node).text, wanted);
}

/* In the largest unit that leaves no rest. */
static int quantity_text(bool duration, int64_t value, char *text, size_t size)
{
    static const struct {
        const char *name;
        int64_t factor;
    } times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}}, sizes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};
    size_t unit = 0;
    if (duration) {
        while (times[unit].factor > 1 && (value % times[unit].factor || !value))
            unit++;
        return snprintf(text, size, "%lld%s", (long long)(value / times[unit].factor), value ? times[unit].name : "s");
    }
    while (sizes[unit].factor > 1 && (value % sizes[unit].factor || !value))
        unit++;
    return snprintf(text, size, "%lld%s", (long long)(value / sizes[unit].factor), sizes[unit].name);
}

struct excerpt option_quantity(const struct config_option *option, int64_t value)
{
    struct excerpt e;
    quantity_text(option->kind == OPTION_DURATION, value, e.text, sizeof e.text);
    return e;
}

const char *option_range(const struct config_option *option, char *text, size_t size)
{
    if (option->kind == OPTION_DURATION || option->kind == OPTION_SIZE)
        snprintf(text, size, "%s..%s", option_quantity(option, (int64_t)option->min).text, option_quantity(option, (int64_t)option->max).text);
    else
        snprintf(text, size, "%.17g..%.17g", option->min, option->max);
    return text;
}

static int check_range(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node, double value)
{
    char range[80];
    if (option->min == 0 && option->max == 0)
        return 0;
    if (value >= option->min && value <= option->max)
        return 0;
    if (option->min == option->max)
        return reading_fail(reading, node->line, key, "%.48s is not known here; it must be %.17g", node->text, option->min);
    return reading_fail(reading, node->line, key, "%.48s is out of range %s", node->text, option_range(option, range, sizeof range));
}

int option_read_text(const struct reading *reading, const char *key, const struct yaml_node *node, char **text)
{
    bool ignored;
    if (node->kind != YAML_IS_SCALAR || yaml_is_null(node))
        return fail_type(reading, key, node, "text");
    if (yaml_bool(node, &ignored))
        return reading_fail(reading, node->line, key, "%s is a boolean, not text; quote it if the text is meant", excerpt_of(node).text);
    if (!node->size)
        return reading_fail(reading, node->line, key, "must not be empty; give text or remove the key");
    if (node->size > 4096)
        return reading_fail(reading, node->line, key, "longer than 4096 bytes");
    for (const char *p = node->text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return reading_fail(reading, node->line, key, "holds a control character");
    char *copy = strdup(node->text);
    if (!copy)
        return no_memory(reading);
    *text = copy;
    return 0;
}

char *path_join(const char *dir, const char *path)
{
    char *joined;
    if (*path == '/' || !*dir || !strcmp(dir, "."))
        return strdup(path);
    return asprintf(&joined, "%s/%s", dir, path) < 0 ? NULL : joined;
}

static int read_text(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node, void *target)
{
    char *text;
    if (option_read_text(reading, key, node, &text) < 0)
        return -1;
    const char *fault = option->fault ? option->fault(text) : NULL;
    int result = 0;
    if (strstr(text, "${env:"))
        result = reading_fail(reading, node->line, key, "${env:...} works under kafka: and in input.schemas.password only");
    else if (fault)
        result = reading_fail(reading, node->line, key, "%s %s", option->quiet ? "the value" : excerpt_of(node).text, fault);
    else if (option->kind == OPTION_PATH) {
        char *path = path_join(reading->dir, text);
        free(text);
        if (!(text = path))
            return no_memory(reading);
    }
    if (result < 0 || option->at == OPTION_NOWHERE)
        free(text);
    else
        put(target, option->at, &text, sizeof text);
    return result;
}

/* The index of `word` in "a|b|c", -1 if it is not one. */
static int choice_index(const char *choices, const char *word)
{
    size_t n = strlen(word);
    int index = 0;
    for (const char *p = choices; p; index++) {
        const char *bar = strchr(p, '|');
        size_t length = bar ? (size_t)(bar - p) : strlen(p);
        if (length == n && !memcmp(p, word, n))
            return index;
        p = bar ? bar + 1 : NULL;
    }
    return -1;
}

static void choices_text(const char *choices, char *text, size_t size)
{
    size_t used = 0;
    for (const char *p = choices; *p && used + 5 < size; p++)
        used += (size_t)snprintf(text + used, size - used, *p == '|' ? " or " : "%c", *p);
}

static int read_choice(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node, void *target)
{
    char allowed[160];
    choices_text(option->choices, allowed, sizeof allowed);
    if (node->kind != YAML_IS_SCALAR || yaml_is_null(node))
        return fail_type(reading, key, node, allowed);
    if (option->later && choice_index(option->later, node->text) >= 0)
        return reading_fail(reading, node->line, key, "%s is not available in this version; allowed: %s", excerpt_of(node).text, allowed);
    int index = choice_index(option->choices, node->text);
    if (index < 0)
        return reading_fail(reading, node->line, key, "%s is not known; allowed: %s", excerpt_of(node).text, allowed);
    if (option->kind == OPTION_CHOICE) {
        put(target, option->at, &index, sizeof index);
    } else if (option->at != OPTION_NOWHERE) {
        char *text = strdup(node->text);
        if (!text)
            return no_memory(reading);
        put(target, option->at, &text, sizeof text);
    }
    return 0;
}

static int read_number(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node, void *target)
{
    int64_t whole = 0;
    double real = 0;
    const bool is_text = node->kind == YAML_IS_SCALAR;
    bool ok = false;
    const char *wanted = "a whole number";
    switch (option->kind) {
    case OPTION_REAL:
        ok = yaml_real(node, &real);
        wanted = "a number";
        break;
    case OPTION_DURATION:
        ok = is_text && duration_parse(node->text, option->signed_duration, &whole) == 0;
        wanted = option->signed_duration ? "a duration such as 30s, 5m, 24h, or -5h" : "a duration such as 500ms, 30s, 5m, 24h or 7d";
        break;
    case OPTION_SIZE:
        ok = is_text && size_parse(node->text, &whole) == 0;
        wanted = "a size such as 4096, 512KiB, 1MiB or 1GiB";
        break;
    default:
        ok = yaml_integer(node, &whole);
        break;
    }
    if (!ok)
        return fail_type(reading, key, node, wanted);
    if (check_range(reading, option, key, node, option->kind == OPTION_REAL ? real : (double)whole) < 0)
        return -1;
    if (option->kind == OPTION_REAL) {
        put(target, option->at, &real, sizeof real);
    } else if (option->kind == OPTION_INT) {
        assert(whole >= INT32_MIN && whole <= INT32_MAX); /* the row's range says so */
        put(target, option->at, &(int){(int)whole}, sizeof(int));
    } else {
        put(target, option->at, &whole, sizeof whole);
    }
    return 0;
}

static int read_bool(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node, void *target)
{
    bool value;
    if (!yaml_bool(node, &value))
        return fail_type(reading, key, node, "true or false");
    put(target, option->at, &value, sizeof value);
    return 0;
}

static int check_list(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node)
{
    size_t most = option->most ? option->most : OPTION_LIST_MAX;
    if (node->kind != YAML_IS_SEQUENCE)
        return fail_type(reading, key, node, "a list");
    if (node->count < option->least)
        return reading_fail(reading, node->line, key, "must have at least %zu entries", option->least);
    if (node->count > most)
        return reading_fail(reading, node->line, key, "%zu entries, more than %zu", node->count, most);
    return 0;
}

static int read_texts(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node, void *target)
{
    if (check_list(reading, option, key, node) < 0)
        return -1;
    char **texts = calloc(node->count + 1, sizeof *texts);
    if (!texts)
        return no_memory(reading);
    put(target, option->at, &texts, sizeof texts);
    put(target, option->count_at, &node->count, sizeof node->count);
    for (size_t i = 0; i < node->count; i++) {
        char entry[KEY_MAX];
        snprintf(entry, sizeof entry, "%s[%zu]", key, i);
        if (option_read_text(reading, entry, node->items[i], &texts[i]) < 0)
            return -1;
        for (size_t j = 0; j < i; j++)
            if (!strcmp(texts[i], texts[j]))
                return reading_fail(reading, node->items[i]->line, entry, "%s stands twice", excerpt_of(node->items[i]).text);
    }
    return 0;
}

static int read_mapping(const struct reading *reading, const char *section, const char *key, const struct yaml_node *node, void *target);

static int read_records(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node, void *target)
{
    if (check_list(reading, option, key, node) < 0)
        return -1;
    char *entries = calloc(node->count + 1, option->entry_size), section[KEY_MAX];
    if (!entries)
        return no_memory(reading);
    put(target, option->at, &entries, sizeof entries);
    put(target, option->count_at, &node->count, sizeof node->count);
    snprintf(section, sizeof section, "%s[]", option->key);
    for (size_t i = 0; i < node->count; i++) {
        char entry[KEY_MAX];
        snprintf(entry, sizeof entry, "%s[%zu]", key, i);
        void *record = entries + i * option->entry_size;
        put(record, 0, &node->items[i]->line, sizeof(int));
        if (read_mapping(reading, section, entry, node->items[i], record) < 0 ||
            (option->read && option->read(reading, entry, node->items[i], record) < 0))
            return -1;
    }
    return 0;
}

static int read_value(const struct reading *reading, const struct config_option *option, const char *key, const struct yaml_node *node, void *target)
{
    switch (option->kind) {
    case OPTION_SECTION:
        if (option->line_at)
            put(target, option->line_at, &node->line, sizeof(int));
        return read_mapping(reading, option->key, key, node, target);
    case OPTION_RECORDS:
        return read_records(reading, option, key, node, target);
    case OPTION_TEXT:
    case OPTION_PATH:
        return read_text(reading, option, key, node, target);
    case OPTION_TEXTS:
        return read_texts(reading, option, key, node, target);
    case OPTION_WORD:
    case OPTION_CHOICE:
        return read_choice(reading, option, key, node, target);
    case OPTION_BOOL:
        return read_bool(reading, option, key, node, target);
    case OPTION_INT:
    case OPTION_INT64:
    case OPTION_REAL:
    case OPTION_DURATION:
    case OPTION_SIZE:
        return read_number(reading, option, key, node, target);
    case OPTION_READ:
        return option->read ? option->read(reading, key, node, target) : 0;
    case OPTION_LATER:
        return reading_fail(reading, node->line, key, "not available in this version; remove it%s%s", option->meaning ? ". " : "",
                            option->meaning ? option->meaning : "");
    }
    return 0;
}

/* Defaults of the rows below `section` that `node` (NULL: the section is not there) has no key for. */
static int read_defaults(const struct reading *reading, const char *section, const char *key, const struct yaml_node *node, int line, void *target)
{
    const struct config_option *option;
    for (size_t i = 0; (option = option_child(reading->table, section, i)); i++) {
        if (node && yaml_find(node, option_leaf(option)))
            continue;
        char full[KEY_MAX];
        snprintf(full, sizeof full, "%s%s%s", key, *key ? "." : "", option_leaf(option));
        if ((node && option->required) || (option->needed_by & reading->needs))
            return reading_fail(reading, line, full, "missing: %s", option->meaning);
        if (option->kind == OPTION_SECTION && read_defaults(reading, option->key, full, NULL, line, target) < 0)
            return -1;
        struct yaml_node preset = {.kind = YAML_IS_SCALAR, .plain = true, .line = line, .text = (char *)(uintptr_t)option->preset};
        if (option->preset) {
            preset.size = strlen(option->preset);
            if (read_value(reading, option, full, &preset, target) < 0)
                return -1;
        }
    }
    return 0;
}

static int read_mapping(const struct reading *reading, const char *section, const char *key, const struct yaml_node *node, void *target)
{
    if (node->kind != YAML_IS_MAPPING)
        return fail_type(reading, key, node, "a mapping of keys");
    if (options_check_keys(reading, section, key, node) < 0)
        return -1;
    for (size_t i = 0; i < node->count; i++) {
        const struct config_option *option = row_of(reading, section, node->pairs[i].key->text);
        char full[KEY_MAX];
        snprintf(full, sizeof full, "%s%s%s", key, *key ? "." : "", option_leaf(option));
        if (option->has_at)
            put(target, option->has_at, &(bool){true}, sizeof(bool));
        if (read_value(reading, option, full, node->pairs[i].value, target) < 0)
            return -1;
    }
    return read_defaults(reading, section, key, node, node->line, target);
}

int options_read(const struct reading *reading, const struct yaml_node *root, void *target)
{
    return read_mapping(reading, "", "", root, target);
}

/* --- the end of it --- */

static void *pointer_at(const void *target, size_t at)
{
    void *pointer;
    memcpy(&pointer, (const char *)target + at, sizeof pointer);
    return pointer;
}

static size_t size_at(const void *target, size_t at)
{
    size_t size;
    memcpy(&size, (const char *)target + at, sizeof size);
    return size;
}

static void finish_rows(const struct option_table *table, const char *section, void *target)
{
    const struct config_option *option;
    for (size_t i = 0; (option = option_child(table, section, i)); i++) {
        if (option->at == OPTION_NOWHERE)
            continue;
        if (option->kind == OPTION_SECTION) {
            finish_rows(table, option->key, target);
        } else if (option->kind == OPTION_TEXT || option->kind == OPTION_PATH || option->kind == OPTION_WORD) {
            free(pointer_at(target, option->at));
        } else if (option->kind == OPTION_TEXTS) {
            char **texts = pointer_at(target, option->at);
            for (size_t t = 0; texts && t < size_at(target, option->count_at); t++)
                free(texts[t]);
            free(texts);
        } else if (option->kind == OPTION_RECORDS) {
            char *entries = pointer_at(target, option->at), inner[KEY_MAX];
            snprintf(inner, sizeof inner, "%s[]", option->key);
            for (size_t e = 0; entries && e < size_at(target, option->count_at); e++)
                finish_rows(table, inner, entries + e * option->entry_size);
            free(entries);
        }
    }
}

void options_finish(const struct option_table *table, void *target)
{
    finish_rows(table, "", target);
}
