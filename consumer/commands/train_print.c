#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "consumer/commands/train_outcome.h"

static const char *number(char text[32], double v)
{
    snprintf(text, 32, isnan(v) ? "-" : "%.4f", v);
    return text;
}

static void print_part(const char *name, const struct train_quality *q)
{
    char auc[32], ap[32], p1[32], r1[32], f1[32], p2[32], r2[32], f2[32];
    printf("%-9s %9" PRIu64 " %8" PRIu64 "  %6s %6s  %6s %6s %6s  %6s %6s %6s\n", name, q->rows, q->ranking.positives,
           number(auc, q->ranking.auc), number(ap, q->ranking.average_precision), number(p1, quality_precision(&q->at_review)),
           number(r1, quality_recall(&q->at_review)), number(f1, quality_f1(&q->at_review)), number(p2, quality_precision(&q->at_decline)),
           number(r2, quality_recall(&q->at_decline)), number(f2, quality_f1(&q->at_decline)));
}

static void print_calibration(const struct calibration *c)
{
    char ece[32], by_decile[32], brier[32], mean[32], share[32];
    if (calibration_count(c) == 0)
        return;
    printf("\ncalibration, held out: ECE %s, by deciles of the scores %s, Brier %s\n", number(ece, calibration_ece(c->equal)),
           number(by_decile, calibration_ece(c->decile)), number(brier, calibration_brier(c)));
    printf("%-12s %9s %12s %12s\n", "score", "events", "mean score", "fraud share");
    for (int i = 0; i < CALIBRATION_BINS; i++)
        printf("%.1f to %.1f   %9" PRId64 " %12s %12s\n", i / 10.0, (i + 1) / 10.0, c->equal[i].count, number(mean, calibration_mean_score(&c->equal[i])),
               number(share, calibration_positive_share(&c->equal[i])));
}

void train_print_text(const struct outcome *out)
{
    const struct options *o = out->options;
    printf("%s: %zu trees, %zu features, %zu bytes, sha256 %s, in %.1f s\n", o->output, out->trees, out->columns, out->model_bytes, out->sha256,
           out->seconds);
    if (o->patience)
        printf("stopped early: round %d is the best of %d, %s %.6g on %zu rows held out for that; the file holds the rounds up to it\n", out->stop.best_round,
               out->stop.rounds, out->stop.metric, out->stop.best, out->stop_rows);
    if (!o->bare)
        printf("beside it: golden rows (%s.golden.csv)%s%s%s\n", o->output, out->baseline ? ", baseline (" : out->too_short ? "; no baseline, for the rows span less than the longest window" : "; no baseline without --features",
               out->baseline ? o->output : "", out->baseline ? ".baseline.json)" : "");
    printf("%zu rows with a label; left out without one: %" PRIu64 "; with incomplete windows: %" PRIu64 "\n\n", out->rows, out->unlabelled,
           out->incomplete);
    printf("%-9s %9s %8s  %6s %6s  %-20s  %-20s\n", "", "rows", "fraud", "AUC", "AP", "at score >= review", "at score >= decline");
    printf("%-9s %9s %8s  %6s %6s  %6s %6s %6s  %6s %6s %6s\n", "", "", "", "", "", "prec", "recall", "F1", "prec", "recall", "F1");
    print_part("train", &out->train);
    print_part("held out", &out->held_out);
    print_calibration(&out->held_out.calibration);
    printf("\nreview %g, decline %g; held out: the latest %g %% by event time\n", o->thresholds.review, o->thresholds.decline, 100 * o->held_out);
}

static const char *json_number(char text[32], double v)
{
    snprintf(text, 32, isnan(v) ? "null" : "%.17g", v);
    return text;
}

static void print_json_decision(const char *name, double threshold, const struct confusion *c)
{
    char precision[32], recall[32], f1[32], at[32];
    printf(", \"%s\": {\"threshold\": %s, \"precision\": %s, \"recall\": %s, \"f1\": %s, \"true_positive\": %" PRIu64 ", \"false_positive\": %" PRIu64
           ", \"false_negative\": %" PRIu64 ", \"true_negative\": %" PRIu64 "}",
           name, json_number(at, threshold), json_number(precision, quality_precision(c)), json_number(recall, quality_recall(c)),
           json_number(f1, quality_f1(c)), c->true_positive, c->false_positive, c->false_negative, c->true_negative);
}

static void print_json_bins(const char *name, const struct calibration_bin *bins)
{
    char mean[32], share[32];
    printf(", \"%s\": [", name);
    for (int i = 0; i < CALIBRATION_BINS; i++)
        printf("%s{\"count\": %" PRId64 ", \"positives\": %" PRId64 ", \"mean_score\": %s, \"positive_share\": %s}", i ? ", " : "", bins[i].count,
               bins[i].positives, json_number(mean, calibration_mean_score(&bins[i])), json_number(share, calibration_positive_share(&bins[i])));
    printf("]");
}

static void print_json_calibration(const struct calibration *c)
{
    char ece[32], by_decile[32], brier[32];
    printf(", \"calibration\": {\"ece\": %s, \"ece_decile\": %s, \"brier\": %s", json_number(ece, calibration_ece(c->equal)),
           json_number(by_decile, calibration_ece(c->decile)), json_number(brier, calibration_brier(c)));
    print_json_bins("equal", c->equal);
    print_json_bins("decile", c->decile);
    printf("}");
}

static void print_json_part(const char *name, const struct train_quality *q, struct thresholds t)
{
    char auc[32], ap[32];
    printf(", \"%s\": {\"rows\": %" PRIu64 ", \"fraud\": %" PRIu64 ", \"auc\": %s, \"average_precision\": %s", name, q->rows, q->ranking.positives,
           json_number(auc, q->ranking.auc), json_number(ap, q->ranking.average_precision));
    print_json_decision("review", t.review, &q->at_review);
    print_json_decision("decline", t.decline, &q->at_decline);
    print_json_calibration(&q->calibration);
    printf("}");
}

void train_print_json(const struct outcome *out)
{
    printf("{\"trees\": %zu, \"features\": %zu, \"model_bytes\": %zu, \"model_sha256\": \"%s\", \"rows\": %zu, \"unlabelled\": %" PRIu64
           ", \"incomplete\": %" PRIu64 ", \"seconds\": %.3f",
           out->trees, out->columns, out->model_bytes, out->sha256, out->rows, out->unlabelled, out->incomplete, out->seconds);
    if (out->options->patience) {
        char best[32];
        printf(", \"early_stopping\": {\"metric\": \"%s\", \"best\": %s, \"best_iteration\": %d, \"rounds\": %d, \"rows\": %zu}", out->stop.metric,
               json_number(best, out->stop.best), out->stop.best_round, out->stop.rounds, out->stop_rows);
    }
    printf(", \"baseline\": %s", out->baseline ? "true" : "false");
    print_json_part("train", &out->train, out->options->thresholds);
    print_json_part("held_out", &out->held_out, out->options->thresholds);
    printf("}\n");
}
