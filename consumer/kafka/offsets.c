#include "consumer/kafka/offsets.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/file.h"
#include "consumer/kafka/client.h"
#include "consumer/log.h"
#include "consumer/stop.h"
#include "scoring/features/features.h"

enum { READER_SCHEMA_MAX = 1 << 20, FRESH_TOGETHER_MS = 2000, FRESH_ALONE_MS = 300 };
#define VERDICTS_VERSION "1" /* to be raised when a release judges records otherwise */

static void format_time(int64_t time, char text[24])
{
    if (time == TIME_UNKNOWN)
        strcpy(text, "-");
    else
        snprintf(text, 24, "%" PRId64, time);
}

void offset_metadata_format(const struct offset_metadata *m, char text[OFFSET_METADATA_MAX])
{
    char stream[24], history[24];
    format_time(m->stream_time, stream);
    format_time(m->history_start, history);
    snprintf(text, OFFSET_METADATA_MAX, "weir1 T=%s V=%016" PRIx64 " F=%" PRId64 " H=%s R=%016" PRIx64, stream, m->verdict_hash, m->first_offset, history, m->rules);
    size_t n = strlen(text);
    if (m->partitions)
        n += (size_t)snprintf(text + n, OFFSET_METADATA_MAX - n, " N=%" PRId32, m->partitions);
    if (!m->checkpoint_epoch)
        return;
    n += (size_t)snprintf(text + n, OFFSET_METADATA_MAX - n, " C=%" PRId64 ":%" PRId64 ":", m->checkpoint_epoch, m->checkpoint_offset);
    for (size_t i = 0; i < GENERATION_BYTES; i++)
        n += (size_t)snprintf(text + n, OFFSET_METADATA_MAX - n, "%02x", m->generation.bytes[i]);
}

