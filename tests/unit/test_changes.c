/* Checkpoints taken while events go on being folded, kept in two slots an entity as the changelog keeps them, and read
 * back: from then on the windows give the same rows, bit for bit, and the same digest.
 *
 * The changelog here is a list of records in the order they were written; recovery reads it as it would be after any
 * number of crashes: up to a chosen place, by the rule "highest epoch not above the last marker's".
 * Compiled with -DPLANT=1 to 5 it breaks the protocol in a way that the test must notice. */
#include <stdlib.h>

#include "feature_stream.h"
#include "scoring/features/changes.h"
#include "scoring/features/partition_state.h"

#ifndef PLANT
#define PLANT 0
#endif
enum { PLANT_CAPTURED_TOO_LATE = 1, PLANT_ONE_SLOT, PLANT_NO_EMPTY_VERSION, PLANT_EARLY_BURIAL, PLANT_EARLY_MARKER };

enum { BATCH = 16 };

/* ---- the changelog of a test ---- */

struct written {
    enum { ENTITY, TOMBSTONE, MARKER } kind;
    uint32_t epoch;
    unsigned slot;
    char *key;
    uint32_t key_size;
    int64_t seen_offset, dropped_ms;
    uint32_t count;
    uint64_t *words;
    /* of a marker */
    struct windows_mark mark;
    int64_t offset;
    uint64_t digest; /* of the state at its O */
};

struct changelog {
    struct written *records;
    size_t count, room;
    uint32_t epoch; /* being written */
    uint32_t words;
};

static struct written *log_append(struct changelog *log)
{
    if (log->count == log->room) {
        log->room = log->room ? log->room * 2 : 256;
        log->records = realloc(log->records, log->room * sizeof *log->records);
        assert_non_null(log->records);
    }
    struct written *record = &log->records[log->count++];
    memset(record, 0, sizeof *record);
    return record;
}

static void set_key(struct written *record, struct bytes key)
{
    record->key = malloc(key.size + 1);
    assert_non_null(record->key);
    memcpy(record->key, key.data, key.size);
    record->key_size = key.size;
}

static bool write_entity(void *context, const struct entity_image *image, unsigned slot)
{
    struct changelog *log = context;
    if (PLANT == PLANT_NO_EMPTY_VERSION && !image->count)
        return false;
    struct written *record = log_append(log);
    *record = (struct written){.kind = ENTITY, .epoch = log->epoch, .slot = PLANT == PLANT_ONE_SLOT ? 0 : slot, .seen_offset = image->seen_offset,
                               .dropped_ms = image->dropped_ms, .count = image->count};
    set_key(record, image->key);
    size_t size = (size_t)image->count * log->words * sizeof *record->words;
    record->words = malloc(size + 1);
    assert_non_null(record->words);
    if (size)
        memcpy(record->words, image->words, size);
    return false;
}

static void write_tombstones(void *context, struct bytes key, unsigned older, bool split)
{
    (void)split;
    for (unsigned i = 0; i < 2; i++) {
        struct written *record = log_append(context);
        record->kind = TOMBSTONE;
        record->slot = older ^ i;
        set_key(record, key);
    }
}

static void log_finish(struct changelog *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->records[i].key);
        free(log->records[i].words);
    }
    free(log->records);
}

/* ---- reading it back ---- */

struct version {
    uint32_t epoch; /* 0: none */
    size_t record;
};

struct held { /* what the log holds of one entity */
    const struct written *key;
    struct version slots[2];
};

static bool same_key(const struct written *a, const struct written *b)
{
    return a->key_size == b->key_size && !memcmp(a->key, b->key, a->key_size);
}

static struct held *held_of(struct held *all, size_t *count, const struct written *record)
{
    for (size_t i = 0; i < *count; i++)
        if (same_key(all[i].key, record))
            return &all[i];
    all[*count] = (struct held){.key = record};
    return &all[(*count)++];
}

/* As the compacted log leaves it: the last record of each key. */
static size_t compact(const struct changelog *log, size_t end, struct held *all)
{
    size_t count = 0;
    for (size_t i = 0; i < end; i++) {
        const struct written *record = &log->records[i];
        if (record->kind != MARKER)
            held_of(all, &count, record)->slots[record->slot] = (struct version){record->kind == ENTITY ? record->epoch : 0, i};
    }
    return count;
}

