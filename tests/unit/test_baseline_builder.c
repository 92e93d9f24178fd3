/* A baseline from events: hours of the week, categories, segments and their parts, scores and labels, sampling. */
#include "tests/unit/baseline_scene.h"

#include "monitor/calibration.h"
#include "monitor/quality.h"

static const int64_t hour_ms = 3600000;

/* Counted anew, event by event, with a predicate. */
static int64_t events_that(bool (*holds)(const struct full_event *e))
{
    int64_t n = 0;
    for (int i = 0; i < FULL_EVENTS; i++) {
        struct full_event e = full_event(i);
        n += holds(&e);
    }
    return n;
}

static bool on_tuesday_at_three(const struct full_event *e)
{
    return (e->time_ms - full_start_ms) / hour_ms % 168 == 24 + 3;
}

static bool then_missing(const struct full_event *e)
{
    return on_tuesday_at_three(e) && isnan(e->row[0]);
}

static bool then_small(const struct full_event *e)
{
    return on_tuesday_at_three(e) && e->row[0] <= 100;
}

static void hours_of_the_week_begin_on_monday(void **state)
{
    (void)state;
    assert_int_equal(baseline_hour_of_week(full_start_ms), 0);
    assert_int_equal(baseline_hour_of_week(full_start_ms - 1), 167);
    assert_int_equal(baseline_hour_of_week(full_start_ms + 27 * hour_ms + 59 * 60000), 27);
    assert_int_equal(baseline_hour_of_week(0), 72);  /* Thursday */
    assert_int_equal(baseline_hour_of_week(-1), 71);
}

static void a_window_touches_its_hours(void **state)
{
    (void)state;
    struct baseline_hour_set set;
    assert_true(baseline_hours_of(full_start_ms, full_start_ms + hour_ms, &set));
    for (int h = 0; h < BASELINE_HOURS; h++)
        assert_int_equal(set.hours[h], h == 0);
    assert_true(baseline_hours_of(full_start_ms - 1, full_start_ms + 1, &set));
    for (int h = 0; h < BASELINE_HOURS; h++)
        assert_int_equal(set.hours[h], h == 0 || h == 167);
    assert_true(baseline_hours_of(full_start_ms, full_start_ms + 168 * hour_ms - 1, &set));
    assert_false(baseline_hours_of(full_start_ms, full_start_ms + 168 * hour_ms, &set));
}

static void counts_are_held_by_hour(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    const struct baseline_column *c = &b->features[0];
    assert_int_equal(b->events, FULL_EVENTS);
    assert_int_equal(b->sampled, FULL_EVENTS);
    assert_int_equal(b->records, FULL_EVENTS + 30);
    assert_int_equal(b->from_ms, full_start_ms);
    assert_int_equal(b->hour_events[27], events_that(on_tuesday_at_three));
    assert_int_equal(c->missing_hours.counts[27], events_that(then_missing));
    int64_t small = 0, in_hour = 0;
    for (size_t i = 0; i < BASELINE_FINE; i++) {
        in_hour += c->hours.counts[27 * BASELINE_FINE + i];
        if (i < BASELINE_EDGES && c->edges[i] <= 100)
            small = in_hour;
    }
    assert_int_equal(in_hour + c->missing_hours.counts[27], b->hour_events[27]);
    assert_in_range(events_that(then_small) - small, 0, 5); /* those between the last edge up to 100 and 100 */
    baseline_destroy(b);
}

static void hours_add_up_to_the_whole(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    for (size_t f = 0; f < FULL_FEATURES; f++)
        for (size_t i = 0; i < BASELINE_FINE; i++) {
            int64_t sum = 0;
            for (size_t h = 0; h < BASELINE_HOURS; h++)
                sum += b->features[f].hours.counts[h * BASELINE_FINE + i];
            assert_int_equal(sum, b->features[f].counts[i]);
        }
    int64_t events = 0, covered = 0;
    for (int h = 0; h < BASELINE_HOURS; h++) {
        events += b->hour_events[h];
        covered += b->hour_covered_ms[h];
    }
    assert_int_equal(events, FULL_EVENTS);
    assert_int_equal(covered, b->to_ms - b->from_ms + 1);
    assert_int_equal(b->hour_covered_ms[5], 3 * hour_ms);
    baseline_destroy(b);
}

