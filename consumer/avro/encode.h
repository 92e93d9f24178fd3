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

void buffer_reserve(struct buffer *b, size_t more); /* room for `more` bytes after size */
void buffer_finish(struct buffer *b);

static inline void put_bytes_raw(struct buffer *b, const void *data, size_t size)
{
    buffer_reserve(b, size);
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}
void put_long(struct buffer *b, int64_t v); /* also int, enum index, union branch, counts */
void put_bool(struct buffer *b, bool v);
void put_float(struct buffer *b, float v);
void put_double(struct buffer *b, double v);
void put_bytes(struct buffer *b, const void *data, size_t size); /* length and bytes: bytes and string */
void put_string(struct buffer *b, const char *text);
