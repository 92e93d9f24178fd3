#include "consumer/train/parameters.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/file.h"

enum { FILE_MAX = 1 << 20 };

static int add(struct parameters *p, const char *where, const char *text, size_t size, struct err *err)
{
    while (size && isspace((unsigned char)*text))
        text++, size--;
    while (size && isspace((unsigned char)text[size - 1]))
        size--;
    const char *equals = memchr(text, '=', size);
    size_t key = equals ? (size_t)(equals - text) : 0, value = equals ? key + 1 : 0;
    while (key && isspace((unsigned char)text[key - 1]))
        key--;
    while (value < size && isspace((unsigned char)text[value]))
        value++;
    if (key == 0 || value == size)
        return err_set(err, "%s: '%.*s' is not KEY=VALUE", where, (int)(size < 80 ? size : 80), text);
    if (p->count == PARAMETERS_MAX)
        return err_set(err, "%s: more than %d parameters", where, PARAMETERS_MAX);
    for (size_t i = 0; i < p->count; i++)
        if (strlen(p->entries[i].key) == key && !memcmp(p->entries[i].key, text, key))
            return err_set(err, "%s: %s is given twice", where, p->entries[i].key);
    struct parameter *entry = &p->entries[p->count];
    *entry = (struct parameter){strndup(text, key), strndup(text + value, size - value)};
    p->count++;
    return entry->key && entry->value ? 0 : err_set(err, "memory is short");
}

/* Where the entry ends: a comma outside of brackets and quotes, or the end. */
static size_t entry_size(const char *text)
{
    int depth = 0;
    char quote = 0;
    size_t i = 0;
    for (; text[i]; i++) {
        if (quote) {
            quote = text[i] == quote ? 0 : quote;
        } else if (text[i] == '"' || text[i] == '\'') {
            quote = text[i];
        } else if (strchr("([{", text[i])) {
            depth++;
        } else if (strchr(")]}", text[i])) {
            depth--;
        } else if (text[i] == ',' && depth <= 0) {
            break;
        }
    }
    return i;
}

static int read_list(const char *text, struct parameters *out, struct err *err)
{
    for (;;) {
        size_t size = entry_size(text);
        if (add(out, "--params", text, size, err) < 0)
            return -1;
        if (!text[size])
            return 0;
        text += size + 1;
    }
}

static int read_file(const char *path, struct parameters *out, struct err *err)
{
    char *text = NULL;
    size_t size;
    if (file_read(path, FILE_MAX, &text, &size, err) < 0)
        return err_prefix(err, "--params takes KEY=VALUE,... or a file");
    int status = strlen(text) == size ? 0 : err_set(err, "%s: a zero byte", path);
    for (const char *line = text; status == 0 && *line;) {
        size_t n = strcspn(line, "\n"), blank = strspn(line, " \t\r");
        if (blank < n && line[blank] != '#')
            status = add(out, path, line, n, err);
        line += n + (line[n] == '\n');
    }
    free(text);
    return status;
}

int parameters_read(const char *text, struct parameters *out, struct err *err)
{
    *out = (struct parameters){0};
    int status = strchr(text, '=') ? read_list(text, out, err) : read_file(text, out, err);
    if (status < 0)
        parameters_finish(out);
    return status;
}

void parameters_finish(struct parameters *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->entries[i].key);
        free(p->entries[i].value);
    }
    p->count = 0;
}
