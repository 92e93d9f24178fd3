#include "consumer/changelog/checkpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/changelog/entity_record.h"
#include "consumer/changelog/reader.h"
#include "consumer/changelog/rules.h"
#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "consumer/hash.h"
#include "consumer/kafka/topics.h"
#include "consumer/serving.h"

enum { STEP_WORK = 2048, BURY_AT_ONCE = 32, PARTS_MAX = UINT16_MAX };

int changelog_init(struct changelog *log, const struct config *config, const struct changelog_topic *topic, struct writer *writer, struct err *err)
{
    *log = (struct changelog){.config = config, .topic = topic, .writer = writer, .rules_hash = rules_hash(config)};
    sha256(config->spec->canonical, strlen(config->spec->canonical), log->feature_spec_sha256);
    return rules_put(config, &log->rules, err);
}

void changelog_finish(struct changelog *log)
{
    buffer_finish(&log->rules);
    buffer_finish(&log->key);
    buffer_finish(&log->value);
}

/* log->value, or a tombstone. */
static int put(struct changelog *log, int32_t partition, const struct changelog_key *key, bool tombstone, struct err *err)
{
    changelog_key_put(key, &log->key);
    struct outbox_record record = {.source = partition, .topic = log->topic->name, .partition = partition, .timestamp_ms = clock_wall_ms(),
                                   .key = log->key.data, .key_size = log->key.size};
    if (!tombstone) {
        record.value = log->value.data;
        record.value_size = log->value.size;
    }
    return writer_add(log->writer, record, tombstone ? -1 : log->topic->schema_id, err);
}

int changelog_put_deployment(struct changelog *log, int32_t partition, int64_t first_offset, const void *record, size_t size, struct err *err)
{
    if (!log->topic->name[0])
        return 0;
    log->value.size = 0;
    put_long(&log->value, BRANCH_DEPLOYMENT);
    put_bytes(&log->value, record, size);
    return put(log, partition, &(struct changelog_key){.kind = KEY_DEPLOYMENT, .generation = generation_of_deployments(log->topic->input_id), .first_offset = first_offset},
               false, err);
}

int changelog_put_growth(struct changelog *log, int32_t partition, int64_t first_offset, int32_t partitions, struct err *err)
{
    if (!log->topic->name[0])
        return 0;
    log->value.size = 0;
    put_long(&log->value, BRANCH_GROWTH);
    put_long(&log->value, partitions);
    return put(log, partition, &(struct changelog_key){.kind = KEY_GROWTH, .generation = generation_of_deployments(log->topic->input_id), .first_offset = first_offset}, false,
               err);
}

/* ---- what the windows hand out ---- */

static size_t record_bytes(const struct changelog *log, size_t key_bytes)
{
    size_t room = topics_room(log->topic->max_message_bytes), taken = key_bytes + KEY_HEAD_BYTES;
    room = room > taken ? room - taken : 0;
    return room < CHECKPOINT_RECORD_BYTES_MAX ? room : CHECKPOINT_RECORD_BYTES_MAX;
}

static void put_of(struct checkpoint *c, const struct changelog_key *key, bool tombstone)
{
    if (c->failed)
        return;
    c->failed = put(c->log, c->partition, key, tombstone, &c->err) < 0;
    c->wrote = true;
    c->counts.records++;
    c->counts.bytes += (int64_t)(c->log->key.size + (tombstone ? 0 : c->log->value.size));
}

static uint32_t parts_of(const struct checkpoint *c, const struct entity_image *image, uint32_t *each)
{
    *each = entity_record_events(&c->shape, record_bytes(c->log, image->key.size));
    return image->count > *each ? (image->count + *each - 1) / *each : 1;
}

