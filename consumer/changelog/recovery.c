#include "consumer/changelog/recovery.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/changelog/entity_record.h"
#include "consumer/changelog/reader.h"
#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/kafka/cluster.h"
#include "consumer/log.h"
#include "consumer/serving.h"

enum { AT_ONCE = 256, SETTLED_AT_ONCE = 64, FRAME_BYTES = 5, GARBAGE_BYTES_MAX = 16 << 20, READ_AT_A_TIME = 2 };

struct version { /* of an entity that has been imported */
    int64_t epoch;       /* 0: it has none that counts */
    uint32_t parts, next;
    uint8_t slot;
    bool above;          /* there is one of an epoch above the wanted */
    bool split;
};

struct recovery {
    struct recovery_reader *reader;
    int32_t partition;
    struct windows *windows;
    struct serving *serving;
    struct image_shape shape;
    struct generation generation, deployments;
    bool deployments_only;
    bool anew; /* the checkpoints to come are of a new generation: nothing of the state lies there yet */
    int64_t wanted_epoch, wanted_offset, highest_epoch;
    int64_t input_first;
    struct changelog_key served_first; /* the deployment in force at input_first, as far as is known; kind 0: none yet */
    struct version *versions; /* by entity number */
    uint32_t version_count, version_room, settled;
    struct entity_record record;
    struct buffer marker_bytes;
    struct marker marker;
    bool marker_found;
    struct changelog_key *garbage;
    size_t garbage_count, garbage_room, garbage_bytes;
    int64_t *growths;
    size_t growth_count;
    struct recovery_status status;
    bool assigned; /* to the reader's consumer */
    char why[256];
};

struct recovery_reader {
    const struct config *config;
    const struct changelog_topic *topic;
    const atomic_bool *stop;
    rd_kafka_t *consumer; /* while there is something to read */
    rd_kafka_queue_t *queue;
    struct recovery **active;
    size_t active_count;
    int64_t *ends; /* by partition */
    int32_t end_count;
    bool ends_known; /* since the latest assignment */
};

/* ---- one record ---- */

static void fail(struct recovery *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct recovery *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    r->status.state = RECOVERY_FAILED;
    r->status.why = r->why;
}

static void take_garbage(struct recovery *r, const struct changelog_key *key)
{
    if (r->garbage_bytes + key->entity.size + sizeof *key > GARBAGE_BYTES_MAX)
        return; /* the next restart finds the rest */
    if (r->garbage_count == r->garbage_room) {
        r->garbage_room = r->garbage_room * 2 + 64;
        r->garbage = realloc(r->garbage, r->garbage_room * sizeof *r->garbage);
        assert(r->garbage);
    }
    struct changelog_key *kept = &r->garbage[r->garbage_count++];
    char *copy = malloc(key->entity.size + 1u);
    assert(copy);
    if (key->entity.size)
        memcpy(copy, key->entity.data, key->entity.size);
    *kept = *key;
    kept->entity.data = copy;
    r->garbage_bytes += key->entity.size + sizeof *key;
}

static struct version *version_of(struct recovery *r, struct bytes entity, uint32_t *number)
{
    if (windows_import_open(r->windows, entity, number) != IMPORT_DONE) {
        fail(r, "memory is short");
        return NULL;
    }
    if (*number >= r->version_room) {
        uint32_t room = *number + *number / 2 + 1024;
        r->versions = realloc(r->versions, room * sizeof *r->versions);
        assert(r->versions);
        memset(r->versions + r->version_room, 0, (room - r->version_room) * sizeof *r->versions);
        r->version_room = room;
    }
    r->version_count = *number >= r->version_count ? *number + 1 : r->version_count;
    return &r->versions[*number];
}

static void entity_deleted(struct recovery *r, const struct changelog_key *key)
{
    uint32_t number;
    struct version *v = version_of(r, key->entity, &number);
    if (!v || v->slot != key->slot)
        return;
    windows_import_clear(r->windows, number);
    *v = (struct version){.slot = v->slot};
}

/* A part of a version that counts: the first of a later epoch than what there is, or the one that comes next. */
static bool belongs(const struct version *v, const struct changelog_key *key, int64_t epoch)
{
    if (key->part == 0)
        return epoch >= v->epoch;
    return epoch == v->epoch && key->slot == v->slot && key->part == v->next;
}

