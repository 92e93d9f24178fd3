/* Which lanes need what: for each field and each filter the lanes that are off where the field is null or the filter does
 * not pass.  A last lane needs its channel's category and filter. */
#include <stdlib.h>

#include "scoring/features/feature_program.h"

static void mask_set(uint64_t *mask, int lane)
{
    mask[(uint32_t)lane >> 6] |= UINT64_C(1) << ((uint32_t)lane & 63);
}

static const uint64_t *lanes_of_field(const struct feature_program *p, int slot, uint64_t *mask)
{
    for (uint32_t lane = 0; lane < p->count_lanes; lane++)
        if (p->lanes[lane].slot == slot)
            mask_set(mask, (int)lane);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (p->categories[p->channels[c].category].slot == slot)
            mask_set(mask, p->channels[c].last_lane);
    return mask;
}

static const uint64_t *lanes_of_filter(const struct feature_program *p, int filter, uint64_t *mask)
{
    for (uint32_t lane = 0; lane < p->count_lanes; lane++)
        if (p->lanes[lane].filter == filter)
            mask_set(mask, (int)lane);
    for (uint32_t c = 0; c < p->channel_count; c++)
        if (p->channels[c].filter_lane >= 0 && p->lanes[p->channels[c].filter_lane].filter == filter)
            mask_set(mask, p->channels[c].last_lane);
    return mask;
}

static bool is_column(const struct feature_program *p, int slot)
{
    for (uint32_t i = 0; i < p->number_count; i++)
        if (p->numbers[i].slot == slot)
            return true;
    for (uint32_t i = 0; i < p->category_count; i++)
        if (p->categories[i].slot == slot)
            return true;
    return false;
}

static void presence_add(struct feature_program *p, int slot)
{
    for (uint32_t i = 0; i < p->presence_count; i++)
        if (p->presences[i].slot == slot)
            return;
    p->presences[p->presence_count++] = (struct presence_def){.slot = slot};
}

int lane_masks_place(struct feature_program *p)
{
    for (uint32_t lane = 0; lane < p->count_lanes; lane++)
        if (p->lanes[lane].slot >= 0 && !is_column(p, p->lanes[lane].slot))
            presence_add(p, p->lanes[lane].slot);
    p->mask_words = p->lane_words ? p->lane_words : 1;
    uint64_t *mask = calloc((size_t)(1 + p->number_count + p->category_count + p->presence_count + p->filter_count) * p->mask_words, sizeof *mask);
    if (!mask)
        return -1;
    p->all_lanes = mask;
    for (uint32_t lane = 0; lane < p->lane_count; lane++)
        mask_set(mask, (int)lane);
    for (uint32_t i = 0; i < p->number_count; i++)
        p->numbers[i].lanes = lanes_of_field(p, p->numbers[i].slot, mask += p->mask_words);
    for (uint32_t i = 0; i < p->category_count; i++)
        p->categories[i].lanes = lanes_of_field(p, p->categories[i].slot, mask += p->mask_words);
    for (uint32_t i = 0; i < p->presence_count; i++)
        p->presences[i].lanes = lanes_of_field(p, p->presences[i].slot, mask += p->mask_words);
    for (uint32_t i = 0; i < p->filter_count; i++) {
        struct filter_def *filter = &p->filters[i];
        filter->lanes = lanes_of_filter(p, (int)i, mask += p->mask_words);
        filter->texts = filter->predicate->kind != PREDICATE_RANGE && literal_list_is_short(&filter->list) && p->mask_words == 1;
    }
    return 0;
}