static bool capture_entity(void *context, const struct entity_image *image, unsigned slot)
{
    struct checkpoint *c = context;
    uint32_t each, parts = parts_of(c, image, &each);
    assert(parts <= PARTS_MAX);
    for (uint32_t part = 0; part < parts; part++) {
        struct entity_image piece = *image;
        piece.words += (size_t)part * each * c->shape.words;
        piece.count = image->count - part * each < each ? image->count - part * each : each;
        c->log->value.size = 0;
        entity_record_put(c->epoch, parts, &piece, &c->shape, &c->log->value);
        put_of(c, &(struct changelog_key){.kind = KEY_ENTITY, .generation = c->generation, .slot = slot, .part = part, .entity = image->key}, false);
    }
    FAILPOINT(in_checkpoint_write);
    return parts > 1;
}

/* Of an entity that once took several records, each that it may have taken. */
static void bury(struct checkpoint *c, const struct generation *generation, struct bytes key, unsigned older, bool split)
{
    uint32_t each, most = (uint32_t)c->log->config->spec->max_events_per_entity;
    uint32_t parts = split ? parts_of(c, &(struct entity_image){.key = key, .count = most}, &each) : 1;
    for (unsigned i = 0; i < 2; i++)
        for (uint32_t part = parts; part--;)
            put_of(c, &(struct changelog_key){.kind = KEY_ENTITY, .generation = *generation, .slot = older ^ i, .part = part, .entity = key}, true);
}

static void bury_entity(void *context, struct bytes key, unsigned older, bool split)
{
    struct checkpoint *c = context;
    bury(c, &c->generation, key, older, split);
}

static void bury_left(void *context, struct bytes key, bool split)
{
    struct checkpoint *c = context;
    bury(c, &c->left.generation, key, 0, split);
}

/* ---- a partition's checkpoints ---- */

struct checkpoint *checkpoint_create(struct changelog *log, const struct partition_state *state, const struct checkpoint_origin *origin)
{
    struct checkpoint *c = calloc(1, sizeof *c);
    assert(c);
    *c = (struct checkpoint){.log = log, .partition = state->id, .windows = state->windows, .shape = windows_image_shape(state->windows), .generation = origin->generation,
                             .epoch = origin->epoch, .done_generation = origin->done_generation, .done_epoch = origin->done_epoch, .done_offset = origin->done_offset};
    c->due_ns = clock_monotonic_ns() + (origin->at_once ? 0 : log->config->state.checkpoint_interval_ms * 1000000);
    windows_track(c->windows, (struct capture){c, capture_entity, bury_entity});
    return c;
}

void checkpoint_destroy(struct checkpoint *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->garbage_count; i++)
        free((void *)(uintptr_t)c->garbage[i].entity.data);
    free(c->garbage);
    buffer_finish(&c->serving);
    free(c);
}

static bool is_due(const struct checkpoint *c, const struct partition_state *state)
{
    return clock_monotonic_ns() >= c->due_ns && state->next_offset != c->done_offset;
}

/* No commit can name the generation before any more. */
static bool has_left(const struct checkpoint *c)
{
    return c->left.sequence && writer_committed(c->log->writer) >= c->left.sequence;
}

bool checkpoint_wants_turn(const struct checkpoint *c, const struct partition_state *state)
{
    return c->running || c->unburied || c->garbage_count || has_left(c) || is_due(c, state);
}

void checkpoint_give_garbage(struct checkpoint *c, struct changelog_key *keys, size_t count)
{
    assert(!c->garbage);
    c->garbage = keys;
    c->garbage_count = count;
}

