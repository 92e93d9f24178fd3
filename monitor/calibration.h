/* Is a score of 0.3 fraud in 30 of 100 cases?  Kept as exact, mergeable counts.
 *
 *   ECE   = sum over the bins (n_b / N) |mean score of b - share of positives of b|: Naeini, Cooper, Hauskrecht, Obtaining Well
 *           Calibrated Probabilities Using Bayesian Binning, 2015; Guo et al., On Calibration of Modern Neural Networks, 2017
 *   Brier = mean of (score - label)^2: Brier, Verification of Forecasts Expressed in Terms of Probability, 1950
 *
 * The bin-edge rule: an edge belongs to the bin on its left.  Equal-width bins are [0, 0.1], (0.1, 0.2] ... (0.9, 1] with
 * the edges i / 10 as doubles, the score widened to double (as scikit-learn's calibration_curve).  Decile bins
 * are cut at nine given edges: those of a baseline's scores (baseline_deciles), or of the scores themselves
 * (calibration_deciles: edge i is the ceil(i n / 10)-th smallest).  Equal neighbouring edges make a bin that holds
 * nothing.
 *
 * Sums are integers in fixed point, so any split and order of the events gives the same.  A score counts to within
 * 2^-41. */
#pragma once
#include <stdint.h>
#include <stddef.h>

enum { CALIBRATION_BINS = 10, CALIBRATION_EDGES = CALIBRATION_BINS - 1, CALIBRATION_SUM_BITS = 40 };

struct calibration_bin {
    int64_t count, positives;
    __int128 score_sum; /* 2^-40 is one */
};

struct calibration { /* all zero: empty */
    struct calibration_bin equal[CALIBRATION_BINS], decile[CALIBRATION_BINS];
    __int128 square_sum, positive_sum; /* of score^2, and of the scores of positives */
};

/* score: not NaN, held to [0, 1].  deciles: ascending; NULL: only the equal-width bins are counted. */
void calibration_add(struct calibration *c, const float *deciles, float score, int label);
void calibration_merge(struct calibration *into, const struct calibration *from);

int64_t calibration_count(const struct calibration *c);
int64_t calibration_positives(const struct calibration *c);
double calibration_brier(const struct calibration *c); /* NaN if empty */
/* Over CALIBRATION_BINS bins; NaN if they are empty. */
double calibration_ece(const struct calibration_bin *bins);
double calibration_mean_score(const struct calibration_bin *bin);    /* NaN if empty */
double calibration_positive_share(const struct calibration_bin *bin); /* NaN if empty */
/* Nine edges from n >= 1 scores, which are put in order. */
void calibration_deciles(float *scores, size_t n, float deciles[CALIBRATION_EDGES]);
