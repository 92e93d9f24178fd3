#include "tests/unit/monitor_scene.h"

#include <float.h>

static int set_up(void **state)
{
    *state = scene_create(scene_baseline());
    return 0;
}

/* A disorderly stream: 3 partitions, late events, missing and extreme values. */
static struct scene_event made_event(uint64_t *seed, int64_t i)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, -0.0f, 1e30f, -3e-9f};
    uint64_t r = scene_random(seed);
    float amount = r % 16 < 6 ? odd[r % 16] : (float)(scene_random(seed) % 20000) / 1.7f;
    float score = (float)(scene_random(seed) >> 40) / (float)(1 << 24);
    return (struct scene_event){.partition = (int32_t)(r >> 8 & 3), .offset = i, .time_ms = i * 97 + (int64_t)(r >> 16 & 0xffff),
        .late_ms = (int64_t)(r >> 32 & 1), .amount = amount, .flag = (float)(r >> 36 & 1), .score = score * score, .device = r >> 40 & 1};
}

static void assert_same_cell(const struct sketch_shape *shape, const struct sketch_cell *a, const struct sketch_cell *b)
{
    assert_int_equal(a->partition, b->partition);
    assert_int_equal(a->window_start_ms, b->window_start_ms);
    assert_int_equal(a->events, b->events);
    assert_int_equal(a->late, b->late);
    assert_memory_equal(a->rejects, b->rejects, sizeof a->rejects);
    assert_memory_equal(a->sums, b->sums, (SCENE_FEATURES + SCENE_MODELS) * sizeof *a->sums);
    assert_memory_equal(a->last_seen_ms, b->last_seen_ms, SCENE_FIELDS * sizeof *a->last_seen_ms);
    size_t bins = 20 * sizeof(int64_t);
    for (size_t f = 0; f < SCENE_FEATURES; f++)
        assert_memory_equal(sketch_feature(shape, a, f), sketch_feature(shape, b, f), sizeof(struct sketch_feature_counts) + bins);
    for (size_t m = 0; m < SCENE_MODELS; m++)
        assert_memory_equal(sketch_model(shape, a, m), sketch_model(shape, b, m), sizeof(struct sketch_model_counts) + bins);
}

static void assert_same(struct sketch *a, struct sketch *b)
{
    assert_int_equal(sketch_cell_count(a), sketch_cell_count(b));
    for (size_t i = 0; i < sketch_cell_count(a); i++)
        assert_same_cell(sketch_shape(a), sketch_cell(a, i), sketch_cell(b, i));
    assert_int_equal(sketch_position_count(a), sketch_position_count(b));
    for (size_t i = 0; i < sketch_position_count(a); i++) {
        const struct sketch_position *p = sketch_position(a, i), *q = sketch_position(b, i);
        assert_int_equal(p->partition, q->partition);
        assert_int_equal(p->from, q->from);
        assert_int_equal(p->to, q->to);
        assert_int_equal(p->stream_time_ms, q->stream_time_ms);
    }
}

/* Split over shards in any way and merged in any order, the parts are the whole, bit for bit. */
static void merge_is_exact(void **state)
{
    struct sketch_scene *f = *state;
    enum { SHARDS = 5, EVENTS = 20000 };
    struct sketch *shard[SHARDS], *forward = sketch_create(f->shape), *backward = sketch_create(f->shape);
    for (int s = 0; s < SHARDS; s++)
        shard[s] = sketch_create(f->shape);
    uint64_t seed = 1;
    for (int64_t i = 0; i < EVENTS; i++) {
        struct scene_event e = made_event(&seed, i);
        struct sketch *part = shard[scene_random(&seed) % SHARDS];
        scene_add(f->sketch, e);
        scene_add(part, e);
        if (i % 50 == 0) {
            sketch_add_reject(f->sketch, e.partition, i, e.time_ms, REJECT_DUPLICATE, -1);
            sketch_add_reject(part, e.partition, i, e.time_ms, REJECT_DUPLICATE, -1);
        }
    }
    assert_true(sketch_cell_count(f->sketch) > 100);
    for (int s = 0; s < SHARDS; s++) {
        sketch_merge(forward, shard[s]);
        sketch_merge(backward, shard[SHARDS - 1 - s]);
    }
    assert_same(f->sketch, forward);
    assert_same(f->sketch, backward);
    for (int s = 0; s < SHARDS; s++)
        sketch_destroy(shard[s]);
    sketch_destroy(forward);
    sketch_destroy(backward);
}

