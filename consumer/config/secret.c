#include "consumer/config/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/config.h"
#include "consumer/file.h"

enum { SECRET_MAX = 64 << 10 };

void secret_free(char *value)
{
    if (value)
        explicit_bzero(value, strlen(value));
    free(value);
}

static int read_file(const struct reading *reading, const char *key, int line, const char *name, char **value)
{
    struct err why;
    char *path = path_join(reading->dir, name), *data;
    size_t size;
    if (!path)
        return err_set(reading->err, "%s: no memory", reading->file);
    int result = 0;
    if (file_read(path, SECRET_MAX, &data, &size, &why) < 0) {
        result = reading_fail(reading, line, key, "%s", why.msg);
    } else {
        if (size && data[size - 1] == '\n')
            data[--size] = 0;
        if (size && data[size - 1] == '\r')
            data[--size] = 0;
        if (!size || memchr(data, 0, size)) {
            result = reading_fail(reading, line, key, "%s %s", path, size ? "holds a zero byte; it must be text" : "is empty");
            secret_free(data);
        } else {
            *value = data;
        }
    }
    free(path);
    return result;
}

int secret_file(const struct reading *reading, const char *key, const struct yaml_node *node, char **value)
{
    char *name;
    if (option_read_text(reading, key, node, &name) < 0)
        return -1;
    int result = read_file(reading, key, node->line, name, value);
    free(name);
    return result;
}

/* What one ${kind:name} stands for. */
static int expand_one(const struct reading *reading, const char *key, int line, bool env, const char *name, char **value)
{
    if (!env)
        return read_file(reading, key, line, name, value);
    const char *found = getenv(name);
    if (!found || !*found)
        return reading_fail(reading, line, key, "the environment variable %s is %s", name, found ? "empty" : "not set");
    if (!(*value = strdup(found)))
        return err_set(reading->err, "%s: no memory", reading->file);
    return 0;
}

int secret_expand(const struct reading *reading, const char *key, const struct yaml_node *node, char **value, bool *replaced)
{
    char *out = NULL;
    size_t size = 0;
    int result = 0;
    bool any = false;
    FILE *f = open_memstream(&out, &size);
    if (!f)
        return err_set(reading->err, "%s: no memory", reading->file);
    for (const char *p = node->text; *p && !result;) {
        bool env = !strncmp(p, "${env:", 6), file = !strncmp(p, "${file:", 7);
        if (!env && !file) {
            fputc(*p++, f);
            continue;
        }
        const char *first = p + (env ? 6 : 7), *end = strchr(first, '}');
        char name[1024], *one = NULL;
        if (!end || end == first || (size_t)(end - first) >= sizeof name) {
            result = reading_fail(reading, node->line, key, "write ${env:NAME} or ${file:PATH}");
            break;
        }
        memcpy(name, first, (size_t)(end - first));
        name[end - first] = 0;
        result = expand_one(reading, key, node->line, env, name, &one);
        if (!result)
            fputs(one, f);
        secret_free(one);
        any = true;
        p = end + 1;
    }
    if (fclose(f) && !result)
        result = err_set(reading->err, "%s: no memory", reading->file);
    if (result) {
        secret_free(out);
        return -1;
    }
    *value = out;
    if (replaced)
        *replaced = any;
    return 0;
}
