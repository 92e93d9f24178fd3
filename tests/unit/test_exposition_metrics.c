#include "monitor/metrics.h"

#include "tests/unit/exposition_parser.h"
#include "tests/unit/monitor_scene.h"

struct fixture {
    struct sketch_shape *shape;
    struct sketch *delta;
    struct metrics lanes[2], total;
    char *memory;
    struct text_buffer text;
};

enum { TEXT_MAX = 1 << 18 };

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->shape = scene_shape(NULL, 0);
    f->delta = sketch_create(f->shape);
    assert_int_equal(metrics_init(&f->lanes[0], f->shape), 0);
    assert_int_equal(metrics_init(&f->lanes[1], f->shape), 0);
    assert_int_equal(metrics_init(&f->total, f->shape), 0);
    f->memory = malloc(TEXT_MAX);
    text_init(&f->text, f->memory, TEXT_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    metrics_finish(&f->lanes[0]);
    metrics_finish(&f->lanes[1]);
    metrics_finish(&f->total);
    sketch_destroy(f->delta);
    sketch_shape_destroy(f->shape);
    free(f->memory);
    free(f);
    return 0;
}

static struct process_metrics a_process(void)
{
    return (struct process_metrics){.version = "9.9", .cpu_seconds = 1.25, .start_time_seconds = 1700000000, .resident_bytes = 4096,
        .virtual_bytes = -1, .open_fds = 7, .max_fds = 1024, .ready = true, .now_ms = 100000};
}

static void committed_deltas_become_counters(void **state)
{
    struct fixture *f = *state;
    scene_add(f->delta, (struct scene_event){.partition = 0, .offset = 0, .time_ms = 1000, .amount = NAN, .score = 0.95f});
    scene_add(f->delta, (struct scene_event){.partition = 1, .offset = 0, .time_ms = 70000, .late_ms = 5, .score = 0.25f});
    struct sketch_cell *cell = sketch_add(f->delta, &(struct sketch_event){.partition = 1, .time_ms = 70000, .row = (float[]){1, 1}});
    sketch_add_score(f->delta, cell, 0, 0.6f, DECISION_REVIEW);
    sketch_add_score(f->delta, cell, 1, 0.7f, DECISION_REVIEW);
    sketch_add_shed(f->delta, cell, 1);
    sketch_add_reject(f->delta, 1, 1, 70000, REJECT_DUPLICATE, -1);
    metrics_add_sketch(&f->lanes[0], f->delta);
    metrics_add_sketch(&f->lanes[1], f->delta);
    metrics_merge(&f->total, &f->lanes[0]);
    metrics_merge(&f->total, &f->lanes[1]);
    metrics_expose(&f->total, &(struct process_metrics){.version = "1", .now_ms = 0}, &f->text);
    struct parsed *p = parse_exposition(f->text.data);
    assert_near(parsed_value(p, "weir_records_total", ""), 8, 0);
    assert_near(parsed_value(p, "weir_predictions_total", ""), 6, 0);
    assert_near(parsed_value(p, "weir_late_events_total", ""), 2, 0);
    assert_near(parsed_value(p, "weir_dead_letters_total", "reason=duplicate"), 2, 0);
    assert_near(parsed_value(p, "weir_dead_letters_total", "reason=not_avro"), 0, 0);
    assert_near(parsed_value(p, "ml_predictions_total", "model_version=champion,outcome=DECLINE"), 2, 0);
    assert_near(parsed_value(p, "ml_predictions_total", "model_version=champion,outcome=APPROVE"), 2, 0);
    assert_near(parsed_value(p, "weir_shadow_predictions_total", "model_version=shadow,outcome=REVIEW"), 2, 0);
    assert_near(parsed_value(p, "weir_shadow_shed_total", "model_version=shadow"), 2, 0);
    assert_near(parsed_value(p, "weir_incomplete_windows_total", ""), 2, 0);
    assert_near(parsed_value(p, "ml_feature_missing_total", "feature=amount"), 2, 0);
    assert_near(parsed_value(p, "ml_prediction_value_count", "model_version=champion,role=served"), 6, 0);
    assert_near(parsed_value(p, "ml_prediction_value_sum", "model_version=champion,role=served"), 3.6, 1e-6);
    assert_near(parsed_bucket(p, "ml_prediction_value_bucket", "model_version=champion,role=served", 0.25), 2, 0);
    assert_near(parsed_value(p, "ml_model_confidence_count", "model_version=champion,role=served"), 6, 0);
    assert_near(parsed_bucket(p, "ml_model_confidence_bucket", "model_version=champion,role=served", 0.65), 2, 0); /* 0.6f twice */
    assert_near(parsed_bucket(p, "ml_model_confidence_bucket", "model_version=champion,role=served", 0.9), 4, 0); /* and 0.25 twice, 0.95 beyond */
    free(p);
}

