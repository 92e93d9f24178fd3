/* Reading.  Every number is held against what it can be before it is used; the first that cannot be ends it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/aggregator/sketch_record.h"
#include "monitor/sketch_extra.h"

enum { PARTITION_MAX = 1 << 20, CELLS_MAX = 1 << 20, TEXT_MAX = 1 << 12, WINDOWS_MAX = 4096, MARK_SIZE = 10, MARK_SIZE_FIRST = 9 };
#define COUNT_MAX ((int64_t)1 << 56)
#define TIME_MAX ((int64_t)1 << 52)
#define LOW_BITS 62

static int damaged(struct err *err, const char *what)
{
    return err_set(err, "damaged: %s", what);
}

/* ---- Avro ---- */

static bool get_more(struct sketch_reader *r, int64_t *v)
{
    uint64_t bits = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (r->at == r->end)
            return false;
        uint8_t byte = *r->at++;
        if (shift == 63 && byte > 1)
            return false;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *v = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return false;
}

/* Most numbers are one byte. */
static inline bool get(struct sketch_reader *r, int64_t *v)
{
    if (r->at == r->end || *r->at & 0x80)
        return get_more(r, v);
    *v = (*r->at >> 1) ^ -(*r->at & 1);
    r->at++;
    return true;
}

static inline bool get_within(struct sketch_reader *r, int64_t *v, int64_t least, int64_t most)
{
    return get(r, v) && *v >= least && *v <= most;
}

static bool get_bool(struct sketch_reader *r, bool *v)
{
    if (r->at == r->end || *r->at > 1)
        return false;
    *v = *r->at++;
    return true;
}

static bool get_bytes(struct sketch_reader *r, const char **data, size_t *size, size_t most)
{
    int64_t n;
    if (!get_within(r, &n, 0, (int64_t)most) || n > r->end - r->at)
        return false;
    *data = (const char *)r->at;
    *size = (size_t)n;
    r->at += n;
    return true;
}

/* The next block of an array: how many items; 0: its end.  An item takes a byte at least. */
static bool get_block(struct sketch_reader *r, int64_t *items)
{
    int64_t bytes;
    if (!get(r, items))
        return false;
    if (*items < 0) {
        if (*items == INT64_MIN || !get(r, &bytes))
            return false;
        *items = -*items;
    }
    return *items <= r->end - r->at;
}

/* Walks an array: 1, the next `group` items are to be read (they never straddle blocks); 0, it is over; -1, it is damaged.
 * *left is 0 at first. */
static int next_items(struct sketch_reader *r, int64_t *left, int group)
{
    if (*left == 0 && (!get_block(r, left) || *left % group))
        return -1;
    if (*left == 0)
        return 0;
    *left -= group;
    return 1;
}

/* ---- arrays of numbers; `into` NULL: passed over; n SIZE_MAX: it is another shape's, and how many there are is unknown ---- */

/* The zeros left out, and what comes after them.  Both are one byte as a rule. */
static inline bool get_run(struct sketch_reader *r, int64_t *before, int64_t *count, int64_t most)
{
    if (r->end - r->at >= 2 && !((r->at[0] | r->at[1]) & 0x81) && r->at[1] && r->at[1] >> 1 <= most) { /* neither longer nor negative */
        *before = r->at[0] >> 1;
        *count = r->at[1] >> 1;
        r->at += 2;
        return true;
    }
    return get_within(r, before, 0, COUNT_MAX) && get_within(r, count, 1, most);
}

static bool get_sparse(struct sketch_reader *r, int64_t *into, size_t n)
{
    int64_t left = 0, before, count;
    size_t at = 0;
    int more;
    while ((more = next_items(r, &left, 2)) > 0) {
        if (!get_run(r, &before, &count, COUNT_MAX) || (uint64_t)before >= n - at)
            return false;
        at += (size_t)before;
        if (into && into[at] > COUNT_MAX)
            return false;
        if (into)
            into[at] += count;
        at++;
    }
    return more == 0;
}

static bool get_sum(struct sketch_reader *r, __int128 *into)
{
    int64_t high, low;
    const int64_t most = (int64_t)1 << 40;
    if (!get_within(r, &high, -most, most) || !get_within(r, &low, 0, ((int64_t)1 << LOW_BITS) - 1))
        return false;
    __int128 sum = ((__int128)high * ((__int128)1 << LOW_BITS)) + low;
    if (into)
        *into += sum;
    return true;
}

