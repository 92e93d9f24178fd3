/* A feature file compiled: what is kept of an event, what is counted in each window, and how a row is made of it.
 *
 * An event is kept as a record of 64-bit words:
 *
 *   word 0   event time << 16 | its lanes 0..15 (where there are more lanes, they have words of their own); in bits left
 *            over its gaps
 *   word 1   64-bit hash of the id
 *   numbers  one word each; null is 0
 *   categories  one word each: 64-bit hash of a text, or the number; 0 is null
 *   places   two doubles each: latitude (NaN: no place) and longitude
 *
 * A lane is one bit of an event and one counter a window: how many events of the window have the bit.  Count lanes
 * say "passes this filter and this field is not null"; last lanes say "the latest event of its category", so that
 * the counter is the number of different ones.
 *
 * A gap, one for each channel, is how many events right before this one are known not to be of its category: from there on
 * the one before of its category is looked for.  It is a hint: 0 is always right, and so is what was right before older
 * events went.  Checkpoints do without.
 *
 * Hashes are seeded by the whole feature file (its canonical text): the same file gives the same hashes in every process,
 * and who would craft texts that collide needs the file.  Otherwise two given texts of one entity are taken for the same
 * with odds of 2^-64, ids too: among n different ones that an entity holds some two are with odds of n^2 / 2^65 (with
 * 4,096 of them, one entity in 10^12). */
#pragma once
#include <string.h>

#include "scoring/features/feature_spec.h"
#include "scoring/features/literal_list.h"

enum { RECORD_TIME, RECORD_ID, RECORD_NUMBERS };
#define TIME_SHIFT 16

struct number_def { /* an integer field of a windowed op */
    int slot;
    double fixed; /* 0: none */
    int sum;      /* which of the sums that each window keeps is its own; -1: none */
    const uint64_t *lanes; /* that need its field (lane masks, below) */
};

struct category_def { /* a field of distinct or same */
    int slot;
    double fixed;
    const uint64_t *lanes; /* likewise */
};

struct presence_def { /* a field that only lanes look at */
    int slot;
    const uint64_t *lanes;
};

struct place_def {
    int lat, lon;
};

struct lane_def { /* a count lane */
    int filter; /* -1: every event */
    int slot;   /* not null; -1: whatever */
};

struct channel_def { /* one meaning of "the same category": the events of `category` that pass a filter */
    int category;
    int filter_lane; /* -1: every event */
    int last_lane;
    int same_first, same_count; /* of the program's `sames` */
};

struct same_def {
    int channel, window;
};

struct stair_def { /* the smallest or largest number of each window */
    int number;
    int lane; /* member: passes the filter, not null */
    bool max;
};

struct wide_def { /* an accumulator of one window that is updated event by event */
    int number;
    int lane;
    int window;
    bool square;     /* the 128-bit sum of squares; else the 64-bit sum of those that pass the filter */
    uint32_t offset; /* byte offset among the wides */
};

enum step_kind {
    STEP_VALUE, STEP_ROUNDED, STEP_LISTED, STEP_CODE, STEP_CLOCK, STEP_SINCE_LAST, STEP_SINCE_FIRST, STEP_SPEED,
    STEP_EVENTS, STEP_LANE, STEP_SUM, STEP_BEST, STEP_MEAN, STEP_STD, STEP_ZSCORE, STEP_RATIO, STEP_SAME /* of windows */
};

enum { STEP_COLUMNS = 8 }; /* the most of a step: a vector of them */

/* Columns that follow each other and differ only in their windows, which follow each other too: one feature, usually.
 * What a step reads of its windows lies side by side in a view, window by window: `counters`, `counted` and `squares` are byte
 * offsets of the first window's (feature_view.h: counted). */
struct step {
    enum step_kind kind;
    uint32_t count;  /* columns */
    uint32_t column; /* the first */
    double scale;
    uint32_t counters; /* words that hold the lane's counters: */
    uint32_t shift, counter_mask;
    uint32_t counted;         /* events, sums, bests or sames */
    uint32_t squares;         /* of deviations */
    uint32_t word;            /* of the field, in the record */
    uint32_t place;
    int32_t slot;
    const struct step_detail *detail; /* of the kinds that look at the event alone */
};

