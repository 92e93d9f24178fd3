#if defined __x86_64__
#include <immintrin.h>
#include <string.h>

#include "scoring/features/features.h"
#include "scoring/features/newest.h"
#include "scoring/features/staircase.h"

#define INLINED static inline __attribute__((always_inline))

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx512cd,bmi,bmi2,popcnt,lzcnt")

/* ---- occurrences ---- */

static inline __mmask32 tags_32(const uint16_t *tags, __m512i wanted)
{
    return _mm512_cmpeq_epi16_mask(_mm512_loadu_si512(tags), wanted);
}

static inline __mmask16 tags_16(const uint16_t *tags, __m256i wanted)
{
    return _mm256_cmpeq_epi16_mask(_mm256_loadu_si256((const __m256i *)(const void *)tags), wanted);
}

/* The place of the first that is equal; `count`: none.  Vectors overlap rather than reach behind the last tag: into a line
 * of the cache that nobody has fetched. */
static inline uint32_t first_tag(const uint16_t *tags, uint32_t count, __m512i wanted)
{
    if (count >= 32) {
        uint32_t from = 0;
        for (; count - from > 64; from += 64) {
            const __mmask32 low = tags_32(tags + from, wanted), high = tags_32(tags + from + 32, wanted);
            if (!_kortestz_mask32_u8(low, high))
                return from + (uint32_t)__builtin_ctzll(_mm512_kunpackd(high, low));
        }
        const uint32_t last = count - 32, one_before = from < last ? from : last;
        const __mmask32 low = tags_32(tags + one_before, wanted), high = tags_32(tags + last, wanted);
        if (_kortestz_mask32_u8(low, high))
            return count;
        return low ? one_before + (uint32_t)__builtin_ctz(low) : last + (uint32_t)__builtin_ctz(high);
    }
    const __m256i half = _mm512_castsi512_si256(wanted);
    const uint32_t equal = count >= 16 ? tags_16(tags, half) | (uint32_t)tags_16(tags + count - 16, half) << (count - 16)
                                       : _mm_cmpeq_epi16_mask(_mm_loadu_si128((const __m128i *)(const void *)tags), _mm256_castsi256_si128(half));
    return equal ? (uint32_t)__builtin_ctz(equal) : count;
}

/* As slots_compare. */
static inline struct slot_line line_compare(const uint32_t *line, const struct entity *e, uint64_t hash)
{
    enum { SEQ_SHIFT = 32 - SEQ_BITS };
    const __m512i word = _mm512_load_si512(line), first = _mm512_set1_epi32((int)(e->first_seq << SEQ_SHIFT));
    const __m512i at = _mm512_sub_epi32(_mm512_slli_epi32(word, SEQ_SHIFT), first);
    const __m512i tag = _mm512_set1_epi32((int)(occurrence_slot_word(hash, 0) >> SEQ_BITS));
    const __mmask16 held = _mm512_cmplt_epu32_mask(at, _mm512_set1_epi32((int)(e->count << SEQ_SHIFT)));
    return slot_line_of(held, _mm512_cmpeq_epi32_mask(_mm512_srli_epi32(word, SEQ_BITS), tag), line[LINE_MARK], hash);
}

/* Where a newcomer goes, or the first slot that looks like it. */
static inline struct occurrence first_slot(const struct entity *e, const struct layout *layout, const uint32_t *slots, uint64_t hash)
{
    const uint32_t home = occurrence_home(layout, hash);
    uint32_t line = home, free = UINT32_MAX;
    for (bool on = true; on || free == UINT32_MAX;) {
        const struct slot_line compared = line_compare(slots + line, e, hash);
        if (compared.equal)
            return (struct occurrence){.found = true, .slot = line + (uint32_t)__builtin_ctz(compared.equal), .hash = hash};
        if (free == UINT32_MAX && compared.free)
            free = line + (uint32_t)__builtin_ctz(compared.free);
        line = line_behind(layout, line);
        on = compared.on && line != home;
    }
    return (struct occurrence){.slot = free, .hash = hash};
}

static __attribute__((noinline)) struct occurrence find_among_alike(const struct window_store *store, const struct entity *e, uint32_t table,
                                                                    uint64_t word)
{
    return occurrence_find(store, e, table, word);
}

