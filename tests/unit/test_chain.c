/* Who answers an event: what each model says, what its breaker makes of it, and that batches do not matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/models/chain.h"
#include "scoring/features/vector_rules.h"
#include "tests/unit/stump.h"

enum { COLUMNS = STUMP_COLUMNS, EVENTS = 1000 };

static struct model *stump(const char *objective, const char *low, const char *high, const char *base)
{
    char text[STUMP_TEXT_MAX];
    struct model *model;
    struct err err;
    size_t size = stump_text(text, (struct stump){objective, low, high, base, {"a", "b"}});
    if (model_create(text, size, &model, &err) < 0)
        fail_msg("%s", err.msg);
    return model;
}

static struct model *probability(const char *low, const char *high)
{
    return stump("binary:logistic", low, high, "5E-1");
}

/* Says `low` or `high` as they are: outside [0, 1] that is no valid output. */
static struct model *number(const char *low, const char *high)
{
    return stump("reg:squarederror", low, high, "0E0");
}

static const struct thresholds halves = {0.5, 0.9};
static const struct breaker_rules rules = {10, 300000, 10, 60000};

struct scene {
    struct chain chain;
    struct breaker breakers[CHAIN_MODELS];
    struct chain_scratch *scratch;
    int64_t fallbacks[FALLBACK_REASONS];
    float rows[EVENTS * COLUMNS];
    int64_t now[EVENTS];
    bool canary[EVENTS];
    struct served served[EVENTS];
};

static struct scene *scene_of(struct model *canary, struct model *champion, struct model *fallback)
{
    struct scene *s = calloc(1, sizeof *s);
    struct model *models[] = {canary, champion, fallback};
    s->scratch = chain_scratch_create(COLUMNS);
    s->chain = (struct chain){.rules = rules, .fixed_score = 0.25f, .fixed_thresholds = halves};
    for (int i = 0; i < CHAIN_MODELS; i++) {
        s->breakers[i] = breaker_closed();
        s->chain.models[i] = (struct chain_model){models[i], models[i] && !model_always_valid(models[i]) ? &s->breakers[i] : NULL, halves};
    }
    return s;
}

static void destroy(struct scene *s)
{
    for (int i = 0; i < CHAIN_MODELS; i++)
        model_destroy(s->chain.models[i].model);
    chain_scratch_destroy(s->scratch);
    free(s);
}

static void answer(struct scene *s, size_t from, size_t n)
{
    struct chain_batch batch = {n, s->rows + from * COLUMNS, s->now + from, s->chain.models[CHAIN_CANARY].model ? s->canary + from : NULL};
    struct err err;
    assert_int_equal(chain_answer(&s->chain, s->scratch, &batch, s->served + from, s->fallbacks, &err), 0);
}

static void a_champion_that_answers_needs_nobody(void **state)
{
    (void)state;
    struct scene *s = scene_of(NULL, probability("-3", "3"), NULL);
    s->rows[0] = -1;
    s->rows[COLUMNS] = 1;
    answer(s, 0, 2);
    assert_int_equal(s->served[0].decision, DECISION_APPROVE);
    assert_int_equal(s->served[1].decision, DECISION_DECLINE);
    assert_true(s->served[1].margin == 3 && s->served[1].score > 0.95f);
    assert_int_equal(s->served[1].role, ROLE_CHAMPION);
    assert_int_equal(s->served[1].confidence, CONFIDENCE_NORMAL);
    assert_int_equal(s->fallbacks[FALLBACK_INVALID_OUTPUT] + s->fallbacks[FALLBACK_CIRCUIT_OPEN], 0);
    destroy(s);
}

static void each_side_gets_its_model(void **state)
{
    (void)state;
    struct scene *s = scene_of(probability("2", "2"), probability("-2", "-2"), NULL);
    s->canary[1] = true;
    answer(s, 0, 3);
    assert_true(s->served[0].margin == -2 && s->served[1].margin == 2 && s->served[2].margin == -2);
    assert_int_equal(s->served[1].role, ROLE_CANARY);
    assert_int_equal(s->served[0].role, ROLE_CHAMPION);
    destroy(s);
}

