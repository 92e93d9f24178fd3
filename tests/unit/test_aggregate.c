/* Windows are 60 s, lateness 10 s: [0, 60) closes when every partition has T >= 70 s, or the largest T is >= 130 s. */
#include "monitor/aggregate.h"
#include "monitor/baseline_builder.h"

#include "tests/unit/monitor_scene.h"

enum { S = 1000 };

struct fixture {
    struct baseline *baseline;
    struct sketch_shape *shape;
    struct aggregate *aggregate;
    struct sketch *delta;
    struct report_list reports;
    int64_t offset[8];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->baseline = scene_baseline();
    f->shape = scene_shape(f->baseline, 20);
    f->aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions"}, 1000000);
    f->delta = sketch_create(f->shape);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    report_list_finish(&f->reports);
    sketch_destroy(f->delta);
    aggregate_destroy(f->aggregate);
    sketch_shape_destroy(f->shape);
    baseline_destroy(f->baseline);
    free(f);
    return 0;
}

/* Into the open delta. */
static void event(struct fixture *f, int32_t partition, int64_t seconds, int64_t late_seconds)
{
    scene_add(f->delta, (struct scene_event){.partition = partition, .offset = f->offset[partition]++, .time_ms = seconds * S,
                            .late_ms = late_seconds * S, .amount = 5, .score = 0.01f});
}

/* The delta is committed; only the rows of this commit are kept. */
static void commit(struct fixture *f)
{
    f->reports.count = 0;
    aggregate_merge(f->aggregate, f->delta, 2000000, &f->reports);
    sketch_reset(f->delta);
}

static void commit_event(struct fixture *f, int32_t partition, int64_t seconds)
{
    event(f, partition, seconds, 0);
    commit(f);
}

static const struct report *find(const struct fixture *f, int64_t window_s, const char *subject, const char *statistic)
{
    const struct report *found = NULL;
    for (size_t i = 0; i < f->reports.count; i++) {
        const struct report *r = &f->reports.rows[i];
        if (r->window_start_ms == window_s * S && !strcmp(r->subject, subject) && !strcmp(r->statistic, statistic) &&
            (!r->model_id || !strcmp(r->model_id, "champion"))) {
            assert_null(found);
            found = r;
        }
    }
    return found;
}

static const struct report *row_of(const struct fixture *f, int64_t window_s, const char *subject, const char *statistic)
{
    const struct report *r = find(f, window_s, subject, statistic);
    if (!r)
        fail_msg("no row %s %s of the window at %d s", subject, statistic, (int)window_s);
    return r;
}

/* "0 60r1": the windows written by the last commit, in order, with their revisions. */
static const char *published(const struct fixture *f)
{
    static char text[4096];
    text[0] = 0;
    for (size_t i = 0; i < f->reports.count; i++) {
        const struct report *r = &f->reports.rows[i];
        if (strcmp(r->statistic, "records") != 0)
            continue;
        int revision = 0;
        if (*r->detail)
            assert_int_equal(sscanf(r->detail, "{\"revision\": %d}", &revision), 1);
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, revision ? "%s%ldr%d" : "%s%ld", n ? " " : "", (long)(r->window_start_ms / S), revision);
    }
    return text;
}

/* Closing */

static void one_partition_closes_a_window_at_its_end_plus_lateness(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    assert_string_equal(published(f), "");
    scene_add(f->delta, (struct scene_event){.offset = 1, .time_ms = 70 * S - 1});
    commit(f);
    assert_string_equal(published(f), "");
    commit_event(f, 0, 70);
    assert_string_equal(published(f), "0");
    assert_near(row_of(f, 0, "transactions", "records")->value, 1, 0);
    assert_int_equal(row_of(f, 0, "transactions", "records")->window_end_ms, 60 * S);
}

static void a_slow_partition_holds_a_window_open_for_one_window_more(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    commit_event(f, 1, 6);
    commit_event(f, 0, 129);
    assert_string_equal(published(f), "");
    commit_event(f, 0, 130);
    assert_string_equal(published(f), "0");
    assert_near(row_of(f, 0, "transactions", "records")->value, 2, 0);
}

static void all_partitions_past_it_close_it(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    commit_event(f, 1, 6);
    commit_event(f, 0, 100);
    assert_string_equal(published(f), "");
    commit_event(f, 1, 70);
    assert_string_equal(published(f), "0");
}