static void import_one(struct windows *w, const struct changelog *log, const struct held *held, uint32_t epoch, struct import_version versions[])
{
    int best = -1;
    bool above = false;
    for (int s = 0; s < 2; s++) {
        uint32_t e = held->slots[s].epoch;
        above |= e > epoch;
        if (e && e <= epoch && (best < 0 || e > held->slots[best].epoch))
            best = s;
    }
    if (best < 0 && !above)
        return;
    uint32_t number;
    assert_int_equal(windows_import_open(w, (struct bytes){held->key->key, held->key->key_size}, &number), IMPORT_DONE);
    if (best >= 0) {
        const struct written *r = &log->records[held->slots[best].record];
        struct entity_image image = {{r->key, r->key_size}, r->seen_offset, r->dropped_ms, r->count, r->words};
        assert_int_equal(windows_import_events(w, number, &image), IMPORT_DONE);
    }
    versions[number] = (struct import_version){.versioned = true, .dirty = above, .slot = best < 0 ? 0 : (unsigned)best};
}

static const struct written *last_marker(const struct changelog *log, size_t end)
{
    for (size_t i = end; i--;)
        if (log->records[i].kind == MARKER)
            return &log->records[i];
    return NULL;
}

static uint32_t highest_epoch(const struct changelog *log, size_t end)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < end; i++)
        highest = log->records[i].epoch > highest ? log->records[i].epoch : highest;
    return highest;
}

/* ---- a worker ---- */

struct worker {
    struct windows *windows;
    struct changelog *log;
    bool running;
    struct written marker; /* of the checkpoint that runs */
};

static void worker_open(struct worker *w, const struct feature_spec *spec, const struct file *f, struct changelog *log)
{
    *w = (struct worker){.windows = windows_create(spec, f->limits), .log = log};
    assert_non_null(w->windows);
    assert_int_equal(windows_track(w->windows, (struct capture){log, write_entity, write_tombstones}), 0);
    log->words = windows_image_shape(w->windows).words;
}

/* What a successor finds: the state at the last marker.  Returns the offset to fold from. */
static int64_t worker_recover(struct worker *w)
{
    const struct written *marker = last_marker(w->log, w->log->count);
    assert_non_null(marker);
    struct held *all = calloc(w->log->count + 1, sizeof *all);
    struct import_version *versions = calloc(w->log->count + 1, sizeof *versions);
    assert_non_null(all);
    assert_non_null(versions);
    size_t count = compact(w->log, w->log->count, all);
    for (size_t i = 0; i < count; i++)
        import_one(w->windows, w->log, &all[i], marker->epoch, versions);
    windows_import_mark(w->windows, &marker->mark);
    uint32_t entities = w->windows->entities.ever;
    for (uint32_t i = 0; i < entities; i++)
        windows_import_settle(w->windows, i, versions[i]);
    free(all);
    free(versions);
    assert_int_equal(windows_import_end(w->windows), IMPORT_DONE);
    w->log->epoch = highest_epoch(w->log, w->log->count);
    return marker->offset;
}

static void begin(struct worker *w, int64_t offset)
{
    while (!windows_bury_step(w->windows, 1))
        ;
    w->log->epoch++;
    w->marker = (struct written){.kind = MARKER, .epoch = w->log->epoch, .mark = windows_mark(w->windows), .offset = offset, .digest = windows_digest(w->windows)};
    if (PLANT == PLANT_EARLY_MARKER)
        *log_append(w->log) = w->marker;
    windows_checkpoint_begin(w->windows);
    w->running = true;
}

static void finish(struct worker *w)
{
    *log_append(w->log) = w->marker;
    windows_checkpoint_end(w->windows);
    w->running = false;
}

/* Whatever a lane does between two batches. */
static void between_batches(struct chance *c, struct worker *w, int64_t offset)
{
    if (!w->running && one_in(c, 3))
        begin(w, offset);
    else if (!w->running)
        windows_bury_step(w->windows, (size_t)below(c, 3));
    if (w->running && windows_checkpoint_step(w->windows, one_in(c, 3) ? 100000 : (size_t)below(c, 30)) && one_in(c, 2))
        finish(w);
    if (PLANT == PLANT_EARLY_BURIAL && w->running && w->windows->changes.gone.held) {
        w->windows->changes.running = false;
        windows_bury_step(w->windows, 100);
        w->windows->changes.running = true;
    }
}

