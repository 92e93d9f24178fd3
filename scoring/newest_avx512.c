#if defined __x86_64__
#include <immintrin.h>
#include <string.h>

#include "scoring/features.h"
#include "scoring/newest.h"
#include "scoring/staircase.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,bmi,bmi2,popcnt,lzcnt")

/* ---- occurrences ---- */

/* Most searches find nothing: what they need is inlined, and whatever looks like a match is left to a function. */

static inline __mmask32 tags_32(const uint16_t *tags, __m512i wanted)
{
    return _mm512_cmpeq_epi16_mask(_mm512_loadu_si512(tags), wanted);
}

static inline __mmask16 tags_16(const uint16_t *tags, __m256i wanted)
{
    return _mm256_cmpeq_epi16_mask(_mm256_loadu_si256((const __m256i *)(const void *)tags), wanted);
}

/* Of the tags from `from` on, up to 32: those that are equal. */
static inline uint32_t tags_equal(const uint16_t *tags, uint32_t from, uint32_t count, __m512i wanted)
{
    const __mmask32 in = count - from < 32 ? (1u << (count - from)) - 1 : UINT32_MAX;
    return _mm512_mask_cmpeq_epi16_mask(in, _mm512_maskz_loadu_epi16(in, tags + from), wanted);
}

/* A place from which on they are to be looked through; `count`: none is equal.  Vectors overlap rather than reach behind
 * the last tag: into a line of the cache that nobody has fetched. */
static inline uint32_t tags_skip(const uint16_t *tags, uint32_t count, __m512i wanted)
{
    const __m256i half = _mm512_castsi512_si256(wanted);
    if (count >= 32) {
        uint32_t from = 0;
        for (; count - from > 64; from += 64)
            if (!_kortestz_mask32_u8(tags_32(tags + from, wanted), tags_32(tags + from + 32, wanted)))
                return from;
        const uint32_t last = count - 32, one_before = from < last ? from : last;
        return _kortestz_mask32_u8(tags_32(tags + one_before, wanted), tags_32(tags + last, wanted)) ? count : one_before;
    }
    if (count >= 16)
        return tags_16(tags, half) | tags_16(tags + count - 16, half) ? 0 : count;
    return _mm_cmpeq_epi16_mask(_mm_loadu_si128((const __m128i *)(const void *)tags), _mm256_castsi256_si128(half)) ? 0 : count;
}

static __attribute__((noinline)) struct occurrence of_tag(const struct feature_program *p, const struct entity *e, uint32_t table, uint64_t word,
                                                          uint32_t from)
{
    const uint64_t hash = occurrence_hash(table, word);
    const struct layout *layout = entity_layout(p, e);
    const uint16_t *tags = (const uint16_t *)(const void *)occurrence_table(e, layout, table);
    const uint64_t *words = (const uint64_t *)(const void *)(e->block + layout->records_at) + occurrence_word_at(p, table);
    const __m512i wanted = _mm512_set1_epi16((short)occurrence_tag(hash));
    for (; from < layout->tag_count; from += 32)
        for (uint32_t equal = tags_equal(tags, from, layout->tag_count, wanted); equal; equal &= equal - 1) {
            const uint32_t place = from + (uint32_t)__builtin_ctz(equal);
            if (words[(size_t)place * p->record_words] != word)
                continue;
            const uint32_t at = place >= e->first ? place - e->first : place + layout->capacity - e->first;
            return (struct occurrence){.found = true, .at = at, .slot = place, .hash = hash};
        }
    return (struct occurrence){.hash = hash};
}

/* A line of slots of which those count that are `in`: in the first line those before the home do not.  What is compared is a
 * sequence number's distance from the first, in a word's upper bits. */
struct slot_line {
    uint32_t empty, open, equal; /* open: the first of them is where a newcomer goes; equal: tags, before any empty one */
};

static inline struct slot_line slots_compare(const uint32_t *slots, const struct entity *e, uint64_t hash, uint32_t in)
{
    enum { SEQ_SHIFT = 32 - SEQ_BITS };
    const __m512i slot = _mm512_load_si512(slots), at = _mm512_sub_epi32(_mm512_slli_epi32(slot, SEQ_SHIFT), _mm512_set1_epi32((int)(e->first_seq << SEQ_SHIFT)));
    const __mmask16 gone = _mm512_cmpge_epu32_mask(at, _mm512_set1_epi32((int)(e->count << SEQ_SHIFT)));
    const uint32_t empty = _mm512_testn_epi32_mask(slot, slot) & in, before = (empty ^ (empty - 1)) & in;
    const __m512i tag = _mm512_set1_epi32((int)(occurrence_slot_word(hash, 0) >> SEQ_BITS));
    const __mmask16 equal = _mm512_mask_cmpeq_epi32_mask((__mmask16)~gone, _mm512_srli_epi32(slot, SEQ_BITS), tag);
    return (struct slot_line){empty, (gone | empty) & before, equal & before};
}

