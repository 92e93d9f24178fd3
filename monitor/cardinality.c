#include "monitor/cardinality.h"

#include <math.h>
#include <string.h>

#include "scoring/features/bytes_hash.h"

enum { RANK_MAX = 64 - CARDINALITY_BITS + 1 };

uint64_t cardinality_hash(const void *data, size_t size)
{
    return hash_bytes(data, (uint32_t)size, 0);
}

/* splitmix64 (Steele, Lea, Flood 2014): ids that count up must look like chance here, in the upper bits as in the rank.  One
 * multiplication, good enough for a table, leaves 5,000 ids in a row 16 % short. */
uint64_t cardinality_hash_integer(int64_t value)
{
    uint64_t z = (uint64_t)value + 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void cardinality_add(struct cardinality *c, uint64_t hash)
{
    uint64_t rest = hash << CARDINALITY_BITS | (uint64_t)1 << (CARDINALITY_BITS - 1); /* a one to stop at */
    cardinality_raise(c, hash >> (64 - CARDINALITY_BITS), (uint8_t)(__builtin_clzll(rest) + 1));
}

void cardinality_raise(struct cardinality *c, size_t reg, uint8_t rank)
{
    c->touched |= (uint64_t)1 << (reg / CARDINALITY_PART);
    if (rank > c->registers[reg])
        c->registers[reg] = rank;
}

void cardinality_clear(struct cardinality *c)
{
    for (; c->touched; c->touched &= c->touched - 1)
        memset(c->registers + (size_t)__builtin_ctzll(c->touched) * CARDINALITY_PART, 0, CARDINALITY_PART);
}

void cardinality_merge(struct cardinality *into, const struct cardinality *from)
{
    for (uint64_t left = from->touched; left; left &= left - 1) {
        size_t at = (size_t)__builtin_ctzll(left) * CARDINALITY_PART;
        for (size_t i = at; i < at + CARDINALITY_PART; i++)
            into->registers[i] = from->registers[i] > into->registers[i] ? from->registers[i] : into->registers[i];
    }
    into->touched |= from->touched;
}

/* x + sum x^(2^k) 2^(k-1), k = 1, 2 ..: what the empty registers say. */
static double sigma(double x)
{
    if (x == 1)
        return INFINITY;
    double power = 1, sum = x, before;
    do {
        x *= x;
        before = sum;
        sum += x * power;
        power += power;
    } while (sum != before);
    return sum;
}

/* (1 - x - sum (1 - x^(2^-k))^2 2^-k) / 3: what the full ones say. */
static double tau(double x)
{
    if (x == 0 || x == 1)
        return 0;
    double power = 1, sum = 1 - x, before;
    do {
        x = sqrt(x);
        before = sum;
        power /= 2;
        sum -= (1 - x) * (1 - x) * power;
    } while (sum != before);
    return sum / 3;
}

double cardinality_estimate(const struct cardinality *c)
{
    const double registers = CARDINALITY_REGISTERS;
    int32_t of_rank[RANK_MAX + 1] = {0};
    for (size_t i = 0; i < CARDINALITY_REGISTERS; i++)
        of_rank[c->registers[i]]++;
    double z = registers * tau((registers - of_rank[RANK_MAX]) / registers);
    for (int k = RANK_MAX - 1; k >= 1; k--)
        z = (z + of_rank[k]) / 2;
    z += registers * sigma(of_rank[0] / registers);
    return registers * registers / (2 * log(2)) / z;
}