static void entity_written(struct recovery *r, const struct changelog_key *key, const uint8_t *body, size_t size)
{
    uint32_t number;
    struct version *v = version_of(r, key->entity, &number);
    if (!v)
        return;
    if (entity_record_read(body, size, &r->shape, &r->record) < 0) {
        fail(r, "a record is damaged");
        return;
    }
    int64_t epoch = r->record.epoch;
    r->highest_epoch = epoch > r->highest_epoch ? epoch : r->highest_epoch;
    v->split |= r->record.parts > 1;
    if (epoch > r->wanted_epoch) {
        v->above = true;
        return;
    }
    if (!belongs(v, key, epoch))
        return;
    if (key->part == 0)
        windows_import_clear(r->windows, number);
    v->epoch = epoch;
    v->slot = key->slot & 1;
    v->parts = r->record.parts;
    v->next = key->part + 1;
    enum import_result result = windows_import_events(r->windows, number, &r->record.image);
    if (result != IMPORT_DONE)
        fail(r, result == IMPORT_DAMAGED ? "a record holds what no event can" : "memory is short");
    r->status.events += r->record.image.count;
}

static void marker_written(struct recovery *r, const uint8_t *body, size_t size)
{
    struct marker m;
    if (marker_read(body, size, &m) < 0) {
        fail(r, "a marker is damaged");
        return;
    }
    r->highest_epoch = m.epoch > r->highest_epoch ? m.epoch : r->highest_epoch;
    if (m.epoch > r->wanted_epoch) {
        r->status.newer_epoch = m.epoch;
        r->status.newer_offset = m.offset;
    }
    if (m.epoch != r->wanted_epoch)
        return;
    r->marker_bytes.size = 0;
    put_bytes_raw(&r->marker_bytes, body, size);
    int again = marker_read(r->marker_bytes.data, size, &r->marker); /* so that its text is ours */
    assert(again == 0);
    r->marker_found = true;
}

/* Of two that began at or before what the input still holds, the earlier one is garbage. */
static void let_go_of_earlier(struct recovery *r, const struct changelog_key *key)
{
    if (key->first_offset > r->input_first)
        return;
    if (r->served_first.kind && r->served_first.first_offset != key->first_offset)
        take_garbage(r, r->served_first.first_offset < key->first_offset ? &r->served_first : key);
    if (!r->served_first.kind || r->served_first.first_offset < key->first_offset)
        r->served_first = *key;
}

static void deployment_written(struct recovery *r, const struct changelog_key *key, const uint8_t *body, size_t size)
{
    struct avro_reader in = {body, body + size, false};
    struct err err;
    get_branch(&in, BRANCH_DEPLOYMENT);
    size_t bytes;
    const uint8_t *record = get_bytes(&in, &bytes);
    if (!reader_is_done(&in))
        fail(r, "a deployment record is damaged");
    else if (serving_schedule(r->serving, key->first_offset, record, bytes, &err) < 0)
        fail(r, "a deployment record is damaged: %.180s", err.msg);
    else
        let_go_of_earlier(r, key);
}

static void growth_written(struct recovery *r, const struct changelog_key *key)
{
    if (key->first_offset < r->wanted_offset)
        return;
    r->growths = realloc(r->growths, (r->growth_count + 1) * sizeof *r->growths);
    assert(r->growths);
    r->growths[r->growth_count++] = key->first_offset;
}

static bool counts(const struct recovery *r, const struct changelog_key *key)
{
    return !r->deployments_only || key->kind == KEY_DEPLOYMENT;
}