static inline uint32_t next_line(const struct layout *layout, uint32_t line)
{
    return line + SLOTS_A_LINE == layout->slot_count ? 0 : line + SLOTS_A_LINE;
}

static __attribute__((noinline)) struct occurrence of_slot(const struct feature_program *p, const struct entity *e, uint32_t table, uint64_t word)
{
    const uint64_t hash = occurrence_hash(table, word);
    const struct layout *layout = entity_layout(p, e);
    const uint32_t *slots = (const uint32_t *)(const void *)occurrence_table(e, layout, table);
    const uint32_t word_at = occurrence_word_at(p, table), home = occurrence_home(layout, hash);
    uint32_t in = UINT32_MAX << home % SLOTS_A_LINE, open = UINT32_MAX;
    for (uint32_t line = home - home % SLOTS_A_LINE;; line = next_line(layout, line), in = UINT16_MAX) {
        const struct slot_line compared = slots_compare(slots + line, e, hash, in);
        for (uint32_t equal = compared.equal; equal; equal &= equal - 1) {
            const uint32_t slot = line + (uint32_t)__builtin_ctz(equal), at = (slots[slot] - e->first_seq) & SEQ_MASK;
            if (entity_record(p, e, at)[word_at] == word)
                return (struct occurrence){.found = true, .at = at, .slot = slot, .hash = hash};
        }
        if (open == UINT32_MAX && compared.open)
            open = line + (uint32_t)__builtin_ctz(compared.open);
        if (compared.empty)
            return (struct occurrence){.slot = open, .hash = hash};
    }
}

/* Where a newcomer goes, line by line of the cache; UINT32_MAX: there is something that looks like it. */
static inline uint32_t open_slot(const struct entity *e, const struct layout *layout, const uint32_t *slots, uint64_t hash)
{
    const uint32_t home = occurrence_home(layout, hash);
    uint32_t in = UINT32_MAX << home % SLOTS_A_LINE, open = UINT32_MAX;
    for (uint32_t line = home - home % SLOTS_A_LINE;; line = next_line(layout, line), in = UINT16_MAX) {
        const struct slot_line compared = slots_compare(slots + line, e, hash, in);
        if (compared.equal)
            return UINT32_MAX;
        if (open == UINT32_MAX && compared.open)
            open = line + (uint32_t)__builtin_ctz(compared.open);
        if (compared.empty)
            return open;
    }
}

static inline __attribute__((always_inline)) struct occurrence find(const struct feature_program *p, const struct entity *e, uint32_t table, uint64_t word)
{
    const struct layout *layout = entity_layout(p, e);
    const char *start = occurrence_table(e, layout, table);
    const uint64_t hash = occurrence_hash(table, word);
    struct occurrence none = {.hash = hash};
    if (layout->tag_count) {
        const uint32_t from = tags_skip((const uint16_t *)(const void *)start, layout->tag_count, _mm512_set1_epi16((short)occurrence_tag(hash)));
        return from < layout->tag_count ? of_tag(p, e, table, word, from) : none;
    }
    none.slot = open_slot(e, layout, (const uint32_t *)(const void *)start, hash);
    return none.slot == UINT32_MAX ? of_slot(p, e, table, word) : none;
}

/* Of each table's first line. */
void occurrences_fetch_found_avx512(const struct window_store *store, const struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++) {
        const uint64_t hash = occurrence_hash(table, record[occurrence_word_at(p, table)]);
        const uint32_t home = occurrence_home(layout, hash), lane = home % SLOTS_A_LINE;
        const uint32_t *slots = (const uint32_t *)(const void *)occurrence_table(e, layout, table) + (home - lane);
        for (uint32_t equal = slots_compare(slots, e, hash, UINT32_MAX << lane).equal; equal; equal &= equal - 1)
            __builtin_prefetch(entity_record(p, e, (slots[__builtin_ctz(equal)] - e->first_seq) & SEQ_MASK));
    }
}

