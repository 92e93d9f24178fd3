#include "monitor/label_join.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/bytes_hash.h"

enum { FIRST_SLOTS = 1 << 12, TAIL = 4096 /* slots behind the last home: probing never wraps */, SHADOWS_AT = 24 };
enum { LABEL_UNKNOWN = 3 };

struct entry { /* followed by a float a shadow */
    uint64_t hash; /* 0: free */
    uint32_t time_s;
    float score;
    uint16_t value_low;
    uint8_t value_middle, value_high, value_sign; /* 39 bits and a sign; all bits set: none */
    uint8_t model_label; /* model x 4 + label */
    uint16_t segments;
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct entry) == SHADOWS_AT, "entries are packed");

struct label_join {
    char *slots;
    uint64_t capacity, most; /* homes; the largest number that the budget allows */
    size_t size;             /* of an entry */
    size_t shadows;
    int64_t horizon_ms, now_ms;
    int64_t swept_ms; /* stream time up to which the hand has been moved on */
    uint64_t hand;
    uint64_t sample_below; /* of 2^32 */
    struct label_join_counts counts;
};

/* ---- entries ---- */

static struct entry *at(const struct label_join *j, uint64_t slot)
{
    return (struct entry *)(void *)(j->slots + slot * j->size);
}

static uint64_t home(const struct label_join *j, uint64_t hash)
{
    return (uint64_t)((unsigned __int128)hash * j->capacity >> 64);
}

static uint64_t slots_of(uint64_t capacity)
{
    return capacity + TAIL;
}

static bool too_full(const struct label_join *j)
{
    return j->counts.waiting >= j->capacity - j->capacity / 6;
}

static void put_value(struct entry *e, int64_t value)
{
    bool none = value == LABEL_VALUE_NONE || value >= INT64_C(1) << 38 || value <= -(INT64_C(1) << 38);
    uint64_t size = none ? UINT64_C(0xffffffff) : (uint64_t)(value < 0 ? -value : value);
    e->value_low = (uint16_t)size;
    e->value_middle = (uint8_t)(size >> 16);
    e->value_high = (uint8_t)(size >> 24);
    e->value_sign = none ? 0xff : (uint8_t)((size >> 32) << 1 | (value < 0));
}

static int64_t value_of(const struct entry *e)
{
    if (e->value_sign == 0xff)
        return LABEL_VALUE_NONE;
    int64_t size = (int64_t)((uint64_t)(e->value_sign >> 1) << 32 | (uint64_t)e->value_high << 24 | (uint64_t)e->value_middle << 16 | e->value_low);
    return e->value_sign & 1 ? -size : size;
}

static uint8_t label_of(const struct entry *e)
{
    return e->model_label & 3;
}

static uint32_t seconds_of(int64_t ms)
{
    return ms < 0 ? 0 : ms / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ms / 1000);
}

static void fill(const struct label_join *j, struct entry *e, uint64_t hash, const struct waiting_prediction *p)
{
    *e = (struct entry){.hash = hash, .time_s = seconds_of(p->time_ms), .score = p->score, .model_label = (uint8_t)(p->model * 4 + LABEL_UNKNOWN), .segments = p->segments};
    put_value(e, p->value);
    memcpy((char *)e + SHADOWS_AT, p->shadows, j->shadows * sizeof *p->shadows);
}

static void read_out(const struct label_join *j, const struct entry *e, struct waiting_prediction *p)
{
    *p = (struct waiting_prediction){.time_ms = (int64_t)e->time_s * 1000, .value = value_of(e), .score = e->score, .model = e->model_label / 4, .segments = e->segments};
    for (size_t i = 0; i < LABEL_SHADOWS_MAX; i++)
        p->shadows[i] = NAN;
    memcpy(p->shadows, (const char *)e + SHADOWS_AT, j->shadows * sizeof *p->shadows);
}

static bool same_event(const struct entry *e, const struct waiting_prediction *p)
{
    return e->hash && e->time_s == seconds_of(p->time_ms) && e->score == p->score;
}