static void take_record(struct recovery *r, const rd_kafka_message_t *m)
{
    struct changelog_key key;
    const uint8_t *value = m->payload;
    bool deleted = !value;
    r->status.records++;
    r->status.bytes += (int64_t)(m->len + m->key_len);
    FAILPOINT(in_restore_changelog);
    if (!changelog_key_parse(m->key, m->key_len, &key) || !counts(r, &key))
        return; /* nobody's, or not asked for */
    if (!deleted && (m->len < FRAME_BYTES || value[0] != 0)) {
        fail(r, "a record is damaged");
        return;
    }
    bool ours = !memcmp(key.generation.bytes, r->generation.bytes, GENERATION_BYTES);
    if (key.kind == KEY_DEPLOYMENT && !memcmp(key.generation.bytes, r->deployments.bytes, GENERATION_BYTES)) {
        if (!deleted)
            deployment_written(r, &key, value + FRAME_BYTES, m->len - FRAME_BYTES);
    } else if (key.kind == KEY_GROWTH && !memcmp(key.generation.bytes, r->deployments.bytes, GENERATION_BYTES)) {
        if (!deleted)
            growth_written(r, &key);
    } else if (!ours) {
        if (!deleted)
            take_garbage(r, &key);
    } else if (key.kind == KEY_MARKER) {
        if (!deleted)
            marker_written(r, value + FRAME_BYTES, m->len - FRAME_BYTES);
    } else if (key.kind == KEY_ENTITY) {
        if (deleted)
            entity_deleted(r, &key);
        else
            entity_written(r, &key, value + FRAME_BYTES, m->len - FRAME_BYTES);
    }
}

/* ---- the end ---- */

static void all_is_read(struct recovery *r)
{
    struct err err;
    if (r->deployments_only) {
        r->status.state = RECOVERY_DONE;
        return;
    }
    if (!r->marker_found || r->marker.offset != r->wanted_offset) {
        fail(r, "it holds no marker of epoch %" PRId64 " at offset %" PRId64, r->wanted_epoch, r->wanted_offset);
        return;
    }
    if (r->marker.serving.size && serving_import(r->serving, r->marker.serving.data, r->marker.serving.size, &err) < 0) {
        fail(r, "the marker is damaged: %.180s", err.msg);
        return;
    }
    windows_import_mark(r->windows, &r->marker.mark);
    r->status.state = RECOVERY_SETTLES;
}

static bool settle_one(struct recovery *r, uint32_t number)
{
    const struct version *v = &r->versions[number];
    struct import_version version = {.versioned = v->epoch || v->above, .dirty = v->above, .split = v->split, .slot = v->slot};
    if (v->epoch && v->next != v->parts) {
        fail(r, "a part of an entity is missing");
        return false;
    }
    windows_import_settle(r->windows, number, r->anew ? (struct import_version){.dirty = true, .split = v->split} : version);
    return true;
}

/* Some of what was read: time to look at the clock. */
static void settle(struct recovery *r)
{
    uint32_t end = r->version_count - r->settled < SETTLED_AT_ONCE ? r->version_count : r->settled + SETTLED_AT_ONCE;
    while (r->settled < end)
        if (!settle_one(r, r->settled++))
            return;
    if (r->settled < r->version_count)
        return;
    if (windows_import_end(r->windows) != IMPORT_DONE) {
        fail(r, "memory is short");
        return;
    }
    r->status.entities = (int64_t)windows_count(r->windows).entities;
    r->status.state = RECOVERY_DONE;
}

static void reached(struct recovery *r, int64_t position)
{
    r->status.position = position;
    if (r->status.state == RECOVERY_READS && position >= r->status.end)
        all_is_read(r);
}

/* ---- the reader ---- */

struct recovery_reader *recovery_reader_create(const struct config *config, const struct changelog_topic *topic, const atomic_bool *stop)
{
    struct recovery_reader *reader = calloc(1, sizeof *reader);
    assert(reader);
    *reader = (struct recovery_reader){.config = config, .topic = topic, .stop = stop};
    return reader;
}

static void disconnect(struct recovery_reader *reader)
{
    if (reader->queue)
        rd_kafka_queue_destroy(reader->queue);
    if (reader->consumer)
        rd_kafka_destroy(reader->consumer);
    reader->queue = NULL;
    reader->consumer = NULL;
}

void recovery_reader_destroy(struct recovery_reader *reader)
{
    if (!reader)
        return;
    assert(!reader->active_count);
    disconnect(reader);
    free(reader->active);
    free(reader->ends);
    free(reader);
}

static struct recovery *find(const struct recovery_reader *reader, int32_t partition)
{
    for (size_t i = 0; i < reader->active_count; i++)
        if (reader->active[i]->partition == partition)
            return reader->active[i];
    return NULL;
}