void id_find_avx512(const struct window_store *store, const struct entity *e, uint64_t id_hash, struct occurrence *id)
{
    const struct occurrence found = find(store->program, e, TABLE_IDS, id_hash);
    id->found = found.found;
    id->at = found.at;
    id->slot = found.slot;
    id->hash = found.hash;
}

/* ---- the windows ---- */

/* What moves: a vector of windows each. */
struct moving {
    __m256i at;    /* index of the first event */
    __m256i place; /* its place in the ring */
    __m512i times; /* its time, where there is one */
    __m512i groups[FUSED_GROUPS], sums[FUSED_SUMS];
    __mmask8 all, some; /* the windows; those that hold an event */
};

static inline __m256i wrapped(__m256i place, uint32_t capacity)
{
    const __m256i end = _mm256_set1_epi32((int)capacity);
    return _mm256_mask_sub_epi32(place, _mm256_cmpge_epu32_mask(place, end), place, end);
}

/* One by one: a gather takes longer. */
static inline __m512i words_at(const struct ring *ring, __m256i place, uint32_t word)
{
    uint32_t at[FUSED_WINDOWS];
    const uint64_t *records = ring->records + word;
    _mm256_storeu_si256((__m256i *)(void *)at, _mm256_mullo_epi32(place, _mm256_set1_epi32((int)ring->words)));
#define WORD(i) ((int64_t)records[at[i]])
    return _mm512_setr_epi64(WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5), WORD(6), WORD(7));
#undef WORD
}

static void wides_clear(const struct feature_program *p, struct entity *e, uint32_t windows)
{
    for (; windows; windows &= windows - 1) {
        const uint32_t w = (uint32_t)__builtin_ctz(windows);
        for (uint32_t i = p->wide_first[w]; i < p->wide_first[w + 1]; i++)
            wide_clear(entity_wides(p, e), &p->wides[i]);
    }
}

static void wides_leave(const struct feature_program *p, struct entity *e, const struct ring *ring, uint32_t windows, __m256i place)
{
    uint32_t places[FUSED_WINDOWS];
    _mm256_storeu_si256((__m256i *)(void *)places, place);
    for (; windows; windows &= windows - 1) {
        const uint32_t w = (uint32_t)__builtin_ctz(windows);
        const uint64_t *record = ring->records + (size_t)places[w] * ring->words;
        for (uint32_t i = p->wide_first[w]; i < p->wide_first[w + 1]; i++)
            if (record_lane(p, record, p->wides[i].lane))
                wide_take(entity_wides(p, e), &p->wides[i], record_number(record, p->wides[i].number));
    }
}

/* The lanes of one group, spread over a word of counters, of eight records. */
static inline __m512i spread(const struct feature_program *p, __m512i words, uint32_t group)
{
    const __m512i lanes = _mm512_and_si512(_mm512_srl_epi64(words, _mm_cvtsi32_si128((int)(group * p->lanes_a_group))), _mm512_set1_epi64((int64_t)p->group_bits));
    return _mm512_and_si512(_mm512_mullo_epi64(lanes, _mm512_set1_epi64((int64_t)p->spread_factor)), _mm512_set1_epi64((int64_t)p->spread_mask));
}

static inline __attribute__((always_inline)) void moving_load(const struct feature_program *p, const struct entity *e, const struct ring *ring,
                                                              struct moving *m, __mmask8 cleared, uint32_t groups, uint32_t sums)
{
    const __m256i count = _mm256_set1_epi32((int)e->count);
    const __mmask8 kept = m->all & (__mmask8)~cleared;
    m->at = _mm256_mask_sub_epi32(count, kept, _mm256_maskz_loadu_epi32(kept, entity_cursors(p, e)), _mm256_set1_epi32((int)e->first_seq));
    m->place = wrapped(_mm256_add_epi32(m->at, _mm256_set1_epi32((int)e->first)), ring->capacity);
    m->some = _mm256_cmplt_epu32_mask(m->at, count);
    for (uint32_t g = 0; g < groups; g++)
        m->groups[g] = _mm512_maskz_loadu_epi64(kept, entity_lanes(p, e) + g * p->window_count);
    for (uint32_t i = 0; i < sums; i++)
        m->sums[i] = _mm512_maskz_loadu_epi64(kept, entity_sums(p, e) + i * p->window_count);
}

