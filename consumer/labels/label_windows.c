#include "consumer/labels/label_windows.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *label_fate_name(enum label_fate fate)
{
    static const char *const names[LABEL_FATE_COUNT] = {
        [LABEL_MATCHED] = "labels_matched", [LABEL_CHANGED] = "labels_changed", [LABEL_REPEATED] = "labels_repeated", [LABEL_LATE] = "labels_beyond_horizon",
        [LABEL_UNMATCHED] = "labels_unmatched", [LABEL_UNSAMPLED] = "labels_unsampled", [FATE_WINDOW_CLOSED] = "labels_late", [FATE_BAD] = "labels_bad"};
    return names[fate];
}

void label_windows_init(struct label_windows *w, int64_t length_ms, int64_t lateness_ms, int64_t closed_until_ms, size_t partitions)
{
    *w = (struct label_windows){.length_ms = length_ms, .lateness_ms = lateness_ms, .closed_until_ms = closed_until_ms, .honest_since_ms = INT64_MAX, .partitions = partitions};
}

void label_windows_note_honest(struct label_windows *w, int64_t reported_ms)
{
    if (reported_ms < w->honest_since_ms)
        w->honest_since_ms = reported_ms;
}

bool label_window_settled(const struct label_windows *w, const struct label_window *window)
{
    return w->honest_since_ms < window->start_ms;
}

static void free_window(struct label_window *window)
{
    label_quality_destroy(window->quality);
    free(window->first);
}

void label_windows_finish(struct label_windows *w)
{
    for (size_t i = 0; i < w->count; i++)
        free_window(&w->open[i]);
    w->count = 0;
}

static struct label_window *open_window(struct label_windows *w, size_t place, int64_t start_ms)
{
    memmove(w->open + place + 1, w->open + place, (w->count++ - place) * sizeof *w->open);
    struct label_window *window = &w->open[place];
    *window = (struct label_window){.start_ms = start_ms, .end_ms = start_ms + w->length_ms,
        .quality = label_quality_create(w->models, LABEL_MODELS_ALL, w->thresholds, w->deciles), .first = malloc((w->partitions + 1) * sizeof *window->first)};
    assert(window->quality && window->first && "memory is short");
    for (size_t i = 0; i < w->partitions; i++)
        window->first[i] = INT64_MAX;
    return window;
}

struct label_window *label_windows_at(struct label_windows *w, int64_t reported_ms, bool *full)
{
    int64_t start_ms = reported_ms - reported_ms % w->length_ms;
    size_t place = 0;
    *full = false;
    if (reported_ms < w->closed_until_ms)
        return NULL;
    while (place < w->count && w->open[place].start_ms < start_ms)
        place++;
    if (place < w->count && w->open[place].start_ms == start_ms)
        return &w->open[place];
    if (w->count == LABEL_WINDOWS_OPEN) {
        *full = true;
        return NULL;
    }
    return open_window(w, place, start_ms);
}

/* ---- what a label says ---- */

static void count(struct label_window *window, const struct segments *segments, uint16_t number, enum label_who who, size_t model, const struct labelled *event)
{
    char subject[SEGMENT_TEXT_MAX + 1];
    label_quality_add(window->quality, who, model, "", event);
    for (size_t i = 0; i < segments_fields(segments); i++)
        if (segments_subject(segments, number, i, subject))
            label_quality_add(window->quality, who, model, subject, event);
}

void label_window_judge(struct label_window *window, const struct segments *segments, const struct waiting_prediction *p, size_t shadows, int label)
{
    struct labelled served = {p->score, label, p->value};
    count(window, segments, p->segments, WHO_SERVED, p->model, &served);
    for (size_t i = 0; i < shadows; i++)
        if (!isnan(p->shadows[i])) {
            count(window, segments, p->segments, WHO_SHADOW, LABEL_MODELS_MAX + i, &(struct labelled){p->shadows[i], label, p->value});
            count(window, segments, p->segments, WHO_COUNTERPART, LABEL_MODELS_MAX + i, &served);
        }
}

/* ---- closing ---- */

bool label_windows_due(const struct label_windows *w, const struct label_time *times)
{
    if (!w->count)
        return false;
    int64_t past_ms = w->open[0].end_ms + w->lateness_ms, most = INT64_MIN;
    bool all_past = true, rest_at_end = true;
    for (size_t i = 0; i < w->partitions; i++) {
        most = times[i].time_ms > most ? times[i].time_ms : most;
        if (times[i].time_ms >= past_ms)
            continue;
        rest_at_end = rest_at_end && times[i].at_end;
        all_past = all_past && times[i].time_ms == INT64_MIN && times[i].at_end; /* it has no labels */
    }
    return most >= past_ms && (all_past || (rest_at_end && most >= past_ms + w->length_ms));
}

void label_windows_close_oldest(struct label_windows *w)
{
    assert(w->count);
    w->closed_until_ms = w->open[0].end_ms > w->closed_until_ms ? w->open[0].end_ms : w->closed_until_ms;
    free_window(&w->open[0]);
    memmove(w->open, w->open + 1, --w->count * sizeof *w->open);
    memset(w->pending, 0, sizeof w->pending);
}