static void a_partition_that_went_elsewhere_holds_nothing(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    commit_event(f, 1, 6);
    commit_event(f, 0, 100);
    f->reports.count = 0;
    aggregate_forget(f->aggregate, 1, &f->reports);
    assert_string_equal(published(f), "0");
}

static void windows_close_in_order(void **state)
{
    struct fixture *f = *state;
    event(f, 0, 125, 0);
    event(f, 0, 65, 60);
    event(f, 0, 5, 120);
    event(f, 0, 1000, 0);
    commit(f);
    assert_string_equal(published(f), "0 60 120");
}

static void a_late_event_within_the_lateness_is_in_the_first_publication(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 69);
    event(f, 0, 59, 10); /* as late as the lateness allows */
    commit(f);
    assert_string_equal(published(f), "");
    commit_event(f, 0, 70);
    assert_string_equal(published(f), "0");
    assert_near(row_of(f, 0, "transactions", "records")->value, 1, 0);
    assert_near(row_of(f, 0, "transactions", "late")->value, 0, 0);
}

static void an_event_beyond_the_lateness_is_counted_as_late(void **state)
{
    struct fixture *f = *state;
    event(f, 0, 59, 11);
    event(f, 0, 58, 12);
    event(f, 0, 70, 0);
    commit(f);
    assert_near(row_of(f, 0, "transactions", "late")->value, 2, 0);
}

/* Revisions */

static void later_events_give_a_revision_a_window_later(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    commit_event(f, 0, 70);
    event(f, 0, 6, 64);
    event(f, 0, 7, 63);
    commit(f);
    assert_string_equal(published(f), "");
    commit_event(f, 0, 129); /* 59 s after the publication at T = 70 */
    assert_string_equal(published(f), "");
    commit_event(f, 0, 130);
    assert_string_equal(published(f), "0r1 60");
    assert_near(row_of(f, 0, "transactions", "records")->value, 3, 0);
    assert_string_equal(row_of(f, 0, "amount", "missing_rate")->detail, "{\"revision\": 1}");
    commit_event(f, 0, 131);
    assert_string_equal(published(f), "");
    assert_int_equal(aggregate_count(f->aggregate).revisions, 1);
}

static void the_next_revision_waits_twice_as_long(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    commit_event(f, 0, 70);
    event(f, 0, 6, 64);
    commit(f);
    commit_event(f, 0, 130);
    event(f, 0, 6, 124);
    commit(f);
    commit_event(f, 0, 190);
    assert_string_equal(published(f), "120");
    commit_event(f, 0, 250);
    assert_string_equal(published(f), "0r2 180");
}

static void a_window_that_no_one_saw_in_time_is_a_revision(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 300); /* everything up to 240 s is over, though there was nothing */
    commit_event(f, 1, 5);
    assert_string_equal(published(f), "");
    f->reports.count = 0;
    aggregate_flush(f->aggregate, false, &f->reports);
    assert_string_equal(published(f), "0r1");
    assert_near(row_of(f, 0, "transactions", "records")->value, 1, 0);
}

static void flush_publishes_what_waits_and_all_what_is_open(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    commit_event(f, 0, 70);
    event(f, 0, 6, 64);
    commit(f);
    f->reports.count = 0;
    aggregate_flush(f->aggregate, false, &f->reports);
    assert_string_equal(published(f), "0r1");
    f->reports.count = 0;
    aggregate_flush(f->aggregate, true, &f->reports);
    assert_string_equal(published(f), "60");
    f->reports.count = 0;
    aggregate_flush(f->aggregate, true, &f->reports);
    assert_string_equal(published(f), "");
}

/* Bounds */

static void too_many_windows_close_the_oldest_and_older_ones_are_beyond(void **state)
{
    struct fixture *f = *state;
    int64_t most = (int64_t)aggregate_windows_max(f->shape);
    for (int64_t i = 1; i <= most; i++)
        sketch_add_reject(f->delta, 0, i, i * SCENE_WINDOW, REJECT_NOT_AVRO, -1); /* no event: T stays unknown, nothing closes */
    commit(f);
    assert_string_equal(published(f), "");
    sketch_add_reject(f->delta, 0, most + 1, 0, REJECT_NOT_AVRO, -1);
    commit(f);
    assert_int_equal(aggregate_count(f->aggregate).beyond, 1);
    sketch_add_reject(f->delta, 0, most + 2, (most + 1) * SCENE_WINDOW, REJECT_NOT_AVRO, -1);
    commit(f);
    assert_string_equal(published(f), "60");
    assert_near(row_of(f, 60, "transactions", "beyond")->value, 1, 0);
    sketch_add_reject(f->delta, 0, most + 3, (most + 2) * SCENE_WINDOW, REJECT_NOT_AVRO, -1);
    commit(f);
    assert_near(row_of(f, 120, "transactions", "beyond")->value, 0, 0); /* said once */
    sketch_add_reject(f->delta, 0, most + 4, SCENE_WINDOW, REJECT_NOT_AVRO, -1); /* forgotten: not opened again */
    commit(f);
    assert_string_equal(published(f), "");
    assert_int_equal(aggregate_count(f->aggregate).beyond, 2);
}

