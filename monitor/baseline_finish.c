/* From the rows that were kept to the baseline: column by column, each with its hours; then the same of each part of a
 * segment that was asked for. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/baseline_parts.h"
#include "monitor/baseline_rows.h"
#include "monitor/calibration.h"
#include "monitor/quality.h"

/* The rows that statistics are of: all, or those of one value of a segment. */
struct selection {
    const struct baseline_builder *b;
    size_t n;
    const uint32_t *index; /* of the rows; NULL: all */
    float *values, *room;  /* n each */
    uint8_t *hours;        /* of the rows; NULL: no hours */
};

static size_t row_at(const struct selection *s, size_t i)
{
    return s->index ? s->index[i] : i;
}

/* ---- columns ---- */

static int fill_feature(const struct selection *s, size_t f, struct baseline_column *column)
{
    const struct baseline_builder *b = s->b;
    for (size_t i = 0; i < s->n; i++)
        s->values[i] = b->rows[row_at(s, i) * b->o.feature_count + f];
    return baseline_column_fill(column, b->o.features[f], &(struct column_values){s->n, s->values, s->hours, s->room});
}

struct code_count {
    uint32_t code;
    int64_t count;
};

static int most_frequent_first(const void *a, const void *b)
{
    const struct code_count *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : (x->code > y->code) - (x->code < y->code);
}

static int by_code(const void *a, const void *b)
{
    const struct code_count *x = a, *y = b;
    return (x->code > y->code) - (x->code < y->code);
}

static bool is_code(float x, size_t count)
{
    return x >= 0 && x < (float)count && x == floorf(x);
}

/* counts[0..count) ascending by code, of which the most frequent are left: returns how many. */
static size_t leave_most_frequent(struct code_count *counts, size_t count)
{
    if (count <= BASELINE_CATEGORIES_MAX)
        return count;
    qsort(counts, count, sizeof *counts, most_frequent_first);
    qsort(counts, BASELINE_CATEGORIES_MAX, sizeof *counts, by_code);
    return BASELINE_CATEGORIES_MAX;
}

/* `counts` are all that were found, by their names; `total` is what they and the nameless add up to. */
static int name_categories(struct baseline_categories *c, struct code_count *counts, size_t count, const char *const *names, int64_t total)
{
    c->count = leave_most_frequent(counts, count);
    c->named = calloc(c->count + 1, sizeof *c->named);
    c->other = total;
    for (size_t i = 0; c->named && i < c->count; i++) {
        c->named[i] = (struct baseline_category){.name = strdup(names[counts[i].code]), .code = (float)counts[i].code, .count = counts[i].count};
        c->other -= counts[i].count;
        if (!c->named[i].name)
            return -1;
    }
    return c->named ? 0 : -1;
}

/* After fill_feature of the same column, whose values are still there. */
static int fill_codes(const struct selection *s, const struct baseline_codes *codes, struct baseline_column *column)
{
    struct baseline_categories *c = column->categories = calloc(1, sizeof *c);
    struct code_count *counts = calloc(codes->count + 1, sizeof *counts);
    int status = c && counts ? 0 : -1;
    for (size_t i = 0; status == 0 && i < codes->count; i++)
        counts[i].code = (uint32_t)i;
    for (size_t i = 0; status == 0 && i < s->n; i++)
        if (is_code(s->values[i], codes->count))
            counts[(size_t)s->values[i]].count++;
    if (status == 0)
        status = name_categories(c, counts, codes->count, codes->names, column->count);
    free(counts);
    if (status == 0 && s->hours)
        status = baseline_hours_init(&c->hours, c->count + 1);
    for (size_t i = 0; status == 0 && s->hours && i < s->n; i++)
        if (!isnan(s->values[i]))
            c->hours.counts[s->hours[i] * (c->count + 1) + baseline_category_of_code(c, s->values[i])]++;
    return status;
}

