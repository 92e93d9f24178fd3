/* Deviations of windows whose sums are given: each way, one by one and by vectors, gives the bits of the definition. */
#include "feature_scene.h"
#include "scoring/features/feature_steps.h"
#include "scoring/features/window_store.h"

enum { VIEWS = 16, WINDOWS = 5, FEW_WINDOWS = 2, CASES = 1 << 17 };

/* ---- chance ---- */

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Of up to so many bits, all lengths alike. */
static unsigned __int128 some_bits(uint64_t *c, unsigned most)
{
    const unsigned __int128 x = (unsigned __int128)next(c) << 64 | next(c);
    const unsigned bits = (unsigned)(next(c) % (most + 1));
    return bits ? x >> (128 - bits) : 0;
}

/* ---- what a window holds ---- */

struct held {
    uint32_t n;
    int64_t total;
    unsigned __int128 squares;
};

static const struct held extremes[] = {
    {0, 0, 0},
    {1, INT64_C(1) << 62, (unsigned __int128)1 << 124},
    {1, -(INT64_C(1) << 62), (unsigned __int128)1 << 124},
    {1, INT64_MIN, (unsigned __int128)1 << 126},
    {2, 0, (unsigned __int128)1 << 125},
    {65533, 0, ~(unsigned __int128)0 >> 1},          /* sums that have come round */
    {65533, INT64_MAX, ~(unsigned __int128)0 >> 50},
    {3, 5, 1},                                       /* less than any numbers' squares */
    {4096, -(INT64_C(1) << 52), (unsigned __int128)1 << 92},
};

static uint32_t some_count(uint64_t *c)
{
    static const uint32_t counts[] = {1, 2, 3, 4095, 4096, 65533};
    return next(c) % 2 ? counts[next(c) % 6] : (uint32_t)(1 + next(c) % 65533);
}

/* n numbers that are equal, or all but one, which differs by 1. */
static struct held nearly_equal(uint64_t *c)
{
    const uint32_t n = some_count(c);
    const int64_t x = (int64_t)some_bits(c, 40) * (next(c) % 2 ? 1 : -1), other = x + (int64_t)(next(c) % 2);
    return (struct held){n, (n - 1) * x + other, (n - 1) * (unsigned __int128)((__int128)x * x) + (unsigned __int128)((__int128)other * other)};
}

/* A difference in the middle of two doubles, or beside it, whose root is in the middle of two floats, or beside it: so the
 * last bit tells in the row. */
static struct held near_a_tie(uint64_t *c)
{
    const uint64_t root = next(c) >> 39 | UINT64_C(3) << 23 | 1; /* 25 bits */
    const unsigned shift = 3 + (unsigned)(next(c) % 36);
    const __int128 half = (__int128)1 << (2 * shift - 4), beside = (next(c) % 2 ? half : -half) + (int64_t)(next(c) % 3) - 1;
    const int64_t total = (int64_t)some_bits(c, 52) * (next(c) % 2 ? 1 : -1);
    return (struct held){1, total, ((unsigned __int128)(root * root) << 2 * shift) + (unsigned __int128)(beside + (__int128)total * total)};
}

/* Of numbers, most of them small. */
static struct held of_numbers(uint64_t *c)
{
    struct held held = {.n = (uint32_t)(1 + next(c) % 20)};
    for (uint32_t i = 0; i < held.n; i++) {
        const int64_t x = (int64_t)some_bits(c, 40) * (next(c) % 4 ? 1 : -1);
        held.total += x;
        held.squares += (unsigned __int128)((__int128)x * x);
    }
    return held;
}

static struct held some_held(uint64_t *c)
{
    switch (next(c) % 8) {
    case 0: return extremes[next(c) % (sizeof extremes / sizeof *extremes)];
    case 1: return nearly_equal(c);
    case 2: return (struct held){some_count(c), (int64_t)some_bits(c, 64), some_bits(c, 110)};
    case 3:
    case 4: return near_a_tie(c);
    default: return of_numbers(c);
    }
}

/* ---- the definition ---- */

static double deviation_of(const struct held *held)
{
    const unsigned __int128 difference = held->n * held->squares - (unsigned __int128)((__int128)held->total * held->total);
    return sqrt((double)(__int128)difference) / held->n;
}

static float std_of(const struct held *held)
{
    return (float)(held->n ? deviation_of(held) : NAN);
}

