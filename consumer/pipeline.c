/* The pipeline: pipeline_process reads as the list of stages; each stage is one function below it.
 *
 * A record that fails a stage keeps its verdict and takes no part in later ones; `record_of` leads from events back to
 * records, so outputs come out in record order, exactly one prediction or one dead letter each. */
#include "consumer/pipeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/contributions.h"
#include "consumer/hash.h"
#include "consumer/failpoint.h"
#include "consumer/comparing.h"
#include "consumer/output.h"
#include "consumer/scorer.h"
#include "consumer/validate.h"

/* Slots in the sketch of the models that a batch has met. */
enum { MODEL_SLOTS = 32 };
struct model_slots {
    size_t count;
    struct model_slot {
        const struct deployed_model *model; /* NULL: the fixed fallback score */
        bool shadow;
        size_t slot;
    } of[MODEL_SLOTS];
};

/* The CPU that a batch took is asked for once, for it is a system call, and divided among stages by the time that each
 * took: batches of a worker that keeps up are few events, and six calls would cost as much as an event. */
struct stage_clock {
    int64_t cpu_ns, at_ns; /* where the batch began; where its last stage ended */
    int64_t took_ns[STAGE_COUNT];
};

struct pipeline {
    const struct config *config;
    struct scorer *scorer;
    bool scores; /* else features only */
    int64_t fallbacks[FALLBACK_REASONS]; /* of the scorer, observed so far */
    struct decoder *decoder;
    struct output_context output;
    struct sketch *sketch;
    struct comparing *comparing;
    struct contributions *contributions;
    struct smallest_ranks *far_values; /* that were named */
    struct stage_clock clock;
    int64_t stage_ns[STAGE_COUNT]; /* of the thread's CPU */
    struct batch batch;
};

static void *must_alloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    assert(p);
    return p;
}

int pipeline_create(const struct config *config, const struct deployment *deployment, struct registry *registry, struct pipeline **out, struct err *err)
{
    struct pipeline *p = must_alloc(1, sizeof *p);
    p->config = config;
    p->scorer = scorer_create(config);
    p->comparing = comparing_create(config->spec->count);
    p->scores = deployment != NULL;
    scorer_set_deployment(p->scorer, deployment);
    p->output.config = config;
    p->contributions = contributions_create(config->spec->count, config->monitor.contribution_percent);
    p->far_values = smallest_ranks_create();
    assert(p->far_values);
    sha256(config->spec->canonical, strlen(config->spec->canonical), p->output.feature_spec_sha256);
    size_t columns = config->spec->count, shadows = deployment ? SHADOWS_MAX : 0;
    struct batch *b = &p->batch;
    b->values = must_alloc(BATCH_MAX * config->fields.count, sizeof *b->values);
    b->rows = must_alloc(BATCH_MAX * columns, sizeof *b->rows);
    b->contributions = must_alloc(BATCH_MAX * (columns + 1), sizeof *b->contributions);
    b->explained_rows = must_alloc(BATCH_MAX * columns, sizeof *b->explained_rows);
    b->shadow_margins = must_alloc(shadows * BATCH_MAX, sizeof *b->shadow_margins);
    b->shadow_scores = must_alloc(shadows * BATCH_MAX, sizeof *b->shadow_scores);
    b->shadow_sampled = must_alloc(shadows * BATCH_MAX, sizeof *b->shadow_sampled);
    b->shadow_shed = must_alloc(shadows * BATCH_MAX, sizeof *b->shadow_shed);
    if (decoder_create(config, registry, &p->decoder, err) < 0) {
        pipeline_destroy(p);
        return -1;
    }
    *out = p;
    return 0;
}

