/* Windows and features of one partition: the state, and the fold of events into it.
 *
 * Let t(e) be the event time, T(e) the largest event time accepted in the partition up to and including e,
 * W the longest window of the spec, L the lateness.  The window (t-w, t] of e holds the accepted events e' of
 * the same entity with offset(e') <= offset(e), t(e)-w < t(e') <= t(e) and t(e') > T(e)-W-L.  The current
 * event is always in its own window, however late (`where` and `current: exclude` can still leave it out).
 *
 * An entity is held while it has a visible event (t' > T-W-L); limits count held entities and visible events alone,
 * after e is inserted and max_events_per_entity is applied, so they too do not depend on when memory is given back.
 * `range` of doubles: an infinity in any field that a feature reads.  The vector is a function of the partition's records, their
 * order and their timestamps alone: batching does not matter. */
#pragma once
#include "scoring/features/feature_spec.h"
#include "scoring/reject.h"

/* An event that passed decoding, typing and validation (events of one partition, in offset order). */
struct event {
    const struct value *values; /* by slot */
    int64_t offset;
    int64_t record_ms;   /* Kafka record timestamp */
    int64_t time_ms;     /* event time, already floored to milliseconds */
    struct bytes id;     /* as text */
    struct bytes entity; /* as text */
};

struct feature_outcome {
    enum reject_reason reason; /* REJECT_NONE, or FUTURE, STALE, DUPLICATE: then no state changed and the row is unspecified */
    bool window_complete;
    int64_t late_ms;
    int64_t before_ms; /* time of the entity's latest visible event before this one (what since_last counts from); TIME_UNKNOWN: none */
};

/* Types and ranges of the fields that the features read, before any state is touched: id, entity, time
 * (missing_field, null_field, type), then `type` of the other fields by slot, then `range` of numbers by slot.
 * On a reject *slot is the field at fault. */
enum reject_reason event_check(const struct feature_spec *spec, const struct field_set *fields, const struct value *values, int *slot);

struct window_limits {
    uint64_t max_entities, max_events; /* of the partition; the entity least recently seen by offset is evicted */
};

struct window_counts { /* since creation, but for the first two */
    uint64_t entities, events; /* held now */
    uint64_t bytes;            /* allocated now */
    uint64_t evicted_entities, dropped_events, forgotten_entities;
};

struct windows;
/* `spec` must outlive it.  NULL if memory is short. */
struct windows *windows_create(const struct feature_spec *spec, struct window_limits limits);
void windows_destroy(struct windows *windows);
/* Goes on giving back what the windows hold: `work` bounds it (an entity is 1, a piece of memory of 2 MiB at most
 * LARGE_PIECE_WORK of large_memory.h).  True: windows_destroy has little left to do.  After the first call nothing else may follow. */
bool windows_dissolve(struct windows *windows, size_t work);

enum { WINDOWS_BATCH_MAX = 1024 };
#define TIME_UNKNOWN INT64_MIN

/* History: from which event time on the state holds everything.  A partition read from its offset 0 is complete
 * (TIME_UNKNOWN, the initial state); otherwise windows reaching before it are not complete. */
void windows_set_history_start(struct windows *windows, int64_t event_time_ms);
/* As above, with T of the next event that will be accepted: a cold start, or the end of a gap. */
void windows_set_history_cold(struct windows *windows);
int64_t windows_history_start(const struct windows *windows); /* INT64_MAX: cold, and none accepted since */
int64_t windows_stream_time(const struct windows *windows); /* T; TIME_UNKNOWN before the first event */

/* Folds n <= WINDOWS_BATCH_MAX events in order.  rows: n x spec->count floats, row-major; outcomes: n.
 * Returns 0, or -1 where memory is short (the state is then undefined). */
int windows_fold(struct windows *windows, const struct event *events, size_t n, float *rows, struct feature_outcome *outcomes);

struct window_counts windows_count(const struct windows *windows);
/* Upper bound in bytes of one partition's state at its limits. */
uint64_t windows_worst_case_bytes(const struct feature_spec *spec, struct window_limits limits);
/* A hash of all that decides later outputs (entities, retained events, T, history, drop marks), independent of
 * the order in memory: equal states have equal digests. */
uint64_t windows_digest(const struct windows *windows);