/* A window that even the newest event so far leaves is empty at once; the others take one step at a time, together. */
static inline __attribute__((always_inline)) void advance(const struct window_store *store, struct entity *e, const struct ring *ring,
                                                          int64_t time_ms, struct moving *m, uint32_t groups, uint32_t sums)
{
    const struct feature_program *p = store->program;
    const __m512i edges = _mm512_sub_epi64(_mm512_set1_epi64(time_ms), _mm512_maskz_loadu_epi64(m->all, p->widths_ms));
    const __m256i count = _mm256_set1_epi32((int)e->count), one = _mm256_set1_epi32(1);
    const __mmask8 cleared = _mm512_mask_cmple_epi64_mask(m->all, _mm512_set1_epi64(e->newest_ms), edges);
    const uint32_t wide_windows = (uint32_t)store->slow_windows;
    moving_load(p, e, ring, m, cleared, groups, sums);
    if (cleared & wide_windows)
        wides_clear(p, e, cleared & wide_windows);
    for (;;) {
        m->times = words_at(ring, m->place, RECORD_TIME);
        const __mmask8 leaves = _mm512_mask_cmple_epi64_mask(m->some, _mm512_srli_epi64(m->times, TIME_SHIFT), edges);
        if (!leaves)
            return;
        for (uint32_t g = 0; g < groups; g++)
            m->groups[g] = _mm512_mask_sub_epi64(m->groups[g], leaves, m->groups[g], spread(p, m->times, g));
        for (uint32_t i = 0; i < sums; i++)
            m->sums[i] = _mm512_mask_sub_epi64(m->sums[i], leaves, m->sums[i], words_at(ring, m->place, p->sum_words[i]));
        if (leaves & wide_windows)
            wides_leave(p, e, ring, leaves & wide_windows, m->place);
        m->at = _mm256_mask_add_epi32(m->at, leaves, m->at, one);
        m->place = wrapped(_mm256_mask_add_epi32(m->place, leaves, m->place, one), ring->capacity);
        m->some = _mm256_cmplt_epu32_mask(m->at, count);
    }
}

/* ---- the event ---- */

static inline void channel_count_in(struct window_store *store, struct entity *e, uint32_t c, const uint64_t *record, struct moving *m)
{
    const struct feature_program *p = store->program;
    const struct channel_def *channel = &p->channels[c];
    const uint32_t group = (uint32_t)channel->last_lane / p->lanes_a_group;
    const uint32_t shift = (uint32_t)channel->last_lane % p->lanes_a_group * p->lane_width;
    struct occurrence latest = find(p, e, TABLE_CHANNELS + c, record[p->category_word + (uint32_t)channel->category]);
    if (latest.found)
        record_lane_set(p, entity_record(p, e, latest.at), channel->last_lane, false);
    const __mmask8 without = _mm256_cmplt_epi32_mask(_mm256_set1_epi32(latest.found ? (int)latest.at : -1), m->at);
    m->groups[group] = _mm512_mask_add_epi64(m->groups[group], without, m->groups[group], _mm512_set1_epi64((int64_t)(UINT64_C(1) << shift)));
    occurrence_set(store, e, TABLE_CHANNELS + c, &latest, e->count);
}

/* Up to eight stairs as vectors; those past the last one have the index 65535 and no number.  Indexes have 16 bits, as
 * counters do. */
struct stairs {
    __m512i numbers;
    __m128i at;
};

static inline __mmask8 first_lanes(uint32_t count)
{
    return (__mmask8)(count < FUSED_WINDOWS ? (1u << count) - 1 : 255u);
}

static inline struct stairs stairs_only(__m512i numbers, __m128i at, uint32_t count)
{
    const __mmask8 in = first_lanes(count);
    return (struct stairs){_mm512_mask_mov_epi64(_mm512_set1_epi64(INT64_MIN), in, numbers), _mm_mask_mov_epi16(_mm_set1_epi16(-1), in, at)};
}

static inline struct stairs stairs_load(const uint64_t *words, uint32_t count, uint32_t first_seq)
{
    const __m512i stairs = _mm512_maskz_loadu_epi64(first_lanes(count), words);
    const __m512i at = _mm512_and_si512(_mm512_sub_epi64(stairs, _mm512_set1_epi64(first_seq)), _mm512_set1_epi64(SEQ_MASK));
    return stairs_only(_mm512_srai_epi64(stairs, SEQ_BITS), _mm512_cvtepi64_epi16(at), count);
}

