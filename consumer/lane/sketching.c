/* What a transaction counts, into the transaction itself. */
#include <stdlib.h>

#include "consumer/aggregator/sketch_record.h"
#include "consumer/clock.h"
#include "consumer/lane/lane_state.h"

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

/* ---- deltas ---- */

static void add_piece(void *context, int32_t partition, const struct buffer *piece)
{
    struct lane *l = context;
    struct err err;
    struct outbox_record record = {.source = partition, .topic = l->sketching.topic->name, .partition = 0, .timestamp_ms = clock_wall_ms(), .value = piece->data, .value_size = piece->size,
        .joint = &l->sketching.joint};
    if (writer_add(l->writer, record, -1, &err) < 0 && !l->fatal.msg[0])
        l->fatal = err;
}

void lane_emit_sketch(struct lane *l)
{
    lane_emit_latencies(l);
    if (!l->sketching.topic->name[0])
        return;
    size_t room = l->sketching.joint.size_max - l->sketching.joint.head_size - l->sketching.joint.tail_size;
    for (size_t i = 0; i < sketch_position_count(l->sketch); i++)
        sketch_pieces(l->sketch, i, room, &l->sketching.scratch, add_piece, l);
}
