#include "consumer/changelog/marker.h"

#include "consumer/changelog/reader.h"

static void put_time(struct buffer *out, int64_t time)
{
    put_long(out, time != INT64_MIN);
    if (time != INT64_MIN)
        put_long(out, time);
}

static int64_t get_time(struct avro_reader *r)
{
    return get_size(r, 1) ? get_long(r) : INT64_MIN;
}

void marker_put(const struct marker *m, struct buffer *out)
{
    put_long(out, BRANCH_MARKER);
    put_long(out, m->epoch);
    put_long(out, m->offset);
    put_time(out, m->mark.stream_time_ms);
    put_time(out, m->mark.history_start_ms);
    put_time(out, m->mark.evicted_ms);
    put_long(out, m->first_offset);
    put_long(out, (int64_t)m->verdict_hash);
    put_long(out, (int64_t)m->rules_hash);
    put_bytes(out, m->rules.data, m->rules.size);
    put_bytes(out, m->serving.data, m->serving.size);
    put_long(out, m->partitions);
    put_long(out, m->entities);
    put_long(out, m->events);
    put_bytes_raw(out, m->feature_spec_sha256, sizeof m->feature_spec_sha256);
}

static struct bytes get_text(struct avro_reader *r)
{
    size_t size;
    const uint8_t *data = get_bytes(r, &size);
    return (struct bytes){(const char *)data, (uint32_t)size};
}

int marker_read(const void *data, size_t size, struct marker *m)
{
    struct avro_reader r = {data, (const uint8_t *)data + size, size > INT32_MAX};
    get_branch(&r, BRANCH_MARKER);
    m->epoch = get_long(&r);
    m->offset = get_long(&r);
    m->mark.stream_time_ms = get_time(&r);
    m->mark.history_start_ms = get_time(&r);
    m->mark.evicted_ms = get_time(&r);
    m->first_offset = get_long(&r);
    m->verdict_hash = (uint64_t)get_long(&r);
    m->rules_hash = (uint64_t)get_long(&r);
    m->rules = get_text(&r);
    m->serving = get_text(&r);
    m->partitions = (int32_t)get_size(&r, INT32_MAX);
    m->entities = get_long(&r);
    m->events = get_long(&r);
    const uint8_t *digest = get_raw(&r, sizeof m->feature_spec_sha256);
    if (!reader_is_done(&r) || m->epoch < 1 || m->offset < 0 || m->first_offset < 0)
        return -1;
    memcpy(m->feature_spec_sha256, digest, sizeof m->feature_spec_sha256);
    return 0;
}
