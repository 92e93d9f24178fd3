/* One table of options makes the parser, the defaults, the ranges, the reference page and the print of what is in
 * force.  A row names a key by its dotted path; `[]` steps into the entries of a list: `validation[].field`.  Rows
 * of one mapping follow their section's row.
 *
 * Messages read `<file>:<line>: <key>: <what is wrong>; <what is allowed>`. */
#pragma once
#include <jansson.h>
#include <stddef.h>
#include "consumer/config/yaml.h"

enum option_kind {
    OPTION_SECTION,  /* a mapping; its keys are the rows below it */
    OPTION_RECORDS,  /* a list of mappings: an array of structs that begin with `int line` */
    OPTION_TEXT,     /* char *: not empty */
    OPTION_PATH,     /* char *: joined with the directory of the file */
    OPTION_TEXTS,    /* char **: a list of texts, none twice */
    OPTION_WORD,     /* char *: one of `choices` */
    OPTION_CHOICE,   /* int: the index in `choices` */
    OPTION_BOOL,     /* bool */
    OPTION_INT,      /* int */
    OPTION_INT64,    /* int64_t */
    OPTION_REAL,     /* double */
    OPTION_DURATION, /* int64_t, milliseconds */
    OPTION_SIZE,     /* int64_t, bytes */
    OPTION_READ,     /* whatever `read` makes of it */
    OPTION_LATER     /* known, but refused: not in this version */
};

#define OPTION_NOWHERE SIZE_MAX /* checked, but stored by nobody */
enum { OPTION_LIST_MAX = 1000 };

struct reading { /* one file on its way into a struct */
    const char *file; /* in messages */
    const char *dir;  /* what paths are relative to */
    const struct option_table *table;
    unsigned needs; /* enum config_need */
    struct err *err;
};

struct config_option {
    const char *key;
    enum option_kind kind;
    size_t at;                 /* offset in the struct (of the entry, inside a list) */
    size_t count_at;           /* of lists: a size_t */
    size_t has_at;             /* a bool that says whether the key was given; 0: none */
    size_t line_at;            /* of a section: an int; 0: none */
    size_t entry_size;         /* of OPTION_RECORDS */
    size_t least, most;        /* entries of a list; most 0: 1000 */
    const char *preset;        /* the default as it would be written; NULL: none */
    double min, max;           /* inclusive, in the unit that is stored; both 0: any */
    const char *choices;       /* "a|b" */
    const char *later;         /* choices that are known but not available: "c|d" */
    bool required;             /* where its section is there */
    unsigned needed_by;        /* enum config_need: required by commands that need this */
    bool signed_duration;
    bool quiet;                /* messages do not quote the value: it may hold a secret */
    const char *(*fault)(const char *text); /* of OPTION_TEXT: what is wrong with it, or NULL */
    /* Of OPTION_READ: makes the value.  Of OPTION_RECORDS: sees each entry after its keys, for what they must be together. */
    int (*read)(const struct reading *reading, const char *key, const struct yaml_node *node, void *target);
    json_t *(*show)(const void *target); /* of OPTION_READ, or of an entry of OPTION_RECORDS: what is in force; NULL: nothing */
    const char *shape;                   /* of OPTION_READ: how it is written, for the reference */
    const char *meaning;
};

struct option_table {
    const struct config_option *rows;
    size_t count;
};

/* `<file>:<line>: <key>: ` and the rest; returns -1. */
int reading_fail(const struct reading *reading, int line, const char *key, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The value for a message: cut, quoted, without control characters. */
struct excerpt {
    char text[72];
};
struct excerpt excerpt_of(const struct yaml_node *node);

/* Fills `target` from the tree and then from the defaults.  On failure what was filled stays, for options_finish. */
int options_read(const struct reading *reading, const struct yaml_node *root, void *target);
/* A mapping's keys must all stand in the table below `section` (as in option.key); `key` is how messages call it. */
int options_check_keys(const struct reading *reading, const char *section, const char *key, const struct yaml_node *mapping);
/* Frees what options_read allocated for every kind but OPTION_READ. */
void options_finish(const struct option_table *table, void *target);

const struct config_option *option_find(const struct option_table *table, const char *key);
/* The rows right below `section` ("" is the top): calls with each index from 0 give the rows, then NULL. */
const struct config_option *option_child(const struct option_table *table, const char *section, size_t index);
const char *option_leaf(const struct config_option *option);

/* Of the `count` names the one that `text` was probably meant to be; NULL if none is near. */
const char *nearest_name(const char *text, const char *const *names, size_t count);

/* A duration or size as it would be written: 300000 is "5m". */
struct excerpt option_quantity(const struct config_option *option, int64_t value);
/* The range as the reference and messages write it: "10..60000", "1s..7d". */
const char *option_range(const struct config_option *option, char *text, size_t size);

/* A text that must be there and not empty, without control characters; copied. */
int option_read_text(const struct reading *reading, const char *key, const struct yaml_node *node, char **text);
char *path_join(const char *dir, const char *path);

/* What is in force, as JSON with the table's keys; secrets as "(secret)". */
json_t *options_show(const struct option_table *table, const void *target);

extern const struct option_table config_options, feature_options;