/* The events of an hour of the day, of all days. */
static int64_t events_at(const struct baseline *b, int hour)
{
    int64_t events = 0;
    for (int day = 0; day < 7; day++)
        events += b->hour_events[24 * day + hour];
    return events;
}

/* One hour has 40,000 / 168 = 238 events here, so three of them are what it takes, or the same one of three days. */
static void a_window_is_compared_with_its_own_hours_if_they_hold_enough(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    const struct baseline_column *c = &b->features[0];
    struct baseline_hour_set one, night;
    int64_t counts[BASELINE_COARSE], whole[BASELINE_COARSE], own = 0, missing, there, decisions[DECISION_COUNT];
    size_t bins = baseline_cut(c, BASELINE_COARSE, (float[BASELINE_COARSE]){0}, whole);
    assert_true(baseline_hours_of(full_start_ms, full_start_ms + hour_ms, &one));
    assert_true(baseline_hours_of(full_start_ms, full_start_ms + 5 * hour_ms, &night));
    assert_true(baseline_expected(c, &one, BASELINE_COARSE, counts));
    assert_true(baseline_expected_missing(c, &one, &missing, &there));
    assert_int_equal(there + missing, events_at(b, 0));
    assert_true(baseline_expected_decisions(&b->outcome, &one, decisions));
    assert_int_equal(decisions[0] + decisions[1] + decisions[2], events_at(b, 0));
    assert_true(baseline_expected(c, NULL, BASELINE_COARSE, counts));
    assert_memory_equal(counts, whole, bins * sizeof *whole);
    assert_true(baseline_expected(c, &night, BASELINE_COARSE, counts));
    assert_true(baseline_expected_missing(c, &night, &missing, &there));
    for (size_t i = 0; i < bins; i++)
        own += counts[i];
    assert_int_equal(own, there);
    assert_int_equal(own + missing, b->hour_events[0] + b->hour_events[1] + b->hour_events[2] + b->hour_events[3] + b->hour_events[4]);
    assert_true(counts[bins - 2] > 3 * whole[bins - 2] * own / c->count); /* by night amounts are three times as large */
    assert_true(baseline_expected_decisions(&b->outcome, &night, decisions));
    assert_int_equal(decisions[0] + decisions[1] + decisions[2], own + missing);
    for (int day = 0; day < 7; day++) /* a baseline that has nothing at that hour */
        memset(c->hours.counts + (size_t)(24 * day) * c->hours.bins, 0, c->hours.bins * sizeof *c->hours.counts);
    assert_false(baseline_expected(c, &one, BASELINE_COARSE, counts));
    assert_memory_equal(counts, whole, bins * sizeof *whole);
    baseline_destroy(b);
}

static void a_part_of_an_hour_has_a_nearer_and_a_farther_neighbour(void **state)
{
    (void)state;
    struct baseline_hour_set sets[BASELINE_TRENDS];
    const int64_t minute = 60000, five = full_start_ms + 5 * hour_ms;
    assert_int_equal(baseline_hours_trends(five, five + 5 * minute, sets), 2);
    assert_true(sets[0].hours[5] && sets[0].beside == 4 && sets[0].parts == 11); /* 27.5 minutes from the middle */
    assert_true(sets[1].hours[5] && sets[1].beside == 6 && sets[1].parts == -11);
    assert_int_equal(baseline_hours_trends(full_start_ms + 45 * minute, full_start_ms + 60 * minute, sets), 2);
    assert_true(sets[0].beside == 1 && sets[0].parts == 9 && sets[1].beside == 167);
    assert_int_equal(baseline_hours_trends(five + 28 * minute, five + 32 * minute, sets), 0);
    assert_int_equal(baseline_hours_trends(five - minute, five + minute, sets), 0);
    assert_int_equal(baseline_hours_trends(five, five + hour_ms, sets), 0);
}

