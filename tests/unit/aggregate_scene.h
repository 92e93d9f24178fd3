/* For tests of the aggregate: events of several partitions, committed delta by delta, and the rows of the last commit.
 * Windows are 60 s, lateness 10 s: [0, 60) closes when every partition has T >= 70 s, or the largest T is >= 130 s. */
#pragma once
#include "monitor/aggregate.h"
#include "tests/unit/monitor_scene.h"

enum { S = 1000, START = 1000, MERGED = 2000 /* s, of the clock: when it was made, when deltas are merged */ };

struct fixture {
    struct baseline *baseline;
    struct sketch_shape *shape;
    struct aggregate *aggregate;
    struct sketch *delta;
    struct report_list reports;
    int64_t offset[8];
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->baseline = scene_baseline();
    f->shape = scene_shape(f->baseline, 20);
    f->aggregate = aggregate_create(&(struct aggregate_options){.shape = f->shape, .topic = "transactions"}, START * S);
    f->delta = sketch_create(f->shape);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    report_list_finish(&f->reports);
    sketch_destroy(f->delta);
    aggregate_destroy(f->aggregate);
    sketch_shape_destroy(f->shape);
    baseline_destroy(f->baseline);
    free(f);
    return 0;
}

/* Into the open delta. */
static inline void event(struct fixture *f, int32_t partition, int64_t seconds, int64_t late_seconds)
{
    scene_add(f->delta, (struct scene_event){.partition = partition, .offset = f->offset[partition]++, .time_ms = seconds * S,
                            .late_ms = late_seconds * S, .amount = 5, .score = 0.01f});
}

/* The delta is committed; only the rows of this commit are kept. */
static inline void commit(struct fixture *f)
{
    f->reports.count = 0;
    aggregate_merge(f->aggregate, f->delta, MERGED * S, &f->reports);
    sketch_reset(f->delta);
}

static inline void commit_event(struct fixture *f, int32_t partition, int64_t seconds)
{
    event(f, partition, seconds, 0);
    commit(f);
}

static inline const struct report *find(const struct fixture *f, int64_t window_s, const char *subject, const char *statistic)
{
    const struct report *found = NULL;
    for (size_t i = 0; i < f->reports.count; i++) {
        const struct report *r = &f->reports.rows[i];
        if (r->window_start_ms == window_s * S && !strcmp(r->subject, subject) && !strcmp(r->statistic, statistic) &&
            (!r->model_id || !strcmp(r->model_id, "champion"))) {
            assert_null(found);
            found = r;
        }
    }
    return found;
}

static inline const struct report *row_of(const struct fixture *f, int64_t window_s, const char *subject, const char *statistic)
{
    const struct report *r = find(f, window_s, subject, statistic);
    if (!r)
        fail_msg("no row %s %s of the window at %d s", subject, statistic, (int)window_s);
    return r;
}

/* "0 60r1": the windows written by the last commit, in order, with their revisions. */
static inline const char *published(const struct fixture *f)
{
    static char text[4096];
    text[0] = 0;
    for (size_t i = 0; i < f->reports.count; i++) {
        const struct report *r = &f->reports.rows[i];
        if (strcmp(r->statistic, "records") != 0)
            continue;
        int revision = 0;
        if (*r->detail)
            assert_int_equal(sscanf(r->detail, "{\"revision\": %d}", &revision), 1);
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, revision ? "%s%ldr%d" : "%s%ld", n ? " " : "", (long)(r->window_start_ms / S), revision);
    }
    return text;
}
