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

/* The sum over the hours of the set, for each bin. */
static void sum_hours(const struct baseline_hours *hours, const struct baseline_hour_set *set, int64_t *out)
{
    for (size_t i = 0; i < hours->bins; i++)
        out[i] = 0;
    for (size_t h = 0; h < BASELINE_HOURS; h++)
        for (size_t i = 0; set->hours[h] && i < hours->bins; i++)
            out[i] += hours->counts[h * hours->bins + i];
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

/* Where the counts come from. */
enum of { OF_HOURS, OF_WHOLE, OF_NOTHING_ELSE };

/* `out`: the hours' counts, unspecified if they are not taken.  Missing values count as events too. */
static enum of choose(const struct baseline_hours *hours, const struct baseline_hours *missing, const struct baseline_hour_set *set, int64_t *out, int64_t *out_missing)
{
    if (!set || !hours->counts)
        return OF_WHOLE;
    struct baseline_hour_set wanted = *set;
    for (int attempt = 0; attempt < 2; attempt++, wanted = of_all_days(set)) {
        int64_t absent = 0;
        sum_hours(hours, &wanted, out);
        if (missing)
            sum_hours(missing, &wanted, &absent);
        if (out_missing)
            *out_missing = absent;
        if (total(out, hours->bins) + absent >= BASELINE_HOUR_EVENTS_MIN)
            return OF_HOURS;
    }
    return OF_NOTHING_ELSE;
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
