/* When windows close, what comes after, and what is counted of offsets. */
#include "tests/unit/aggregate_scene.h"

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

/* Offsets */

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
        aggregate_merge(f->aggregate, f->delta, MERGED * S, &f->reports);
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
        aggregate_merge(one->aggregate, delta, MERGED * S, &one->reports);
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
        TEST(one_partition_closes_a_window_at_its_end_plus_lateness),
        TEST(a_slow_partition_holds_a_window_open_for_one_window_more),
        TEST(all_partitions_past_it_close_it),
        TEST(a_partition_that_went_elsewhere_holds_nothing),
        TEST(windows_close_in_order),
        TEST(a_late_event_within_the_lateness_is_in_the_first_publication),
        TEST(an_event_beyond_the_lateness_is_counted_as_late),
        TEST(later_events_give_a_revision_a_window_later),
        TEST(the_next_revision_waits_twice_as_long),
        TEST(a_window_that_no_one_saw_in_time_is_a_revision),
        TEST(flush_publishes_what_waits_and_all_what_is_open),
        TEST(too_many_windows_close_the_oldest_and_older_ones_are_beyond),
        TEST(a_forgotten_window_is_revised_before),
        TEST(offsets_that_do_not_join_are_counted),
        TEST(the_last_revision_does_not_depend_on_the_commits),
        TEST(gathered_deltas_are_reported_as_single_ones_are),
        TEST(gathered_deltas_are_due_when_a_window_can_close),
        TEST(what_is_repeated_is_dropped),
        TEST(a_new_topic_of_that_name_is_taken),
        TEST(what_has_another_shape_is_counted),
        TEST(longer_windows_are_the_sum_of_the_short_ones),
        TEST(nothing_is_reported_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