/* Mostly nothing looks like it, or the first that does is it. */
INLINED struct occurrence find(const struct window_store *store, const struct feature_program *p, const struct entity *e,
                               const struct layout *layout, uint32_t table, uint64_t word)
{
    const char *start = occurrence_table(e, layout, table);
    const uint64_t hash = occurrence_hash(table, word);
    struct occurrence first = {.hash = hash};
    if (layout->tag_count) {
        first.slot = first_tag((const uint16_t *)(const void *)start, layout->tag_count, _mm512_set1_epi16((short)occurrence_tag(hash)));
        if (first.slot == layout->tag_count)
            return first;
        first.at = first.slot >= e->first ? first.slot - e->first : first.slot + layout->capacity - e->first;
    } else {
        first = first_slot(e, layout, (const uint32_t *)(const void *)start, hash);
        if (!first.found)
            return first;
        first.at = (((const uint32_t *)(const void *)start)[first.slot] - e->first_seq) & SEQ_MASK;
    }
    first.found = true;
    if (entity_record(p, e, first.at)[occurrence_word_at(p, table)] == word)
        return first;
    return find_among_alike(store, e, table, word);
}

void id_find_avx512(const struct window_store *store, const struct entity *e, uint64_t id_hash, struct occurrence *id)
{
    const struct occurrence found = find(store, store->program, e, entity_layout(store->program, e), TABLE_IDS, id_hash);
    id->found = found.found;
    id->at = found.at;
    id->slot = found.slot;
    id->hash = found.hash;
}

void occurrences_fetch_found_avx512(const struct window_store *store, const struct entity *e, const uint64_t *record)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    for (uint32_t table = 0; table < TABLE_CHANNELS + p->channel_count; table++) {
        const uint64_t hash = occurrence_hash(table, record[occurrence_word_at(p, table)]);
        const uint32_t *slots = (const uint32_t *)(const void *)occurrence_table(e, layout, table), home = occurrence_home(layout, hash);
        const struct slot_line line = line_compare(slots + home, e, hash);
        for (uint32_t equal = line.equal; equal; equal &= equal - 1)
            __builtin_prefetch(entity_record(p, e, (slots[home + (uint32_t)__builtin_ctz(equal)] - e->first_seq) & SEQ_MASK));
        if (line.on)
            __builtin_prefetch(slots + line_behind(layout, home));
    }
}

/* ---- the windows ---- */

enum { COUNTER_BITS = 16, LANES_A_GROUP = 4 }; /* of a program that is fused */

/* What moves: a vector of windows each. */
struct moving {
    __m256i at;      /* index of the first event */
    __m256i offsets; /* its record, in words from the ring's beginning */
    __m512i times;   /* its time and lanes */
    __m512i groups[FUSED_GROUPS], sums[FUSED_SUMS];
    __mmask8 all, some; /* the windows; those that hold an event */
};

static inline __mmask8 first_lanes(uint32_t count)
{
    return (__mmask8)_bzhi_u32(UINT8_MAX, count);
}

static inline __m256i wrapped(__m256i x, uint32_t end)
{
    const __m256i ends = _mm256_set1_epi32((int)end);
    return _mm256_mask_sub_epi32(x, _mm256_cmpge_epu32_mask(x, ends), x, ends);
}

/* Of other windows 0. */
static inline __m512i words_of(const struct moving *m, const struct ring *ring, __mmask8 windows, uint32_t word)
{
    return _mm512_mask_i32gather_epi64(_mm512_setzero_si512(), windows, m->offsets, ring->records + word, 8);
}

static inline bool has_lane(const uint64_t *record, int lane)
{
    return record[RECORD_TIME] >> lane & 1;
}

static void wides_clear(const struct feature_program *p, struct entity *e, uint32_t windows)
{
    for (; windows; windows &= windows - 1) {
        const uint32_t w = (uint32_t)__builtin_ctz(windows);
        for (uint32_t i = p->wide_first[w]; i < p->wide_first[w + 1]; i++)
            wide_clear(entity_wides(p, e), &p->wides[i]);
    }
}

/* The number if bit 0 is set and it counts, else 0. */
static inline int64_t wide_number(const struct wide_def *wide, const uint64_t *record, uint64_t bit)
{
    return record_number(record, wide->number) & -(int64_t)(record[RECORD_TIME] >> wide->lane & bit & 1);
}

/* All of them, as nobody can foresee which: what does not leave takes 0 with it. */
static inline void wides_leave(const struct feature_program *p, struct entity *e, const struct moving *m, const struct ring *ring, uint32_t leaves)
{
    uint32_t offsets[FUSED_WINDOWS];
    _mm256_storeu_si256((__m256i *)(void *)offsets, m->offsets);
    for (uint32_t i = 0; i < p->wide_count; i++) {
        const struct wide_def *wide = &p->wides[i];
        const uint64_t *record = ring->records + offsets[wide->window];
        wide_take(entity_wides(p, e), wide, wide_number(wide, record, leaves >> wide->window));
    }
}

