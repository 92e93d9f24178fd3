/* From the fields of an event to its record. */
#include <math.h>

#include "scoring/bytes_hash.h"
#include "scoring/feature_program.h"
#include "scoring/features.h"

static int64_t number_load(const struct value *value, double fixed)
{
    if (value_is_null(value))
        return 0;
    if (fixed > 0)
        return llrint((value->type == VALUE_INT ? (double)value->integer : value->real) / fixed);
    return value->integer;
}

/* Different numbers have different words, but for four of 64 bits that no sane field holds: two that would be the
 * words 0 and 1, and two that are those of false and true. */
static uint64_t category_word(uint64_t word)
{
    return word ? word : 1;
}

static uint64_t category_load(const struct value *value, double fixed, uint64_t seed)
{
    if (value_is_null(value))
        return 0;
    if (value->type == VALUE_TEXT)
        return category_word(hash_bytes(value->text, value->size, seed));
    if (value->type == VALUE_BOOL)
        return category_word(HASH_P1 + (uint64_t)value->integer);
    return category_word((uint64_t)number_load(value, fixed) ^ HASH_P0);
}

static double coordinate_load(const struct value *value, double limit)
{
    if (value->type != VALUE_INT && value->type != VALUE_DOUBLE)
        return NAN;
    double degrees = value->type == VALUE_INT ? (double)value->integer : value->real;
    return degrees >= -limit && degrees <= limit ? degrees : NAN;
}

static void place_load(const struct place_def *place, const struct value *values, uint64_t *words)
{
    double degrees[2] = {coordinate_load(&values[place->lat], 90), coordinate_load(&values[place->lon], 180)};
    if (isnan(degrees[1]))
        degrees[0] = NAN;
    memcpy(words, degrees, sizeof degrees);
}

static bool filter_passes(const struct filter_def *filter, const struct value *values)
{
    const struct predicate *predicate = filter->predicate;
    if (predicate->kind == PREDICATE_RANGE)
        return predicate_holds(predicate, values);
    const struct value *value = &values[predicate->slot];
    return !value_is_null(value) && (literal_list_find(&filter->list, value) >= 0) == (predicate->kind == PREDICATE_IN);
}

static void lanes_load(const struct feature_program *p, const struct value *values, uint64_t *record)
{
    uint64_t filters = 0;
    for (uint32_t i = 0; i < p->filter_count; i++)
        filters |= (uint64_t)filter_passes(&p->filters[i], values) << i;
    for (uint32_t i = 0; i < p->lane_words; i++)
        record[p->lane_word + i] = 0;
    for (uint32_t i = 0; i < p->count_lanes; i++) {
        const struct lane_def *lane = &p->lanes[i];
        bool on = (lane->filter < 0 || filters >> lane->filter & 1) && (lane->slot < 0 || !value_is_null(&values[lane->slot]));
        record[p->lane_word + (i >> 6)] |= (uint64_t)on << (i & 63);
    }
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], record))
            record_lane_set(p, record, p->channels[c].last_lane, true);
}

void feature_program_load(const struct feature_program *p, const struct event *event, uint64_t *record)
{
    const struct value *values = event->values;
    record[RECORD_TIME] = (uint64_t)event->time_ms << TIME_SHIFT;
    record[RECORD_ID] = hash_bytes(event->id.data, event->id.size, p->id_seed);
    for (uint32_t i = 0; i < p->number_count; i++)
        record[RECORD_NUMBERS + i] = (uint64_t)number_load(&values[p->numbers[i].slot], p->numbers[i].fixed);
    for (uint32_t i = 0; i < p->category_count; i++)
        record[p->category_word + i] = category_load(&values[p->categories[i].slot], p->categories[i].fixed, p->text_seed);
    for (uint32_t i = 0; i < p->place_count; i++)
        place_load(&p->places[i], values, &record[p->place_word + 2 * i]);
    lanes_load(p, values, record);
}
