/* The work of the one process that judges: records of the merge go into the join and the windows, windows that are due go
 * out with their marks. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/labels/labels_state.h"
#include "consumer/log.h"

enum { TURN_RECORDS = 2000, COUNT_AGAIN_MS = 60000 };

/* ---- faults of records ---- */

static const char *const kind_names[JUDGED_KIND_COUNT] = {"prediction", "shadow's prediction", "label"};

static void note_bad(struct label_monitor *l, const struct merged *m)
{
    l->face.bad[m->stream->of.kind]++;
    for (size_t i = 0; i < CAUSES; i++) {
        if (l->causes[i] == m->why)
            return;
        if (!l->causes[i]) {
            l->causes[i] = m->why;
            log_warning("labels: a %s cannot be used: %s (%s, partition %d, offset %" PRId64 "); more of this are only counted", kind_names[m->stream->of.kind], m->why,
                m->stream->of.topic, m->stream->of.partition, m->offset);
            return;
        }
    }
}

/* ---- models by number ---- */

static bool is_name(const char *name, struct bytes text)
{
    return name && strlen(name) == text.size && !memcmp(name, text.data, text.size);
}

/* The place of a name among names[from..to), taken if it is new; `to`: there is no room. */
static size_t place_of(struct work *w, size_t from, size_t to, struct bytes name)
{
    size_t i = from;
    while (i < to && w->names[i] && !is_name(w->names[i], name))
        i++;
    if (i < to && !w->names[i]) {
        w->names[i] = strndup(name.data, name.size);
        assert(w->names[i]);
    }
    return i;
}

/* ---- one record ---- */

static void put_prediction(struct label_monitor *l, const struct judged_record *r)
{
    struct work *w = l->work;
    struct waiting_prediction p = {.time_ms = r->time_ms, .value = r->value, .score = r->score, .segments = segments_number(w->segments, r->segments)};
    for (size_t i = 0; i < LABEL_SHADOWS_MAX; i++)
        p.shadows[i] = NAN;
    p.model = (uint8_t)place_of(w, 0, OTHER_MODEL, r->model);
    int result;
    if (r->kind == JUDGED_PREDICTION) {
        result = label_join_prediction(w->join, r->id_hash, &p);
    } else {
        size_t place = place_of(w, LABEL_MODELS_MAX, LABEL_MODELS_MAX + w->shadows, r->shadow) - LABEL_MODELS_MAX;
        if (place == w->shadows && w->shadows < LABEL_SHADOWS_MAX) {
            l->shadows = w->shadows + 1; /* one more place in each entry: everything is built anew */
            l->stale = true;
            return;
        }
        result = place == w->shadows ? 0 : label_join_shadow(w->join, r->id_hash, place, r->shadow_score, &p);
    }
    if (result < 0 && !l->face.lost++)
        log_warning("labels: memory is short: predictions are left out");
}

static int publish_oldest(struct label_monitor *l, struct err *err);

/* Where its counts belong; -1 if a window had to be published first and could not be. */
static int window_of(struct label_monitor *l, int64_t reported_ms, struct label_window **out, struct err *err)
{
    bool full;
    while (!(*out = label_windows_at(&l->work->windows, reported_ms, &full)) && full)
        if (publish_oldest(l, err) < 0)
            return -1;
    return 0;
}

static void count_stray(struct label_monitor *l, const struct merged *m, enum label_fate fate)
{
    if (m->offset < l->work->marks[m->stream->of.partition].read_until)
        return; /* it was counted before we began */
    l->work->windows.pending[fate]++;
    l->face.fates[fate]++;
}

