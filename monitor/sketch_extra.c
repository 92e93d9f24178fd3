#include "monitor/sketch_extra.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/sketch_shape.h"

#define RANK_UNNAMED ((uint64_t)1 << 63)

const struct sketch_extra *sketch_extra(const struct sketch_cell *cell, size_t m)
{
    return cell->extras ? cell->extras[m] : NULL;
}

static size_t extra_bytes(const struct sketch_shape *shape)
{
    return sizeof(struct sketch_extra) + shape->options.segment_count * sizeof(struct shadow_part_list);
}

size_t sketch_cell_bytes_most(const struct sketch_shape *shape)
{
    const struct sketch_shape_options *o = &shape->options;
    size_t valued = 0, shadows = 0;
    for (size_t i = 0; i < o->segment_count; i++)
        valued += o->segments[i].valued;
    for (size_t m = 0; m < o->model_count; m++)
        shadows += o->models[m].shadow;
    size_t one = extra_bytes(shape) + valued * EXTRA_PARTS_MAX * sizeof(struct shadow_part) + EXPLAINED_MAX * o->feature_count * sizeof(uint32_t);
    return sketch_cell_bytes(shape) + shadows * one;
}

/* ---- there and gone ---- */

struct sketch_extra *sketch_extra_open(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m)
{
    assert(m < shape->models_max);
    if (!cell->extras)
        cell->extras = calloc(shape->models_max, sizeof(struct sketch_extra *));
    if (cell->extras && !cell->extras[m])
        cell->extras[m] = calloc(1, extra_bytes(shape));
    return cell->extras ? cell->extras[m] : NULL;
}

static void forget_part(struct sketch_cell *cell, struct shadow_part *part)
{
    free(part);
    if (cell->parts_left)
        ++*cell->parts_left;
}

void sketch_extras_clear(const struct sketch_shape *shape, struct sketch_cell *cell)
{
    for (size_t m = 0; cell->extras && m < shape->models_max; m++) {
        struct sketch_extra *extra = cell->extras[m];
        for (size_t s = 0; extra && s < shape->options.segment_count; s++)
            for (size_t i = 0; i < extra->parts[s].count; i++)
                forget_part(cell, extra->parts[s].of[i]);
        if (extra)
            free(extra->apart);
        free(extra);
    }
    free(cell->extras);
    cell->extras = NULL;
}

/* ---- parts ---- */

/* The first place whose rank is not below. */
static size_t place_of(const struct shadow_part_list *list, uint64_t rank)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list->ranks[middle] < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct shadow_part *make_part(struct sketch_cell *cell, struct sketch_extra *extra)
{
    struct shadow_part *part = cell->parts_left && !*cell->parts_left ? NULL : calloc(1, sizeof *part);
    if (!part)
        extra->numbers.unheld++;
    else if (cell->parts_left)
        --*cell->parts_left;
    return part;
}

struct shadow_part *shadow_part_open(struct sketch_cell *cell, struct sketch_extra *extra, size_t segment, uint64_t rank, bool *fresh)
{
    struct shadow_part_list *list = &extra->parts[segment];
    size_t i = place_of(list, rank);
    *fresh = false;
    if (i < list->count && list->ranks[i] == rank)
        return list->of[i];
    if (i == EXTRA_PARTS_MAX)
        return NULL;
    if (list->count == EXTRA_PARTS_MAX)
        forget_part(cell, list->of[--list->count]);
    struct shadow_part *part = make_part(cell, extra);
    if (!part)
        return NULL;
    memmove(list->ranks + i + 1, list->ranks + i, (list->count - i) * sizeof *list->ranks);
    memmove(list->of + i + 1, list->of + i, (list->count - i) * sizeof(struct shadow_part *));
    list->count++;
    list->ranks[i] = rank;
    *fresh = true;
    return list->of[i] = part;
}

void sketch_places_find(const struct sketch_shape *shape, const struct value *values, struct sketch_places *places)
{
    places->count = 0;
    for (size_t s = 0; s < shape->options.segment_count; s++) {
        const struct segment_shape *segment = &shape->segments[s];
        const struct value *value = &values[shape->options.segments[s].slot];
        if (!shape->options.segments[s].valued || value_is_null(value) || value->type == VALUE_OTHER)
            continue;
        uint64_t hash = sketch_value_hash(value);
        size_t category = sketch_category_of(segment, hash);
        uint64_t rank = category + 1 < segment->categories ? segment->ranks[category] : hash | RANK_UNNAMED;
        places->of[places->count++] = (struct sketch_place){s, rank, value};
    }
}

void sketch_comparison_add(struct sketch_comparison *c, const struct sketch_pair *pair)
{
    float apart = pair->own < pair->served ? pair->served - pair->own : pair->own - pair->served;
    c->decisions[pair->served_decision][pair->own_decision]++;
    c->apart_sum += llrint((double)apart * (1 << APART_SUM_BITS));
    c->apart[(score_log_bin(apart) + 3) / 4]++;
    c->served[score_equal_bin(pair->served)]++;
}

static void name_part(struct shadow_part *part, const struct value *value)
{
    struct sketch_value named;
    sketch_value_spell(&named, value);
    part->size = named.size;
    memcpy(part->text, named.text, named.size);
}

void sketch_add_parts(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, const struct sketch_places *places, const struct sketch_pair *pair)
{
    struct sketch_extra *extra = cell && places->count ? sketch_extra_open(shape, cell, m) : NULL;
    for (size_t i = 0; extra && i < places->count; i++) {
        bool fresh;
        struct shadow_part *part = shadow_part_open(cell, extra, places->of[i].segment, places->of[i].rank, &fresh);
        if (!part)
            continue;
        if (fresh)
            name_part(part, places->of[i].value);
        sketch_comparison_add(&part->counts.comparison, pair);
        part->counts.own[score_equal_bin(pair->own)]++;
    }
}

