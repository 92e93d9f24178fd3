/* Writing.  A cell goes out as runs of its counts; where a piece is full the rest of the cell becomes another one. */
#include "consumer/aggregator/sketch_record.h"
#include "consumer/aggregator/sketch_extra_record.h"
#include "consumer/aggregator/sparse_counts.h"

#include <assert.h>
#include <string.h>

enum { PIECE_OVERHEAD = 64 };
#define LOW_BITS 62

void sketch_record_begin(const struct sketch_shape *shape, struct buffer *out)
{
    put_long(out, (int64_t)sketch_shape_fingerprint(shape));
}

void sketch_record_end(struct buffer *out)
{
    put_long(out, 0); /* of parts */
    put_long(out, 0); /* no state */
}

/* ---- parts of a cell ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Counts [from, to) of the head; bins of which none was counted are not looked at. */
static void put_head(struct buffer *out, const struct sketch_shape *shape, const struct sketch_cell *cell, size_t from, size_t to)
{
    struct sparse counts;
    size_t at = from;
    sparse_begin(&counts, out);
    for (size_t f = 0; !cell->counted && f < sketch_shape_of(shape)->feature_count; f++) {
        size_t bins_from, bins_to;
        sketch_bins_range(shape, f, &bins_from, &bins_to);
        if (at < bins_from)
            sparse_add_all(&counts, cell->counts, at, least(bins_from, to));
        at = at < bins_to ? bins_to : at;
    }
    if (at < to)
        sparse_add_all(&counts, cell->counts, at, to);
    sparse_end(&counts);
}

/* Empty where none wait. */
static void put_rows(struct buffer *out, const struct sketch_shape *shape, const struct sketch_cell *cell)
{
    size_t features = sketch_shape_of(shape)->feature_count;
    put_long(out, (int64_t)(features * cell->row_count));
    for (size_t f = 0; cell->row_count && f < features; f++)
        put_bytes_raw(out, sketch_row_bins(cell, f), cell->row_count);
}

static void split(__int128 sum, int64_t *high, int64_t *low)
{
    *low = (int64_t)(sum & (((__int128)1 << LOW_BITS) - 1));
    *high = (int64_t)(sum >> LOW_BITS);
}

static void put_sums(struct buffer *out, const __int128 *sums, size_t n)
{
    size_t there = 0, done = 0;
    for (size_t i = 0; i < n; i++)
        there += sums[i] != 0;
    buffer_reserve(out, (3 * there + 2) * 10);
    uint8_t *p = out->data + out->size;
    if (there)
        p = long_at(p, (int64_t)(3 * there));
    for (size_t i = 0; i < n; i++) {
        int64_t high, low;
        if (!sums[i])
            continue;
        split(sums[i], &high, &low);
        p = long_at(long_at(long_at(p, (int64_t)(i - done)), high), low);
        done = i + 1;
    }
    p = long_at(p, 0);
    out->size = (size_t)(p - out->data);
}

static void put_last_seen(struct buffer *out, const struct sketch_cell *cell, size_t fields)
{
    if (fields)
        put_long(out, (int64_t)fields);
    for (size_t i = 0; i < fields; i++)
        put_long(out, cell->last_seen_ms[i] == TIME_UNKNOWN ? 0 : cell->last_seen_ms[i] - cell->window_start_ms + 1);
    put_long(out, 0);
}

/* Eight of them, nearly always all zero. */
static void add_registers(struct sparse *counts, const uint8_t *registers, size_t at)
{
    uint64_t eight;
    memcpy(&eight, registers + at, sizeof eight);
    if (!eight)
        return;
    for (size_t i = at; i < at + sizeof eight; i++)
        if (registers[i])
            sparse_add(counts, i, registers[i]);
}

static void put_registers(struct buffer *out, const struct cardinality *distinct)
{
    struct sparse counts;
    sparse_begin(&counts, out);
    for (uint64_t left = distinct->touched; left; left &= left - 1) {
        size_t part = (size_t)__builtin_ctzll(left) * CARDINALITY_PART;
        for (size_t at = part; at < part + CARDINALITY_PART; at += sizeof(uint64_t))
            add_registers(&counts, distinct->registers, at);
    }
    sparse_end(&counts);
}

static void put_values(struct buffer *out, const struct sketch_values *values)
{
    if (values->count)
        put_long(out, (int64_t)values->count);
    for (size_t i = 0; i < values->count; i++) {
        put_long(out, (int64_t)values->of[i].hash);
        put_bytes(out, values->of[i].text, values->of[i].size);
        put_long(out, values->of[i].count);
    }
    put_long(out, 0);
}

static void put_segments(struct buffer *out, const struct sketch_shape *shape, const struct sketch_cell *cell)
{
    size_t segments = sketch_shape_of(shape)->segment_count;
    put_long(out, (int64_t)segments + 2);
    for (size_t s = 0; s < segments + 2; s++) {
        if (s < segments)
            put_registers(out, &cell->distinct[s]);
        else
            put_long(out, 0);
        put_values(out, &cell->values[s]);
    }
    put_long(out, 0);
}

