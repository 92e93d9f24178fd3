/* Random feature files and hostile streams through the engine and the reference: the same outcomes and the same rows,
 * bit for bit, whatever the batches, with or without vector instructions, with short or long rings indexed either way,
 * and when the state was written down and read back on the way; and one state whatever the batches.
 *
 * Of long streams the rows of some events alone are made by the reference; all rows of the engine are the same in other
 * batches.
 *
 * WEIR_PROPERTY_SEED (default 1) and WEIR_PROPERTY_EVENTS (default 60000) set the run; with WEIR_PROPERTY_DRAWS=1 it says
 * what it came upon.  A failure is cut down to few events and printed with the feature file and the number of its case,
 * which WEIR_PROPERTY_CASE runs alone. */
#include "feature_draws.h"
#include "feature_restore.h"
#include "scoring/features/partition_state.h"

/* ---- both, side by side ---- */

enum { BATCH = 64 };

struct trial {
    const struct file *file;
    enum categories categories;
    uint64_t history, batches; /* seeds */
    size_t event;       /* where they differ */
    char what[200];
    uint64_t digest, rows; /* of the state in the end, of all rows */
    struct draws *draws; /* NULL: they are counted already */
};

struct pair {
    const struct file *file;
    struct field_set fields;
    struct feature_spec *spec;
    struct windows *windows;
    struct window_counts before; /* of the windows before the last restoring */
    struct reference *reference;
    struct value *values; /* of a batch */
    char texts[BATCH][2][SIM_TEXT];
    struct event events[BATCH];
    float *rows[2];
    struct feature_outcome outcomes[2][BATCH];
};

static struct windows *windows_open(const struct pair *p, struct chance *c)
{
    static const uint32_t tags[] = {8, 30, TAGS_MAX, TAGS_MAX};
    struct windows *w = windows_create(p->spec, p->file->limits);
    assert_non_null(w);
    feature_program_vectors(w->program, !one_in(c, 3));
    feature_program_tags(w->program, PICK(c, tags));
    return w;
}

/* A row costs the reference as much as events are held. */
static int64_t row_every(const struct file *f, size_t count)
{
    return f->dense ? 1 + least(f->options.max_events, (int64_t)count) / 256 : 1;
}

static void pair_open(struct pair *p, const struct file *f, struct chance *c, size_t count)
{
    struct err err = {0};
    memset(p, 0, sizeof *p);
    p->file = f;
    field_set_init(&p->fields);
    struct feature_spec_source source = scene_source(f->options, f->entries, f->count);
    if (feature_spec_create(&source, &p->fields, &p->spec, &err))
        fail_msg("%s", err.msg);
    p->windows = windows_open(p, c);
    p->reference = reference_create(p->spec, f->limits);
    p->values = calloc(BATCH * p->fields.count, sizeof *p->values);
    for (int i = 0; i < 2; i++)
        p->rows[i] = calloc(BATCH * p->spec->count, sizeof(float));
    assert_true(p->reference && p->values && p->rows[0] && p->rows[1]);
    reference_rows_every(p->reference, row_every(f, count));
}

static void pair_close(struct pair *p)
{
    windows_destroy(p->windows);
    reference_destroy(p->reference);
    free(p->values);
    free(p->rows[0]);
    free(p->rows[1]);
    feature_spec_destroy(p->spec);
    field_set_finish(&p->fields);
}

static bool pair_event(struct pair *p, size_t i, const struct sim *sim, int64_t offset)
{
    struct value *values = p->values + i * p->fields.count;
    return sim_event(sim, p->spec, &p->fields, offset, values, p->texts[i], &p->events[i]);
}

/* The windows' counts since the stream began. */
static struct window_counts pair_counts(const struct pair *p)
{
    struct window_counts counts = windows_count(p->windows);
    counts.evicted_entities += p->before.evicted_entities;
    counts.dropped_events += p->before.dropped_events;
    return counts;
}

static bool same_outcome(const struct feature_outcome *a, const struct feature_outcome *b)
{
    if (a->reason != b->reason)
        return false;
    return a->reason != REJECT_NONE || (a->window_complete == b->window_complete && a->late_ms == b->late_ms && a->before_ms == b->before_ms);
}

static bool outcomes_agree(const struct pair *p, size_t i, struct trial *trial)
{
    const struct feature_outcome *got = &p->outcomes[0][i], *wanted = &p->outcomes[1][i];
    if (!same_outcome(got, wanted)) {
        snprintf(trial->what, sizeof trial->what, "%s complete %d late %lld after %lld, wanted %s %d %lld %lld", reject_name(got->reason),
                 got->window_complete, (long long)got->late_ms, (long long)got->before_ms, reject_name(wanted->reason), wanted->window_complete,
                 (long long)wanted->late_ms, (long long)wanted->before_ms);
        return false;
    }
    if (got->reason != REJECT_NONE || !reference_has_row(p->reference, p->events[i].offset))
        return true;
    for (size_t k = 0; k < p->spec->count; k++) {
        const float *a = &p->rows[0][i * p->spec->count + k], *b = &p->rows[1][i * p->spec->count + k];
        if (!memcmp(a, b, sizeof *a))
            continue;
        snprintf(trial->what, sizeof trial->what, "%s is %.9g, wanted %.9g", p->spec->features[k].name, (double)*a, (double)*b);
        return false;
    }
    return true;
}

