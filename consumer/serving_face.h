/* What others may see of how a process serves: counters for Prometheus, breakers for /status.  Lanes fill theirs under
 * their locks; faces are added up. */
#pragma once
#include "consumer/scorer.h"
#include "monitor/text_buffer.h"

enum { OPEN_BREAKERS_MAX = 256 };

struct open_breaker {
    int32_t partition;
    char model_id[201];
    enum breaker_state state;
};

struct serving_face {
    size_t columns;
    struct scorer_counts counts;
    int64_t *out_of_range; /* by column */
    size_t shadow_count;
    char shadows[SHADOWS_MAX][201]; /* ids, as counts.scoring_ns has them */
    size_t breaker_count;  /* those that are not closed, the first OPEN_BREAKERS_MAX */
    struct open_breaker breakers[OPEN_BREAKERS_MAX];
};

void serving_face_init(struct serving_face *face, size_t columns);
void serving_face_finish(struct serving_face *face);
void serving_face_take(struct serving_face *face, const struct scorer *scorer); /* and no breakers */
void serving_face_add_partition(struct serving_face *face, const struct partition_state *state);
void serving_face_merge(struct serving_face *into, const struct serving_face *from);
void serving_face_expose(const struct serving_face *face, const struct feature_spec *spec, struct text_buffer *text); /* Prometheus */
void serving_face_status(const struct serving_face *face, struct text_buffer *text); /* "breakers": [...] */