/* What may follow the rules. */
static bool parse_rest(const char *text, struct offset_metadata *m)
{
    char hex[2 * GENERATION_BYTES + 1];
    int end = 0;
    if (sscanf(text, " N=%9" SCNd32 "%n", &m->partitions, &end) == 1)
        text += end;
    if (m->partitions < 0 || !*text)
        return m->partitions > 0;
    end = -1;
    if (sscanf(text, " C=%19" SCNd64 ":%19" SCNd64 ":%32[0-9a-f]%n", &m->checkpoint_epoch, &m->checkpoint_offset, hex, &end) != 3 || end < 0 || text[end] ||
        strlen(hex) != 2 * GENERATION_BYTES || m->checkpoint_epoch < 1 || m->checkpoint_offset < 0)
        return false;
    for (size_t i = 0; i < GENERATION_BYTES; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        m->generation.bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static bool parse_time(const char *text, int64_t *time)
{
    char *end;
    if (!strcmp(text, "-")) {
        *time = TIME_UNKNOWN;
        return true;
    }
    *time = strtoll(text, &end, 10);
    return *text && !*end;
}

bool offset_metadata_parse(const char *data, size_t size, struct offset_metadata *m)
{
    char text[OFFSET_METADATA_MAX], stream[24], history[24];
    int end = -1;
    struct offset_metadata read = {0};
    if (!data || size == 0 || size >= sizeof text)
        return false;
    memcpy(text, data, size);
    text[size] = 0;
    if (sscanf(text, "weir1 T=%23s V=%16" SCNx64 " F=%20" SCNd64 " H=%23s R=%16" SCNx64 "%n", stream, &read.verdict_hash, &read.first_offset, history, &read.rules, &end) != 5 ||
        end < 0 || (text[end] && !parse_rest(text + end, &read)) || !parse_time(stream, &read.stream_time) || !parse_time(history, &read.history_start))
        return false;
    *m = read;
    return true;
}

static void hash_text(uint64_t *hash, const char *text)
{
    for (const char *c = text ? text : ""; *c; c++)
        *hash = (*hash ^ (uint8_t)*c) * 0x100000001b3u;
    *hash = (*hash ^ 0xff) * 0x100000001b3u;
}

static void hash_predicate(uint64_t *hash, const struct predicate *p)
{
    char bounds[96];
    snprintf(bounds, sizeof bounds, "%d %d %d %.17g %d %.17g %zu", p->slot >= 0, (int)p->kind, p->has_min, p->has_min ? p->min : 0, p->has_max, p->has_max ? p->max : 0, p->count);
    hash_text(hash, bounds);
    for (size_t i = 0; i < p->count; i++)
        hash_text(hash, p->literals[i].text);
}

uint64_t rules_hash(const struct config *config)
{
    uint64_t hash = 0xcbf29ce484222325u;
    hash_text(&hash, config->spec->canonical);
    for (size_t i = 0; i < config->validation_count; i++) {
        const struct validation_entry *e = &config->validation[i];
        hash_text(&hash, e->field);
        hash_text(&hash, e->name);
        hash_text(&hash, e->when.slot >= 0 ? config->fields.fields[e->when.slot].name : NULL);
        hash_predicate(&hash, &e->when);
        hash_predicate(&hash, &e->bound);
    }
    char limits[96];
    snprintf(limits, sizeof limits, "%" PRId64 " %" PRId64 " %" PRId64, config->input.max_record_bytes, config->state.max_entities, config->state.max_events);
    hash_text(&hash, limits);
    char *schema = NULL;
    size_t size;
    if (config->input.reader_schema && file_read(config->input.reader_schema, READER_SCHEMA_MAX, &schema, &size, NULL) == 0)
        hash_text(&hash, schema);
    free(schema);
    hash_text(&hash, VERDICTS_VERSION);
    return hash;
}

rd_kafka_resp_err_t offsets_committed_now(rd_kafka_t *client, const char *topic, const int32_t *partitions, size_t count, int wait_ms, struct committed *out, rd_kafka_resp_err_t *codes)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, partitions[i]);
    rd_kafka_resp_err_t code = rd_kafka_committed(client, list, wait_ms);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_find(list, topic, partitions[i]);
        codes[i] = code ? code : p->err;
        out[i] = (struct committed){.offset = p->offset >= 0 ? p->offset : -1};
        out[i].has_metadata = !codes[i] && offset_metadata_parse(p->metadata, p->metadata_size, &out[i].metadata);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

int offsets_committed(rd_kafka_t *client, const atomic_bool *stop, const char *topic, const int32_t *partitions, size_t count, struct committed *out, struct err *err)
{
    rd_kafka_resp_err_t code, *codes = calloc(count + 1, sizeof *codes);
    struct attempts a = attempts_begin(stop);
    assert(codes);
    do {
        code = offsets_committed_now(client, topic, partitions, count, LOOKUP_TIMEOUT_MS, out, codes);
        for (size_t i = 0; !code && i < count; i++)
            code = codes[i];
    } while (attempts_again(&a, code, "committed offsets"));
    free(codes);
    return code ? kafka_err(err, code, "cannot read the group's committed offsets") : 0;
}

int offsets_bounds(rd_kafka_t *client, const atomic_bool *stop, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct err *err)
{
    rd_kafka_resp_err_t code;
    struct attempts a = attempts_begin(stop);
    do
        code = rd_kafka_query_watermark_offsets(client, topic, partition, first, end, LOOKUP_TIMEOUT_MS);
    while (attempts_again(&a, code, "log bounds"));
    return code ? kafka_err(err, code, "cannot read the input topic's first and last offset") : 0;
}

int offsets_at_time(rd_kafka_t *client, const atomic_bool *stop, const char *topic, int32_t partition, int64_t time_ms, int64_t *offset, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_resp_err_t code;
    struct attempts a = attempts_begin(stop);
    do {
        list->elems[0].offset = time_ms < 0 ? 0 : time_ms;
        code = rd_kafka_offsets_for_times(client, list, LOOKUP_TIMEOUT_MS);
        if (!code)
            code = list->elems[0].err;
    } while (attempts_again(&a, code, "offsets by time"));
    int64_t found = list->elems[0].offset, first, end;
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return kafka_err(err, code, "cannot look up an offset by time");
    if (found < 0) { /* RD_KAFKA_OFFSET_END: every record is older */
        if (offsets_bounds(client, stop, topic, partition, &first, &end, err) < 0)
            return -1;
        found = end;
    }
    *offset = found;
    return 0;
}

static int resolve_one(rd_kafka_t *client, const atomic_bool *stop, const struct config *config, int32_t partition, int64_t *offset, struct err *err)
{
    int64_t first, end;
    if (config->input.start_ms >= 0)
        return offsets_at_time(client, stop, config->input.topic, partition, config->input.start_ms, offset, err);
    if (offsets_bounds(client, stop, config->input.topic, partition, &first, &end, err) < 0)
        return -1;
    *offset = !strcmp(config->input.start, "latest") ? end : first;
    return 0;
}

/* The broker takes offsets of a group from outside only while the group has no members: so either nobody has begun,
 * or somebody has resolved the start already and ours is refused. */
static int commit_start(rd_kafka_t *client, const atomic_bool *stop, const char *topic, int32_t count, const int64_t *offsets, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = offsets[i];
    rd_kafka_resp_err_t code;
    struct attempts a = attempts_begin(stop);
    do
        code = rd_kafka_commit(client, list, 0);
    while (attempts_again(&a, code, "start offsets"));
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS || code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION)
        return 0;
    return code ? kafka_err(err, code, "cannot commit the group's starting offsets") : 0;
}

