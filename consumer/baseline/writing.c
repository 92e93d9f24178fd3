/* A baseline into JSON.  A value that cannot be made (a name that is not UTF-8, memory) makes its object NULL, and that all
 * that hold it: jansson's packing fails on a NULL, and a list is compared with its length. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline_file.h"
#include "consumer/file.h"

/* A list of n entries, each made by `of`; NULL if one could not be. */
static json_t *list_of(size_t n, json_t *(*of)(const void *context, size_t i), const void *context)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, of(context, i)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *integer_at(const void *counts, size_t i)
{
    return json_integer(((const int64_t *)counts)[i]);
}

static json_t *edge_at(const void *edges, size_t i)
{
    return json_real((double)((const float *)edges)[i]);
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* ---- hours ---- */

static json_t *hour_at(const void *context, size_t hour)
{
    const struct baseline_hours *hours = context;
    const uint32_t *counts = hours->counts + hour * hours->bins;
    char text[BASELINE_CATEGORIES_MAX * 12 + 16];
    size_t size = 0, last = hours->bins;
    if (hours->bins == 1)
        return json_integer(counts[0]);
    while (last > 0 && !counts[last - 1])
        last--;
    for (size_t i = 0; last > 0 && i < hours->bins; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%" PRIu32, i ? " " : "", counts[i]);
    return json_stringn(text, size);
}
_Static_assert(BASELINE_CATEGORIES_MAX + 1 >= BASELINE_FINE, "the text has room for an hour of any histogram");

static json_t *hours_json(const struct baseline_hours *hours)
{
    return hours->counts ? list_of(BASELINE_HOURS, hour_at, hours) : json_null();
}

/* ---- columns ---- */

static json_t *code_at(const void *context, size_t i)
{
    const struct baseline_category *named = &((const struct baseline_categories *)context)->named[i];
    return json_pack("{s:s, s:i, s:I}", "name", named->name, "code", (int)named->code, "count", (json_int_t)named->count);
}

static json_t *text_at(const void *context, size_t i)
{
    const struct baseline_category *named = &((const struct baseline_categories *)context)->named[i];
    return json_pack("{s:s, s:I}", "name", named->name, "count", (json_int_t)named->count);
}

static json_t *categories_json(const struct baseline_categories *categories, bool codes)
{
    return json_pack("{s:o, s:I, s:o}", "named", list_of(categories->count, codes ? code_at : text_at, categories), "other",
                     (json_int_t)categories->other, "hours", hours_json(&categories->hours));
}

static json_t *contribution_json(const struct baseline_column *column)
{
    if (!column->contribution_count)
        return json_null();
    return json_pack("{s:I, s:f, s:f}", "count", (json_int_t)column->contribution_count, "mean", column->contribution, "std", column->contribution_std);
}

static json_t *column_hours_json(const struct baseline_column *column)
{
    if (!column->hours.counts)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "counts", hours_json(&column->hours), "equal", hours_json(&column->equal_hours), "missing",
                     hours_json(&column->missing_hours));
}

static json_t *quartile_at(const void *column, size_t i)
{
    return json_real(baseline_quartile(column, (int)i + 1));
}

static json_t *column_json(const struct baseline_column *c)
{
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", c->name, "count", (json_int_t)c->count, "missing",
                     (json_int_t)c->missing, "min", c->min, "max", c->max, "mean", c->mean, "std", c->std,
                     "quartiles", list_of(c->count ? 3 : 0, quartile_at, c),
                     "edges", list_of(c->count ? BASELINE_EDGES : 0, edge_at, c->edges),
                     "counts", list_of(c->count ? BASELINE_FINE : 0, integer_at, c->counts),
                     "equal", list_of(c->count ? BASELINE_EQUAL : 0, integer_at, c->equal),
                     "gain", number_or_null(c->gain), "contribution", contribution_json(c),
                     "categories", c->categories ? categories_json(c->categories, true) : json_null(), "hours", column_hours_json(c));
}

static json_t *column_at(const void *columns, size_t i)
{
    return column_json(&((const struct baseline_column *)columns)[i]);
}

/* ---- outcome ---- */

static json_t *calibration_bin_at(const void *context, size_t i)
{
    const struct baseline_calibration_bin *bin = &((const struct baseline_calibration_bin *)context)[i];
    return json_pack("{s:I, s:I, s:f}", "count", (json_int_t)bin->count, "positives", (json_int_t)bin->positives, "mean_score", bin->mean_score);
}

static json_t *calibration_json(const struct baseline_calibration *c)
{
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "labels", (json_int_t)c->labels, "positives", (json_int_t)c->positives, "auc",
                     number_or_null(c->auc), "average_precision", number_or_null(c->average_precision), "brier", number_or_null(c->brier),
                     "ece", number_or_null(c->ece), "ece_decile", number_or_null(c->ece_decile), "equal", list_of(10, calibration_bin_at, c->equal),
                     "decile", list_of(10, calibration_bin_at, c->decile));
}

