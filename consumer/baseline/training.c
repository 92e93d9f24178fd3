#include "consumer/baseline/training.h"

#include <string.h>

#include "consumer/baseline/codes.h"
#include "consumer/baseline/scoring.h"
#include "consumer/hash.h"
#include "monitor/cardinality.h"

/* The first row that lies at least the longest window after the first one; set->rows if there is none. */
static size_t first_of(const struct training_set *set, const struct feature_spec *spec)
{
    size_t i = 0;
    while (i < set->rows && set->time_ms[i] - set->time_ms[0] < spec->longest_window_ms)
        i++;
    return i;
}

static int add_rows(struct baseline_builder *b, const struct training_set *set, size_t from, struct err *err)
{
    for (size_t i = from; i < set->rows; i++) {
        struct baseline_event e = {.time_ms = set->time_ms[i], .id_hash = cardinality_hash_integer((int64_t)i), .row = set->values + i * set->columns, .label = set->labels[i]};
        if (baseline_builder_add(b, &e) < 0)
            return err_set(err, "memory is short for the baseline");
    }
    return 0;
}

static int make(struct baseline_builder *b, const struct training_set *set, size_t from, size_t learned, const void *model, size_t size,
                struct thresholds thresholds, struct baseline **out, struct err *err)
{
    int64_t scored_from_ms = learned < set->rows ? set->time_ms[learned] : INT64_MIN;
    if (add_rows(b, set, from, err) < 0 ||
        baseline_score(b, model, size, (const char *const *)set->names, set->columns, thresholds, scored_from_ms, err) < 0)
        return -1;
    struct baseline *baseline = baseline_builder_finish(b);
    if (!baseline)
        return err_set(err, "memory is short for the baseline");
    if (baseline_explain(baseline, b, model, size, err) < 0) {
        baseline_destroy(baseline);
        return -1;
    }
    *out = baseline;
    return 0;
}

int training_baseline(const struct training_set *set, size_t learned, const struct feature_spec *spec, const void *model, size_t size,
                      const char *model_id, struct thresholds thresholds, struct baseline **out, struct err *err)
{
    uint8_t digest[32];
    size_t from = first_of(set, spec);
    if (from == set->rows)
        return 1;
    sha256(spec->canonical, strlen(spec->canonical), digest);
    struct baseline_codes *codes = codes_create(spec);
    struct baseline_builder *b = codes ? baseline_builder_create(&(struct baseline_builder_options){.feature_spec_sha256 = digest, .model_id = model_id,
        .feature_count = set->columns, .features = (const char *const *)set->names, .codes = codes, .timed = true}) : NULL;
    int status = b ? make(b, set, from, learned, model, size, thresholds, out, err) : err_set(err, "memory is short for the baseline");
    baseline_builder_destroy(b);
    codes_destroy(codes, spec->count);
    return status;
}
