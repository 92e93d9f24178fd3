/* The compiler of feature files: features in, definitions of words, lanes, channels and accumulators out, each kept
 * once however many features read it; then byte offsets; then the steps, sorted into runs of one kind. */
#include "scoring/features/feature_program.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/bytes_hash.h"
#include "scoring/features/features.h"

/* ---- definitions, each kept once ---- */

static bool same_double(double a, double b)
{
    return !(a < b) && !(a > b);
}

static int number_add(struct feature_program *p, int slot, double fixed)
{
    for (uint32_t i = 0; i < p->number_count; i++)
        if (p->numbers[i].slot == slot && same_double(p->numbers[i].fixed, fixed))
            return (int)i;
    p->numbers[p->number_count] = (struct number_def){.slot = slot, .fixed = fixed, .sum = -1};
    return (int)p->number_count++;
}

static int category_add(struct feature_program *p, int slot, double fixed)
{
    for (uint32_t i = 0; i < p->category_count; i++)
        if (p->categories[i].slot == slot && same_double(p->categories[i].fixed, fixed))
            return (int)i;
    p->categories[p->category_count] = (struct category_def){.slot = slot, .fixed = fixed};
    return (int)p->category_count++;
}

static int lane_add(struct feature_program *p, int filter, int slot)
{
    for (uint32_t i = 0; i < p->count_lanes; i++)
        if (p->lanes[i].filter == filter && p->lanes[i].slot == slot)
            return (int)i;
    p->lanes[p->count_lanes] = (struct lane_def){filter, slot};
    return (int)p->count_lanes++;
}

static int channel_add(struct feature_program *p, int category, int filter)
{
    int filter_lane = filter < 0 ? -1 : lane_add(p, filter, -1);
    for (uint32_t i = 0; i < p->channel_count; i++)
        if (p->channels[i].category == category && p->channels[i].filter_lane == filter_lane)
            return (int)i;
    p->channels[p->channel_count] = (struct channel_def){.category = category, .filter_lane = filter_lane};
    return (int)p->channel_count++;
}

static int place_add(struct feature_program *p, int lat, int lon)
{
    for (uint32_t i = 0; i < p->place_count; i++)
        if (p->places[i].lat == lat && p->places[i].lon == lon)
            return (int)i;
    p->places[p->place_count] = (struct place_def){lat, lon};
    return (int)p->place_count++;
}

static int stair_add(struct feature_program *p, int number, int lane, bool max)
{
    for (uint32_t i = 0; i < p->stair_count; i++)
        if (p->stairs[i].number == number && p->stairs[i].lane == lane && p->stairs[i].max == max)
            return (int)i;
    p->stairs[p->stair_count] = (struct stair_def){number, lane, max};
    return (int)p->stair_count++;
}

static int wide_add(struct feature_program *p, struct wide_def wide)
{
    for (uint32_t i = 0; i < p->wide_count; i++)
        if (p->wides[i].number == wide.number && p->wides[i].lane == wide.lane && p->wides[i].window == wide.window &&
            p->wides[i].square == wide.square)
            return (int)i;
    p->wides[p->wide_count] = wide;
    return (int)p->wide_count++;
}

static void same_add(struct feature_program *p, int channel, int window)
{
    for (uint32_t i = 0; i < p->same_count; i++)
        if (p->sames[i].channel == channel && p->sames[i].window == window)
            return;
    p->sames[p->same_count++] = (struct same_def){channel, window};
}

/* ---- one feature ---- */

/* A step while the program grows: lanes, channels and accumulators are still indexes. */
struct draft {
    struct step step;
    bool before; /* the current event is left out */
    int window, number, lane, channel, stair, sum, square;
};

static void plain_sum_add(struct feature_program *p, int number)
{
    if (p->numbers[number].sum >= 0)
        return;
    p->numbers[number].sum = (int)p->sum_count;
    p->sum_words[p->sum_count++] = (uint32_t)(RECORD_NUMBERS + number);
}

/* Sum, and for deviations the sum of squares, of a number over a window. */
static void draft_sums(struct feature_program *p, struct draft *d, const struct feature *f, bool square)
{
    int number = number_add(p, f->slot, f->has_fixed ? f->fixed : 0);
    d->number = number;
    if (f->where < 0)
        plain_sum_add(p, number);
    d->lane = lane_add(p, f->where, f->slot);
    struct wide_def wide = {.number = number, .lane = d->lane, .window = f->window};
    if (f->where >= 0)
        d->sum = wide_add(p, wide);
    wide.square = true;
    if (square)
        d->square = wide_add(p, wide);
}