/* It is night up to six. */
static void a_trend_moves_the_shares_and_keeps_the_number(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    const struct baseline_column *night = &b->features[2];
    struct baseline_hour_set own, sets[BASELINE_TRENDS];
    const int64_t from_ms = full_start_ms + 5 * hour_ms + 50 * 60000, to_ms = from_ms + 300000; /* 22.5 minutes: 9 parts of 24 */
    int64_t counts[BASELINE_COARSE] = {0}, plain[BASELINE_COARSE] = {0}, all = 0, of_hour = 0;
    baseline_hours_of(from_ms, to_ms, &own);
    assert_int_equal(baseline_hours_trends(from_ms, to_ms, sets), 2);
    assert_true(baseline_expected(night, &own, BASELINE_COARSE, plain));
    assert_true(baseline_expected(night, &sets[0], BASELINE_COARSE, counts));
    for (size_t i = 0; i < BASELINE_COARSE; i++) {
        all += counts[i];
        of_hour += plain[i];
    }
    assert_true(plain[0] == 0 && plain[1] == of_hour && all == of_hour);
    assert_in_range(counts[0], of_hour * 9 / 24 - 1, of_hour * 9 / 24 + 1);
    assert_true(baseline_expected(night, &sets[1], BASELINE_COARSE, counts)); /* the hour before is as this one */
    assert_memory_equal(counts, plain, sizeof plain);
    baseline_destroy(b);
}

/* 255 names and what has none, each a thousand times in hour 5, the last twice as often in hour 6. */
static void a_trend_has_room_for_every_category(void **state)
{
    (void)state;
    enum { BINS = BASELINE_CATEGORIES_MAX + 1 };
    uint32_t *held = calloc((size_t)BASELINE_HOURS * BINS, sizeof *held);
    struct baseline_categories categories = {.count = BINS - 1, .hours = {.bins = BINS, .counts = held}};
    struct baseline_hour_set sets[BASELINE_TRENDS];
    int64_t counts[BINS];
    for (int i = 0; i < BINS; i++)
        held[5 * BINS + i] = held[6 * BINS + i] = 1000;
    held[6 * BINS + BINS - 1] = 2000;
    assert_int_equal(baseline_hours_trends(full_start_ms + 5 * hour_ms + 50 * 60000, full_start_ms + 5 * hour_ms + 55 * 60000, sets), 2);
    assert_true(baseline_expected_categories(&categories, &sets[0], counts));
    assert_in_range(counts[0], 990, 1000);
    assert_in_range(counts[BINS - 1], 1370, 1375); /* 9 of 24 parts */
    free(held);
}

static void equal_width_bins(void **state)
{
    (void)state;
    struct baseline *b = baseline_create_from_rows((const char *const[]){"x"}, 1, (float[]){0, 5, 10, 11, 100, NAN}, NULL, 6, (const uint8_t[32]){0}, NULL);
    float edges[BASELINE_EQUAL];
    int64_t counts[BASELINE_EQUAL];
    assert_int_equal(baseline_cut_equal(&b->features[0], edges, counts), BASELINE_EQUAL);
    for (int i = 0; i < BASELINE_EQUAL - 1; i++)
        assert_true(edges[i] == (float)(5 * (i + 1)));
    assert_int_equal(counts[0], 2); /* an edge belongs to the bin on its left */
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 1);
    assert_int_equal(counts[19], 1);
    baseline_destroy(b);
    b = baseline_create_from_rows((const char *const[]){"x"}, 1, (float[]){7, 7}, NULL, 2, (const uint8_t[32]){0}, NULL);
    assert_int_equal(baseline_cut_equal(&b->features[0], edges, counts), 2); /* a constant: up to it, beyond it */
    assert_true(edges[0] == 7 && counts[0] == 2 && counts[1] == 0);
    baseline_destroy(b);
    b = baseline_create_from_rows((const char *const[]){"x"}, 1, (float[]){-INFINITY, INFINITY}, NULL, 2, (const uint8_t[32]){0}, NULL);
    assert_int_equal(baseline_cut_equal(&b->features[0], edges, counts), BASELINE_EQUAL); /* the widest range there is */
    assert_true(counts[0] == 1 && counts[19] == 1);
    baseline_destroy(b);
}