static void an_invalid_output_goes_down_the_chain(void **state)
{
    (void)state;
    struct scene *s = scene_of(number("0.5", "1.5"), number("0.6", "-1"), number("0.7", "7"));
    s->canary[0] = s->canary[1] = true;
    s->rows[0] = -1;                  /* canary: 0.5 */
    s->rows[COLUMNS] = 1;             /* canary 1.5, champion -1, fallback 7: nobody */
    s->rows[2 * COLUMNS] = -1;        /* champion: 0.6 */
    answer(s, 0, 3);
    assert_int_equal(s->served[0].role, ROLE_CANARY);
    assert_int_equal(s->served[1].role, ROLE_FALLBACK);
    assert_int_equal(s->served[1].confidence, CONFIDENCE_NONE);
    assert_int_equal(s->served[1].place, CHAIN_FIXED);
    assert_true(s->served[1].score == 0.25f && isnan(s->served[1].margin));
    assert_int_equal(s->served[1].decision, DECISION_APPROVE);
    assert_int_equal(s->served[2].role, ROLE_CHAMPION);
    assert_int_equal(s->fallbacks[FALLBACK_INVALID_OUTPUT], 1);
    destroy(s);
    s = scene_of(number("2", "2"), number("0.6", "-1"), number("0.7", "0.7"));
    s->canary[0] = s->canary[1] = true;
    s->rows[0] = -1;
    s->rows[COLUMNS] = 1;
    answer(s, 0, 2);
    assert_int_equal(s->served[0].role, ROLE_CHAMPION); /* for a canary that fails */
    assert_int_equal(s->served[0].confidence, CONFIDENCE_NORMAL);
    assert_int_equal(s->served[1].role, ROLE_FALLBACK);
    assert_int_equal(s->served[1].confidence, CONFIDENCE_DEGRADED);
    assert_true(s->served[1].score == 0.7f);
    destroy(s);
}

static void a_breaker_opens_and_closes_in_the_middle_of_a_batch(void **state)
{
    (void)state;
    struct scene *s = scene_of(NULL, number("0.5", "2"), NULL);
    for (int i = 0; i < 100; i++) {
        s->rows[i * COLUMNS] = i < 20 ? 1 : -1; /* 20 failures, then all is well */
        s->now[i] = i * 1000;
    }
    answer(s, 0, 100);
    for (int i = 0; i < 10; i++)
        assert_int_equal(s->served[i].role, ROLE_FALLBACK); /* invalid */
    for (int i = 10; i < 69; i++)
        assert_int_equal(s->served[i].role, ROLE_FALLBACK); /* open since 9 s */
    for (int i = 69; i < 100; i++)
        assert_int_equal(s->served[i].role, ROLE_CHAMPION);
    assert_int_equal(s->fallbacks[FALLBACK_INVALID_OUTPUT], 10);
    assert_int_equal(s->fallbacks[FALLBACK_CIRCUIT_OPEN], 59);
    destroy(s);
}

/* A model for every place that fails now and then. */
static struct scene *unsteady(void)
{
    struct scene *s = scene_of(number("0.1", "9"), number("0.2", "9"), number("0.3", "9"));
    uint64_t random = 7;
    for (int i = 0; i < EVENTS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        s->rows[i * COLUMNS] = (random >> 40) % 100 < (uint64_t)(i / 20) ? 1.0f : -1.0f;
        s->now[i] = i * 700;
        s->canary[i] = (random >> 33) % 4 == 0;
    }
    return s;
}

static void batches_do_not_matter(void **state)
{
    (void)state;
    struct scene *whole = unsteady(), *parts = unsteady();
    answer(whole, 0, EVENTS);
    for (size_t from = 0, n = 1; from < EVENTS; from += n, n = n * 5 % 97 + 1)
        answer(parts, from, from + n > EVENTS ? EVENTS - from : n);
    for (int i = 0; i < EVENTS; i++) {
        assert_int_equal(whole->served[i].place, parts->served[i].place);
        assert_memory_equal(&whole->served[i].score, &parts->served[i].score, sizeof(float));
    }
    assert_memory_equal(whole->breakers, parts->breakers, sizeof whole->breakers);
    assert_memory_equal(whole->fallbacks, parts->fallbacks, sizeof whole->fallbacks);
    assert_true(whole->fallbacks[FALLBACK_CIRCUIT_OPEN] > 100 && whole->fallbacks[FALLBACK_INVALID_OUTPUT] > 10);
    destroy(whole);
    destroy(parts);
}

static void a_vector_is_counted_by_what_is_wrong_with_it(void **state)
{
    (void)state;
    const float row[] = {1, NAN, -INFINITY, 5}, least[] = {1, 0, -10, -INFINITY}, greatest[] = {1, 0, 10, INFINITY};
    int64_t counts[4] = {0};
    assert_int_equal(vector_missing(row, 4), 1);
    assert_true(vector_outside(row, 4, least, greatest, counts));
    assert_memory_equal(counts, ((int64_t[]){0, 0, 1, 0}), sizeof counts);
    assert_false(vector_outside(row, 2, least, greatest, counts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_champion_that_answers_needs_nobody),
        cmocka_unit_test(each_side_gets_its_model),
        cmocka_unit_test(an_invalid_output_goes_down_the_chain),
        cmocka_unit_test(a_breaker_opens_and_closes_in_the_middle_of_a_batch),
        cmocka_unit_test(batches_do_not_matter),
        cmocka_unit_test(a_vector_is_counted_by_what_is_wrong_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