static uint32_t listed_bits(const struct feature *f)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < f->value_count; i++)
        bits |= 1u << (f->values[i].integer & 31);
    return bits;
}

/* What the column says of each text of a short list, or of another. */
static void draft_columns(struct step_detail *detail, const struct step *s)
{
    const bool code = s->kind == STEP_CODE;
    for (uint32_t i = 0; i < LITERAL_PLACES && literal_list_is_short(&detail->list); i++) {
        const struct literal_text *text = &detail->list.places[i];
        if (text->size < 0)
            continue;
        assert(detail->text_count < LITERAL_SHORT_LIST);
        const double x = code ? (double)text->index : 1.0;
        detail->texts[detail->text_count++] = (struct text_column){text->packed, (uint64_t)text->size, (float)(x * s->scale)};
    }
    detail->other_text = (float)((code ? (double)NAN : 0.0) * s->scale);
}

static int draft_detail(struct feature_program *p, struct draft *d, const struct feature *f)
{
    struct step_detail *detail = &p->details[p->detail_count];
    bool clock = f->op == OP_HOUR_OF_DAY || f->op == OP_DAY_OF_WEEK;
    *detail = (struct step_detail){.fixed = f->has_fixed ? f->fixed : 0, .offset_ms = f->offset_ms, .day = f->op == OP_DAY_OF_WEEK};
    if (clock) {
        detail->listed = listed_bits(f);
    } else {
        if (literal_list_init(&detail->list, f->values, f->value_count))
            return -1;
        draft_columns(detail, &d->step);
    }
    p->detail_count++;
    d->step.detail = detail;
    return 0;
}

static void draft_window(struct feature_program *p, struct draft *d, const struct feature *f)
{
    double fixed = f->has_fixed ? f->fixed : 0;
    switch (f->op) {
    case OP_COUNT:
        d->step.kind = f->where < 0 && f->slot < 0 ? STEP_EVENTS : STEP_LANE;
        if (d->step.kind == STEP_LANE)
            d->lane = lane_add(p, f->where, f->slot);
        break;
    case OP_MIN:
    case OP_MAX:
        d->step.kind = STEP_BEST;
        d->stair = stair_add(p, number_add(p, f->slot, fixed), lane_add(p, f->where, f->slot), f->op == OP_MAX);
        break;
    case OP_DISTINCT:
    case OP_SAME:
        d->step.kind = f->op == OP_SAME ? STEP_SAME : STEP_LANE;
        d->channel = channel_add(p, category_add(p, f->slot, fixed), f->where);
        if (f->op == OP_SAME)
            same_add(p, d->channel, f->window);
        break;
    default:
        d->step.kind = f->op == OP_SUM ? STEP_SUM : f->op == OP_MEAN ? STEP_MEAN : f->op == OP_STD ? STEP_STD : f->op == OP_ZSCORE ? STEP_ZSCORE : STEP_RATIO;
        draft_sums(p, d, f, f->op == OP_STD || f->op == OP_ZSCORE);
    }
}

static int draft_feature(struct feature_program *p, struct draft *d, const struct feature *f, uint32_t column)
{
    *d = (struct draft){.before = f->exclude_current, .window = f->window, .number = -1, .lane = -1, .channel = -1, .stair = -1, .sum = -1, .square = -1};
    d->step = (struct step){.column = column, .slot = f->slot, .scale = f->has_scale ? f->scale : 1};
    switch (f->op) {
    case OP_VALUE: d->step.kind = f->has_fixed ? STEP_ROUNDED : STEP_VALUE; return draft_detail(p, d, f);
    case OP_EQUALS:
    case OP_IN: d->step.kind = STEP_LISTED; return draft_detail(p, d, f);
    case OP_CODE: d->step.kind = STEP_CODE; return draft_detail(p, d, f);
    case OP_HOUR_OF_DAY:
    case OP_DAY_OF_WEEK: d->step.kind = STEP_CLOCK; return draft_detail(p, d, f);
    case OP_SINCE_LAST: d->step.kind = STEP_SINCE_LAST; break;
    case OP_SINCE_FIRST: d->step.kind = STEP_SINCE_FIRST; break;
    case OP_SPEED_KMH:
        d->step.kind = STEP_SPEED;
        d->step.place = (uint32_t)place_add(p, f->lat, f->lon);
        break;
    default: draft_window(p, d, f);
    }
    return 0;
}

