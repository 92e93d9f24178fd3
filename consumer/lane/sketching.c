/* What a transaction counts, into the transaction itself; and how long records took until they were visible, into the
 * transaction after it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/aggregator/sketch_record.h"
#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"

enum { ARRIVALS_MAX = 100000 }; /* runs of one timestamp; of what is beyond no latency is known */

void sketching_init(struct sketching *s, const struct sketch_shape *shape, const struct sketches_topic *topic)
{
    *s = (struct sketching){.topic = topic};
    if (!topic->name[0])
        return;
    put_bytes_raw(&s->head, (const uint8_t[5]){0, (uint8_t)(topic->schema_id >> 24), (uint8_t)(topic->schema_id >> 16), (uint8_t)(topic->schema_id >> 8), (uint8_t)topic->schema_id}, 5);
    sketch_record_begin(shape, &s->head);
    sketch_record_end(&s->tail);
    s->joint = (struct outbox_joint){.size_max = topics_room(topic->max_message_bytes), .head = s->head.data, .head_size = s->head.size,
        .tail = s->tail.data, .tail_size = s->tail.size};
}

void sketching_finish(struct sketching *s)
{
    buffer_finish(&s->head);
    buffer_finish(&s->tail);
    buffer_finish(&s->scratch);
    free(s->arrived[0].of);
    free(s->arrived[1].of);
}

/* ---- latencies ---- */

void lane_note_arrivals(struct lane *l, const struct record *records, size_t count)
{
    struct arrivals *a = &l->sketching.arrived[0];
    for (size_t i = 0; i < count; i++) {
        struct arrival *last = a->count ? &a->of[a->count - 1] : NULL;
        if (last && last->partition == records[i].partition && last->timestamp_ms == records[i].timestamp_ms) {
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
        a->of[a->count++] = (struct arrival){records[i].partition, 1, records[i].timestamp_ms};
    }
}

void lane_observe_latencies(struct lane *l)
{
    struct arrivals *a = &l->sketching.arrived[1];
    struct lane_partition *p = NULL;
    int64_t now = clock_wall_ms();
    for (size_t i = 0; i < a->count; i++) {
        if (!p || p->state.id != a->of[i].partition)
            p = lane_find_partition(l, a->of[i].partition);
        if (!p)
            continue;
        if (!p->latencies)
            p->latencies = calloc(LATENCY_BINS, sizeof *p->latencies);
        assert(p->latencies);
        p->latencies[latency_bin(now - a->of[i].timestamp_ms)] += a->of[i].times;
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

/* ---- deltas ---- */

static void add_piece(void *context, int32_t partition, const struct buffer *piece)
{
    struct lane *l = context;
    struct err err;
    struct outbox_record record = {.source = partition, .topic = l->sketching.topic->name, .partition = 0, .value = piece->data, .value_size = piece->size,
        .joint = &l->sketching.joint};
    if (writer_add(l->writer, record, -1, &err) < 0 && !l->fatal.msg[0])
        l->fatal = err;
}

void lane_emit_sketch(struct lane *l)
{
    struct arrivals ended = l->sketching.arrived[1];
    l->sketching.arrived[1] = l->sketching.arrived[0];
    l->sketching.arrived[0] = ended;
    for (size_t i = 0; i < sketch_position_count(l->sketch); i++)
        add_latencies(l, sketch_position(l->sketch, i));
    if (!l->sketching.topic->name[0])
        return;
    size_t room = l->sketching.joint.size_max - l->sketching.joint.head_size - l->sketching.joint.tail_size;
    for (size_t i = 0; i < sketch_position_count(l->sketch); i++)
        sketch_pieces(l->sketch, i, room, &l->sketching.scratch, add_piece, l);
}
