/* An entity as it is written down: what decides later outputs and nothing of how it lies in memory.
 *
 * Of each event a row of 64-bit words: time, id hash, the numbers themselves (0 if null), the categories, the places
 * (latitude and longitude as they are kept), the count lanes.  Aggregates, tables and staircases follow from those. */
#pragma once
#include "scoring/features/feature_program.h"

struct image_shape { /* words of a row, in this order behind time and id */
    uint32_t numbers, categories, places /* two each */, lanes;
    uint32_t words; /* of a row */
};

struct entity_image {
    struct bytes key;
    int64_t seen_offset, dropped_ms;
    uint32_t count;        /* events, oldest first; 0: it is not held */
    const uint64_t *words; /* count rows */
};

enum { IMAGE_TIME, IMAGE_ID, IMAGE_NUMBERS };

struct windows;
struct image_shape windows_image_shape(const struct windows *windows);
struct image_shape image_shape_of(const struct feature_program *program);

struct window_store;
struct entity;
/* One event of an entity into a row; a row into the record of a new event (false: it holds what no event can). */
void image_row_take(const struct window_store *store, const struct entity *entity, uint32_t at, uint64_t *row);
bool image_row_record(const struct feature_program *program, const uint64_t *row, uint64_t *record);