static bool get_sums(struct sketch_reader *r, __int128 *into, size_t n)
{
    int64_t left = 0, before;
    size_t at = 0;
    int more;
    while ((more = next_items(r, &left, 3)) > 0) {
        if (!get_within(r, &before, 0, COUNT_MAX) || (uint64_t)before >= n - at)
            return false;
        at += (size_t)before;
        if (!get_sum(r, into ? &into[at] : NULL))
            return false;
        at++;
    }
    return more == 0;
}

static bool get_registers(struct sketch_reader *r, struct cardinality *into)
{
    int64_t left = 0, before, rank;
    size_t at = 0;
    int more;
    while ((more = next_items(r, &left, 2)) > 0) {
        if (!get_run(r, &before, &rank, 64) || (size_t)before >= CARDINALITY_REGISTERS - at)
            return false;
        at += (size_t)before;
        if (into)
            cardinality_raise(into, at, (uint8_t)rank);
        at++;
    }
    return more == 0;
}

static bool get_last_seen(struct sketch_reader *r, int64_t start_ms, int64_t *into, size_t fields)
{
    int64_t left = 0, since;
    int more;
    for (size_t at = 0; (more = next_items(r, &left, 1)) > 0; at++) {
        if (!get_within(r, &since, 0, TIME_MAX) || at >= fields)
            return false;
        if (into && since && start_ms + since - 1 > into[at])
            into[at] = start_ms + since - 1;
    }
    return more == 0;
}

/* ---- cells ---- */

static bool get_values(struct sketch_reader *r, struct sketch_values *into)
{
    int64_t left = 0, hash, count;
    const char *text;
    size_t size;
    int more;
    while ((more = next_items(r, &left, 1)) > 0) {
        int fresh = 0;
        if (!get(r, &hash) || !get_bytes(r, &text, &size, TEXT_MAX) || !get_within(r, &count, 1, COUNT_MAX))
            return false;
        struct sketch_value *value = into ? sketch_values_add(into, (uint64_t)hash, count, &fresh) : NULL;
        if (value && fresh)
            sketch_value_name(value, text, size);
        if (value && value->count > COUNT_MAX)
            return false;
    }
    return more == 0;
}

static bool get_segments(struct sketch_reader *r, struct sketch_cell *into, size_t segments)
{
    int64_t left = 0;
    int more;
    for (size_t at = 0; (more = next_items(r, &left, 1)) > 0; at++)
        if (at > segments + 1 || !get_registers(r, into && at < segments ? &into->distinct[at] : NULL) || !get_values(r, into ? &into->values[at] : NULL))
            return false;
    return more == 0;
}

/* The slot of the model that is named next; *slot SIZE_MAX where nothing is kept. */
static bool get_model_slot(struct sketch_reader *r, const struct sketch_shape *shape, const struct sketch_cell *into, size_t *slot)
{
    const char *id;
    size_t size;
    bool shadow;
    char name[SKETCH_MODEL_ID_MAX + 1];
    if (!get_bytes(r, &id, &size, SKETCH_MODEL_ID_MAX) || size == 0 || memchr(id, 0, size) || !get_bool(r, &shadow))
        return false;
    memcpy(name, id, size);
    name[size] = 0;
    *slot = into && sketch_models_max(shape) ? sketch_model_slot(shape, name, shadow) : SIZE_MAX;
    return true;
}

static bool get_model(struct sketch_reader *r, const struct sketch_shape *shape, struct sketch_cell *into)
{
    size_t m, counts = shape ? sketch_model_counts_size(shape) : SIZE_MAX;
    if (!get_model_slot(r, shape, into, &m))
        return false;
    if (m == SIZE_MAX)
        return get_sum(r, NULL) && get_sparse(r, NULL, counts);
    return get_sum(r, &into->sums[sketch_shape_of(shape)->feature_count + m]) && get_sparse(r, sketch_cell_model_counts(shape, into, m), counts);
}

