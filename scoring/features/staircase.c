#include "scoring/features/staircase.h"

#include <assert.h>
#include <string.h>

enum { STAIRS_WALKED = 12 };

static uint64_t *stair_at(const struct feature_program *p, const struct entity *e, uint32_t stair, uint32_t i)
{
    return stair_slots_of(p, e, stair) + stair_state_of(p, e, stair)->first + i;
}

static int64_t stair_number(uint64_t word)
{
    return (int64_t)word >> SEQ_BITS;
}

static uint32_t stair_index(const struct entity *e, uint64_t word)
{
    return ((uint32_t)word - e->first_seq) & SEQ_MASK;
}

uint32_t stairs_most(const struct feature_program *p, const struct entity *e)
{
    uint32_t most = 0;
    for (uint32_t s = 0; s < p->stair_count; s++)
        if (stair_state_of(p, e, s)->count > most)
            most = stair_state_of(p, e, s)->count;
    return most;
}

void stairs_move_back(const struct feature_program *p, struct entity *e, uint32_t s)
{
    struct stair_state *state = stair_state_of(p, e, s);
    assert(state->first);
    memmove(stair_slots_of(p, e, s), stair_at(p, e, s, 0), state->count * sizeof(uint64_t));
    state->first = 0;
}

void stair_push(const struct feature_program *p, struct entity *e, uint32_t s, const uint64_t *record, uint32_t at)
{
    if (!record_lane(p, record, p->stairs[s].lane))
        return;
    stair_make_room(p, e, s);
    struct stair_state *state = stair_state_of(p, e, s);
    uint64_t *words = stair_at(p, e, s, 0);
    int64_t number = stair_signed(p, s, record);
    uint32_t count = state->count;
    while (count && stair_number(words[count - 1]) <= number)
        count--;
    words[count] = stair_word(number, e->first_seq + at);
    state->count = count + 1;
}

void stairs_push(const struct feature_program *p, struct entity *e, const uint64_t *record, uint32_t at)
{
    for (uint32_t s = 0; s < p->stair_count; s++)
        stair_push(p, e, s, record, at);
}

/* Stairs from event `at` on move by one; then the event takes its place if no later one reaches it. */
static void insert_one(const struct feature_program *p, struct entity *e, uint32_t s, const uint64_t *record, uint32_t at)
{
    struct stair_state *state = stair_state_of(p, e, s);
    uint32_t later = state->count;
    while (later && stair_index(e, *stair_at(p, e, s, later - 1)) >= at) {
        uint64_t *stair = stair_at(p, e, s, --later);
        *stair = stair_word(stair_number(*stair), e->first_seq + stair_index(e, *stair) + 1);
    }
    if (!record_lane(p, record, p->stairs[s].lane))
        return;
    stair_make_room(p, e, s);
    int64_t number = stair_signed(p, s, record);
    if (later < state->count && stair_number(*stair_at(p, e, s, later)) >= number)
        return;
    uint32_t keep = later, behind = state->count - later;
    while (keep && stair_number(*stair_at(p, e, s, keep - 1)) <= number)
        keep--;
    memmove(stair_at(p, e, s, keep + 1), stair_at(p, e, s, later), behind * sizeof(uint64_t));
    *stair_at(p, e, s, keep) = stair_word(number, e->first_seq + at);
    state->count = keep + 1 + behind;
}

void stairs_insert(const struct feature_program *p, struct entity *e, const uint64_t *record, uint32_t at)
{
    for (uint32_t s = 0; s < p->stair_count; s++)
        insert_one(p, e, s, record, at);
}

void stairs_pop(const struct feature_program *p, struct entity *e, uint32_t n)
{
    for (uint32_t s = 0; s < p->stair_count; s++) {
        struct stair_state *state = stair_state_of(p, e, s);
        const uint64_t *words = stair_at(p, e, s, 0);
        uint32_t gone = 0;
        while (gone < state->count && stair_index(e, words[gone]) < n)
            gone++;
        state->first += gone;
        state->count -= gone;
    }
}

void stairs_copy(const struct feature_program *p, struct entity *e, const struct layout *layout, char *block)
{
    for (uint32_t s = 0; s < p->stair_count; s++) {
        struct stair_state *state = stair_state_of(p, e, s);
        uint64_t *slots = (uint64_t *)(void *)block + (size_t)s * layout->stair_slots;
        assert(state->count <= layout->stairs_most);
        memcpy(slots, stair_at(p, e, s, 0), state->count * sizeof *slots);
    }
    for (uint32_t s = 0; s < p->stair_count; s++)
        stair_state_of(p, e, s)->first = 0;
}

/* The number of stairs before index `from`. */
static uint32_t stairs_before(const struct feature_program *p, const struct entity *e, uint32_t s, uint32_t from, uint32_t high)
{
    uint32_t low = 0;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (stair_index(e, *stair_at(p, e, s, middle)) < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool stairs_best(const struct feature_program *p, const struct entity *e, uint32_t s, uint32_t from, int64_t *best, uint32_t *at)
{
    uint32_t count = stair_state_of(p, e, s)->count, stair = stairs_before(p, e, s, from, count);
    if (stair == count)
        return false;
    uint64_t word = *stair_at(p, e, s, stair);
    *best = p->stairs[s].max ? stair_number(word) : -stair_number(word);
    *at = stair_index(e, word);
    return true;
}

static void search_bests(const struct feature_program *p, const struct entity *e, uint32_t s, uint32_t first, int64_t *best)
{
    const uint32_t *cursors = entity_cursors(p, e);
    uint32_t at;
    for (uint32_t w = first; w < p->window_count; w++)
        if (!stairs_best(p, e, s, cursors[w] - e->first_seq, &best[w], &at))
            best[w] = INT64_MIN;
}

/* Few stairs: four windows at a time, each stair from the newest to the oldest is the best of the windows that reach it;
 * no branch depends on the numbers. */
void stairs_bests(const struct feature_program *p, const struct entity *e, uint32_t s, uint32_t first, int64_t *best)
{
    typedef int32_t four __attribute__((vector_size(16)));
    typedef uint32_t four_numbers __attribute__((vector_size(16))); /* which come round */
    const struct stair_state state = *stair_state_of(p, e, s);
    if (state.count > STAIRS_WALKED || !state.count) {
        search_bests(p, e, s, first, best);
        return;
    }
    const uint32_t windows = p->window_count, first_seq = e->first_seq;
    const uint64_t *words = stair_at(p, e, s, 0);
    const int64_t sign = p->stairs[s].max ? 1 : -1;
    for (uint32_t w = first; w < windows; w += 4) {
        four_numbers numbers;
        memcpy(&numbers, entity_cursors(p, e) + w, sizeof numbers); /* past the last one lie other words of the entity */
        const four cursors = (four)(numbers - first_seq);
        four chosen = (four){0} - 1;
        for (uint32_t i = state.count; i--;) {
            four at = (int32_t)(((uint32_t)words[i] - first_seq) & SEQ_MASK) - (four){0}, in = at >= cursors;
            chosen = (in & (int32_t)i) | (~in & chosen);
        }
        for (uint32_t i = 0; i < 4 && w + i < windows; i++)
            best[w + i] = chosen[i] < 0 ? INT64_MIN : stair_number(words[chosen[i]]) * sign;
    }
}

void stairs_fetch(const struct feature_program *p, const struct entity *e)
{
    for (uint32_t s = 0; s < p->stair_count; s++) {
        __builtin_prefetch(stair_at(p, e, s, 0));
        __builtin_prefetch(stair_at(p, e, s, stair_state_of(p, e, s)->count));
    }
}
