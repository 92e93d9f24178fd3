#include "scoring/features/changes.h"

#include <assert.h>
#include <stdlib.h>

#include "scoring/features/bytes_hash.h"
#include "scoring/features/occurrences.h"
#include "scoring/features/partition_state.h"

enum { SINCE_BEGIN_FIRST = 1, SINCE_BEGIN_OTHER = 2, WORK_CAPTURED = 16, WORK_EVENT = 4 };

int changes_init(struct windows *w)
{
    w->changes = (struct changes){.now = SINCE_BEGIN_FIRST};
    return entity_table_init(&w->changes.gone, sizeof(struct entity), w->program->entity_seed);
}

void changes_finish(struct windows *w)
{
    entity_table_finish(&w->changes.gone);
    free(w->changes.words);
}

uint64_t changes_bytes(const struct changes *c)
{
    return entity_table_bytes(&c->gone) + c->word_room * sizeof *c->words;
}

int windows_track(struct windows *w, struct capture capture)
{
    w->changes.capture = capture;
    return 0;
}

static struct bytes key_of(const struct entity *e)
{
    return (struct bytes){entity_key(e), e->key_size};
}

/* ---- capture ---- */

bool changes_are_due(const struct changes *c, const struct entity *e)
{
    return c->running && e->changed && e->changed != c->now;
}

static uint32_t first_visible(const struct windows *w, const struct entity *e, int64_t horizon_ms)
{
    uint32_t at = 0;
    while (at < e->count && record_time(entity_record(w->program, e, at)) <= horizon_ms)
        at++;
    return at;
}

static bool words_reserve(struct changes *c, size_t words)
{
    if (words <= c->word_room)
        return true;
    uint64_t *more = realloc(c->words, (words + words / 2) * sizeof *more);
    if (!more) {
        c->failed = true;
        return false;
    }
    c->words = more;
    c->word_room = words + words / 2;
    return true;
}

/* A new version goes to the slot that does not hold the latest one. */
static void hand_out(struct changes *c, struct entity *e, const struct entity_image *image)
{
    unsigned slot = e->versioned ? !e->slot : 0;
    e->split |= c->capture.entity(c->capture.context, image, slot);
    e->slot = slot & 1;
    e->versioned = true;
    e->changed = 0;
}

static void capture_empty(struct changes *c, struct entity *e)
{
    hand_out(c, e, &(struct entity_image){.key = key_of(e), .seen_offset = e->seen_offset, .dropped_ms = TIME_UNKNOWN});
}

/* As it was at O: what was not visible then is left out. */
static void capture(struct windows *w, struct entity *e)
{
    struct changes *c = &w->changes;
    uint32_t words = image_shape_of(w->program).words, from = first_visible(w, e, c->horizon_ms), count = e->count - from;
    if (!count) {
        e->changed = 0;
        if (e->versioned)
            capture_empty(c, e);
        return;
    }
    if (!words_reserve(c, (size_t)count * words))
        return;
    for (uint32_t i = 0; i < count; i++)
        image_row_take(&w->store, e, from + i, c->words + (size_t)i * words);
    int64_t dropped_ms = e->dropped_ms > c->horizon_ms ? e->dropped_ms : TIME_UNKNOWN;
    hand_out(c, e, &(struct entity_image){key_of(e), e->seen_offset, dropped_ms, count, c->words});
}

void changes_capture_due(struct windows *w, struct entity *e)
{
    if (changes_are_due(&w->changes, e))
        capture(w, e);
}

void changes_note_new(struct windows *w, struct entity *e)
{
    changes_capture_due(w, e);
    e->changed = w->changes.now & 3u;
}

/* ---- entities that go and come back ---- */

void changes_gone(struct windows *w, struct entity *e)
{
    struct changes *c = &w->changes;
    changes_capture_due(w, e);
    if (!e->versioned)
        return;
    struct entity *gone = entity_add(&c->gone, key_of(e), entity_hash(&c->gone, key_of(e)));
    if (!gone) {
        c->failed = true;
        return;
    }
    gone->seen_offset = e->seen_offset;
    gone->versioned = true;
    gone->slot = e->slot;
    gone->split = e->split;
    gone->changed = c->now & 3u;
}

void changes_arrived_slowly(struct windows *w, struct entity *e, uint64_t hash)
{
    struct changes *c = &w->changes;
    struct entity *gone = entity_find(&c->gone, key_of(e), hash);
    if (!gone)
        return;
    if (changes_are_due(c, gone))
        capture_empty(c, gone);
    e->versioned = true;
    e->slot = gone->slot;
    e->split = gone->split;
    entity_remove(&c->gone, gone);
}

struct changes_counts windows_changes(const struct windows *w)
{
    return (struct changes_counts){.gone = w->changes.gone.held};
}

/* ---- a checkpoint ---- */

struct windows_mark windows_mark(const struct windows *w)
{
    return (struct windows_mark){w->now_ms, w->history_ms, w->evicted_ms};
}

void windows_checkpoint_begin(struct windows *w)
{
    struct changes *c = &w->changes;
    assert(!c->running && c->capture.entity);
    c->running = true;
    c->now = SINCE_BEGIN_FIRST + SINCE_BEGIN_OTHER - c->now;
    c->horizon_ms = windows_horizon(w);
    c->scan_at = c->gone_at = 0;
    c->scan_end = w->entities.ever;
    c->gone_end = c->gone.ever;
}

