#include "consumer/overview.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "consumer/clock.h"
#include "consumer/hash.h"

enum { PARTITIONS_MAX = 4096 };

static void add_text(struct text_buffer *text, const char *name, const char *value)
{
    text_add(text, ", \"%s\": ", name);
    text_add_json_string(text, value);
}

static void add_known(struct text_buffer *text, const char *name, bool known, int64_t value)
{
    if (known)
        text_add(text, ", \"%s\": %" PRId64, name, value);
    else
        text_add(text, ", \"%s\": null", name);
}

static void add_number(struct text_buffer *text, const char *name, double value)
{
    text_add(text, ", \"%s\": ", name);
    text_add_json_number(text, value);
}

static void add_partition(struct text_buffer *text, const struct lane_partition_status *p, const char *state, bool first)
{
    bool restoring = p->restore_to > p->restore_from;
    text_add(text, "%s{\"partition\": %d", first ? "" : ",\n  ", p->partition);
    add_text(text, "state", restoring ? "rebuilding" : state);
    add_number(text, "progress", restoring ? (double)(p->position - p->restore_from) / (double)(p->restore_to - p->restore_from) : NAN);
    add_known(text, "position", p->position >= 0, p->position);
    add_known(text, "lag", p->end_offset >= 0, p->end_offset > p->position ? p->end_offset - p->position : 0);
    add_known(text, "stream_time_ms", p->stream_time_ms != TIME_UNKNOWN, p->stream_time_ms);
    text_add(text, "}");
}

static void add_partitions(const struct overview *o, struct text_buffer *text)
{
    struct lane_partition_status *p = calloc(PARTITIONS_MAX, sizeof *p);
    size_t shown = 0;
    assert(p);
    text_add(text, ",\n \"partitions\": [");
    for (size_t i = 0; i < o->lane_count; i++) {
        size_t count = lane_partitions(o->lanes[i], p, PARTITIONS_MAX);
        for (size_t k = 0; k < count; k++)
            add_partition(text, &p[k], lane_state(o->lanes[i]), !shown++);
    }
    text_add(text, "]");
    free(p);
}

static void add_totals(const struct overview *o, struct text_buffer *text)
{
    const struct metrics *m = o->metrics;
    int64_t decisions[DECISION_COUNT] = {0};
    for (size_t model = 0; model < sketch_models(m->shape); model++)
        for (int d = 0; d < DECISION_COUNT; d++)
            decisions[d] += sketch_model_of(m->shape, model).shadow ? 0 : m->decisions[model * DECISION_COUNT + (size_t)d];
    text_add(text, ",\n \"totals\": {\"records\": %" PRId64 ", \"decisions\": {", m->records + m->beyond);
    for (int d = 0; d < DECISION_COUNT; d++)
        text_add(text, "%s\"%s\": %" PRId64, d ? ", " : "", decision_name((enum decision)d), decisions[d]);
    text_add(text, "}, \"rejects\": {");
    for (int r = 1; r < REJECT_REASON_COUNT; r++)
        text_add(text, "%s\"%s\": %" PRId64, r > 1 ? ", " : "", reject_name((enum reject_reason)r), m->dead_letters[r]);
    text_add(text, "}}, \"entities\": %" PRId64 ", \"latency\": {\"p50\": ", m->entities);
    text_add_json_number(text, histogram_quantile(&m->latency_seconds, 0.5));
    add_number(text, "p99", histogram_quantile(&m->latency_seconds, 0.99));
    text_add(text, "}");
}

static void add_model(struct text_buffer *text, const char *role, const struct deployed_model *model, bool first)
{
    char hex[65];
    if (!model->id)
        return;
    sha256_hex(model->sha256, hex);
    text_add(text, "%s{\"role\": \"%s\"", first ? "" : ",\n  ", role);
    add_text(text, "id", model->id);
    add_text(text, "sha256", hex);
    add_text(text, "engine", model_engine(model->model));
    text_add(text, "}");
}

static void add_models(const struct overview *o, struct text_buffer *text)
{
    struct deployment *d = lane_deployment(o->lanes[0]);
    text_add(text, ",\n \"models\": [");
    add_model(text, "champion", &d->champion, true);
    add_model(text, "canary", &d->canary, false);
    add_model(text, "fallback", &d->fallback, false);
    for (size_t i = 0; i < d->shadow_count; i++)
        add_model(text, "shadow", &d->shadows[i], false);
    text_add(text, "]");
    deployment_release(d);
}

void overview_write(const struct overview *o, struct text_buffer *text)
{
    text_add(text, "{\"app_id\": ");
    text_add_json_string(text, o->config->app_id);
    add_text(text, "instance", o->instance);
    add_text(text, "version", WEIR_VERSION);
    add_text(text, "state", lane_state(o->lanes[0]));
    text_add(text, ", \"ready\": %s, \"now_ms\": %" PRId64, o->ready ? "true" : "false", clock_wall_ms());
    add_partitions(o, text);
    add_totals(o, text);
    add_models(o, text);
    text_add(text, ",\n \"monitoring\": \"%s\",\n ", o->view ? "here" : "elsewhere");
    if (o->view)
        window_view_show(o->view, text);
    else
        text_add(text, "\"window\": null, \"features\": [], \"shadows\": []");
    text_add(text, ",\n \"alerts\": ");
    if (o->alerting)
        alerting_show(o->alerting, text);
    else
        text_add(text, "[]");
    text_add(text, "}\n");
}