static void a_forgotten_window_is_revised_before(void **state)
{
    struct fixture *f = *state;
    int64_t most = (int64_t)aggregate_windows_max(f->shape);
    commit_event(f, 0, 5);
    commit_event(f, 0, 70);
    event(f, 0, 6, 64);
    for (int64_t i = 2; i <= most; i++)
        sketch_add_reject(f->delta, 0, 1000 + i, i * SCENE_WINDOW, REJECT_NOT_AVRO, -1);
    commit(f);
    assert_string_equal(published(f), "0r1");
    assert_near(row_of(f, 0, "transactions", "records")->value, 2, 0);
}

/* Rows */

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

static struct report silence_at(struct fixture *f, int64_t seconds)
{
    struct report_list rows = {0};
    aggregate_input_health(f->aggregate, seconds * S, &rows);
    assert_int_equal(rows.count, 1);
    struct report row = rows.rows[0];
    assert_string_equal(row.statistic, "silence_seconds");
    assert_string_equal(row.subject, "transactions");
    report_list_finish(&rows);
    return row;
}

/* By a baseline of 10,000 rows without times: fifteen minutes. */
static void a_silent_input_is_known_by_the_clock(void **state)
{
    struct fixture *f = *state;
    assert_false(silence_at(f, 1001).judged); /* a second after the start: who knows */
    commit_event(f, 0, 5);                    /* merged at 2,000 s */
    assert_true(silence_at(f, 2010).judged && silence_at(f, 2010).severity == SEVERITY_OK);
    assert_near(silence_at(f, 2010).value, 10, 0);
    assert_int_equal(silence_at(f, 2899).severity, SEVERITY_OK);
    assert_int_equal(silence_at(f, 2900).severity, SEVERITY_WARNING);
    commit_event(f, 0, 6);
    assert_int_equal(silence_at(f, 2010).severity, SEVERITY_OK);
}

/* 100 events an hour in every hour of the week: 100 are missing after one. */
static void a_baseline_says_when_a_silence_is_one(void **state)
{
    struct fixture *f = *state;
    f->baseline->events = 100 * BASELINE_HOURS;
    for (int h = 0; h < BASELINE_HOURS; h++) {
        f->baseline->hour_events[h] = 100;
        f->baseline->hour_covered_ms[h] = 3600 * S;
    }
    commit_event(f, 0, 5); /* merged at 2,000 s */
    struct report early = silence_at(f, 2000 + 3590), late = silence_at(f, 2000 + 3600);
    assert_false(early.judged);
    assert_true(late.judged && late.severity == SEVERITY_CRITICAL);
    assert_near(late.baseline, 100, 1e-6);
}

static void a_replay_tells_of_silence_by_stream_time(void **state)
{
    struct fixture *f = *state;
    struct aggregate *of_clock = f->aggregate;
    f->aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions", .stream_clock = true}, 0);
    commit_event(f, 0, 5);
    commit_event(f, 0, 70);
    commit_event(f, 0, 1200); /* windows of a minute: nothing from 120 s to 1,200 */
    int rows = 0;
    struct report longest = {0};
    for (size_t i = 0; i < f->reports.count; i++)
        if (!strcmp(f->reports.rows[i].statistic, "silence_seconds") && ++rows && f->reports.rows[i].value > longest.value)
            longest = f->reports.rows[i];
    assert_true(rows >= 15 && longest.value >= 900 && longest.value <= 1080);
    assert_int_equal(longest.severity, SEVERITY_WARNING);
    assert_int_equal(longest.window_start_ms, longest.window_end_ms);
    aggregate_destroy(f->aggregate);
    f->aggregate = of_clock;
}