static bool states_agree(const struct pair *p, struct trial *trial)
{
    struct window_counts got = pair_counts(p), wanted = reference_count(p->reference);
    if (windows_stream_time(p->windows) == reference_stream_time(p->reference) &&
        windows_history_start(p->windows) == reference_history_start(p->reference) && got.evicted_entities == wanted.evicted_entities &&
        got.dropped_events == wanted.dropped_events && got.bytes <= windows_worst_case_bytes(p->spec, trial->file->limits))
        return true;
    snprintf(trial->what, sizeof trial->what, "state: evicted %llu, wanted %llu; dropped %llu, wanted %llu; %llu bytes",
             (unsigned long long)got.evicted_entities, (unsigned long long)wanted.evicted_entities, (unsigned long long)got.dropped_events,
             (unsigned long long)wanted.dropped_events, (unsigned long long)got.bytes);
    return false;
}

static void set_history(struct chance *c, struct pair *p, const struct sim *first)
{
    if (one_in(c, 3)) {
        windows_set_history_cold(p->windows);
        reference_set_history_cold(p->reference);
    } else if (one_in(c, 2)) {
        int64_t start = first->t - below(c, 100000);
        windows_set_history_start(p->windows, start);
        reference_set_history_start(p->reference, start);
    }
}

/* ---- a batch ---- */

/* The windows go on as others, which hold what they held. */
static void pair_restore(struct pair *p, struct chance *c, const struct sim *sim, struct draws *draws)
{
    struct windows *to = windows_open(p, c);
    windows_restore(p->windows, to, sim->first_seq);
    assert_int_equal(windows_digest(to), windows_digest(p->windows));
    p->before = pair_counts(p);
    windows_destroy(p->windows);
    p->windows = to;
    if (!draws)
        return;
    draws->counts[DRAW_RESTORED]++;
    draws->counts[DRAW_RESTORED_LONG] += windows_count(to).events > 512;
    for (size_t i = 0; i < SIM_CARDS; i++)
        draws->firsts[i] = sim->first_seq;
}

static void before_batch(struct pair *p, struct chance *c, const struct sim *first, struct draws *draws)
{
    if (first->restored)
        pair_restore(p, c, first, draws);
    if (!first->cold)
        return;
    windows_set_history_cold(p->windows);
    reference_set_history_cold(p->reference);
}

static void fold_reference(struct pair *p, size_t i, const struct trial *trial, size_t origin)
{
    struct draws *d = trial->draws;
    const struct event *event = &p->events[i];
    struct draw_before before = {0};
    if (d)
        before = draw_before_event(d, p->reference, &d->events[origin], event, field_set_find(&p->fields, "merchant"));
    assert_int_equal(reference_fold(p->reference, event, 1, p->rows[1] + i * p->spec->count, &p->outcomes[1][i]), 0);
    if (!d)
        return;
    const enum reject_reason reason = p->outcomes[1][i].reason;
    draw_after_event(d, p->reference, origin, trial->categories, &before, reason);
    draw_if(d, DRAW_ROWS, reason == REJECT_NONE && reference_has_row(p->reference, event->offset));
    draw_if(d, DRAW_EVENTS_FUSED, reason == REJECT_NONE && p->windows->program->fused);
    draw_if(d, DRAW_EVENTS_PORTABLE, reason == REJECT_NONE && !p->windows->program->vectors);
}

static void draw_turns(const struct pair *p, size_t n, const size_t *origins, struct draws *d)
{
    const struct entity_table *entities = &p->windows->entities;
    for (size_t i = 0; i < n; i++) {
        const struct entity *e = entity_find(entities, p->events[i].entity, entity_hash(entities, p->events[i].entity));
        if (e)
            draw_turn(d, d->events[origins[i]].card, e->first_seq, e->count);
    }
}

/* The n events of the pair's batch, and where in the stream each comes from. */
static bool batch_agrees(struct pair *p, size_t n, const size_t *origins, struct trial *trial)
{
    bool agreed = true;
    assert_int_equal(windows_fold(p->windows, p->events, n, p->rows[0], p->outcomes[0]), 0);
    for (size_t i = 0; i < n && agreed; i++) {
        fold_reference(p, i, trial, origins[i]);
        trial->event = origins[i];
        agreed = outcomes_agree(p, i, trial);
        if (p->outcomes[0][i].reason == REJECT_NONE)
            trial->rows = hash_bytes(p->rows[0] + i * p->spec->count, (uint32_t)(p->spec->count * sizeof(float)), trial->rows);
    }
    if (trial->draws)
        draw_turns(p, n, origins, trial->draws);
    return agreed && states_agree(p, trial);
}