/* Of the new one those that it has; else those that are there. */
static void keep_shadows(const struct label_join *j, struct entry *e, const struct waiting_prediction *p)
{
    for (size_t i = 0; i < j->shadows; i++)
        if (!isnan(p->shadows[i]))
            memcpy((char *)e + SHADOWS_AT + i * sizeof p->shadows[i], &p->shadows[i], sizeof p->shadows[i]);
}

/* ---- the table ---- */

/* Where the hash is, or the free slot where it would go. */
static struct entry *find(const struct label_join *j, uint64_t hash)
{
    uint64_t slot = home(j, hash);
    while (at(j, slot)->hash && at(j, slot)->hash != hash)
        slot++;
    return at(j, slot);
}

/* The slot behind the last stays free, whatever happens, so that every search ends. */
static bool at_the_end(const struct label_join *j, const struct entry *e)
{
    return (const char *)e >= j->slots + slots_of(j->capacity) * j->size;
}

/* Those behind it that may move up do, so that no search stops too early. */
static void take_out(struct label_join *j, uint64_t slot)
{
    uint64_t next = slot + 1;
    for (; at(j, next)->hash; next++)
        if (home(j, at(j, next)->hash) <= slot) {
            memcpy(at(j, slot), at(j, next), j->size);
            slot = next;
        }
    at(j, slot)->hash = 0;
    j->counts.waiting--;
}

static int move_to(struct label_join *j, uint64_t capacity)
{
    struct label_join old = *j;
    char *slots = calloc(slots_of(capacity) + 1, j->size);
    if (!slots)
        return -1;
    j->slots = slots;
    j->capacity = capacity;
    j->hand = 0;
    for (uint64_t i = 0; old.slots && i < slots_of(old.capacity); i++) {
        struct entry *to = at(&old, i)->hash ? find(j, at(&old, i)->hash) : NULL;
        if (to && !at_the_end(j, to))
            memcpy(to, at(&old, i), j->size);
        else if (to)
            j->counts.waiting--; /* thousands of ids made to collide: they are not worth a crash */
    }
    free(old.slots);
    j->counts.bytes = (slots_of(capacity) + 1) * j->size;
    return 0;
}

static bool sampled(const struct label_join *j, uint64_t hash)
{
    return (uint32_t)hash < j->sample_below;
}

static void halve_sample(struct label_join *j)
{
    j->sample_below /= 2;
    j->counts.sampled_share /= 2;
    for (uint64_t i = slots_of(j->capacity); i-- > 0;) /* backwards: what moves up has been looked at */
        if (at(j, i)->hash && !sampled(j, at(j, i)->hash))
            take_out(j, i);
}

static int make_room(struct label_join *j)
{
    while (too_full(j)) {
        if (j->capacity == j->most)
            halve_sample(j);
        else if (move_to(j, j->capacity * 2 < j->most ? j->capacity * 2 : j->most))
            return -1;
    }
    return 0;
}

/* ---- time ---- */

static bool expired(const struct label_join *j, const struct entry *e)
{
    return (int64_t)e->time_s * 1000 < j->now_ms - j->horizon_ms;
}

static void sweep(struct label_join *j)
{
    int64_t round_ms = j->horizon_ms / 8 + 1, passed_ms = j->now_ms - j->swept_ms;
    uint64_t all = slots_of(j->capacity), steps = passed_ms >= round_ms ? all : (uint64_t)((double)passed_ms / (double)round_ms * (double)all);
    if (!steps)
        return;
    j->swept_ms = j->now_ms;
    while (steps--) {
        j->hand = j->hand ? j->hand - 1 : all - 1; /* backwards, as above */
        if (at(j, j->hand)->hash && expired(j, at(j, j->hand))) {
            j->counts.unlabelled += label_of(at(j, j->hand)) == LABEL_UNKNOWN;
            take_out(j, j->hand);
        }
    }
}

