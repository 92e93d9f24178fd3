#include "monitor/quality.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static int highest_first(const void *a, const void *b)
{
    float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

struct ranking quality_rank(struct scored *events, size_t n)
{
    struct ranking r = {0};
    for (size_t i = 0; i < n; i++) {
        assert(!isnan(events[i].score) && events[i].label <= 1);
        r.positives += events[i].label;
    }
    r.negatives = n - r.positives;
    if (n)
        qsort(events, n, sizeof *events, highest_first);
    unsigned __int128 twice_u = 0; /* pairs won by a positive, twice, a tie once */
    uint64_t positives = 0, negatives = 0;
    double precision_sum = 0;
    for (size_t i = 0; i < n;) {
        uint64_t tied[2] = {0, 0};
        float score = events[i].score;
        for (; i < n && events[i].score == score; i++)
            tied[events[i].label]++;
        positives += tied[1];
        negatives += tied[0];
        twice_u += (unsigned __int128)tied[1] * (2 * (r.negatives - negatives) + tied[0]);
        precision_sum += (double)tied[1] * ((double)positives / (double)(positives + negatives));
    }
    r.auc = r.positives && r.negatives ? (double)twice_u / 2 / ((double)r.positives * (double)r.negatives) : NAN;
    r.average_precision = r.positives ? precision_sum / (double)r.positives : NAN;
    return r;
}

struct confusion quality_confusion(const struct scored *events, size_t n, double threshold)
{
    struct confusion c = {0};
    for (size_t i = 0; i < n; i++) {
        int called = (double)events[i].score >= threshold;
        c.true_positive += called && events[i].label;
        c.false_positive += called && !events[i].label;
        c.false_negative += !called && events[i].label;
        c.true_negative += !called && !events[i].label;
    }
    return c;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

double quality_precision(const struct confusion *c)
{
    return share(c->true_positive, c->true_positive + c->false_positive);
}

double quality_recall(const struct confusion *c)
{
    return share(c->true_positive, c->true_positive + c->false_negative);
}

double quality_f1(const struct confusion *c)
{
    return share(2 * c->true_positive, 2 * c->true_positive + c->false_positive + c->false_negative);
}
