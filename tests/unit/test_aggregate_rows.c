/* The rows of a closed window, and those of the wall clock. */
#include "monitor/baseline_builder.h"
#include "tests/unit/aggregate_scene.h"

static void drift_is_measured_against_the_baseline(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        scene_add(f->delta, (struct scene_event){.offset = i, .time_ms = i, .amount = (float)(i * 10), .flag = i % 10 < 6 ? 0 : 1,
                                .score = ((float)i + 0.5f) / 1000});
    scene_add(f->delta, (struct scene_event){.offset = 1000, .time_ms = 70 * S});
    commit(f);
    const struct report *same = row_of(f, 0, "amount", "psi"), *flag = row_of(f, 0, "flag", "psi"), *score = row_of(f, 0, "score", "psi");
    assert_near(same->value, 0, 1e-3); /* +1 smoothing alone */
    assert_int_equal(same->severity, SEVERITY_OK);
    assert_near(same->threshold, 0.1, 0);
    assert_int_equal(same->count, 1000);
    assert_true(isnan(same->p_value));
    assert_string_equal(same->detail, "");
    /* 600 and 400 of 1000 against 7500 and 2500 of 10000, and an empty bin beyond: three bins */
    assert_near(flag->value, 0.106165465605, 1e-11);
    assert_int_equal(flag->severity, SEVERITY_WARNING);
    assert_near(score->value, 0, 1e-3);
    assert_int_equal(score->severity, SEVERITY_OK);
    assert_string_equal(score->model_id, "champion");
    assert_near(aggregate_drift(f->aggregate)[1], flag->value, 0);
    assert_near(aggregate_drift(f->aggregate)[2], score->value, 0);
    assert_true(isnan(aggregate_drift(f->aggregate)[3])); /* the shadow scored nothing */
}

static void a_revision_of_an_old_window_is_not_the_newest_drift(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    commit_event(f, 0, 60);
    commit_event(f, 0, 130);
    double newest = aggregate_drift(f->aggregate)[0];
    for (int i = 0; i < 50; i++)
        scene_add(f->delta, (struct scene_event){.offset = 100 + i, .time_ms = i, .late_ms = 130 * S - i, .amount = 9000});
    commit(f);
    commit_event(f, 0, 189);
    f->reports.count = 0;
    aggregate_flush(f->aggregate, false, &f->reports);
    assert_string_equal(published(f), "0r1");
    assert_true(row_of(f, 0, "amount", "psi")->value != newest);
    assert_near(aggregate_drift(f->aggregate)[0], newest, 0);
}

static void too_few_values_are_published_and_not_judged(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 499; i++)
        scene_add(f->delta, (struct scene_event){.offset = i, .time_ms = i, .amount = 1e9f});
    scene_add(f->delta, (struct scene_event){.offset = 499, .time_ms = 70 * S});
    commit(f);
    const struct report *psi = row_of(f, 0, "amount", "psi");
    assert_true(psi->value > 1);
    assert_int_equal(psi->severity, SEVERITY_OK);
    assert_string_equal(psi->detail, "{\"judged\": false}");
    assert_near(row_of(f, 0, "amount", "out_of_range_share")->value, 1, 0);
}

static void another_models_score_is_not_judged_by_this_ones_baseline(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 600; i++) {
        struct sketch_cell *cell = sketch_add(f->delta, &(struct sketch_event){.offset = i, .time_ms = i, .row = (float[]){1, 1}});
        sketch_add_score(f->delta, cell, 1, 0.01f, DECISION_APPROVE);
    }
    event(f, 0, 70, 0);
    commit(f);
    size_t found = 0;
    for (size_t i = 0; i < f->reports.count; i++) {
        const struct report *r = &f->reports.rows[i];
        if (strcmp(r->statistic, "psi") != 0 || !r->model_id || strcmp(r->model_id, "shadow") != 0)
            continue;
        found++;
        assert_true(r->value > 1);
        assert_int_equal(r->severity, SEVERITY_OK);
        assert_string_equal(r->detail, "{\"judged\": false, \"baseline_model\": \"champion\"}");
    }
    assert_int_equal(found, 1);
}

