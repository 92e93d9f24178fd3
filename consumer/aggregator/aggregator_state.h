/* What an aggregator is made of; for the files of this directory alone. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "consumer/aggregator/aggregator.h"
#include "consumer/aggregator/label_rows.h"
#include "consumer/aggregator/sketch_record.h"
#include "consumer/stop.h"

enum { WINDOWS_MOST = 1024 }; /* of an aggregate: 288 and four of each width */

struct aggregator {
    const struct config *config;
    const struct topics *topics;
    struct observer *observer;
    struct aggregator_listener listener;
    char group[512], id[512], instance[256]; /* id: transactional */
    rd_kafka_t *consumer;
    pthread_t thread;
    atomic_bool stop, active;
    const atomic_bool *asked; /* the process is to stop; NULL: nobody asks */
    bool closing, left;
    struct { /* noted by the callback, served by the loop */
        bool pending, assign, lost;
        rd_kafka_topic_partition_list_t *partitions;
    } rebalance;

    /* while active */
    rd_kafka_t *producer;
    struct aggregate *aggregate;
    struct sketch *delta;       /* of records not yet merged, over all partitions */
    int64_t gathered_ns;        /* since when; 0: it is empty */
    int32_t repeated;           /* the partition whose latest part was a repetition; -1: none */
    struct report_list reports; /* not yet published */
    size_t evaluated;           /* of them the listener has seen */
    struct label_rows labelled; /* not yet looked at */
    int64_t position;           /* of the next record */
    bool unsaved;               /* something was merged since the state was saved */
    bool window_rows;           /* rows of windows wait: they go with the state */
    int64_t saved_ns, health_ns, merged_ns;
    bool quiet;                 /* revisions that waited have been written since the last delta */
    int64_t unreadable;         /* records of another schema */
    struct buffer value, piece;
    /* Where records came to lie: delivery reports write here, and may do so until the producer is gone. */
    int64_t offsets[WINDOWS_MOST], state_offset;
};

/* Either of the two. */
static inline bool aggregator_stops(const struct aggregator *a)
{
    return atomic_load(&a->stop) || stop_is_set(a->asked);
}

/* publish.c: reports (and with `state` the state) become visible, or -1: this process is active no more. */
int aggregator_publish(struct aggregator *aggregator, bool state, struct err *err);
int aggregator_open_producer(struct aggregator *aggregator, struct err *err);
/* recover.c: the committed offset and the state that it names. */
int aggregator_recover(struct aggregator *aggregator, struct err *err);
