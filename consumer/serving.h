/* Who serves a partition: the deployment in force, the champion before it, and a breaker a model.
 *
 * It is state, a fold over the partition's records like the windows: breakers run on stream time, and a deployment comes
 * into force at an offset.  So it goes into the checkpoint's marker (export, import), and deployments recorded in the
 * changelog are scheduled at the offsets they were first served at, before those records are folded again.
 *
 * A fold with outputs suppressed follows the schedule alone.  A live one goes over to what the process is configured
 * with, and says so to whoever writes it down (sink.deployed), which schedules it for those who come after.
 *
 * Neither import nor schedule looks for a model: the fold does, where its answer can decide something, and a model that is
 * not at hand is then an error that names it.  What decides nothing is not missed: a suppressed fold under a deployment
 * whose models cannot fail, or the champion before one that cannot.
 *
 * A deployment is said by its record (deployment.h). */
#pragma once
#include "consumer/avro/encode.h"
#include "consumer/deployment.h"
#include "scoring/models/chain.h"

struct serving;
struct serving *serving_create(void);
void serving_destroy(struct serving *serving);
void serving_reset(struct serving *serving); /* as it was created: nothing served, nothing scheduled, breakers closed */

/* ---- the state, for the changelog ---- */

/* Appends what serving_import takes: at most SERVING_BYTES_MAX, the same for equal states. */
enum { SERVING_BYTES_MAX = 1 << 20 };
void serving_export(const struct serving *serving, struct buffer *out);
/* Replaces the whole, but for what is scheduled.  -1: not such bytes; nothing has changed. */
int serving_import(struct serving *serving, const void *bytes, size_t size, struct err *err);
/* The deployment of these bytes (as sink.deployed got them) serves from first_offset on.  Any order; at most
 * SERVING_SCHEDULE_MAX, the later of two for one offset counts; one at or before the offset from which the deployment in
 * force serves is left out.  -1: not such bytes, or too many. */
enum { SERVING_SCHEDULE_MAX = 100000 };
int serving_schedule(struct serving *serving, int64_t first_offset, const void *record, size_t size, struct err *err);
/* What is scheduled there is scheduled here instead of what was. */
void serving_take_schedule(struct serving *serving, struct serving *from);
/* Whatever is configured, records are served by the schedule; before its first entry by that one.  Where nothing is
 * scheduled this changes nothing.  For replays. */
void serving_follow_schedule(struct serving *serving);

/* ---- the fold, for the score stage ---- */

struct serving_turn {
    const struct config *config;
    const struct deployment *configured; /* NULL: none */
    struct deployment_shelf *shelf;      /* of the lane */
    bool suppressed;
};
/* Goes over to the deployment that serves the event at `offset`; offsets below *until have the same.  *swapped: it was
 * the configured one that came into force here.  Retriable is no error of it. */
int serving_advance(struct serving *serving, const struct serving_turn *turn, int64_t offset, int64_t *until, bool *swapped, struct err *err);
/* In force; its models are loaded if turn->suppressed was not set, or if one can fail.  NULL: none, or the fold is suppressed
 * and nothing can fail.  Lives until serving_settle. */
const struct deployment *serving_deployment(const struct serving *serving);
/* The offset from which it serves, as far as this state knows; -1: none does. */
int64_t serving_since(const struct serving *serving);
/* Who answers, with the breakers of this partition; and which deployed model stands at each place (NULL: none). */
void serving_chain(struct serving *serving, struct chain *chain, const struct deployed_model *models[CHAIN_MODELS]);
/* Of shadow i of the deployment in force.  No part of the exported state: what a shadow is asked hangs on the lag. */
struct breaker *serving_shadow_breaker(struct serving *serving, size_t i);
/* The batch is done: what was replaced during it is let go. */
void serving_settle(struct serving *serving);

/* ---- for /status ---- */

/* Breakers that are not closed at now_ms: calls `each` with the model's id. */
void serving_breakers(const struct serving *serving, int64_t now_ms, void (*each)(void *context, const char *model_id, enum breaker_state state), void *context);
