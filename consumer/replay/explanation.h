/* All that is to be said of one record: its fields, its features, what was served, and what each model makes of it.
 *
 * The features are those of a worker: the partition is folded from the first record that can matter (of a file: from the
 * first), then the record itself goes through the whole pipeline.  Nothing is written, no group is joined, no offset touched.
 *
 * A record can matter if its timestamp is after min(t, r) - W - L - 2 x future_skew, t being the event time of the record in
 * question and r its timestamp: the stream time at it cannot come from an earlier one, unless nothing within that reach is
 * later than the earlier ones, which only a partition of late events alone would do.  Evictions by state.max_entities and
 * state.max_events before that reach are not seen.  History begins where the group's commits say that it began. */
#pragma once
#include <jansson.h>
#include <stdatomic.h>
#include "consumer/config/config.h"

struct explanation_options {
    struct config *config;  /* its fields get those of the record */
    const char *input;      /* container file; NULL: the input topic */
    const char *timestamps; /* as in replay.h */
    int32_t partition;      /* of the topic; -1: the only one */
    int64_t offset;
    bool as_configured;     /* by the configured models, whatever is recorded */
    bool quiet;
    atomic_bool *stop;
};

/* {"partition", "offset", "timestamp", "schema_id", "folded_from", "record": {field: value} or null,
 *  "rejected": {"reason", "stage", "field", "rule", "message"} or null; and of an event that was accepted
 *  "id", "entity", "event_time", "late_ms", "window_complete",
 *  "served": {"role", "model", "score", "margin", "decision", "confidence"} or null (no models in the configuration),
 *  "deployment": {"source": "recorded" or "configured", "since": offset or null, "note"} or null: by which models; the one
 *      recorded in the changelog as in force at the offset where there is one, else, or as_configured, the configured one
 *  "features": [{"name", "value", "definition"}],
 *  "models": [{"role", "id", "sha256", "engine", "score", "margin", "decision", "sampled", "bias",
 *              (of a canary whether the entity is on its side, of a shadow whether it is in its sample)
 *              "contributions": [{"feature", "value", "contribution"}, the largest first]}]}
 * Times are milliseconds; missing numbers null.  *out is owned by the caller. */
int explanation_make(const struct explanation_options *options, json_t **out, struct err *err);