static void quartiles_and_moments(void **state)
{
    (void)state;
    float values[480];
    for (int i = 0; i < 480; i++)
        values[i] = (float)((i * 7) % 480 + 1);
    struct baseline *b = baseline_create_from_rows((const char *const[]){"x"}, 1, values, NULL, 480, (const uint8_t[32]){0}, NULL);
    assert_near(baseline_quartile(&b->features[0], 1), 120, 0);
    assert_near(baseline_quartile(&b->features[0], 2), 240, 0);
    assert_near(baseline_quartile(&b->features[0], 3), 360, 0);
    baseline_destroy(b);
    b = baseline_create_from_rows((const char *const[]){"x"}, 1, (float[]){NAN}, NULL, 1, (const uint8_t[32]){0}, NULL);
    assert_true(isnan(baseline_quartile(&b->features[0], 2)));
    baseline_destroy(b);
}

static bool is_ecom(const struct full_event *e)
{
    return e->row[1] == 1;
}

static void codes_are_categories(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    const struct baseline_categories *c = b->features[1].categories;
    assert_null(b->features[0].categories);
    assert_int_equal(c->count, 3);
    assert_string_equal(c->named[1].name, "ECOM");
    assert_int_equal(c->named[1].count, events_that(is_ecom));
    assert_int_equal(c->other, 0);
    assert_int_equal(c->named[0].count + c->named[1].count + c->named[2].count, b->features[1].count);
    assert_int_equal(baseline_category_of_code(c, 2), 2);
    assert_int_equal(baseline_category_of_code(c, 3), 3);
    assert_int_equal(baseline_category_of_code(c, 0.5f), 3);
    assert_int_equal(baseline_category_of_code(c, NAN), 3);
    baseline_destroy(b);
}

/* 300 codes, of which code i comes i times: the 45 rarest have no name. */
static void the_rarest_of_many_codes_have_no_name(void **state)
{
    (void)state;
    enum { CODES = 300 };
    static char texts[CODES][16];
    const char *names[CODES];
    for (int i = 0; i < CODES; i++) {
        snprintf(texts[i], sizeof texts[i], "c%d", i);
        names[i] = texts[i];
    }
    struct baseline_codes codes = {CODES, names};
    struct baseline_builder *b = baseline_builder_create(&(struct baseline_builder_options){.feature_spec_sha256 = (const uint8_t[32]){0},
        .feature_count = 1, .features = (const char *const[]){"x"}, .codes = &codes});
    for (int i = 0; i < CODES; i++)
        for (int k = 0; k < i; k++)
            assert_int_equal(baseline_builder_add(b, &(struct baseline_event){.row = (float[]){(float)i}, .label = -1, .id_hash = (uint64_t)k}), 0);
    struct baseline *baseline = baseline_builder_finish(b);
    const struct baseline_categories *c = baseline->features[0].categories;
    assert_int_equal(c->count, BASELINE_CATEGORIES_MAX);
    assert_string_equal(c->named[0].name, "c45");
    assert_int_equal(c->other, 44 * 45 / 2);
    assert_int_equal(baseline_category_of_code(c, 44), c->count);
    assert_int_equal(baseline_category_of_code(c, 45), 0);
    assert_int_equal(baseline_category_of_code(c, 299), 254);
    baseline_destroy(baseline);
    baseline_builder_destroy(b);
}

static bool in_france(const struct full_event *e)
{
    return e->country && !strcmp(e->country, "FR");
}

static bool in_no_country(const struct full_event *e)
{
    return !e->country;
}

static bool amount_in_france(const struct full_event *e)
{
    return in_france(e) && !isnan(e->row[0]);
}