/* An array, item by item. */
static bool get_each(struct sketch_reader *r, const struct sketch_shape *shape, struct sketch_cell *into,
                     bool (*get_one)(struct sketch_reader *r, const struct sketch_shape *shape, struct sketch_cell *into))
{
    int64_t left = 0;
    int more;
    while ((more = next_items(r, &left, 1)) > 0)
        if (!get_one(r, shape, into))
            return false;
    return more == 0;
}

static bool get_part(struct sketch_reader *r, const struct sketch_shape *shape, struct sketch_cell *into, struct sketch_extra *extra)
{
    int64_t segment, rank;
    const char *text;
    size_t size;
    if (!get_within(r, &segment, 0, SKETCH_SEGMENTS_MAX) || !get(r, &rank) || !get_bytes(r, &text, &size, SKETCH_VALUE_BYTES) ||
        (shape && (size_t)segment >= sketch_shape_of(shape)->segment_count))
        return false;
    bool fresh;
    struct shadow_part *part = extra ? shadow_part_open(into, extra, (size_t)segment, (uint64_t)rank, &fresh) : NULL;
    if (part && fresh)
        memcpy(part->text, text, part->size = (uint8_t)size);
    return get_sparse(r, part ? (int64_t *)(void *)&part->counts : NULL, PART_COUNTS);
}

static bool get_explained(struct sketch_reader *r, const struct sketch_shape *shape, struct sketch_extra *extra)
{
    size_t features = shape ? sketch_shape_of(shape)->feature_count : 0;
    int64_t rank, *wide = calloc(features + 1, sizeof *wide);
    uint32_t *apart = calloc(features + 1, sizeof *apart);
    assert(apart && wide);
    bool fine = get(r, &rank) && get_sparse(r, shape ? wide : NULL, shape ? features : SIZE_MAX);
    for (size_t f = 0; fine && f < features; f++) {
        fine = wide[f] <= UINT32_MAX;
        apart[f] = (uint32_t)wide[f];
    }
    if (fine && extra)
        sketch_put_explained(shape, extra, (uint64_t)rank, apart);
    free(apart);
    free(wide);
    return fine;
}

static bool get_extra(struct sketch_reader *r, const struct sketch_shape *shape, struct sketch_cell *into)
{
    int64_t parts = 0, explained = 0;
    size_t m;
    int more;
    if (!get_model_slot(r, shape, into, &m))
        return false;
    struct sketch_extra *extra = m == SIZE_MAX ? NULL : sketch_extra_open(shape, into, m);
    if (!get_sparse(r, extra ? (int64_t *)(void *)&extra->numbers : NULL, EXTRA_NUMBERS))
        return false;
    while ((more = next_items(r, &parts, 1)) > 0)
        if (!get_part(r, shape, into, extra))
            return false;
    while (more == 0 && (more = next_items(r, &explained, 1)) > 0) {
        if (!get_explained(r, shape, extra))
            return false;
        more = 0;
    }
    return more == 0;
}

static bool get_numbers(struct sketch_reader *r, struct sketch_cell *into)
{
    int64_t n[4];
    for (int i = 0; i < 4; i++)
        if (!get_within(r, &n[i], 0, COUNT_MAX))
            return false;
    if (!into)
        return true;
    into->events += n[0];
    into->late += n[1];
    into->overdue += n[2];
    into->incomplete += n[3];
    return into->events <= COUNT_MAX;
}

static bool get_rows(struct sketch_reader *r, const struct sketch_shape *shape, struct sketch_cell *into)
{
    const char *bins;
    size_t size, features = shape ? sketch_shape_of(shape)->feature_count : 0;
    if (!get_bytes(r, &bins, &size, (size_t)(r->end - r->at)))
        return false;
    if (!shape || !size)
        return true;
    size_t n = features ? size / features : 0;
    if (!r->checked && (n == 0 || n > SKETCH_ROWS_MAX || size % features || !sketch_bins_fit(shape, (const uint8_t *)bins, n)))
        return false;
    if (into)
        sketch_cell_add_bins(shape, into, (const uint8_t *)bins, n);
    return true;
}

