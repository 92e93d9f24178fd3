/* Random numbers of the generator: splitmix64 (Vigna 2015), the same everywhere.  Two draws never stand in one
 * expression: C does not say which comes first. */
#pragma once
#include <stdint.h>

struct random {
    uint64_t state;
};

/* A bijection of 64 bits in which near inputs give far outputs. */
static inline uint64_t mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t random_u64(struct random *r)
{
    return mix64(r->state += 0x9e3779b97f4a7c15u);
}

/* 0..n-1, n > 0; by the high half of a product (bias below n / 2^64). */
static inline uint64_t random_below(struct random *r, uint64_t n)
{
    return (uint64_t)((unsigned __int128)random_u64(r) * n >> 64);
}

/* low..high, both included. */
static inline int64_t random_between(struct random *r, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(r, (uint64_t)(high - low) + 1);
}

/* [0, 1), a multiple of 2^-53. */
static inline double random_unit(struct random *r)
{
    return (double)(random_u64(r) >> 11) * 0x1p-53;
}

static inline int random_permille(struct random *r, unsigned permille)
{
    return random_below(r, 1000) < permille;
}

/* Near enough to a standard normal for amounts: the sum of four uniforms, scaled to variance 1; within +-3.5. */
static inline double random_bell(struct random *r)
{
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += random_unit(r);
    return (sum - 2.0) * 1.7320508075688772;
}
