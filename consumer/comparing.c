#include "consumer/comparing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { REMEMBERED = 64 }; /* samples */

/* The ranks of one window and shadow that this lane has explained, ascending. */
struct remembered {
    bool used;
    int64_t window_start_ms;
    size_t slot, count;
    uint64_t ranks[EXPLAINED_MAX];
};

struct comparing {
    size_t columns;
    float *served, *own; /* contributions */
    struct remembered remembered[REMEMBERED];
    /* of the event: */
    struct sketch *sketch;
    struct sketch_cell *cell;
    const struct batch *batch;
    size_t e;
    bool looked_up; /* the places of its segments */
    struct sketch_places places;
};

struct comparing *comparing_create(size_t columns)
{
    struct comparing *c = calloc(1, sizeof *c);
    assert(c);
    c->columns = columns;
    c->served = calloc(columns + 1, sizeof *c->served);
    c->own = calloc(columns + 1, sizeof *c->own);
    assert(c->served && c->own);
    return c;
}

void comparing_destroy(struct comparing *c)
{
    if (!c)
        return;
    free(c->served);
    free(c->own);
    free(c);
}

void comparing_begin(struct comparing *c, struct sketch *sketch, struct sketch_cell *cell, const struct batch *batch, size_t e)
{
    c->sketch = sketch;
    c->cell = cell;
    c->batch = batch;
    c->e = e;
    c->looked_up = false;
}

/* ---- the sample ---- */

static struct remembered *remembered_of(struct comparing *c, int64_t window_start_ms, size_t slot)
{
    uint64_t key = ((uint64_t)window_start_ms + slot) * 0x9e3779b97f4a7c15u;
    struct remembered *r = &c->remembered[key >> 32 & (REMEMBERED - 1)];
    if (!r->used || r->window_start_ms != window_start_ms || r->slot != slot)
        *r = (struct remembered){.used = true, .window_start_ms = window_start_ms, .slot = slot};
    return r;
}

/* Whether it may be among the smallest of the window; then it is taken to be. */
static bool take_rank(struct remembered *r, uint64_t rank)
{
    size_t i = r->count;
    while (i > 0 && r->ranks[i - 1] > rank)
        i--;
    if (i == EXPLAINED_MAX)
        return false;
    if (r->count < EXPLAINED_MAX)
        r->count++;
    memmove(r->ranks + i + 1, r->ranks + i, (r->count - 1 - i) * sizeof *r->ranks);
    r->ranks[i] = rank;
    return true;
}

static void explain(struct comparing *c, const struct deployed_model *shadow, size_t slot)
{
    const struct batch *b = c->batch;
    const struct deployed_model *served = b->answered[c->e];
    const float *row = b->rows + c->e * c->columns;
    uint64_t rank;
    struct err err;
    if (!c->cell || !served || !sketch_explained_rank(b->events[c->e].id.data, b->events[c->e].id.size, &rank) ||
        !take_rank(remembered_of(c, c->cell->window_start_ms, slot), rank))
        return;
    const float *known = batch_contributions(b, c->e, c->columns);
    if ((known || model_contributions(served->model, row, 1, c->served, &err) == 0) && model_contributions(shadow->model, row, 1, c->own, &err) == 0)
        sketch_add_explained(sketch_shape(c->sketch), c->cell, slot, rank, known ? known : c->served, c->own);
}

/* ---- one event, one shadow ---- */

static void add_parts(struct comparing *c, size_t slot, const struct sketch_pair *pair)
{
    const struct sketch_shape *shape = sketch_shape(c->sketch);
    if (!c->looked_up)
        sketch_places_find(shape, c->batch->events[c->e].values, &c->places);
    c->looked_up = true;
    sketch_add_parts(shape, c->cell, slot, &c->places, pair);
}

void comparing_add(struct comparing *c, size_t shadow, size_t slot)
{
    const struct batch *b = c->batch;
    const struct deployed_model *model = &b->deployments[c->e]->shadows[shadow];
    float score = b->shadow_scores[shadow * BATCH_MAX + c->e];
    struct sketch_pair pair = {b->served[c->e].score, score, b->served[c->e].decision, decide(model->thresholds, score)};
    sketch_add_score(c->sketch, c->cell, slot, score, pair.own_decision);
    sketch_add_comparison(c->sketch, c->cell, slot, score, pair.own_decision, pair.served, pair.served_decision);
    add_parts(c, slot, &pair);
    if (pair.own_decision != pair.served_decision)
        explain(c, model, slot);
}
