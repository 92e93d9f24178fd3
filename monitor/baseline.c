/* A baseline's life, and its columns cut into the bins that statistics are over. */
#include "monitor/baseline.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "monitor/baseline_parts.h"

struct baseline *baseline_create(size_t count)
{
    struct baseline *baseline = calloc(1, sizeof *baseline);
    if (!baseline)
        return NULL;
    baseline->count = count;
    baseline->features = baseline_columns_create(count);
    if (!baseline->features) {
        baseline_destroy(baseline);
        return NULL;
    }
    baseline->score.gain = baseline->score.contribution = baseline->score.contribution_std = NAN;
    return baseline;
}

struct baseline_column *baseline_columns_create(size_t count)
{
    struct baseline_column *columns = calloc(count ? count : 1, sizeof *columns);
    for (size_t i = 0; columns && i < count; i++)
        columns[i].gain = columns[i].contribution = columns[i].contribution_std = NAN;
    return columns;
}

void baseline_categories_finish(struct baseline_categories *categories)
{
    for (size_t i = 0; categories->named && i < categories->count; i++)
        free(categories->named[i].name);
    free(categories->named);
    free(categories->hours.counts);
    *categories = (struct baseline_categories){0};
}

static void column_finish(struct baseline_column *column)
{
    free(column->name);
    free(column->hours.counts);
    free(column->equal_hours.counts);
    free(column->missing_hours.counts);
    if (column->categories)
        baseline_categories_finish(column->categories);
    free(column->categories);
}

static void columns_destroy(struct baseline_column *columns, size_t count)
{
    for (size_t i = 0; columns && i < count; i++)
        column_finish(&columns[i]);
    free(columns);
}

static void segment_finish(struct baseline_segment *segment, size_t columns)
{
    for (size_t i = 0; i < segment->part_count; i++) {
        struct baseline_part *part = &segment->parts[i];
        free(part->value);
        columns_destroy(part->features, columns);
        column_finish(&part->score);
        free(part->outcome.decision_hours.counts);
    }
    free(segment->parts);
    baseline_categories_finish(&segment->categories);
    free(segment->missing_hours.counts);
    free(segment->field);
}

void baseline_destroy(struct baseline *baseline)
{
    if (!baseline)
        return;
    columns_destroy(baseline->features, baseline->count);
    column_finish(&baseline->score);
    free(baseline->outcome.decision_hours.counts);
    for (size_t i = 0; i < baseline->segment_count; i++)
        segment_finish(&baseline->segments[i], baseline->count);
    free(baseline->segments);
    for (size_t i = 0; i < baseline->reject_count; i++) {
        free(baseline->rejects[i].reason);
        free(baseline->rejects[i].field);
    }
    free(baseline->rejects);
    for (size_t i = 0; i < baseline->distinct_count; i++)
        free(baseline->distincts[i].field);
    free(baseline->distincts);
    free(baseline->model_id);
    free(baseline);
}

/* ---- cuts ---- */

/* Takes `bins` ascending bins with bins - 1 edges, of which every `step`-th counts, and leaves out those that ties made
 * empty.  `counts` may be `from`. */
static size_t cut(const float *edges_from, const int64_t *from, size_t bins, size_t step, bool any, float *edges, int64_t *counts)
{
    size_t b = 0;
    int64_t sum = 0;
    float previous = 0;
    for (size_t i = 0; i < bins; i++) {
        sum += from[i];
        bool last = i == bins - 1;
        bool edge = any && (i + 1) % step == 0 && !last && (b == 0 || previous < edges_from[i]);
        if (edge) {
            previous = edges_from[i];
            if (edges)
                edges[b] = previous;
        }
        if (edge || last) {
            counts[b++] = sum;
            sum = 0;
        }
    }
    return b;
}

size_t baseline_cut(const struct baseline_column *column, size_t bins, float *edges, int64_t *counts)
{
    assert(bins == BASELINE_COARSE || bins == BASELINE_FINE);
    return cut(column->edges, column->counts, BASELINE_FINE, BASELINE_FINE / bins, column->count > 0, edges, counts);
}

