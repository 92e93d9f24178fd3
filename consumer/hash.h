/* SHA-256 (OpenSSL's). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void sha256(const void *data, size_t size, uint8_t digest[32]);
void sha256_hex(const uint8_t digest[32], char text[65]);
bool sha256_parse(const char *text, uint8_t digest[32]); /* 64 lower-case digits, nothing else */
