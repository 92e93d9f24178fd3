#include "consumer/aggregator/sketch_extra_record.h"

#include <assert.h>
#include <stdlib.h>

#include "consumer/aggregator/sparse_counts.h"

static size_t parts_of(const struct sketch_shape *shape, const struct sketch_extra *extra)
{
    size_t n = 0;
    for (size_t s = 0; s < sketch_shape_of(shape)->segment_count; s++)
        n += extra->parts[s].count;
    return n;
}

static size_t items_of(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t m)
{
    const struct sketch_extra *extra = sketch_extra(cell, m);
    return extra ? 1 + parts_of(shape, extra) + extra->explained : 0;
}

size_t sketch_extra_items(const struct sketch_shape *shape, const struct sketch_cell *cell)
{
    size_t n = 0;
    for (size_t m = 0; cell->extras && m < sketch_models(shape); m++)
        n += items_of(shape, cell, m);
    return n;
}

/* What of [from, to) lies in [at, at + n), counted from `at`. */
static size_t within(size_t border, size_t at, size_t n)
{
    return border <= at ? 0 : border - at < n ? border - at : n;
}

static void put_parts(struct buffer *out, const struct sketch_shape *shape, const struct sketch_extra *extra, size_t from, size_t to)
{
    size_t at = 0;
    if (from < to)
        put_long(out, (int64_t)(to - from));
    for (size_t s = 0; s < sketch_shape_of(shape)->segment_count; s++)
        for (size_t i = 0; i < extra->parts[s].count; i++, at++) {
            const struct shadow_part *part = extra->parts[s].of[i];
            if (at < from || at >= to)
                continue;
            put_long(out, (int64_t)s);
            put_long(out, (int64_t)extra->parts[s].ranks[i]);
            put_bytes(out, part->text, part->size);
            sparse_put(out, (const int64_t *)(const void *)&part->counts, PART_COUNTS);
        }
    put_long(out, 0);
}

static void put_explained(struct buffer *out, const struct sketch_shape *shape, const struct sketch_extra *extra, size_t from, size_t to)
{
    size_t features = sketch_shape_of(shape)->feature_count;
    int64_t *apart = calloc(features + 1, sizeof *apart);
    assert(apart && "memory is short");
    if (from < to)
        put_long(out, (int64_t)(to - from));
    for (size_t i = from; i < to; i++) {
        for (size_t f = 0; f < features; f++)
            apart[f] = extra->apart[i * features + f];
        put_long(out, (int64_t)extra->explained_ranks[i]);
        sparse_put(out, apart, features);
    }
    put_long(out, 0);
    free(apart);
}

static void put_one(struct buffer *out, const struct sketch_shape *shape, const struct sketch_extra *extra, size_t m, size_t from, size_t to)
{
    struct sketch_model model = sketch_model_of(shape, m);
    size_t parts = parts_of(shape, extra);
    put_string(out, model.id);
    put_bool(out, model.shadow);
    sparse_put(out, (const int64_t *)(const void *)&extra->numbers, from == 0 ? EXTRA_NUMBERS : 0);
    put_parts(out, shape, extra, within(from, 1, parts), within(to, 1, parts));
    put_explained(out, shape, extra, within(from, 1 + parts, extra->explained), within(to, 1 + parts, extra->explained));
}

void sketch_put_extras(struct buffer *out, const struct sketch_shape *shape, const struct sketch_cell *cell, size_t from, size_t to)
{
    size_t at = 0;
    for (size_t m = 0; cell->extras && from < to && m < sketch_models(shape); m++) {
        size_t n = items_of(shape, cell, m), first = within(from, at, n), end = within(to, at, n);
        at += n;
        if (first == end)
            continue;
        put_long(out, 1); /* a block of one */
        put_one(out, shape, sketch_extra(cell, m), m, first, end);
    }
    put_long(out, 0);
}
