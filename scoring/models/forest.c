#include "scoring/models/forest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/models/forest_program.h"

#if defined __x86_64__
static const struct forest_engine *const engines[FOREST_PATHS] = {&forest_portable, &forest_avx2, &forest_avx512};
#else
static const struct forest_engine *const engines[FOREST_PATHS] = {&forest_portable};
#endif

static bool machine_has(enum forest_path path)
{
#if defined __x86_64__
    if (path == FOREST_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("popcnt");
    if (path == FOREST_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
#endif
    return engines[path] != NULL;
}

int forest_use(struct forest *f, enum forest_path path)
{
    if (path >= FOREST_PATHS || !machine_has(path))
        return -1;
    f->path = path;
    return 0;
}

enum forest_path forest_path(const struct forest *f)
{
    return f->path;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

int forest_create(const struct tree *trees, size_t tree_count, size_t feature_count, float base_margin, struct forest **out, struct err *err)
{
    assert(tree_count > 0 && feature_count > 0);
    struct forest *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, "memory is short");
    f->feature_count = feature_count;
    f->tree_count = tree_count;
    f->base_margin = base_margin;
    if (forest_compile(f, trees, err) < 0)
        goto failed;
    f->row_stride = most((f->column_count + 63) / 64 * 64, MASK_COLUMNS_MAX);
    f->group_size = GROUP_ROWS * most(f->column_count, 1);
    size_t groups = least(most(BLOCK_BYTES / f->group_size, 1), BLOCK_GROUPS_MAX);
    f->block_rows = groups * GROUP_ROWS;
    size_t size = most(GROUP_ROWS * f->row_stride, groups * f->group_size);
    if (!(f->scratch = aligned_alloc(64, size))) {
        err_set(err, "memory is short");
        goto failed;
    }
    memset(f->scratch, 0, size);
    for (enum forest_path path = 0; path < FOREST_PATHS; path++)
        forest_use(f, path);
    *out = f;
    return 0;
failed:
    forest_destroy(f);
    return -1;
}

void forest_destroy(struct forest *f)
{
    if (!f)
        return;
    free(f->used);
    free(f->cuts);
    free(f->columns);
    free(f->trees);
    free(f->pieces);
    free(f->nodes);
    free(f->leaves);
    free(f->exits);
    free(f->walks);
    free(f->walk_nodes);
    free(f->walk_values);
    free(f->masks);
    free(f->scratch);
    free(f);
}

static void score_rows(struct forest *f, const float *rows, size_t n, float *margin)
{
    const struct forest_engine *engine = engines[f->path];
    _Alignas(64) float sums[BLOCK_GROUPS_MAX * GROUP_ROWS];
    for (size_t r = 0; r < BLOCK_GROUPS_MAX * GROUP_ROWS; r++)
        sums[r] = f->base_margin;
    if (n <= engine->few) {
        engine->rank_few(f, rows, n, f->scratch);
        engine->score_few(f, f->scratch, n, sums);
    } else {
        engine->rank_block(f, rows, n, f->scratch);
        engine->score_block(f, f->scratch, n, sums);
    }
    memcpy(margin, sums, n * sizeof *margin);
}

void forest_score(struct forest *f, const float *rows, size_t n, float *margin)
{
    for (size_t r = 0; r < n; r += f->block_rows)
        score_rows(f, rows + r * f->feature_count, least(n - r, f->block_rows), margin + r);
}