static void segments_have_categories(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    const struct baseline_segment *s = baseline_segment_find(b, "country");
    assert_null(baseline_segment_find(b, "currency"));
    assert_int_equal(s->categories.count, 4);
    assert_string_equal(s->categories.named[1].name, "FR");
    assert_int_equal(s->categories.named[1].count, events_that(in_france));
    assert_int_equal(s->missing, events_that(in_no_country));
    assert_int_equal(baseline_category_of_text(&s->categories, "NOX", 2), 2);
    assert_int_equal(baseline_category_of_text(&s->categories, "NOX", 3), 4);
    assert_int_equal(baseline_category_of_text(&s->categories, "", 0), 4);
    s = baseline_segment_find(b, "device"); /* always null */
    assert_int_equal(s->categories.count, 0);
    assert_int_equal(s->missing, FULL_EVENTS);
    baseline_destroy(b);
}

static void a_part_is_the_baseline_of_one_value(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    const struct baseline_segment *s = baseline_segment_find(b, "country");
    assert_int_equal(s->part_count, 3); /* NO has too few events */
    const struct baseline_part *p = &s->parts[1];
    assert_string_equal(p->value, "FR");
    assert_int_equal(p->events, events_that(in_france));
    assert_int_equal(p->features[0].count, events_that(amount_in_france));
    assert_null(p->features[0].hours.counts);
    assert_int_equal(p->features[1].categories->count, 3);
    assert_true(p->has_score && p->outcome.has_calibration);
    assert_int_equal(p->score.count, p->events);
    assert_int_equal(p->outcome.decisions[0] + p->outcome.decisions[1] + p->outcome.decisions[2], p->events);
    assert_int_equal(baseline_segment_find(b, "device")->part_count, 0);
    baseline_destroy(b);
}

static bool called_review(const struct full_event *e)
{
    return (double)e->score >= 0.5 && (double)e->score < 0.9;
}

static bool uncertain(const struct full_event *e)
{
    return (double)e->score >= 0.4 && (double)e->score <= 0.6;
}

static bool labelled(const struct full_event *e)
{
    return e->label >= 0;
}

static void scores_decisions_and_labels(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    assert_true(b->has_score);
    assert_int_equal(b->score.count, FULL_EVENTS);
    assert_int_equal(b->outcome.decisions[DECISION_REVIEW], events_that(called_review));
    assert_int_equal(b->outcome.uncertain, events_that(uncertain));
    const struct baseline_calibration *c = &b->outcome.calibration;
    assert_int_equal(c->labels, events_that(labelled));
    static struct scored events[FULL_EVENTS];
    struct calibration sums = {0};
    float deciles[CALIBRATION_EDGES];
    size_t n = 0;
    baseline_deciles(&b->score, deciles);
    for (int i = 0; i < FULL_EVENTS; i++) {
        struct full_event e = full_event(i);
        if (e.label < 0)
            continue;
        events[n++] = (struct scored){e.score, (uint8_t)e.label};
        calibration_add(&sums, deciles, e.score, e.label);
    }
    struct ranking ranking = quality_rank(events, n);
    assert_near(c->auc, ranking.auc, 0);
    assert_near(c->average_precision, ranking.average_precision, 0);
    assert_near(c->ece, calibration_ece(sums.equal), 0);
    assert_near(c->ece_decile, calibration_ece(sums.decile), 0);
    assert_near(c->brier, calibration_brier(&sums), 0);
    assert_true(c->ece < 0.02 && c->auc > 0.7); /* the labels were drawn by the scores */
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(c->decile[i].count, sums.decile[i].count);
        assert_in_range(c->decile[i].count, (uint64_t)(0.095 * (double)n), (uint64_t)(0.105 * (double)n));
    }
    baseline_destroy(b);
}

