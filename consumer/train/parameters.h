/* XGBoost parameters of the command line: KEY=VALUE,KEY=VALUE..., or the name of a file of such lines.
 *
 * A comma inside (), [], {} or quotes belongs to the value: monotone_constraints=(1,0,-1).  In a file each line is one
 * KEY=VALUE, spaces around both are dropped, empty lines and those that begin with # are skipped.  A text with a = in it is no
 * file.  A key that comes twice is an error. */
#pragma once
#include <stddef.h>
#include "scoring/err.h"

enum { PARAMETERS_MAX = 256 };

struct parameter {
    char *key, *value; /* owned */
};
struct parameters {
    size_t count;
    struct parameter entries[PARAMETERS_MAX];
};

int parameters_read(const char *text, struct parameters *out, struct err *err);
void parameters_finish(struct parameters *parameters);