static void what_a_lane_sets_is_shown(void **state)
{
    struct fixture *f = *state;
    struct metrics *m = &f->total;
    m->commits = 3;
    m->entities = 11;
    m->retained_events = 12;
    histogram_observe(&m->commit_seconds, 3000000, 1);     /* 3 ms */
    histogram_observe(&m->latency_seconds, 100000000, 40); /* 100 ms: on the bound, so within it */
    histogram_observe(&m->latency_seconds, 90000000000, 2);
    histogram_observe(&m->end_to_end_seconds, INT64_C(1800000000000000000), 1000); /* since 1970 */
    m->stage_ns[STAGE_SCORE] = 1500000000;
    metrics_set_partition(m, (struct partition_health){.partition = 12, .stream_time_ms = 97500, .position = 40, .end_offset = 100});
    metrics_set_partition(m, (struct partition_health){.partition = 3, .stream_time_ms = TIME_UNKNOWN, .position = -1, .end_offset = 5});
    double drift[] = {0.25, NAN, 0.5, NAN};
    struct process_metrics process = a_process();
    process.drift = drift;
    metrics_expose(m, &process, &f->text);
    struct parsed *p = parse_exposition(f->text.data);
    assert_near(parsed_value(p, "weir_commits_total", ""), 3, 0);
    assert_near(parsed_value(p, "weir_entities", ""), 11, 0);
    assert_near(parsed_value(p, "weir_retained_events", ""), 12, 0);
    assert_near(parsed_bucket(p, "weir_commit_seconds_bucket", "", 0.0025), 0, 0);
    assert_near(parsed_bucket(p, "weir_commit_seconds_bucket", "", 0.005), 1, 0);
    assert_near(parsed_bucket(p, "ml_prediction_latency_seconds_bucket", "", 0.1), 40, 0);
    assert_near(parsed_bucket(p, "ml_prediction_latency_seconds_bucket", "", 60), 40, 0);
    assert_near(parsed_value(p, "ml_prediction_latency_seconds_count", ""), 42, 0);
    assert_near(parsed_value(p, "ml_prediction_latency_seconds_sum", ""), 184, 1e-9);
    assert_near(parsed_value(p, "weir_end_to_end_latency_seconds_sum", ""), 1.8e12, 1);
    assert_near(parsed_bucket(p, "weir_end_to_end_latency_seconds_bucket", "", 60), 0, 0);
    assert_near(parsed_value(p, "weir_stage_cpu_seconds_total", "stage=score"), 1.5, 0);
    assert_near(parsed_value(p, "weir_stream_time_lag_seconds", "partition=12"), 2.5, 0);
    assert_near(parsed_value(p, "weir_consumer_lag_records", "partition=12"), 60, 0);
    assert_null(strstr(f->text.data, "partition=\"3\"")); /* nothing is known of it yet */
    assert_near(parsed_value(p, "ml_drift_score", "feature_name=amount"), 0.25, 0);
    assert_null(strstr(f->text.data, "feature_name=\"flag\""));
    assert_near(parsed_value(p, "weir_score_drift", "model_version=champion,role=served"), 0.5, 0);
    assert_near(parsed_value(p, "process_resident_memory_bytes", ""), 4096, 0);
    assert_null(strstr(f->text.data, "process_virtual_memory_bytes"));
    assert_near(parsed_value(p, "weir_build_info", "version=9.9"), 1, 0);
    assert_near(parsed_value(p, "weir_ready", ""), 1, 0);
    free(p);
}

static void a_copy_is_the_whole_and_replaces_what_was_there(void **state)
{
    struct fixture *f = *state;
    scene_add(f->delta, (struct scene_event){.time_ms = 1, .score = 0.5f, .amount = NAN});
    metrics_add_sketch(&f->lanes[0], f->delta);
    f->lanes[0].commits = 5;
    metrics_set_partition(&f->lanes[0], (struct partition_health){.partition = 1, .stream_time_ms = 2, .position = 3, .end_offset = 4});
    metrics_copy(&f->lanes[1], &f->lanes[0]);
    metrics_copy(&f->lanes[1], &f->lanes[0]);
    assert_int_equal(f->lanes[1].records, 1);
    assert_int_equal(f->lanes[1].commits, 5);
    assert_int_equal(f->lanes[1].feature_missing[0], 1);
    assert_int_equal(f->lanes[1].decisions[DECISION_REVIEW], 1);
    assert_int_equal(f->lanes[1].partition_count, 1);
    metrics_drop_partition(&f->lanes[0], 1);
    metrics_copy(&f->lanes[1], &f->lanes[0]);
    assert_int_equal(f->lanes[1].partition_count, 0);
}

static void latency_quantiles_come_from_the_buckets(void **state)
{
    (void)state;
    struct histogram h = {0};
    assert_true(isnan(histogram_quantile(&h, 0.5)));
    histogram_observe(&h, 7500000, 50);     /* in (5 ms, 10 ms] */
    histogram_observe(&h, 40000000, 49);    /* in (25 ms, 50 ms] */
    histogram_observe(&h, 120000000000, 1); /* beyond */
    assert_near(histogram_quantile(&h, 0.25), 0.0075, 1e-12);
    assert_near(histogram_quantile(&h, 0.5), 0.01, 1e-12);
    assert_near(histogram_quantile(&h, 0.99), 0.05, 1e-12);
    assert_near(histogram_quantile(&h, 0.999), 60, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(committed_deltas_become_counters),
        TEST(what_a_lane_sets_is_shown),
        TEST(a_copy_is_the_whole_and_replaces_what_was_there),
        cmocka_unit_test(latency_quantiles_come_from_the_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