/* ---- after all features ---- */

static int same_order(const void *a, const void *b)
{
    const struct same_def *x = a, *y = b;
    return x->channel != y->channel ? (x->channel > y->channel) - (x->channel < y->channel) : (x->window > y->window) - (x->window < y->window);
}

static void settle_channels(struct feature_program *p)
{
    qsort(p->sames, p->same_count, sizeof *p->sames, same_order);
    for (uint32_t c = 0; c < p->channel_count; c++) {
        struct channel_def *channel = &p->channels[c];
        channel->last_lane = (int)(p->count_lanes + c);
        while (channel->same_first < (int)p->same_count && p->sames[channel->same_first].channel < (int)c)
            channel->same_first++;
        while (channel->same_first + channel->same_count < (int)p->same_count &&
               p->sames[channel->same_first + channel->same_count].channel == (int)c)
            channel->same_count++;
        if ((uint32_t)channel->same_count > p->same_slot_words)
            p->same_slot_words = (uint32_t)channel->same_count;
    }
    p->lane_count = p->count_lanes + p->channel_count;
}

static int wide_order(const void *a, const void *b)
{
    const struct wide_def *x = a, *y = b;
    return x->window != y->window ? (x->window > y->window) - (x->window < y->window) : (x->offset > y->offset) - (x->offset < y->offset);
}

static void place_wides(struct feature_program *p)
{
    for (uint32_t i = 0; i < p->wide_count; i++)
        if (p->wides[i].square) {
            p->wides[i].offset = p->wides_size;
            p->wides_size += (uint32_t)sizeof(__int128);
        }
    for (uint32_t i = 0; i < p->wide_count; i++)
        if (!p->wides[i].square) {
            p->wides[i].offset = p->wides_size;
            p->wides_size += (uint32_t)sizeof(int64_t);
        }
}

static void order_wides(struct feature_program *p)
{
    qsort(p->wides, p->wide_count, sizeof *p->wides, wide_order);
    for (uint32_t w = 0, i = 0; w <= p->window_count; w++) {
        while (i < p->wide_count && (uint32_t)p->wides[i].window < w)
            i++;
        p->wide_first[w] = i;
    }
}

static int draft_order(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;
    if (x->before != y->before)
        return x->before ? -1 : 1;
    return x->step.column < y->step.column ? -1 : 1;
}

static uint32_t same_of(const struct feature_program *p, int channel, int window)
{
    uint32_t i = 0;
    while (p->sames[i].channel != channel || p->sames[i].window != window)
        i++;
    return i;
}

/* Where a view has what the step's first window says, beside counters and squares. */
static uint32_t counted_at(const struct feature_program *p, const struct draft *d, uint32_t window)
{
    const struct counted_layout *at = &p->counted;
    const uint32_t windows = p->window_count;
    switch (d->step.kind) {
    case STEP_EVENTS: return at->events + 4 * window;
    case STEP_SAME: return at->sames + 4 * same_of(p, d->channel, d->window);
    case STEP_BEST: return at->best + 8 * ((uint32_t)d->stair * windows + window);
    case STEP_LANE: return 0;
    default: return d->sum >= 0 ? at->wides + p->wides[d->sum].offset : at->sums + 8 * ((uint32_t)p->numbers[d->number].sum * windows + window);
    }
}

static bool looks_at_windows(const struct step *s)
{
    return s->kind >= STEP_EVENTS;
}

static void settle_step(const struct feature_program *p, struct draft *d)
{
    struct step *s = &d->step;
    s->count = 1;
    if (!looks_at_windows(s))
        return;
    const int lane = d->channel >= 0 ? p->channels[d->channel].last_lane : d->lane;
    const uint32_t window = (uint32_t)d->window, own = lane < 0 ? 0 : (uint32_t)lane;
    s->counters = p->counted.lanes + 8 * (own / p->lanes_a_group * p->window_count + window);
    s->shift = own % p->lanes_a_group * p->lane_width;
    s->counter_mask = (uint32_t)p->counter_mask;
    s->counted = counted_at(p, d, window);
    s->squares = d->square < 0 ? 0 : p->counted.wides + p->wides[d->square].offset;
    s->word = d->number < 0 ? 0 : (uint32_t)(RECORD_NUMBERS + d->number);
}

