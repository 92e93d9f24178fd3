#include "scoring/features/entity_image.h"

#include "scoring/features/partition_state.h"

static uint32_t lane_words(const struct feature_program *p)
{
    return (p->count_lanes + 63) / 64;
}

struct image_shape image_shape_of(const struct feature_program *p)
{
    struct image_shape s = {.numbers = p->number_count, .categories = p->category_count, .places = p->place_count, .lanes = lane_words(p)};
    s.words = IMAGE_NUMBERS + s.numbers + s.categories + 2 * s.places + s.lanes;
    return s;
}

struct image_shape windows_image_shape(const struct windows *w)
{
    return image_shape_of(w->program);
}

/* The count lanes of one word; the last lanes follow from the other events. */
static uint64_t lane_mask(const struct feature_program *p, uint32_t word)
{
    uint32_t left = p->count_lanes - word * 64;
    return left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
}

void image_row_take(const struct window_store *store, const struct entity *e, uint32_t at, uint64_t *row)
{
    const struct feature_program *p = store->program;
    const uint64_t *record = entity_record(p, e, at);
    *row++ = (uint64_t)record_time(record);
    *row++ = record[RECORD_ID];
    for (uint32_t i = 0; i < p->number_count; i++)
        *row++ = record[RECORD_NUMBERS + i];
    for (uint32_t i = 0; i < p->category_count; i++)
        *row++ = record[p->category_word + i];
    for (uint32_t i = 0; i < 2 * p->place_count; i++)
        *row++ = record[p->place_word + i];
    for (uint32_t i = 0; i < lane_words(p); i++)
        *row++ = record[p->lane_word + i] & lane_mask(p, i);
}

static bool time_fits(uint64_t time_ms)
{
    return time_ms < UINT64_C(1) << (63 - TIME_SHIFT);
}

static bool number_fits(uint64_t word)
{
    int64_t x = (int64_t)word;
    return x > -(INT64_C(1) << 40) && x < INT64_C(1) << 40;
}

bool image_row_record(const struct feature_program *p, const uint64_t *row, uint64_t *record)
{
    if (!time_fits(row[IMAGE_TIME]))
        return false;
    record[RECORD_TIME] = row[IMAGE_TIME] << TIME_SHIFT;
    record[RECORD_ID] = row[IMAGE_ID];
    row += IMAGE_NUMBERS;
    for (uint32_t i = 0; i < p->number_count; i++) {
        if (!number_fits(*row))
            return false;
        record[RECORD_NUMBERS + i] = *row++;
    }
    for (uint32_t i = 0; i < p->category_count; i++)
        record[p->category_word + i] = *row++;
    for (uint32_t i = 0; i < 2 * p->place_count; i++)
        record[p->place_word + i] = *row++;
    for (uint32_t i = 0; i < p->lane_words; i++)
        record[p->lane_word + i] = 0;
    for (uint32_t i = 0; i < lane_words(p); i++) {
        if (*row & ~lane_mask(p, i))
            return false;
        record[p->lane_word + i] |= *row++;
    }
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (record_in_channel(p, &p->channels[c], record))
            record_lane_set(p, record, p->channels[c].last_lane, true);
    return true;
}
