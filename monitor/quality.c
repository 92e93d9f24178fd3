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
    for (size_t i = 0; i < n; i++)
        quality_count(&c, events[i].score, events[i].label, threshold);
    return c;
}

void quality_count(struct confusion *c, float score, int label, double threshold)
{
    int called = (double)score >= threshold;
    c->true_positive += called && label;
    c->false_positive += called && !label;
    c->false_negative += !called && label;
    c->true_negative += !called && !label;
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

double quality_false_positive_ratio(const struct confusion *c)
{
    return share(c->false_positive, c->true_positive);
}

double quality_false_positive_rate(const struct confusion *c)
{
    return share(c->false_positive, c->false_positive + c->true_negative);
}

void quality_count_value(struct value_outcome *v, float score, int label, int64_t value, double threshold)
{
    int called = (double)score >= threshold;
    if (label)
        *(called ? &v->caught : &v->missed) += value;
    else if (called)
        v->stopped += value;
}

double quality_value_recall(const struct value_outcome *v)
{
    __int128 all = v->caught + v->missed;
    return all ? (double)v->caught / (double)all : NAN;
}

/* The sums of quality_rank, a bin being one score. */
struct binned_ranking quality_rank_bins(const int64_t *positives, const int64_t *negatives, size_t bins)
{
    struct binned_ranking b = {0};
    struct ranking *r = &b.ranking;
    for (size_t i = 0; i < bins; i++) {
        assert(positives[i] >= 0 && negatives[i] >= 0);
        r->positives += (uint64_t)positives[i];
        r->negatives += (uint64_t)negatives[i];
    }
    unsigned __int128 twice_u = 0, tied_pairs = 0;
    uint64_t above = 0, negatives_above = 0;
    double precision_sum = 0;
    for (size_t i = bins; i-- > 0;) {
        uint64_t p = (uint64_t)positives[i], n = (uint64_t)negatives[i];
        above += p;
        negatives_above += n;
        twice_u += (unsigned __int128)p * (2 * (r->negatives - negatives_above) + n);
        tied_pairs += (unsigned __int128)p * n;
        precision_sum += p ? (double)p * ((double)above / (double)(above + negatives_above)) : 0;
    }
    double pairs = (double)r->positives * (double)r->negatives;
    r->auc = pairs > 0 ? (double)twice_u / 2 / pairs : NAN;
    r->average_precision = r->positives ? precision_sum / (double)r->positives : NAN;
    b.auc_error = pairs > 0 ? (double)tied_pairs / 2 / pairs : NAN;
    return b;
}