/* Whether `next` is the column that a step of so many columns would go on with. */
static bool continues(const struct step *s, const struct step *next)
{
    const uint32_t n = s->count, counted = s->kind == STEP_LANE ? 0 : s->kind == STEP_EVENTS || s->kind == STEP_SAME ? 4 : 8;
    const uint32_t squares = s->kind == STEP_STD || s->kind == STEP_ZSCORE ? 16 : 0;
    return n < STEP_COLUMNS && looks_at_windows(s) && s->kind == next->kind && next->column == s->column + n && same_double(next->scale, s->scale) &&
           next->counters == s->counters + 8 * n && next->shift == s->shift && next->counted == s->counted + counted * n &&
           next->squares == s->squares + squares * n && next->word == s->word && next->slot == s->slot;
}

static void settle_steps(struct feature_program *p, struct draft *drafts)
{
    qsort(drafts, p->spec->count, sizeof *drafts, draft_order);
    for (uint32_t i = 0; i < p->spec->count; i++) {
        struct draft *d = &drafts[i];
        settle_step(p, d);
        struct step *last = p->step_count ? &p->steps[p->step_count - 1] : NULL;
        if (last && d->before == d[-1].before && continues(last, &d->step)) {
            last->count++;
            continue;
        }
        p->steps[p->step_count++] = d->step;
        p->before_steps += d->before;
    }
}

static bool machine_has_vectors(void)
{
#if defined __x86_64__
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#else
    return false;
#endif
}

void feature_program_vectors(struct feature_program *p, bool allowed)
{
    p->vectors = allowed && machine_has_vectors();
    p->fused = p->vectors && p->window_count && p->window_count <= FUSED_WINDOWS && p->lane_width == 16 &&
               p->lane_groups <= FUSED_GROUPS && p->sum_count <= FUSED_SUMS && !p->lane_words && !p->same_count && !p->before_steps &&
               (uint64_t)p->record_words * ((uint64_t)p->spec->max_events_per_entity + p->record_words) < INT32_MAX / 2;
}

/* ---- where everything lies ---- */

static uint32_t align_up(uint32_t at, uint32_t to)
{
    return (at + to - 1) / to * to;
}

static void place_words(struct feature_program *p)
{
    p->category_word = RECORD_NUMBERS + p->number_count;
    p->place_word = p->category_word + p->category_count;
    p->record_words = p->place_word + 2 * p->place_count;
    if (p->lane_count > TIME_SHIFT) {
        p->lane_word = p->record_words;
        p->lane_words = (p->lane_count + 63) / 64;
        p->record_words += p->lane_words;
    }
}

static void place_lanes(struct feature_program *p)
{
    p->lane_width = p->spec->max_events_per_entity < UINT16_MAX - 1 ? 16 : 32;
    p->lanes_a_group = 64 / p->lane_width;
    p->counter_mask = (UINT64_C(1) << p->lane_width) - 1;
    p->lane_groups = (p->lane_count + p->lanes_a_group - 1) / p->lanes_a_group;
    for (uint32_t lane = 0; lane < p->count_lanes; lane++)
        p->count_masks[lane / p->lanes_a_group] |= UINT64_C(1) << lane % p->lanes_a_group * p->lane_width;
    p->group_bits = (UINT64_C(1) << p->lanes_a_group) - 1;
    for (uint32_t i = 0; i < p->lanes_a_group; i++) { /* bit i times 2^(i * (width - 1)) is counter i; nothing overlaps */
        p->spread_factor |= UINT64_C(1) << i * (p->lane_width - 1);
        p->spread_mask |= UINT64_C(1) << i * p->lane_width;
    }
}

/* What the lanes of all groups leave of word 0. */
static void place_gaps(struct feature_program *p)
{
    p->gap_at = p->lane_words ? 0 : p->lane_groups * p->lanes_a_group;
    p->gap_bits = p->channel_count ? (TIME_SHIFT - p->gap_at) / p->channel_count : 0;
    while (UINT64_C(1) << (p->gap_bits + p->gap_shift) < (uint64_t)p->spec->max_events_per_entity)
        p->gap_shift++;
}

