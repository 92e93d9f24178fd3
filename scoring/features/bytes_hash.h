/* A 64-bit hash of bytes: two 64x64 -> 128 bit multiplications for each 16 bytes, after wyhash (Wang Yi, public
 * domain).  The same on every machine of either byte order's kind that weir runs on (little endian).  Two given
 * different texts collide with odds of about 2^-64. */
#pragma once
#include <stdint.h>
#include <string.h>

#define HASH_P0 UINT64_C(0xa0761d6478bd642f)
#define HASH_P1 UINT64_C(0xe7037ed1a0b428db)
#define HASH_P2 UINT64_C(0x8ebc6af09c88c6e3)

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64) ^ a ^ b; /* a factor of 0 takes nothing away from the other */
}

static inline uint64_t hash_read(const unsigned char *p, uint32_t size)
{
    uint64_t word = 0;
    memcpy(&word, p, size);
    return word;
}

static inline uint64_t hash_integer(uint64_t x, uint64_t seed)
{
    return hash_mix(x ^ HASH_P0, hash_mix(seed ^ HASH_P1, HASH_P2) ^ x);
}

/* The last 16 bytes at most. */
static inline uint64_t hash_end(const unsigned char *p, uint32_t left, uint32_t size, uint64_t h)
{
    uint64_t a = 0, b = 0;
    if (left >= 8) { /* the two words overlap */
        a = hash_read(p, 8);
        b = hash_read(p + left - 8, 8);
    } else if (left >= 4) {
        a = hash_read(p, 4);
        b = hash_read(p + left - 4, 4);
    } else if (left) {
        a = (uint64_t)p[0] << 16 | (uint64_t)p[left >> 1] << 8 | p[left - 1];
    }
    return hash_mix(HASH_P1 ^ size, hash_mix(a ^ HASH_P2, b ^ h));
}

static inline uint64_t hash_bytes(const void *data, uint32_t size, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = seed ^ hash_mix(seed ^ HASH_P0, size ^ HASH_P1);
    if (size <= 16)
        return hash_end(p, size, size, h);
    const unsigned char *last = p + size - 16;
    for (; p < last; p += 16)
        h = hash_mix(hash_read(p, 8) ^ HASH_P1, hash_read(p + 8, 8) ^ h);
    return hash_end(p, (uint32_t)(last - p) + 16, size, h);
}
