/* Taking events in: rows within their bounds, texts, rejects, distinct values.  (baseline_finish.c makes the baseline.) */
#include "monitor/baseline_builder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/baseline_rows.h"
#include "scoring/features/bytes_hash.h"

/* ---- rows ---- */

static size_t row_bytes(const struct baseline_builder *b)
{
    return sizeof(struct kept) + b->o.feature_count * sizeof(float) + b->o.segment_count * sizeof(uint16_t);
}

static int grow(struct baseline_builder *b)
{
    size_t capacity = b->capacity ? 2 * b->capacity : 1024;
    capacity = capacity > b->rows_max ? b->rows_max : capacity;
    float *rows = reallocarray(b->rows, capacity, (b->o.feature_count + 1) * sizeof *rows);
    b->rows = rows ? rows : b->rows;
    struct kept *kept = reallocarray(b->kept, capacity, sizeof *kept);
    b->kept = kept ? kept : b->kept;
    uint16_t *texts = reallocarray(b->texts, capacity, (b->o.segment_count + 1) * sizeof *texts);
    b->texts = texts ? texts : b->texts;
    if (!rows || !kept || !texts)
        return -1;
    b->capacity = capacity;
    return 0;
}

static void move_row(struct baseline_builder *b, size_t to, size_t from)
{
    memmove(b->rows + to * b->o.feature_count, b->rows + from * b->o.feature_count, b->o.feature_count * sizeof *b->rows);
    memmove(b->texts + to * b->o.segment_count, b->texts + from * b->o.segment_count, b->o.segment_count * sizeof *b->texts);
    b->kept[to] = b->kept[from];
}

/* Leaves out those whose hash is in the upper half of what is kept. */
static void thin_out(struct baseline_builder *b)
{
    size_t left = 0;
    b->hash_most >>= 1;
    for (size_t i = 0; i < b->count; i++)
        if (b->kept[i].id_hash <= b->hash_most)
            move_row(b, left++, i);
    b->count = left;
}

struct baseline_builder *baseline_builder_create(const struct baseline_builder_options *options)
{
    struct baseline_builder *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    assert(options->window_count <= BUILDER_WINDOWS_MAX && options->segment_count <= BASELINE_SEGMENTS_MAX);
    b->o = *options;
    b->hash_most = UINT64_MAX;
    b->rows_max = (options->bytes_max ? options->bytes_max : BUILDER_BYTES_MAX) / row_bytes(b);
    b->rows_max = b->rows_max < 1 ? 1 : b->rows_max > UINT32_MAX ? UINT32_MAX : b->rows_max;
    b->dictionaries = calloc(options->segment_count + 1, sizeof *b->dictionaries);
    b->distincts = calloc(options->distinct_count * options->window_count + 1, sizeof *b->distincts);
    if (!b->dictionaries || !b->distincts) {
        baseline_builder_destroy(b);
        return NULL;
    }
    return b;
}

void baseline_builder_destroy(struct baseline_builder *b)
{
    if (!b)
        return;
    for (size_t s = 0; b->dictionaries && s < b->o.segment_count; s++) {
        for (size_t i = 0; i < b->dictionaries[s].count; i++)
            free(b->dictionaries[s].texts[i]);
        free(b->dictionaries[s].texts);
        free(b->dictionaries[s].places);
    }
    for (size_t i = 0; i < b->reject_count; i++) {
        free(b->rejects[i].reason);
        free(b->rejects[i].field);
    }
    free(b->dictionaries);
    free(b->rejects);
    free(b->distincts);
    free(b->rows);
    free(b->kept);
    free(b->texts);
    free(b);
}

/* ---- texts ---- */

/* The place of a text in the dictionary, or the free one where it goes. */
static uint32_t *place_of(const struct dictionary *d, struct bytes text)
{
    for (size_t i = hash_bytes(text.data, text.size, 0) & (d->room - 1);; i = (i + 1) & (d->room - 1)) {
        uint32_t entry = d->places[i];
        if (!entry || (strlen(d->texts[entry - 1]) == text.size && !memcmp(d->texts[entry - 1], text.data, text.size)))
            return &d->places[i];
    }
}

static int make_room(struct dictionary *d)
{
    if (d->room && d->count * 2 < d->room)
        return 0;
    size_t room = d->room ? 4 * d->room : 256;
    char **texts = reallocarray(d->texts, room / 2, sizeof *texts);
    d->texts = texts ? texts : d->texts;
    uint32_t *places = calloc(room, sizeof *places);
    if (!texts || !places) {
        free(places);
        return -1;
    }
    free(d->places);
    d->places = places;
    d->room = room;
    for (uint32_t i = 0; i < d->count; i++)
        *place_of(d, (struct bytes){d->texts[i], (uint32_t)strlen(d->texts[i])}) = i + 1;
    return 0;
}