static void advance(struct label_join *j, int64_t time_ms)
{
    if (time_ms <= j->now_ms)
        return;
    if (j->now_ms == INT64_MIN)
        j->swept_ms = time_ms;
    j->now_ms = time_ms;
    sweep(j);
}

/* ---- what others call ---- */

struct label_join *label_join_create(uint64_t budget_bytes, int64_t horizon_ms, size_t shadows)
{
    assert(shadows <= LABEL_SHADOWS_MAX && horizon_ms > 0);
    struct label_join *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->size = SHADOWS_AT + shadows * sizeof(float);
    j->shadows = shadows;
    j->horizon_ms = horizon_ms;
    j->now_ms = INT64_MIN;
    j->sample_below = UINT64_C(1) << 32;
    j->counts.sampled_share = 1;
    uint64_t slots = budget_bytes / 3 * 2 / j->size;
    j->most = slots > slots_of(1000) ? slots - TAIL - 1 : 0;
    if (!j->most || move_to(j, FIRST_SLOTS < j->most ? FIRST_SLOTS : j->most)) {
        label_join_destroy(j);
        return NULL;
    }
    return j;
}

void label_join_destroy(struct label_join *j)
{
    if (!j)
        return;
    free(j->slots);
    free(j);
}

uint64_t label_join_hash(const void *id, size_t size)
{
    uint64_t hash = hash_bytes(id, (uint32_t)size, 5);
    return hash ? hash : 1;
}

int label_join_prediction(struct label_join *j, uint64_t hash, const struct waiting_prediction *p)
{
    assert(p->model < LABEL_MODELS_MAX);
    advance(j, p->time_ms);
    if (!sampled(j, hash))
        return 0;
    if (make_room(j))
        return -1;
    struct entry *e = find(j, hash);
    while (at_the_end(j, e) && sampled(j, hash)) {
        halve_sample(j);
        e = find(j, hash);
    }
    if (!sampled(j, hash))
        return 0;
    if (same_event(e, p)) {
        put_value(e, p->value);
        keep_shadows(j, e, p);
        return 0;
    }
    if (e->hash)
        j->counts.replaced++;
    else
        j->counts.waiting++;
    fill(j, e, hash, p);
    return 0;
}

int label_join_shadow(struct label_join *j, uint64_t hash, size_t shadow, float score, const struct waiting_prediction *served)
{
    assert(shadow < j->shadows);
    struct waiting_prediction p = *served;
    struct entry *e = find(j, hash);
    if (same_event(e, served))
        p.value = value_of(e);
    for (size_t i = 0; i < LABEL_SHADOWS_MAX; i++)
        p.shadows[i] = i == shadow ? score : NAN;
    return label_join_prediction(j, hash, &p);
}

static enum label_outcome outcome_of(struct label_join *j, uint64_t hash, uint8_t label, int64_t reported_ms, struct waiting_prediction *out)
{
    struct entry *e = find(j, hash);
    if (!sampled(j, hash))
        return LABEL_UNSAMPLED;
    if (!e->hash)
        return LABEL_UNMATCHED;
    if (reported_ms - (int64_t)e->time_s * 1000 > j->horizon_ms)
        return LABEL_LATE;
    if (label_of(e) == label)
        return LABEL_REPEATED;
    enum label_outcome outcome = label_of(e) == LABEL_UNKNOWN ? LABEL_MATCHED : LABEL_CHANGED;
    e->model_label = (uint8_t)((e->model_label & ~3) | label);
    read_out(j, e, out);
    return outcome;
}

enum label_outcome label_join_label(struct label_join *j, uint64_t hash, int label, int64_t reported_ms, struct waiting_prediction *out)
{
    assert(label == 0 || label == 1);
    enum label_outcome outcome = outcome_of(j, hash, (uint8_t)label, reported_ms, out);
    j->counts.labels[outcome]++;
    return outcome;
}

struct label_join_counts label_join_count(const struct label_join *j)
{
    return j->counts;
}
