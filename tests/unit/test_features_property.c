/* Random feature files and hostile streams through the engine and the reference: the same outcomes and the same rows,
 * bit for bit, whatever the batches, with or without vector instructions, with short or long rings indexed either way;
 * and one state whatever the batches.
 *
 * WEIR_PROPERTY_SEED (default 1) and WEIR_PROPERTY_EVENTS (default 60000) set the run.  A failure is cut down to few
 * events and printed with the feature file. */
#include "scoring/partition_state.h"
#include "feature_stream.h"
#include "reference_features.h"

/* ---- both, side by side ---- */

enum { BATCH = 64 };

struct trial {
    const struct file *file;
    uint64_t history, batches; /* seeds */
    size_t event;       /* where they differ */
    char what[200];
    uint64_t digest;
};

struct pair {
    struct field_set fields;
    struct feature_spec *spec;
    struct windows *windows;
    struct reference *reference;
    struct value *values; /* of a batch */
    char texts[BATCH][2][40];
    struct event events[BATCH];
    float *rows[2];
    struct feature_outcome outcomes[2][BATCH];
};

static void pair_open(struct pair *p, const struct file *f)
{
    struct err err = {0};
    memset(p, 0, sizeof *p);
    field_set_init(&p->fields);
    struct feature_spec_source source = scene_source(f->options, f->entries, f->count);
    if (feature_spec_create(&source, &p->fields, &p->spec, &err))
        fail_msg("%s", err.msg);
    p->windows = windows_create(p->spec, f->limits);
    p->reference = reference_create(p->spec, f->limits);
    p->values = calloc(BATCH * p->fields.count, sizeof *p->values);
    for (int i = 0; i < 2; i++)
        p->rows[i] = calloc(BATCH * p->spec->count, sizeof(float));
    assert_true(p->windows && p->reference && p->values && p->rows[0] && p->rows[1]);
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

static bool same_outcome(const struct feature_outcome *a, const struct feature_outcome *b)
{
    if (a->reason != b->reason)
        return false;
    return a->reason != REJECT_NONE || (a->window_complete == b->window_complete && a->late_ms == b->late_ms);
}

static bool outcomes_agree(const struct pair *p, size_t i, struct trial *trial)
{
    const struct feature_outcome *got = &p->outcomes[0][i], *wanted = &p->outcomes[1][i];
    if (!same_outcome(got, wanted)) {
        snprintf(trial->what, sizeof trial->what, "%s complete %d late %lld, wanted %s %d %lld", reject_name(got->reason),
                 got->window_complete, (long long)got->late_ms, reject_name(wanted->reason), wanted->window_complete,
                 (long long)wanted->late_ms);
        return false;
    }
    for (size_t k = 0; got->reason == REJECT_NONE && k < p->spec->count; k++) {
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
    struct window_counts got = windows_count(p->windows), wanted = reference_count(p->reference);
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

/* Whether engine and reference agree on all events; if not, trial says where and what. */
static bool agree(struct trial *trial, const struct sim *events, size_t count)
{
    struct chance history = {trial->history}, c = {trial->batches};
    struct pair p;
    bool agreed = true;
    pair_open(&p, trial->file);
    if (count)
        set_history(&history, &p, events);
    static const uint32_t tags[] = {8, 30, TAGS_MAX, TAGS_MAX};
    feature_program_vectors(p.windows->program, !one_in(&c, 3));
    feature_program_tags(p.windows->program, PICK(&c, tags));
    size_t most = one_in(&c, 3) ? 1 : 1 + (size_t)below(&c, BATCH);
    for (size_t i = 0; i < count && agreed;) {
        size_t n = 0, origin[BATCH], wanted = 1 + (size_t)below(&c, (int64_t)most);
        if (events[i].cold) {
            windows_set_history_cold(p.windows);
            reference_set_history_cold(p.reference);
        }
        for (; i < count && n < wanted && (!n || !events[i].cold); i++) {
            origin[n] = i;
            n += pair_event(&p, n, &events[i], (int64_t)i);
        }
        assert_int_equal(windows_fold(p.windows, p.events, n, p.rows[0], p.outcomes[0]), 0);
        assert_int_equal(reference_fold(p.reference, p.events, n, p.rows[1], p.outcomes[1]), 0);
        for (size_t k = 0; k < n && agreed; k++) {
            trial->event = origin[k];
            agreed = outcomes_agree(&p, k, trial);
        }
        agreed = agreed && states_agree(&p, trial);
    }
    trial->digest = windows_digest(p.windows);
    pair_close(&p);
    return agreed;
}

/* ---- a failure, cut down ---- */

static size_t cut_down(struct trial *trial, struct sim *events, size_t count)
{
    struct sim *fewer = malloc(count * sizeof *fewer);
    assert_non_null(fewer);
    count = trial->event + 1 < count ? trial->event + 1 : count;
    for (size_t step = count / 2; step; step /= 2)
        for (size_t at = 0; at + step <= count;) {
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

static void print_value(const char *name, const struct value *v)
{
    switch (v->type) {
    case VALUE_INT: print_error(" %s=%lld", name, (long long)v->integer); break;
    case VALUE_BOOL: print_error(" %s=%s", name, v->integer ? "true" : "false"); break;
    case VALUE_DOUBLE: print_error(" %s=%.17g", name, v->real); break;
    case VALUE_TEXT: print_error(" %s='%s'", name, v->text); break;
    default: break;
    }
}

static void print_failure(const struct trial *trial, const struct sim *events, size_t count)
{
    const struct file *f = trial->file;
    print_error("%s at the last event\nlateness %lld, max_events %lld, max_age %lld, future_skew %lld, limits %llu entities %llu events\n",
                trial->what, (long long)f->options.lateness_ms, (long long)f->options.max_events, (long long)f->options.max_age_ms,
                (long long)f->options.future_skew_ms, (unsigned long long)f->limits.max_entities, (unsigned long long)f->limits.max_events);
    for (size_t i = 0; i < f->count; i++) {
        const struct entry *e = &f->entries[i];
        print_error("  %s: %s %s [%s]%s", e->name, feature_op_name(e->op), e->field ? e->field : "", e->windows ? e->windows : "",
                    e->exclude_current ? " without current" : "");
        if (e->where)
            print_error(" where %s in [%s] not_in [%s] %s..%s", e->where, e->in ? e->in : "", e->not_in ? e->not_in : "", e->min ? e->min : "",
                        e->max ? e->max : "");
        print_error(" scale %g fixed %g\n", e->scale, e->fixed);
    }
    for (size_t i = 0; i < count; i++) {
        print_error("  t=%lld record=%+lld card=%d id=%d%s", (long long)events[i].t, (long long)(events[i].record_ms - events[i].t),
                    events[i].card, events[i].id, events[i].cold ? " (cold)" : "");
        print_value("amount", &events[i].fields.amount);
        print_value("price", &events[i].fields.price);
        print_value("merchant", &events[i].fields.merchant);
        print_value("code", &events[i].fields.code);
        print_value("lat", &events[i].fields.lat);
        print_value("lon", &events[i].fields.lon);
        print_value("flag", &events[i].fields.flag);
        print_error("\n");
    }
}

/* ---- the run ---- */

struct run {
    uint64_t files, streams, events, values;
};

static void run_stream(struct run *run, struct trial *trial, struct sim *events, size_t count, uint64_t seed)
{
    run->streams++;
    run->events += count;
    run->values += count * trial->file->count;
    if (agree(trial, events, count))
        return;
    count = cut_down(trial, events, count);
    print_failure(trial, events, count);
    fail_msg("case %llu", (unsigned long long)seed);
}

/* A file and a stream; a quarter of them once more in other batches, which must leave the same state. */
static void run_case(struct run *run, uint64_t seed)
{
    static struct file file;
    struct chance c = {seed};
    choose_file(&c, &file);
    settle_reach(&file);
    size_t count = (size_t)(one_in(&c, 20) ? 1500 : 20 + below(&c, 380));
    struct sim *events = calloc(count, sizeof *events);
    assert_non_null(events);
    choose_stream(&c, &file, events, count);
    struct trial trial = {.file = &file, .history = next(&c), .batches = next(&c)};
    run->files++;
    run_stream(run, &trial, events, count, seed);
    if (one_in(&c, 4)) {
        uint64_t digest = trial.digest;
        trial.batches = next(&c);
        run_stream(run, &trial, events, count, seed);
        assert_int_equal(trial.digest, digest);
    }
    free(events);
}

static void engine_and_reference_agree_bit_for_bit(void **state)
{
    (void)state;
    uint64_t seed = setting("WEIR_PROPERTY_SEED", 1), events = setting("WEIR_PROPERTY_EVENTS", 60000);
    struct run run = {0};
    for (uint64_t i = 0; run.events < events; i++)
        run_case(&run, seed * 1000003 + i);
    print_message("# seed %llu: %llu feature files, %llu streams, %llu events, at least %llu values, no difference\n", (unsigned long long)seed,
                  (unsigned long long)run.files, (unsigned long long)run.streams, (unsigned long long)run.events, (unsigned long long)run.values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(engine_and_reference_agree_bit_for_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
