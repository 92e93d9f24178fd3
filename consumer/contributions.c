#include "consumer/contributions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/models/model.h"

enum { WAITING_MAX = 16, SHARE_OF = 10000 };

struct contributions {
    size_t columns;
    uint64_t below; /* of SHARE_OF */
    struct deployed_model model; /* of those that wait: our own share of it */
    size_t count;
    struct sketch_cell *cells[WAITING_MAX];
    float *rows, *explained;
};

struct contributions *contributions_create(size_t columns, double percent)
{
    struct contributions *c = calloc(1, sizeof *c);
    assert(c && "memory is short");
    c->columns = columns;
    c->below = (uint64_t)(percent * SHARE_OF / 100 + 0.5);
    c->rows = calloc(WAITING_MAX * columns + 1, sizeof *c->rows);
    c->explained = calloc(WAITING_MAX * (columns + 1), sizeof *c->explained);
    assert(c->rows && c->explained && "memory is short");
    return c;
}

void contributions_destroy(struct contributions *c)
{
    if (!c)
        return;
    deployed_model_finish(&c->model);
    free(c->rows);
    free(c->explained);
    free(c);
}

static bool wants(const struct contributions *c, uint64_t id_hash)
{
    return c->below && id_hash % SHARE_OF < c->below;
}

static bool is_baselines(const struct sketch *sketch, const struct deployed_model *model)
{
    const struct baseline *baseline = sketch_shape_of(sketch_shape(sketch))->baseline;
    return model && baseline && baseline->model_id && !strcmp(baseline->model_id, model->id) && baseline->count && baseline->features[0].contribution_count;
}

static void wait_by(struct contributions *c, struct sketch *sketch, const struct deployed_model *model)
{
    bool same = c->model.loaded == model->loaded;
    if (c->count == WAITING_MAX || !same)
        contributions_flush(c, sketch);
    if (same)
        return;
    deployed_model_finish(&c->model);
    c->model = deployed_model_share(model);
}

void contributions_add(struct contributions *c, struct sketch *sketch, struct sketch_cell *cell, const struct batch *b, size_t e, uint64_t id_hash)
{
    const struct deployed_model *model = b->answered[e];
    if (!wants(c, id_hash) || !is_baselines(sketch, model))
        return;
    const float *known = batch_contributions(b, e, c->columns);
    if (known) {
        sketch_add_contributions(sketch, cell, known);
        return;
    }
    wait_by(c, sketch, model);
    c->cells[c->count] = cell;
    memcpy(c->rows + c->count++ * c->columns, b->rows + e * c->columns, c->columns * sizeof *c->rows);
}

bool contributions_wait(const struct contributions *c)
{
    return c->count > 0;
}

/* A model that cannot explain (its library fails) has no sample. */
void contributions_flush(struct contributions *c, struct sketch *sketch)
{
    if (c->count && model_contributions(c->model.model, c->rows, c->count, c->explained, NULL) == 0)
        for (size_t i = 0; i < c->count; i++)
            sketch_add_contributions(sketch, c->cells[i], c->explained + i * (c->columns + 1));
    c->count = 0;
}
