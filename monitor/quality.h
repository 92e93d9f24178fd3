/* How well scores rank and decide, against labels.
 *
 * AUC: the chance that a positive outscores a negative, a tie counting half: the Mann-Whitney U statistic over
 * positives x negatives (Hanley and McNeil 1982; Fawcett 2006).
 * Average precision: sum over the distinct scores, from high to low, of (R_k - R_{k-1}) P_k, precision and recall being
 * those of "score >= s_k"; events of one score come in together, so their order does not matter
 * (Manning, Raghavan, Schuetze 2008, section 8.4, without interpolation; the number that scikit-learn prints).
 * Both counts are exact integers until the last division; average precision is summed in double. */
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