static inline uint32_t stairs_above(const struct stairs *stairs, int64_t number)
{
    return (uint32_t)__builtin_popcount(_mm512_cmpgt_epi64_mask(stairs->numbers, _mm512_set1_epi64(number)));
}

/* The stair `place`, the last one from now on. */
static inline void stairs_end(struct stairs *stairs, uint32_t place, int64_t number, uint32_t at)
{
    const __mmask8 bit = (__mmask8)(place < FUSED_WINDOWS ? 1u << place : 0);
    *stairs = stairs_only(_mm512_mask_set1_epi64(stairs->numbers, bit, number), _mm_mask_set1_epi16(stairs->at, bit, (short)at), place + 1);
}

/* The index where each of four windows begins, in eight neighbouring lanes. */
static inline __m512i four_begins(__m128i from)
{
    const __m512i copies = _mm512_setr_epi64(0x0100010001000100, 0x0100010001000100, 0x0302030203020302, 0x0302030203020302, 0x0504050405040504, 0x0504050405040504,
                                             0x0706070607060706, 0x0706070607060706);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(from), copies);
}

/* A window's best is its first stair: for each window a byte says which of the stairs are before it, and so, as 2^n - 1,
 * how many.  Where all eight are, it is what is given. */
static inline __m512i stairs_choose(const struct stairs *stairs, __m128i from, bool five, __m512i otherwise)
{
    const __m512i at = _mm512_broadcast_i32x4(stairs->at);
    uint64_t before = _mm512_cmplt_epu16_mask(at, four_begins(from));
    if (five)
        before |= (uint64_t)_mm512_cmplt_epu16_mask(at, four_begins(_mm_srli_si128(from, 8))) << 32;
    const __m512i bytes = _mm512_cvtepu8_epi64(_mm_cvtsi64_si128((int64_t)before));
    const __m512d power = _mm512_cvtepi64_pd(_mm512_add_epi64(bytes, _mm512_set1_epi64(1)));
    const __m512i n = _mm512_sub_epi64(_mm512_srli_epi64(_mm512_castpd_si512(power), 52), _mm512_set1_epi64(1023));
    return _mm512_mask_mov_epi64(_mm512_permutexvar_epi64(n, stairs->numbers), _mm512_cmpeq_epi64_mask(bytes, _mm512_set1_epi64(255)), otherwise);
}

static inline __attribute__((always_inline)) __m512i stairs_fold(const struct feature_program *p, const struct entity *e, uint32_t s, const uint64_t *record,
                                                                 __m128i from, bool long_one)
{
    struct stair_state *state = stair_state_of(p, e, s);
    uint64_t *words = stair_slots_of(p, e, s) + state->first;
    const uint32_t count = state->count;
    struct stairs low = stairs_load(words, count, e->first_seq), high = low;
    if (long_one)
        high = stairs_load(words + FUSED_WINDOWS, count - FUSED_WINDOWS, e->first_seq);
    if (record_lane(p, record, p->stairs[s].lane)) {
        const int64_t number = stair_signed(p, s, record);
        const uint32_t place = stairs_above(&low, number) + (long_one ? stairs_above(&high, number) : 0);
        words[place] = stair_word(number, e->first_seq + e->count);
        state->count = place + 1;
        stairs_end(&low, place, number, e->count);
        if (long_one && place >= FUSED_WINDOWS)
            stairs_end(&high, place - FUSED_WINDOWS, number, e->count);
        else if (long_one)
            high = stairs_only(high.numbers, high.at, 0);
    }
    const bool five = p->window_count > 4;
    __m512i bests = _mm512_set1_epi64(INT64_MIN);
    if (long_one)
        bests = stairs_choose(&high, from, five, bests);
    return stairs_choose(&low, from, five, bests);
}

static inline void stair_fold(const struct feature_program *p, struct entity *e, uint32_t s, const uint64_t *record, const struct moving *m, int64_t *best)
{
    const uint32_t count = stair_state_of(p, e, s)->count;
    if (count >= 2 * FUSED_WINDOWS) {
        stair_push(p, e, s, record, e->count);
        stairs_bests(p, e, s, 0, best);
        return;
    }
    stair_make_room(p, e, s);
    const __m128i from = _mm256_cvtepi32_epi16(m->at);
    __m512i bests = count < FUSED_WINDOWS ? stairs_fold(p, e, s, record, from, false) : stairs_fold(p, e, s, record, from, true);
    if (!p->stairs[s].max)
        bests = _mm512_mask_sub_epi64(bests, _mm512_cmpneq_epi64_mask(bests, _mm512_set1_epi64(INT64_MIN)), _mm512_setzero_si512(), bests);
    _mm512_mask_storeu_epi64(best, m->all, bests);
}

