#include "monitor/text_buffer.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(struct text_buffer *text, char *data, size_t capacity)
{
    assert(capacity > 0);
    *text = (struct text_buffer){.data = data, .capacity = capacity};
    data[0] = 0;
}

void text_add(struct text_buffer *text, const char *format, ...)
{
    if (text->full)
        return;
    size_t room = text->capacity - text->size;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text->data + text->size, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room) {
        text->data[text->size] = 0;
        text->full = true;
    } else {
        text->size += (size_t)n;
    }
}

void text_add_bytes(struct text_buffer *text, const char *bytes, size_t size)
{
    if (text->full)
        return;
    if (size >= text->capacity - text->size) {
        text->full = true;
        return;
    }
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = 0;
}

void text_cut(struct text_buffer *text, size_t size)
{
    assert(size <= text->size);
    text->size = size;
    text->data[size] = 0;
}

size_t utf8_length(const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : s[0] >= 0xe0 && s[0] <= 0xef ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* overlong, surrogate, beyond U+10FFFF */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

void text_add_json_string(struct text_buffer *text, const char *string)
{
    size_t start = text->size;
    text_add_bytes(text, "\"", 1);
    for (size_t n; *string; string += n ? n : 1) {
        n = utf8_length(string);
        if (n == 0)
            text_add_bytes(text, "\xef\xbf\xbd", 3);
        else if (*string == '"' || *string == '\\')
            text_add(text, "\\%c", *string);
        else if ((unsigned char)*string < 0x20 || *string == 0x7f)
            text_add(text, "\\u%04x", (unsigned)*string);
        else
            text_add_bytes(text, string, n);
    }
    text_add_bytes(text, "\"", 1);
    if (text->full)
        text_cut(text, start);
}

void text_add_json_number(struct text_buffer *text, double value)
{
    if (!isfinite(value)) {
        text_add(text, "null");
        return;
    }
    char number[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, value);
        if (strtod(number, NULL) == value)
            break;
    }
    text_add(text, "%s", number);
}