/* ---- cells ---- */

/* What of a cell goes into one piece: all but counts, and counts [from, to) of the head; or some models; or some extras. */
struct slice {
    bool first; /* with events, sums, segments ... */
    size_t from, to;
    size_t model_from, model_to;
    size_t extra_from, extra_to;
};

static bool has_model(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m)
{
    return m < cell->models_end && sparse_any((const int64_t *)(const void *)sketch_model(shape, cell, m), sketch_model_counts_size(shape));
}

static void put_models(struct buffer *out, const struct sketch_shape *shape, const struct sketch_cell *cell, const struct slice *slice)
{
    size_t there = 0;
    for (size_t m = slice->model_from; m < slice->model_to; m++)
        there += has_model(shape, cell, m);
    if (there)
        put_long(out, (int64_t)there);
    for (size_t m = slice->model_from; m < slice->model_to; m++) {
        if (!has_model(shape, cell, m))
            continue;
        struct sketch_model model = sketch_model_of(shape, m);
        int64_t high, low;
        split(sketch_score_sum(shape, cell, m), &high, &low);
        put_string(out, model.id);
        put_bool(out, model.shadow);
        put_long(out, high);
        put_long(out, low);
        sparse_put(out, (const int64_t *)(const void *)sketch_model(shape, cell, m), sketch_model_counts_size(shape));
    }
    put_long(out, 0);
}

static void put_cell(struct buffer *out, const struct sketch_shape *shape, const struct sketch_cell *cell, const struct slice *slice)
{
    const struct sketch_shape_options *o = sketch_shape_of(shape);
    put_long(out, cell->window_start_ms);
    const int64_t numbers[] = {cell->events, cell->late, cell->overdue, cell->incomplete};
    for (size_t i = 0; i < 4; i++)
        put_long(out, slice->first ? numbers[i] : 0);
    sparse_put(out, cell->rejects, slice->first ? REJECT_REASON_COUNT : 0);
    put_sums(out, cell->sums, slice->first ? o->feature_count : 0);
    put_head(out, shape, cell, slice->from, slice->to);
    if (slice->first)
        put_rows(out, shape, cell);
    else
        put_long(out, 0);
    put_last_seen(out, cell, slice->first ? o->field_count : 0);
    if (slice->first)
        put_segments(out, shape, cell);
    else
        put_long(out, 0);
    put_models(out, shape, cell, slice);
    sketch_put_extras(out, shape, cell, slice->extra_from, slice->extra_to);
}

/* ---- pieces ---- */

struct writing {
    const struct sketch_shape *shape;
    size_t size_max;
    struct buffer *piece, cells;
    size_t cell_count;
    struct sketch_position head; /* of the next piece */
    sketch_piece_each *each;
    void *context;
};

static void flush(struct writing *w, bool even_empty)
{
    if (!w->cell_count && !even_empty)
        return;
    struct buffer *out = w->piece;
    out->size = 0;
    put_long(out, 1); /* a block of one part */
    put_long(out, w->head.partition);
    put_long(out, w->head.from);
    put_long(out, w->head.to);
    put_long(out, w->head.stream_time_ms != TIME_UNKNOWN);
    if (w->head.stream_time_ms != TIME_UNKNOWN)
        put_long(out, w->head.stream_time_ms);
    put_long(out, w->head.beyond);
    if (w->cell_count)
        put_long(out, (int64_t)w->cell_count);
    put_bytes_raw(out, w->cells.data, w->cells.size);
    put_long(out, 0);
    w->each(w->context, w->head.partition, out);
    w->head.from = w->head.to;
    w->head.beyond = 0;
    w->cells.size = 0;
    w->cell_count = 0;
}

static bool fits(const struct writing *w)
{
    return w->cells.size + PIECE_OVERHEAD <= w->size_max;
}

/* Adds one slice, in a piece of its own if the open one is too full; false: it is too large for any. */
static bool add_slice(struct writing *w, const struct sketch_cell *cell, const struct slice *slice)
{
    size_t before = w->cells.size;
    put_cell(&w->cells, w->shape, cell, slice);
    if (!fits(w) && before > 0) {
        w->cells.size = before;
        flush(w, false);
        before = 0;
        put_cell(&w->cells, w->shape, cell, slice);
    }
    if (!fits(w)) {
        w->cells.size = before;
        return false;
    }
    w->cell_count++;
    return true;
}

static bool add_whole(struct writing *w, const struct sketch_cell *cell)
{
    return add_slice(w, cell, &(struct slice){true, 0, sketch_head_counts(w->shape), 0, sketch_models(w->shape), 0, sketch_extra_items(w->shape, cell)});
}

