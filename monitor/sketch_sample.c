/* What is kept of some events alone: values far from the baseline with their offsets, contributions of a sample; and the
 * ages of entities.
 *
 * Contributions are kept as integers, in units of 2^-CONTRIBUTION_BITS, what raises the margin and what lowers it each for
 * itself (counts are never below zero), and their squares: sums add up to the same in any order and split.
 *
 * Far values: the SKETCH_VALUES_MAX with the smallest hashes of the event's id and the feature, exactly mergeable as in
 * sketch_values.h; which events are named does not hang on the partitions, only where they lie.  The text of one is
 * <partition>:<offset>:<feature>:<sigmas>. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/sketch_shape.h"

_Static_assert((int)SKETCH_VALUES_MAX <= (int)SMALLEST_RANKS, "what is not admitted is in no sample");

enum { CONTRIBUTION_BITS = 24, SQUARE_BITS = 16, CONTRIBUTION_MAX = 1 << 12 /* of the margin: more counts as this */ };
enum { RAISING, LOWERING, SQUARES, KEPT }; /* of a feature, behind the number of events */

/* ---- contributions ---- */

void sketch_add_contributions(struct sketch *sketch, struct sketch_cell *cell, const float *contributions)
{
    const struct sketch_shape *shape = sketch_shape(sketch);
    if (!cell)
        return;
    int64_t *counts = cell->counts + shape->contributions_at;
    counts[0]++;
    for (size_t f = 0; f < shape->options.feature_count; f++) {
        int64_t *kept = counts + 1 + f * KEPT;
        double c = isnan(contributions[f]) ? 0 : fmin(fmax((double)contributions[f], -CONTRIBUTION_MAX), CONTRIBUTION_MAX);
        kept[c < 0 ? LOWERING : RAISING] += llrint(ldexp(fabs(c), CONTRIBUTION_BITS));
        kept[SQUARES] += llrint(ldexp(c * c, SQUARE_BITS));
    }
}

struct sketch_contribution sketch_contribution_of(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f)
{
    assert(f < shape->options.feature_count);
    const int64_t *counts = cell->counts + shape->contributions_at, *kept = counts + 1 + f * KEPT;
    if (!counts[0])
        return (struct sketch_contribution){NAN, NAN, 0};
    double n = (double)counts[0], mean = ldexp((double)(kept[RAISING] - kept[LOWERING]), -CONTRIBUTION_BITS) / n;
    double variance = ldexp((double)kept[SQUARES], -SQUARE_BITS) / n - mean * mean;
    return (struct sketch_contribution){mean, variance > 0 ? sqrt(variance) : 0, counts[0]};
}

size_t sketch_contribution_counts(const struct sketch_shape *shape)
{
    return 1 + shape->options.feature_count * KEPT;
}

/* ---- far values ---- */

/* Raw row i, with this value of feature f; false: it cannot be named. */
static bool keep_far(const struct sketch_shape *shape, struct sketch_cell *cell, size_t i, size_t f, uint64_t hash, double x)
{
    const struct baseline_column *reference = &shape->options.baseline->features[f];
    char text[64];
    int fresh, size = snprintf(text, sizeof text, "%d:%" PRId64 ":%zu:%.3g", cell->partition, cell->raw->offsets[i], f, (x - reference->mean) / reference->std);
    if (size > SKETCH_VALUE_BYTES)
        return false; /* numbers of 39 digits together: counted, not named */
    struct sketch_value *value = sketch_values_add(&cell->values[shape->options.segment_count + 1], hash, 1, &fresh);
    if (value && fresh)
        sketch_value_name(value, text, (size_t)size);
    return true;
}

void sketch_name_far(const struct sketch_shape *shape, struct sketch_cell *cell, size_t f, const float *x, struct smallest_ranks *named)
{
    const struct sketch_column *column = &shape->columns[f];
    uint64_t of_feature = cardinality_hash_integer((int64_t)f);
    for (size_t i = 0; i < cell->raw->count; i++) {
        uint64_t hash = cell->raw->ids[i] ^ of_feature;
        if (!(x[i] < column->far_below || x[i] > column->far_above) || (named && !smallest_ranks_admit(named, cell->window_start_ms, 0, hash)))
            continue;
        if (keep_far(shape, cell, i, f, hash, (double)x[i]) && named)
            smallest_ranks_add(named, cell->window_start_ms, 0, hash);
    }
}

size_t sketch_far_values(const struct sketch_shape *shape, const struct sketch_cell *cell, size_t f, struct sketch_far found[SKETCH_VALUES_MAX])
{
    const struct sketch_values *kept = &cell->values[shape->options.segment_count + 1];
    size_t n = 0;
    for (size_t i = 0; i < kept->count; i++) {
        char text[SKETCH_VALUE_BYTES + 1] = {0};
        size_t feature;
        struct sketch_far far;
        memcpy(text, kept->of[i].text, kept->of[i].size);
        if (sscanf(text, "%" SCNd32 ":%" SCNd64 ":%zu:%lf", &far.partition, &far.offset, &feature, &far.sigmas) == 4 && feature == f && isfinite(far.sigmas))
            found[n++] = far;
    }
    return n;
}

/* ---- entities ---- */

void sketch_add_entity(struct sketch *sketch, struct sketch_cell *cell, int64_t time_ms, int64_t before_ms)
{
    if (!cell)
        return;
    int64_t *counts = cell->counts + sketch_shape(sketch)->entities_at;
    counts[before_ms == TIME_UNKNOWN ? 0 : 1 + latency_bin((time_ms - before_ms) / 1000)]++;
}

const int64_t *sketch_entity_ages(const struct sketch_shape *shape, const struct sketch_cell *cell, int64_t *fresh)
{
    *fresh = cell->counts[shape->entities_at];
    return cell->counts + shape->entities_at + 1;
}