struct run {
    const struct file *file;
    struct field_set fields;
    struct feature_spec *spec;
    const struct sim *events;
    size_t count;
    struct value *values;
    char texts[BATCH][2][SIM_TEXT];
    struct event batch[BATCH];
    size_t size;
    float *rows[2];
    struct feature_outcome outcomes[2][BATCH];
};

static void fill_batch(struct run *r, size_t *at, size_t wanted)
{
    r->size = 0;
    size_t begun = *at;
    for (; *at < r->count && r->size < wanted && (*at == begun || !r->events[*at].cold); ++*at)
        r->size += sim_event(&r->events[*at], r->spec, &r->fields, (int64_t)*at, r->values + r->size * r->fields.count, r->texts[r->size], &r->batch[r->size]);
}

static void fold(struct run *r, struct windows *w, int which, bool cold)
{
    if (cold)
        windows_set_history_cold(w);
    if (PLANT == PLANT_CAPTURED_TOO_LATE && w->changes.running && which == 0) { /* whatever is due is captured as it will be */
        w->changes.running = false;
        assert_int_equal(windows_fold(w, r->batch, r->size, r->rows[which], r->outcomes[which]), 0);
        w->changes.running = true;
        for (uint32_t i = 0; i < w->entities.ever; i++)
            if (entity_at(&w->entities, i)->held && entity_at(&w->entities, i)->changed)
                entity_at(&w->entities, i)->changed = (3u - w->changes.now) & 3u;
        return;
    }
    assert_int_equal(windows_fold(w, r->batch, r->size, r->rows[which], r->outcomes[which]), 0);
}

static bool same_rows(const struct run *r)
{
    for (size_t i = 0; i < r->size; i++) {
        const struct feature_outcome *a = &r->outcomes[0][i], *b = &r->outcomes[1][i];
        if (a->reason != b->reason)
            return false;
        if (a->reason != REJECT_NONE)
            continue;
        if (a->window_complete != b->window_complete || a->late_ms != b->late_ms ||
            memcmp(r->rows[0] + i * r->spec->count, r->rows[1] + i * r->spec->count, r->spec->count * sizeof(float)))
            return false;
    }
    return true;
}

/* The worker dies before event `at`; its successor recovers, folds the tail and goes on with the same changelog.  Beside it
 * runs one that never died: `whole`. */
static void succeed(struct run *r, struct worker *worker, size_t at)
{
    const struct written *marker = last_marker(worker->log, worker->log->count);
    if (!marker)
        return;
    uint64_t digest = windows_digest(worker->windows), marked = marker->digest;
    windows_destroy(worker->windows);
    worker_open(worker, r->spec, r->file, worker->log);
    size_t from = (size_t)worker_recover(worker);
    if (windows_digest(worker->windows) != marked)
        fail_msg("the state read back is not the marker's (event %zu)", at);
    while (from < at) {
        bool cold = r->events[from].cold;
        size_t wanted = at - from < BATCH ? at - from : BATCH;
        r->size = 0;
        size_t end = from;
        for (; end < at && end - from < wanted && (end == from || !r->events[end].cold); end++)
            r->size += sim_event(&r->events[end], r->spec, &r->fields, (int64_t)end, r->values + r->size * r->fields.count, r->texts[r->size], &r->batch[r->size]);
        from = end;
        fold(r, worker->windows, 0, cold);
    }
    if (windows_digest(worker->windows) != digest)
        fail_msg("the state after the tail is another one (event %zu)", at);
}

static void run_stream(struct run *r, struct chance *c)
{
    struct changelog log = {0};
    struct worker worker;
    struct windows *whole = windows_create(r->spec, r->file->limits);
    assert_non_null(whole);
    worker_open(&worker, r->spec, r->file, &log);
    size_t most = one_in(c, 3) ? 1 : BATCH;
    for (size_t at = 0; at < r->count;) {
        between_batches(c, &worker, (int64_t)at);
        if (one_in(c, 12))
            succeed(r, &worker, at);
        bool cold = r->events[at].cold;
        fill_batch(r, &at, 1 + (size_t)below(c, (int64_t)most));
        fold(r, worker.windows, 0, cold);
        fold(r, whole, 1, cold);
        if (!same_rows(r))
            fail_msg("rows differ before event %zu", at);
        if (one_in(c, 8) && windows_digest(worker.windows) != windows_digest(whole))
            fail_msg("digests differ before event %zu", at);
    }
    windows_destroy(worker.windows);
    windows_destroy(whole);
    log_finish(&log);
}

