#include "consumer/demo/tally.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "monitor/quality.h"

enum { BINS = 2048, MODELS = 2, CHAMPION = 0, CANDIDATE = 1 };

struct outcome {
    uint64_t id;
    float scores[MODELS];
    uint8_t label, history, expected, reason, decision;
    uint8_t predictions, shadows, dead_letters;
};

struct partition {
    struct outcome *outcomes; /* by offset */
    size_t count, capacity;
    int64_t history, done;
};

struct tally {
    pthread_mutex_t lock;
    struct thresholds thresholds;
    size_t partition_count;
    struct partition *partitions;
    struct tally_counts counts;
    int64_t unknown;
    int64_t bins[MODELS][2][BINS]; /* by model and label */
};

struct tally *tally_create(int32_t partitions, struct thresholds thresholds)
{
    struct tally *t = calloc(1, sizeof *t);
    assert(t);
    t->thresholds = thresholds;
    t->partition_count = (size_t)partitions;
    t->partitions = calloc(t->partition_count, sizeof *t->partitions);
    assert(t->partitions);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void tally_destroy(struct tally *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->partition_count; i++)
        free(t->partitions[i].outcomes);
    free(t->partitions);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void tally_expect(struct tally *t, int32_t partition, struct tally_record record)
{
    pthread_mutex_lock(&t->lock);
    assert(partition >= 0 && (size_t)partition < t->partition_count);
    struct partition *p = &t->partitions[partition];
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 4096;
        p->outcomes = realloc(p->outcomes, p->capacity * sizeof *p->outcomes);
        assert(p->outcomes);
    }
    p->outcomes[p->count++] = (struct outcome){.id = record.id, .label = record.label != 0, .history = record.history, .expected = (uint8_t)record.expected};
    p->history += record.history;
    t->counts.written += !record.history;
    pthread_mutex_unlock(&t->lock);
}

/* ---- what comes out ---- */

/* The record that an output names; NULL, and counted, if there is none.  An id of 0 is not compared. */
static struct outcome *find(struct tally *t, int32_t partition, int64_t offset, uint64_t id)
{
    if (partition < 0 || (size_t)partition >= t->partition_count || offset < 0 || (uint64_t)offset >= t->partitions[partition].count) {
        t->unknown++;
        return NULL;
    }
    struct outcome *o = &t->partitions[partition].outcomes[offset];
    if (o->history || (id && o->id != id)) {
        t->unknown++;
        return NULL;
    }
    return o;
}

static void count_once(uint8_t *times)
{
    *times = (uint8_t)(*times + (*times < UINT8_MAX));
}

static bool is_done(const struct outcome *o)
{
    return o->dead_letters || (o->predictions && o->shadows);
}

static void add_to_bin(struct tally *t, int model, int label, float score)
{
    double logit = score <= 0 ? -12 : score >= 1 ? 12 : log((double)score / (1 - (double)score));
    int bin = (int)((logit + 12) / 24 * BINS);
    t->bins[model][label][bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin]++;
}

static void note_done(struct tally *t, int32_t partition, bool before, const struct outcome *o)
{
    if (before || !is_done(o))
        return;
    t->partitions[partition].done++;
    t->counts.done++;
    if (o->predictions && o->shadows)
        t->counts.agreed += decide(t->thresholds, o->scores[CHAMPION]) == decide(t->thresholds, o->scores[CANDIDATE]);
}

void tally_prediction(struct tally *t, int32_t partition, int64_t offset, uint64_t id, int64_t event_time_ms, float score, enum decision decision)
{
    pthread_mutex_lock(&t->lock);
    struct outcome *o = find(t, partition, offset, id);
    if (o) {
        bool before = is_done(o), first = !o->predictions;
        count_once(&o->predictions);
        o->scores[CHAMPION] = score;
        o->decision = (uint8_t)decision;
        t->counts.predictions++;
        if (first) {
            t->counts.decisions[decision]++;
            t->counts.frauds += o->label;
            for (int d = 0; d <= (int)decision; d++) {
                t->counts.called[d]++;
                t->counts.caught[d] += o->label;
            }
            add_to_bin(t, CHAMPION, o->label, score);
        }
        if (event_time_ms > t->counts.event_time_ms)
            t->counts.event_time_ms = event_time_ms;
        note_done(t, partition, before, o);
    }
    pthread_mutex_unlock(&t->lock);
}