static int fill_features(const struct selection *s, struct baseline_column *columns)
{
    const struct baseline_codes *codes = s->b->o.codes;
    int status = 0;
    for (size_t f = 0; status == 0 && f < s->b->o.feature_count; f++) {
        status = fill_feature(s, f, &columns[f]);
        if (status == 0 && codes && codes[f].count)
            status = fill_codes(s, &codes[f], &columns[f]);
    }
    return status;
}

/* ---- scores ---- */

static struct baseline_calibration_bin bin_from(const struct calibration_bin *bin)
{
    return (struct baseline_calibration_bin){bin->count, bin->positives, bin->count ? calibration_mean_score(bin) : 0};
}

static void calibrate(const struct selection *s, struct scored *events, const struct baseline_column *score, struct baseline_outcome *outcome)
{
    struct calibration sums = {0};
    float deciles[CALIBRATION_EDGES];
    size_t labels = 0;
    baseline_deciles(score, deciles);
    for (size_t i = 0; i < s->n; i++) {
        const struct kept *k = &s->b->kept[row_at(s, i)];
        if (!k->scored || k->label < 0 || isnan(k->score))
            continue;
        events[labels++] = (struct scored){k->score, (uint8_t)k->label};
        calibration_add(&sums, deciles, k->score, k->label);
    }
    outcome->has_calibration = labels > 0;
    struct baseline_calibration *c = &outcome->calibration;
    struct ranking ranking = quality_rank(events, labels);
    *c = (struct baseline_calibration){.labels = (int64_t)labels, .positives = calibration_positives(&sums), .ece = calibration_ece(sums.equal),
        .ece_decile = calibration_ece(sums.decile), .brier = calibration_brier(&sums), .auc = ranking.auc, .average_precision = ranking.average_precision};
    for (size_t i = 0; i < CALIBRATION_BINS; i++) {
        c->equal[i] = bin_from(&sums.equal[i]);
        c->decile[i] = bin_from(&sums.decile[i]);
    }
}

/* Scores of those that have one, packed into values, with their hours in `hours` (NULL: none).  Returns how many. */
static size_t take_scores(const struct selection *s, uint8_t *hours, struct baseline_outcome *outcome)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct kept *k = &s->b->kept[row_at(s, i)];
        if (!k->scored)
            continue;
        if (hours) {
            hours[n] = s->hours[i];
            outcome->decision_hours.counts[hours[n] * DECISION_COUNT + k->decision]++;
        }
        s->values[n++] = k->score;
        outcome->decisions[k->decision]++;
        outcome->uncertain += (double)k->score >= 0.4 && (double)k->score <= 0.6;
    }
    return n;
}

static int fill_scores(const struct selection *s, struct baseline_column *score, struct baseline_outcome *outcome, bool *has_score)
{
    uint8_t *hours = s->hours ? malloc(s->n + 1) : NULL;
    struct scored *events = calloc(s->n + 1, sizeof *events);
    int status = events && (!s->hours || hours) ? 0 : -1;
    if (status == 0 && hours)
        status = baseline_hours_init(&outcome->decision_hours, DECISION_COUNT);
    size_t n = status == 0 ? take_scores(s, hours, outcome) : 0;
    *has_score = n > 0;
    if (n > 0)
        status = baseline_column_fill(score, "score", &(struct column_values){n, s->values, hours, s->room});
    if (n > 0 && status == 0 && score->count > 0)
        calibrate(s, events, score, outcome);
    free(hours);
    free(events);
    return status;
}

/* ---- segments ---- */

struct text_count {
    const char *text;
    int64_t count;
    uint32_t number;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct text_count *)a)->text, ((const struct text_count *)b)->text);
}

static int largest_first(const void *a, const void *b)
{
    const struct text_count *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : by_text(a, b);
}

