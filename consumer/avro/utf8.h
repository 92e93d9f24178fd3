/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

bool utf8_valid_beyond_ascii(const uint8_t *text, size_t size);

/* Eight bytes a step; the last step overlaps the one before it, so that no tail is left.  `room` is how many bytes
 * may be read from text on, at least `size`: with eight a short text takes one step too. */
static inline bool utf8_is_ascii(const uint8_t *text, size_t size, size_t room)
{
    uint64_t seen = 0, word;
    if (size < 8 && room >= 8) {
        memcpy(&word, text, 8);
        return !(le64toh(word) & 0x8080808080808080u & ((UINT64_C(1) << 8 * size) - 1));
    }
    if (size >= 8) {
        for (size_t i = 0; i < size - 8; i += 8) {
            memcpy(&word, text + i, 8);
            seen |= word;
        }
        memcpy(&word, text + size - 8, 8);
        return !((seen | word) & 0x8080808080808080u);
    }
    for (size_t i = 0; i < size; i++)
        seen |= text[i];
    return seen < 0x80;
}

static inline bool utf8_valid(const uint8_t *text, size_t size, size_t room)
{
    return utf8_is_ascii(text, size, room) || utf8_valid_beyond_ascii(text, size);
}