static json_t *outcome_json(const struct baseline_outcome *outcome)
{
    const int64_t *d = outcome->decisions;
    return json_pack("{s:{s:I, s:I, s:I}, s:o, s:I, s:o}", "decisions", decision_name(DECISION_APPROVE), (json_int_t)d[DECISION_APPROVE],
                     decision_name(DECISION_REVIEW), (json_int_t)d[DECISION_REVIEW], decision_name(DECISION_DECLINE), (json_int_t)d[DECISION_DECLINE],
                     "hours", hours_json(&outcome->decision_hours), "uncertain", (json_int_t)outcome->uncertain, "calibration",
                     outcome->has_calibration ? calibration_json(&outcome->calibration) : json_null());
}

/* ---- segments and the whole ---- */

struct parts_of {
    const struct baseline_segment *segment;
    size_t columns;
};

static json_t *part_at(const void *context, size_t i)
{
    const struct parts_of *of = context;
    const struct baseline_part *part = &of->segment->parts[i];
    return json_pack("{s:s, s:I, s:o, s:o, s:o}", "value", part->value, "events", (json_int_t)part->events, "features",
                     list_of(of->columns, column_at, part->features), "score", part->has_score ? column_json(&part->score) : json_null(),
                     "outcome", part->has_score ? outcome_json(&part->outcome) : json_null());
}

static json_t *segment_at(const void *context, size_t i)
{
    const struct baseline *baseline = context;
    const struct baseline_segment *segment = &baseline->segments[i];
    return json_pack("{s:s, s:I, s:o, s:o, s:o}", "field", segment->field, "missing", (json_int_t)segment->missing, "missing_hours",
                     hours_json(&segment->missing_hours), "categories", categories_json(&segment->categories, false),
                     "parts", list_of(segment->part_count, part_at, &(struct parts_of){segment, baseline->count}));
}

static json_t *reject_at(const void *context, size_t i)
{
    const struct baseline_reject *reject = &((const struct baseline *)context)->rejects[i];
    return json_pack("{s:s, s:o, s:I}", "reason", reject->reason, "field", text_or_null(reject->field), "count", (json_int_t)reject->count);
}

static json_t *distinct_at(const void *context, size_t i)
{
    const struct baseline_distinct *d = &((const struct baseline *)context)->distincts[i];
    return json_pack("{s:s, s:I, s:I, s:f}", "field", d->field, "window_ms", (json_int_t)d->window_ms, "windows", (json_int_t)d->windows, "mean", d->mean);
}

static bool has_times(const struct baseline *baseline)
{
    return baseline->from_ms || baseline->to_ms;
}

static json_t *baseline_json(const struct baseline *b)
{
    char hash[65];
    bool times = has_times(b);
    for (size_t i = 0; i < 32; i++)
        snprintf(hash + 2 * i, 3, "%02x", b->feature_spec_sha256[i]);
    return json_pack("{s:s, s:i, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "format", "weir-baseline", "version", BASELINE_FILE_VERSION, "feature_spec_sha256", hash, "model_id", text_or_null(b->model_id),
                     "from_ms", times ? json_integer(b->from_ms) : json_null(), "to_ms", times ? json_integer(b->to_ms) : json_null(),
                     "events", (json_int_t)b->events, "sampled", (json_int_t)b->sampled, "records", (json_int_t)b->records,
                     "rejects", list_of(b->reject_count, reject_at, b),
                     "hour_events", times ? list_of(BASELINE_HOURS, integer_at, b->hour_events) : json_null(),
                     "hour_covered_ms", times ? list_of(BASELINE_HOURS, integer_at, b->hour_covered_ms) : json_null(),
                     "features", list_of(b->count, column_at, b->features), "score", b->has_score ? column_json(&b->score) : json_null(),
                     "outcome", b->has_score ? outcome_json(&b->outcome) : json_null(), "segments", list_of(b->segment_count, segment_at, b),
                     "distinct", list_of(b->distinct_count, distinct_at, b));
}

int baseline_file_write(const char *path, const struct baseline *baseline, struct err *err)
{
    json_t *root = baseline_json(baseline);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    if (!text)
        return err_set(err, "%s: the baseline cannot be written as JSON: a name is not UTF-8, or memory is short", path);
    size_t size = strlen(text);
    int result = size <= BASELINE_FILE_MAX ? file_write(path, text, size, err)
                                           : err_set(err, "%s: the baseline takes %zu bytes, and weir reads at most %d: ask for fewer segments", path, size, BASELINE_FILE_MAX);
    free(text);
    return result;
}