void baseline_equal_edges(const struct baseline_column *column, float edges[BASELINE_EQUAL - 1])
{
    for (int i = 1; i < BASELINE_EQUAL; i++) {
        double edge = column->min + i * ((column->max - column->min) / BASELINE_EQUAL);
        edge = edge > column->max ? column->max : edge;
        edges[i - 1] = (float)edge;
    }
}

size_t baseline_cut_equal(const struct baseline_column *column, float *edges, int64_t *counts)
{
    float all[BASELINE_EQUAL - 1];
    baseline_equal_edges(column, all);
    return cut(all, column->equal, BASELINE_EQUAL, 1, column->count > 0, edges, counts);
}

double baseline_quartile(const struct baseline_column *column, int quartile)
{
    assert(quartile >= 1 && quartile <= 3);
    return column->count ? (double)column->edges[quartile * BASELINE_FINE / 4 - 1] : NAN;
}

void baseline_deciles(const struct baseline_column *score, float edges[9])
{
    for (int i = 1; i <= 9; i++)
        edges[i - 1] = score->edges[i * BASELINE_FINE / 10 - 1];
}

/* ---- what a window is compared with ---- */

static void add_hour(const struct baseline_hours *hours, size_t h, int64_t *out)
{
    for (size_t i = 0; i < hours->bins; i++)
        out[i] += hours->counts[h * hours->bins + i];
}

/* The sum over the hours of the set, for each bin. */
static void sum_hours(const struct baseline_hours *hours, const struct baseline_hour_set *set, int64_t *out)
{
    for (size_t i = 0; i < hours->bins; i++)
        out[i] = 0;
    for (size_t h = 0; h < BASELINE_HOURS; h++)
        if (set->hours[h])
            add_hour(hours, h, out);
}

/* Moves counts by so many of 24 parts to where the other's shares are. */
static void move(int64_t *counts, int64_t all, const int64_t *other, int64_t other_all, size_t bins, int parts)
{
    for (size_t i = 0; i < bins; i++) {
        double to = (double)other[i] * (double)all / (double)other_all;
        counts[i] = llrint(fmax(0, (double)counts[i] + (to - (double)counts[i]) * parts / 24));
    }
}

static int64_t total(const int64_t *counts, size_t bins)
{
    int64_t sum = 0;
    for (size_t i = 0; i < bins; i++)
        sum += counts[i];
    return sum;
}

/* The same hours of every day of the week. */
static struct baseline_hour_set of_all_days(const struct baseline_hour_set *set)
{
    struct baseline_hour_set all = {0};
    for (size_t h = 0; h < BASELINE_HOURS; h++)
        for (size_t day = 0; set->hours[h] && day < BASELINE_HOURS / 24; day++)
            all.hours[h % 24 + 24 * day] = true;
    return all;
}

static struct baseline_hour_set beside_of(const struct baseline_hour_set *set, bool all_days)
{
    struct baseline_hour_set beside = {0};
    beside.hours[set->beside] = true;
    return all_days ? of_all_days(&beside) : beside;
}

enum { HOUR_BINS_MAX = BASELINE_CATEGORIES_MAX + 1 };
static_assert((int)HOUR_BINS_MAX >= (int)BASELINE_FINE, "room for whatever is held by hour");

/* Where the counts come from. */
enum of { OF_HOURS, OF_WHOLE, OF_NOTHING_ELSE };

/* Missing values count as events too.  False: too few of them. */
static bool take_hours(const struct baseline_hours *hours, const struct baseline_hours *missing, const struct baseline_hour_set *set, int64_t *out, int64_t *absent)
{
    sum_hours(hours, set, out);
    *absent = 0;
    if (missing)
        sum_hours(missing, set, absent);
    return total(out, hours->bins) + *absent >= BASELINE_HOUR_EVENTS_MIN;
}