/* Less what the lanes of one group take from their counters. */
static inline __m512i lanes_leave(__m512i counters, __m512i times, uint32_t group)
{
    const __m512i four_times = _mm512_setr4_epi64(0x0100010001000100, 0x0908090809080908, 0x0100010001000100, 0x0908090809080908);
    const __m512i lanes = _mm512_shuffle_epi8(times, four_times);
    const __mmask32 on = _mm512_test_epi16_mask(lanes, _mm512_set1_epi64((int64_t)(UINT64_C(0x0008000400020001) << group * LANES_A_GROUP)));
    return _mm512_mask_sub_epi16(counters, on, counters, _mm512_set1_epi16(1));
}

INLINED void moving_load(const struct feature_program *p, const struct entity *e, const struct ring *ring,
                         struct moving *m, __mmask8 kept, uint32_t groups, uint32_t sums)
{
    const __m256i count = _mm256_set1_epi32((int)e->count);
    m->at = _mm256_mask_sub_epi32(count, kept, _mm256_maskz_loadu_epi32(kept, entity_cursors(p, e)), _mm256_set1_epi32((int)e->first_seq));
    const __m256i place = wrapped(_mm256_add_epi32(m->at, _mm256_set1_epi32((int)e->first)), ring->capacity);
    m->offsets = _mm256_mullo_epi32(place, _mm256_set1_epi32((int)ring->words));
    m->some = _mm256_cmplt_epu32_mask(m->at, count);
    for (uint32_t g = 0; g < groups; g++)
        m->groups[g] = _mm512_maskz_loadu_epi64(kept, entity_lanes(p, e) + g * p->window_count);
    for (uint32_t i = 0; i < sums; i++)
        m->sums[i] = _mm512_maskz_loadu_epi64(kept, entity_sums(p, e) + i * p->window_count);
}

/* A window that even the newest event so far leaves is empty at once; the others take one step at a time, together. */
INLINED void advance(const struct window_store *store, struct entity *e, const struct ring *ring,
                     int64_t time_ms, struct moving *m, uint32_t groups, uint32_t sums)
{
    const struct feature_program *p = store->program;
    const __m512i edges = _mm512_sub_epi64(_mm512_set1_epi64(time_ms), _mm512_maskz_loadu_epi64(m->all, p->widths_ms));
    const __m256i count = _mm256_set1_epi32((int)e->count), one = _mm256_set1_epi32(1), words = _mm256_set1_epi32((int)ring->words);
    const __mmask8 kept = _mm512_mask_cmpgt_epi64_mask(m->all, _mm512_set1_epi64(e->newest_ms), edges);
    const uint32_t wide_windows = (uint32_t)store->slow_windows, end = ring->capacity * ring->words;
    moving_load(p, e, ring, m, kept, groups, sums);
    if (wide_windows & ~(uint32_t)kept)
        wides_clear(p, e, wide_windows & ~(uint32_t)kept);
    for (;;) {
        m->times = words_of(m, ring, m->some, RECORD_TIME);
        const __mmask8 leaves = _mm512_mask_cmple_epi64_mask(m->some, _mm512_srli_epi64(m->times, TIME_SHIFT), edges);
        if (!leaves)
            return;
        for (uint32_t g = 0; g < groups; g++)
            m->groups[g] = lanes_leave(m->groups[g], _mm512_maskz_mov_epi64(leaves, m->times), g);
        for (uint32_t i = 0; i < sums; i++)
            m->sums[i] = _mm512_sub_epi64(m->sums[i], words_of(m, ring, leaves, p->sum_words[i]));
        if (leaves & wide_windows)
            wides_leave(p, e, m, ring, leaves);
        m->at = _mm256_mask_add_epi32(m->at, leaves, m->at, one);
        m->offsets = wrapped(_mm256_mask_add_epi32(m->offsets, leaves, m->offsets, words), end);
        m->some = _mm256_cmplt_epu32_mask(m->at, count);
    }
}

/* ---- the event ---- */

