/* State of one input partition: a fold over its records. */
#pragma once
#include "consumer/config/config.h"
#include "consumer/serving.h"
#include "scoring/features/features.h"

struct partition_state {
    int32_t id;
    int64_t next_offset;     /* of the first record not folded yet */
    int64_t suppress_below;  /* outputs of records before this offset exist already: fold only */
    uint64_t verdict_hash;   /* rolling hash of (offset, verdict) */
    struct windows *windows;
    int64_t *growths; /* offsets from which on the input has more partitions, ascending: history begins anew at each */
    size_t growth_count, growth_next;
    struct serving *serving; /* which models answer, and their breakers */
};

int partition_state_init(struct partition_state *state, const struct config *config, int32_t id);
void partition_state_finish(struct partition_state *state);
/* The input has more partitions from this offset on: entities have come from other partitions, and the history begins
 * with T of the next event. */
void partition_state_grows_at(struct partition_state *state, int64_t offset);
/* What grew at or before this offset counts, though no event has come since. */
void partition_state_pass(struct partition_state *state, int64_t offset);
