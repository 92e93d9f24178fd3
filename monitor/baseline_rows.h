/* What the builder keeps: between baseline_builder.c and baseline_finish.c alone. */
#pragma once
#include "monitor/baseline_builder.h"
#include "monitor/cardinality.h"

struct kept {
    int64_t time_ms;
    uint64_t id_hash;
    float score;
    int8_t label;
    uint8_t decision;
    bool scored;
};
_Static_assert(sizeof(struct kept) == 24, "baseline_builder.h says it");

/* Texts of a segment, numbered in the order in which they came. */
enum { TEXT_NULL = UINT16_MAX, TEXT_NAMELESS = UINT16_MAX - 1 };
_Static_assert((int)BUILDER_TEXTS_MAX < (int)TEXT_NAMELESS, "numbers of texts");
struct dictionary {
    size_t count, room; /* room: of places, a power of two */
    char **texts;       /* room / 2 of them */
    uint32_t *places;   /* number + 1; 0: free */
};

struct distinct {
    bool began, first;
    int64_t start_ms, windows;
    double sum;
    struct cardinality values;
};

struct baseline_builder {
    struct baseline_builder_options o;
    size_t count, capacity, rows_max;
    uint64_t hash_most; /* of the ids that are kept */
    float *rows;
    struct kept *kept;
    uint16_t *texts;    /* count x segments: numbers */
    struct dictionary *dictionaries;
    struct distinct *distincts; /* distinct fields x windows */
    int64_t events, rejected, from_ms, to_ms;
    int64_t hour_events[BASELINE_HOURS];
    size_t reject_count;
    struct baseline_reject *rejects;
};
