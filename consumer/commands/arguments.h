/* The options of one command: one table is the parser, the checks and `--help`. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "scoring/err.h"

enum argument_kind {
    ARGUMENT_FLAG,     /* bool */
    ARGUMENT_TEXT,     /* const char *, not empty */
    ARGUMENT_COUNT,    /* int64_t, min..max */
    ARGUMENT_REAL,     /* double, min..max */
    ARGUMENT_DURATION, /* int64_t, milliseconds, at least 1: "30d" */
    ARGUMENT_TIME,     /* int64_t, milliseconds since the epoch: "2026-01-31T12:00:00Z" */
    ARGUMENT_PLACE     /* const char *, not empty: stands without its name; places are filled in the table's order */
};

struct argument {
    const char *name; /* without the dashes */
    enum argument_kind kind;
    void *value;      /* holds the default before, the given value after */
    double min, max;  /* of count and real */
    const char *shape, *help; /* "N", "how many events" */
};

enum arguments_outcome { ARGUMENTS_GIVEN, ARGUMENTS_HELP, ARGUMENTS_WRONG };
/* Takes `--name value`, `--name=value` and flags, `-c` for --config; each at most once,
 * and the places.  On ARGUMENTS_HELP the help has been
 * printed (exit 0); on ARGUMENTS_WRONG err says which argument and what it takes (exit 2).  `about` is what stands
 * above the options. */
enum arguments_outcome arguments_take(int argc, char **argv, const char *about, const struct argument *table, size_t count, struct err *err);