static size_t bin_with(const struct sketch_feature_counts *counts, size_t bins)
{
    size_t found = bins;
    for (size_t i = 0; i < bins; i++)
        if (counts->bins[i]) {
            assert_int_equal(counts->bins[i], 1);
            assert_int_equal(found, bins);
            found = i;
        }
    return found;
}

/* The baseline's amounts are 0..9999: edges 499, 999, 1499 ...; a value on an edge is below it. */
static void a_value_goes_to_the_bin_of_the_first_edge_not_below_it(void **state)
{
    struct sketch_scene *f = *state;
    static const struct {
        float amount;
        size_t bin;
    } cases[] = {{-INFINITY, 0}, {-5, 0}, {0, 0}, {499, 0}, {499.5f, 1}, {999, 1}, {1000, 2}, {9499, 18}, {9499.5f, 19}, {1e9f, 19}, {INFINITY, 19}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sketch_reset(f->sketch);
        scene_add(f->sketch, (struct scene_event){.amount = cases[i].amount});
        assert_int_equal(bin_with(sketch_feature(f->shape, sketch_cell(f->sketch, 0), 0), 20), cases[i].bin);
    }
}

static void the_240_bins_agree_with_the_20(void **state)
{
    struct sketch_scene *f = *state;
    struct sketch_shape *fine_shape = scene_shape(f->baseline, 240);
    struct sketch *fine = sketch_create(fine_shape);
    uint64_t seed = 9;
    for (int64_t i = 0; i < 5000; i++) {
        struct scene_event e = made_event(&seed, i);
        e.partition = 0;
        e.time_ms = 0;
        scene_add(f->sketch, e);
        scene_add(fine, e);
    }
    const int64_t *fine_bins = sketch_feature(fine_shape, sketch_cell(fine, 0), 0)->bins;
    const int64_t *bins = sketch_feature(f->shape, sketch_cell(f->sketch, 0), 0)->bins;
    for (size_t i = 0; i < 20; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < 12; k++)
            sum += fine_bins[12 * i + k];
        assert_int_equal(bins[i], sum);
    }
    sketch_destroy(fine);
    sketch_shape_destroy(fine_shape);
}

static void missing_is_counted_and_not_binned(void **state)
{
    struct sketch_scene *f = *state;
    scene_add(f->sketch, (struct scene_event){.amount = NAN, .flag = 1});
    scene_add(f->sketch, (struct scene_event){.amount = 3, .flag = 1});
    const struct sketch_feature_counts *amount = sketch_feature(f->shape, sketch_cell(f->sketch, 0), 0);
    assert_int_equal(amount->missing, 1);
    assert_int_equal(amount->bins[0], 1);
    assert_near(sketch_feature_mean(f->shape, sketch_cell(f->sketch, 0), 0), 3, 0);
}

static void values_outside_the_baseline_are_counted(void **state)
{
    struct sketch_scene *f = *state;
    scene_add(f->sketch, (struct scene_event){.amount = -1});
    scene_add(f->sketch, (struct scene_event){.amount = 0});
    scene_add(f->sketch, (struct scene_event){.amount = 9999});
    scene_add(f->sketch, (struct scene_event){.amount = 10000});
    const struct sketch_feature_counts *amount = sketch_feature(f->shape, sketch_cell(f->sketch, 0), 0);
    assert_int_equal(amount->below, 1);
    assert_int_equal(amount->above, 1);
}

