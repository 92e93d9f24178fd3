/* From the fields of events to their records, column by column: what a column's definition says stays in registers, and
 * each loop goes straight on for the kind of value that its column nearly always has.  What is left, a value of another
 * type or a null, is loaded on its own.
 *
 *   invariant  a record has all lanes of the program but those that need a field which is null or a filter that does not
 *              pass: each column takes away what its own nulls shut. */
#include <math.h>

#include "scoring/features/bytes_hash.h"
#include "scoring/features/feature_program.h"
#include "scoring/features/features.h"

#define ALONE __attribute__((noinline)) /* a loop keeps the registers for itself, and what is seldom stays out of it */

struct batch { /* of events, to be loaded */
    const struct feature_program *program;
    const struct event *events, *end;
    uint64_t *records;
};

/* The lanes stay as they are, or are off.  Which is for nobody to foresee: nothing branches on it. */
static void lanes_keep_if(bool keep, const struct feature_program *p, uint64_t *record, const uint64_t *lanes)
{
    for (uint32_t i = 0; i < p->mask_words; i++)
        record[p->lane_word + i] &= ~lanes[i] | -(uint64_t)keep;
}

/* ---- time, id, and the lanes to begin with ---- */

static ALONE void ids_load(const struct batch *b)
{
    const uint32_t words = b->program->record_words;
    const uint64_t seed = b->program->id_seed, lanes = b->program->lane_words ? 0 : b->program->all_lanes[0];
    uint64_t *record = b->records;
    for (const struct event *event = b->events; event < b->end; event++, record += words) {
        record[RECORD_TIME] = (uint64_t)event->time_ms << TIME_SHIFT | lanes;
        record[RECORD_ID] = hash_bytes(event->id.data, event->id.size, seed);
    }
}

static void lane_words_load(const struct batch *b)
{
    const struct feature_program *p = b->program;
    uint64_t *record = b->records;
    for (const struct event *event = b->events; event < b->end; event++, record += p->record_words)
        memcpy(record + p->lane_word, p->all_lanes, p->lane_words * sizeof *record);
}

/* ---- numbers ---- */

static int64_t number_of(const struct value *value, double fixed)
{
    if (value_is_null(value))
        return 0;
    if (fixed > 0)
        return llrint((value->type == VALUE_INT ? (double)value->integer : value->real) / fixed);
    return value->integer;
}

static ALONE uint64_t number_of_any(const struct batch *b, const struct number_def *number, const struct value *value, uint64_t *record)
{
    lanes_keep_if(!value_is_null(value), b->program, record, number->lanes);
    return (uint64_t)number_of(value, number->fixed);
}

static ALONE void number_load(const struct batch *b, const struct number_def *number, uint32_t word)
{
    const uint32_t words = b->program->record_words, slot = (uint32_t)number->slot;
    uint64_t *record = b->records;
    for (const struct event *event = b->events; event < b->end; event++, record += words) {
        const struct value *value = &event->values[slot];
        record[word] = value->type == VALUE_INT ? (uint64_t)value->integer : number_of_any(b, number, value, record);
    }
}

/* Doubles, as numbers of steps. */
static ALONE void steps_load(const struct batch *b, const struct number_def *number, uint32_t word)
{
    const uint32_t words = b->program->record_words, slot = (uint32_t)number->slot;
    const double fixed = number->fixed;
    uint64_t *record = b->records;
    for (const struct event *event = b->events; event < b->end; event++, record += words) {
        const struct value *value = &event->values[slot];
        bool real = value->type == VALUE_DOUBLE && value->real == value->real;
        record[word] = real ? (uint64_t)llrint(value->real / fixed) : number_of_any(b, number, value, record);
    }
}

/* ---- categories ---- */

/* Different numbers have different words, but for four of 64 bits that no sane field holds: two that would be the
 * words 0 and 1, and two that are those of false and true. */
static uint64_t category_word(uint64_t word)
{
    return word + !word;
}

static ALONE uint64_t category_of_any(const struct batch *b, const struct category_def *category, const struct value *value, uint64_t *record)
{
    lanes_keep_if(!value_is_null(value), b->program, record, category->lanes);
    if (value_is_null(value))
        return 0;
    if (value->type == VALUE_BOOL)
        return category_word(HASH_P1 + (uint64_t)value->integer);
    return category_word((uint64_t)number_of(value, category->fixed) ^ HASH_P0);
}

