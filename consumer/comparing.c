#include "consumer/comparing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/smallest_ranks.h"

_Static_assert((int)EXPLAINED_MAX <= (int)SMALLEST_RANKS, "what is not admitted is in no sample");

struct comparing {
    size_t columns;
    float *served, *own; /* contributions */
    struct smallest_ranks *disagreeing; /* explained so far, by slot */
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
    c->disagreeing = smallest_ranks_create();
    assert(c->served && c->own && c->disagreeing);
    return c;
}

void comparing_destroy(struct comparing *c)
{
    if (!c)
        return;
    free(c->served);
    free(c->own);
    smallest_ranks_destroy(c->disagreeing);
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

static void explain(struct comparing *c, const struct deployed_model *shadow, size_t slot)
{
    const struct batch *b = c->batch;
    const struct deployed_model *served = b->answered[c->e];
    const float *row = b->rows + c->e * c->columns;
    uint64_t rank;
    struct err err;
    if (!c->cell || !served || !sketch_explained_rank(b->events[c->e].id.data, b->events[c->e].id.size, &rank) ||
        !smallest_ranks_admit(c->disagreeing, c->cell->window_start_ms, slot, rank))
        return;
    const float *known = batch_contributions(b, c->e, c->columns);
    if ((!known && model_contributions(served->model, row, 1, c->served, &err) < 0) || model_contributions(shadow->model, row, 1, c->own, &err) < 0)
        return;
    sketch_add_explained(sketch_shape(c->sketch), c->cell, slot, rank, known ? known : c->served, c->own);
    smallest_ranks_add(c->disagreeing, c->cell->window_start_ms, slot, rank);
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
