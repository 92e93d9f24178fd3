/* Where the demo's files live: a temporary directory that goes away, or one that the user keeps. */
#pragma once
#include <stdbool.h>
#include "scoring/err.h"

struct directory {
    char path[3072];
    bool keep, made;
};

/* keep NULL: a new one under $TMPDIR or /tmp; else it must be new or empty. */
int directory_init(struct directory *directory, const char *keep, struct err *err);
void directory_finish(struct directory *directory); /* removes a temporary one with all that is in it */
/* <directory>/<name>; its text lives until the next call with the same room. */
const char *directory_file(const struct directory *directory, const char *name, char room[4096]);
