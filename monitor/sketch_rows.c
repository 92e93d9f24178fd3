/* Rows of features: binned when they come, counted when somebody asks.
 *
 * Rows wait column by column, SKETCH_ROWS_MAX a column, one byte each.  A column is counted while its bins are at
 * hand: one pass over bytes that follow each other.  What needs no bin (missing and far values, sums) is counted at once. */
#include "monitor/sketch_shape.h"

#include <assert.h>
#include <stdlib.h>

static struct sketch_feature_counts *feature_counts(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f)
{
    return (void *)(cell->counts + f * shape->feature_stride);
}

static void count_column(int64_t *counts, const uint8_t *bins, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bins[i] != BIN_NONE)
            counts[bins[i]]++;
}

const uint8_t *sketch_row_bins(const struct sketch_cell *cell, size_t f)
{
    return cell->rows + f * SKETCH_ROWS_MAX;
}

void sketch_cell_count_rows(const struct sketch_shape *shape, struct sketch_cell *cell)
{
    if (!cell->row_count)
        return;
    for (size_t f = 0; f < shape->options.feature_count; f++)
        count_column(feature_counts(shape, cell, f)->bins, sketch_row_bins(cell, f), cell->row_count);
    cell->row_count = 0;
    cell->counted = true;
}

/* By sixteens, which the compiler takes at once. */
static bool column_fits(const struct sketch_column *column, const uint8_t *bins, size_t n)
{
    uint8_t most[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t k = 0; k < 16; k++) {
            uint8_t next = (uint8_t)(bins[i + k] + 1); /* of a value that is missing 0 */
            most[k] = next > most[k] ? next : most[k];
        }
    for (; i < n; i++) {
        uint8_t next = (uint8_t)(bins[i] + 1);
        most[0] = next > most[0] ? next : most[0];
    }
    for (size_t k = 1; k < 16; k++)
        most[0] = most[k] > most[0] ? most[k] : most[0];
    return most[0] <= column->bins;
}

bool sketch_bins_fit(const struct sketch_shape *shape, const uint8_t *bins, size_t n)
{
    bool fit = shape->options.baseline || !n;
    for (size_t f = 0; fit && f < shape->options.feature_count; f++)
        fit = column_fits(&shape->columns[f], bins + f * n, n);
    return fit;
}

void sketch_cell_add_bins(const struct sketch_shape *shape, struct sketch_cell *cell, const uint8_t *bins, size_t n)
{
    for (size_t f = 0; f < shape->options.feature_count; f++)
        count_column(feature_counts(shape, cell, f)->bins, bins + f * n, n);
    cell->counted = true;
}

static void *room_for_rows(const struct sketch_shape *shape)
{
    void *room = malloc(shape->options.feature_count * SKETCH_ROWS_MAX);
    assert(room && "memory is short");
    return room;
}

static int64_t add_run(const struct sketch_shape *shape, struct sketch_cell *cell, const float *const *rows, size_t n)
{
    bool binned = shape->options.baseline && shape->options.feature_count;
    uint8_t nowhere[BIN_RUN_MAX];
    int64_t far = 0;
    if (binned && !cell->rows)
        cell->rows = room_for_rows(shape);
    if (binned && cell->row_count + n > SKETCH_ROWS_MAX)
        sketch_cell_count_rows(shape, cell);
    for (size_t f = 0; f < shape->options.feature_count; f++) {
        struct sketch_feature_counts *counts = feature_counts(shape, cell, f);
        struct column_tally tally = {0};
        float x[BIN_RUN_MAX];
        for (size_t i = 0; i < n; i++)
            x[i] = rows[i][f];
        shape->bin(&shape->columns[f], x, n, binned ? cell->rows + f * SKETCH_ROWS_MAX + cell->row_count : nowhere, &tally);
        cell->sums[f] += tally.sum;
        counts->missing += tally.missing;
        counts->below += tally.below;
        counts->above += tally.above;
        counts->far += tally.far;
        far += tally.far;
    }
    if (binned)
        cell->row_count += n;
    return far;
}

int64_t sketch_cell_add_rows(const struct sketch_shape *shape, struct sketch_cell *cell, const float *const *rows, size_t n)
{
    int64_t far = 0;
    for (size_t i = 0; i < n; i += BIN_RUN_MAX)
        far += add_run(shape, cell, rows + i, n - i < BIN_RUN_MAX ? n - i : BIN_RUN_MAX);
    return far;
}
