/* Shadows by segment, explained disagreements, timing: by hand, and the same however the stream is split. */
#include "monitor/sketch_extra.h"

#include "monitor/aggregate.h"
#include "tests/unit/monitor_scene.h"

enum { SHADOW = 1, DEVICE = 0 /* the segment */, EVENTS = 4000, SHARDS = 5 };
static const struct thresholds halves = {0.5, 0.9};

/* The baseline names `rare` and `usual`: the second came more often. */
static void name_devices(struct baseline *baseline)
{
    static const struct {
        const char *name;
        int64_t count;
    } devices[] = {{"rare", 10}, {"usual", 5000}};
    baseline->segment_count = 1;
    free(baseline->segments);
    baseline->segments = calloc(1, sizeof *baseline->segments);
    struct baseline_segment *segment = baseline->segments;
    segment->field = strdup("device");
    segment->categories = (struct baseline_categories){.count = 2, .named = calloc(2, sizeof *segment->categories.named)};
    for (int i = 0; i < 2; i++)
        segment->categories.named[i] = (struct baseline_category){.name = strdup(devices[i].name), .count = devices[i].count};
}

static int set_up(void **state)
{
    struct baseline *baseline = scene_baseline();
    name_devices(baseline);
    *state = scene_create(baseline);
    return 0;
}

struct compared {
    int32_t partition;
    int64_t offset;
    const char *device;
    float served, own;
};

static struct sketch_cell *add(struct sketch *sketch, struct compared c)
{
    const struct sketch_shape *shape = sketch_shape(sketch);
    struct value values[SCENE_FIELDS] = {{.type = VALUE_INT, .integer = c.offset}, {.type = VALUE_INT}, {.type = VALUE_NULL}};
    if (c.device)
        values[2] = (struct value){.type = VALUE_TEXT, .text = c.device, .size = (uint32_t)strlen(c.device)};
    struct sketch_cell *cell = sketch_add(sketch, &(struct sketch_event){.partition = c.partition, .offset = c.offset, .time_ms = c.offset, .window_complete = true,
        .row = (float[]){1, 0}, .schema_id = -1, .values = values});
    struct sketch_pair pair = {c.served, c.own, decide(halves, c.served), decide(halves, c.own)};
    struct sketch_places places;
    sketch_places_find(shape, values, &places);
    sketch_add_score(sketch, cell, 0, c.served, pair.served_decision);
    sketch_add_score(sketch, cell, SHADOW, c.own, pair.own_decision);
    sketch_add_comparison(sketch, cell, SHADOW, c.own, pair.own_decision, c.served, pair.served_decision);
    sketch_add_parts(shape, cell, SHADOW, &places, &pair);
    return cell;
}

/* 200 devices, scores at random; each event explained by what its offset says. */
static void traffic(struct sketch *sketches[], size_t count)
{
    uint64_t seed = 9;
    for (int64_t i = 0; i < EVENTS; i++) {
        uint64_t r = scene_random(&seed), rank;
        char device[16], id[16];
        snprintf(device, sizeof device, "d%d", (int)(r % 200));
        struct sketch *sketch = sketches[(r >> 8) % count];
        struct sketch_cell *cell = add(sketch, (struct compared){(int32_t)((r >> 8) % count), i, r >> 16 & 3 ? device : "usual", (float)(r >> 40) * 0x1p-24f, (float)(r >> 20 & 0xffff) * 0x1p-16f});
        sketch_add_timing(sketch_shape(sketch), cell, SHADOW, (int64_t)(r >> 50), 7);
        if (sketch_explained_rank(id, (size_t)snprintf(id, sizeof id, "%d", (int)i), &rank))
            sketch_add_explained(sketch_shape(sketch), cell, SHADOW, rank, (float[]){(float)i, 1}, (float[]){0, 1});
    }
}

static void assert_same_extra(const struct sketch_shape *shape, const struct sketch_extra *a, const struct sketch_extra *b)
{
    assert_non_null(a);
    assert_non_null(b);
    assert_memory_equal(&a->numbers, &b->numbers, sizeof a->numbers);
    assert_int_equal(a->explained, b->explained);
    assert_memory_equal(a->explained_ranks, b->explained_ranks, sizeof a->explained_ranks);
    assert_memory_equal(a->apart, b->apart, a->explained * sketch_shape_of(shape)->feature_count * sizeof *a->apart);
    for (size_t s = 0; s < sketch_shape_of(shape)->segment_count; s++) {
        assert_int_equal(a->parts[s].count, b->parts[s].count);
        for (size_t i = 0; i < a->parts[s].count; i++) {
            assert_true(a->parts[s].ranks[i] == b->parts[s].ranks[i]);
            assert_memory_equal(a->parts[s].of[i], b->parts[s].of[i], sizeof(struct shadow_part));
        }
    }
}