static void assign(struct recovery *r)
{
    struct err err = {0};
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, r->reader->topic->name, r->partition)->offset = r->status.begin;
    rd_kafka_error_t *error = rd_kafka_incremental_assign(r->reader->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    r->assigned = kafka_take_error(error, "read the changelog", &err) == REMEDY_NONE;
    if (!r->assigned)
        fail(r, "%.200s", err.msg);
}

/* In the order in which they came, so that the first ones are back long before the last; one more than one, so that there
 * is something to import while the next one's first fetch is under way. */
static void assign_some(struct recovery_reader *reader)
{
    int reading = 0;
    for (size_t i = 0; i < reader->active_count && reading < READ_AT_A_TIME; i++) {
        struct recovery *r = reader->active[i];
        if (r->status.state == RECOVERY_READS && !r->assigned)
            assign(r);
        reading += r->status.state == RECOVERY_READS;
    }
}

static void take_message(struct recovery_reader *reader, const rd_kafka_message_t *m)
{
    struct recovery *r = find(reader, m->partition);
    if (!r || r->status.state != RECOVERY_READS)
        return;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        reached(r, m->offset);
    } else if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE || m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
               m->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || m->err == RD_KAFKA_RESP_ERR__BAD_MSG) {
        fail(r, "it cannot be read: %s", rd_kafka_message_errstr(m));
    } else if (m->err) {
        kafka_log_error("changelog", (int)m->err, rd_kafka_message_errstr(m));
    } else if (m->offset < r->status.end) {
        take_record(r, m);
        reached(r, m->offset + 1);
    } else {
        reached(r, m->offset);
    }
}

/* Those that are read to their end.  Whether time is left. */
static bool settle_some(struct recovery_reader *reader, int64_t deadline_ns)
{
    for (size_t i = 0; i < reader->active_count; i++)
        while (reader->active[i]->status.state == RECOVERY_SETTLES) {
            settle(reader->active[i]);
            if (clock_monotonic_ns() >= deadline_ns)
                return false;
        }
    return true;
}

static bool nothing_to_read(const struct recovery_reader *reader)
{
    for (size_t i = 0; i < reader->active_count; i++)
        if (reader->active[i]->status.state == RECOVERY_READS)
            return false;
    return true;
}

