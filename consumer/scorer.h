/* The score stage: every accepted event of a batch gets its answer, its reasons, and what the shadows say.
 *
 * Under a deployment with a canary the entities on its side ask it first; the rest is scoring/models/chain.h.  An answer of
 * confidence NORMAL becomes DEGRADED where the vector misses more than max_missing_features values, or, with on_range:
 * degrade, has one outside its range.  Shadows come after, on the same vectors: one that fails (an invalid output, an error
 * of the library) is left out and counted, and its own breaker spares it further calls; none of it touches what is served. */
#pragma once
#include "consumer/deployment.h"
#include "consumer/partition.h"
#include "consumer/sink.h"

struct scorer;
struct scorer *scorer_create(const struct config *config);
void scorer_destroy(struct scorer *scorer);

/* What live records are served by from the next batch on (NULL: nothing is scored).  Takes a reference. */
void scorer_set_deployment(struct scorer *scorer, const struct deployment *deployment);
const struct deployment *scorer_deployment(const struct scorer *scorer);
/* The lane lags: sampled events are counted as shed and not scored by shadows. */
void scorer_shed_shadows(struct scorer *scorer, bool shed);

/* Fills served, answered, deployments, explained and the shadows of the batch.  Suppressed: nothing of that; the breakers
 * alone hear what the models say.  scorer_settle once the batch has been emitted. */
int scorer_score(struct scorer *scorer, struct batch *batch, struct partition_state *state, bool suppressed, const struct sink *sink, struct err *err);
void scorer_settle(struct scorer *scorer, struct partition_state *state);

struct scorer_counts { /* since creation */
    int64_t fallbacks[FALLBACK_REASONS];
    int64_t missing_degraded;       /* answers that missing values degraded */
    const int64_t *out_of_range;    /* by column */
    int64_t shadow_errors;          /* scores that a shadow could not give */
    int64_t shadow_circuit_open;    /* not asked, its breaker being open */
    int64_t swaps;
    /* CPU time spent and rows scored: by those that serve, then by each shadow of the configured deployment since it is that. */
    int64_t scoring_ns[1 + SHADOWS_MAX], scored[1 + SHADOWS_MAX];
};
const struct scorer_counts *scorer_counts(const struct scorer *scorer);
