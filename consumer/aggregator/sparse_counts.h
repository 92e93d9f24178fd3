/* Arrays of counts as the sketch record has them: each count that is not zero follows the number of zeros before it.
 *
 * In blocks of up to SPARSE_RUNS: one does for nearly all arrays, and none is counted beforehand. */
#pragma once
#include "consumer/avro/encode.h"

enum { SPARSE_RUNS = 64, SPARSE_RUN_BYTES_MAX = 20 /* two longs */ };

struct sparse {
    struct buffer *out;
    size_t done; /* counts written or passed over */
    size_t count;
    int64_t of[2 * SPARSE_RUNS];
};
void sparse_begin(struct sparse *sparse, struct buffer *out);
/* The count at `at`, which is after all before it and not zero. */
void sparse_add(struct sparse *sparse, size_t at, int64_t count);
/* counts[from .. to); what lies between the last one and `from` is zero. */
void sparse_add_all(struct sparse *sparse, const int64_t *counts, size_t from, size_t to);
void sparse_end(struct sparse *sparse);

void sparse_put(struct buffer *out, const int64_t *counts, size_t n);
bool sparse_any(const int64_t *counts, size_t n); /* that is not zero */

/* Into reserved bytes. */
static inline uint8_t *long_at(uint8_t *p, int64_t v)
{
    uint64_t bits = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
    while (bits >= 0x80) {
        *p++ = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    *p++ = (uint8_t)bits;
    return p;
}