static ALONE void category_load(const struct batch *b, const struct category_def *category, uint32_t word)
{
    const uint32_t words = b->program->record_words, slot = (uint32_t)category->slot;
    const uint64_t seed = b->program->text_seed;
    uint64_t *record = b->records;
    for (const struct event *event = b->events; event < b->end; event++, record += words) {
        const struct value *value = &event->values[slot];
        record[word] = value->type == VALUE_TEXT ? category_word(hash_bytes(value->text, value->size, seed)) : category_of_any(b, category, value, record);
    }
}

/* ---- places ---- */

static double coordinate_of(const struct value *value, double limit)
{
    if (value->type != VALUE_INT && value->type != VALUE_DOUBLE)
        return NAN;
    double degrees = value->type == VALUE_INT ? (double)value->integer : value->real;
    return degrees >= -limit && degrees <= limit ? degrees : NAN;
}

static ALONE void place_load(const struct batch *b, const struct place_def *place, uint32_t word)
{
    uint64_t *record = b->records;
    for (const struct event *event = b->events; event < b->end; event++, record += b->program->record_words) {
        double degrees[2] = {coordinate_of(&event->values[place->lat], 90), coordinate_of(&event->values[place->lon], 180)};
        if (isnan(degrees[1]))
            degrees[0] = NAN;
        memcpy(record + word, degrees, sizeof degrees);
    }
}

/* ---- lanes ---- */

/* Of a field that is no column. */
static void presence_load(const struct batch *b, const struct presence_def *presence)
{
    uint64_t *record = b->records;
    for (const struct event *event = b->events; event < b->end; event++, record += b->program->record_words)
        lanes_keep_if(!value_is_null(&event->values[presence->slot]), b->program, record, presence->lanes);
}

static ALONE bool filter_passes(const struct filter_def *filter, const struct value *values)
{
    const struct predicate *predicate = filter->predicate;
    if (predicate->kind == PREDICATE_RANGE)
        return predicate_holds(predicate, values);
    const struct value *value = &values[predicate->slot];
    return !value_is_null(value) && (literal_list_find(&filter->list, value) >= 0) == (predicate->kind == PREDICATE_IN);
}

static ALONE void filter_load(const struct batch *b, const struct filter_def *filter)
{
    uint64_t *record = b->records;
    for (const struct event *event = b->events; event < b->end; event++, record += b->program->record_words)
        lanes_keep_if(filter_passes(filter, event->values), b->program, record, filter->lanes);
}

/* A short list of texts, and lanes in one word. */
static ALONE void text_filter_load(const struct batch *b, const struct filter_def *filter)
{
    const bool in = filter->predicate->kind == PREDICATE_IN;
    const uint32_t words = b->program->record_words, slot = (uint32_t)filter->predicate->slot;
    const uint64_t others = ~filter->lanes[0];
    uint64_t *lanes = b->records + b->program->lane_word;
    for (const struct event *event = b->events; event < b->end; event++, lanes += words) {
        const struct value *value = &event->values[slot];
        bool passes = literal_is_short(value) ? literal_list_has_short(&filter->list, value) == in : filter_passes(filter, event->values);
        *lanes &= others | -(uint64_t)passes;
    }
}

void feature_program_load(const struct feature_program *p, const struct event *events, size_t n, uint64_t *records)
{
    const struct batch b = {p, events, events + n, records};
    ids_load(&b);
    if (p->lane_words)
        lane_words_load(&b);
    for (uint32_t i = 0; i < p->number_count; i++)
        (p->numbers[i].fixed > 0 ? steps_load : number_load)(&b, &p->numbers[i], RECORD_NUMBERS + i);
    for (uint32_t i = 0; i < p->category_count; i++)
        category_load(&b, &p->categories[i], p->category_word + i);
    for (uint32_t i = 0; i < p->place_count; i++)
        place_load(&b, &p->places[i], p->place_word + 2 * i);
    for (uint32_t i = 0; i < p->presence_count; i++)
        presence_load(&b, &p->presences[i]);
    for (uint32_t i = 0; i < p->filter_count; i++)
        (p->filters[i].texts ? text_filter_load : filter_load)(&b, &p->filters[i]);
}
