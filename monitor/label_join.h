/* Predictions that wait for their labels, by transaction id, in bounded memory.
 *
 * Open addressing over packed entries (24 bytes and 4 a shadow model), placed by the upper bits of a 64-bit hash of the
 * id; two ids that share a hash count as one (odds about n^2 / 2^65: 3e-6 at ten million).  The table doubles up to two
 * thirds of the budget, so that old and new one are within it while it grows: ten million predictions with one shadow
 * take 512 MiB at most.  One too many halves the sample: only ids whose lower 32 hash bits are below a limit are kept,
 * the others go; which ids those are depends on the ids alone, and the share is told.
 *
 * A prediction waits for `horizon` of stream time (of predictions), then it counts as unlabelled.  A label whose
 * prediction is not there is unmatched; one that comes later than the horizon is late.  A second label of another value
 * is a change and is given out again; of the same value it is a repetition.
 *
 * Cost: one or two cache misses a prediction and a label; a hand goes round the table once in an eighth of the horizon. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LABEL_SHADOWS_MAX = 16, LABEL_MODELS_MAX = 16, LABEL_SEGMENTS_NONE = 0 };
#define LABEL_VALUE_NONE INT64_MIN

struct waiting_prediction {
    int64_t time_ms;   /* of its event */
    int64_t value;     /* minor units, |value| < 2^38; beyond it, or LABEL_VALUE_NONE: none */
    float score;
    uint8_t model;     /* number of the served model, below LABEL_MODELS_MAX */
    uint16_t segments; /* number of its combination of segments, by the caller; LABEL_SEGMENTS_NONE: none */
    float shadows[LABEL_SHADOWS_MAX]; /* NaN: that shadow has not scored it (yet) */
};

enum label_outcome {
    LABEL_MATCHED,   /* the first one of its prediction */
    LABEL_CHANGED,   /* another value than before */
    LABEL_REPEATED,  /* the same value again */
    LABEL_LATE,      /* more than the horizon after its event; the prediction may still be there */
    LABEL_UNMATCHED, /* no such prediction, or none that was kept */
    LABEL_UNSAMPLED, /* its id is not in the sample */
    LABEL_OUTCOME_COUNT
};

struct label_join_counts {
    uint64_t waiting, unlabelled /* waited in vain */, replaced /* by another event of the same id */;
    uint64_t labels[LABEL_OUTCOME_COUNT];
    double sampled_share; /* of the ids, 1 at first */
    uint64_t bytes;
};

struct label_join;
/* NULL if memory is short, or the budget holds no thousand predictions. */
struct label_join *label_join_create(uint64_t budget_bytes, int64_t horizon_ms, size_t shadows);
void label_join_destroy(struct label_join *join);

uint64_t label_join_hash(const void *id, size_t size);
/* A served prediction.  Of the same id and another time or score: it takes the older one's place.  The same again (or what
 * a shadow said of it before): what is known of it, shadows and label, stays.  -1 if memory is short. */
int label_join_prediction(struct label_join *join, uint64_t hash, const struct waiting_prediction *prediction);
/* What a shadow made of it.  served: what its record says of the prediction, which is put down if it has not come yet. */
int label_join_shadow(struct label_join *join, uint64_t hash, size_t shadow, float score, const struct waiting_prediction *served);
/* label 0 or 1.  On LABEL_MATCHED and LABEL_CHANGED *out is the prediction. */
enum label_outcome label_join_label(struct label_join *join, uint64_t hash, int label, int64_t reported_ms, struct waiting_prediction *out);
struct label_join_counts label_join_count(const struct label_join *join);