void pipeline_destroy(struct pipeline *p)
{
    if (!p)
        return;
    decoder_destroy(p->decoder);
    scorer_destroy(p->scorer);
    comparing_destroy(p->comparing);
    struct batch *b = &p->batch;
    free(b->values);
    free(b->rows);
    contributions_destroy(p->contributions);
    smallest_ranks_destroy(p->far_values);
    free(b->contributions);
    free(b->explained_rows);
    free(b->shadow_margins);
    free(b->shadow_scores);
    free(b->shadow_sampled);
    free(b->shadow_shed);
    buffer_finish(&b->prediction);
    for (size_t i = 0; i < SHADOWS_MAX; i++)
        buffer_finish(&b->shadow[i]);
    free(p);
}

void pipeline_set_sketch(struct pipeline *p, struct sketch *sketch)
{
#if defined WEIR_WITHOUT_SKETCHES /* what monitoring costs: tests/chaos/measure.py */
    sketch = NULL;
#endif
    assert(!contributions_wait(p->contributions) && "they belong to another sketch");
    p->sketch = sketch;
    if (sketch)
        sketch_remember_named(sketch, p->far_values);
}

struct batch *pipeline_batch(struct pipeline *p)
{
    return &p->batch;
}

/* ---- decode ---- */

/* Decodes and validates every record; cuts the batch at the first one whose schema cannot be asked for. */
static void decode(struct pipeline *p, struct err *err)
{
    struct batch *b = &p->batch;
    b->event_count = 0;
    decoder_next_batch(p->decoder);
    for (size_t i = 0; i < b->count; i++) {
        struct value *values = b->values + i * p->config->fields.count;
        if (!decoder_read(p->decoder, &b->records[i], values, &b->schema_ids[i], &b->verdicts[i], err)) {
            b->count = i;
            return;
        }
        if (b->verdicts[i].reason)
            continue;
        b->verdicts[i] = validate(p->config, &b->records[i], values, b->texts[i], &b->events[b->event_count]);
        if (!b->verdicts[i].reason)
            b->record_of[b->event_count++] = (uint16_t)i;
    }
}

/* ---- features ---- */

static struct verdict rejected_by_windows(const struct pipeline *p, enum reject_reason reason)
{
    const struct field_set *fields = &p->config->fields;
    int slot = reason == REJECT_DUPLICATE ? FIELD_ID : FIELD_TIME;
    return (struct verdict){.reason = reason, .field = fields->fields[slot].name};
}

static int fold(struct pipeline *p, struct partition_state *state)
{
    struct batch *b = &p->batch;
    size_t columns = p->config->spec->count;
    for (size_t first = 0, end; first < b->event_count; first = end) {
        partition_state_pass(state, b->events[first].offset);
        int64_t border = state->growth_next < state->growth_count ? state->growths[state->growth_next] : INT64_MAX;
        for (end = first + 1; end < b->event_count && b->events[end].offset < border;)
            end++;
        if (windows_fold(state->windows, b->events + first, end - first, b->rows + first * columns, b->outcomes + first) < 0)
            return -1;
    }
    return 0;
}