struct step_detail {
    double fixed;
    int64_t offset_ms;
    uint32_t listed; /* hours or days of the clock as bits; 0: none are listed */
    bool day;
    struct literal_list list;
    uint32_t text_count;
    struct text_column { /* what the column says of each text of at most 8 bytes of a short list */
        uint64_t packed, size;
        float column;
    } texts[LITERAL_SHORT_LIST];
    float other_text; /* of one that is not listed */
};

struct filter_def {
    const struct predicate *predicate;
    struct literal_list list;
    const uint64_t *lanes; /* that need it */
    bool texts; /* a short list, and all lanes in one word: the usual case */
};

enum { FUSED_WINDOWS = 8, FUSED_GROUPS = 8, FUSED_SUMS = 8 }; /* the most that newest.h takes */

enum { RING_SPARE = 8 }; /* places that a ring may have to spare, beside an eighth of its events */
enum { TAGS_MAX = 384 }; /* the most events of a ring whose occurrence tables are tags (occurrences.h) */
enum { CACHE_LINE = 64 /* bytes */, WORDS_A_LINE = CACHE_LINE / 4, SLOTS_A_LINE = WORDS_A_LINE - 1 };

struct layout { /* of an entity's block, for one capacity of its ring */
    uint32_t capacity;   /* records */
    uint32_t tag_count;  /* of each occurrence table, a multiple of 8; 0: it has slots */
    uint32_t line_count; /* likewise, of SLOTS_A_LINE slots and a mark */
    uint32_t stair_slots, stairs_most; /* of a staircase: places, and stairs in them */
    /* Bytes, from the block's start: the staircases, the occurrence tables, the records; what is looked at for each
     * event comes first and lies together. */
    size_t index_at, ids_size, channels_at, channel_size, records_at;
    size_t size; /* a multiple of 32; of 64 where there are slots, whose tables begin with a line of the cache */
};

/* Where a view has what its windows say (feature_view.h: counted). */
struct counted_layout {
    uint32_t lanes, sums, best, wides, events, sames; /* byte offsets */
    uint32_t size; /* whole vectors may be read from each part */
};

struct feature_program {
    const struct feature_spec *spec;
    uint64_t entity_seed, id_seed, text_seed; /* of hashes */
    uint32_t window_count;
    int64_t *widths_ms;

    uint32_t record_words;
    uint32_t number_count, sum_count, category_count, place_count;
    struct number_def *numbers;
    uint32_t *sum_words; /* of each sum the number's word in a record */
    struct category_def *categories;
    struct place_def *places;
    uint32_t category_word, place_word, lane_word;

    uint32_t filter_count;
    struct filter_def *filters;

    uint32_t lane_count, count_lanes; /* count lanes first, then the last lanes of the channels */
    struct lane_def *lanes;
    uint32_t lane_width;  /* bits of a counter: 16, or 32 where an entity may hold more events than that */
    uint32_t lane_groups; /* words of counters a window */
    uint32_t lanes_a_group;
    uint64_t counter_mask; /* of one counter */
    uint64_t *count_masks; /* of each group: the counters of count lanes */
    uint64_t group_bits, spread_factor, spread_mask; /* lanes of a group to counters: (bits & group_bits) * factor & mask */
    uint32_t lane_words;  /* words of lanes in a record, beside those of word 0 */
    uint32_t gap_at, gap_bits; /* in word 0: the first channel's, and of how many bits each is */
    uint32_t gap_shift;   /* what is kept of a gap is as many times 2^gap_shift: so that one may be as long as a ring */
    uint32_t mask_words;  /* of a lane mask: the bits of lanes, as they lie in a record from lane_word on */
    uint64_t *all_lanes;  /* the first of the masks */
    uint32_t presence_count;
    struct presence_def *presences;

