/* Rows of features: kept as they come, binned together, counted when somebody asks.
 *
 * A worker that keeps up sees events one by one, and a search for the bins of one value costs as much as for sixteen: so rows
 * are copied, and BIN_RUN_MAX of them (or what a transaction has of a partition) are binned at once.  Their bins wait column by
 * column, SKETCH_ROWS_MAX a column, one byte each.  A column is counted while its bins are at hand: one pass over bytes that
 * follow each other.  What needs no bin (missing and far values, sums) is counted when bins are found. */
#include "monitor/sketch_shape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

static uint8_t *room_for_rows(const struct sketch_shape *shape)
{
    uint8_t *room = malloc(shape->options.feature_count * SKETCH_ROWS_MAX);
    assert(room && "memory is short");
    return room;
}

/* ---- rows as they come ---- */

size_t sketch_raw_bytes(const struct sketch_shape *shape)
{
    return sizeof(struct raw_rows) + BIN_RUN_MAX * shape->options.feature_count * sizeof(float);
}

void sketch_cell_add_row(const struct sketch_shape *shape, struct sketch_cell *cell, const struct sketch_event *event, struct smallest_ranks *named)
{
    size_t features = shape->options.feature_count;
    struct raw_rows *raw = cell->raw ? cell->raw : (cell->raw = calloc(1, sketch_raw_bytes(shape)));
    assert(raw && "memory is short");
    raw->offsets[raw->count] = event->offset;
    raw->ids[raw->count] = event->id_hash;
    memcpy(raw->rows + raw->count * features, event->row, features * sizeof *raw->rows);
    if (++raw->count == BIN_RUN_MAX)
        sketch_cell_bin_rows(shape, cell, named);
}

/* bins: of the n values of column f, behind those that wait. */
static void bin_column(const struct sketch_shape *shape, struct sketch_cell *cell, size_t f, uint8_t *bins, struct smallest_ranks *named)
{
    struct sketch_feature_counts *counts = feature_counts(shape, cell, f);
    struct column_tally tally = {0};
    const struct raw_rows *raw = cell->raw;
    float x[BIN_RUN_MAX];
    for (size_t i = 0; i < raw->count; i++)
        x[i] = raw->rows[i * shape->options.feature_count + f];
    shape->bin(&shape->columns[f], x, raw->count, bins, &tally);
    cell->sums[f] += tally.sum;
    counts->missing += tally.missing;
    counts->below += tally.below;
    counts->above += tally.above;
    counts->far += tally.far;
    if (tally.far)
        sketch_name_far(shape, cell, f, x, named);
}

void sketch_cell_bin_rows(const struct sketch_shape *shape, struct sketch_cell *cell, struct smallest_ranks *named)
{
    bool binned = shape->options.baseline && shape->options.feature_count;
    uint8_t nowhere[BIN_RUN_MAX];
    if (!cell->raw || !cell->raw->count)
        return;
    if (binned && !cell->rows)
        cell->rows = room_for_rows(shape);
    if (binned && cell->row_count + cell->raw->count > SKETCH_ROWS_MAX)
        sketch_cell_count_rows(shape, cell);
    for (size_t f = 0; f < shape->options.feature_count; f++)
        bin_column(shape, cell, f, binned ? cell->rows + f * SKETCH_ROWS_MAX + cell->row_count : nowhere, named);
    if (binned)
        cell->row_count += cell->raw->count;
    cell->raw->count = 0;
}
