#include "consumer/output.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "consumer/deployment.h"
#include "monitor/report.h"
#include "monitor/segment_text.h"

static void put_text(struct buffer *out, struct bytes text)
{
    put_bytes(out, text.data, text.size);
}

static void put_segments(struct buffer *out, const struct config *config, const struct value *values)
{
    int64_t n = 0;
    for (size_t i = 0; i < config->monitor.segment_count; i++)
        n += segment_has_text(&values[config->segment_slots[i]]);
    if (n) {
        put_long(out, n);
        for (size_t i = 0; i < config->monitor.segment_count; i++) {
            const struct value *value = &values[config->segment_slots[i]];
            if (!segment_has_text(value))
                continue;
            char small[SEGMENT_SMALL];
            const char *text;
            uint32_t size = segment_text(value, small, &text);
            put_string(out, config->monitor.segments[i]);
            put_bytes(out, text, size);
        }
    }
    put_long(out, 0);
}

/* The `top` largest contributions by absolute size, ties by column. */
static void put_reasons(struct buffer *out, const struct output_context *context, const struct batch *batch, size_t e)
{
    const struct feature_spec *spec = context->config->spec;
    const float *c = batch_contributions(batch, e, spec->count);
    if (c) {
        size_t top = (size_t)batch->deployments[e]->settings.reasons_top;
        size_t best[32];
        size_t n = 0;
        for (size_t f = 0; f < spec->count; f++) {
            size_t at = n;
            while (at > 0 && fabsf(c[f]) > fabsf(c[best[at - 1]]))
                at--;
            if (at >= top)
                continue;
            size_t last = n < top ? n++ : top - 1;
            for (; last > at; last--)
                best[last] = best[last - 1];
            best[at] = f;
        }
        if (n)
            put_long(out, (int64_t)n);
        for (size_t i = 0; i < n; i++) {
            put_string(out, spec->features[best[i]].name);
            put_float(out, c[best[i]]);
        }
    }
    put_long(out, 0);
}

void encode_prediction(struct buffer *out, const struct output_context *context, const struct batch *batch, size_t e)
{
    static const uint8_t no_hash[32];
    const struct config *config = context->config;
    const struct event *event = &batch->events[e];
    const struct served *served = &batch->served[e];
    const struct record *record = &batch->records[batch->record_of[e]];
    const struct deployed_model *model = batch->answered[e];
    put_text(out, event->id);
    put_text(out, event->entity);
    put_long(out, event->time_ms);
    put_float(out, served->score);
    put_float(out, served->margin);
    put_long(out, served->decision);
    put_long(out, served->confidence);
    put_long(out, served->role);
    put_string(out, model ? model->id : "fallback");
    put_bytes_raw(out, model ? model->sha256 : no_hash, 32);
    put_bytes_raw(out, context->feature_spec_sha256, 32);
    if (config->spec->count) {
        put_long(out, (int64_t)config->spec->count);
        put_bytes_raw(out, batch->rows + e * config->spec->count, config->spec->count * sizeof(float));
    }
    put_long(out, 0);
    put_bool(out, batch->outcomes[e].window_complete);
    put_long(out, batch->outcomes[e].late_ms);
    put_reasons(out, context, batch, e);
    const struct value *value = config->value_slot >= 0 ? &event->values[config->value_slot] : NULL;
    bool has_value = value && value->type == VALUE_INT;
    put_long(out, has_value);
    if (has_value)
        put_long(out, value->integer);
    put_segments(out, config, event->values);
    put_long(out, record->partition);
    put_long(out, record->offset);
    put_long(out, batch->schema_ids[batch->record_of[e]]);
}

void encode_shadow(struct buffer *out, const struct output_context *context, const struct batch *batch, size_t e, size_t shadow)
{
    const struct event *event = &batch->events[e];
    const struct served *served = &batch->served[e];
    const struct record *record = &batch->records[batch->record_of[e]];
    const struct deployed_model *model = &batch->deployments[e]->shadows[shadow];
    float score = batch->shadow_scores[shadow * BATCH_MAX + e];
    put_text(out, event->id);
    put_text(out, event->entity);
    put_long(out, event->time_ms);
    put_string(out, model->id);
    put_bytes_raw(out, model->sha256, 32);
    put_float(out, score);
    put_float(out, batch->shadow_margins[shadow * BATCH_MAX + e]);
    put_long(out, decide(model->thresholds, score));
    put_string(out, batch->answered[e] ? batch->answered[e]->id : "fallback");
    put_float(out, served->score);
    put_long(out, served->decision);
    put_segments(out, context->config, event->values);
    put_bool(out, batch->outcomes[e].window_complete);
    put_long(out, record->partition);
    put_long(out, record->offset);
}

static void put_optional(struct buffer *out, const void *data, size_t size)
{
    put_long(out, data != NULL);
    if (data)
        put_bytes(out, data, size);
}

static void put_optional_double(struct buffer *out, double v)
{
    put_long(out, !isnan(v));
    if (!isnan(v))
        put_double(out, v);
}

void encode_dead_letter(struct buffer *out, const struct record *record, const struct verdict *verdict)
{
    char message[512];
    verdict_message(verdict, message, sizeof message);
    put_long(out, record->partition);
    put_long(out, record->offset);
    put_string(out, reject_name(verdict->reason));
    put_optional(out, verdict->field, verdict->field ? strlen(verdict->field) : 0);
    put_string(out, message);
    put_optional(out, record->key, record->key_size);
    put_optional(out, record->value, record->value_size);
}

void encode_report(struct buffer *out, const struct report *report)
{
    put_long(out, report->kind);
    put_long(out, report->window_start_ms);
    put_long(out, report->window_end_ms);
    put_optional(out, report->model_id, report->model_id ? strlen(report->model_id) : 0);
    put_string(out, report->subject);
    put_string(out, report->statistic);
    put_double(out, report->value);
    put_optional_double(out, report->threshold);
    put_optional_double(out, report->p_value);
    put_long(out, report->count);
    put_long(out, report->severity);
    size_t detail = report->detail ? strlen(report->detail) : 0;
    put_optional(out, detail ? report->detail : NULL, detail);
}
