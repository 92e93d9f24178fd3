/* Avro binary encoding into a growing buffer.  Appends cannot fail: memory short is fatal to the process. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
    uint8_t *data;
    size_t size, capacity;
};

void buffer_grow(struct buffer *b, size_t more);
void buffer_finish(struct buffer *b);

/* Room for `more` bytes after size. */
static inline void buffer_reserve(struct buffer *b, size_t more)
{
    if (b->capacity - b->size < more)
        buffer_grow(b, more);
}

static inline void put_bytes_raw(struct buffer *b, const void *data, size_t size)
{
    buffer_reserve(b, size);
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

/* Also int, enum index, union branch, counts.  Zigzag: small numbers of either sign stay short. */
static inline void put_long(struct buffer *b, int64_t v)
{
    uint64_t bits = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
    buffer_reserve(b, 10);
    uint8_t *p = b->data + b->size;
    for (; bits >= 0x80; bits >>= 7)
        *p++ = (uint8_t)(bits | 0x80);
    *p++ = (uint8_t)bits;
    b->size = (size_t)(p - b->data);
}

void put_bool(struct buffer *b, bool v);
void put_float(struct buffer *b, float v);
void put_double(struct buffer *b, double v);
void put_bytes(struct buffer *b, const void *data, size_t size); /* length and bytes: bytes and string */
void put_string(struct buffer *b, const char *text);