void tally_shadow(struct tally *t, int32_t partition, int64_t offset, uint64_t id, float score, enum decision decision)
{
    pthread_mutex_lock(&t->lock);
    struct outcome *o = find(t, partition, offset, id);
    if (o) {
        bool before = is_done(o);
        if (!o->shadows)
            add_to_bin(t, CANDIDATE, o->label, score);
        count_once(&o->shadows);
        o->scores[CANDIDATE] = score;
        t->counts.shadows++;
        t->unknown += decide(t->thresholds, score) != decision;
        note_done(t, partition, before, o);
    }
    pthread_mutex_unlock(&t->lock);
}

void tally_dead_letter(struct tally *t, int32_t partition, int64_t offset, enum reject_reason reason)
{
    pthread_mutex_lock(&t->lock);
    struct outcome *o = find(t, partition, offset, 0);
    if (o) {
        bool before = is_done(o);
        count_once(&o->dead_letters);
        o->reason = (uint8_t)reason;
        t->counts.dead_letters++;
        t->counts.rejects[reason]++;
        note_done(t, partition, before, o);
    }
    pthread_mutex_unlock(&t->lock);
}

int64_t tally_open(struct tally *t, int32_t partition)
{
    pthread_mutex_lock(&t->lock);
    const struct partition *p = &t->partitions[partition];
    int64_t open = (int64_t)p->count - p->history - p->done;
    pthread_mutex_unlock(&t->lock);
    return open;
}

/* ---- how it stands ---- */

static double binned_auc(int64_t bins[2][BINS])
{
    double below = 0, pairs = 0, negatives = 0, positives = 0;
    for (int i = 0; i < BINS; i++) {
        pairs += (double)bins[1][i] * (below + (double)bins[0][i] / 2);
        below += (double)bins[0][i];
        negatives += (double)bins[0][i];
        positives += (double)bins[1][i];
    }
    return positives > 0 && negatives > 0 ? pairs / positives / negatives : NAN;
}

void tally_count(struct tally *t, struct tally_counts *counts)
{
    pthread_mutex_lock(&t->lock);
    *counts = t->counts;
    counts->champion_auc = binned_auc(t->bins[CHAMPION]);
    counts->candidate_auc = binned_auc(t->bins[CANDIDATE]);
    pthread_mutex_unlock(&t->lock);
}

static void judge_one(const struct outcome *o, struct tally_outcome *sum)
{
    if (o->history)
        return; /* an output of it is `unknown` */
    if (o->predictions + o->dead_letters == 0 || (o->predictions && !o->shadows))
        sum->missing++;
    else if (o->predictions + o->dead_letters > 1 || o->shadows > 1)
        sum->repeated++;
    else if (o->expected != (o->dead_letters ? o->reason : REJECT_NONE))
        sum->unexpected++;
}

static double exact_auc(const struct tally *t, int model)
{
    struct scored *events = calloc((size_t)t->counts.written + 1, sizeof *events);
    size_t n = 0;
    assert(events);
    for (size_t p = 0; p < t->partition_count; p++)
        for (size_t i = 0; i < t->partitions[p].count; i++) {
            const struct outcome *o = &t->partitions[p].outcomes[i];
            if (o->predictions && o->shadows && !o->history)
                events[n++] = (struct scored){o->scores[model], o->label};
        }
    double auc = quality_rank(events, n).auc;
    free(events);
    return auc;
}

bool tally_judge(struct tally *t, struct tally_outcome *outcome)
{
    pthread_mutex_lock(&t->lock);
    *outcome = (struct tally_outcome){.unknown = t->unknown};
    for (size_t p = 0; p < t->partition_count; p++)
        for (size_t i = 0; i < t->partitions[p].count; i++)
            judge_one(&t->partitions[p].outcomes[i], outcome);
    outcome->champion_auc = exact_auc(t, CHAMPION);
    outcome->candidate_auc = exact_auc(t, CANDIDATE);
    pthread_mutex_unlock(&t->lock);
    return !outcome->missing && !outcome->repeated && !outcome->unexpected && !outcome->unknown;
}