static int put_label(struct label_monitor *l, const struct merged *m, struct err *err)
{
    struct work *w = l->work;
    const struct judged_record *r = &m->record;
    struct waiting_prediction p;
    struct label_window *window;
    enum label_outcome outcome = label_join_label(w->join, r->id_hash, r->label, r->time_ms, &p);
    bool judged = outcome == LABEL_MATCHED || outcome == LABEL_CHANGED;
    if (judged && r->time_ms - p.time_ms > l->config->monitor.label_horizon_ms) {
        outcome = LABEL_LATE; /* the join keeps predictions for longer: what a label finds does not hang on when it is read */
        judged = false;
    }
    if (judged && !r->label)
        label_windows_note_honest(&w->windows, r->time_ms);
    if (window_of(l, r->time_ms, &window, err) < 0)
        return -1;
    if (!window) {
        count_stray(l, m, FATE_WINDOW_CLOSED);
        return 0;
    }
    window->fates[outcome]++;
    l->face.fates[outcome]++;
    int64_t *first = &window->first[m->stream->of.partition];
    *first = m->offset < *first ? m->offset : *first;
    if (judged)
        label_window_judge(window, w->segments, &p, w->shadows, r->label);
    return 0;
}

static int put(struct label_monitor *l, const struct merged *m, struct err *err)
{
    if (m->answer == RECORD_BAD) {
        note_bad(l, m);
        if (m->stream->of.kind == JUDGED_LABEL)
            count_stray(l, m, FATE_BAD);
        return 0;
    }
    if (m->stream->of.kind == JUDGED_LABEL)
        return put_label(l, m, err);
    put_prediction(l, &m->record);
    return 0;
}

/* ---- a window's end ---- */

static void add_row(struct work *w, const struct config *config, const struct label_window *window, const char *statistic, double value, int64_t count)
{
    struct report *row = report_add(&w->rows);
    row->kind = REPORT_QUALITY;
    row->window_start_ms = window->start_ms;
    row->window_end_ms = window->end_ms;
    row->subject = config->monitor.label_topic;
    row->statistic = statistic;
    row->value = value;
    row->count = count;
}

static void write_rows(struct label_monitor *l, const struct label_window *window)
{
    struct work *w = l->work;
    struct label_join_counts counts = label_join_count(w->join);
    int64_t labels = 0;
    report_list_clear(&w->rows);
    label_quality_rows(window->quality, window->start_ms, window->end_ms, label_window_settled(&w->windows, window), &w->rows);
    for (int fate = 0; fate < LABEL_OUTCOME_COUNT; fate++)
        labels += (int64_t)window->fates[fate];
    for (int fate = 0; fate < LABEL_FATE_COUNT; fate++)
        add_row(w, l->config, window, label_fate_name(fate), (double)(window->fates[fate] + w->windows.pending[fate]), labels);
    add_row(w, l->config, window, "predictions_waiting", (double)counts.waiting, labels);
    add_row(w, l->config, window, "predictions_unlabelled", (double)(counts.unlabelled - w->unlabelled), labels);
    add_row(w, l->config, window, "sampled_share", counts.sampled_share, labels);
    add_row(w, l->config, window, "groups_beyond", (double)label_quality_beyond(window->quality), labels);
    w->unlabelled = counts.unlabelled;
}

/* The label partitions are the last streams of the merge, in order. */
static const struct merge_stream *label_stream(const struct work *w, size_t partition)
{
    return merge_stream(w->merge, w->partitions[JUDGED_PREDICTION] + w->partitions[JUDGED_SHADOW] + partition);
}

/* As the marks will be once the oldest window is published.  The record at hand does not count as read. */
static void next_marks(const struct work *w, struct label_mark *marks)
{
    for (size_t i = 0; i < w->partitions[JUDGED_LABEL]; i++) {
        int64_t position = label_stream(w, i)->position;
        marks[i].closed_until_ms = w->windows.open[0].end_ms > w->windows.closed_until_ms ? w->windows.open[0].end_ms : w->windows.closed_until_ms;
        marks[i].read_until = position > w->marks[i].read_until ? position : w->marks[i].read_until;
        marks[i].offset = position;
        for (size_t k = 1; k < w->windows.count; k++)
            if (w->windows.open[k].first[i] < marks[i].offset)
                marks[i].offset = w->windows.open[k].first[i];
    }
}

