/* How long records took until they were visible: known once their transaction is committed, so it goes into the counters
 * then and into the sketch of the transaction after it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"

enum { ARRIVALS_MAX = 100000 }; /* runs of one timestamp and batch; of what is beyond no latency is known */

void lane_note_arrivals(struct lane *l, const struct record *records, size_t count, int64_t taken_ns)
{
    struct arrivals *a = &l->sketching.arrived[0];
    for (size_t i = 0; i < count; i++) {
        struct arrival *last = a->count ? &a->of[a->count - 1] : NULL;
        if (last && last->partition == records[i].partition && last->timestamp_ms == records[i].timestamp_ms && last->taken_ns == taken_ns) {
            last->times++;
            continue;
        }
        if (a->count == ARRIVALS_MAX)
            return;
        if (a->count == a->capacity) {
            a->capacity = a->capacity ? 2 * a->capacity : 1024;
            a->of = reallocarray(a->of, a->capacity, sizeof *a->of);
            assert(a->of);
        }
        a->of[a->count++] = (struct arrival){records[i].partition, 1, records[i].timestamp_ms, taken_ns};
    }
}

/* For the reports, in the window of the partition's stream time. */
static void keep(struct lane_partition *p, int64_t ms, uint32_t times)
{
    if (!p->latencies)
        p->latencies = calloc(LATENCY_BINS, sizeof *p->latencies);
    assert(p->latencies);
    p->latencies[latency_bin(ms)] += times;
}

void lane_observe_latencies(struct lane *l)
{
    struct arrivals *a = &l->sketching.arrived[1];
    struct lane_partition *p = NULL;
    int64_t now_ms = clock_wall_ms(), now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < a->count; i++) {
        const struct arrival *run = &a->of[i];
        if (!p || p->state.id != run->partition)
            p = lane_find_partition(l, run->partition);
        if (!p)
            continue;
        keep(p, now_ms - run->timestamp_ms, run->times);
        histogram_observe(&l->metrics.latency_seconds, now_ns - run->taken_ns, run->times);
        if (run->timestamp_ms >= 0) /* below: the topic keeps none */
            histogram_observe(&l->metrics.end_to_end_seconds, (now_ms - run->timestamp_ms) * 1000000, run->times);
    }
    a->count = 0;
}

static void add_latencies(struct lane *l, const struct sketch_position *position)
{
    struct lane_partition *p = lane_find_partition(l, position->partition);
    if (!p || !p->latencies)
        return;
    sketch_add_latencies(l->sketch, position->partition, windows_stream_time(p->state.windows), p->latencies);
    memset(p->latencies, 0, LATENCY_BINS * sizeof *p->latencies);
}

void lane_emit_latencies(struct lane *l)
{
    struct arrivals ended = l->sketching.arrived[1];
    l->sketching.arrived[1] = l->sketching.arrived[0];
    l->sketching.arrived[0] = ended;
    for (size_t i = 0; i < sketch_position_count(l->sketch); i++)
        add_latencies(l, sketch_position(l->sketch, i));
}
