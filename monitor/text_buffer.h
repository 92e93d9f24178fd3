/* Text into memory that the caller owns, whole pieces only: a piece that does not fit sets `full` and leaves what
 * is there as it was, and nothing is added from then on.  So a reader never sees half a line, and knows. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct text_buffer {
    char *data; /* always ends with a zero byte beyond `size` */
    size_t size, capacity;
    bool full;
};

/* capacity: at least 1. */
void text_init(struct text_buffer *text, char *data, size_t capacity);
void text_add(struct text_buffer *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text_buffer *text, const char *bytes, size_t size);
/* A JSON string with its quotes; what is no valid UTF-8 becomes U+FFFD. */
void text_add_json_string(struct text_buffer *text, const char *string);
/* The shortest decimal that reads back to the same double; `null` for what JSON cannot say. */
void text_add_json_number(struct text_buffer *text, double value);
/* Back to an earlier size: a line of several pieces of which one did not fit. */
void text_cut(struct text_buffer *text, size_t size);
/* Bytes of the UTF-8 character at string (not at its end); 0 if there is none that is valid. */
size_t utf8_length(const char *string);
