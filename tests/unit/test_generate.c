/* Synthetic traffic: the same for the same options, and as its header describes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/avro/encode.h"
#include "consumer/generate/label_stream.h"
#include "consumer/generate/traffic.h"
#include "consumer/hash.h"

#define START 1767225600000 /* 2026-01-01 */
#define DAY 86400000

static const struct traffic_options usual = {
    .seed = 1, .events = 50000, .cards = 500, .fraud_rate = 0.01, .drift_at = UINT64_MAX, .start_ms = START, .span_ms = 10 * (int64_t)DAY};

static struct traffic *create(struct traffic_options o)
{
    struct traffic *t;
    struct err err;
    if (traffic_create(&o, &t, &err))
        fail_msg("%s", err.msg);
    return t;
}

/* Of events and labels as they are written. */
static void digest(struct traffic_options o, char hex[65])
{
    struct traffic *t = create(o);
    struct transaction event;
    struct buffer all = {0};
    while (traffic_next(t, &event)) {
        put_transaction(&all, &event);
        put_label(&all, &event);
    }
    uint8_t sum[32];
    sha256(all.data, all.size, sum);
    sha256_hex(sum, hex);
    buffer_finish(&all);
    traffic_destroy(t);
}

static void the_same_options_give_the_same_bytes(void **state)
{
    (void)state;
    char a[65], b[65], other[65];
    struct traffic_options reseeded = usual;
    reseeded.seed = 2;
    digest(usual, a);
    digest(usual, b);
    digest(reseeded, other);
    assert_string_equal(a, b);
    assert_string_not_equal(a, other);
}

/* Changes only when the model of traffic is meant to change; the same on every machine. */
static void the_bytes_are_these(void **state)
{
    (void)state;
    char hex[65];
    digest(usual, hex);
    assert_string_equal(hex, "6d8e3ea8d401d3d7671772385681774684c1beb3e8dac74b692c01ab1cc0873b");
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void every_event_has_its_own_id(void **state)
{
    (void)state;
    struct traffic *t = create(usual);
    struct transaction event;
    char (*ids)[24] = malloc(usual.events * sizeof *ids);
    size_t n = 0;
    while (traffic_next(t, &event))
        memcpy(ids[n++], event.transaction_id, sizeof *ids);
    assert_int_equal(n, usual.events);
    qsort(ids, n, sizeof *ids, compare_ids);
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(ids[i - 1], ids[i]) < 0);
    free(ids);
    traffic_destroy(t);
}