/* The texts of segment s that are there, the most frequent first.  Returns how many; *nameless counts the rest. */
static size_t count_texts(const struct baseline_builder *b, size_t s, struct text_count *texts, struct baseline_segment *segment, int64_t *nameless)
{
    const struct dictionary *d = &b->dictionaries[s];
    size_t there = 0;
    for (uint32_t i = 0; i < d->count; i++)
        texts[i] = (struct text_count){d->texts[i], 0, i};
    for (size_t i = 0; i < b->count; i++) {
        uint16_t number = b->texts[i * b->o.segment_count + s];
        segment->missing += number == TEXT_NULL;
        *nameless += number == TEXT_NAMELESS;
        if (number < d->count)
            texts[number].count++;
    }
    for (size_t i = 0; i < d->count; i++)
        if (texts[i].count)
            texts[there++] = texts[i];
    qsort(texts, there, sizeof *texts, largest_first);
    return there;
}

static int name_texts(struct baseline_categories *c, struct text_count *texts, size_t there, int64_t nameless)
{
    c->count = there < BASELINE_CATEGORIES_MAX ? there : BASELINE_CATEGORIES_MAX;
    c->named = calloc(c->count + 1, sizeof *c->named);
    c->other = nameless;
    for (size_t i = c->count; i < there; i++)
        c->other += texts[i].count;
    qsort(texts, c->count, sizeof *texts, by_text);
    for (size_t i = 0; c->named && i < c->count; i++) {
        c->named[i] = (struct baseline_category){.name = strdup(texts[i].text), .count = texts[i].count};
        if (!c->named[i].name)
            return -1;
    }
    return c->named ? 0 : -1;
}

/* category_of[number of a text]: its place among the named ones. */
static int fill_segment_hours(const struct selection *all, size_t s, const struct text_count *texts, struct baseline_segment *segment)
{
    const struct baseline_builder *b = all->b;
    struct baseline_categories *c = &segment->categories;
    uint16_t *category_of = malloc((b->dictionaries[s].count + 1) * sizeof *category_of);
    if (!category_of || baseline_hours_init(&c->hours, c->count + 1) < 0 || baseline_hours_init(&segment->missing_hours, 1) < 0) {
        free(category_of);
        return -1;
    }
    for (size_t i = 0; i < b->dictionaries[s].count; i++)
        category_of[i] = (uint16_t)c->count;
    for (size_t i = 0; i < c->count; i++)
        category_of[texts[i].number] = (uint16_t)i;
    for (size_t i = 0; i < b->count; i++) {
        uint16_t number = b->texts[i * b->o.segment_count + s];
        if (number == TEXT_NULL)
            segment->missing_hours.counts[all->hours[i]]++;
        else
            c->hours.counts[all->hours[i] * (c->count + 1) + (number == TEXT_NAMELESS ? c->count : category_of[number])]++;
    }
    free(category_of);
    return 0;
}

static int fill_part(const struct selection *all, size_t s, const struct text_count *text, uint32_t *index, struct baseline_part *part)
{
    const struct baseline_builder *b = all->b;
    struct selection of = {.b = b, .index = index, .values = all->values, .room = all->room};
    for (size_t i = 0; i < b->count; i++)
        if (b->texts[i * b->o.segment_count + s] == text->number)
            index[of.n++] = (uint32_t)i;
    part->events = (int64_t)of.n;
    part->value = strdup(text->text);
    part->features = baseline_columns_create(b->o.feature_count);
    part->score.gain = part->score.contribution = part->score.contribution_std = NAN;
    if (!part->value || !part->features || fill_features(&of, part->features) < 0)
        return -1;
    return fill_scores(&of, &part->score, &part->outcome, &part->has_score);
}