/* `out`: the hours' counts, unspecified if they are not taken. */
static enum of choose(const struct baseline_hours *hours, const struct baseline_hours *missing, const struct baseline_hour_set *set, int64_t *out, int64_t *out_missing)
{
    int64_t absent, other[HOUR_BINS_MAX], other_absent;
    if (!set || !hours->counts)
        return OF_WHOLE;
    assert(hours->bins <= HOUR_BINS_MAX);
    bool all_days = false;
    if (!take_hours(hours, missing, set, out, &absent)) {
        struct baseline_hour_set wanted = of_all_days(set);
        all_days = true;
        if (!take_hours(hours, missing, &wanted, out, &absent))
            return OF_NOTHING_ELSE;
    }
    struct baseline_hour_set beside = beside_of(set, all_days);
    if (set->parts && take_hours(hours, missing, &beside, other, &other_absent)) {
        int64_t all = total(out, hours->bins) + absent, other_all = total(other, hours->bins) + other_absent;
        move(out, all, other, other_all, hours->bins, set->parts);
        move(&absent, all, &other_absent, other_all, 1, set->parts);
    }
    if (out_missing)
        *out_missing = absent;
    return OF_HOURS;
}

static enum of choose_column(const struct baseline_column *column, const struct baseline_hour_set *set, int64_t counts[BASELINE_FINE], int64_t *missing)
{
    return choose(&column->hours, &column->missing_hours, set, counts, missing);
}

bool baseline_expected(const struct baseline_column *column, const struct baseline_hour_set *set, size_t bins, int64_t *counts)
{
    assert(bins == BASELINE_COARSE || bins == BASELINE_FINE);
    int64_t own[BASELINE_FINE];
    enum of of = choose_column(column, set, own, NULL);
    cut(column->edges, of == OF_HOURS ? own : column->counts, BASELINE_FINE, BASELINE_FINE / bins, column->count > 0, NULL, counts);
    return of != OF_NOTHING_ELSE;
}

bool baseline_expected_equal(const struct baseline_column *column, const struct baseline_hour_set *set, int64_t *counts)
{
    int64_t own[BASELINE_EQUAL];
    float edges[BASELINE_EQUAL - 1];
    enum of of = choose(&column->equal_hours, &column->missing_hours, set, own, NULL);
    baseline_equal_edges(column, edges);
    cut(edges, of == OF_HOURS ? own : column->equal, BASELINE_EQUAL, 1, column->count > 0, NULL, counts);
    return of != OF_NOTHING_ELSE;
}

bool baseline_expected_missing(const struct baseline_column *column, const struct baseline_hour_set *set, int64_t *missing, int64_t *there)
{
    int64_t own[BASELINE_FINE], absent;
    enum of of = choose_column(column, set, own, &absent);
    *missing = of == OF_HOURS ? absent : column->missing;
    *there = of == OF_HOURS ? total(own, BASELINE_FINE) : column->count;
    return of != OF_NOTHING_ELSE;
}

bool baseline_expected_categories(const struct baseline_categories *categories, const struct baseline_hour_set *set, int64_t *counts)
{
    enum of of = choose(&categories->hours, NULL, set, counts, NULL);
    for (size_t i = 0; of != OF_HOURS && i < categories->count; i++)
        counts[i] = categories->named[i].count;
    if (of != OF_HOURS)
        counts[categories->count] = categories->other;
    return of != OF_NOTHING_ELSE;
}

bool baseline_expected_segment_missing(const struct baseline_segment *segment, const struct baseline_hour_set *set, int64_t *missing, int64_t *there)
{
    const struct baseline_categories *categories = &segment->categories;
    int64_t own[BASELINE_CATEGORIES_MAX + 1], absent;
    enum of of = choose(&categories->hours, &segment->missing_hours, set, own, &absent);
    *missing = of == OF_HOURS ? absent : segment->missing;
    *there = of == OF_HOURS ? total(own, categories->hours.bins) : categories->other;
    for (size_t i = 0; of != OF_HOURS && i < categories->count; i++)
        *there += categories->named[i].count;
    return of != OF_NOTHING_ELSE;
}

bool baseline_expected_decisions(const struct baseline_outcome *outcome, const struct baseline_hour_set *set, int64_t counts[DECISION_COUNT])
{
    enum of of = choose(&outcome->decision_hours, NULL, set, counts, NULL);
    for (size_t i = 0; of != OF_HOURS && i < DECISION_COUNT; i++)
        counts[i] = outcome->decisions[i];
    return of != OF_NOTHING_ELSE;
}
