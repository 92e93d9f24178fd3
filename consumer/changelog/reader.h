/* Reads Avro's binary encoding piece by piece, from bytes that may be anything: after the first thing that cannot be,
 * `bad` is set and everything read is 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct avro_reader {
    const uint8_t *at, *end;
    bool bad;
};

static inline int64_t get_long(struct avro_reader *r)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
    }
    r->bad = true;
    r->at = r->end;
    return 0;
}

/* A length or a count: from 0 to `most`. */
static inline size_t get_size(struct avro_reader *r, size_t most)
{
    int64_t size = get_long(r);
    if (size >= 0 && (uint64_t)size <= most)
        return (size_t)size;
    r->bad = true;
    r->at = r->end;
    return 0;
}

/* Of the topic's union (schemas/changelog.avsc). */
enum branch { BRANCH_ENTITY, BRANCH_MARKER, BRANCH_DEPLOYMENT, BRANCH_GROWTH };

static inline void get_branch(struct avro_reader *r, enum branch wanted)
{
    if (get_long(r) != (int64_t)wanted)
        r->bad = true;
}

static inline const uint8_t *get_raw(struct avro_reader *r, size_t size)
{
    static const uint8_t none[1];
    if ((size_t)(r->end - r->at) < size) {
        r->bad = true;
        r->at = r->end;
        return none;
    }
    const uint8_t *data = r->at;
    r->at += size;
    return data;
}

static inline const uint8_t *get_bytes(struct avro_reader *r, size_t *size)
{
    *size = get_size(r, (size_t)(r->end - r->at));
    const uint8_t *data = get_raw(r, *size);
    if (r->bad)
        *size = 0;
    return data;
}

/* The items of an array that was written as one block; the block's end is the caller's to read (get_array_end). */
static inline size_t get_array(struct avro_reader *r)
{
    return get_size(r, (size_t)(r->end - r->at));
}

static inline void get_array_end(struct avro_reader *r, size_t count)
{
    if (count && get_long(r) != 0)
        r->bad = true;
}

static inline bool reader_is_done(const struct avro_reader *r)
{
    return !r->bad && r->at == r->end;
}