static int publish_oldest(struct label_monitor *l, struct err *err)
{
    struct work *w = l->work;
    const struct label_window *window = &w->windows.open[0];
    size_t partitions = w->partitions[JUDGED_LABEL];
    struct label_mark *marks = calloc(partitions, sizeof *marks);
    assert(marks);
    write_rows(l, window);
    next_marks(w, marks);
    int result = publication_commit(w->publication, l->member, &w->rows, marks, partitions, err);
    if (result == 0) {
        log_info("labels: window of %" PRId64 " s to %" PRId64 " published, %zu rows", window->start_ms / 1000, window->end_ms / 1000, w->rows.count);
        memcpy(w->marks, marks, partitions * sizeof *marks);
        label_windows_close_oldest(&w->windows);
        l->face.windows++;
    }
    free(marks);
    return result;
}

static int publish_due(struct label_monitor *l, struct err *err)
{
    struct work *w = l->work;
    for (size_t i = 0; i < w->partitions[JUDGED_LABEL]; i++)
        w->times[i] = (struct label_time){label_stream(w, i)->time_ms, label_stream(w, i)->at_end};
    int result = 0;
    while (result == 0 && label_windows_due(&w->windows, w->times))
        result = publish_oldest(l, err);
    return result;
}

/* ---- beginning ---- */

static int count_partitions(struct label_monitor *l, size_t counts[JUDGED_KIND_COUNT], struct err *err)
{
    const char *const names[JUDGED_KIND_COUNT] = {l->config->outputs.predictions, l->config->models.shadow_count ? l->config->outputs.shadows : NULL, l->config->monitor.label_topic};
    for (int kind = 0; kind < JUDGED_KIND_COUNT; kind++) {
        int32_t count = 0;
        if (names[kind] && topic_partitions((struct cluster){l->member, l->told, WORKER_PATIENCE_MS}, names[kind], &count, err) < 0)
            return -1;
        counts[kind] = (size_t)count;
    }
    return 0;
}

static int64_t latest_mark(const struct work *w)
{
    int64_t latest = INT64_MIN;
    for (size_t i = 0; i < w->partitions[JUDGED_LABEL]; i++)
        latest = w->marks[i].closed_until_ms > latest ? w->marks[i].closed_until_ms : latest;
    return latest;
}

/* Where to begin: the horizon before the mark, and what open windows need; without a mark where somebody has set the
 * group's offset, or at the log's begin. */
static int find_start(struct label_monitor *l, struct merge_partition *p, struct err *err)
{
    const struct work *w = l->work;
    int64_t mark = latest_mark(w), needed = p->kind == JUDGED_LABEL ? w->marks[p->partition].offset : -1, first, end;
    if (offsets_bounds(l->member, l->told, p->topic, p->partition, &first, &end, err) < 0)
        return -1;
    if (mark == INT64_MIN) {
        p->from = needed > first ? needed : first;
        return 0;
    }
    int64_t back_ms = l->config->monitor.label_horizon_ms + l->config->spec->future_skew_ms;
    if (offsets_at_time(l->member, l->told, p->topic, p->partition, mark > back_ms ? mark - back_ms : 0, &p->from, err) < 0)
        return -1;
    p->from = needed >= 0 && needed < p->from ? needed : p->from;
    p->from = p->from < first ? first : p->from;
    return 0;
}

static int open_merge(struct label_monitor *l, struct err *err)
{
    struct work *w = l->work;
    const char *const names[JUDGED_KIND_COUNT] = {l->config->outputs.predictions, l->config->outputs.shadows, l->config->monitor.label_topic};
    size_t count = w->partitions[JUDGED_PREDICTION] + w->partitions[JUDGED_SHADOW] + w->partitions[JUDGED_LABEL], n = 0;
    struct merge_partition *all = calloc(count, sizeof *all);
    assert(all);
    int result = 0;
    for (int kind = 0; kind < JUDGED_KIND_COUNT; kind++)
        for (size_t i = 0; result == 0 && i < w->partitions[kind]; i++, n++) {
            all[n] = (struct merge_partition){.kind = (enum judged_kind)kind, .topic = names[kind], .partition = (int32_t)i};
            result = find_start(l, &all[n], err);
        }
    if (result == 0)
        result = merge_open(l->config, w->reader, all, count, &w->merge, err);
    free(all);
    return result;
}

static void name_shadows(struct label_monitor *l)
{
    for (size_t i = 0; i < l->config->models.shadow_count; i++) {
        const char *id = l->config->models.shadows[i].id;
        place_of(l->work, LABEL_MODELS_MAX, LABEL_MODELS_MAX + l->work->shadows, (struct bytes){id, (uint32_t)strlen(id)});
    }
}

