/* What plan.c writes and decode.c runs: a program of flat steps.
 *
 * A step reads one value (or a run of values of fixed width) and stores or skips it.  Unions jump, arrays and maps
 * run the steps that follow them once an item, recursive records are called.  `level` is how many records, arrays
 * and maps enclose or are the step's value, counted from the start of its program. */
#pragma once
#include "consumer/avro/arena.h"
#include "consumer/avro/plan.h"

enum step_op {
    STEP_END,        /* of a program or an item */
    STEP_FAIL,       /* arg: enum fault_text */
    STEP_GOTO,       /* jump */
    STEP_SET,        /* slot = constants[arg] */
    STEP_NEST,       /* fault if the level is beyond the limit (only in called programs) */
    STEP_SKIP_FIXED, /* arg bytes; jump: first of the pieces that say whose they are */
    STEP_SKIP_BOOL,
    STEP_SKIP_INT,
    STEP_SKIP_LONG,
    STEP_SKIP_STRING,
    STEP_SKIP_BYTES,
    STEP_BOOL,
    STEP_INT,
    STEP_LONG,
    STEP_NUMBER, /* an int or long to convert; arg: enum number_form; jump: divisor */
    STEP_FLOAT,
    STEP_DOUBLE,
    STEP_STRING,
    STEP_ENUM,          /* slot or NO_SLOT; constants[arg ...], jump of them; VALUE_ABSENT there: the reader has no such symbol */
    STEP_DECIMAL_BYTES, /* arg: 1 if it must be UTF-8 too */
    STEP_DECIMAL_FIXED, /* arg bytes */
    STEP_NULLABLE,      /* a union of two: branch `arg` is null: slot (or NO_SLOT) = null, go to jump; else go on */
    STEP_UNION,         /* arg branches, targets[jump ...] */
    STEP_ARRAY_FIXED,   /* items of arg bytes */
    STEP_ARRAY,         /* the item's steps follow, up to STEP_END; then go to jump */
    STEP_MAP,           /* likewise; slot (or NO_SLOT) gets its bytes */
    STEP_CALL           /* programs[jump] */
};

enum number_form { NUMBER_INT32 = 1, NUMBER_FLOAT = 2, NUMBER_DOUBLE = 4, NUMBER_DIVIDE = 8 };

enum fault_text {
    FAULT_END_FIXED, FAULT_END_NUMBER, FAULT_LONG_NUMBER, FAULT_INT_RANGE, FAULT_BOOL, FAULT_NEGATIVE_LENGTH, FAULT_LENGTH_LIMIT,
    FAULT_END_STRING, FAULT_UTF8, FAULT_ENUM_INDEX, FAULT_ENUM_SYMBOL, FAULT_UNION_INDEX, FAULT_BLOCK_COUNT, FAULT_BLOCK_ITEMS,
    FAULT_BLOCK_END, FAULT_BLOCK_SIZE, FAULT_DEPTH, FAULT_READER, FAULT_HUGE, FAULT_TRAILING
};

enum { NO_SLOT = 0xffff, LEVELS_MAX = 200 };

struct step {
    uint8_t op, level;
    uint16_t slot;
    uint32_t arg, jump;
};

/* One of the values that a STEP_SKIP_FIXED skips; the list of a step ends where `last` is set. */
struct piece {
    uint64_t width;
    const char *name;
    bool last;
};

struct decode_plan {
    struct arena arena;
    struct decode_limits limits;
    size_t slots;
    struct step *steps;
    const char **names; /* of each step: the dotted name of its value, or NULL */
    struct piece *pieces;
    uint32_t *targets;
    uint32_t *programs;
    struct value *constants;
};

/* Unscaled value of a decimal, saturated. */
int64_t decimal_value(const uint8_t *bytes, size_t size);
