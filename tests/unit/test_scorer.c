/* Who serves which event: swaps at offsets, the state that recovers them, models that are not at hand, canaries, shadows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumer/file.h"
#include "consumer/hash.h"
#include "consumer/pipeline.h"
#include "consumer/scorer.h"
#include "tests/unit/stump.h"

/* ---- scene: models a and b are probabilities, half and wild numbers: half says 0.5 or 2, wild always 7 ---- */

static char directory[] = "/tmp/weir-scorer-XXXXXX";

static void put_file(const char *name, const char *text)
{
    char path[256];
    struct err err;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (file_write(path, text, strlen(text), &err) < 0)
        fail_msg("%s", err.msg);
}

static void put_model(const char *name, const char *objective, const char *low, const char *high)
{
    char text[STUMP_TEXT_MAX];
    stump_text(text, (struct stump){objective, low, high, *objective == 'b' ? "5E-1" : "0E0", {"amount", "n_1m"}});
    put_file(name, text);
}

static int make_scene(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    put_file("features.yaml", "version: 1\nid: id\nentity: card\ntime: at\nlateness: 1m\nfuture_skew: 5s\nfeatures:\n"
                              "  - {name: amount, op: value, field: amount}\n  - {name: n, op: count, windows: [1m]}\n");
    put_model("a.json", "binary:logistic", "-1", "1");
    put_model("b.json", "binary:logistic", "-2", "2");
    put_model("half.json", "reg:squarederror", "0.5", "2");
    put_model("wild.json", "reg:squarederror", "7", "7");
    return 0;
}

