#include "consumer/commands/arguments.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/config/config.h"

enum { ARGUMENTS_MAX = 64 };

static void help(const char *command, const char *about, const struct argument *table, size_t count)
{
    printf("usage: weir %s [options]", command);
    for (size_t i = 0; i < count; i++)
        if (table[i].kind == ARGUMENT_PLACE)
            printf(" %s", table[i].shape);
    printf("\n\n%s\n\n", about);
    for (size_t i = 0; i < count; i++) {
        char left[64];
        if (table[i].kind == ARGUMENT_PLACE)
            snprintf(left, sizeof left, "%s", table[i].shape);
        else
            snprintf(left, sizeof left, "%s--%s%s%s", strcmp(table[i].name, "config") ? "" : "-c, ", table[i].name, table[i].shape ? " " : "", table[i].shape ? table[i].shape : "");
        printf("  %-26s %s\n", left, table[i].help);
    }
    printf("  %-26s %s\n", "--help", "this text");
}

static int wrong(struct err *err, const struct argument *a, const char *text, const char *takes)
{
    return err_set(err, "--%s '%s': %s", a->name, text, takes);
}

static int take_count(const struct argument *a, const char *text, struct err *err)
{
    char *rest, takes[96];
    errno = 0;
    long long v = strtoll(text, &rest, 10);
    snprintf(takes, sizeof takes, "takes a whole number from %.0f to %.0f", a->min, a->max);
    if (*text < '0' || *text > '9' || *rest || errno || (double)v < a->min || (double)v > a->max)
        return wrong(err, a, text, takes);
    *(int64_t *)a->value = v;
    return 0;
}

static int take_real(const struct argument *a, const char *text, struct err *err)
{
    char *rest, takes[96];
    double v = strtod(text, &rest);
    snprintf(takes, sizeof takes, "takes a number from %g to %g", a->min, a->max);
    if (!*text || *rest || !(v >= a->min && v <= a->max))
        return wrong(err, a, text, takes);
    *(double *)a->value = v;
    return 0;
}

static int take_value(const struct argument *a, const char *text, struct err *err)
{
    switch (a->kind) {
    case ARGUMENT_COUNT:
        return take_count(a, text, err);
    case ARGUMENT_REAL:
        return take_real(a, text, err);
    case ARGUMENT_DURATION:
        if (duration_parse(text, false, a->value) < 0 || *(int64_t *)a->value < 1)
            return wrong(err, a, text, "takes a duration: 500ms, 30s, 5m, 24h, 7d");
        return 0;
    case ARGUMENT_TIME:
        if (time_parse(text, a->value) < 0)
            return wrong(err, a, text, "takes a date or time: 2026-01-31, 2026-01-31T12:00:00Z");
        return 0;
    default:
        if (!*text)
            return wrong(err, a, text, "must not be empty");
        *(const char **)a->value = text;
        return 0;
    }
}

static const struct argument *find(const struct argument *table, size_t count, const char *name, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].kind != ARGUMENT_PLACE && strlen(table[i].name) == size && !memcmp(table[i].name, name, size))
            return &table[i];
    return NULL;
}

static const struct argument *next_place(const struct argument *table, size_t count, const bool *given)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].kind == ARGUMENT_PLACE && !given[i])
            return &table[i];
    return NULL;
}

enum arguments_outcome arguments_take(int argc, char **argv, const char *about, const struct argument *table, size_t count, struct err *err)
{
    bool given[ARGUMENTS_MAX] = {false};
    assert(count <= ARGUMENTS_MAX);
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            help(argv[0], about, table, count);
            return ARGUMENTS_HELP;
        }
    for (int i = 1; i < argc; i++) {
        const struct argument *place = argv[i][0] == '-' ? NULL : next_place(table, count, given);
        if (place) {
            given[place - table] = true;
            if (take_value(place, argv[i], err) < 0)
                return ARGUMENTS_WRONG;
            continue;
        }
        const char *name = argv[i], *equals = strchr(name, '=');
        size_t size = equals ? (size_t)(equals - name) : strlen(name);
        if (!strcmp(name, "-c")) { /* the one letter that every command with a configuration takes */
            name = "--config";
            size = strlen(name);
        }
        const struct argument *a = size > 2 && !strncmp(name, "--", 2) ? find(table, count, name + 2, size - 2) : NULL;
        if (!a) {
            err_set(err, "'%s' is no option of weir %s; weir %s --help lists them", name, argv[0], argv[0]);
            return ARGUMENTS_WRONG;
        }
        if (given[a - table]) {
            err_set(err, "--%s is given twice", a->name);
            return ARGUMENTS_WRONG;
        }
        given[a - table] = true;
        if (a->kind == ARGUMENT_FLAG && !equals) {
            *(bool *)a->value = true;
            continue;
        }
        const char *text = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (a->kind == ARGUMENT_FLAG || !text) {
            err_set(err, a->kind == ARGUMENT_FLAG ? "--%s takes no value" : "--%s needs a value", a->name);
            return ARGUMENTS_WRONG;
        }
        if (take_value(a, text, err) < 0)
            return ARGUMENTS_WRONG;
    }
    return ARGUMENTS_GIVEN;
}
