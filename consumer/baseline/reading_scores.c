/* Scores, decisions and calibration. */
#include "consumer/baseline/reading.h"

#include <string.h>

static int read_score(struct reading *r, json_t *object, struct baseline_column *score, bool *has_score)
{
    if (reading_absent(object))
        return 0;
    if (!json_is_object(object))
        return reading_refuse(r, "`score` must be a column or null");
    size_t before = strlen(r->within);
    strcat(r->within, "score: ");
    int result = reading_column(r, object, score);
    reading_leave(r, before);
    *has_score = true;
    return result < 0 || (score->name = strdup("score")) ? result : reading_memory_is_short(r);
}

static int read_calibration_bins(const struct reading *r, json_t *object, const char *key, struct baseline_calibration_bin bins[10])
{
    size_t n;
    if (reading_list(r, object, key, 10, &n) < 0)
        return -1;
    if (n != 10)
        return reading_refuse(r, "calibration: `%s` must be a list of 10 bins", key);
    for (size_t i = 0; i < n; i++) {
        json_t *bin = json_array_get(json_object_get(object, key), i);
        if (reading_known_keys(r, bin, KEYS("count", "positives", "mean_score")) < 0 || reading_count(r, bin, "count", &bins[i].count) < 0 ||
            reading_count(r, bin, "positives", &bins[i].positives) < 0 || reading_number(r, bin, "mean_score", &bins[i].mean_score) < 0)
            return -1;
        if (bins[i].positives > bins[i].count || !(bins[i].mean_score >= 0 && bins[i].mean_score <= 1))
            return reading_refuse(r, "calibration: `%s`, entry %zu: more positives than events, or a mean score outside 0..1", key, i + 1);
    }
    return 0;
}

static int check_calibration_sums(const struct reading *r, const struct baseline_calibration *c)
{
    int64_t counts[2] = {0}, positives[2] = {0};
    for (size_t i = 0; i < 10; i++) {
        counts[0] += c->equal[i].count;
        counts[1] += c->decile[i].count;
        positives[0] += c->equal[i].positives;
        positives[1] += c->decile[i].positives;
    }
    for (size_t k = 0; k < 2; k++)
        if (counts[k] != c->labels || positives[k] != c->positives)
            return reading_refuse(r, "calibration: `%s` does not add up to `labels` and `positives`", k ? "decile" : "equal");
    return 0;
}

static int read_calibration(const struct reading *r, json_t *object, struct baseline_outcome *outcome)
{
    struct baseline_calibration *c = &outcome->calibration;
    if (reading_absent(object))
        return 0;
    if (!json_is_object(object))
        return reading_refuse(r, "`calibration` must be an object or null");
    outcome->has_calibration = true;
    if (reading_known_keys(r, object, KEYS("labels", "positives", "auc", "average_precision", "brier", "ece", "ece_decile", "equal", "decile")) < 0 ||
        reading_count(r, object, "labels", &c->labels) < 0 || reading_count(r, object, "positives", &c->positives) < 0 ||
        reading_share(r, object, "auc", &c->auc) < 0 || reading_share(r, object, "average_precision", &c->average_precision) < 0 ||
        reading_share(r, object, "brier", &c->brier) < 0 || reading_share(r, object, "ece", &c->ece) < 0 ||
        reading_share(r, object, "ece_decile", &c->ece_decile) < 0 || read_calibration_bins(r, object, "equal", c->equal) < 0 ||
        read_calibration_bins(r, object, "decile", c->decile) < 0)
        return -1;
    return check_calibration_sums(r, c);
}

static int read_decisions(const struct reading *r, json_t *object, int64_t decisions[DECISION_COUNT])
{
    if (!json_is_object(object))
        return reading_refuse(r, "`decisions` must be an object");
    if (reading_known_keys(r, object, KEYS(decision_name(DECISION_APPROVE), decision_name(DECISION_REVIEW), decision_name(DECISION_DECLINE))) < 0)
        return -1;
    for (enum decision d = 0; d < DECISION_COUNT; d++)
        if (reading_count(r, object, decision_name(d), &decisions[d]) < 0)
            return -1;
    return 0;
}

static int read_outcome(struct reading *r, json_t *object, bool has_score, struct baseline_outcome *outcome)
{
    if (reading_absent(object) && !has_score)
        return 0;
    if (!json_is_object(object) || !has_score)
        return reading_refuse(r, "`outcome` must be an object where there is a `score`, else null");
    size_t before = strlen(r->within);
    strcat(r->within, "outcome: ");
    int result = reading_known_keys(r, object, KEYS("decisions", "hours", "uncertain", "calibration"));
    if (result == 0)
        result = read_decisions(r, json_object_get(object, "decisions"), outcome->decisions);
    if (result == 0)
        result = reading_hours(r, object, "hours", outcome->decisions, DECISION_COUNT, &outcome->decision_hours);
    if (result == 0)
        result = reading_count(r, object, "uncertain", &outcome->uncertain);
    if (result == 0)
        result = read_calibration(r, json_object_get(object, "calibration"), outcome);
    reading_leave(r, before);
    return result;
}

int reading_scores(struct reading *r, json_t *object, struct baseline_column *score, bool *has_score, struct baseline_outcome *outcome)
{
    if (read_score(r, json_object_get(object, "score"), score, has_score) < 0)
        return -1;
    return read_outcome(r, json_object_get(object, "outcome"), *has_score, outcome);
}
