#include "consumer/kafka/assignment.h"

#include <string.h>

struct bytes {
    const uint8_t *at;
    size_t left;
};

static bool take(struct bytes *b, size_t size, int64_t *value)
{
    uint64_t read = 0;
    if (b->left < size)
        return false;
    for (size_t i = 0; i < size; i++)
        read = read << 8 | b->at[i];
    b->at += size;
    b->left -= size;
    *value = (int64_t)read;
    return true;
}

/* -1: it does not read. */
static int read_topic(struct bytes *b, const char *topic, bool *owned, int32_t count)
{
    int64_t length, partitions, partition;
    int found = 0;
    if (!take(b, 2, &length) || (size_t)length > b->left)
        return -1;
    bool ours = (size_t)length == strlen(topic) && !memcmp(b->at, topic, (size_t)length);
    b->at += length;
    b->left -= (size_t)length;
    if (!take(b, 4, &partitions) || (size_t)partitions > b->left / 4)
        return -1;
    for (int64_t i = 0; i < partitions; i++) {
        if (!take(b, 4, &partition))
            return -1;
        if (ours && owned && partition < count)
            owned[partition] = true;
        found += ours;
    }
    return found;
}

int assignment_read(const void *data, size_t size, const char *topic, bool *owned, int32_t count)
{
    struct bytes b = {data, size};
    int64_t version, topics;
    int found = 0;
    if (!size)
        return 0;
    if (!take(&b, 2, &version) || !take(&b, 4, &topics) || (size_t)topics > b.left / 6) /* a name's length and a count */
        return -1;
    for (int64_t i = 0; i < topics; i++) {
        int of_topic = read_topic(&b, topic, owned, count);
        if (of_topic < 0)
            return -1;
        found += of_topic;
    }
    return found;
}