/* Folds the events into the windows, then packs events, outcomes and rows so that only accepted ones are left. */
static int compute_features(struct pipeline *p, struct partition_state *state, struct err *err)
{
    struct batch *b = &p->batch;
    size_t columns = p->config->spec->count, kept = 0;
    if (fold(p, state) < 0)
        return err_set(err, "memory is short for the windows of partition %d", state->id);
    for (size_t e = 0; e < b->event_count; e++) {
        if (b->outcomes[e].reason) {
            b->verdicts[b->record_of[e]] = rejected_by_windows(p, b->outcomes[e].reason);
            continue;
        }
        if (kept != e) {
            b->events[kept] = b->events[e];
            b->outcomes[kept] = b->outcomes[e];
            b->record_of[kept] = b->record_of[e];
            memcpy(b->rows + kept * columns, b->rows + e * columns, columns * sizeof *b->rows);
        }
        kept++;
    }
    b->event_count = kept;
    return 0;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void advance(struct partition_state *state, const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        state->verdict_hash = mix(state->verdict_hash ^ mix((uint64_t)b->records[i].offset * 31 + b->verdicts[i].reason));
    if (b->count)
        state->next_offset = b->records[b->count - 1].offset + 1;
}

/* ---- emit ---- */

/* Encodes all outputs of an event; true if the prediction fits its topic.  A shadow record that does not fit is shed. */
static bool encode_outputs(struct pipeline *p, const struct sink *sink, size_t e)
{
    struct batch *b = &p->batch;
    size_t key = b->events[e].entity.size;
    b->prediction.size = 0;
    encode_prediction(&b->prediction, &p->output, b, e);
    for (size_t s = 0; s < b->deployments[e]->shadow_count; s++) {
        size_t at = s * BATCH_MAX + e;
        b->shadow[s].size = 0;
        if (!b->shadow_sampled[at] || b->shadow_shed[at])
            continue;
        encode_shadow(&b->shadow[s], &p->output, b, e, s);
        b->shadow_shed[at] = key + b->shadow[s].size > sink->max_bytes[OUTPUT_SHADOW];
    }
    return key + b->prediction.size <= sink->max_bytes[OUTPUT_PREDICTION];
}

static int emit_event(struct pipeline *p, const struct sink *sink, size_t e, struct err *err)
{
    struct batch *b = &p->batch;
    size_t r = b->record_of[e];
    if (sink->accepted && sink->accepted(sink->context, &b->events[e], b->rows + e * p->config->spec->count, b->outcomes[e].window_complete, err) < 0)
        return -1;
    if (!p->scores)
        return 0;
    if (!encode_outputs(p, sink, e)) {
        b->verdicts[r] = (struct verdict){.reason = REJECT_OUTPUT_TOO_LARGE, .what = "the prediction is longer than its topic's max.message.bytes"};
        return sink->rejected(sink->context, &b->records[r], &b->verdicts[r], err);
    }
    if (sink->scored(sink->context, OUTPUT_PREDICTION, &b->records[r], b->events[e].entity, &b->prediction, err) < 0)
        return -1;
    for (size_t s = 0; s < b->deployments[e]->shadow_count; s++)
        if (b->shadow[s].size && !b->shadow_shed[s * BATCH_MAX + e] && sink->scored(sink->context, OUTPUT_SHADOW, &b->records[r], b->events[e].entity, &b->shadow[s], err) < 0)
            return -1;
    return 0;
}

/* The event time of a record as far as it can be known: its own if it was decoded, else its timestamp. */
static int64_t time_of(const struct pipeline *p, size_t i)
{
    const struct batch *b = &p->batch;
    const struct value *time = &b->values[i * p->config->fields.count + FIELD_TIME];
    bool decoded = strcmp(reject_stage(b->verdicts[i].reason), "decode") != 0;
    return decoded && time->type == VALUE_INT ? time->integer : b->records[i].timestamp_ms;
}

/* Hands every output to the sink, in record order. */
static int emit(struct pipeline *p, const struct sink *sink, struct err *err)
{
    struct batch *b = &p->batch;
    size_t e = 0;
    for (size_t i = 0; i < b->count; i++) {
        bool is_event = e < b->event_count && b->record_of[e] == i;
        size_t event = e;
        e += is_event;
        if (sink->wanted && !sink->wanted(sink->context, time_of(p, i)))
            continue;
        int result = is_event ? emit_event(p, sink, event, err) : sink->rejected(sink->context, &b->records[i], &b->verdicts[i], err);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* ---- observe ---- */

/* Its slot in the sketch, remembered for the models of a batch. */
static size_t slot_of_model(struct pipeline *p, struct model_slots *known, const struct deployed_model *model, bool shadow)
{
    for (size_t i = 0; i < known->count; i++)
        if (known->of[i].model == model && known->of[i].shadow == shadow)
            return known->of[i].slot;
    size_t slot = sketch_model_slot(sketch_shape(p->sketch), model ? model->id : "fallback", shadow);
    if (known->count < MODEL_SLOTS)
        known->of[known->count++] = (struct model_slot){model, shadow, slot};
    return slot;
}

static void observe_shadow(struct pipeline *p, struct sketch_cell *cell, struct model_slots *known, size_t e, size_t shadow)
{
    const struct batch *b = &p->batch;
    const struct deployed_model *model = &b->deployments[e]->shadows[shadow];
    size_t at = shadow * BATCH_MAX + e;
    if (b->shadow_shed[at])
        sketch_add_shed(p->sketch, cell, slot_of_model(p, known, model, true));
    if (!b->shadow_sampled[at] || b->shadow_shed[at])
        return;
    comparing_add(p->comparing, shadow, slot_of_model(p, known, model, true));
}

static struct sketch_cell *observe_event(struct pipeline *p, const struct partition_state *state, struct model_slots *known, size_t e)
{
    struct batch *b = &p->batch;
    struct sketch_event seen = {.partition = state->id,
        .offset = b->events[e].offset,
        .time_ms = b->events[e].time_ms,
        .late_ms = b->outcomes[e].late_ms,
        .window_complete = b->outcomes[e].window_complete,
        .row = b->rows + e * p->config->spec->count,
        .id_hash = cardinality_hash(b->events[e].id.data, b->events[e].id.size),
        .schema_id = b->schema_ids[b->record_of[e]],
        .values = b->events[e].values};
    struct sketch_cell *cell = sketch_add(p->sketch, &seen);
    sketch_add_entity(p->sketch, cell, b->events[e].time_ms, b->outcomes[e].before_ms);
    if (!p->scores)
        return cell;
    sketch_add_score(p->sketch, cell, slot_of_model(p, known, b->answered[e], false), b->served[e].score, b->served[e].decision);
    comparing_begin(p->comparing, p->sketch, cell, b, e);
    contributions_add(p->contributions, p->sketch, cell, b, e, seen.id_hash);
    for (size_t s = 0; s < b->deployments[e]->shadow_count; s++)
        observe_shadow(p, cell, known, e, s);
    return cell;
}

/* Those of the batch count in its last event's window. */
static void observe_fallbacks(struct pipeline *p, struct sketch_cell *cell)
{
    const int64_t *fallbacks = scorer_counts(p->scorer)->fallbacks;
    for (size_t i = 0; i < FALLBACK_REASONS; i++) {
        if (fallbacks[i] != p->fallbacks[i])
            sketch_add_fallbacks(p->sketch, cell, i, fallbacks[i] - p->fallbacks[i]);
        p->fallbacks[i] = fallbacks[i];
    }
}

/* Likewise: of the models of its last event's deployment. */
static void observe_timing(struct pipeline *p, struct sketch_cell *cell, struct model_slots *known)
{
    const struct batch *b = &p->batch;
    const struct deployment *d = b->event_count ? b->deployments[b->event_count - 1] : NULL;
    if (!d || !cell)
        return;
    const struct sketch_shape *shape = sketch_shape(p->sketch);
    sketch_add_timing(shape, cell, slot_of_model(p, known, &d->champion, false), b->scoring_ns[0], b->scored[0]);
    for (size_t s = 0; s < d->shadow_count; s++)
        if (b->scored[1 + s])
            sketch_add_timing(shape, cell, slot_of_model(p, known, &d->shadows[s], true), b->scoring_ns[1 + s], b->scored[1 + s]);
}

static int slot_of_field(const struct pipeline *p, const char *field)
{
    const struct field_set *fields = &p->config->fields;
    for (size_t i = 0; field && i < fields->count; i++)
        if (!strcmp(fields->fields[i].name, field))
            return (int)i;
    return -1;
}

static void observe_reject(struct pipeline *p, const struct partition_state *state, int64_t stream_time, size_t i)
{
    const struct record *record = &p->batch.records[i];
    const struct verdict *verdict = &p->batch.verdicts[i];
    int64_t time_ms = stream_time == TIME_UNKNOWN ? record->timestamp_ms : stream_time;
    sketch_add_reject(p->sketch, state->id, record->offset, time_ms, verdict->reason, slot_of_field(p, verdict->field));
}

/* Folds what came of the batch into the lane's sketch, in record order.  `from` and stream_time: the
 * partition's next offset and T before the batch. */
static void observe(struct pipeline *p, const struct partition_state *state, int64_t from, int64_t stream_time, const struct sink *sink)
{
    struct batch *b = &p->batch;
    struct model_slots known = {.count = 0};
    struct sketch_cell *cell = NULL; /* of the last event */
    if (!p->sketch || !b->count)
        return;
    size_t e = 0;
    for (size_t i = 0; i < b->count; i++) {
        bool is_event = e < b->event_count && b->record_of[e] == i;
        if (sink->wanted && !sink->wanted(sink->context, time_of(p, i)))
            ;
        else if (b->verdicts[i].reason)
            observe_reject(p, state, stream_time, i);
        else
            cell = observe_event(p, state, &known, e);
        if (is_event)
            stream_time = b->events[e].time_ms + b->outcomes[e].late_ms;
        e += is_event;
    }
    if (p->scores) {
        observe_fallbacks(p, cell);
        observe_timing(p, cell, &known);
    }
    sketch_cover(p->sketch, state->id, from, state->next_offset, stream_time);
}

/* ---- all stages ---- */

static void stages_begin(struct pipeline *p)
{
    p->clock = (struct stage_clock){.cpu_ns = clock_thread_cpu_ns(), .at_ns = clock_monotonic_ns()};
}

static void stage_ends(struct pipeline *p, enum work_stage stage)
{
    int64_t now_ns = clock_monotonic_ns();
    p->clock.took_ns[stage] += now_ns - p->clock.at_ns;
    p->clock.at_ns = now_ns;
}

static void stages_end(struct pipeline *p)
{
    double all_ns = 0, cpu_ns = (double)(clock_thread_cpu_ns() - p->clock.cpu_ns);
    for (int i = 0; i < STAGE_COUNT; i++)
        all_ns += (double)p->clock.took_ns[i];
    for (int i = 0; i < STAGE_COUNT && all_ns > 0; i++)
        p->stage_ns[i] += (int64_t)(cpu_ns * (double)p->clock.took_ns[i] / all_ns);
}

int pipeline_process(struct pipeline *p, struct partition_state *state, const struct sink *sink, struct err *err)
{
    struct batch *b = &p->batch;
    bool suppressed = b->count && b->records[0].offset < state->suppress_below;
    assert(!suppressed || b->records[b->count - 1].offset < state->suppress_below);
    int64_t from = state->next_offset, stream_time = windows_stream_time(state->windows);
    stages_begin(p);
    decode(p, err);
    stage_ends(p, STAGE_DECODE);
    FAILPOINT(after_decode);
    if (compute_features(p, state, err) < 0)
        return -1;
    stage_ends(p, STAGE_FEATURES);
    FAILPOINT(after_features);
    advance(state, b);
    int result = scorer_score(p->scorer, b, state, suppressed, sink, err);
    stage_ends(p, STAGE_SCORE);
    FAILPOINT(after_score);
    if (result == 0 && !suppressed)
        result = emit(p, sink, err);
    stage_ends(p, STAGE_EMIT);
    if (result == 0 && !suppressed)
        observe(p, state, from, stream_time, sink);
    stage_ends(p, STAGE_OBSERVE);
    stages_end(p);
    scorer_settle(p->scorer, state);
    return result < 0 ? -1 : (int)b->count;
}

void pipeline_settle_sketch(struct pipeline *p)
{
    if (!contributions_wait(p->contributions))
        return;
    stages_begin(p);
    contributions_flush(p->contributions, p->sketch);
    stage_ends(p, STAGE_OBSERVE);
    stages_end(p);
}

struct decoder *pipeline_decoder(struct pipeline *p)
{
    return p->decoder;
}

struct scorer *pipeline_scorer(struct pipeline *p)
{
    return p->scorer;
}

const int64_t *pipeline_stage_ns(const struct pipeline *p)
{
    return p->stage_ns;
}