static void the_parts_add_up_to_the_whole_however_the_stream_is_split(void **state)
{
    struct sketch_scene *f = *state;
    struct sketch *shards[SHARDS];
    struct sketch_cell *whole = sketch_cell_create(f->shape, -1, 0), *forwards = sketch_cell_create(f->shape, -1, 0), *backwards = sketch_cell_create(f->shape, -1, 0);
    for (int i = 0; i < SHARDS; i++)
        shards[i] = sketch_create(f->shape);
    traffic(&f->sketch, 1);
    traffic(shards, SHARDS);
    sketch_cell_merge(f->shape, whole, sketch_cell(f->sketch, 0));
    for (int i = 0; i < SHARDS; i++) {
        sketch_cell_merge(f->shape, forwards, sketch_cell(shards[i], 0));
        sketch_cell_merge(f->shape, backwards, sketch_cell(shards[SHARDS - 1 - i], 0));
    }
    const struct sketch_extra *extra = sketch_extra(whole, SHADOW);
    assert_int_equal(extra->parts[DEVICE].count, EXTRA_PARTS_MAX);
    assert_int_equal(extra->explained, EXPLAINED_MAX);
    assert_int_equal(extra->numbers.timed, 7 * EVENTS);
    assert_same_extra(f->shape, extra, sketch_extra(sketch_cell(f->sketch, 0), SHADOW));
    assert_same_extra(f->shape, extra, sketch_extra(forwards, SHADOW));
    assert_same_extra(f->shape, extra, sketch_extra(backwards, SHADOW));
    for (int i = 0; i < SHARDS; i++)
        sketch_destroy(shards[i]);
    sketch_cell_destroy(f->shape, whole);
    sketch_cell_destroy(f->shape, forwards);
    sketch_cell_destroy(f->shape, backwards);
}

static void a_part_that_is_kept_is_complete(void **state)
{
    struct sketch_scene *f = *state;
    traffic(&f->sketch, 1);
    const struct shadow_part_list *list = &sketch_extra(sketch_cell(f->sketch, 0), SHADOW)->parts[DEVICE];
    assert_memory_equal(list->of[0]->text, "usual", 5); /* the baseline's first, though its hash is not the smallest */
    int64_t of_device[201] = {0};
    uint64_t seed = 9;
    for (int i = 0; i < EVENTS; i++) {
        uint64_t r = scene_random(&seed);
        of_device[r >> 16 & 3 ? r % 200 : 200]++;
    }
    for (size_t i = 0; i < list->count; i++) {
        int64_t n = 0;
        for (int k = 0; k < SCORE_EQUAL_BINS; k++)
            n += list->of[i]->counts.own[k];
        assert_int_equal(n, of_device[i ? atoi(list->of[i]->text + 1) : 200]);
    }
}

static void values_that_the_baseline_names_come_first_the_most_frequent_before_all(void **state)
{
    struct sketch_scene *f = *state;
    for (int i = 0; i < 100; i++) {
        char device[16];
        snprintf(device, sizeof device, "d%d", i);
        add(f->sketch, (struct compared){.offset = i, .device = device});
    }
    add(f->sketch, (struct compared){.offset = 100, .device = "rare"});
    add(f->sketch, (struct compared){.offset = 101, .device = "usual"});
    add(f->sketch, (struct compared){.offset = 102, .device = NULL}); /* in no part */
    const struct shadow_part_list *list = &sketch_extra(sketch_cell(f->sketch, 0), SHADOW)->parts[DEVICE];
    assert_int_equal(list->count, EXTRA_PARTS_MAX);
    assert_memory_equal(list->of[0]->text, "usual", 5);
    assert_memory_equal(list->of[1]->text, "rare", 4);
}

static void a_sketch_that_is_full_of_parts_says_so_and_counts(void **state)
{
    struct sketch_scene *f = *state;
    size_t windows = EXTRA_PARTS_IN_SKETCH_MAX / EXTRA_PARTS_MAX;
    assert_true(sketch_cells_max(f->shape) > windows);
    for (size_t w = 0; w <= windows; w++)
        for (int i = 0; i < EXTRA_PARTS_MAX; i++) {
            char device[16];
            snprintf(device, sizeof device, "d%d", i);
            assert_true(w <= windows / 2 || !sketch_has_room(f->sketch, 1));
            add(f->sketch, (struct compared){.offset = (int64_t)w * SCENE_WINDOW + i, .device = device});
        }
    assert_int_equal(sketch_extra(sketch_cell(f->sketch, windows - 1), SHADOW)->numbers.unheld, 0);
    assert_int_equal(sketch_extra(sketch_cell(f->sketch, windows), SHADOW)->numbers.unheld, EXTRA_PARTS_MAX);
    sketch_drop(f->sketch, 0);
    assert_true(sketch_has_room(f->sketch, 1));
}