static void open_windows(struct label_monitor *l)
{
    const struct config *config = l->config;
    struct work *w = l->work;
    label_windows_init(&w->windows, config->monitor.label_window_ms, config->spec->lateness_ms, latest_mark(w), w->partitions[JUDGED_LABEL]);
    w->windows.models = (const char *const *)w->names;
    w->windows.thresholds = config->models.champion.has_decision ? config->models.champion.decision : config->models.decision;
    w->windows.deciles = l->has_deciles ? l->deciles : NULL;
}

int labels_begin(struct label_monitor *l, struct err *err)
{
    const struct config *config = l->config;
    struct work *w = l->work = calloc(1, sizeof *w);
    assert(w);
    l->stale = false;
    l->count_again_ms = clock_monotonic_ns() / 1000000 + COUNT_AGAIN_MS;
    w->shadows = l->shadows;
    if (count_partitions(l, w->partitions, err) < 0 || publication_open(config, l->topics, l->told, &w->publication, err) < 0)
        return -1;
    w->marks = calloc(w->partitions[JUDGED_LABEL], sizeof *w->marks);
    w->times = calloc(w->partitions[JUDGED_LABEL], sizeof *w->times);
    assert(w->marks && w->times);
    if (label_marks_read(l->member, l->told, config->monitor.label_topic, w->partitions[JUDGED_LABEL], w->marks, err) < 0)
        return -1;
    int64_t kept_ms = config->monitor.label_horizon_ms + config->monitor.label_window_ms + config->spec->lateness_ms;
    w->join = label_join_create(LABEL_MEMORY_BYTES, kept_ms, w->shadows);
    if (!w->join)
        return err_set(err, "memory is short");
    w->segments = segments_create(config->monitor.segments, config->monitor.segment_count);
    w->reader = record_reader_create(l->registry, config->spec->future_skew_ms);
    w->names[OTHER_MODEL] = strdup("other");
    assert(w->names[OTHER_MODEL]);
    name_shadows(l);
    open_windows(l);
    if (open_merge(l, err) < 0)
        return -1;
    log_info("labels: this process judges the models by %s; %zu partitions of predictions, labels judged %s", config->monitor.label_topic, w->partitions[JUDGED_PREDICTION],
        w->windows.closed_until_ms == INT64_MIN ? "from the beginning" : "before");
    return 0;
}

void labels_drop(struct label_monitor *l)
{
    struct work *w = l->work;
    if (!w)
        return;
    merge_close(w->merge);
    record_reader_destroy(w->reader);
    publication_close(w->publication);
    label_windows_finish(&w->windows);
    label_join_destroy(w->join);
    segments_destroy(w->segments);
    report_list_finish(&w->rows);
    for (size_t i = 0; i < LABEL_MODELS_ALL; i++)
        free(w->names[i]);
    free(w->marks);
    free(w->times);
    free(w);
    l->work = NULL;
}

/* ---- a turn ---- */

int labels_turn(struct label_monitor *l, struct err *err)
{
    struct merged m;
    bool labels = true; /* the last record was a label, and counts as read now: a window may be due */
    int n = 0;
    for (; n < TURN_RECORDS && !l->stale; n++) {
        int more = merge_next(l->work->merge, &m, err);
        if (more < 0 || ((labels || !more) && publish_due(l, err) < 0))
            return -1;
        if (!more)
            break;
        if (put(l, &m, err) < 0)
            return -1;
        labels = m.stream->of.kind == JUDGED_LABEL;
    }
    return n;
}

void labels_look_for_growth(struct label_monitor *l)
{
    size_t counts[JUDGED_KIND_COUNT];
    int64_t now_ms = clock_monotonic_ns() / 1000000;
    if (now_ms < l->count_again_ms)
        return;
    l->count_again_ms = now_ms + COUNT_AGAIN_MS;
    if (count_partitions(l, counts, NULL) == 0 && memcmp(counts, l->work->partitions, sizeof counts) != 0)
        l->stale = true;
}
