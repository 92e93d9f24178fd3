/* Offsets of the input topic: where the group stands, where it starts, and where a rebuild has to begin.
 *
 * Every commit carries what a successor needs to rebuild exactly and to see that it did, as the commit's metadata:
 *   weir1 T=<stream time> V=<verdict hash> F=<first offset folded> H=<history start> R=<rules> N=<partitions> C=<epoch>:<O>:<generation>
 * (times in milliseconds or `-`; V, R and the generation hexadecimal).  C names the latest checkpoint whose marker is in
 * the changelog, and is left out before the first. */
#pragma once
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include "consumer/changelog/keys.h"
#include "consumer/config/config.h"

enum { OFFSET_METADATA_MAX = 288 };

struct offset_metadata {
    int64_t stream_time;   /* T at the offset; TIME_UNKNOWN: no event yet */
    uint64_t verdict_hash; /* rolling hash of (offset, verdict) since first_offset */
    int64_t first_offset;  /* where the fold of this partition began */
    int64_t history_start; /* TIME_UNKNOWN: complete */
    uint64_t rules;        /* of feature file, validation and reader schema */
    int32_t partitions;    /* of the input then; 0: not said */
    int64_t checkpoint_epoch, checkpoint_offset; /* 0: none yet */
    struct generation generation;                /* of that checkpoint */
};
void offset_metadata_format(const struct offset_metadata *metadata, char text[OFFSET_METADATA_MAX]);
bool offset_metadata_parse(const char *text, size_t size, struct offset_metadata *metadata);
/* What decides verdicts, hashed: metadata of other rules says nothing about a rebuild under these. */
uint64_t rules_hash(const struct config *config);

/* All look-ups below try again while a broker fails over, until *stop (may be NULL) is set. */

struct committed {
    int64_t offset;        /* -1: none */
    bool has_metadata;     /* written by weir: not the resolved start */
    struct offset_metadata metadata;
};
/* The group's committed offsets of partitions[0..count), stable ones (it waits for open transactions). */
int offsets_committed(rd_kafka_t *client, const atomic_bool *stop, const char *topic, const int32_t *partitions, size_t count, struct committed *out, struct err *err);
/* The same, asked once and for at most wait_ms: codes[i] says which of them are there.  An error: none is. */
rd_kafka_resp_err_t offsets_committed_now(rd_kafka_t *client, const char *topic, const int32_t *partitions, size_t count, int wait_ms, struct committed *out, rd_kafka_resp_err_t *codes);
int offsets_bounds(rd_kafka_t *client, const atomic_bool *stop, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct err *err);
/* The first offset whose record timestamp is at or after time_ms; the end of the log if there is none. */
int offsets_at_time(rd_kafka_t *client, const atomic_bool *stop, const char *topic, int32_t partition, int64_t time_ms, int64_t *offset, struct err *err);
/* If the group has no offset at all: resolves input.start to one offset a partition and commits them, before anybody joins.
 * Where the changelog ("": there is none) holds state already that is a gap, refused or begun after as input.on_gap says. */
int offsets_resolve_start(rd_kafka_t *client, const atomic_bool *stop, const struct config *config, const char *changelog, int32_t partitions, struct err *err);
