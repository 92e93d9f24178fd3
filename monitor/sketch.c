/* The table of cells and positions.
 *
 * Cells are found by an open-addressing table over (partition, window), behind a memory of the last one, which
 * nearly every event hits: events of a batch share their partition and mostly their window.  Invariant: slots hold
 * an index + 1 of `cells`, 0 is empty, nothing is removed but by a rebuild; the table is at most half full. */
#include "monitor/sketch_extra.h"
#include "monitor/sketch_shape.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_KEPT = 64 }; /* allocated cells that survive a reset */
#define TIME_LATEST 253402300799999 /* the end of the year 9999 */

struct sketch {
    const struct sketch_shape *shape;
    size_t count, allocated, most; /* cells in use, there, allowed */
    size_t parts_left;
    struct smallest_ranks *named; /* far values; borrowed, or NULL */
    struct sketch_cell **cells;
    struct sketch_cell **ordered; /* the cells in use by (window, partition), if in_order */
    bool in_order;
    struct sketch_cell *last;
    uint16_t *slots;
    size_t slot_mask;
    size_t position_count, position_capacity;
    struct sketch_position *positions; /* by partition */
    size_t last_position;
};

struct sketch *sketch_create(const struct sketch_shape *shape)
{
    struct sketch *sketch = calloc(1, sizeof *sketch);
    if (!sketch)
        return NULL;
    sketch->shape = shape;
    sketch->most = sketch_cells_max(shape);
    sketch->parts_left = EXTRA_PARTS_IN_SKETCH_MAX;
    size_t slots = 64;
    while (slots < 2 * sketch->most)
        slots *= 2;
    sketch->slot_mask = slots - 1;
    sketch->slots = calloc(slots, sizeof *sketch->slots);
    sketch->cells = calloc(sketch->most, sizeof(struct sketch_cell *));
    sketch->ordered = calloc(sketch->most, sizeof(struct sketch_cell *));
    if (!sketch->slots || !sketch->cells || !sketch->ordered) {
        sketch_destroy(sketch);
        return NULL;
    }
    return sketch;
}

void sketch_destroy(struct sketch *sketch)
{
    if (!sketch)
        return;
    for (size_t i = 0; i < sketch->allocated; i++)
        sketch_cell_destroy(sketch->shape, sketch->cells[i]);
    free(sketch->cells);
    free(sketch->ordered);
    free(sketch->slots);
    free(sketch->positions);
    free(sketch);
}

void sketch_reset(struct sketch *sketch)
{
    for (size_t i = 0; i < sketch->count; i++)
        sketch_extras_clear(sketch->shape, sketch->cells[i]);
    while (sketch->allocated > CELLS_KEPT)
        sketch_cell_destroy(sketch->shape, sketch->cells[--sketch->allocated]);
    memset(sketch->slots, 0, (sketch->slot_mask + 1) * sizeof *sketch->slots);
    sketch->count = sketch->position_count = sketch->last_position = 0;
    sketch->last = NULL;
    sketch->in_order = false;
}

const struct sketch_shape *sketch_shape(const struct sketch *sketch)
{
    return sketch->shape;
}

void sketch_remember_named(struct sketch *sketch, struct smallest_ranks *named)
{
    sketch->named = named;
}

bool sketch_has_room(const struct sketch *sketch, size_t events)
{
    size_t wanted = events < sketch->most / 2 ? events : sketch->most / 2;
    return sketch->most - sketch->count >= wanted && sketch->parts_left >= EXTRA_PARTS_IN_SKETCH_MAX / 2;
}

/* Positions */

static struct sketch_position *position_of(struct sketch *sketch, int32_t partition)
{
    if (sketch->last_position < sketch->position_count && sketch->positions[sketch->last_position].partition == partition)
        return &sketch->positions[sketch->last_position];
    size_t i = 0;
    while (i < sketch->position_count && sketch->positions[i].partition < partition)
        i++;
    if (i == sketch->position_count || sketch->positions[i].partition != partition) {
        if (sketch->position_count == sketch->position_capacity) {
            sketch->position_capacity = 2 * sketch->position_capacity + 8;
            sketch->positions = reallocarray(sketch->positions, sketch->position_capacity, sizeof *sketch->positions);
            assert(sketch->positions && "memory is short");
        }
        memmove(sketch->positions + i + 1, sketch->positions + i, (sketch->position_count++ - i) * sizeof *sketch->positions);
        sketch->positions[i] = (struct sketch_position){
            .partition = partition, .from = INT64_MAX, .to = INT64_MIN, .stream_time_ms = TIME_UNKNOWN};
    }
    sketch->last_position = i;
    return &sketch->positions[i];
}

void sketch_cover(struct sketch *sketch, int32_t partition, int64_t from, int64_t to, int64_t stream_time_ms)
{
    struct sketch_position *position = position_of(sketch, partition);
    if (from < position->from)
        position->from = from;
    if (to > position->to)
        position->to = to;
    if (stream_time_ms > position->stream_time_ms)
        position->stream_time_ms = stream_time_ms;
}

