/* Keys of the changelog: 16 bytes of generation, a kind, and what the kind needs.
 *
 *   entity      'E'  slot (1 byte)  part (2, big-endian)  the entity's bytes
 *   marker      'M'
 *   deployment  'D'  first offset served (8, big-endian)
 *   growth      'P'  first offset after it (8, big-endian): the input had got more partitions
 *
 * A generation is 4 bytes of the input topic's id, 4 of the feature file (hashed, each with the format), and 8 bytes that
 * are new whenever a state is begun from the input: what an earlier one left behind is never taken for this one's.
 * Deployments and growths outlive both: theirs is of the input topic's id alone, the rest 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "scoring/value.h"

enum { GENERATION_BYTES = 16, KEY_HEAD_BYTES = GENERATION_BYTES + 4, CHANGELOG_FORMAT = 1 };

struct generation {
    uint8_t bytes[GENERATION_BYTES];
};

/* topic_id: text of the broker's id (empty where it gives none); canonical: of the feature file. */
struct generation generation_of(const char *topic_id, const char *canonical, uint64_t incarnation);
struct generation generation_of_deployments(const char *topic_id);
bool generation_same_topic(const struct generation *a, const struct generation *b);
bool generation_same_features(const struct generation *a, const struct generation *b);
uint64_t generation_incarnation(const struct generation *generation);

struct changelog_key {
    enum changelog_kind { KEY_ENTITY = 'E', KEY_MARKER = 'M', KEY_DEPLOYMENT = 'D', KEY_GROWTH = 'P' } kind;
    struct generation generation;
    unsigned slot;
    uint32_t part;
    struct bytes entity;  /* borrowed */
    int64_t first_offset; /* of a deployment or a growth */
};

struct buffer;
void changelog_key_put(const struct changelog_key *key, struct buffer *out); /* replaces what is there */
bool changelog_key_parse(const void *data, size_t size, struct changelog_key *key);