/* A cell that no piece has room for; no rows wait in it. */
static void add_in_slices(struct writing *w, const struct sketch_cell *cell)
{
    size_t head = sketch_head_counts(w->shape), models = sketch_models(w->shape), extras = sketch_extra_items(w->shape, cell);
    bool fitted = add_slice(w, cell, &(struct slice){.first = true});
    assert(fitted && "sizes are checked at the start");
    size_t most = (w->size_max - 4 * PIECE_OVERHEAD) / SPARSE_RUN_BYTES_MAX; /* counts that fit whatever they are */
    for (size_t at = 0; at < head; at += most)
        add_slice(w, cell, &(struct slice){.from = at, .to = at + most < head ? at + most : head});
    for (size_t m = 0; m < models; m++)
        add_slice(w, cell, &(struct slice){.model_from = m, .model_to = m + 1});
    for (size_t i = 0; i < extras; i++)
        add_slice(w, cell, &(struct slice){.extra_from = i, .extra_to = i + 1});
}

/* Rows are never divided: where they do not fit they are counted. */
static void add_cell(struct writing *w, struct sketch_cell *cell)
{
    if (add_whole(w, cell))
        return;
    sketch_cell_count_rows(w->shape, cell);
    if (!add_whole(w, cell))
        add_in_slices(w, cell);
}

void sketch_pieces(struct sketch *sketch, size_t i, size_t size_max, struct buffer *scratch, sketch_piece_each *each, void *context)
{
    struct writing w = {.shape = sketch_shape(sketch), .size_max = size_max, .piece = scratch, .head = *sketch_position(sketch, i), .each = each,
        .context = context};
    int32_t partition = w.head.partition;
    for (size_t c = 0; c < sketch_cell_count(sketch); c++)
        if (sketch_cell_uncounted(sketch, c)->partition == partition)
            add_cell(&w, sketch_cell_uncounted(sketch, c));
    flush(&w, w.head.from != w.head.to || w.head.beyond);
    buffer_finish(&w.cells);
}

void sketch_cell_pieces(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t size_max, struct buffer *scratch, sketch_piece_each *each, void *context)
{
    struct writing w = {.shape = shape, .size_max = size_max, .piece = scratch, .each = each, .context = context,
        .head = {.partition = -1, .stream_time_ms = TIME_UNKNOWN}};
    assert(!cell->row_count);
    if (!add_whole(&w, cell))
        add_in_slices(&w, cell);
    flush(&w, false);
    buffer_finish(&w.cells);
}

/* ---- state ---- */

static void put_longs(struct buffer *out, const int64_t *list, size_t n)
{
    if (n)
        put_long(out, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        put_long(out, list[i]);
    put_long(out, 0);
}

static void put_positions(const struct aggregate *a, struct buffer *out)
{
    if (aggregate_partitions(a))
        put_long(out, (int64_t)aggregate_partitions(a));
    for (size_t i = 0; i < aggregate_partitions(a); i++) {
        struct aggregate_partition p = aggregate_partition_at(a, i);
        put_long(out, p.id);
        put_bool(out, p.here);
        put_long(out, p.to);
        put_long(out, p.stream_time_ms);
    }
    put_long(out, 0);
}

static void put_windows(const struct aggregate *a, struct buffer *out)
{
    if (aggregate_windows(a))
        put_long(out, (int64_t)aggregate_windows(a));
    for (size_t i = 0; i < aggregate_windows(a); i++) {
        const struct sketch_cell *cell;
        struct aggregate_window w = aggregate_window_at(a, i, &cell);
        put_long(out, w.start_ms);
        put_long(out, w.width_ms);
        put_bool(out, w.closed);
        put_bool(out, w.dirty);
        put_long(out, w.revisions);
        put_long(out, w.published_at_ms);
        put_long(out, w.saved);
    }
    put_long(out, 0);
}

void aggregate_state_put(const struct aggregate *a, const struct sketch_shape *shape, const void *extra, size_t extra_size, struct buffer *out)
{
    struct aggregate_mark m = aggregate_mark(a);
    const int64_t mark[] = {m.closed_until_ms, m.largest_ms, m.first_ms, m.drift_of_ms, m.beyond, m.gaps, m.missed, m.repeated, m.unlike, m.began_ms};
    size_t widths = 0, fields = sketch_shape_of(shape)->field_count;
    while (aggregate_seen(a, widths))
        widths++;
    put_long(out, (int64_t)sketch_shape_fingerprint(shape));
    put_long(out, 0); /* no parts */
    put_long(out, 1); /* a state */
    put_longs(out, mark, sizeof mark / sizeof *mark);
    put_positions(a, out);
    put_long(out, (int64_t)widths);
    for (size_t i = 0; i < widths; i++)
        put_longs(out, aggregate_seen(a, i), fields);
    put_long(out, 0);
    put_windows(a, out);
    put_bytes(out, extra, extra_size);
}