INLINED void channel_count_in(const struct window_store *store, const struct feature_program *p, struct entity *e,
                              const struct layout *layout, const struct ring *ring, uint32_t c,
                              const uint64_t *record, uint32_t place, struct moving *m, uint32_t groups)
{
    const struct channel_def *channel = &p->channels[c];
    const uint32_t group = groups == 1 ? 0 : (uint32_t)channel->last_lane / LANES_A_GROUP;
    const uint64_t one = UINT64_C(1) << (uint32_t)channel->last_lane % LANES_A_GROUP * COUNTER_BITS;
    const struct occurrence latest = find(store, p, e, layout, TABLE_CHANNELS + c, record[p->category_word + (uint32_t)channel->category]);
    if (latest.found)
        entity_record(p, e, latest.at)[RECORD_TIME] &= ~(UINT64_C(1) << channel->last_lane);
    const uint32_t behind = latest.found ? latest.at + 1 : 0; /* that one */
    record_gap_set(p, c, ring->records + (size_t)place * ring->words, e->count - behind);
    const __mmask8 without = _mm256_cmple_epu32_mask(_mm256_set1_epi32((int)behind), m->at);
    m->groups[group] = _mm512_mask_add_epi64(m->groups[group], without, m->groups[group], _mm512_set1_epi64((int64_t)one));
    (void)occurrence_write(e, layout, occurrence_table(e, layout, TABLE_CHANNELS + c), &latest, place, e->count);
}

/* Of each of four windows, in eight neighbouring 16-bit lanes, the index where it begins. */
static inline __m512i four_begins(__m256i at, uint32_t first)
{
    const int64_t each = 0x0001000100010001;
    const __m512i lanes = _mm512_setr_epi64(0, 0, 2 * each, 2 * each, 4 * each, 4 * each, 6 * each, 6 * each);
    return _mm512_permutexvar_epi16(_mm512_add_epi16(lanes, _mm512_set1_epi16((short)(2 * first))), _mm512_castsi256_si512(at));
}

/* A window's best is its first stair.  For each window a byte says which of eight stairs are before it, and so, as 2^n - 1,
 * how many: given is 64 - n.  Indexes have 16 bits, as counters do. */
static inline __m512i stairs_before(__m512i words, uint32_t first_seq, uint32_t in, const struct moving *m, bool five)
{
    const __m512i lowest = _mm512_setr4_epi64(0x000c000800040000, 0x001c001800140010, 0x000c000800040000, 0x001c001800140010);
    const __m512i at = _mm512_permutexvar_epi16(lowest, _mm512_sub_epi64(words, _mm512_set1_epi64(first_seq)));
    const __mmask32 of_each = in * 0x01010101;
    const __mmask32 low = _mm512_mask_cmplt_epu16_mask(of_each, at, four_begins(m->at, 0));
    const __mmask32 high = five ? _mm512_mask_cmplt_epu16_mask(of_each, at, four_begins(m->at, 4)) : 0;
    return _mm512_lzcnt_epi64(_mm512_cvtepu8_epi64(_mm_cvtsi64_si128((int64_t)_mm512_kunpackd(high, low))));
}

static inline __mmask8 stairs_above(__m512i words, uint32_t in, int64_t number)
{
    return _mm512_mask_cmpgt_epi64_mask((__mmask8)in, _mm512_srai_epi64(words, SEQ_BITS), _mm512_set1_epi64(number));
}

/* Up to eight stairs, or up to sixteen, as vectors. */
INLINED __m512i stairs_fold(const struct feature_program *p, const struct entity *e, uint32_t s, const uint64_t *record,
                            const struct moving *m, bool long_one)
{
    struct stair_state *state = stair_state_of(p, e, s);
    uint64_t *stairs = stair_slots_of(p, e, s) + state->first;
    uint32_t count = state->count, in = _bzhi_u32(UINT16_MAX, count);
    __m512i low = _mm512_maskz_loadu_epi64((__mmask8)in, stairs), high = low;
    if (long_one)
        high = _mm512_maskz_loadu_epi64((__mmask8)(in >> 8), stairs + 8);
    if (has_lane(record, p->stairs[s].lane)) {
        const int64_t number = stair_signed(p, s, record);
        const uint64_t word = stair_word(number, e->first_seq + e->count);
        const uint32_t above_high = long_one ? (uint32_t)stairs_above(high, in >> 8, number) << 8 : 0;
        const uint32_t above = stairs_above(low, in, number) | above_high, newest = above + 1;
        count = (uint32_t)__builtin_popcount(above) + 1;
        in = above | newest;
        stairs[count - 1] = word;
        state->count = count;
        low = _mm512_mask_set1_epi64(low, (__mmask8)newest, (int64_t)word);
        if (long_one)
            high = _mm512_mask_set1_epi64(high, (__mmask8)(newest >> 8), (int64_t)word);
    }
    const bool five = p->window_count > 4;
    const __m512i none = _mm512_set1_epi64(INT64_MIN), numbers = _mm512_srai_epi64(low, SEQ_BITS);
    __m512i before = stairs_before(low, e->first_seq, in & 255, m, five);
    if (!long_one) {
        const __mmask8 known = _mm512_cmpneq_epi64_mask(before, _mm512_set1_epi64(64 - (int64_t)count));
        return _mm512_mask_permutexvar_epi64(none, known, _mm512_sub_epi64(_mm512_setzero_si512(), before), numbers);
    }
    before = _mm512_add_epi64(before, stairs_before(high, e->first_seq, in >> 8, m, five));
    const __mmask8 known = _mm512_cmpneq_epi64_mask(before, _mm512_set1_epi64(128 - (int64_t)count));
    const __m512i bests = _mm512_permutex2var_epi64(numbers, _mm512_sub_epi64(_mm512_setzero_si512(), before), _mm512_srai_epi64(high, SEQ_BITS));
    return _mm512_mask_mov_epi64(none, known, bests);
}

