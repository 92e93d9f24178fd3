#include "tests/bench/hand_loop.h"

#include <stdlib.h>

enum { WINDOWS = 5, RING = 32, GROUP = 16, LOOKED_BACK = 8 };

struct hand_record {
    int64_t time_ms, amount;
    uint32_t merchant, before;
};

struct hand_entity {
    struct hand_record *ring;
    uint32_t head, count, cursors[WINDOWS];
    int64_t sums[WINDOWS];
    uint32_t different[WINDOWS];
};

struct hand_loop {
    uint64_t entity_count;
    struct hand_entity *entities;
    struct hand_record *records;
};

static const int64_t widths_ms[WINDOWS] = {60000, 300000, 3600000, 86400000, 604800000};

struct hand_loop *hand_loop_create(uint64_t entities)
{
    struct hand_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->entity_count = entities;
    loop->entities = calloc(entities, sizeof *loop->entities);
    loop->records = calloc(entities * RING, sizeof *loop->records);
    if (!loop->entities || !loop->records) {
        hand_loop_destroy(loop);
        return NULL;
    }
    for (uint64_t i = 0; i < entities; i++)
        loop->entities[i].ring = loop->records + i * RING;
    return loop;
}

void hand_loop_destroy(struct hand_loop *loop)
{
    if (!loop)
        return;
    free(loop->entities);
    free(loop->records);
    free(loop);
}

static void leave(struct hand_entity *e, int w)
{
    const struct hand_record *record = &e->ring[e->cursors[w]++ % RING];
    e->sums[w] -= record->amount;
    e->different[w] -= record->before == UINT32_MAX; /* as if it were the only one: the work is what counts */
}

static double fold_one(struct hand_entity *e, const struct hand_event *event)
{
    double all = 0;
    uint32_t before = UINT32_MAX;
    for (uint32_t i = 1; i <= e->count && i <= LOOKED_BACK && before == UINT32_MAX; i++)
        if (e->ring[(e->head - i) % RING].merchant == event->merchant)
            before = e->head - i;
    if (e->count == RING) {
        for (int w = 0; w < WINDOWS; w++)
            if (e->cursors[w] == e->head - RING)
                leave(e, w);
        e->count--;
    }
    e->ring[e->head++ % RING] = (struct hand_record){event->time_ms, event->amount, event->merchant, before};
    e->count++;
    for (int w = 0; w < WINDOWS; w++) {
        e->sums[w] += event->amount;
        e->different[w] += before == UINT32_MAX || (int32_t)(before - e->cursors[w]) < 0;
        while (e->ring[e->cursors[w] % RING].time_ms <= event->time_ms - widths_ms[w])
            leave(e, w);
        all += (double)e->sums[w] / (e->head - e->cursors[w]);
    }
    return all;
}

static void fetch(const struct hand_entity *e)
{
    __builtin_prefetch(&e->ring[e->head % RING]);
    __builtin_prefetch(&e->ring[(e->head - 1) % RING]);
    for (int w = 0; w < WINDOWS; w++)
        __builtin_prefetch(&e->ring[e->cursors[w] % RING]);
}

double hand_loop_fold(struct hand_loop *loop, const struct hand_event *events, size_t n)
{
    double all = 0;
    for (size_t at = 0; at + GROUP <= n; at += GROUP) {
        for (size_t i = 0; i < GROUP; i++) {
            const char *e = (const char *)&loop->entities[events[at + i].entity];
            __builtin_prefetch(e);
            __builtin_prefetch(e + 64);
            __builtin_prefetch(e + sizeof(struct hand_entity) - 1);
        }
        for (size_t i = 0; i < GROUP; i++)
            fetch(&loop->entities[events[at + i].entity]);
        for (size_t i = 0; i < GROUP; i++)
            all += fold_one(&loop->entities[events[at + i].entity], &events[at + i]);
    }
    return all;
}
