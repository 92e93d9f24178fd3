#include "consumer/hash.h"

#include <openssl/sha.h>

void sha256(const void *data, size_t size, uint8_t digest[32])
{
    SHA256(data, size, digest);
}

void sha256_hex(const uint8_t digest[32], char text[65])
{
    for (int i = 0; i < 32; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    text[64] = 0;
}