static void place_entity(struct feature_program *p, uint32_t header)
{
    p->cursors_at = header;
    p->place_at = p->cursors_at + 4 * p->window_count;
    p->stair_state_at = p->place_at + 4 * p->place_count;
    p->lanes_at = align_up(p->stair_state_at + 8 * p->stair_count, 8);
    p->sums_at = p->lanes_at + 8 * p->lane_groups * p->window_count;
    p->wides_at = align_up(p->sums_at + 8 * p->sum_count * p->window_count, p->wide_count ? 16 : 8);
    p->entity_size = align_up(p->wides_at + p->wides_size, 16);
    if (align_up(p->entity_size, 64) - p->entity_size <= 16)
        p->entity_size = align_up(p->entity_size, 64); /* no entity on a cache line more than it needs */
}

/* Wides first: they need the most alignment. */
static void place_counted(struct feature_program *p)
{
    struct counted_layout *at = &p->counted;
    at->lanes = p->wides_size;
    at->sums = at->lanes + 8 * p->lane_groups * p->window_count;
    at->best = at->sums + 8 * p->sum_count * p->window_count;
    at->events = at->best + 8 * p->stair_count * p->window_count;
    at->sames = at->events + 4 * p->window_count;
    at->size = align_up(at->sames + 4 * p->same_count, 64) + STEP_COLUMNS * (uint32_t)sizeof(__int128);
}

/* Eight capacities for each doubling, so that a ring is filled by eight ninths at least once it has grown; fewer up to 32
 * (2 4 6 8 12 16 ...), where one place more would be asked for again with the next event. */
static uint32_t next_capacity(uint32_t capacity)
{
    uint32_t step = capacity < 8 ? 2 : 4;
    while (step * 16 <= capacity)
        step *= 2;
    return capacity + step;
}

static uint32_t stairs_most(uint32_t capacity, bool whole)
{
    uint32_t most = capacity <= 32 ? 8 : capacity <= 256 ? 16 : 32;
    return whole || capacity < most ? capacity : most;
}