static size_t run_case(uint64_t seed)
{
    static struct file file;
    struct chance c = {seed};
    choose_file(&c, &file, one_in(&c, 100));
    size_t count = choose_length(&c, &file);
    struct sim *events = calloc(count, sizeof *events);
    assert_non_null(events);
    choose_stream(&c, &file, events, count);
    static struct run r;
    struct err err = {0};
    memset(&r, 0, sizeof r);
    r.file = &file;
    r.events = events;
    r.count = count;
    field_set_init(&r.fields);
    struct feature_spec_source source = scene_source(file.options, file.entries, file.count);
    if (feature_spec_create(&source, &r.fields, &r.spec, &err))
        fail_msg("%s", err.msg);
    r.values = calloc(BATCH * r.fields.count, sizeof *r.values);
    for (int i = 0; i < 2; i++)
        r.rows[i] = calloc(BATCH * r.spec->count, sizeof(float));
    assert_true(r.values && r.rows[0] && r.rows[1]);
    run_stream(&r, &c);
    free(r.values);
    free(r.rows[0]);
    free(r.rows[1]);
    feature_spec_destroy(r.spec);
    field_set_finish(&r.fields);
    free(events);
    return count;
}

static void a_successor_computes_what_the_dead_one_would_have(void **state)
{
    (void)state;
    uint64_t seed = setting("WEIR_PROPERTY_SEED", 1), events = setting("WEIR_PROPERTY_EVENTS", 60000);
    print_message("# seed %llu, %llu events\n", (unsigned long long)seed, (unsigned long long)events);
    for (uint64_t done = 0, i = 0; done < events; i++)
        done += run_case(seed * 1000003 + i);
}

/* ---- how much one event can make a checkpoint write ---- */

enum { CARDS = 2000 };

static void send_card(struct scene *s, int card, int64_t time_ms)
{
    char name[32];
    snprintf(name, sizeof name, "card %d", card);
    scene_send(s, (struct sent){.t = time_ms, .card = name});
}

/* A full partition whose every entity a checkpoint has still to write, and then an event that is years ahead: all that is
 * held is out of sight at once, and goes little by little. */
static void a_jump_of_stream_time_writes_no_more_than_an_event_or_two_at_once(void **state)
{
    (void)state;
    static const struct entry file[] = {{.name = "n", .op = OP_COUNT, .windows = "1m"}};
    struct changelog log = {.epoch = 1};
    struct scene s;
    scene_open_limited(&s, plain_file, (struct window_limits){CARDS, 2 * CARDS}, file, 1);
    assert_int_equal(windows_track(s.windows, (struct capture){&log, write_entity, write_tombstones}), 0);
    log.words = windows_image_shape(s.windows).words;
    for (int i = 0; i <= CARDS; i++)
        send_card(&s, i, 100000 + i);
    windows_checkpoint_begin(s.windows);
    for (int i = 0; i < 100; i++) {
        size_t before = log.count;
        send_card(&s, CARDS + 1 + i, 200000000000 + i);
        assert_true(log.count - before <= 2);
    }
    assert_int_equal(windows_count(s.windows).evicted_entities, 1); /* the one too many before the jump */
    while (!windows_checkpoint_step(s.windows, 100))
        ;
    windows_checkpoint_end(s.windows);
    assert_int_equal(log.count, CARDS); /* each as it was when the checkpoint began */
    for (int i = 0; i < CARDS; i++)
        send_card(&s, 3 * CARDS + i % 10, 200000001000 + i);
    assert_true(windows_count(s.windows).entities <= CARDS - CARDS / 8); /* there is room again */
    scene_close(&s);
    log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_successor_computes_what_the_dead_one_would_have),
        cmocka_unit_test(a_jump_of_stream_time_writes_no_more_than_an_event_or_two_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