static void only_rows_with_a_score_are_in_its_statistics(void **state)
{
    (void)state;
    struct baseline_builder_options options = full_options();
    struct baseline_builder *b = baseline_builder_create(&options);
    for (int i = 0; i < 1000; i++) {
        struct full_event e = full_event(i);
        full_add(b, &e);
    }
    baseline_builder_score(b, 3, 0.75f, DECISION_REVIEW);
    baseline_builder_score(b, 4, NAN, DECISION_REVIEW);
    struct baseline *baseline = baseline_builder_finish(b);
    assert_int_equal(baseline->score.count, 1);
    assert_int_equal(baseline->score.missing, 1);
    assert_int_equal(baseline->outcome.decisions[DECISION_REVIEW], 2);
    assert_int_equal(baseline->features[2].count, 1000);
    baseline_destroy(baseline);
    baseline_builder_destroy(b);
}

/* The same events in another order. */
static void order_does_not_matter(void **state)
{
    (void)state;
    struct baseline_builder_options options = full_options();
    options.distinct_count = 0; /* those follow the stream */
    struct baseline *baselines[2];
    for (int k = 0; k < 2; k++) {
        struct baseline_builder *b = baseline_builder_create(&options);
        for (int i = 0; i < FULL_EVENTS; i++) {
            struct full_event e = full_event(k ? (i * 7919) % FULL_EVENTS : i);
            full_add(b, &e);
        }
        full_score(b, full_score_of);
        baselines[k] = baseline_builder_finish(b);
        baseline_builder_destroy(b);
    }
    for (size_t f = 0; f < FULL_FEATURES; f++) {
        const struct baseline_column *x = &baselines[0]->features[f], *y = &baselines[1]->features[f];
        assert_memory_equal(x->edges, y->edges, sizeof x->edges);
        assert_memory_equal(x->counts, y->counts, sizeof x->counts);
        assert_memory_equal(x->equal, y->equal, sizeof x->equal);
        assert_memory_equal(x->hours.counts, y->hours.counts, BASELINE_HOURS * BASELINE_FINE * sizeof(uint32_t));
        assert_near(x->mean, y->mean, 0);
        assert_near(x->std, y->std, 0);
    }
    assert_memory_equal(&baselines[0]->outcome.calibration, &baselines[1]->outcome.calibration, sizeof baselines[0]->outcome.calibration);
    baseline_destroy(baselines[0]);
    baseline_destroy(baselines[1]);
}

/* 40,000 rows of 40 bytes where 300,000 bytes fit: a sample of 1/8 of the ids, the same whatever the order. */
static void beyond_its_memory_it_samples_by_id(void **state)
{
    (void)state;
    struct baseline_builder_options options = full_options();
    options.bytes_max = 300000;
    int64_t wanted = 0;
    for (int i = 0; i < FULL_EVENTS; i++)
        wanted += full_event(i).id <= UINT64_MAX >> 3;
    assert_in_range(wanted, 4800, 5200);
    for (int k = 0; k < 2; k++) {
        struct baseline_builder *b = baseline_builder_create(&options);
        for (int i = 0; i < FULL_EVENTS; i++) {
            struct full_event e = full_event(k ? FULL_EVENTS - 1 - i : i);
            full_add(b, &e);
        }
        struct baseline *baseline = baseline_builder_finish(b);
        assert_int_equal(baseline->sampled, wanted);
        assert_int_equal(baseline->events, FULL_EVENTS);
        assert_int_equal(baseline->features[2].count, wanted);
        int64_t hours = 0;
        for (int h = 0; h < BASELINE_HOURS; h++)
            hours += baseline->hour_events[h];
        assert_int_equal(hours, FULL_EVENTS); /* rates are of all events */
        baseline_destroy(baseline);
        baseline_builder_destroy(b);
    }
}

static void rejects_by_reason_and_field(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    assert_int_equal(b->reject_count, 2);
    assert_string_equal(b->rejects[0].reason, "not_avro");
    assert_null(b->rejects[0].field);
    assert_int_equal(b->rejects[0].count, 10);
    assert_string_equal(b->rejects[1].reason, "range");
    assert_string_equal(b->rejects[1].field, "amount_minor");
    assert_int_equal(b->rejects[1].count, 20);
    baseline_destroy(b);
}

