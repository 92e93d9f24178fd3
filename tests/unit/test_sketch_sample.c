/* What is sampled of single events is the same however the stream was split. */
#include "monitor/sketch.h"

#include "tests/unit/monitor_scene.h"

enum { EVENTS = 4000, FAR_EVERY = 50, TRANSACTION = 300 };

static float amount_of(int64_t i)
{
    return i % FAR_EVERY == 7 ? 1e6f + (float)i : (float)(i % 10000);
}

/* Event i, in a partition that hangs on i alone, into the sketch of one of `parts` lanes. */
static void add(struct sketch *sketch, int64_t i)
{
    float row[] = {amount_of(i), 0}, contributions[] = {(float)((i * 37) % 101) * 0.01f - 0.7f, -0.001f * (float)(i % 7)};
    struct sketch_event event = {.partition = (int32_t)(i % 12), .offset = i, .time_ms = 1000 + i, .row = row, .id_hash = cardinality_hash(&i, sizeof i), .schema_id = -1};
    struct sketch_cell *cell = sketch_add(sketch, &event);
    sketch_add_entity(sketch, cell, event.time_ms, i % 3 ? event.time_ms - i * 1000 : TIME_UNKNOWN);
    if (i % 5 == 0)
        sketch_add_contributions(sketch, cell, contributions);
}

static void hand_on(const struct sketch_shape *shape, struct sketch *delta, struct sketch_cell *whole)
{
    for (size_t k = 0; k < sketch_cell_count(delta); k++)
        sketch_cell_merge(shape, whole, sketch_cell(delta, k));
    sketch_reset(delta);
}

/* The stream over so many lanes, each in transactions, merged into one cell.  One alone remembers nothing that it has named. */
static struct sketch_cell *merged(const struct sketch_shape *shape, int parts)
{
    struct sketch_cell *whole = sketch_cell_create(shape, -1, 0);
    for (int part = parts - 1; part >= 0; part--) {
        struct sketch *sketch = sketch_create(shape);
        struct smallest_ranks *named = smallest_ranks_create();
        if (parts > 1)
            sketch_remember_named(sketch, named);
        for (int64_t i = 0; i < EVENTS; i++) {
            if (i % 12 % parts == part)
                add(sketch, i);
            if (i % TRANSACTION == 0)
                hand_on(shape, sketch, whole);
        }
        hand_on(shape, sketch, whole);
        sketch_destroy(sketch);
        smallest_ranks_destroy(named);
    }
    return whole;
}

struct fixture {
    struct baseline *baseline;
    struct sketch_shape *shape;
    struct sketch_cell *whole;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->baseline = scene_baseline();
    f->shape = scene_shape(f->baseline, 20);
    f->whole = merged(f->shape, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sketch_cell_destroy(f->shape, f->whole);
    sketch_shape_destroy(f->shape);
    baseline_destroy(f->baseline);
    free(f);
    return 0;
}

static void any_split_gives_the_same(void **state)
{
    struct fixture *f = *state;
    const int splits[] = {2, 3, 12};
    for (size_t s = 0; s < sizeof splits / sizeof *splits; s++) {
        struct sketch_cell *other = merged(f->shape, splits[s]);
        int64_t fresh, other_fresh;
        assert_memory_equal(sketch_entity_ages(f->shape, f->whole, &fresh), sketch_entity_ages(f->shape, other, &other_fresh), LATENCY_BINS * sizeof(int64_t));
        assert_true(fresh == other_fresh);
        for (size_t i = 0; i < SCENE_FEATURES; i++) {
            struct sketch_contribution a = sketch_contribution_of(f->shape, f->whole, i), b = sketch_contribution_of(f->shape, other, i);
            assert_memory_equal(&a, &b, sizeof a);
            struct sketch_far x[SKETCH_VALUES_MAX] = {{0}}, y[SKETCH_VALUES_MAX] = {{0}};
            size_t n = sketch_far_values(f->shape, f->whole, i, x);
            assert_int_equal(sketch_far_values(f->shape, other, i, y), n);
            assert_memory_equal(x, y, sizeof x);
        }
        sketch_cell_destroy(f->shape, other);
    }
}

static void contributions_have_their_mean_and_deviation(void **state)
{
    struct fixture *f = *state;
    double sum = 0, squares = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < EVENTS; i += 5, n++) {
        double c = (double)((float)((i * 37) % 101) * 0.01f - 0.7f);
        sum += c;
        squares += c * c;
    }
    struct sketch_contribution found = sketch_contribution_of(f->shape, f->whole, 0);
    double mean = sum / (double)n;
    assert_int_equal(found.count, n);
    assert_near(found.mean, mean, 1e-7);
    assert_near(found.std, sqrt(squares / (double)n - mean * mean), 1e-4);
    assert_true(sketch_contribution_of(f->shape, f->whole, 1).mean < 0);
}

static void far_values_are_some_of_those_that_are_there(void **state)
{
    struct fixture *f = *state;
    struct sketch_far far[SKETCH_VALUES_MAX];
    assert_int_equal(sketch_feature(f->shape, f->whole, 0)->far, EVENTS / FAR_EVERY);
    assert_int_equal(sketch_far_values(f->shape, f->whole, 0, far), SKETCH_VALUES_MAX);
    assert_int_equal(sketch_far_values(f->shape, f->whole, 1, far + 0), 0);
    size_t n = sketch_far_values(f->shape, f->whole, 0, far);
    for (size_t i = 0; i < n; i++) {
        const struct baseline_column *column = &f->baseline->features[0];
        double sigmas = ((double)amount_of(far[i].offset) - column->mean) / column->std;
        assert_int_equal(far[i].offset % FAR_EVERY, 7);
        assert_int_equal(far[i].partition, far[i].offset % 12);
        assert_near(far[i].sigmas, sigmas, fabs(sigmas) * 0.005);
    }
}

static void a_contribution_that_is_no_number_counts_as_none(void **state)
{
    struct fixture *f = *state;
    struct sketch *sketch = sketch_create(f->shape);
    struct sketch_cell *cell = sketch_add(sketch, &(struct sketch_event){.time_ms = 1, .schema_id = -1});
    sketch_add_contributions(sketch, cell, (float[]){NAN, INFINITY});
    assert_near(sketch_contribution_of(f->shape, cell, 0).mean, 0, 0);
    assert_near(sketch_contribution_of(f->shape, cell, 1).mean, 4096, 0);
    sketch_add_contributions(sketch, NULL, (float[]){1, 1});
    sketch_add_entity(sketch, NULL, 2, 1);
    sketch_destroy(sketch);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(any_split_gives_the_same), TEST(contributions_have_their_mean_and_deviation),
        TEST(far_values_are_some_of_those_that_are_there), TEST(a_contribution_that_is_no_number_counts_as_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
