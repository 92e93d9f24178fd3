/* The thread's inside, for labels.c (membership, life) and judging.c (the work). */
#pragma once
#include <pthread.h>

#include "consumer/labels/label_windows.h"
#include "consumer/labels/labels.h"
#include "consumer/labels/merge.h"
#include "consumer/labels/publication.h"

enum { CAUSES = 8 /* texts of faults that are logged once each */, OTHER_MODEL = LABEL_MODELS_MAX - 1 };

struct work {
    struct publication *publication;
    struct record_reader *reader;
    struct merge *merge;
    struct label_join *join;
    struct segments *segments;
    struct label_windows windows;
    struct report_list rows;
    size_t partitions[JUDGED_KIND_COUNT];
    struct label_mark *marks; /* by label partition; as they were read, or last written */
    uint64_t unlabelled; /* of the join, at the last report */
    size_t shadows;
    char *names[LABEL_MODELS_ALL]; /* served ones, then shadows; NULL: free */
    struct label_time *times; /* by label partition */
};

struct label_monitor {
    const struct config *config;
    const struct topics *topics;
    struct registry *registry;
    rd_kafka_t *member;
    rd_kafka_queue_t *queue; /* of its events */
    bool leads, stale; /* has partition 0; what it works on has changed */
    struct work *work;
    size_t shadows; /* places to begin with: grows when more are seen */
    float deciles[9];
    bool has_deciles;
    const char *causes[CAUSES];
    pthread_t thread;
    const atomic_bool *told; /* the process is to stop: no call waits long from then on */
    atomic_bool stop;
    pthread_mutex_t lock; /* of `shown` */
    struct label_face {
        bool leads;
        uint64_t fates[LABEL_FATE_COUNT];
        uint64_t bad[JUDGED_KIND_COUNT];
        uint64_t windows, restarts, lost;
        int64_t closed_until_ms;
        struct label_join_counts join;
    } face, shown; /* the thread's own, and a copy under the lock */
    int64_t count_again_ms; /* when partitions are counted next */
};

/* The work is all or nothing: begun from the marks, dropped when partition 0 goes or anything fails. */
int labels_begin(struct label_monitor *labels, struct err *err);
void labels_drop(struct label_monitor *labels); /* NULL work is fine */
/* Some records, one after the other, and the windows that close by them; 0: there is nothing at the moment; -1. */
int labels_turn(struct label_monitor *labels, struct err *err);
/* Marks it stale if a topic has grown: its new partitions are read by nobody. */
void labels_look_for_growth(struct label_monitor *labels);