    uint32_t channel_count, same_count, stair_count, wide_count;
    struct channel_def *channels;
    struct same_def *sames;
    struct stair_def *stairs;
    struct wide_def *wides;   /* ascending by window */
    uint32_t *wide_first;     /* of each window; window_count + 1 entries */
    uint32_t same_slot_words; /* 32-bit counters beside each slot of a channel's table, the most of any channel */

    uint32_t step_count, before_steps; /* those that leave the current event out come first */
    struct step *steps;
    uint32_t detail_count;
    struct step_detail *details;

    /* Byte offsets in an entity. */
    uint32_t entity_size, cursors_at, place_at, stair_state_at, lanes_at, sums_at, wides_at, wides_size;

    struct counted_layout counted;

    bool vectors; /* this machine takes eight windows of a step at a time */
    bool fused; /* this machine takes all windows of a newest event at a time (newest.h) */
    uint32_t tags_max;
    uint32_t layout_count; /* layouts[i] has small staircases, layouts[layout_count + i] whole ones */
    struct layout *layouts;
};

/* NULL if memory is short.  `entity_header` is the size of what an entity begins with. */
struct feature_program *feature_program_create(const struct feature_spec *spec, uint32_t entity_header);
void feature_program_destroy(struct feature_program *program);
/* Whether steps may use vector instructions, where the machine has them: the bits are the same (for tests). */
void feature_program_vectors(struct feature_program *program, bool allowed);
/* Before the first event: rings of more than `most` events (8 at least) have slots (for tests). */
void feature_program_tags(struct feature_program *program, uint32_t most);

/* For the compiler: settles the lane masks, once everything else is.  0, or -1 if memory is short. */
int lane_masks_place(struct feature_program *program);

/* Fills the records of n events, one behind the other: word 0 with all its lanes (last lanes set for members), id hash,
 * numbers, categories, places. */
struct event;
void feature_program_load(const struct feature_program *program, const struct event *events, size_t n, uint64_t *records);

static inline int64_t record_time(const uint64_t *record)
{
    return (int64_t)(record[RECORD_TIME] >> TIME_SHIFT);
}

static inline int64_t record_number(const uint64_t *record, int number)
{
    return (int64_t)record[RECORD_NUMBERS + (uint32_t)number];
}

/* Latitude and longitude; the latitude is NaN where either was missing. */
static inline bool record_has_place(const struct feature_program *p, const uint64_t *record, uint32_t place)
{
    double lat;
    memcpy(&lat, &record[p->place_word + 2 * place], sizeof lat);
    return lat == lat;
}

static inline bool record_lane(const struct feature_program *p, const uint64_t *record, int lane)
{
    return record[p->lane_word + ((uint32_t)lane >> 6)] >> ((uint32_t)lane & 63) & 1;
}

static inline void record_lane_set(const struct feature_program *p, uint64_t *record, int lane, bool on)
{
    uint64_t bit = UINT64_C(1) << ((uint32_t)lane & 63);
    uint64_t *word = &record[p->lane_word + ((uint32_t)lane >> 6)];
    *word = on ? *word | bit : *word & ~bit;
}

static inline bool record_in_channel(const struct feature_program *p, const struct channel_def *channel, const uint64_t *record)
{
    return record[p->category_word + (uint32_t)channel->category] &&
           (channel->filter_lane < 0 || record_lane(p, record, channel->filter_lane));
}

static inline uint32_t record_gap(const struct feature_program *p, uint32_t channel, const uint64_t *record)
{
    const uint64_t most = (UINT64_C(1) << p->gap_bits) - 1;
    return (uint32_t)(record[RECORD_TIME] >> (p->gap_at + channel * p->gap_bits) & most) << p->gap_shift;
}

static inline void record_gap_set(const struct feature_program *p, uint32_t channel, uint64_t *record, uint32_t gap)
{
    const uint64_t most = (UINT64_C(1) << p->gap_bits) - 1, kept = gap >> p->gap_shift;
    const uint32_t at = p->gap_at + channel * p->gap_bits;
    record[RECORD_TIME] = (record[RECORD_TIME] & ~(most << at)) | (kept < most ? kept : most) << at;
}