/* Whether the group has no offset at all: each partition is asked for alone where not all can be answered together, so
 * that one whose offset hangs in an open transaction does not hide that another has one. */
static int is_fresh(rd_kafka_t *client, const atomic_bool *stop, const struct config *config, int32_t count, bool *fresh, struct err *err)
{
    rd_kafka_resp_err_t code, *codes = calloc((size_t)count, sizeof *codes);
    int32_t *partitions = calloc((size_t)count, sizeof *partitions);
    struct committed *committed = calloc((size_t)count, sizeof *committed);
    assert(partitions && committed && codes);
    for (int32_t i = 0; i < count; i++)
        partitions[i] = i;
    struct attempts a = attempts_begin(stop);
    do {
        bool together = !offsets_committed_now(client, config->input.topic, partitions, (size_t)count, FRESH_TOGETHER_MS, committed, codes);
        *fresh = true;
        code = RD_KAFKA_RESP_ERR_NO_ERROR;
        for (int32_t i = 0; i < count && *fresh && !stop_is_set(stop); i++) {
            if (!together)
                offsets_committed_now(client, config->input.topic, &partitions[i], 1, FRESH_ALONE_MS, &committed[i], &codes[i]);
            *fresh = codes[i] || committed[i].offset < 0;
            code = codes[i] ? codes[i] : code;
        }
    } while (*fresh && attempts_again(&a, code, "committed offsets"));
    if (stop_is_set(stop))
        *fresh = false; /* nobody has looked to the end: nothing may be begun on that */
    free(partitions);
    free(committed);
    free(codes);
    return *fresh && code ? kafka_err(err, code, "cannot read the group's committed offsets") : 0;
}

/* A changelog that somebody has written to, and no offset: records would be processed again whose outputs are there. */
static int refuse_state_without_offsets(rd_kafka_t *client, const atomic_bool *stop, const struct config *config, const char *changelog, int32_t count, bool *fresh, struct err *err)
{
    int64_t first, end = 0;
    for (int32_t i = 0; end == 0 && i < count; i++)
        if (offsets_bounds(client, stop, changelog, i, &first, &end, err) < 0)
            return -1;
    if (end == 0)
        return 0;
    if (is_fresh(client, stop, config, count, fresh, err) < 0)
        return -1;
    if (!*fresh)
        return 0; /* another instance has begun just now */
    if (config->input.on_gap == GAP_REFUSE)
        return err_set(err, "group %s has no offsets, but topic %s holds its state: they have expired or were deleted, or group.id is another one, and what was processed would be processed "
            "again; set the group's offsets, or delete that topic to begin anew, or set input.on_gap: continue to begin at input.start", kafka_group_id(config), changelog);
    log_warning("group %s has no offsets, but topic %s holds its state; beginning at input.start: what was processed before is processed again", kafka_group_id(config), changelog);
    return 0;
}

int offsets_resolve_start(rd_kafka_t *client, const atomic_bool *stop, const struct config *config, const char *changelog, int32_t count, struct err *err)
{
    int64_t *offsets = calloc((size_t)count, sizeof *offsets);
    bool fresh = false;
    assert(offsets);
    int result = is_fresh(client, stop, config, count, &fresh, err);
    if (result == 0 && fresh && *changelog)
        result = refuse_state_without_offsets(client, stop, config, changelog, count, &fresh, err);
    for (int32_t i = 0; result == 0 && fresh && i < count; i++)
        result = resolve_one(client, stop, config, i, &offsets[i], err);
    if (result == 0 && fresh) {
        log_info("group %s has no offsets: starting at %s of %s, %d partitions", kafka_group_id(config), config->input.start, config->input.topic, count);
        result = commit_start(client, stop, config->input.topic, count, offsets, err);
    }
    free(offsets);
    return result;
}
