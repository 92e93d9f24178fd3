#include "consumer/hash.h"

#include <openssl/sha.h>
#include <string.h>

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

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sha256_parse(const char *text, uint8_t digest[32])
{
    uint8_t parsed[32];
    if (strlen(text) != 64)
        return false;
    for (int i = 0; i < 32; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        parsed[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(digest, parsed, sizeof parsed);
    return true;
}
