#include "consumer/demo/preparation.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/baseline/training.h"
#include "consumer/baseline_file.h"
#include "consumer/deployment.h"
#include "consumer/file.h"
#include "consumer/replay/replay.h"
#include "consumer/train/train.h"
#include "scoring/models/model.h"

void preparation_init(struct preparation *p, const char *dir, struct config *config, int64_t seed)
{
    *p = (struct preparation){.dir = dir, .config = config, .seed = seed};
    p->champion.rounds = 60;
    p->champion.depth = 4;
    p->candidate.rounds = 90;
    p->candidate.depth = 6;
    snprintf(p->champion.path, sizeof p->champion.path, "%s/champion.ubj", dir);
    snprintf(p->candidate.path, sizeof p->candidate.path, "%s/candidate.ubj", dir);
    snprintf(p->events_path, sizeof p->events_path, "%s/past.avro", dir);
    snprintf(p->labels_path, sizeof p->labels_path, "%s/past-labels.avro", dir);
    snprintf(p->training_path, sizeof p->training_path, "%s/training.csv", dir);
}

int preparation_replay(struct preparation *p, struct err *err)
{
    struct replay_summary summary;
    char *baseline = p->config->monitor.baseline;
    p->config->monitor.baseline = NULL; /* it is yet to be made */
    struct replay_options options = {.config = p->config, .input = p->events_path, .from_ms = INT64_MIN, .to_ms = INT64_MAX, .export_path = p->training_path,
        .labels = p->labels_path, .quiet = true, .stop = p->stop};
    int result = replay_run(&options, &summary, err);
    p->config->monitor.baseline = baseline;
    if (result == 0)
        p->replay_us = summary.cpu_seconds * 1e6 / (double)(summary.records ? summary.records : 1);
    return result;
}

/* ---- training ---- */

struct training {
    const struct preparation *p;
    const struct training_set *set;
    struct prepared_model *target;
    int result;
    struct err err;
    struct model *model;
};

static int train_one(struct training *t, struct err *err)
{
    char *bytes = NULL;
    size_t size;
    struct train_quality quality;
    struct train_options options = {.rounds = t->target->rounds, .max_depth = t->target->depth, .threads = 1, .eta = 0.2, .seed = t->p->seed & INT32_MAX,
        .stopped = t->p->stopped};
    int result = train_model(t->set, t->p->learned, &options, &bytes, &size, NULL, err);
    if (result == 0)
        result = file_write(t->target->path, bytes, size, err);
    if (result == 0)
        result = model_create(bytes, size, &t->model, err);
    free(bytes);
    if (result == 0)
        result = train_assess(t->model, t->set, t->p->learned, t->set->rows, t->p->config->models.decision, &quality, err);
    if (result == 0) {
        t->target->auc = quality.ranking.auc;
        t->target->average_precision = quality.ranking.average_precision;
    }
    return result;
}

static void *train_in_thread(void *context)
{
    struct training *t = context;
    t->result = train_one(t, &t->err);
    return NULL;
}

/* ---- the baseline ---- */

static int write_baseline(const struct preparation *p, const struct training_set *set, struct err *err)
{
    char *model;
    size_t size;
    struct baseline *baseline;
    if (file_read(p->champion.path, MODEL_FILE_MAX, &model, &size, err) < 0)
        return -1;
    int result = training_baseline(set, p->learned, p->config->spec, model, size, p->config->models.champion.id, p->config->models.decision, &baseline, err);
    free(model);
    if (result != 0)
        return result < 0 ? -1 : err_set(err, "the past is too short for a baseline");
    result = baseline_file_write(p->config->monitor.baseline, baseline, err);
    baseline_destroy(baseline);
    return result;
}

/* ---- both ---- */

static void count(struct preparation *p, const struct training_set *set)
{
    p->rows = set->rows;
    p->columns = set->columns;
    p->learned = set->rows - set->rows / 4;
    for (size_t i = 0; i < set->rows; i++)
        p->frauds += set->labels[i];
}

int preparation_train(struct preparation *p, struct err *err)
{
    struct training_set set = {0};
    pthread_t thread;
    if (training_set_read(p->training_path, "label", &set, err) < 0)
        return -1;
    count(p, &set);
    struct training champion = {.p = p, .set = &set, .target = &p->champion}, candidate = {.p = p, .set = &set, .target = &p->candidate};
    int failed = pthread_create(&thread, NULL, train_in_thread, &candidate);
    assert(!failed);
    int result = train_one(&champion, err);
    pthread_join(thread, NULL);
    if (result == 0 && candidate.result < 0) {
        *err = candidate.err;
        result = -1;
    }
    if (result == 0)
        result = write_baseline(p, &set, err);
    model_destroy(champion.model);
    model_destroy(candidate.model);
    training_set_finish(&set);
    return result;
}
