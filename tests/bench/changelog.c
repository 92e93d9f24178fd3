/* What a checkpoint costs, and how fast one is read back: the same 40 features over 5 windows as features.c, no broker.
 *
 *   changelog [entities [events]]        default: 100000 entities, ten events each
 *
 * The state is filled with a week of events of random cards, written whole into memory as the changelog's records,
 * and read back from them into fresh windows: what is left to a recovery is to fetch the bytes.  The digests must be equal.
 * Then a tenth of the events again is folded between the steps of a second checkpoint, and without one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consumer/changelog/entity_record.h"
#include "scoring/features/changes.h"
#include "tests/bench/forty_features.h"

#define WEEK_US INT64_C(604800000000)

enum { BATCH = 512, SLOTS = 16, TEXT_BYTES = 32, STEP_WORK = 2048 };

struct bench {
    struct field_set fields;
    struct feature_spec *spec;
    struct windows *windows;
    struct image_shape shape;
    uint64_t chance, entities;
    int64_t now_us, step_us, offset;
    struct value values[BATCH][SLOTS];
    char ids[BATCH][TEXT_BYTES], cards[BATCH][TEXT_BYTES], merchants[BATCH][TEXT_BYTES];
    struct event events[BATCH];
    struct feature_outcome outcomes[BATCH];
    float *rows;
    struct buffer log, record; /* log: {key size, key, value size, value}... */
    uint64_t records;
};

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may be at work on the machine */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t below(struct bench *b, uint64_t n)
{
    uint64_t z = b->chance += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % n;
}

static void set_text(struct bench *b, struct value *values, const char *name, const char *text)
{
    values[field_set_find(&b->fields, name)] = (struct value){.type = VALUE_TEXT, .size = (uint32_t)strlen(text), .text = text};
}

static void set_integer(struct bench *b, struct value *values, const char *name, int64_t x)
{
    values[field_set_find(&b->fields, name)] = (struct value){.type = VALUE_INT, .integer = x};
}

static void fill(struct bench *b, size_t i)
{
    static const char *const channels[] = {"POS", "ECOM", "ATM", "MOTO"}, *const currencies[] = {"EUR", "USD", "GBP", "JPY", "CHF"};
    struct value *v = b->values[i];
    b->now_us += b->step_us;
    snprintf(b->ids[i], TEXT_BYTES, "t%llu", (unsigned long long)b->offset);
    snprintf(b->cards[i], TEXT_BYTES, "card-%010llu", (unsigned long long)below(b, b->entities));
    snprintf(b->merchants[i], TEXT_BYTES, "m%llu", (unsigned long long)below(b, 10000));
    set_integer(b, v, "amount_minor", (int64_t)(100 + below(b, 20000)));
    set_integer(b, v, "mcc", (int64_t)(5000 + below(b, 100)));
    set_integer(b, v, "pos_entry_mode", (int64_t)below(b, 6));
    set_text(b, v, "channel", channels[below(b, 4)]);
    set_text(b, v, "currency", currencies[below(b, 5)]);
    set_text(b, v, "merchant_id", b->merchants[i]);
    set_text(b, v, "response_code", below(b, 10) ? "00" : "05");
    b->events[i] = (struct event){.values = v, .offset = b->offset++, .record_ms = b->now_us / 1000, .time_ms = b->now_us / 1000,
                                  .id = {b->ids[i], (uint32_t)strlen(b->ids[i])}, .entity = {b->cards[i], (uint32_t)strlen(b->cards[i])}};
}

/* Seconds spent in the fold (and the captures that it makes); `steps`: a running checkpoint goes on between batches. */
static double run(struct bench *b, uint64_t events, bool steps, double *step_seconds)
{
    double seconds = 0;
    bool whole = false;
    for (uint64_t done = 0; done < events; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            fill(b, i);
        double began = seconds_now();
        if (windows_fold(b->windows, b->events, BATCH, b->rows, b->outcomes))
            abort();
        seconds += seconds_now() - began;
        began = seconds_now();
        if (steps && !whole)
            whole = windows_checkpoint_step(b->windows, STEP_WORK);
        *step_seconds += seconds_now() - began;
    }
    return seconds;
}

static bool keep(void *context, const struct entity_image *image, unsigned slot)
{
    struct bench *b = context;
    (void)slot;
    b->record.size = 0;
    entity_record_put(1, 1, image, &b->shape, &b->record);
    put_bytes(&b->log, image->key.data, image->key.size);
    put_bytes(&b->log, b->record.data, b->record.size);
    b->records++;
    return false;
}

static void bury(void *context, struct bytes key, unsigned older, bool split)
{
    (void)context, (void)key, (void)older, (void)split;
}

