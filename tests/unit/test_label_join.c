#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/label_join.h"

#define DAY INT64_C(86400000)
#define MIB (UINT64_C(1) << 20)

static uint64_t id_hash(uint64_t number)
{
    return label_join_hash(&number, sizeof number);
}

static struct waiting_prediction prediction_of(uint64_t number, int64_t time_ms)
{
    return (struct waiting_prediction){.time_ms = time_ms, .value = (int64_t)number * 7 - 100, .score = (float)(number % 1000) / 1000, .model = (uint8_t)(number % 3), .segments = (uint16_t)(number % 500),
        .shadows = {(float)(number % 10), NAN}};
}

static void put(struct label_join *join, uint64_t number, int64_t time_ms)
{
    struct waiting_prediction p = prediction_of(number, time_ms);
    assert_int_equal(label_join_prediction(join, id_hash(number), &p), 0);
}

static void a_prediction_comes_back_whole(void **state)
{
    (void)state;
    struct label_join *join = label_join_create(MIB, 30 * DAY, 2);
    static const int64_t values[] = {0, 1, -1, 100000000, -((INT64_C(1) << 38) - 1), (INT64_C(1) << 38) - 1, INT64_C(1) << 38, LABEL_VALUE_NONE, 0xffffffff, -0xffffffffLL};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct waiting_prediction p = {.time_ms = 5 * DAY + 1000, .value = values[i], .score = 0.25f, .model = 15, .segments = 65535, .shadows = {NAN, NAN}}, out;
        label_join_prediction(join, id_hash(i), &p);
        assert_int_equal(label_join_shadow(join, id_hash(i), 1, 0.5f, &p), 0);
        assert_int_equal(label_join_label(join, id_hash(i), 1, 6 * DAY, &out), LABEL_MATCHED);
        assert_int_equal(out.value, values[i] == INT64_C(1) << 38 ? LABEL_VALUE_NONE : values[i]);
        assert_int_equal(out.time_ms, 5 * DAY + 1000);
        assert_true(out.score == 0.25f && out.model == 15 && out.segments == 65535 && isnan(out.shadows[0]) && out.shadows[1] == 0.5f && isnan(out.shadows[2]));
    }
    label_join_destroy(join);
}

static void outcomes(void **state)
{
    (void)state;
    struct label_join *join = label_join_create(MIB, 30 * DAY, 1);
    struct waiting_prediction out;
    put(join, 1, DAY);
    assert_int_equal(label_join_label(join, id_hash(2), 1, DAY, &out), LABEL_UNMATCHED);
    assert_int_equal(label_join_label(join, id_hash(1), 0, 2 * DAY, &out), LABEL_MATCHED);
    assert_int_equal(label_join_label(join, id_hash(1), 0, 3 * DAY, &out), LABEL_REPEATED);
    assert_int_equal(label_join_label(join, id_hash(1), 1, 4 * DAY, &out), LABEL_CHANGED);
    assert_int_equal(label_join_label(join, id_hash(1), 0, 32 * DAY, &out), LABEL_LATE);
    struct label_join_counts counts = label_join_count(join);
    assert_int_equal(counts.waiting, 1);
    for (int i = 0; i < LABEL_OUTCOME_COUNT; i++)
        assert_int_equal(counts.labels[i], i == LABEL_UNSAMPLED ? 0 : 1);
    label_join_destroy(join);
}

static void the_order_of_a_prediction_and_its_shadows_does_not_matter(void **state)
{
    (void)state;
    struct label_join *join = label_join_create(MIB, 30 * DAY, 2);
    struct waiting_prediction served = prediction_of(7, DAY), prediction = served, out;
    served.value = LABEL_VALUE_NONE;
    prediction.shadows[0] = prediction.shadows[1] = NAN;
    assert_int_equal(label_join_shadow(join, id_hash(7), 1, 0.25f, &served), 0);
    label_join_prediction(join, id_hash(7), &prediction);
    assert_int_equal(label_join_shadow(join, id_hash(7), 0, 0.75f, &served), 0);
    assert_int_equal(label_join_label(join, id_hash(7), 1, DAY, &out), LABEL_MATCHED);
    assert_true(out.value == prediction.value && out.score == prediction.score && out.shadows[0] == 0.75f && out.shadows[1] == 0.25f);
    label_join_prediction(join, id_hash(7), &prediction);
    assert_int_equal(label_join_label(join, id_hash(7), 1, DAY, &out), LABEL_REPEATED);
    prediction.time_ms += 5000; /* another event of that id */
    label_join_prediction(join, id_hash(7), &prediction);
    assert_int_equal(label_join_label(join, id_hash(7), 1, DAY, &out), LABEL_MATCHED);
    assert_true(isnan(out.shadows[0]));
    struct label_join_counts counts = label_join_count(join);
    assert_int_equal(counts.waiting, 1);
    assert_int_equal(counts.replaced, 1);
    label_join_destroy(join);
}

