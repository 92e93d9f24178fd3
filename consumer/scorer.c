#include "consumer/scorer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/failpoint.h"
#include "scoring/features/vector_rules.h"

struct scorer {
    const struct config *config;
    size_t columns;
    struct deployment *deployment; /* as configured; NULL: features only */
    struct deployment_shelf shelf;
    struct chain_scratch *scratch;
    bool shed;
    struct scorer_counts counts;
    int64_t *out_of_range;
    /* of the run: */
    bool canary[BATCH_MAX];
    int64_t now_ms[BATCH_MAX];
    struct served ignored[BATCH_MAX];
    /* of the events that a shadow is to score: */
    size_t picked_count;
    uint16_t picked[BATCH_MAX];
    float *packed, margins[BATCH_MAX], scores[BATCH_MAX];
};

/* Events [first, end) of the batch, served by one deployment. */
struct run {
    size_t first, end;
    const struct deployment *deployment;
};

struct scorer *scorer_create(const struct config *config)
{
    struct scorer *s = calloc(1, sizeof *s);
    assert(s);
    s->config = config;
    s->columns = config->spec->count;
    s->scratch = chain_scratch_create(s->columns);
    s->out_of_range = calloc(s->columns + 1, sizeof *s->out_of_range);
    s->packed = malloc((BATCH_MAX * s->columns + 1) * sizeof *s->packed);
    assert(s->scratch && s->out_of_range && s->packed);
    s->counts.out_of_range = s->out_of_range;
    return s;
}

void scorer_destroy(struct scorer *s)
{
    if (!s)
        return;
    deployment_release(s->deployment);
    deployment_shelf_finish(&s->shelf);
    chain_scratch_destroy(s->scratch);
    free(s->out_of_range);
    free(s->packed);
    free(s);
}

void scorer_set_deployment(struct scorer *s, const struct deployment *deployment)
{
    struct deployment *old = s->deployment;
    for (size_t i = 1; i <= SHADOWS_MAX; i++)
        s->counts.scoring_ns[i] = s->counts.scored[i] = 0;
    s->deployment = deployment ? deployment_retain(deployment) : NULL;
    if (s->deployment)
        deployment_shelf_put(&s->shelf, s->deployment);
    deployment_release(old);
}

const struct deployment *scorer_deployment(const struct scorer *s)
{
    return s->deployment;
}

void scorer_shed_shadows(struct scorer *s, bool shed)
{
    s->shed = shed;
}

const struct scorer_counts *scorer_counts(const struct scorer *s)
{
    return &s->counts;
}

/* ---- who answers ---- */

static bool in_share(const char *salt, uint32_t below, struct bytes entity)
{
    return below >= 10000 || (below > 0 && entity_bucket(salt, entity) < below);
}

static void count_time(struct scorer *s, struct batch *b, struct run run, size_t whose, int64_t began_ns, size_t rows)
{
    b->scoring_ns[whose] = clock_thread_cpu_ns() - began_ns;
    b->scored[whose] = (int64_t)rows;
    if (whose && run.deployment != s->deployment)
        return; /* another shadow of that place */
    s->counts.scoring_ns[whose] += b->scoring_ns[whose];
    s->counts.scored[whose] += b->scored[whose];
}

static int answer(struct scorer *s, struct batch *b, struct serving *serving, struct run run, bool suppressed, struct err *err)
{
    struct chain chain;
    const struct deployed_model *models[CHAIN_MODELS];
    int64_t unwanted[FALLBACK_REASONS] = {0};
    const struct deployed_model *canary = &run.deployment->canary;
    serving_chain(serving, &chain, models);
    for (size_t e = run.first; e < run.end; e++) {
        s->now_ms[e] = b->events[e].time_ms + b->outcomes[e].late_ms;
        s->canary[e] = canary->id && in_share(run.deployment->settings.salt, canary->below, b->events[e].entity);
    }
    struct chain_batch ask = {run.end - run.first, b->rows + run.first * s->columns, s->now_ms + run.first, canary->id ? s->canary + run.first : NULL};
    struct served *served = suppressed ? s->ignored : b->served + run.first;
    int64_t began_ns = clock_thread_cpu_ns();
    if (chain_answer(&chain, s->scratch, &ask, served, suppressed ? unwanted : s->counts.fallbacks, err) < 0)
        return err_prefix(err, "model %s", run.deployment->champion.id);
    if (!suppressed)
        count_time(s, b, run, 0, began_ns, ask.n);
    for (size_t e = run.first; !suppressed && e < run.end; e++)
        b->answered[e] = b->served[e].place == CHAIN_FIXED ? NULL : models[b->served[e].place];
    return 0;
}