static size_t step_entity(struct windows *w, struct entity *e)
{
    if (!e->held || !changes_are_due(&w->changes, e))
        return 1;
    size_t work = WORK_CAPTURED + (size_t)e->count * WORK_EVENT;
    capture(w, e);
    return work;
}

static size_t step_gone(struct changes *c, struct entity *gone)
{
    if (!gone->held || !changes_are_due(c, gone))
        return 1;
    capture_empty(c, gone);
    return WORK_CAPTURED;
}

bool windows_checkpoint_step(struct windows *w, size_t work)
{
    struct changes *c = &w->changes;
    assert(c->running);
    size_t done = 0;
    while (c->scan_at < c->scan_end && done < work && !c->failed)
        done += step_entity(w, entity_at(&w->entities, c->scan_at++));
    while (c->scan_at == c->scan_end && c->gone_at < c->gone_end && done < work)
        done += step_gone(c, entity_at(&c->gone, c->gone_at++));
    return c->scan_at == c->scan_end && c->gone_at == c->gone_end && !c->failed;
}

void windows_checkpoint_end(struct windows *w)
{
    struct changes *c = &w->changes;
    assert(c->running && c->scan_at == c->scan_end && c->gone_at == c->gone_end);
    c->running = false;
    c->gone_at = 0;
}

bool windows_bury_step(struct windows *w, size_t most)
{
    struct changes *c = &w->changes;
    assert(!c->running);
    for (; c->gone_at < c->gone.ever && most; c->gone_at++) {
        struct entity *gone = entity_at(&c->gone, c->gone_at);
        if (!gone->held || gone->changed)
            continue;
        c->capture.bury(c->capture.context, key_of(gone), !gone->slot, gone->split);
        entity_remove(&c->gone, gone);
        most--;
    }
    return c->gone_at == c->gone.ever;
}

bool windows_keys_step(const struct windows *w, uint32_t *at, size_t most, void (*take)(void *context, struct bytes key, bool split), void *context)
{
    for (; *at < w->entities.ever && most; ++*at, most--) {
        const struct entity *e = entity_at(&w->entities, *at);
        if (e->held)
            take(context, key_of(e), e->split);
    }
    return *at == w->entities.ever;
}

/* ---- read back ---- */

enum import_result windows_import_open(struct windows *w, struct bytes key, uint32_t *number)
{
    uint64_t hash = entity_hash(&w->entities, key);
    struct entity *e = entity_find(&w->entities, key, hash);
    if (!e && !(e = entity_add(&w->entities, key, hash)))
        return IMPORT_NO_MEMORY;
    *number = e->number;
    return IMPORT_DONE;
}

void windows_import_clear(struct windows *w, uint32_t number)
{
    struct entity *e = entity_at(&w->entities, number);
    store_drop(&w->store, e, e->count);
}

static int append(struct windows *w, struct entity *e, const uint64_t *record)
{
    if (store_reserve(&w->store, e, INT64_MIN))
        return -1;
    struct occurrence id = occurrence_find(&w->store, e, TABLE_IDS, record[RECORD_ID]);
    store_advance(&w->store, e, record_time(record), w->views->from, w->views->events);
    store_place(&w->store, e, record);
    store_count_in(&w->store, e, record, &id);
    return 0;
}

enum import_result windows_import_events(struct windows *w, uint32_t number, const struct entity_image *image)
{
    const struct feature_program *p = w->program;
    struct entity *e = entity_at(&w->entities, number);
    uint32_t words = image_shape_of(p).words;
    e->seen_offset = image->seen_offset;
    e->dropped_ms = image->dropped_ms;
    if (image->count > w->spec->max_events_per_entity || e->count + image->count > w->spec->max_events_per_entity)
        return IMPORT_DAMAGED;
    for (uint32_t i = 0; i < image->count; i++) {
        if (!image_row_record(p, image->words + (size_t)i * words, w->records))
            return IMPORT_DAMAGED;
        if (e->count && record_time(w->records) < e->newest_ms)
            return IMPORT_DAMAGED;
        if (append(w, e, w->records))
            return IMPORT_NO_MEMORY;
    }
    return IMPORT_DONE;
}

void windows_import_mark(struct windows *w, const struct windows_mark *mark)
{
    windows_set_now(w, mark->stream_time_ms);
    w->history_ms = mark->history_start_ms;
    w->evicted_ms = mark->evicted_ms;
}

void windows_import_settle(struct windows *w, uint32_t number, struct import_version version)
{
    struct entity *e = entity_at(&w->entities, number);
    e->versioned = version.versioned;
    e->slot = version.slot & 1;
    e->split = version.split;
    e->changed = version.dirty ? w->changes.now & 3u : 0;
    store_trim(&w->store, e, windows_horizon(w));
    if (!e->count)
        limits_forget(w, e);
    limits_prepare(w);
}

enum import_result windows_import_end(struct windows *w)
{
    w->forgotten_entities = 0;
    return w->changes.failed ? IMPORT_NO_MEMORY : IMPORT_DONE;
}
