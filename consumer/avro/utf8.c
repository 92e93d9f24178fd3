#include "consumer/avro/utf8.h"

static bool continues(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

bool utf8_valid_beyond_ascii(const uint8_t *text, size_t size)
{
    const uint8_t *p = text, *end = text + size;
    while (p < end) {
        size_t left = (size_t)(end - p);
        if (p[0] < 0x80) {
            p += 1;
        } else if (p[0] >= 0xc2 && p[0] <= 0xdf && left >= 2 && continues(p[1])) {
            p += 2;
        } else if ((p[0] & 0xf0) == 0xe0 && left >= 3 && continues(p[1]) && continues(p[2])) {
            if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) /* overlong; surrogates */
                return false;
            p += 3;
        } else if (p[0] >= 0xf0 && p[0] <= 0xf4 && left >= 4 && continues(p[1]) && continues(p[2]) && continues(p[3])) {
            if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) /* overlong; beyond U+10FFFF */
                return false;
            p += 4;
        } else {
            return false;
        }
    }
    return true;
}