/* 79 events an hour, each of another card. */
static void distinct_values_of_whole_windows(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    assert_int_equal(b->distinct_count, 1);
    assert_string_equal(b->distincts[0].field, "card");
    assert_int_equal(b->distincts[0].windows, 21 * 24 - 2);
    assert_near(b->distincts[0].mean, (double)FULL_EVENTS / (21 * 24), 1);
    baseline_destroy(b);
}

static void expected_events_follow_the_hours(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    double hour = (double)FULL_EVENTS / (21 * 24);
    assert_near(baseline_expected_events(b, full_start_ms, full_start_ms + hour_ms), hour, 1);
    assert_near(baseline_expected_events(b, full_start_ms + 30 * 86400000LL, full_start_ms + 31 * 86400000LL), 24 * hour, 1);
    assert_near(baseline_expected_events(b, full_start_ms, full_start_ms + 300000), hour / 12, 0.2);
    memset(b->hour_events, 0, sizeof b->hour_events);
    b->hour_events[27] = FULL_EVENTS; /* all of them on Tuesdays at three */
    assert_near(baseline_expected_events(b, full_start_ms, full_start_ms + hour_ms), 0, 0);
    assert_near(baseline_expected_events(b, full_start_ms + 27 * hour_ms, full_start_ms + 28 * hour_ms), FULL_EVENTS / 3.0, 1e-6);
    baseline_destroy(b);
    b = scene_baseline(); /* without times */
    assert_true(isnan(baseline_expected_events(b, 0, hour_ms)));
    baseline_destroy(b);
}

static void importance_and_contributions(void **state)
{
    (void)state;
    struct baseline *b = full_baseline();
    assert_near(b->features[0].gain, 0.5, 0);
    assert_near(b->features[2].gain, 0.25, 0);
    assert_near(b->features[0].contribution, 1, 0);
    assert_near(b->features[0].contribution_std, 0.5, 0);
    assert_near(b->features[1].contribution, -1.5, 0);
    assert_int_equal(b->features[1].contribution_count, 2);
    assert_true(isnan(b->score.gain));
    baseline_destroy(b);
}

static void nothing_at_all_is_a_baseline_too(void **state)
{
    (void)state;
    struct baseline_builder_options options = full_options();
    struct baseline_builder *b = baseline_builder_create(&options);
    struct baseline *baseline = baseline_builder_finish(b);
    assert_int_equal(baseline->features[0].count, 0);
    assert_false(baseline->has_score);
    assert_int_equal(baseline->distinct_count, 0);
    baseline_destroy(baseline);
    baseline_builder_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_of_the_week_begin_on_monday), cmocka_unit_test(a_window_touches_its_hours), cmocka_unit_test(counts_are_held_by_hour),
        cmocka_unit_test(hours_add_up_to_the_whole), cmocka_unit_test(a_window_is_compared_with_its_own_hours_if_they_hold_enough),
        cmocka_unit_test(a_part_of_an_hour_has_a_nearer_and_a_farther_neighbour),
        cmocka_unit_test(a_trend_moves_the_shares_and_keeps_the_number), cmocka_unit_test(a_trend_has_room_for_every_category),
        cmocka_unit_test(equal_width_bins), cmocka_unit_test(quartiles_and_moments), cmocka_unit_test(codes_are_categories),
        cmocka_unit_test(the_rarest_of_many_codes_have_no_name), cmocka_unit_test(segments_have_categories),
        cmocka_unit_test(a_part_is_the_baseline_of_one_value), cmocka_unit_test(scores_decisions_and_labels),
        cmocka_unit_test(only_rows_with_a_score_are_in_its_statistics), cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(beyond_its_memory_it_samples_by_id), cmocka_unit_test(rejects_by_reason_and_field),
        cmocka_unit_test(distinct_values_of_whole_windows), cmocka_unit_test(expected_events_follow_the_hours),
        cmocka_unit_test(importance_and_contributions), cmocka_unit_test(nothing_at_all_is_a_baseline_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
