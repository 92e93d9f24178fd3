/* Every path of binning against the definition: the bin of x is the number of edges below x. */
#include <float.h>

#include "monitor/sketch_bins.h"
#include "tests/unit/monitor_scene.h"

enum { EDGES = PIVOTS * PIVOTS, VALUES = 4096 };

struct made_column {
    _Alignas(64) float edges[EDGES];
    _Alignas(64) float pivots[PIVOTS];
    struct sketch_column column;
};

static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0.0f, -0.0f, FLT_MIN, 0x1p-149f, 0x1p30f, -0x1p30f, 0x1.fffffep29f, 0x1p60f, 1e38f};
enum { ODD = sizeof odd / sizeof *odd };

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float any_float(uint64_t *seed)
{
    uint32_t bits = (uint32_t)scene_random(seed);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A column of so many bins; wide: its edges are of every size there is. */
static void make_column(struct made_column *made, size_t bins, bool wide, uint64_t *seed)
{
    for (size_t i = 0; i < EDGES; i++)
        made->edges[i] = INFINITY;
    for (size_t i = 0; i + 1 < bins; i++) {
        float edge = wide ? any_float(seed) : (float)(scene_random(seed) % 1000) / 8;
        made->edges[i] = isfinite(edge) ? edge : (float)i;
    }
    if (bins)
        qsort(made->edges, bins - 1, sizeof(float), compare_floats);
    made->column = (struct sketch_column){.span = 1, .edges = made->edges, .pivots = made->pivots, .bins = bins, .least = 3, .greatest = 120, .far_below = -7, .far_above = 130};
    while (made->column.span < bins)
        made->column.span *= 2;
    for (size_t i = 0; i < PIVOTS; i++)
        made->pivots[i] = made->edges[(i + 1) * PIVOTS - 1];
}

static float make_value(const struct made_column *made, uint64_t *seed)
{
    uint64_t r = scene_random(seed);
    if (r % 8 == 0)
        return odd[(r >> 8) % ODD];
    if (r % 8 < 4 && made->column.bins > 1) { /* an edge, or a neighbour of one */
        float edge = made->edges[(r >> 8) % (made->column.bins - 1)];
        return r % 8 == 1 ? edge : nextafterf(edge, r % 8 == 2 ? INFINITY : -INFINITY);
    }
    return r % 8 == 4 ? any_float(seed) : (float)((r >> 8) % 1100) / 8 - 5;
}

static uint8_t defined_bin(const struct sketch_column *column, float value, struct column_tally *tally)
{
    if (isnan(value)) {
        tally->missing++;
        return BIN_NONE;
    }
    float x = value > FLT_MAX ? FLT_MAX : value < -FLT_MAX ? -FLT_MAX : value;
    size_t bin = 0;
    for (size_t i = 0; i + 1 < column->bins; i++)
        bin += column->edges[i] < x;
    tally->sum += column_fixed_point(x);
    tally->below += x < column->least;
    tally->above += x > column->greatest;
    tally->far += x < column->far_below || x > column->far_above;
    return column->bins ? (uint8_t)bin : (uint8_t)BIN_NONE;
}

static void assert_same_tally(const struct column_tally *found, const struct column_tally *wanted)
{
    assert_int_equal(found->missing, wanted->missing);
    assert_int_equal(found->below, wanted->below);
    assert_int_equal(found->above, wanted->above);
    assert_int_equal(found->far, wanted->far);
    assert_true(found->sum == wanted->sum);
}

/* Runs of every length, each followed by a byte that is nobody's. */
static void assert_bins(column_binning *binning, const struct sketch_column *column, const float *values)
{
    for (size_t i = 0, n = 1; i + n <= VALUES; i += n, n = n % BIN_RUN_MAX + 1) {
        uint8_t bins[BIN_RUN_MAX + 1];
        struct column_tally found = {0}, wanted = {0};
        memset(bins, 0xa5, sizeof bins);
        binning(column, values + i, n, bins, &found);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(bins[k], defined_bin(column, values[i + k], &wanted));
        assert_int_equal(bins[n], 0xa5);
        assert_same_tally(&found, &wanted);
    }
}

static void assert_binning(column_binning *binning)
{
    static const size_t bins[] = {0, 1, 2, 3, 15, 16, 17, 20, 31, 32, 33, 100, 239, 240};
    static float values[VALUES];
    uint64_t seed = 4;
    for (size_t i = 0; i < 2 * sizeof bins / sizeof *bins; i++) {
        struct made_column made;
        make_column(&made, bins[i / 2], i % 2, &seed);
        for (size_t k = 0; k < VALUES; k++)
            values[k] = make_value(&made, &seed);
        assert_bins(binning, &made.column, values);
    }
}

static void every_path_of_this_machine_counts_the_edges_below(void **state)
{
    (void)state;
    size_t paths = 0;
    for (; column_binning_here(paths); paths++)
        assert_binning(column_binning_here(paths));
    assert_true(column_binning_here(paths - 1) == column_bin_portable);
}

static void a_single_search_counts_the_edges_below(void **state)
{
    (void)state;
    struct made_column made;
    uint64_t seed = 6;
    make_column(&made, 240, true, &seed);
    for (size_t k = 0; k < VALUES; k++) {
        struct column_tally unused = {0};
        float x = make_value(&made, &seed);
        if (!isnan(x))
            assert_int_equal(sketch_bin(&made.column, x), defined_bin(&made.column, x, &unused));
    }
}

/* Rows that wait, more than there is room for, and rows that were counted one by one are the same counts. */
static void rows_that_wait_are_counted_in_full(void **state)
{
    (void)state;
    enum { ROWS = 2 * SKETCH_ROWS_MAX + 77 };
    static float rows[ROWS][SCENE_FEATURES];
    struct baseline *baseline = scene_baseline();
    struct sketch_shape *shape = scene_shape(baseline, 240);
    struct sketch *sketch = sketch_create(shape);
    uint64_t seed = 8;
    for (size_t i = 0; i < ROWS; i++) {
        rows[i][0] = scene_random(&seed) % 16 ? (float)(scene_random(&seed) % 12000) : NAN;
        rows[i][1] = (float)(scene_random(&seed) & 1);
    }
    struct sketch_cell *cell = NULL;
    for (size_t i = 0; i < ROWS; i++)
        cell = sketch_add(sketch, &(struct sketch_event){.row = rows[i], .schema_id = -1});
    assert_true(sketch_cell_uncounted(sketch, 0)->row_count > 0);
    int64_t missing = sketch_feature(shape, cell, 0)->missing;
    int64_t wanted[SCENE_FEATURES][BASELINE_FINE] = {{0}};
    for (size_t i = 0; i < ROWS; i++)
        for (size_t f = 0; f < SCENE_FEATURES; f++)
            if (!isnan(rows[i][f])) {
                float edges[BASELINE_FINE];
                int64_t counts[BASELINE_FINE];
                size_t bins = baseline_cut(&baseline->features[f], 240, edges, counts), bin = 0;
                for (size_t e = 0; e + 1 < bins; e++)
                    bin += edges[e] < rows[i][f];
                wanted[f][bin]++;
            }
    assert_ptr_equal(sketch_cell(sketch, 0), cell);
    assert_int_equal(cell->row_count, 0);
    assert_int_equal(sketch_feature(shape, cell, 0)->missing, missing); /* not a second time */
    for (size_t f = 0; f < SCENE_FEATURES; f++) {
        size_t bins = sketch_shape_bins(shape, f, NULL);
        assert_memory_equal(sketch_feature(shape, cell, f)->bins, wanted[f], bins * sizeof(int64_t));
    }
    sketch_reset(sketch); /* and nothing is left of them */
    cell = sketch_add(sketch, &(struct sketch_event){.schema_id = -1});
    for (size_t f = 0; f < SCENE_FEATURES; f++)
        for (size_t i = 0; i < sketch_shape_bins(shape, f, NULL); i++)
            assert_int_equal(sketch_feature(shape, cell, f)->bins[i], 0);
    sketch_destroy(sketch);
    sketch_shape_destroy(shape);
    baseline_destroy(baseline);
}

static void bins_of_another_shape_do_not_fit(void **state)
{
    (void)state;
    struct baseline *baseline = scene_baseline();
    struct sketch_shape *shape = scene_shape(baseline, 240), *bare = scene_shape(NULL, 0);
    uint8_t bins[SCENE_FEATURES * 20] = {0};
    assert_true(sketch_bins_fit(shape, bins, 20));
    assert_false(sketch_bins_fit(bare, bins, 20));
    for (size_t i = 0; i < sizeof bins; i++) {
        size_t most = sketch_shape_bins(shape, i / 20, NULL);
        bins[i] = BIN_NONE;
        assert_true(sketch_bins_fit(shape, bins, 20));
        bins[i] = (uint8_t)(most - 1);
        assert_true(sketch_bins_fit(shape, bins, 20));
        bins[i] = (uint8_t)most;
        assert_false(sketch_bins_fit(shape, bins, 20));
        bins[i] = BIN_NONE - 1;
        assert_false(sketch_bins_fit(shape, bins, 20));
        bins[i] = 0;
    }
    sketch_shape_destroy(shape);
    sketch_shape_destroy(bare);
    baseline_destroy(baseline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_path_of_this_machine_counts_the_edges_below),
        cmocka_unit_test(a_single_search_counts_the_edges_below), cmocka_unit_test(rows_that_wait_are_counted_in_full), cmocka_unit_test(bins_of_another_shape_do_not_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