static inline void cursors_settle(const struct feature_program *p, struct entity *e, const struct moving *m)
{
    _mm256_mask_storeu_epi32(entity_cursors(p, e), m->all, _mm256_add_epi32(m->at, _mm256_set1_epi32((int)e->first_seq)));
}

INLINED void stair_fold(const struct feature_program *p, struct entity *e, uint32_t s, const uint64_t *record,
                        const struct moving *m, int64_t *best)
{
    const uint32_t count = stair_state_of(p, e, s)->count;
    if (count >= 16) {
        stair_push(p, e, s, record, e->count);
        cursors_settle(p, e, m); /* which it goes by */
        stairs_bests(p, e, s, 0, best);
        return;
    }
    stair_make_room(p, e, s);
    __m512i bests = count < 8 ? stairs_fold(p, e, s, record, m, false) : stairs_fold(p, e, s, record, m, true);
    if (!p->stairs[s].max)
        bests = _mm512_mask_sub_epi64(bests, _mm512_cmpneq_epi64_mask(bests, _mm512_set1_epi64(INT64_MIN)), _mm512_setzero_si512(), bests);
    _mm512_mask_storeu_epi64(best, m->all, bests);
}

/* In the entity and in the view. */
static inline void wides_count_in(const struct feature_program *p, struct feature_view *v, struct entity *e, const uint64_t *record)
{
    for (uint32_t i = 0; i < p->wide_count; i++) {
        const struct wide_def *wide = &p->wides[i];
        wide_add(entity_wides(p, e), wide, wide_number(wide, record, 1));
        wide_copy(v->wides, entity_wides(p, e), wide);
    }
}

INLINED void windows_show(const struct feature_program *p, struct feature_view *v, const struct entity *e,
                          const struct moving *m, uint32_t groups, uint32_t sums)
{
    _mm256_mask_storeu_epi32(v->events, m->all, _mm256_sub_epi32(_mm256_set1_epi32((int)e->count + 1), m->at));
    for (uint32_t g = 0; g < groups; g++)
        _mm512_mask_storeu_epi64(v->lanes + g * p->window_count, m->all, m->groups[g]);
    for (uint32_t i = 0; i < sums; i++)
        _mm512_mask_storeu_epi64(v->sums + i * p->window_count, m->all, m->sums[i]);
}

/* The windows that begin with the oldest event lose it, and it goes. */
INLINED void oldest_drop(struct window_store *store, struct entity *e, const struct ring *ring, struct moving *m,
                         uint32_t groups, uint32_t sums)
{
    const struct feature_program *p = store->program;
    const uint64_t *record = ring->records + (size_t)e->first * ring->words;
    const __mmask8 holds = _mm256_mask_testn_epi32_mask(m->all, m->at, m->at);
    const uint32_t wide_windows = (uint32_t)store->slow_windows & holds;
    const __m512i times = _mm512_maskz_set1_epi64(holds, (int64_t)record[RECORD_TIME]);
    const __m256i one = _mm256_set1_epi32(1);
    for (uint32_t g = 0; g < groups; g++)
        m->groups[g] = lanes_leave(m->groups[g], times, g);
    for (uint32_t i = 0; i < sums; i++)
        m->sums[i] = _mm512_mask_sub_epi64(m->sums[i], holds, m->sums[i], _mm512_set1_epi64((int64_t)record[p->sum_words[i]]));
    for (uint32_t i = 0; wide_windows && i < p->wide_count; i++)
        wide_take(entity_wides(p, e), &p->wides[i], wide_number(&p->wides[i], record, wide_windows >> p->wides[i].window));
    m->at = _mm256_sub_epi32(_mm256_max_epu32(m->at, one), one);
    store_forget(store, e, 1);
}

