/* What other threads may see of a lane: copied under its lock, now and then. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"

void lane_publish_face(struct lane *l)
{
    int64_t entities = 0, events = 0, bytes = 0;
    bool restoring = false;
    pthread_mutex_lock(&l->lock);
    memcpy(l->metrics.stage_ns, pipeline_stage_ns(l->pipeline), sizeof l->metrics.stage_ns);
    serving_face_take(&l->serving, pipeline_scorer(l->pipeline));
    l->statuses = realloc(l->statuses, (l->partition_count + 1) * sizeof *l->statuses);
    assert(l->statuses);
    l->status_count = l->partition_count;
    for (size_t i = 0; i < l->partition_count; i++) {
        const struct lane_partition *p = &l->partitions[i];
        struct window_counts counts = windows_count(p->state.windows);
        int64_t low, high = -1;
        if (rd_kafka_get_watermark_offsets(l->consumer, l->o.config->input.topic, p->state.id, &low, &high) || high < 0)
            high = -1;
        serving_face_add_partition(&l->serving, &p->state);
        entities += (int64_t)counts.entities;
        events += (int64_t)counts.events;
        bytes += (int64_t)counts.bytes;
        restoring = restoring || p->restore.active || p->waits;
        l->statuses[i] = (struct lane_partition_status){.partition = p->state.id, .position = p->waits ? -1 : p->state.next_offset, .committed = p->committed,
            .end_offset = high, .restore_from = p->restore.from, .restore_to = p->restore.active ? p->state.suppress_below : p->restore.from,
            .stream_time_ms = windows_stream_time(p->state.windows), .history_complete = windows_history_start(p->state.windows) == TIME_UNKNOWN,
            .restoring = p->waits ? "offset" : p->restore.active ? restore_stage_name(p->restore.stage) : NULL, .restore_seconds = -1};
        if (p->restore.active) {
            l->statuses[i].restored_share = restore_share(&p->restore, &p->state);
            l->statuses[i].restore_seconds = restore_eta_seconds(&p->restore, &p->state);
        }
        if (!p->waits)
            metrics_set_partition(&l->metrics, (struct partition_health){p->state.id, l->statuses[i].stream_time_ms, p->state.next_offset, high, p->checkpoint ? p->checkpoint->done_ms : 0});
    }
    l->metrics.entities = entities;
    l->metrics.retained_events = events;
    l->metrics.state_bytes = bytes;
    l->ready = l->joined && !restoring;
    l->state = !l->joined ? "joining" : l->registry_retry_ns ? "waiting for the schema registry" : restoring ? "rebuilding" : "working";
    metrics_copy(&l->published, &l->metrics);
    pthread_mutex_unlock(&l->lock);
    l->published_ns = clock_monotonic_ns();
}

bool lane_ready(struct lane *l)
{
    pthread_mutex_lock(&l->lock);
    bool ready = l->ready;
    pthread_mutex_unlock(&l->lock);
    return ready;
}

void lane_metrics(struct lane *l, struct metrics *into)
{
    pthread_mutex_lock(&l->lock);
    metrics_merge(into, &l->published);
    pthread_mutex_unlock(&l->lock);
}

size_t lane_partitions(struct lane *l, struct lane_partition_status *out, size_t max)
{
    pthread_mutex_lock(&l->lock);
    size_t n = l->status_count < max ? l->status_count : max;
    if (n)
        memcpy(out, l->statuses, n * sizeof *out);
    pthread_mutex_unlock(&l->lock);
    return n;
}

const char *lane_state(struct lane *l)
{
    pthread_mutex_lock(&l->lock);
    const char *state = l->state;
    pthread_mutex_unlock(&l->lock);
    return state;
}
