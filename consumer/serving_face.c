#include "consumer/serving_face.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/exposition.h"

void serving_face_init(struct serving_face *face, size_t columns)
{
    *face = (struct serving_face){.columns = columns, .out_of_range = calloc(columns + 1, sizeof(int64_t))};
    assert(face->out_of_range);
}

void serving_face_finish(struct serving_face *face)
{
    free(face->out_of_range);
    face->out_of_range = NULL;
}

void serving_face_take(struct serving_face *face, const struct scorer *scorer)
{
    const struct scorer_counts *counts = scorer_counts(scorer);
    const struct deployment *d = scorer_deployment(scorer);
    face->shadow_count = d ? d->shadow_count : 0;
    for (size_t i = 0; i < face->shadow_count; i++)
        snprintf(face->shadows[i], sizeof face->shadows[i], "%s", d->shadows[i].id);
    face->counts = *counts;
    face->counts.out_of_range = NULL;
    memcpy(face->out_of_range, counts->out_of_range, face->columns * sizeof *face->out_of_range);
    face->breaker_count = 0;
}

struct adding {
    struct serving_face *face;
    int32_t partition;
};

static void add_breaker(void *context, const char *model_id, enum breaker_state state)
{
    struct adding *a = context;
    if (a->face->breaker_count == OPEN_BREAKERS_MAX)
        return;
    struct open_breaker *b = &a->face->breakers[a->face->breaker_count++];
    *b = (struct open_breaker){.partition = a->partition, .state = state};
    snprintf(b->model_id, sizeof b->model_id, "%s", model_id);
}

void serving_face_add_partition(struct serving_face *face, const struct partition_state *state)
{
    int64_t now_ms = windows_stream_time(state->windows);
    if (now_ms != TIME_UNKNOWN)
        serving_breakers(state->serving, now_ms, add_breaker, &(struct adding){face, state->id});
}

/* By id: while a swap is under way lanes may have different shadows. */
static void merge_shadows(struct serving_face *into, const struct serving_face *from)
{
    for (size_t i = 0; i < from->shadow_count; i++) {
        size_t at = 0;
        while (at < into->shadow_count && strcmp(into->shadows[at], from->shadows[i]))
            at++;
        if (at == SHADOWS_MAX)
            continue;
        if (at == into->shadow_count)
            memcpy(into->shadows[into->shadow_count++], from->shadows[i], sizeof from->shadows[i]);
        into->counts.scoring_ns[1 + at] += from->counts.scoring_ns[1 + i];
        into->counts.scored[1 + at] += from->counts.scored[1 + i];
    }
}

void serving_face_merge(struct serving_face *into, const struct serving_face *from)
{
    for (int i = 0; i < FALLBACK_REASONS; i++)
        into->counts.fallbacks[i] += from->counts.fallbacks[i];
    into->counts.missing_degraded += from->counts.missing_degraded;
    into->counts.shadow_errors += from->counts.shadow_errors;
    into->counts.shadow_circuit_open += from->counts.shadow_circuit_open;
    into->counts.swaps += from->counts.swaps;
    into->counts.scoring_ns[0] += from->counts.scoring_ns[0];
    into->counts.scored[0] += from->counts.scored[0];
    merge_shadows(into, from);
    for (size_t i = 0; i < into->columns; i++)
        into->out_of_range[i] += from->out_of_range[i];
    for (size_t i = 0; i < from->breaker_count && into->breaker_count < OPEN_BREAKERS_MAX; i++)
        into->breakers[into->breaker_count++] = from->breakers[i];
}

static void counter(struct text_buffer *text, const char *name, const char *help, int64_t value)
{
    exposition_family(text, name, EXPOSITION_COUNTER, help);
    exposition_sample_integer(text, name, NULL, 0, value);
}

static void expose_times(const struct serving_face *face, struct text_buffer *text)
{
    exposition_family(text, "weir_scoring_seconds_total", EXPOSITION_COUNTER, "CPU time spent scoring, by the models that serve and by each shadow.");
    for (size_t i = 0; i <= face->shadow_count; i++)
        exposition_sample(text, "weir_scoring_seconds_total", &(struct label){"model", i ? face->shadows[i - 1] : "serving"}, 1, (double)face->counts.scoring_ns[i] / 1e9);
    exposition_family(text, "weir_scored_rows_total", EXPOSITION_COUNTER, "Vectors scored, likewise.");
    for (size_t i = 0; i <= face->shadow_count; i++)
        exposition_sample_integer(text, "weir_scored_rows_total", &(struct label){"model", i ? face->shadows[i - 1] : "serving"}, 1, face->counts.scored[i]);
}

void serving_face_expose(const struct serving_face *face, const struct feature_spec *spec, struct text_buffer *text)
{
    exposition_family(text, "weir_fallbacks_total", EXPOSITION_COUNTER, "Events that their own model did not answer, by reason.");
    for (int i = 0; i < FALLBACK_REASONS; i++)
        exposition_sample_integer(text, "weir_fallbacks_total", &(struct label){"reason", fallback_reason_name((enum fallback_reason)i)}, 1, face->counts.fallbacks[i]);
    exposition_family(text, "weir_breakers_open", EXPOSITION_GAUGE, "Circuit breakers of models that are not closed, over all partitions.");
    exposition_sample_integer(text, "weir_breakers_open", NULL, 0, (int64_t)face->breaker_count);
    counter(text, "weir_missing_features_total", "Vectors with more missing values than models.max_missing_features.", face->counts.missing_degraded);
    exposition_family(text, "ml_feature_out_of_range_total", EXPOSITION_COUNTER, "Events in which a feature was outside its range.");
    for (size_t i = 0; i < face->columns; i++)
        exposition_sample_integer(text, "ml_feature_out_of_range_total", &(struct label){"feature", spec->features[i].name}, 1, face->out_of_range[i]);
    counter(text, "weir_shadow_errors_total", "Scores that a shadow could not give.", face->counts.shadow_errors);
    counter(text, "weir_shadow_circuit_open_total", "Shadow scores not asked for, the shadow's breaker being open.", face->counts.shadow_circuit_open);
    expose_times(face, text);
    counter(text, "weir_deployment_swaps_total", "Deployments that came into force, each partition for itself.", face->counts.swaps);
}

void serving_face_status(const struct serving_face *face, struct text_buffer *text)
{
    text_add(text, "\"breakers\": [");
    for (size_t i = 0; i < face->breaker_count; i++) {
        text_add(text, "%s{\"partition\": %d, \"model\": ", i ? ", " : "", face->breakers[i].partition);
        text_add_json_string(text, face->breakers[i].model_id);
        text_add(text, ", \"state\": \"%s\"}", breaker_state_name(face->breakers[i].state));
    }
    text_add(text, "]");
}
