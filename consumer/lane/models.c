/* Which deployment a lane serves by, and whether it is too late for shadows. */
#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"
#include "consumer/scorer.h"

void lane_deploy(struct lane *l, const struct deployment *deployment)
{
    struct deployment *new = deployment_retain(deployment);
    pthread_mutex_lock(&l->lock);
    struct deployment *overtaken = l->next_deployment;
    l->next_deployment = new;
    pthread_mutex_unlock(&l->lock);
    deployment_release(overtaken);
    __atomic_store_n(&l->deployment_waits, true, __ATOMIC_RELEASE);
    rd_kafka_queue_yield(l->queue);
}

struct deployment *lane_deployment(struct lane *l)
{
    pthread_mutex_lock(&l->lock);
    struct deployment *d = deployment_retain(l->next_deployment ? l->next_deployment : l->deployment);
    pthread_mutex_unlock(&l->lock);
    return d;
}

void lane_take_deployment(struct lane *l)
{
    if (!__atomic_exchange_n(&l->deployment_waits, false, __ATOMIC_ACQUIRE))
        return;
    pthread_mutex_lock(&l->lock);
    struct deployment *old = l->deployment;
    if (l->next_deployment) {
        l->deployment = l->next_deployment;
        l->next_deployment = NULL;
    } else {
        old = NULL;
    }
    pthread_mutex_unlock(&l->lock);
    scorer_set_deployment(pipeline_scorer(l->pipeline), l->deployment);
    deployment_release(old);
}

void lane_judge_lag(struct lane *l, struct lane_partition *p, int64_t last_offset)
{
    int64_t low, high, limit = l->o.config->models.shed_lag_ms, now = clock_monotonic_ns() / 1000000;
    if (!l->deployment->shadow_count)
        return;
    if (!rd_kafka_get_watermark_offsets(l->consumer, l->o.config->input.topic, p->state.id, &low, &high) && high >= 0)
        lag_note(&p->lag, now, limit, high);
    scorer_shed_shadows(pipeline_scorer(l->pipeline), lag_exceeds(&p->lag, now, limit, last_offset));
}

void lane_serving(struct lane *l, struct serving_face *into)
{
    pthread_mutex_lock(&l->lock);
    serving_face_merge(into, &l->serving);
    pthread_mutex_unlock(&l->lock);
}