static int remove_scene(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static struct config *config_of(const char *models)
{
    char text[2048];
    struct config *config;
    struct err err;
    int n = snprintf(text, sizeof text, "app_id: t\nfeatures: features.yaml\nmodels: {%s}\n", models);
    if (config_parse("weir.yaml", directory, text, (size_t)n, 0, &config, &err) < 0)
        fail_msg("%s", err.msg);
    return config;
}

/* ---- a partition whose vectors are given ---- */

enum { EVENTS_MAX = 400 };

struct outcome {
    char model[16];
    float score;
    enum role role;
    enum confidence confidence;
};

struct partition {
    struct config *config; /* of the process; what is deployed later comes from another one */
    struct pipeline *pipeline;
    struct partition_state state;
    int64_t next;
    bool some_missing; /* of every tenth vector the second value */
    struct outcome outcomes[EVENTS_MAX];
    int told; /* swaps, the last of them: */
    int64_t told_at;
    char told_record[4096];
};

static int note_deployed(void *context, int32_t partition, int64_t first_offset, const struct deployment *deployment, struct err *err)
{
    struct partition *p = context;
    (void)err;
    assert_int_equal(partition, 3);
    p->told++;
    p->told_at = first_offset;
    snprintf(p->told_record, sizeof p->told_record, "%s", deployment->record);
    return 0;
}

/* As a worker has it: loaded, its files kept where they are to be. */
static struct deployment *make_deployment(const struct config *config)
{
    struct deployment_plan *plan;
    struct deployment *d;
    struct err err;
    if (deployment_plan_read(config, &plan, &err) < 0 || deployment_load(plan, NULL, &d, &err) < 0 || deployment_plan_keep(plan, &err) < 0)
        fail_msg("%s", err.msg);
    deployment_plan_destroy(plan);
    return d;
}

static void deploy(struct partition *p, const char *models)
{
    struct config *config = config_of(models);
    struct deployment *d = make_deployment(config);
    config_destroy(config);
    scorer_set_deployment(pipeline_scorer(p->pipeline), d);
    deployment_release(d);
}

static struct partition *begin(const char *models)
{
    struct partition *p = calloc(1, sizeof *p);
    struct err err;
    p->config = config_of(models);
    struct deployment *d = make_deployment(p->config);
    if (pipeline_create(p->config, d, NULL, &p->pipeline, &err) < 0)
        fail_msg("%s", err.msg);
    deployment_release(d);
    assert_int_equal(partition_state_init(&p->state, p->config, 3), 0);
    return p;
}

static void end(struct partition *p)
{
    partition_state_finish(&p->state);
    pipeline_destroy(p->pipeline);
    config_destroy(p->config);
    free(p);
}

/* Event i, at second i, has this amount. */
static float amount_of(int64_t i)
{
    return i % 3 ? 1.0f : -1.0f;
}

static int fold(struct partition *p, int count, bool suppressed, struct err *err)
{
    struct batch *b = pipeline_batch(p->pipeline);
    struct sink sink = {.context = p, .deployed = note_deployed};
    static char entities[EVENTS_MAX][8];
    b->event_count = (size_t)count;
    for (int i = 0; i < count; i++) {
        int64_t offset = p->next + i;
        int n = snprintf(entities[i], sizeof entities[i], "e%d", (int)offset);
        b->events[i] = (struct event){.offset = offset, .time_ms = offset * 1000, .entity = {entities[i], (uint32_t)n}};
        b->outcomes[i] = (struct feature_outcome){0};
        b->rows[2 * i] = amount_of(offset);
        b->rows[2 * i + 1] = p->some_missing && offset % 10 == 0 ? NAN : 1;
    }
    int result = scorer_score(pipeline_scorer(p->pipeline), b, &p->state, suppressed, &sink, err);
    for (int i = 0; i < count && result == 0 && !suppressed; i++) {
        struct outcome *o = &p->outcomes[p->next + i];
        snprintf(o->model, sizeof o->model, "%s", b->answered[i] ? b->answered[i]->id : "fallback");
        o->score = b->served[i].score;
        o->role = b->served[i].role;
        o->confidence = b->served[i].confidence;
    }
    scorer_settle(pipeline_scorer(p->pipeline), &p->state);
    p->next += result < 0 ? 0 : count;
    return result;
}

static void live(struct partition *p, int count)
{
    struct err err = {0};
    if (fold(p, count, false, &err) < 0)
        fail_msg("%s", err.msg);
}

static struct buffer exported(const struct partition *p)
{
    struct buffer b = {0};
    serving_export(p->state.serving, &b);
    return b;
}

static void assert_same_state(const struct partition *a, const struct partition *b)
{
    struct buffer x = exported(a), y = exported(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buffer_finish(&x);
    buffer_finish(&y);
}

#define A "champion: {id: a, file: a.json}"
#define B "champion: {id: b, file: b.json}"
#define HALF "champion: {id: half, file: half.json}"

/* ---- statements ---- */

static void a_swap_serves_from_its_event_and_is_told_once(void **state)
{
    (void)state;
    struct partition *p = begin(A);
    live(p, 10);
    assert_int_equal(p->told, 1);
    assert_int_equal(p->told_at, 0);
    live(p, 10);
    assert_int_equal(p->told, 1);
    deploy(p, A);
    live(p, 10);
    assert_int_equal(p->told, 1); /* the same thing again is nothing new */
    deploy(p, B);
    live(p, 10);
    assert_int_equal(p->told, 2);
    assert_int_equal(p->told_at, 30);
    assert_string_equal(p->outcomes[29].model, "a");
    assert_string_equal(p->outcomes[30].model, "b");
    deploy(p, B ", decision: {review: 0.4, decline: 0.8}");
    live(p, 1);
    assert_int_equal(p->told, 3);
    end(p);
}

static void the_champion_before_answers_for_one_that_fails(void **state)
{
    (void)state;
    struct partition *p = begin(A);
    live(p, 1);
    deploy(p, HALF);
    live(p, 200);
    assert_string_equal(p->outcomes[3].model, "half");
    assert_string_equal(p->outcomes[1].model, "a");
    assert_int_equal(p->outcomes[1].role, ROLE_FALLBACK);
    assert_int_equal(p->outcomes[1].confidence, CONFIDENCE_DEGRADED);
    assert_string_equal(p->outcomes[12].model, "a"); /* the breaker is open */
    deploy(p, HALF ", fallback: {id: b, file: b.json}");
    live(p, 100);
    assert_string_equal(p->outcomes[202].model, "b");
    deploy(p, HALF ", fallback: {score: 0.25}");
    live(p, 20);
    assert_string_equal(p->outcomes[302].model, "a"); /* half has been the champion ever since a */
    end(p);
    p = begin(HALF ", fallback: {score: 0.25}");
    live(p, 20);
    assert_string_equal(p->outcomes[1].model, "fallback");
    assert_int_equal(p->outcomes[1].confidence, CONFIDENCE_NONE);
    assert_true(p->outcomes[1].score == 0.25f);
    end(p);
}

static void a_recovered_partition_goes_on_as_if_nothing_had_been(void **state)
{
    (void)state;
    struct partition *whole = begin(A), *recovered = begin("cache_dir: kept, " A);
    live(whole, 7);
    deploy(whole, "cache_dir: kept, " HALF);
    live(whole, 100); /* swapped at 7; open and half-open now and then */
    struct buffer marker = exported(whole);
    live(whole, 50);
    deploy(whole, B);
    live(whole, 30); /* swapped at 157 */
    int64_t second = whole->told_at;
    assert_int_equal(second, 157);
    char record[4096];
    snprintf(record, sizeof record, "%s", whole->told_record);
    deploy(whole, HALF);
    live(whole, 100);

    deploy(recovered, B);
    recovered->next = 107;
    assert_int_equal(serving_import(recovered->state.serving, marker.data, marker.size, NULL), 0);
    assert_int_equal(serving_schedule(recovered->state.serving, second, record, strlen(record), NULL), 0);
    struct err err = {0};
    for (int i = 0; i < 8; i++) /* to 187, the committed offset, in other batches */
        if (fold(recovered, 10, true, &err) < 0)
            fail_msg("%s", err.msg);
    assert_int_equal(recovered->told, 0);
    deploy(recovered, HALF);
    live(recovered, 100);
    assert_int_equal(recovered->told_at, 187);
    for (int i = 187; i < 287; i++)
        assert_memory_equal(&whole->outcomes[i], &recovered->outcomes[i], sizeof(struct outcome));
    assert_same_state(whole, recovered);
    buffer_finish(&marker);
    end(whole);
    end(recovered);
}

/* Two champions in a row that fail: of one batch the first part is answered by the one before the first, the rest by the
 * first itself where it can. */
static void each_part_of_a_batch_has_its_own_champion_before(void **state)
{
    (void)state;
    struct partition *whole = begin("cache_dir: kept, " A), *replay = begin("cache_dir: kept, " A);
    const char *const champions[] = {"cache_dir: kept, " A, "cache_dir: kept, " HALF, "cache_dir: kept, champion: {id: wild, file: wild.json}"};
    serving_follow_schedule(replay->state.serving);
    for (int i = 0; i < 3; i++) {
        deploy(whole, champions[i]);
        live(whole, 4);
        assert_int_equal(serving_schedule(replay->state.serving, whole->told_at, whole->told_record, strlen(whole->told_record), NULL), 0);
    }
    assert_string_equal(whole->outcomes[4].model, "a");    /* half fails */
    assert_string_equal(whole->outcomes[9].model, "half"); /* wild fails, half does not */
    live(replay, 12);
    assert_memory_equal(whole->outcomes, replay->outcomes, sizeof whole->outcomes);
    assert_same_state(whole, replay);
    end(whole);
    end(replay);
}

static void a_replay_follows_the_schedule_alone(void **state)
{
    (void)state;
    struct partition *whole = begin(A), *replay = begin(B ", shadows: [{id: a, file: a.json}, {id: half, file: half.json}]"); /* names the files */
    char first[4096], second[4096];
    live(whole, 50);
    snprintf(first, sizeof first, "%s", whole->told_record);
    deploy(whole, HALF);
    live(whole, 150);
    snprintf(second, sizeof second, "%s", whole->told_record);
    serving_follow_schedule(replay->state.serving);
    assert_int_equal(serving_schedule(replay->state.serving, 50, second, strlen(second), NULL), 0);
    assert_int_equal(serving_schedule(replay->state.serving, 0, first, strlen(first), NULL), 0);
    live(replay, 200); /* both in one batch */
    assert_int_equal(replay->told, 0);
    assert_memory_equal(whole->outcomes, replay->outcomes, sizeof whole->outcomes);
    assert_same_state(whole, replay);
    end(whole);
    end(replay);
}

static void a_model_that_is_not_at_hand_is_an_error_where_it_decides(void **state)
{
    (void)state;
    struct err err = {0};
    struct partition *p = begin(HALF);
    live(p, 5);
    struct buffer marker = exported(p);
    end(p);

    p = begin(A); /* its configuration knows nothing of half, and there is no cache */
    p->next = 5;
    assert_int_equal(serving_import(p->state.serving, marker.data, marker.size, NULL), 0);
    assert_int_equal(fold(p, 5, true, &err), -1); /* its breaker has to hear */
    assert_non_null(strstr(err.msg, "model half (sha256 "));
    assert_non_null(strstr(err.msg, "is not at hand: no configured file has these bytes, and models.cache_dir is not set"));
    assert_true(err.fatal);
    end(p);

    p = begin(A);
    p->next = 5;
    assert_int_equal(serving_import(p->state.serving, marker.data, marker.size, NULL), 0);
    live(p, 5); /* nobody asks half any more, nor can a fail */
    assert_string_equal(p->outcomes[5].model, "a");
    end(p);

    p = begin("champion: {id: wild, file: wild.json}");
    p->next = 5;
    assert_int_equal(serving_import(p->state.serving, marker.data, marker.size, NULL), 0);
    assert_int_equal(fold(p, 5, false, &err), -1); /* half would answer for wild */
    assert_non_null(strstr(err.msg, "the champion before wild"));
    end(p);

    p = begin("cache_dir: cache, " HALF); /* now a copy is kept */
    end(p);
    p = begin("cache_dir: cache, champion: {id: wild, file: wild.json}");
    p->next = 5;
    assert_int_equal(serving_import(p->state.serving, marker.data, marker.size, NULL), 0);
    live(p, 5);
    assert_string_equal(p->outcomes[6].model, "half");
    buffer_finish(&marker);
    end(p);
}

static void a_canary_serves_its_share_always_the_same(void **state)
{
    (void)state;
    struct partition *p = begin(A ", canary: {id: b, file: b.json, percent: 20, salt: s}"), *again = begin(A ", canary: {id: b, file: b.json, percent: 20, salt: s}");
    int canaries = 0;
    live(p, 400);
    for (int i = 0; i < 40; i++)
        live(again, 10);
    for (int i = 0; i < 400; i++) {
        char entity[8];
        int n = snprintf(entity, sizeof entity, "e%d", i);
        bool on_side = entity_bucket("s", (struct bytes){entity, (uint32_t)n}) < 2000;
        assert_string_equal(p->outcomes[i].model, on_side ? "b" : "a");
        assert_int_equal(p->outcomes[i].role, on_side ? ROLE_CANARY : ROLE_CHAMPION);
        canaries += on_side;
    }
    assert_true(canaries > 50 && canaries < 110);
    assert_memory_equal(p->outcomes, again->outcomes, sizeof p->outcomes);
    end(p);
    end(again);
}

/* Share over 100,000 entities: within half a point of every percentage. */
static void shares_are_what_they_say(void **state)
{
    (void)state;
    static int32_t buckets[100000];
    for (int i = 0; i < 100000; i++) {
        char entity[24];
        int n = snprintf(entity, sizeof entity, "card-%08x", (unsigned)i * 2654435761u);
        buckets[i] = (int32_t)entity_bucket("a", (struct bytes){entity, (uint32_t)n});
    }
    const double percents[] = {0.01, 0.5, 1, 5, 10, 12.34, 50, 90, 99.99};
    for (size_t p = 0; p < sizeof percents / sizeof *percents; p++) {
        int inside = 0;
        for (int i = 0; i < 100000; i++)
            inside += buckets[i] < 100 * percents[p];
        assert_true(fabs(inside / 1000.0 - percents[p]) < 0.5);
    }
}

static void a_shadow_that_fails_touches_nothing(void **state)
{
    (void)state;
    struct partition *alone = begin(A), *watched = begin(A ", shadows: [{id: wild, file: wild.json}, {id: b, file: b.json, sample_percent: 50}]");
    live(alone, 100);
    live(watched, 100);
    assert_memory_equal(alone->outcomes, watched->outcomes, sizeof alone->outcomes);
    const struct batch *b = pipeline_batch(watched->pipeline);
    int sampled = 0;
    for (int i = 0; i < 100; i++) {
        assert_true(b->shadow_sampled[i] && b->shadow_shed[i]); /* wild: never a score */
        assert_false(b->shadow_shed[BATCH_MAX + i]);
        sampled += b->shadow_sampled[BATCH_MAX + i];
        if (b->shadow_sampled[BATCH_MAX + i])
            assert_true(b->shadow_margins[BATCH_MAX + i] == (amount_of(i) < 0 ? -2 : 2));
    }
    assert_true(sampled > 30 && sampled < 70);
    const struct scorer_counts *counts = scorer_counts(pipeline_scorer(watched->pipeline));
    assert_int_equal(counts->shadow_errors, 11); /* ten open its breaker at 9 s, the eleventh is the try at 69 s */
    assert_int_equal(counts->shadow_circuit_open, 89);
    scorer_shed_shadows(pipeline_scorer(watched->pipeline), true);
    live(watched, 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(b->shadow_sampled[BATCH_MAX + i], b->shadow_shed[BATCH_MAX + i]);
    end(alone);
    end(watched);
}

static void doubtful_vectors_degrade_the_answer(void **state)
{
    (void)state;
    struct partition *p = begin(A ", on_range: degrade, ranges: [{feature: amount, max: 0}]");
    live(p, 30);
    for (int i = 0; i < 30; i++)
        assert_int_equal(p->outcomes[i].confidence, amount_of(i) > 0 ? CONFIDENCE_DEGRADED : CONFIDENCE_NORMAL);
    assert_int_equal(scorer_counts(pipeline_scorer(p->pipeline))->out_of_range[0], 20);
    deploy(p, A ", ranges: [{feature: amount, max: 0}]");
    live(p, 30);
    assert_int_equal(p->outcomes[31].confidence, CONFIDENCE_NORMAL);
    assert_int_equal(scorer_counts(pipeline_scorer(p->pipeline))->out_of_range[0], 40);
    deploy(p, A ", max_missing_features: 0");
    p->some_missing = true;
    live(p, 40);
    deploy(p, A ", max_missing_features: 1");
    live(p, 40);
    for (int i = 60; i < 140; i++) {
        assert_int_equal(p->outcomes[i].confidence, i % 10 == 0 && i < 100 ? CONFIDENCE_DEGRADED : CONFIDENCE_NORMAL);
        assert_int_equal(p->outcomes[i].role, ROLE_CHAMPION);
    }
    assert_int_equal(scorer_counts(pipeline_scorer(p->pipeline))->missing_degraded, 4);
    end(p);
}

static void a_damaged_record_is_refused(void **state)
{
    (void)state;
    struct partition *p = begin(A ", canary: {id: b, file: b.json, percent: 1}, shadows: [{id: half, file: half.json}], on_range: degrade, ranges: [{feature: amount, max: 7}]");
    live(p, 1);
    size_t size = strlen(p->told_record), refused = 0, taken = 0;
    struct deployment *d;
    assert_int_equal(deployment_outline(p->config, p->told_record, &d, NULL), 0);
    assert_int_equal(d->canary.below, 100);
    assert_true(d->settings.greatest[0] == 7 && isinf(d->settings.least[0]) && isinf(d->settings.greatest[1]));
    deployment_release(d);
    for (size_t at = 0; at < size; at++) { /* every byte left out, every byte another: no crash, and mostly refused */
        char damaged[4096];
        memcpy(damaged, p->told_record, at);
        memcpy(damaged + at, p->told_record + at + 1, size - at);
        for (int i = 0; i < 2; i++) {
            struct err err;
            int result = deployment_outline(p->config, damaged, &d, &err);
            if (result == 0)
                deployment_release(d);
            result < 0 ? refused++ : taken++;
            memcpy(damaged, p->told_record, size + 1);
            damaged[at] ^= 5;
        }
    }
    assert_true(refused > taken);
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swap_serves_from_its_event_and_is_told_once),
        cmocka_unit_test(the_champion_before_answers_for_one_that_fails),
        cmocka_unit_test(a_recovered_partition_goes_on_as_if_nothing_had_been),
        cmocka_unit_test(each_part_of_a_batch_has_its_own_champion_before),
        cmocka_unit_test(a_replay_follows_the_schedule_alone),
        cmocka_unit_test(a_model_that_is_not_at_hand_is_an_error_where_it_decides),
        cmocka_unit_test(a_canary_serves_its_share_always_the_same),
        cmocka_unit_test(shares_are_what_they_say),
        cmocka_unit_test(a_shadow_that_fails_touches_nothing),
        cmocka_unit_test(doubtful_vectors_degrade_the_answer),
        cmocka_unit_test(a_damaged_record_is_refused),
    };
    return cmocka_run_group_tests(tests, make_scene, remove_scene);
}