/* -1 if memory is short. */
static int32_t text_number(struct dictionary *d, struct bytes text)
{
    if (!text.data)
        return TEXT_NULL;
    if (text.size > BASELINE_CATEGORY_TEXT_MAX || memchr(text.data, 0, text.size))
        return TEXT_NAMELESS;
    if (make_room(d) < 0)
        return -1;
    uint32_t *place = place_of(d, text);
    if (*place)
        return (int32_t)*place - 1;
    if (d->count == BUILDER_TEXTS_MAX)
        return TEXT_NAMELESS;
    char *copy = strndup(text.data, text.size);
    if (!copy)
        return -1;
    d->texts[d->count++] = copy;
    *place = (uint32_t)d->count;
    return (int32_t)d->count - 1;
}

static int keep(struct baseline_builder *b, const struct baseline_event *event)
{
    if (event->id_hash > b->hash_most)
        return 0;
    while (b->count == b->rows_max && b->hash_most > 1)
        thin_out(b);
    if (event->id_hash > b->hash_most || b->count == b->rows_max)
        return 0;
    if (b->count == b->capacity && grow(b) < 0)
        return -1;
    for (size_t s = 0; s < b->o.segment_count; s++) {
        int32_t number = text_number(&b->dictionaries[s], event->segments[s]);
        if (number < 0)
            return -1;
        b->texts[b->count * b->o.segment_count + s] = (uint16_t)number;
    }
    memcpy(b->rows + b->count * b->o.feature_count, event->row, b->o.feature_count * sizeof *b->rows);
    b->kept[b->count++] = (struct kept){.time_ms = event->time_ms, .id_hash = event->id_hash, .label = (int8_t)event->label};
    return 0;
}

/* ---- distinct values ---- */

static int64_t window_start(int64_t time_ms, int64_t length_ms)
{
    int64_t into = time_ms % length_ms;
    return time_ms - (into < 0 ? into + length_ms : into);
}

/* A window is over when an event is past it; what comes later for it is left out.  The first one may have begun before
 * the events did, and is left out too, as is the last. */
static void count_distinct(struct distinct *d, int64_t start_ms, uint64_t hash)
{
    if (d->began && start_ms > d->start_ms) {
        if (!d->first) {
            d->sum += cardinality_estimate(&d->values);
            d->windows++;
        }
        d->first = false;
        d->values = (struct cardinality){0};
    }
    if (!d->began)
        d->first = true;
    if (!d->began || start_ms > d->start_ms)
        d->start_ms = start_ms;
    d->began = true;
    if (hash && start_ms == d->start_ms)
        cardinality_add(&d->values, hash);
}

static void count_distincts(struct baseline_builder *b, const struct baseline_event *event)
{
    for (size_t w = 0; w < b->o.window_count; w++)
        for (size_t i = 0; i < b->o.distinct_count; i++)
            count_distinct(&b->distincts[i * b->o.window_count + w], window_start(event->time_ms, b->o.windows_ms[w]), event->distinct_hashes[i]);
}

/* ---- events and rejects ---- */

int baseline_builder_add(struct baseline_builder *b, const struct baseline_event *event)
{
    if (!b->events || event->time_ms < b->from_ms)
        b->from_ms = event->time_ms;
    if (!b->events || event->time_ms > b->to_ms)
        b->to_ms = event->time_ms;
    b->events++;
    b->hour_events[baseline_hour_of_week(event->time_ms)]++;
    count_distincts(b, event);
    return keep(b, event);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

int baseline_builder_reject(struct baseline_builder *b, const char *reason, const char *field)
{
    b->rejected++;
    for (size_t i = 0; i < b->reject_count; i++)
        if (!strcmp(b->rejects[i].reason, reason) && same_text(b->rejects[i].field, field)) {
            b->rejects[i].count++;
            return 0;
        }
    if (b->reject_count == BASELINE_REJECTS_MAX)
        return 0;
    struct baseline_reject *more = reallocarray(b->rejects, b->reject_count + 1, sizeof *more);
    if (!more)
        return -1;
    b->rejects = more;
    more[b->reject_count] = (struct baseline_reject){.reason = strdup(reason), .field = field ? strdup(field) : NULL, .count = 1};
    b->reject_count++;
    return more[b->reject_count - 1].reason && (!field || more[b->reject_count - 1].field) ? 0 : -1;
}

/* ---- what was kept ---- */

size_t baseline_builder_rows(const struct baseline_builder *b)
{
    return b->count;
}

const float *baseline_builder_row(const struct baseline_builder *b, size_t i)
{
    return b->rows + i * b->o.feature_count;
}

uint64_t baseline_builder_id(const struct baseline_builder *b, size_t i)
{
    return b->kept[i].id_hash;
}

int64_t baseline_builder_time(const struct baseline_builder *b, size_t i)
{
    return b->kept[i].time_ms;
}

void baseline_builder_score(struct baseline_builder *b, size_t i, float score, enum decision decision)
{
    b->kept[i].score = score;
    b->kept[i].decision = (uint8_t)decision;
    b->kept[i].scored = true;
}