void recovery_reader_turn(struct recovery_reader *reader, int64_t deadline_ns, int wait_ms)
{
    rd_kafka_message_t *messages[AT_ONCE];
    if (!settle_some(reader, deadline_ns) || nothing_to_read(reader))
        return;
    assign_some(reader);
    while (reader->consumer) {
        ssize_t n = rd_kafka_consume_batch_queue(reader->queue, 0, messages, AT_ONCE);
        if (n <= 0 && wait_ms > 0)
            n = rd_kafka_consume_batch_queue(reader->queue, wait_ms, messages, 1);
        for (ssize_t i = 0; i < n; i++) {
            take_message(reader, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
        wait_ms = 0;
        if (n <= 0 || clock_monotonic_ns() >= deadline_ns)
            return;
    }
}

static void ask_ends(rd_kafka_t *client, void *of, rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
    const struct recovery_reader *reader = of;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(reader->end_count);
    for (int32_t i = 0; i < reader->end_count; i++)
        rd_kafka_topic_partition_list_add(list, reader->topic->name, i)->offset = RD_KAFKA_OFFSET_SPEC_LATEST;
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(options, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
    rd_kafka_ListOffsets(client, list, options, queue);
    rd_kafka_topic_partition_list_destroy(list);
}

static rd_kafka_resp_err_t take_ends(rd_kafka_event_t *answer, void *of)
{
    struct recovery_reader *reader = of;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **found = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(answer), &count);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *p = rd_kafka_ListOffsetsResultInfo_topic_partition(found[i]);
        code = p->err ? p->err : code;
        if (p->partition >= 0 && p->partition < reader->end_count)
            reader->ends[p->partition] = p->offset;
    }
    return code;
}

/* Where the partitions' logs really end, open transactions and all: of all in one request, for each takes its time. */
static int look_for_ends(struct recovery_reader *reader, struct err *err)
{
    static const struct cluster_request list = {RD_KAFKA_ADMIN_OP_LISTOFFSETS, ask_ends, take_ends};
    struct cluster cluster = {reader->consumer, reader->stop, LOOKUP_GIVE_UP_MS};
    reader->end_count = reader->topic->partitions;
    reader->ends = realloc(reader->ends, (size_t)reader->end_count * sizeof *reader->ends);
    assert(reader->ends);
    reader->ends_known = cluster_ask(cluster, &list, reader, "cannot read where the changelog ends", err) == 0;
    return reader->ends_known ? 0 : -1;
}

static int true_end(struct recovery_reader *reader, int32_t partition, int64_t *end, struct err *err)
{
    if ((!reader->ends_known || partition >= reader->end_count) && look_for_ends(reader, err) < 0)
        return -1;
    if (partition >= reader->end_count)
        return err_set(err, "the changelog has no partition %" PRId32, partition);
    *end = reader->ends[partition];
    return 0;
}

void recovery_reader_assigned(struct recovery_reader *reader)
{
    reader->ends_known = false;
}

int recovery_begin(struct recovery_reader *reader, const struct partition_state *state, const struct offset_metadata *wanted, int64_t input_first, struct recovery **out, struct err *err)
{
    *out = NULL;
    if (!reader->consumer) {
        if (kafka_plain_consumer(reader->config, &reader->consumer, err) < 0)
            return -1;
        reader->queue = rd_kafka_queue_get_consumer(reader->consumer);
    }
    int64_t begin, end;
    if (offsets_bounds(reader->consumer, reader->stop, reader->topic->name, state->id, &begin, &end, err) < 0 || true_end(reader, state->id, &end, err) < 0)
        return -1;
    struct recovery *r = calloc(1, sizeof *r);
    assert(r);
    *r = (struct recovery){.reader = reader, .partition = state->id, .windows = state->windows, .serving = state->serving, .shape = windows_image_shape(state->windows),
                           .deployments = generation_of_deployments(reader->topic->input_id), .deployments_only = !wanted, .input_first = input_first,
                           .anew = reader->config->delivery == DELIVERY_AT_LEAST_ONCE};
    if (wanted) {
        r->generation = wanted->generation;
        r->wanted_epoch = r->highest_epoch = wanted->checkpoint_epoch;
        r->wanted_offset = wanted->checkpoint_offset;
    }
    r->status = (struct recovery_status){.begin = begin, .end = end, .position = begin};
    reader->active = realloc(reader->active, (reader->active_count + 1) * sizeof(struct recovery *));
    assert(reader->active);
    reader->active[reader->active_count++] = r;
    reached(r, begin);
    assign_some(reader);
    *out = r;
    return 0;
}

struct recovery_status recovery_status(const struct recovery *r)
{
    return r->status;
}

const struct marker *recovery_marker(const struct recovery *r)
{
    return &r->marker;
}

int64_t recovery_highest_epoch(const struct recovery *r)
{
    return r->highest_epoch;
}

struct changelog_key *recovery_take_garbage(struct recovery *r, size_t *count)
{
    struct changelog_key *garbage = r->garbage;
    *count = r->garbage_count;
    r->garbage = NULL;
    r->garbage_count = r->garbage_room = 0;
    return garbage;
}

void recovery_give_growths(const struct recovery *r, struct partition_state *state)
{
    for (size_t i = 0; i < r->growth_count; i++)
        partition_state_grows_at(state, r->growths[i]);
}

static void unassign(const struct recovery *r)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, r->reader->topic->name, r->partition);
    rd_kafka_error_destroy(rd_kafka_incremental_unassign(r->reader->consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
}

void recovery_end(struct recovery *r)
{
    if (!r)
        return;
    struct recovery_reader *reader = r->reader;
    if (r->assigned)
        unassign(r);
    size_t kept = 0;
    for (size_t i = 0; i < reader->active_count; i++)
        if (reader->active[i] != r)
            reader->active[kept++] = reader->active[i];
    reader->active_count = kept;
    if (!reader->active_count)
        disconnect(reader);
    for (size_t i = 0; i < r->garbage_count; i++)
        free((void *)(uintptr_t)r->garbage[i].entity.data);
    free(r->garbage);
    free(r->growths);
    free(r->versions);
    entity_record_finish(&r->record);
    buffer_finish(&r->marker_bytes);
    free(r);
}