static inline void wides_count_in(struct feature_view *v, struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = v->store->program;
    char *wides = entity_wides(p, e);
    for (uint32_t i = 0; i < p->wide_count; i++)
        if (record_lane(p, record, p->wides[i].lane))
            wide_add(wides, &p->wides[i], record_number(record, p->wides[i].number));
    for (uint32_t i = 0; i < p->wides_size; i += 8)
        memcpy(v->wides + i, wides + i, 8);
}

static inline __attribute__((always_inline)) void windows_settle(struct feature_view *v, struct entity *e, const struct moving *m, uint32_t groups,
                                                                 uint32_t sums)
{
    const struct feature_program *p = v->store->program;
    const uint32_t windows = p->window_count;
    _mm256_mask_storeu_epi32(entity_cursors(p, e), m->all, _mm256_add_epi32(m->at, _mm256_set1_epi32((int)e->first_seq)));
    _mm256_mask_storeu_epi32(v->events, m->all, _mm256_sub_epi32(_mm256_set1_epi32((int)e->count + 1), m->at));
    for (uint32_t g = 0; g < groups; g++) {
        _mm512_mask_storeu_epi64(entity_lanes(p, e) + g * windows, m->all, m->groups[g]);
        _mm512_mask_storeu_epi64(v->lanes + g * windows, m->all, m->groups[g]);
    }
    for (uint32_t i = 0; i < sums; i++) {
        _mm512_mask_storeu_epi64(entity_sums(p, e) + i * windows, m->all, m->sums[i]);
        _mm512_mask_storeu_epi64(v->sums + i * windows, m->all, m->sums[i]);
    }
}

static inline int64_t first_time(const struct feature_program *p, const struct moving *m, int64_t time_ms)
{
    const uint32_t last = p->window_count - 1;
    uint64_t words[FUSED_WINDOWS];
    _mm512_storeu_si512(words, m->times);
    return m->some >> last & 1 ? (int64_t)(words[last] >> TIME_SHIFT) : time_ms;
}

static inline void record_place(const struct feature_program *p, const struct ring *ring, uint32_t at, const uint64_t *record)
{
    uint64_t *to = ring_at(ring, at);
    const uint32_t words = p->record_words;
    uint32_t i = 0;
    for (; i + 4 <= words; i += 4)
        memcpy(to + i, record + i, 32);
    for (; i < words; i++)
        to[i] = record[i];
}

static inline __attribute__((always_inline)) void fold(struct window_store *store, struct feature_view *v, struct entity *e, const struct value *values,
                                                       const uint64_t *record, struct occurrence *id, uint32_t groups, uint32_t sums)
{
    const struct feature_program *p = store->program;
    const struct ring ring = entity_ring(p, e);
    struct moving m;
    m.all = first_lanes(p->window_count);
    advance(store, e, &ring, record_time(record), &m, groups, sums);
    feature_view_begin(v, e, values, record);
    v->first_ms = first_time(p, &m, v->time_ms);
    record_place(p, &ring, e->count, record);
    for (uint32_t g = 0; g < groups; g++)
        m.groups[g] = _mm512_add_epi64(m.groups[g], _mm512_set1_epi64((int64_t)(lanes_spread(p, record, g) & p->count_masks[g])));
    for (uint32_t i = 0; i < sums; i++)
        m.sums[i] = _mm512_add_epi64(m.sums[i], _mm512_set1_epi64((int64_t)record[p->sum_words[i]]));
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], record))
            channel_count_in(store, e, c, record, &m);
    windows_settle(v, e, &m, groups, sums);
    for (uint32_t s = 0; s < p->stair_count; s++)
        stair_fold(p, e, s, record, &m, v->best + s * p->window_count);
    wides_count_in(v, e, record);
    store_settle(store, e, record, id);
}

void newest_fold_avx512(struct window_store *store, struct feature_view *v, struct entity *e, const struct value *values, const uint64_t *record,
                        struct occurrence *id)
{
    const struct feature_program *p = store->program;
    if (p->lane_groups == 1 && p->sum_count == 1)
        fold(store, v, e, values, record, id, 1, 1);
    else
        fold(store, v, e, values, record, id, p->lane_groups, p->sum_count);
}

#pragma GCC pop_options
#endif