/* The rest of a cell whose start was read. */
static bool get_cell(struct sketch_reader *r, int64_t start_ms, const struct sketch_shape *shape, struct sketch_cell *into)
{
    const struct sketch_shape_options *o = shape ? sketch_shape_of(shape) : NULL;
    if (into)
        into->counted = true; /* bins may be among the counts */
    return get_numbers(r, into) && get_sparse(r, into ? into->rejects : NULL, o ? REJECT_REASON_COUNT : SIZE_MAX) &&
           get_sums(r, into ? into->sums : NULL, o ? o->feature_count : SIZE_MAX) &&
           get_sparse(r, into ? into->counts : NULL, o ? sketch_head_counts(shape) : SIZE_MAX) &&
           get_rows(r, shape, into) &&
           get_last_seen(r, start_ms, into ? into->last_seen_ms : NULL, o ? o->field_count : SIZE_MAX) &&
           get_segments(r, into, o ? o->segment_count : SIZE_MAX - 1) && get_each(r, shape, into, get_model) && get_each(r, shape, into, get_extra);
}

/* Cells of a part, each to where `place` says; the part's first block was opened by sketch_reader_part. */
struct placing {
    const struct sketch_shape *shape;
    struct sketch *sketch;
    struct sketch_cell *into, *spare;
    int32_t partition;
};

static int get_cells(struct sketch_reader *r, const struct sketch_part *part, struct placing *p, struct err *err)
{
    int64_t items = part->cells, start;
    while (items) {
        for (int64_t i = 0; i < items; i++) {
            if (!get_within(r, &start, 0, TIME_MAX) || (p->shape && !p->into && start % sketch_shape_of(p->shape)->window_ms))
                return damaged(err, "the start of a window");
            struct sketch_cell *into = p->into ? p->into : p->sketch ? sketch_cell_open(p->sketch, p->partition, start) : NULL;
            if (p->sketch && !into)
                return damaged(err, "more windows than any delta has");
            if (!get_cell(r, start, p->shape, into))
                return damaged(err, "a cell");
        }
        if (!get_block(r, &items))
            return damaged(err, "the cells of a part");
    }
    return 0;
}

int sketch_reader_cells(struct sketch_reader *r, const struct sketch_part *part, struct sketch *sketch, struct err *err)
{
    const struct sketch_shape *shape = sketch_shape(sketch);
    return get_cells(r, part, &(struct placing){.shape = shape, .sketch = sketch, .partition = part->position.partition}, err);
}

int sketch_reader_cell_into(struct sketch_reader *r, const struct sketch_part *part, const struct sketch_shape *shape, struct sketch_cell *into, struct err *err)
{
    return get_cells(r, part, &(struct placing){.shape = shape, .into = into}, err);
}

int sketch_reader_pass(struct sketch_reader *r, const struct sketch_part *part, struct err *err)
{
    return get_cells(r, part, &(struct placing){0}, err);
}

/* ---- records and parts ---- */

int sketch_reader_begin(struct sketch_reader *r, const void *data, size_t size, struct err *err)
{
    int64_t shape;
    *r = (struct sketch_reader){.at = data, .end = (const uint8_t *)data + size};
    if (!get(r, &shape))
        return damaged(err, "the shape");
    r->shape = (uint64_t)shape;
    return 0;
}

int sketch_reader_part(struct sketch_reader *r, struct sketch_part *part, struct err *err)
{
    int64_t partition, timed, *stream_time = &part->position.stream_time_ms;
    if (r->block == 0 && !get_block(r, &r->block))
        return damaged(err, "the parts");
    if (r->block == 0)
        return 0;
    r->block--;
    *part = (struct sketch_part){.position.stream_time_ms = TIME_UNKNOWN};
    if (!get_within(r, &partition, -1, PARTITION_MAX) || !get_within(r, &part->position.from, 0, INT64_MAX - 1) ||
        !get_within(r, &part->position.to, part->position.from, INT64_MAX - 1) || !get_within(r, &timed, 0, 1) ||
        (timed && !get_within(r, stream_time, 0, TIME_MAX)) || !get_within(r, &part->position.beyond, 0, COUNT_MAX) || !get_block(r, &part->cells))
        return damaged(err, "a part");
    part->position.partition = (int32_t)partition;
    return 1;
}