static int64_t get_size(const uint8_t **at)
{
    uint64_t bits = 0;
    for (unsigned shift = 0;; shift += 7) {
        bits |= (uint64_t)(**at & 0x7f) << shift;
        if (!(*(*at)++ & 0x80))
            return (int64_t)(bits >> 1);
    }
}

static void read_back(struct bench *b, const struct windows_mark *mark, uint64_t digest, uint64_t events, struct window_limits limits)
{
    struct windows *w = windows_create(b->spec, limits);
    struct entity_record record = {0};
    const uint8_t *at = b->log.data, *end = at + b->log.size;
    double began = seconds_now(), longest = 0;
    while (at < end) {
        uint32_t number;
        int64_t size = get_size(&at);
        struct bytes key = {(const char *)at, (uint32_t)size};
        at += size;
        size = get_size(&at);
        if (entity_record_read(at, (size_t)size, &b->shape, &record) || windows_import_open(w, key, &number) != IMPORT_DONE ||
            windows_import_events(w, number, &record.image) != IMPORT_DONE)
            abort();
        at += size;
    }
    double settling = seconds_now();
    windows_import_mark(w, mark);
    uint32_t entities = (uint32_t)windows_count(w).entities;
    for (uint32_t i = 0; i < entities; i++) /* the numbers are given out in turn */
        windows_import_settle(w, i, (struct import_version){.versioned = true});
    if (windows_import_end(w) != IMPORT_DONE)
        abort();
    longest = seconds_now() - settling;
    double seconds = seconds_now() - began;
    printf("read back: %.2f s: %.0f entities/s, %.2f M events/s, %.0f MB/s; settled in %.3f s; digest %s\n", seconds, (double)b->records / seconds,
           (double)events / seconds / 1e6, (double)b->log.size / seconds / 1e6, longest, windows_digest(w) == digest ? "equal" : "DIFFERENT");
    windows_destroy(w);
    entity_record_finish(&record);
}

int main(int argc, char **argv)
{
    static struct bench b;
    uint64_t entities = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000, events = argc > 2 ? strtoull(argv[2], NULL, 10) : entities * 10;
    struct window_limits limits = {10000000, 1000000000};
    struct err err = {0};
    field_set_init(&b.fields);
    struct feature_spec_source source = scene_source((struct file_options){.lateness_ms = 600000, .future_skew_ms = 300000}, entries, sizeof entries / sizeof *entries);
    if (feature_spec_create(&source, &b.fields, &b.spec, &err) || !(b.windows = windows_create(b.spec, limits))) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    b.rows = calloc((size_t)BATCH * b.spec->count, sizeof *b.rows);
    b.entities = entities;
    b.now_us = INT64_C(1767225600000000);
    b.step_us = WEEK_US / (int64_t)events;
    b.shape = windows_image_shape(b.windows);
    windows_track(b.windows, (struct capture){&b, keep, bury});
    double steps = 0, folded = run(&b, events, false, &steps);
    struct windows_mark mark = windows_mark(b.windows);
    struct window_counts counts = windows_count(b.windows);
    uint64_t digest = windows_digest(b.windows);
    printf("%llu entities, %llu events held, %.0f MB; folded at %.0f ns/event\n", (unsigned long long)counts.entities, (unsigned long long)counts.events, (double)counts.bytes / 1e6,
           folded / (double)events * 1e9);
    double began = seconds_now(), longest = 0;
    windows_checkpoint_begin(b.windows);
    for (bool whole = false; !whole;) {
        double step = seconds_now();
        whole = windows_checkpoint_step(b.windows, STEP_WORK);
        step = seconds_now() - step;
        longest = step > longest ? step : longest;
    }
    windows_checkpoint_end(b.windows);
    double seconds = seconds_now() - began;
    printf("written whole: %.2f s: %.0f entities/s, %.2f M events/s, %.0f MB, %.1f bytes/event; longest step %.2f ms\n", seconds, (double)b.records / seconds,
           (double)counts.events / seconds / 1e6, (double)b.log.size / 1e6, (double)b.log.size / (double)counts.events, longest * 1e3);
    read_back(&b, &mark, digest, counts.events, limits);
    uint64_t more = events / 10;
    b.log.size = 0;
    double plain = run(&b, more, false, &steps);
    windows_checkpoint_begin(b.windows);
    steps = 0;
    double with = run(&b, more, true, &steps);
    printf("a tenth more events: %.0f ns/event; while a checkpoint runs %.0f ns/event, and %.2f s in its steps\n", plain / (double)more * 1e9, with / (double)more * 1e9, steps);
    return 0;
}
