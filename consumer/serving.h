/* Who serves a partition: the deployment in force, the champion before it, and a breaker a model.
 *
 * It is state, a fold over the partition's records like the windows: breakers run on stream time, and a deployment comes
 * into force at an offset.  So it goes into the checkpoint's marker (export, import), and deployments recorded in the
 * changelog are scheduled at the offsets they were first served at, before those records are folded again.  Records
 * beyond the last one scheduled are served by what the process is configured with; that is then reported to the sink,
 * which writes it down.
 *
 * Neither import nor schedule looks for a model: the fold does, when it gets there, and a model that is not at hand is
 * an error of pipeline_process that names it.
 *
 * A deployment that configuration, export and records speak of is the text of deployment.h (JSON). */
#pragma once
#include "consumer/avro/encode.h"
#include "scoring/err.h"

struct serving;
struct serving *serving_create(void);
void serving_destroy(struct serving *serving);
void serving_reset(struct serving *serving); /* as it was created: nothing served, nothing scheduled, breakers closed */

/* Appends what serving_import takes: bounded by SERVING_BYTES_MAX, the same for equal states. */
enum { SERVING_BYTES_MAX = 1 << 20 };
void serving_export(const struct serving *serving, struct buffer *out);
/* Replaces the whole, but for what is scheduled.  -1: not such bytes; nothing has changed. */
int serving_import(struct serving *serving, const void *bytes, size_t size, struct err *err);
/* The deployment of these bytes (as sink.deployed got them) serves from first_offset on.  Any order; at most
 * SERVING_SCHEDULE_MAX, the later of two for one offset counts.  What lies before the fold's position comes into force
 * at once, the highest last.  -1: not such bytes, or too many. */
enum { SERVING_SCHEDULE_MAX = 100000 };
int serving_schedule(struct serving *serving, int64_t first_offset, const void *record, size_t size, struct err *err);
