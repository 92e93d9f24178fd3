#include "consumer/changelog/keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "consumer/avro/encode.h"
#include "consumer/hash.h"

static void hash_into(const char *what, const char *text_of_it, uint8_t to[4])
{
    uint8_t digest[32];
    struct buffer text = {0};
    put_string(&text, what);
    put_long(&text, CHANGELOG_FORMAT);
    put_string(&text, text_of_it);
    sha256(text.data, text.size, digest);
    buffer_finish(&text);
    memcpy(to, digest, 4);
}

struct generation generation_of(const char *topic_id, const char *canonical, uint64_t incarnation)
{
    struct generation g;
    hash_into("topic", topic_id, g.bytes);
    hash_into("features", canonical, g.bytes + 4);
    for (int i = 0; i < 8; i++)
        g.bytes[8 + i] = (uint8_t)(incarnation >> (56 - 8 * i));
    return g;
}

struct generation generation_of_deployments(const char *topic_id)
{
    struct generation g = {{0}};
    hash_into("topic", topic_id, g.bytes);
    return g;
}

bool generation_same_topic(const struct generation *a, const struct generation *b)
{
    return !memcmp(a->bytes, b->bytes, 4);
}

bool generation_same_features(const struct generation *a, const struct generation *b)
{
    return !memcmp(a->bytes + 4, b->bytes + 4, 4);
}

uint64_t generation_incarnation(const struct generation *g)
{
    uint64_t incarnation = 0;
    for (int i = 0; i < 8; i++)
        incarnation = incarnation << 8 | g->bytes[8 + i];
    return incarnation;
}

void changelog_key_put(const struct changelog_key *key, struct buffer *out)
{
    out->size = 0;
    put_bytes_raw(out, key->generation.bytes, GENERATION_BYTES);
    uint8_t kind = (uint8_t)key->kind;
    put_bytes_raw(out, &kind, 1);
    if (key->kind == KEY_ENTITY) {
        uint8_t head[3] = {(uint8_t)key->slot, (uint8_t)(key->part >> 8), (uint8_t)key->part};
        put_bytes_raw(out, head, sizeof head);
        put_bytes_raw(out, key->entity.data, key->entity.size);
    } else if (key->kind == KEY_DEPLOYMENT || key->kind == KEY_GROWTH) {
        uint8_t offset[8];
        for (int i = 0; i < 8; i++)
            offset[i] = (uint8_t)((uint64_t)key->first_offset >> (56 - 8 * i));
        put_bytes_raw(out, offset, sizeof offset);
    }
}

bool changelog_key_parse(const void *data, size_t size, struct changelog_key *key)
{
    const uint8_t *at = data;
    if (!data || size <= GENERATION_BYTES || size > UINT32_MAX)
        return false;
    *key = (struct changelog_key){.kind = (enum changelog_kind)at[GENERATION_BYTES]};
    memcpy(key->generation.bytes, at, GENERATION_BYTES);
    switch (key->kind) {
    case KEY_ENTITY:
        if (size < KEY_HEAD_BYTES || at[GENERATION_BYTES + 1] > 1)
            return false;
        key->slot = at[GENERATION_BYTES + 1];
        key->part = (uint32_t)at[GENERATION_BYTES + 2] << 8 | at[GENERATION_BYTES + 3];
        key->entity = (struct bytes){(const char *)at + KEY_HEAD_BYTES, (uint32_t)(size - KEY_HEAD_BYTES)};
        return true;
    case KEY_MARKER:
        return size == GENERATION_BYTES + 1;
    case KEY_DEPLOYMENT:
    case KEY_GROWTH:
        if (size != GENERATION_BYTES + 9 || at[GENERATION_BYTES + 1] & 0x80)
            return false;
        for (size_t i = 0; i < 8; i++)
            key->first_offset = key->first_offset << 8 | at[GENERATION_BYTES + 1 + i];
        return true;
    }
    return false;
}
