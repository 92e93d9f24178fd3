/* What a cell keeps of a model beside its counts, made when it is first needed: most models of most cells need none.
 *
 * Parts: a shadow beside what was served, by the values of each segment.  At most EXTRA_PARTS_MAX values a segment: those
 * that the baseline names, the most frequent first, then those with the smallest hashes, as in sketch_values.h.  Whether a
 * value is among them follows from the value and the baseline alone, so parts add up exactly however the stream was split.
 *
 * Explained: what drives disagreements.  Of a fixed fourth of all events (by the hash of the id) those on which the
 * decisions differ are explained, and a window keeps the EXPLAINED_MAX with the smallest hashes: for each the distance of
 * both models' contributions, feature by feature.  That too is exact: who is in the sample follows from the ids.
 *
 * Timing: how long the model took a vector, by batches.  Health of the process, no function of the log.
 *
 * Cost: a comparison is one search among at most EXTRA_PARTS_MAX numbers and five additions a segment.  Bounded: a
 * sketch holds EXTRA_PARTS_IN_SKETCH_MAX parts, beyond that comparisons are counted as unheld (sketch_has_room keeps a lane
 * from there); a window in the aggregate its models x segments x EXTRA_PARTS_MAX. */
#pragma once
#include "monitor/sketch.h"

enum {
    EXTRA_PARTS_MAX = 32,
    EXTRA_PARTS_IN_SKETCH_MAX = 1 << 14, /* 20 MB */
    EXPLAINED_MAX = 32,
    EXPLAINED_ONE_IN = 4,
    EXPLAINED_BITS = 20 /* of a contribution's distance: units of 2^-20 of a margin, up to 4096 */
};

struct shadow_part_counts {
    struct sketch_comparison comparison;
    int64_t own[SCORE_EQUAL_BINS]; /* the shadow's scores; those served are in the comparison */
};
enum { PART_COUNTS = sizeof(struct shadow_part_counts) / sizeof(int64_t) };
struct shadow_part {
    struct shadow_part_counts counts;
    uint8_t size;
    char text[SKETCH_VALUE_BYTES]; /* of the value, cut */
};

struct sketch_extra_numbers {
    int64_t ns, timed; /* time spent, and vectors scored in it */
    int64_t unheld;    /* comparisons that found no room */
    int64_t timing[LATENCY_BINS]; /* vectors by nanoseconds each: latency_bin */
};
enum { EXTRA_NUMBERS = sizeof(struct sketch_extra_numbers) / sizeof(int64_t) };

struct shadow_part_list { /* of one segment, by rank */
    size_t count;
    uint64_t ranks[EXTRA_PARTS_MAX];
    struct shadow_part *of[EXTRA_PARTS_MAX];
};
struct sketch_extra {
    struct sketch_extra_numbers numbers;
    size_t explained;
    uint64_t explained_ranks[EXPLAINED_MAX]; /* ascending */
    uint32_t *apart;                         /* explained x features */
    struct shadow_part_list parts[];         /* by segment */
};

const struct sketch_extra *sketch_extra(const struct sketch_cell *cell, size_t m); /* NULL: there is none */
/* The bytes of a cell whose shadows have all the parts there can be. */
size_t sketch_cell_bytes_most(const struct sketch_shape *shape);

/* The values of an event's segments, looked up once for all shadows. */
struct sketch_places {
    size_t count;
    struct sketch_place {
        size_t segment;
        uint64_t rank;
        const struct value *value;
    } of[SKETCH_SEGMENTS_MAX];
};
void sketch_places_find(const struct sketch_shape *shape, const struct value *values, struct sketch_places *places);

/* A score beside the one served to the same event; both in [0, 1]. */
struct sketch_pair {
    float served, own;
    enum decision served_decision, own_decision;
};
void sketch_comparison_add(struct sketch_comparison *comparison, const struct sketch_pair *pair);
void sketch_add_parts(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, const struct sketch_places *places, const struct sketch_pair *pair);
/* n vectors took so long together. */
void sketch_add_timing(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, int64_t ns, int64_t n);

/* An event's place in the sample by its id; false: not in it, whatever else there is. */
bool sketch_explained_rank(const void *id, size_t size, uint64_t *rank);
/* Contributions of both models to the same event, by feature. */
void sketch_add_explained(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, uint64_t rank, const float *served, const float *own);

/* For cells and whoever reads records; NULL: no room. */
struct sketch_extra *sketch_extra_open(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m);
/* A new one has no text yet (*fresh).  NULL: not among the smallest ranks, or no room (then the extra's unheld has grown). */
struct shadow_part *shadow_part_open(struct sketch_cell *cell, struct sketch_extra *extra, size_t segment, uint64_t rank, bool *fresh);
/* The distances of one explained event, by feature. */
void sketch_put_explained(const struct sketch_shape *shape, struct sketch_extra *extra, uint64_t rank, const uint32_t *apart);
void sketch_extras_merge(const struct sketch_shape *shape, struct sketch_cell *into, const struct sketch_cell *from);
void sketch_extras_clear(const struct sketch_shape *shape, struct sketch_cell *cell);
