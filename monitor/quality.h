/* How well scores rank and decide, against labels.
 *
 * AUC: the chance that a positive outscores a negative, a tie counting half: the Mann-Whitney U statistic over
 * positives x negatives (Hanley and McNeil 1982; Fawcett 2006).
 * Average precision: sum over the distinct scores, from high to low, of (R_k - R_{k-1}) P_k, precision and recall being
 * those of "score >= s_k"; events of one score come in together, so their order does not matter
 * (Manning, Raghavan, Schuetze 2008, section 8.4, without interpolation; the number that scikit-learn prints).
 * Both counts are exact integers until the last division; average precision is summed in double.
 *
 * Value: the money of the frauds that a decision caught (called positive) and missed, in minor units, and of the genuine
 * events that it stopped.  False-positive ratio: genuine events called positive for each fraud called positive (FP / TP),
 * as fraud teams count it; the false-positive rate is FP / (FP + TN). */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct scored {
    float score;   /* not NaN */
    uint8_t label; /* 0 or 1 */
};

struct ranking {
    uint64_t positives, negatives;
    double auc;               /* NaN unless both classes are there */
    double average_precision; /* NaN without positives */
};

/* Sorts `events` by score, highest first. */
struct ranking quality_rank(struct scored *events, size_t n);

struct confusion {
    uint64_t true_positive, false_positive, false_negative, true_negative;
};

/* An event is called positive if its score, widened to double, is at least the threshold. */
struct confusion quality_confusion(const struct scored *events, size_t n, double threshold);
double quality_precision(const struct confusion *c); /* TP / (TP + FP); NaN if nothing was called positive */
double quality_recall(const struct confusion *c);    /* TP / (TP + FN); NaN if there are no positives */
double quality_f1(const struct confusion *c);        /* 2 TP / (2 TP + FP + FN); NaN if all three are 0 */
double quality_false_positive_ratio(const struct confusion *c); /* FP / TP; NaN if TP is 0 */
double quality_false_positive_rate(const struct confusion *c);  /* FP / (FP + TN); NaN if there are no negatives */
/* Of one event, merged by adding. */
void quality_count(struct confusion *c, float score, int label, double threshold);

struct value_outcome { /* minor units, exact */
    __int128 caught, missed; /* of frauds called positive, and not */
    __int128 stopped;        /* of genuine events called positive */
};
void quality_count_value(struct value_outcome *v, float score, int label, int64_t value, double threshold);
double quality_value_recall(const struct value_outcome *v); /* caught / (caught + missed); NaN if that is 0 */

/* The same ranking from a histogram of scores by label (ascending bins), for what is merged and not kept.  Events of
 * one bin count as tied, so auc is within auc_error of the exact one: half the share of pairs that lie in one bin. */
struct binned_ranking {
    struct ranking ranking;
    double auc_error;
};
struct binned_ranking quality_rank_bins(const int64_t *positives, const int64_t *negatives, size_t bins);