/* Answers to vectors that a score should be trusted less on. */
static void degrade(struct scorer *s, struct batch *b, struct run run)
{
    const struct deployment_settings *settings = &run.deployment->settings;
    bool counts_missing = settings->max_missing_features < (int64_t)s->columns;
    for (size_t e = run.first; e < run.end; e++) {
        const float *row = b->rows + e * s->columns;
        bool missing = counts_missing && (int64_t)vector_missing(row, s->columns) > settings->max_missing_features;
        bool outside = settings->least && vector_outside(row, s->columns, settings->least, settings->greatest, s->out_of_range) && settings->on_range == RANGE_DEGRADE;
        s->counts.missing_degraded += missing;
        if ((missing || outside) && b->served[e].confidence == CONFIDENCE_NORMAL)
            b->served[e].confidence = CONFIDENCE_DEGRADED;
    }
}

/* ---- reasons ---- */

/* Of the answers of one model: packed, explained at once. */
static int explain_by(struct scorer *s, struct batch *b, struct run run, enum chain_place place, size_t *rows, struct err *err)
{
    struct model *model = NULL;
    size_t from = *rows;
    for (size_t e = run.first; e < run.end; e++) {
        if (b->served[e].place != place || (double)b->served[e].score < run.deployment->settings.reasons_min_score)
            continue;
        memcpy(b->explained_rows + *rows * s->columns, b->rows + e * s->columns, s->columns * sizeof *b->rows);
        b->explained[e] = (int16_t)(*rows)++;
        model = b->answered[e]->model;
    }
    if (*rows == from)
        return 0;
    return model_contributions(model, b->explained_rows + from * s->columns, *rows - from, b->contributions + from * (s->columns + 1), err);
}

static int explain(struct scorer *s, struct batch *b, struct run run, size_t *rows, struct err *err)
{
    for (size_t e = run.first; e < run.end; e++)
        b->explained[e] = -1;
    for (enum chain_place place = 0; run.deployment->settings.reasons_top > 0 && place < CHAIN_MODELS; place++)
        if (explain_by(s, b, run, place, rows, err) < 0)
            return err_prefix(err, "reasons of deployment %s", run.deployment->champion.id);
    return 0;
}

/* ---- shadows ---- */

/* The events that it is to score now: sampled, not shed, its breaker not open. */
static void pick(struct scorer *s, struct batch *b, struct run run, size_t shadow, const struct breaker *breaker)
{
    const struct deployed_model *m = &run.deployment->shadows[shadow];
    bool *sampled = b->shadow_sampled + shadow * BATCH_MAX, *shed = b->shadow_shed + shadow * BATCH_MAX;
    s->picked_count = 0;
    for (size_t e = run.first; e < run.end; e++) {
        sampled[e] = in_share(m->id, m->below, b->events[e].entity);
        shed[e] = sampled[e] && s->shed;
        if (!sampled[e] || shed[e])
            continue;
        if (breaker_state(breaker, &run.deployment->settings.breaker, s->now_ms[e]) == BREAKER_OPEN) {
            shed[e] = true;
            s->counts.shadow_circuit_open++;
            continue;
        }
        s->picked[s->picked_count++] = (uint16_t)e;
    }
}

