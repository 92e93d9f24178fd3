#include "consumer/avro/encode.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_grow(struct buffer *b, size_t more)
{
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
