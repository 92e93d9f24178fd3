/* The one struct that flows through the pipeline, top down: each stage fills its part and only reads the rest.
 *
 * A batch holds records of one partition in offset order.  Bytes are borrowed from whoever read the records and
 * live until the batch has been emitted.  Sizes are fixed at creation: nothing is allocated per event. */
#pragma once
#include <stdbool.h>
#include "consumer/avro/encode.h"
#include "consumer/deployment.h"
#include "consumer/verdict.h"
#include "scoring/models/chain.h"
#include "scoring/features/features.h"

enum { BATCH_MAX = 512 };
_Static_assert((int)BATCH_MAX <= (int)WINDOWS_BATCH_MAX, "the window store takes a whole batch");

/* One input record as it lies in the log. */
struct record {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    const void *key; /* NULL: null key */
    size_t key_size;
    const void *value; /* NULL: null value */
    size_t value_size;
    const void *message; /* rd_kafka_message_t of it, for its headers; NULL from a file */
};

struct batch {
    /* read */
    size_t count;
    struct record records[BATCH_MAX];
    /* decode, validate: per record */
    int32_t schema_ids[BATCH_MAX];
    struct value *values; /* count x slots */
    struct verdict verdicts[BATCH_MAX];
    char texts[BATCH_MAX][2][24]; /* integer id and entity as decimal text */
    /* features: per event, that is per record not rejected so far */
    size_t event_count;
    uint16_t record_of[BATCH_MAX];
    struct event events[BATCH_MAX];
    struct feature_outcome outcomes[BATCH_MAX];
    float *rows; /* event_count x columns; after the features stage only of events that were accepted */
    /* score: per accepted event */
    struct served served[BATCH_MAX];
    const struct deployed_model *answered[BATCH_MAX]; /* who did; NULL: the fixed score */
    const struct deployment *deployments[BATCH_MAX];  /* in force */
    float *contributions;   /* of the rows in `explained`, columns + 1 each */
    float *explained_rows;  /* their vectors, packed */
    int16_t explained[BATCH_MAX]; /* row of contributions, or -1 */
    float *shadow_margins, *shadow_scores; /* SHADOWS_MAX x BATCH_MAX, of shadows of the event's deployment */
    bool *shadow_sampled;                  /* likewise: its entity is in the model's sample */
    bool *shadow_shed;                     /* likewise: sampled, but left out */
    /* Time spent and vectors scored in the batch's last run: by those that serve, then by each shadow. */
    int64_t scoring_ns[1 + SHADOWS_MAX], scored[1 + SHADOWS_MAX];
    /* emit */
    struct buffer prediction, shadow[SHADOWS_MAX];
};

/* Of the model that answered event e, columns + 1 of them; NULL: it was not explained. */
static inline const float *batch_contributions(const struct batch *b, size_t e, size_t columns)
{
    return b->explained[e] < 0 ? NULL : b->contributions + (size_t)b->explained[e] * (columns + 1);
}