/* Of the most frequent values that there are enough events of, in order of the texts. */
static int fill_parts(const struct selection *all, size_t s, const struct text_count *texts, struct baseline_segment *segment)
{
    size_t named = segment->categories.count;
    struct text_count *chosen = calloc(named + 1, sizeof *chosen);
    uint32_t *index = calloc(all->n + 1, sizeof *index);
    segment->parts = calloc(BASELINE_PARTS_MAX, sizeof *segment->parts);
    int status = chosen && index && segment->parts ? 0 : -1;
    size_t n = 0;
    for (size_t i = 0; status == 0 && i < named; i++)
        if (texts[i].count >= BASELINE_HOUR_EVENTS_MIN)
            chosen[n++] = texts[i];
    if (status == 0 && n > BASELINE_PARTS_MAX) {
        qsort(chosen, n, sizeof *chosen, largest_first);
        n = BASELINE_PARTS_MAX;
        qsort(chosen, n, sizeof *chosen, by_text);
    }
    for (size_t i = 0; status == 0 && i < n; i++)
        status = fill_part(all, s, &chosen[i], index, &segment->parts[segment->part_count++]);
    free(chosen);
    free(index);
    return status;
}

static int fill_segment(const struct selection *all, size_t s, struct baseline_segment *segment)
{
    const struct baseline_builder *b = all->b;
    struct text_count *texts = calloc(b->dictionaries[s].count + 1, sizeof *texts);
    int64_t nameless = 0;
    segment->field = strdup(b->o.segments[s]);
    int status = texts && segment->field ? 0 : -1;
    if (status == 0) {
        size_t there = count_texts(b, s, texts, segment, &nameless);
        status = name_texts(&segment->categories, texts, there, nameless);
    }
    if (status == 0 && all->hours)
        status = fill_segment_hours(all, s, texts, segment);
    if (status == 0 && b->o.parts && b->o.parts[s])
        status = fill_parts(all, s, texts, segment);
    free(texts);
    return status;
}

static int fill_segments(const struct selection *all, struct baseline *baseline)
{
    baseline->segments = calloc(all->b->o.segment_count + 1, sizeof *baseline->segments);
    int status = baseline->segments ? 0 : -1;
    for (size_t s = 0; status == 0 && s < all->b->o.segment_count; s++)
        status = fill_segment(all, s, &baseline->segments[baseline->segment_count++]);
    return status;
}

/* ---- the rest ---- */

static int by_reason(const void *a, const void *b)
{
    const struct baseline_reject *x = a, *y = b;
    int order = strcmp(x->reason, y->reason);
    return order ? order : strcmp(x->field ? x->field : "", y->field ? y->field : "");
}

static int fill_rejects(const struct baseline_builder *b, struct baseline *baseline)
{
    baseline->rejects = calloc(b->reject_count + 1, sizeof *baseline->rejects);
    for (size_t i = 0; baseline->rejects && i < b->reject_count; i++) {
        struct baseline_reject *to = &baseline->rejects[baseline->reject_count++];
        const struct baseline_reject *from = &b->rejects[i];
        *to = (struct baseline_reject){.reason = strdup(from->reason), .field = from->field ? strdup(from->field) : NULL, .count = from->count};
        if (!to->reason || (from->field && !to->field))
            return -1;
    }
    if (baseline->reject_count)
        qsort(baseline->rejects, baseline->reject_count, sizeof *baseline->rejects, by_reason);
    return baseline->rejects ? 0 : -1;
}

static int fill_distincts(const struct baseline_builder *b, struct baseline *baseline)
{
    baseline->distincts = calloc(b->o.distinct_count * b->o.window_count + 1, sizeof *baseline->distincts);
    for (size_t i = 0; baseline->distincts && i < b->o.distinct_count * b->o.window_count; i++) {
        const struct distinct *from = &b->distincts[i];
        if (!from->windows)
            continue;
        struct baseline_distinct *to = &baseline->distincts[baseline->distinct_count++];
        *to = (struct baseline_distinct){.field = strdup(b->o.distincts[i / b->o.window_count]), .window_ms = b->o.windows_ms[i % b->o.window_count],
            .windows = from->windows, .mean = from->sum / (double)from->windows};
        if (!to->field)
            return -1;
    }
    return baseline->distincts ? 0 : -1;
}