/* A baseline that met infinities took them for the largest float: so does the sketch. */
static void an_infinity_is_where_the_baseline_has_it(void **state)
{
    (void)state;
    float rows[] = {1, 0, INFINITY, 0, -INFINITY, 0};
    struct baseline *baseline = baseline_create_from_rows(scene_features, SCENE_FEATURES, rows, NULL, 3, (const uint8_t[32]){0}, NULL);
    struct sketch_shape *shape = scene_shape(baseline, 20);
    struct sketch *sketch = sketch_create(shape);
    for (int i = 0; i < 3; i++)
        scene_add(sketch, (struct scene_event){.amount = rows[2 * i]});
    const int64_t *expected;
    const struct sketch_feature_counts *amount = sketch_feature(shape, sketch_cell(sketch, 0), 0);
    size_t bins = sketch_shape_bins(shape, 0, &expected);
    assert_memory_equal(amount->bins, expected, bins * sizeof *expected);
    assert_int_equal(amount->below + amount->above, 0);
    sketch_destroy(sketch);
    sketch_shape_destroy(shape);
    baseline_destroy(baseline);
}

static void means_are_exact_for_sums_that_floats_would_round(void **state)
{
    struct sketch_scene *f = *state;
    scene_add(f->sketch, (struct scene_event){.amount = 16777216}); /* 2^24: adding 1 to it in float32 changes nothing */
    for (int i = 0; i < 7; i++)
        scene_add(f->sketch, (struct scene_event){.amount = 1});
    assert_near(sketch_feature_mean(f->shape, sketch_cell(f->sketch, 0), 0), 2097152.875, 0);
    scene_add(f->sketch, (struct scene_event){.amount = 1e30f}); /* counts as 2^60 */
    assert_near(sketch_feature_mean(f->shape, sketch_cell(f->sketch, 0), 0), (0x1p60 + 16777223) / 9, 256);
}

static void scores_have_decisions_bins_and_a_mean(void **state)
{
    struct sketch_scene *f = *state;
    static const float scores[] = {0, 0.05f, 0.06f, 0.5f, 0.95f, 1};
    for (size_t i = 0; i < 6; i++)
        scene_add(f->sketch, (struct scene_event){.score = scores[i]});
    scene_add(f->sketch, (struct scene_event){.score = NAN});
    const struct sketch_cell *cell = sketch_cell(f->sketch, 0);
    const struct sketch_model_counts *m = sketch_model(f->shape, cell, 0);
    assert_int_equal(m->decisions[DECISION_APPROVE], 4); /* NaN is over no threshold */
    assert_int_equal(m->decisions[DECISION_REVIEW], 1);
    assert_int_equal(m->decisions[DECISION_DECLINE], 2);
    assert_int_equal(m->invalid, 1);
    assert_int_equal(m->equal[0], 1);  /* 0; the float 0.05 is a little over 0.05 */
    assert_int_equal(m->equal[1], 2);
    assert_int_equal(m->equal[9], 1);
    assert_int_equal(m->equal[18], 1);
    assert_int_equal(m->equal[19], 1);
    assert_int_equal(sketch_score_count(f->shape, cell, 0), 6);
    assert_near(sketch_score_mean(f->shape, cell, 0), (0.05 + 0.06 + 0.5 + 0.95 + 1) / 6, 1e-8);
    assert_int_equal(sketch_score_count(f->shape, cell, 1), 0);
    assert_true(isnan(sketch_score_mean(f->shape, cell, 1)));
    assert_true(isnan(sketch_score_quantile(f->shape, cell, 1, 0.5)));
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_within_a_sixteenth(void **state)
{
    struct sketch_scene *f = *state;
    enum { N = 20000 };
    static float scores[N];
    uint64_t seed = 3;
    for (int i = 0; i < N; i++) {
        double u = (double)(scene_random(&seed) >> 11) * 0x1p-53;
        scores[i] = (float)pow(u, 6); /* most are tiny, as scores of fraud are */
        scene_add(f->sketch, (struct scene_event){.score = scores[i]});
    }
    qsort(scores, N, sizeof *scores, compare_floats);
    static const double quantiles[] = {0.05, 0.5, 0.95, 0.99, 0.999};
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        double exact = (double)scores[(size_t)ceil(quantiles[i] * N) - 1];
        double found = sketch_score_quantile(f->shape, sketch_cell(f->sketch, 0), 0, quantiles[i]);
        assert_near(found, exact, exact / 16 + 0x1p-20);
    }
}