static void a_field_that_goes_missing_is_judged(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        scene_add(f->delta, (struct scene_event){.offset = i, .time_ms = i, .amount = i < 300 ? NAN : 5});
    scene_add(f->delta, (struct scene_event){.offset = 1000, .time_ms = 70 * S});
    commit(f);
    const struct report *missing = row_of(f, 0, "amount", "missing_rate");
    assert_near(missing->value, 0.3, 0);
    assert_int_equal(missing->count, 1000);
    const struct report *change = row_of(f, 0, "amount", "missing_change");
    assert_near(change->value, 0.3, 0);
    assert_int_equal(change->severity, SEVERITY_CRITICAL);
    assert_true(change->p_value < 1e-9);
    assert_int_equal(row_of(f, 0, "flag", "missing_change")->severity, SEVERITY_OK);
    assert_int_equal(row_of(f, 0, "amount", "psi")->count, 700);
}

static void predictions_have_their_distribution(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        scene_add(f->delta, (struct scene_event){.offset = i, .time_ms = i, .score = i < 90 ? 0.25f : i < 97 ? 0.5f : 0.9375f});
    event(f, 0, 70, 0);
    commit(f);
    assert_near(row_of(f, 0, "score", "count")->value, 100, 0);
    assert_near(row_of(f, 0, "score", "mean")->value, 0.288125, 1e-9);
    assert_near(row_of(f, 0, "score", "p50")->value, 0.25, 0.25 / 16);
    assert_near(row_of(f, 0, "score", "p95")->value, 0.5, 0.5 / 16);
    assert_near(row_of(f, 0, "score", "p99")->value, 0.9375, 1.0 / 32);
    assert_near(row_of(f, 0, "score", "share_approve")->value, 0.90, 1e-12);
    assert_near(row_of(f, 0, "score", "share_review")->value, 0.07, 1e-12);
    assert_near(row_of(f, 0, "score", "share_decline")->value, 0.03, 1e-12);
    assert_near(row_of(f, 0, "score", "positive_share")->value, 0.10, 1e-12);
    assert_int_equal(row_of(f, 0, "score", "p99")->kind, REPORT_PREDICTION);
    assert_int_equal(row_of(f, 0, "score", "p99")->count, 100);
}

static void rejects_are_reported_by_reason(void **state)
{
    struct fixture *f = *state;
    event(f, 0, 5, 0);
    sketch_add_reject(f->delta, 0, 10, 5 * S, REJECT_DUPLICATE, -1);
    sketch_add_reject(f->delta, 0, 11, 5 * S, REJECT_DUPLICATE, -1);
    sketch_add_reject(f->delta, 0, 12, 5 * S, REJECT_RANGE, -1);
    event(f, 0, 70, 0);
    commit(f);
    assert_near(row_of(f, 0, "transactions", "records")->value, 4, 0);
    assert_near(row_of(f, 0, "transactions", "rejects")->value, 3, 0);
    assert_int_equal(row_of(f, 0, "transactions", "rejects")->count, 4);
    for (int reason = REJECT_NONE + 1; reason < REJECT_REASON_COUNT; reason++) {
        char statistic[64];
        snprintf(statistic, sizeof statistic, "rejects_%s", reject_name((enum reject_reason)reason));
        double wanted = reason == REJECT_DUPLICATE ? 2 : reason == REJECT_RANGE ? 1 : 0;
        assert_near(row_of(f, 0, "transactions", statistic)->value, wanted, 0); /* the quiet ones too */
    }
}

static void field_age_is_from_the_last_value_to_the_windows_end(void **state)
{
    struct fixture *f = *state;
    scene_add(f->delta, (struct scene_event){.offset = 0, .time_ms = 20 * S, .device = true});
    scene_add(f->delta, (struct scene_event){.offset = 1, .time_ms = 50 * S});
    scene_add(f->delta, (struct scene_event){.offset = 2, .time_ms = 90 * S});
    scene_add(f->delta, (struct scene_event){.offset = 3, .time_ms = 140 * S});
    commit(f);
    assert_near(row_of(f, 0, "device", "age_seconds")->value, 40, 0);
    assert_near(row_of(f, 0, "amount_minor", "age_seconds")->value, 10, 0);
    assert_near(row_of(f, 60, "device", "age_seconds")->value, 100, 0);
    assert_int_equal(row_of(f, 60, "device", "age_seconds")->kind, REPORT_FRESHNESS);
}