void sketch_add_beyond(struct sketch *sketch, int32_t partition, int64_t records)
{
    position_of(sketch, partition)->beyond += records;
}

size_t sketch_position_count(const struct sketch *sketch)
{
    return sketch->position_count;
}

const struct sketch_position *sketch_position(struct sketch *sketch, size_t i)
{
    assert(i < sketch->position_count);
    return &sketch->positions[i];
}

/* Cells */

static size_t slot_of(const struct sketch *sketch, int32_t partition, int64_t window_start_ms)
{
    uint64_t key = (uint64_t)(window_start_ms / sketch->shape->options.window_ms) * 0x9e3779b97f4a7c15u + (uint32_t)partition;
    key = (key ^ key >> 32) * 0xd6e8feb86659fd93u;
    size_t slot = (size_t)(key >> 32) & sketch->slot_mask;
    for (; sketch->slots[slot]; slot = (slot + 1) & sketch->slot_mask) {
        const struct sketch_cell *cell = sketch->cells[sketch->slots[slot] - 1];
        if (cell->window_start_ms == window_start_ms && cell->partition == partition)
            break;
    }
    return slot;
}

/* NULL: no room, or memory is short. */
static struct sketch_cell *cell_append(struct sketch *sketch, int32_t partition, int64_t window_start_ms)
{
    if (sketch->count == sketch->most)
        return NULL;
    if (sketch->count < sketch->allocated) {
        struct sketch_cell *cell = sketch->cells[sketch->count];
        cell->partition = partition;
        cell->window_start_ms = window_start_ms;
        sketch_cell_clear(sketch->shape, cell);
    } else {
        struct sketch_cell *cell = sketch_cell_create(sketch->shape, partition, window_start_ms);
        if (!cell)
            return NULL;
        cell->parts_left = &sketch->parts_left;
        sketch->cells[sketch->allocated++] = cell;
    }
    sketch->in_order = false;
    return sketch->cells[sketch->count++];
}

static struct sketch_cell *cell_of(struct sketch *sketch, int32_t partition, int64_t window_start_ms)
{
    size_t slot = slot_of(sketch, partition, window_start_ms);
    if (!sketch->slots[slot]) {
        if (!cell_append(sketch, partition, window_start_ms))
            return NULL;
        sketch->slots[slot] = (uint16_t)sketch->count;
    }
    return sketch->last = sketch->cells[sketch->slots[slot] - 1];
}

static struct sketch_cell *cell_at(struct sketch *sketch, int32_t partition, int64_t time_ms)
{
    int64_t t = time_ms < 0 ? 0 : time_ms > TIME_LATEST ? TIME_LATEST : time_ms;
    struct sketch_cell *last = sketch->last;
    if (last && last->partition == partition && t >= last->window_start_ms && t - last->window_start_ms < sketch->shape->options.window_ms)
        return last;
    return cell_of(sketch, partition, t - t % sketch->shape->options.window_ms);
}

static int compare_cells(const void *a, const void *b)
{
    const struct sketch_cell *x = *(struct sketch_cell *const *)a, *y = *(struct sketch_cell *const *)b;
    if (x->window_start_ms != y->window_start_ms)
        return x->window_start_ms < y->window_start_ms ? -1 : 1;
    return (x->partition > y->partition) - (x->partition < y->partition);
}

size_t sketch_cell_count(const struct sketch *sketch)
{
    return sketch->count;
}

const struct sketch_cell *sketch_cell(struct sketch *sketch, size_t i)
{
    struct sketch_cell *cell = sketch_cell_uncounted(sketch, i);
    sketch_cell_count_rows(sketch->shape, cell);
    return cell;
}

struct sketch_cell *sketch_cell_uncounted(struct sketch *sketch, size_t i)
{
    assert(i < sketch->count);
    if (!sketch->in_order) {
        memcpy(sketch->ordered, sketch->cells, sketch->count * sizeof(struct sketch_cell *));
        qsort(sketch->ordered, sketch->count, sizeof(struct sketch_cell *), compare_cells);
        sketch->in_order = true;
    }
    sketch_cell_bin_rows(sketch->shape, sketch->ordered[i], sketch->named);
    return sketch->ordered[i];
}

/* Folding */