/* ---- timing ---- */

void sketch_add_timing(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, int64_t ns, int64_t n)
{
    struct sketch_extra *extra = cell && n > 0 ? sketch_extra_open(shape, cell, m) : NULL;
    if (!extra)
        return;
    extra->numbers.ns += ns;
    extra->numbers.timed += n;
    extra->numbers.timing[latency_bin(ns / n)] += n;
}

/* ---- explained ---- */

bool sketch_explained_rank(const void *id, size_t size, uint64_t *rank)
{
    uint64_t hash = cardinality_hash(id, size);
    *rank = hash / EXPLAINED_ONE_IN;
    return hash % EXPLAINED_ONE_IN == 0;
}

static uint32_t apart_of(float served, float own)
{
    double apart = ldexp(fabs((double)served - (double)own), EXPLAINED_BITS);
    return apart < (double)UINT32_MAX ? (uint32_t)llrint(apart) : UINT32_MAX; /* a NaN is far apart */
}

static uint32_t *row_of(const struct sketch_shape *shape, const struct sketch_extra *extra, size_t i)
{
    return extra->apart + i * shape->options.feature_count;
}

/* By rank; by what they say where two events have one id, so that their order cannot show. */
static size_t explained_place(const struct sketch_shape *shape, const struct sketch_extra *extra, uint64_t rank, const uint32_t *apart)
{
    size_t i = 0, bytes = shape->options.feature_count * sizeof *apart;
    while (i < extra->explained && (extra->explained_ranks[i] < rank || (extra->explained_ranks[i] == rank && memcmp(row_of(shape, extra, i), apart, bytes) <= 0)))
        i++;
    return i;
}

/* Room for one more: at each power of two there is twice as much. */
static bool widen(const struct sketch_shape *shape, struct sketch_extra *extra)
{
    size_t n = extra->explained;
    if (n == EXPLAINED_MAX || (n & (n - 1)) || (n == 0 && extra->apart))
        return true;
    uint32_t *wider = reallocarray(extra->apart, (n ? 2 * n : 1) * shape->options.feature_count + 1, sizeof *wider);
    extra->apart = wider ? wider : extra->apart;
    return wider;
}

void sketch_put_explained(const struct sketch_shape *shape, struct sketch_extra *extra, uint64_t rank, const uint32_t *apart)
{
    size_t features = shape->options.feature_count;
    if (!widen(shape, extra))
        return;
    size_t i = explained_place(shape, extra, rank, apart);
    if (i == EXPLAINED_MAX)
        return;
    if (extra->explained < EXPLAINED_MAX)
        extra->explained++;
    size_t after = extra->explained - 1 - i;
    memmove(extra->explained_ranks + i + 1, extra->explained_ranks + i, after * sizeof *extra->explained_ranks);
    memmove(row_of(shape, extra, i + 1), row_of(shape, extra, i), after * features * sizeof *extra->apart);
    extra->explained_ranks[i] = rank;
    memcpy(row_of(shape, extra, i), apart, features * sizeof *extra->apart);
}

void sketch_add_explained(const struct sketch_shape *shape, struct sketch_cell *cell, size_t m, uint64_t rank, const float *served, const float *own)
{
    size_t features = shape->options.feature_count;
    struct sketch_extra *extra = cell ? sketch_extra_open(shape, cell, m) : NULL;
    uint32_t *apart = extra ? malloc((features + 1) * sizeof *apart) : NULL;
    for (size_t f = 0; apart && f < features; f++)
        apart[f] = apart_of(served[f], own[f]);
    if (apart)
        sketch_put_explained(shape, extra, rank, apart);
    free(apart);
}

/* ---- merge ---- */

static void add_counts(int64_t *into, const int64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        into[i] += from[i];
}

static void merge_part(struct sketch_cell *cell, struct sketch_extra *into, size_t segment, uint64_t rank, const struct shadow_part *from)
{
    bool fresh;
    struct shadow_part *part = shadow_part_open(cell, into, segment, rank, &fresh);
    if (!part)
        return;
    if (fresh) {
        part->size = from->size;
        memcpy(part->text, from->text, from->size);
    }
    add_counts((int64_t *)(void *)&part->counts, (const int64_t *)(const void *)&from->counts, PART_COUNTS);
}

static void merge_one(const struct sketch_shape *shape, struct sketch_cell *cell, struct sketch_extra *into, const struct sketch_extra *from)
{
    add_counts((int64_t *)(void *)&into->numbers, (const int64_t *)(const void *)&from->numbers, EXTRA_NUMBERS);
    for (size_t s = 0; s < shape->options.segment_count; s++)
        for (size_t i = 0; i < from->parts[s].count; i++)
            merge_part(cell, into, s, from->parts[s].ranks[i], from->parts[s].of[i]);
    for (size_t i = 0; i < from->explained; i++)
        sketch_put_explained(shape, into, from->explained_ranks[i], row_of(shape, from, i));
}

void sketch_extras_merge(const struct sketch_shape *shape, struct sketch_cell *into, const struct sketch_cell *from)
{
    for (size_t m = 0; from->extras && m < shape->models_max; m++) {
        struct sketch_extra *extra = from->extras[m] ? sketch_extra_open(shape, into, m) : NULL;
        if (extra)
            merge_one(shape, into, extra, from->extras[m]);
    }
}