static void field_age_reaches_back_to_forgotten_windows(void **state)
{
    struct fixture *f = *state;
    int64_t most = (int64_t)aggregate_windows_max(f->shape);
    scene_add(f->delta, (struct scene_event){.time_ms = 20 * S, .device = true});
    for (int64_t i = 1; i <= most; i++)
        event(f, 0, i * 60, 0);
    commit(f);
    event(f, 0, (most + 5) * 60, 0);
    commit(f);
    int64_t start = most * 60;
    assert_near(row_of(f, start, "device", "age_seconds")->value, (double)(start + 60 - 20), 0);
}

static void a_field_never_seen_counts_from_the_first_window(void **state)
{
    struct fixture *f = *state;
    event(f, 0, 65, 0);
    event(f, 0, 200, 0);
    commit(f);
    assert_near(row_of(f, 60, "device", "age_seconds")->value, 60, 0);
    assert_string_equal(row_of(f, 60, "device", "age_seconds")->detail, "{\"seen\": false}");
}

static void health_is_on_the_wall_clock(void **state)
{
    struct fixture *f = *state;
    scene_add(f->delta, (struct scene_event){.time_ms = 20 * S}); /* merged at 2,000 s; `device` is null */
    commit(f);
    f->reports.count = 0;
    struct partition_health partitions[] = {{3, 2000500, 90, 100, 0}, {4, TIME_UNKNOWN, -1, 100, 0}};
    aggregate_partition_health(f->aggregate, partitions, 2, 2003000, &f->reports);
    aggregate_field_health(f->aggregate, 2003000, &f->reports);
    assert_int_equal(f->reports.count, 2 + SCENE_FIELDS);
    assert_string_equal(f->reports.rows[0].subject, "transactions-3");
    assert_string_equal(f->reports.rows[0].statistic, "stream_lag_seconds");
    assert_near(f->reports.rows[0].value, 2.5, 0);
    assert_string_equal(f->reports.rows[1].statistic, "consumer_lag_records");
    assert_near(f->reports.rows[1].value, 10, 0);
    assert_near(row_of(f, 2003, "amount_minor", "wall_age_seconds")->value, 3, 0);
    assert_near(row_of(f, 2003, "device", "wall_age_seconds")->value, 1003, 0); /* since the start at 1,000 s */
}

static void latencies_have_quantiles_and_open_no_window(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    int64_t bins[LATENCY_BINS] = {[1] = 1};
    sketch_add_latencies(f->delta, 0, 3000 * S, bins); /* no record lies there */
    bins[1] = 0;
    bins[latency_bin(20)] = 98;
    bins[latency_bin(5000)] = 2;
    sketch_add_latencies(f->delta, 0, 5 * S, bins);
    commit(f);
    commit_event(f, 0, 70);
    assert_string_equal(published(f), "0");
    assert_near(row_of(f, 0, "transactions", "p50_seconds")->value, 0.021, 0.0021);
    assert_near(row_of(f, 0, "transactions", "p99_seconds")->value, 5, 0.7);
    assert_int_equal(row_of(f, 0, "transactions", "p99_seconds")->kind, REPORT_LATENCY);
}

