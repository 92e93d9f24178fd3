/* A replay: records of a file or a topic through the pipeline, outputs into container files.  It joins no group and
 * writes to no topic.  Used by `weir replay` and by the demo. */
#pragma once
#include <stdatomic.h>
#include "consumer/batch.h"
#include "consumer/config/config.h"
#include "scoring/reject.h"

/* Somebody who looks on: sees every record whatever the range, in the order of the source. */
struct replay_listener {
    void *context;
    int (*accepted)(void *context, int32_t partition, const struct event *event, const float *row, int label, struct err *err); /* label -1: none */
    int (*rejected)(void *context, int32_t partition, const struct record *record, const struct verdict *verdict, struct err *err);
};

struct replay_options {
    struct config *config;   /* its fields get the one of timestamps */
    const char *input;       /* container file; NULL: the input topic */
    const char *timestamps;  /* field that is the record timestamp of a file's events; NULL: the event time */
    int64_t from_ms, to_ms;  /* event time of what is written: [from, to); INT64_MIN and INT64_MAX: all */
    const char *output;      /* directory for predictions, shadows, dead letters and reports; NULL: none */
    const char *export_path; /* .csv or .avro; NULL: none */
    const char *labels;      /* container file or topic; NULL: none */
    const struct replay_listener *listener; /* NULL: none */
    bool as_configured;      /* of a topic: by the configured models, not by those recorded as having served */
    bool quiet;              /* no progress */
    atomic_bool *stop;       /* set: end early, with an error */
};

struct replay_summary {
    int64_t records, events, predictions, shadows, exported, labelled, reports, alerts;
    int64_t rejects[REJECT_REASON_COUNT];
    double seconds, cpu_seconds; /* of the pipeline: without loading models and labels */
};

int replay_run(const struct replay_options *options, struct replay_summary *summary, struct err *err);
