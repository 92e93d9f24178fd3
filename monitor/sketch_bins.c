#include "monitor/sketch_bins.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

column_binning *column_binning_here(size_t i)
{
    column_binning *here[4] = {NULL};
    size_t count = 0;
#if defined __x86_64__
    bool popcnt = __builtin_cpu_supports("popcnt");
    if (popcnt && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        here[count++] = column_bin_avx512;
    if (popcnt && __builtin_cpu_supports("avx2"))
        here[count++] = column_bin_avx2;
#endif
    here[count++] = column_bin_portable;
    return i < count ? here[i] : NULL;
}

__int128 column_fixed_point(float x)
{
    double scaled = (double)x * (double)(1 << FEATURE_SUM_BITS);
    if (fabs(scaled) < 0x1p62) /* fits llrint */
        return llrint(scaled);
    double limit = ldexp(1, 60 + FEATURE_SUM_BITS);
    return (__int128)(scaled > limit ? limit : scaled < -limit ? -limit : scaled); /* whole already: above 2^53 */
}

static uint8_t bin_one(const struct sketch_column *column, float value, struct column_tally *tally)
{
    if (isnan(value)) {
        tally->missing++;
        return BIN_NONE;
    }
    float x = value > FLT_MAX ? FLT_MAX : value < -FLT_MAX ? -FLT_MAX : value;
    tally->sum += column_fixed_point(x);
    tally->below += x < column->least;
    tally->above += x > column->greatest;
    tally->far += x < column->far_below || x > column->far_above;
    return column->bins ? (uint8_t)sketch_bin(column, x) : (uint8_t)BIN_NONE;
}

/* The nearest integer, ties to even, of |x| < 2^51: adding 1.5 * 2^52 leaves it in the lower mantissa bits. */
static int64_t nearest(double x)
{
    double shifted = x + 0x1.8p52;
    int64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits - 0x4338000000000000;
}

void column_bin_portable(const struct sketch_column *column, const float *x, size_t n, uint8_t *bins, struct column_tally *tally)
{
    int64_t sum = 0; /* of small values: n of them fit */
    assert(n <= BIN_RUN_MAX);
    for (size_t i = 0; i < n; i++) {
        bool inside = (x[i] >= column->least) & (x[i] <= column->greatest) & (x[i] >= column->far_below) & (x[i] <= column->far_above);
        if (!inside || !(fabsf(x[i]) < 0x1p30f) || !column->bins) { /* rare, or no bins to find */
            bins[i] = bin_one(column, x[i], tally);
            continue;
        }
        sum += nearest((double)x[i] * (double)(1 << FEATURE_SUM_BITS));
        bins[i] = (uint8_t)sketch_bin(column, x[i]);
    }
    tally->sum += sum;
}