INLINED void windows_settle(const struct feature_program *p, struct entity *e, const struct moving *m,
                            uint32_t groups, uint32_t sums)
{
    cursors_settle(p, e, m);
    for (uint32_t g = 0; g < groups; g++)
        _mm512_mask_storeu_epi64(entity_lanes(p, e) + g * p->window_count, m->all, m->groups[g]);
    for (uint32_t i = 0; i < sums; i++)
        _mm512_mask_storeu_epi64(entity_sums(p, e) + i * p->window_count, m->all, m->sums[i]);
}

/* Of the longest window, which is the last one. */
static inline int64_t first_time(const struct moving *m, int64_t time_ms)
{
    const uint32_t longest = (m->all + 1u) >> 1;
    const __m512i times = _mm512_srli_epi64(_mm512_maskz_compress_epi64((__mmask8)longest, m->times), TIME_SHIFT);
    return m->some & longest ? _mm_cvtsi128_si64(_mm512_castsi512_si128(times)) : time_ms;
}

static inline void record_place(const struct ring *ring, uint32_t place, const uint64_t *record)
{
    uint64_t *to = ring->records + (size_t)place * ring->words;
    uint32_t i = 0;
    for (; i + 4 <= ring->words; i += 4)
        memcpy(to + i, record + i, 32);
    for (; i < ring->words; i++)
        to[i] = record[i];
}

/* Of a group: without the last lanes. */
static inline __m512i counted_lanes(const struct feature_program *p, const uint64_t *record, uint32_t group)
{
    return _mm512_set1_epi64((int64_t)(_pdep_u64(record[RECORD_TIME] >> group * LANES_A_GROUP, p->count_masks[group])));
}

INLINED void fold(struct window_store *store, struct feature_view *v, struct entity *e, const struct value *values,
                  const uint64_t *record, const struct occurrence *id, bool full, uint32_t groups, uint32_t sums)
{
    const struct feature_program *p = store->program;
    const struct layout *layout = entity_layout(p, e);
    const struct ring ring = entity_ring(p, e);
    const uint32_t place = entity_place(p, e, e->count);
    struct moving m;
    m.all = first_lanes(p->window_count);
    feature_view_begin(v, e, values, record);
    advance(store, e, &ring, v->time_ms, &m, groups, sums);
    v->first_ms = first_time(&m, v->time_ms);
    record_place(&ring, place, record);
    for (uint32_t g = 0; g < groups; g++)
        m.groups[g] = _mm512_add_epi64(m.groups[g], counted_lanes(p, record, g));
    for (uint32_t i = 0; i < sums; i++)
        m.sums[i] = _mm512_add_epi64(m.sums[i], _mm512_set1_epi64((int64_t)record[p->sum_words[i]]));
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], record))
            channel_count_in(store, p, e, layout, &ring, c, record, place, &m, groups);
    for (uint32_t s = 0; s < p->stair_count; s++)
        stair_fold(p, e, s, record, &m, v->best + s * p->window_count);
    wides_count_in(p, v, e, record);
    windows_show(p, v, e, &m, groups, sums); /* late: what lies near something stored under a mask cannot be read soon */
    if (full)
        oldest_drop(store, e, &ring, &m, groups, sums);
    windows_settle(p, e, &m, groups, sums);
    store_settle(store, e, layout, record, id, place);
}

/* Apart: side by side in one function the two would share out registers and the stack. */
static __attribute__((noinline)) void fold_any(struct window_store *store, struct feature_view *v, struct entity *e, const struct value *values,
                                               const uint64_t *record, const struct occurrence *id, bool full)
{
    fold(store, v, e, values, record, id, full, store->program->lane_groups, store->program->sum_count);
}

void newest_fold_avx512(struct window_store *store, struct feature_view *v, struct entity *e, const struct value *values, const uint64_t *record,
                        const struct occurrence *id, bool full)
{
    const struct feature_program *p = store->program;
    if (p->lane_groups == 1 && p->sum_count == 1)
        fold(store, v, e, values, record, id, full, 1, 1);
    else
        fold_any(store, v, e, values, record, id, full);
}

#pragma GCC pop_options
#endif
