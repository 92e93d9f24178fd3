/* The marker that closes a checkpoint (CheckpointMarker of schemas/changelog.avsc): the state of the partition as a whole at O. */
#pragma once
#include "consumer/avro/encode.h"
#include "scoring/features/changes.h"

struct marker {
    int64_t epoch;
    int64_t offset; /* O: the first record that is not in it */
    struct windows_mark mark;
    int64_t first_offset; /* where the very first fold began */
    uint64_t verdict_hash;
    uint64_t rules_hash;
    struct bytes rules;   /* their text, see rules.h; borrowed from what was read */
    struct bytes serving; /* serving_export's bytes; likewise */
    int32_t partitions;   /* of the input */
    int64_t entities, events; /* about: for progress */
    uint8_t feature_spec_sha256[32];
};

void marker_put(const struct marker *marker, struct buffer *out);
int marker_read(const void *data, size_t size, struct marker *marker); /* -1: damaged */
