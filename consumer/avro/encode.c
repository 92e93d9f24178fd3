#include "consumer/avro/encode.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_reserve(struct buffer *b, size_t more)
{
    if (b->capacity - b->size >= more)
        return;
    size_t capacity = b->capacity < 256 ? 256 : b->capacity;
    while (capacity - b->size < more && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    void *data = capacity - b->size >= more ? realloc(b->data, capacity) : NULL;
    if (!data) {
        fprintf(stderr, "out of memory: a buffer of %zu bytes cannot take %zu more\n", b->size, more);
        abort();
    }
    b->data = data;
    b->capacity = capacity;
}

void buffer_finish(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

void put_long(struct buffer *b, int64_t v)
{
    uint64_t bits = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); /* zigzag: small numbers of either sign stay short */
    buffer_reserve(b, 10);
    uint8_t *p = b->data + b->size;
    while (bits >= 0x80) {
        *p++ = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    *p++ = (uint8_t)bits;
    b->size = (size_t)(p - b->data);
}

void put_bool(struct buffer *b, bool v)
{
    uint8_t byte = v;
    put_bytes_raw(b, &byte, 1);
}

void put_float(struct buffer *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    bits = htole32(bits);
    put_bytes_raw(b, &bits, sizeof bits);
}

void put_double(struct buffer *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bits = htole64(bits);
    put_bytes_raw(b, &bits, sizeof bits);
}

void put_bytes(struct buffer *b, const void *data, size_t size)
{
    put_long(b, (int64_t)size);
    put_bytes_raw(b, data, size);
}

void put_string(struct buffer *b, const char *text)
{
    put_bytes(b, text, strlen(text));
}
