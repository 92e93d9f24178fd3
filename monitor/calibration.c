#include "monitor/calibration.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define ONE 0x1p40
_Static_assert(CALIBRATION_SUM_BITS == 40, "ONE says it too");

/* (i / 10, (i + 1) / 10].  A float's ten-fold is exact in double, so this is the comparison with the edges. */
static size_t equal_bin(double score)
{
    return score <= 0 ? 0 : (size_t)ceil(score * CALIBRATION_BINS) - 1;
}

static size_t decile_bin(const float *deciles, float score)
{
    size_t bin = 0;
    while (bin < CALIBRATION_EDGES && deciles[bin] < score)
        bin++;
    return bin;
}

static void add_to(struct calibration_bin *bin, int64_t score, int label)
{
    bin->count++;
    bin->positives += label;
    bin->score_sum += score;
}

void calibration_add(struct calibration *c, const float *deciles, float score, int label)
{
    assert(!isnan(score) && (label == 0 || label == 1));
    double held = score < 0 ? 0 : score > 1 ? 1 : (double)score;
    int64_t fixed = llrint(held * ONE);
    add_to(&c->equal[equal_bin(held)], fixed, label);
    if (deciles)
        add_to(&c->decile[decile_bin(deciles, (float)held)], fixed, label);
    c->square_sum += llrint(held * held * ONE);
    c->positive_sum += label ? fixed : 0;
}

static void merge_bins(struct calibration_bin *into, const struct calibration_bin *from)
{
    for (size_t i = 0; i < CALIBRATION_BINS; i++) {
        into[i].count += from[i].count;
        into[i].positives += from[i].positives;
        into[i].score_sum += from[i].score_sum;
    }
}

void calibration_merge(struct calibration *into, const struct calibration *from)
{
    merge_bins(into->equal, from->equal);
    merge_bins(into->decile, from->decile);
    into->square_sum += from->square_sum;
    into->positive_sum += from->positive_sum;
}

static int64_t count_of(const struct calibration_bin *bins)
{
    int64_t sum = 0;
    for (size_t i = 0; i < CALIBRATION_BINS; i++)
        sum += bins[i].count;
    return sum;
}

int64_t calibration_count(const struct calibration *c)
{
    return count_of(c->equal);
}

int64_t calibration_positives(const struct calibration *c)
{
    int64_t sum = 0;
    for (size_t i = 0; i < CALIBRATION_BINS; i++)
        sum += c->equal[i].positives;
    return sum;
}

double calibration_brier(const struct calibration *c)
{
    int64_t n = calibration_count(c);
    __int128 positives = (__int128)calibration_positives(c) << CALIBRATION_SUM_BITS;
    /* (s - y)^2 = s^2 - 2 s y + y, y being 0 or 1 */
    return n ? ldexp((double)(c->square_sum - 2 * c->positive_sum + positives), -CALIBRATION_SUM_BITS) / (double)n : NAN;
}

double calibration_ece(const struct calibration_bin *bins)
{
    int64_t n = count_of(bins);
    double sum = 0;
    for (size_t i = 0; i < CALIBRATION_BINS; i++) /* n_b |s_b / n_b - p_b / n_b| is exact until it is rounded once */
        sum += fabs(ldexp((double)(bins[i].score_sum - ((__int128)bins[i].positives << CALIBRATION_SUM_BITS)), -CALIBRATION_SUM_BITS));
    return n ? sum / (double)n : NAN;
}

double calibration_mean_score(const struct calibration_bin *bin)
{
    return bin->count ? ldexp((double)bin->score_sum, -CALIBRATION_SUM_BITS) / (double)bin->count : NAN;
}

double calibration_positive_share(const struct calibration_bin *bin)
{
    return bin->count ? (double)bin->positives / (double)bin->count : NAN;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void calibration_deciles(float *scores, size_t n, float deciles[CALIBRATION_EDGES])
{
    assert(n > 0);
    qsort(scores, n, sizeof *scores, ascending);
    for (size_t i = 1; i <= CALIBRATION_EDGES; i++)
        deciles[i - 1] = scores[(i * n + CALIBRATION_BINS - 1) / CALIBRATION_BINS - 1];
}