static bool score_picked(struct scorer *s, const struct batch *b, struct run run, struct model *model)
{
    bool all = s->picked_count == run.end - run.first;
    for (size_t i = 0; i < s->picked_count && !all; i++)
        memcpy(s->packed + i * s->columns, b->rows + s->picked[i] * s->columns, s->columns * sizeof *s->packed);
    return model_score(model, all ? b->rows + run.first * s->columns : s->packed, s->picked_count, s->margins, s->scores, NULL) == 0;
}

/* Opens within the batch too: then what was scored beyond is left out like the rest. */
static void shadow_run(struct scorer *s, struct batch *b, struct serving *serving, struct run run, size_t shadow)
{
    struct breaker *breaker = serving_shadow_breaker(serving, shadow);
    const struct breaker_rules *rules = &run.deployment->settings.breaker;
    pick(s, b, run, shadow, breaker);
    if (!s->picked_count)
        return;
    int64_t began_ns = clock_thread_cpu_ns();
    bool scored = score_picked(s, b, run, run.deployment->shadows[shadow].model);
    count_time(s, b, run, 1 + shadow, began_ns, s->picked_count);
    for (size_t i = 0; i < s->picked_count; i++) {
        size_t e = s->picked[i], at = shadow * BATCH_MAX + e;
        if (breaker_state(breaker, rules, s->now_ms[e]) == BREAKER_OPEN) {
            b->shadow_shed[at] = true;
            s->counts.shadow_circuit_open++;
            continue;
        }
        bool failed = !scored || !score_is_valid(s->scores[i]);
        breaker_record(breaker, rules, s->now_ms[e], failed);
        b->shadow_shed[at] = failed;
        s->counts.shadow_errors += failed;
        b->shadow_margins[at] = s->margins[i];
        b->shadow_scores[at] = s->scores[i];
    }
}

/* ---- the stage ---- */

static int score_run(struct scorer *s, struct batch *b, struct serving *serving, struct run run, bool suppressed, size_t *explained, struct err *err)
{
    if (answer(s, b, serving, run, suppressed, err) < 0)
        return -1;
    if (suppressed)
        return 0;
    memset(b->scored + 1, 0, sizeof b->scored - sizeof *b->scored);
    for (size_t e = run.first; e < run.end; e++)
        b->deployments[e] = run.deployment;
    degrade(s, b, run);
    if (explain(s, b, run, explained, err) < 0)
        return -1;
    for (size_t i = 0; i < run.deployment->shadow_count; i++)
        shadow_run(s, b, serving, run, i);
    return 0;
}

static int tell_swap(struct scorer *s, const struct partition_state *state, const struct sink *sink, int64_t offset, struct err *err)
{
    FAILPOINT(before_swap);
    s->counts.swaps++;
    return sink->deployed ? sink->deployed(sink->context, state->id, offset, s->deployment, err) : 0;
}

int scorer_score(struct scorer *s, struct batch *b, struct partition_state *state, bool suppressed, const struct sink *sink, struct err *err)
{
    struct serving_turn turn = {s->config, s->deployment, &s->shelf, suppressed};
    size_t explained = 0;
    memset(b->scored, 0, sizeof b->scored);
    for (struct run run = {0}; s->deployment && run.first < b->event_count; run.first = run.end) {
        int64_t until, offset = b->events[run.first].offset;
        bool swapped;
        if (serving_advance(state->serving, &turn, offset, &until, &swapped, err) < 0 || (swapped && tell_swap(s, state, sink, offset, err) < 0))
            return -1;
        for (run.end = run.first + 1; run.end < b->event_count && b->events[run.end].offset < until;)
            run.end++;
        run.deployment = serving_deployment(state->serving);
        assert(run.deployment || suppressed);
        if (run.deployment && score_run(s, b, state->serving, run, suppressed, &explained, err) < 0)
            return -1;
    }
    return 0;
}

void scorer_settle(struct scorer *s, struct partition_state *state)
{
    (void)s;
    serving_settle(state->serving);
}
