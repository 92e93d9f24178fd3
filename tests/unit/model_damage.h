/* Damage to a model file, for tests of whatever reads one. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t damage_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* A byte replaced, bytes of another place of the file put over these, a piece left out, the end cut off, or a bit flipped.
 * Returns what is left of the size. */
static inline size_t model_damage(char *bytes, size_t size, uint64_t *state)
{
    size_t at = damage_random(state) % size, from = damage_random(state) % size, n = 1 + damage_random(state) % 16;
    n = n > size - at ? size - at : n;
    n = n > size - from ? size - from : n;
    switch (damage_random(state) % 8) {
    case 0: bytes[at] = "0123456789-.,[]{}\"eL\x7f\xff"[damage_random(state) % 22]; return size;
    case 1: memmove(bytes + at, bytes + from, n); return size;
    case 2: memmove(bytes + at, bytes + at + n, size - at - n); return size - n;
    case 3: return size > 64 && damage_random(state) % 8 == 0 ? at + 1 : size;
    default: bytes[at] = (char)(bytes[at] ^ (1 << damage_random(state) % 8)); return size;
    }
}