static void every_score_has_a_logarithmic_bin(void **state)
{
    struct sketch_scene *f = *state;
    static const float edges[] = {0, 1e-30f, 0x1p-21f, 0x1p-20f, 0x1.08p-20f, 0x1.1p-20f, 0.5f, 0x1.fffffep-1f, 1};
    static const size_t bins[] = {0, 0, 0, 1, 1, 2, 305, 320, 320};
    for (size_t i = 0; i < sizeof bins / sizeof *bins; i++) {
        sketch_reset(f->sketch);
        scene_add(f->sketch, (struct scene_event){.score = edges[i]});
        assert_int_equal(sketch_model(f->shape, sketch_cell(f->sketch, 0), 0)->log[bins[i]], 1);
    }
}

static void cells_are_by_window_and_partition_in_order(void **state)
{
    struct sketch_scene *f = *state;
    scene_add(f->sketch, (struct scene_event){.partition = 2, .time_ms = 60000});
    scene_add(f->sketch, (struct scene_event){.partition = 0, .time_ms = 119999});
    scene_add(f->sketch, (struct scene_event){.partition = 1, .time_ms = 59999, .late_ms = 100});
    scene_add(f->sketch, (struct scene_event){.partition = 0, .time_ms = 60000});
    assert_int_equal(sketch_cell_count(f->sketch), 3);
    static const struct {
        int64_t start;
        int32_t partition;
        int64_t events;
    } wanted[] = {{0, 1, 1}, {60000, 0, 2}, {60000, 2, 1}};
    for (size_t i = 0; i < 3; i++) {
        const struct sketch_cell *cell = sketch_cell(f->sketch, i);
        assert_int_equal(cell->window_start_ms, wanted[i].start);
        assert_int_equal(cell->partition, wanted[i].partition);
        assert_int_equal(cell->events, wanted[i].events);
    }
    assert_int_equal(sketch_cell(f->sketch, 0)->late, 1);
}

static void positions_follow_events_and_the_lane(void **state)
{
    struct sketch_scene *f = *state;
    scene_add(f->sketch, (struct scene_event){.partition = 7, .offset = 10, .time_ms = 5000});
    scene_add(f->sketch, (struct scene_event){.partition = 7, .offset = 11, .time_ms = 4000, .late_ms = 1000});
    sketch_add_reject(f->sketch, 3, 99, 5000, REJECT_NOT_AVRO, -1);
    assert_int_equal(sketch_position_count(f->sketch), 2);
    assert_int_equal(sketch_position(f->sketch, 0)->partition, 3);
    assert_true(sketch_position(f->sketch, 0)->stream_time_ms == TIME_UNKNOWN);
    assert_int_equal(sketch_position(f->sketch, 1)->from, 10);
    assert_int_equal(sketch_position(f->sketch, 1)->to, 12);
    assert_int_equal(sketch_position(f->sketch, 1)->stream_time_ms, 5000);
    sketch_cover(f->sketch, 7, 8, 15, 5000);
    assert_int_equal(sketch_position(f->sketch, 1)->from, 8);
    assert_int_equal(sketch_position(f->sketch, 1)->to, 15);
}

static void last_seen_is_the_largest_time_with_a_value(void **state)
{
    struct sketch_scene *f = *state;
    scene_add(f->sketch, (struct scene_event){.time_ms = 100, .device = true});
    scene_add(f->sketch, (struct scene_event){.time_ms = 50, .late_ms = 50, .device = true});
    scene_add(f->sketch, (struct scene_event){.time_ms = 200});
    const struct sketch_cell *cell = sketch_cell(f->sketch, 0);
    assert_int_equal(cell->last_seen_ms[1], 200);
    assert_int_equal(cell->last_seen_ms[2], 100);
}

static void a_lost_partition_leaves_the_rest(void **state)
{
    struct sketch_scene *f = *state;
    struct sketch *rest = sketch_create(f->shape);
    uint64_t seed = 5;
    for (int64_t i = 0; i < 3000; i++) {
        struct scene_event e = made_event(&seed, i);
        scene_add(f->sketch, e);
        if (e.partition != 1)
            scene_add(rest, e);
    }
    scene_add(f->sketch, (struct scene_event){.partition = 1, .offset = 2999, .time_ms = 1});
    sketch_drop(f->sketch, 1);
    assert_same(f->sketch, rest);
    struct scene_event back = {.partition = 1, .offset = 0, .time_ms = 1}; /* it came back */
    scene_add(f->sketch, back);
    scene_add(rest, back);
    assert_same(f->sketch, rest);
    struct scene_event more = {.partition = 2, .offset = 3000, .time_ms = 1};
    scene_add(f->sketch, more); /* the table still finds its cells */
    scene_add(rest, more);
    assert_same(f->sketch, rest);
    sketch_destroy(rest);
}

