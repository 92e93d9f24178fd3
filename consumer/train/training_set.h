/* Rows to learn from: features, label and event time of labelled events. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "scoring/err.h"

#define TRAINING_CELLS_MAX ((size_t)1 << 31)

struct training_set {
    size_t columns, rows;
    char **names;     /* of the columns; owned */
    float *values;    /* rows x columns, row-major, NaN missing; owned, as the next two */
    int64_t *time_ms;
    uint8_t *labels;  /* 0 or 1 */
    uint64_t unlabelled, incomplete; /* rows left out without a label; rows whose windows were not complete */
    size_t capacity;
};

/* Copies the names. */
int training_set_init(struct training_set *set, const char *const *names, size_t columns, struct err *err);
void training_set_finish(struct training_set *set);
/* Room for the row's features, to be filled by the caller; NULL if memory is short or the set is too large. */
float *training_set_add(struct training_set *set, int64_t time_ms, int label);
/* By event time, rows of one time in the order that they came in. */
int training_set_sort(struct training_set *set, struct err *err);

/* Reads what `replay --export` writes: transaction_id, entity, event_time, the features, window_complete, <label>.
 * The label column may be called otherwise; missing cells are empty; columns may stand in any order, those of the
 * features keep theirs.  Errors name file, line and column. */
int training_set_read(const char *path, const char *label, struct training_set *set, struct err *err);