/* Windows of a day: contributions are judged there alone. */
static void a_contribution_of_the_other_sign_is_a_warning_in_a_window_of_a_day(void **state)
{
    enum { N = 100, COLUMNS = 3 };
    struct fixture *f = *state;
    float sample[N * COLUMNS];
    int64_t day = 86400000;
    for (int i = 0; i < N; i++) {
        sample[i * COLUMNS] = 0.5f + (float)(i % 2) * 0.25f;
        sample[i * COLUMNS + 1] = -0.5f;
    }
    baseline_set_contributions(f->baseline, sample, N);
    struct aggregate *aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions", .width_count = 1, .widths_ms = &day}, 0);
    for (int i = 0; i < N; i++) {
        struct sketch_event event = {.offset = i, .time_ms = i, .schema_id = -1};
        sketch_add_contributions(f->delta, sketch_add(f->delta, &event), (float[]){-0.5f - (float)(i % 2) * 0.125f, -0.75f});
    }
    event(f, 0, 3 * 86400, 0);
    aggregate_merge(aggregate, f->delta, 0, &f->reports);
    const struct report *found[2][2] = {{0}};
    for (size_t i = 0; i < f->reports.count; i++)
        if (!strcmp(f->reports.rows[i].statistic, "contribution"))
            found[f->reports.rows[i].window_end_ms == day][!strcmp(f->reports.rows[i].subject, "flag")] = &f->reports.rows[i];
    assert_true(found[0][0] && found[0][1] && found[1][0] && found[1][1]);
    assert_near(found[1][0]->value, -0.5625, 1e-6);
    assert_true(found[1][0]->severity == SEVERITY_WARNING && found[1][0]->count == N && found[1][0]->judged);
    assert_string_equal(found[1][0]->model_id, "champion");
    assert_non_null(strstr(found[1][0]->detail, "\"baseline\": 0.625"));
    assert_true(found[1][1]->severity == SEVERITY_OK && found[1][1]->judged);
    assert_true(found[0][0]->severity == SEVERITY_OK && !found[0][0]->judged);
    aggregate_destroy(aggregate);
}

static void far_values_are_named_by_their_offsets(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    scene_add(f->delta, (struct scene_event){.offset = f->offset[0]++, .time_ms = 6 * S, .amount = 1e6f}); /* the baseline: 0..9999 */
    commit(f);
    commit_event(f, 0, 70);
    const struct report *far = row_of(f, 0, "amount", "far_values");
    assert_near(far->value, 1, 0);
    assert_string_equal(far->detail, "{\"events\": [{\"partition\": 0, \"offset\": 1, \"sigmas\": 345}]}");
    assert_string_equal(row_of(f, 0, "flag", "far_values")->detail, "");
}

static void entities_have_ages(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++) {
        struct sketch_event event = {.offset = i, .time_ms = 5 * S, .schema_id = -1};
        sketch_add_entity(f->delta, sketch_add(f->delta, &event), 5 * S, i < 20 ? TIME_UNKNOWN : i < 98 ? 2 * S : -100000 * S);
    }
    f->offset[0] = 100;
    event(f, 0, 70, 0);
    commit(f);
    assert_near(row_of(f, 0, "entities", "new_share")->value, 0.2, 1e-12);
    assert_int_equal(row_of(f, 0, "entities", "new_share")->count, 100);
    assert_near(row_of(f, 0, "entities", "p50_seconds")->value, 3.5, 0.5);
    assert_near(row_of(f, 0, "entities", "p99_seconds")->value, 100005, 12500);
    assert_int_equal(row_of(f, 0, "entities", "p50_seconds")->count, 80);
}

static void schema_ids_are_named(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        scene_add(f->delta, (struct scene_event){.offset = i, .time_ms = i, .schema_id = i < 3 ? 7 : 12});
    scene_add(f->delta, (struct scene_event){.offset = 5, .time_ms = 70 * S, .schema_id = 7});
    commit(f);
    const struct report *ids = row_of(f, 0, "transactions", "schema_ids");
    assert_near(ids->value, 2, 0);
    assert_non_null(strstr(ids->detail, "\"7\": 3"));
    assert_non_null(strstr(ids->detail, "\"12\": 2"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(drift_is_measured_against_the_baseline),
        TEST(a_revision_of_an_old_window_is_not_the_newest_drift),
        TEST(too_few_values_are_published_and_not_judged),
        TEST(another_models_score_is_not_judged_by_this_ones_baseline),
        TEST(a_field_that_goes_missing_is_judged),
        TEST(predictions_have_their_distribution),
        TEST(rejects_are_reported_by_reason),
        TEST(field_age_is_from_the_last_value_to_the_windows_end),
        TEST(field_age_reaches_back_to_forgotten_windows),
        TEST(a_field_never_seen_counts_from_the_first_window),
        TEST(health_is_on_the_wall_clock),
        TEST(latencies_have_quantiles_and_open_no_window),
        TEST(a_contribution_of_the_other_sign_is_a_warning_in_a_window_of_a_day),
        TEST(far_values_are_named_by_their_offsets),
        TEST(entities_have_ages),
        TEST(schema_ids_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
