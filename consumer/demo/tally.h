/* What went into the input topic and what came out of the worker, record by record.
 *
 * The feeder says what it writes, in offset order a partition, and what should come of it; the reader says what it
 * finds on the output topics.  In the end every record must have come out exactly once and as expected.  Safe from
 * several threads. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "scoring/models/decision.h"
#include "scoring/reject.h"

struct tally;
struct tally *tally_create(int32_t partitions, struct thresholds thresholds);
void tally_destroy(struct tally *tally);

/* The partition's next record.  `history`: from before the start, nothing may come of it.  `expected`: what it must be
 * rejected for; REJECT_NONE: it must be scored. */
struct tally_record {
    uint64_t id; /* of the transaction; 0: none */
    int label;
    bool history;
    enum reject_reason expected;
};
void tally_expect(struct tally *tally, int32_t partition, struct tally_record record);

void tally_prediction(struct tally *tally, int32_t partition, int64_t offset, uint64_t id, int64_t event_time_ms, float score, enum decision decision);
void tally_shadow(struct tally *tally, int32_t partition, int64_t offset, uint64_t id, float score, enum decision decision);
void tally_dead_letter(struct tally *tally, int32_t partition, int64_t offset, enum reject_reason reason);

/* Records of the partition that nothing has come of yet (an event is done with its shadow prediction). */
int64_t tally_open(struct tally *tally, int32_t partition);

/* As it stands: cheap, for the live view. */
struct tally_counts {
    int64_t written, done; /* after the start */
    int64_t predictions, shadows, dead_letters;
    int64_t rejects[REJECT_REASON_COUNT];
    int64_t decisions[DECISION_COUNT];
    int64_t frauds;                      /* among the predictions */
    int64_t called[DECISION_COUNT], caught[DECISION_COUNT]; /* at this decision or above: events, and frauds */
    int64_t agreed;                      /* shadows that decide as the champion did */
    int64_t event_time_ms;               /* the latest predicted */
    double champion_auc, candidate_auc;  /* from 2,048 bins of the score; NaN: not yet */
};
void tally_count(struct tally *tally, struct tally_counts *counts);

/* At the end: exact. */
struct tally_outcome {
    int64_t missing;    /* nothing came of it, or no shadow prediction */
    int64_t repeated;   /* more than one output */
    int64_t unexpected; /* a dead letter instead of a prediction or the other way round, or the wrong reason */
    int64_t unknown;    /* outputs that name no record written after the start, another transaction, or a decision that is not their score's */
    double champion_auc, candidate_auc;
};
bool tally_judge(struct tally *tally, struct tally_outcome *outcome); /* true: each came out once, as expected */