static size_t align_size(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

static struct layout layout_of(const struct feature_program *p, uint32_t capacity, bool whole)
{
    struct layout layout = {.capacity = capacity, .stairs_most = stairs_most(capacity, whole)};
    layout.stair_slots = layout.stairs_most + (whole ? capacity / 4 : 0);
    if (capacity <= p->tags_max)
        layout.tag_count = align_up(capacity, 8);
    else
        layout.line_count = (capacity + capacity / 3) / SLOTS_A_LINE + 1;
    const uint32_t words = layout.line_count * WORDS_A_LINE;
    const size_t line = words ? CACHE_LINE : 16;
    layout.index_at = align_size((size_t)p->stair_count * layout.stair_slots * 8, line);
    layout.ids_size = align_size((size_t)layout.tag_count * 2 + (size_t)words * 4, line);
    layout.channels_at = layout.index_at + layout.ids_size;
    layout.channel_size = align_size(layout.ids_size + (size_t)(layout.tag_count + words) * p->same_slot_words * 4, line);
    layout.records_at = align_size(layout.channels_at + p->channel_count * layout.channel_size, 32);
    layout.size = align_size(layout.records_at + (size_t)capacity * p->record_words * 8, words ? CACHE_LINE : 32);
    return layout;
}

/* The last one has room for the most events, the one on its way, and some to come and go before the ring is looked after. */
static int place_blocks(struct feature_program *p)
{
    const uint32_t most = (uint32_t)p->spec->max_events_per_entity + 1;
    uint32_t count = 1;
    for (uint32_t capacity = 2; capacity < most; capacity = next_capacity(capacity))
        count++;
    p->layouts = calloc(count * 2, sizeof *p->layouts);
    if (!p->layouts)
        return -1;
    p->layout_count = count;
    for (uint32_t i = 0, capacity = 2; i < count; i++, capacity = next_capacity(capacity)) {
        const uint32_t exact = i + 1 < count ? capacity : most + most / 64;
        p->layouts[i] = layout_of(p, exact, false);
        p->layouts[count + i] = layout_of(p, exact, true);
    }
    return 0;
}

void feature_program_tags(struct feature_program *p, uint32_t most)
{
    assert(most >= 8);
    p->tags_max = most;
    for (uint32_t i = 0; i < p->layout_count * 2; i++)
        p->layouts[i] = layout_of(p, p->layouts[i].capacity, i >= p->layout_count);
}

/* ---- the whole ---- */

static void seed_hashes(struct feature_program *p)
{
    uint32_t size = (uint32_t)strlen(p->spec->canonical);
    p->entity_seed = hash_bytes(p->spec->canonical, size, 1);
    p->id_seed = hash_bytes(p->spec->canonical, size, 2);
    p->text_seed = hash_bytes(p->spec->canonical, size, 3);
}

static int allocate(struct feature_program *p)
{
    size_t n = p->spec->count + 1;
    p->widths_ms = calloc(p->window_count + 1, sizeof *p->widths_ms);
    p->numbers = calloc(n, sizeof *p->numbers);
    p->sum_words = calloc(n, sizeof *p->sum_words);
    p->categories = calloc(n, sizeof *p->categories);
    p->places = calloc(n, sizeof *p->places);
    p->presences = calloc(2 * n, sizeof *p->presences);
    p->filters = calloc(p->spec->filter_count + 1, sizeof *p->filters);
    p->lanes = calloc(2 * n, sizeof *p->lanes);
    p->channels = calloc(n, sizeof *p->channels);
    p->count_masks = calloc(2 * n, sizeof *p->count_masks);
    p->sames = calloc(n, sizeof *p->sames);
    p->stairs = calloc(n, sizeof *p->stairs);
    p->wides = calloc(2 * n, sizeof *p->wides);
    p->wide_first = calloc(p->window_count + 1, sizeof *p->wide_first);
    p->steps = calloc(n, sizeof *p->steps);
    p->details = calloc(n, sizeof *p->details);
    return p->widths_ms && p->numbers && p->sum_words && p->categories && p->places && p->presences && p->filters && p->lanes &&
                   p->count_masks && p->channels && p->sames && p->stairs && p->wides && p->wide_first && p->steps && p->details
               ? 0
               : -1;
}

static int compile(struct feature_program *p, struct draft *drafts, uint32_t entity_header)
{
    const struct feature_spec *spec = p->spec;
    for (uint32_t w = 0; w < p->window_count; w++)
        p->widths_ms[w] = spec->windows[w].ms;
    for (size_t i = 0; i < spec->filter_count; i++) {
        p->filters[i].predicate = spec->filters[i];
        if (literal_list_init(&p->filters[i].list, spec->filters[i]->literals, spec->filters[i]->count))
            return -1;
        p->filter_count++;
    }
    for (size_t i = 0; i < spec->count; i++)
        if (draft_feature(p, &drafts[i], &spec->features[i], (uint32_t)i))
            return -1;
    settle_channels(p);
    place_wides(p);
    place_lanes(p);
    place_counted(p);
    settle_steps(p, drafts);
    order_wides(p);
    place_words(p);
    place_gaps(p);
    place_entity(p, entity_header);
    feature_program_vectors(p, true);
    return lane_masks_place(p) ? -1 : place_blocks(p);
}

struct feature_program *feature_program_create(const struct feature_spec *spec, uint32_t entity_header)
{
    struct feature_program *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->spec = spec;
    p->window_count = (uint32_t)spec->window_count;
    p->tags_max = TAGS_MAX;
    seed_hashes(p);
    struct draft *drafts = calloc(spec->count, sizeof *drafts);
    bool compiled = drafts && !allocate(p) && !compile(p, drafts, entity_header);
    free(drafts);
    if (compiled)
        return p;
    feature_program_destroy(p);
    return NULL;
}

void feature_program_destroy(struct feature_program *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->filter_count; i++)
        literal_list_finish(&p->filters[i].list);
    for (uint32_t i = 0; i < p->detail_count; i++)
        literal_list_finish(&p->details[i].list);
    free(p->widths_ms);
    free(p->numbers);
    free(p->sum_words);
    free(p->categories);
    free(p->places);
    free(p->presences);
    free(p->all_lanes);
    free(p->filters);
    free(p->lanes);
    free(p->count_masks);
    free(p->channels);
    free(p->sames);
    free(p->stairs);
    free(p->wides);
    free(p->wide_first);
    free(p->steps);
    free(p->details);
    free(p->layouts);
    free(p);
}