static void begin(struct checkpoint *c, const struct partition_state *state, const struct checkpoint_position *position)
{
    struct window_counts counts = windows_count(state->windows);
    c->running = true;
    c->epoch++;
    c->began_ns = clock_monotonic_ns();
    c->due_ns = c->began_ns + c->log->config->state.checkpoint_interval_ms * 1000000;
    c->serving.size = 0;
    serving_export(state->serving, &c->serving);
    c->marker = (struct marker){.epoch = c->epoch, .offset = state->next_offset, .mark = windows_mark(state->windows), .first_offset = position->first_offset,
                                .verdict_hash = state->verdict_hash, .rules_hash = c->log->rules_hash,
                                .rules = {(const char *)c->log->rules.data, (uint32_t)c->log->rules.size}, .serving = {(const char *)c->serving.data, (uint32_t)c->serving.size},
                                .partitions = position->partitions, .entities = (int64_t)counts.entities, .events = (int64_t)counts.events};
    memcpy(c->marker.feature_spec_sha256, c->log->feature_spec_sha256, sizeof c->marker.feature_spec_sha256);
    windows_checkpoint_begin(c->windows);
    FAILPOINT(in_checkpoint_begin);
}

static void leave(struct checkpoint *c)
{
    if (c->done_epoch && memcmp(&c->done_generation, &c->generation, sizeof c->generation)) {
        c->left.generation = c->done_generation;
        c->left.sequence = writer_sequence(c->log->writer);
        c->left.at = 0;
    }
    c->done_generation = c->generation;
}

static void end(struct checkpoint *c)
{
    FAILPOINT(before_marker);
    c->log->value.size = 0;
    marker_put(&c->marker, &c->log->value);
    put_of(c, &(struct changelog_key){.kind = KEY_MARKER, .generation = c->generation}, false);
    windows_checkpoint_end(c->windows);
    c->running = false;
    c->unburied = true;
    leave(c);
    c->done_epoch = c->marker.epoch;
    c->done_offset = c->marker.offset;
    c->done_ms = clock_wall_ms();
    c->counts.done++;
    c->counts.ns = clock_monotonic_ns() - c->began_ns;
    FAILPOINT(after_marker);
}

static int outcome(struct checkpoint *c, struct err *err)
{
    if (!c->failed)
        return 0;
    *err = c->err;
    return -1;
}

static bool has_time(const struct checkpoint *c, int64_t deadline_ns, int64_t bytes)
{
    return !c->failed && clock_monotonic_ns() < deadline_ns && c->counts.bytes - bytes < CHECKPOINT_BUDGET_BYTES;
}

static void end_left(struct checkpoint *c)
{
    put_of(c, &(struct changelog_key){.kind = KEY_MARKER, .generation = c->left.generation}, true);
    c->left.sequence = 0;
}

/* False: time is over. */
static bool clean_up(struct checkpoint *c, int64_t deadline_ns, int64_t bytes)
{
    while (c->garbage_count && has_time(c, deadline_ns, bytes)) {
        struct changelog_key *key = &c->garbage[--c->garbage_count];
        put_of(c, key, true);
        free((void *)(uintptr_t)key->entity.data);
    }
    while (has_left(c) && has_time(c, deadline_ns, bytes))
        if (windows_keys_step(c->windows, &c->left.at, BURY_AT_ONCE, bury_left, c))
            end_left(c);
    while (has_time(c, deadline_ns, bytes))
        if (windows_bury_step(c->windows, BURY_AT_ONCE)) {
            c->unburied = false;
            return !c->garbage_count;
        }
    return false;
}

int checkpoint_turn(struct checkpoint *c, const struct partition_state *state, const struct checkpoint_position *position, int64_t deadline_ns, struct err *err)
{
    int64_t bytes = c->counts.bytes;
    if (!c->running && (!clean_up(c, deadline_ns, bytes) || !is_due(c, state)))
        return outcome(c, err);
    if (!c->running)
        begin(c, state, position);
    bool whole = false;
    while (!whole && has_time(c, deadline_ns, bytes))
        whole = windows_checkpoint_step(c->windows, STEP_WORK);
    /* A marker may not be above the committed offset: with transactions it cannot become visible before that. */
    bool may_end = c->log->config->delivery == DELIVERY_EXACTLY_ONCE || position->committed >= c->marker.offset;
    if (whole && may_end && !c->failed)
        end(c);
    return outcome(c, err);
}

void checkpoint_hurry(struct checkpoint *c)
{
    c->due_ns = 0;
}
