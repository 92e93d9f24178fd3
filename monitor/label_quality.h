/* What the labels of one window say of the models: by model, by segment, and champion against each shadow on the very
 * events that both scored.
 *
 * A group is counted for each (who, segment): exact integers, mergeable, so order does not matter.  Ranking is from
 * QUALITY_BINS equal bins of the score (quality_rank_bins; its error stands in the rows' detail).  At most
 * LABEL_GROUPS_MAX groups of about 17 KiB; what has no room is counted in `beyond`.
 *
 * Rows of a group, in this order: QUALITY labels, positives, auc, average_precision; for each threshold (review, decline)
 * precision, recall, false_positive_ratio, value_caught, value_missed, value_stopped, value_recall; CALIBRATION ece,
 * ece_decile, brier.  Subject: `labels` for all, `<field>=<value>` for a segment; the model is the group's, and for a
 * shadow's counterpart the statistic has the suffix `_against_<shadow>`. */
#pragma once
#include "monitor/calibration.h"
#include "monitor/quality.h"
#include "monitor/report.h"
#include "scoring/models/decision.h"

enum { QUALITY_BINS = 1000, LABEL_GROUPS_MAX = 2000, QUALITY_SUBJECT_MAX = 255 };

enum label_who {
    WHO_SERVED, /* what served, by its model */
    WHO_SHADOW,
    WHO_COUNTERPART /* what served, on the events of a shadow */
};

struct labelled {
    float score;
    int label;
    int64_t value; /* minor units; INT64_MIN: unknown, counts as no money */
};

struct label_quality;
/* models: ids by number (served ones, then shadows); borrowed.  deciles: nine edges of a baseline's scores, NULL: none. */
struct label_quality *label_quality_create(const char *const *models, size_t model_count, struct thresholds thresholds, const float *deciles);
void label_quality_destroy(struct label_quality *quality);
/* who, and the number of its model (of WHO_COUNTERPART the shadow's).  segment: "" for all events, or "mcc=5411". */
void label_quality_add(struct label_quality *quality, enum label_who who, size_t model, const char *segment, const struct labelled *event);
size_t label_quality_groups(const struct label_quality *quality);
uint64_t label_quality_beyond(const struct label_quality *quality);
/* Appends the rows, groups in the order of who, model, segment.  Texts live as long as the quality does, until cleared.
 * settled: the labels hold fraud and honest events as they are mixed; else nothing is said of calibration.  A segment's is
 * judged where that of all events is not broken already: one alert, not one a segment. */
void label_quality_rows(struct label_quality *quality, int64_t start_ms, int64_t end_ms, bool settled, struct report_list *rows);
void label_quality_clear(struct label_quality *quality);