static void times_never_go_back_and_fill_the_span(void **state)
{
    (void)state;
    static const struct {
        uint64_t events;
        int64_t span_ms;
        enum rhythm rhythm;
    } cases[] = {{50000, 10 * (int64_t)DAY, RHYTHM_DAY}, {50000, DAY / 3, RHYTHM_FLAT}, {3, 5, RHYTHM_DAY}, {1000, 1, RHYTHM_FLAT},
                 {50000, 10 * (int64_t)DAY, RHYTHM_WEEK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct traffic_options o = usual;
        o.events = cases[i].events;
        o.span_ms = cases[i].span_ms;
        o.rhythm = cases[i].rhythm;
        o.start_ms = START + 7 * 3600000 + 123;
        struct traffic *t = create(o);
        struct transaction event;
        int64_t last = o.start_ms, late_share = o.span_ms / 50;
        while (traffic_next(t, &event)) {
            assert_true(event.event_time_ms >= last);
            last = event.event_time_ms;
        }
        assert_true(last < o.start_ms + o.span_ms);
        if (o.events > 1000)
            assert_true(last > o.start_ms + o.span_ms - late_share);
        traffic_destroy(t);
    }
}

static void nights_are_quieter_than_days(void **state)
{
    (void)state;
    struct traffic *t = create(usual);
    struct transaction event;
    size_t by_hour[24] = {0};
    while (traffic_next(t, &event))
        by_hour[event.event_time_ms / 3600000 % 24]++;
    assert_true(by_hour[3] * 5 < by_hour[12]);
    assert_true(by_hour[3] > 0);
    traffic_destroy(t);
}

static void fraud_comes_at_the_rate_and_in_all_kinds(void **state)
{
    (void)state;
    struct traffic_options o = usual;
    o.events = 200000;
    o.span_ms = 60 * (int64_t)DAY;
    struct traffic *t = create(o);
    struct transaction event;
    static const char *const kinds[] = {"card_testing", "foreign_jump", "night_spree", "takeover"};
    size_t fraud = 0, of[4] = {0};
    while (traffic_next(t, &event)) {
        assert_int_equal(event.label, event.fraud_type != NULL);
        assert_true(event.reported_ms > event.event_time_ms && event.reported_ms <= event.event_time_ms + 30 * (int64_t)DAY);
        fraud += (size_t)event.label;
        for (size_t k = 0; k < 4; k++)
            of[k] += event.fraud_type && !strcmp(event.fraud_type, kinds[k]);
    }
    assert_in_range(fraud, 1600, 2400);
    for (size_t k = 0; k < 4; k++)
        assert_true(of[k] > fraud / 20);
    traffic_destroy(t);
}

static void labels_come_in_the_order_in_which_they_are_reported(void **state)
{
    (void)state;
    struct traffic_options o = usual;
    o.label_delay_ms = 3 * (int64_t)DAY;
    struct traffic *t = create(o);
    struct label_stream *labels;
    struct transaction event, label;
    struct err err;
    size_t events = 0, frauds = 0, told = 0, told_frauds = 0;
    int64_t before_ms = 0;
    assert_int_equal(label_stream_create(&o, &labels, &err), 0);
    for (bool more = true; more;) {
        more = traffic_next(t, &event);
        if (more) {
            assert_true(event.reported_ms > event.event_time_ms && event.reported_ms <= event.event_time_ms + o.label_delay_ms);
            label_stream_note(labels, &event);
            events++;
            frauds += (size_t)event.label;
        }
        while (label_stream_next(labels, more ? event.event_time_ms : INT64_MAX, &label)) {
            assert_true(label.reported_ms >= before_ms && (!more || label.reported_ms <= event.event_time_ms));
            before_ms = label.reported_ms;
            told++;
            told_frauds += (size_t)label.label;
        }
    }
    assert_int_equal(told, events);
    assert_int_equal(told_frauds, frauds);
    label_stream_destroy(labels);
    traffic_destroy(t);
}

static void no_fraud_without_a_rate(void **state)
{
    (void)state;
    struct traffic_options o = usual;
    o.fraud_rate = 0;
    struct traffic *t = create(o);
    struct transaction event;
    while (traffic_next(t, &event))
        assert_int_equal(event.label, 0);
    traffic_destroy(t);
}

static void drift_begins_at_its_event(void **state)
{
    (void)state;
    struct traffic_options o = usual;
    o.drift_at = 25000;
    struct traffic *t = create(o), *calm = create(usual);
    struct transaction event, same;
    double before = 0, after = 0;
    size_t quasi_cash = 0, new_country = 0;
    for (size_t i = 0; traffic_next(t, &event); i++) {
        if (i < o.drift_at) {
            assert_true(traffic_next(calm, &same));
            assert_string_equal(event.transaction_id, same.transaction_id);
            assert_int_equal(event.amount_minor, same.amount_minor);
            assert_int_not_equal(event.mcc, 6051);
            assert_string_not_equal(event.merchant_country, "AE");
        }
        *(i < o.drift_at ? &before : &after) += (double)event.amount_minor;
        quasi_cash += event.mcc == 6051;
        new_country += !strcmp(event.merchant_country, "AE");
    }
    assert_true(after > 1.3 * before && after < 1.9 * before);
    assert_true(quasi_cash > 400 && new_country > 400);
    traffic_destroy(t);
    traffic_destroy(calm);
}

static struct traffic_options drifting(enum traffic_drift drift)
{
    struct traffic_options o = usual;
    o.drift_at = 25000;
    o.drift = drift;
    return o;
}

static void a_drift_of_the_amounts_is_half_a_deviation(void **state)
{
    (void)state;
    struct traffic *t = create(drifting(DRIFT_AMOUNT));
    struct transaction event;
    double before = 0, after = 0;
    for (size_t i = 0; traffic_next(t, &event); i++) {
        *(i < 25000 ? &before : &after) += (double)event.amount_minor;
        assert_string_not_equal(event.merchant_country, "AE");
    }
    assert_true(after > 1.4 * before && after < 1.85 * before);
    traffic_destroy(t);
}

static void each_other_drift_changes_what_it_says(void **state)
{
    (void)state;
    size_t new_country = 0, located[2] = {0}, labelled[2] = {0}, unseen = 0;
    struct transaction event;
    struct traffic *t = create(drifting(DRIFT_CATEGORY));
    for (size_t i = 0; traffic_next(t, &event); i++) {
        new_country += !strcmp(event.merchant_country, "AE");
        assert_true(i >= 25000 || strcmp(event.merchant_country, "AE") != 0);
    }
    assert_in_range(new_country, 400, 600); /* a fiftieth of 25,000 */
    traffic_destroy(t);
    t = create(drifting(DRIFT_NULL));
    for (size_t i = 0; traffic_next(t, &event); i++)
        located[i >= 25000] += event.has_location;
    assert_true(located[0] > 10000 && located[1] == 0);
    traffic_destroy(t);
    t = create(drifting(DRIFT_LABELS));
    for (size_t i = 0; traffic_next(t, &event); i++) {
        labelled[i >= 25000] += (size_t)event.label;
        unseen += event.fraud_type && !strcmp(event.fraud_type, "unseen");
    }
    assert_in_range(unseen, 2200, 2800);
    assert_true(labelled[0] < 500 && labelled[1] >= unseen);
    traffic_destroy(t);
}

static void a_silence_is_two_hours_long(void **state)
{
    (void)state;
    struct traffic *t = create(drifting(DRIFT_SILENCE));
    struct transaction event;
    int64_t last = START, longest = 0;
    size_t n = 0;
    for (; traffic_next(t, &event); n++) {
        longest = event.event_time_ms - last > longest ? event.event_time_ms - last : longest;
        last = event.event_time_ms;
    }
    assert_in_range(longest, TRAFFIC_SILENCE_MS, TRAFFIC_SILENCE_MS + 600000);
    assert_in_range(n, usual.events - 1000, usual.events - 100);
    traffic_destroy(t);
}

static void sundays_are_quieter_than_fridays(void **state)
{
    (void)state;
    struct traffic_options o = usual;
    o.rhythm = RHYTHM_WEEK;
    o.span_ms = 28 * (int64_t)DAY;
    struct traffic *t = create(o);
    struct transaction event;
    size_t by_day[7] = {0}; /* Thursday first */
    while (traffic_next(t, &event))
        by_day[event.event_time_ms / DAY % 7]++;
    assert_true(by_day[3] * 5 < by_day[1] * 4 && by_day[3] * 2 > by_day[1]);
    traffic_destroy(t);
}

static void events_are_plausible(void **state)
{
    (void)state;
    struct traffic *t = create(usual);
    struct transaction event;
    while (traffic_next(t, &event)) {
        bool online = event.channel == CHANNEL_ECOM;
        assert_true(event.amount_minor >= 50 && event.amount_minor < 1000000000);
        assert_int_equal(online, event.device_id[0] != 0);
        assert_int_equal(online, event.ip[0] != 0);
        assert_int_equal(event.has_location, event.channel == CHANNEL_POS || event.channel == CHANNEL_ATM);
        assert_true(event.lat > -90 && event.lat < 90 && event.lon > -180 && event.lon < 180);
        assert_int_equal(strlen(event.merchant_country), 2);
        assert_int_equal(strlen(event.currency), 3);
        assert_int_equal(strlen(event.response_code), 2);
        assert_int_equal(strlen(event.card_token), 18);
    }
    traffic_destroy(t);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct traffic_options cases[6];
    for (size_t i = 0; i < 6; i++)
        cases[i] = usual;
    cases[0].events = 0;
    cases[1].cards = 0;
    cases[2].fraud_rate = 0.6;
    cases[3].span_ms = 0;
    cases[4].start_ms = -1;
    cases[5].cards = (uint64_t)TRAFFIC_CARDS_MAX + 1;
    for (size_t i = 0; i < 6; i++) {
        struct traffic *t = NULL;
        struct err err = {0};
        assert_int_equal(traffic_create(&cases[i], &t, &err), -1);
        assert_null(t);
        assert_true(strlen(err.msg) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_options_give_the_same_bytes),
        cmocka_unit_test(the_bytes_are_these),
        cmocka_unit_test(every_event_has_its_own_id),
        cmocka_unit_test(times_never_go_back_and_fill_the_span),
        cmocka_unit_test(nights_are_quieter_than_days),
        cmocka_unit_test(fraud_comes_at_the_rate_and_in_all_kinds),
        cmocka_unit_test(labels_come_in_the_order_in_which_they_are_reported),
        cmocka_unit_test(no_fraud_without_a_rate),
        cmocka_unit_test(drift_begins_at_its_event),
        cmocka_unit_test(a_drift_of_the_amounts_is_half_a_deviation),
        cmocka_unit_test(each_other_drift_changes_what_it_says),
        cmocka_unit_test(a_silence_is_two_hours_long),
        cmocka_unit_test(sundays_are_quieter_than_fridays),
        cmocka_unit_test(events_are_plausible),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