/* Whether engine and reference agree on all events; if not, trial says where and what. */
static bool agree(struct trial *trial, const struct sim *events, size_t count)
{
    struct chance history = {trial->history}, c = {trial->batches};
    struct pair p;
    bool agreed = true;
    pair_open(&p, trial->file, &c, count);
    trial->rows = 0;
    if (trial->draws)
        draw_begin(trial->draws, events, count);
    if (count)
        set_history(&history, &p, events);
    size_t most = one_in(&c, 3) ? 1 : 1 + (size_t)below(&c, BATCH);
    for (size_t i = 0; i < count && agreed;) {
        size_t n = 0, origins[BATCH], wanted = 1 + (size_t)below(&c, (int64_t)most), first = i;
        before_batch(&p, &c, &events[i], trial->draws);
        for (; i < count && n < wanted && (i == first || !(events[i].cold || events[i].restored)); i++) {
            origins[n] = i;
            n += pair_event(&p, n, &events[i], (int64_t)i);
        }
        if (trial->draws)
            trial->draws->counts[DRAW_TOO_LARGE] += i - first - n;
        agreed = batch_agrees(&p, n, origins, trial);
    }
    trial->digest = windows_digest(p.windows);
    if (trial->draws)
        draw_end(trial->draws);
    pair_close(&p);
    return agreed;
}

/* ---- a failure, cut down ---- */

enum { CUT_EVENTS = PLANT ? 20000 : 500000 }; /* in all tries: a long stream takes its time */

static size_t cut_down(struct trial *trial, struct sim *events, size_t count)
{
    struct sim *fewer = malloc(count * sizeof *fewer);
    assert_non_null(fewer);
    count = trial->event + 1 < count ? trial->event + 1 : count;
    size_t tried = 0;
    for (size_t step = count / 2; step; step /= 2)
        for (size_t at = 0; at + step <= count && tried < CUT_EVENTS; tried += count) {
            memcpy(fewer, events, at * sizeof *fewer);
            memcpy(fewer + at, events + at + step, (count - at - step) * sizeof *fewer);
            if (agree(trial, fewer, count - step)) {
                at += step;
                continue;
            }
            count -= step;
            memcpy(events, fewer, count * sizeof *fewer);
        }
    free(fewer);
    agree(trial, events, count);
    return count;
}

static void print_failure(const struct trial *trial, const struct sim *events, size_t count)
{
    print_error("%s at the last event\n", trial->what);
    print_file(trial->file);
    for (size_t i = 0; i < count; i++)
        print_sim(&events[i]);
}

/* ---- the run ---- */

enum { DENSE_ONE_IN = 8 };

struct run {
    uint64_t files, streams, events;
    struct draws draws;
};

static void run_stream(struct run *run, struct trial *trial, struct sim *events, size_t count, uint64_t seed)
{
    run->streams++;
    run->events += count;
    if (agree(trial, events, count))
        return;
    trial->draws = NULL;
    count = cut_down(trial, events, count);
    print_failure(trial, events, count);
    fail_msg("case %llu", (unsigned long long)seed);
}

/* A file and a stream; a quarter of them once more in other batches, which must give the same rows and leave the same state. */
static void run_case(struct run *run, uint64_t seed)
{
    static struct file file;
    struct chance c = {seed};
    choose_file(&c, &file, one_in(&c, DENSE_ONE_IN));
    size_t count = choose_length(&c, &file);
    struct sim *events = calloc(count, sizeof *events);
    assert_non_null(events);
    struct trial trial = {.file = &file, .categories = choose_stream(&c, &file, events, count), .history = next(&c), .batches = next(&c), .draws = &run->draws};
    run->files++;
    draw_file(&run->draws, &file, count);
    run_stream(run, &trial, events, count, seed);
    if (one_in(&c, 4)) {
        const uint64_t digest = trial.digest, rows = trial.rows;
        trial.batches = next(&c);
        trial.draws = NULL;
        run_stream(run, &trial, events, count, seed);
        assert_int_equal(trial.digest, digest);
        assert_int_equal(trial.rows, rows);
    }
    free(events);
}

static void engine_and_reference_agree_bit_for_bit(void **state)
{
    (void)state;
    uint64_t seed = setting("WEIR_PROPERTY_SEED", 1), events = setting("WEIR_PROPERTY_EVENTS", 60000);
    static struct run run;
    const uint64_t one = setting("WEIR_PROPERTY_CASE", 0);
    if (one)
        run_case(&run, one);
    for (uint64_t i = 0; !one && run.events < events; i++)
        run_case(&run, seed * 1000003 + i);
    if (setting("WEIR_PROPERTY_DRAWS", 0))
        print_draws(&run.draws, run.events);
    print_message("# seed %llu: %llu feature files, %llu streams, %llu events, %llu rows compared, no difference\n", (unsigned long long)seed,
                  (unsigned long long)run.files, (unsigned long long)run.streams, (unsigned long long)run.events,
                  (unsigned long long)run.draws.counts[DRAW_ROWS]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(engine_and_reference_agree_bit_for_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