struct sketch_cell *sketch_add(struct sketch *sketch, const struct sketch_event *event)
{
    sketch_cover(sketch, event->partition, event->offset, event->offset + 1, event->time_ms + event->late_ms);
    struct sketch_cell *cell = cell_at(sketch, event->partition, event->time_ms);
    if (!cell) {
        position_of(sketch, event->partition)->beyond++;
        return NULL;
    }
    cell->events++;
    cell->late += event->late_ms > 0;
    cell->overdue += event->late_ms > sketch->shape->options.lateness_ms;
    cell->incomplete += !event->window_complete;
    if (event->row)
        sketch_cell_add_row(sketch->shape, cell, event, sketch->named);
    if (event->schema_id >= 0)
        sketch_cell_add_schema(sketch->shape, cell, event->schema_id);
    if (event->values) {
        sketch_cell_add_fields(sketch->shape, cell, event->values, event->time_ms);
        sketch_cell_add_segments(sketch->shape, cell, event->values);
    }
    return cell;
}

void sketch_add_score(struct sketch *sketch, struct sketch_cell *cell, size_t m, float score, enum decision decision)
{
    if (cell)
        sketch_cell_add_score(sketch->shape, cell, m, score, decision);
}

void sketch_add_comparison(struct sketch *sketch, struct sketch_cell *cell, size_t m, float score, enum decision decision, float served, enum decision served_decision)
{
    if (cell)
        sketch_comparison_add(&sketch_cell_model(sketch->shape, cell, m)->comparison, &(struct sketch_pair){served, score, served_decision, decision});
}

void sketch_add_shed(struct sketch *sketch, struct sketch_cell *cell, size_t m)
{
    if (cell)
        sketch_cell_model(sketch->shape, cell, m)->shed++;
}

void sketch_add_fallbacks(struct sketch *sketch, struct sketch_cell *cell, size_t reason, int64_t times)
{
    assert(reason < SKETCH_FALLBACKS_MAX);
    if (cell)
        cell->counts[sketch->shape->fallbacks_at + reason] += times;
}

void sketch_add_reject(struct sketch *sketch, int32_t partition, int64_t offset, int64_t time_ms, enum reject_reason reason, int field)
{
    assert(reason > REJECT_NONE && reason < REJECT_REASON_COUNT && field < (int)sketch->shape->options.field_count);
    sketch_cover(sketch, partition, offset, offset + 1, TIME_UNKNOWN);
    struct sketch_cell *cell = cell_at(sketch, partition, time_ms);
    if (!cell) {
        position_of(sketch, partition)->beyond++;
        return;
    }
    cell->rejects[reason]++;
    if (field >= 0)
        cell->counts[sketch->shape->rejects_at + (size_t)field * REJECT_REASON_COUNT + reason]++;
}

void sketch_add_latencies(struct sketch *sketch, int32_t partition, int64_t stream_time_ms, const int64_t bins[LATENCY_BINS])
{
    struct sketch_cell *cell = stream_time_ms == TIME_UNKNOWN ? NULL : cell_at(sketch, partition, stream_time_ms);
    for (size_t i = 0; cell && i < LATENCY_BINS; i++)
        cell->counts[sketch->shape->latencies_at + i] += bins[i];
}

struct sketch_cell *sketch_cell_open(struct sketch *sketch, int32_t partition, int64_t window_start_ms)
{
    return cell_of(sketch, partition, window_start_ms);
}

/* Drop and merge */

void sketch_drop(struct sketch *sketch, int32_t partition)
{
    size_t kept = 0;
    for (size_t i = 0; i < sketch->count; i++) {
        if (sketch->cells[i]->partition == partition)
            continue;
        struct sketch_cell *cell = sketch->cells[i];
        sketch->cells[i] = sketch->cells[kept];
        sketch->cells[kept++] = cell;
    }
    for (size_t i = kept; i < sketch->count; i++)
        sketch_extras_clear(sketch->shape, sketch->cells[i]);
    sketch->count = kept;
    sketch->last = NULL;
    sketch->in_order = false;
    memset(sketch->slots, 0, (sketch->slot_mask + 1) * sizeof *sketch->slots);
    for (size_t i = 0; i < kept; i++)
        sketch->slots[slot_of(sketch, sketch->cells[i]->partition, sketch->cells[i]->window_start_ms)] = (uint16_t)(i + 1);
    for (size_t i = 0; i < sketch->position_count; i++)
        if (sketch->positions[i].partition == partition) {
            memmove(sketch->positions + i, sketch->positions + i + 1, (--sketch->position_count - i) * sizeof *sketch->positions);
            break;
        }
}

void sketch_merge(struct sketch *into, struct sketch *from)
{
    assert(into->shape == from->shape);
    for (size_t i = 0; i < from->position_count; i++) {
        const struct sketch_position *p = &from->positions[i];
        sketch_cover(into, p->partition, p->from, p->to, p->stream_time_ms);
        position_of(into, p->partition)->beyond += p->beyond;
    }
    for (size_t i = 0; i < from->count; i++) {
        const struct sketch_cell *cell = sketch_cell(from, i);
        struct sketch_cell *mine = cell_of(into, cell->partition, cell->window_start_ms);
        if (mine)
            sketch_cell_merge(into->shape, mine, cell);
        else
            position_of(into, cell->partition)->beyond += sketch_cell_records(cell);
    }
}
