/* Predictions, shadows and labels as one stream in the order of time, whatever partition they lie in: what was known when
 * a label was reported has been read before it, live and after a restart alike.  (A label that was reported before its
 * transaction's record was written may find it or not.)
 *
 * The time of a stream (one partition) is the largest that a record of it had; its records come out at that time.  What
 * is next: of the streams' first records the one of the least time, predictions before shadows before labels, once no
 * stream without a record at hand could still bring an earlier one: its own time is as late, or it is at its end, and
 * for a label's sake has brought nothing for MERGE_PATIENCE_MS (a worker may be behind, or a transaction open).
 *
 * Memory: MERGE_BATCH messages a stream, and what librdkafka holds of each partition (512 KiB and a fetch).  Cost: one
 * pass over the streams a run of records of one of them. */
#pragma once
#include <stdatomic.h>
#include "consumer/labels/records.h"
#include "consumer/config/config.h"

enum { MERGE_BATCH = 256, MERGE_PATIENCE_MS = 3000 };

struct merge_partition {
    enum judged_kind kind;
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t from; /* first offset */
};

struct merge_stream { /* what others may look at */
    struct merge_partition of;
    int64_t position; /* next offset to come out */
    int64_t time_ms;  /* largest that came out; INT64_MIN: none yet */
    bool at_end;      /* and nothing of it at hand */
};

struct merge;
int merge_open(const struct config *config, struct record_reader *reader, const struct merge_partition *partitions, size_t count, struct merge **out, struct err *err);
void merge_close(struct merge *merge);

struct merged {
    const struct merge_stream *stream;
    int64_t offset;
    enum record_answer answer; /* RECORD_READ or RECORD_BAD */
    const char *why;           /* of RECORD_BAD */
    struct judged_record record;
};
/* 1: *out is the next one (valid until the next call); 0: nothing yet, call again in some milliseconds; -1. */
int merge_next(struct merge *merge, struct merged *out, struct err *err);
const struct merge_stream *merge_stream(const struct merge *merge, size_t i);