static float zscore_of(const struct held *held, struct value number)
{
    if (!held->n || value_is_null(&number))
        return NAN;
    const double deviation = deviation_of(held);
    return (float)(deviation > 0 ? ((double)number.integer - (double)held->total / held->n) / deviation : 0);
}

/* ---- a scene of views ---- */

struct stage {
    struct scene scene;
    struct feature_program *program;
    struct window_store store;
    struct feature_view *views;
    struct value values[VIEWS][FIELD_SLOTS_MAX];
    uint64_t records[VIEWS][16];
    float rows[VIEWS][2 * (WINDOWS + FEW_WINDOWS)], wanted[VIEWS][2 * (WINDOWS + FEW_WINDOWS)];
};

/* std and zscore over five windows, and over two of another field: vectors take two such views at a time. */
static void stage_open(struct stage *s, int64_t max_events)
{
    memset(s, 0, sizeof *s);
    SCENE_OPEN(&s->scene, ((struct file_options){.max_events = max_events}), {.name = "std", .op = OP_STD, .field = "amount", .windows = "1m 1h 1d 2d 7d"},
               {.name = "z", .op = OP_ZSCORE, .field = "amount", .windows = "1m 1h 1d 2d 7d"},
               {.name = "few_std", .op = OP_STD, .field = "code", .windows = "2d 7d"}, {.name = "few_z", .op = OP_ZSCORE, .field = "code", .windows = "2d 7d"});
    s->program = feature_program_create(s->scene.spec, sizeof(struct entity));
    assert_non_null(s->program);
    assert_int_equal(s->program->step_count, 4);
    assert_int_equal(window_store_init(&s->store, s->program), 0);
    s->views = feature_views_create(&s->store, VIEWS);
    assert_non_null(s->views);
}

static void stage_close(struct stage *s)
{
    feature_views_destroy(s->views, VIEWS);
    window_store_finish(&s->store);
    feature_program_destroy(s->program);
    scene_close(&s->scene);
}

/* The first of two steps that look at the same windows. */
static void hold(struct feature_view *v, const struct step *step, uint32_t window, const struct held *held)
{
    uint64_t *counters = (uint64_t *)(void *)(v->counted + step->counters) + window;
    *counters = (*counters & ~((uint64_t)step->counter_mask << step->shift)) | (uint64_t)held->n << step->shift;
    memcpy(v->counted + step->counted + 8 * window, &held->total, sizeof held->total);
    memcpy(v->counted + step->squares + 16 * window, &held->squares, sizeof held->squares);
}

static void fill_view(struct stage *s, uint32_t i, uint64_t *c)
{
    struct feature_view *v = feature_view_at(s->views, i);
    const struct value number = next(c) % 8 ? INT((int64_t)some_bits(c, 64)) : NIL;
    v->row = s->rows[i];
    v->values = s->values[i];
    v->record = s->records[i];
    for (uint32_t k = 0; k < 4; k += 2) {
        const struct step *step = &s->program->steps[k], *zscore = step + 1;
        s->values[i][zscore->slot] = number;
        s->records[i][zscore->word] = (uint64_t)number.integer;
        for (uint32_t window = 0; window < step->count; window++) {
            const struct held held = some_held(c);
            hold(v, step, window, &held);
            s->wanted[i][step->column + window] = std_of(&held);
            s->wanted[i][zscore->column + window] = zscore_of(&held, number);
        }
    }
}

/* Rows of the first n views. */
static void check_rows(struct stage *s, uint32_t n, bool vectors)
{
    memset(s->rows, 0x55, sizeof s->rows);
    feature_program_vectors(s->program, vectors);
    feature_steps_run(s->program, 0, s->program->step_count, s->views, n);
    assert_memory_equal(s->rows, s->wanted, n * sizeof *s->rows);
}

static void check_deviations(int64_t max_events)
{
    static struct stage s;
    uint64_t c = (uint64_t)max_events;
    stage_open(&s, max_events);
    for (uint32_t done = 0; done < CASES;) {
        const uint32_t n = 1 + (uint32_t)(next(&c) % VIEWS);
        for (uint32_t i = 0; i < n; i++)
            fill_view(&s, i, &c);
        check_rows(&s, n, true);
        check_rows(&s, n, false);
        done += n * (WINDOWS + FEW_WINDOWS);
    }
    stage_close(&s);
}

static void deviations_are_exact_to_the_last_bit(void **state)
{
    (void)state;
    check_deviations(4096);
    check_deviations(100000); /* counters of 32 bits */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(deviations_are_exact_to_the_last_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