/* 10,000 events an hour in every hour of the week: 167 of them in the minute before the first. */
static void a_replay_was_not_silent_before_its_first_record(void **state)
{
    struct fixture *f = *state;
    f->baseline->events = f->baseline->records = 10000 * BASELINE_HOURS;
    for (int h = 0; h < BASELINE_HOURS; h++) {
        f->baseline->hour_events[h] = 10000;
        f->baseline->hour_covered_ms[h] = 3600 * S;
    }
    struct aggregate *of_clock = f->aggregate;
    f->aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions", .stream_clock = true}, 0);
    for (int64_t t = 605; t < 800; t += 5) {
        commit_event(f, 0, t);
        for (size_t i = 0; i < f->reports.count; i++)
            if (!strcmp(f->reports.rows[i].statistic, "silence_seconds"))
                assert_int_equal(f->reports.rows[i].severity, SEVERITY_OK);
    }
    aggregate_destroy(f->aggregate);
    f->aggregate = of_clock;
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

static void offsets_that_do_not_join_are_counted(void **state)
{
    struct fixture *f = *state;
    sketch_cover(f->delta, 0, 100, 200, 5);
    commit(f);
    sketch_cover(f->delta, 0, 200, 300, 6);
    commit(f);
    assert_int_equal(aggregate_count(f->aggregate).offset_gaps, 0);
    sketch_cover(f->delta, 0, 301, 310, 7);
    commit(f);
    sketch_cover(f->delta, 0, 309, 320, 8);
    commit(f);
    assert_int_equal(aggregate_count(f->aggregate).offset_gaps, 1);
    assert_int_equal(aggregate_count(f->aggregate).missed, 1);
    assert_int_equal(aggregate_count(f->aggregate).repeated, 1);
    aggregate_forget(f->aggregate, 0, &f->reports);
    sketch_cover(f->delta, 0, 900, 910, 9); /* it was elsewhere meanwhile */
    commit(f);
    assert_int_equal(aggregate_count(f->aggregate).offset_gaps, 1);
}

/* Events of two partitions, committed one by one or all at once: the last word on each window is the same. */
static void the_last_revision_does_not_depend_on_the_commits(void **state)
{
    struct fixture *one = *state, *other;
    set_up((void **)&other);
    uint64_t seed = 4;
    struct report_list last[2] = {{0}, {0}};
    struct fixture *both[] = {one, other};
    for (int i = 0; i < 3000; i++) {
        int64_t time = i * 200 + (int64_t)(scene_random(&seed) % 30000);
        float amount = (float)(scene_random(&seed) % 10000);
        for (int k = 0; k < 2; k++) {
            struct fixture *f = both[k];
            scene_add(f->delta, (struct scene_event){.partition = i & 1, .offset = i / 2, .time_ms = time, .amount = amount, .score = amount / 10000});
            if (i % (k ? 1000 : 7) == 0) {
                aggregate_merge(f->aggregate, f->delta, 0, &last[k]);
                sketch_reset(f->delta);
            }
        }
    }
    for (int k = 0; k < 2; k++) {
        aggregate_merge(both[k]->aggregate, both[k]->delta, 0, &last[k]);
        aggregate_flush(both[k]->aggregate, true, &last[k]);
    }
    size_t compared = 0;
    for (size_t i = 0; i < last[0].count; i++) {
        const struct report *a = &last[0].rows[i], *mine = a, *theirs = NULL;
        if (!strcmp(a->statistic, "beyond"))
            continue;
        for (int k = 0; k < 2; k++)
            for (size_t j = 0; j < last[k].count; j++) {
                const struct report *b = &last[k].rows[j];
                if (b->kind == a->kind && b->window_start_ms == a->window_start_ms && !strcmp(b->subject, a->subject) &&
                    !strcmp(b->statistic, a->statistic) && !strcmp(b->model_id ? b->model_id : "", a->model_id ? a->model_id : ""))
                    *(k ? &theirs : &mine) = b; /* the newest */
            }
        assert_non_null(theirs);
        assert_near(mine->value, theirs->value, 0);
        assert_int_equal(mine->count, theirs->count);
        compared++;
    }
    assert_true(compared > 300);
    report_list_finish(&last[0]);
    report_list_finish(&last[1]);
    void *done = other;
    tear_down(&done);
}

/* What a lane's record brings, as the aggregator's process gathers it: positions at once, cells over the partitions. */
static void gather(struct fixture *f, struct sketch *delta)
{
    for (size_t i = 0; i < sketch_position_count(delta); i++)
        assert_true(aggregate_take(f->aggregate, sketch_position(delta, i)));
    for (size_t i = 0; i < sketch_cell_count(delta); i++) {
        const struct sketch_cell *cell = sketch_cell(delta, i);
        sketch_cell_merge(f->shape, sketch_cell_open(f->delta, -1, cell->window_start_ms), cell);
    }
    if (aggregate_is_due(f->aggregate)) {
        aggregate_merge(f->aggregate, f->delta, 2000000, &f->reports);
        sketch_reset(f->delta);
    }
}

/* No event is later than the lateness: then not one row differs, nor their order. */
static void gathered_deltas_are_reported_as_single_ones_are(void **state)
{
    struct fixture *one = *state, *other;
    struct sketch *delta = sketch_create(one->shape);
    uint64_t seed = 12;
    set_up((void **)&other);
    for (int64_t i = 0; i < 6000; i++) {
        int64_t time_ms = i * 100 - (int64_t)(scene_random(&seed) % 5000);
        scene_add(delta, (struct scene_event){.partition = i & 1, .offset = i / 2, .time_ms = time_ms < 0 ? 0 : time_ms, .amount = (float)(scene_random(&seed) % 10000),
            .score = (float)(scene_random(&seed) % 1000) / 1000, .device = i % 3, .schema_id = (int32_t)(i % 2)});
        if (i % 20 != 19)
            continue;
        gather(other, delta);
        aggregate_merge(one->aggregate, delta, 2000000, &one->reports);
        sketch_reset(delta);
    }
    assert_true(one->reports.count > 300);
    assert_int_equal(one->reports.count, other->reports.count);
    for (size_t i = 0; i < one->reports.count; i++) {
        const struct report *a = &one->reports.rows[i], *b = &other->reports.rows[i];
        assert_int_equal(a->window_start_ms, b->window_start_ms);
        assert_string_equal(a->subject, b->subject);
        assert_string_equal(a->statistic, b->statistic);
        assert_string_equal(a->detail, b->detail);
        assert_memory_equal(&a->value, &b->value, sizeof a->value);
        assert_int_equal(a->count, b->count);
    }
    sketch_destroy(delta);
    void *done = other;
    tear_down(&done);
}

static void gathered_deltas_are_due_when_a_window_can_close(void **state)
{
    struct fixture *f = *state;
    assert_false(aggregate_is_due(f->aggregate));
    struct sketch_position at = {.partition = 3, .from = 0, .to = 1, .stream_time_ms = 15 * S};
    assert_true(aggregate_take(f->aggregate, &at));
    aggregate_merge(f->aggregate, f->delta, 0, &f->reports); /* from here on there is a frontier */
    at = (struct sketch_position){.partition = 3, .from = 1, .to = 2, .stream_time_ms = 70 * S - 1};
    assert_true(aggregate_take(f->aggregate, &at));
    assert_false(aggregate_is_due(f->aggregate));
    assert_false(aggregate_take(f->aggregate, &at)); /* a repetition */
    at = (struct sketch_position){.partition = 3, .from = 2, .to = 3, .stream_time_ms = 70 * S};
    assert_true(aggregate_take(f->aggregate, &at));
    assert_true(aggregate_is_due(f->aggregate));
}

/* Offsets that were there before: at least once sends them again. */
static void what_is_repeated_is_dropped(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        commit_event(f, 0, 5 + i);
    f->offset[0] = 1;
    event(f, 0, 6, 0);
    event(f, 0, 7, 0);
    commit(f);
    event(f, 0, 70, 0);
    commit(f);
    assert_near(row_of(f, 0, "transactions", "records")->value, 3, 0);
    assert_near(row_of(f, 0, "transactions", "repeated")->value, 2, 0);
    assert_int_equal(row_of(f, 0, "transactions", "repeated")->severity, SEVERITY_WARNING);
}

/* Offsets begin again, and time goes on: a topic made anew. */
static void a_new_topic_of_that_name_is_taken(void **state)
{
    struct fixture *f = *state;
    f->offset[0] = 500;
    commit_event(f, 0, 5);
    f->offset[0] = 0;
    commit_event(f, 0, 6);
    commit_event(f, 0, 70);
    assert_near(row_of(f, 0, "transactions", "records")->value, 2, 0);
    assert_near(row_of(f, 0, "transactions", "repeated")->value, 0, 0);
    assert_near(row_of(f, 0, "transactions", "offset_gaps")->value, 0, 0);
}

static void what_has_another_shape_is_counted(void **state)
{
    struct fixture *f = *state;
    commit_event(f, 0, 5);
    aggregate_pass(f->aggregate, &(struct sketch_position){.from = 1, .to = 8, .stream_time_ms = 9 * S}, &f->reports);
    f->offset[0] = 8;
    commit_event(f, 0, 70);
    assert_near(row_of(f, 0, "transactions", "unlike")->value, 7, 0);
    assert_near(row_of(f, 0, "transactions", "offset_gaps")->value, 0, 0);
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

/* An hour is the sum of its minutes, with the hour's own revisions. */
static void longer_windows_are_the_sum_of_the_short_ones(void **state)
{
    struct fixture *f = *state;
    const int64_t widths[] = {180 * S};
    aggregate_destroy(f->aggregate);
    f->aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions", .width_count = 1, .widths_ms = widths}, 0);
    for (int i = 0; i < 6; i++)
        event(f, 0, 30 * i + 5, 0);
    commit(f);
    commit_event(f, 0, 200);
    size_t found = 0;
    for (size_t i = 0; i < f->reports.count; i++) {
        const struct report *r = &f->reports.rows[i];
        if (strcmp(r->statistic, "records") != 0)
            continue;
        int64_t width = r->window_end_ms - r->window_start_ms;
        assert_near(r->value, width == 180 * S ? 6 : 2, 0);
        found += width == 180 * S;
    }
    assert_int_equal(found, 1);
}

static void nothing_is_reported_of_nothing(void **state)
{
    struct fixture *f = *state;
    commit(f);
    aggregate_flush(f->aggregate, true, &f->reports);
    assert_int_equal(f->reports.count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_partition_closes_a_window_at_its_end_plus_lateness), TEST(a_slow_partition_holds_a_window_open_for_one_window_more),
        TEST(all_partitions_past_it_close_it), TEST(a_partition_that_went_elsewhere_holds_nothing), TEST(windows_close_in_order),
        TEST(a_late_event_within_the_lateness_is_in_the_first_publication), TEST(an_event_beyond_the_lateness_is_counted_as_late), TEST(later_events_give_a_revision_a_window_later),
        TEST(the_next_revision_waits_twice_as_long), TEST(a_window_that_no_one_saw_in_time_is_a_revision),
        TEST(flush_publishes_what_waits_and_all_what_is_open), TEST(too_many_windows_close_the_oldest_and_older_ones_are_beyond),
        TEST(a_forgotten_window_is_revised_before), TEST(drift_is_measured_against_the_baseline),
        TEST(too_few_values_are_published_and_not_judged), TEST(another_models_score_is_not_judged_by_this_ones_baseline),
        TEST(a_field_that_goes_missing_is_judged), TEST(predictions_have_their_distribution), TEST(rejects_are_reported_by_reason),
        TEST(field_age_is_from_the_last_value_to_the_windows_end), TEST(field_age_reaches_back_to_forgotten_windows),
        TEST(a_revision_of_an_old_window_is_not_the_newest_drift), TEST(a_field_never_seen_counts_from_the_first_window),
        TEST(a_silent_input_is_known_by_the_clock), TEST(a_baseline_says_when_a_silence_is_one), TEST(a_replay_tells_of_silence_by_stream_time),
        TEST(a_silent_input_is_known_by_the_clock), TEST(a_baseline_says_when_a_silence_is_one), TEST(a_replay_was_not_silent_before_its_first_record),
        TEST(health_is_on_the_wall_clock), TEST(offsets_that_do_not_join_are_counted),
        TEST(the_last_revision_does_not_depend_on_the_commits), TEST(nothing_is_reported_of_nothing), TEST(what_is_repeated_is_dropped), TEST(gathered_deltas_are_reported_as_single_ones_are), TEST(gathered_deltas_are_due_when_a_window_can_close), TEST(a_new_topic_of_that_name_is_taken),
        TEST(what_has_another_shape_is_counted), TEST(latencies_have_quantiles_and_open_no_window), TEST(a_contribution_of_the_other_sign_is_a_warning_in_a_window_of_a_day), TEST(far_values_are_named_by_their_offsets), TEST(entities_have_ages), TEST(schema_ids_are_named),
        TEST(longer_windows_are_the_sum_of_the_short_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
