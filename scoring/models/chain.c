#include "scoring/models/chain.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct chain_scratch {
    size_t columns;
    float *packed; /* MODEL_BATCH_MAX x columns */
    float packed_margins[MODEL_BATCH_MAX], packed_scores[MODEL_BATCH_MAX];
    uint16_t index[MODEL_BATCH_MAX];
    /* What each model says of each event, as far as it has been asked. */
    float margins[CHAIN_MODELS][MODEL_BATCH_MAX], scores[CHAIN_MODELS][MODEL_BATCH_MAX];
    bool known[CHAIN_MODELS][MODEL_BATCH_MAX];
};

struct chain_scratch *chain_scratch_create(size_t columns)
{
    struct chain_scratch *s = calloc(1, sizeof *s);
    if (!s || !(s->packed = malloc((MODEL_BATCH_MAX * columns + 1) * sizeof *s->packed))) {
        free(s);
        return NULL;
    }
    s->columns = columns;
    return s;
}

void chain_scratch_destroy(struct chain_scratch *s)
{
    if (!s)
        return;
    free(s->packed);
    free(s);
}

/* The m events index[0..m) by one model. */
static int score_some(struct model *model, struct chain_scratch *s, enum chain_place place, const struct chain_batch *batch, size_t m, struct err *err)
{
    float *margins = s->margins[place], *scores = s->scores[place];
    bool all = m == batch->n;
    for (size_t i = 0; i < m && !all; i++)
        memcpy(s->packed + i * s->columns, batch->rows + s->index[i] * s->columns, s->columns * sizeof *s->packed);
    if (model_score(model, all ? batch->rows : s->packed, m, all ? margins : s->packed_margins, all ? scores : s->packed_scores, err) < 0)
        return -1;
    for (size_t i = 0; i < m; i++) {
        s->known[place][s->index[i]] = true;
        if (all)
            continue;
        margins[s->index[i]] = s->packed_margins[i];
        scores[s->index[i]] = s->packed_scores[i];
    }
    return 0;
}

/* The events that ask this model first; none while its breaker is open to the end. */
static int score_first(const struct chain *chain, struct chain_scratch *s, enum chain_place place, const struct chain_batch *batch, struct err *err)
{
    const struct chain_model *m = &chain->models[place];
    size_t count = 0;
    if (!m->model || (m->breaker && breaker_state(m->breaker, &chain->rules, batch->now_ms[batch->n - 1]) == BREAKER_OPEN))
        return 0;
    for (size_t e = 0; e < batch->n; e++)
        if ((batch->canary && batch->canary[e]) == (place == CHAIN_CANARY))
            s->index[count++] = (uint16_t)e;
    return score_some(m->model, s, place, batch, count, err);
}

/* The rest of the batch, for the first event that gets to this model. */
static int score_rest(const struct chain *chain, struct chain_scratch *s, enum chain_place place, const struct chain_batch *batch, size_t from, struct err *err)
{
    size_t count = 0;
    for (size_t e = from; e < batch->n; e++)
        if (!s->known[place][e])
            s->index[count++] = (uint16_t)e;
    return score_some(chain->models[place].model, s, place, batch, count, err);
}

/* 1: the model answers; 0: it does not, and *reason says why. */
static int ask(const struct chain *chain, struct chain_scratch *s, enum chain_place place, const struct chain_batch *batch, size_t e, enum fallback_reason *reason, struct err *err)
{
    const struct chain_model *m = &chain->models[place];
    if (m->breaker && breaker_state(m->breaker, &chain->rules, batch->now_ms[e]) == BREAKER_OPEN) {
        *reason = FALLBACK_CIRCUIT_OPEN;
        return 0;
    }
    if (!s->known[place][e] && score_rest(chain, s, place, batch, e, err) < 0)
        return -1;
    bool valid = score_is_valid(s->scores[place][e]);
    assert(valid || m->breaker);
    if (m->breaker)
        breaker_record(m->breaker, &chain->rules, batch->now_ms[e], !valid);
    *reason = FALLBACK_INVALID_OUTPUT;
    return valid;
}

static struct served answer_of(const struct chain *chain, const struct chain_scratch *s, enum chain_place place, size_t e)
{
    static const enum role roles[] = {ROLE_CANARY, ROLE_CHAMPION, ROLE_FALLBACK, ROLE_FALLBACK};
    static const enum confidence confidences[] = {CONFIDENCE_NORMAL, CONFIDENCE_NORMAL, CONFIDENCE_DEGRADED, CONFIDENCE_NONE};
    bool fixed = place == CHAIN_FIXED;
    float score = fixed ? chain->fixed_score : s->scores[place][e];
    return (struct served){score, fixed ? NAN : s->margins[place][e], decide(fixed ? chain->fixed_thresholds : chain->models[place].thresholds, score),
        confidences[place], roles[place], place};
}

static int answer(const struct chain *chain, struct chain_scratch *s, const struct chain_batch *batch, size_t e, struct served *served, int64_t fallbacks[FALLBACK_REASONS], struct err *err)
{
    enum fallback_reason first = FALLBACK_REASONS, reason = FALLBACK_REASONS;
    enum chain_place place = batch->canary && batch->canary[e] ? CHAIN_CANARY : CHAIN_CHAMPION;
    for (; place < CHAIN_MODELS; place++) {
        if (!chain->models[place].model)
            continue;
        int answers = ask(chain, s, place, batch, e, &reason, err);
        if (answers < 0)
            return -1;
        if (answers)
            break;
        if (first == FALLBACK_REASONS)
            first = reason;
    }
    *served = answer_of(chain, s, place, e);
    if (first != FALLBACK_REASONS)
        fallbacks[first]++;
    return 0;
}

int chain_answer(const struct chain *chain, struct chain_scratch *s, const struct chain_batch *batch, struct served *served, int64_t fallbacks[FALLBACK_REASONS], struct err *err)
{
    assert(batch->n <= MODEL_BATCH_MAX && chain->models[CHAIN_CHAMPION].model);
    if (!batch->n)
        return 0;
    for (int place = 0; place < CHAIN_MODELS; place++)
        memset(s->known[place], 0, batch->n * sizeof s->known[place][0]);
    if (score_first(chain, s, CHAIN_CANARY, batch, err) < 0 || score_first(chain, s, CHAIN_CHAMPION, batch, err) < 0)
        return -1;
    for (size_t e = 0; e < batch->n; e++)
        if (answer(chain, s, batch, e, &served[e], fallbacks, err) < 0)
            return -1;
    return 0;
}
