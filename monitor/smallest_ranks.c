#include "monitor/smallest_ranks.h"

#include <stdlib.h>
#include <string.h>

enum { REMEMBERED = 64 };

struct remembered { /* of one window and sample; ascending, no two alike */
    bool used;
    int64_t window_start_ms;
    size_t sample, count;
    uint64_t ranks[SMALLEST_RANKS];
};

struct smallest_ranks {
    struct remembered of[REMEMBERED];
};

struct smallest_ranks *smallest_ranks_create(void)
{
    return calloc(1, sizeof(struct smallest_ranks));
}

void smallest_ranks_destroy(struct smallest_ranks *s)
{
    free(s);
}

static struct remembered *place_of(struct smallest_ranks *s, int64_t window_start_ms, size_t sample)
{
    uint64_t key = ((uint64_t)window_start_ms + sample) * 0x9e3779b97f4a7c15u;
    return &s->of[key >> 32 & (REMEMBERED - 1)];
}

static bool is_of(const struct remembered *r, int64_t window_start_ms, size_t sample)
{
    return r->used && r->window_start_ms == window_start_ms && r->sample == sample;
}

bool smallest_ranks_admit(struct smallest_ranks *s, int64_t window_start_ms, size_t sample, uint64_t rank)
{
    const struct remembered *r = place_of(s, window_start_ms, sample);
    return !is_of(r, window_start_ms, sample) || r->count < SMALLEST_RANKS || rank <= r->ranks[SMALLEST_RANKS - 1];
}

void smallest_ranks_add(struct smallest_ranks *s, int64_t window_start_ms, size_t sample, uint64_t rank)
{
    struct remembered *r = place_of(s, window_start_ms, sample);
    if (!is_of(r, window_start_ms, sample))
        *r = (struct remembered){.used = true, .window_start_ms = window_start_ms, .sample = sample};
    size_t i = r->count;
    while (i > 0 && r->ranks[i - 1] > rank)
        i--;
    if (i == SMALLEST_RANKS || (i > 0 && r->ranks[i - 1] == rank))
        return;
    if (r->count < SMALLEST_RANKS)
        r->count++;
    memmove(r->ranks + i + 1, r->ranks + i, (r->count - 1 - i) * sizeof *r->ranks);
    r->ranks[i] = rank;
}