int sketch_reader_check(struct sketch_reader *r, const void *data, size_t size, const struct sketch_shape *shape, struct err *err)
{
    struct sketch_part part;
    int more;
    if (sketch_reader_begin(r, data, size, err) < 0)
        return -1;
    bool alike = r->shape == sketch_shape_fingerprint(shape);
    while ((more = sketch_reader_part(r, &part, err)) == 1)
        if (get_cells(r, &part, &(struct placing){.shape = alike ? shape : NULL}, err) < 0)
            return -1;
    if (more < 0 || sketch_reader_begin(r, data, size, err) < 0)
        return -1;
    r->checked = alike;
    return 0;
}

/* ---- state ---- */

int sketch_reader_state(struct sketch_reader *r, struct err *err)
{
    int64_t there;
    if (!get_within(r, &there, 0, 1))
        return damaged(err, "the state");
    return (int)there;
}

/* From `least` to n of them; into NULL: any number, passed over. */
static bool get_longs(struct sketch_reader *r, int64_t *into, size_t least, size_t n)
{
    int64_t left = 0, v;
    size_t at = 0;
    int more;
    for (; (more = next_items(r, &left, 1)) > 0; at++) {
        if (!get(r, &v) || (into && at >= n))
            return false;
        if (into)
            into[at] = v;
    }
    return more == 0 && (!into || at >= least);
}

static bool get_positions(struct sketch_reader *r, struct aggregate *a)
{
    int64_t left = 0, id;
    int more;
    while ((more = next_items(r, &left, 1)) > 0) {
        struct aggregate_partition p;
        if (!get_within(r, &id, 0, PARTITION_MAX) || !get_bool(r, &p.here) || !get_within(r, &p.to, -1, INT64_MAX - 1) || !get(r, &p.stream_time_ms))
            return false;
        p.id = (int32_t)id;
        aggregate_set_partition(a, &p);
    }
    return more == 0;
}

static bool get_seen(struct sketch_reader *r, struct aggregate *a, size_t fields)
{
    int64_t left = 0, *seen = calloc(fields + 1, sizeof *seen);
    bool fine = true;
    int more = 0;
    assert(seen);
    for (size_t width = 0; fine && (more = next_items(r, &left, 1)) > 0; width++) {
        fine = get_longs(r, a ? seen : NULL, fields, fields);
        if (fine && a)
            aggregate_set_seen(a, width, seen);
    }
    free(seen);
    return fine && more == 0;
}

static bool get_windows(struct sketch_reader *r, struct state_windows *windows)
{
    int64_t items, revisions;
    for (;;) {
        if (!get_block(r, &items))
            return false;
        if (items == 0)
            return true;
        if (items > WINDOWS_MAX - (int64_t)windows->count)
            return false;
        windows->of = reallocarray(windows->of, windows->count + (size_t)items, sizeof *windows->of);
        assert(windows->of);
        for (int64_t i = 0; i < items; i++) {
            struct aggregate_window w = {0};
            if (!get_within(r, &w.start_ms, 0, TIME_MAX) || !get_within(r, &w.width_ms, 1, TIME_MAX) || w.start_ms % w.width_ms || !get_bool(r, &w.closed) ||
                !get_bool(r, &w.dirty) || !get_within(r, &revisions, 0, INT32_MAX) || !get(r, &w.published_at_ms) ||
                !get_within(r, &w.saved, -1, INT64_MAX - 1))
                return false;
            w.revisions = (int)revisions;
            windows->of[windows->count++] = w;
        }
    }
}

int aggregate_state_take(struct sketch_reader *r, struct aggregate *a, const struct sketch_shape *shape, struct state_windows *windows, const void **extra,
    size_t *extra_size, struct err *err)
{
    int64_t m[MARK_SIZE] = {[MARK_SIZE_FIRST] = INT64_MIN};
    bool alike = r->shape == sketch_shape_fingerprint(shape);
    *windows = (struct state_windows){0};
    if (!get_longs(r, m, MARK_SIZE_FIRST, MARK_SIZE))
        return damaged(err, "the mark");
    aggregate_set_mark(a, &(struct aggregate_mark){m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9]});
    if (!get_positions(r, a) || !get_seen(r, alike ? a : NULL, sketch_shape_of(shape)->field_count) || !get_windows(r, windows) ||
        !get_bytes(r, (const char **)extra, extra_size, (size_t)(r->end - r->at))) {
        free(windows->of);
        *windows = (struct state_windows){0};
        return damaged(err, "the state");
    }
    return 0;
}
