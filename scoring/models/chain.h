/* Which model answers an event: the chain of those that may, their breakers, and the fixed score at its end.
 *
 *   canary (for the entities on its side) -> champion -> fallback model -> fixed score
 *
 * A model is passed over while its breaker is open (circuit_open) and when its score is not a number in [0, 1]
 * (invalid_output).  The champion answers for a canary that does not as it answers for its own entities: role CHAMPION,
 * confidence NORMAL.  The fallback model's answers are DEGRADED, the fixed score's confidence is NONE.
 *
 * Invariant: what an event gets, and what the breakers hold after it, depends on the events up to it and their order, not
 * on how they lie in batches.  So a model scores many rows at once, but its breaker hears of a score only when an event
 * asks for it, event by event.
 *
 * Cost: one model_score of the batch, where all is well; a model further down scores nothing until the first event that
 * gets to it, then the rest of the batch. */
#pragma once
#include "scoring/models/breaker.h"
#include "scoring/models/decision.h"
#include "scoring/models/model.h"

enum chain_place { CHAIN_CANARY, CHAIN_CHAMPION, CHAIN_FALLBACK, CHAIN_MODELS, CHAIN_FIXED = CHAIN_MODELS };
enum fallback_reason { FALLBACK_CIRCUIT_OPEN, FALLBACK_INVALID_OUTPUT, FALLBACK_REASONS };

struct chain_model {
    struct model *model; /* NULL: the chain has none here */
    struct breaker *breaker; /* NULL: it cannot fail (model_always_valid), and is not watched */
    struct thresholds thresholds;
};

struct chain {
    struct chain_model models[CHAIN_MODELS];
    struct breaker_rules rules;
    float fixed_score;
    struct thresholds fixed_thresholds;
};

struct served { /* what an event gets */
    float score, margin;
    enum decision decision;
    enum confidence confidence;
    enum role role;
    enum chain_place place;
};

/* What is asked: n <= MODEL_BATCH_MAX events of one partition in their order. */
struct chain_batch {
    size_t n;
    const float *rows;     /* n x columns of the models */
    const int64_t *now_ms; /* stream time at each, ascending */
    const bool *canary;    /* whose entity is on the canary's side; NULL: nobody's */
};

struct chain_scratch;
struct chain_scratch *chain_scratch_create(size_t columns); /* NULL: memory is short */
void chain_scratch_destroy(struct chain_scratch *scratch);

/* Fills served[0..n) and counts, by reason, the events that their first model did not answer.  -1: a model could not be
 * asked (XGBoost's C API failed); then the breakers are undefined. */
int chain_answer(const struct chain *chain, struct chain_scratch *scratch, const struct chain_batch *batch, struct served *served,
                 int64_t fallbacks[FALLBACK_REASONS], struct err *err);

/* Output validation: finite, within [0, 1]. */
static inline bool score_is_valid(float score)
{
    return score >= 0 && score <= 1;
}

static inline const char *fallback_reason_name(enum fallback_reason reason)
{
    return (const char *const[]){"circuit_open", "invalid_output"}[reason];
}
