#include "consumer/baseline/collect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline/codes.h"
#include "consumer/hash.h"
#include "monitor/cardinality.h"
#include "monitor/segment_text.h"
#include "scoring/features/features.h"

enum { HASH_ID, HASH_ENTITY, HASH_SEGMENTS };

struct collect {
    struct collection result;
    const struct config *config;
    int64_t from_ms, to_ms;
    size_t partition_count;
    int64_t *first_ms; /* by partition; TIME_UNKNOWN: no event yet */
    struct baseline_codes *codes;
    const char **features, **distincts;
    struct bytes *texts;     /* of one event's segments */
    char (*small)[SEGMENT_SMALL];
    uint64_t *hashes;        /* of one event: id, entity, segments */
    uint8_t spec_sha256[32];
};

/* The first event time of the partition, TIME_UNKNOWN at first. */
static int64_t *first_of(struct collect *c, int32_t partition)
{
    size_t wanted = (size_t)partition + 1;
    if (wanted > c->partition_count) {
        c->first_ms = reallocarray(c->first_ms, wanted, sizeof *c->first_ms);
        assert(c->first_ms && "memory is short");
        while (c->partition_count < wanted)
            c->first_ms[c->partition_count++] = TIME_UNKNOWN;
    }
    return &c->first_ms[partition];
}

/* Whether something of that time counts, `first` being the partition's first event. */
static bool counts(struct collect *c, int64_t time_ms, int64_t first_ms)
{
    if (time_ms < c->from_ms || time_ms >= c->to_ms)
        return false;
    if (first_ms != TIME_UNKNOWN && time_ms - first_ms >= c->config->spec->longest_window_ms)
        return true;
    c->result.left_out++;
    return false;
}

static void take_texts(struct collect *c, const struct event *event)
{
    for (size_t i = 0; i < c->config->monitor.segment_count; i++) {
        const struct value *value = &event->values[c->config->segment_slots[i]];
        const char *text = NULL;
        uint32_t size = segment_has_text(value) ? segment_text(value, c->small[i], &text) : 0;
        c->texts[i] = (struct bytes){text, size};
        c->hashes[HASH_SEGMENTS + i] = text ? cardinality_hash(text, size) : 0;
    }
}

static int accepted(void *context, int32_t partition, const struct event *event, const float *row, int label, struct err *err)
{
    struct collect *c = context;
    int64_t *first = first_of(c, partition);
    if (*first == TIME_UNKNOWN)
        *first = event->time_ms;
    if (c->result.first_ms == TIME_UNKNOWN || event->time_ms < c->result.first_ms)
        c->result.first_ms = event->time_ms;
    if (!counts(c, event->time_ms, *first))
        return 0;
    take_texts(c, event);
    c->hashes[HASH_ID] = cardinality_hash(event->id.data, event->id.size);
    c->hashes[HASH_ENTITY] = cardinality_hash(event->entity.data, event->entity.size);
    struct baseline_event e = {.time_ms = event->time_ms, .id_hash = c->hashes[HASH_ID], .row = row, .label = label, .segments = c->texts, .distinct_hashes = c->hashes};
    return baseline_builder_add(c->result.builder, &e) < 0 ? err_set(err, "memory is short for the baseline") : 0;
}

static int rejected(void *context, int32_t partition, const struct record *record, const struct verdict *verdict, struct err *err)
{
    struct collect *c = context;
    if (!counts(c, record->timestamp_ms, *first_of(c, partition)))
        return 0;
    return baseline_builder_reject(c->result.builder, reject_name(verdict->reason), verdict->field) < 0 ? err_set(err, "memory is short for the baseline") : 0;
}

static size_t choose_windows(int64_t first_ms, int64_t windows_ms[BUILDER_WINDOWS_MAX])
{
    const int64_t wanted[] = {first_ms, 3600000, 86400000};
    size_t n = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        bool there = false;
        for (size_t k = 0; k < n; k++)
            there |= windows_ms[k] == wanted[i];
        if (!there)
            windows_ms[n++] = wanted[i];
    }
    return n;
}

static void prepare(struct collect *c, const bool *parts, const char *model_id)
{
    const struct config *config = c->config;
    size_t segments = config->monitor.segment_count;
    c->codes = codes_create(config->spec);
    c->features = calloc(config->spec->count + 1, sizeof *c->features);
    c->distincts = calloc(segments + HASH_SEGMENTS, sizeof *c->distincts);
    c->texts = calloc(segments + 1, sizeof *c->texts);
    c->small = calloc(segments + 1, sizeof *c->small);
    c->hashes = calloc(segments + HASH_SEGMENTS, sizeof *c->hashes);
    assert(c->codes && c->features && c->distincts && c->texts && c->small && c->hashes && "memory is short");
    for (size_t f = 0; f < config->spec->count; f++)
        c->features[f] = config->spec->features[f].name;
    c->distincts[HASH_ID] = config->spec->source.id;
    c->distincts[HASH_ENTITY] = config->spec->source.entity;
    for (size_t i = 0; i < segments; i++)
        c->distincts[HASH_SEGMENTS + i] = config->monitor.segments[i];
    sha256(config->spec->canonical, strlen(config->spec->canonical), c->spec_sha256);
    struct baseline_builder_options options = {.feature_spec_sha256 = c->spec_sha256, .model_id = model_id, .feature_count = config->spec->count,
        .features = c->features, .codes = c->codes, .segment_count = segments, .segments = (const char *const *)config->monitor.segments, .parts = parts,
        .distinct_count = segments + HASH_SEGMENTS, .distincts = c->distincts, .timed = true};
    options.window_count = choose_windows(config->monitor.window_ms, options.windows_ms);
    c->result.builder = baseline_builder_create(&options);
    assert(c->result.builder && "memory is short");
}

int collect_run(struct replay_options *replay, const bool *parts, const char *model_id, struct collect **out, struct replay_summary *summary, struct err *err)
{
    struct collect *c = calloc(1, sizeof *c);
    assert(c && "memory is short");
    *c = (struct collect){.config = replay->config, .from_ms = replay->from_ms, .to_ms = replay->to_ms, .result.first_ms = TIME_UNKNOWN};
    prepare(c, parts, model_id);
    struct replay_listener listener = {c, accepted, rejected};
    replay->listener = &listener;
    int result = replay_run(replay, summary, err);
    replay->listener = NULL;
    if (result < 0)
        collect_finish(c);
    else
        *out = c;
    return result;
}

const struct collection *collect_result(const struct collect *c)
{
    return &c->result;
}

void collect_finish(struct collect *c)
{
    if (!c)
        return;
    baseline_builder_destroy(c->result.builder);
    if (c->codes)
        codes_destroy(c->codes, c->config->spec->count);
    free(c->features);
    free(c->distincts);
    free(c->texts);
    free(c->small);
    free(c->hashes);
    free(c->first_ms);
    free(c);
}