static void a_fourth_of_all_ids_may_be_explained(void **state)
{
    (void)state;
    int chosen = 0;
    uint64_t rank;
    for (int i = 0; i < 40000; i++) {
        char id[16];
        chosen += sketch_explained_rank(id, (size_t)snprintf(id, sizeof id, "t%d", i), &rank);
    }
    assert_true(chosen > 9700 && chosen < 10300);
}

/* ---- rows ---- */

struct rows_of_window {
    struct aggregate *aggregate;
    struct report_list list;
};

static struct rows_of_window rows_of(struct sketch_scene *f)
{
    struct rows_of_window r = {.aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions", .scoring_budget_seconds = 5e-4}, 0)};
    aggregate_merge(r.aggregate, f->sketch, 0, &r.list);
    aggregate_flush(r.aggregate, true, &r.list);
    return r;
}

static void finish_rows(struct rows_of_window *r)
{
    report_list_finish(&r->list);
    aggregate_destroy(r->aggregate);
}

static const struct report *row(const struct rows_of_window *r, enum report_kind kind, const char *subject, const char *statistic)
{
    for (size_t i = 0; i < r->list.count; i++)
        if (r->list.rows[i].kind == kind && !strcmp(r->list.rows[i].subject, subject) && !strcmp(r->list.rows[i].statistic, statistic))
            return &r->list.rows[i];
    return NULL;
}

static void rows_tell_each_segment_and_who_disagrees_most(void **state)
{
    struct sketch_scene *f = *state;
    for (int i = 0; i < 100; i++) {
        add(f->sketch, (struct compared){.offset = i, .device = "usual", .served = 0.25f, .own = i < 10 ? 0.75f : 0.25f});
        add(f->sketch, (struct compared){.offset = 100 + i, .device = "rare", .served = 0.25f, .own = i < 40 ? 0.5f : 0.375f});
    }
    add(f->sketch, (struct compared){.offset = 200, .device = "once", .served = 0.1f, .own = 0.95f}); /* all disagree, of one */
    struct rows_of_window r = rows_of(f);
    const struct report *usual = row(&r, REPORT_SHADOW, "device=usual", "agreement"), *top = row(&r, REPORT_SHADOW, "score", "disagreeing_segments");
    assert_string_equal(usual->model_id, "shadow");
    assert_true(usual->value == 0.9 && usual->count == 100);
    assert_true(row(&r, REPORT_SHADOW, "device=rare", "agreement")->value == 0.6);
    assert_near(row(&r, REPORT_SHADOW, "device=usual", "mean_difference")->value, 0.05, 1e-9);
    assert_near(row(&r, REPORT_SHADOW, "device=rare", "mean_difference")->value, 0.4 * 0.25 + 0.6 * 0.125, 1e-9);
    assert_near(row(&r, REPORT_SHADOW, "device=usual", "p99_difference")->value, 0.5, 0.125); /* its bin */
    assert_true(row(&r, REPORT_SHADOW, "device=usual", "psi")->value > 0.1);
    assert_null(row(&r, REPORT_SHADOW, "device=once", "agreement")); /* of one event nothing is told, but for its place among the top */
    assert_true(top->value == 3 && top->count == 201);
    assert_string_equal(top->detail, "{\"top\": [{\"segment\": \"device=rare\", \"agreement\": 0.6, \"disagreeing\": 40, \"events\": 100}, "
        "{\"segment\": \"device=once\", \"agreement\": 0, \"disagreeing\": 1, \"events\": 1}, "
        "{\"segment\": \"device=usual\", \"agreement\": 0.9, \"disagreeing\": 10, \"events\": 100}]}");
    finish_rows(&r);
}

static void many_long_segments_are_listed_as_far_as_there_is_room(void **state)
{
    struct sketch_scene *f = *state;
    for (int i = 0; i < 31; i++) {
        char device[200]; /* each byte of it is six in JSON */
        snprintf(device, sizeof device, "\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001%d", i);
        add(f->sketch, (struct compared){.offset = i, .device = device, .served = 0.1f, .own = 0.95f});
    }
    struct rows_of_window r = rows_of(f);
    const char *detail = row(&r, REPORT_SHADOW, "score", "disagreeing_segments")->detail;
    assert_non_null(strstr(detail, "{\"top\": [{\"segment\": "));
    assert_string_equal(detail + strlen(detail) - 3, "}]}");
    finish_rows(&r);
}

static void rows_tell_which_features_make_the_difference(void **state)
{
    struct sketch_scene *f = *state;
    struct sketch_cell *cell = NULL;
    for (int i = 0; i < 10; i++)
        cell = add(f->sketch, (struct compared){.offset = i, .device = "usual", .served = 0.1f, .own = 0.95f});
    sketch_add_explained(f->shape, cell, SHADOW, 1, (float[]){0.5f, 1}, (float[]){0.5f, -1});
    sketch_add_explained(f->shape, cell, SHADOW, 2, (float[]){0.25f, 0}, (float[]){-0.25f, 1});
    struct rows_of_window r = rows_of(f);
    assert_true(row(&r, REPORT_SHADOW, "score", "explained")->value == 2 && row(&r, REPORT_SHADOW, "score", "explained")->count == 10);
    const struct report *flag = row(&r, REPORT_SHADOW, "flag", "contribution_difference"), *amount = row(&r, REPORT_SHADOW, "amount", "contribution_difference");
    assert_true(flag->value == 1.5 && flag->count == 2 && amount->value == 0.25);
    assert_string_equal(flag->detail, "{\"place\": 1, \"share\": 0.857143}");
    assert_string_equal(amount->detail, "{\"place\": 2, \"share\": 0.142857}");
    finish_rows(&r);
}

static void a_served_model_over_its_budget_is_a_warning_and_a_shadow_is_not(void **state)
{
    struct sketch_scene *f = *state;
    struct sketch_cell *cell = add(f->sketch, (struct compared){.offset = 0, .served = 0.1f, .own = 0.1f});
    sketch_add_timing(f->shape, cell, 0, 1000000, 1);
    sketch_add_timing(f->shape, cell, SHADOW, 1000000, 1);
    struct rows_of_window r = rows_of(f);
    int served = 0, shadows = 0;
    for (size_t i = 0; i < r.list.count; i++) {
        const struct report *row = &r.list.rows[i];
        if (strcmp(row->statistic, "scoring_p99_seconds"))
            continue;
        bool shadow = !strcmp(row->model_id, "shadow");
        assert_int_equal(row->severity, shadow ? SEVERITY_OK : SEVERITY_WARNING);
        assert_true(shadow ? isnan(row->threshold) : row->threshold == 5e-4);
        ++*(shadow ? &shadows : &served);
    }
    assert_true(served == 1 && shadows == 1);
    finish_rows(&r);
}

static void rows_tell_how_long_a_model_takes(void **state)
{
    struct sketch_scene *f = *state;
    struct sketch_cell *cell = add(f->sketch, (struct compared){.offset = 0, .served = 0.1f, .own = 0.1f});
    sketch_add_timing(f->shape, cell, 0, 98 * 1000, 98);     /* a microsecond each */
    sketch_add_timing(f->shape, cell, 0, 2 * 1000000, 2);    /* a millisecond each */
    struct rows_of_window r = rows_of(f);
    const struct report *mean = row(&r, REPORT_LATENCY, "score", "scoring_mean_seconds");
    assert_string_equal(mean->model_id, "champion");
    assert_near(mean->value, (98 * 1e-6 + 2 * 1e-3) / 100, 1e-12);
    assert_int_equal(mean->count, 100);
    assert_near(row(&r, REPORT_LATENCY, "score", "scoring_p50_seconds")->value, 1e-6, 1.3e-7);
    assert_near(row(&r, REPORT_LATENCY, "score", "scoring_p99_seconds")->value, 1e-3, 1.3e-4);
    finish_rows(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_parts_add_up_to_the_whole_however_the_stream_is_split), TEST(a_part_that_is_kept_is_complete),
        TEST(values_that_the_baseline_names_come_first_the_most_frequent_before_all), TEST(a_sketch_that_is_full_of_parts_says_so_and_counts),
        TEST(a_fourth_of_all_ids_may_be_explained), TEST(rows_tell_each_segment_and_who_disagrees_most),
        TEST(many_long_segments_are_listed_as_far_as_there_is_room), TEST(rows_tell_which_features_make_the_difference), TEST(rows_tell_how_long_a_model_takes),
        TEST(a_served_model_over_its_budget_is_a_warning_and_a_shadow_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