static void fill_totals(const struct baseline_builder *b, struct baseline *baseline)
{
    memcpy(baseline->feature_spec_sha256, b->o.feature_spec_sha256, sizeof baseline->feature_spec_sha256);
    baseline->events = b->events;
    baseline->records = b->events + b->rejected;
    baseline->sampled = (int64_t)b->count;
    if (!b->o.timed || !b->events)
        return;
    baseline->from_ms = b->from_ms;
    baseline->to_ms = b->to_ms;
    memcpy(baseline->hour_events, b->hour_events, sizeof baseline->hour_events);
    baseline_cover(b->from_ms, b->to_ms + 1, baseline->hour_covered_ms);
}

static int fill_all(const struct baseline_builder *b, struct selection *all, struct baseline *baseline)
{
    for (size_t i = 0; all->hours && i < all->n; i++)
        all->hours[i] = (uint8_t)baseline_hour_of_week(b->kept[i].time_ms);
    fill_totals(b, baseline);
    if (fill_features(all, baseline->features) < 0 || fill_scores(all, &baseline->score, &baseline->outcome, &baseline->has_score) < 0 ||
        fill_segments(all, baseline) < 0 || fill_rejects(b, baseline) < 0 || fill_distincts(b, baseline) < 0)
        return -1;
    return !b->o.model_id || (baseline->model_id = strdup(b->o.model_id)) ? 0 : -1;
}

struct baseline *baseline_builder_finish(const struct baseline_builder *b)
{
    bool hours = b->o.timed && b->o.feature_count <= BASELINE_HOURS_COLUMNS_MAX;
    struct baseline *baseline = baseline_create(b->o.feature_count);
    struct selection all = {.b = b, .n = b->count, .values = calloc(b->count + 1, sizeof(float)), .room = calloc(b->count + 1, sizeof(float)),
        .hours = hours ? malloc(b->count + 1) : NULL};
    bool ok = baseline && all.values && all.room && (!hours || all.hours) && fill_all(b, &all, baseline) == 0;
    free(all.values);
    free(all.room);
    free(all.hours);
    if (ok)
        return baseline;
    baseline_destroy(baseline);
    return NULL;
}

void baseline_set_gains(struct baseline *baseline, const double *total_gains)
{
    double sum = 0;
    for (size_t f = 0; f < baseline->count; f++)
        sum += total_gains[f];
    for (size_t f = 0; f < baseline->count; f++)
        baseline->features[f].gain = sum > 0 ? total_gains[f] / sum : 0;
}

void baseline_set_contributions(struct baseline *baseline, const float *contributions, size_t n)
{
    for (size_t f = 0; n && f < baseline->count; f++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)contributions[i * (baseline->count + 1) + f];
        double mean = sum / (double)n;
        for (size_t i = 0; i < n; i++) {
            double d = (double)contributions[i * (baseline->count + 1) + f] - mean;
            squares += d * d;
        }
        baseline->features[f].contribution = mean;
        baseline->features[f].contribution_std = sqrt(squares / (double)n);
        baseline->features[f].contribution_count = (int64_t)n;
    }
}

struct baseline *baseline_create_from_rows(const char *const *names, size_t count, const float *rows, const float *scores,
                                           size_t n, const uint8_t feature_spec_sha256[32], const char *model_id)
{
    struct baseline_builder *b = baseline_builder_create(&(struct baseline_builder_options){
        .feature_spec_sha256 = feature_spec_sha256, .model_id = model_id, .feature_count = count, .features = names, .bytes_max = SIZE_MAX});
    int status = b ? 0 : -1;
    for (size_t i = 0; status == 0 && i < n; i++) {
        status = baseline_builder_add(b, &(struct baseline_event){.row = rows + i * count, .label = BUILDER_UNKNOWN_LABEL});
        if (status == 0 && scores)
            baseline_builder_score(b, i, scores[i], DECISION_APPROVE);
    }
    struct baseline *baseline = status == 0 ? baseline_builder_finish(b) : NULL;
    if (baseline)
        memset(baseline->outcome.decisions, 0, sizeof baseline->outcome.decisions); /* they are not known */
    baseline_builder_destroy(b);
    return baseline;
}