static void a_full_sketch_counts_what_it_cannot_hold(void **state)
{
    struct sketch_scene *f = *state;
    size_t most = sketch_cells_max(f->shape);
    assert_true(sketch_has_room(f->sketch, most));
    for (size_t i = 0; i < most; i++)
        scene_add(f->sketch, (struct scene_event){.offset = (int64_t)i, .time_ms = (int64_t)i * SCENE_WINDOW});
    assert_false(sketch_has_room(f->sketch, 1));
    scene_add(f->sketch, (struct scene_event){.offset = (int64_t)most, .time_ms = (int64_t)most * SCENE_WINDOW});
    sketch_add_reject(f->sketch, 0, (int64_t)most + 1, (int64_t)most * SCENE_WINDOW, REJECT_TYPE, -1);
    scene_add(f->sketch, (struct scene_event){.offset = (int64_t)most + 2, .time_ms = 0});
    assert_int_equal(sketch_cell_count(f->sketch), most);
    assert_int_equal(sketch_position(f->sketch, 0)->beyond, 2);
    assert_int_equal(sketch_cell(f->sketch, 0)->events, 2);
    sketch_reset(f->sketch);
    assert_true(sketch_has_room(f->sketch, most));
    scene_add(f->sketch, (struct scene_event){.time_ms = 0});
    assert_int_equal(sketch_cell(f->sketch, 0)->events, 1);
    assert_int_equal(sketch_position(f->sketch, 0)->beyond, 0);
}

static void hostile_times_of_rejects_are_held_to_the_calendar(void **state)
{
    struct sketch_scene *f = *state;
    sketch_add_reject(f->sketch, 0, 0, INT64_MIN, REJECT_NOT_AVRO, -1);
    sketch_add_reject(f->sketch, 0, 1, INT64_MAX, REJECT_NOT_AVRO, -1);
    assert_int_equal(sketch_cell(f->sketch, 0)->window_start_ms, 0);
    assert_int_equal(sketch_cell(f->sketch, 1)->window_start_ms, 253402300740000);
}

static void without_a_baseline_there_are_counts_and_scores(void **state)
{
    (void)state;
    struct sketch_shape *shape = scene_shape(NULL, 0);
    struct sketch *sketch = sketch_create(shape);
    scene_add(sketch, (struct scene_event){.amount = NAN, .flag = 4, .score = 0.3f});
    const struct sketch_cell *cell = sketch_cell(sketch, 0);
    assert_int_equal(sketch_shape_bins(shape, 0, NULL), 0);
    assert_int_equal(sketch_feature(shape, cell, 0)->missing, 1);
    assert_near(sketch_feature_mean(shape, cell, 1), 4, 0);
    assert_int_equal(sketch_model(shape, cell, 0)->equal[6], 1);
    sketch_destroy(sketch);
    sketch_shape_destroy(shape);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(merge_is_exact), TEST(a_value_goes_to_the_bin_of_the_first_edge_not_below_it), TEST(the_240_bins_agree_with_the_20),
        TEST(missing_is_counted_and_not_binned), TEST(values_outside_the_baseline_are_counted),
        TEST(an_infinity_is_where_the_baseline_has_it), TEST(means_are_exact_for_sums_that_floats_would_round), TEST(scores_have_decisions_bins_and_a_mean),
        TEST(quantiles_are_within_a_sixteenth), TEST(every_score_has_a_logarithmic_bin),
        TEST(cells_are_by_window_and_partition_in_order), TEST(positions_follow_events_and_the_lane),
        TEST(last_seen_is_the_largest_time_with_a_value), TEST(a_lost_partition_leaves_the_rest),
        TEST(a_full_sketch_counts_what_it_cannot_hold), TEST(hostile_times_of_rejects_are_held_to_the_calendar),
        TEST(without_a_baseline_there_are_counts_and_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