static void what_waited_in_vain_goes(void **state)
{
    (void)state;
    struct label_join *join = label_join_create(16 * MIB, 30 * DAY, 0);
    struct waiting_prediction out;
    for (uint64_t n = 0; n < 100000; n++)
        put(join, n, (int64_t)n * DAY / 1000); /* 100 days, 1000 a day */
    struct label_join_counts counts = label_join_count(join);
    assert_true(counts.waiting >= 30000 && counts.waiting <= 30000 * 9 / 8 + 1000);
    assert_int_equal(counts.unlabelled, 100000 - counts.waiting);
    assert_true(counts.sampled_share == 1);
    assert_int_equal(label_join_label(join, id_hash(99999), 1, 100 * DAY, &out), LABEL_MATCHED);
    assert_int_equal(label_join_label(join, id_hash(70500), 1, 100 * DAY, &out), LABEL_MATCHED);
    assert_int_equal(label_join_label(join, id_hash(1000), 1, 100 * DAY, &out), LABEL_UNMATCHED);
    label_join_destroy(join);
}

/* Against an array that remembers everything. */
static void every_one_is_found_while_others_come_and_go(void **state)
{
    (void)state;
    enum { IDS = 20000, STEPS = 400000 };
    static int8_t labels[IDS]; /* -2: no prediction, -1: no label */
    for (int i = 0; i < IDS; i++)
        labels[i] = -2;
    struct label_join *join = label_join_create(4 * MIB, INT64_C(1000) * DAY, 1);
    uint64_t random = 88172645463325252u;
    for (int step = 0; step < STEPS; step++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t id = random % IDS;
        if (random >> 40 & 1) {
            put(join, id, 1000);
            labels[id] = labels[id] == -2 ? -1 : labels[id]; /* the same event again keeps its label */
            continue;
        }
        int label = (int)(random >> 41 & 1);
        struct waiting_prediction out, p = prediction_of(id, 1000);
        enum label_outcome outcome = label_join_label(join, id_hash(id), label, 1000, &out);
        assert_int_equal(outcome, labels[id] == -2 ? LABEL_UNMATCHED : labels[id] == -1 ? LABEL_MATCHED : labels[id] == label ? LABEL_REPEATED : LABEL_CHANGED);
        if (outcome == LABEL_MATCHED || outcome == LABEL_CHANGED)
            assert_true(out.score == p.score && out.value == p.value && out.model == p.model && out.segments == p.segments && out.shadows[0] == p.shadows[0]);
        if (labels[id] != -2)
            labels[id] = (int8_t)label;
    }
    assert_true(label_join_count(join).sampled_share == 1);
    label_join_destroy(join);
}

static void beyond_the_budget_a_sample_by_id_is_kept(void **state)
{
    (void)state;
    enum { IDS = 200000 };
    struct label_join *join = label_join_create(2 * MIB, 1000 * DAY, 0);
    struct waiting_prediction out;
    for (uint64_t n = 0; n < IDS; n++)
        put(join, n, 1000);
    struct label_join_counts counts = label_join_count(join);
    assert_true(counts.bytes <= 2 * MIB * 2 / 3);
    assert_true(counts.sampled_share == 0.25 || counts.sampled_share == 0.125);
    uint64_t matched = 0;
    for (uint64_t n = 0; n < IDS; n++) {
        enum label_outcome outcome = label_join_label(join, id_hash(n), 1, 1000, &out);
        assert_true(outcome == LABEL_MATCHED || outcome == LABEL_UNSAMPLED);
        matched += outcome == LABEL_MATCHED;
    }
    assert_int_equal(matched, counts.waiting);
    assert_true(fabs((double)matched / IDS - counts.sampled_share) < 0.01);
    label_join_destroy(join);
}

static void ten_million_with_a_shadow_fit_into_512_mib(void **state)
{
    (void)state;
    struct label_join *join = label_join_create(512 * MIB, 1000 * DAY, 1);
    for (uint64_t n = 0; n < 10000000; n++)
        put(join, n, 1000);
    struct label_join_counts counts = label_join_count(join);
    assert_int_equal(counts.waiting, 10000000);
    assert_true(counts.sampled_share == 1 && counts.bytes <= 512 * MIB);
    label_join_destroy(join);
}

static void a_budget_for_nothing_is_refused(void **state)
{
    (void)state;
    assert_null(label_join_create(1000, DAY, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prediction_comes_back_whole), cmocka_unit_test(outcomes), cmocka_unit_test(the_order_of_a_prediction_and_its_shadows_does_not_matter),
        cmocka_unit_test(what_waited_in_vain_goes), cmocka_unit_test(every_one_is_found_while_others_come_and_go),
        cmocka_unit_test(beyond_the_budget_a_sample_by_id_is_kept), cmocka_unit_test(ten_million_with_a_shadow_fit_into_512_mib), cmocka_unit_test(a_budget_for_nothing_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
